//! Rules of what is inside of objects and arrays, from a file to the quarantine and back.

use crate::harness::Project;
use serde_json::json;

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - { name: id, logicalType: integer, required: true }
      - name: address
        logicalType: object
        properties:
          - { name: zip, logicalType: string, required: true }
          - name: country
            logicalType: string
            relationships: [{ to: silver.countries.code }]
      - name: lines
        logicalType: array
        logicalTypeOptions: { minItems: 1 }
        items:
          logicalType: object
          properties:
            - { name: quantity, logicalType: integer, logicalTypeOptions: { minimum: 1 } }
";

const COUNTRIES: &str = "apiVersion: v3.1.0
kind: DataContract
id: countries
name: countries
version: 1.0.0
status: active
schema:
  - name: countries
    properties:
      - { name: code, logicalType: string, required: true }
";

const ORDERS: &str = r#"{"id":1,"address":{"zip":"53111","country":"DE"},"lines":[{"quantity":1},{"quantity":2}]}
{"id":2,"address":{"zip":null,"country":"DE"},"lines":[{"quantity":1}]}
{"id":3,"address":{"zip":"1000","country":"AT"},"lines":[{"quantity":1}]}
{"id":4,"lines":[{"quantity":5},{"quantity":0}]}
{"id":5,"lines":[]}
"#;

fn project() -> Project {
    Project::new(&[
        ("alluvium.yaml", "name: t\n"),
        ("datasets/bronze/orders.yaml", "source: { files: landing/orders/, glob: \"*.ndjson\", settle: 0s }\n"),
        ("datasets/bronze/countries.yaml", "source: { files: landing/countries/, glob: \"*.csv\", settle: 0s }\n"),
        ("datasets/silver/orders.yaml", "from: bronze.orders\ncontract: orders\nsteps: [validate]\nwrite: append\n"),
        (
            "datasets/silver/countries.yaml",
            "from: bronze.countries\ncontract: countries\nsteps: [validate]\nwrite: append\n",
        ),
        ("contracts/orders.odcs.yaml", CONTRACT),
        ("contracts/countries.odcs.yaml", COUNTRIES),
        ("landing/orders/a.ndjson", ORDERS),
        ("landing/countries/a.csv", "code\nDE\n"),
    ])
}

#[test]
fn what_breaks_a_rule_inside_waits_and_comes_back() {
    let p = project();
    let checked = p.done(&["check"]);
    assert!(!format!("{checked}").contains("W000"), "{checked}");
    p.done(&["run"]);
    assert_eq!(p.rows("SELECT id FROM silver.orders"), [json!({ "id": 1 })]);
    let told: Vec<[String; 3]> = p
        .rows("SELECT reasons FROM quarantine.silver_orders ORDER BY _position")
        .iter()
        .flat_map(|row| row["reasons"].as_array().expect("reasons").clone())
        .map(|r| ["rule", "value", "message"].map(|of| r[of].as_str().unwrap_or("-").to_owned()))
        .collect();
    let expected = [
        ["required:address.zip", "-", "is missing or null: address.zip"],
        ["reference:address.country", "AT", "is not in silver.countries (code): address.country"],
        ["range:lines[].quantity", "0", "is not at least 1: lines[1].quantity"],
        ["items:lines", "-", "has fewer than 1 items: lines"],
    ];
    assert_eq!(told, expected.map(|all| all.map(str::to_owned)));
    // Every rule is counted, and a replay under a contract that asks less brings back what it admits.
    let broken = "SELECT violations FROM state.quality WHERE rule = 'range:lines[].quantity'";
    assert_eq!(p.cell(broken), json!(1));
    p.edit("contracts/orders.odcs.yaml", "minItems: 1", "minItems: 0");
    p.edit("contracts/orders.odcs.yaml", "minimum: 1", "minimum: 0");
    p.done(&["replay", "quarantine", "silver.orders", "--adopt"]);
    let ids: Vec<_> = p.rows("SELECT id FROM silver.orders ORDER BY id").iter().map(|r| r["id"].clone()).collect();
    assert_eq!(ids, [1, 4, 5].map(|n| json!(n)));
    assert_eq!(p.cell("SELECT count(*) FROM quarantine.silver_orders"), json!(2));
}

#[test]
fn a_contract_is_tried_on_files_with_what_is_inside() {
    let p = project();
    let ran = p.alluvium(&["contract", "test", "orders", "landing/orders/a.ndjson", "--to", "invalid.ndjson"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("required:address.zip");
    ran.said("range:lines[].quantity");
    let invalid = std::fs::read_to_string(p.path("invalid.ndjson")).expect("a file");
    assert!(invalid.contains("lines[1].quantity"), "{invalid}");
}
