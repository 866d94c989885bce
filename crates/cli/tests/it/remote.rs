//! The lake in an object store: the same tables as on a disk, whatever happens between here and there.

use crate::{
    clouds::{Cloud, SECRET, objects},
    harness::{Project, Ran, python_with},
    http::{STRUCTURED, event, post, push_to_dying, pushed_shop},
    market::{MARKET, MORE, balances, copied, copy_folder, killed_at, put_all, two_at_a_time},
    proxy::{Fault, Proxy, Request},
    server::SHARED,
    serving::{LIMIT, Serving},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    process::{Child, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

type Files = &'static [(&'static str, &'static str)];

/// A cloud, and what is loaded there. S3 has the larger project; what other clouds do otherwise is on the way, and a small
/// one shows it.
struct Place {
    cloud: Cloud,
    first: Files,
    later: Files,
    /// In which nothing is marked as deleted, so that any reader can read it.
    plain: &'static str,
}

const S3: Place = Place { cloud: Cloud::S3, first: MARKET, later: MORE, plain: "silver.clicks" };
const GOOGLE: Place = Place { cloud: Cloud::Google, first: VISITS, later: LATER, plain: "bronze.visits" };
const AZURE: Place = Place { cloud: Cloud::Azure, first: VISITS, later: LATER, plain: "bronze.visits" };

/// An upsert, a quarantine, and gold by window.
const VISITS: Files = &[
    ("alluvium.yaml", "name: visits\n"),
    ("datasets/bronze/visits.yaml", "source: { files: landing/, glob: \"*.csv\", settle: 0s }\n"),
    (
        "datasets/silver/visits.yaml",
        "from: bronze.visits\ncontract: visits\nsteps: [validate]\nwrite: { keys: [id], sequence_by: changed }\n",
    ),
    (
        "datasets/gold/days.sql",
        "/* window: { column: day, size: 1 day } */
SELECT day, count(*) AS visits FROM silver.visits GROUP BY day\n",
    ),
    (
        "contracts/visits.odcs.yaml",
        "apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
schema:
  - name: visits
    properties:
      - { name: id, logicalType: integer, required: true }
      - { name: day, logicalType: date, required: true }
      - { name: changed, logicalType: integer, required: true }
",
    ),
    ("landing/1.csv", "id,day,changed\n1,2024-01-01,1\n2,2024-01-01,1\n3,2024-01-02,1\n4,never,1\n"),
];
const BRONZE: Files = &[VISITS[0], VISITS[1]];
const LATER: Files = &[("landing/2.csv", "id,day,changed\n2,2024-01-03,2\n3,2024-01-05,0\n5,2024-01-02,1\n")];

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

/// What tells whether large texts came back as they went.
fn large_rows(p: &Project) -> Vec<serde_json::Value> {
    p.rows("SELECT count(*) AS n, sum(length(text)) AS length, max(md5(text)) AS most, min(md5(text)) AS least FROM bronze.visits")
}

fn calm_rows(start: &Project) -> Vec<serde_json::Value> {
    let p = copied(start);
    p.done(&["run"]);
    large_rows(&p)
}

fn spawned(p: &Project) -> Child {
    p.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

fn ended(child: Child) -> Ran {
    child.wait_with_output().expect("it ends").into()
}

#[track_caller]
fn are_those_on_a_disk(place: &Place) {
    let Place { cloud, first, later, plain } = *place;
    let expected = calm(&[first]);
    let lake = cloud.lake();
    let p = cloud.over(&Project::new(first), &lake);
    let ran = p.done(&["run", "-vv"]);
    assert!(!format!("{ran}").contains(SECRET));
    assert_eq!(seen(&p), seen(&expected));
    assert_eq!(p.versions(), expected.versions());
    assert!(!p.path("lake").exists());

    // Nothing is new: nothing is done.
    p.done(&["run"]).said("nothing");
    assert_eq!(p.versions(), expected.versions());

    // The ledger counts what went over the wire.
    let used =
        p.rows("SELECT sum(store_writes) AS w, sum(store_reads) AS r, sum(bytes_written) AS b FROM state.ledger");
    assert!(used[0]["w"].as_u64() > Some(5) && used[0]["r"].as_u64() > Some(5), "{used:?}");

    // As on a machine that never saw the lake: the copies are gone.
    fs::remove_dir_all(p.path(".alluvium/copies")).expect("copies");
    put_all(&p, later);
    p.done(&["run"]);
    let expected = calm(&[first, later]);
    assert_eq!(seen(&p), seen(&expected));
    assert_eq!(p.versions(), expected.versions());

    // Another program reads the same rows from there.
    let table = format!("{lake}/dev/{}", plain.replace('.', "/"));
    let rows = python_with("tests/read_bucket.py", &[OsStr::new(&table)], &cloud.variables(&cloud.endpoint()));
    assert_eq!(rows.trim(), p.cell(&format!("SELECT count(*) FROM {plain}")).to_string());
}

#[test]
fn the_tables_in_a_bucket_are_those_on_a_disk_and_another_machine_goes_on_with_them() {
    are_those_on_a_disk(&S3);
}

#[test]
fn the_tables_in_google_s_store_are_those_on_a_disk_and_another_machine_goes_on_with_them() {
    are_those_on_a_disk(&GOOGLE);
}

#[test]
fn the_tables_in_azure_s_store_are_those_on_a_disk_and_another_machine_goes_on_with_them() {
    are_those_on_a_disk(&AZURE);
}

#[test]
fn a_backfill_is_built_swapped_and_dropped_in_the_bucket() {
    const BACKFILL: [&str; 8] =
        ["backfill", "gold.daily", "--from", "2024-01-01", "--to", "2024-01-11", "--window", "2d"];
    let p = Cloud::S3.over(&Project::new(MARKET), &Cloud::S3.lake());
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
        let p = Cloud::S3.through(Cloud::S3.over(&Project::new(MARKET), &Cloud::S3.lake()), &proxy.endpoint());
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
    let lake = Cloud::S3.lake();
    let proxy =
        Proxy::start(|r| if r.is_upload() && r.path.contains("/silver/") { Fault::CutRequest } else { Fault::None });
    let p = Cloud::S3.through(Cloud::S3.over(&Project::new(MARKET), &lake), &proxy.endpoint());
    p.edit("alluvium.yaml", "name: ", "defaults: { retry: { max_attempts: 2, interval: 10ms } }\nname: ");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("L0503");
    let versions = p.versions();
    assert!(versions["bronze.orders"].is_some(), "{versions:?}");
    assert!(versions.iter().all(|(name, v)| name.starts_with("bronze.") || v.is_none_or(|v| v == 0)), "{versions:?}");
    let p = Cloud::S3.through(p, &Cloud::S3.endpoint());
    p.done(&["replay", "dead-letters"]);
    p.done(&["run"]);
    assert_eq!(seen(&p).tables, expected.tables);
}

#[track_caller]
fn lose_nothing_by_kills(place: &Place, points: &[&str], times: &[usize]) {
    let start = Project::new(place.first);
    let expected = seen(&calm(&[place.first]));
    two_at_a_time(points, |point| {
        for nth in times {
            let p = place.cloud.over(&start, &place.cloud.lake());
            assert!(killed_at(&p, &["run"], point, *nth) || *nth > 1, "{point} is never reached");
            p.done(&["run"]);
            assert_eq!(seen(&p), expected, "after a kill at {point}:{nth}");
        }
    });
}

#[test]
fn a_kill_between_upload_and_commit_loses_nothing() {
    let points =
        ["remote.after_file", "remote.after_upload", "commit.before_main", "commit.after_main", "commit.after_create"];
    lose_nothing_by_kills(&S3, &points, &[1, 3, 6]);
}

#[test]
fn a_kill_between_upload_and_commit_loses_nothing_in_other_clouds() {
    for place in [GOOGLE, AZURE] {
        lose_nothing_by_kills(&place, &["remote.after_upload", "commit.after_main"], &[2]);
    }
}

#[track_caller]
fn lose_and_double_nothing_at_once(place: &Place) {
    let calm = calm(&[place.first]);
    let p = place.cloud.over(&Project::new(place.first), &place.cloud.lake());
    p.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", SHARED.url()));
    for ran in [spawned(&p), spawned(&p)].map(ended) {
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    p.done(&["run"]);
    assert_eq!(seen(&p), seen(&calm));
    assert_eq!(p.versions(), calm.versions());
}

#[test]
fn two_runs_at_once_on_one_lake_lose_and_double_nothing() {
    for _ in 0..3 {
        lose_and_double_nothing_at_once(&S3);
    }
}

#[test]
fn two_runs_at_once_lose_and_double_nothing_in_other_clouds() {
    two_at_a_time(&[GOOGLE, AZURE], lose_and_double_nothing_at_once);
}

/// The first who commits waits on the way until the other one does.
#[derive(Default)]
struct Meeting {
    /// What was sent in this round.
    commits: Mutex<Vec<String>>,
    came: Condvar,
}

impl Meeting {
    fn commits(&self, path: &str) {
        let mut commits = self.commits.lock().expect("not poisoned");
        commits.push(path.to_owned());
        self.came.notify_all();
        if commits.len() == 1 {
            drop(self.came.wait_timeout_while(commits, LIMIT, |c| c.len() == 1));
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.commits.lock().expect("not poisoned"))
    }
}

/// Two that know nothing of each other, each with rows of its own for one table. Both try the same version: a store that did
/// not refuse one of the two would lose its rows.
#[test]
fn of_two_commits_of_one_version_each_cloud_refuses_one_and_no_row_is_lost() {
    let rows = |n: usize| format!("id,day,changed\n{n},2024-01-01,1\n");
    two_at_a_time(&[Cloud::S3, Cloud::Google, Cloud::Azure], |cloud| {
        let meeting = Arc::new(Meeting::default());
        let meets = meeting.clone();
        let proxy = Proxy::before(*cloud, move |r| {
            if r.is_commit() {
                meets.commits(&r.path);
            }
            Fault::None
        });
        let lake = cloud.lake();
        let both = [(); 2].map(|()| cloud.through(cloud.over(&Project::new(BRONZE), &lake), &proxy.endpoint()));
        // The first time both make the table.
        for round in 0..2 {
            for (i, p) in both.iter().enumerate() {
                p.put(&format!("landing/{round}.csv"), rows(round * 2 + i).as_bytes());
            }
            for ran in [spawned(&both[0]), spawned(&both[1])].map(ended) {
                assert_eq!(ran.code, Some(0), "{ran}");
            }
            let commits = meeting.take();
            assert_eq!(commits[0], commits[1], "{cloud:?}: no version was tried twice: {commits:?}");
        }
        let found = both[0].rows("SELECT id FROM bronze.visits ORDER BY id");
        assert_eq!(found, ["0", "1", "2", "3"].map(|id| json!({ "id": id })), "{cloud:?}");
    });
}

/// More than one part is in a file of this size: see `PART_BYTES` of the lake.
#[test]
fn a_large_file_goes_in_parts_in_each_cloud() {
    let start = Project::new(BRONZE);
    // Text that does not compress by more than a quarter.
    let mut state = 1_u64;
    let mut text = || -> String {
        let letter = |s: &mut u64| {
            *s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[(*s >> 58) as usize])
        };
        (0..10_000).map(|_| letter(&mut state)).collect()
    };
    let rows: Vec<String> = (0..1_300).map(|id| format!("{id},{}\n", text())).collect();
    start.put("landing/large.csv", format!("id,text\n{}", rows.concat()).as_bytes());
    let expected = format!("{:?}", calm_rows(&start));
    two_at_a_time(&[Cloud::S3, Cloud::Google, Cloud::Azure], |cloud| {
        let parts = Arc::new(AtomicUsize::new(0));
        let seen = parts.clone();
        let proxy = Proxy::before(*cloud, move |r| {
            seen.fetch_add(usize::from(r.is_part()), Ordering::Relaxed);
            Fault::None
        });
        let p = cloud.through(cloud.over(&start, &cloud.lake()), &proxy.endpoint());
        p.done(&["run"]);
        assert!(parts.load(Ordering::Relaxed) > 1, "{cloud:?} was given no parts");
        fs::remove_dir_all(p.path(".alluvium/copies")).expect("copies");
        assert_eq!(format!("{:?}", large_rows(&p)), expected, "{cloud:?}");
    });
}

#[test]
fn a_lost_answer_to_a_commit_counts_once_in_other_clouds() {
    let expected = calm(&[VISITS]);
    two_at_a_time(&[Cloud::Google, Cloud::Azure], |cloud| {
        let lost = |r: &Request| if r.is_commit() && r.before == 0 { Fault::LostReply } else { Fault::None };
        let proxy = Proxy::before(*cloud, lost);
        let p = cloud.through(cloud.over(&Project::new(VISITS), &cloud.lake()), &proxy.endpoint());
        p.done(&["run"]);
        assert!(proxy.met() > 2, "{cloud:?} met {} commits", proxy.met());
        assert_eq!(p.tables(), expected.tables(), "{cloud:?}");
        assert_eq!(p.versions(), expected.versions(), "{cloud:?}");
    });
}

#[test]
fn machines_with_copies_of_their_own_race_on_one_lake_and_another_one_goes_on() {
    let calm = calm(&[MARKET, MORE]);
    let lake = Cloud::S3.lake();
    let first = Cloud::S3.over(&Project::new(MARKET), &lake);
    first.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", SHARED.url()));
    // Its files and nothing else: the state is the database's.
    let machine = || {
        let p = copied(&first);
        let _ = fs::remove_dir_all(p.path(".alluvium"));
        Cloud::S3.through(p, &Cloud::S3.endpoint())
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
    let lake = Cloud::S3.lake();
    let p = Cloud::S3.over(&Project::new(MARKET), &lake);
    assert!(killed_at(&p, &["run"], "remote.after_upload", 1));
    let orphans: Vec<_> = objects(&lake).into_iter().filter(|n| !n.contains("/_delta_log/")).collect();
    assert!(!orphans.is_empty());
    p.done(&["run"]);
    assert_eq!(seen(&p), seen(&calm(&[MARKET])));
    // They stay for a day, as what a running step staged may; then vacuum removes them.
    let there = objects(&lake);
    assert!(orphans.iter().all(|o| there.contains(o)), "{orphans:?}");
}

#[test]
fn a_run_with_nothing_new_asks_once_for_each_dataset() {
    let proxy = Proxy::start(|_| Fault::None);
    let p = Cloud::S3.through(Cloud::S3.over(&Project::new(MARKET), &Cloud::S3.lake()), &proxy.endpoint());
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
    let p = Cloud::S3.over(&Project::new(MARKET), &Cloud::S3.lake());
    p.edit("alluvium.yaml", "name: ", "limits: { cache: 4KiB }\nname: ");
    p.done(&["run"]);
    put_all(&p, MORE);
    p.done(&["run"]);
    assert_eq!(seen(&p), expected);
}

#[test]
fn what_is_pushed_is_kept_in_the_bucket() {
    let lake = Cloud::S3.lake();
    let p = Cloud::S3.over(&pushed_shop(), &lake);
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    assert_eq!(post(&at, STRUCTURED, &event("7", "10.50")).json(), json!({ "accepted": 1, "duplicates": 0 }));
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(objects(&lake).iter().filter(|o| o.starts_with("dev/pushed/bronze.orders/")).count(), 1);
    fs::remove_dir_all(p.path(".alluvium/copies")).expect("copies");
    assert_eq!(p.rows("SELECT orders, amount FROM gold.daily"), [json!({ "orders": 1, "amount": 10.5 })]);
}

/// Machines that share a lake in the bucket and a state in the database.
fn machine(start: &Project, lake: &str) -> Project {
    let p = Cloud::S3.over(start, lake);
    p.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", SHARED.url()));
    p
}

/// Another one: its files and nothing else.
fn other(p: &Project) -> Project {
    let other = copied(p);
    let _ = fs::remove_dir_all(other.path(".alluvium"));
    Cloud::S3.through(other, &Cloud::S3.endpoint())
}

#[track_caller]
fn has_no_letters(p: &Project) {
    assert_eq!(p.json(&["show", "dead-letters"]), json!([]));
}

#[test]
fn what_a_lost_machine_acknowledged_another_one_loads() {
    let calm = pushed_shop();
    let serving = Serving::start(&calm, &[]);
    assert_eq!(post(&serving.address(), STRUCTURED, &event("7", "10.50")).status, 202);
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    let expected = calm.tables();
    // In the inbox, beside an object that nobody knows of; in a landing object; in a step, which any worker may take.
    let points = ["remote.after_upload", "events.after_record", "plan.after_record"];
    two_at_a_time(&points, |point| {
        let first = machine(&pushed_shop(), &Cloud::S3.lake());
        first.done(&["run"]);
        let second = other(&first);
        let mut serve = first.command(&["serve", "--listen", "127.0.0.1:0"]);
        serve.env("ALLUVIUM_CRASH_AT", format!("{point}:1"));
        let serving = Serving::spawn(serve);
        push_to_dying(&serving.address(), &event("7", "10.50"));
        assert_eq!(serving.end().code, None, "{point}");
        // With its disk.
        drop(first);
        if *point == "plan.after_record" {
            let worker = Serving::spawn(second.command(&["worker"]));
            worker.wait_for("done bronze.orders");
            assert_eq!(worker.stop().code, Some(0));
        }
        second.done(&["run"]);
        has_no_letters(&second);
        assert_eq!(second.tables(), expected, "{point}");
    });
}

#[test]
fn a_worker_leaves_files_that_it_lacks_and_knows_by_their_content_those_it_has() {
    let calm = calm(&[MARKET]);
    for has_files in [false, true] {
        let first = machine(&Project::new(MARKET), &Cloud::S3.lake());
        assert!(killed_at(&first, &["run"], "plan.after_record", 1));
        let second = other(&first);
        if has_files {
            for landing in ["customers", "orders", "clicks"] {
                for file in fs::read_dir(second.path("landing").join(landing)).expect("a folder") {
                    // It came here a day earlier.
                    let file = fs::File::options().write(true).open(file.expect("a file").path()).expect("a file");
                    let then =
                        file.metadata().and_then(|m| m.modified()).expect("a time") - Duration::from_secs(86_400);
                    file.set_modified(then).expect("a time set");
                }
            }
        } else {
            fs::remove_dir_all(second.path("landing")).expect("files");
        }
        let worker = Serving::spawn(second.command(&["worker"]));
        worker.wait_for("working for market");
        if has_files {
            worker.wait_for("done bronze.");
        } else {
            worker.for_a_while(Duration::from_secs(2));
            assert_eq!(first.cell("SELECT sum(attempts) FROM state.steps"), 0);
        }
        first.done(&["run"]);
        assert_eq!(worker.stop().code, Some(0));
        has_no_letters(&first);
        assert_eq!(seen(&first), seen(&calm), "with files: {has_files}");
    }
}

#[test]
fn refusals_say_what_to_do_and_never_the_secret() {
    let start = Project::new(VISITS);
    let proxy = Proxy::start(|_| Fault::Refused);
    let over = |cloud: Cloud| cloud.over(&start, &cloud.lake());
    let refused = Cloud::S3.through(over(Cloud::S3), &proxy.endpoint());
    let mut cases = vec![(refused, "L0501", "credentials", vec![SECRET.to_owned()])];
    for cloud in [Cloud::Google, Cloud::Azure] {
        let (name, key, secrets) = cloud.wrong_key();
        let mut p = over(cloud);
        p.set(name, &key);
        cases.push((p, "L0501", "credentials", secrets));
    }
    for cloud in [Cloud::S3, Cloud::Google, Cloud::Azure] {
        let nowhere = cloud.lake().replace("://lake/", "://no-such-bucket/");
        cases.push((cloud.over(&start, &nowhere), "L0505", "bucket", vec![SECRET.to_owned()]));
    }
    // A key in the place of its path is told by the variable, and not repeated.
    let (_, key, secrets) = Cloud::Google.wrong_key();
    let mut p = Project::new(VISITS);
    p.edit("alluvium.yaml", "name: ", "lake: gs://lake/misset\nname: ");
    p.set("GOOGLE_APPLICATION_CREDENTIALS", &key);
    cases.push((p, "L0506", "GOOGLE_APPLICATION_CREDENTIALS", secrets));
    two_at_a_time(&cases, |(p, code, help, secrets)| {
        let ran = p.alluvium(&["run", "-vv"]);
        assert_eq!(ran.code, Some(1), "{ran}");
        ran.said(code);
        ran.said(help);
        let all = format!("{ran}{}", p.alluvium(&["show", "dead-letters"]));
        assert!(secrets.iter().all(|s| !all.contains(s.as_str())), "{all}");
    });
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
