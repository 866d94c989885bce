//! `alluvium explain`, and that what runbooks ask of the tables can be asked.

use crate::harness::Project;
use std::{fs, path::Path};

/// Queries that are planned at once.
const TOGETHER: usize = 10;

#[test]
fn a_code_is_explained_without_a_project() {
    let p = Project::new(&[]);
    let shown = p.done(&["explain", "s0001"]).stdout;
    assert!(shown.starts_with("S0001: Another process holds the state.\n"), "{shown}");
    for heading in ["What it means", "How to see it", "What to do", "How to prevent it"] {
        assert!(shown.contains(&format!("\n\n{heading}\n")), "{heading}\n{shown}");
    }
    let json = p.json(&["explain", "H0308"]);
    assert_eq!((&json["code"], &json["class"]), (&"H0308".into(), &"timeout".into()));
    assert_eq!(json["together"], serde_json::json!(["H0306", "H0308", "H0309"]));
    for field in ["meaning", "help", "what_it_means", "how_to_see_it", "what_to_do", "how_to_prevent_it"] {
        assert!(json[field].as_str().is_some_and(|t| !t.is_empty()), "{field}: {json:#}");
    }
}

#[test]
fn all_codes_are_listed_with_what_they_are_of() {
    let p = Project::new(&[]);
    let list = p.json(&["explain"]);
    let list = list.as_array().expect("a list");
    let e0007 = list.iter().find(|c| c["code"] == "E0007").expect("a code");
    assert_eq!(e0007["title"], "unknown key");
    let shown = p.done(&["explain"]).stdout;
    assert_eq!(shown.lines().count(), list.len() + 2);
    assert!(shown.contains("\nE0007  unknown key\n"), "{shown}");
}

#[test]
fn a_code_that_is_none_tells_the_nearest() {
    let ran = Project::new(&[]).alluvium(&["explain", "L0202x"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran}");
    ran.said("error[C0015]: there is no code `L0202x`; did you mean L0202 or L0002 or L0102?");
}

#[test]
fn an_error_says_once_how_it_is_explained() {
    let p = Project::shop();
    let wrong = p.alluvium(&["show", "run", "nothing"]);
    assert!(wrong.stderr.ends_with("  = more: alluvium explain C0006\n"), "{wrong}");
    p.edit("datasets/silver/orders.yaml", "write:", "accept: { invalid: { error_above: 1% } }\nwrite:");
    for command in [&["run"] as &[&str], &["show", "dead-letters"]] {
        let ran = p.alluvium(command);
        assert_eq!(ran.to_string().matches("alluvium explain L0201").count(), 1, "{ran}");
    }
    p.edit("alluvium.yaml", "name: shop", "name: shop\nlimts: {}\nlake2: x");
    let ran = p.alluvium(&["check"]);
    assert!(ran.stderr.ends_with("2 mistakes; more of E0007: alluvium explain E0007\n"), "{ran}");
}

#[test]
fn every_query_of_a_runbook_can_be_asked() {
    let queries = queries();
    assert!(queries.len() > 40, "{} queries", queries.len());
    let p = Project::new(&[]);
    p.done(&["init", "orders", "."]);
    // Some of its records break a rule of the example.
    p.alluvium(&["run"]).said("alluvium show quarantine silver.orders");
    for some in queries.chunks(TOGETHER) {
        let parts: Vec<String> = some.iter().map(|sql| format!("SELECT count(*) AS n FROM ({sql})")).collect();
        p.done(&["query", &parts.join(" UNION ALL "), "--output", "csv"]);
    }
}

/// What is asked by `alluvium query "…"`, and blocks of SQL.
fn queries() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the runbooks") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a runbook");
        let asked = text.split("alluvium query \"").skip(1).filter_map(|rest| rest.split('"').next());
        let blocks = text.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
        found.extend(asked.chain(blocks).map(|sql| sql.trim().to_owned()));
    }
    found.sort();
    found.dedup();
    found
}
