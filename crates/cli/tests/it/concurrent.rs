//! Two processes at once: every step commits once, whoever wins.

use crate::{
    harness::{Project, Ran},
    market::{MARKET, MORE, ORDERS_HEAD, commits, copied, held, killed_at, put_all, rows},
};
use std::process::{Child, Stdio};

fn start(p: &Project, args: &[&str]) -> Child {
    p.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

fn end(child: Child) -> Ran {
    child.wait_with_output().expect("it ends").into()
}

fn calm(files: &[&[(&str, &str)]]) -> Project {
    let p = Project::new(files[0]);
    p.done(&["run"]);
    for more in &files[1..] {
        put_all(&p, more);
        p.done(&["run"]);
    }
    p
}

#[test]
fn two_runs_on_one_state_do_the_work_once() {
    let expected = held(&calm(&[MARKET]));
    for _ in 0..4 {
        let p = Project::new(MARKET);
        // One more than two: a loser has to lose to a loser, too.
        let all = [0; 3].map(|_| start(&p, &["run"]));
        for ran in all.map(end) {
            assert_eq!(ran.code, Some(0), "{ran}");
        }
        assert_eq!(held(&p), expected);
    }
}

#[test]
fn two_runs_over_new_input_do_the_work_once() {
    let expected = held(&calm(&[MARKET, MORE]));
    let before = calm(&[MARKET]);
    put_all(&before, MORE);
    for _ in 0..3 {
        let p = copied(&before);
        let both = [0; 2].map(|_| start(&p, &["run"]));
        for ran in both.map(end) {
            assert_eq!(ran.code, Some(0), "{ran}");
        }
        assert_eq!(held(&p), expected);
    }
}

/// Neither state knows of the other: only the table stands between the two.
#[test]
fn one_step_in_two_processes_commits_once() {
    let expected = held(&calm(&[MARKET]));
    for nth in 1..=8 {
        let p = Project::new(MARKET);
        assert!(killed_at(&p, &["run"], "plan.after_record", nth), "there are {nth} plans");
        let other = copied(&p);
        let lake = p.path("lake");
        let lake = lake.to_str().expect("a path");
        let both = [start(&p, &["run"]), start(&other, &["run", "--lake", lake])];
        for ran in both.map(end) {
            assert_eq!(ran.code, Some(0), "plan {nth}\n{ran}");
        }
        assert_eq!(held(&p), expected, "plan {nth}");
    }
}

#[test]
fn a_replay_beside_a_run_loses_no_row() {
    let late = format!("{ORDERS_HEAD}20,c77,2024-01-05,1,I,1\n");
    let p = calm(&[MARKET, &MORE[..1]]);
    let other = copied(&p);
    assert!(killed_at(&p, &["replay", "quarantine", "silver.orders"], "plan.after_record", 1));
    // Another row comes into the quarantine between the plan of the replay and its execution.
    other.put("landing/orders/late.csv", late.as_bytes());
    let lake = p.path("lake");
    other.done(&["run", "--lake", lake.to_str().expect("a path")]);
    p.done(&["run"]);
    let waiting = &rows(&p)["quarantine.silver_orders"];
    assert!(waiting.iter().any(|r| r.contains("c77")), "the late row is gone: {waiting:#?}");
    assert_eq!(waiting.len(), 2, "{waiting:#?}");
}

#[test]
fn two_replays_at_once_land_a_row_once() {
    let before = calm(&[MARKET, &MORE[..1]]);
    let one = copied(&before);
    one.done(&["replay", "quarantine", "silver.orders"]);
    let expected = (rows(&one), commits(&one));
    for _ in 0..3 {
        let p = copied(&before);
        let both = [0; 2].map(|_| start(&p, &["replay", "quarantine", "silver.orders"]));
        for ran in both.map(end) {
            assert_eq!(ran.code, Some(0), "{ran}");
        }
        assert_eq!((rows(&p), commits(&p)), expected);
    }
}
