//! Fields that come otherwise than the columns have them: each policy for each kind, in each format where they differ.

use crate::{
    harness::{Project, Ran, others_read, python},
    market::killed_at,
};
use serde_json::{Value, json};
use std::fs;

pub const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: t
name: t
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - { name: id, logicalType: integer, required: true }
      - { name: n, logicalType: integer }
";
const PART: &str = "      - { name: part, logicalType: object, properties: [{ name: a, logicalType: integer }, { name: b, logicalType: integer }] }\n";
const EXTRA: &str = "      - { name: extra, logicalType: string }\n";
const BRONZE: &str = "datasets/bronze/t.yaml";

/// A dataset of files in `format` with this policy, and one plain file of two rows that is loaded.
fn project(format: &str, drift: &str) -> Project {
    let p = Project::new(&[
        ("alluvium.yaml", "name: t\n"),
        ("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\nsteps: [validate]\nwrite: append\n"),
        ("contracts/t.odcs.yaml", CONTRACT),
        ("landing/.keep", ""),
    ]);
    let bronze = format!("source: {{ files: landing/, glob: \"*.{format}\", settle: 0s }}\ndrift: {drift}\n");
    p.put(BRONZE, bronze.as_bytes());
    if format == "parquet" {
        p.put("contracts/t.odcs.yaml", format!("{CONTRACT}{PART}").as_bytes());
    }
    file(&p, format, "plain");
    p.done(&["run"]);
    p
}

/// Delivers a file of two rows that differs in this way.
fn file(p: &Project, format: &str, kind: &str) {
    let name = format!("landing/{kind}.{format}");
    let text = match (format, kind) {
        ("parquet", _) => {
            drop(python("tests/parquet_drift.py", &[kind.as_ref(), p.path(&name).as_os_str()]));
            return;
        }
        ("csv", "plain") => "id,n\n1,10\n2,20\n",
        ("csv", "new") => "id,n,extra\n3,30,x\n4,40,y\n",
        ("csv", "missing") => "id\n3\n4\n",
        ("csv", "reordered") => "n,id\n30,3\n40,4\n",
        ("csv", "recased") => "id,N\n3,30\n4,40\n",
        ("ndjson", "plain") => "{\"id\":1,\"n\":10}\n{\"id\":2,\"n\":20}\n",
        ("ndjson", "new") => "{\"id\":3,\"n\":30,\"extra\":\"x\"}\n{\"id\":4,\"n\":40}\n",
        ("ndjson", "missing") => "{\"id\":3}\n{\"id\":4}\n",
        ("ndjson", "retyped") => "{\"id\":3,\"n\":{\"of\":30}}\n{\"id\":4,\"n\":40}\n",
        ("ndjson", "recased") => "{\"id\":3,\"N\":30}\n{\"id\":4,\"N\":1,\"n\":40}\n",
        _ => panic!("no such file"),
    };
    p.put(&name, text.as_bytes());
}

/// Rows of bronze and of its quarantine.
fn counts(p: &Project) -> (u64, u64) {
    let shown = p.json(&["show", "datasets"]);
    let bronze =
        shown.as_array().expect("datasets").iter().find(|d| d["dataset"] == "bronze.t").expect("bronze").clone();
    (bronze["rows"].as_u64().expect("rows"), bronze["quarantined"].as_u64().expect("rows"))
}

/// Kind, field, policy and records of each line.
fn shown(p: &Project) -> Vec<(String, String, String, Option<u64>)> {
    let text = |l: &Value, key: &str| l[key].as_str().expect("a text").to_owned();
    let line = |l: &Value| (text(l, "kind"), text(l, "field"), text(l, "policy"), l["records"].as_u64());
    p.json(&["show", "drift"]).as_array().expect("lines").iter().map(line).collect()
}

fn line(kind: &str, field: &str, policy: &str, records: u64) -> (String, String, String, Option<u64>) {
    (kind.to_owned(), field.to_owned(), policy.to_owned(), Some(records))
}

/// Runs over a file that differs; the run says so by its exit code where something did not get through.
fn differs(format: &str, kind: &str, policy: &str) -> (Project, Ran) {
    let p = project(format, &format!("{{ {kind}: {policy} }}"));
    file(&p, format, kind);
    let ran = p.alluvium(&["run"]);
    let code = i32::from(matches!(policy, "freeze" | "fail"));
    assert_eq!(ran.code, Some(code), "{format} {kind} {policy}\n{ran}");
    (p, ran)
}

const RESCUED: &str = "SELECT _rescued FROM bronze.t WHERE _object NOT LIKE 'plain%' ORDER BY _position";

#[test]
fn what_stops_a_file_stops_it_before_a_row_and_tells_the_difference() {
    let kinds = [("csv", "new", "extra"), ("csv", "missing", "n"), ("csv", "reordered", "n"), ("csv", "recased", "N")];
    let others = [
        ("ndjson", "new", "extra"),
        ("ndjson", "missing", "n"),
        ("ndjson", "retyped", "n"),
        ("ndjson", "recased", "N"),
    ];
    let typed = ["new", "missing", "retyped", "reordered", "recased"].map(|k| {
        (
            "parquet",
            k,
            match k {
                "new" => "extra",
                "recased" => "N",
                _ => "n",
            },
        )
    });
    for (format, kind, field) in kinds.into_iter().chain(others).chain(typed) {
        let (p, ran) = differs(format, kind, "fail");
        ran.said(&format!("D0040: {kind}.{format}: its fields do not fit: {kind} `{field}`"));
        assert_eq!(counts(&p), (2, 0), "{format} {kind}");
        let shown = p.json(&["show", "drift"]);
        assert_eq!(shown[0]["field"], format!("{kind}.{format}"), "{shown}");
        // Others are loaded, and the file itself when the policy takes it.
        p.edit(BRONZE, "fail", if kind == "retyped" { "rescue" } else { "evolve" });
        p.done(&["replay", "dead-letters"]);
        assert_eq!(counts(&p), (4, 0), "{format} {kind}");

        let (p, ran) = differs(format, kind, "freeze");
        ran.said("D0041");
        ran.said(&format!("{kind} `{field}`"));
        assert_eq!(counts(&p), (2, 0), "{format} {kind}");
    }
}

#[test]
fn a_frozen_dataset_takes_nothing_in_until_its_definition_changes_and_loses_nothing() {
    let (p, _) = differs("csv", "new", "freeze");
    p.put("landing/later.csv", b"id,n\n5,50\n");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("later input waits behind it");
    assert_eq!(counts(&p), (2, 0));
    assert_eq!(shown(&p).len(), 1);
    p.edit(BRONZE, "freeze", "evolve");
    p.done(&["run"]);
    assert_eq!(counts(&p), (5, 0));
    assert_eq!(p.cell("SELECT count(extra) FROM bronze.t"), 2);
    p.done(&["run"]);
    assert_eq!(counts(&p), (5, 0));
    assert_eq!(p.cell("SELECT count(*) FROM silver.t"), 5);
}

#[test]
fn a_contract_that_names_the_field_ends_the_frost() {
    let (p, _) = differs("csv", "new", "freeze");
    p.put("contracts/t.odcs.yaml", format!("{CONTRACT}{EXTRA}").as_bytes());
    let ran = p.alluvium(&["run", "--adopt", "silver.t"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(
        p.rows("SELECT extra FROM silver.t WHERE extra IS NOT NULL ORDER BY id"),
        [json!({"extra": "x"}), json!({"extra": "y"})]
    );
}

#[test]
fn new_fields_become_columns_or_are_rescued_or_wait() {
    for (format, having) in [("csv", 2), ("ndjson", 1), ("parquet", 1)] {
        let (p, ran) = differs(format, "new", "evolve");
        ran.said("new field `extra` is a column from now on");
        assert_eq!(counts(&p), (4, 0), "{format}");
        assert_eq!(p.cell("SELECT count(extra) FROM bronze.t"), having, "{format}");
        assert_eq!(p.cell("SELECT count(_rescued) FROM bronze.t"), 0, "{format}");
        assert_eq!(shown(&p), [line("new", "extra", "evolve", having)], "{format}");

        let (p, ran) = differs(format, "new", "rescue");
        ran.said(&format!("new field `extra`, kept in _rescued ({having} records)"));
        assert_eq!(p.cell("SELECT count(_rescued) FROM bronze.t"), having, "{format}");
        assert_eq!(shown(&p), [line("new", "extra", "rescue", having)], "{format}");

        let (p, ran) = differs(format, "new", "quarantine");
        ran.said("drift:new:extra");
        p.done(&["show", "quarantine", "bronze.t"]).said("alluvium replay quarantine bronze.t, under a definition");
        assert_eq!(counts(&p), (4 - having, having), "{format}");
        assert_eq!(shown(&p), [line("new", "extra", "quarantine", having)], "{format}");
    }
    let (p, _) = differs("parquet", "new", "evolve");
    assert_eq!(p.cell("SELECT arrow_typeof(extra) FROM bronze.t LIMIT 1"), "Boolean");
}

#[test]
fn missing_fields_are_null_or_their_rows_wait() {
    for format in ["csv", "ndjson", "parquet"] {
        let (p, ran) = differs(format, "missing", "evolve");
        ran.said("expected field `n` is missing");
        assert_eq!(counts(&p), (4, 0), "{format}");
        assert_eq!(shown(&p), [line("missing", "n", "evolve", 2)], "{format}");
        let (p, ran) = differs(format, "missing", "quarantine");
        ran.said("drift:missing:n");
        assert_eq!(counts(&p), (2, 2), "{format}");
    }
}

/// As [`project`], with `n` required, after a file without it came.
fn without_what_is_required(format: &str, drift: &str, others: &[(&str, &str)]) -> (Project, Ran) {
    let p = project(format, drift);
    p.edit(
        "contracts/t.odcs.yaml",
        "name: n, logicalType: integer }",
        "name: n, logicalType: integer, required: true }",
    );
    others.iter().for_each(|(path, text)| p.put(path, text.as_bytes()));
    file(&p, format, "missing");
    let ran = p.alluvium(&["run", "--adopt", "silver.t"]);
    (p, ran)
}

#[test]
fn a_file_without_what_is_required_stops_at_the_gate_until_it_fits() {
    for format in ["csv", "parquet"] {
        let (p, ran) = without_what_is_required(format, "{ new: rescue }", &[]);
        assert_eq!(ran.code, Some(1), "{format}\n{ran}");
        ran.said(&format!("D0040: missing.{format}: its fields do not fit: missing `n`"));
        ran.said("required by silver.t");
        assert_eq!(counts(&p), (2, 0), "{format}");
        assert_eq!(p.cell("SELECT count(*) FROM silver.t"), 2, "{format}");
        let edited = "name: n, logicalType: integer }";
        p.edit("contracts/t.odcs.yaml", "name: n, logicalType: integer, required: true }", edited);
        // The file is loaded; silver waits for a word about its contract.
        p.alluvium(&["replay", "dead-letters"]);
        assert_eq!(counts(&p), (4, 0), "{format}");
        p.done(&["run", "--adopt", "silver.t"]);
        assert_eq!(p.cell("SELECT count(*) FROM silver.t"), 4, "{format}");
    }
}

#[test]
fn what_could_fit_is_loaded_though_a_required_column_is_missing() {
    // Of NDJSON each record is judged; an explicit policy is obeyed; another reader takes the file.
    for (format, drift) in [("ndjson", "{ new: rescue }"), ("csv", "{ missing: evolve }")] {
        let (p, ran) = without_what_is_required(format, drift, &[]);
        assert_eq!(ran.code, Some(0), "{format}\n{ran}");
        assert_eq!(counts(&p), (4, 0), "{format}");
        assert_eq!(p.cell("SELECT count(*) FROM silver.t"), 2, "{format}");
    }
    let other = CONTRACT.replace("id: t", "id: u").replace("name: t", "name: u");
    let silver = "from: bronze.t\ncontract: u\nsteps: [validate]\nwrite: append\n";
    let others = [("contracts/u.odcs.yaml", other.as_str()), ("datasets/silver/u.yaml", silver)];
    let (p, ran) = without_what_is_required("csv", "{ new: rescue }", &others);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(
        (p.cell("SELECT count(*) FROM silver.t"), p.cell("SELECT count(*) FROM silver.u")),
        (json!(2), json!(4))
    );
}

#[test]
fn retyped_fields_are_rescued_or_wait() {
    let (p, ran) = differs("parquet", "retyped", "rescue");
    ran.said("field `n` changed its type, kept in _rescued (1 records)");
    assert_eq!(p.rows(RESCUED), [json!({"_rescued": null}), json!({"_rescued": "{\"n\":\"forty\"}"})]);
    let (p, _) = differs("parquet", "retyped", "quarantine");
    assert_eq!(counts(&p), (3, 1));
    assert_eq!(shown(&p), [line("retyped", "n", "quarantine", 1)]);

    // The text column holds the object as it came.
    let (p, ran) = differs("ndjson", "retyped", "rescue");
    ran.said("field `n` changed its type");
    assert_eq!(p.cell("SELECT n FROM bronze.t WHERE id = '3'"), "{\"of\":30}");
    let (p, _) = differs("ndjson", "retyped", "quarantine");
    assert_eq!(counts(&p), (3, 1));
}

#[test]
fn columns_in_another_order_are_found_by_name() {
    for format in ["csv", "parquet"] {
        let (p, ran) = differs(format, "reordered", "evolve");
        ran.said("fields come in another order: `n`");
        assert_eq!(p.cell("SELECT sum(n) FROM silver.t"), 100, "{format}");
        assert_eq!(shown(&p), [line("reordered", "n", "evolve", 2)], "{format}");
    }
}

#[test]
fn other_letters_are_rescued_or_the_same_column_or_wait() {
    for (format, having, sum) in [("csv", 2, 100), ("ndjson", 2, 100), ("parquet", 2, 100)] {
        let (p, ran) = differs(format, "recased", "rescue");
        ran.said("field `N` is in other letters, kept in _rescued");
        assert_eq!(p.cell("SELECT count(_rescued) FROM bronze.t"), having, "{format}");
        let (p, ran) = differs(format, "recased", "evolve");
        ran.said("field `N` is in other letters: the column is `n`");
        assert_eq!(p.cell("SELECT sum(n) FROM silver.t"), sum, "{format}");
        let (p, _) = differs(format, "recased", "quarantine");
        assert_eq!(counts(&p), (2, 2), "{format}");
    }
    // A record that has both keeps both.
    let (p, _) = differs("ndjson", "recased", "evolve");
    let rows = p.rows(RESCUED);
    assert_eq!(rows, [json!({"_rescued": null}), json!({"_rescued": "{\"N\":1}"})]);
}

#[test]
fn fields_inside_of_objects_drift_too() {
    let lines = "{\"id\":3,\"part\":{\"a\":1,\"b\":2,\"c\":3}}\n{\"id\":4,\"part\":{\"a\":[],\"b\":2}}\n{\"id\":5,\"part\":{\"a\":1,\"b\":2}}\n";
    let of = |drift: &str| {
        let p = project("ndjson", drift);
        p.put("contracts/t.odcs.yaml", format!("{CONTRACT}{PART}").as_bytes());
        p.put("landing/parts.ndjson", lines.as_bytes());
        let ran = p.alluvium(&["run", "--adopt", "silver.t"]);
        (p, ran)
    };
    let (p, ran) = of("rescue");
    assert_eq!(ran.code, Some(0), "{ran}");
    let inside = |p: &Project| shown(p).into_iter().filter(|l| l.1.contains('.')).collect::<Vec<_>>();
    assert_eq!(inside(&p), [line("new", "part.c", "rescue", 1), line("retyped", "part.a", "rescue", 1)]);
    let (p, ran) = of("{ new: quarantine, retyped: quarantine }");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(counts(&p), (3, 2));
    let (p, ran) = of("{ retyped: fail }");
    ran.said("retyped `part.a`");
    assert_eq!(counts(&p), (2, 0));

    let p = project("parquet", "{ new: fail }");
    file(&p, "parquet", "inside");
    p.alluvium(&["run"]).said("new `part.c`");
    assert_eq!(counts(&p), (2, 0));
    let p = project("parquet", "rescue");
    file(&p, "parquet", "inside");
    p.done(&["run"]).said("field `part.c` is new");
    assert_eq!(p.cell("SELECT count(*) FROM bronze.t WHERE _rescued LIKE '%\"c\":3%'"), 1);
    let p = project("parquet", "{ new: quarantine }");
    file(&p, "parquet", "inside");
    p.done(&["run"]);
    assert_eq!(counts(&p), (3, 1));
}

#[test]
fn a_field_that_comes_late_in_a_file_is_met_all_the_same() {
    let line = |i: u32| {
        if i == 1_900 {
            format!("{{\"id\":{i},\"n\":1,\"extra\":\"x\"}}\n")
        } else {
            format!("{{\"id\":{i},\"n\":1}}\n")
        }
    };
    let text: String = (10..2_010).map(line).collect();
    let of = |drift: &str| {
        let p = project("ndjson", drift);
        p.put("landing/late.ndjson", text.as_bytes());
        let ran = p.alluvium(&["run"]);
        (p, ran)
    };
    let (p, _) = of("evolve");
    assert_eq!(p.cell("SELECT extra FROM bronze.t WHERE id = '1900'"), "x");
    assert_eq!(counts(&p), (2_002, 0));
    let (p, ran) = of("fail");
    ran.said("D0040: late.ndjson");
    assert_eq!(counts(&p), (2, 0));
    let (p, ran) = of("freeze");
    ran.said("D0041");
    assert_eq!(counts(&p), (2, 0));
    let (p, _) = of("quarantine");
    assert_eq!(counts(&p), (2_001, 1));
}

#[test]
fn what_waits_lands_once_when_the_contract_names_it() {
    for format in ["csv", "ndjson", "parquet"] {
        let (p, _) = differs(format, "new", "quarantine");
        let (loaded, waiting) = counts(&p);
        let same = p.done(&["replay", "quarantine", "bronze.t"]);
        assert_eq!(counts(&p), (loaded, waiting), "nothing changed: {same}");
        let contract = fs::read_to_string(p.path("contracts/t.odcs.yaml")).expect("a contract");
        p.put("contracts/t.odcs.yaml", format!("{contract}{EXTRA}").as_bytes());
        p.done(&["run", "--adopt", "silver.t"]);
        p.done(&["replay", "quarantine", "bronze.t"]);
        assert_eq!(counts(&p), (4, 0), "{format}");
        p.done(&["replay", "quarantine", "bronze.t"]);
        assert_eq!(counts(&p), (4, 0), "{format}");
        assert_eq!(p.cell("SELECT count(extra) FROM bronze.t"), waiting, "{format}");
        assert_eq!(p.cell("SELECT count(_rescued) FROM bronze.t"), 0, "{format}");
        assert_eq!(p.cell("SELECT count(extra) FROM silver.t"), waiting, "{format}");
        assert_eq!(p.cell("SELECT count(*) FROM silver.t"), 4, "{format}");
        assert_eq!(p.cell("SELECT count(DISTINCT concat(_object, '#', _position)) FROM bronze.t"), 4, "{format}");
    }
}

#[test]
fn what_waits_lands_as_the_policy_of_now_takes_it_and_malformed_records_stay() {
    let (p, _) = differs("csv", "new", "quarantine");
    p.put("landing/bad.csv", b"id,n\n7\n");
    p.done(&["run"]);
    assert_eq!(counts(&p), (2, 3));
    p.edit(BRONZE, "quarantine", "rescue");
    p.done(&["replay", "quarantine", "bronze.t"]);
    assert_eq!(counts(&p), (4, 1));
    assert_eq!(p.cell("SELECT count(_rescued) FROM bronze.t"), 2);

    let (p, _) = differs("ndjson", "recased", "quarantine");
    p.edit(BRONZE, "quarantine", "evolve");
    p.done(&["replay", "quarantine", "bronze.t"]);
    assert_eq!(p.cell("SELECT sum(n) FROM silver.t"), 100);
    let (p, _) = differs("parquet", "retyped", "quarantine");
    p.edit(BRONZE, "quarantine", "rescue");
    p.done(&["replay", "quarantine", "bronze.t"]);
    assert_eq!(p.rows(RESCUED), [json!({"_rescued": null}), json!({"_rescued": "{\"n\":\"forty\"}"})]);
    let (p, _) = differs("csv", "new", "quarantine");
    p.edit(BRONZE, "quarantine", "evolve");
    p.done(&["replay", "quarantine", "bronze.t"]);
    assert_eq!(p.cell("SELECT count(extra) FROM bronze.t"), 2);
}

#[test]
fn rescued_values_land_once_when_the_contract_names_them() {
    for write in ["append", "{ keys: [id] }", "{ keys: [id], sequence_by: n, stored_as: scd2 }"] {
        let (p, _) = differs("csv", "new", "rescue");
        p.edit("datasets/silver/t.yaml", "write: append", &format!("write: {write}"));
        p.alluvium(&["run", "--rebuild", "silver.t"]);
        p.done(&["replay", "rescued", "silver.t"]).said("nothing was put aside");
        p.put("contracts/t.odcs.yaml", format!("{CONTRACT}{EXTRA}").as_bytes());
        // New rows follow the wider contract; what came before has its value only in bronze.
        p.put("landing/after.csv", b"id,n,extra\n9,90,z\n");
        p.done(&["run", "--adopt", "silver.t"]);
        assert_eq!(p.cell("SELECT count(extra) FROM silver.t"), 1, "{write}");
        p.done(&["replay", "rescued", "silver.t"]).said("`extra` comes from `_rescued` in 2 rows");
        let expected = [(1, Value::Null), (2, Value::Null), (3, "x".into()), (4, "y".into()), (9, "z".into())];
        let expected = expected.map(|(id, extra)| json!({ "id": id, "extra": extra }));
        assert_eq!(p.rows("SELECT id, extra FROM silver.t ORDER BY id"), expected, "{write}");
        let before = p.versions();
        p.done(&["replay", "rescued", "silver.t"]).said("nothing was put aside");
        assert_eq!(p.versions(), before, "{write}");
    }
}

#[test]
fn a_table_that_grows_grows_with_its_rows_or_not_at_all() {
    let start = || {
        let p = project("csv", "evolve");
        file(&p, "csv", "new");
        p
    };
    for point in ["stage.after_file", "gate.after_pass", "commit.before_main", "commit.after_main", "step.before_done"]
    {
        let p = start();
        assert!(killed_at(&p, &["run"], point, 1), "{point}");
        let columns = p.rows("SELECT * FROM bronze.t LIMIT 1")[0].as_object().expect("a row").contains_key("extra");
        let rows = p.cell("SELECT count(*) FROM bronze.t");
        assert_eq!(rows, if columns { 4 } else { 2 }, "{point}");
        p.done(&["run"]);
        assert_eq!(counts(&p), (4, 0), "{point}");
        assert_eq!(p.cell("SELECT count(extra) FROM bronze.t"), 2, "{point}");
        assert_eq!(p.cell("SELECT count(*) FROM silver.t"), 4, "{point}");
    }
}

#[test]
fn a_replay_of_bronze_lands_once_however_it_is_killed() {
    for point in
        ["plan.after_record", "stage.after_file", "commit.before_main", "commit.after_main", "commit.after_follow"]
    {
        let (p, _) = differs("csv", "new", "quarantine");
        p.edit(BRONZE, "quarantine", "evolve");
        let replay = ["replay", "quarantine", "bronze.t"];
        assert!(killed_at(&p, &replay, point, 1), "{point}");
        p.done(&replay);
        assert_eq!(counts(&p), (4, 0), "{point}");
        assert_eq!(p.cell("SELECT count(DISTINCT id) FROM bronze.t"), 4, "{point}");
    }
}

#[test]
fn other_engines_read_a_table_that_grew() {
    for format in ["csv", "parquet"] {
        let (p, _) = differs(format, "new", "evolve");
        assert_eq!(others_read(&p.path("lake/dev"))["bronze.t"].1, 4, "{format}");
    }
}

#[test]
fn the_first_file_says_no_more_than_a_later_one_where_new_fields_are_not_taken() {
    let p = project("csv", "{ new: fail }");
    fs::remove_dir_all(p.path("lake")).expect("the lake");
    fs::remove_dir_all(p.path(".alluvium")).expect("the state");
    fs::remove_file(p.path("landing/plain.csv")).expect("the file");
    file(&p, "csv", "new");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("new `extra`");
}
