//! Landing folders in object stores: what arrives there is taken as what arrives in a folder.

use crate::{
    clouds::{Cloud, SECRET},
    harness::{Project, Ran},
    http::{Answer, post_to},
    market::{copied, killed_at, two_at_a_time},
    proxy::{Fault, Proxy, Request},
    server::SHARED,
    serving::Serving,
};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// A turn takes a moment, and a scan comes every 300 ms.
const MOST_TRIES: u64 = 100;

type Files = &'static [(&'static str, &'static [u8])];

const FIRST: Files = &[
    ("a.csv", b"id,name\n1,ann\n2,bob\n"),
    ("deep/b.csv", b"id,name\n3,cid\n"),
    ("c.ndjson", b"{\"id\":4,\"name\":\"dan\"}\n{\"id\":5}\nno record\n"),
    ("d.csv.gz", GZIP),
    ("broken.csv.gz", b"\x1f\x8b\x08 and no more of a gzip"),
    ("left.txt", b"none of it"),
    ("_half.csv", b"id,na"),
];
/// Of `id,name\n6,eve\n`.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x4c, 0xd1, 0xc9, 0x4b, 0xcc, 0x4d, 0xe5, 0x32,
    0xd3, 0x49, 0x2d, 0x4b, 0xe5, 0x02, 0x00, 0x97, 0x29, 0x58, 0xff, 0x0e, 0x00, 0x00, 0x00,
];
/// The same content again, other content of the same size, and of another one.
const AGAIN: Files =
    &[("again.csv", FIRST[0].1), ("a.csv", b"id,name\n1,anx\n2,bob\n"), ("deep/b.csv", b"id,name\n7,fay\n8,gus\n")];
const MENDED: Files = &[("broken.csv.gz", GZIP_MENDED)];
/// Of `id,name\n9,ida\n`.
const GZIP_MENDED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x4c, 0xd1, 0xc9, 0x4b, 0xcc, 0x4d, 0xe5, 0xb2,
    0xd4, 0xc9, 0x4c, 0x49, 0xe4, 0x02, 0x00, 0xe0, 0x96, 0x16, 0x3f, 0x0e, 0x00, 0x00, 0x00,
];

/// Where files land.
#[derive(Debug, Clone, Copy)]
enum Zone {
    Folder,
    Bucket(Cloud),
}

/// A project with one dataset, and the place where its files land.
struct Landed {
    p: Project,
    zone: Zone,
    place: String,
}

impl Landed {
    fn new(zone: Zone, source: &str) -> Self {
        let place = match zone {
            Zone::Folder => "landing/in".to_owned(),
            Zone::Bucket(cloud) => cloud.lake(),
        };
        let dataset = format!("source: {{ files: '{place}/', {source} }}\n");
        let p = Project::new(&[("alluvium.yaml", "name: landed\n"), ("datasets/bronze/names.yaml", &dataset)]);
        let p = match zone {
            Zone::Folder => p,
            Zone::Bucket(cloud) => cloud.through(p, &cloud.endpoint()),
        };
        Self { p, zone, place }
    }

    fn put(&self, files: &[(&str, &[u8])]) {
        match self.zone {
            Zone::Folder => files.iter().for_each(|(name, bytes)| self.p.put(&format!("{}/{name}", self.place), bytes)),
            Zone::Bucket(cloud) => cloud.put(&self.place, files),
        }
    }

    /// As on another machine: what was fetched is gone.
    fn forget(&self) {
        let _ = fs::remove_dir_all(self.p.path(".alluvium/copies"));
    }
}

const ANY: &str = "glob: '**/*.{csv,ndjson}{,.gz}', settle: 0s";

/// Tables and dead letters after each step.
#[track_caller]
fn story(zone: Zone) -> Vec<Value> {
    let landed = Landed::new(zone, ANY);
    let p = &landed.p;
    let mut told = Vec::new();
    let mut tell = |ran: &Ran| {
        let letters = p.json(&["show", "dead-letters"]);
        let letters: Vec<_> =
            letters.as_array().expect("letters").iter().map(|l| json!([l["path"], l["reason"]])).collect();
        let duplicates = ran.stderr.matches("again.csv").count() + ran.stdout.matches("again.csv").count();
        told.push(json!([p.tables(), letters, ran.code, duplicates > 0]));
    };
    landed.put(FIRST);
    tell(&p.alluvium(&["run"]));
    landed.put(AGAIN);
    tell(&p.alluvium(&["run"]));
    landed.put(MENDED);
    landed.forget();
    tell(&p.alluvium(&["replay", "dead-letters"]));
    let ran = p.done(&["run"]);
    ran.said("nothing");
    tell(&ran);
    assert!(!p.path("s3:").exists() && !p.path("landing/landing").exists());
    told
}

#[test]
fn a_bucket_of_any_cloud_is_read_as_a_folder_is() {
    let expected = story(Zone::Folder);
    let rows = &expected.last().expect("a step")[0]["bronze.names"];
    assert_eq!(rows.as_array().map(Vec::len), Some(2 + 1 + 2 + 1 + 2 + 2 + 1), "{rows:?}");
    assert_eq!(expected[0][1].as_array().map(Vec::len), Some(1), "one dead letter");
    assert_eq!(expected[1][3], json!(true), "the content that came again was told");
    assert_eq!(expected[2][1], json!([]), "it was replayed");
    two_at_a_time(&[Cloud::S3, Cloud::Google, Cloud::Azure], |cloud| {
        assert_eq!(story(Zone::Bucket(*cloud)), expected, "{cloud:?}");
    });
}

#[test]
fn young_objects_wait_and_totals_beside_them_are_read() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), "glob: '*.csv', settle: 1h");
    let p = &landed.p;
    landed.put(&[("a.csv", b"id\n1\n2\n")]);
    p.done(&["run"]);
    assert_eq!(p.versions()["bronze.names"], None);
    p.edit("datasets/bronze/names.yaml", "settle: 1h }", "settle: 0s }\naccept: { totals: { error_above: 0% } }");
    assert_eq!(p.alluvium(&["run"]).code, Some(1));
    landed.put(&[("a.csv.ctl", b"rows: 3\n")]);
    p.alluvium(&["replay", "dead-letters"]).said("its sender tells 3");
    landed.put(&[("a.csv.ctl", b"rows: 2\n")]);
    p.done(&["replay", "dead-letters"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.names"), 2);
}

/// As S3 sends it.
fn notice(at: &str, key: &str) -> Answer {
    let object = json!({ "bucket": { "name": "lake" }, "object": { "key": key } });
    let record = json!({ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": object });
    post_to(at, "/events", "application/json", json!({ "Records": [record] }).to_string().as_bytes())
}

#[test]
fn the_scan_reports_what_the_notices_of_a_bucket_did_not_tell_of() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), ANY);
    let serving = Serving::start(&landed.p, &["--scan-every", "300ms"]);
    let at = serving.address();
    let prefix = landed.place.strip_prefix("s3://lake/").expect("a prefix");
    serving.wait_for("ended");
    // Of a bucket that has told of nothing yet nothing is missed, whoever finds it first.
    landed.put(&FIRST[..1]);
    assert_eq!(notice(&at, &format!("{prefix}/a.csv")).status, 202);
    serving.wait_for("done bronze.names");
    // The turn of that notice may take what came meanwhile.
    let warning = "warning bronze.names: 1 file found by the scan, of which no notice came";
    let more = (0..MOST_TRIES).find(|i| {
        landed.put(&[(&format!("more-{i}.csv"), format!("id,name\n{i},x\n").as_bytes())]);
        serving.says_within(Duration::from_secs(30), warning)
    });
    let more = more.expect("it is reported");
    let rows = |p: &Project| p.cell("SELECT count(*) FROM bronze.names").as_u64();
    serving.until("the last object", || rows(&landed.p) == Some(3 + more));
    assert_eq!(serving.stop().code, Some(0));
}

#[test]
fn a_notice_is_enough_and_names_the_bucket_alone() {
    // Nobody looks for a long time without it.
    let never = format!("{ANY}, schedule: {{ cron: '0 0 1 1 *' }}");
    let landed = Landed::new(Zone::Bucket(Cloud::S3), &never);
    let serving = Serving::start(&landed.p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    landed.put(&FIRST[..1]);
    let prefix = landed.place.strip_prefix("s3://lake/").expect("a prefix");
    let notice = |key: String| notice(&at, &key);
    assert_eq!(notice(format!("{prefix}x/a.csv")).code(), "H0209", "of another folder in the same bucket");
    let answer = notice(format!("{prefix}/a.csv"));
    assert_eq!((answer.status, &answer.json()["datasets"]), (202, &json!(["bronze.names"])));
    serving.wait_for("done bronze.names");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(landed.p.cell("SELECT count(*) FROM bronze.names"), 2);
}

#[test]
fn a_service_without_notices_lists_at_each_scan() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), ANY);
    landed.put(&FIRST[..1]);
    let proxy = Proxy::start(|_| Fault::None);
    let p = Cloud::S3.through(landed.p, &proxy.endpoint());
    let serving = Serving::start(&p, &["--scan-every", "300ms"]);
    serving.wait_for("done bronze.names");
    Cloud::S3.put(&landed.place, &FIRST[1..2]);
    serving.wait_for("done bronze.names");
    let ran = serving.stop();
    assert_eq!(ran.code, Some(0));
    assert!(!ran.to_string().contains("no notice came"), "{ran}");
    assert_eq!(p.cell("SELECT count(*) FROM bronze.names"), 3);
    let reads = proxy.seen().into_iter().filter(|r| r.starts_with("GET") && r.contains(".csv")).count();
    assert_eq!(reads, 2, "the look of the scan and that of its turn read an object once");
}

#[test]
fn a_rough_way_to_the_bucket_loses_nothing() {
    let expected = story(Zone::Folder).swap_remove(0);
    let landed = Landed::new(Zone::Bucket(Cloud::S3), ANY);
    landed.put(FIRST);
    let nth = AtomicUsize::new(0);
    let proxy = Proxy::start(move |r: &Request| match (r.before, nth.fetch_add(1, Ordering::Relaxed) % 3) {
        (0, 0) => Fault::Busy,
        (0, 1) => Fault::CutReply,
        (0, _) => Fault::LostReply,
        _ => Fault::None,
    });
    let p = Cloud::S3.through(landed.p, &proxy.endpoint());
    p.alluvium(&["run"]);
    assert!(proxy.met() >= 6, "a list and five objects, and {} faults", proxy.met());
    assert_eq!(json!(p.tables()), expected[0]);
}

#[test]
fn an_object_that_is_kept_back_is_told_and_holds_up_no_other() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), ANY);
    landed.put(&[FIRST[0], FIRST[1], FIRST[3]]);
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    let denied = move |r: &Request| r.path.contains("/d.csv.gz") && !over.load(Ordering::Relaxed);
    let proxy = Proxy::start(move |r: &Request| if denied(r) { Fault::Refused } else { Fault::None });
    let p = Cloud::S3.through(landed.p, &proxy.endpoint());
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("L0501");
    ran.said("d.csv.gz could not be read");
    ran.said("the right to list and read");
    assert!(!ran.to_string().contains(SECRET));
    assert_eq!(p.json(&["show", "dead-letters"]), json!([]));
    assert_eq!(p.cell("SELECT count(*) FROM bronze.names"), 3, "the others");
    ended.store(true, Ordering::Relaxed);
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.names"), 4);
}

#[test]
fn refusals_of_the_bucket_say_what_to_do() {
    let refused = Landed::new(Zone::Bucket(Cloud::S3), ANY);
    let proxy = Proxy::start(|_| Fault::Refused);
    let refused = Cloud::S3.through(refused.p, &proxy.endpoint());
    let mut cases = vec![(refused, "L0501", "credentials")];
    for cloud in [Cloud::S3, Cloud::Google, Cloud::Azure] {
        let landed = Landed::new(Zone::Bucket(cloud), ANY);
        landed.p.edit("datasets/bronze/names.yaml", "://lake/", "://no-such-bucket/");
        cases.push((landed.p, "L0505", "`files`"));
    }
    two_at_a_time(&cases, |(p, code, help)| {
        let ran = p.alluvium(&["run", "-vv"]);
        assert_eq!(ran.code, Some(1), "{ran}");
        ran.said(code);
        ran.said(help);
        assert!(!ran.to_string().contains(SECRET), "{ran}");
    });
}

#[test]
fn another_machine_loads_what_one_found() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), ANY);
    landed.put(FIRST);
    let state = format!("environments: {{ dev: {{ state: '{}' }} }}\nlake: {}\nname: ", SHARED.url(), Cloud::S3.lake());
    landed.p.edit("alluvium.yaml", "name: ", &state);
    assert!(killed_at(&landed.p, &["run"], "plan.after_record", 1));
    // Its files and nothing else.
    let second = copied(&landed.p);
    let _ = fs::remove_dir_all(second.path(".alluvium"));
    let second = Cloud::S3.through(second, &Cloud::S3.endpoint());
    let worker = Serving::spawn(second.command(&["worker"]));
    worker.wait_for("done bronze.names");
    assert_eq!(worker.stop().code, Some(0));
    let expected = story(Zone::Folder).swap_remove(0);
    assert_eq!(json!(second.tables()), expected[0]);
    assert_eq!(second.json(&["show", "dead-letters"]).as_array().map(Vec::len), Some(1), "the broken one alone");
}

#[test]
fn what_was_replaced_after_it_was_planned_is_told_and_its_new_content_is_loaded() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), ANY);
    landed.put(&[FIRST[0], FIRST[1], FIRST[3]]);
    let p = &landed.p;
    assert!(killed_at(p, &["run"], "plan.after_record", 1));
    landed.forget();
    landed.put(&[("a.csv", b"id,name\n1,anx\n2,bob\n")]);
    p.alluvium(&["run"]);
    let letters = p.json(&["show", "dead-letters"]);
    assert_eq!(letters.as_array().map(Vec::len), Some(1), "{letters}");
    assert!(letters.to_string().contains("D0012"), "{letters}");
    p.alluvium(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.names WHERE name = 'anx'"), 1);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.names"), 4);
}

#[test]
fn an_object_that_is_replaced_between_its_parts_is_never_mixed() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), ANY);
    let large = |digit: u8| [&b"id,name\n"[..], &[&[digit; 1_000][..], b",a\n"].concat().repeat(9_000)].concat();
    landed.put(&[("large.csv", &large(b'1'))]);
    let (place, second) = (landed.place.clone(), large(b'2'));
    let replaced = AtomicBool::new(false);
    let proxy = Proxy::start(move |r: &Request| {
        let part = r.method == "GET" && r.path.contains("large.csv") && r.before == 1;
        if part && !replaced.swap(true, Ordering::Relaxed) {
            Cloud::S3.put(&place, &[("large.csv", &second)]);
            return Fault::Slow;
        }
        Fault::None
    });
    let p = Cloud::S3.through(landed.p, &proxy.endpoint());
    p.done(&["run"]);
    assert_eq!(proxy.met(), 1, "it was replaced");
    p.done(&["run"]);
    let rows = p.rows("SELECT count(*) AS n, min(id) = max(id) AS one, left(min(id), 1) AS digit FROM bronze.names");
    assert_eq!(rows, [json!({ "n": 9_000, "one": true, "digit": "2" })]);
}

#[test]
fn more_objects_than_a_page_has_are_looked_through() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), "glob: 'x*.csv', settle: 0s");
    let names: Vec<String> = (0..1_100).map(|i| format!("n{i:04}.csv")).collect();
    let mut all: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b"id\n1\n"[..])).collect();
    all.push(("x.csv", b"id\n1\n"));
    landed.put(&all);
    let proxy = Proxy::start(|_| Fault::None);
    let p = Cloud::S3.through(landed.p, &proxy.endpoint());
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.names"), 1);
    let objects = proxy.seen().into_iter().filter(|r| r.contains(".csv")).collect::<Vec<_>>();
    assert!(objects.len() == 1 && objects[0].ends_with("/x.csv"), "the one object, once: {objects:?}");
    proxy.requests();
    p.done(&["run"]).said("nothing");
    assert_eq!(proxy.requests(), 2, "two pages");
}

#[test]
fn a_first_look_at_a_large_bucket_keeps_what_it_recorded() {
    let landed = Landed::new(Zone::Bucket(Cloud::S3), "glob: '*.csv', settle: 0s");
    let contents: Vec<(String, Vec<u8>)> =
        (0..1_100).map(|i| (format!("n{i:04}.csv"), format!("id\n{i}\n").into_bytes())).collect();
    landed.put(&contents.iter().map(|(n, c)| (n.as_str(), c.as_slice())).collect::<Vec<_>>());
    let proxy = Proxy::start(|_| Fault::None);
    let p = Cloud::S3.through(landed.p, &proxy.endpoint());
    assert!(killed_at(&p, &["run"], "events.after_record", 1));
    assert_eq!(p.cell("SELECT count(*) FROM state.events"), 1_000);
    let read = |proxy: &Proxy| proxy.seen().into_iter().filter(|r| r.starts_with("GET") && r.contains(".csv")).count();
    let before = read(&proxy);
    p.done(&["run"]);
    assert_eq!((before, read(&proxy) - before), (1_000, 100), "what was recorded is not read again");
    assert_eq!(p.cell("SELECT count(DISTINCT id) FROM bronze.names"), 1_100);
}
