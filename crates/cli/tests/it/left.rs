//! What killed processes leave behind, and others see by themselves: nothing else happens that would wake them.

use crate::{
    harness::{Project, SHOP, STRANGER},
    http::{ask, event, push_to_dying, pushed_shop},
    market::{copied, two_at_a_time},
    server::SHARED,
    serving::Serving,
};
use serde_json::{Value, json};
use std::fs;

const PUBLISH: &str = "sinks: { folder: { files: out/ } }\npublish: folder\n";

/// In a database, and the end of its runs is told.
fn over(from: &Project) -> Project {
    let to = copied(from);
    let state = format!("environments: {{ dev: {{ state: '{}' }} }}\n{PUBLISH}name: ", SHARED.url());
    to.edit("alluvium.yaml", "name: ", &state);
    to
}

/// A service that is killed the n-th time it gets there, and has done all that was there when it began.
fn killed_at(p: &Project, point: &str, nth: u32) -> (Serving, String) {
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_CRASH_AT", format!("{point}:{nth}"));
    let serving = Serving::spawn(command);
    let at = serving.address();
    serving.wait_for("ended");
    (serving, at)
}

fn word_of(p: &Project, run: &str) -> Option<Value> {
    let text = fs::read(p.path("out").join(format!("runs/run-{run}.json"))).ok()?;
    Some(serde_json::from_slice(&text).expect("an event"))
}

/// The runs that planned something, each told with all that it planned.
#[track_caller]
fn told(p: &Project, serving: &Serving) {
    let sql = "SELECT run, count(*) AS steps, sum(received) AS received FROM state.steps GROUP BY run";
    for run in p.rows(sql) {
        let id = run["run"].as_str().expect("a run");
        serving.until("the word of a run", || word_of(p, id).is_some());
        let data = word_of(p, id).expect("it is there")["data"].clone();
        assert_eq!((&data["steps"]["expected"], &data["steps"]["done"]), (&run["steps"], &run["steps"]), "{data:#}");
        assert_eq!(data["balance"]["received"], run["received"], "{data:#}");
    }
}

/// Killed with the event in its inbox, in a landing object, in a step, in the midst of the step, and with a run that has not said
/// that all is done.
#[test]
fn another_service_goes_on_with_what_a_killed_one_acknowledged() {
    let start = pushed_shop();
    let points = [
        ("events.before_record", 1),
        ("events.after_record", 1),
        ("plan.after_record", 1),
        ("step.after_claim", 1),
        ("step.after_done", 1),
        ("run.before_finish", 2),
    ];
    two_at_a_time(&points, |(point, nth)| {
        let p = over(&start);
        let other = Serving::start(&p, &[]);
        other.address();
        other.wait_for("done silver.customers");
        other.wait_for("ended");
        let (first, at) = killed_at(&p, point, *nth);
        push_to_dying(&at, &event("7", "10.50"));
        other.until(point, || {
            p.rows_by_now("SELECT orders, amount FROM gold.daily") == [json!({ "orders": 1, "amount": 10.5 })]
        });
        // Where it was slow, the other one took all over before it got there.
        first.kill();
        told(&p, &other);
        assert_eq!(other.stop().code, Some(0));
        assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 1, "{point}");
    });
}

/// The worker executes nothing: all is done, and only the word of it is missing.
#[test]
fn a_worker_tells_the_end_of_a_run_that_was_killed() {
    let p = over(&Project::new(SHOP));
    let mut run = p.command(&["run"]);
    let killed = run.env("ALLUVIUM_CRASH_AT", "run.before_finish").output().expect("it runs");
    assert_eq!(killed.status.code(), None, "it was killed");
    let sql = "SELECT count(*) FROM state.publications WHERE dataset = 'runs'";
    assert_eq!(p.cell(sql), 0);
    let worker = Serving::spawn(p.command(&["worker"]));
    worker.until("the word", || p.cell(sql) == 1);
    assert_eq!(worker.stop().code, Some(0));
}

/// It has an end when its question has an answer, not when its steps are done.
#[test]
fn a_replay_that_was_asked_for_is_told_when_it_has_ended() {
    let p = Project::new(SHOP);
    p.put("landing/orders/2024-01-02.csv", STRANGER.as_bytes());
    p.edit("alluvium.yaml", "name: ", &format!("{PUBLISH}name: "));
    p.done(&["run"]);
    p.put("landing/customers/more.csv", b"customer,name\nc9,Ida\n");
    p.done(&["run"]);
    // Its first turn finds nothing to do.
    let (serving, at) = killed_at(&p, "run.before_finish", 2);
    let body = json!({ "quarantine": { "dataset": "silver.orders" } }).to_string();
    let answer = ask(&at, "POST", "/api/replays", &[("Content-Type", "application/json")], body.as_bytes());
    assert!(answer.is_202_or_cut(), "{}", answer.body);
    assert_eq!(serving.end().code, None, "it was killed");
    let id = p.cell("SELECT id FROM state.replays").as_str().expect("an id").to_owned();
    let open = format!("SELECT count(*) FROM state.steps WHERE run = '{id}' AND state <> 'done'");
    assert_eq!(p.cell(&open), 0);
    assert_ne!(p.cell(&open.replace("<>", "=")), 0, "its step is done");
    // Whoever ends a run tells of others, too.
    p.done(&["run"]);
    assert_eq!(p.cell(&format!("SELECT count(*) FROM state.replays WHERE id = '{id}' AND ended_at IS NULL")), 1);
    assert_eq!(word_of(&p, &id), None, "a service will go on with it");

    let serving = Serving::start(&p, &[]);
    serving.address();
    serving.until("its word", || word_of(&p, &id).is_some());
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell(&format!("SELECT count(*) FROM state.replays WHERE id = '{id}' AND ended_at IS NOT NULL")), 1);
    let data = word_of(&p, &id).expect("it is there")["data"].clone();
    assert_eq!((&data["state"], &data["command"]), (&json!("done"), &json!("replay quarantine silver.orders")));
    assert_eq!(data["steps"]["expected"], data["steps"]["done"], "{data:#}");
    let received = p.cell(&format!("SELECT sum(received) FROM state.steps WHERE run = '{id}'"));
    assert_eq!((&data["balance"]["received"], &received), (&received, &json!(3)), "{data:#}");
}
