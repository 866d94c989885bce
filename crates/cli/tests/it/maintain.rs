//! Many small arrivals: tables stay few files, what nothing needs goes, and no row and no reader notices.

use crate::{
    harness::{Project, Ran, readers_agree},
    market::{MARKET, ORDERS_HEAD, balances, copied, copy_folder, killed_at, rows, two_at_a_time},
    order::{Random, csv, expected, history, lines},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const DAY: Duration = Duration::from_secs(86_400);
const COLUMNS: [&str; 6] = ["id", "customer", "day", "amount", "op", "changed"];
/// Small files of one table: nine that wait for a tenth, and larger ones, each twice as large as all before it.
const MOST_FILES: usize = 14;

fn tables(p: &Project) -> Vec<PathBuf> {
    let layers = ["bronze", "silver", "gold", "quarantine", "tombstones"].map(|l| p.path("lake/dev").join(l));
    let below = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().map(|e| e.expect("an entry").path());
    layers.into_iter().flat_map(below).collect()
}

/// The log's actions, oldest first. Nothing of it may be gone.
fn log(table: &Path) -> Vec<Value> {
    let mut actions = Vec::new();
    for version in 0.. {
        let Ok(text) = fs::read_to_string(table.join(format!("_delta_log/{version:020}.json"))) else { break };
        actions.extend(text.lines().map(|l| serde_json::from_str::<Value>(l).expect("an action")));
    }
    actions
}

fn live(table: &Path) -> BTreeSet<String> {
    let mut live = BTreeSet::new();
    for a in log(table) {
        if let Some(path) = a["remove"]["path"].as_str() {
            live.remove(path);
        }
        if let Some(path) = a["add"]["path"].as_str() {
            live.insert(path.to_owned());
        }
    }
    live
}

fn merges(table: &Path) -> usize {
    log(table).iter().filter(|a| a["commitInfo"]["operation"] == "OPTIMIZE").count()
}

/// As if the lake had been left alone for so long.
fn age(folder: &Path, by: Duration) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            age(&path, by);
        } else {
            let file = fs::File::options().write(true).open(&path).expect("a file");
            let then = file.metadata().and_then(|m| m.modified()).expect("a time") - by;
            file.set_modified(then).expect("a time set");
        }
    }
}

fn without_orders() -> Project {
    let p = Project::new(MARKET);
    fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    fs::create_dir_all(p.path("landing/orders")).expect("a folder");
    p
}

/// One more small file of orders: a change of each of three keys, a new one, one that breaks a rule.
fn arrive(p: &Project, n: u64) {
    let line = |id: u64, amount: u64| format!("{id},c1,2024-01-01,{amount},U,{n}\n");
    let broken = format!("{},c1,2024-01-01,-1,U,{n}\n", 900 + n);
    let text = format!("{ORDERS_HEAD}{}{}{}{broken}", line(n % 3, n), line(100 + n, 1), line(200 + n, 2));
    p.put(&format!("landing/orders/{n:03}.csv"), text.as_bytes());
}

#[test]
fn a_day_of_small_arrivals_leaves_few_files_and_no_trace_in_the_rows() {
    two_at_a_time(&[false, true], |feed| {
        let mut random = Random(77);
        let mut changes = history(&mut random, 60);
        random.shuffle(&mut changes);
        let expected = expected(&changes);
        let p = without_orders();
        if *feed {
            p.edit("datasets/silver/orders.yaml", "sequence_by:", "change_feed: true, sequence_by:");
        }
        let mut merged = 0;
        for (n, part) in changes.chunks(2).enumerate() {
            p.put(&format!("landing/orders/{n}.csv"), csv(part).as_bytes());
            let ran = p.done(&["run"]);
            if ran.stderr.lines().any(|l| l.starts_with("silver.orders: ") && l.contains("files merged into 1")) {
                merged += 1;
                let before = p.versions();
                p.done(&["run"]).said("nothing to do");
                assert_eq!(p.versions(), before, "a merge is no work for those who read the table");
            }
        }
        assert!(merged >= 2, "{merged} merges of silver.orders");
        assert_eq!(lines(&p, &COLUMNS, "silver.orders"), expected.0);
        assert_eq!(lines(&p, &["day", "orders", "amount"], "gold.daily"), expected.1);
        assert_eq!(balances(&p)["silver.orders"][0], changes.len() as u64);
        for table in tables(&p) {
            let files = live(&table);
            // Tables beside a dataset's own are looked at every twenty versions.
            let beside =
                table.starts_with(p.path("lake/dev/tombstones")) || table.starts_with(p.path("lake/dev/quarantine"));
            let most = if beside { MOST_FILES + 20 } else { MOST_FILES };
            assert!(files.len() <= most, "{}: {files:?}", table.display());
        }
        for table in ["bronze/orders", "silver/orders", "tombstones/silver.orders"] {
            assert!(merges(&p.path("lake/dev").join(table)) > 0, "{table} was never merged");
        }
        readers_agree(&p);
    });
}

#[test]
fn what_nothing_needs_any_more_goes_and_who_comes_late_reads_all() {
    let p = without_orders();
    for n in 0..22 {
        arrive(&p, n);
        p.done(&["run"]);
    }
    let (silver, bronze) = (p.path("lake/dev/silver/orders"), p.path("lake/dev/bronze/orders"));
    let before = (lines(&p, &COLUMNS, "silver.orders"), p.cell("SELECT count(*) FROM bronze.orders"));
    fs::write(silver.join("killed-0000.parquet"), b"half a file").expect("a file");
    age(&p.path("lake"), 31 * DAY);
    fs::write(silver.join("young-0000.parquet"), b"half a file").expect("a file");
    let mut told = Vec::new();
    for n in 22..44 {
        // Nothing new for silver: the same rows of the same three keys, and later.
        arrive(&p, n);
        told.push(p.done(&["run"]));
    }
    let removed = |ran: &Ran| ran.stderr.contains("silver.orders: ") && ran.stderr.contains("unused file");
    assert!(told.iter().any(removed), "no run told what it removed");
    assert!(!silver.join("killed-0000.parquet").exists());
    assert!(silver.join("young-0000.parquet").exists(), "it may be a running step's");
    assert!(!bronze.join("_delta_log/00000000000000000000.json").exists(), "the log's beginning stayed");
    assert_eq!(before.0.len(), 3 + 22 * 2);
    assert_eq!(lines(&p, &COLUMNS, "silver.orders").len(), 3 + 44 * 2);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 44 * 4);
    readers_agree(&p);

    // A dataset that is new, and one that is made anew, over a log without a beginning.
    p.put("datasets/silver/copies.yaml", b"from: bronze.orders\ncontract: orders\nsteps: [validate]\nwrite: append\n");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.copies"), 3 + 44 * 2, "each key once");
    p.done(&["run", "--rebuild", "silver.orders"]);
    assert_eq!(lines(&p, &COLUMNS, "silver.orders").len(), 3 + 44 * 2);
}

#[test]
fn a_kill_while_files_are_put_in_order_loses_nothing() {
    let start = without_orders();
    for n in 0..8 {
        arrive(&start, n);
        start.done(&["run"]);
    }
    fs::write(start.path("lake/dev/silver/orders/killed-0000.parquet"), b"half a file").expect("a file");
    fs::write(start.path("lake/dev/bronze/orders/killed-0000.parquet"), b"half a file").expect("a file");
    age(&start.path("lake"), 2 * DAY);
    let points = ["maintain.before_commit", "maintain.after_commit", "maintain.after_removal"];
    two_at_a_time(&points, |point| {
        let p = copied(&start);
        let mut n = 8;
        // The first run that gets there.
        loop {
            assert!(n < 40, "{point} is never reached");
            arrive(&p, n);
            n += 1;
            if killed_at(&p, &["run"], point, 1) {
                break;
            }
        }
        // What it left behind is in nobody's way, whatever comes next.
        for _ in 0..22 {
            arrive(&p, n);
            n += 1;
            p.done(&["run"]);
        }
        p.done(&["run"]).said("nothing to do");
        let calm = copied(&start);
        (8..n).for_each(|i| arrive(&calm, i));
        calm.done(&["run"]);
        assert_eq!(lines(&p, &COLUMNS, "silver.orders"), lines(&calm, &COLUMNS, "silver.orders"), "{point}");
        assert_eq!(rows(&p), rows(&calm), "{point}");
        assert_eq!(balances(&p), balances(&calm), "{point}");
        for table in ["silver/orders", "bronze/orders"] {
            assert!(live(&p.path("lake/dev").join(table)).len() <= MOST_FILES, "{point}: {table}");
            assert!(!p.path("lake/dev").join(table).join("killed-0000.parquet").exists(), "{point}: {table}");
        }
    });
}

/// Two states that know nothing of each other, so that one merges while the other works.
#[test]
fn runs_beside_a_run_that_merges_lose_no_row() {
    let start = without_orders();
    for n in 0..8 {
        arrive(&start, n);
        start.done(&["run"]);
    }
    (8..12).for_each(|n| arrive(&start, n));
    let calm = copied(&start);
    calm.done(&["run"]);
    let expected = rows(&calm);
    for _ in 0..4 {
        let p = copied(&start);
        let other = Project::new(&[]);
        copy_folder(p.root(), other.root());
        let lake = p.path("lake");
        let lake = lake.to_str().expect("a path");
        let both = [
            p.command(&["run"]).stdout(std::process::Stdio::null()).spawn().expect("it runs"),
            other.command(&["run", "--lake", lake]).stdout(std::process::Stdio::null()).spawn().expect("it runs"),
        ];
        for mut child in both {
            assert!(child.wait().expect("it ends").success());
        }
        assert_eq!(rows(&p), expected);
    }
}
