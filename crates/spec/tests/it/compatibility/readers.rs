//! Whom a change reaches: what a project says of a contract's columns.

use crate::{flights, write};
use alluvium_spec::{Environment, Reader, read, readers};
use std::collections::BTreeSet;

fn of(root: &std::path::Path, contract: &str, columns: &[&str]) -> Vec<String> {
    let reading = read(root, &Environment::default());
    let columns: BTreeSet<String> = columns.iter().map(|c| (*c).to_owned()).collect();
    let shown = |r: Reader| {
        let columns: Vec<String> = r.columns.into_iter().collect();
        let downstream: Vec<String> = r.downstream.iter().map(ToString::to_string).collect();
        format!("{}: {} > {}", r.dataset, columns.join(" "), downstream.join(" "))
    };
    readers(&reading, contract, &columns).into_iter().map(shown).collect()
}

#[test]
fn lookups_references_keys_steps_and_sql_are_readers() {
    let dir = flights();
    let shown = of(dir.path(), "airports", &["faa", "name"]);
    let wanted = [
        "silver.airports: faa > silver.flights gold.daily_delays gold.carriers",
        "silver.flights: faa > gold.daily_delays gold.carriers",
        "gold.daily_delays: faa > gold.carriers",
    ];
    assert_eq!(shown, wanted);
    let shown = of(dir.path(), "airlines", &["carrier", "name"]);
    let wanted = [
        "silver.airlines: carrier > silver.flights gold.daily_delays gold.carriers",
        "silver.flights: carrier name > gold.daily_delays gold.carriers",
        "gold.carriers: carrier > ",
    ];
    assert_eq!(shown, wanted);
    let found = of(dir.path(), "flights", &["dep_delay", "time_hour", "flight", "legs", "minute0"]);
    assert_eq!(found[0], "silver.flights: dep_delay flight minute0 time_hour > gold.daily_delays gold.carriers");
    assert!(found[1].starts_with("gold.daily_delays: "), "{found:?}");
    assert_eq!(of(dir.path(), "draft", &["a"]), Vec::<String>::new());
}

#[test]
fn a_column_that_is_gone_still_has_its_readers() {
    let dir = flights();
    write(dir.path(), "datasets/gold/late.sql", b"SELECT count(arr_delay) AS n FROM silver.flights");
    let found = of(dir.path(), "flights", &["arr_delay"]);
    assert!(found.contains(&"gold.late: arr_delay > ".to_owned()), "{found:?}");
}
