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
fn a_mistake_is_one() {
    let found = lint(&CONTRACT.replace("logicalType: integer", "logicalType: intger")).expect_err("a mistake");
    assert!(found.contains("E0010") && found.contains("W0004"), "{found}");
}
