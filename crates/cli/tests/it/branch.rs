//! `when`: what waits is taken by a condition over it, or stays where it is.

use crate::harness::{Project, STRANGER};
use serde_json::{Value, json};

const ORDERS: &str = "datasets/silver/orders.yaml";

#[track_caller]
fn shown(p: &Project, dataset: &str) -> Value {
    let all = p.json(&["show", "datasets"]);
    all.as_array().expect("datasets").iter().find(|l| l["dataset"] == dataset).expect("a line")["when"].clone()
}

fn taken(p: &Project, dataset: &str) -> Vec<Value> {
    let sql = format!("SELECT received FROM state.steps WHERE dataset = '{dataset}' ORDER BY planned_at");
    p.rows(&sql).into_iter().map(|r| r["received"].clone()).collect()
}

#[test]
fn too_few_orders_wait_for_more() {
    let p = Project::shop();
    p.edit(ORDERS, "from: bronze.orders", "when: received >= 4 AND steps < 9\nfrom: bronze.orders");
    let ran = p.done(&["run"]);
    ran.said("not taken now; it stays where it is");
    ran.said("silver.orders: `received >= 4 AND steps < 9` does not hold (received 3, steps 1)");
    assert!(taken(&p, "silver.orders").is_empty());
    assert_eq!(taken(&p, "silver.customers").len(), 1, "others are not held up");
    let sees =
        json!({ "condition": "received >= 4 AND steps < 9", "sees": { "received": 3, "steps": 1 }, "holds": false });
    assert_eq!(shown(&p, "silver.orders"), sees);
    assert_eq!(shown(&p, "silver.customers"), Value::Null);
    p.done(&["show", "datasets"]).said("`received >= 4 AND steps < 9` does not hold");
    p.done(&["show", "run", "latest"])
        .said("not taken silver.orders: `received >= 4 AND steps < 9` does not hold (received 3");
    // Nothing new came: it is no work, and it is said all the same.
    let again = p.json(&["run"]);
    assert_eq!((&again["complete"], &again["nothing_to_do"]), (&json!(true), &json!(false)));
    let left = &again["details"]["not_taken"][0];
    assert_eq!(
        (&left["dataset"], &left["saw"]["received"], &left["again_at"]),
        (&json!("silver.orders"), &json!(3), &Value::Null)
    );

    p.put("landing/orders/2.csv", STRANGER.as_bytes());
    assert_eq!(p.json(&["run"])["details"]["not_taken"], json!([]));
    assert_eq!(taken(&p, "silver.orders"), [json!(4)], "all that waited, once");
    let decisions = &p.json(&["show", "run", "latest"])["decisions"];
    assert_eq!((&decisions[0]["taken"], &decisions[0]["saw"]), (&json!(true), &json!({ "received": 4, "steps": 2 })));
    assert_eq!(p.cell("SELECT count(*) FROM state.decisions WHERE taken = 0"), 2);
    assert_eq!(p.json(&["run"])["nothing_to_do"], true);
}

#[test]
fn what_was_quarantined_decides_which_way_is_taken() {
    let p = Project::shop();
    let gold = |when: &str| format!("/* when: {when} */ SELECT count(*) AS orders FROM silver.orders\n");
    p.put("datasets/gold/clean.sql", gold("quarantined * 10 < received").as_bytes());
    p.put("datasets/gold/suspicious.sql", gold("NOT (quarantined * 10 < received)").as_bytes());
    p.done(&["run"]).said("gold.clean: `quarantined * 10 < received` does not hold (quarantined 1, received 3)");
    assert_eq!((taken(&p, "gold.clean").len(), taken(&p, "gold.suspicious").len()), (0, 1));
    let good = |n: usize| format!("{n},c1,2024-01-03,1.00,2024-01-03T09:00:00Z\n");
    let many: String = (10..40).map(good).collect();
    p.put("landing/orders/good.csv", format!("id,customer,day,amount,updated_at\n{many}").as_bytes());
    p.done(&["run"]);
    // One of 33 for the one, none of 30 for the other.
    assert_eq!((taken(&p, "gold.clean").len(), taken(&p, "gold.suspicious").len()), (1, 1));
    assert_eq!(p.cell("SELECT orders FROM gold.clean"), 32);
    assert_eq!(p.cell("SELECT orders FROM gold.suspicious"), 2);
}

#[test]
fn a_condition_that_is_none_is_shown_at_its_place() {
    let p = Project::shop();
    p.edit(ORDERS, "from: bronze.orders", "when: recieved >= 4\nfrom: bronze.orders");
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("E0207");
    ran.said("did you mean `received`?");
}
