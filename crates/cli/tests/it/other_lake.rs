//! A state goes on with its own lake only: what would be loaded elsewhere stays where it landed.

use crate::{harness::Project, serving::Serving};
use serde_json::json;
use std::fs;

fn orders() -> Project {
    let p = Project::new(&[
        ("alluvium.yaml", "name: shop\n"),
        ("datasets/bronze/orders.yaml", "source: { files: landing/, settle: 0s }\n"),
    ]);
    p.put("landing/1.csv", b"id\n1\n");
    p.done(&["run"]);
    p
}

fn is_refused(p: &Project, args: &[&str]) {
    let ran = p.alluvium(args);
    assert_ne!(ran.code, Some(0), "{args:?}");
    ran.said("F0118");
}

fn takes_both(p: &Project) {
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), json!(2));
}

#[test]
fn another_lake_takes_nothing_in() {
    let p = orders();
    p.put("landing/2.csv", b"id\n2\n");
    is_refused(&p, &["run", "--lake", "typo"]);
    assert!(!p.path("typo").exists(), "nothing is written there");
    takes_both(&p);
}

#[test]
fn a_lake_that_is_not_mounted_is_waited_for() {
    let p = orders();
    fs::rename(p.path("lake"), p.path("away")).expect("it moves");
    fs::create_dir(p.path("lake")).expect("a mount point");
    p.put("landing/2.csv", b"id\n2\n");
    is_refused(&p, &["run"]);
    is_refused(&p, &["replay", "quarantine", "bronze.orders"]);
    assert_eq!(fs::read_dir(p.path("lake")).expect("a folder").count(), 0, "nothing is written there");
    fs::remove_dir(p.path("lake")).expect("it is empty");
    fs::rename(p.path("away"), p.path("lake")).expect("it moves");
    takes_both(&p);
}

#[test]
fn a_service_ends_over_a_lake_that_is_not_its_own() {
    let p = orders();
    let serving = Serving::start(&p, &[]);
    assert!(serving.comes_to_rest(), "no turn is under way when the lake goes");
    fs::rename(p.path("lake"), p.path("away")).expect("it moves");
    p.put("landing/2.csv", b"id\n2\n");
    let ended = serving.end();
    assert_ne!(ended.code, Some(0));
    ended.said("F0118");
    assert!(!p.path("lake").exists());
    fs::rename(p.path("away"), p.path("lake")).expect("it moves");
    takes_both(&p);
}
