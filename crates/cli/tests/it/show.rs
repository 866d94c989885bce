//! `alluvium show`.

use crate::{
    harness::{Project, python},
    market::{MARKET, killed_at},
};

#[test]
fn every_view_has_something_before_and_after_a_run() {
    let views = [&["datasets"][..], &["runs"], &["quarantine"], &["dead-letters"], &["ledger"], &["versions"]];
    let p = Project::shop();
    p.put("landing/orders/wide.csv", b"\xff\xfei\0d\0");
    let show = |view: &[&str]| p.done(&[&["show"], view].concat()).stdout;
    let before: Vec<String> = views.iter().map(|v| show(v)).collect();
    p.alluvium(&["run"]);
    for (view, before) in views.iter().zip(before) {
        assert!(!before.is_empty(), "{view:?}");
        assert_ne!(show(view), before, "{view:?}");
        p.json(&[&["show"], *view].concat());
    }
    assert!(show(&["runs"]).contains("done"));
    assert!(show(&["dead-letters"]).contains("wide.csv"));
    assert!(show(&["datasets"]).contains("silver.orders"));
}

/// What contracts and definitions say of each dataset, and what happened to it; nobody writes it down twice.
#[test]
fn the_catalog_tells_what_there_is_and_is_searched() {
    let p = Project::shop();
    let more = "status: active
description: { purpose: Who buys in the shop }
team: { name: sales, members: [{ username: ada, role: owner }] }
slaProperties: [{ property: frequency, value: 1, unit: d }]
tags: [people]
";
    p.edit("contracts/customers.odcs.yaml", "status: active\n", more);
    let class = "      - { name: name, logicalType: string, classification: personal, description: As on the card }\n";
    p.edit("contracts/customers.odcs.yaml", "      - { name: name, logicalType: string }\n", class);
    p.put(
        "datasets/bronze/customers.yaml",
        b"description: As the till sends them\nsource: { files: landing/customers/, settle: 0s }\n",
    );
    let before = p.json(&["show", "catalog"]);
    assert_eq!(before.as_array().map(Vec::len), Some(5), "{before}");
    assert!(before[0]["last_commit"].is_null());
    p.done(&["run"]);
    let names = |words: &[&str]| {
        let shown = p.json(&[&["show", "catalog"], words].concat());
        shown
            .as_array()
            .expect("a list")
            .iter()
            .map(|l| l["dataset"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    let found = p.json(&["show", "catalog", "CARD", "people"]);
    assert_eq!(names(&["CARD", "people"]), ["silver.customers"]);
    let line = &found[0];
    assert_eq!(line["description"], "Who buys in the shop");
    assert_eq!(line["owners"], serde_json::json!(["sales", "ada (owner)"]));
    assert_eq!(line["agreed"], serde_json::json!(["frequency 1 d"]));
    assert_eq!(line["used_by"], serde_json::json!(["silver.orders"]), "its rule looks there");
    assert_eq!(
        (&line["columns"][1]["name"], &line["columns"][1]["classification"]),
        (&"name".into(), &"personal".into())
    );
    assert!(line["last_commit"].is_string(), "{line}");
    assert_eq!(names(&["till"]), ["bronze.customers"]);
    assert!(names(&["card", "till"]).is_empty());
    p.done(&["show", "catalog", "gold.daily"]).said("gold.daily");
    p.done(&["show", "catalog", "nothing of it"]).said("no dataset is described by these words");
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

#[test]
fn a_killed_run_is_interrupted_and_its_step_is_told_by_both_runs() {
    // Before its commit, and after it: then the later run only finds what was done.
    for point in ["step.after_claim", "commit.after_main"] {
        let p = Project::new(MARKET);
        assert!(killed_at(&p, &["run"], point, 1));
        let killed = p.json(&["show", "run", "latest"]);
        assert_eq!(killed["run"]["state"], "interrupted", "{killed:#}");
        assert!(killed["run"]["finished_at"].is_null());
        p.done(&["show", "runs"]).said("interrupted");
        assert_eq!(p.cell("SELECT state FROM state.runs"), "interrupted");
        let open = &killed["steps"][0];
        assert_eq!((&open["state"], &open["attempts"]), (&"planned".into(), &1.into()), "{open}");
        assert_eq!(p.cell("SELECT count(*) FROM state.steps WHERE state = 'running'"), 0);

        p.done(&["run"]);
        let (after, id) = (p.json(&["show", "run", "latest"]), killed["run"]["run"].as_str().expect("an id"));
        let of = |run: &serde_json::Value| {
            let steps = run["steps"].as_array().expect("steps").clone();
            steps.into_iter().find(|s| s["step"] == open["step"]).expect("the step")
        };
        let finisher = &after["run"]["run"];
        let (here, there) = (of(&after), of(&p.json(&["show", "run", id])));
        assert_eq!((&here["planned_by"], &here["finished_by"]), (&id.into(), finisher));
        assert_eq!(there["finished_by"], *finisher);
        assert!(here["balance"]["received"].as_u64() > Some(0) && there["balance"].is_null(), "{here}\n{there}");
        assert!(here["committed"].is_i64(), "{point}: {here}");
        p.done(&["show", "run", id]).said(&format!("done by {}", finisher.as_str().expect("an id")));
        p.done(&["show", "run", "latest"]).said("planned by");
        // The balance of a run is that of the steps it finished.
        let sums = "SELECT finished_by, sum(received) AS n FROM state.steps GROUP BY 1";
        assert_eq!(p.rows(sums).len(), 1, "the killed run finished nothing");
    }
}

#[test]
fn a_dead_letter_is_told_with_its_object_and_its_reason() {
    let p = Project::shop();
    p.put("landing/orders/wide.csv", b"\xff\xfei\0d\0");
    assert_eq!(p.alluvium(&["run"]).code, Some(1));
    let shown = p.json(&["show", "dead-letters"]);
    let sql = "SELECT event, dataset, object, bytes, code, message, run FROM state.dead_letters";
    let queried = p.rows(sql);
    assert_eq!((shown.as_array().map(Vec::len), queried.len()), (Some(1), 1));
    for letter in [&shown[0], &queried[0]] {
        assert_eq!((&letter["dataset"], &letter["object"]), (&"bronze.orders".into(), &"wide.csv".into()));
        assert_eq!((&letter["code"], &letter["bytes"]), (&"D0003".into(), &6.into()));
        assert!(letter["message"].as_str().is_some_and(|m| m.contains("UTF-8")), "{letter}");
        assert_eq!(letter["run"], p.json(&["show", "run", "latest"])["run"]["run"]);
    }
    assert!(shown[0]["died_at"].is_string());
}

#[test]
fn looking_makes_nothing() {
    let p = Project::shop();
    let entries = || {
        let mut names: Vec<_> = std::fs::read_dir(p.root())
            .expect("a folder")
            .chain(std::fs::read_dir(p.path(".alluvium")).into_iter().flatten())
            .map(|e| e.expect("an entry").path())
            .collect();
        names.sort();
        names
    };
    let views = [
        &["show", "datasets"][..],
        &["show", "runs"],
        &["show", "quarantine"],
        &["show", "dead-letters"],
        &["show", "ledger"],
        &["show", "versions"],
        &["query", "SELECT count(*) FROM state.runs"],
        &["check"],
    ];
    let before = entries();
    for view in views {
        p.done(view);
        assert_eq!(entries(), before, "{view:?}");
    }
    assert_eq!(p.alluvium(&["show", "run", "latest"]).code, Some(2));
    assert_eq!(entries(), before);
    p.done(&["run"]);
    let runs = p.json(&["show", "runs"]);
    for view in views {
        p.done(view);
    }
    assert_eq!(p.json(&["show", "runs"]), runs);
}

#[test]
fn a_day_with_fewer_rows_than_ever_is_shown_and_noted_by_a_run() {
    let p = Project::shop();
    p.done(&["run"]);
    p.done(&["show", "anomalies"]).said("nothing is unusual");
    python("tests/past.py", &[p.path(".alluvium/dev.db").as_os_str()]);
    let found = p.json(&["show", "anomalies"]);
    let orders: Vec<_> = found.as_array().expect("a list").iter().filter(|a| a["dataset"] == "silver.orders").collect();
    assert_eq!(orders.len(), 1, "{found:#}");
    assert_eq!(
        (&orders[0]["kind"], &orders[0]["open"], &orders[0]["seen"]),
        (&"drop".into(), &true.into(), &50.0.into())
    );
    p.done(&["show", "anomalies", "--days", "20"]).said("silver.orders");
    p.put(
        "landing/orders/2024-01-09.csv",
        b"id,customer,day,amount,updated_at\n77,c1,2024-01-09,4,2024-01-09T00:00:00Z\n",
    );
    p.done(&["run"]).said("note silver.orders: unusual: drop of received on");
}
