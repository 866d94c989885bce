//! A definition version changes with everything that decides rows, and with nothing else.

use crate::{flights, write};
use alluvium_model::{DatasetName, DefinitionVersion};
use alluvium_spec::{Environment, load};
use std::{collections::BTreeMap, path::Path};

fn versions(root: &Path) -> BTreeMap<DatasetName, DefinitionVersion> {
    let p = load(root, &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
    p.datasets.into_iter().map(|(n, d)| (n, d.version)).collect()
}

/// Names of the datasets whose version differs after `from` is replaced by `to` in `file`.
fn changed(file: &str, from: &str, to: &str) -> Vec<String> {
    let dir = flights();
    let before = versions(dir.path());
    let text = std::fs::read_to_string(dir.path().join(file)).expect("text");
    assert!(text.contains(from), "{from}");
    write(dir.path(), file, text.replacen(from, to, 1).as_bytes());
    let after = versions(dir.path());
    after.iter().filter(|(n, v)| before[*n] != **v).map(|(n, _)| n.to_string()).collect()
}

#[test]
fn what_decides_rows_is_a_new_version() {
    assert_eq!(changed("datasets/silver/flights.yaml", "trim: \"*\"", "trim: [flight]"), ["silver.flights"]);
    assert_eq!(changed("datasets/silver/flights.yaml", "minute - 1", "minute - 2"), ["silver.flights"]);
    assert_eq!(
        changed("datasets/silver/flights.yaml", "sequence_by: time_hour", "sequence_by: [time_hour, day]"),
        ["silver.flights"]
    );
    let feed = "sequence_by: time_hour, delete_when: \"flight = 'X'\"";
    assert_eq!(changed("datasets/silver/flights.yaml", feed, "snapshot_by: time_hour"), ["silver.flights"]);
    let truncates = "truncate_when: extra IS NULL, stored_as: scd1";
    assert_eq!(changed("datasets/silver/flights.yaml", "stored_as: scd1", truncates), ["silver.flights"]);
    let history = "stored_as: scd2, track_history_on: { except: [extra] }";
    assert_eq!(changed("datasets/silver/flights.yaml", "stored_as: scd1", history), ["silver.flights"]);
    assert_eq!(changed("datasets/gold/daily_delays.sql", "count(*)", "count(f.day)"), ["gold.daily_delays"]);
    assert_eq!(changed("datasets/gold/daily_delays.sql", "size: 1 day", "size: 2 days"), ["gold.daily_delays"]);
    assert_eq!(changed("contracts/flights.odcs.yaml", "maximum: 2013", "maximum: 2014"), ["silver.flights"]);
    assert_eq!(changed("contracts/flights.odcs.yaml", "value: drop", "value: fail"), ["silver.flights"]);
    assert_eq!(changed("datasets/bronze/flights.yaml", "settle: 2s", "format: csv"), ["bronze.flights"]);
}

#[test]
fn what_does_not_decide_rows_is_not() {
    let none: Vec<String> = Vec::new();
    assert_eq!(
        changed("datasets/silver/flights.yaml", "description: One row", "# a comment\n\ndescription: Each row"),
        none
    );
    assert_eq!(changed("datasets/silver/flights.yaml", "SELECT *, minute", "select  *,  minute"), none);
    assert_eq!(changed("datasets/silver/flights.yaml", ", stored_as: scd1", ""), none);
    assert_eq!(changed("datasets/gold/daily_delays.sql", "GROUP BY", "-- summed\n  group by"), none);
    assert_eq!(changed("contracts/flights.odcs.yaml", "version: 2.3.0", "version: 2.3.1"), none);
    assert_eq!(changed("contracts/flights.odcs.yaml", "# One fixture", "\n\n# One fixture"), none);
    assert_eq!(changed("datasets/bronze/flights.yaml", "settle: 2s", "settle: 5s"), none);
    assert_eq!(
        changed("datasets/silver/flights.yaml", "contract: flights", "contract: flights\ncluster_by: dest"),
        none
    );
    assert_eq!(watermarked("late: recompute, allowed_lateness: 1 hour"), none);
    assert_eq!(changed("datasets/silver/flights.yaml", "warn_above: 1%", "warn_above: 2%"), none);
    let turns = "concurrency: [{ key: disk, limit: 2 }]\nthrottle: { limit: 5, period: 1m }\nfrom: ";
    assert_eq!(changed("datasets/silver/flights.yaml", "from: ", turns), none);
}

/// Who differs when the flights have a watermark.
fn watermarked(settings: &str) -> Vec<String> {
    let watermark = format!("watermark: {{ column: time_hour, {settings} }}\ncontract: flights");
    changed("datasets/silver/flights.yaml", "contract: flights", &watermark)
}

#[test]
fn a_watermark_decides_rows_where_late_ones_are_not_loaded() {
    for late in ["quarantine", "drop", "fail"] {
        assert_eq!(watermarked(&format!("late: {late}")), ["silver.flights"]);
    }
}

#[test]
fn another_place_on_the_disk_is_the_same_version() {
    assert_eq!(versions(flights().path()), versions(flights().path()));
}
