//! Contracts that are proposed for files hold on these files.

use crate::harness::{Project, Ran, STRANGER, repository};
use serde_json::Value;
use std::{fmt::Write, fs};

/// A project with nothing but these files.
fn bare(files: &[(&str, &[u8])]) -> Project {
    let p = Project::new(&[("alluvium.yaml", "name: p\n")]);
    files.iter().for_each(|(path, content)| p.put(path, content));
    p
}

/// Proposes a contract, writes it and the datasets that it asks for, and tries it with the commands that there were before.
#[track_caller]
fn adopt(p: &Project, name: &str, paths: &[&str]) -> Value {
    let answer = p.json(&[&["contract", "infer", "--name", name, "--write"], paths].concat());
    assert_eq!(answer["passed"], true, "{answer:#}");
    assert_eq!(answer["refused"], serde_json::json!({}), "{answer:#}");
    let put = |layer: &str| {
        if let Some(text) = answer[layer].as_str() {
            p.put(&format!("datasets/{layer}/{name}.yaml"), text.as_bytes());
        }
    };
    put("bronze");
    put("silver");
    p.done(&["check"]);
    p.done(&["contract", "lint", name]).said("0 warnings");
    let files = files_of(p, paths);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let dataset = format!("silver.{name}");
    let tested = p.json(&[&["contract", "test", name, "--as", &dataset], &files[..]].concat());
    let broken: Vec<&Value> =
        tested["rules"].as_array().expect("rules").iter().filter(|r| r["passed"] == false).collect();
    let malformed = broken.iter().all(|r| r["rule"].as_str().expect("an id").starts_with("malformed:"));
    assert!(malformed, "{broken:#?}\n{}", answer["text"].as_str().expect("a text"));
    assert_eq!(tested["valid"], answer["records"], "{tested:#}");
    answer
}

/// A folder's files; a path to a file is itself.
fn files_of(p: &Project, paths: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for path in paths {
        if p.path(path).is_dir() {
            let inside = fs::read_dir(p.path(path)).expect("a folder").map(|e| e.expect("an entry").file_name());
            all.extend(inside.map(|f| format!("{path}/{}", f.to_str().expect("a name"))));
        } else {
            all.push((*path).to_owned());
        }
    }
    all.sort();
    all
}

fn types(answer: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let columns = answer["columns"].as_array().expect("columns").iter();
    columns.map(|c| (text(&c["name"]), text(&c["type"]))).collect()
}

#[track_caller]
fn column<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer["columns"].as_array().expect("columns").iter().find(|c| c["name"] == name).expect("a column")
}

#[test]
fn a_proposal_holds_on_the_files_of_the_examples() {
    let p = bare(&[]);
    let examples = repository().join("examples");
    for file in [
        "airlines/airlines.csv.gz",
        "airports/airports.csv.gz",
        "planes/planes.csv.gz",
        "flights/flights-2013-02.csv.gz",
    ] {
        let content = fs::read(examples.join("flights/landing").join(file)).expect("a file of the repository");
        p.put(&format!("landing/{file}"), &content);
    }
    for (name, key) in [("airlines", "carrier"), ("airports", "faa"), ("planes", "tailnum")] {
        let answer = adopt(&p, name, &[&format!("landing/{name}")]);
        assert_eq!(answer["key"], serde_json::json!([key]), "{answer:#}");
    }
    // Now that these have tables, what looks like a reference to them is told.
    p.done(&["run"]);
    let answer = adopt(&p, "flights", &["landing/flights"]);
    assert_eq!(column(&answer, "carrier")["refers_to"], "silver.airlines.carrier");
    assert_eq!(column(&answer, "origin")["refers_to"], "silver.airports.faa");
    assert_eq!(column(&answer, "dep_time")["type"], "integer");
    assert_eq!(column(&answer, "time_hour")["type"], "timestamp");
    let text = answer["text"].as_str().expect("a text");
    assert!(text.contains("null_if: [NA]") && text.contains("written `NA`"), "{text}");
    // It loads as it was proposed, references and all.
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.flights"), 24_951);
}

#[test]
fn other_formats_and_compressions_are_read_as_a_source_reads_them() {
    let p = bare(&[]);
    let examples = repository().join("examples");
    let orders = fs::read(examples.join("orders/landing/orders/orders-sample.ndjson.zst")).expect("a file");
    p.put("landing/orders/orders.ndjson.zst", &orders);
    for file in ["2024-01.csv", "2024-02.csv", "late.csv"] {
        let content = fs::read(examples.join("customers/landing/customers").join(file)).expect("a file");
        p.put(&format!("landing/customers/{file}"), &content);
    }
    let answer = adopt(&p, "orders", &["landing/orders"]);
    assert_eq!((&answer["records"], &column(&answer, "email")["personal"]), (&2_000.into(), &true.into()));
    assert_eq!(column(&answer, "updated_at")["type"], "timestamp");
    // Some of these are no times at all.
    assert_eq!(column(&answer, "created_at")["type"], "string");
    assert!(
        answer["text"].as_str().expect("a text").contains("are times, but not `2025-02-30T10:00:00.000Z`"),
        "{answer:#}"
    );
    adopt(&p, "customers", &["landing/customers"]);
    let file = "landing/customers/late.csv";
    for (dataset, code) in [("silver.none", "C0005"), ("bronze.customers", "F0104")] {
        let ran = p.alluvium(&["contract", "test", "customers", file, "--as", dataset]);
        assert_eq!(ran.code, Some(2), "{ran}");
        ran.said(code);
    }
    // Typed files keep their types.
    p.done(&["run"]);
    fs::create_dir_all(p.path("landing/typed")).expect("a folder");
    let sql = "SELECT order_id, amount, updated_at, status, CAST(updated_at AS date) AS day, order_id % 2 = 0 AS even,
               CAST(order_id AS int) AS small, CAST('nan' AS double) AS strange FROM silver.orders";
    p.done(&["query", sql, "--to", "landing/typed/a.parquet"]);
    let answer = adopt(&p, "typed", &["landing/typed"]);
    let kinds: Vec<String> = types(&answer).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds[..1], ["integer"], "{answer:#}");
    assert_eq!(kinds[2..], ["timestamp", "string", "date", "boolean", "int32", "string"], "{answer:#}");
}

#[test]
fn a_proposal_holds_on_hostile_files() {
    let mut mixed = "id,code,huge,mixed,dated,empty,when\n".to_owned();
    for i in 0..200 {
        let mixed_value = if i == 150 { "n/k".to_owned() } else { i.to_string() };
        let (day, month) = (i % 28 + 1, i % 12 + 1);
        writeln!(
            mixed,
            "{i},{:05},1234567890123456789{i:03},{mixed_value},{day:02}.{month:02}.2024, ,2024-01-01 10:00",
            i * 7
        )
        .expect("memory takes it");
    }
    mixed.push_str("201,ragged\n");
    let nested = "{\"id\":1,\"who\":{\"name\":\"Ann\",\"tags\":[\"a\",null]},\"v\":1}\n{\"id\":2,\"who\":null,\"v\":\"x\"}\n{bad\n[1]\n{\"id\":3,\"who\":{\"name\":7},\"v\":{\"a\":1}}\n";
    let p = bare(&[
        ("landing/mixed/a.csv", mixed.as_bytes()),
        ("landing/mixed/b.csv", b"id,code\n"),
        ("landing/mixed/c.csv", b""),
        ("landing/nested/a.ndjson", nested.as_bytes()),
        ("landing/bom/a.csv", "\u{feff}Full Name;\"amount (EUR)\"\n Ann ;1,5\nBob;NA\n".as_bytes()),
        ("landing/recased/a.csv", b"Id,n\n1,2\n"),
        ("landing/recased/b.csv", b"ID,n\n3,4\n"),
        ("landing/nulls/a.tsv", b"a\tb\nNA\t\nNA\t\n"),
        ("landing/2024-v2/a.csv", b"a;b\n1;2\n"),
        ("landing/yaml/a.csv", "\"a: {b}\",\"#c\",no\n\"- x\",\"# y\n: z\",~\n".as_bytes()),
    ]);
    let answer = adopt(&p, "mixed", &["landing/mixed"]);
    let kinds = types(&answer);
    let kind = |name: &str| kinds.iter().find(|(n, _)| n == name).expect("a column").1.clone();
    assert_eq!(
        ["id", "code", "mixed", "dated", "empty", "when"].map(kind),
        ["integer", "string", "string", "date", "string", "timestamp"]
    );
    assert_eq!(kind("huge"), "{\"decimal\":{\"precision\":38,\"scale\":0}}");
    assert_eq!((&answer["malformed"]["fields"], &answer["records"]), (&1.into(), &200.into()));
    let answer = adopt(&p, "nested", &["landing/nested"]);
    assert_eq!(answer["malformed"], serde_json::json!({ "not_an_object": 1, "syntax": 1 }));
    for name in ["bom", "recased", "nulls", "yaml"] {
        adopt(&p, name, &[&format!("landing/{name}")]);
    }
    assert_eq!(p.json(&["contract", "infer", "landing/2024-v2"])["contract"], "v2");
    for (paths, code) in [
        (&["landing/none"][..], "C0060"),
        (&["landing/*.none"], "C0060"),
        (&["landing/mixed/{"], "C0060"),
        (&["landing/mixed/c.csv"], "C0061"),
        (&["--name", "Big Name", "landing/mixed"], "C0062"),
        (&["--name", "mixed", "--write", "landing/mixed"], "C0063"),
    ] {
        let ran = p.alluvium(&[&["contract", "infer"], paths].concat());
        assert_eq!(ran.code, Some(2), "{ran}");
        ran.said(code);
    }
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_gives_no_proposal() {
    let whole = fs::read(repository().join("examples/flights/landing/airports/airports.csv.gz")).expect("a file");
    let p = bare(&[("landing/cut/a.csv", b"faa,name\nX,Y\n"), ("landing/cut/b.csv.gz", &whole[..whole.len() / 2])]);
    let ran = p.alluvium(&["contract", "infer", "landing/cut", "--write"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("D0001");
    assert!(!p.path("contracts").exists());
}

#[test]
fn the_same_files_give_the_same_text_and_nothing_is_replaced_unasked() {
    let p = Project::shop();
    let args = ["contract", "infer", "landing/orders/*.csv"];
    let text = |ran: Ran| ran.stdout;
    let first = text(p.done(&args));
    assert_eq!(first, text(p.done(&args)));
    assert!(first.contains("#   from: bronze.orders\n") && !first.contains("datasets/bronze/"), "{first}");
    assert!(!p.path("lake").exists() && !p.path(".alluvium").exists());
    let before = fs::read_to_string(p.path("contracts/orders.odcs.yaml")).expect("a file");
    let ran = p.alluvium(&["contract", "infer", "landing/orders", "--write"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert_eq!(fs::read_to_string(p.path("contracts/orders.odcs.yaml")).expect("a file"), before);
    p.put("landing/orders/b.csv", STRANGER.as_bytes());
    let sampled = p.json(&["contract", "infer", "landing/orders", "--sample", "1"]);
    assert_eq!((&sampled["passed"], &sampled["sampled"], &sampled["records"]), (&Value::Null, &true.into(), &2.into()));
    p.done(&["contract", "infer", "landing/orders", "--write", "--force"])
        .said("passed: it holds on all 4 records in 2 files");
    assert_ne!(fs::read_to_string(p.path("contracts/orders.odcs.yaml")).expect("a file"), before);
}

#[test]
fn a_proposal_is_for_what_the_dataset_of_the_project_reads() {
    let p = bare(&[
        ("datasets/bronze/visits.yaml", b"source: { files: landing/visits/, glob: \"*.csv\" }\n"),
        ("landing/visits/a.csv", b"id;n\n1;2\n3;4\n"),
        ("landing/visits/a.txt", b"id,n\n1,2\n"),
        ("landing/other/a.csv", b"id,n\n1,2\n"),
        ("landing/other/b.csv", b"id;n\n3;4\n"),
    ]);
    let read = p.json(&["contract", "infer", "landing/visits/a.csv"]);
    assert_eq!((&read["passed"], &read["bronze"]), (&true.into(), &Value::Null), "{read:#}");
    assert_eq!(read["columns"].as_array().map(Vec::len), Some(1), "{read:#}");
    assert!(read["text"].as_str().is_some_and(|t| t.contains("it may need `delimiter: \";\"`")), "{read:#}");
    // No dataset takes this one.
    let other = p.json(&["contract", "infer", "landing/visits/a.txt", "--name", "texts"]);
    assert!(other["bronze"].as_str().is_some_and(|b| b.contains("glob: a.txt")), "{other:#}");
    let ran = p.alluvium(&["contract", "infer", "landing/other"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("several delimiters");
    let both = p.json(&["contract", "infer", "landing/visits/a.txt", "landing/other/a.csv", "--name", "both"]);
    assert_eq!(both["bronze"], "source: { files: \"landing/\", glob: \"{other/a.csv,visits/a.txt}\" }\n", "{both:#}");
}

#[test]
fn a_contract_is_shown_with_who_owns_and_who_reads_it() {
    let p = Project::shop();
    p.edit(
        "contracts/orders.odcs.yaml",
        "schema:\n",
        "team: { name: Tills, members: [{ username: ann, role: owner }, { username: bob, dateOut: '2024-01-01' }] }
slaProperties: [{ property: frequency, value: 1, unit: h }]
servers: [{ server: live, type: local, environment: prod }, { server: try, type: local, environment: dev, path: x }]
price: { priceAmount: 2, priceCurrency: EUR }
tags: [sales, tills]
schema:
",
    );
    let ran = p.done(&["contract", "show", "orders"]);
    for said in [
        "owner       Tills, ann (owner)\n",
        "agreed      frequency 1 h\n",
        "servers     try (type local, path x)\n",
        "price       2 EUR\n",
        "tags        sales, tills\n",
        "used by     silver.orders\n",
        "read by     gold.daily: ",
    ] {
        ran.said(said);
    }
    let shown = p.json(&["contract", "show", "contracts/orders.odcs.yaml"]);
    assert_eq!(shown["used_by"], serde_json::json!(["silver.orders"]), "{shown:#}");
    let rules = shown["rules"].as_array().expect("rules");
    assert!(rules.iter().any(|r| r["rule"].as_str().is_some_and(|r| r.starts_with("reference:"))), "{shown:#}");
    let ran = p.alluvium(&["contract", "show", "ordres"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("C0010");
}
