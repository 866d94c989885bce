//! A service and what other processes commit: it goes on from there, and does nothing while nothing is committed.

use crate::{
    harness::{Project, SHOP},
    http::{event, push_to_dying, pushed_shop},
    market::{copied, killed_at},
    server::SHARED,
    serving::Serving,
};
use alluvium_model::{Clock, SystemClock};
use serde_json::json;
use std::time::Duration;

const MORE: &str = "id,customer,day,amount,updated_at\n5,c2,2024-01-03,3.00,2024-01-03T12:00:00Z\n";
/// Less than the time after which a service at rest looks by itself.
const SOON_SECONDS: i64 = 45;

fn over(from: &Project) -> Project {
    let to = copied(from);
    to.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", SHARED.url()));
    to
}

/// The shop, whose orders no service looks for, and which tells a folder of what came into bronze.
fn unwatched_shop() -> Project {
    let p = Project::new(SHOP);
    p.edit("alluvium.yaml", "name: shop", "name: shop\nsinks: { folder: { files: out/ } }");
    let seldom = "settle: 0s, schedule: { cron: \"0 0 29 2 *\", catch_up: none }";
    p.edit("datasets/bronze/orders.yaml", "settle: 0s", seldom);
    let bronze = std::fs::read_to_string(p.path("datasets/bronze/orders.yaml")).expect("a file");
    p.put("datasets/bronze/orders.yaml", format!("{bronze}publish: folder\n").as_bytes());
    p
}

fn told(p: &Project) -> usize {
    p.rows("SELECT * FROM state.publications WHERE delivered_at IS NOT NULL").len()
}

#[test]
fn what_a_run_committed_before_it_was_killed_is_gone_on_from() {
    for p in [unwatched_shop(), over(&unwatched_shop())] {
        p.done(&["run"]);
        let serving = Serving::start(&p, &[]);
        serving.wait_for("ended");
        let before = told(&p);
        p.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
        assert!(killed_at(&p, &["run"], "step.after_done", 1), "it has loaded the file");
        serving.wait_for("done silver.orders");
        serving.wait_for("done gold.daily");
        serving.wait_for("ended");
        serving.until("its publication", || told(&p) == before + 1);
        assert_eq!(serving.stop().code, Some(0));
        assert_eq!(p.cell("SELECT count(*) FROM gold.daily"), 3);
        p.done(&["run"]).said("nothing to do");
    }
}

/// Nothing wakes the loop of a service at rest, also over a state that was there before, but a word of another process.
#[test]
fn a_service_at_rest_sleeps_until_another_process_writes() {
    let p = unwatched_shop();
    p.done(&["run"]);
    let serving = Serving::start(&p, &[]);
    serving.wait_for("ended");
    assert!(serving.comes_to_rest());
    p.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
    let start = SystemClock.now();
    assert!(killed_at(&p, &["run"], "step.after_done", 1), "it has loaded the file");
    serving.wait_for("done silver.orders");
    serving.wait_for("done gold.daily");
    let passed = SystemClock.now().duration_since(start).as_secs();
    assert!(passed < SOON_SECONDS, "{passed}");
    assert_eq!(serving.stop().code, Some(0));
}

#[test]
fn what_another_service_committed_before_it_was_killed_is_gone_on_from() {
    let p = over(&pushed_shop());
    p.done(&["run"]);
    let serving = Serving::start(&p, &[]);
    serving.wait_for("ended");
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_CRASH_AT", "step.after_done");
    let other = Serving::spawn(command);
    let at = other.address();
    other.wait_for("ended");
    push_to_dying(&at, &event("7", "10.50"));
    serving.until("gold", || {
        p.rows_by_now("SELECT orders, amount FROM gold.daily") == [json!({ "orders": 1, "amount": 10.5 })]
    });
    // It was killed when it had loaded the event, unless it was so slow that its work was taken over before.
    other.kill();
    assert_eq!(serving.stop().code, Some(0));
}

/// Orders refer to customers: they wait while those fail.
#[test]
fn what_another_process_mended_holds_up_nothing_any_more() {
    let p = Project::new(SHOP);
    p.put("landing/customers/customers.csv", b"customer,name\nc1,Ada\nc2,Ben\n,Nobody\n");
    p.edit("datasets/silver/customers.yaml", "[validate]", "[{ normalize: { null_if: [\"\"] } }, validate]");
    p.edit("datasets/silver/customers.yaml", "write:", "accept: { invalid: { error_above: 1% } }\nwrite:");
    let serving = Serving::start(&p, &[]);
    serving.wait_for("silver.customers");
    serving.wait_for("ended");
    assert!(p.versions()["silver.orders"].is_none());
    p.edit("datasets/silver/customers.yaml", "error_above: 1%", "error_above: 100%");
    p.done(&["replay", "dead-letters"]);
    serving.wait_for("done silver.orders");
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM gold.daily"), 2);
}

#[test]
fn while_nothing_is_committed_nothing_runs() {
    let p = Project::new(SHOP);
    let serving = Serving::start(&p, &[]);
    serving.wait_for("done gold.daily");
    serving.wait_for("ended");
    // It looks a few times, and finds its own commits first.
    serving.for_a_while(Duration::from_secs(4));
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.json(&["show", "runs"]).as_array().map(Vec::len), Some(1));
}
