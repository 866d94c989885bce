//! The lake in an object store: the same tables as on a disk, whatever happens between here and there.

use crate::{
    harness::{Project, Ran, python},
    http::{STRUCTURED, event, post, pushed_shop},
    market::{MARKET, MORE, balances, copied, copy_folder, killed_at, put_all, two_at_a_time},
    s3::{self, Fault, Proxy, Request, SECRET, over_s3, through},
    server::SHARED,
    serving::Serving,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    process::{Child, Stdio},
};

/// What has to be the same, wherever the lake is.
#[derive(Debug, PartialEq)]
struct Seen {
    tables: BTreeMap<String, Vec<String>>,
    balances: BTreeMap<String, [u64; 7]>,
}

#[track_caller]
fn seen(p: &Project) -> Seen {
    Seen { tables: p.tables(), balances: balances(p) }
}

/// A project after its first run on a local disk.
fn calm(files: &[&[(&str, &str)]]) -> Project {
    let p = Project::new(files[0]);
    p.done(&["run"]);
    for more in &files[1..] {
        put_all(&p, more);
        p.done(&["run"]);
    }
    p
}

/// Starts a proxy with its faults.
type Start = Box<dyn Fn() -> Proxy + Sync>;

fn spawned(p: &Project) -> Child {
    p.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

fn ended(child: Child) -> Ran {
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn the_tables_in_a_bucket_are_those_on_a_disk_and_another_machine_goes_on_with_them() {
    let expected = calm(&[MARKET]);
    let lake = s3::lake();
    let p = over_s3(&Project::new(MARKET), &lake);
    let first = p.done(&["run", "-vv"]);
    assert!(!format!("{first}").contains(SECRET));
    assert_eq!(seen(&p), seen(&expected));
    assert_eq!(p.versions(), expected.versions());
    assert!(!p.path("lake").exists());

    // Nothing is new: nothing is done.
    p.done(&["run"]).said("nothing");
    assert_eq!(p.versions(), expected.versions());

    // The ledger counts what went over the wire.
    let used =
        p.rows("SELECT sum(store_writes) AS w, sum(store_reads) AS r, sum(bytes_written) AS b FROM state.ledger");
    assert!(used[0]["w"].as_u64() > Some(10) && used[0]["r"].as_u64() > Some(10), "{used:?}");

    // As on a machine that never saw the lake: the copies are gone.
    fs::remove_dir_all(p.path(".alluvium/copies")).expect("copies");
    put_all(&p, MORE);
    p.done(&["run"]);
    let expected = calm(&[MARKET, MORE]);
    assert_eq!(seen(&p), seen(&expected));
    assert_eq!(p.versions(), expected.versions());

    // Another program reads the same rows from the bucket.
    let table = format!("{lake}/dev/silver/clicks");
    let endpoint = s3::endpoint();
    let rows = python("tests/read_s3.py", &[OsStr::new(&table), OsStr::new(&endpoint)]);
    assert_eq!(rows.trim(), p.cell("SELECT count(*) FROM silver.clicks").to_string());
}

#[test]
fn a_backfill_is_built_swapped_and_dropped_in_the_bucket() {
    const BACKFILL: [&str; 8] =
        ["backfill", "gold.daily", "--from", "2024-01-01", "--to", "2024-01-11", "--window", "2d"];
    let p = over_s3(&Project::new(MARKET), &s3::lake());
    p.done(&["run"]);
    let before = p.tables();
    p.edit("datasets/gold/daily.sql", "sum(amount) AS amount", "sum(amount) * 2 AS amount");
    p.done(&BACKFILL);
    p.done(&["backfill", "gold.daily", "--drop"]);
    assert_eq!(p.tables(), before, "what was dropped changed nothing");
    p.done(&BACKFILL);
    // As on another machine.
    fs::remove_dir_all(p.path(".alluvium/copies")).expect("copies");
    p.done(&["backfill", "gold.daily", "--swap"]);
    let expected = calm(&[MARKET]);
    expected.edit("datasets/gold/daily.sql", "sum(amount) AS amount", "sum(amount) * 2 AS amount");
    expected.done(&["run"]);
    assert_eq!(p.tables()["gold.daily"], expected.tables()["gold.daily"]);
    p.done(&["run"]).said("nothing");
}

#[test]
fn faults_on_the_way_change_no_table() {
    let calm = calm(&[MARKET]);
    let expected = seen(&calm);
    let every = |n: usize, fault: Fault| {
        move |r: &Request| if r.path.len().is_multiple_of(n) && r.before == 0 { fault } else { Fault::None }
    };
    let commits = |r: &Request| if r.is_commit() && r.before == 0 { Fault::LostReply } else { Fault::None };
    let cut = |r: &Request| match r.method.as_str() {
        "GET" if r.path.contains(".parquet") && r.before == 0 => Fault::CutReply,
        _ => Fault::None,
    };
    let uploads = |r: &Request| if r.is_upload() && r.before == 0 { Fault::CutRequest } else { Fault::None };
    let rules: Vec<(&str, Start)> = vec![
        ("busy", Box::new(move || Proxy::start(every(3, Fault::Busy)))),
        ("slow", Box::new(move || Proxy::start(every(7, Fault::Slow)))),
        // Each commit stands, and nobody is told.
        ("lost", Box::new(move || Proxy::start(commits))),
        ("cut down", Box::new(move || Proxy::start(cut))),
        ("cut up", Box::new(move || Proxy::start(uploads))),
    ];
    two_at_a_time(&rules, |(name, start)| {
        let proxy = start();
        let p = through(over_s3(&Project::new(MARKET), &s3::lake()), &proxy.endpoint());
        let ran = p.alluvium(&["run"]);
        assert_eq!(ran.code, Some(0), "{name}: {ran}");
        if *name == "cut down" {
            fs::remove_dir_all(p.path(".alluvium/copies")).expect("copies");
        }
        assert_eq!(seen(&p), expected, "{name}");
        assert_eq!(p.versions(), calm.versions(), "{name}");
        assert!(proxy.met() > 3, "{name} met {} requests", proxy.met());
    });
}

#[test]
fn an_upload_that_is_always_cut_leaves_nothing_visible_and_loses_nothing() {
    let expected = seen(&calm(&[MARKET]));
    let lake = s3::lake();
    let proxy =
        Proxy::start(|r| if r.is_upload() && r.path.contains("/silver/") { Fault::CutRequest } else { Fault::None });
    let p = through(over_s3(&Project::new(MARKET), &lake), &proxy.endpoint());
    p.edit("alluvium.yaml", "name: ", "defaults: { retry: { max_attempts: 2, interval: 10ms } }\nname: ");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("L0503");
    let versions = p.versions();
    assert!(versions["bronze.orders"].is_some(), "{versions:?}");
    assert!(versions.iter().all(|(name, v)| name.starts_with("bronze.") || v.is_none_or(|v| v == 0)), "{versions:?}");
    let p = through(p, &s3::endpoint());
    p.done(&["replay", "dead-letters"]);
    p.done(&["run"]);
    assert_eq!(seen(&p).tables, expected.tables);
}

#[test]
fn a_kill_between_upload_and_commit_loses_nothing() {
    let start = Project::new(MARKET);
    let expected = seen(&calm(&[MARKET]));
    let points =
        ["remote.after_file", "remote.after_upload", "commit.before_main", "commit.after_main", "commit.after_create"];
    two_at_a_time(&points, |point| {
        for nth in [1, 3, 6] {
            let p = over_s3(&start, &s3::lake());
            assert!(killed_at(&p, &["run"], point, nth) || nth > 1, "{point} is never reached");
            p.done(&["run"]);
            assert_eq!(seen(&p), expected, "after a kill at {point}:{nth}");
        }
    });
}

#[test]
fn two_runs_at_once_on_one_lake_lose_and_double_nothing() {
    let calm = calm(&[MARKET]);
    for _ in 0..3 {
        let p = over_s3(&Project::new(MARKET), &s3::lake());
        p.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", SHARED.url()));
        for ran in [spawned(&p), spawned(&p)].map(ended) {
            assert_eq!(ran.code, Some(0), "{ran}");
        }
        p.done(&["run"]);
        assert_eq!(seen(&p), seen(&calm));
        assert_eq!(p.versions(), calm.versions());
    }
}

#[test]
fn machines_with_copies_of_their_own_race_on_one_lake_and_another_one_goes_on() {
    let calm = calm(&[MARKET, MORE]);
    let lake = s3::lake();
    let first = over_s3(&Project::new(MARKET), &lake);
    first.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", SHARED.url()));
    // Its files and nothing else: the state is the database's.
    let machine = || {
        let p = copied(&first);
        let _ = fs::remove_dir_all(p.path(".alluvium"));
        through(p, &s3::endpoint())
    };
    let second = machine();
    for ran in [spawned(&first), spawned(&second)].map(ended) {
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    first.done(&["run"]);
    put_all(&first, MORE);
    copy_folder(&first.path("landing"), &second.path("landing"));
    let third = machine();
    for ran in [spawned(&first), spawned(&second), spawned(&third)].map(ended) {
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    third.done(&["run"]);
    for p in [&first, &second, &third] {
        assert_eq!(seen(p), seen(&calm));
        assert_eq!(p.versions(), calm.versions());
    }
}

#[test]
fn what_was_uploaded_before_a_kill_is_in_the_bucket_and_in_no_table() {
    let lake = s3::lake();
    let p = over_s3(&Project::new(MARKET), &lake);
    assert!(killed_at(&p, &["run"], "remote.after_upload", 1));
    let orphans: Vec<_> = s3::objects(&lake).into_iter().filter(|n| !n.contains("/_delta_log/")).collect();
    assert!(!orphans.is_empty());
    p.done(&["run"]);
    assert_eq!(seen(&p), seen(&calm(&[MARKET])));
    // They stay for a day, as what a running step staged may; then vacuum removes them.
    let there = s3::objects(&lake);
    assert!(orphans.iter().all(|o| there.contains(o)), "{orphans:?}");
}

#[test]
fn a_run_with_nothing_new_asks_once_for_each_dataset() {
    let proxy = Proxy::start(|_| Fault::None);
    let p = through(over_s3(&Project::new(MARKET), &s3::lake()), &proxy.endpoint());
    p.done(&["run"]);
    let worked = proxy.requests();
    p.done(&["run"]).said("nothing");
    let idle = proxy.requests();
    let datasets = p.versions().len();
    assert!((1..=datasets).contains(&idle), "{idle} requests for {datasets} datasets");
    // What the ledger says of the steps is a part of what went over the wire.
    let told = p.cell("SELECT sum(store_reads + store_writes + store_lists) FROM state.ledger");
    let told = usize::try_from(told.as_u64().expect("a number")).expect("few");
    assert!((worked / 2..=worked).contains(&told), "{told} of {worked} requests");
}

#[test]
fn a_small_cache_is_kept_small_and_the_tables_are_the_same() {
    let expected = seen(&calm(&[MARKET, MORE]));
    let p = over_s3(&Project::new(MARKET), &s3::lake());
    p.edit("alluvium.yaml", "name: ", "limits: { cache: 4KiB }\nname: ");
    p.done(&["run"]);
    put_all(&p, MORE);
    p.done(&["run"]);
    assert_eq!(seen(&p), expected);
}

#[test]
fn what_is_pushed_is_kept_beside_the_state_and_reaches_the_bucket() {
    let p = over_s3(&pushed_shop(), &s3::lake());
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    assert_eq!(post(&at, STRUCTURED, &event("7", "10.50")).json(), json!({ "accepted": 1, "duplicates": 0 }));
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert!(p.path(".alluvium/pushed/dev/bronze.orders").is_dir());
    fs::remove_dir_all(p.path(".alluvium/copies")).expect("copies");
    assert_eq!(p.rows("SELECT orders, amount FROM gold.daily"), [json!({ "orders": 1, "amount": 10.5 })]);
}

#[test]
fn refusals_say_what_to_do_and_never_the_secret() {
    let start = Project::new(MARKET);
    let proxy = Proxy::start(|_| Fault::Refused);
    let refused = through(over_s3(&start, &s3::lake()), &proxy.endpoint());
    let nowhere = over_s3(&start, "s3://no-such-bucket/lake");
    for (p, code, help) in [(refused, "L0501", "credentials"), (nowhere, "L0505", "bucket")] {
        let ran = p.alluvium(&["run"]);
        assert_eq!(ran.code, Some(1), "{ran}");
        ran.said(code);
        ran.said(help);
        assert!(!format!("{ran}").contains(SECRET), "{ran}");
    }
}

/// Names and values.
type Variables = &'static [(&'static str, &'static str)];

#[test]
fn without_credentials_each_store_says_which_variables_to_set() {
    let start = Project::new(MARKET);
    // Where a machine of the cloud would ask for its role, nobody listens.
    let cases: [(&str, Variables, &str, &str); 4] = [
        ("s3://bucket/lake", &[("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")], "L0501", "AWS_ACCESS_KEY_ID"),
        (
            "gs://bucket/lake",
            &[("GCE_METADATA_HOST", "127.0.0.1:1"), ("GCE_METADATA_IP", "127.0.0.1:1")],
            "L0501",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        ("az://container/lake", &[], "L0506", "AZURE_"),
        (
            "az://container/lake",
            &[
                ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
                ("AZURE_MSI_ENDPOINT", "http://127.0.0.1:1/metadata/identity/oauth2/token"),
            ],
            "L0501",
            "AZURE_STORAGE_ACCOUNT_KEY",
        ),
    ];
    two_at_a_time(&cases, |(lake, variables, code, remedy)| {
        let mut p = copied(&start);
        p.edit("alluvium.yaml", "name: ", &format!("lake: {lake}\nname: "));
        // The definitions can be checked where there are no credentials.
        p.done(&["check"]);
        for (name, value) in *variables {
            p.set(name, value);
        }
        let ran = p.alluvium(&["run"]);
        assert_eq!(ran.code, Some(1), "{lake}: {ran}");
        ran.said(code);
        ran.said(remedy);
    });
}
