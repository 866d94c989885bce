//! `alluvium show`.

use crate::harness::Project;

#[test]
fn every_view_has_something_before_and_after_a_run() {
    let views = [&["datasets"][..], &["runs"], &["quarantine"], &["ledger"], &["versions"]];
    let p = Project::shop();
    let show = |view: &[&str]| p.done(&[&["show"], view].concat()).stdout;
    let before: Vec<String> = views.iter().map(|v| show(v)).collect();
    p.done(&["run"]);
    for (view, before) in views.iter().zip(before) {
        assert!(!before.is_empty(), "{view:?}");
        assert_ne!(show(view), before, "{view:?}");
        p.json(&[&["show"], *view].concat());
    }
    assert!(show(&["runs"]).contains("done"));
    assert!(show(&["datasets"]).contains("silver.orders"));
}

#[test]
fn a_run_is_found_by_the_start_of_its_id() {
    let p = Project::shop();
    p.done(&["run"]);
    let latest = p.json(&["show", "run", "latest"]);
    let id = latest["run"]["run"].as_str().expect("an id");
    assert_eq!(p.json(&["show", "run", &id[..id.len() - 2]]), latest);
    let steps = latest["steps"].as_array().expect("steps");
    assert!(steps.iter().any(|s| s["dataset"] == "gold.daily" && s["state"] == "done"), "{latest:#}");
    assert!(p.done(&["show", "run", "latest"]).stdout.contains("silver.orders"));
    let unknown = p.alluvium(&["show", "run", "1999"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
}

#[test]
fn the_quarantine_shows_rules_and_rows() {
    let p = Project::shop();
    p.done(&["run"]);
    let lines = p.json(&["show", "quarantine"]);
    assert_eq!(lines.as_array().map(Vec::len), Some(1), "{lines:#}");
    assert_eq!((&lines[0]["dataset"], &lines[0]["column"]), (&"silver.orders".into(), &"amount".into()));
    assert_eq!((&lines[0]["rows"], &lines[0]["waiting"]), (&1.into(), &1.into()));
    let shown = p.done(&["show", "quarantine", "silver.orders"]);
    shown.said("2024-01-01.csv");
    shown.said("amount = -4");
    assert_eq!(p.done(&["show", "quarantine", "."]).stdout, p.done(&["show", "quarantine"]).stdout);
    shown.said("alluvium replay quarantine silver.orders");
    p.done(&["show", "quarantine", "silver.customers"]).said("nothing waits");
    assert_eq!(p.alluvium(&["show", "quarantine", "silver.nope"]).code, Some(2));
}

#[test]
fn malformed_records_are_not_said_to_be_replayable() {
    let p = Project::shop();
    p.put("landing/orders/short.csv", b"id,customer,day,amount,updated_at\n7,c1\n");
    p.done(&["run"]);
    let shown = p.done(&["show", "quarantine", "bronze.orders"]);
    shown.said("malformed:fields");
    shown.said("in a file of their own");
    assert!(!shown.stdout.contains("alluvium replay"), "{shown}");
}

#[test]
fn a_new_definition_is_seen() {
    let p = Project::shop();
    p.done(&["run"]);
    p.edit("contracts/orders.odcs.yaml", "minimum: 0", "minimum: 8");
    p.done(&["show", "versions"]).said("active, defined differently now");
    p.done(&["show", "datasets"]).said("(rows: ");
}
