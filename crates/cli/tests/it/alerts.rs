//! Alerts reach a real receiver: one while something is wrong, one when it is over, whatever is killed or down on the way.

use crate::{
    fixtures::BRONZE_CUSTOMERS,
    harness::{Project, SHOP},
    hooks::{Call, Receiver, SECRET},
    http::ask,
    market::{killed, two_at_a_time},
    serving::Serving,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

const ORDERS: &str = "datasets/silver/orders.yaml";
const HEAD: &str = "id,customer,day,amount,updated_at\n";

/// A row of an order; one with a negative amount is invalid.
fn order(id: u32, amount: i32) -> String {
    format!("{HEAD}{id},c1,2024-01-05,{amount},2024-01-05T{:02}:00:00Z\n", id % 24)
}

/// The shop, of whose first three orders one is invalid. `on_call` gets events, `people` messages.
fn alerting(on_call: u16, people: u16) -> Project {
    let mut p = Project::new(SHOP);
    let sinks = format!(
        "name: shop\nsinks:\n  \
           on_call: {{ webhook: {{ url: 'http://127.0.0.1:{on_call}/a', secret: {{ env: ALLUVIUM_HOOK }} }} }}\n  \
           people: {{ webhook: {{ url: {{ env: ALLUVIUM_SLACK }}, format: slack }} }}\nalerts: [on_call, people]"
    );
    p.edit("alluvium.yaml", "name: shop", &sinks);
    p.edit(ORDERS, "write:", "accept: { invalid: { warn_above: 10%, error_above: 60% } }\nwrite:");
    p.set("ALLUVIUM_HOOK", SECRET);
    p.set("ALLUVIUM_SLACK", &format!("http://127.0.0.1:{people}/T0/B0/x"));
    p
}

/// State, kind, subject and runbook of what came.
fn told(calls: &[Call]) -> Vec<String> {
    let line = |c: &Call| {
        assert!(c.signed && c.event["id"] == c.id, "{c:?}");
        let data = &c.event["data"];
        ["state", "kind", "subject", "runbook"].map(|f| data[f].as_str().expect("a text")).join(" ")
    };
    calls.iter().map(line).collect()
}

#[test]
fn one_alert_is_told_while_it_lasts_and_one_when_it_is_over() {
    let (on_call, people) = (Receiver::start(), Receiver::start());
    let p = alerting(on_call.port, people.port);
    p.done(&["run"]).said("alert silver.orders: 33.33 % of 3 rows are invalid");
    const BAD: &str = "acceptance silver.orders alluvium explain F0175";
    assert_eq!(told(&on_call.calls()), [format!("open {BAD}")]);
    let event = on_call.calls()[0].event.clone();
    assert_eq!((&event["type"], &event["source"]), (&json!("io.alluvium.alert.opened"), &json!("/shop/dev")));
    let text = people.calls()[0].event["text"].as_str().expect("a text").to_owned();
    assert!(text.contains("*silver.orders*: 33.33 % of 3 rows") && text.contains("alluvium explain F0175"), "{text}");

    // Another bad batch, a run without input, and one that is dead: nothing new is said of the first.
    p.put("landing/orders/2.csv", format!("{}7,c1,2024-01-05,1,2024-01-05T10:00:00Z\n", order(6, -1)).as_bytes());
    p.done(&["run"]);
    p.done(&["run"]);
    assert_eq!(on_call.calls().len(), 1);
    let shown = p.json(&["show", "alerts"]);
    assert_eq!((&shown[0]["state"], &shown[0]["code"]), (&json!("open"), &json!("F0175")));

    // A clean batch.
    p.put("landing/orders/3.csv", order(8, 1).as_bytes());
    p.done(&["run"]).said("alert over: silver.orders");
    assert_eq!(told(&on_call.calls())[1..], [format!("resolved {BAD}")]);

    // What its gate holds, until it is released.
    p.put("landing/orders/4.csv", order(9, -1).as_bytes());
    assert_eq!(p.alluvium(&["run"]).code, Some(1));
    assert_eq!(p.alluvium(&["run"]).code, Some(1));
    const HELD: &str = "dead_letter silver.orders alluvium explain L0201";
    assert_eq!(told(&on_call.calls())[2..], [format!("open {HELD}")]);
    p.done(&["release", "silver.orders"]);
    // What was released is beyond the limit that warns.
    assert_eq!(told(&on_call.calls())[3..], [format!("resolved {HELD}"), format!("open {BAD}")]);
    assert_eq!(people.calls().len(), 5);
    assert_eq!(p.cell("SELECT count(*) FROM state.alerts WHERE resolved_at IS NULL"), 1);
    p.done(&["show", "alerts", "--days", "0"]).said("acceptance");
}

/// Work that an error ends may have committed before, and so may others that were killed: their word leaves with it.
#[test]
fn work_that_an_error_ends_tells_what_there_is_to_tell() {
    let p = Project::new(SHOP);
    p.edit("alluvium.yaml", "name: shop", "name: shop\nsinks: { folder: { files: out/ } }");
    p.put("datasets/bronze/customers.yaml", format!("{BRONZE_CUSTOMERS}publish: folder\n").as_bytes());
    let told = || fs::read_dir(p.path("out/bronze.customers")).map_or(0, Iterator::count);
    p.done(&["run"]);
    p.put("landing/customers/more.csv", b"customer,name\nc3,Cy\n");
    assert!(killed(p.command(&["run"]), "publish.before_delivery", 1), "it is reached");
    // What was asked was wrong: nothing was done, and what waits still waits.
    assert_eq!(p.alluvium(&["replay", "quarantine", "silver.none"]).code, Some(2));
    assert_eq!(told(), 1);
    p.put("lake/dev/quarantine/silver.orders/_delta_log/00000000000000000000.json", b"no log");
    p.leave_unread();
    let ran = p.alluvium(&["replay", "quarantine", "silver.orders"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran}");
    ran.said("error[");
    assert_eq!(told(), 2, "{ran}");
}

#[test]
fn a_receiver_that_is_down_is_told_in_order_when_it_is_back() {
    let people = Receiver::start();
    let mut p = alerting(1, people.port);
    p.done(&["run"]).said("warning[H0306] alerts: on_call was not told");
    p.put("landing/orders/2.csv", order(8, 1).as_bytes());
    p.done(&["run"]);
    assert_eq!(people.calls().len(), 2, "the others do not wait");
    let on_call = Receiver::start();
    p.edit("alluvium.yaml", "127.0.0.1:1/", &format!("127.0.0.1:{}/", on_call.port));
    p.done(&["resume", "on_call"]);
    p.done(&["run"]);
    let states: Vec<Value> = on_call.calls().iter().map(|c| c.event["data"]["state"].clone()).collect();
    assert_eq!(states, ["open", "resolved"]);
    // A person's channel that cannot be reached holds up nobody's work.
    p.set("ALLUVIUM_SLACK", "http://127.0.0.1:1/x");
    p.put("landing/orders/3.csv", order(9, -1).as_bytes());
    assert_eq!(p.alluvium(&["run"]).code, Some(1), "for what is held, not for who was told");
    assert_eq!(on_call.calls().len(), 3);
}

/// Wherever the process dies: one alert, with one id, and no other before it.
#[test]
fn a_kill_between_the_commit_and_the_word_leaves_one_alert() {
    let points = [
        ("step.before_done", 4),
        ("step.after_done", 4),
        ("run.before_finish", 1),
        ("run.after_finish", 1),
        ("alert.before_told", 1),
        ("alert.after_told", 1),
        ("publish.before_delivery", 1),
        ("publish.after_delivery", 1),
    ];
    two_at_a_time(&points, |(point, nth)| {
        let (on_call, people) = (Receiver::start(), Receiver::start());
        let p = alerting(on_call.port, people.port);
        assert!(killed(p.command(&["run"]), point, *nth), "{point} is reached");
        // A clean batch follows at once: what was wrong is told all the same, because it was not told before.
        p.put("landing/orders/2.csv", order(8, 1).as_bytes());
        p.done(&["run"]);
        p.done(&["run"]);
        for calls in [on_call.calls(), people.calls()] {
            let ids: Vec<&String> = calls.iter().map(|c| &c.id).collect();
            let known: BTreeSet<&String> = ids.iter().copied().collect();
            let opened = known.iter().filter(|id| id.ends_with("-open")).count();
            if *point == "step.before_done" {
                // The bad step and the clean one are then of one run.
                assert_eq!(opened, 1, "{point}: {ids:?}");
            } else {
                assert_eq!((opened, known.len()), (1, 2), "{point}: {ids:?}");
            }
        }
        assert_eq!(p.cell("SELECT count(*) FROM state.alerts"), 1, "{point}");
    });
}

#[test]
fn a_service_tells_what_goes_wrong_and_shows_it() {
    let (on_call, people) = (Receiver::start(), Receiver::start());
    let p = alerting(on_call.port, people.port);
    let serving = Serving::start(&p, &[]);
    let address = serving.address();
    serving.wait_for("alerts: 1 publication delivered to on_call");
    p.put("landing/orders/2.csv", order(8, 1).as_bytes());
    serving.wait_for_all(&["alert over: silver.orders", "alerts: 1 publication delivered to on_call"]);
    let shown = ask(&address, "GET", "/api/alerts", &[], b"");
    assert_eq!(shown.status, 200, "{}", shown.body);
    let shown: Value = serde_json::from_str(&shown.body).expect("a list");
    assert_eq!((&shown[0]["state"], &shown[0]["subject"]), (&json!("resolved"), &json!("silver.orders")));
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(told(&on_call.calls()).len(), 2);
}

/// Rules of the contract over the table, and those that tolerate some rows, are limits as well; a rule over rows that only warns is none.
#[test]
fn a_rule_that_warns_of_the_table_is_an_alert() {
    let (on_call, people) = (Receiver::start(), Receiver::start());
    let p = alerting(on_call.port, people.port);
    const CONTRACT: &str = "contracts/orders.odcs.yaml";
    p.edit(ORDERS, "accept: { invalid: { warn_above: 10%, error_above: 60% } }\n", "");
    let last = "      - { name: updated_at, logicalType: timestamp, required: true }\n";
    let rules = "    quality:
      - { id: few, metric: rowCount, mustBeGreaterThan: 2, severity: warning }
      - { id: sum, type: sql, query: 'SELECT sum(amount) FROM ${object}', mustBeGreaterThan: 20, severity: warning }
      - { id: dear, type: custom, engine: alluvium, implementation: amount < 9, mustBeLessThan: 1, unit: percent, severity: warning }
      - { id: odd, type: custom, engine: alluvium, implementation: amount < 1, severity: warning }
";
    p.edit(CONTRACT, last, &format!("{last}{rules}"));
    p.done(&["run"]).said("alert silver.orders: rule dear is broken by 1 of ");
    let shown = p.json(&["show", "alerts"]);
    let of = |state: &str, shown: &Value| {
        let all = shown.as_array().expect("a list").iter().filter(|a| a["state"] == state);
        all.map(|a| a["summary"].as_str().expect("a sentence").to_owned()).collect::<BTreeSet<_>>()
    };
    let open = of("open", &shown);
    let begins = ["rule dear is broken by 1 of ", "rule few measured 2", "rule sum measured 17.75"];
    assert!(open.len() == 3 && open.iter().zip(begins).all(|(o, b)| o.starts_with(b)), "{open:?}");
    p.put("landing/orders/2.csv", order(8, 5).as_bytes());
    p.done(&["run"]).said("alert over: silver.orders");
    assert!(of("open", &p.json(&["show", "alerts"])).is_empty());
    assert_eq!(on_call.calls().len(), 6);
}
