//! What `contract lint` tells of a contract.

use crate::folder;
use alluvium_spec::{Environment, lint_contract, read};

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
team:
  - { username: ada }
slaDefaultElement: t.a
slaProperties:
  - { property: latency, value: 1, unit: h }
  - { property: retention, value: 3, unit: y }
roles:
  - { role: reader }
schema:
  - name: t
    properties:
      - name: a
        logicalType: object
        properties:
          - { name: b, logicalType: string, encryptedName: b_secret }
      - name: c
        logicalType: integer
        partitioned: true
        quality:
          - { rule: nullCheck, mustBe: 0, schedule: '0 * * * *' }
";

fn lint(text: &str) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.odcs.yaml");
    std::fs::write(&path, text).expect("a file");
    let shown = |d: &alluvium_spec::Diagnostic| format!("{} {}: {}", d.code, d.line, d.message);
    lint_contract(&path).map(|found| found.0.iter().map(shown).collect()).map_err(|e| e.to_string())
}

#[test]
fn what_nothing_acts_on_and_what_is_deprecated_is_told_with_its_place() {
    let wanted = [
        "W0005 6: `team` is deprecated here: a list is what v3.0 had",
        "W0005 8: `slaDefaultElement` is deprecated here: the standard removes it",
        "W0004 11: this service level is told to people only",
        "W0004 12: `roles` is told to people only: nobody is given access by it",
        "W0004 20: `encryptedName` is told to people only: nothing is encrypted by it",
        "W0004 23: `partitioned` is told to people only: tables are not partitioned",
        "W0005 25: `rule` is deprecated here: v3.1 has `metric` in its place",
        "W0004 25: `schedule` is told to people only: rules are checked by every step, before it commits",
    ];
    assert_eq!(lint(CONTRACT).expect("warnings"), wanted);
    let of_old = lint(&CONTRACT.replace("v3.1.0", "v3.0.2")).expect("warnings");
    assert!(of_old.iter().all(|w| !w.contains("`team`") && !w.contains("`rule`")), "{of_old:?}");
}

#[test]
fn a_time_zone_that_is_not_applied_is_told() {
    let zoned = |zone: &str| {
        let options = format!("logicalTypeOptions: {{ timezone: false, defaultTimezone: {zone} }}");
        let columns = format!("properties:\n      - {{ name: at, logicalType: timestamp, {options} }}\n");
        let head = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\n";
        lint(&format!("{head}schema:\n  - name: t\n    {columns}")).expect("warnings")
    };
    assert_eq!(
        zoned("Europe/Berlin"),
        ["W0002 9: times without an offset are read as UTC, and not as `Europe/Berlin`"]
    );
    assert_eq!(zoned("Etc/UTC"), Vec::<String>::new());
}

/// Nobody should believe that a column is masked.
#[test]
fn masking_is_told_wherever_it_is_written() {
    let with = |name: &str| {
        let masked = format!("partitioned: true\n        customProperties: [{{ property: {name}, value: sha256 }}]");
        lint(&CONTRACT.replace("partitioned: true", &masked))
    };
    let told = with("masking").expect("warnings");
    assert!(
        told.iter().any(|w| w == "W0004 24: `masking` is told to people only: columns are shown as they are"),
        "{told:?}"
    );
    let refused = with("alluvium.masking").expect_err("it is ours, and does nothing yet");
    assert!(
        refused.contains("`alluvium.masking` is not available yet") && refused.contains("by a `sql` step"),
        "{refused}"
    );
}

/// Tools of others name their own properties as they like.
#[test]
fn a_word_of_others_is_told_to_people_only() {
    let foreign = CONTRACT
        .replace("team:", "customProperties:\n  - { property: compatibility, value: v2 }\nteam:")
        .replace(
            "        partitioned: true\n",
            "        customProperties: [{ property: action, value: [mask, log] }]\n",
        )
        .replace("schedule: '0 * * * *'", "customProperties: [{ property: action, value: warn }]");
    let told = lint(&foreign).expect("warnings");
    let about = |name: &str| told.iter().filter(|w| w.contains(&format!("`{name}` is told to people only"))).count();
    assert_eq!((about("compatibility"), about("action")), (1, 1), "{told:?}");
    let ours = foreign.replace("property: compatibility", "property: alluvium.compatibility");
    assert!(lint(&ours).expect_err("a mistake").contains("`v2` is not known here"));
    let misspelt =
        CONTRACT.replace("team:", "customProperties:\n  - { property: alluvium.compatability, value: FULL }\nteam:");
    let found = lint(&misspelt).expect_err("a mistake");
    assert!(found.contains("E0007") && found.contains("did you mean `alluvium.compatibility`?"), "{found}");
}

/// A version that came after this reader.
#[test]
fn a_later_version_is_read_and_what_it_adds_is_told() {
    let later = CONTRACT
        .replace("v3.1.0", "v3.3.0")
        .replace("roles:\n", "consumers: [{ name: x }]\nroles:\n")
        .replace("        partitioned: true\n", "        retention: 3y\n");
    let told = lint(&later).expect("warnings");
    let told: Vec<&str> = told.iter().map(String::as_str).filter(|w| w.starts_with("W0006")).collect();
    let wanted = [
        "W0006 1: version `v3.3.0` of ODCS is not known, and read as v3.2.0",
        "W0006 12: unknown key `consumers`",
        "W0006 24: unknown key `retention`",
    ];
    assert_eq!(told, wanted);
    assert!(lint(&later.replace("v3.3.0", "v3.2.0")).expect_err("mistakes").contains("E0007"));
    for other in ["v4.0.0", "v3", "v3.x.0", "v2.3.0", "3.1.0"] {
        assert!(lint(&CONTRACT.replace("v3.1.0", other)).expect_err(other).contains("E0301"), "{other}");
    }
}

#[test]
fn a_mistake_is_one() {
    let found = lint(&CONTRACT.replace("logicalType: integer", "logicalType: intger")).expect_err("a mistake");
    assert!(found.contains("E0010") && found.contains("W0004"), "{found}");
}

/// What a table's write does not keep unique, `check` tells, with the rule that would tell it of the data.
#[test]
fn uniqueness_that_nothing_keeps_is_told() {
    let told = |write: &str, key: &str, quality: &str| {
        let contract = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n    quality: [{quality}]\n    properties:\n      - {{ name: id, logicalType: integer{key} }}\n      - {{ name: Day, logicalType: date{key} }}\n"
        );
        let silver = format!("from: bronze.t\ncontract: t\nwrite: {write}\n");
        let dir = folder(&[
            ("alluvium.yaml", "name: x\n"),
            ("landing/keep", ""),
            ("datasets/bronze/t.yaml", "source: { files: landing/ }\n"),
            ("datasets/silver/t.yaml", &silver),
            ("contracts/t.odcs.yaml", &contract),
        ]);
        let reading = read(dir.path(), &Environment::default());
        let of = |d: &alluvium_spec::Diagnostic| {
            format!("{} {}: {}\n{}", d.code, d.line, d.message, d.help.as_deref().unwrap_or_default())
        };
        reading.found.0.iter().map(of).collect::<Vec<_>>()
    };
    let key = ", primaryKey: true";
    assert_eq!(
        told("append", key, ""),
        [
            "W0007 11: nothing keeps `id, Day` unique over silver.t: its rows are appended\neach step checks its own rows; `write: { keys: [id, Day] }` keeps the table so, and a rule under the object's `quality` tells: `{ type: sql, query: \"SELECT count(*) FROM (SELECT id, \\\"Day\\\" FROM ${object} WHERE id IS NOT NULL AND \\\"Day\\\" IS NOT NULL GROUP BY id, \\\"Day\\\" HAVING count(*) > 1) AS twice\", mustBe: 0 }`"
        ]
    );
    let single = told("{ keys: [Day] }", ", unique: true", "");
    assert_eq!(single.len(), 1, "{single:?}");
    assert!(single[0].contains("`id` unique over silver.t: its upsert has other keys"), "{single:?}");
    assert!(single[0].contains("SELECT count(id) - count(DISTINCT id) FROM ${object}"), "{single:?}");
    assert_eq!(told("{ keys: [id, Day] }", key, ""), [""; 0]);
    assert_eq!(told("{ keys: [id] }", key, ""), [""; 0], "some of the columns keep them all");
    // The rule that the help shows ends it.
    let rule = told("append", key, "").remove(0);
    let rule = rule.rsplit_once("tells: `").expect("a rule").1.trim_end_matches('`').to_owned();
    assert_eq!(told("append", key, &rule), [""; 0]);
}

/// So that the rule can be taken as it is shown.
#[test]
fn names_that_are_no_words_of_sql_are_quoted_in_the_rule() {
    let contract = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n    properties:\n      - { name: 1st, logicalType: integer, unique: true }\n";
    let dir = folder(&[
        ("alluvium.yaml", "name: x\n"),
        ("landing/keep", ""),
        ("datasets/bronze/t.yaml", "source: { files: landing/ }\n"),
        ("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\nwrite: append\n"),
        ("contracts/t.odcs.yaml", contract),
    ]);
    let found = read(dir.path(), &Environment::default()).found;
    let help = found.0[0].help.as_deref().unwrap_or_default();
    assert!(help.contains(r#"SELECT count(\"1st\") - count(DISTINCT \"1st\") FROM ${object}"#), "{found}");
}
