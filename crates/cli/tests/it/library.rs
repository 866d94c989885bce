//! Functions of `library/`, through every command that reads SQL.

use crate::harness::Project;
use serde_json::json;

const LIBRARY: &str = "CREATE FUNCTION day_of(at TIMESTAMP) RETURNS DATE
RETURN at;

CREATE FUNCTION is_customer(code TEXT) RETURNS BOOLEAN
RETURN code ~ '^c[0-9]$';

CREATE FUNCTION net(amount DECIMAL(12, 2), vat INT) RETURNS DECIMAL(12, 2)
RETURN round(amount * 100 / (100 + vat), 2);

CREATE FUNCTION net_of_food(amount DECIMAL(12, 2)) RETURNS DECIMAL(12, 2) RETURN net(amount, 7);
";
const CASES: &str = "net:
  - { given: [119, 19], expect: 100 }
  - { given: [null, 19], expect: null }
net_of_food:
  - { given: [10.70], expect: 10 }
";
const DAILY: &str = "/*
window: { column: day, size: 1 day }
*/
SELECT day_of(updated_at) AS day, count(*) AS orders,
  sum(net_of_food(amount)) AS net
FROM silver.orders GROUP BY day_of(updated_at)
";

/// The shop, with functions in a gold query, in a rule and in the condition of deletes.
fn shop() -> Project {
    let p = Project::shop();
    p.put("library/shop.sql", LIBRARY.as_bytes());
    p.put("library/shop.test.yaml", CASES.as_bytes());
    p.put("datasets/gold/daily.sql", DAILY.as_bytes());
    p.edit("datasets/silver/orders.yaml", "updated_at }", "updated_at, delete_when: net_of_food(amount) > 500 }");
    let rule = "    quality:
      - { name: known_form, type: custom, engine: alluvium, implementation: is_customer(customer) }
";
    let contract = std::fs::read_to_string(p.path("contracts/orders.odcs.yaml")).expect("a contract") + rule;
    p.put("contracts/orders.odcs.yaml", contract.as_bytes());
    p
}

fn orders(p: &Project, name: &str, rows: &str) {
    p.put(&format!("landing/orders/{name}.csv"), format!("id,customer,day,amount,updated_at\n{rows}\n").as_bytes());
}

#[test]
fn steps_gold_rules_and_queries_call_functions() {
    let p = shop();
    assert_eq!(p.done(&["check"]).stdout, "ok: 5 datasets, 2 contracts, 4 functions with 3 cases\n");
    orders(&p, "more", "5,c1,2024-01-01,600,2024-01-01T12:00:00Z\n6,cx,2024-01-01,1,2024-01-01T12:00:00Z");
    p.done(&["run"]);
    let daily = "SELECT CAST(day AS VARCHAR) AS day, orders, CAST(net AS VARCHAR) AS net FROM gold.daily ORDER BY day";
    let first = json!({ "day": "2024-01-01", "orders": 1, "net": "9.81" });
    assert_eq!(p.rows(daily), [first.clone(), json!({ "day": "2024-01-02", "orders": 1, "net": "6.78" })]);
    let broken = "SELECT sum(violations) FROM state.quality WHERE rule = 'known_form'";
    assert_eq!(p.cell(broken), json!(1));
    let asked = "SELECT net(10.70, 7), is_customer('c1') AS c FROM silver.orders LIMIT 1";
    assert_eq!(p.rows(asked), [json!({ "net(10.70, 7)": 10.0, "c": true })]);
    let wrong = p.alluvium(&["query", "SELECT net(1) FROM silver.orders"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    wrong.said("error[E0267]: `net` takes 2 arguments, and 1 is given");
    wrong.said("--> query:1:8");

    // One day is touched, and the window column is followed through the function.
    orders(&p, "next", "7,c2,2024-01-02,10.70,2024-01-02T12:00:00Z");
    let ran = p.json(&["run"]);
    assert_eq!(p.rows(daily), [first, json!({ "day": "2024-01-02", "orders": 2, "net": "16.78" })]);
    let lines = ran["datasets"].as_array().expect("datasets");
    let gold = lines.iter().find(|d| d["dataset"] == "gold.daily").expect("a line");
    assert_eq!(gold["windows"], 1, "{ran:#}");
}

#[test]
fn a_changed_function_holds_and_recomputes_what_uses_it() {
    let p = shop();
    p.done(&["run"]);
    let gold = |p: &Project| p.versions()["gold.daily"];
    let before = gold(&p);
    p.edit("library/shop.sql", "^c[0-9]$", "^[cd][0-9]$");
    orders(&p, "more", "5,d1,2024-01-03,1,2024-01-03T12:00:00Z");
    let ran = p.alluvium(&["run"]);
    ran.said("silver.orders");
    ran.said("--adopt");
    assert_eq!(gold(&p), before, "gold does not use it, and its input waits");
    p.alluvium(&["run", "--adopt", "silver.orders"]);
    let p = shop();
    p.done(&["run"]);
    p.edit("library/shop.sql", "net(amount, 7)", "net(amount, 19)");
    p.alluvium(&["run"]);
    let net = "SELECT CAST(sum(net) AS VARCHAR) FROM gold.daily";
    assert_eq!(p.cell(net), json!("14.91"), "gold is computed anew by a function that it calls");
}

#[test]
fn mistakes_in_a_library_have_their_place() {
    let p = shop();
    p.edit("library/shop.sql", "RETURN at;", "RETURN\n  at\n    + nothing_like_it(at);");
    p.edit("library/shop.sql", "round(amount * 100", "round(amount || 'x'");
    p.edit("library/shop.test.yaml", "[119, 19], expect: 100", "[119, 19], expect: 101");
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("error[E0266]: there is no function `nothing_like_it`");
    ran.said("--> library/shop.sql:4:7");
    let p = shop();
    p.edit("library/shop.sql", "round(amount * 100", "round(amount < 100");
    assert_eq!(p.alluvium(&["run"]).code, Some(2), "nothing runs");
    p.alluvium(&["check"]).said("--> library/shop.sql:8:");
    let p = shop();
    p.edit("library/shop.test.yaml", "[119, 19], expect: 100", "[119, 19], expect: 101");
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("error[L0166]: `net(119, 19)` gives 100.00, and 101.00 is expected");
    ran.said("--> library/shop.test.yaml:2:5");
    ran.said("the function stands in library/shop.sql:7");
    p.done(&["run"]);
    // What the engine does not like of a query is told where it is written, behind and inside of calls.
    p.edit("datasets/gold/daily.sql", "AS day, count(*)", "AS day, count(nothing)");
    p.edit("datasets/gold/daily.sql", "net_of_food(amount)", "net_of_food(amuont)");
    let ran = p.alluvium(&["check"]);
    ran.said("--> datasets/gold/daily.sql:4:41");
    p.edit("datasets/gold/daily.sql", "count(nothing)", "count(*)");
    p.alluvium(&["check"]).said("--> datasets/gold/daily.sql:5:7");
}

#[test]
fn who_uses_a_function_is_shown() {
    let p = shop();
    let lines = p.json(&["show", "library"]);
    let used: Vec<_> = lines.as_array().expect("lines").iter().map(|l| (&l["function"], &l["used_by"])).collect();
    let both = json!(["silver.orders", "gold.daily"]);
    let wanted = [
        (&json!("day_of"), &json!(["gold.daily"])),
        (&json!("is_customer"), &json!(["silver.orders"])),
        (&json!("net"), &both),
        (&json!("net_of_food"), &both),
    ];
    assert_eq!(used, wanted);
    p.done(&["show", "library"]).said("net(amount DECIMAL(12,2), vat INT) RETURNS DECIMAL(12,2)");
    assert!(Project::shop().done(&["show", "library"]).stdout.contains("no functions"));
}
