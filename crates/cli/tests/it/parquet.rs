//! Columns of every kind that Parquet files and queries bring, as other readers see them.

use crate::harness::{Project, python};
use serde_json::json;

const SCRIPT: &str = "tests/parquet_kinds.py";

const KINDS: &[(&str, &str)] = &[
    ("alluvium.yaml", "name: kinds\n"),
    ("datasets/bronze/kinds.yaml", "source: { files: landing/kinds/, glob: \"*.parquet\", settle: 0s }\n"),
    ("datasets/silver/kinds.yaml", "from: bronze.kinds\ncontract: kinds\nsteps: [validate]\nwrite: append\n"),
    (
        "contracts/kinds.odcs.yaml",
        "apiVersion: v3.1.0
kind: DataContract
id: kinds
name: kinds
version: 1.0.0
status: active
schema:
  - name: kinds
    properties:
      - { name: id, logicalType: integer, required: true }
      - { name: ntz, logicalType: timestamp }
      - { name: zoned, logicalType: timestamp }
      - { name: day, logicalType: date }
      - { name: time, logicalType: time }
      - { name: dec, logicalType: number, physicalType: \"decimal(38, 10)\" }
      - { name: u64, logicalType: number, physicalType: \"decimal(20, 0)\" }
      - { name: f16, logicalType: number }
      - { name: word, logicalType: string }
      - { name: items, logicalType: array }
      - { name: part, logicalType: object }
",
    ),
    ("landing/kinds/.keep", ""),
];

#[test]
fn every_kind_of_column_is_kept_as_other_readers_see_it() {
    let p = Project::new(KINDS);
    python(SCRIPT, &["make".as_ref(), p.path("landing/kinds/1.parquet").as_os_str()]);
    p.done(&["run"]);
    python(SCRIPT, &["check".as_ref(), p.path("lake/dev/bronze/kinds").as_os_str()]);
    let first = "SELECT CAST(ntz AS VARCHAR) AS ntz, CAST(zoned AS VARCHAR) AS zoned, CAST(day AS VARCHAR) AS day, time,
        CAST(dec AS VARCHAR) AS dec, CAST(u64 AS VARCHAR) AS u64, f16, word, items, part FROM silver.kinds ORDER BY id LIMIT 1";
    let expected = json!({
        "ntz": "2024-01-01T12:00:00.123456Z",
        "zoned": "2024-01-01T12:00:00.123456Z",
        "day": "2024-01-01",
        "time": "01:02:03.000001",
        "dec": "1234567890123456789012345678.0123456789",
        "u64": "18446744073709551615",
        "f16": 1.5,
        "word": "a",
        "items": "[18446744073709551615,null]",
        "part": "{\"at\":\"2024-01-01T12:00:00.123456\",\"n\":255}",
    });
    assert_eq!(p.rows(first), [expected]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.kinds"), 3);
}

#[test]
fn intervals_are_refused_rather_than_cut() {
    let p = Project::new(KINDS);
    for (kind, name) in [("make", "1.parquet"), ("interval", "2.parquet")] {
        python(SCRIPT, &[kind.as_ref(), p.path("landing/kinds").join(name).as_os_str()]);
    }
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("D0014: 2.parquet: column `inside.span` holds intervals");
    assert_eq!(p.cell("SELECT count(*) FROM bronze.kinds"), 3, "the other file is loaded");
}

#[test]
fn times_in_gold_are_utc_however_deep() {
    let p = Project::shop();
    let local = "arrow_cast('2024-01-01T00:00:00', 'Timestamp(Second, None)')";
    let sql = format!("SELECT {local} AS at, named_struct('at', {local}, 'of', [{local}]) AS part FROM silver.orders");
    p.put("datasets/gold/times.sql", sql.as_bytes());
    p.done(&["run"]);
    let kinds = p.cell("SELECT concat(arrow_typeof(at), arrow_typeof(part)) FROM gold.times LIMIT 1");
    assert_eq!(kinds.as_str().map(|k| k.matches("UTC").count()), Some(3), "{kinds}");
    let log = std::fs::read_to_string(p.path("lake/dev/gold/times/_delta_log/00000000000000000000.json"));
    assert!(log.expect("a log").contains("\"minReaderVersion\":1"), "no feature is asked of readers");
}

#[test]
fn a_query_whose_column_no_table_holds_is_a_mistake() {
    let p = Project::shop();
    p.put("datasets/gold/spans.sql", b"SELECT id, INTERVAL '1 day' AS span FROM silver.orders\n");
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("error[L0406]: column `span` is Interval");
    ran.said("cast it to");
}
