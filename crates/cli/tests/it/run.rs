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

/// By a query beside the day's own rows, and by an order of who had none.
#[test]
fn windows_that_a_row_of_another_day_decides_are_made_again() {
    let p = Project::shop();
    let queries = [
        (
            "share",
            "SELECT day, sum(amount) AS amount, (SELECT sum(amount) FROM silver.orders) AS of FROM silver.orders GROUP BY day",
        ),
        (
            "later",
            "SELECT a.day, count(DISTINCT b.id) AS orders FROM silver.orders AS a \
             LEFT JOIN silver.orders AS b ON b.day > a.day GROUP BY a.day",
        ),
        (
            "idle",
            "SELECT o.day, count(DISTINCT c.customer) AS customers FROM silver.customers AS c \
             LEFT JOIN silver.orders AS o ON o.customer = c.customer GROUP BY o.day",
        ),
    ];
    for (name, sql) in queries {
        let gold = format!("/* window: {{ column: day, size: 1 day }} */\n{sql}\n");
        p.put(&format!("datasets/gold/{name}.sql"), gold.as_bytes());
    }
    p.done(&["run"]);
    p.put("landing/orders/b.csv", b"id,customer,day,amount,updated_at\n9,c2,2024-01-03,2,2024-01-03T09:00:00Z\n");
    p.done(&["run"]);
    for (name, sql) in queries {
        assert_eq!(
            p.rows(&format!("SELECT * FROM gold.{name} ORDER BY day")),
            p.rows(&format!("{sql} ORDER BY day")),
            "{name}"
        );
    }
}

/// The window of a row that the query leaves out need not be one.
#[test]
fn a_row_that_has_no_window_and_is_left_out_holds_up_none() {
    let p = Project::shop();
    let gold = "/* window: { column: day, size: 1 day } */\nSELECT CAST(name AS DATE) AS day, max(customer) AS customer \
                FROM silver.customers WHERE name LIKE '2%' GROUP BY CAST(name AS DATE)\n";
    p.put("datasets/gold/named.sql", gold.as_bytes());
    p.put("landing/customers/days.csv", b"customer,name\nd1,2024-01-01\n");
    p.done(&["run"]);
    p.put("landing/customers/more.csv", b"customer,name\nd2,no day\nd3,2024-01-02\n");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM gold.named"), 2);
}

#[test]
fn a_value_of_gold_that_does_not_fit_its_contract_is_no_null() {
    let p = Project::shop();
    p.edit("datasets/gold/daily.sql", "count(*) AS orders, sum(amount) AS amount", "3000000000 + count(*) AS orders");
    p.put(
        "contracts/daily.odcs.yaml",
        b"apiVersion: v3.1.0\nkind: DataContract\nid: daily\nversion: 1.0.0\nstatus: active\nschema:
  - name: daily
    properties:
      - { name: day, logicalType: date }
      - { name: orders, logicalType: integer, physicalType: int }
",
    );
    p.edit("datasets/gold/daily.sql", "window:", "contract: daily\nwindow:");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    for part in ["L0103", "column `orders` has a value that does not fit", "3000000001"] {
        ran.said(part);
    }
    p.edit("contracts/daily.odcs.yaml", "physicalType: int }", "physicalType: bigint }");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT max(orders) FROM gold.daily"), 3_000_000_001_i64);
}

/// They cannot be kept group by group, and their totals follow each change.
#[test]
fn gold_by_several_sets_of_groups_follows_its_input() {
    let p = Project::shop();
    let sql = "SELECT day, customer, count(*) AS n FROM silver.orders GROUP BY ROLLUP(day, customer)";
    p.put("datasets/gold/totals.sql", format!("{sql}\n").as_bytes());
    for (id, day) in [(7, "2024-01-02"), (8, "2024-01-05")] {
        p.done(&["run"]);
        let order = format!("id,customer,day,amount,updated_at\n{id},c2,{day},1.50,2024-01-03T09:00:00Z\n");
        p.put(&format!("landing/orders/{id}.csv"), order.as_bytes());
    }
    p.done(&["run"]);
    let order = "ORDER BY day, customer";
    assert_eq!(p.rows(&format!("SELECT * FROM gold.totals {order}")), p.rows(&format!("{sql} {order}")));
}

/// What the newest commit of a gold table keeps.
fn groups_of(p: &Project, dataset: &str) -> Value {
    let log = p.path(&format!("lake/dev/gold/{dataset}/_delta_log"));
    let newest = std::fs::read_dir(&log).expect("a log").map(|e| e.expect("an entry").path());
    let newest = newest.filter(|path| path.extension().is_some_and(|e| e == "json")).max().expect("a commit");
    let log = std::fs::read_to_string(newest).expect("a commit");
    let lines = log.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
    let found = lines.map(|l| l["commitInfo"]["alluvium"]["groups"].clone()).find(|g| !g.is_null());
    found.expect("what is kept")
}

#[test]
fn sketches_are_added_to_until_a_value_leaves() {
    let p = Project::shop();
    let head = "id,customer,day,amount,updated_at\n";
    // More than a sketch has one by one, on one of two days.
    let many: String = (100..2_100).map(|n| format!("{n},c1,2024-01-02,{n},2024-01-03T09:00:00Z\n")).collect();
    p.put("landing/orders/many.csv", format!("{head}{many}9,c1,2024-01-05,1,2024-01-03T09:00:00Z\n").as_bytes());
    let sql = "SELECT day, approx_distinct(amount) AS amounts, count(*) AS orders FROM silver.orders GROUP BY day";
    p.put("datasets/gold/reach.sql", format!("/* window: {{ column: day, size: 1 day }} */\n{sql}\n").as_bytes());
    p.done(&["run"]);
    let equal = || {
        let of = |from: &str| p.rows(&format!("SELECT * FROM {from} AS t ORDER BY day"));
        assert_eq!(of("gold.reach"), of(&format!("({sql})")));
    };
    equal();
    let exact = p.cell("SELECT count(DISTINCT amount) FROM silver.orders WHERE day = '2024-01-02'");
    let told = p.cell("SELECT amounts FROM gold.reach WHERE day = '2024-01-02'");
    let (exact, told) = (exact.as_u64().expect("a count"), told.as_u64().expect("a count"));
    assert!(exact >= 2_000 && exact.abs_diff(told) * 50 <= exact, "{told} of {exact}");
    let first = groups_of(&p, "reach");
    let run = |name: &str, rows: &str| {
        p.put(&format!("landing/orders/{name}.csv"), format!("{head}{rows}").as_bytes());
        let summary = p.json(&["run"]);
        let line = summary["datasets"].as_array().expect("datasets").iter().find(|d| d["dataset"] == "gold.reach");
        equal();
        (line.and_then(|l| l["windows"].as_u64()), groups_of(&p, "reach"))
    };
    // New rows, and one that takes the place of another with the same amount and day.
    let (windows, added) =
        run("a", "50,c1,2024-01-02,50,2024-01-03T09:00:00Z\n100,c2,2024-01-02,100,2024-01-04T09:00:00Z\n");
    assert_eq!((windows, &added["base"]), (Some(1), &first["base"]), "a change rewrote what was kept");
    assert_eq!(added["parts"].as_array().map(Vec::len), Some(1));
    // Another amount, and another day: both days lose one.
    let (windows, anew) =
        run("b", "101,c1,2024-01-02,100,2024-01-04T09:00:00Z\n9,c1,2024-01-02,1,2024-01-04T09:00:00Z\n");
    assert_eq!((windows, &anew["parts"]), (Some(2), &json!([])), "a value was left in a sketch");
    assert_eq!(p.cell("SELECT count(*) FROM gold.reach WHERE day = '2024-01-05'"), 0);
    let (windows, again) = run("c", "60,c1,2024-01-06,1,2024-01-03T09:00:00Z\n");
    assert_eq!((windows, &again["base"]), (Some(1), &anew["base"]));
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
    // Not all of them take such a name for a path.
    p.leave_unread();
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
