//! Rows that truncate a table: whenever they come, nothing up to their sequence shows.

use crate::{
    harness::{Project, readers_agree},
    market::{MARKET, ORDERS_HEAD, balances},
    order::lines,
};
use std::fs;

const ORDERS: &str = "datasets/silver/orders.yaml";

/// Orders that a row with `op` T truncates, and none of them yet. `more`: what else is said of the write.
fn market(more: &str) -> Project {
    let p = Project::new(MARKET);
    p.edit(ORDERS, "sequence_by:", &format!("truncate_when: \"op = 'T'\", {more}sequence_by:"));
    fs::remove_dir_all(p.path("landing/orders")).expect("removed");
    fs::create_dir(p.path("landing/orders")).expect("a folder");
    p
}

fn arrive(p: &Project, file: &str, rows: &[&str]) {
    let rows: String = rows.iter().map(|r| format!("{r}\n")).collect();
    p.put(&format!("landing/orders/{file}.csv"), format!("{ORDERS_HEAD}{rows}").as_bytes());
    p.done(&["run"]);
}

fn orders(p: &Project) -> Vec<String> {
    lines(p, &["id", "changed"], "silver.orders")
}

fn days(p: &Project) -> Vec<String> {
    lines(p, &["day", "orders"], "gold.daily")
}

#[test]
fn nothing_up_to_a_truncate_shows_whenever_it_comes() {
    let p = market("change_feed: true, ");
    arrive(
        &p,
        "1",
        &["1,c1,2024-01-01,1,I,1", "2,c1,2024-01-01,1,I,5", "3,c2,2024-01-02,1,I,6", "4,c1,2024-01-02,1,I,2"],
    );
    assert_eq!(days(&p), ["2024-01-01|2", "2024-01-02|2"]);
    // With it come a change of what it ends, one that is ended too, and one at its very sequence.
    p.put(
        "landing/orders/2.csv",
        format!(
            "{ORDERS_HEAD}1,c1,2024-01-01,2,U,7\n4,c1,2024-01-02,2,U,3\n9,c1,2024-01-01,1,T,5\n5,c1,2024-01-01,1,I,5\n"
        )
        .as_bytes(),
    );
    p.done(&["run"]).said("truncated up to changed 5");
    assert_eq!(orders(&p), ["1|7", "3|6"]);
    assert_eq!(days(&p), ["2024-01-01|1", "2024-01-02|1"]);
    assert_eq!(balances(&p)["silver.orders"], [8, 8, 0, 0, 0, 0, 0]);
    // Late rows are ended, an earlier truncate ends no more, and a row that is later shows.
    arrive(
        &p,
        "3",
        &["6,c1,2024-01-01,1,I,4", "7,c1,2024-01-01,1,I,5", "2,c1,2024-01-01,1,T,3", "8,c1,2024-01-03,1,I,8"],
    );
    assert_eq!(orders(&p), ["1|7", "3|6", "8|8"]);
    // The table remembers it through merges.
    for n in 10..30 {
        arrive(
            &p,
            &format!("more-{n}"),
            &[&format!("{n},c1,2024-01-04,1,I,9"), &format!("{},c1,2024-01-04,1,I,4", n + 100)],
        );
    }
    assert_eq!(orders(&p).len(), 23);
    readers_agree(&p);
    p.done(&["run", "--rebuild", "silver.orders"]);
    assert_eq!(orders(&p).len(), 23);
    arrive(&p, "4", &["6,c1,2024-01-01,1,I,5"]);
    assert_eq!(orders(&p).len(), 23, "made anew, it remembers");
    arrive(&p, "5", &["0,c1,2024-01-01,1,T,99"]);
    assert_eq!((orders(&p).len(), days(&p).len()), (0, 0));
    readers_agree(&p);
}

#[test]
fn a_history_ends_at_a_truncate() {
    let p = market("stored_as: scd2, track_history_on: [customer], ");
    let versions = |p: &Project| {
        let range = ["coalesce(CAST(_start_at AS VARCHAR), '~')", "coalesce(CAST(_end_at AS VARCHAR), '~')"];
        lines(p, &["id", "changed", range[0], range[1]], "silver.orders")
    };
    let row = |id: u32, customer: &str, op: &str, changed: u32| format!("{id},{customer},2024-01-01,1,{op},{changed}");
    let arrive = |file: &str, rows: &[String]| arrive(&p, file, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    // One says the same twice, two changes, three is gone already.
    arrive(
        "1",
        &[
            row(1, "c1", "I", 1),
            row(1, "c1", "U", 6),
            row(2, "c1", "I", 2),
            row(2, "c2", "U", 6),
            row(3, "c1", "I", 1),
            row(3, "c1", "D", 2),
            row(4, "c1", "I", 4),
        ],
    );
    assert_eq!(versions(&p), ["1|6|1|~", "2|2|2|6", "2|6|6|~", "3|1|1|2", "4|4|4|~"]);
    arrive("2", &[row(9, "c1", "T", 4)]);
    // What says the same before and after it is two versions, and at its very sequence nothing begins.
    assert_eq!(versions(&p), ["1|1|1|4", "1|6|6|~", "2|2|2|4", "2|6|6|~", "3|1|1|2"]);
    // Late rows end where the next truncate is, in whichever order the two came.
    arrive("3", &[row(5, "c1", "I", 3), row(1, "c1", "U", 5), row(6, "c1", "I", 8), row(8, "c1", "I", 4)]);
    assert_eq!(versions(&p), ["1|1|1|4", "1|6|5|~", "2|2|2|4", "2|6|6|~", "3|1|1|2", "5|3|3|4", "6|8|8|~"]);
    arrive("4", &[row(9, "c1", "T", 7), row(9, "c1", "T", 3), row(1, "c1", "U", 4)]);
    let all = ["1|1|1|3", "1|6|5|7", "2|2|2|3", "2|6|6|7", "3|1|1|2", "6|8|8|~"];
    assert_eq!(versions(&p), all);
    // Rows at the sequence of a truncate, which it ends, are no duplicates of it.
    assert_eq!(balances(&p)["silver.orders"], [15, 15, 0, 0, 0, 0, 0]);
    arrive("5", &[row(9, "c1", "T", 4), row(1, "c1", "I", 1)]);
    assert_eq!(versions(&p), all);
    readers_agree(&p);
    p.done(&["run", "--rebuild", "silver.orders"]);
    assert_eq!(versions(&p), all);
    arrive("6", &[row(7, "c2", "I", 6)]);
    assert_eq!(versions(&p).last().map(String::as_str), Some("7|6|6|7"), "made anew, it remembers");
}

#[test]
fn a_truncate_that_was_set_aside_ends_what_came_meanwhile() {
    for more in ["", "stored_as: scd2, "] {
        let p = market(more);
        let open = if more.is_empty() { "silver.orders" } else { "silver.orders WHERE _end_at IS NULL" };
        let now = || lines(&p, &["id", "changed"], open);
        // Of a customer that is not known.
        arrive(&p, "1", &["1,c1,2024-01-01,1,I,1", "9,c9,2024-01-01,1,T,4"]);
        arrive(&p, "2", &["2,c1,2024-01-01,1,I,4", "3,c1,2024-01-01,1,I,5"]);
        assert_eq!(now(), ["1|1", "2|4", "3|5"]);
        p.put("landing/customers/more.csv", b"customer,name\nc9,Cy\n");
        p.done(&["run"]);
        p.done(&["replay", "quarantine", "silver.orders"]);
        assert_eq!(now(), ["3|5"]);
        readers_agree(&p);
    }
}

/// Of rows that nothing else decides over, what truncates is found while they are loaded.
#[test]
fn rows_that_are_refined_while_they_are_loaded_truncate_too() {
    let p = Project::new(MARKET);
    p.edit(
        "datasets/silver/clicks.yaml",
        "write: append",
        "write: { keys: [page], sequence_by: id, truncate_when: \"page = 'all'\" }",
    );
    let arrive = |file: &str, clicks: &[(u32, &str)]| {
        let line = |(id, page): &(u32, &str)| format!("{{\"id\":{id},\"page\":\"{page}\"}}\n");
        p.put(&format!("landing/clicks/{file}.ndjson"), clicks.iter().map(line).collect::<String>().as_bytes());
        p.done(&["run"]);
        lines(&p, &["page", "id"], "silver.clicks")
    };
    assert_eq!(arrive("1", &[(1, "x"), (2, "y"), (4, "z")]), ["x|1", "y|2", "z|4"]);
    assert_eq!(arrive("2", &[(3, "v"), (2, "all"), (2, "w")]), ["v|3", "z|4"]);
    assert_eq!(arrive("3", &[(1, "late"), (5, "w")]), ["v|3", "w|5", "z|4"]);
    readers_agree(&p);
}
