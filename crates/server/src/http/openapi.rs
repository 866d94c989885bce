//! `GET /openapi.json`: the OpenAPI 3.1 document, from the table that the router is made from.

use super::{
    api::{Shared, State},
    routes::{Content, Method, Parameter, Place, Route, all},
    schemas,
};
use alluvium_flow::{EVENT_TYPES, EventType};
use axum::Json;
use serde_json::{Map, Value, json};

const JSON: &str = "application/json";
const REGISTRY: &str = "application/vnd.schemaregistry.v1+json";

pub(super) async fn get(state: axum::extract::State<State>) -> Json<Value> {
    Json(document(&state))
}

fn document(state: &Shared) -> Value {
    let mut paths = Map::new();
    for route in all() {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        entry[word(route.method)] = operation(route, !state.tokens.is_empty());
    }
    for (path, hook) in &state.hooks {
        paths.insert(path.clone(), json!({ "post": hook_operation(path, hook.most_bytes()) }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Alluvium",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A project that is served. `/hooks/…` are the webhooks of this project.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "webhooks": EVENT_TYPES.iter().map(|t| (t.name.to_owned(), sent(t))).collect::<Map<_, _>>(),
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas::all(),
        },
    })
}

/// What webhook sinks are sent.
fn sent(event: &EventType) -> Value {
    let data: Value = serde_json::from_str(event.schema).expect("a test reads each of them");
    let summary = data["title"].clone();
    let own = json!({
        "required": ["subject", "time", "datacontenttype", "dataschema", "data"],
        "properties": { "type": { "const": event.name }, "dataschema": { "const": event.schema_id }, "data": data },
    });
    let schema = json!({ "allOf": [schemas::of("CloudEvent"), own] });
    json!({ "post": {
        "operationId": event.name,
        "summary": summary,
        "requestBody": { "required": true, "content": { "application/cloudevents+json": { "schema": schema } } },
        "responses": { "2XX": { "description": "It is delivered" } },
    } })
}

fn word(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Put => "put",
        Method::Delete => "delete",
        Method::Options => "options",
    }
}

fn operation(route: &Route, has_token: bool) -> Value {
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "responses": responses(route.answers, route.errors),
    });
    if !route.parameters.is_empty() {
        operation["parameters"] = route.parameters.iter().map(parameter).collect();
    }
    if !route.takes.is_empty() {
        let body =
            |schema: &Option<&str>| schema.map_or_else(|| json!({}), |name| json!({ "schema": schemas::of(name) }));
        let content = route.takes.iter().map(|(kind, schema)| ((*kind).to_owned(), body(schema)));
        operation["requestBody"] = json!({ "required": true, "content": content.collect::<Map<_, _>>() });
    }
    operation["security"] = if route.guarded && has_token { json!([{ "token": [] }]) } else { json!([]) };
    operation
}

fn parameter(p: &Parameter) -> Value {
    let kind = if p.whole_number { "integer" } else { "string" };
    json!({
        "name": p.name,
        "in": match p.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        },
        "required": p.place == Place::Path,
        "description": p.what,
        "schema": { "type": kind },
    })
}

fn responses(answers: &[(u16, &str, Content)], errors: &[u16]) -> Value {
    let mut all = Map::new();
    for (status, what, content) in answers {
        let mut response = json!({ "description": what });
        match content {
            Content::None => {}
            Content::Object(name) => response["content"] = json!({ JSON: { "schema": schemas::of(name) } }),
            Content::List(name) => {
                response["content"] = json!({ JSON: { "schema": schemas::list(schemas::of(name)) } });
            }
            Content::Registry(name) => response["content"] = json!({ REGISTRY: { "schema": schemas::of(name) } }),
            Content::Text => response["content"] = json!({ "text/plain": { "schema": { "type": "string" } } }),
        }
        all.insert(status.to_string(), response);
    }
    let of_registry = answers.iter().any(|(_, _, content)| matches!(content, Content::Registry(_)));
    for status in errors {
        // Who may not ask is told so before it is known what for.
        let (kind, name) = match of_registry && !matches!(status, 401 | 403) {
            true => (REGISTRY, "RegistryError"),
            false => (JSON, "Error"),
        };
        let error = json!({ "description": meaning(*status), "content": { kind: { "schema": schemas::of(name) } } });
        all.entry(status.to_string()).or_insert(error);
    }
    Value::Object(all)
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "It cannot be read",
        401 => "The token or the signature is missing or wrong",
        403 => "This host name is not served, or this is for others to decide",
        404 => "There is no such thing",
        408 => "The body did not come in time",
        409 => "It breaks the compatibility mode of its subject",
        413 => "It is too large",
        415 => "It is of a kind that is not taken",
        422 => "It can be read, and not be done",
        429 => "Too much at once; `Retry-After` says when to send again",
        503 => "The state or the lake cannot be reached now",
        _ => "A defect, or a state that cannot be used",
    }
}

fn hook_operation(path: &str, most_bytes: u64) -> Value {
    let header = |name: &str, what: &str| json!({ "name": name, "in": "header", "required": true, "description": what, "schema": { "type": "string" } });
    let answers = [(202, "The call is durable, or was taken before", Content::Object("Accepted"))];
    json!({
        "operationId": format!("hook{}", path.replace(['/', '-', '.'], "_")),
        "summary": format!("A call that is signed as Standard Webhooks says, of up to {most_bytes} bytes"),
        "parameters": [
            header("webhook-id", "Names the call, also when it is sent again"),
            header("webhook-timestamp", "Seconds since 1970"),
            header("webhook-signature", "`v1,` and the HMAC-SHA256 as Base64; several are parted by spaces"),
        ],
        "requestBody": { "required": true, "content": { JSON: {}, "application/cloudevents+json": { "schema": schemas::of("CloudEvent") } } },
        "responses": responses(&answers, &[400, 401, 408, 413, 422, 429, 500, 503]),
        "security": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn named(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                let reference = map.get("$ref").and_then(Value::as_str);
                names.extend(reference.and_then(|r| r.strip_prefix("#/components/schemas/")).map(str::to_owned));
                map.values().for_each(|v| named(v, names));
            }
            Value::Array(all) => all.iter().for_each(|v| named(v, names)),
            _ => {}
        }
    }

    #[test]
    fn each_schema_is_there_and_used() {
        let (schemas, mut names) = (schemas::all(), BTreeSet::new());
        all().for_each(|route| named(&operation(route, true), &mut names));
        schemas.values().for_each(|schema| named(schema, &mut names));
        assert_eq!(names, schemas.keys().cloned().collect());
    }

    #[test]
    fn each_answer_that_has_a_body_has_a_schema() {
        for route in all() {
            for (status, response) in operation(route, true)["responses"].as_object().expect("responses") {
                for (kind, content) in response["content"].as_object().into_iter().flatten() {
                    assert!(content["schema"].is_object(), "{} {status} {kind}", route.id);
                }
            }
        }
    }
}
