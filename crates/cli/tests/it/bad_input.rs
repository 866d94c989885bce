//! Input that is not what it should be: told, set aside, and nothing lost.

use crate::{
    harness::{Project, Ran, files_below},
    market::{MARKET, ORDERS_HEAD, balances, killed_at, rows},
};
use serde_json::Value;
use std::{fmt::Write, fs};

const GOOD: &str = "10,c1,2024-02-01,1,I,1\n11,c2,2024-02-01,2,I,1\n";
const CSV: &str = "source: { files: landing/orders/, glob: \"*.{csv,csv.gz,parquet}\", settle: 0s }\n";

/// Customers are there, orders are not.
fn market() -> Project {
    let p = Project::new(MARKET);
    p.put("datasets/bronze/orders.yaml", CSV.as_bytes());
    fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    fs::create_dir(p.path("landing/orders")).expect("a folder");
    p
}

/// A run that has to say it failed, with a code and a way out.
#[track_caller]
fn fails(p: &Project, code: &str) -> Ran {
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains(code), "{code} is not told\n{ran}");
    assert!(all.contains("help: ") || !all.contains("\nfailed\n"), "no way out is told\n{ran}");
    ran
}

/// Where what may pass is tried again soon.
fn quick() -> Project {
    let p = Project::new(MARKET);
    let quick = "name: market\ndefaults: { retry: { interval: 10ms, max_delay: 100ms } }\n";
    p.edit("alluvium.yaml", "name: market\n", quick);
    p
}

/// After the cause is mended: what was given up meanwhile comes back, and then nothing is left to do.
#[track_caller]
fn mended(p: &Project) {
    p.done(&["replay", "dead-letters"]);
    p.done(&["run"]);
}

#[track_caller]
fn ids(p: &Project) -> Vec<i64> {
    let rows = p.rows("SELECT id FROM silver.orders ORDER BY id");
    rows.iter().map(|r| r["id"].as_i64().expect("an id")).collect()
}

/// Rule of each record in bronze's quarantine, with the record.
#[track_caller]
fn malformed(p: &Project, table: &str) -> Vec<(String, String)> {
    let rows = p.rows(&format!("SELECT record, reasons FROM quarantine.bronze_{table} ORDER BY _position"));
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    rows.iter().map(|r| (text(&r["reasons"][0]["rule"]), text(&r["record"]))).collect()
}

/// What is dead is told once, does not hold up its neighbours, and its complete self loads under the same name.
fn dead_then_mended(name: &str, broken: &[u8], code: &str, mended: &[u8]) {
    let p = market();
    p.put("landing/orders/good.csv", format!("{ORDERS_HEAD}1,c1,2024-01-01,1,I,1\n").as_bytes());
    p.put(&format!("landing/orders/{name}"), broken);
    fails(&p, code);
    assert_eq!(ids(&p), [1]);
    assert_eq!(p.cell("SELECT count(*) FROM state.steps WHERE dead = 1"), 1);
    p.put(&format!("landing/orders/{name}"), mended);
    p.done(&["run"]);
    assert_eq!(ids(&p), [1, 10, 11]);
    balances(&p);
}

fn good() -> Vec<u8> {
    format!("{ORDERS_HEAD}{GOOD}").into_bytes()
}

/// Gzip without compression: one stored block.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut crc = !0_u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let len = u16::try_from(data.len()).expect("one block");
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(len.to_le_bytes());
    out.extend((!len).to_le_bytes());
    out.extend(data);
    out.extend((!crc).to_le_bytes());
    out.extend(u32::from(len).to_le_bytes());
    out
}

#[test]
fn a_truncated_gzip_is_dead_until_it_is_complete() {
    let whole = gzip(&good());
    for cut in [whole.len() - 1, whole.len() - 12, 30, 5] {
        dead_then_mended("cut.csv.gz", &whole[..cut], "D000", &whole);
    }
}

#[test]
fn a_dead_letter_names_its_file_and_a_way_out() {
    let p = market();
    p.put("landing/orders/cut.csv.gz", &gzip(&good())[..30]);
    let ran = fails(&p, "D0001");
    ran.said("cut.csv.gz");
    ran.said("eliver the complete file again");
}

#[test]
fn a_damaged_gzip_is_dead() {
    let whole = gzip(&good());
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    dead_then_mended("damaged.csv.gz", &damaged, "D0002", &whole);
}

#[test]
fn other_encodings_are_dead() {
    let text = String::from_utf8(good()).expect("text");
    let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    dead_then_mended("le.csv", &[&[0xFF, 0xFE][..], &wide(u16::to_le_bytes)].concat(), "D0003", text.as_bytes());
    dead_then_mended("be.csv", &[&[0xFE, 0xFF][..], &wide(u16::to_be_bytes)].concat(), "D0003", text.as_bytes());
}

#[test]
fn a_row_that_is_not_utf_8_waits_in_quarantine_with_its_bytes() {
    let p = market();
    p.put(
        "landing/orders/a.csv",
        &[ORDERS_HEAD.as_bytes(), b"9,M\xfcller,2024-02-01,1,I,1\n", GOOD.as_bytes()].concat(),
    );
    p.done(&["run"]);
    assert_eq!(ids(&p), [10, 11]);
    let rows = p.rows("SELECT record, record_encoding FROM quarantine.bronze_orders");
    assert_eq!(rows.len(), 1);
    assert_ne!(rows[0]["record_encoding"], "text", "{rows:?}");
    balances(&p);
}

#[test]
fn rows_with_other_numbers_of_fields_are_kept() {
    let p = market();
    let few = "8,c1,2024-02-01\n";
    let many = "9,c1,2024-02-01,1,I,1,more,and more\n";
    p.put("landing/orders/a.csv", format!("{ORDERS_HEAD}{few}{many}{GOOD}").as_bytes());
    p.done(&["run"]);
    assert_eq!(ids(&p), [10, 11], "a row of another shape is not guessed at");
    let aside = malformed(&p, "orders");
    assert_eq!(aside.iter().map(|a| a.1.as_str()).collect::<Vec<_>>(), [few.trim(), many.trim()]);
    assert!(aside.iter().all(|a| a.0.starts_with("malformed:")), "{aside:?}");
    balances(&p);
}

#[test]
fn nul_bytes_stay_where_they_are() {
    let p = market();
    p.put("landing/orders/a.csv", format!("{ORDERS_HEAD}9,c\0,2024-02-01,1,I,1\n{GOOD}").as_bytes());
    p.done(&["run"]);
    assert_eq!(ids(&p), [10, 11]);
    let waits = p.rows("SELECT record FROM quarantine.silver_orders");
    assert_eq!(waits.len(), 1);
    assert!(waits[0]["record"].as_str().is_some_and(|r| r.contains("c\\u0000")), "{waits:?}");
    balances(&p);
}

#[test]
fn a_file_of_nul_bytes_hurts_nobody() {
    let p = market();
    p.put("landing/orders/a.csv", &good());
    p.put("landing/orders/zero.csv", &[0; 4096]);
    let ran = p.alluvium(&["run"]);
    assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
    assert_eq!(ids(&p), [10, 11], "{ran}");
    balances(&p);
}

#[test]
fn a_line_of_100_megabytes_is_set_aside_in_bounded_memory() {
    const LINE: usize = 100 << 20;
    for (set, name, head, tail) in [
        ("orders", "long.csv", format!("{ORDERS_HEAD}9,\"").into_bytes(), format!("\",2024-02-01,1,I,1\n{GOOD}")),
        ("orders", "bare.csv", format!("{ORDERS_HEAD}9,").into_bytes(), format!(",2024-02-01,1,I,1\n{GOOD}")),
        ("clicks", "long.ndjson", b"{\"id\":5,\"page\":\"".to_vec(), "\"}\n{\"id\":10}\n{\"id\":11}\n".to_owned()),
    ] {
        let p = market();
        p.put(
            "alluvium.yaml",
            b"name: market\nsinks: { folder: { files: out/ } }\nlimits: { memory: 256MiB, record: 8MiB }\n",
        );
        fs::remove_file(p.path("landing/clicks/1.ndjson")).expect("removed");
        let mut content = head;
        content.resize(content.len() + LINE, b'x');
        content.extend(tail.as_bytes());
        p.put(&format!("landing/{set}/{name}"), &content);
        let ran = p.alluvium(&["run", "--format", "json"]);
        assert_eq!(ran.code, Some(0), "{name}\n{ran}");
        assert_eq!(p.cell(&format!("SELECT count(*) FROM silver.{set} WHERE id >= 10")), 2, "{name}");
        let aside = malformed(&p, set);
        assert_eq!(aside.len(), 1, "{name}");
        assert!(aside[0].1.len() < 8 << 20, "{name} keeps {} bytes", aside[0].1.len());
        let peak = serde_json::from_str::<Value>(&ran.stdout).expect("a summary")["peak_memory_bytes"].as_u64();
        assert!(peak.is_some_and(|b| b < 400 << 20), "{name}: {peak:?}\n{ran}");
        balances(&p);
    }
}

#[test]
fn ndjson_lines_that_are_no_objects_are_kept_as_they_are() {
    let p = market();
    let bad = ["[1]", "7", "\"text\"", "null", "{\"id\":", "{\"id\":3}}", "nonsense"];
    let text = format!("{{\"id\":1}}\n{}\n\n{{\"id\":2}}", bad.join("\n"));
    p.put("landing/clicks/1.ndjson", text.as_bytes());
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.clicks"), 2);
    let aside = malformed(&p, "clicks");
    assert_eq!(aside.iter().map(|a| a.1.as_str()).collect::<Vec<_>>(), bad);
    balances(&p);
}

#[test]
fn a_parquet_file_cut_short_is_dead_until_it_is_complete() {
    let maker = market();
    maker.put("landing/orders/a.csv", &good());
    maker.done(&["run"]);
    let sql = "SELECT id, customer, day, amount, op, changed FROM bronze.orders";
    maker.done(&["query", sql, "--to", "orders.parquet"]);
    let whole = fs::read(maker.path("orders.parquet")).expect("a file");
    for cut in [whole.len() - 1, whole.len() / 2, 6, 3] {
        let p = market();
        p.put("landing/orders/cut.parquet", &whole[..cut]);
        fails(&p, "D000");
        p.put("landing/orders/cut.parquet", &whole);
        p.done(&["run"]);
        assert_eq!(ids(&p), [10, 11]);
        balances(&p);
    }
}

#[test]
fn empty_files_are_events_without_rows() {
    let p = market();
    p.put("landing/orders/empty.csv", b"");
    p.put("landing/orders/head.csv", ORDERS_HEAD.as_bytes());
    p.put("landing/clicks/empty.ndjson", b"");
    p.done(&["run"]);
    assert!(p.done(&["run"]).stdout.starts_with("nothing to do"));
    p.put("landing/orders/empty.csv", &good());
    p.done(&["run"]);
    assert_eq!(ids(&p), [10, 11]);
    balances(&p);
}

#[test]
fn a_file_that_grows_after_it_was_seen_is_loaded_as_it_became() {
    for point in ["events.after_record", "plan.after_record", "step.after_claim"] {
        let p = market();
        // The customers are there, so that only the orders' steps pass the point.
        p.done(&["run"]);
        p.put("landing/orders/a.csv", format!("{ORDERS_HEAD}1,c1,2024-01-01,1,I,1\n").as_bytes());
        assert!(killed_at(&p, &["run"], point, 1), "{point}");
        p.put("landing/orders/a.csv", format!("{ORDERS_HEAD}1,c1,2024-01-01,1,I,1\n{GOOD}").as_bytes());
        let ran = p.alluvium(&["run"]);
        ran.said("D0012");
        assert_eq!(ids(&p), [1, 10, 11], "{point}\n{ran}");
        assert!(p.done(&["run"]).stdout.starts_with("nothing to do"));
        balances(&p);
    }
}

#[test]
fn a_file_that_grows_while_it_settles_is_loaded_once_and_whole() {
    use std::io::Write;
    let p = market();
    p.put("datasets/bronze/orders.yaml", CSV.replace("0s", "300ms").as_bytes());
    p.put("landing/orders/a.csv", ORDERS_HEAD.as_bytes());
    let mut file = fs::File::options().append(true).open(p.path("landing/orders/a.csv")).expect("a file");
    let mut run = p
        .command(&["run"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it runs");
    let mut written = 0;
    // Slower than a disk and without sleeping: each line waits for the file to be on the disk.
    while run.try_wait().expect("a process").is_none() && written < 3_000 {
        written += 1;
        file.write_all(format!("{written},c1,2024-02-01,1,I,1\n").as_bytes()).expect("a line");
        file.sync_all().expect("synced");
    }
    run.wait().expect("it ends");
    drop(file);
    for _ in 0..5 {
        if p.alluvium(&["run"]).code == Some(0) && ids(&p).len() == written {
            break;
        }
    }
    assert_eq!(ids(&p).len(), written);
    balances(&p);
}

#[test]
fn a_file_that_is_gone_before_it_is_read_is_told() {
    let p = market();
    p.put("landing/orders/a.csv", &good());
    assert!(killed_at(&p, &["run"], "plan.after_record", 3));
    fs::remove_file(p.path("landing/orders/a.csv")).expect("removed");
    fails(&p, "D0013");
    p.put("landing/orders/again.csv", &good());
    p.done(&["run"]);
    assert_eq!(ids(&p), [10, 11], "the same content delivered again is loaded");
}

/// A folder above the file made way for a file: no attempt can find it there.
#[test]
fn a_folder_that_is_none_any_more_is_not_tried_again() {
    let p = market();
    p.put("landing/orders/a.csv", &good());
    assert!(killed_at(&p, &["run"], "plan.after_record", 3));
    fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    p.put("landing/orders", b"a file where a folder should be");
    let ran = fails(&p, "D0013");
    assert!(!ran.stderr.contains("it is tried again"), "{ran}");
}

/// What can be no file is told once, however often a run looks.
#[test]
fn what_is_refused_is_listed_once() {
    let p = market();
    fs::create_dir(p.path("landing/orders/folder.csv")).expect("a folder");
    p.put("landing/orders/a.csv", &good());
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert_eq!(ran.stdout.matches("folder.csv").count(), 1, "{ran}");
    assert_eq!(p.json(&["run"])["objects"]["refused"], 1);
}

/// A limit on the size of a file stands for a full disk: it fails in the same places.
#[test]
fn a_disk_that_cannot_hold_the_table_loses_nothing() {
    for blocks in [1, 4, 64, 100] {
        let p = quick();
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" run");
        let out = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_alluvium")])
            .current_dir(p.root())
            .env("NO_COLOR", "1")
            .output();
        let ran = Ran::from(out.expect("sh runs"));
        assert!(matches!(ran.code, Some(0 | 1)), "{blocks} blocks\n{ran}");
        if ran.code == Some(1) {
            assert!(ran.stderr.contains("help: ") || ran.stdout.contains("help: "), "{blocks} blocks\n{ran}");
        }
        mended(&p);
        let calm = Project::new(MARKET);
        calm.done(&["run"]);
        assert_eq!(rows(&p), rows(&calm), "{blocks} blocks");
        balances(&p);
    }
}

/// Where each file has a lane, the small one's is done when the large one's does not fit.
#[test]
fn a_disk_that_cannot_hold_one_of_several_files_is_left_with_none() {
    let p = quick();
    p.edit("alluvium.yaml", "retry: { ", "retry: { max_attempts: 2, ");
    let mut large = String::from(ORDERS_HEAD);
    for n in 0..20_000_u64 {
        // A customer that nobody has, and that compression does not make small.
        write!(large, "{n},").expect("memory takes it");
        for i in 0..16 {
            let mixed = (n * 16 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(n | 1);
            write!(large, "{mixed:016x}").expect("memory takes it");
        }
        large.push_str(",2024-01-01,1,I,1\n");
    }
    p.put("landing/orders/a.csv", large.as_bytes());
    p.put("landing/orders/b.csv", &good());
    let out = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" run", env!("CARGO_BIN_EXE_alluvium")])
        .current_dir(p.root())
        .env("NO_COLOR", "1")
        .output();
    let ran = Ran::from(out.expect("sh runs"));
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("L0001");
    let left = files_below(&p.path("lake/dev/bronze/orders"), "parquet");
    assert!(left.is_empty(), "{left:?}");
    let left = files_below(&p.path("lake/dev/silver/orders"), "parquet");
    assert!(left.is_empty(), "what was refined beside: {left:?}");
    mended(&p);
    assert!(p.cell("SELECT count(*) FROM bronze.orders").as_u64() > Some(20_000), "all of it came");
}

/// Mounts a small disk over the lake; `None` where a test may not mount.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn over(at: std::path::PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&at).expect("a folder");
        let options = format!("size={size}");
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &options, "small"]).arg(&at).output();
        mounted.is_ok_and(|o| o.status.success()).then_some(Self(at))
    }

    fn remount(&self, option: &str) {
        let status =
            std::process::Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(&self.0).status();
        assert!(status.is_ok_and(|s| s.success()), "remount with {option}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_under_the_lake_is_told_and_survived() {
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    let expected = rows(&calm);
    let mut failures = 0;
    for size in ["16k", "32k", "48k", "64k", "96k", "128k"] {
        let p = quick();
        let Some(disk) = SmallDisk::over(p.path("lake"), size) else {
            println!("skipped: this test may not mount a disk");
            return;
        };
        let ran = p.alluvium(&["run"]);
        if ran.code != Some(0) {
            failures += 1;
            ran.said("L0");
        }
        disk.remount("size=64m");
        mended(&p);
        assert_eq!(rows(&p), expected, "{size}");
        balances(&p);
    }
    assert!(failures >= 2, "the disk was never full");
}

#[test]
fn a_full_disk_under_the_state_is_told_and_survived() {
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    let expected = rows(&calm);
    for size in ["8k", "180k", "260k"] {
        let p = quick();
        let Some(disk) = SmallDisk::over(p.path(".alluvium"), size) else {
            println!("skipped: this test may not mount a disk");
            return;
        };
        let ran = p.alluvium(&["run"]);
        assert!(matches!(ran.code, Some(0 | 1)), "{size}\n{ran}");
        if ran.code == Some(1) {
            ran.said("S0");
            ran.said("help: ");
        }
        disk.remount("size=64m");
        mended(&p);
        assert_eq!(rows(&p), expected, "{size}");
        balances(&p);
    }
}

#[test]
fn a_lake_that_cannot_be_written_is_told_and_survived() {
    let p = Project::new(MARKET);
    p.put("lake", b"a file where a folder should be");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("L0");
    ran.said("help: ");
    fs::remove_file(p.path("lake")).expect("removed");
    if let Some(disk) = SmallDisk::over(p.path("lake"), "64m") {
        disk.remount("ro");
        fails(&p, "L0");
        disk.remount("rw");
        mended(&p);
        balances(&p);
        assert_eq!(ids(&p), [1, 5, 6]);
    } else {
        p.done(&["run"]);
        assert_eq!(ids(&p), [1, 5, 6]);
    }
}

/// While the reference could not be made, what refers to it waits; it is not set aside for a reference of nothing.
#[test]
fn what_depends_on_a_failed_dataset_waits_for_it() {
    let p = Project::new(MARKET);
    p.put("lake/dev/silver/customers", b"a file where a folder should be");
    let ran = fails(&p, "L0101");
    assert!(!ran.stderr.contains("attempt 2"), "what is in the way stays there\n{ran}");
    fs::remove_file(p.path("lake/dev/silver/customers")).expect("removed");
    mended(&p);
    assert_eq!(ids(&p), [1, 5, 6]);
}

/// What follows a commit, such as a checkpoint of the log, can fail while the commit stands.
#[test]
fn a_checkpoint_that_cannot_be_written_loses_nothing() {
    let p = market();
    let line = |i: usize| format!("{ORDERS_HEAD}{i},c1,2024-02-01,1,I,1\n");
    p.put("landing/orders/0.csv", line(0).as_bytes());
    p.done(&["run"]);
    let log = p.path("lake/dev/bronze/orders/_delta_log");
    for version in 15..30 {
        fs::create_dir_all(log.join(format!("{version:020}.checkpoint.parquet/in-the-way"))).expect("a folder");
    }
    for i in 1..24 {
        p.put(&format!("landing/orders/{i}.csv"), line(i).as_bytes());
        p.alluvium(&["run"]);
    }
    for version in 15..30 {
        fs::remove_dir_all(log.join(format!("{version:020}.checkpoint.parquet"))).expect("removed");
    }
    p.done(&["run"]);
    assert_eq!(ids(&p), (0..24).collect::<Vec<i64>>());
    balances(&p);
}

/// One row of the quarantine passes and the others do not: new input must not have to wait for them.
#[test]
fn a_replay_that_lands_little_does_not_hold_up_new_input() {
    let p = Project::new(MARKET);
    p.edit("datasets/silver/orders.yaml", "write:", "accept: { invalid: { error_above: 60% } }\nwrite:");
    let strangers: String = (20..26).map(|i| format!("{i},s{i},2024-02-01,1,I,1\n")).collect();
    let known: String = (30..36).map(|i| format!("{i},c1,2024-02-01,1,I,1\n")).collect();
    p.put("landing/orders/3.csv", format!("{ORDERS_HEAD}{strangers}{known}").as_bytes());
    p.done(&["run"]);
    p.put("landing/customers/more.csv", b"customer,name\ns20,Sy\n");
    p.done(&["run"]);
    p.alluvium(&["replay", "quarantine", "silver.orders"]);
    p.put("landing/orders/4.csv", good().as_slice());
    p.done(&["run"]);
    assert!(ids(&p).contains(&10));
    assert!(ids(&p).contains(&20), "the row that passes now has landed");
}
