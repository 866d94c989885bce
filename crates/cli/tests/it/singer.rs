//! Streams of messages that targets of Singer are tested with: each as the files, the contract and the datasets that a user would make of
//! it. A target takes the messages in their order; here the same table comes of any order and any split.

mod streams;
mod written;

use crate::{harness::Project, order::Random};
use alluvium_spec::{Environment, load};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use streams::{Case, Fields, Record, SEQUENCE, Schema, Stream, cases, messages};

/// By suite: all cases, those that agree, and those that are for an option which has no counterpart.
const FOUND: [[usize; 3]; 3] = [[20, 19, 0], [34, 32, 1], [1, 1, 0]];
/// The contract is there before the first record, so that none comes too early.
const OTHERWISE: [&str; 2] = ["TargetRecordBeforeSchemaTest", "record_before_schema"];

/// How the records of a stream arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrival {
    AsOne,
    /// Each in a file of its own, the last one first.
    Backwards,
    /// In any order, by three runs.
    Shuffled,
}

/// Rows of a table by the record that they came from: its columns as texts.
type Table = BTreeMap<usize, Vec<Option<String>>>;

#[test]
fn tables_are_those_of_the_targets_in_any_order_and_split() {
    let cases = cases();
    let (mut found, mut otherwise) = ([[0; 3]; 3], Vec::new());
    let arrived: Vec<Arrived> =
        [Arrival::AsOne, Arrival::Backwards, Arrival::Shuffled].into_iter().map(|a| arrive(&cases, a)).collect();
    for (number, case) in cases.iter().enumerate() {
        found[case.suite][0] += 1;
        if case.whole.get("option").is_some() {
            found[case.suite][2] += 1;
        } else if arrived.iter().all(|a| a.agrees(number, case)) {
            found[case.suite][1] += 1;
        } else {
            otherwise.push(case.name());
        }
    }
    assert_eq!((otherwise, found), (OTHERWISE.to_vec(), FOUND));
}

struct Arrived {
    tables: BTreeMap<String, Table>,
    quarantined: BTreeMap<String, BTreeSet<usize>>,
    active: BTreeMap<String, u64>,
}

impl Case {
    fn name(&self) -> &str {
        self.whole["name"].as_str().expect("a name")
    }

    /// With a table of its own: what is tried and has a column.
    fn tables(&self, number: usize) -> impl Iterator<Item = (String, &Stream)> {
        let tried = self.whole.get("option").is_none();
        let named = self.streams.iter().enumerate().map(move |(n, s)| (format!("c{number}_{n}"), s));
        named.filter(move |(_, s)| tried && !s.last().properties.is_empty())
    }
}

fn arrive(cases: &[Case], arrival: Arrival) -> Arrived {
    let p = Project::new(&[("alluvium.yaml", "name: singer\n")]);
    let all: Vec<(String, &Stream)> = cases.iter().enumerate().flat_map(|(n, c)| c.tables(n)).collect();
    let mut random = Random(7);
    // Of each run the files that are there by then.
    let mut runs: [Vec<(String, String)>; 3] = Default::default();
    for (name, stream) in &all {
        written::put(&p, name, stream, stream.last());
        let mut records: Vec<&Record> = stream.records.iter().collect();
        let file = |n: usize, records: &[&Record]| {
            (format!("landing/{name}/{n:04}.ndjson"), records.iter().map(|r| format!("{}\n", r.line)).collect())
        };
        match arrival {
            Arrival::AsOne => runs[0].push(file(0, &records)),
            Arrival::Backwards => runs[0].extend(records.iter().rev().enumerate().map(|(n, r)| file(n, &[*r]))),
            Arrival::Shuffled => {
                random.shuffle(&mut records);
                let parts = records.chunks(records.len().div_ceil(3).max(1)).enumerate();
                parts.for_each(|(n, part)| runs[n].push(file(n, part)));
            }
        }
    }
    for files in runs.iter().filter(|f| !f.is_empty()) {
        files.iter().for_each(|(path, lines)| p.put(path, lines.as_bytes()));
        p.done(&["run"]);
    }
    let with_rows: Vec<_> = all.into_iter().filter(|(_, s)| !s.records.is_empty()).collect();
    Arrived { tables: tables(&p, &with_rows), quarantined: quarantined(&p), active: active(&p, &with_rows) }
}

/// Of each dataset its silver table.
fn tables(p: &Project, all: &[(String, &Stream)]) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = all.iter().map(|(n, _)| (n.clone(), Table::new())).collect();
    let each = all.iter().map(|(name, stream)| {
        let quoted = stream.last().properties.keys().map(|c| format!("\"{}\"", c.replace('"', "\"\"")));
        let cells: Vec<String> = quoted.map(|c| format!("CAST({c} AS VARCHAR)")).collect();
        format!(
            "SELECT '{name}' AS name, {SEQUENCE} AS n, make_array({}) AS cells FROM silver.{name}",
            cells.join(", ")
        )
    });
    let each: Vec<String> = each.collect();
    for row in each.chunks(12).flat_map(|some| p.rows(&some.join(" UNION ALL "))) {
        let cells = row["cells"].as_array().expect("a list").iter().map(|c| c.as_str().map(str::to_owned)).collect();
        let name = row["name"].as_str().expect("a name");
        let twice = tables.get_mut(name).expect("a table").insert(number(&row["n"]), cells);
        assert_eq!(twice, None, "one row of a record: {row}");
    }
    tables
}

fn quarantined(p: &Project) -> BTreeMap<String, BTreeSet<usize>> {
    let shown = p.json(&["show", "datasets"]);
    let some = shown.as_array().expect("datasets").iter().filter(|d| d["quarantined"].as_u64() > Some(0));
    let names = some.map(|d| d["dataset"].as_str().expect("a name").strip_prefix("silver.").expect("none in bronze"));
    let each = names.map(|n| format!("SELECT '{n}' AS name, record FROM quarantine.silver_{n}"));
    let mut found = BTreeMap::<String, BTreeSet<usize>>::new();
    for row in p.rows(&each.collect::<Vec<_>>().join(" UNION ALL ")) {
        let record: Value = serde_json::from_str(row["record"].as_str().expect("a text")).expect("a record");
        found.entry(row["name"].as_str().expect("a name").to_owned()).or_default().insert(number(&record[SEQUENCE]));
    }
    found
}

fn active(p: &Project, all: &[(String, &Stream)]) -> BTreeMap<String, u64> {
    let with_versions = all.iter().filter(|(_, s)| !s.activated.is_empty());
    let each = with_versions.map(|(n, _)| format!("SELECT '{n}' AS name, count(*) AS n FROM gold.{n}"));
    let rows = p.rows(&each.collect::<Vec<_>>().join(" UNION ALL "));
    rows.iter().map(|r| (r["name"].as_str().expect("a name").to_owned(), r["n"].as_u64().expect("a number"))).collect()
}

/// A whole number, as a number or, as bronze has it, as a text.
fn number(value: &Value) -> usize {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse().expect("a number")
}

impl Arrived {
    fn agrees(&self, number: usize, case: &Case) -> bool {
        let refused = |name: &str| self.quarantined.get(name).cloned().unwrap_or_default();
        let tables = || case.tables(number);
        // What a contract refuses is in the quarantine, and nothing else.
        assert!(tables().all(|(name, s)| refused(&name) == s.refused()), "{}: {:?}", case.name(), self.quarantined);
        let stand = |(name, s): (String, &Stream)| s.records.is_empty() || self.stands(&name, s, &BTreeSet::new());
        match case.whole["error"].as_str() {
            Some("the schema") => case.streams.iter().all(|s| is_refused(s.last())),
            Some("the order") => !tables().all(stand),
            Some("a record") => {
                tables().all(|(name, s)| !refused(&name).is_empty() && self.stands(&name, s, &s.refused()))
            }
            Some(other) => panic!("an error about {other}"),
            None => tables().all(stand) && tables().all(|(name, s)| self.is_expected(&name, s, case)),
        }
    }

    /// Whether the table holds of each key the last record, without the refused ones.
    fn stands(&self, name: &str, stream: &Stream, refused: &BTreeSet<usize>) -> bool {
        let table = &self.tables[name];
        let standing: BTreeSet<usize> = stream.standing().difference(refused).copied().collect();
        table.keys().copied().collect::<BTreeSet<_>>() == standing
            && table.iter().all(|(n, cells)| {
                let fields = &stream.records[*n].fields;
                let schema = stream.last();
                schema
                    .properties
                    .keys()
                    .zip(cells)
                    .all(|(c, cell)| fits(schema.kind(c), cell.as_deref(), fields.get(c)))
            })
    }

    /// Whether the table is what the test of theirs tells of it.
    fn is_expected(&self, name: &str, stream: &Stream, case: &Case) -> bool {
        let expected = &case.whole["tables"][&stream.name];
        let mut rows: Vec<&Fields> =
            self.tables.get(name).into_iter().flatten().map(|(n, _)| &stream.records[*n].fields).collect();
        let key = stream.last().properties.keys().next().expect("a column");
        rows.sort_by_key(|r| (r[key].as_i64(), r[key].to_string()));
        let first = expected["first"].as_object().into_iter().zip(rows.first());
        let all = expected["all"].as_array().into_iter().flatten().map(|e| e.as_object().expect("a row")).zip(&rows);
        let active = case.whole["active"].get(&stream.name);
        expected.get("rows").is_none_or(|n| n.as_u64() == Some(rows.len() as u64))
            && first.chain(all).all(|(expected, row)| is_row(expected, row))
            && active.is_none_or(|n| n.as_u64() == self.active.get(name).copied())
    }
}

/// A field that is not there is null.
fn is_row(expected: &Fields, row: &Fields) -> bool {
    expected.iter().all(|(name, value)| row.get(name).unwrap_or(&Value::Null) == value)
}

fn fits(kind: Option<&str>, cell: Option<&str>, value: Option<&Value>) -> bool {
    let Some(value) = value.filter(|v| !v.is_null()) else { return cell.is_none() };
    let Some(cell) = cell else { return false };
    let instant = |text: &str| text.trim_end_matches('Z').parse::<jiff::civil::DateTime>().ok();
    match (kind, value.as_str()) {
        (Some("timestamp"), Some(text)) => instant(cell).is_some_and(|t| Some(t) == instant(text)),
        (_, Some(text)) => cell == text,
        (Some("number"), None) => cell.parse().ok() == value.as_f64(),
        _ => serde_json::from_str::<Value>(cell).is_ok_and(|v| v == *value),
    }
}

fn is_refused(schema: &Schema) -> bool {
    let p = Project::new(&[
        ("alluvium.yaml", "name: one\n"),
        ("contracts/one.odcs.yaml", &written::contract("one", schema).to_string()),
        ("datasets/bronze/one.yaml", &written::bronze("one").to_string()),
        ("datasets/silver/one.yaml", "from: bronze.one\ncontract: one\n"),
    ]);
    load(p.root(), &Environment::default()).is_err()
}

/// The messages themselves are records, too: of any order, and with ones between that are none.
#[test]
fn messages_are_received_as_they_came() {
    let files = messages();
    let mut bronze = written::bronze("messages");
    bronze["drift"] = json!({ "new": "evolve" });
    let p =
        Project::new(&[("alluvium.yaml", "name: singer\n"), ("datasets/bronze/messages.yaml", &bronze.to_string())]);
    for (name, messages) in &files {
        let torn = "{\"type\": \"RECORD\", \"stream\": \"torn\", \"record\": {\"id\"\n[\"RECORD\"]\n";
        p.put(&format!("landing/messages/{name}.ndjson"), format!("{}\n{torn}", messages.join("\n")).as_bytes());
    }
    p.done(&["run"]);
    let parts = ["type", "stream", "schema", "key_properties", "record", "version", "time_extracted", "value"];
    let rows = p.rows(&format!("SELECT _object, _position, {} FROM bronze.messages", parts.join(", ")));
    assert_eq!(rows.len(), files.values().map(Vec::len).sum::<usize>());
    for row in &rows {
        let file = row["_object"].as_str().expect("a path").trim_end_matches(".ndjson");
        let file = &files[file.rsplit('/').next().expect("a name")];
        let sent: Value = serde_json::from_str(&file[number(&row["_position"])]).expect("a message");
        let same = |part: &&str| fits(None, row.get(*part).and_then(Value::as_str), sent.get(*part));
        assert!(parts.iter().all(same), "{row} of {sent}");
    }
    let malformed = p.rows("SELECT reasons FROM quarantine.bronze_messages");
    assert_eq!(malformed.len(), 2 * files.len(), "{malformed:?}");
}

/// The contract of the first SCHEMA message meets records of later ones; once it is that of the last, all of them are in the table,
/// whatever was done with the new fields until then.
#[test]
fn a_schema_that_grows_in_the_stream_loses_nothing_under_any_policy() {
    let policies: [(&str, &[&[&str]]); 5] = [
        ("rescue", &[&["run", "--adopt", "silver.s"], &["replay", "rescued", "silver.s"]]),
        ("evolve", &[&["run", "--rebuild", "silver.s"]]),
        ("quarantine", &[&["run", "--adopt", "silver.s"], &["replay", "quarantine", "bronze.s"]]),
        ("freeze", &[&["run", "--adopt", "silver.s"]]),
        ("fail", &[&["run", "--adopt", "silver.s"], &["replay", "dead-letters"]]),
    ];
    let all = cases();
    let case = all.iter().find(|c| c.name() == "TargetSchemaUpdates").expect("the case");
    let stream = &case.streams[0];
    assert_eq!(stream.schemas.iter().map(|s| s.properties.len()).collect::<Vec<_>>(), [3, 4, 6, 7]);
    for (policy, commands) in policies {
        let p = Project::new(&[("alluvium.yaml", "name: singer\n")]);
        written::put(&p, "s", stream, &stream.schemas[0]);
        let mut bronze = written::bronze("s");
        bronze["drift"] = json!({ "new": policy });
        p.put("datasets/bronze/s.yaml", bronze.to_string().as_bytes());
        for schemas in 1..=stream.schemas.len() {
            let of = stream.records.iter().filter(|r| r.schemas == schemas).map(|r| format!("{}\n", r.line));
            p.put(&format!("landing/s/{schemas}.ndjson"), of.collect::<String>().as_bytes());
            p.alluvium(&["run"]);
        }
        written::put(&p, "s", stream, stream.last());
        p.put("datasets/bronze/s.yaml", bronze.to_string().as_bytes());
        for command in commands {
            p.done(command);
        }
        let tables = tables(&p, &[("s".to_owned(), stream)]);
        let arrived = Arrived { tables, quarantined: BTreeMap::new(), active: BTreeMap::new() };
        assert!(arrived.stands("s", stream, &BTreeSet::new()), "{policy}: {:?}", arrived.tables);
        assert_eq!(arrived.tables["s"].len(), 6);
    }
}
