//! Versions of contracts: registered when they are used, compared before, and asked for over HTTP as of any schema registry.

use crate::{
    harness::{Project, python},
    http::{ask, post_to},
    serving::Serving,
};
use serde_json::{Value, json};

const CONTRACT: &str = "contracts/orders.odcs.yaml";

/// The shop, whose contract of orders declares a mode.
fn shop(mode: &str) -> Project {
    let p = Project::shop();
    declare(&p, mode);
    p
}

fn declare(p: &Project, mode: &str) {
    let text = std::fs::read_to_string(p.path(CONTRACT)).expect("a file");
    let line = format!("{text}customProperties:\n  - {{ property: alluvium.compatibility, value: {mode} }}\n");
    p.put(CONTRACT, line.as_bytes());
}

/// A column more that has to be there, as the first one.
fn require_more(p: &Project) {
    p.edit(
        CONTRACT,
        "    properties:\n",
        "    properties:\n      - { name: shop, logicalType: string, required: true }\n",
    );
}

fn versions(p: &Project, contract: &str) -> Vec<(u64, bool, usize)> {
    let answer = p.json(&["show", "contract", contract]);
    let line = |v: &Value| {
        let in_force = v["in_force"].as_array().expect("ranges").iter().filter(|f| f["until"].is_null()).count();
        (v["version"].as_u64().expect("a number"), v["accepted"] == true, in_force)
    };
    answer.as_array().expect("versions").iter().map(line).collect()
}

#[test]
fn a_contract_is_registered_when_it_is_used_and_known_again() {
    let p = shop("BACKWARD");
    p.done(&["check"]);
    assert!(!p.path(".alluvium").exists(), "a check makes no state");
    assert_eq!(versions(&p, "orders"), []);
    p.done(&["run"]);
    assert_eq!(versions(&p, "orders"), [(1, false, 1)]);
    // Layout and comments are no new version.
    p.edit(CONTRACT, "status: active\n", "# in use\nstatus: \"active\"\n");
    p.done(&["run"]);
    assert_eq!(versions(&p, "orders"), [(1, false, 1)]);
    p.edit(CONTRACT, "    properties:\n", "    properties:\n      - { name: coupon, logicalType: string }\n");
    let shown = p.json(&["show", "contracts"]);
    let orders = shown.as_array().expect("lines").iter().find(|l| l["contract"] == "orders").expect("it is there");
    assert_eq!(
        (&orders["version"], &orders["mode"], &orders["as_defined"]),
        (&json!(1), &json!("BACKWARD"), &json!(false))
    );
    p.done(&["run", "--adopt", "silver.orders"]);
    assert_eq!(versions(&p, "orders"), [(1, false, 0), (2, false, 1)]);
    p.done(&["contract", "diff", "orders@1", "orders@2"]).said("coupon");
    p.done(&["contract", "diff", "orders@2", "orders"]).said("no change");
    assert_eq!(p.alluvium(&["contract", "diff", "orders@3", "orders"]).code, Some(2));
    assert_eq!(p.cell("SELECT count(*) FROM state.contracts WHERE subject = 'orders'"), 2);
}

#[test]
fn a_version_that_breaks_its_mode_is_refused_before_any_work() {
    let p = shop("BACKWARD");
    p.done(&["run"]);
    require_more(&p);
    p.put("landing/orders/2024-01-03.csv", crate::harness::STRANGER.as_bytes());
    for command in [&["check"][..], &["run"], &["serve", "--listen", "127.0.0.1:0"]] {
        let ran = p.alluvium(command);
        assert_eq!(ran.code, Some(2), "{command:?}\n{ran}");
        ran.said("E0350");
        ran.said("`orders.shop` field added (required string) breaks BACKWARD against version 1");
        ran.said("leave out `required`: optional fields can be added");
        ran.said("--accept orders");
        ran.said("contracts/orders.odcs.yaml:");
    }
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 3, "nothing was loaded");
    assert_eq!(versions(&p, "orders"), [(1, false, 1)]);
    let ran = p.alluvium(&["run", "--accept", "ordres"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    p.done(&["check", "--accept", "orders"]);
    assert_eq!(versions(&p, "orders"), [(1, false, 1)], "a check changes nothing");
    p.alluvium(&["run", "--accept", "orders", "--adopt", "silver.orders"]);
    assert_eq!(versions(&p, "orders"), [(1, false, 0), (2, true, 1)]);
    // It is accepted once and for all.
    p.done(&["check"]);
}

#[test]
fn readers_of_a_column_are_named() {
    let p = shop("FULL");
    p.done(&["run"]);
    p.edit(CONTRACT, "{ minimum: 0 }", "{ minimum: -100 }");
    let ran = p.alluvium(&["check"]);
    ran.said("`orders.amount` minimum");
    ran.said("read by gold.daily");
}

#[test]
fn a_contract_without_a_mode_is_told_and_taken() {
    let p = Project::shop();
    p.done(&["run"]);
    require_more(&p);
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.said("W0050");
    p.alluvium(&["run", "--adopt", "silver.orders"]).said("W0050");
    assert_eq!(versions(&p, "orders"), [(1, false, 0), (2, false, 1)]);
    assert!(!p.alluvium(&["check"]).stderr.contains("W0050"), "it is told once");
}

#[test]
fn a_transitive_mode_looks_at_all_versions() {
    let p = shop("BACKWARD");
    let without = std::fs::read_to_string(p.path(CONTRACT)).expect("a file");
    p.edit(
        CONTRACT,
        "    properties:\n",
        "    properties:\n      - { name: coupon, logicalType: string, logicalTypeOptions: { maxLength: 9 } }\n",
    );
    p.done(&["run"]);
    p.put(CONTRACT, without.as_bytes());
    p.done(&["run", "--adopt", "silver.orders"]);
    // Shorter than in the first version; the one in force says nothing of it.
    p.edit(
        CONTRACT,
        "    properties:\n",
        "    properties:\n      - { name: coupon, logicalType: string, logicalTypeOptions: { maxLength: 5 } }\n",
    );
    p.done(&["check"]);
    p.edit(CONTRACT, "value: BACKWARD", "value: BACKWARD_TRANSITIVE");
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("against version 1");
}

#[test]
fn a_state_that_cannot_be_read_is_told() {
    let p = shop("BACKWARD");
    p.put(".alluvium/dev.db", b"this is no state at all, but something else that is long enough to be looked at");
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.said("W0051");
}

#[test]
fn a_client_of_schema_registries_registers_and_fetches() {
    let p = shop("FULL");
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let found: Value = serde_json::from_str(&python("tests/registry.py", &[at.as_ref()])).expect("one JSON object");
    assert_eq!(found["avro"], json!([{ "id": 1 }, { "id": 2, "note": "x" }]));
    assert_eq!(found["json"], json!({ "id": 7 }));
    assert_eq!(found["subjects"], json!(["customers", "orders", "orders-value", "refunds-value"]));
    assert_eq!(found["versions"], json!([1, 2]));
    assert_eq!(found["types"], json!(["AVRO", "JSON"]));
    assert_eq!((&found["latest"][0], &found["latest"][2]["fields"][1]["name"]), (&json!(2), &json!("note")));
    assert_eq!(found["lookup"], json!([1, true, true]));
    assert_eq!(found["of_id"], json!([["orders-value"], [2]]));
    assert_eq!(found["taken"], json!([1, 2, 3]));
    assert_eq!(found["breaking"], json!([409, 409]));
    assert_eq!(found["compatible"], json!([false, true]));
    assert_eq!(found["level"], json!(["BACKWARD", "NONE", "NONE"]));
    let refused = json!({
        "subject": [404, 40401], "version": [404, 40402], "schema": [404, 40403], "unknown": [404, 40403],
        "invalid": [422, 42201], "protobuf": [422, 42201], "level": [422, 42203], "no_level": [404, 40408],
        "contract": [422, 42205], "too_early": [404, 40405], "text": [415, 415], "rules": [422, 42201],
        "metadata": [422, 42201],
    });
    assert_eq!(found["refused"], refused);
    assert_eq!(found["contract"], json!([1, "ODCS", true]));
    assert_eq!(found["deleted"], json!([3, [1]]));
    assert_eq!((&found["gone"], &found["still"]), (&json!([404, 40401]), &json!({ "id": 7 })));
    assert_eq!(found["for_good"], json!([404, 40403]));
    assert_eq!(found["left"], json!([["customers", "orders", "orders-value"], [1, 2]]));

    // The form, for clients that look at it.
    let answer = ask(&at, "GET", "/subjects/none/versions", &[], b"");
    assert!(answer.head.contains("content-type: application/vnd.schemaregistry.v1+json"), "{}", answer.head);
    assert_eq!(answer.json()["error_code"], 40401);
    let body = br#"{"schema": "{\"type\": \"record\", \"name\": \"Order\", \"namespace\": \"shop\", \"fields\": []}"}"#;
    let kind = "application/vnd.schemaregistry.v1+json";
    let at_latest = "/compatibility/subjects/orders-value/versions/latest?verbose=true";
    let set = ask(&at, "PUT", "/config/orders-value", &[("Content-Type", kind)], b"{\"compatibility\":\"FULL\"}");
    assert_eq!(set.json(), json!({ "compatibility": "FULL" }), "{}", set.body);
    let verdict = post_to(&at, at_latest, kind, body).json();
    assert_eq!(verdict["is_compatible"], false);
    assert!(verdict["messages"][0].as_str().is_some_and(|m| m.contains("id")), "{verdict}");
    assert_eq!(ask(&at, "GET", "/config/orders", &[], b"").json(), json!({ "compatibilityLevel": "FULL" }));
    assert_eq!(ask(&at, "DELETE", "/subjects/orders", &[], b"").json()["error_code"], 42205);
    let document = ask(&at, "GET", "/openapi.json", &[], b"").json();
    let register = &document["paths"]["/subjects/{subject}/versions"]["post"]["responses"];
    let told = &register["409"]["content"]["application/vnd.schemaregistry.v1+json"]["schema"]["$ref"];
    assert_eq!(told, "#/components/schemas/RegistryError", "{register}");
    assert!(register["401"]["content"]["application/json"].is_object(), "{register}");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(versions(&p, "orders-value"), [(1, false, 0), (2, false, 1), (3, false, 0)]);
}
