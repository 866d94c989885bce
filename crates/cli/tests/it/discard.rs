//! The quarantine as a workbench: counted, sampled, exported, annotated, and thrown away, each row once, whoever is killed or comes between.

use crate::{
    drift::CONTRACT as IDS,
    harness::Project,
    http::ask,
    market::{MARKET, MORE, ORDERS_HEAD, copied, killed_at, put_all, two_at_a_time},
    serving::Serving,
    stopped::Stopped,
};
use alluvium_model::CRASH_POINTS;
use serde_json::{Value, json};
use std::{
    fs,
    process::{Child, Command, Stdio},
};

const DISCARD: &[&str] =
    &["discard", "silver.orders", "--column", "customer", "--by", "ann", "--reason", "not our customers"];
const REPLAY: &[&str] = &["replay", "quarantine", "silver.orders"];
const WAITING: &str = "SELECT count(*) FROM quarantine.silver_orders";

/// The market, of whose orders two wait: one of a customer that nobody knows, and one with a negative amount.
fn waiting() -> Project {
    let p = Project::new(MARKET);
    p.done(&["run"]);
    assert_eq!(number(&p, WAITING), 2);
    p
}

fn number(p: &Project, sql: &str) -> u64 {
    p.cell(sql).as_u64().expect("a number")
}

fn discarded(p: &Project) -> u64 {
    number(p, "SELECT coalesce(sum(rows), 0) FROM state.discards")
}

/// Every step is done, and its records are accounted for.
#[track_caller]
fn balanced(p: &Project) {
    for row in p.rows("SELECT * FROM state.steps") {
        assert!(row["state"] == "done" || row["state"] == "superseded", "an open step: {row}");
        let of = |name: &str| row[name].as_u64().expect("a count");
        let ends = ["loaded", "quarantined", "dropped", "dead", "duplicates", "late"].map(of);
        assert_eq!(of("received"), ends.iter().sum::<u64>(), "{row}");
    }
}

fn shown(p: &Project, args: &[&str]) -> Vec<Value> {
    let args = [&["show", "quarantine", "silver.orders"], args].concat();
    p.json(&args).as_array().expect("a list").clone()
}

#[test]
fn what_waits_is_counted_sampled_and_exported() {
    let p = waiting();
    let keys = |args: &[&str], key: &str| {
        let line = |l: Value| (l[key].as_str().map(str::to_owned), l["rows"].as_u64().expect("a number"));
        shown(&p, args).into_iter().map(line).collect::<Vec<_>>()
    };
    let one = |text: &str| (Some(text.to_owned()), 1);
    assert_eq!(keys(&["--by", "column"], "column"), [one("amount"), one("customer")]);
    assert_eq!(keys(&["--by", "object"], "object"), [(Some("1.csv".to_owned()), 2)]);
    for by in ["hour", "day"] {
        let counts = keys(&["--by", by], by);
        assert_eq!(counts.iter().map(|c| c.1).sum::<u64>(), 2, "{by}: {counts:?}");
        assert!(counts[0].0.as_deref().expect("a time").starts_with("20"), "{counts:?}");
    }
    let rules = keys(&[], "rule");
    let rule = rules.iter().filter_map(|(r, _)| r.clone()).find(|r| r.contains("customer")).expect("the reference");
    assert_eq!(keys(&["--rule", &rule], "rule"), [one(&rule)]);
    assert_eq!(keys(&["--by", "reason"], "message").len(), 2);
    let said = p.done(&["show", "quarantine", "silver.orders", "--rule", &rule, "--limit", "5"]);
    assert!(said.stdout.contains("c9") && !said.stdout.contains("\"-4\""), "{said}");
    assert!(!p.done(&["show", "quarantine", "silver.orders", "--limit", "0"]).stdout.contains("1.csv  "));

    p.done(&["annotate", "silver.orders", "--rule", &rule, "--note", "asked the partner", "--by", "ann"]);
    p.done(&["show", "quarantine", "silver.orders"]).said("asked the partner (ann, ");
    assert_eq!(p.cell("SELECT text FROM state.quarantine_notes"), "asked the partner");
    assert_eq!(p.alluvium(&["annotate", "silver.order", "--note", "x"]).code, Some(2));

    for file in ["out.ndjson", "out.csv", "out.parquet"] {
        p.done(&["show", "quarantine", "silver.orders", "--column", "customer", "--to", file]);
        assert!(p.path(file).metadata().expect("a file").len() > 0, "{file}");
    }
    let text = fs::read_to_string(p.path("out.ndjson")).expect("a file");
    let rows: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("a row")).collect();
    assert_eq!(rows.len(), 1, "{text}");
    assert_eq!((&rows[0]["_object"], &rows[0]["_replays"]), (&json!("1.csv"), &json!(0)));
    // What nothing matches is said, and is an empty file; what cannot be one file is refused.
    let typo = rule.to_uppercase();
    let said = p.done(&["show", "quarantine", "silver.orders", "--rule", &typo]);
    assert!(said.stdout.contains("no row that waits matches"), "{said}");
    assert!(said.stdout.contains(&format!("did you mean `--rule {rule}`?")), "{said}");
    p.done(&["show", "quarantine", "silver.orders", "--rule", &typo, "--to", "none.ndjson"]).said("no row that waits");
    assert_eq!(fs::read_to_string(p.path("none.ndjson")).expect("a file"), "");
    assert_eq!(p.alluvium(&["show", "quarantine", "--rule", &typo]).code, Some(0));
    let folder = p.path("").display().to_string();
    assert_eq!(p.alluvium(&["show", "quarantine", &folder, "--to", "all.csv"]).code, Some(2));
    assert!(!p.path("all.csv").exists());
    p.done(&["discard", "silver.orders", "--rule", &typo, "--reason", "x"]).said("no row that waits matches");
    // Nothing of this changed anything.
    assert_eq!(number(&p, WAITING), 2);
}

/// A rule over the columns `a` and `b` says `a, b`; the sender of a file may call one field so.
#[test]
fn a_column_is_not_part_of_the_name_of_another() {
    let p = Project::new(&[
        ("alluvium.yaml", "name: t\n"),
        (
            "datasets/bronze/t.yaml",
            "source: { files: landing/, glob: \"*.ndjson\", settle: 0s }\ndrift: { new: quarantine }\n",
        ),
        ("landing/1.ndjson", "{\"id\":1}\n"),
    ]);
    p.done(&["run"]);
    p.put("landing/2.ndjson", b"{\"id\":2,\"a\":1}\n{\"id\":3,\"a, b\":1}\n{\"id\":4,\"b\":1}\n");
    p.done(&["run"]);
    let positions = |column: &str| -> Vec<Value> {
        p.done(&["show", "quarantine", "bronze.t", "--column", column, "--to", "out.ndjson"]);
        let text = fs::read_to_string(p.path("out.ndjson")).expect("a file");
        text.lines().map(|l| serde_json::from_str::<Value>(l).expect("a row")["_position"].clone()).collect()
    };
    assert_eq!([positions("a"), positions("a, b"), positions("b")].map(|p| p.len()), [1; 3]);
    assert_ne!(positions("a"), positions("a, b"));
    let waiting = "SELECT count(*) FROM quarantine.bronze_t";
    for (column, left) in [("a", 2), ("a, b", 1), ("a", 1), ("b", 0)] {
        p.done(&["discard", "bronze.t", "--column", column, "--reason", "x"]);
        assert_eq!(number(&p, waiting), left, "{column}");
    }
    balanced(&p);
}

/// Of a rule over several columns each of them is one that was broken.
#[test]
fn a_rule_over_several_columns_is_one_of_each() {
    let rule = "    quality:
      - { metric: duplicateValues, mustBe: 0, arguments: { properties: [id, n] }, customProperties: [{ property: alluvium.action, value: quarantine }] }
";
    let p = Project::new(&[
        ("alluvium.yaml", "name: t\n"),
        ("datasets/bronze/t.yaml", "source: { files: landing/, glob: \"*.csv\", settle: 0s }\n"),
        ("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\nsteps: [validate]\nwrite: append\n"),
        ("contracts/t.odcs.yaml", &format!("{IDS}{rule}")),
        ("landing/1.csv", "id,n\n1,1\n1,1\n"),
    ]);
    p.done(&["run"]);
    let waiting = "SELECT count(*) FROM quarantine.silver_t";
    assert_eq!(number(&p, waiting), 1);
    assert_eq!(p.json(&["show", "quarantine", "silver.t"])[0]["column"], "id, n");
    for (column, left) in [("d", 1), ("m", 1), ("n", 0)] {
        p.done(&["discard", "silver.t", "--column", column, "--reason", "x"]);
        assert_eq!(number(&p, waiting), left, "{column}");
    }
}

/// People see the hundred largest groups, and how many there are beside them.
#[test]
fn a_hundred_groups_are_shown_and_the_others_counted() {
    let p = Project::new(MARKET);
    for i in 0..103 {
        let orders = format!("{ORDERS_HEAD}{i},c1,2024-02-01,-1,I,1\n");
        p.put(&format!("landing/orders/many-{i:03}.csv"), orders.as_bytes());
    }
    p.done(&["run"]);
    let all = shown(&p, &["--by", "object"]);
    // One of the market's own files has two.
    assert_eq!((all.len(), &all[0]["object"], &all[0]["rows"]), (104, &json!("1.csv"), &json!(2)));
    let said = p.done(&["show", "quarantine", "silver.orders", "--by", "object", "--limit", "0"]);
    said.said("and 4 more of silver.orders; all with --format json\n");
    let lines = said.stdout.lines().filter(|l| l.contains("many-") || l.contains(" 1.csv ")).count();
    assert_eq!(lines, 100, "{said}");
    // As many as are shown are all of them.
    let some =
        p.done(&["show", "quarantine", "silver.orders", "--by", "object", "--object", "many-007.csv", "--limit", "0"]);
    assert!(!some.stdout.contains(" more of "), "{some}");
}

#[test]
fn a_discarded_row_is_accounted_for_and_stays_away() {
    let p = waiting();
    p.done(DISCARD).said("1 row of the quarantine discarded by ann: not our customers");
    assert_eq!(number(&p, WAITING), 1);
    let said = p.rows("SELECT dataset, selection, decided_by, reason, state, rows FROM state.discards");
    let one = json!({"dataset": "silver.orders", "selection": "{\"column\":\"customer\"}", "decided_by": "ann",
        "reason": "not our customers", "state": "done", "rows": 1});
    assert_eq!(said, [one]);
    let steps = p.rows("SELECT received, dropped, loaded FROM state.steps WHERE kind = 'discard'");
    assert_eq!(steps, [json!({"received": 1, "dropped": 1, "loaded": 0})]);
    balanced(&p);
    // Its customer comes, and it does not.
    p.put(MORE[0].0, MORE[0].1.as_bytes());
    p.done(&["run"]);
    p.done(REPLAY);
    assert_eq!(number(&p, "SELECT count(*) FROM silver.orders WHERE id = 4"), 0);
    // What was replayed, and stays, has its place, and knows how often.
    let left = p.rows("SELECT _object, _position, _replays FROM quarantine.silver_orders");
    assert_eq!(left.len(), 1);
    assert_eq!(
        (&left[0]["_object"], &left[0]["_replays"]),
        (&json!("1.csv"), &json!(0)),
        "a replay that landed nothing"
    );
    p.done(DISCARD);
    assert_eq!((discarded(&p), number(&p, WAITING)), (1, 1), "it is gone already");
    // All of bronze once more is what brings it back.
    p.done(&["run", "--rebuild", "silver.orders"]);
    assert_eq!(number(&p, "SELECT count(*) FROM silver.orders WHERE id = 4"), 1);
    balanced(&p);
}

#[test]
fn a_row_knows_how_often_it_was_replayed() {
    let p = waiting();
    p.put(MORE[0].0, MORE[0].1.as_bytes());
    p.done(&["run"]);
    // One lands, the other stays.
    p.done(REPLAY);
    assert_eq!(p.rows("SELECT _replays FROM quarantine.silver_orders"), [json!({ "_replays": 1 })]);
    p.put("landing/orders/9.csv", b"id,customer,day,amount,op,changed\n90,c7,2024-01-05,1,I,1\n");
    p.put("landing/customers/c7.csv", b"customer,name\nc8,Eve\n");
    p.done(&["run"]);
    p.put("landing/customers/c77.csv", b"customer,name\nc7,Flo\n");
    p.done(&["run"]);
    p.done(REPLAY);
    let left = p.rows("SELECT _position, _replays FROM quarantine.silver_orders");
    assert_eq!(left.iter().map(|r| r["_replays"].as_u64()).collect::<Vec<_>>(), [Some(2)], "{left:?}");
}

#[test]
fn bronze_and_all_of_a_quarantine_can_be_discarded() {
    let p = waiting();
    assert_eq!(number(&p, "SELECT count(*) FROM quarantine.bronze_clicks"), 1);
    p.done(&["discard", "bronze.clicks", "--all", "--reason", "a test"]);
    assert_eq!(number(&p, "SELECT count(*) FROM quarantine.bronze_clicks"), 0);
    p.done(&["discard", "silver.orders", "--all", "--reason", "a test"]);
    assert_eq!((number(&p, WAITING), discarded(&p)), (0, 3));
    p.done(&["show", "quarantine", "silver.orders"]).said("nothing waits");
    for wrong in [
        &["discard", "silver.orders", "--reason", "x"][..],
        &["discard", "silver.orders", "--all"],
        &["discard", "silver.orders", "--all", "--rule", "x", "--reason", "x"],
        &["discard", "gold.best", "--all", "--reason", "x"],
        &["discard", "silver.order", "--all", "--reason", "x"],
    ] {
        assert_eq!(p.alluvium(wrong).code, Some(2), "{wrong:?}");
    }
    put_all(&p, MORE);
    p.done(&["run"]);
    balanced(&p);
}

#[test]
fn a_changed_definition_is_not_adopted_by_a_discard() {
    let p = waiting();
    p.edit("datasets/silver/orders.yaml", "null_if: [\"\"]", "null_if: [\"\", \"NA\"]");
    p.done(DISCARD);
    assert_eq!(discarded(&p), 1);
    put_all(&p, MORE);
    let ran = p.alluvium(&["run"]);
    ran.said("its definition changed");
    assert_eq!(ran.code, Some(1), "new rows still wait for a word");
}

/// Killed at each point, and asked once more: each row is gone once, and is counted once.
#[test]
fn a_kill_at_any_point_discards_once() {
    let start = waiting();
    let rows = |p: &Project| p.rows("SELECT _event_id, _position FROM quarantine.silver_orders");
    let calm = copied(&start);
    calm.done(DISCARD);
    let expected = rows(&calm);
    two_at_a_time(CRASH_POINTS, |point| {
        let mut reached = false;
        for nth in 1..=3 {
            let p = copied(&start);
            if !killed_at(&p, DISCARD, point.0, nth) {
                break;
            }
            reached = true;
            p.done(&["run"]);
            p.done(DISCARD);
            assert_eq!((rows(&p), discarded(&p)), (expected.clone(), 1), "after a kill at {}:{nth}", point.0);
            balanced(&p);
        }
        let must =
            ["discard.", "plan.", "commit.before_main", "commit.after_main", "commit.after_follow", "step.after_"];
        let elsewhere = ["plan.", "step.after_fail"];
        let must = must.iter().any(|m| point.0.starts_with(m)) && !elsewhere.iter().any(|e| point.0.starts_with(e));
        assert!(reached || !must, "{} is not reached", point.0);
    });
}

#[test]
fn discards_and_replays_at_once_end_each_row_once() {
    let start = waiting();
    start.put(MORE[0].0, MORE[0].1.as_bytes());
    start.done(&["run"]);
    for _ in 0..4 {
        let p = copied(&start);
        let all = [DISCARD, REPLAY, DISCARD, REPLAY].map(|args| begin(p.command(args)));
        for child in all {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        ended_once(&p);
    }
}

/// Stopped with the version of the quarantine in its hands while the other one takes the rows away.
#[test]
fn who_is_overtaken_takes_nothing_twice() {
    let start = waiting();
    start.put(MORE[0].0, MORE[0].1.as_bytes());
    start.done(&["run"]);
    for (slow, at, quick) in [
        (DISCARD, "discard.before_record", REPLAY),
        (REPLAY, "plan.before_record", DISCARD),
        (DISCARD, "discard.before_record", DISCARD),
    ] {
        let p = copied(&start);
        let stopped = Stopped::at(&p, slow, at);
        p.done(quick);
        let ran = stopped.go_on();
        assert_eq!(ran.code, Some(0), "{slow:?} {quick:?} {ran}");
        ended_once(&p);
    }
}

#[track_caller]
fn ended_once(p: &Project) {
    let landed = number(p, "SELECT count(*) FROM silver.orders WHERE id = 4");
    let waits = number(p, "SELECT count(*) FROM quarantine.silver_orders WHERE record LIKE '%c9%'");
    assert_eq!((landed + discarded(p), waits), (1, 0), "landed {landed}");
    assert_eq!(number(p, WAITING), 1, "the other row");
    balanced(p);
    p.done(&["run"]);
}

fn begin(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

#[test]
fn a_service_discards_what_it_is_asked_to() {
    let p = waiting();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let asked = |body: &Value| {
        ask(&at, "POST", "/api/replays", &[("Content-Type", "application/json")], body.to_string().as_bytes())
    };
    let what = json!({ "discard": { "dataset": "silver.orders", "selection": { "column": "customer" },
        "by": "ann", "reason": "not our customers" } });
    let no_selection = json!({ "discard": { "dataset": "silver.orders", "by": "ann", "reason": "x" } });
    assert_eq!(asked(&no_selection).status, 400, "all of it has to be said");
    let answer = asked(&what);
    assert_eq!(answer.status, 202, "{}", answer.body);
    serving.wait_for("done silver.orders");
    serving.wait_for("ended");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!((discarded(&p), number(&p, WAITING)), (1, 1));
}

/// The service is killed when it has accepted, and more waits before another one lives.
#[test]
fn what_came_after_the_question_is_not_discarded() {
    let p = waiting();
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_CRASH_AT", "replay.after_record");
    let serving = Serving::spawn(command);
    let at = serving.address();
    serving.wait_for("ended");
    let what = json!({ "discard": { "dataset": "silver.orders", "selection": { "column": "customer" },
        "by": "ann", "reason": "not our customers" } });
    ask(&at, "POST", "/api/replays", &[("Content-Type", "application/json")], what.to_string().as_bytes());
    assert_eq!(serving.end().code, None, "it was killed");
    p.put("landing/orders/9.csv", b"id,customer,day,amount,op,changed\n9,c7,2024-01-05,3,I,1\n");
    p.done(&["run"]);
    assert_eq!(number(&p, WAITING), 3);
    let serving = Serving::start(&p, &[]);
    serving.wait_for("done silver.orders discard: 0 rows, 1 dropped");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(discarded(&p), 1);
    assert_eq!(number(&p, "SELECT count(*) FROM quarantine.silver_orders WHERE record LIKE '%c7%'"), 1);
    balanced(&p);
    p.done(DISCARD);
    assert_eq!((discarded(&p), number(&p, WAITING)), (2, 1), "who asks now has seen it");
}
