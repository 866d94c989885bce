//! What a landing folder may hold beside files.

use crate::harness::Project;
use std::fs;

#[test]
fn a_folder_in_the_place_of_a_file_is_refused_and_the_rest_is_loaded() {
    let p = Project::shop();
    fs::create_dir(p.path("landing/orders/folder.csv")).expect("a folder");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("G0001 bronze.orders: folder.csv");
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 3);
}

#[test]
fn a_missing_landing_folder_is_refused() {
    let p = Project::shop();
    fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("G0005 bronze.orders");
    assert_eq!(p.cell("SELECT count(*) FROM silver.customers"), 2);
}

#[test]
fn a_named_pipe_does_not_hold_a_run_up() {
    let p = Project::shop();
    let made = std::process::Command::new("mkfifo").arg(p.path("landing/orders/pipe.csv")).status();
    assert!(made.expect("mkfifo runs").success());
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("G0002 bronze.orders: pipe.csv");
}

#[test]
fn a_file_name_moves_no_cursor() {
    let p = Project::shop();
    fs::create_dir(p.path("landing/orders/\u{1b}[2J.csv")).expect("a folder");
    let ran = p.alluvium(&["run"]);
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{ran}");
    ran.said("\\u{1b}[2J.csv");
}
