//! What a gate holds back: it is looked at, and published or dropped once, whoever asks and whatever is killed on the way.

use crate::{
    harness::{Project, Ran},
    market::{MARKET, MORE, copied, killed_at, put_all, rows},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, process::Stdio};

const RELEASE: &[&str] = &["release", "silver.orders", "--by", "ann", "--reason", "known test orders"];
const DROP: &[&str] = &["drop", "held", "silver.orders", "--by", "ann"];
const ORDERS: &str = "datasets/silver/orders.yaml";

/// The market, whose orders do not pass their gate.
fn gated() -> Project {
    let p = Project::new(MARKET);
    p.edit(ORDERS, "write:", "accept: { invalid: { error_above: 1% } }\nwrite:");
    p
}

fn holding() -> Project {
    let p = gated();
    fails(&p, &["run"]);
    p
}

#[track_caller]
fn fails(p: &Project, args: &[&str]) -> Ran {
    let ran = p.alluvium(args);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran
}

fn shown(p: &Project) -> Vec<Value> {
    p.json(&["show", "held"]).as_array().expect("a list").clone()
}

/// What a run makes that nothing stands in the way of.
fn expected() -> BTreeMap<String, Vec<String>> {
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    rows(&calm)
}

/// Notes of what is held, and the files that they name.
fn notes(p: &Project) -> usize {
    fs::read_dir(p.path("lake/dev/silver/orders/_held")).map_or(0, |d| d.count())
}

fn number(p: &Project, sql: &str) -> u64 {
    p.cell(sql).as_u64().expect("a number")
}

#[test]
fn what_is_held_is_looked_at_and_released_once() {
    let p = gated();
    fails(&p, &["run"]).said("alluvium show held");
    let held = shown(&p);
    assert_eq!(held.len(), 1, "{held:#?}");
    assert_eq!((&held[0]["dataset"], &held[0]["kind"]), (&json!("silver.orders"), &json!("refine")));
    let why = held[0]["breaches"][0].as_str().expect("a sentence");
    assert!(why.contains("rows are invalid, above the 1.00 % that are accepted"), "{why}");
    let waiting = held[0]["rows"].as_u64().expect("rows");
    assert!(waiting > 0 && number(&p, "SELECT count(*) FROM held.silver_orders") == waiting);
    p.done(&["show", "held", "silver.orders"]).said("alluvium release silver.orders");
    // Nobody sees it otherwise, and no run goes past it.
    fails(&p, &["run"]);
    assert!(p.versions()["silver.orders"].is_none() && shown(&p).len() == 1);

    p.done(RELEASE).said("done silver.orders");
    assert_eq!(rows(&p), expected());
    assert!(shown(&p).is_empty() && notes(&p) == 0);
    let said = p.json(&["query", "SELECT kind, decided_by, reason, dataset FROM state.verdicts"]);
    let one =
        json!([{"kind": "release", "decided_by": "ann", "reason": "known test orders", "dataset": "silver.orders"}]);
    assert_eq!(said, one);
    p.done(RELEASE).said("nothing to do");
    p.done(&["run"]).said("nothing to do");
    assert_eq!(number(&p, "SELECT count(*) FROM state.verdicts"), 1);
}

#[test]
fn what_is_dropped_is_accounted_for_and_later_input_goes_on() {
    let p = holding();
    let received = shown(&p)[0]["rows"].as_u64().expect("rows");
    assert!(received > 0);
    p.done(DROP);
    let told = p.json(&[
        "query",
        "SELECT received, loaded, quarantined, dropped, duplicates, dead, late FROM state.steps \
                          WHERE dataset = 'silver.orders' AND state = 'done'",
    ]);
    let of = |name: &str| told[0][name].as_u64().expect("a count");
    assert_eq!((of("received"), of("loaded"), of("quarantined")), (8, 0, 0), "{told}");
    assert_eq!(of("dropped") + of("duplicates") + of("dead"), 8, "{told}");
    assert_eq!(number(&p, "SELECT count(*) FROM silver.orders"), 0);
    assert!(shown(&p).is_empty() && notes(&p) == 0);
    p.done(DROP).said("nothing to do");
    p.edit(ORDERS, "error_above: 1%", "error_above: 100%");
    put_all(&p, MORE);
    p.done(&["run"]);
    assert_eq!(number(&p, "SELECT count(*) FROM silver.orders WHERE id = 8"), 1);
    assert_eq!(number(&p, "SELECT count(*) FROM silver.orders WHERE id = 1"), 0);
}

#[test]
fn bronze_is_held_released_and_dropped_too() {
    let p = Project::new(MARKET);
    p.edit("datasets/bronze/orders.yaml", "source:", "accept: { rows: { max: 1 } }\nsource:");
    fails(&p, &["run"]);
    let dropped = copied(&p);
    dropped.done(&["drop", "held", "bronze.orders"]);
    assert_eq!(number(&dropped, "SELECT count(*) FROM bronze.orders"), 0);
    assert_eq!(number(&dropped, "SELECT sum(dropped) FROM state.steps WHERE dataset = 'bronze.orders'"), 8);
    dropped.done(&["run"]).said("nothing to do");
    p.done(&["release", "bronze.orders"]);
    let all = rows(&p);
    for (table, rows) in expected() {
        assert_eq!(all[&table].len(), rows.len(), "{table}");
    }
}

#[test]
fn gold_is_released_and_has_no_input_to_drop() {
    let p = Project::new(MARKET);
    p.edit("datasets/gold/best.sql", "/* publish: folder */", "/* accept: { rows: { min: 2 } } */");
    fails(&p, &["run"]);
    assert_eq!(p.alluvium(&["drop", "held", "gold.best"]).code, Some(2));
    assert_eq!(shown(&p).len(), 1);
    p.done(&["release", "gold.best"]);
    assert_eq!(rows(&p), expected());
}

#[test]
fn a_kill_at_any_point_publishes_once_or_drops_once() {
    let start = gated();
    let expected = expected();
    for point in ["hold.before_note", "hold.after_note", "step.before_fail", "step.after_fail"] {
        let p = copied(&start);
        let ran = p.command(&["run"]).env("ALLUVIUM_CRASH_AT", point).output().expect("the binary runs");
        assert!(ran.status.code().is_none(), "{point} is not reached");
        fails(&p, &["run"]);
        assert_eq!((shown(&p).len(), notes(&p)), (1, 1), "after a kill at {point}");
        p.done(RELEASE);
        assert_eq!(rows(&p), expected, "after a kill at {point}");
    }
    fails(&start, &["run"]);
    for point in [
        "hold.before_verdict",
        "hold.after_verdict",
        "step.after_claim",
        "gate.after_pass",
        "commit.before_main",
        "commit.after_main",
        "commit.after_follow",
        "step.before_done",
        "step.after_done",
    ] {
        let p = copied(&start);
        assert!(killed_at(&p, RELEASE, point, 1), "{point} is not reached");
        p.done(RELEASE);
        p.done(&["run"]);
        assert_eq!(rows(&p), expected, "after a kill at {point}");
        assert_eq!(number(&p, "SELECT count(*) FROM state.verdicts"), 1, "{point}");
        assert_eq!((shown(&p).len(), notes(&p)), (0, 0), "{point}");
    }
    for point in ["hold.before_verdict", "hold.after_verdict", "commit.before_main", "commit.after_main"] {
        let p = copied(&start);
        assert!(killed_at(&p, DROP, point, 1), "{point} is not reached");
        p.done(DROP);
        p.done(&["run"]);
        assert_eq!(number(&p, "SELECT count(*) FROM silver.orders"), 0, "{point}");
        let steps =
            "SELECT count(*) FROM state.steps WHERE dataset = 'silver.orders' AND state = 'done' AND loaded = 0";
        assert_eq!((number(&p, steps), shown(&p).len(), notes(&p)), (1, 0, 0), "{point}");
    }
}

/// Both verdicts, twice each, beside a run: one of them counts.
#[test]
fn of_all_who_decide_at_once_one_does() {
    let start = holding();
    let expected = expected();
    for _ in 0..4 {
        let p = copied(&start);
        let begin = |args: &&[&str]| {
            p.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
        };
        let all: Vec<_> = [RELEASE, DROP, &["run"][..], RELEASE, DROP].iter().map(begin).collect();
        for child in all {
            child.wait_with_output().expect("it ends");
        }
        p.done(&["run"]);
        assert_eq!(number(&p, "SELECT count(*) FROM state.verdicts"), 1);
        assert!(shown(&p).is_empty() && notes(&p) == 0);
        if p.cell("SELECT kind FROM state.verdicts") == json!("release") {
            assert_eq!(rows(&p), expected);
        } else {
            assert_eq!(number(&p, "SELECT count(*) FROM silver.orders"), 0);
        }
    }
}

#[test]
fn a_changed_definition_takes_what_was_held() {
    let p = holding();
    p.edit(ORDERS, "null_if: [\"\"]", "null_if: [\"\", \"NA\"]");
    fails(&p, RELEASE).said("it was tried under definition");
    assert_eq!((shown(&p).len(), notes(&p)), (1, 1));
    p.edit(ORDERS, "error_above: 1%", "error_above: 100%");
    p.done(&["run"]);
    assert_eq!(rows(&p), expected());
    assert_eq!((shown(&p).len(), notes(&p)), (0, 0));
}

#[test]
fn only_those_who_are_named_decide() {
    let p = gated();
    p.edit(ORDERS, "error_above: 1% } }", "error_above: 1% }, decided_by: [ben, ann] }");
    fails(&p, &["run"]);
    let other = ["release", "silver.orders", "--by", "eve"];
    for args in [&other[..], &["drop", "held", "silver.orders", "--by", "Ann"]] {
        let ran = p.alluvium(args);
        assert_eq!(ran.code, Some(2), "{ran}");
        ran.said("F0188");
        ran.said("is none of those who decide about what is held of silver.orders: ben, ann");
    }
    assert_eq!((shown(&p).len(), notes(&p), number(&p, "SELECT count(*) FROM state.verdicts")), (1, 1, 0));
    p.done(RELEASE);
    assert_eq!(rows(&p), expected());
    for (names, said) in [("[]", "nobody could decide"), ("[an ann]", "is no name of a person")] {
        p.edit(ORDERS, "decided_by: [ben, ann]", &format!("decided_by: {names}"));
        let ran = p.alluvium(&["check"]);
        assert_eq!(ran.code, Some(2), "{ran}");
        ran.said(said);
        p.edit(ORDERS, &format!("decided_by: {names}"), "decided_by: [ben, ann]");
    }
}

/// The verdict is in the state, and its process is gone; then the gate says something else.
#[test]
fn what_nobody_has_seen_is_released_by_nobody() {
    let p = holding();
    assert!(killed_at(&p, RELEASE, "hold.after_verdict", 1));
    p.edit(ORDERS, "error_above: 1% } }", "error_above: 1% }, rows: { min: 1000 } }");
    fails(&p, &["run"]);
    let held = shown(&p);
    assert_eq!(held[0]["breaches"].as_array().map(Vec::len), Some(2), "{held:#?}");
    assert_eq!(notes(&p), 1);
    p.done(RELEASE);
    assert_eq!(rows(&p), expected());
    assert_eq!(number(&p, "SELECT count(*) FROM state.verdicts"), 2);
}

/// By the same path in each layer: what is far from the commits before it is held, and what is near is not.
#[test]
fn a_step_that_adds_far_less_than_those_before_it_is_held() {
    let p = Project::new(MARKET);
    let limits = "accept: { volume: { of_last: 5, warn_below: 80%, error_below: 20% } }\nsource:";
    p.edit("datasets/bronze/clicks.yaml", "source:", limits);
    let clicks = |name: &str, first: u64, count: u64| {
        let lines: String = (first..first + count).map(|id| format!("{{\"id\":{id}}}\n")).collect();
        p.put(&format!("landing/clicks/{name}.ndjson"), lines.as_bytes());
    };
    // The first commits have nothing to be compared with.
    p.done(&["run"]);
    for (name, first) in [("a", 100), ("b", 200), ("c", 300)] {
        clicks(name, first, 10);
        p.done(&["run"]);
    }
    clicks("d", 400, 6);
    p.done(&["run"]).said("the step adds 6 rows, 60 % of 10, the median of the last 4 commits, below 80 %");
    clicks("e", 500, 1);
    fails(&p, &["run"]).said("the step adds 1 rows, 10 % of 10, the median of the last 5 commits, below 20 %");
    assert_eq!(number(&p, "SELECT count(*) FROM bronze.clicks WHERE id = '500'"), 0);
    assert_eq!(number(&p, "SELECT count(*) FROM held.bronze_clicks"), 1);
    // Other files of bronze do not wait for it.
    clicks("f", 600, 9);
    p.alluvium(&["run"]);
    assert_eq!(number(&p, "SELECT count(*) FROM bronze.clicks WHERE id LIKE '60%'"), 9);
    p.done(&["release", "bronze.clicks"]);
    assert_eq!(number(&p, "SELECT count(*) FROM silver.clicks WHERE id = 500"), 1);
    p.edit("datasets/bronze/clicks.yaml", "warn_below: 80%", "warn_below: 10%");
    let wrong = p.alluvium(&["check"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    wrong.said("it would fail before it warns");
}
