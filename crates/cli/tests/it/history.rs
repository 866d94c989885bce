//! A row for each version of a key: any order, any split, killed and merged on the way, it is what a naive model says.

use crate::{
    harness::{Project, readers_agree},
    market::{MARKET, ORDERS_HEAD, balances, copied, killed_at, two_at_a_time},
    order::{Change, Random, TRUNCATES, csv, expected, history, lines, truncate},
};
use alluvium_model::CRASH_POINTS;
use arrow::array::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const ORDERS: &str = "datasets/silver/orders.yaml";
pub const COLUMNS: [&str; 6] = ["id", "customer", "day", "amount", "op", "changed"];
/// As a reader sees versions.
pub const VERSIONS: [&str; 8] = [
    "id",
    "customer",
    "day",
    "amount",
    "op",
    "changed",
    "coalesce(CAST(_start_at AS VARCHAR), '~')",
    "coalesce(CAST(_end_at AS VARCHAR), '~')",
];

/// How orders are written, and which of two changes in a row say the same.
#[derive(Clone, Copy)]
struct Kind {
    write: &'static str,
    /// `None`: a row a key.
    same: Option<fn(&Change, &Change) -> bool>,
}

const SCD1: Kind = Kind { write: "", same: None };
const BY_CUSTOMER: Kind =
    Kind { write: "stored_as: scd2, track_history_on: [customer], ", same: Some(|a, b| a.customer == b.customer) };
const BUT_DAY_AND_AMOUNT: Kind = Kind {
    write: "stored_as: scd2, track_history_on: { except: [day, amount] }, ",
    same: Some(|a, b| (a.customer, a.op) == (b.customer, b.op)),
};
const BY_ALL: Kind = Kind {
    write: "stored_as: scd2, ",
    same: Some(|a, b| (a.customer, a.day, a.cents, a.op) == (b.customer, b.day, b.cents, b.op)),
};

/// Orders written that way, and no order yet.
fn market(kind: Kind, feed: bool) -> Project {
    let p = Project::new(MARKET);
    let feed = if feed { "change_feed: true, " } else { "" };
    p.edit(ORDERS, "sequence_by:", &format!("{}{feed}sequence_by:", kind.write));
    fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    fs::create_dir(p.path("landing/orders")).expect("a folder");
    p
}

/// All events of each key in order, one a sequence; a version for each run of them that say the same.
pub fn versions(changes: &[Change], same: fn(&Change, &Change) -> bool) -> Vec<String> {
    let rank = |c: &Change| (c.op == "D", c.clone());
    // Each is a deletion of all keys.
    let truncates: Vec<Change> =
        changes.iter().filter(|c| c.op == "T").map(|c| Change { op: "D", ..c.clone() }).collect();
    let mut keys: BTreeMap<u64, BTreeMap<u64, &Change>> = BTreeMap::new();
    for c in changes.iter().filter(|c| c.op != "T") {
        let stands = keys.entry(c.id).or_default().entry(c.changed).or_insert(c);
        if rank(c) > rank(stands) {
            *stands = c;
        }
    }
    keys.values_mut().for_each(|events| events.extend(truncates.iter().map(|t| (t.changed, t))));
    let mut lines = Vec::new();
    for events in keys.values() {
        let events: Vec<&&Change> = events.values().collect();
        let mut start = None;
        for (i, c) in events.iter().enumerate() {
            if c.op == "D" {
                continue;
            }
            let from = *start.get_or_insert(c.changed);
            let next = events.get(i + 1);
            if next.is_some_and(|n| n.op != "D" && same(c, n)) {
                continue;
            }
            start = None;
            let end = next.map_or("~".to_owned(), |n| n.changed.to_string());
            let (whole, cents) = (c.cents / 100, c.cents % 100);
            lines.push(format!(
                "{}|{}|2024-01-0{}|{whole}.{cents:02}|{}|{}|{from}|{end}",
                c.id, c.customer, c.day, c.op, c.changed
            ));
        }
    }
    lines.sort();
    lines
}

#[track_caller]
fn stands(p: &Project, kind: Kind, changes: &[Change], case: &str) {
    match kind.same {
        Some(same) => assert_eq!(lines(p, &VERSIONS, "silver.orders"), versions(changes, same), "{case}"),
        None => assert_eq!(lines(p, &COLUMNS, "silver.orders"), expected(changes).0, "{case}"),
    }
}

/// Follows the versions, by window and by groups.
const OPENED: &str =
    "SELECT day, count(*) AS versions, sum(_start_at) AS starts, max(_end_at) AS last FROM silver.orders GROUP BY day
";
const NOW: &str = "SELECT customer, count(*) AS orders, sum(amount) AS amount FROM silver.orders WHERE _end_at IS NULL GROUP BY customer
";

#[track_caller]
fn gold_equals_its_queries(p: &Project, case: &str) {
    for (name, sql) in [("opened", OPENED), ("now", NOW)] {
        let rows = |from: &str| p.rows(&format!("SELECT * FROM {from} AS t ORDER BY 1, 2"));
        assert_eq!(rows(&format!("gold.{name}")), rows(&format!("({sql})")), "gold.{name}, {case}");
    }
}

/// `alluvium run`, now and then killed somewhere and run again.
fn run(p: &Project, random: &mut Random) {
    for _ in 0..random.below(3) {
        let point = CRASH_POINTS[usize::try_from(random.below(CRASH_POINTS.len() as u64)).expect("small")];
        killed_at(p, &["run"], point.0, 1 + usize::try_from(random.below(6)).expect("small"));
    }
    p.done(&["run"]);
}

#[test]
fn random_histories_with_kills_give_what_the_model_says() {
    let kinds = [SCD1, BY_CUSTOMER, BUT_DAY_AND_AMOUNT, BY_ALL];
    let cases: Vec<(u64, Kind)> = (2..=9).map(|seed| (seed, kinds[seed as usize % kinds.len()])).collect();
    two_at_a_time(&cases, |(seed, kind)| {
        let mut random = Random(seed * 15_485_863);
        let mut changes = history(&mut random, 1 + seed % 5 * 3);
        let truncates = seed / 4 == 1;
        if truncates {
            truncate(&mut random, &mut changes);
        }
        random.shuffle(&mut changes);
        let feed = seed % 3 == 0;
        let p = market(*kind, feed);
        if truncates {
            p.edit(ORDERS, "sequence_by:", &format!("{TRUNCATES}sequence_by:"));
        }
        if kind.same.is_some() {
            p.put(
                "datasets/gold/opened.sql",
                format!("/*\nwindow: {{ column: day, size: 1 day }}\n*/\n{OPENED}").as_bytes(),
            );
            p.put("datasets/gold/now.sql", NOW.as_bytes());
        }
        let (mut rest, mut arrived) = (&changes[..], 0);
        while !rest.is_empty() {
            for file in 0..=random.below(2) {
                let (now, later) = rest.split_at(rest.len().min(1 + usize::try_from(random.below(25)).expect("small")));
                rest = later;
                if !now.is_empty() {
                    p.put(&format!("landing/orders/{}-{arrived}-{file}.csv", random.below(1_000)), csv(now).as_bytes());
                }
                arrived += now.len();
            }
            run(&p, &mut random);
            let case = format!("seed {seed}, {arrived} events");
            stands(&p, *kind, &changes[..arrived], &case);
            if kind.same.is_some() {
                gold_equals_its_queries(&p, &case);
            }
        }
        assert_eq!(balances(&p)["silver.orders"][0], changes.len() as u64, "seed {seed}");
        readers_agree(&p);
        // Everything once more is nothing new, and made anew it is the same.
        p.put("landing/orders/again.csv", format!("{}\n", csv(&changes)).as_bytes());
        run(&p, &mut random);
        stands(&p, *kind, &changes, "all once more");
        p.done(&["run", "--rebuild", "silver.orders"]);
        stands(&p, *kind, &changes, "made anew");
        readers_agree(&p);
    });
}

/// The commits of a table, oldest first.
fn log(table: &Path) -> Vec<Vec<Value>> {
    let entries = fs::read_dir(table.join("_delta_log")).expect("a log").map(|e| e.expect("an entry").path());
    let mut entries: Vec<_> = entries.filter(|e| e.extension().is_some_and(|e| e == "json")).collect();
    entries.sort();
    let actions = |e: &PathBuf| {
        let text = fs::read_to_string(e).expect("an entry");
        text.lines().map(|l| serde_json::from_str(l).expect("an action")).collect()
    };
    entries.iter().map(actions).collect()
}

fn merges(p: &Project, table: &str) -> usize {
    let log = log(&p.path("lake/dev").join(table));
    log.iter().flatten().filter(|a| a["commitInfo"]["operation"] == "OPTIMIZE").count()
}

#[test]
fn many_small_arrivals_are_merged_on_the_way() {
    two_at_a_time(&[false, true], |feed| {
        let mut random = Random(4_711 + u64::from(*feed));
        let mut changes = history(&mut random, 25);
        random.shuffle(&mut changes);
        let p = market(BY_CUSTOMER, *feed);
        for (n, part) in changes.chunks(2).enumerate() {
            p.put(&format!("landing/orders/{n}.csv"), csv(part).as_bytes());
            if n % 7 == 0 {
                run(&p, &mut random);
            } else {
                p.done(&["run"]);
            }
        }
        stands(&p, BY_CUSTOMER, &changes, "many arrivals");
        for table in ["silver/orders", "tombstones/silver.orders"] {
            assert!(merges(&p, table) > 0, "{table} was never merged");
        }
        readers_agree(&p);
    });
}

/// Rows of the files that the newest step added, and how many rows are gone from those that it marked.
fn newest(p: &Project) -> (u64, u64) {
    let log = log(&p.path("lake/dev/silver/orders"));
    let by_step = |c: &&Vec<Value>| c.iter().any(|a| a["commitInfo"]["alluvium"].is_object());
    let commit = log.iter().rev().find(by_step).expect("a step's commit");
    let (mut new, mut gone) = (0, 0);
    for add in commit.iter().map(|a| &a["add"]).filter(|a| a.is_object()) {
        let stats: Value = serde_json::from_str(add["stats"].as_str().expect("statistics")).expect("JSON");
        match add["deletionVector"]["cardinality"].as_u64() {
            Some(rows) => gone += rows,
            None => new += stats["numRecords"].as_u64().expect("a count"),
        }
    }
    (new, gone)
}

#[test]
fn only_versions_that_change_are_written() {
    let p = market(BY_CUSTOMER, false);
    let line = |id: u64, customer: &str, changed: u64| format!("{id},{customer},2024-01-01,1,U,{changed}\n");
    let first: String = (0..5_000).flat_map(|id| [line(id, "c1", 10), line(id, "c2", 20)]).collect();
    p.put("landing/orders/1.csv", format!("{ORDERS_HEAD}{first}").as_bytes());
    p.done(&["run"]);
    assert_eq!(newest(&p), (10_000, 0));
    // Seven closes the open version and opens one; eight only says the same once more.
    p.put("landing/orders/2.csv", format!("{ORDERS_HEAD}{}{}", line(7, "c1", 30), line(8, "c2", 30)).as_bytes());
    p.done(&["run"]);
    assert_eq!(newest(&p), (3, 2));
    let of = |id: u64| lines(&p, &VERSIONS[5..], &format!("silver.orders WHERE id = {id}"));
    assert_eq!(of(7), ["10|10|20", "20|20|30", "30|30|~"]);
    assert_eq!(of(8), ["10|10|20", "30|20|~"]);
    // In the middle of a version of which two events are hidden or shown.
    p.put("landing/orders/3.csv", format!("{ORDERS_HEAD}{}", line(8, "c1", 25)).as_bytes());
    p.done(&["run"]);
    assert_eq!(of(8), ["10|10|20", "20|20|25", "25|25|30", "30|30|~"]);
    // Known already.
    p.put("landing/orders/4.csv", format!("{ORDERS_HEAD}{}{}", line(8, "c1", 25), line(7, "c1", 30)).as_bytes());
    p.done(&["run"]);
    assert_eq!((of(7).len(), of(8).len()), (3, 4));
    assert_eq!(balances(&p)["silver.orders"], [10_005, 10_003, 0, 0, 0, 2, 0]);
    readers_agree(&p);
}

#[test]
fn many_events_are_decided_in_pieces_and_no_key_takes_all_memory() {
    let p = market(BY_CUSTOMER, false);
    p.edit("alluvium.yaml", "name: market\n", "name: market\nlimits: { memory: 64MiB }\n");
    // Two in a row say the same.
    let line = |id: u64, s: u64| format!("{id},c{},2024-01-01,1,U,{s}\n", 1 + s / 2 % 2);
    let found = "SELECT count(*) AS n, count(_end_at) AS ended, sum(_start_at) AS starts, sum(_end_at) AS ends,
        sum(changed) AS latest FROM silver.orders";
    // More events than one piece has, and then more stored ones than are looked at together.
    for (file, from, versions) in [(1, 0, [4, 3, 12, 12, 15]), (2, 7, [7, 6, 42, 42, 49])] {
        let events: String = (0..20_000).flat_map(|id| (from..from + 7).map(move |s| line(id, s))).collect();
        p.put(&format!("landing/orders/{file}.csv"), format!("{ORDERS_HEAD}{events}").as_bytes());
        p.done(&["run"]);
        let row = &p.rows(found)[0];
        let sums = ["n", "ended", "starts", "ends", "latest"].map(|c| row[c].as_u64().expect("a number"));
        assert_eq!(sums, versions.map(|v| v * 20_000), "{file}");
    }
    // One key with more events than the limit has places for.
    let events: String = (0..40_000).map(|s| line(99_999, s)).collect();
    p.put("landing/orders/3.csv", format!("{ORDERS_HEAD}{events}").as_bytes());
    p.done(&["run"]);
    p.put("landing/orders/4.csv", format!("{ORDERS_HEAD}{}", line(99_999, 50_000)).as_bytes());
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("L0003");
    p.edit("alluvium.yaml", "64MiB", "512MiB");
    p.done(&["replay", "dead-letters"]);
    assert_eq!(p.cell("SELECT max(changed) FROM silver.orders"), 50_000);
}

#[test]
fn a_late_deletion_ends_a_version_and_a_late_row_does_not_undo_it() {
    let p = market(BY_ALL, true);
    let arrive = |file: u32, rows: &str| {
        p.put(&format!("landing/orders/{file}.csv"), format!("{ORDERS_HEAD}{rows}").as_bytes());
        p.done(&["run"]);
        lines(&p, &VERSIONS[3..], "silver.orders")
    };
    assert_eq!(arrive(1, "1,c1,2024-01-01,1,U,1\n1,c1,2024-01-01,3,U,5\n"), ["1.00|U|1|1|5", "3.00|U|5|5|~"]);
    assert_eq!(arrive(2, "1,c1,2024-01-01,9,D,3\n"), ["1.00|U|1|1|3", "3.00|U|5|5|~"]);
    assert_eq!(arrive(3, "1,c1,2024-01-01,2,U,2\n"), ["1.00|U|1|1|2", "2.00|U|2|2|3", "3.00|U|5|5|~"]);
    // A deletion stands against a row of its sequence, whenever it comes.
    assert_eq!(arrive(4, "1,c1,2024-01-01,7,U,3\n").len(), 3);
    assert_eq!(arrive(5, "1,c1,2024-01-01,7,D,5\n"), ["1.00|U|1|1|2", "2.00|U|2|2|3"]);
    assert_eq!(arrive(6, "1,c1,2024-01-01,4,U,4\n"), ["1.00|U|1|1|2", "2.00|U|2|2|3", "4.00|U|4|4|5"]);
    readers_agree(&p);
}

#[test]
fn a_table_of_the_other_form_is_not_mixed_with_versions() {
    let changes = history(&mut Random(99), 9);
    let (first, second) = changes.split_at(60);
    let p = market(SCD1, false);
    p.put("landing/orders/1.csv", csv(first).as_bytes());
    p.done(&["run"]);
    p.edit(ORDERS, "sequence_by:", &format!("{}sequence_by:", BY_CUSTOMER.write));
    p.put("landing/orders/2.csv", csv(second).as_bytes());
    let ran = p.alluvium(&["run", "--adopt", "silver.orders"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("L0407");
    ran.said("--rebuild");
    stands(&p, SCD1, first, "nothing was written");
    p.done(&["run", "--rebuild", "silver.orders"]);
    stands(&p, BY_CUSTOMER, &changes, "made anew with versions");
    readers_agree(&p);

    p.edit(ORDERS, BY_CUSTOMER.write, "");
    p.put("landing/orders/3.csv", csv(&changes[..1]).as_bytes());
    let ran = p.alluvium(&["run", "--adopt", "silver.orders"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("L0407");
    p.done(&["run", "--rebuild", "silver.orders"]);
    stands(&p, SCD1, &changes, "made anew without versions");
    assert_eq!(p.alluvium(&["query", "SELECT _end_at FROM silver.orders"]).code, Some(2), "the columns stayed");
    let late = "3,c1,2024-01-01,1,U,99\n";
    p.put("landing/orders/4.csv", format!("{ORDERS_HEAD}{late}").as_bytes());
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT changed FROM silver.orders WHERE id = 3"), 99);
    readers_agree(&p);
}

#[test]
fn a_history_gains_a_column_and_what_lies_beside_it_too() {
    let p = market(BY_CUSTOMER, false);
    let head = ORDERS_HEAD.trim_end();
    p.put("landing/orders/1.csv", format!("{ORDERS_HEAD}1,c1,2024-01-01,1,U,1\n1,c1,2024-01-01,1,U,5\n").as_bytes());
    p.done(&["run"]);
    let contract = "contracts/orders.odcs.yaml";
    p.edit(
        contract,
        "      - { name: changed, logicalType: integer, required: true }\n",
        "      - { name: changed, logicalType: integer, required: true }\n      - { name: note, logicalType: string }\n",
    );
    p.put(
        "landing/orders/2.csv",
        format!("{head},note\n1,c1,2024-01-01,1,U,7,seven\n1,c1,2024-01-01,1,U,6,six\n").as_bytes(),
    );
    p.done(&["run", "--adopt", "silver.orders"]);
    // Six is hidden, and has to be found with its note.
    p.put(
        "landing/orders/3.csv",
        format!("{head},note\n1,c2,2024-01-01,1,U,7,other\n1,c2,2024-01-01,1,U,8,\n").as_bytes(),
    );
    p.done(&["run"]);
    let columns = ["customer", "coalesce(note, '~')", "_start_at", "coalesce(CAST(_end_at AS VARCHAR), '~')"];
    assert_eq!(lines(&p, &columns, "silver.orders"), ["c1|six|1|7", "c2|~|7|~"]);
    // Files merged, it is found again all the same.
    for n in 8..30 {
        p.put(
            &format!("landing/orders/{n}.csv"),
            format!("{head},note\n{n},c1,2024-01-01,1,U,1,\n{n},c1,2024-01-01,1,D,2,\n").as_bytes(),
        );
        p.done(&["run"]);
    }
    assert!(merges(&p, "tombstones/silver.orders") > 0);
    p.put("landing/orders/4.csv", format!("{head},note\n1,c2,2024-01-01,1,U,6,\n").as_bytes());
    p.done(&["run"]);
    assert_eq!(lines(&p, &columns, "silver.orders WHERE id = 1"), ["c1|~|1|6", "c2|~|6|~"]);
    readers_agree(&p);
}

const GONE: &[u8] = b"customer,name,at\nc9,gone,2024-03-01\n";

/// Customers with a history: two names of c1, and c9, who is there until [`GONE`] comes.
fn keeps_customers(p: &Project) {
    p.put(
        "datasets/silver/customers.yaml",
        b"from: bronze.customers\ncontract: customers\nsteps: [validate]\nwrite: { keys: [customer], sequence_by: at, delete_when: \"name = 'gone'\", stored_as: scd2 }\n",
    );
    p.edit(
        "contracts/customers.odcs.yaml",
        "      - { name: name, logicalType: string }\n",
        "      - { name: name, logicalType: string }\n      - { name: at, logicalType: timestamp }\n",
    );
    let customers = "customer,name,at\nc1,Ada,2024-01-01\nc1,Zoe,2024-02-01\nc2,Ben,2024-01-01\nc9,Cy,2024-01-01\n";
    p.put("landing/customers/customers.csv", customers.as_bytes());
}

/// Customers with a history: those that are there now are looked up.
#[test]
fn lookups_and_references_see_the_open_versions() {
    let p = Project::new(MARKET);
    keeps_customers(&p);
    p.edit(
        "contracts/orders.odcs.yaml",
        "      - { name: op,",
        "      - { name: who, logicalType: string }\n      - { name: op,",
    );
    p.edit(
        ORDERS,
        "  - validate\n",
        "  - validate\n  - enrich: { lookup: silver.customers, on: customer, take: { who: name } }\n",
    );
    p.put("landing/customers/gone.csv", GONE);
    p.done(&["run"]);
    let who = || lines(&p, &["id", "who"], "silver.orders");
    assert_eq!(who(), ["1|Ben", "5|Ben", "6|Ben"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.customers"), 4);
    let waiting = p.cell("SELECT count(*) FROM quarantine.silver_orders");
    assert_eq!(waiting, 2, "one below zero, and one of a customer who is gone");
    // Back again, and so is the order, in its place of the history.
    p.put("landing/customers/back.csv", b"customer,name,at\nc9,Cyd,2024-04-01\n");
    p.done(&["run"]);
    p.done(&["replay", "quarantine", "silver.orders"]);
    assert_eq!(who(), ["1|Ben", "4|Cyd", "5|Ben", "6|Ben"]);
    readers_agree(&p);
}

const REGULARS: &str = "apiVersion: v3.1.0
kind: DataContract
id: regulars
name: regulars
version: 1.0.0
status: active
schema:
  - name: regulars
    properties:
      - name: customer
        logicalType: string
        relationships: [{ to: customers.customer, customProperties: [{ property: alluvium.action, value: warn }] }]
      - { name: orders, logicalType: integer }
";

/// Gold that refers to a history is held against the versions that are open, as they were when its step was planned.
#[test]
fn references_of_gold_see_the_open_versions() {
    let p = Project::new(MARKET);
    keeps_customers(&p);
    p.put("contracts/regulars.odcs.yaml", REGULARS.as_bytes());
    p.put(
        "datasets/gold/regulars.sql",
        b"/* contract: regulars */ SELECT customer, count(*) AS orders FROM silver.orders GROUP BY customer\n",
    );
    let dangling = |p: &Project| -> Vec<Value> {
        let judged = p.rows("SELECT violations FROM state.quality q JOIN state.steps s ON q.step = s.step WHERE q.dataset = 'gold.regulars' AND q.rule = 'reference:customer' ORDER BY s.planned_at");
        judged.into_iter().map(|r| r["violations"].clone()).collect()
    };
    p.done(&["run"]);
    assert_eq!(lines(&p, &["customer", "orders"], "gold.regulars"), ["c2|3", "c9|1"]);
    assert_eq!(dangling(&p), [0]);

    // Killed once the step is planned; what it is held against changes before it goes on.
    let order = format!("{ORDERS_HEAD}7,c2,2024-01-05,2,I,1\n");
    let planned = |nth: usize| {
        let p = copied(&p);
        p.put("landing/orders/7.csv", order.as_bytes());
        assert!(killed_at(&p, &["run"], "step.after_claim", nth), "gold.regulars is never claimed");
        let open = p.cell("SELECT count(*) FROM state.steps WHERE dataset = 'gold.regulars' AND state <> 'done'");
        (open == 1).then_some(p)
    };
    let early = (1..).find_map(planned).expect("a step of gold that waits");
    early.put("landing/customers/gone.csv", GONE);
    early.done(&["run"]);
    assert_eq!(dangling(&early), [0, 0]);

    p.put("landing/customers/gone.csv", GONE);
    p.put("landing/orders/7.csv", order.as_bytes());
    p.done(&["run"]);
    assert_eq!(dangling(&p), [0, 1], "c9 is gone");
    p.put("landing/customers/back.csv", b"customer,name,at\nc9,Cyd,2024-04-01\n");
    p.put("landing/orders/8.csv", format!("{ORDERS_HEAD}8,c2,2024-01-05,2,I,1\n").as_bytes());
    p.done(&["run"]);
    assert_eq!(dangling(&p), [0, 1, 0]);
}

/// A watermark judges events, and what it lets through comes into the history where it belongs.
#[test]
fn a_watermark_keeps_late_events_out_of_a_history_until_they_are_replayed() {
    let with = |late: &str| {
        let p = Project::new(MARKET);
        keeps_customers(&p);
        p.edit(
            "datasets/silver/customers.yaml",
            "steps: [validate]\n",
            &format!("steps: [validate]\nwatermark: {{ column: at, allowed_lateness: 2 days, late: {late} }}\n"),
        );
        p.done(&["run"]);
        let head = "customer,name,at\n";
        // Back in time within the allowance, and beyond it; a deletion as well.
        p.put("landing/customers/2.csv", format!("{head}c1,Zoë,2024-02-10\nc2,Bea,2024-02-10\n").as_bytes());
        p.done(&["run"]);
        let late = "c1,Zo,2024-02-09\nc2,gone,2024-02-07\nc1,Al,2024-01-15\nc3,Di,2024-02-08\n";
        p.put("landing/customers/3.csv", format!("{head}{late}").as_bytes());
        p.done(&["run"]);
        p
    };
    let versions = |p: &Project| {
        let day = |c: &str| format!("coalesce(substr(CAST({c} AS VARCHAR), 6, 5), '~')");
        lines(p, &["customer", "name", &day("_start_at"), &day("_end_at")], "silver.customers")
    };
    let judged = [
        "c1|Ada|01-01|02-01",
        "c1|Zoe|02-01|02-09",
        "c1|Zo|02-09|02-10",
        "c1|Zoë|02-10|~",
        "c2|Ben|01-01|02-10",
        "c2|Bea|02-10|~",
        "c3|Di|02-08|~",
        "c9|Cy|01-01|~",
    ];
    let all = [
        "c1|Ada|01-01|01-15",
        "c1|Al|01-15|02-01",
        "c1|Zoe|02-01|02-09",
        "c1|Zo|02-09|02-10",
        "c1|Zoë|02-10|~",
        "c2|Ben|01-01|02-07",
        "c2|Bea|02-10|~",
        "c3|Di|02-08|~",
        "c9|Cy|01-01|~",
    ];
    let sorted = |lines: &[&'static str]| {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines
    };
    let (judged, all) = (sorted(&judged), sorted(&all));
    assert_eq!(versions(&with("recompute")), all);
    let p = with("quarantine");
    assert_eq!(versions(&p), judged);
    assert_eq!(p.cell("SELECT count(*) FROM quarantine.silver_customers"), 2);
    p.done(&["replay", "quarantine", "silver.customers"]);
    assert_eq!(versions(&p), all);
    readers_agree(&p);
    let p = with("drop");
    assert_eq!(versions(&p), judged);
    assert_eq!(p.cell("SELECT sum(late) FROM state.steps WHERE dataset = 'silver.customers'"), 2);
    p.done(&["run", "--rebuild", "silver.customers"]);
    assert_eq!(versions(&p), all);
}

/// Merges that order a history's rows leave its versions and what finds them as they are.
#[test]
fn a_clustered_history_is_the_same_history() {
    let mut random = Random(8_128);
    let mut changes = history(&mut random, 25);
    random.shuffle(&mut changes);
    let p = market(BY_CUSTOMER, false);
    p.edit(ORDERS, "contract: orders\n", "contract: orders\ncluster_by: [customer]\n");
    for (n, part) in changes.chunks(2).enumerate() {
        p.put(&format!("landing/orders/{n}.csv"), csv(part).as_bytes());
        p.done(&["run"]);
    }
    stands(&p, BY_CUSTOMER, &changes, "clustered");
    let log = log(&p.path("lake/dev/silver/orders"));
    let is_clustered = |a: &&Value| a["add"]["path"].as_str().is_some_and(|path| path.starts_with("clustered-"));
    let clustered = log.iter().flatten().find(is_clustered).expect("a clustered file");
    let path = p.path("lake/dev/silver/orders").join(clustered["add"]["path"].as_str().expect("a path"));
    let file = fs::File::open(path).expect("a file");
    let rows = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build()).expect("Parquet");
    let mut customers = Vec::new();
    for batch in rows {
        let batch = batch.expect("a batch");
        let column = batch.column_by_name("customer").expect("a column").as_string::<i32>();
        customers.extend(column.iter().map(|c| c.expect("a customer").to_owned()));
    }
    assert!(customers.is_sorted() && customers.len() > 2, "{customers:?}");
    readers_agree(&p);
}

#[test]
fn a_replay_puts_late_rows_where_they_belong() {
    let p = market(BY_ALL, false);
    p.put(
        "landing/orders/1.csv",
        format!("{ORDERS_HEAD}1,c1,2024-01-01,1,U,1\n1,c9,2024-01-01,2,U,2\n1,c1,2024-01-01,3,U,3\n").as_bytes(),
    );
    p.done(&["run"]);
    let versions = || lines(&p, &VERSIONS[3..], "silver.orders");
    assert_eq!(versions(), ["1.00|U|1|1|3", "3.00|U|3|3|~"]);
    p.put("landing/customers/more.csv", b"customer,name\nc9,Cy\n");
    p.done(&["run"]);
    p.done(&["replay", "quarantine", "silver.orders"]);
    assert_eq!(versions(), ["1.00|U|1|1|2", "2.00|U|2|2|3", "3.00|U|3|3|~"]);
}
