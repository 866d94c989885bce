//! Exit codes, streams and the form of errors.

use crate::harness::Project;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

#[test]
fn arguments_that_make_no_sense_are_wrong_input() {
    let p = Project::shop();
    for args in [
        &["frobnicate"][..],
        &["run", "--adopt", "not a dataset"],
        &["run", "--adopt", "silver.nope"],
        &["run", "--adopt", "bronze.orders"],
        &["run", "--env", "nowhere"],
        &["check", ".", "--project", "other"],
        &["replay", "quarantine", "gold.daily"],
        &["query", "SELECT 1", "--output", "xml"],
    ] {
        let ran = p.alluvium(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}\n{ran}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn an_error_as_json_has_the_fields_of_the_text() {
    let ran = Project::shop().alluvium(&["show", "run", "1999", "--format", "json"]);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    assert_eq!(error["error"]["code"], "C0006");
    for field in ["message", "causes", "class", "help"] {
        assert!(!error["error"][field].is_null(), "{field}");
    }
}

#[test]
fn the_project_can_be_named_from_anywhere() {
    let p = Project::shop();
    let away = Project::new(&[]);
    let root = p.root().to_str().expect("a path");
    away.done(&["run", root]);
    away.done(&["show", "datasets", "--project", root]).said("silver.orders");
    assert_eq!(std::fs::read_dir(away.root()).expect("a folder").count(), 0);
}

#[test]
fn log_lines_name_the_run_and_the_step() {
    let ran = Project::shop().done(&["run", "-vv", "--log-format", "json"]);
    let lines: Vec<Value> = ran.stderr.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let steps: Vec<&Value> = lines.iter().filter(|l| l["span"]["name"] == "step").collect();
    assert!(steps.iter().any(|l| l["span"]["dataset"] == "gold.daily"), "{ran}");
    for line in steps {
        assert!(line["span"]["run"].is_string() && line["span"]["step"].is_string(), "{line}");
    }
}

/// However many a step loads: one id is enough to find the run, the dataset and the step.
#[test]
fn each_event_of_a_step_is_in_the_log_with_its_run_and_step() {
    let p = Project::shop();
    for n in 0..5 {
        let row = format!("id,customer,day,amount,updated_at\n{n}1,c2,2024-01-03,3.00,2024-01-03T12:00:00Z\n");
        p.put(&format!("landing/orders/more-{n}.csv"), row.as_bytes());
    }
    let ran = p.done(&["run", "-v", "--log-format", "json"]);
    let lines: Vec<Value> = ran.stderr.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let run = p.cell("SELECT run FROM state.runs");
    let loaded = p.rows("SELECT event, path, step FROM state.events WHERE dataset = 'bronze.orders'");
    assert!(loaded.len() >= 5 && loaded.iter().all(|e| e["step"] == loaded[0]["step"]), "{loaded:?}");
    for event in &loaded {
        let of = |message: &str| {
            let mut lines = lines.iter().filter(|l| l["event"] == event["event"] && l["message"] == message);
            lines.next().unwrap_or_else(|| panic!("no line `{message}` of {event}: {ran}"))
        };
        let came = of("arrived");
        assert_eq!((&came["run"], &came["path"]), (&run, &event["path"]), "{came}");
        assert_eq!(came["dataset"], "bronze.orders");
        let span = &of("takes")["span"];
        assert_eq!((&span["run"], &span["step"]), (&run, &event["step"]), "{span}");
        assert_eq!((span["dataset"].as_str(), span["name"].as_str()), (Some("bronze.orders"), Some("step")));
    }
}

#[test]
fn a_run_that_is_asked_to_stop_stops() {
    let p = Project::shop();
    p.edit("datasets/bronze/orders.yaml", "settle: 0s", "settle: 29s");
    let mut child = p.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map(|l| l.expect("text"));
    assert!(lines.any(|l| l.contains("to settle")), "it waits");
    let told = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
    assert!(told.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{rest:?}");
    assert!(rest.iter().any(|l| l.contains("error[C0108]")), "{rest:?}");
    let stopped = &p.json(&["show", "runs"])[0];
    assert_eq!(stopped["state"], "interrupted");
    assert!(stopped["finished_at"].is_string(), "it ended properly: {stopped}");
    p.edit("datasets/bronze/orders.yaml", "settle: 29s", "settle: 0s");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 2);
}

#[test]
fn a_state_file_of_something_else_is_left_alone() {
    let p = Project::shop();
    p.put(".alluvium/dev.db", b"this is no state file, and it is longer than a header");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("error[S0007]");
    assert!(std::fs::read(p.path(".alluvium/dev.db")).expect("a file").starts_with(b"this is no"));
}

#[test]
fn environments_stay_apart() {
    let p = Project::shop();
    p.edit("alluvium.yaml", "name: shop", "name: shop\nenvironments: { dev: {}, prod: {} }");
    p.done(&["run", "--env", "prod"]);
    assert!(p.done(&["show", "runs"]).stdout.starts_with("nothing has run yet"));
    assert_eq!(p.json(&["show", "runs", "--env", "prod"]).as_array().map(Vec::len), Some(1));
}
