//! `alluvium run` and `alluvium replay`.

use crate::{
    harness::{Project, SHOP, STRANGER, files_below},
    market,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

#[test]
fn a_run_fills_every_layer_and_accounts_for_every_row() {
    let p = Project::shop();
    let summary = p.json(&["run"]);
    assert_eq!(summary["complete"], true, "{summary:#}");
    let line = summary["datasets"].as_array().expect("datasets").iter().find(|d| d["dataset"] == "silver.orders");
    let balance = &line.expect("silver.orders")["balance"];
    assert_eq!((&balance["received"], &balance["loaded"], &balance["quarantined"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 3);
    assert_eq!(p.rows("SELECT id FROM silver.orders ORDER BY id"), [json!({ "id": 1 }), json!({ "id": 3 })]);
    assert_eq!(p.cell("SELECT count(*) FROM gold.daily"), 2);
    assert_eq!(p.cell("SELECT count(*) FROM quarantine.silver_orders"), 1);
}

#[test]
fn the_closing_table_says_what_happened() {
    let ran = Project::shop().done(&["run"]);
    for text in
        ["dataset", "received", "quarantined", "rows/s", "silver.orders", "gold.daily", "broken rules", "peak memory"]
    {
        assert!(ran.stdout.contains(text), "{text}\n{ran}");
    }
    assert!(ran.stderr.contains("bronze.orders: 1 new file"), "{ran}");
}

#[test]
fn malformed_records_are_a_broken_rule() {
    let p = Project::shop();
    p.put("landing/orders/short.csv", b"id,customer,day,amount,updated_at\n7,c1\n8,c1,2024-01-01\n");
    let ran = p.done(&["run"]);
    let line = ran.stdout.lines().find(|l| l.contains("malformed:fields")).unwrap_or_else(|| panic!("{ran}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["bronze.orders", "malformed:fields", "quarantine", "2"]);
    let kept = "SELECT dataset, action, checked, violations FROM state.quality WHERE rule = 'malformed:fields'";
    let expected = json!({ "dataset": "bronze.orders", "action": "quarantine", "checked": 5, "violations": 2 });
    assert_eq!(p.rows(kept), [expected]);
}

#[test]
fn silver_takes_what_was_refined_while_it_was_loaded_and_reads_bronze_where_nothing_was() {
    // Files are named after the step that staged them.
    let staged_by = |p: &Project, table: &str| -> BTreeSet<String> {
        let files = fs::read_dir(p.path("lake/dev").join(table)).expect("a table");
        let names = files.map(|f| f.expect("an entry").file_name().into_string().expect("a plain name"));
        names.filter(|n| n.ends_with(".parquet")).map(|n| n[..16].to_owned()).collect()
    };
    let p = Project::shop();
    p.done(&["run"]);
    assert_eq!(staged_by(&p, "silver/customers"), staged_by(&p, "bronze/customers"));
    // What other datasets' rows decide is not decided early.
    assert_ne!(staged_by(&p, "silver/orders"), staged_by(&p, "bronze/orders"));

    let killed = Project::shop();
    // The first step that is done is that of the customers.
    fs::rename(killed.path("landing/orders"), killed.path("later")).expect("aside");
    fs::create_dir(killed.path("landing/orders")).expect("an empty folder");
    let mut command = killed.command(&["run"]);
    let ended = command.env("ALLUVIUM_CRASH_AT", "step.after_done:1").output().expect("the binary runs");
    assert_eq!(ended.status.code(), None, "killed");
    fs::rename(killed.path("later"), killed.path("landing/orders")).expect("back");
    killed.done(&["run"]);
    let left = staged_by(&killed, "silver/customers");
    assert!(!left.is_subset(&staged_by(&killed, "bronze/customers")), "{left:?}");
    assert_eq!(killed.tables(), p.tables());
}

/// Rows written and windows recomputed of a gold dataset, as the summary has them and as its table shows them.
#[track_caller]
fn gold(p: &Project, name: &str, columns: [&str; 2]) -> (u64, u64) {
    let fresh = market::copied(p);
    let shown = fresh.done(&["run"]).stdout;
    let head: Vec<&str> = shown.lines().next().expect("a table").split_whitespace().collect();
    let line = shown.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no {name}\n{shown}"));
    let cells: Vec<&str> = line.split_whitespace().collect();
    let cell = |column: &str| head.iter().position(|h| *h == column).map(|i| cells[i]);
    assert_eq!((cell("received"), cell("loaded")), (Some("-"), Some("-")), "{shown}");
    assert_eq!(["written", "windows"].map(|c| cell(c).unwrap_or("left out")), columns, "{shown}");
    let summary = p.json(&["run"]);
    let line = summary["datasets"].as_array().expect("datasets").iter().find(|d| d["dataset"] == name);
    let number = |field: &str| line.and_then(|l| l[field].as_u64()).expect("a number");
    (number("written"), number("windows"))
}

#[test]
fn gold_says_what_was_written_and_by_how_many_windows() {
    let p = Project::shop();
    p.put("datasets/gold/total.sql", b"SELECT count(*) AS orders FROM silver.orders\n");
    assert_eq!(gold(&p, "gold.daily", ["2", "2"]), (2, 2), "the first run makes the whole table");
    p.put("landing/orders/a.csv", b"id,customer,day,amount,updated_at\n5,c1,2024-01-02,1,2024-01-03T09:00:00Z\n");
    assert_eq!(gold(&p, "gold.daily", ["2", "1"]).1, 1, "one day changed");
    p.put("landing/orders/b.csv", b"id,customer,day,amount,updated_at\n6,c1,2024-01-02,1,2024-01-03T09:00:00Z\n");
    assert_eq!(gold(&p, "gold.total", ["1", "-"]), (1, 0), "there are no windows");
}

#[test]
fn groups_are_kept_and_added_to() {
    let p = Project::shop();
    p.done(&["run"]);
    let order = |id: u64| format!("id,customer,day,amount,updated_at\n{id},c1,2024-01-02,1.50,2024-01-03T09:00:00Z\n");
    let kept = |version: u64| -> Value {
        let log = p.path(&format!("lake/dev/gold/daily/_delta_log/{version:020}.json"));
        let log = std::fs::read_to_string(log).expect("a commit");
        let lines = log.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
        let info = lines.map(|l| l["commitInfo"]["alluvium"]["groups"].clone()).find(|g| !g.is_null());
        info.expect("what is kept")
    };
    p.put("landing/orders/b.csv", order(50).as_bytes());
    p.done(&["run"]);
    let second = kept(2);
    assert_eq!(second["base"], kept(1)["base"], "a change rewrote what was kept");
    assert_eq!(second["parts"].as_array().expect("a list").len(), 1);
    let days = || p.rows("SELECT * FROM gold.daily ORDER BY day");
    let sql = "SELECT day, count(*) AS orders, sum(amount) AS amount FROM silver.orders GROUP BY day ORDER BY day";
    let anew = || p.rows(sql);
    assert_eq!(days(), anew());
    // What is kept may be lost: it is made again.
    std::fs::remove_dir_all(p.path("lake/dev/gold/daily/_groups")).expect("removed");
    p.put("landing/orders/c.csv", order(51).as_bytes());
    p.done(&["run"]);
    assert_eq!(kept(3)["parts"], json!([]));
    assert_eq!(days(), anew());
}

#[test]
fn windows_before_1970_are_counted_like_the_others() {
    let p = Project::shop();
    p.edit("datasets/gold/daily.sql", "size: 1 day", "size: 2 days");
    let rows: String = ["1969-12-29", "1969-12-30", "1969-12-31", "1970-01-01", "1970-01-02", "1970-01-03"]
        .iter()
        .zip(1..)
        .map(|(day, id)| format!("{id},c1,{day},1,2024-01-01T10:00:00Z\n"))
        .collect();
    p.put("landing/orders/2024-01-01.csv", format!("id,customer,day,amount,updated_at\n{rows}").as_bytes());
    assert_eq!(gold(&p, "gold.daily", ["6", "4"]), (6, 4));
}

#[test]
fn tables_made_from_nothing_are_there_and_empty() {
    let head = "id,customer,day,amount,updated_at\n";
    let refused = "2,c2,2024-01-01,-4,2024-01-01T11:00:00Z\n";
    for rows in ["", refused] {
        let p = Project::shop();
        p.put("datasets/gold/total.sql", b"SELECT count(*) AS orders FROM silver.orders\n");
        p.put("landing/orders/2024-01-01.csv", format!("{head}{rows}").as_bytes());
        p.done(&["run"]);
        assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 0);
        assert_eq!(p.cell("SELECT count(day) + sum(orders) + sum(amount) FROM gold.daily"), json!(null));
        assert_eq!(p.cell("SELECT count(*) FROM gold.daily"), 0);
        assert_eq!(p.cell("SELECT orders FROM gold.total"), 0);
        let versions = p.versions();
        assert!(p.done(&["run"]).stdout.starts_with("nothing to do\n"));
        assert_eq!(p.versions(), versions);
        p.put("landing/orders/more.csv", format!("{head}1,c1,2024-01-01,10.50,2024-01-01T10:00:00Z\n").as_bytes());
        p.done(&["run"]);
        assert_eq!(p.cell("SELECT orders FROM gold.daily"), 1);
        assert_eq!(p.cell("SELECT orders FROM gold.total"), 1);
    }
}

#[test]
fn a_gate_is_not_asked_before_anything_came() {
    let p = Project::shop();
    p.edit("datasets/silver/orders.yaml", "write:", "accept: { rows: { min: 1 } }\nwrite:");
    p.edit("datasets/gold/daily.sql", "/*\n", "/*\naccept: { rows: { min: 1 } }\n");
    p.put("landing/orders/2024-01-01.csv", b"id,customer,day,amount,updated_at\n");
    p.done(&["run"]);
    assert_eq!(p.versions()["silver.orders"], None, "an empty table would not have passed");
    p.put("landing/orders/more.csv", b"id,customer,day,amount,updated_at\n1,c1,2024-01-01,1,2024-01-01T10:00:00Z\n");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT orders FROM gold.daily"), 1);
}

#[test]
fn a_folder_may_have_any_name() {
    const NAME: &str = "what? [a-z]* 100% {x}";
    let p = Project::new(&[]);
    for (path, text) in SHOP {
        p.put(&format!("{NAME}/{path}"), text.as_bytes());
    }
    let query = ["query", "SELECT sum(orders) FROM gold.daily", NAME, "--output", "csv"];
    p.done(&["run", NAME]);
    assert!(p.done(&query).stdout.ends_with("\n2\n"));
    let more = "id,customer,day,amount,updated_at\n5,c1,2024-01-02,1,2024-01-03T09:00:00Z\n";
    p.put(&format!("{NAME}/landing/orders/a.csv"), more.as_bytes());
    p.done(&["run", NAME]);
    assert!(p.done(&query).stdout.ends_with("\n3\n"), "the changed window was found");
}

#[test]
fn running_again_changes_nothing() {
    let p = Project::shop();
    p.done(&["run"]);
    let (versions, tables) = (p.versions(), p.tables());
    // Nor is a data file opened: none is there.
    let mut aside = Vec::new();
    for file in files_below(&p.path("lake"), "parquet") {
        let to = p.path(&format!("aside{}", aside.len()));
        fs::rename(&file, &to).expect("moved");
        aside.push((file, to));
    }
    assert!(aside.len() >= 5, "bronze, silver and gold");
    let ran = p.done(&["run"]);
    assert!(ran.stdout.starts_with("nothing to do\n"), "{ran}");
    for (file, to) in aside {
        fs::rename(to, file).expect("moved back");
    }
    assert_eq!((p.versions(), p.tables()), (versions, tables));
}

#[test]
fn the_same_file_under_another_name_is_recognised() {
    let p = Project::shop();
    p.done(&["run"]);
    let versions = p.versions();
    std::fs::copy(p.path("landing/orders/2024-01-01.csv"), p.path("landing/orders/again.csv")).expect("a copy");
    let ran = p.done(&["run"]);
    ran.said("bronze.orders: again.csv is 2024-01-01.csv");
    assert_eq!(p.versions(), versions);
    assert!(p.done(&["run"]).stdout.starts_with("nothing to do\n"), "it is said once");
}

#[test]
fn what_waits_lands_once_when_it_passes() {
    let p = Project::shop();
    p.done(&["run"]);
    p.put("landing/orders/stranger.csv", STRANGER.as_bytes());
    p.done(&["run"]).said("alluvium show quarantine silver.orders");
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders WHERE id = 4"), 0);
    p.put("landing/customers/more.csv", b"customer,name\nc9,Cy\n");
    p.done(&["run"]);
    for _ in 0..2 {
        p.done(&["replay", "quarantine", "silver.orders"]);
        assert_eq!(p.cell("SELECT count(*) FROM silver.orders WHERE id = 4"), 1);
        assert_eq!(p.cell("SELECT count(*) FROM quarantine.silver_orders"), 1, "the other row still waits");
        assert_eq!(p.cell("SELECT orders FROM gold.daily WHERE day = DATE '2024-01-02'"), 2);
    }
}

#[test]
fn any_order_and_any_split_give_the_same_tables() {
    let head = "id,customer,day,amount,updated_at\n";
    let a = "1,c1,2024-01-01,10.50,2024-01-01T10:00:00Z\n";
    let b = "1,c2,2024-01-03,11.50,2024-01-03T10:00:00Z\n";
    let apart = Project::shop();
    std::fs::remove_file(apart.path("landing/orders/2024-01-01.csv")).expect("removed");
    for (name, rows) in [("z.csv", b), ("a.csv", a)] {
        apart.put(&format!("landing/orders/{name}"), format!("{head}{rows}").as_bytes());
        apart.done(&["run"]);
    }
    let sql = "SELECT id, customer, day, amount, updated_at FROM silver.orders";
    let rows = apart.rows(sql);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["customer"], "c2", "the later state stays, though it came first");
    let together = Project::shop();
    together.put("landing/orders/2024-01-01.csv", format!("{head}{a}{b}").as_bytes());
    together.done(&["run"]);
    assert_eq!(together.rows(sql), rows);
    assert_eq!(together.rows("SELECT * FROM gold.daily"), apart.rows("SELECT * FROM gold.daily"));
}

#[test]
fn a_changed_definition_waits_for_a_word() {
    let p = Project::shop();
    p.done(&["run"]);
    p.edit("contracts/orders.odcs.yaml", "minimum: 0", "minimum: 8");
    let noted = p.done(&["run"]);
    noted.said("nothing to do");
    noted.said("note silver.orders: its definition changed");
    noted.said("no new input waits");
    noted.said("alluvium run --adopt silver.orders");
    p.put("landing/orders/more.csv", b"id,customer,day,amount,updated_at\n5,c1,2024-01-03,7,2024-01-03T09:00:00Z\n");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("alluvium run --adopt silver.orders");
    ran.said("alluvium run --rebuild silver.orders");
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 2);
    p.done(&["run", "--rebuild", "silver.orders"]);
    assert_eq!(p.rows("SELECT id FROM silver.orders"), [json!({ "id": 1 })]);
    assert_eq!(p.cell("SELECT count(*) FROM gold.daily"), 1);
}

#[test]
fn adopting_leaves_older_rows_as_they_are() {
    let p = Project::shop();
    p.done(&["run"]);
    p.edit("contracts/orders.odcs.yaml", "minimum: 0", "minimum: 8");
    p.put("landing/orders/more.csv", b"id,customer,day,amount,updated_at\n5,c1,2024-01-03,9,2024-01-03T09:00:00Z\n");
    p.done(&["run", "--adopt", "silver.orders"]);
    let ids = p.rows("SELECT id FROM silver.orders ORDER BY id");
    assert_eq!(ids, [json!({ "id": 1 }), json!({ "id": 3 }), json!({ "id": 5 })]);
}

#[test]
fn a_replay_under_a_corrected_rule_waits_for_a_word() {
    let p = Project::shop();
    p.done(&["run"]);
    let of_orders = "SELECT version FROM state.versions WHERE active = 1 AND dataset = 'silver.orders'";
    let (active, versions) = (p.cell(of_orders), p.versions());
    p.edit("contracts/orders.odcs.yaml", "minimum: 0", "minimum: -10");
    let replay = ["replay", "quarantine", "silver.orders"];
    let refused = p.alluvium(&replay);
    assert_eq!(refused.code, Some(1), "{refused}");
    refused.said("held silver.orders: its definition changed");
    refused.said("alluvium replay quarantine silver.orders --adopt");
    refused.said("alluvium run --rebuild silver.orders");
    assert_eq!((p.versions(), p.cell(of_orders)), (versions, active.clone()));

    p.done(&[&replay[..], &["--adopt"]].concat()).said("rows from now on are made under it");
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 3);
    assert_eq!(p.cell("SELECT count(*) FROM quarantine.silver_orders"), 0);
    assert_ne!(p.cell(of_orders), active);
    p.done(&replay);
}
