//! Files against a contract, before anything is loaded.

use crate::harness::{Project, STRANGER};
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
