//! What fails in a real project: it is given up or tried later, told, mended, and comes back once.

use crate::{
    harness::{Project, Ran},
    http::{event, push_to_dying, pushed_shop},
    market::{MARKET, MORE, ORDERS_HEAD, copied, killed_at, put_all, rows},
    serving::Serving,
};
use serde_json::{Value, json};
use std::fs;

const REPLAY: &[&str] = &["replay", "dead-letters"];
const STRICT: &str = "accept: { invalid: { error_above: 1% } }\nwrite:";

/// The market, whose orders do not pass their gate.
fn gated() -> Project {
    let p = Project::new(MARKET);
    p.edit("datasets/silver/orders.yaml", "write:", STRICT);
    p
}

fn mend(p: &Project) {
    p.edit("datasets/silver/orders.yaml", "error_above: 1%", "error_above: 100%");
}

#[track_caller]
fn fails(p: &Project, args: &[&str]) -> Ran {
    let ran = p.alluvium(args);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran
}

fn letters(p: &Project) -> Vec<Value> {
    p.json(&["show", "dead-letters"]).as_array().expect("letters").clone()
}

/// What a run makes that nothing stands in the way of.
fn expected() -> std::collections::BTreeMap<String, Vec<String>> {
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    rows(&calm)
}

#[test]
fn a_step_that_stays_wrong_is_told_until_it_is_mended_and_then_comes_back_once() {
    let p = gated();
    let ran = fails(&p, &["run"]);
    ran.said("error[L0201] silver.orders");
    ran.said("1 attempt; a dead letter");
    ran.said("alluvium replay dead-letters");
    let told = letters(&p);
    assert_eq!(told.len(), 1, "{told:#?}");
    let letter = &told[0];
    assert_eq!(
        (&letter["dataset"], &letter["kind"], &letter["event"]),
        (&json!("silver.orders"), &json!("refine"), &Value::Null)
    );
    assert_eq!((&letter["code"], &letter["class"], &letter["attempts"]), (&json!("L0201"), &json!("data"), &json!(1)));
    assert!(letter["inputs"]["bronze.orders"]["upto"].is_i64() && letter["version"].is_string(), "{letter:#}");
    assert_eq!(letter["run"], p.json(&["show", "run", "latest"])["run"]["run"]);
    p.done(&["show", "dead-letters"]).said("step: refine of bronze.orders (");

    // It is not tried again, and what needs it waits.
    let again = fails(&p, &["run"]);
    again.said("dead letters of earlier runs");
    assert_eq!(p.cell("SELECT attempts FROM state.steps WHERE state = 'dead'"), 1);
    assert!(p.versions()["gold.daily"].is_none());

    mend(&p);
    fails(&p, &["run"]);
    p.done(REPLAY).said("done silver.orders");
    assert_eq!(rows(&p), expected());
    assert!(letters(&p).is_empty());
    p.done(REPLAY).said("nothing to do");
    p.done(&["run"]).said("nothing to do");
}

#[test]
fn one_letter_is_named_by_the_start_of_its_id() {
    let p = gated();
    fails(&p, &["run"]);
    mend(&p);
    let step = letters(&p)[0]["step"].as_str().expect("an id").to_owned();
    assert_eq!(p.alluvium(&["replay", "dead-letters", "--id", "zz"]).code, Some(2));
    assert_eq!(p.alluvium(&["replay", "dead-letters", "--dataset", "silver.nope"]).code, Some(2));
    p.done(&["replay", "dead-letters", "--dataset", "silver.clicks"]).said("nothing to do");
    p.done(&["replay", "dead-letters", "--id", &step[..12]]);
    // Asked for once more by its whole id it is no mistake, and no work.
    p.done(&["replay", "dead-letters", "--id", &step]).said("nothing to do");
    assert_eq!(rows(&p), expected());
}

const ORIGINAL: &[&str] = &["replay", "dead-letters", "--version", "original"];

/// Another definition of orders, and another contract, under which the same input makes other rows.
fn redefine(p: &Project) {
    p.edit("datasets/silver/orders.yaml", "null_if: [\"\"]", "null_if: [\"\"], map: { op: { I: N } }");
    p.edit("contracts/orders.odcs.yaml", "{ minimum: 0 }", "{ minimum: -100 }");
}

#[test]
fn a_step_is_done_under_the_definition_that_it_was_tried_under_or_under_the_present_one() {
    let start = gated();
    fails(&start, &["run"]);
    mend(&start);
    redefine(&start);

    let p = copied(&start);
    p.done(ORIGINAL).said("done silver.orders");
    assert_eq!(rows(&p), expected(), "as if the project had not changed");
    assert!(letters(&p).is_empty());
    p.done(ORIGINAL).said("nothing to do");
    p.done(&["run"]);
    assert_eq!(rows(&p), expected());
    // What comes later is another matter: rows of both definitions stand in no table without a person's word.
    put_all(&p, MORE);
    fails(&p, &["run"]).said("silver.orders");
    assert_eq!(rows(&p)["silver.orders"], expected()["silver.orders"]);

    start.done(REPLAY).said("planned anew");
    assert_eq!(start.cell("SELECT count(*) FROM silver.orders WHERE op = 'I'"), 0);
    assert_eq!(
        start.cell("SELECT count(*) FROM silver.orders WHERE op = 'N' AND amount < 0"),
        1,
        "the contract of now"
    );
    assert!(rows(&start)["silver.orders"] != expected()["silver.orders"]);
}

#[test]
fn a_kill_does_not_make_the_present_definition_of_the_original() {
    let start = gated();
    fails(&start, &["run"]);
    mend(&start);
    redefine(&start);
    let expected = expected();
    for point in ["replay.after_revive", "step.after_claim", "commit.after_main", "step.before_done"] {
        let p = copied(&start);
        assert!(killed_at(&p, ORIGINAL, point, 1), "{point} is not reached");
        p.done(&["run"]);
        assert_eq!(rows(&p), expected, "after a kill at {point}");
        assert!(letters(&p).is_empty(), "{point}");
    }
}

#[test]
fn a_landing_object_is_read_as_its_definition_said_or_as_it_says_now() {
    let quoted = format!("{ORDERS_HEAD}6,\"c2\",2024-01-04,1,I,1\n");
    let start = Project::new(MARKET);
    start.put("landing/orders/2.csv", quoted.as_bytes());
    assert!(killed_at(&start, &["run"], "plan.after_record", 3));
    fs::remove_file(start.path("landing/orders/2.csv")).expect("removed");
    fails(&start, &["run"]).said("D0013");
    start.edit("datasets/bronze/orders.yaml", "settle: 0s", "settle: 0s, quote: \"'\"");
    start.put("landing/orders/2.csv", quoted.as_bytes());
    let customer = |p: &Project| p.cell("SELECT customer FROM bronze.orders WHERE _object = '2.csv'");

    for point in [None, Some("replay.after_revive"), Some("step.after_claim"), Some("commit.after_main")] {
        let p = copied(&start);
        if let Some(point) = point {
            assert!(killed_at(&p, ORIGINAL, point, 1), "{point} is not reached");
            p.done(&["run"]);
        } else {
            p.done(ORIGINAL).said("done bronze.orders");
        }
        assert_eq!(customer(&p), "c2", "{point:?}");
        p.done(REPLAY).said("nothing to do");
        let active = p.cell("SELECT count(DISTINCT version) FROM state.steps WHERE dataset = 'bronze.orders'");
        assert_eq!(active, 1, "{point:?}: all that was loaded so far is of the first definition");
    }
    start.done(REPLAY);
    assert_eq!(customer(&start), "\"c2\"");
}

/// A landing object of the shop that was gone when it was to be read.
fn gone() -> (Project, Vec<u8>, std::time::SystemTime) {
    let p = Project::new(MARKET);
    let path = p.path("landing/orders/2.csv");
    assert!(killed_at(&p, &["run"], "plan.after_record", 3));
    let content = fs::read(&path).expect("a file");
    let modified = fs::metadata(&path).and_then(|m| m.modified()).expect("a time");
    fs::remove_file(&path).expect("removed");
    fails(&p, &["run"]).said("D0013");
    (p, content, modified)
}

#[test]
fn a_landing_object_that_is_there_again_is_loaded_once() {
    let (p, content, modified) = gone();
    fails(&p, REPLAY).said("there is no complete file at 2.csv");
    p.put("landing/orders/2.csv", &content);
    let file = fs::File::options().write(true).open(p.path("landing/orders/2.csv")).expect("a file");
    file.set_modified(modified).expect("a time set");
    // A look does not tell it from the file that it knows.
    p.done(&["run"]).said("nothing to do");
    p.done(REPLAY).said("done bronze.orders");
    p.done(REPLAY).said("nothing to do");
    let all = rows(&p);
    for (table, rows) in expected() {
        // Events that came again have another id.
        assert_eq!(all[&table].len(), rows.len(), "{table}");
    }
    assert_eq!(p.cell("SELECT count(*) FROM state.events WHERE state = 'replayed'"), 1);
}

#[test]
fn a_pushed_event_comes_back_too() {
    let p = pushed_shop();
    p.done(&["run"]);
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_CRASH_AT", "plan.after_record");
    let serving = Serving::spawn(command);
    let at = serving.address();
    serving.wait_for("ended");
    push_to_dying(&at, &event("7", "10.50"));
    serving.end();
    let folder = p.path("lake/dev/pushed/bronze.orders");
    let object = fs::read_dir(&folder).expect("a folder").next().expect("an object").expect("an entry").path();
    let aside = p.path("aside");
    fs::rename(&object, &aside).expect("moved");
    fails(&p, &["run"]).said("D0013");
    fails(&p, REPLAY).said("there is no complete file");
    fs::rename(&aside, &object).expect("moved back");
    p.done(REPLAY);
    p.done(REPLAY).said("nothing to do");
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders WHERE id = '7'"), 1);
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders WHERE id = 7"), 1);
}

#[test]
fn a_kill_around_a_failure_or_a_replay_loses_nothing() {
    let start = gated();
    let expected = expected();
    for point in ["step.before_fail", "step.after_fail"] {
        let p = copied(&start);
        assert!(killed_failing(&p, &["run"], point), "{point} is not reached");
        fails(&p, &["run"]);
        assert_eq!(letters(&p).len(), 1, "{point}");
        mend(&p);
        p.done(REPLAY);
        assert_eq!(rows(&p), expected, "after a kill at {point}");
    }
    fails(&start, &["run"]);
    mend(&start);
    for point in
        ["replay.before_revive", "replay.after_revive", "step.after_claim", "commit.after_main", "step.before_done"]
    {
        let p = copied(&start);
        assert!(killed_at(&p, REPLAY, point, 1), "{point} is not reached");
        p.done(REPLAY);
        p.done(&["run"]);
        assert_eq!(rows(&p), expected, "after a kill at {point}");
        assert!(letters(&p).is_empty(), "{point}");
    }
}

/// As [`killed_at`], of a command that fails when it is not killed.
fn killed_failing(p: &Project, args: &[&str], point: &str) -> bool {
    let ran = p.command(args).env("ALLUVIUM_CRASH_AT", point).output().expect("the binary runs");
    ran.status.code().is_none()
}

#[test]
fn a_kill_around_the_replay_of_an_event_loads_it_once() {
    let (start, content, _) = gone();
    for point in ["replay.before_revive", "replay.after_revive", "plan.after_record", "commit.after_main"] {
        let p = copied(&start);
        p.put("landing/orders/2.csv", &content);
        assert!(killed_at(&p, REPLAY, point, 1), "{point} is not reached");
        p.done(REPLAY);
        p.done(&["run"]);
        assert_eq!(p.cell("SELECT count(*) FROM bronze.orders WHERE _object = '2.csv'"), 3, "{point}");
        assert!(letters(&p).is_empty(), "{point}");
    }
}

#[test]
fn a_step_that_takes_too_long_is_stopped_and_told() {
    let p = Project::new(MARKET);
    // No step of a real table is done so soon.
    let hasty = "timeout: 1ms\nretry: { max_attempts: 2, interval: 10ms }\nwrite:";
    p.edit("datasets/silver/orders.yaml", "write:", hasty);
    let ran = fails(&p, &["run"]);
    ran.said(
        "error[F0202] silver.orders: it took longer than 1ms, the timeout of the dataset (2 attempts; a dead letter)",
    );
    let letter = &letters(&p)[0];
    assert_eq!((&letter["class"], &letter["attempts"]), (&json!("timeout"), &json!(2)));
    p.edit("datasets/silver/orders.yaml", "timeout: 1ms\n", "");
    p.done(REPLAY);
    assert_eq!(rows(&p), expected());
}

#[test]
fn what_is_tried_later_is_told_with_its_time_and_its_budget() {
    let p = Project::new(MARKET);
    let hasty = "timeout: 1ms\nretry: { interval: 1ms }\nbudget: { retries_per_day: 2 }\nwrite:";
    p.edit("datasets/silver/orders.yaml", "write:", hasty);
    let ran = fails(&p, &["run"]);
    ran.said("the 2 retries of the dataset for today are used up");
    let shown = p.json(&["show", "retries"]);
    let (step, budget) = (&shown["steps"][0], &shown["budgets"][0]);
    assert_eq!((&step["dataset"], &step["failures"]), (&json!("silver.orders"), &json!(3)), "{shown:#}");
    assert!(step["retry_at"].is_string() && step["error"].as_str().is_some_and(|e| e.starts_with("F0202")));
    assert_eq!(*budget, json!({ "dataset": "silver.orders", "used_today": 2, "retries_per_day": 2 }));
    assert_eq!(p.cell("SELECT sum(used) FROM state.retries WHERE dataset = 'silver.orders'"), 2);
    p.done(&["show", "retries"]).said("silver.orders");
    // Another process agrees.
    fails(&p, &["run"]).said("used up");
    assert_eq!(p.cell("SELECT failures FROM state.steps WHERE state = 'failed'"), 3);
}

/// Orders that nobody can read, as the definition takes them for another format.
fn unreadable() -> Project {
    let p = Project::new(MARKET);
    p.edit("datasets/bronze/orders.yaml", "settle: 0s", "settle: 0s, format: parquet");
    p
}

fn readable(p: &Project) {
    p.edit("datasets/bronze/orders.yaml", ", format: parquet", "");
}

fn kept(p: &Project) -> Vec<std::path::PathBuf> {
    let folder = p.path("lake/dev/dead_letters/bronze.orders");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|e| e.expect("an entry").path()).collect()
}

#[test]
fn what_is_kept_of_a_dead_landing_object_comes_back_when_the_object_is_gone() {
    let p = unreadable();
    fails(&p, &["run"]);
    let told = letters(&p);
    assert_eq!((told.len(), kept(&p).len()), (2, 2), "{told:#?}");
    for letter in &told {
        let object = p.path("landing/orders").join(letter["object"].as_str().expect("a path"));
        let payload = letter["payload"].as_str().expect("a place");
        assert_eq!(fs::read(payload).expect("a file"), fs::read(object).expect("a file"));
    }
    fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    fs::create_dir(p.path("landing/orders")).expect("a folder");
    // They are as wrong as they were, and stay.
    fails(&p, REPLAY);
    assert_eq!((letters(&p).len(), kept(&p).len()), (2, 2));

    readable(&p);
    p.done(REPLAY).said("done bronze.orders");
    let all = rows(&p);
    for (table, rows) in expected() {
        // Events that came again have another id.
        assert_eq!(all[&table].len(), rows.len(), "{table}");
    }
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders WHERE _object = '2.csv'"), 3);
    assert!(letters(&p).is_empty() && kept(&p).is_empty(), "nothing is kept for good");
    p.done(REPLAY).said("nothing to do");
    p.done(&["run"]).said("nothing to do");
}

#[test]
fn a_kill_around_what_is_kept_loses_nothing_and_loads_it_once() {
    let start = unreadable();
    assert!(killed_failing(&start, &["run"], "payload.after_keep"), "it is not reached");
    fails(&start, &["run"]);
    assert_eq!((letters(&start).len(), kept(&start).len()), (2, 2));
    fs::remove_file(start.path("landing/orders/2.csv")).expect("removed");
    readable(&start);
    for point in
        ["replay.after_revive", "plan.after_record", "step.after_claim", "commit.after_main", "step.after_done"]
    {
        let p = copied(&start);
        assert!(killed_at(&p, REPLAY, point, 1), "{point} is not reached");
        p.done(REPLAY);
        p.done(&["run"]);
        assert_eq!(p.cell("SELECT count(*) FROM bronze.orders WHERE _object = '2.csv'"), 3, "{point}");
        assert_eq!(p.cell("SELECT count(*) FROM bronze.orders WHERE _object = '1.csv'"), 5, "{point}");
        assert!(letters(&p).is_empty(), "{point}");
    }
}

#[test]
fn what_was_corrected_in_its_place_is_kept_no_longer() {
    let p = unreadable();
    fails(&p, &["run"]);
    readable(&p);
    let corrected = format!("{ORDERS_HEAD}6,c2,2024-01-04,2,I,1\n");
    p.put("landing/orders/2.csv", corrected.as_bytes());
    // Its path holds other content, which is an event of its own: what was wrong is not loaded beside it.
    p.done(REPLAY);
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders WHERE _object = '2.csv'"), 1);
    assert!(letters(&p).is_empty() && kept(&p).is_empty());
}
