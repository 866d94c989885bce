//! Killed at any point between two effects, and run again: the tables are those of a run that nothing disturbed.

use crate::{
    harness::Project,
    market::{Held, MARKET, MORE, copied, held, killed_at, put_all, two_at_a_time},
};
use alluvium_model::CRASH_POINTS;
use std::collections::BTreeMap;

/// More often than any point is reached here.
const MOST: usize = 60;

/// Kills `command` in a copy of `start` at each point, as often as the point is reached, and compares after `again`.
fn matrix(start: &Project, command: &[&str], again: &[&[&str]], reached: &[&str]) {
    let calm = copied(start);
    calm.done(command);
    again[1..].iter().for_each(|a| drop(calm.done(a)));
    // A replay that was killed before it was planned is asked for once more; what it counts is counted once more.
    let seen = |p: &Project| {
        let held = held(p);
        if again.len() == 1 { held } else { Held { balances: BTreeMap::new(), ..held } }
    };
    let expected = seen(&calm);
    assert_eq!(expected.rows.len(), 11, "every table and quarantine takes part: {expected:?}");
    two_at_a_time(CRASH_POINTS, |point| {
        let mut times = 0;
        for nth in 1..=MOST {
            let p = copied(start);
            if !killed_at(&p, command, point.0, nth) {
                break;
            }
            times = nth;
            again.iter().for_each(|a| drop(p.done(a)));
            assert_eq!(seen(&p), expected, "after a kill at {}:{nth}", point.0);
        }
        assert!(times < MOST, "{} is reached without end", point.0);
        // A few small files are not worth a merge, and nothing is uploaded: `maintain.rs` and `remote.rs` kill there.
        // Nothing fails here: `dead_letters.rs` kills around failures and replays.
        // `backfill.rs` kills backfills.
        // Nobody is told of alerts: `alerts.rs` kills there.
        // `discard.rs` kills discards.
        // No gate refuses anything here: `held.rs` kills there.
        // Nobody is superseded in the midst of its work: `workers.rs` kills there.
        let elsewhere = [
            "alert.",
            "discard.",
            "backfill.",
            "hold.",
            "maintain.",
            "payload.",
            "remote.",
            "replay.",
            "fence.",
            "step.before_fail",
            "step.after_fail",
        ];
        let here = reached.is_empty() && !elsewhere.iter().any(|e| point.0.starts_with(e));
        let must = here || reached.contains(&point.0);
        assert!(times > 0 || !must, "{} is never reached", point.0);
    });
}

#[test]
fn a_first_run_survives_a_kill_at_every_point() {
    matrix(&Project::new(MARKET), &["run"], &[&["run"]], &[]);
}

#[test]
fn a_run_over_new_input_survives_a_kill_at_every_point() {
    let start = Project::new(MARKET);
    start.done(&["run"]);
    put_all(&start, MORE);
    let reached =
        ["stage.after_file", "commit.before_main", "commit.after_main", "commit.before_follow", "step.before_done"];
    matrix(&start, &["run"], &[&["run"]], &reached);
}

#[test]
fn a_replay_survives_a_kill_at_every_point() {
    let start = Project::new(MARKET);
    start.done(&["run"]);
    start.put(MORE[0].0, MORE[0].1.as_bytes());
    start.done(&["run"]);
    let replay = ["replay", "quarantine", "silver.orders"];
    let reached =
        ["plan.after_record", "step.after_claim", "commit.after_main", "commit.after_follow", "step.before_done"];
    matrix(&start, &replay, &[&["run"], &replay], &reached);
}
