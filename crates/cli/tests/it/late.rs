//! Watermarks: what counts as late, what becomes of it, and that nothing but the order of arrival decides it.

use crate::{
    harness::{Project, Ran},
    market::{copied, killed_at, two_at_a_time},
};
use serde_json::{Value, json};

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - { name: id, logicalType: integer, required: true }
      - { name: placed_at, logicalType: timestamp, required: true }
      - { name: amount, logicalType: integer, required: true }
";
const GOLD: &str = "/* window: { column: day, size: 1 day } */
SELECT CAST(placed_at AS DATE) AS day, count(*) AS orders, sum(amount) AS amount, max(amount) AS most
FROM silver.orders GROUP BY 1
";

/// Orders with this watermark. `{late}` is the policy.
fn shop(late: &str) -> Project {
    let silver = format!(
        "from: bronze.orders
contract: orders
steps: [validate]
watermark: {{ column: placed_at, allowed_lateness: 2 days, late: {late} }}
"
    );
    Project::new(&[
        ("alluvium.yaml", "name: shop\n"),
        ("datasets/bronze/orders.yaml", "source: { files: landing/, glob: \"*.csv\", settle: 0s }\n"),
        ("datasets/silver/orders.yaml", &silver),
        ("datasets/gold/days.sql", GOLD),
        ("contracts/orders.odcs.yaml", CONTRACT),
    ])
}

/// Orders with ids from `first`, one a time.
fn arrive(p: &Project, file: &str, first: usize, times: &[&str]) {
    let line = |(n, at): (usize, &&str)| format!("{},{at},{}\n", first + n, 10 * (first + n));
    let lines: String = times.iter().enumerate().map(line).collect();
    p.put(&format!("landing/{file}.csv"), format!("id,placed_at,amount\n{lines}").as_bytes());
}

fn run(p: &Project, file: &str, first: usize, times: &[&str]) -> Ran {
    arrive(p, file, first, times);
    p.done(&["run"])
}

fn ids(p: &Project) -> Vec<Value> {
    p.rows("SELECT id FROM silver.orders ORDER BY id").into_iter().map(|r| r["id"].clone()).collect()
}

/// Days with the sums of gold.
fn days(p: &Project) -> Vec<Value> {
    p.rows("SELECT CAST(day AS VARCHAR) AS day, orders, amount FROM gold.days ORDER BY day")
}

fn watermark(p: &Project) -> Value {
    let shown = p.json(&["show", "datasets"]);
    let line = shown.as_array().expect("datasets").iter().find(|l| l["dataset"] == "silver.orders");
    line.expect("a line")["watermark"].clone()
}

/// loaded, quarantined, late of the newest step of silver.
fn balance(p: &Project) -> [Value; 3] {
    let rows = p.rows(
        "SELECT loaded, quarantined, late FROM state.steps WHERE dataset = 'silver.orders' ORDER BY planned_at DESC LIMIT 1",
    );
    ["loaded", "quarantined", "late"].map(|c| rows[0][c].clone())
}

const TEN: &str = "2024-03-10T10:00:00Z";
const EIGHT: &str = "2024-03-08T10:00:00Z";
/// Two days and a second before `TEN`.
const LATE: &str = "2024-03-08T09:59:59Z";

#[test]
fn by_default_late_rows_recompute_exactly_the_windows_they_touch() {
    let p = shop("recompute");
    run(&p, "1", 1, &[TEN, EIGHT, LATE, "2024-03-01T00:00:00Z"]);
    assert_eq!(watermark(&p), "2024-03-10T10:00:00Z");
    arrive(&p, "2", 5, &["2024-03-01T23:00:00Z"]);
    let ran = p.json(&["run"]);
    let of = |name: &str| {
        let lines = ran["datasets"].as_array().expect("datasets");
        lines.iter().find(|d| d["dataset"] == name).expect("a line").clone()
    };
    assert_eq!(of("gold.days")["windows"], 1, "{ran:#}");
    let told = json!([{ "rule": "late:placed_at", "action": "recompute", "violations": 1 }]);
    assert_eq!(of("silver.orders")["rules"], told);
    assert_eq!(balance(&p), [json!(1), json!(0), json!(0)]);
    let steps = p.rows("SELECT finished_by FROM state.steps WHERE dataset = 'gold.days'");
    assert_eq!(steps.len(), 2);
    assert_eq!(days(&p)[0], json!({ "day": "2024-03-01", "orders": 2, "amount": 90 }));
    let judged = p.rows("SELECT action, checked, violations, passed FROM state.quality WHERE rule = 'late:placed_at'");
    assert_eq!(judged, [json!({ "action": "recompute", "checked": 1, "violations": 1, "passed": 0 })]);
    assert_eq!(watermark(&p), "2024-03-10T10:00:00Z", "it never moves back");
}

#[test]
fn late_rows_wait_in_quarantine_and_can_be_replayed() {
    let p = shop("quarantine");
    p.edit(
        "datasets/silver/orders.yaml",
        "steps: [validate]",
        "steps: [validate]\naccept: { invalid: { error_above: 0% } }",
    );
    // What comes together is not late beside itself.
    run(&p, "1", 1, &[TEN, LATE]);
    assert_eq!(ids(&p), [1, 2]);
    // The bound itself is in time. A late row is not invalid.
    run(&p, "2", 3, &[EIGHT, LATE, "2024-03-11T00:00:00Z"]);
    assert_eq!(ids(&p), [1, 2, 3, 5]);
    assert_eq!(balance(&p), [json!(2), json!(1), json!(0)]);
    let waiting = p.rows("SELECT record, reasons FROM quarantine.silver_orders");
    assert_eq!(waiting.len(), 1);
    let reason = json!([{
        "rule": "late:placed_at",
        "column": "placed_at",
        "value": "2024-03-08T09:59:59Z",
        "message": "is late: the watermark was 2024-03-10T10:00:00Z, 2d allowed",
    }]);
    assert_eq!(waiting[0]["reasons"], reason);
    let before = days(&p);
    p.done(&["replay", "quarantine", "silver.orders"]);
    assert_eq!(ids(&p), [1, 2, 3, 4, 5]);
    assert_eq!(p.cell("SELECT count(*) FROM quarantine.silver_orders"), 0);
    assert_eq!(before[0]["orders"], 2);
    assert_eq!(days(&p)[0]["orders"], 3, "and its day is computed again");
    assert_eq!(watermark(&p), "2024-03-11T00:00:00Z");
}

#[test]
fn late_rows_are_dropped_and_counted_and_a_rebuild_brings_them_back() {
    let p = shop("drop");
    run(&p, "1", 1, &[TEN]);
    run(&p, "2", 2, &[LATE, TEN]).said("late");
    assert_eq!(ids(&p), [1, 3]);
    assert_eq!(balance(&p), [json!(1), json!(0), json!(1)]);
    let unbalanced = "SELECT count(*) FROM state.steps
        WHERE received <> loaded + quarantined + dropped + dead + duplicates + late";
    assert_eq!(p.cell(unbalanced), 0);
    p.done(&["run", "--rebuild", "silver.orders"]).said("a rebuild judges no row late");
    assert_eq!(ids(&p), [1, 2, 3]);
    assert_eq!(watermark(&p), "2024-03-10T10:00:00Z", "it stays");
    run(&p, "3", 4, &[LATE]);
    assert_eq!(ids(&p), [1, 2, 3]);
}

#[test]
fn a_late_row_stops_the_step_where_it_must_not_come() {
    let p = shop("fail");
    run(&p, "1", 1, &[TEN]);
    arrive(&p, "2", 2, &[TEN, LATE]);
    for _ in 0..2 {
        let ran = p.alluvium(&["run"]);
        assert_eq!(ran.code, Some(1), "{ran}");
        ran.said("late:placed_at");
        assert_eq!(ids(&p), [1]);
    }
    p.edit("datasets/silver/orders.yaml", "late: fail", "late: quarantine");
    p.done(&["run", "--adopt", "silver.orders"]);
    assert_eq!(ids(&p), [1, 2]);
}

#[test]
fn a_time_after_its_arrival_does_not_move_the_watermark() {
    let p = shop("quarantine");
    let ran = run(&p, "1", 1, &[TEN, "2999-01-01T00:00:00Z"]);
    ran.said("rows whose `placed_at` lies after their arrival, which do not move the watermark: 1");
    assert_eq!(watermark(&p), "2024-03-10T10:00:00Z");
    run(&p, "2", 3, &[EIGHT]);
    assert_eq!(ids(&p), [1, 2, 3]);
}

/// A step is judged by the watermark that it was planned under, whoever executes it and when.
#[test]
fn a_crash_anywhere_judges_as_no_crash() {
    let start = shop("quarantine");
    run(&start, "1", 1, &[TEN]);
    let calm = copied(&start);
    arrive(&start, "2", 2, &["2024-03-20T00:00:00Z", LATE]);
    arrive(&calm, "2", 2, &["2024-03-20T00:00:00Z", LATE]);
    calm.done(&["run"]);
    arrive(&calm, "3", 4, &["2024-03-17T00:00:00Z", "2024-03-18T00:00:00Z"]);
    calm.done(&["run"]);
    assert_eq!(ids(&calm), [1, 2, 5]);
    let points = [
        "plan.after_record",
        "step.after_claim",
        "stage.after_file",
        "commit.before_main",
        "commit.after_main",
        "commit.before_follow",
        "commit.after_follow",
        "step.before_done",
        "step.after_done",
    ];
    two_at_a_time(&points, |point| {
        let mut killed = 0;
        // Bronze, silver, gold.
        for nth in 1..=3 {
            let p = copied(&start);
            killed += usize::from(killed_at(&p, &["run"], point, nth));
            // What comes now is planned after the step that was killed.
            p.done(&["run"]);
            arrive(&p, "3", 4, &["2024-03-17T00:00:00Z", "2024-03-18T00:00:00Z"]);
            p.done(&["run"]);
            assert_eq!(ids(&p), ids(&calm), "{point}:{nth}");
            assert_eq!(days(&p), days(&calm), "{point}:{nth}");
            assert_eq!(watermark(&p), watermark(&calm), "{point}:{nth}");
            let late = "SELECT record, reasons FROM quarantine.silver_orders ORDER BY record";
            assert_eq!(p.rows(late), calm.rows(late), "{point}:{nth}");
            let judged =
                "SELECT CAST(watermark AS VARCHAR) AS w FROM state.steps WHERE dataset = 'silver.orders' ORDER BY w";
            assert_eq!(p.rows(judged), calm.rows(judged), "{point}:{nth}");
        }
        assert!(killed > 0, "{point}");
    });
}

/// While late rows are loaded as all others, the watermark is no part of what decides a row.
#[test]
fn a_watermark_that_decides_nothing_holds_nothing() {
    let p = shop("recompute");
    p.edit("datasets/silver/orders.yaml", "watermark:", "# watermark:");
    run(&p, "1", 1, &[TEN]);
    assert_eq!(watermark(&p), Value::Null);
    p.edit("datasets/silver/orders.yaml", "# watermark:", "watermark:");
    run(&p, "2", 2, &[EIGHT]);
    assert_eq!(watermark(&p), "2024-03-08T10:00:00Z", "it begins with what comes from now on");
    p.edit("datasets/silver/orders.yaml", "late: recompute", "late: drop");
    arrive(&p, "3", 3, &["2024-01-01T00:00:00Z"]);
    assert_eq!(p.alluvium(&["run"]).code, Some(1), "another policy is another definition");
}

fn gaps(p: &Project, more: &[&str]) -> Vec<Value> {
    let all = p.json(&[&["show", "gaps"], more].concat()).as_array().expect("a list").clone();
    let told = |g: &Value| json!([g["dataset"], g["from"], g["to"], g["windows"], g["state"]]);
    all.iter().map(told).collect()
}

/// A day is closed when what comes for it would be late: two days after it.
#[test]
fn windows_that_are_missing_are_told_and_which_of_them_are_closed() {
    let p = shop("recompute");
    assert_eq!(gaps(&p, &[]), Vec::<Value>::new(), "there is no table yet");
    let days = ["2024-03-02T08:00:00Z", "2024-03-03T23:59:59Z", "2024-03-07T00:00:00Z", "2024-03-09T10:00:00Z"];
    run(&p, "a", 0, &days);
    let gap = |of: &str, from: &str, to: &str, windows: u64, state: Option<&str>| {
        json!([of, format!("2024-03-{from}T00:00:00Z"), format!("2024-03-{to}T00:00:00Z"), windows, state])
    };
    let gold = [gap("gold.days", "04", "07", 3, Some("closed")), gap("gold.days", "08", "09", 1, Some("open"))];
    assert_eq!(gaps(&p, &[]), gold);
    // Silver has windows where its contract agrees on new data that often, or a person says how long they are.
    assert_eq!(gaps(&p, &["silver.orders"]), Vec::<Value>::new());
    p.done(&["show", "gaps", "silver.orders"]).said("silver.orders has no windows");
    let silver: Vec<_> = gold
        .iter()
        .map(|g| {
            let mut g = g.clone();
            g[0] = "silver.orders".into();
            g
        })
        .collect();
    assert_eq!(gaps(&p, &["silver.orders", "--window", "1 day"]), silver);
    p.edit(
        "contracts/orders.odcs.yaml",
        "schema:",
        "slaProperties: [ { property: frequency, value: 1, unit: d } ]\nschema:",
    );
    assert_eq!(gaps(&p, &["silver.orders"]), silver);
    assert_eq!(gaps(&p, &[]), [silver, gold.to_vec()].concat());
    // What comes for a window closes its gap, however late it is.
    run(&p, "b", 10, &["2024-03-05T00:00:00Z"]);
    let found = gaps(&p, &["gold.days"]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(
        found[..2],
        [gap("gold.days", "04", "05", 1, Some("closed")), gap("gold.days", "06", "07", 1, Some("closed"))]
    );
    // Very many windows are one gap.
    let found = gaps(&p, &["silver.orders", "--window", "1ms"]);
    assert!(found.len() < 20 && found.iter().any(|g| g[3].as_u64().is_some_and(|n| n > 1_000_000)), "{found:#?}");
    // A time may lie anywhere in the calendar.
    run(&p, "c", 20, &["9999-12-30T10:00:00Z", "1969-12-31T23:00:00Z"]);
    let found = gaps(&p, &["gold.days"]);
    let begins = |from: &str, to: &str| found.iter().any(|g| (&g[1], &g[2]) == (&json!(from), &json!(to)));
    assert!(begins("1970-01-01T00:00:00Z", "2024-03-02T00:00:00Z"), "{found:#?}");
    assert!(begins("2024-03-10T00:00:00Z", "9999-12-30T00:00:00Z"), "{found:#?}");
}

/// The rows are of years ago, so each time is long enough.
#[test]
fn a_source_that_is_idle_holds_no_window_open() {
    let p = shop("recompute");
    p.edit("datasets/silver/orders.yaml", "allowed_lateness: 2 days", "lateness: 2 days, idle_timeout: 1ms");
    run(&p, "a", 0, &["2020-03-02T08:00:00Z", "2020-03-04T10:00:00Z"]);
    let found = gaps(&p, &["gold.days"]);
    assert_eq!(
        found[0],
        json!(["gold.days", "2020-03-03T00:00:00Z", "2020-03-04T00:00:00Z", 1, "closed"]),
        "{found:#?}"
    );
    // From the newest row up to the days that are still in time.
    assert_eq!((&found[1][1], &found[1][4]), (&json!("2020-03-05T00:00:00Z"), &json!("closed")), "{found:#?}");
    assert!(found[1][3].as_u64().is_some_and(|days| days > 2_000), "{found:#?}");
    // It waits as long as it is told.
    p.edit("datasets/silver/orders.yaml", "idle_timeout: 1ms", "idle_timeout: 1000 days");
    let found = gaps(&p, &["gold.days"]);
    assert_eq!(found, [json!(["gold.days", "2020-03-03T00:00:00Z", "2020-03-04T00:00:00Z", 1, "open"])]);
}
