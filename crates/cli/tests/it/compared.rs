//! Snapshots: each is all that there was, and the table is what the newest says.

use crate::{
    harness::{Project, readers_agree},
    history::{COLUMNS, VERSIONS, versions},
    market::{MARKET, ORDERS_HEAD, balances, killed_at, two_at_a_time},
    order::{Change, Random, csv, expected, lines},
};
use alluvium_model::CRASH_POINTS;
use std::{collections::BTreeMap, fs};

const ORDERS: &str = "datasets/silver/orders.yaml";

/// Snapshots of orders, and none of them yet. `more`: what else is said of the write.
fn market(more: &str) -> Project {
    let p = Project::new(MARKET);
    p.edit(ORDERS, "sequence_by: changed, delete_when: \"op = 'D'\"", &format!("{more}snapshot_by: changed"));
    fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    fs::create_dir(p.path("landing/orders")).expect("a folder");
    p
}

/// Lands a snapshot of orders, each an id, a customer and an amount.
fn land(p: &Project, file: &str, snapshot: u32, orders: &[(u32, &str, u32)]) {
    let line =
        |(id, customer, amount): &(u32, &str, u32)| format!("{id},{customer},2024-01-01,{amount},U,{snapshot}\n");
    let rows: String = orders.iter().map(line).collect();
    p.put(&format!("landing/orders/{file}.csv"), format!("{ORDERS_HEAD}{rows}").as_bytes());
}

#[test]
fn a_table_is_what_the_newest_snapshot_says() {
    let p = market("change_feed: true, ");
    let orders = || lines(&p, &["id", "CAST(amount AS INT)", "changed"], "silver.orders");
    land(&p, "1", 1, &[(1, "c1", 1), (2, "c1", 2), (3, "c2", 3)]);
    p.done(&["run"]);
    // What did not change stays as it was written.
    land(&p, "2", 2, &[(1, "c1", 1), (2, "c1", 5), (4, "c2", 4), (4, "c2", 4)]);
    p.done(&["run"]);
    assert_eq!(orders(), ["1|1|1", "2|5|2", "4|4|2"]);
    assert_eq!(balances(&p)["silver.orders"], [7, 6, 0, 0, 0, 1, 0]);
    land(&p, "3", 1, &[(1, "c1", 9), (5, "c1", 5)]);
    p.done(&["run"]).said("2 rows of snapshots before changed 2 passed over");
    assert_eq!(orders(), ["1|1|1", "2|5|2", "4|4|2"]);
    // A snapshot of which a row is set aside ends nothing, since the row might be the one that is missed.
    land(&p, "4", 3, &[(2, "c9", 7), (6, "c1", 6)]);
    p.done(&["run"]).said("a snapshot with records in quarantine ended no key");
    assert_eq!(orders(), ["1|1|1", "2|5|2", "4|4|2", "6|6|3"]);
    p.put("landing/customers/more.csv", b"customer,name\nc9,Cy\n");
    p.done(&["run"]);
    p.done(&["replay", "quarantine", "silver.orders"]);
    assert_eq!(orders(), ["1|1|1", "2|7|3", "4|4|2", "6|6|3"]);
    land(&p, "5", 4, &[(2, "c9", 7), (6, "c1", 6)]);
    p.done(&["run"]);
    assert_eq!(orders(), ["2|7|3", "6|6|3"]);
    // An empty file is no snapshot.
    land(&p, "6", 5, &[]);
    p.done(&["run"]);
    assert_eq!(orders(), ["2|7|3", "6|6|3"]);
    // One that comes in two parts is whole with the second.
    land(&p, "7", 5, &[(2, "c9", 7)]);
    p.done(&["run"]);
    assert_eq!(orders(), ["2|7|3"]);
    land(&p, "8", 5, &[(6, "c1", 6)]);
    p.done(&["run"]);
    assert_eq!(orders(), ["2|7|3", "6|6|5"]);
    // A record that cannot even be read is missed as well.
    p.put(
        "landing/orders/9.csv",
        format!("{ORDERS_HEAD}2,c9,2024-01-01,7,U,6\n6,c1,2024-01-01,6,U,6,more,fields\n").as_bytes(),
    );
    p.done(&["run"]).said("ended no key");
    assert_eq!(orders(), ["2|7|3", "6|6|5"]);
    readers_agree(&p);
    p.done(&["run", "--rebuild", "silver.orders"]);
    assert_eq!(lines(&p, &["id"], "silver.orders"), ["2", "6"]);
    readers_agree(&p);
}

/// More often than rows are looked at together.
#[test]
fn of_a_key_that_a_snapshot_has_often_the_greatest_row_stands() {
    for more in ["", "stored_as: scd2, "] {
        let p = market(more);
        let mut orders: Vec<(u32, &str, u32)> = (0..120_000).map(|n| (1, "c1", n * 7 % 120_000)).collect();
        orders.push((2, "c1", 5));
        land(&p, "1", 1, &orders);
        p.done(&["run"]);
        let found = || lines(&p, &["id", "CAST(amount AS INT)", "changed"], "silver.orders");
        assert_eq!(found(), ["1|119999|1", "2|5|1"], "{more}");
        assert_eq!(balances(&p)["silver.orders"], [120_001, 2, 0, 0, 0, 119_999, 0], "{more}");
        // Once more, as the next one: nothing is new.
        orders.reverse();
        land(&p, "2", 2, &orders);
        p.done(&["run"]);
        assert_eq!(found(), ["1|119999|1", "2|5|1"], "{more}");
    }
}

/// Two files disagree about a key in the newest snapshot, and the next snapshot comes with the second of them.
#[test]
fn what_the_next_snapshot_says_stands_whichever_row_stood_before() {
    for more in ["", "stored_as: scd2, "] {
        let p = market(more);
        let open = if more.is_empty() { "silver.orders" } else { "silver.orders WHERE _end_at IS NULL" };
        let now = || lines(&p, &["id", "CAST(amount AS INT)", "changed"], open);
        land(&p, "1", 1, &[(1, "c1", 9), (2, "c1", 9)]);
        p.done(&["run"]);
        land(&p, "2", 1, &[(1, "c1", 5), (2, "c1", 5)]);
        land(&p, "3", 2, &[(1, "c1", 5)]);
        p.done(&["run"]);
        assert_eq!(now(), ["1|5|2"], "{more}");
    }
}

#[test]
fn a_gate_holds_back_a_snapshot_that_is_too_small() {
    let p = market("");
    p.edit(ORDERS, "contract: orders\n", "contract: orders\naccept: { rows: { min: 2 } }\n");
    land(&p, "1", 1, &[(1, "c1", 1), (2, "c1", 2), (3, "c2", 3)]);
    p.done(&["run"]);
    land(&p, "2", 2, &[(1, "c1", 1)]);
    assert_eq!(p.alluvium(&["run"]).code, Some(1));
    assert_eq!(lines(&p, &["id"], "silver.orders"), ["1", "2", "3"]);
    p.done(&["release", "silver.orders", "--reason", "sold"]);
    assert_eq!(lines(&p, &["id"], "silver.orders"), ["1"]);
}

/// What each key's rows and absences say, as events of a feed.
fn events(snapshots: &[Vec<Change>]) -> Vec<Change> {
    let says = |c: &Change| (c.customer, c.day, c.cents);
    let mut events: Vec<Change> = Vec::new();
    let mut open: BTreeMap<u64, Change> = BTreeMap::new();
    for (at, rows) in (1..).zip(snapshots) {
        let now: BTreeMap<u64, &Change> = rows.iter().map(|c| (c.id, c)).collect();
        for gone in open.keys().filter(|id| !now.contains_key(id)) {
            events.push(Change { op: "D", changed: at, ..open[gone].clone() });
        }
        for (id, c) in &now {
            if open.get(id).is_none_or(|o| says(o) != says(c)) {
                events.push((*c).clone());
            }
        }
        open = now.into_iter().map(|(id, c)| (id, c.clone())).collect();
    }
    events
}

#[test]
fn random_snapshots_with_kills_give_what_the_model_says() {
    let by_customer: fn(&Change, &Change) -> bool = |a, b| a.customer == b.customer;
    let cases: Vec<u64> = (1..=4).collect();
    two_at_a_time(&cases, |seed| {
        let mut random = Random(seed * 32_452_843);
        let history = seed % 2 == 0;
        let feed = if *seed > 2 { "change_feed: true, " } else { "" };
        let versioned = if history { "stored_as: scd2, track_history_on: [customer], " } else { "" };
        let p = market(&format!("{versioned}{feed}"));
        let mut snapshots: Vec<Vec<Change>> = Vec::new();
        for run in 0..5 {
            for _ in 0..=random.below(2) {
                let changed = snapshots.len() as u64 + 1;
                let mut rows = Vec::new();
                for id in 0..12 {
                    if random.below(4) > 0 {
                        let customer = if random.below(4) == 0 { "c2" } else { "c1" };
                        rows.push(Change { id, customer, day: 1, cents: random.below(2), op: "U", changed });
                    }
                }
                random.shuffle(&mut rows);
                p.put(&format!("landing/orders/{changed:02}.csv"), csv(&rows).as_bytes());
                snapshots.push(rows);
            }
            // One that is known, the newest or an older one, says nothing new.
            if run > 0 {
                let known = usize::try_from(random.below(snapshots.len() as u64)).expect("small");
                p.put(&format!("landing/orders/again-{run}.csv"), format!("{}\n", csv(&snapshots[known])).as_bytes());
            }
            for _ in 0..random.below(3) {
                let point = CRASH_POINTS[usize::try_from(random.below(CRASH_POINTS.len() as u64)).expect("small")];
                killed_at(&p, &["run"], point.0, 1 + usize::try_from(random.below(6)).expect("small"));
            }
            p.done(&["run"]);
            let events = events(&snapshots);
            let case = format!("seed {seed}, {} snapshots", snapshots.len());
            if history {
                assert_eq!(lines(&p, &VERSIONS, "silver.orders"), versions(&events, by_customer), "{case}");
            } else {
                assert_eq!(lines(&p, &COLUMNS, "silver.orders"), expected(&events).0, "{case}");
                assert_eq!(lines(&p, &["day", "orders", "amount"], "gold.daily"), expected(&events).1, "{case}");
            }
        }
        readers_agree(&p);
        p.done(&["run", "--rebuild", "silver.orders"]);
        let events = events(&snapshots);
        if history {
            assert_eq!(lines(&p, &VERSIONS, "silver.orders"), versions(&events, by_customer), "made anew");
        } else {
            assert_eq!(lines(&p, &COLUMNS, "silver.orders"), expected(&events).0, "made anew");
        }
    });
}
