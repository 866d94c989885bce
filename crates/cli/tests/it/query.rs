//! `alluvium query`.

use crate::harness::Project;
use std::{fs, io::Read, process::Stdio};

const SQL: &str = "SELECT id, customer, amount FROM silver.orders ORDER BY id";

fn ran() -> Project {
    let p = Project::shop();
    p.done(&["run"]);
    p
}

#[test]
fn every_form_gives_the_same_rows() {
    let p = ran();
    assert_eq!(p.done(&["query", SQL]).stdout, "id  customer  amount\n 1  c1         10.50\n 3  c1          7.25\n");
    assert_eq!(p.done(&["query", SQL, "--output", "csv"]).stdout, "id,customer,amount\n1,c1,10.50\n3,c1,7.25\n");
    let json = p.json(&["query", SQL]);
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    assert_eq!(json[0]["customer"], "c1");
    let ndjson = p.done(&["query", SQL, "--output", "ndjson"]).stdout;
    let lines: Vec<serde_json::Value> = ndjson.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(serde_json::Value::from(lines), json);
    p.done(&["query", SQL, "--to", "orders.parquet"]);
    let parquet = fs::read(p.path("orders.parquet")).expect("a file");
    assert_eq!((&parquet[..4], &parquet[parquet.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
}

#[test]
fn the_states_tables_can_be_asked() {
    let p = ran();
    assert_eq!(p.cell("SELECT count(*) FROM state.runs"), 1);
    let unbalanced = "SELECT count(*) FROM state.steps
        WHERE received <> loaded + quarantined + dropped + dead + duplicates + late";
    assert_eq!(p.cell(unbalanced), 0);
    for table in ["events", "quality", "ledger", "versions"] {
        assert!(p.cell(&format!("SELECT count(*) FROM state.{table}")).as_u64() > Some(0), "{table}");
    }
}

#[test]
fn reasons_can_be_read() {
    let rows = ran().rows("SELECT record, reasons FROM quarantine.silver_orders");
    assert_eq!(rows.len(), 1);
    let reason = &rows[0]["reasons"][0];
    assert_eq!((&reason["column"], &reason["value"]), (&"amount".into(), &"-4".into()), "{rows:?}");
    assert!(rows[0]["record"].as_str().expect("a record").contains("-4"), "{rows:?}");
}

#[test]
fn a_table_stops_at_a_hundred_rows_and_says_so() {
    let p = ran();
    let sql = "SELECT * FROM generate_series(1, 150)";
    let shown = p.done(&["query", sql]);
    assert_eq!(shown.stdout.lines().count(), 101);
    shown.said("the first 100 rows");
    assert_eq!(p.done(&["query", sql, "--limit", "0"]).stdout.lines().count(), 151);
    assert_eq!(p.done(&["query", sql, "--output", "csv"]).stdout.lines().count(), 151);
    let cut = p.done(&["query", sql, "--output", "csv", "--limit", "7"]);
    assert_eq!((cut.stdout.lines().count(), cut.stderr.as_str()), (8, ""));
}

#[test]
fn a_wrong_query_is_the_askers_mistake() {
    let p = ran();
    for sql in ["SELEC 1", "SELECT nothing FROM silver.orders", "SELECT * FROM silver.nope"] {
        let ran = p.alluvium(&["query", sql]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran}");
        ran.said("the query is wrong");
    }
}

#[test]
fn a_query_changes_nothing() {
    let p = ran();
    let before = p.tables();
    for sql in [
        "DELETE FROM silver.orders",
        "DROP TABLE silver.orders",
        "CREATE TABLE x AS SELECT 1",
        "COPY silver.orders TO 'out.csv'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "INSERT INTO silver.orders SELECT * FROM silver.orders",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
    ] {
        assert_eq!(p.alluvium(&["query", sql]).code, Some(2), "{sql}");
    }
    assert!(!p.path("out.csv").exists());
    assert_eq!(p.tables(), before);
}

#[test]
fn a_dataset_without_a_table_says_what_makes_it() {
    let ran = Project::shop().alluvium(&["query", "SELECT * FROM silver.orders"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("silver.orders has no table yet");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let p = ran();
    let sql = "SELECT a.value, b.value FROM generate_series(1, 3000) AS a, generate_series(1, 3000) AS b";
    let mut command = p.command(&["query", sql, "--output", "csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut out = child.stdout.take().expect("a pipe");
    let mut start = [0; 16];
    out.read_exact(&mut start).expect("some rows");
    drop(out);
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[test]
fn a_failed_query_leaves_no_file() {
    let p = ran();
    let sql = "SELECT CAST(customer AS BIGINT) FROM silver.orders";
    let ran = p.alluvium(&["query", sql, "--to", "out.csv"]);
    assert_ne!(ran.code, Some(0), "{ran}");
    assert!(fs::read_dir(p.root()).expect("a folder").all(|e| {
        let name = e.expect("an entry").file_name();
        !name.to_string_lossy().starts_with("out.csv")
    }));
}

#[test]
fn distinct_values_are_estimated_nearly() {
    let p = ran();
    let found = p.cell("SELECT approx_distinct(value) FROM generate_series(1, 300000)").as_u64().expect("a number");
    assert!(found.abs_diff(300_000) < 6_000, "{found}");
}

/// As long as the SQL of a project may be.
#[test]
fn a_long_chain_of_operators_is_planned() {
    let p = ran();
    let chain = vec!["coalesce(customer, '')"; 800].join(" || ");
    let length = p.cell(&format!("SELECT max(length({chain})) FROM silver.orders"));
    assert!(length.as_u64().is_some_and(|n| n >= 800), "{length}");
}
