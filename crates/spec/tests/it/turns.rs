//! `concurrency` and `throttle`: what is read, and what is a mistake.

use crate::folder;
use alluvium_model::{DatasetName, Span};
use alluvium_spec::{Concurrency, Environment, Throttle, load};

const PROJECT: (&str, &str) = ("alluvium.yaml", "name: turns\n");

fn bronze(more: &str) -> String {
    format!("source: {{ files: landing/ }}\n{more}\n")
}

fn name(text: &str) -> DatasetName {
    text.parse().expect("a name")
}

/// Code, line and help of each mistake in `bronze.a`.
fn said(more: &str) -> String {
    let a = bronze(more);
    let dir = folder(&[PROJECT, ("landing/keep", ""), ("datasets/bronze/a.yaml", &a)]);
    load(dir.path(), &Environment::default()).map_or_else(|d| d.to_string(), |_| String::new())
}

#[test]
fn keys_are_the_projects_unless_they_are_the_datasets_own() {
    let a = bronze(
        "concurrency: [ { key: dataset, limit: 1 }, { key: disk, limit: 2 } ]\nthrottle: { limit: 9, period: 1m }",
    );
    let b = bronze("concurrency: [ { key: own, limit: 1, scope: dataset }, { key: disk, limit: 2, scope: project } ]");
    let c = bronze("throttle: { limit: 3, period: 10s, burst: 2, key: api }");
    let files = [("datasets/bronze/a.yaml", &*a), ("datasets/bronze/b.yaml", &*b), ("datasets/bronze/c.yaml", &*c)];
    let dir = folder(&[&[PROJECT, ("landing/keep", "")], &files[..]].concat());
    let project = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
    let of = |n: &str| project.datasets[&name(n)].clone();
    let disk = vec![Concurrency { key: "disk".into(), limit: 2 }];
    // One step of a dataset runs at a time anyway.
    assert_eq!((of("bronze.a").concurrency, of("bronze.b").concurrency), (disk.clone(), disk));
    let minute = Throttle { key: "bronze.a".into(), limit: 9, period: Span::from_secs(60), burst: 1 };
    assert_eq!(of("bronze.a").throttle, Some(minute));
    let api = Throttle { key: "api".into(), limit: 3, period: Span::from_secs(10), burst: 2 };
    assert_eq!((of("bronze.b").throttle, of("bronze.c").throttle), (None, Some(api)));
}

#[test]
fn every_mistake_is_shown_at_its_place() {
    insta::assert_snapshot!(
        "turns",
        said(
            "concurrency:
  - { key: dataset, limit: 4 }
  - { key: Disk, limit: 0 }
  - { key: dataset, limit: 1, scope: project }
  - { key: disk, limit: 2, scop: project }
  - { key: disk, limit: 2, scope: dataset }
  - { key: disk, limit: 2 }
  - { limit: many }
throttle: { limit: 1, period: 0s, burts: 2 }",
        )
    );
}

#[test]
fn what_shares_a_key_says_the_same_of_it() {
    let turns = |limit: u32, rate: u32| {
        bronze(&format!(
            "concurrency: [ {{ key: disk, limit: {limit} }} ]\nthrottle: {{ limit: {rate}, period: 1m, key: api }}"
        ))
    };
    let (a, b) = (turns(2, 10), turns(3, 20));
    let dir = folder(&[PROJECT, ("landing/keep", ""), ("datasets/bronze/a.yaml", &a), ("datasets/bronze/b.yaml", &b)]);
    let said = load(dir.path(), &Environment::default()).expect_err("two mistakes");
    insta::assert_snapshot!("shared_turns", said.to_string());
}

#[test]
fn a_lease_has_a_shortest_length() {
    let with = |lease: &str| {
        let text = format!("name: turns\nlimits: {{ lease: {lease} }}\n");
        let dir = folder(&[("alluvium.yaml", &text), ("landing/keep", ""), ("datasets/bronze/a.yaml", &bronze(""))]);
        load(dir.path(), &Environment::default()).map(|p| p.limits.lease)
    };
    assert_eq!(with("5m").ok(), Some(Span::from_secs(300)));
    assert_eq!(with("1s").expect_err("a mistake").0[0].code, "E0009");
}
