//! The shipped examples, against figures that an independent engine computed from the same files.

use crate::harness::{Project, readers_agree, repository};
use serde_json::Value;
use std::{fs, path::Path};

/// Both sides are sums or means of floating point numbers, added in different orders.
const CLOSE: f64 = 1e-6;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "lake" {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn example(name: &str) -> (Project, Value) {
    let project = Project::new(&[]);
    copy(&repository().join("examples").join(name), project.root());
    let expected = fs::read_to_string(project.path("expected.json")).expect("figures");
    (project, serde_json::from_str(&expected).expect("JSON"))
}

fn number(v: &Value) -> f64 {
    v.as_f64().or_else(|| v.as_str()?.parse().ok()).unwrap_or(f64::NAN)
}

#[track_caller]
fn same(what: &str, got: &Value, want: &Value) {
    let (g, w) = (number(got), number(want));
    let equal = got == want || (g - w).abs() <= CLOSE * w.abs().max(1.0);
    assert!(equal, "{what}: {got} is not {want}");
}

/// Every sampled row of `want` is in the table, found by its text and whole number columns.
#[track_caller]
fn samples(project: &Project, table: &str, want: &Value) {
    for row in want.as_array().expect("rows") {
        let row = row.as_object().expect("a row");
        let key = |v: &Value| v.is_string();
        let condition: Vec<String> = row
            .iter()
            .filter(|(_, v)| key(v))
            .map(|(k, v)| format!("{k} = '{}'", v.as_str().unwrap_or_default().replace('\'', "''")))
            .collect();
        let found = project.rows(&format!("SELECT * FROM {table} WHERE {}", condition.join(" AND ")));
        assert_eq!(found.len(), 1, "{table}: {condition:?}");
        for (column, value) in row.iter().filter(|(_, v)| !key(v)) {
            same(&format!("{table}.{column} of {condition:?}"), &found[0][column], value);
        }
    }
}

fn flights_stand(project: &Project, want: &Value) {
    for (name, rows) in want["silver"].as_object().expect("counts") {
        same(name, &project.cell(&format!("SELECT count(*) FROM silver.{name}")), rows);
    }
    let sums = "SELECT count(*) AS rows, sum(distance) AS distance, sum(air_time) AS air_time, sum(dep_delay) AS dep_delay,
        sum(arr_delay) AS arr_delay, count(*) - count(dep_time) AS dep_time_null, count(*) - count(arr_time) AS arr_time_null,
        count(*) - count(tailnum) AS tailnum_null, count(DISTINCT carrier) AS carriers FROM silver.flights";
    let got = project.rows(sums);
    for (column, value) in got[0].as_object().expect("a row") {
        same(column, value, &want["silver_flights"][column]);
    }
    for gold in ["daily_delays", "hourly_delays"] {
        let w = &want["gold"][gold];
        let got = project.rows(&format!(
            "SELECT count(*) AS rows, sum(flights) AS flights, sum(cancelled) AS cancelled,
             sum(mean_delay) AS sum_of_mean_delay FROM gold.{gold}"
        ));
        for (column, value) in got[0].as_object().expect("a row") {
            same(&format!("{gold}.{column}"), value, &w[column]);
        }
        samples(project, &format!("gold.{gold}"), &w["samples"]);
    }
    for gold in ["airline_punctuality", "weather_delays"] {
        samples(project, &format!("gold.{gold}"), &want["gold"][gold]);
    }
}

#[test]
fn flights_equal_an_independent_engine_and_a_replay_lands_the_missing_ones_once() {
    let (project, expected) = example("flights");
    project.done(&["run"]);
    let waiting = "SELECT count(*) FROM quarantine.silver_flights";
    assert_eq!(project.cell(waiting), 7602);
    for (rule, rows) in expected["rules"]["flights"].as_object().expect("rules") {
        let sql = format!(
            "SELECT coalesce(sum(violations), 0) FROM state.quality WHERE dataset = 'silver.flights' AND rule = '{rule}'"
        );
        same(rule, &project.cell(&sql), rows);
    }
    flights_stand(&project, &expected["first_run"]);

    let before = project.versions();
    project.done(&["run"]).said("nothing to do");
    assert_eq!(project.versions(), before, "running again changed a table");

    fs::copy(project.path("later/airports-more.csv.gz"), project.path("landing/airports/airports-more.csv.gz"))
        .expect("a later drop");
    project.done(&["run"]);
    assert_eq!(project.cell(waiting), 7602, "what waits, waits until it is replayed");
    project.done(&["replay", "quarantine", "silver.flights"]);
    assert_eq!(project.cell(waiting), 0);
    flights_stand(&project, &expected["after_replay"]);

    let settled = project.versions();
    project.done(&["replay", "quarantine", "silver.flights"]);
    assert_eq!(project.versions(), settled, "replaying an empty quarantine changed a table");
    readers_agree(&project);
}

#[test]
fn orders_equal_their_manifest() {
    let (project, expected) = example("orders");
    project.done(&["run"]);
    let balance = project.rows("SELECT * FROM state.steps WHERE dataset = 'silver.orders'");
    same("received", &balance[0]["received"], &expected["received"]);
    same("quarantined", &balance[0]["quarantined"], &expected["quarantined"]);
    let silver = project.rows("SELECT count(*) AS rows, sum(amount) AS amount FROM silver.orders");
    same("rows", &silver[0]["rows"], &expected["silver"]["rows"]);
    same("amount", &silver[0]["amount"], &expected["silver"]["amount"]);
    for row in expected["email_sha256"].as_array().expect("samples") {
        let sql = format!("SELECT email_sha256 FROM silver.orders WHERE order_id = {}", row["order_id"]);
        assert_eq!(project.cell(&sql), row["email_sha256"]);
    }
    readers_agree(&project);
}

#[test]
fn customers_have_the_versions_that_another_engine_finds_in_any_order_of_files() {
    let (project, expected) = example("customers");
    let files = ["late.csv", "2024-02.csv", "2024-01.csv"];
    let landing = project.path("landing/customers");
    let aside = project.path("aside");
    fs::rename(&landing, &aside).expect("moved");
    fs::create_dir(&landing).expect("a folder");
    for file in files {
        fs::copy(aside.join(file), landing.join(file)).expect("a copy");
        project.done(&["run"]);
    }
    let sums = "SELECT sum(received) AS received, sum(quarantined) AS quarantined, sum(duplicates) AS duplicates
        FROM state.steps WHERE dataset = 'silver.customers'";
    for (column, value) in project.rows(sums)[0].as_object().expect("a row") {
        same(column, value, &expected[column]);
    }
    let time = |c: &str| format!("to_char({c}, '%Y-%m-%dT%H:%M:%SZ') AS {c}");
    let versions = format!("SELECT customer_id, city, plan, phone, {}, {}", time("_start_at"), time("_end_at"));
    let versions = format!("{versions} FROM silver.customers ORDER BY 1, 5");
    assert_eq!(Value::from(project.rows(&versions)), expected["versions"]);
    assert_eq!(Value::from(project.rows("SELECT * FROM gold.plans_now ORDER BY plan, city")), expected["plans_now"]);
    let starts = "SELECT to_char(day, '%Y-%m-%d') AS day, plan, started, ended FROM gold.plan_starts ORDER BY 1, 2";
    assert_eq!(Value::from(project.rows(starts)), expected["plan_starts"]);
    readers_agree(&project);
}
