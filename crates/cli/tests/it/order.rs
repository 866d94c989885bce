//! Any order and any split of the same records over files and runs give the same tables, those of a naive model.

use crate::{
    harness::{Project, readers_agree},
    market::{MARKET, MORE, ORDERS_HEAD, balances, put_all, rows, two_at_a_time},
};
use std::collections::BTreeMap;

/// Columns left to right as the tie rule compares them; the amount in cents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub id: u64,
    pub customer: &'static str,
    pub day: u64,
    pub cents: u64,
    pub op: &'static str,
    pub changed: u64,
}

/// Small, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, usize::try_from(self.below(i as u64 + 1)).expect("small"));
        }
    }
}

/// Few keys and few sequences: ties, deletions that come late, rows that come twice.
pub fn history(random: &mut Random, keys: u64) -> Vec<Change> {
    let mut all = Vec::new();
    for _ in 0..90 {
        all.push(Change {
            id: random.below(keys),
            customer: random.pick(&["c1", "c2"]),
            day: 1 + random.below(6),
            cents: random.below(400),
            op: random.pick(&["I", "U", "U", "D"]),
            changed: random.below(7),
        });
        if random.below(8) == 0 {
            all.push(all[usize::try_from(random.below(all.len() as u64)).expect("small")].clone());
        }
    }
    all
}

/// What lets a row with `op` T truncate the table.
pub const TRUNCATES: &str = "truncate_when: \"op = 'T'\", ";

/// A few rows that truncate the table, one of them twice.
pub fn truncate(random: &mut Random, changes: &mut Vec<Change>) {
    for _ in 0..3 {
        let other = &changes[usize::try_from(random.below(changes.len() as u64)).expect("small")];
        changes.push(Change { op: "T", changed: random.below(5), ..other.clone() });
    }
    changes.push(changes[changes.len() - 1].clone());
}

/// Of each key the latest change after the latest truncate; at a tie a deletion, then the greater row.
pub fn expected(history: &[Change]) -> (Vec<String>, Vec<String>) {
    let mut latest: BTreeMap<u64, &Change> = BTreeMap::new();
    let rank = |c: &Change| (c.changed, c.op == "D", c.clone());
    let truncated = history.iter().filter(|c| c.op == "T").map(|c| c.changed).max();
    for c in history.iter().filter(|c| c.op != "T" && truncated.is_none_or(|t| c.changed > t)) {
        let stands = latest.entry(c.id).or_insert(c);
        if rank(c) > rank(stands) {
            *stands = c;
        }
    }
    latest.retain(|_, c| c.op != "D");
    let money = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
    let mut days: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for c in latest.values() {
        let day = days.entry(c.day).or_default();
        *day = (day.0 + 1, day.1 + c.cents);
    }
    let line =
        |c: &&Change| format!("{}|{}|2024-01-0{}|{}|{}|{}", c.id, c.customer, c.day, money(c.cents), c.op, c.changed);
    let mut orders: Vec<String> = latest.values().map(line).collect();
    orders.sort();
    (orders, days.iter().map(|(d, (n, sum))| format!("2024-01-0{d}|{n}|{}", money(*sum))).collect())
}

#[track_caller]
pub fn lines(p: &Project, columns: &[&str], table: &str) -> Vec<String> {
    let cells: Vec<String> = columns.iter().map(|c| format!("CAST({c} AS VARCHAR)")).collect();
    let rows = p.rows(&format!("SELECT {} AS r FROM {table} ORDER BY r", cells.join(" || '|' || ")));
    rows.iter().map(|r| r["r"].as_str().expect("a text").to_owned()).collect()
}

pub fn csv(changes: &[Change]) -> String {
    let line = |c: &Change| {
        let Change { id, customer, day, cents, op, changed } = c;
        format!("{id},{customer},2024-01-0{day},{}.{:02},{op},{changed}\n", cents / 100, cents % 100)
    };
    format!("{ORDERS_HEAD}{}", changes.iter().map(line).collect::<String>())
}

/// Kept up to date by groups: the first few of an order, and groups that come and go.
const TOP: &str = "SELECT customer, day, sum(amount) AS amount, count(*) AS orders FROM silver.orders
WHERE op <> 'U' GROUP BY customer, day HAVING count(*) < 3 ORDER BY amount DESC, customer, day LIMIT 3
";
const SUMS: &str = "SELECT s.customer, sum(CASE WHEN s.id > 4 THEN s.amount END) AS amount, count(nullif(s.day, DATE '2024-01-02')) AS days,
  sum(s.changed) + count(*) AS changed
FROM (SELECT * FROM silver.orders WHERE op = 'U') AS s GROUP BY s.customer
";

/// A sketch a group, of which rows that leave may take a value away.
const KINDS: &str =
    "SELECT o.customer, count(*) AS amount, approx_distinct(o.day) AS days, approx_distinct(o.amount) AS amounts
FROM silver.orders AS o WHERE o.op = 'U' GROUP BY o.customer
";

#[track_caller]
fn equal_their_queries(p: &Project, seed: u64) {
    for (name, sql) in [("top", TOP), ("sums", SUMS), ("kinds", KINDS)] {
        let ordered = |from: &str| p.rows(&format!("SELECT * FROM {from} AS t ORDER BY customer, amount"));
        assert_eq!(ordered(&format!("gold.{name}")), ordered(&format!("({sql})")), "gold.{name}, seed {seed}");
    }
}

#[test]
fn histories_in_any_order_and_split_give_the_tables_of_the_model() {
    let seeds: Vec<u64> = (1..=10).collect();
    two_at_a_time(&seeds, |seed| {
        // Two seeds share a history, so that different orders of one history are compared, too.
        let mut changes = history(&mut Random(seed / 2 * 7_919 + 1), 14);
        let truncates = seed / 2 % 2 == 1;
        if truncates {
            truncate(&mut Random(seed / 2), &mut changes);
        }
        let expected = expected(&changes);
        let mut random = Random(*seed * 104_729);
        random.shuffle(&mut changes);
        let p = Project::new(MARKET);
        p.put("datasets/gold/top.sql", TOP.as_bytes());
        p.put("datasets/gold/sums.sql", SUMS.as_bytes());
        p.put("datasets/gold/kinds.sql", KINDS.as_bytes());
        let feeds = seed % 2 == 0;
        if truncates {
            p.edit("datasets/silver/orders.yaml", "sequence_by:", &format!("{TRUNCATES}sequence_by:"));
        }
        if feeds {
            p.edit("datasets/silver/orders.yaml", "sequence_by:", "change_feed: true, sequence_by:");
        }
        std::fs::remove_file(p.path("landing/orders/1.csv")).expect("removed");
        std::fs::remove_file(p.path("landing/orders/2.csv")).expect("removed");
        let mut rest = &changes[..];
        let mut file = 0;
        while !rest.is_empty() {
            for _ in 0..=random.below(3) {
                let (now, later) = rest.split_at(rest.len().min(1 + usize::try_from(random.below(40)).expect("small")));
                rest = later;
                file += 1;
                if !now.is_empty() {
                    // Names are no help: they do not tell the order.
                    p.put(&format!("landing/orders/{}-{file}.csv", random.below(1_000)), csv(now).as_bytes());
                }
            }
            p.done(&["run"]);
            equal_their_queries(&p, *seed);
        }
        for name in ["top", "sums", "kinds"] {
            assert!(p.path(&format!("lake/dev/gold/{name}/_groups")).is_dir(), "gold.{name} is not kept by its groups");
        }
        let orders = lines(&p, &["id", "customer", "day", "amount", "op", "changed"], "silver.orders");
        assert_eq!(orders, expected.0, "seed {seed}");
        assert_eq!(lines(&p, &["day", "orders", "amount"], "gold.daily"), expected.1, "seed {seed}");
        let received = balances(&p)["silver.orders"][0];
        assert_eq!(received, changes.len() as u64, "seed {seed}");
        if feeds {
            readers_agree(&p);
        }
    });
}

#[test]
fn a_rebuild_gives_what_the_increments_gave() {
    let changes = history(&mut Random(4_242), 14);
    let expected = expected(&changes);
    let p = Project::new(MARKET);
    std::fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    for (i, part) in changes.chunks(30).enumerate() {
        p.put(&format!("landing/orders/{i}.csv"), csv(part).as_bytes());
        p.done(&["run"]);
    }
    p.done(&["run", "--rebuild", "silver.orders"]);
    assert_eq!(lines(&p, &["id", "customer", "day", "amount", "op", "changed"], "silver.orders"), expected.0);
    assert_eq!(lines(&p, &["day", "orders", "amount"], "gold.daily"), expected.1);
    // A key that was deleted before the rebuild stays deleted for what comes late.
    let deleted =
        (0..14).find(|id| !expected.0.iter().any(|l| l.starts_with(&format!("{id}|")))).expect("a deleted key");
    p.put("landing/orders/late.csv", format!("{ORDERS_HEAD}{deleted},c1,2024-01-01,1,U,0\n").as_bytes());
    p.done(&["run"]);
    assert_eq!(lines(&p, &["id", "customer", "day", "amount", "op", "changed"], "silver.orders"), expected.0);
}

#[test]
fn a_rebuild_under_another_definition_gives_a_table_made_from_scratch() {
    let redefine = |p: &Project| {
        p.edit("contracts/orders.odcs.yaml", "minimum: 0", "minimum: 8");
        p.edit("datasets/silver/orders.yaml", "delete_when: \"op = 'D'\"", "delete_when: \"op = 'X'\"");
    };
    let p = Project::new(MARKET);
    p.done(&["run"]);
    put_all(&p, MORE);
    p.done(&["run"]);
    let before = rows(&p);
    redefine(&p);
    p.done(&["run", "--rebuild", "silver.orders"]);
    let anew = Project::new(MARKET);
    redefine(&anew);
    put_all(&anew, MORE);
    anew.done(&["run"]);
    let (replayed, expected) = (rows(&p), rows(&anew));
    for table in ["silver.orders", "quarantine.silver_orders", "gold.daily", "gold.best"] {
        assert_eq!(replayed.get(table), expected.get(table), "{table}");
        assert_ne!(replayed.get(table), before.get(table), "{table} follows the definition");
    }
}

#[test]
fn of_repeated_rows_the_first_stays_though_several_threads_read_them() {
    let bronze = "source: { files: landing/, glob: \"*.csv\", settle: 0s }\n";
    let contract = "apiVersion: v3.1.0
kind: DataContract
id: readings
name: readings
version: 1.0.0
status: active
schema:
  - name: readings
    properties:
      - { name: id, logicalType: integer, unique: true, required: true }
";
    let p = Project::new(&[("alluvium.yaml", "name: readings\n"), ("datasets/bronze/readings.yaml", bronze)]);
    let ids: String = (0..20_000).map(|i| format!("{i}\n")).collect();
    for file in 0..6 {
        // Of another content each, since the same file twice is taken once.
        p.put(&format!("landing/{file}.csv"), format!("id\n{}\n{ids}", 100_000 + file).as_bytes());
        p.done(&["run"]);
    }
    p.put("contracts/readings.odcs.yaml", contract.as_bytes());
    p.put("datasets/silver/readings.yaml", b"from: bronze.readings\ncontract: readings\n");
    p.done(&["run"]);
    let files = "SELECT count(DISTINCT _event_id) FROM silver.readings WHERE id < 100000";
    assert_eq!(p.cell(files), 1, "the file that came first has all that stay");
    assert_eq!(balances(&p)["silver.readings"][..3], [120_006, 20_006, 100_000]);
    let first = "SELECT _event_id FROM silver.readings WHERE id = 1";
    let was = p.cell(first);
    p.done(&["run", "--rebuild", "silver.readings"]);
    assert_eq!((p.cell(files), p.cell(first)), (1.into(), was));
}
