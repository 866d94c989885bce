//! Every kind of mistake is found in one look, at its place, with its code.

use crate::{fixture, folder, write};
use alluvium_spec::{CODES, Environment, load, read};

#[test]
fn one_look_shows_every_mistake() {
    let said = load(&fixture("mistakes"), &Environment { name: "staging".to_owned(), ..Environment::default() });
    let said = said.expect_err("mistakes");
    insta::assert_snapshot!("every_mistake", said.to_string());
    for d in &said.0 {
        assert!(CODES.iter().any(|c| c.code == d.code && c.severity == d.severity), "{}", d.code);
    }
    let seen: std::collections::BTreeSet<&str> = said.0.iter().map(|d| d.code).collect();
    // Each has a test of its own: unreadable, too large, one name twice, drift, schemas of others, what only `contract lint` tells,
    // functions of the library, what is compared with the state.
    let library = ["E0265", "E0266", "E0267", "E0268", "E0269"];
    let elsewhere =
        ["E0001", "E0003", "E0104", "E0140", "E0312", "E0350", "W0004", "W0005", "W0006", "W0007", "W0050", "W0051"];
    let missing: Vec<&str> = CODES
        .iter()
        .map(|c| c.code)
        .filter(|c| !seen.contains(c) && !library.contains(c) && !elsewhere.contains(c))
        .collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}

#[test]
fn a_diagnostic_serializes_with_its_place() {
    let dir = folder(&[("alluvium.yaml", "name: x\nlimts: {}\n")]);
    let said = load(dir.path(), &Environment::default()).expect_err("a mistake");
    insta::assert_json_snapshot!(said, @r#"
    [
      {
        "code": "E0007",
        "severity": "error",
        "message": "unknown key `limts`",
        "file": "alluvium.yaml",
        "line": 2,
        "column": 1,
        "length": 5,
        "source_line": "limts: {}",
        "help": "did you mean `limits`?"
      }
    ]
    "#);
}

/// A misspelt key is there, and its place is known: that it is missing would be said beside it for nothing.
#[test]
fn a_misspelt_key_is_one_mistake() {
    let said = |bronze: &str| {
        let dir = folder(&[("alluvium.yaml", "name: x\n"), ("landing/keep", ""), ("datasets/bronze/a.yaml", bronze)]);
        let said = load(dir.path(), &Environment::default()).expect_err("a mistake");
        said.0.iter().map(|d| (d.code, d.line, d.help.clone())).collect::<Vec<_>>()
    };
    let help = Some("did you mean `source`?".to_owned());
    assert_eq!(said("description: a\nsorce: { files: landing/ }\n"), [("E0007", 2, help)]);
    assert_eq!(said("description: a\n"), [("E0008", 1, None)]);
    let far = said("description: a\nwhence: { files: landing/ }\n");
    assert_eq!(far.iter().map(|(code, line, _)| (*code, *line)).collect::<Vec<_>>(), [("E0008", 1), ("E0007", 2)]);
}

#[test]
fn a_folder_that_is_no_project_says_so() {
    let dir = folder(&[("README.md", "")]);
    let said = load(dir.path(), &Environment::default()).expect_err("no project");
    assert_eq!(said.0[0].code, "E0001");
    let said = load(&dir.path().join("nowhere"), &Environment::default()).expect_err("no folder");
    assert_eq!(said.0[0].code, "E0001");
    assert_eq!(said.0[0].file, dir.path().join("nowhere"));
}

#[test]
fn sound_datasets_are_handed_over_beside_the_mistakes() {
    let dir = crate::flights();
    write(dir.path(), "contracts/airlines.odcs.yaml", b"schema: [\n");
    write(dir.path(), "datasets/silver/planes.yaml", b"from: bronze.planes\ncontract: planes\nsteps: [validat]\n");
    write(dir.path(), "alluvium.yaml", b"state: [\n");
    let reading = read(dir.path(), &Environment::default());
    let flawed: Vec<_> =
        reading.flawed.iter().map(|(name, contract)| (name.to_string(), contract.as_deref())).collect();
    assert_eq!(flawed, [("silver.airlines".to_owned(), None), ("silver.planes".to_owned(), Some("planes"))]);
    assert!(reading.project.datasets.contains_key(&"silver.flights".parse().expect("a name")));
    assert_eq!(reading.project.order.len(), reading.project.datasets.len());
    assert!(reading.project.contracts.contains_key("flights"));
    assert!(!reading.project.contracts.contains_key("airlines"));
    let files: std::collections::BTreeSet<_> = reading.found.0.iter().map(|d| d.file.to_str().expect("text")).collect();
    let wrong = ["alluvium.yaml", "contracts/airlines.odcs.yaml", "datasets/silver/planes.yaml"];
    assert!(wrong.iter().all(|f| files.contains(f)), "{}", reading.found);
}

#[test]
fn an_unusable_place_is_one_mistake() {
    let dir = folder(&[("alluvium.yaml", "name: x\nstate: ../out/{env}.db\n")]);
    write(dir.path(), "datasets/bronze/a.yaml", b"source: { files: landing/a }\n");
    let said = load(dir.path(), &Environment::default()).expect_err("outside");
    assert_eq!(said.0.iter().map(|d| d.code).collect::<Vec<_>>(), ["E0013"]);
}

#[test]
fn two_files_cannot_define_one_dataset() {
    let dir = folder(&[("alluvium.yaml", "name: x\n")]);
    write(dir.path(), "datasets/bronze/a.yaml", b"source: { files: landing/a }\n");
    write(dir.path(), "datasets/bronze/more/a.yaml", b"source: { files: landing/b }\n");
    let said = load(dir.path(), &Environment::default()).expect_err("twice");
    assert_eq!(said.0.iter().map(|d| d.code).collect::<Vec<_>>(), ["E0104"]);
}

#[test]
fn one_mistake_is_not_reported_as_many() {
    // The contract cannot be read: what uses it is not wrong for that.
    let dir = crate::flights();
    write(dir.path(), "contracts/airlines.odcs.yaml", b"schema: [\n");
    let said = load(dir.path(), &Environment::default()).expect_err("a mistake");
    assert_eq!(said.0.iter().filter(|d| d.code.starts_with('E')).count(), 1, "{said}");
}
