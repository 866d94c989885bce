//! Files against a contract, before anything is loaded.

use crate::harness::{Project, STRANGER, python};
use serde_json::Value;
use std::fmt::Write;

const ORDERS: &str = "landing/orders/2024-01-01.csv";

fn broken(answer: &Value) -> Vec<(String, u64)> {
    let rules = answer["rules"].as_array().expect("rules").iter().filter(|r| r["passed"] == false);
    rules.map(|r| (r["rule"].as_str().expect("an id").to_owned(), r["violations"].as_u64().expect("a count"))).collect()
}

#[test]
fn files_are_told_valid_or_not_and_nothing_is_made() {
    let p = Project::shop();
    let ran = p.alluvium(&["contract", "test", "orders", ORDERS, "--to", "invalid.ndjson"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("failed: 2 of 3 records in 1 file are valid, 1 are not");
    // Nothing is loaded, so nobody knows the customers.
    ran.said("not checked: ");
    assert!(!p.path("lake").exists() && !p.path(".alluvium").exists());
    let invalid = std::fs::read_to_string(p.path("invalid.ndjson")).expect("a file");
    let row: Value = serde_json::from_str(invalid.trim()).expect("one row");
    assert_eq!((&row["_object"], &row["_position"]), (&ORDERS.into(), &1.into()));
    assert_eq!(row["reasons"][0]["value"], "-4");

    let answer = p.json(&["contract", "test", "contracts/orders.odcs.yaml", ORDERS]);
    assert_eq!((&answer["records"], &answer["valid"], &answer["invalid"]), (&3.into(), &2.into(), &1.into()));
    assert_eq!(broken(&answer).len(), 1, "{answer}");
    assert!(answer.get("writing_micros").is_none(), "{answer}");
    let answer = p.json(&["contract", "test", "orders", ORDERS, "--to", "invalid.parquet"]);
    assert!(answer["writing_micros"].as_u64().is_some_and(|micros| micros > 0), "{answer}");
    p.edit(ORDERS, "-4", "4");
    p.done(&["contract", "test", "orders", ORDERS]);
}

#[test]
fn a_reference_is_checked_once_its_dataset_is_loaded() {
    let p = Project::shop();
    p.done(&["run"]);
    p.put("stranger.csv", STRANGER.as_bytes());
    let answer = p.json(&["contract", "test", "orders", "stranger.csv"]);
    assert_eq!((&answer["passed"], &answer["unchecked"]), (&false.into(), &Value::Array(Vec::new())));
    assert_eq!(broken(&answer).len(), 1, "{answer}");
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 3);
}

#[test]
fn what_is_no_record_breaks_the_contract_as_well() {
    let p = Project::shop();
    p.put("bad.csv", b"id,customer,day,amount,updated_at\n1,c1\n2,c1,2024-01-01,1,2024-01-01T10:00:00Z\n");
    let answer = p.json(&["contract", "test", "orders", "bad.csv"]);
    assert_eq!(broken(&answer), [("malformed:fields".to_owned(), 1)]);
    assert_eq!((&answer["records"], &answer["valid"]), (&2.into(), &1.into()));
    let ran = p.alluvium(&["contract", "test", "orders", "missing.csv"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("missing.csv");
    let ran = p.alluvium(&["contract", "test", "ordres", "bad.csv"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("C0010");
}

#[test]
fn of_what_repeats_the_first_stays_though_several_threads_read() {
    let contract = "apiVersion: v3.1.0
kind: DataContract
id: readings
name: readings
version: 1.0.0
status: active
schema:
  - name: readings
    properties:
      - { name: id, logicalType: integer, unique: true, required: true }
      - { name: pad, logicalType: string }
";
    let p = Project::new(&[("alluvium.yaml", "name: readings\n"), ("contracts/readings.odcs.yaml", contract)]);
    let (rows, pad) = (60_000, "x".repeat(60));
    for (file, first) in [("a.ndjson", 0), ("b.ndjson", rows / 2)] {
        let mut text = String::new();
        for id in first..first + rows {
            writeln!(text, "{{\"id\":{id},\"pad\":\"{pad}\"}}").expect("memory takes it");
        }
        p.put(file, text.as_bytes());
    }
    let ran = p.alluvium(&["contract", "test", "readings", "a.ndjson", "b.ndjson", "--to", "invalid.csv"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("failed: 90,000 of 120,000 records in 2 files are valid, 30,000 are not");
    let invalid = std::fs::read_to_string(p.path("invalid.csv")).expect("a file");
    assert_eq!(invalid.lines().skip(1).filter(|l| l.contains("b.ndjson")).count(), rows / 2);
}

#[test]
fn a_new_version_is_compared_and_its_readers_are_named() {
    let p = Project::shop();
    std::fs::copy(p.path("contracts/orders.odcs.yaml"), p.path("old.odcs.yaml")).expect("copied");
    // A folder of the same name is no contract.
    p.put("orders/notes.txt", b"");
    let ran = p.done(&["contract", "diff", "old.odcs.yaml", "orders"]);
    ran.said("compatible under BACKWARD: no change");
    p.edit("contracts/orders.odcs.yaml", "name: amount", "name: total");
    let answer = p.json(&["contract", "diff", "old.odcs.yaml", "orders", "--mode", "forward"]);
    let against = &answer["against"][0];
    assert_eq!((&answer["compatible"], &against["changes"][0]["path"]), (&false.into(), &"orders.amount".into()));
    assert_eq!(against["changes"][0]["read_by"][0]["dataset"], "gold.daily", "{answer}");
    let ran = p.alluvium(&["contract", "diff", "old.odcs.yaml", "orders", "--mode", "FORWARD"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("fix: keep `orders.amount`: readers insist on it");
    ran.said("read by gold.daily");
    ran.said("incompatible under FORWARD: 1 of 2 changes breaks it");
    // Against every old version only where the mode says so.
    let versions = ["contract", "diff", "old.odcs.yaml", "orders", "orders", "--mode"];
    p.done(&[&versions[..], &["FORWARD"]].concat());
    let ran = p.alluvium(&[&versions[..], &["FORWARD_TRANSITIVE"]].concat());
    assert_eq!(ran.code, Some(1), "{ran}");
    let ran = p.alluvium(&["contract", "diff", "orders", "ordres"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("C0010");
}

/// Rows as others send them, each with one thing wrong but for the first two.
const SENT: &str = r#"{"id":1,"customer":"c1","state":"new","day":"2024-01-01","amount":10.5,"code":"AB1","at":"2024-01-01T10:00:00+00:00"}
{"id":2,"customer":"c1","state":"paid","day":"2024-01-01","amount":0,"code":null,"at":null}
{"id":"x","customer":"c1","state":"new","day":"2024-01-01","amount":1,"code":null,"at":null}
{"id":4,"customer":null,"state":"new","day":"2024-01-01","amount":1,"code":null,"at":null}
{"id":5,"customer":"c1","state":"lost","day":"2024-01-01","amount":1,"code":null,"at":null}
{"id":6,"customer":"c1","state":"new","day":"yesterday","amount":1,"code":null,"at":null}
{"id":7,"customer":"c1","state":"new","day":"2024-01-01","amount":-1,"code":null,"at":null}
{"id":8,"customer":"c1","state":"new","day":"2024-01-01","amount":1,"code":"ABCD","at":null}
{"id":9,"customer":"c1","state":"new","day":"2024-01-01","amount":1,"code":"ab","at":null}
{"id":10,"customer":"c1","state":"new","day":"2024-01-01","amount":1,"code":null,"at":"noon"}
"#;

/// Of the open-data-contract-standard package, with the JSON Schema of ODCS that it brings.
#[test]
fn the_standards_own_reader_takes_our_contracts() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut contracts = Vec::new();
    for example in std::fs::read_dir(root.join("examples")).expect("examples") {
        let Ok(folder) = std::fs::read_dir(example.expect("an example").path().join("contracts")) else { continue };
        contracts.extend(folder.map(|entry| entry.expect("a contract").path()));
    }
    assert!(contracts.len() > 5, "{contracts:?}");
    let paths: Vec<_> = contracts.iter().map(|p| p.as_os_str()).collect();
    assert_eq!(python("tests/odcs.py", &paths).trim(), contracts.len().to_string());
}

#[test]
fn others_read_an_export_and_refuse_the_same_rows() {
    let contract = "apiVersion: v3.1.0
kind: DataContract
id: sent
name: sent
version: 1.0.0
status: active
schema:
  - name: sent
    properties:
      - { name: id, logicalType: integer, primaryKey: true, required: true }
      - { name: customer, logicalType: string, required: true }
      - name: state
        logicalType: string
        required: true
        quality: [{ metric: invalidValues, arguments: { validValues: [new, paid] }, mustBe: 0 }]
      - { name: day, logicalType: date, required: true }
      - { name: amount, logicalType: number, physicalType: 'decimal(12, 2)', logicalTypeOptions: { minimum: 0 } }
      - { name: code, logicalType: string, logicalTypeOptions: { maxLength: 3, pattern: '[A-Z0-9]+' } }
      - { name: at, logicalType: timestamp }
";
    let p = Project::new(&[("alluvium.yaml", "name: sent\n"), ("contracts/sent.odcs.yaml", contract)]);
    p.put("rows.ndjson", SENT.as_bytes());
    let files = [("json-schema", "sent.json"), ("avro", "sent.avsc"), ("sql", "sent.sql")];
    for (language, file) in files {
        p.done(&["contract", "export", "sent", "--as", language, "--to", file]);
    }
    let ran = p.alluvium(&["contract", "test", "sent", "rows.ndjson", "--to", "invalid.ndjson"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let invalid = std::fs::read_to_string(p.path("invalid.ndjson")).expect("a file");
    let positions = invalid.lines().map(|l| serde_json::from_str::<Value>(l).expect("a row")["_position"].to_string());
    let mut refused: Vec<u64> = positions.map(|p| p.parse().expect("a number")).collect();
    refused.sort_unstable();
    assert_eq!(refused, [2, 3, 4, 5, 6, 7, 8, 9]);

    let paths = [files[0].1, files[1].1, files[2].1, "rows.ndjson"].map(|f| p.path(f));
    let said = python("tests/exports.py", &paths.each_ref().map(|p| p.as_os_str()));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "2 3 4 5 6 7 8 9");
    // A table has no pattern.
    assert_eq!(lines[1], "2 3 4 5 6 7 9");

    let ran = p.done(&["contract", "export", "contracts/sent.odcs.yaml", "--as", "markdown"]);
    ran.said("| amount | decimal(12, 2) |  | minimum 0 |  |");
    let ran = p.done(&["contract", "export", "contracts/sent.odcs.yaml", "--as", "html"]);
    ran.said("<code>amount</code></th><td>decimal(12, 2)</td><td></td><td><ul><li>minimum 0</li></ul></td>");
    p.done(&["contract", "lint"]).said("1 contract, 0 warnings");
    // A schema that was exported is compared as one.
    p.done(&["contract", "diff", "sent.json", "sent.json", "--mode", "FULL"]);
    let ran = p.alluvium(&["contract", "diff", "sent.json", "sent.avsc"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("C0016");
}
