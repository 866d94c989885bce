//! `alluvium serve` as a process: files that arrive, and how it ends.

use crate::{
    harness::{Project, Ran},
    serving::Serving,
};
use serde_json::json;
use std::time::Duration;

const MORE: &str = "id,customer,day,amount,updated_at\n5,c2,2024-01-03,3.00,2024-01-03T12:00:00Z\n";

#[test]
fn a_file_that_arrives_is_in_gold_without_a_command() {
    let p = Project::shop();
    let serving = Serving::start(&p, &[]);
    serving.wait_for("done gold.daily");
    serving.wait_for("ended");
    p.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
    serving.wait_for("bronze.orders: 1 new file");
    serving.wait_for("done gold.daily");
    serving.wait_for("ended");
    assert_eq!(p.cell("SELECT count(*) FROM gold.daily"), 3);
    let ran = serving.stop();
    assert_eq!(ran.code, Some(0), "{ran}");
    let runs = p.json(&["show", "runs"]);
    let states: Vec<_> = runs.as_array().expect("runs").iter().map(|r| r["state"].clone()).collect();
    assert!(states.iter().all(|s| s == "done"), "{runs:#}");
    assert!(runs.as_array().expect("runs").iter().all(|r| r["command"] == "serve"), "{runs:#}");
    p.done(&["run"]).said("nothing to do");
}

#[test]
fn only_what_an_arrival_touches_is_worked_on() {
    let p = Project::shop();
    let serving = Serving::start(&p, &[]);
    serving.wait_for("ended");
    p.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
    serving.wait_for("done gold.daily");
    serving.wait_for("ended");
    serving.stop();
    let last = "SELECT run FROM state.steps WHERE dataset = 'bronze.orders' ORDER BY planned_at DESC LIMIT 1";
    let steps = p.json(&["show", "run", p.cell(last).as_str().expect("a run")])["steps"].clone();
    let mut datasets: Vec<_> = steps.as_array().expect("steps").iter().map(|s| s["dataset"].clone()).collect();
    datasets.sort_by_key(ToString::to_string);
    assert_eq!(datasets, [json!("bronze.orders"), json!("gold.daily"), json!("silver.orders")]);
}

/// The shop's orders may be an hour old, if they are no more than two; customers are taken in at once, and so show that orders
/// waited.
#[test]
fn small_arrivals_wait_for_each_other_within_their_freshness() {
    let p = Project::shop();
    let bronze = crate::fixtures::BRONZE_ORDERS;
    p.put("datasets/bronze/orders.yaml", format!("{bronze}freshness: 1 hour\nbatch: {{ objects: 3 }}\n").as_bytes());
    let serving = Serving::start(&p, &[]);
    serving.wait_for("ended");
    let order = |id: u32| format!("id,customer,day,amount,updated_at\n{id},c2,2024-01-03,3.00,2024-01-03T12:00:00Z\n");
    for n in 5..8 {
        p.put(&format!("landing/orders/{n}.csv"), order(n).as_bytes());
        p.put(&format!("landing/customers/{n}.csv"), format!("customer,name\nn{n},New\n").as_bytes());
        if n < 7 {
            serving.wait_for("bronze.customers: 1 new file");
            serving.wait_for("ended");
        } else {
            serving.wait_for_all(&["bronze.customers: 1 new file", "bronze.orders: 3 new files", "done gold.daily"]);
        }
    }
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 6);
    let steps = p.cell("SELECT count(*) FROM state.steps WHERE dataset = 'bronze.orders'");
    assert_eq!(steps, 2, "what was there at the start, and then all three together");
}

#[test]
fn an_arrival_that_waits_for_others_is_taken_in_when_none_comes() {
    let p = Project::shop();
    let bronze = crate::fixtures::BRONZE_ORDERS;
    p.put("datasets/bronze/orders.yaml", format!("{bronze}freshness: 2s\n").as_bytes());
    let serving = Serving::start(&p, &[]);
    serving.wait_for("ended");
    p.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
    serving.wait_for("bronze.orders: 1 new file");
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
}

#[test]
fn a_landing_folder_may_come_later() {
    let p = Project::new(&crate::harness::SHOP[..8]);
    let serving = Serving::start(&p, &[]);
    serving.wait_for("serving shop");
    for (path, text) in &crate::harness::SHOP[8..] {
        p.put(path, text.as_bytes());
    }
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
}

#[test]
fn a_broken_dataset_does_not_stop_the_others() {
    let p = Project::shop();
    p.put("datasets/bronze/other.yaml", b"source: { files: landing/other/, glob: \"*.csv\", settle: 0s }\n");
    p.put("landing/other/a.csv", b"a,b\n1,2\n");
    // Where its table would be there is a file.
    p.put("lake/dev/bronze/orders", b"not a table");
    let serving = Serving::start(&p, &[]);
    serving.wait_for("ended");
    p.put("landing/other/b.csv", b"a,b\n3,4\n");
    serving.wait_for("done bronze.other");
    std::fs::remove_file(p.path("lake/dev/bronze/orders")).expect("removed");
    p.done(&["replay", "dead-letters"]);
    p.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
    // What the replay brought back the service may have gone on with.
    serving.wait_for("bronze.orders: 1 new file");
    serving.wait_for("done gold.daily");
    let ran = serving.stop();
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.said("failed[");
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 4);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.other"), 2);
}

#[test]
fn what_a_killed_service_left_the_next_one_finishes() {
    let p = Project::shop();
    let serving = Serving::start(&p, &[]);
    serving.wait_for("done bronze.customers");
    serving.kill();
    p.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
    let serving = Serving::start(&p, &[]);
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    let undisturbed = Project::shop();
    undisturbed.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
    undisturbed.done(&["run"]);
    assert_eq!(p.tables(), undisturbed.tables());
}

#[test]
fn a_service_stops_while_it_works() {
    let p = Project::shop();
    let rows: String = (10..60_000).map(|i| format!("{i},c1,2024-01-05,1.00,2024-01-05T00:00:00Z\n")).collect();
    p.put("landing/orders/large.csv", format!("id,customer,day,amount,updated_at\n{rows}").as_bytes());
    let serving = Serving::start(&p, &[]);
    serving.wait_for("bronze.orders: 2 new files");
    let ran: Ran = serving.stop();
    assert_eq!(ran.code, Some(0), "{ran}");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 59_992);
}

#[test]
fn a_scheduled_folder_is_looked_at_when_its_time_comes() {
    let p = Project::shop();
    let every_second = "settle: 0s, schedule: { cron: \"* * * * * *\", time_zone: Europe/Berlin }";
    p.edit("datasets/bronze/orders.yaml", "settle: 0s", every_second);
    let serving = Serving::start(&p, &[]);
    serving.wait_for("done gold.daily");
    p.put("landing/orders/2024-01-03.csv", MORE.as_bytes());
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM gold.daily"), 3);
}

#[test]
fn without_catching_up_a_service_waits_for_the_next_time() {
    let p = Project::shop();
    // A leap day: never while this runs.
    let seldom = "settle: 0s, schedule: { cron: \"0 0 29 2 *\", catch_up: none }";
    p.edit("datasets/bronze/orders.yaml", "settle: 0s", seldom);
    let serving = Serving::start(&p, &["--scan-every", "50ms"]);
    serving.wait_for("done silver.customers");
    serving.wait_for("ended");
    p.put("landing/customers/more.csv", b"customer,name\nc3,Cy\n");
    serving.wait_for("done silver.customers");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM silver.customers"), 3);
    assert!(p.versions()["bronze.orders"].is_none(), "nobody looked");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 3, "a run looks, because a person asks");
}

#[test]
fn the_scan_finds_and_reports_what_no_notice_told_of() {
    let p = Project::shop();
    let serving = Serving::start(&p, &["--scan-every", "100ms"]);
    serving.wait_for("done gold.daily");
    serving.wait_for("ended");
    // Another folder takes the place of the one above; what is watched went with the old one. Where a scan comes between the two, the
    // turn that looks what is wrong finds the file; then it is done once more.
    let is_found = (5..15).any(|n| {
        p.put(&format!("{n}/customers/customers.csv"), b"customer,name\nc1,Ada\nc2,Ben\n");
        p.put(&format!("{n}/orders/{n}.csv"), MORE.replace("5,", &format!("{n},")).as_bytes());
        std::fs::rename(p.path("landing"), p.path(&format!("before-{n}"))).expect("renamed");
        std::fs::rename(p.path(&n.to_string()), p.path("landing")).expect("renamed");
        serving.says_within(Duration::from_secs(30), "warning bronze.orders: 1 file found by the scan")
    });
    assert!(is_found, "nobody told of it");
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM gold.daily"), 3);
}
