//! History made anew beside a live table: built, compared, swapped in or dropped; killed anywhere, beside live work.

use crate::{
    harness::Project,
    market::{MARKET, MORE, ORDERS_HEAD, commits, copied, killed_at, put_all, rows, two_at_a_time},
    stopped::Stopped,
};
use alluvium_model::CRASH_POINTS;
use serde_json::Value;
use std::{collections::BTreeMap, fs, process::Stdio};

const GOLD: &str = "datasets/gold/daily.sql";
const RANGE: [&str; 8] = ["backfill", "gold.daily", "--from", "2024-01-01", "--to", "2024-01-11", "--window", "2d"];
/// More often than any point is reached here.
const MOST: usize = 60;

/// The market after its first run, with gold that tells its sink.
fn market() -> Project {
    let p = Project::new(MARKET);
    p.edit(GOLD, "window: { column: day, size: 1 day }", "window: { column: day, size: 1 day }\npublish: folder");
    p.done(&["run"]);
    p
}

fn redefine(p: &Project) {
    p.edit(GOLD, "sum(amount) AS amount", "sum(amount) * 2 AS amount");
}

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&RANGE[..], more].concat()
}

fn daily(p: &Project) -> Vec<String> {
    rows(p).remove("gold.daily").unwrap_or_default()
}

fn backfills(p: &Project) -> Vec<Value> {
    p.json(&["show", "backfills"]).as_array().expect("backfills").clone()
}

/// Kinds of the commits of gold that its sink was told of, in their order, and then the backfills.
fn told(p: &Project) -> Vec<String> {
    let mut files: Vec<_> =
        fs::read_dir(p.path("out/gold.daily")).expect("a folder").map(|e| e.expect("an entry")).collect();
    files.retain(|f| !f.file_name().to_string_lossy().starts_with('.'));
    files.sort_by_key(fs::DirEntry::file_name);
    let read =
        |f: &fs::DirEntry| -> Value { serde_json::from_slice(&fs::read(f.path()).expect("a file")).expect("an event") };
    let (ended, commits): (Vec<_>, Vec<_>) =
        files.iter().map(read).partition(|e| e["type"] == "io.alluvium.backfill.completed");
    let kinds = commits.iter().map(|e| e["data"]["kind"].as_str().expect("a kind").to_owned());
    let swapped = |e: &Value| e["data"]["kind"] == "swap";
    let in_place = commits.iter().find(|e| swapped(e)).map(|e| &e["data"]["table_version"]);
    let windows = |e: &Value| {
        assert_eq!(Some(&e["data"]["table_version"]), in_place, "after the commit that shows it");
        e["data"]["windows"].to_string()
    };
    kinds.chain(ended.iter().map(windows)).collect()
}

#[test]
fn a_changed_definition_is_built_beside_compared_and_swapped_in() {
    let p = market();
    let before = daily(&p);
    redefine(&p);

    let survey = p.json(&with(&["--dry-run"]));
    assert_eq!((survey["windows"].as_array().map(Vec::len), &survey["rows"]), (Some(5), &Value::from(3)));
    assert!(survey["bytes"].as_u64() > Some(0));
    assert!(backfills(&p).is_empty() && !p.path("lake/dev/backfill").exists(), "a dry run changes nothing");

    let version = p.versions()["gold.daily"];
    let built = p.json(&with(&["--max-active-runs", "3"]));
    assert_eq!(
        (&built["state"], &built["windows"], &built["made"]),
        (&"built".into(), &5.into(), &5.into()),
        "{built}"
    );
    let found = &built["comparison"];
    assert_eq!((&found["same"], &found["different"]), (&3.into(), &2.into()), "{built}");
    let first = &found["differences"][0];
    assert_eq!(
        (&first["from"], &first["live_rows"], &first["new_rows"]),
        (&"2024-01-01".into(), &1.into(), &1.into()),
        "{built}"
    );
    assert_eq!(
        first["measures"],
        serde_json::json!([{ "column": "amount", "live": "8.25", "new": "16.50" }]),
        "{built}"
    );
    assert_eq!((daily(&p), p.versions()["gold.daily"]), (before, version), "readers of the table see nothing of it");
    assert_eq!(p.alluvium(&with(&[])).code, Some(2), "one at a time");

    p.done(&["backfill", "gold.daily", "--swap"]).said("swapped in");
    let anew = Project::new(MARKET);
    redefine(&anew);
    anew.done(&["run"]);
    assert_eq!(daily(&p), daily(&anew));
    assert_eq!(p.versions()["gold.daily"], version.map(|v| v + 1), "in one commit");
    let ended = "{\"expected\":5,\"made\":5,\"failed\":0}";
    assert_eq!(told(&p), ["curate", "swap", ended], "one event for all windows, and one when it is in place");
    assert!(!p.path("lake/dev/backfill/gold.daily").exists());
    assert_eq!(backfills(&p)[0]["state"], "swapped");
    p.done(&["run"]).said("nothing to do");
    assert_eq!(p.alluvium(&["backfill", "gold.daily", "--swap"]).code, Some(2));

    // What arrives then goes on under the new definition.
    put_all(&p, MORE);
    put_all(&anew, MORE);
    p.done(&["run"]);
    anew.done(&["run"]);
    assert_eq!(daily(&p), daily(&anew));
}

#[test]
fn a_part_of_a_changed_definition_is_not_swapped_in_but_dropped() {
    let p = market();
    let before = daily(&p);
    redefine(&p);
    let part = ["backfill", "gold.daily", "--from", "2024-01-03", "--to", "2024-01-05", "--window", "1d"];
    p.done(&part).said("--swap");
    let refused = p.alluvium(&["backfill", "gold.daily", "--swap"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    refused.said("F0114");
    assert_eq!(daily(&p), before);
    p.done(&["backfill", "gold.daily", "--drop"]);
    assert!(backfills(&p).is_empty() && !p.path("lake/dev/backfill/gold.daily").exists());
    assert_eq!(p.alluvium(&["backfill", "gold.daily", "--drop"]).code, Some(2), "there is none any more");
    // The table as a whole is made anew by a run, as ever.
    p.done(&["run"]);
    assert_ne!(daily(&p), before);
}

#[test]
fn a_part_of_the_same_definition_is_swapped_in_and_counted_and_the_rest_stays() {
    let p = market();
    let before = daily(&p);
    assert_eq!(before.len(), 3);
    let part = ["backfill", "gold.daily", "--from", "2024-01-03", "--to", "2024-01-05", "--window", "1d"];
    p.done(&part);
    p.done(&["backfill", "gold.daily", "--swap"]).said("swapped in");
    assert_eq!(daily(&p), before);
    let rows = "SELECT rows_in FROM state.ledger AS l JOIN state.steps AS s ON l.step = s.step WHERE s.kind = 'swap'";
    assert_eq!(p.cell(rows), 2, "the third row is only written again");
}

#[test]
fn what_cannot_be_is_told_before_anything_is_done() {
    let p = market();
    for (args, code) in [
        (["silver.orders", "2024-01-01", "2024-01-05", "1d"], "F0107"),
        (["gold.best", "2024-01-01", "2024-01-05", "1d"], "F0107"),
        (["gold.none", "2024-01-01", "2024-01-05", "1d"], "F0101"),
        (["gold.daily", "2024-01-05", "2024-01-05", "1d"], "F0108"),
        (["gold.daily", "2024-01-01", "2024-01-05", "6h"], "F0108"),
        (["gold.daily", "2024-01-01", "2224-01-05", "1d"], "F0108"),
    ] {
        let [dataset, from, to, window] = args;
        let ran = p.alluvium(&["backfill", dataset, "--from", from, "--to", to, "--window", window]);
        assert_eq!(ran.code, Some(2), "{ran}");
        ran.said(code);
    }
    for how in ["--resume", "--swap", "--drop"] {
        p.alluvium(&["backfill", "gold.daily", how]).said("F0111");
    }
    assert!(backfills(&p).is_empty());
}

#[test]
fn what_arrives_meanwhile_is_processed_and_not_lost_by_the_swap() {
    let calm = market();
    put_all(&calm, MORE);
    calm.done(&["run"]);

    let p = market();
    assert!(killed_at(&p, &RANGE, "commit.after_main", 3));
    put_all(&p, MORE);
    // While the backfill is in progress. Its open steps are none of the run's.
    p.done(&["run"]);
    assert_eq!(backfills(&p)[0]["state"], "building");
    assert_eq!(daily(&p), daily(&calm));
    p.done(&["run"]).said("nothing to do");

    let resumed = p.json(&["backfill", "gold.daily", "--resume"]);
    assert_eq!(resumed["state"], "built", "{resumed}");
    assert!(resumed["comparison"]["different"].as_u64() > Some(0), "it shows the table as it was: {resumed}");
    let tries = "SELECT count(*) FROM state.steps WHERE kind = 'backfill' AND attempts > 1";
    assert!(p.cell(tries).as_u64() <= Some(2), "only windows that were at work were tried again");
    let swapped = p.json(&["backfill", "gold.daily", "--swap"]);
    assert_eq!(swapped["state"], "swapped", "{swapped}");
    assert_eq!(daily(&p), daily(&calm), "the windows that were touched were made anew");
    p.done(&["run"]).said("nothing to do");

    let late = format!("{ORDERS_HEAD}30,c1,2024-01-04,5,I,9\n");
    for one in [&p, &calm] {
        one.put("landing/orders/late.csv", late.as_bytes());
        one.done(&["run"]);
    }
    assert_eq!(daily(&p), daily(&calm));
}

#[test]
fn live_work_ends_while_a_backfill_goes_on() {
    let p = market();
    p.edit("alluvium.yaml", "name: market", "limits: { lease: 1h }\nname: market");
    // One at a time: another could be in the midst of a transaction, which would lock the state.
    let backfill = Stopped::at(&p, &with(&["--max-active-runs", "1"]), "commit.before_main:3");
    assert_eq!(backfills(&p)[0]["state"], "building");
    put_all(&p, MORE);
    p.done(&["run"]);
    assert!(daily(&p).iter().any(|r| r.starts_with("2024-01-05")), "what arrived is there");
    let open = "SELECT count(*) FROM state.steps WHERE kind = 'backfill' AND state <> 'done'";
    assert!(p.cell(open).as_u64() >= Some(3), "none of its windows was taken for live work");
    let ran = backfill.go_on();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(backfills(&p)[0]["made"], 5);
    p.done(&["backfill", "gold.daily", "--swap"]);
    let calm = market();
    put_all(&calm, MORE);
    calm.done(&["run"]);
    assert_eq!(daily(&p), daily(&calm));
}

#[test]
fn windows_that_fail_stop_it_unless_they_are_tolerated() {
    let p = market();
    let before = daily(&p);
    p.edit(GOLD, "count(*) AS orders", "count(*) / (CAST(date_part('day', day) AS BIGINT) - 3) AS orders");
    let failing = ["backfill", "gold.daily", "--from", "2024-01-01", "--to", "2024-01-05", "--window", "1d"];
    let one_by_one = [&failing[..], &["--max-active-runs", "1"]].concat();
    let ran = p.alluvium(&one_by_one);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("failed 2024-01-03 to 2024-01-04");
    ran.said("2 of 4 windows made");
    let shown = backfills(&p).remove(0);
    assert_eq!((&shown["state"], &shown["failed"]), (&"failed".into(), &1.into()), "{shown}");
    p.done(&["show", "dead-letters"]).said("there are no dead letters");
    p.alluvium(&["backfill", "gold.daily", "--swap"]).said("F0113");

    let resumed = p.json(&["backfill", "gold.daily", "--resume", "--tolerated-failure-percentage", "25"]);
    assert_eq!((&resumed["state"], &resumed["made"]), (&"built".into(), &3.into()), "{resumed}");
    assert_eq!(resumed["missing"][0]["from"], "2024-01-03");
    // One definition for the whole table, or none of it.
    p.alluvium(&["backfill", "gold.daily", "--swap"]).said("F0114");
    assert_eq!(daily(&p), before);

    p.edit(GOLD, " - 3)", " - 30)");
    p.alluvium(&["backfill", "gold.daily", "--resume"]).said("F0112");
    p.done(&["backfill", "gold.daily", "--drop"]);
}

#[test]
fn a_swap_that_the_gate_refuses_changes_and_holds_up_nothing() {
    let p = market();
    let before = daily(&p);
    redefine(&p);
    p.done(&with(&[]));
    p.edit(GOLD, "publish: folder", "publish: folder\naccept: { rows: { min: 100 } }");
    let refused = p.alluvium(&["backfill", "gold.daily", "--swap"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    refused.said("L0201");
    assert_eq!((daily(&p), backfills(&p)[0]["state"].as_str()), (before, Some("built")));
    p.done(&["show", "dead-letters"]).said("there are no dead letters");
    assert_eq!(p.cell("SELECT count(*) FROM state.steps WHERE state NOT IN ('done', 'superseded')"), 0);
    p.edit(GOLD, "min: 100", "min: 1");
    p.done(&["backfill", "gold.daily", "--swap"]).said("swapped in");
}

/// Killed at each point, as often as it is reached, and gone on with.
fn matrix(start: &Project, reached: &[&str]) {
    let whole = with(&["--swap", "--max-active-runs", "1"]);
    let seen = |p: &Project| {
        let live = commits(p).remove("gold/daily");
        (rows(p), live, told(p), p.cell("SELECT count(*) FROM state.steps WHERE state NOT IN ('done', 'superseded')"))
    };
    let calm = copied(start);
    calm.done(&whole);
    let expected = seen(&calm);
    two_at_a_time(CRASH_POINTS, |point| {
        let mut times = 0;
        for nth in 1..=MOST {
            let p = copied(start);
            if !killed_at(&p, &whole, point.0, nth) {
                break;
            }
            times = nth;
            match backfills(&p).first().and_then(|b| b["state"].as_str().map(str::to_owned)).as_deref() {
                None => drop(p.done(&whole)),
                Some("swapped") => {}
                Some(_) => drop(p.done(&["backfill", "gold.daily", "--resume", "--swap"])),
            }
            // Also tells the sinks what a killed process did not.
            p.done(&["run"]);
            assert_eq!(seen(&p), expected, "after a kill at {}:{nth}", point.0);
            assert_eq!(backfills(&p)[0]["state"], "swapped");
        }
        assert!(times < MOST, "{} is reached without end", point.0);
        assert!(times > 0 || !reached.contains(&point.0), "{} is never reached", point.0);
    });
}

const REACHED: [&str; 13] = [
    "backfill.before_record",
    "backfill.after_record",
    "backfill.before_removal",
    "backfill.after_removal",
    "plan.before_record",
    "plan.after_record",
    "step.after_claim",
    "stage.after_file",
    "gate.after_pass",
    "commit.before_main",
    "commit.after_main",
    "step.before_done",
    "step.after_done",
];

#[test]
fn a_backfill_of_a_new_definition_survives_a_kill_at_every_point() {
    let start = market();
    redefine(&start);
    matrix(&start, &REACHED);
}

/// A live run ends a swap that was planned; a swap that was killed earlier is asked for again.
#[test]
fn a_run_beside_a_killed_swap_ends_it_or_leaves_it() {
    let start = market();
    start.done(&RANGE);
    let swap = ["backfill", "gold.daily", "--swap"];
    for point in
        ["plan.before_record", "plan.after_record", "step.after_claim", "commit.before_main", "commit.after_main"]
    {
        let p = copied(&start);
        assert!(killed_at(&p, &swap, point, 1), "{point}");
        put_all(&p, MORE);
        p.done(&["run"]);
        let calm = market();
        put_all(&calm, MORE);
        calm.done(&["run"]);
        assert_eq!(daily(&p), daily(&calm), "{point}");
        p.done(&swap);
        assert_eq!((daily(&p), backfills(&p)[0]["state"].as_str()), (daily(&calm), Some("swapped")), "{point}");
        assert_eq!(told(&p).iter().filter(|k| *k == "swap").count(), 1, "{point}");
    }
}

/// Nothing is kept of a dropped one.
fn swapped_or_gone(p: &Project) -> bool {
    let all = backfills(p);
    assert!(all.iter().all(|b| b["state"] == "swapped"), "{all:?}");
    !all.is_empty()
}

/// Who is first decides, and the other is told; nothing is left half done.
#[test]
fn a_swap_and_a_drop_at_once_are_one_of_both() {
    let start = market();
    start.done(&RANGE);
    let calm = market();
    put_all(&calm, MORE);
    calm.done(&["run"]);
    let begun = |p: &Project, what| {
        let mut command = p.command(&["backfill", "gold.daily", what]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs")
    };
    let times: Vec<usize> = (0..14).collect();
    two_at_a_time(&times, |nth| {
        let p = copied(&start);
        let order = if nth % 2 == 0 { ["--drop", "--swap"] } else { ["--swap", "--drop"] };
        let both =
            [begun(&p, order[0]), begun(&p, order[1])].map(|c| c.wait_with_output().expect("it ends").status.success());
        let won = BTreeMap::from([(order[0], both[0]), (order[1], both[1])]);
        assert_eq!(both.iter().filter(|done| **done).count(), 1, "{nth}: {won:?}");
        assert_eq!(swapped_or_gone(&p), won["--swap"], "{nth}");
        put_all(&p, MORE);
        p.done(&["run"]);
        assert_eq!(daily(&p), daily(&calm), "{nth}: {won:?}");
        assert_eq!(told(&p).iter().filter(|k| *k == "swap").count(), usize::from(won["--swap"]), "{nth}");
    });
}

/// A swap that was killed is dropped, or has happened.
#[test]
fn what_a_killed_swap_left_can_be_dropped_unless_it_is_in_place() {
    let start = market();
    start.done(&RANGE);
    let calm = market();
    put_all(&calm, MORE);
    calm.done(&["run"]);
    for point in
        ["plan.before_record", "plan.after_record", "step.after_claim", "commit.before_main", "commit.after_main"]
    {
        let p = copied(&start);
        assert!(killed_at(&p, &["backfill", "gold.daily", "--swap"], point, 1), "{point}");
        let dropped = p.alluvium(&["backfill", "gold.daily", "--drop"]).code == Some(0);
        put_all(&p, MORE);
        p.done(&["run"]);
        assert_eq!(swapped_or_gone(&p), !dropped, "{point}");
        assert_eq!(daily(&p), daily(&calm), "{point}: dropped {dropped}");
        assert_eq!(told(&p).iter().any(|k| *k == "swap"), !dropped, "{point}");
    }
}
