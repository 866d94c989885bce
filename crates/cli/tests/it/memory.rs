//! Work that is larger than the memory it may take: it goes through scratch files, and gives what it would have given.

use crate::harness::Project;
use std::fmt::Write;

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: keys
name: keys
version: 1.0.0
status: active
schema:
  - name: keys
    properties:
      - { name: id, logicalType: string, primaryKey: true, primaryKeyPosition: 1, required: true }
      - { name: at, logicalType: integer, required: true }
      - { name: pad, logicalType: string, required: true }
";

const FILES: usize = 3;

/// `rows` versions of fewer keys over several files, some of them at the same sequence, a few of them the same row.
fn keys(memory: &str, rows: usize, pad: usize) -> Project {
    let p = Project::new(&[
        ("alluvium.yaml", &format!("name: keys\nlimits: {{ memory: {memory}, record: 1MiB }}\n")),
        ("datasets/bronze/keys.yaml", "source: { files: landing/, glob: \"*.csv\", settle: 0s }\n"),
        ("contracts/keys.odcs.yaml", CONTRACT),
        ("datasets/silver/keys.yaml", "from: bronze.keys\ncontract: keys\nwrite: { keys: [id], sequence_by: at }\n"),
    ]);
    for file in 0..FILES {
        let mut text = String::from("id,at,pad\n");
        for n in (file..rows).step_by(FILES) {
            let mixed = n.wrapping_mul(2_654_435_761) % (1 << 32);
            let (key, at) = (mixed % (rows * 2 / 3), n % 7);
            let pad = if n % 50 == 0 { "same".to_owned() } else { format!("{mixed:0pad$}") };
            writeln!(text, "k{key},{at},{pad}").expect("memory takes it");
        }
        p.put(&format!("landing/{file}.csv"), text.as_bytes());
    }
    p
}

/// What is in silver, and what each record became.
fn outcome(p: &Project) -> (Vec<serde_json::Value>, serde_json::Value) {
    let kept = "SELECT count(*) AS n, sum(CAST(substr(id, 2) AS BIGINT)) AS keys, sum(at) AS at, min(pad) AS least, max(pad) AS most,
        sum(CAST(concat('0', right(replace(pad, 'same', '7'), 9)) AS BIGINT) * (at + 1)) AS mixed FROM silver.keys";
    (p.rows(kept), p.json(&["show", "run", "latest"])["steps"][1]["balance"].clone())
}

#[test]
fn an_upsert_of_more_keys_than_fit_gives_what_one_gives_that_has_room() {
    // Of 200,000 candidates, 48 bytes each, 4 MiB leave room for an eighteenth.
    let rows = 200_000;
    let (tight, wide) = (keys("4MiB", rows, 10), keys("1GiB", rows, 10));
    let ran = tight.json(&["run"]);
    wide.done(&["run"]);
    assert_eq!(outcome(&tight), outcome(&wide));
    let peak = ran["peak_memory_bytes"].as_u64().expect("a peak");
    assert!(peak < 300 << 20, "{peak} bytes");
    // The next batch meets what is stored, in parts as well.
    for p in [&tight, &wide] {
        let text: String = (0..60_000).map(|n| format!("k{},{},{n:010}\n", n * 3, n % 9)).collect();
        p.put("landing/later.csv", format!("id,at,pad\n{text}").as_bytes());
        p.done(&["run"]);
    }
    assert_eq!(outcome(&tight), outcome(&wide));
    tight.done(&["run", "--rebuild", "silver.keys"]);
    assert_eq!(outcome(&tight).0, outcome(&wide).0);
}

#[test]
fn a_step_that_cannot_use_its_scratch_folder_changes_nothing() {
    let p = keys("4MiB", 100_000, 10);
    p.put("lake/dev/.scratch", b"a file in the place of the folder");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said(".scratch");
    assert_eq!(p.versions()["silver.keys"], None);
    std::fs::remove_file(p.path("lake/dev/.scratch")).expect("removed");
    p.done(&["replay", "dead-letters"]);
    let wide = keys("1GiB", 100_000, 10);
    wide.done(&["run"]);
    assert_eq!(outcome(&p).0, outcome(&wide).0);
}

#[test]
fn gold_over_more_rows_than_fit_spills() {
    // With one thread the rows to sort are larger than the limit; with two, than the half of it that queries may hold.
    for (memory, rows, more_than) in [("64MiB", 360_000, 64 << 20), ("256MiB", 560_000, 128 << 20)] {
        let p = keys(memory, rows, 400);
        p.put("datasets/gold/sorted.sql", b"SELECT pad, id, at FROM silver.keys ORDER BY pad, id\n");
        p.done(&["run"]);
        let whole =
            |of: &str| p.rows(&format!("SELECT count(*) AS n, sum(length(pad)) AS bytes, sum(at) AS at FROM {of}"));
        let silver = whole("silver.keys");
        assert!(silver[0]["bytes"].as_u64() > Some(more_than), "{silver:?} does not need to spill");
        assert_eq!(whole("gold.sorted"), silver, "{memory}");
    }
}
