//! A definition that was kept makes the dataset that it made.

use crate::{flights, folder, write};
use alluvium_model::DatasetName;
use alluvium_spec::{Environment, Kind, Project, load};
use std::path::Path;

fn loaded(root: &Path) -> Project {
    load(root, &Environment::default()).unwrap_or_else(|d| panic!("{d}"))
}

fn edit(root: &Path, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(root.join(file)).expect("text");
    assert!(text.contains(from), "{from}");
    write(root, file, text.replacen(from, to, 1).as_bytes());
}

#[test]
fn a_version_comes_out_of_the_files_that_made_it() {
    let dir = flights();
    let root = dir.path();
    let then = loaded(root);
    edit(root, "datasets/silver/flights.yaml", "trim: \"*\"", "trim: [flight]");
    edit(root, "datasets/silver/flights.yaml", "minute - 1", "minute - 2");
    edit(root, "contracts/flights.odcs.yaml", "maximum: 2013", "maximum: 2014");
    edit(root, "datasets/gold/daily_delays.sql", "count(*)", "count(f.day)");
    edit(root, "datasets/bronze/flights.yaml", "settle: 2s", "settle: 5s, format: csv");
    let now = loaded(root);
    for (name, was) in &then.datasets {
        let kept = now.with_kept(name, &was.version, &then.files).unwrap_or_else(|| panic!("{name}"));
        let is = &kept.datasets[name];
        assert_eq!(is.version, was.version, "{name}");
        match (&is.kind, &was.kind) {
            (Kind::Bronze(is), Kind::Bronze(was)) => {
                assert_eq!((is.files.format, &is.expected), (was.files.format, &was.expected));
                let of_now = now.datasets[name].bronze().map(|b| b.files.settle);
                assert_eq!(Some(is.files.settle), of_now, "it decides no row, and is that of now");
            }
            (is, was) => assert_eq!(format!("{is:?}"), format!("{was:?}")),
        }
        let rules = |p: &Project| p.contract_of(&p.datasets[name]).map(|c| format!("{:?}", c.rules));
        assert_eq!(rules(&kept), rules(&then), "{name}");
        // All others are as they are now.
        for (other, dataset) in now.datasets.iter().filter(|(other, _)| *other != name) {
            assert_eq!(kept.datasets[other].version, dataset.version);
        }
    }
}

#[test]
fn what_is_not_the_version_that_was_asked_for_is_none() {
    let dir = flights();
    let p = loaded(dir.path());
    let name: DatasetName = "silver.flights".parse().expect("a name");
    let version = &p.datasets[&name].version;
    let file = "datasets/silver/flights.yaml";
    let mut changed = p.files.clone();
    changed.insert(file.to_owned(), p.files[file].replace("minute - 1", "minute - 2"));
    assert!(p.with_kept(&name, version, &changed).is_none(), "another version");
    changed.insert(file.to_owned(), "from: [".to_owned());
    assert!(p.with_kept(&name, version, &changed).is_none(), "unreadable");
    changed.remove(file);
    assert!(p.with_kept(&name, version, &changed).is_none(), "not there");
    changed.clone_from(&p.files);
    changed.remove("contracts/flights.odcs.yaml");
    assert!(p.with_kept(&name, version, &changed).is_none(), "without its contract");
    assert!(p.with_kept(&name, version, &p.files).is_some());
    assert!(p.with_kept(&"silver.nothing".parse().expect("a name"), version, &p.files).is_none());
}

/// It decides which files are loaded, and is part of the version.
#[test]
fn what_a_file_has_to_have_is_what_it_had_to_have_then() {
    let contract = "apiVersion: v3.1.0
kind: DataContract
id: t
name: t
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - { name: id, logicalType: integer, required: true }
";
    let dir = folder(&[
        ("alluvium.yaml", "name: x\n"),
        ("datasets/bronze/t.yaml", "source: { files: landing/ }\n"),
        ("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\nsteps: [validate]\nwrite: append\n"),
        ("contracts/t.odcs.yaml", contract),
    ]);
    let root = dir.path();
    let then = loaded(root);
    edit(root, "contracts/t.odcs.yaml", ", required: true", "");
    let now = loaded(root);
    let name: DatasetName = "bronze.t".parse().expect("a name");
    let required = |p: &Project| match &p.datasets[&name].kind {
        Kind::Bronze(bronze) => bronze.required.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((required(&then).len(), required(&now).len()), (1, 0));
    let kept = now.with_kept(&name, &then.datasets[&name].version, &then.files).expect("its files are there");
    assert_eq!(required(&kept), required(&then));
}
