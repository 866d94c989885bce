//! Policies for drift: what can be written, what it means, and what is wrong with what cannot.

use crate::{flights, folder, write};
use alluvium_spec::{Bronze, DriftKind, DriftPolicies, DriftPolicy, Environment, Inside, Kind, Project, load};

fn bronze<'p>(project: &'p Project, name: &str) -> &'p Bronze {
    match &project.datasets[&name.parse().expect("a name")].kind {
        Kind::Bronze(bronze) => bronze,
        Kind::Silver(_) | Kind::Gold(_) => panic!("{name} is bronze"),
    }
}

fn of(drift: &str) -> (DriftPolicies, String) {
    let file = format!("source: {{ files: landing/ }}\n{drift}\n");
    let dir = folder(&[("alluvium.yaml", "name: x\n"), ("datasets/bronze/t.yaml", &file)]);
    let project = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
    let version = project.datasets[&"bronze.t".parse().expect("a name")].version.to_string();
    (bronze(&project, "bronze.t").drift, version)
}

#[test]
fn one_word_sets_the_kinds_that_take_it() {
    for word in DriftPolicy::ALL {
        let (policies, _) = of(&format!("drift: {}", word.word()));
        for kind in DriftKind::ALL {
            let takes = kind.policies().contains(&word);
            let expected = if takes { word } else { DriftPolicies::default().of(kind) };
            assert_eq!(policies.of(kind), expected, "{} for {}", word.word(), kind.word());
        }
    }
}

#[test]
fn each_kind_takes_what_it_says() {
    for kind in DriftKind::ALL {
        assert_eq!(DriftPolicies::default().of(kind), kind.policies()[0], "the default comes first");
        for policy in kind.policies() {
            let (policies, _) = of(&format!("drift: {{ {}: {} }}", kind.word(), policy.word()));
            assert_eq!(policies.of(kind), *policy);
            let others = DriftKind::ALL.into_iter().filter(|k| *k != kind);
            others.for_each(|k| assert_eq!(policies.of(k), DriftPolicies::default().of(k)));
        }
    }
}

#[test]
fn the_default_is_no_other_definition_and_another_policy_is() {
    let (_, silent) = of("");
    assert_eq!(of("drift: rescue").1, silent);
    assert_eq!(of("drift: { missing: evolve }").1, silent);
    assert_ne!(of("drift: freeze").1, silent);
    assert_ne!(of("drift: freeze").1, of("drift: fail").1);
}

#[test]
fn names_that_begin_with_an_underscore_are_asked_for_unless_bronze_adds_them() {
    let contract = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: t\nversion: 1.0.0\nstatus: active
schema: [{ name: t, properties: [{ name: _id, logicalType: string }, { name: place, logicalType: integer }] }]\n";
    let silver =
        "from: bronze.t\ncontract: t\nsteps: [{ sql: \"SELECT *, _position AS place FROM input\" }, validate]\n";
    let dir = folder(&[
        ("alluvium.yaml", "name: x\n"),
        ("datasets/bronze/t.yaml", "source: { files: landing/ }\ndrift: freeze\n"),
        ("datasets/silver/t.yaml", silver),
        ("contracts/t.odcs.yaml", contract),
    ]);
    let project = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
    assert_eq!(bronze(&project, "bronze.t").expected, ["_id"]);
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    let dir = flights();
    let put = |path: &str, text: &str| write(dir.path(), path, text.as_bytes());
    put("datasets/bronze/flights.yaml", "source: { files: landing/ }\ndrift: evovle\n");
    put(
        "datasets/bronze/planes.yaml",
        "source: { files: landing/ }\ndrift: { new: ignore, missing: rescue, retyped: evolve, reordered: quarantine, renamed: fail }\n",
    );
    put("datasets/bronze/airlines.yaml", "source: { files: landing/, format: csv }\ndrift: { retyped: fail }\n");
    put("datasets/bronze/airports.yaml", "source: { files: landing/, format: ndjson }\ndrift: { reordered: fail }\n");
    put("datasets/bronze/weather.yaml", "source: { files: landing/ }\ndrift: [evolve]\n");
    put("datasets/silver/flights.yaml", "from: bronze.flights\ncontract: flights\ndrift: fail\n");
    let said = load(dir.path(), &Environment::default()).expect_err("mistakes");
    insta::assert_snapshot!("drift_mistakes", said.to_string());
}

#[test]
fn what_a_contract_says_of_the_inside_reaches_bronze_where_values_do() {
    let contract = "apiVersion: v3.1.0
kind: DataContract
id: t
name: t
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - { name: id, logicalType: integer }
      - { name: word, logicalType: string }
      - { name: made, logicalType: integer }
      - name: parts
        logicalType: array
        items: { logicalType: object, properties: [{ name: x, logicalType: number }] }
";
    let silver = "from: bronze.t\ncontract: t\nsteps:\n  - normalize: { rename: { Parts: parts } }\n  - sql: SELECT *, 1 AS made FROM input\n  - validate\n";
    let dir = folder(&[
        ("alluvium.yaml", "name: x\n"),
        ("datasets/bronze/t.yaml", "source: { files: landing/ }\n"),
        ("datasets/silver/t.yaml", silver),
        ("contracts/t.odcs.yaml", contract),
    ]);
    let project = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
    let inside = &bronze(&project, "bronze.t").inside;
    assert_eq!(inside.get("id"), Some(&Inside::Scalar));
    assert_eq!(inside.get("word"), Some(&Inside::Any));
    assert_eq!(inside.get("made"), None);
    let item = Inside::Object([("x".to_owned(), Inside::Scalar)].into());
    assert_eq!(inside.get("Parts"), Some(&Inside::Array(Box::new(item))));
}

/// By reader, the columns without which it takes no row.
fn required(bronze_file: &str, silver: &[(&str, &str)]) -> Vec<String> {
    let contract = "apiVersion: v3.1.0
kind: DataContract
id: t
name: t
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - { name: id, logicalType: integer, primaryKey: true }
      - { name: day, logicalType: date, required: true }
      - { name: word, logicalType: string }
      - { name: told, logicalType: string, required: true, customProperties: [{ property: alluvium.action, value: warn }] }
";
    let files: Vec<(String, String)> = silver
        .iter()
        .map(|(name, text)| (format!("datasets/silver/{name}.yaml"), format!("from: bronze.t\ncontract: t\n{text}")))
        .collect();
    let mut all = vec![
        ("alluvium.yaml", "name: x\n"),
        ("datasets/bronze/t.yaml", bronze_file),
        ("contracts/t.odcs.yaml", contract),
    ];
    all.extend(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let dir = folder(&all);
    let project = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
    let line = |(reader, columns): (&alluvium_model::DatasetName, &std::collections::BTreeSet<String>)| {
        format!("{reader}: {}", columns.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
    };
    bronze(&project, "bronze.t").required.iter().map(line).collect()
}

#[test]
fn what_has_to_be_there_is_what_comes_straight_from_the_source() {
    let file = "source: { files: landing/ }\n";
    let one = |steps: &str| required(file, &[("t", steps)]).join("; ");
    assert_eq!(one(""), "silver.t: day id");
    assert_eq!(one("steps: [{ normalize: { rename: { Tag: day } } }, validate]\n"), "silver.t: Tag id");
    assert_eq!(
        one("steps: [{ normalize: { rename: { Tag: day }, default: { day: \"2026-01-01\" } } }, validate]\n"),
        "silver.t: id"
    );
    assert_eq!(one("steps: [{ sql: \"SELECT *, 1 AS id FROM input\" }, validate]\n"), "silver.t: day");
    assert_eq!(one("steps: [{ sql: \"SELECT * FROM input WHERE word = 'x'\" }, validate]\n"), "");
    assert_eq!(
        one("steps: [{ sql: \"SELECT * REPLACE (coalesce(day, '2026-01-01') AS day) FROM input\" }, validate]\n"),
        ""
    );
    assert_eq!(one("steps: [{ sql: \"SELECT a AS id, b AS day, word, told FROM input\" }, validate]\n"), "");
}

#[test]
fn nothing_has_to_be_there_where_a_reader_goes_without_or_the_file_says_so() {
    let file = "source: { files: landing/ }\n";
    let free = "steps: [{ sql: \"SELECT * FROM input WHERE word = 'x'\" }, validate]\n";
    assert_eq!(required(file, &[("t", ""), ("u", "")]), ["silver.t: day id", "silver.u: day id"]);
    assert_eq!(required(file, &[("t", ""), ("u", free)]), [""; 0]);
    assert_eq!(required(&format!("{file}drift: {{ missing: evolve }}\n"), &[("t", "")]), [""; 0]);
    assert_eq!(required(&format!("{file}drift: evolve\n"), &[("t", "")]), [""; 0]);
    assert_eq!(required(&format!("{file}drift: rescue\n"), &[("t", "")]), ["silver.t: day id"]);
}
