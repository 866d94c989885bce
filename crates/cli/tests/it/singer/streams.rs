//! The streams as the suites have them, and the table that a target makes of each: of every key the last record.

use serde_json::{Map, Value, value::RawValue};
use std::collections::{BTreeMap, BTreeSet};

const SUITES: [&str; 3] = [
    include_str!("../../fixtures/singer-sdk-0.54.9.json"),
    include_str!("../../fixtures/singer-target-postgres-0.8.1.json"),
    include_str!("../../fixtures/singer-pipelinewise-target-snowflake-1.0.9.json"),
];

/// The record's place in its stream, as targets store it.
pub const SEQUENCE: &str = "_sdc_sequence";
pub const VERSION: &str = "_sdc_table_version";
pub const DELETED: &str = "_sdc_deleted_at";

pub type Fields = Map<String, Value>;
type Raw = BTreeMap<String, Box<RawValue>>;

/// What a test of theirs gives to a target, and what it expects.
pub struct Case {
    pub suite: usize,
    pub whole: Value,
    pub streams: Vec<Stream>,
}

pub struct Stream {
    pub name: String,
    pub schemas: Vec<Schema>,
    pub records: Vec<Record>,
    /// Versions by ACTIVATE_VERSION, in their order.
    pub activated: Vec<u64>,
}

/// What one SCHEMA message says.
pub struct Schema {
    pub properties: Fields,
    pub required: BTreeSet<String>,
    pub keys: Vec<String>,
}

pub struct Record {
    pub fields: Fields,
    /// A line of NDJSON: the record as it is written in the message, with its place and version before its fields.
    pub line: String,
    /// How many SCHEMA messages came before it.
    pub schemas: usize,
}

/// The messages of all streams of the first suite, by the name of their file.
pub fn messages() -> BTreeMap<String, Vec<String>> {
    streams_of(&raw(SUITES[0]))
        .into_iter()
        .map(|(n, all)| (n, all.iter().map(|m| m.get().to_owned()).collect()))
        .collect()
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (suite, text) in SUITES.iter().enumerate() {
        let of = raw(text);
        let streams = streams_of(&of);
        let wholes: Vec<Value> = serde_json::from_str(of["cases"].get()).expect("cases");
        for whole in wholes {
            let given = whole["given"].as_array().expect("a list").iter();
            let messages: Vec<_> = given.flat_map(|g| &streams[g.as_str().expect("a name")]).map(|m| &**m).collect();
            cases.push(Case { suite, streams: split(&messages), whole });
        }
    }
    cases
}

fn raw(text: &str) -> Raw {
    serde_json::from_str(text).expect("an object")
}

fn streams_of(suite: &Raw) -> BTreeMap<String, Vec<Box<RawValue>>> {
    serde_json::from_str(suite["streams"].get()).expect("streams")
}

/// One after another, in the order in which each is first named.
fn split(messages: &[&RawValue]) -> Vec<Stream> {
    let mut streams: Vec<Stream> = Vec::new();
    for text in messages {
        let message: Value = serde_json::from_str(text.get()).expect("a message");
        let Some(name) = message["stream"].as_str() else { continue };
        let at = streams.iter().position(|s| s.name == name).unwrap_or_else(|| {
            let (schemas, records, activated) = (Vec::new(), Vec::new(), Vec::new());
            streams.push(Stream { name: name.to_owned(), schemas, records, activated });
            streams.len() - 1
        });
        let stream = &mut streams[at];
        match message["type"].as_str() {
            Some("SCHEMA") => stream.schemas.push(Schema::of(&message)),
            Some("RECORD") => stream.record(raw(text.get())["record"].get(), message["version"].as_u64()),
            Some("ACTIVATE_VERSION") => stream.activated.push(message["version"].as_u64().expect("a version")),
            other => panic!("{other:?} of a stream"),
        }
    }
    streams
}

impl Schema {
    fn of(message: &Value) -> Self {
        let said = &message["schema"];
        let texts =
            |v: &Value| v.as_array().map(|l| l.iter().map(|v| v.as_str().expect("a name").to_owned()).collect());
        // One stream has its keys a level too deep.
        let keys: Option<Vec<String>> = texts(&message["key_properties"]).or_else(|| texts(&said["key_properties"]));
        let keys = keys.unwrap_or_default();
        let properties = said["properties"].as_object().cloned().unwrap_or_default();
        let mut schema = Self { properties, required: BTreeSet::new(), keys };
        let named: Option<Vec<String>> = texts(&said["required"]);
        // One that is required may be null there where its type allows it.
        let without_null = named.unwrap_or_default().into_iter().filter(|p| !schema.kinds(p).contains("null"));
        schema.required = without_null.chain(schema.keys.iter().cloned()).collect();
        schema
    }

    /// The logical type of a property; `None`: its values have several types, or any.
    pub fn kind(&self, property: &str) -> Option<&'static str> {
        let mut kinds = self.kinds(property);
        kinds.remove("null");
        (kinds.len() == 1).then(|| *kinds.first().expect("one"))
    }

    fn kinds(&self, property: &str) -> BTreeSet<&'static str> {
        let mut kinds = BTreeSet::new();
        kinds_of(&self.properties[property], &mut kinds);
        kinds
    }

    /// Whether a contract of this schema takes the record.
    fn takes(&self, record: &Fields) -> bool {
        let there = |name: &String| record.get(name).is_some_and(|v| !v.is_null());
        let fits = |(name, value): (&String, &Value)| match self.properties.get(name).and_then(|_| self.kind(name)) {
            _ if value.is_null() => true,
            Some("integer") => value.is_i64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            _ => true,
        };
        self.required.iter().all(there) && record.iter().all(fits)
    }
}

fn kinds_of(schema: &Value, to: &mut BTreeSet<&'static str>) {
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        kinds_of(one, to);
    }
    let types = &schema["type"];
    let named = types.as_array().into_iter().flatten().chain(types.is_string().then_some(types));
    for name in named.map(|t| t.as_str().expect("a type")) {
        to.insert(match name {
            "string" if schema["format"] == "date-time" => "timestamp",
            "string" => "string",
            "integer" => "integer",
            "number" => "number",
            "boolean" => "boolean",
            "object" => "object",
            "array" => "array",
            "null" => "null",
            other => panic!("the type {other}"),
        });
    }
}

impl Stream {
    /// The one that a contract is written from.
    pub fn last(&self) -> &Schema {
        self.schemas.last().expect("a schema")
    }

    fn record(&mut self, text: &str, version: Option<u64>) {
        let sequence = self.records.len();
        let version = version.map_or(Value::Null, Value::from);
        let fields: Fields = serde_json::from_str(text).expect("a record");
        let rest = text.trim_start().strip_prefix('{').expect("an object");
        let comma = if fields.is_empty() { "" } else { ", " };
        let line = format!("{{\"{SEQUENCE}\": {sequence}, \"{VERSION}\": {version}{comma}{rest}");
        self.records.push(Record { fields, line, schemas: self.schemas.len() });
    }

    /// By the place of the record, those that a contract of the last schema does not take.
    pub fn refused(&self) -> BTreeSet<usize> {
        let refused = |(n, r): (usize, &Record)| (!self.last().takes(&r.fields)).then_some(n);
        self.records.iter().enumerate().filter_map(refused).collect()
    }

    /// What stands in a target's table in the end, by the place of the record.
    pub fn standing(&self) -> BTreeSet<usize> {
        let keys = &self.last().keys;
        let mut last = BTreeMap::new();
        for (n, record) in self.records.iter().enumerate() {
            let key: Vec<String> =
                keys.iter().map(|k| record.fields.get(k).unwrap_or(&Value::Null).to_string()).collect();
            let key = (key, if keys.is_empty() { n } else { 0 });
            let deleted = record.fields.get(DELETED).is_some_and(|v| !v.is_null());
            last.insert(key, (!deleted).then_some(n));
        }
        last.into_values().flatten().collect()
    }
}
