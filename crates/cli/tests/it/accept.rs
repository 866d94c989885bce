//! Each criterion of `accept`, in each layer: what is within its levels is published, what is beyond is held, and the sentence has the figures.

use crate::{
    harness::{Project, Ran, python},
    market::copied,
    serving::Serving,
};
use std::time::Duration;

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: shop.sales
name: sales
version: 1.0.0
status: active
schema:
  - name: sales
    properties:
      - { name: id, logicalType: integer, required: true }
      - { name: region, logicalType: string }
      - { name: amount, logicalType: number }
      - { name: at, logicalType: timestamp }
";
const BRONZE: &str = "source: { files: landing/, glob: \"*.csv\", settle: 0s }\n";
const SILVER: &str = "from: bronze.sales
contract: sales
steps: [ { normalize: { null_if: [\"\"] } }, validate ]
write: append
";
const GOLD: &str = "SELECT region, sum(amount) AS total, count(*) AS sales FROM silver.sales GROUP BY region\n";
const DAYS: &str = "SELECT CAST(at AS DATE) AS day, count(*) AS sales FROM silver.sales GROUP BY 1\n";
const HEAD: &str = "id,region,amount,at\n";

/// Ten sales, five in each region, with amounts around ten; `change` makes one otherwise.
fn sales(first: u32, change: impl Fn(u32, &mut [String; 3])) -> String {
    let mut text = HEAD.to_owned();
    for i in 0..10 {
        let region = if i % 2 == 0 { "north" } else { "south" };
        let day = if i < 5 { 1 } else { 2 };
        let mut row = [region.to_owned(), (6 + i).to_string(), format!("2024-11-0{day}T10:00:00Z")];
        change(i, &mut row);
        text.push_str(&format!("{},{}\n", first + i, row.join(",")));
    }
    text
}

/// A shop whose first ten sales are there.
fn shop() -> Project {
    let p = Project::new(&[
        ("alluvium.yaml", "name: shop\n"),
        ("contracts/sales.odcs.yaml", CONTRACT),
        ("datasets/bronze/sales.yaml", BRONZE),
        ("datasets/silver/sales.yaml", SILVER),
        ("datasets/gold/regions.sql", GOLD),
    ]);
    p.put("landing/1.csv", sales(0, |_, _| {}).as_bytes());
    p.done(&["run"]);
    p
}

fn accept(p: &Project, layer: &str, criteria: &str) {
    match layer {
        "bronze" => p.put("datasets/bronze/sales.yaml", format!("{BRONZE}accept: {criteria}\n").as_bytes()),
        "silver" => p.put("datasets/silver/sales.yaml", format!("{SILVER}accept: {criteria}\n").as_bytes()),
        _ => p.put("datasets/gold/regions.sql", format!("/* accept: {criteria} */ {GOLD}").as_bytes()),
    }
}

#[track_caller]
fn holds(p: &Project, what: &str) -> Ran {
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{what}: {ran}");
    ran
}

type Change = fn(u32, &mut [String; 3]);

fn one_is_dear(i: u32, row: &mut [String; 3]) {
    if i == 3 {
        row[1] = "900".to_owned();
    }
}

/// Criteria, a batch that breaks them, and what is said of it.
const CASES: &[(&str, &str, Change, &str)] = &[
    (
        "silver",
        "{ columns: { amount: { nulls: { error_above: 10% } } } }",
        |i, row| {
            if i < 5 {
                row[1].clear()
            }
        },
        "50.00 % of 10 rows have no `amount`, above 10.00 %",
    ),
    (
        "silver",
        "{ columns: { region: { distinct: { error_below: 2 } } } }",
        |_, row| row[0] = "north".to_owned(),
        "10 rows have 1 different `region`, below 2",
    ),
    (
        "silver",
        "{ columns: { amount: { min: { error_below: 0 } } } }",
        |i, row| {
            if i == 3 {
                row[1] = "-2.5".to_owned()
            }
        },
        "the least `amount` of 10 rows is -2.5, below 0",
    ),
    (
        "bronze",
        "{ columns: { amount: { max: { error_above: 100 } } } }",
        one_is_dear,
        "the greatest `amount` of 10 rows is 900, above 100",
    ),
    (
        "silver",
        "{ columns: { amount: { sum: { error_above: 200 } } } }",
        one_is_dear,
        "the sum of `amount` of 10 rows is 996, above 200",
    ),
    (
        "silver",
        "{ columns: { amount: { mean: { error_above: 20 } } } }",
        one_is_dear,
        "the mean of `amount` of 10 rows is 99.6, above 20",
    ),
    (
        "silver",
        "{ columns: { amount: { percentiles: { 90: { error_above: 15 } } } } }",
        |i, row| {
            if i > 7 {
                row[1] = "16".to_owned()
            }
        },
        "percentile 90 of `amount` of 10 rows is 16, above 15",
    ),
    (
        "silver",
        "{ by: { column: region, columns: { amount: { mean: { error_above: 100 } } } } }",
        one_is_dear,
        "in `region` south: the mean of `amount` of 5 rows is 189.2, above 100",
    ),
    (
        "silver",
        "{ by: { column: at, size: 1 day, rows: { error_below: 3 } } }",
        |i, row| {
            if i < 9 {
                row[2] = "2024-11-03T10:00:00Z".to_owned()
            }
        },
        "in `at` 2024-11-02T00:00:00: 1 rows, below 3",
    ),
    (
        "silver",
        "{ by: [ { column: region, rows: { error_below: 4 } } ] }",
        |i, row| {
            if i < 3 {
                row[0].clear();
            }
        },
        "in `region` north: 3 rows, below 4; without `region`: 3 rows, below 4",
    ),
    (
        "silver",
        "{ distribution: { amount: { psi: { error_above: 0.25 }, min_rows: 10 } } }",
        |i, row| row[1] = (100 + i).to_string(),
        "`amount` of 10 rows has PSI 8.283 against ",
    ),
    (
        "bronze",
        "{ distribution: { amount: { ks: { error_above: 30% }, min_rows: 10 } } }",
        |i, row| row[1] = (11 + i).to_string(),
        "`amount` of 10 rows has KS 50.00 % against ",
    ),
    (
        "gold",
        "{ columns: { total: { max: { error_above: 300 } } } }",
        one_is_dear,
        "the greatest `total` of 2 rows is 1056, above 300",
    ),
];

#[test]
fn what_is_beyond_is_held_and_what_is_within_is_not() {
    let start = shop();
    for (layer, criteria, change, said) in CASES {
        let p = copied(&start);
        accept(&p, layer, criteria);
        p.put("landing/2.csv", sales(100, |_, _| {}).as_bytes());
        p.done(&["run"]);
        let table = if *layer == "gold" { "gold.regions".to_owned() } else { format!("{layer}.sales") };
        let before = p.versions()[&table];
        p.put("landing/3.csv", sales(200, change).as_bytes());
        holds(&p, criteria).said(said);
        assert_eq!(p.versions()[&table], before, "{criteria}");
        assert!(p.json(&["show", "held"])[0]["breaches"][0].as_str().is_some_and(|b| b.contains(said)), "{criteria}");
        // The same rows give the same sentence, so that what was looked at is what is released.
        p.done(&["release", &table]).said(&format!("done {table}"));
        // A level that warns publishes, and tells.
        let p = copied(&start);
        accept(&p, layer, &criteria.replace("error_", "warn_"));
        p.put("landing/3.csv", sales(200, change).as_bytes());
        p.done(&["run"]).said(if *layer == "gold" {
            "the greatest `total` of 2 rows is 1001, above 300"
        } else {
            said
        });
    }
}

#[test]
fn windows_that_are_computed_anew_are_judged_without_those_beside_them() {
    let p = shop();
    let days = "/*
window: { column: day, size: 1 day }
accept: { columns: { total: { mean: { error_above: 600 } } } }
*/
SELECT CAST(at AS DATE) AS day, sum(amount) AS total FROM silver.sales GROUP BY 1
";
    p.put("datasets/gold/days.sql", days.as_bytes());
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM gold.days"), 2, "both in one file");
    let change: Change = |i, row| {
        row[2] = "2024-11-02T10:00:00Z".to_owned();
        one_is_dear(i, row);
    };
    p.put("landing/2.csv", sales(100, change).as_bytes());
    // With the first day, whose rows are written once more, it would be 550.5.
    holds(&p, "one window").said("the mean of `total` of 1 rows is 1061, above 600");
}

#[test]
fn control_files_are_not_loaded_whatever_the_pattern() {
    let bronze = BRONZE.replace("*.csv", "*");
    let bronze = format!("{bronze}accept: {{ totals: {{ error_above: 0 }} }}\n");
    let p = Project::new(&[("alluvium.yaml", "name: shop\n"), ("datasets/bronze/sales.yaml", &bronze)]);
    p.put("landing/2.csv.ctl", b"rows: 10\n");
    p.put("landing/2.csv", sales(100, |_, _| {}).as_bytes());
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.sales"), 10);
    assert_eq!(p.cell("SELECT count(*) FROM state.events WHERE path LIKE '%.ctl'"), 0);
}

#[test]
fn a_reference_is_the_newest_part_of_the_table() {
    let p = shop();
    p.put(
        "landing/2.csv",
        sales(100, |i, row| *row = [row[0].clone(), (100 + i).to_string(), "2020-01-01".to_owned()]).as_bytes(),
    );
    p.done(&["run"]);
    let shape = |reference: &str| {
        format!("{{ distribution: {{ amount: {{ psi: {{ error_above: 1 }}, min_rows: 10{reference} }} }} }}")
    };
    accept(&p, "silver", &shape(", reference: { column: at, size: 5 days }"));
    p.put("landing/3.csv", sales(200, |i, row| row[1] = (100 + i).to_string()).as_bytes());
    holds(&p, "newer rows").said("`amount` of 10 rows has PSI 8.283 against 10 rows of the table, above 1");
    // All of the table has such amounts, too.
    accept(&p, "silver", &shape(""));
    let all = p.alluvium(&["replay", "dead-letters", "--dataset", "silver.sales"]);
    all.said("`amount` of 10 rows has PSI 3.797 against 20 rows of the table, above 1");
}

#[test]
fn what_cannot_be_measured_holds() {
    let p = shop();
    accept(
        &p,
        "bronze",
        "{ columns: { amuont: { max: { error_above: 1 } }, _received_at: { mean: { error_above: 1 } } } }",
    );
    p.put("landing/2.csv", sales(100, |_, _| {}).as_bytes());
    let ran = holds(&p, "no column");
    ran.said("accept:max(amuont) cannot be measured: there is no column `amuont`");
    ran.said("accept:mean(_received_at) cannot be measured: `_received_at` is Timestamp");
    accept(&p, "bronze", "{ columns: { amuont: { max: { warn_above: 1 } } } }");
    p.done(&["replay", "dead-letters"]).said("there is no column `amuont`");
    accept(&p, "silver", "{ by: { column: id, rows: { error_below: 1 } } }");
    let many: String = (1000..2001).map(|id| format!("{id},north,1,2024-11-02\n")).collect();
    p.put("landing/3.csv", format!("{HEAD}{many}").as_bytes());
    holds(&p, "too many parts").said("more than 1000 different `id`: too many to judge each");
}

#[test]
fn every_figure_is_kept_as_a_result() {
    let p = shop();
    accept(
        &p,
        "silver",
        "{ columns: { amount: { mean: { error_above: 20 } }, region: { nulls: { warn_above: 0 } } } }",
    );
    p.put(
        "landing/2.csv",
        sales(100, |i, row| {
            if i == 0 {
                row[0].clear()
            }
        })
        .as_bytes(),
    );
    p.done(&["run"]);
    let told = p.json(&[
        "query",
        "SELECT rule, checked, violations, passed, note FROM state.quality WHERE rule LIKE 'accept:%' ORDER BY rule",
    ]);
    let expected = serde_json::json!([
        { "rule": "accept:mean(amount)", "checked": 10, "violations": 0, "passed": 1,
          "note": "the mean of `amount` of 10 rows is 10.5" },
        { "rule": "accept:nulls(region)", "checked": 10, "violations": 1, "passed": 0,
          "note": "10.00 % of 10 rows have no `region`, above 0.00 %" },
    ]);
    assert_eq!(told, expected);
}

/// Its figures are kept although it is held, and those of what is published are what the next is compared with.
#[test]
fn figures_are_compared_with_those_of_the_commits_before() {
    let p = shop();
    let criteria = "{ columns: { region: { distinct: { of_last: 3, error_below: 60% } }, amount: { sum: { of_last: 3, warn_above: 150% } } } }";
    accept(&p, "silver", criteria);
    for n in 1..4 {
        p.put(&format!("landing/{}.csv", n + 1), sales(n * 100, |_, _| {}).as_bytes());
        // The first commits have nothing to be compared with.
        let ran = p.done(&["run"]);
        assert!(!ran.stdout.contains("median") && !ran.stderr.contains("median"), "{ran}");
    }
    p.put("landing/5.csv", sales(400, |_, row| row[1] = "21".to_owned()).as_bytes());
    p.done(&["run"])
        .said("the sum of `amount` of 10 rows is 210, 200 % of 105, the median of the last 3 commits, above 150 %");
    p.put("landing/6.csv", sales(500, |_, row| row[0] = "north".to_owned()).as_bytes());
    let sentence = "10 rows have 1 different `region`, 50 % of 2, the median of the last 3 commits, below 60 %";
    holds(&p, "a region is lost").said(sentence);
    let held = "SELECT note FROM state.quality q JOIN state.steps s ON q.step = s.step
                WHERE s.state = 'dead' AND q.rule LIKE 'accept:%' ORDER BY q.rule";
    let told: Vec<_> = p.rows(held).iter().map(|r| r["note"].as_str().expect("a note").to_owned()).collect();
    assert_eq!(told[0], sentence);
    assert!(told.len() == 2 && told[1].contains("100 % of 105"), "{told:?}");
    p.done(&["release", "silver.sales"]);
    assert!(p.rows(held).is_empty());
    let kept = p.rows("SELECT step FROM state.quality WHERE rule = 'accept:distinct(region)'");
    assert_eq!(kept.len(), 5, "one of each step");
}

#[test]
fn each_part_is_compared_with_what_it_was_in_the_commits_before() {
    let p = shop();
    let criteria = "{ by: { column: region, rows: { of_last: 3, error_below: 50% }, columns: { amount: { mean: { of_last: 3, warn_above: 150% } } } } }";
    accept(&p, "silver", criteria);
    for n in 1..4 {
        p.put(&format!("landing/{}.csv", n + 1), sales(n * 100, |_, _| {}).as_bytes());
        let ran = p.done(&["run"]);
        assert!(!ran.stdout.contains("median") && !ran.stderr.contains("median"), "{ran}");
    }
    // In the whole nothing is unusual: what the south has more the north has less.
    let dearer = |i: u32, row: &mut [String; 3]| row[1] = (if i.is_multiple_of(2) { 4 } else { 20 }).to_string();
    p.put("landing/5.csv", sales(400, dearer).as_bytes());
    p.done(&["run"]).said("in `region` south: the mean of `amount` of 5 rows is 20, 182 % of 11, the median of the last 3 commits, above 150 %");
    let south = |i: u32, row: &mut [String; 3]| row[0] = (if i < 2 { "north" } else { "south" }).to_owned();
    p.put("landing/6.csv", sales(500, south).as_bytes());
    holds(&p, "most of the north is lost")
        .said("in `region` north: 2 rows, 40 % of 5, the median of the last 3 commits, below 50 %");
    // A region that is new has nothing to be compared with.
    p.done(&["drop", "held", "silver.sales"]);
    let west = |i: u32, row: &mut [String; 3]| {
        if i == 9 {
            row[0] = "west".to_owned()
        }
    };
    p.put("landing/7.csv", sales(600, west).as_bytes());
    p.done(&["run"]);
}

#[test]
fn a_span_of_time_may_lie_anywhere_in_the_calendar() {
    let p = shop();
    accept(&p, "silver", "{ by: { column: at, size: 1 day, rows: { error_above: 3 } } }");
    let at = ["9999-12-30T10:00:00Z", "0001-01-01T10:00:00Z", "1969-12-31T23:00:00Z", "1969-12-30T00:00:00Z"];
    let anywhere = |i: u32, row: &mut [String; 3]| row[2] = at[i as usize % at.len()].to_owned();
    p.put("landing/2.csv", sales(100, anywhere).as_bytes());
    p.done(&["run"]);
    let long_ago = |_: u32, row: &mut [String; 3]| row[2] = at[2].to_owned();
    p.put("landing/3.csv", sales(200, long_ago).as_bytes());
    holds(&p, "too many on one day").said("in `at` 1969-12-31T00:00:00: 10 rows, above 3");
}

#[test]
fn figures_and_the_rows_of_gold_are_watched_by_their_own_history() {
    let p = shop();
    accept(&p, "silver", "{ columns: { amount: { mean: { error_above: 1000000 } } } }");
    p.put("datasets/gold/days.sql", format!("/* window: {{ column: day, size: 1 day }} */ {DAYS}").as_bytes());
    p.put("landing/2.csv", sales(100, |_, _| {}).as_bytes());
    p.done(&["run"]);
    let measured =
        p.rows("SELECT dataset, note, figure FROM state.quality WHERE rule LIKE 'measured:%' ORDER BY dataset, note");
    let days = serde_json::json!({ "dataset": "gold.days", "note": "2 rows in 2 windows, 1 in each", "figure": 1.0 });
    let regions = serde_json::json!({ "dataset": "gold.regions", "note": "the table has 2 rows", "figure": 2.0 });
    assert_eq!(measured, [days, regions.clone(), regions]);
    p.done(&["show", "anomalies"]).said("nothing is unusual");
    python("tests/past.py", &[p.path(".alluvium/dev.db").as_os_str()]);
    let found = p.json(&["show", "anomalies"]);
    let told = |dataset: &str, measure: &str| {
        let all = found.as_array().expect("a list").iter();
        let kinds: Vec<_> =
            all.filter(|a| a["dataset"] == dataset && a["measure"] == measure).map(|a| &a["kind"]).collect();
        assert_eq!(kinds, ["drop"], "{dataset} {measure}: {found:#}");
    };
    told("silver.sales", "mean(amount)");
    told("gold.days", "rows_per_window");
    told("gold.regions", "rows");
    p.put("landing/3.csv", sales(200, |_, _| {}).as_bytes());
    let ran = p.done(&["run"]);
    ran.said("note silver.sales: unusual: drop of mean(amount) on");
    ran.said("note gold.regions: unusual: drop of rows against the day before on");
}

#[test]
fn an_object_has_to_have_what_its_control_file_tells() {
    let p = shop();
    accept(&p, "bronze", "{ totals: { error_above: 0 } }");
    p.put("landing/2.csv.ctl", b"# of the till\nrows: 10\nsum(amount): 105.00\n");
    p.put("landing/2.csv", sales(100, |_, _| {}).as_bytes());
    p.done(&["run"]);
    p.put(
        "landing/3.csv",
        sales(200, |i, row| {
            if i == 0 {
                row[1] = "7.5".to_owned()
            }
        })
        .as_bytes(),
    );
    holds(&p, "no control file").said("`3.csv.ctl` is not there; bring it");
    p.put("landing/3.csv.ctl", b"rows: 12\nsum(amount): 106.5\n");
    let replay = ["replay", "dead-letters", "--dataset", "bronze.sales"];
    let ran = p.alluvium(&replay);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("3.csv: 10 rows are loaded, and its sender tells 12, 16.67 % off, above 0.00 %");
    p.put("landing/3.csv.ctl", b"rows: 10\nsum(amount): 106.75\n");
    p.alluvium(&replay).said("the sum of `amount` is 106.5, and its sender tells 106.75, 0.23 % off");
    p.put("landing/3.csv.ctl", b"rows: 10\nsum(amount): 106.5\n");
    p.done(&replay).said("done bronze.sales");
    assert_eq!(p.cell("SELECT count(*) FROM bronze.sales"), 30);
}

#[test]
fn old_rows_are_held_and_old_rows_beside_new_ones_are_not() {
    let p = shop();
    accept(&p, "silver", "{ freshness: { column: at, warn_after: 1 hour, error_after: 1 day } }");
    p.put("landing/2.csv", sales(100, |_, row| row[2] = "2020-01-01T00:00:00Z".to_owned()).as_bytes());
    // The newest is that of the table, which has been there before.
    holds(&p, "old rows").said("the newest `at` is 2024-11-02T10:00:00Z, more than 1d ago");
    p.done(&["release", "silver.sales"]);
    // A run to which nothing comes tells it, too.
    p.done(&["run"]).said("stale silver.sales: its newest `at` is 2024-11-02");
    let stale = p.json(&["run"])["details"]["stale"][0].clone();
    assert_eq!(stale["dataset"], "silver.sales", "{stale}");
    assert_eq!(stale["after"], "1d", "{stale}");
    p.put("landing/3.csv", sales(200, |_, row| row[2] = "2999-01-01T00:00:00Z".to_owned()).as_bytes());
    p.done(&["run"]);
    p.put("landing/4.csv", sales(300, |_, row| row[2] = "2020-01-01T00:00:00Z".to_owned()).as_bytes());
    p.done(&["run"]);
}

#[test]
fn a_row_that_is_gone_is_not_the_newest() {
    let p = shop();
    let upsert = SILVER.replace("write: append", "write: { keys: [id], delete_when: \"region = 'gone'\" }");
    let limits = "accept: { freshness: { column: at, error_after: 1 day } }";
    p.put("datasets/silver/sales.yaml", format!("{upsert}{limits}\n").as_bytes());
    p.put(
        "landing/2.csv",
        format!("{HEAD}100,north,1,2999-01-01T00:00:00Z\n101,north,1,2020-01-01T00:00:00Z\n").as_bytes(),
    );
    p.done(&["run", "--rebuild", "silver.sales"]);
    p.put("landing/3.csv", format!("{HEAD}200,north,1,2020-01-01T00:00:00Z\n").as_bytes());
    p.done(&["run"]);
    p.put(
        "landing/4.csv",
        format!("{HEAD}100,gone,1,2020-01-01T00:00:00Z\n201,north,1,2020-01-01T00:00:00Z\n").as_bytes(),
    );
    holds(&p, "the newest is gone").said("the newest `at` is 2024-11-02T10:00:00Z, more than 1d ago");
}

#[test]
fn a_service_tells_when_nothing_comes() {
    let p = shop();
    p.edit("alluvium.yaml", "name: ", "sinks: { out: { files: out/ } }\nalerts: out\nname: ");
    accept(&p, "bronze", "{ freshness: { column: _received_at, warn_after: 12s } }");
    let serving = Serving::start(&p, &[]);
    serving.wait_for("stale bronze.sales: its newest `_received_at` is");
    // Where what comes is old before anybody looks, more has to come.
    let is_fresh = (0..9).any(|n| {
        p.put(&format!("landing/{}.csv", 2 + n), sales(100 * (n + 1), |_, _| {}).as_bytes());
        serving.says_within(Duration::from_secs(12), "bronze.sales: fresh again")
    });
    assert!(is_fresh, "what comes is never fresh");
    serving.wait_for("alert over: bronze.sales");
    serving.wait_for("stale bronze.sales");
    assert_eq!(serving.stop().code, Some(0));
    let all = p.json(&["show", "alerts"]);
    let all = all.as_array().expect("a list");
    assert!(!all.is_empty() && all.iter().all(|a| a["kind"] == "stale" && a["code"] == "F0185"), "{all:?}");
    assert!(all.iter().any(|a| a["state"] == "resolved"), "{all:?}");
}
