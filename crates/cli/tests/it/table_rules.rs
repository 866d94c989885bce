//! Rules of contracts over the table as it would be after the commit: numbers of a query, of rows, of other tables, and what
//! refers to the same table.

use crate::harness::Project;
use serde_json::{Value, json};
use std::fs;

const ORDERS: &str = "contracts/orders.odcs.yaml";
const LAST: &str = "      - { name: updated_at, logicalType: timestamp, required: true }\n";
const AMOUNT: &str = "        logicalTypeOptions: { minimum: 0 }\n";

/// The shop, whose orders are worth 17.75 at first, with rules about the whole table.
fn ruled(rules: &str) -> Project {
    let p = Project::shop();
    p.edit(ORDERS, LAST, &format!("{LAST}    quality:\n{rules}"));
    p
}

/// Each comes a day after the one before.
fn order(p: &Project, id: u32, amount: &str) {
    let day = fs::read_dir(p.path("landing/orders")).expect("a folder").count();
    let row = format!("id,customer,day,amount,updated_at\n{id},c1,2024-02-01,{amount},2024-02-{day:02}T10:00:00Z\n");
    p.put(&format!("landing/orders/{id}-{amount}.csv"), row.as_bytes());
}

/// What the newest step measured: action, whether it passed, and the sentence.
#[track_caller]
fn measured(p: &Project, dataset: &str, rule: &str) -> Value {
    let sql = format!(
        "SELECT q.action, q.passed, q.note FROM state.quality AS q JOIN state.steps AS s ON q.step = s.step \
         WHERE q.dataset = '{dataset}' AND q.rule = '{rule}' ORDER BY s.planned_at DESC LIMIT 1"
    );
    let rows = p.rows(&sql);
    assert_eq!(rows.len(), 1, "{rule} of {dataset}");
    json!([rows[0]["action"], rows[0]["passed"], rows[0]["note"]])
}

#[track_caller]
fn holds(p: &Project, dataset: &str, breach: &str) {
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let held = p.json(&["show", "held", dataset]);
    assert_eq!(held[0]["breaches"], json!([breach]), "{ran}");
}

#[test]
fn a_number_of_silver_passes_warns_and_holds() {
    let p = ruled(
        "      - { id: total, type: sql, query: 'SELECT sum(amount) FROM {object}', mustBeLessThan: 1000 }
      - id: buyers
        type: sql
        query: |
          SELECT (SELECT count(DISTINCT customer) FROM ${object}) - (SELECT count(*) FROM silver.customers);
        mustBe: 0
        severity: warning
",
    );
    let largest = "        quality:
          - { id: largest, type: sql, query: 'SELECT max({property}) FROM ${object}', mustBeLessOrEqualTo: 100, severity: warning }
";
    p.edit(ORDERS, AMOUNT, &format!("{AMOUNT}{largest}"));
    p.done(&["run"]).said("rule buyers measured -1");
    assert_eq!(measured(&p, "silver.orders", "total"), json!(["fail", 1, "rule total measured 17.75"]));
    assert_eq!(measured(&p, "silver.orders", "largest"), json!(["warn", 1, "rule largest measured 10.5"]));
    assert_eq!(measured(&p, "silver.orders", "buyers"), json!(["warn", 0, "rule buyers measured -1"]));

    // The row that it takes the place of no longer counts.
    order(&p, 1, "150");
    p.done(&["run"]).said("rule largest measured 150");
    assert_eq!(measured(&p, "silver.orders", "total"), json!(["fail", 1, "rule total measured 157.25"]));

    order(&p, 7, "900");
    holds(&p, "silver.orders", "rule total measured 1057.25");
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 2);
    assert_eq!(measured(&p, "silver.orders", "total"), json!(["fail", 0, "rule total measured 1057.25"]));
    p.done(&["release", "silver.orders"]);
    assert_eq!(p.cell("SELECT sum(amount) FROM silver.orders").as_f64(), Some(1057.25));
    // A release is of what was held: the next is judged by itself.
    order(&p, 8, "1");
    holds(&p, "silver.orders", "rule total measured 1058.25");
    p.done(&["drop", "held", "silver.orders"]);
    order(&p, 7, "2");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT sum(amount) FROM silver.orders").as_f64(), Some(159.25));
}

#[test]
fn a_number_of_rows_is_held_and_then_released() {
    let p = ruled("      - { id: enough, metric: rowCount, mustBeBetween: [3, 4] }\n");
    holds(&p, "silver.orders", "rule enough measured 2");
    assert!(p.versions()["silver.orders"].is_none());
    p.done(&["release", "silver.orders"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 2);
    order(&p, 7, "1");
    p.done(&["run"]);
    assert_eq!(measured(&p, "silver.orders", "enough"), json!(["fail", 1, "rule enough measured 3"]));
}

const DAILY: &str = "apiVersion: v3.1.0
kind: DataContract
id: daily
version: 1.0.0
status: active
schema:
  - name: daily
    properties:
      - { name: day, logicalType: date }
      - { name: orders, logicalType: integer }
      - { name: amount, logicalType: number, physicalType: 'decimal(22, 2)' }
    quality:
      - id: all_of_it
        type: sql
        query: SELECT (SELECT sum(amount) FROM ${object}) - (SELECT sum(amount) FROM silver.orders)
        mustBe: 0
        severity: error
      - { id: days, metric: rowCount, mustBeGreaterThan: 2, severity: warning }
";

/// The example of the documentation: sums that have to agree with another table.
#[test]
fn gold_is_compared_with_what_it_is_made_of() {
    let p = Project::shop();
    p.put("contracts/daily.odcs.yaml", DAILY.as_bytes());
    p.edit("datasets/gold/daily.sql", "window:", "contract: daily\nwindow:");
    p.done(&["run"]).said("rule days measured 2");
    assert_eq!(measured(&p, "gold.daily", "all_of_it"), json!(["fail", 1, "rule all_of_it measured 0"]));
    assert_eq!(measured(&p, "gold.daily", "days"), json!(["warn", 0, "rule days measured 2"]));
    // A day is added, and an order of another one changes: windows are made anew beside those that stay.
    order(&p, 1, "3");
    order(&p, 7, "900");
    p.done(&["run"]);
    assert_eq!(measured(&p, "gold.daily", "all_of_it"), json!(["fail", 1, "rule all_of_it measured 0"]));
    assert_eq!(p.cell("SELECT sum(amount) FROM gold.daily").as_f64(), Some(910.25));
}

#[test]
fn gold_that_lacks_something_is_held_and_then_released() {
    let p = Project::shop();
    p.put("contracts/daily.odcs.yaml", DAILY.as_bytes());
    p.edit("datasets/gold/daily.sql", "window:", "contract: daily\nwindow:");
    p.edit("datasets/gold/daily.sql", "GROUP", "WHERE amount > 8 GROUP");
    holds(&p, "gold.daily", "rule all_of_it measured -7.25");
    assert!(p.versions()["gold.daily"].is_none());
    p.done(&["release", "gold.daily"]);
    assert_eq!(p.cell("SELECT sum(amount) FROM gold.daily").as_f64(), Some(10.5));
}

/// Customers who were brought by others.
fn referred(action: &str) -> Project {
    let p = Project::shop();
    let name = "      - { name: name, logicalType: string }\n";
    let brought = format!(
        "{name}      - name: brought_by\n        logicalType: string\n        relationships: [{{ to: customers.customer{action} }}]\n"
    );
    p.edit("contracts/customers.odcs.yaml", name, &brought);
    let steps = "steps: [normalize: { null_if: [\"\"] }, validate]";
    p.edit("datasets/silver/customers.yaml", "steps: [validate]", steps);
    p.put("landing/customers/customers.csv", b"customer,name,brought_by\nc1,Ada,c2\nc2,Ben,\n");
    p
}

#[test]
fn a_reference_to_itself_is_to_the_table_after_the_commit() {
    let p = referred("");
    // Whoever comes first in the file.
    p.done(&["run"]);
    let rule = "reference:brought_by";
    assert_eq!(measured(&p, "silver.customers", rule), json!(["fail", 1, format!("rule {rule} measured 0")]));
    p.put("landing/customers/2.csv", b"customer,name,brought_by\nc3,Cy,c1\nc4,Di,c9\nc5,Ed,\n");
    holds(&p, "silver.customers", &format!("rule {rule} measured 1"));
    p.done(&["drop", "held", "silver.customers"]);
    p.put("landing/customers/3.csv", b"customer,name,brought_by\nc9,Jo,c1\nc6,Fy,c9\n");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.customers"), 4);

    let p = referred(", customProperties: [{ property: alluvium.action, value: warn }]");
    p.put("landing/customers/2.csv", b"customer,name,brought_by\nc4,Di,c9\n");
    p.done(&["run"]).said(&format!("rule {rule} measured 1"));
    assert_eq!(p.cell("SELECT count(*) FROM silver.customers"), 3);

    let p = referred(", customProperties: [{ property: alluvium.action, value: quarantine }]");
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("error[E0307]: a reference of a dataset to itself cannot `quarantine`");
}

/// Of a history, what holds now refers to what holds now.
#[test]
fn a_history_refers_to_what_holds_now() {
    let p = referred("");
    p.edit(
        "datasets/silver/customers.yaml",
        "{ keys: [customer] }",
        "{ keys: [customer], sequence_by: name, stored_as: scd2 }",
    );
    p.done(&["run"]);
    // What c1 was brought by before is gone with its version.
    p.put("landing/customers/2.csv", b"customer,name,brought_by\nc1,Ida,\n");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.customers"), 3);
    p.put("landing/customers/3.csv", b"customer,name,brought_by\nc2,Cid,c7\n");
    holds(&p, "silver.customers", "rule reference:brought_by measured 1");
}
