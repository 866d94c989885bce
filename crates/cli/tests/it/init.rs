//! `alluvium init`.

use crate::harness::{Project, repository};
use std::{collections::BTreeSet, fs, path::Path};

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
fn a_template_is_all_of_its_example() {
    let p = Project::new(&[]);
    for template in ["flights", "orders"] {
        p.done(&["init", template]);
        let of_example = files(&repository().join("examples").join(template), "");
        // What a run makes, and what only the repository's tests read.
        let left_out = |f: &String| f.starts_with("lake/") || f.starts_with("expected.") || f.ends_with(".py");
        let expected: BTreeSet<String> = of_example.into_iter().filter(|f| !left_out(f)).collect();
        assert_eq!(
            files(&p.path(template), ""),
            expected,
            "{template}: what it carries is named in crates/cli/build.rs"
        );
    }
}

/// Paths below the folder, without hidden ones.
fn files(folder: &Path, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{prefix}{}", path.file_name().expect("a name").to_string_lossy());
        if name[prefix.len()..].starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, &format!("{name}/")));
        } else {
            found.insert(name);
        }
    }
    found
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
