//! What `contract lint` tells of a contract.

use alluvium_spec::lint_contract;

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
