//! What a user writes for a stream: a folder of records, and a contract as its SCHEMA messages have it.

use super::streams::{DELETED, SEQUENCE, Schema, Stream, VERSION};
use crate::harness::Project;
use serde_json::{Map, Value, json};

/// Bronze, silver and contract of one name.
pub fn put(p: &Project, name: &str, stream: &Stream, schema: &Schema) {
    p.put(&format!("datasets/bronze/{name}.yaml"), bronze(name).to_string().as_bytes());
    p.put(&format!("datasets/silver/{name}.yaml"), silver(name, schema).to_string().as_bytes());
    p.put(&format!("contracts/{name}.odcs.yaml"), contract(name, schema).to_string().as_bytes());
    p.put(&format!("landing/{name}/.keep"), b"");
    if !stream.activated.is_empty() {
        put_active(p, name, stream);
    }
}

pub fn bronze(name: &str) -> Value {
    json!({ "source": { "files": format!("landing/{name}/"), "glob": "*.ndjson", "settle": "0s" } })
}

fn silver(name: &str, schema: &Schema) -> Value {
    let mut write = Map::new();
    if !schema.keys.is_empty() {
        write.insert("keys".into(), json!(schema.keys));
        write.insert("sequence_by".into(), json!(SEQUENCE));
        if schema.properties.contains_key(DELETED) {
            write.insert("delete_when".into(), json!(format!("{DELETED} IS NOT NULL")));
        }
    }
    let write = if write.is_empty() { json!("append") } else { Value::Object(write) };
    json!({ "from": format!("bronze.{name}"), "contract": name, "steps": ["validate"], "write": write })
}

pub fn contract(name: &str, schema: &Schema) -> Value {
    let mut properties = Vec::new();
    for column in schema.properties.keys() {
        let mut property = json!({ "name": column, "required": schema.required.contains(column) });
        if let Some(kind) = schema.kind(column) {
            property["logicalType"] = json!(kind);
        }
        properties.push(property);
    }
    // A schema without a column stays one.
    if !properties.is_empty() {
        properties.extend([SEQUENCE, VERSION].map(|c| json!({ "name": c, "logicalType": "integer" })));
    }
    document(name, &properties)
}

fn document(name: &str, properties: &[Value]) -> Value {
    json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": name, "name": name, "version": "1.0.0", "status": "active",
        "schema": [{ "name": name, "properties": properties }],
    })
}

/// The version that was activated last as a table of its own, and the rows that are of it.
fn put_active(p: &Project, name: &str, stream: &Stream) {
    let versions = format!("{name}_versions");
    let columns = ["place", "version"].map(|c| json!({ "name": c, "logicalType": "integer", "required": true }));
    p.put(&format!("contracts/{versions}.odcs.yaml"), document(&versions, &columns).to_string().as_bytes());
    p.put(&format!("datasets/bronze/{versions}.yaml"), bronze(&versions).to_string().as_bytes());
    let write = json!({ "keys": ["place"], "sequence_by": "version" });
    let silver = json!({ "from": format!("bronze.{versions}"), "contract": versions, "write": write });
    p.put(&format!("datasets/silver/{versions}.yaml"), silver.to_string().as_bytes());
    let columns: Vec<String> = stream.last().properties.keys().map(|c| format!("s.\"{c}\"")).collect();
    let (columns, from) = (columns.join(", "), format!("silver.{name} AS s JOIN silver.{versions} AS v"));
    let active = format!("SELECT {columns} FROM {from} ON s.{VERSION} = v.version\n");
    p.put(&format!("datasets/gold/{name}.sql"), active.as_bytes());
    let messages: String = stream.activated.iter().map(|v| format!("{{\"place\": 0, \"version\": {v}}}\n")).collect();
    p.put(&format!("landing/{versions}/1.ndjson"), messages.as_bytes());
}
