//! `alluvium init`.

use crate::harness::Project;
use std::fs;

#[test]
fn every_template_is_a_project_without_mistakes() {
    for template in ["flights", "orders", "empty"] {
        let p = Project::new(&[]);
        p.done(&["init", template]);
        p.done(&["check", template]).said("ok: ");
        assert!(p.path(template).join(".gitignore").is_file());
        assert!(!p.path(template).join(".alluvium").exists(), "no state comes with a template");
    }
}

#[test]
fn the_example_comes_with_its_landing_files() {
    let p = Project::new(&[]);
    p.done(&["init", "flights", "mine"]);
    assert_eq!(fs::read_dir(p.path("mine/landing/flights")).expect("a folder").count(), 12);
    p.done(&["init", "orders"]);
    assert!(p.path("orders/landing/orders").is_dir());
}

#[test]
fn a_folder_with_anything_in_it_is_left_alone() {
    let p = Project::new(&[("taken/.hidden", "")]);
    let ran = p.alluvium(&["init", "empty", "taken"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("error[C0004]: taken is not empty");
    assert_eq!(fs::read_dir(p.path("taken")).expect("a folder").count(), 1);
    let ran = p.alluvium(&["init", "empty", "taken/.hidden"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    fs::create_dir(p.path("free")).expect("a folder");
    p.done(&["init", "empty", "free"]);
}

#[test]
fn an_unknown_template_is_told_the_known_ones() {
    let ran = Project::new(&[]).alluvium(&["init", "flihgts"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("use `flights`, `orders` or `empty`");
}
