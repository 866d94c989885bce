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

#[test]
fn a_large_file_is_shared_by_threads_and_keeps_its_order() {
    let p = Project::new(&[
        ("alluvium.yaml", "name: big\n"),
        ("datasets/bronze/big.yaml", "source: { files: landing/big/, glob: \"*.ndjson\", settle: 0s }\n"),
    ]);
    let pad = "x".repeat(200);
    let line = |i: u32| match i % 10_000 {
        7 => format!("bad {i}\n"),
        9_008 => format!("\n{{\"n\":{i},\"pad\":\"{pad}\",\"late\":1}}\n"),
        _ => format!("{{\"n\":{i},\"pad\":\"{pad}\"}}\n"),
    };
    let text: String = (0..90_000).map(line).collect();
    assert!(text.len() > 16 << 20, "large enough for two threads");
    p.put("landing/big/big.ndjson", text.as_bytes());
    let ran = p.done(&["run"]);
    ran.said("new field `late`, kept in _rescued (9 records)");
    assert_eq!(p.cell("SELECT count(DISTINCT _position) FROM bronze.big WHERE n = CAST(_position AS VARCHAR)"), 89_991);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.big"), 89_991);
    let rows = p.rows("SELECT record FROM quarantine.bronze_big WHERE record = concat('bad ', _position)");
    assert_eq!(rows.len(), 9);
}
