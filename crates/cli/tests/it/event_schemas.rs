//! Schemas of events: what breaks them is refused before it is taken, and a new version is held to the ones before.

use crate::{
    harness::Project,
    http::{STRUCTURED, event, post, pushed_shop},
    serving::Serving,
};
use serde_json::json;

const BATCH: &str = "application/cloudevents-batch+json";
const SCHEMA: &str = r#"{
  "type": "object",
  "required": ["id", "amount"],
  "properties": { "id": { "type": "integer" }, "amount": { "type": "number", "minimum": 0 } }
}"#;

fn shop() -> Project {
    let p = pushed_shop();
    p.put("schemas/order.json", SCHEMA.as_bytes());
    p.put(
        "datasets/bronze/orders.yaml",
        b"source: { http: { types: { com.shop.order.placed: schemas/order.json } } }\n",
    );
    p
}

#[test]
fn an_event_that_breaks_its_schema_is_refused_with_the_rule() {
    let p = shop();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let refused = post(&at, STRUCTURED, &event("7", "-1"));
    assert_eq!((refused.status, refused.code().as_str()), (422, "H0210"), "{}", refused.body);
    let error = refused.json()["error"].clone();
    let message = error["message"].as_str().expect("a message");
    assert_eq!(
        message,
        "the event breaks the schema of `com.shop.order.placed`, schemas/order.json: `/amount` is not at least 0 (`minimum`)"
    );
    // Of a batch nothing is taken.
    let batch = format!("[{},{}]", event("8", "1.00"), event("9", "\"secret\""));
    let refused = post(&at, BATCH, &batch);
    assert_eq!(refused.code(), "H0210");
    assert!(refused.body.contains("event 1 breaks") && !refused.body.contains("secret"), "{}", refused.body);
    let taken = post(&at, STRUCTURED, &event("7", "1.00"));
    assert_eq!((taken.status, taken.json()), (202, json!({ "accepted": 1, "duplicates": 0 })), "the id is not used up");
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 1);
    let audited = p.rows("SELECT id, times FROM state.audit WHERE kind = 'schema' ORDER BY at");
    assert_eq!(audited[0], json!({ "id": "7", "times": 1 }), "{audited:?}");
}

#[test]
fn a_schema_is_a_version_and_held_to_the_ones_before() {
    let p = shop();
    p.done(&["run"]);
    let shown = p.json(&["show", "contracts"]);
    let line = |l: &&serde_json::Value| l["contract"] == "com.shop.order.placed";
    let schema = shown.as_array().expect("lines").iter().find(line).expect("it is registered").clone();
    assert_eq!(
        (&schema["version"], &schema["language"], &schema["mode"]),
        (&json!(1), &json!("json-schema"), &json!("BACKWARD"))
    );
    p.edit("schemas/order.json", "[\"id\", \"amount\"]", "[\"id\", \"amount\", \"day\"]");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("E0350");
    ran.said("schemas/order.json:1:1");
    ran.said("--accept com.shop.order.placed");
    p.done(&["run", "--accept", "com.shop.order.placed"]);
    let versions = p.json(&["show", "contract", "com.shop.order.placed"]);
    assert_eq!(versions.as_array().map(Vec::len), Some(2), "{versions}");
    p.done(&["run"]);
}

const AVRO: &str = r#"{ "type": "record", "name": "Order", "fields": [
  { "name": "id", "type": "long" },
  { "name": "amount", "type": "double" },
  { "name": "note", "type": ["null", "string"], "default": null } ] }"#;

fn shop_of_avro() -> Project {
    let p = pushed_shop();
    p.put("schemas/order.avsc", AVRO.as_bytes());
    let bronze = b"source: { http: { types: { com.shop.order.placed: schemas/order.avsc } } }\n";
    p.put("datasets/bronze/orders.yaml", bronze);
    p
}

#[test]
fn an_event_that_breaks_its_avro_schema_is_refused_with_the_rule() {
    let p = shop_of_avro();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let refused = post(&at, STRUCTURED, &event("7", "\"much\""));
    assert_eq!((refused.status, refused.code().as_str()), (422, "H0210"), "{}", refused.body);
    assert_eq!(
        refused.json()["error"]["message"],
        "the event breaks the schema of `com.shop.order.placed`, schemas/order.avsc: `/amount` is no number (`type`)"
    );
    let taken = post(&at, STRUCTURED, &event("7", "1.00"));
    assert_eq!((taken.status, taken.json()), (202, json!({ "accepted": 1, "duplicates": 0 })), "the id is not used up");
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 1);
}

#[test]
fn an_avro_schema_is_held_to_its_versions() {
    let p = shop_of_avro();
    p.done(&["run"]);
    let shown = p.json(&["show", "contracts"]);
    let line = |l: &&serde_json::Value| l["contract"] == "com.shop.order.placed";
    let schema = shown.as_array().expect("lines").iter().find(line).expect("it is registered").clone();
    assert_eq!(
        (&schema["version"], &schema["language"], &schema["mode"], &schema["as_defined"]),
        (&json!(1), &json!("avro"), &json!("BACKWARD"), &json!(true))
    );
    p.edit("schemas/order.avsc", "\"double\"", "\"string\"");
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("E0350");
    ran.said("schemas/order.avsc:1:1");
    p.done(&["run", "--accept", "com.shop.order.placed"]);
}
