//! What a service says of itself holds: real bodies and answers against the OpenAPI document, and events that were sent against
//! their schemas. A field that is there and not described is a mistake, as one that is described and not there.

use crate::{
    harness::{Project, SHOP, repository},
    hooks::{SECRET, call, now},
    http::{Answer, WAITING, ask},
    serving::Serving,
};
use alluvium_flow::EVENT_TYPES;
use alluvium_spec::{Language, SchemaFile, Validator, read_schema_text};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const JSON: &str = "application/json";
const REGISTRY: &str = "application/vnd.schemaregistry.v1+json";
const EVENT: &str = "application/cloudevents+json";

/// Objects that name fields have no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

fn validator(mut schema: Value) -> Validator {
    close(&mut schema);
    match read_schema_text(Language::JsonSchema, Path::new("schema.json"), &schema.to_string()) {
        Ok(SchemaFile::JsonSchema(read)) => read.validator().unwrap_or_else(|e| panic!("{e}: {schema}")),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn holds(schema: Value, value: &Value, what: &str) {
    let breaches: Vec<String> = validator(schema).breaches(value).iter().map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "{what}: {}\n{value:#}", breaches.join("; "));
}

/// A service that is asked, and its document.
struct Asked {
    at: String,
    document: Value,
    /// Method and path of what was asked and answered without an error.
    seen: BTreeSet<String>,
}

impl Asked {
    fn new(at: String) -> Self {
        let document = ask(&at, "GET", "/openapi.json", &[], b"").json();
        Self { at, document, seen: BTreeSet::new() }
    }

    fn schema(&self, content: &Value) -> Value {
        let mut schema = content["schema"].clone();
        schema["components"] = self.document["components"].clone();
        schema
    }

    /// The answer is as the document has it.
    #[track_caller]
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let operation = &self.document["paths"][path][method.to_lowercase()];
        let response = &operation["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{method} {path}: {} {}", answer.status, answer.body);
        if answer.status < 400 {
            self.seen.insert(format!("{method} {path}"));
        }
        let Some((kind, content)) = response["content"].as_object().and_then(|c| c.iter().next()) else {
            assert_eq!(answer.body, "", "{method} {path}");
            return;
        };
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{method} {path}: {}", answer.head);
        if kind != "text/plain" {
            holds(self.schema(content), &answer.json(), &format!("{method} {path} {}", answer.status));
        }
    }

    /// Asks, with a body that is as the document has it if it has one.
    #[track_caller]
    fn send(&mut self, method: &str, path: &str, asked: &str, kind: &str, body: &Value) -> Answer {
        let content = &self.document["paths"][path][method.to_lowercase()]["requestBody"]["content"][kind];
        assert!(content.is_object(), "{method} {path} takes no {kind}");
        if content["schema"].is_object() {
            holds(self.schema(content), body, &format!("the body of {method} {path}"));
        }
        let answer = ask(&self.at, method, asked, &[("Content-Type", kind)], body.to_string().as_bytes());
        self.check(method, path, &answer);
        answer
    }

    #[track_caller]
    fn get(&mut self, path: &str, asked: &str) -> Answer {
        let answer = ask(&self.at, "GET", asked, &[], b"");
        self.check("GET", path, &answer);
        answer
    }

    /// Something is in it, so that its fields were looked at.
    #[track_caller]
    fn list(&mut self, path: &str) {
        let answer = self.get(path, path);
        assert!(answer.json().as_array().is_some_and(|a| !a.is_empty()), "{path}: {}", answer.body);
    }
}

/// A shop with something of everything that is shown.
fn shop() -> Project {
    let mut p = Project::new(SHOP);
    p.edit("alluvium.yaml", "name: shop", "name: shop\nsinks: { out: { files: out/ } }\npublish: out\nalerts: out");
    let mounted = "settle: 0s, notified_by: { bucket: amzn-s3-demo-bucket }";
    p.edit("datasets/bronze/orders.yaml", "settle: 0s", mounted);
    p.edit("datasets/bronze/orders.yaml", "*.csv", "*.csv{,.gz}");
    p.put("landing/orders/broken.csv.gz", b"\x1f\x8b\x08 and no more of a gzip");
    // The third has no orders.
    p.edit(
        "landing/orders/2024-01-01.csv",
        "3,c1,2024-01-02",
        "5,c1,2024-01-04,1.00,2024-01-04T09:00:00Z\n3,c1,2024-01-02",
    );
    p.edit("datasets/silver/orders.yaml", "write:", "publish: out\naccept: { invalid: { warn_above: 10% } }\nwrite:");
    p.edit("datasets/silver/customers.yaml", "from:", "when: received >= 1\nfrom:");
    p.edit("datasets/gold/daily.sql", "window:", "publish: out\nwindow:");
    // They stay in the inbox for a while.
    p.put("datasets/bronze/pushed.yaml", b"source: { http: { types: [shop.seen] } }\nfreshness: 1 hour\n");
    p.put("datasets/bronze/hooked.yaml", b"source: { webhook: { path: /hooks/a, secret: { env: ALLUVIUM_HOOK } } }\n");
    p.set("ALLUVIUM_HOOK", SECRET);
    p
}

fn notice(name: &str) -> Value {
    let path = repository().join("crates/server/tests/notices").join(name);
    serde_json::from_slice(&fs::read(path).expect("a notice")).expect("JSON")
}

#[test]
fn every_answer_is_as_the_openapi_document_says() {
    let p = shop();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("done gold.daily");
    serving.wait_for("ended");
    let mut service = Asked::new(at);
    // Alerts are told after the turn.
    serving.until("an alert", || ask(&service.at, "GET", "/api/alerts", &[], b"").json() != json!([]));
    push(&mut service);
    look(&mut service);
    replay(&mut service, &serving);
    register(&mut service);
    // What is refused, too.
    assert_eq!(service.get("/api/runs/{id}", "/api/runs/1999").status, 404);
    assert_eq!(service.get("/api/runs", "/api/runs?limit=0").status, 400);
    assert_eq!(service.get("/subjects/{subject}/versions", "/subjects/none/versions").status, 404);
    let every: BTreeSet<String> = service.document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, all)| all.as_object().expect("operations").keys().map(move |m| (m, path)))
        .map(|(method, path)| format!("{} {path}", method.to_uppercase()))
        .collect();
    assert_eq!(service.seen, every, "each of them was asked");
    assert_eq!(serving.stop().code, Some(0));
}

fn push(service: &mut Asked) {
    let event =
        |id: &str| json!({ "specversion": "1.0", "id": id, "source": "/s", "type": "shop.seen", "data": { "a": 1 } });
    assert_eq!(service.send("POST", "/events", "/events", EVENT, &event("1")).status, 202);
    let batch = "application/cloudevents-batch+json";
    assert_eq!(service.send("POST", "/events", "/events", batch, &json!([event("1"), event("2")])).status, 202);
    assert_eq!(
        service
            .send(
                "POST",
                "/events",
                "/events",
                EVENT,
                &json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "other" })
            )
            .status,
        422
    );
    for (file, status) in
        [("s3.json", 202), ("s3-test.json", 200), ("azure-validation.json", 200), ("sns-confirmation.json", 200)]
    {
        assert_eq!(service.send("POST", "/events", "/events", JSON, &notice(file)).status, status, "{file}");
    }
    let waits = service.send("POST", "/events", WAITING, JSON, &notice("s3.json"));
    assert_eq!((waits.status, waits.json()["outcome"].is_object()), (200, true), "{}", waits.body);
    let allowed = ask(&service.at, "OPTIONS", "/events", &[("WebHook-Request-Origin", "a.example")], b"");
    service.check("OPTIONS", "/events", &allowed);
    let signed = call(&service.at, "/hooks/a", SECRET, "msg_1", now(), "{\"a\":1}");
    service.check("POST", "/hooks/a", &signed);
    let forged = call(&service.at, "/hooks/a", SECRET, "msg_1", 1, "{}");
    service.check("POST", "/hooks/a", &forged);
}

fn look(service: &mut Asked) {
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        service.get(path, path);
    }
    for path in ["datasets", "catalog", "gaps", "runs", "dead-letters", "events", "publications", "alerts"] {
        service.list(&format!("/api/{path}"));
    }
    let landed = service.get("/api/events/{id}", "/api/events/2024-01-01.csv").json();
    assert!(landed["publications"].as_array().is_some_and(|a| !a.is_empty()), "{landed}");
    let pushed = service.get("/api/events/{id}", "/api/events/1?source=/s").json();
    assert_eq!(pushed["id"], "1");
    let weeks = service.get("/api/gaps", "/api/gaps?dataset=gold.daily&window=1%20week").json();
    assert_eq!(weeks, json!([]), "a week has all of it");
    assert_eq!(service.get("/api/gaps", "/api/gaps?dataset=gold.dialy").status, 404);
    assert_eq!(service.get("/api/gaps", "/api/gaps?window=long").status, 400);
    let runs = service.get("/api/runs", "/api/runs?limit=100").json();
    // The first one, which did the most.
    let first = runs.as_array().and_then(|r| r.last()).and_then(|r| r["run"].as_str()).expect("a run").to_owned();
    let run = service.get("/api/runs/{id}", &format!("/api/runs/{first}")).json();
    for part in ["steps", "rules", "decisions"] {
        assert!(run[part].as_array().is_some_and(|a| !a.is_empty()), "{part}: {run}");
    }
}

fn replay(service: &mut Asked, serving: &Serving) {
    let asked = json!({ "quarantine": { "dataset": "silver.orders" } });
    let accepted = service.send("POST", "/api/replays", "/api/replays", JSON, &asked).json();
    let path = format!("/api/replays/{}", accepted["replay"].as_str().expect("an id"));
    let at = service.at.clone();
    serving
        .until("the end of the replay", || ask(&at, "GET", &path, &[], b"").json()["replay"]["ended_at"].is_string());
    let ended = service.get("/api/replays/{id}", &path).json();
    assert!(ended["run"].is_object() && ended["replay"]["outcome"].is_object(), "{ended}");
    service.list("/api/replays");
    for body in [
        json!({ "rescued": { "dataset": "silver.orders" } }),
        json!({ "dead_letters": { "dataset": "silver.orders", "ids": [], "version": "original" } }),
        json!({ "held": { "dataset": "silver.orders", "verdict": "release", "by": "me" } }),
        json!({ "discard": { "dataset": "silver.orders", "selection": { "rule": "none" }, "by": "me", "reason": "r" } }),
    ] {
        assert_eq!(service.send("POST", "/api/replays", "/api/replays", JSON, &body).status, 202, "{body}");
    }
}

fn register(service: &mut Asked) {
    let schema = |text: &str| json!({ "schema": text, "schemaType": "JSON" });
    let (one, versions) = ("/subjects/{subject}", "/subjects/{subject}/versions");
    let string = schema("{\"type\":\"string\"}");
    let registered = service.send("POST", versions, "/subjects/a/versions", REGISTRY, &string).json();
    service.send("POST", versions, "/subjects/b/versions", JSON, &json!({ "schema": "\"int\"" }));
    service.send("POST", one, "/subjects/a", REGISTRY, &string);
    service.send("POST", versions, "/subjects/a/versions", REGISTRY, &schema("{\"type\":\"number\"}"));
    let id = registered["id"].as_u64().expect("an id");
    for (path, asked) in [
        ("/subjects", "/subjects".to_owned()),
        (versions, "/subjects/a/versions".to_owned()),
        ("/subjects/{subject}/versions/{version}", "/subjects/a/versions/latest".to_owned()),
        ("/subjects/{subject}/versions/{version}", "/subjects/b/versions/1".to_owned()),
        ("/subjects/{subject}/versions/{version}/schema", "/subjects/a/versions/1/schema".to_owned()),
        ("/schemas/types", "/schemas/types".to_owned()),
        ("/schemas/ids/{id}", format!("/schemas/ids/{id}")),
        ("/schemas/ids/{id}/subjects", format!("/schemas/ids/{id}/subjects")),
        ("/schemas/ids/{id}/versions", format!("/schemas/ids/{id}/versions")),
        ("/config", "/config".to_owned()),
        ("/mode", "/mode".to_owned()),
    ] {
        assert_eq!(service.get(path, &asked).status, 200, "{asked}");
    }
    let compatible = "/compatibility/subjects/{subject}/versions";
    service.send("POST", compatible, "/compatibility/subjects/a/versions?verbose=true", REGISTRY, &schema("{}"));
    let with_one = format!("{compatible}/{{version}}");
    service.send("POST", &with_one, "/compatibility/subjects/a/versions/1", REGISTRY, &schema("{}"));
    let level = json!({ "compatibility": "NONE" });
    service.send("PUT", "/config", "/config", REGISTRY, &level);
    service.send("PUT", "/config/{subject}", "/config/a", REGISTRY, &level);
    service.get("/config/{subject}", "/config/a");
    for (path, asked) in [
        ("/config/{subject}", "/config/a"),
        ("/subjects/{subject}/versions/{version}", "/subjects/a/versions/1"),
        (one, "/subjects/b"),
    ] {
        let answer = ask(&service.at, "DELETE", asked, &[], b"");
        service.check("DELETE", path, &answer);
    }
}

/// What lies in the folder of the sink.
fn sent(p: &Project) -> Vec<Value> {
    let folders = fs::read_dir(p.path("out")).expect("a folder").map(|e| e.expect("an entry").path());
    let files = folders.flat_map(|f| fs::read_dir(f).expect("a folder")).map(|e| e.expect("an entry").path());
    let events = files.filter(|f| f.extension().is_some_and(|e| e == "json"));
    events.map(|f| serde_json::from_slice(&fs::read(f).expect("a file")).expect("an event")).collect()
}

#[test]
fn every_event_that_is_sent_is_as_its_schema_says() {
    let p = shop();
    p.alluvium(&["run"]);
    // A clean batch resolves what the first one opened.
    p.put("landing/orders/2.csv", b"id,customer,day,amount,updated_at\n8,c1,2024-01-05,1.00,2024-01-05T10:00:00Z\n");
    p.alluvium(&["run"]);
    p.done(&["backfill", "gold.daily", "--from", "2024-01-01", "--to", "2024-01-10", "--window", "1 day"]);
    p.done(&["backfill", "gold.daily", "--swap"]);
    p.alluvium(&["run"]);
    let types: BTreeMap<&str, _> = EVENT_TYPES.iter().map(|t| (t.name, t)).collect();
    let mut seen = BTreeSet::new();
    for event in sent(&p) {
        let name = event["type"].as_str().expect("a type").to_owned();
        let found = types.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no schema"));
        assert_eq!(event["dataschema"], found.schema_id, "{name}");
        holds(serde_json::from_str(found.schema).expect("a schema"), &event["data"], &name);
        seen.insert(name);
    }
    assert_eq!(seen, types.keys().map(|n| (*n).to_owned()).collect());
    let serving = Serving::start(&p, &[]);
    let service = Asked::new(serving.address());
    let webhooks: BTreeSet<&String> = service.document["webhooks"].as_object().expect("webhooks").keys().collect();
    assert_eq!(webhooks, seen.iter().collect(), "the document has them, too");
    assert_eq!(serving.stop().code, Some(0));
}
