//! No bytes in any project file make it panic, hang or grow.

use crate::{fixture, flights, write};
use alluvium_spec::{Environment, load};
use proptest::prelude::*;

const FILES: [&str; 6] = [
    "alluvium.yaml",
    "contracts/flights.odcs.yaml",
    "datasets/bronze/flights.yaml",
    "datasets/silver/flights.yaml",
    "datasets/gold/daily_delays.sql",
    "contracts/airports.odcs.yaml",
];

fn original(path: &str) -> Vec<u8> {
    std::fs::read(fixture("flights").join(path)).expect("a fixture")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(which in 0..FILES.len(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let dir = flights();
        write(dir.path(), FILES[which], &bytes);
        let _ = load(dir.path(), &Environment::default());
    }

    #[test]
    fn arbitrary_yaml_never_panics(which in 0..FILES.len(), text in "[a-z*&!|>'\"\\[\\]{}:,#% \n-]{0,300}") {
        let dir = flights();
        write(dir.path(), FILES[which], text.as_bytes());
        let _ = load(dir.path(), &Environment::default()).map_err(|d| d.to_string());
    }

    /// Damage to a right file reaches deeper than noise does.
    #[test]
    fn damaged_files_never_panic(
        which in 0..FILES.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, "[ -~\n]{0,8}"), 1..4),
    ) {
        let dir = flights();
        let mut bytes = original(FILES[which]);
        for (at, length, new) in cuts {
            let start = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, new.bytes());
        }
        write(dir.path(), FILES[which], &bytes);
        let _ = load(dir.path(), &Environment::default()).map_err(|d| d.to_string());
    }
}

#[test]
fn files_that_are_too_large_are_not_read() {
    let dir = flights();
    write(dir.path(), "datasets/silver/flights.yaml", &vec![b'#'; (4 << 20) + 1]);
    let said = load(dir.path(), &Environment::default()).expect_err("too large");
    assert_eq!(said.0.iter().filter(|d| d.code == "E0003").count(), 1);
}

#[test]
fn many_mistakes_are_cut_short() {
    let dir = flights();
    let keys: String = (0..50_000).map(|i| format!("k{i}: 1\n")).collect();
    write(dir.path(), "datasets/bronze/flights.yaml", keys.as_bytes());
    let said = load(dir.path(), &Environment::default()).expect_err("unknown keys");
    assert!(said.0.len() < 200);
}

#[cfg(unix)]
#[test]
fn links_out_of_the_project_are_not_followed() {
    let dir = flights();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("datasets/silver/secret.yaml")).expect("linked");
    std::os::unix::fs::symlink("/etc", dir.path().join("contracts/etc")).expect("linked");
    std::os::unix::fs::symlink("/etc", dir.path().join("landing")).expect("linked");
    let said = load(dir.path(), &Environment::default()).expect_err("links");
    assert!(!said.to_string().contains("root:"));
    assert_eq!(said.0.iter().filter(|d| d.code == "E0001").count(), 2, "{said}");
    assert!(said.0.iter().any(|d| d.code == "E0013"));
}
