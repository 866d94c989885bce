//! A file to a [`JsonSchema`].

use super::node::{Document, JsonSchema};
use crate::{
    codes,
    diagnostic::{Sink, quoted},
    source_file::{Place, SourceFile},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Reports every mistake; `None` if there is one.
pub(crate) fn read(file: &SourceFile, sink: &mut Sink) -> Option<JsonSchema> {
    let value: Value = match serde_json::from_str(&file.text) {
        Ok(value) => value,
        Err(e) => {
            let place = Place { line: e.line(), column: e.column(), length: 1 };
            let shown = e.to_string();
            let why = shown.split(" at line ").next().unwrap_or(&shown).to_owned();
            sink.report(codes::SCHEMA, file, place, format!("this is no JSON: {why}"), None);
            return None;
        }
    };
    if !matches!(value, Value::Object(_) | Value::Bool(_)) {
        sink.report(codes::SCHEMA, file, Place::START, "a JSON Schema is an object, true or false", None);
        return None;
    }
    let (mut lost, document) = (BTreeSet::new(), Document::new(&value));
    references(&value, &mut |r| {
        if document.find(r).is_none() {
            lost.insert(r.to_owned());
        }
    });
    for reference in &lost {
        let help = Some("put what it refers to under `$defs` of this file".to_owned());
        let message = format!("{} leads nowhere in this file", quoted(reference));
        sink.report(codes::SCHEMA, file, place_of(file, reference), message, help);
    }
    lost.is_empty().then_some(JsonSchema(value))
}

fn references(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(r)) = map.get("$ref") {
                see(r);
            }
            // Values of an enum are no schemas.
            let schemas =
                map.iter().filter(|(key, _)| !matches!(key.as_str(), "enum" | "const" | "default" | "examples"));
            schemas.for_each(|(_, v)| references(v, see));
        }
        Value::Array(all) => all.iter().for_each(|v| references(v, see)),
        _ => {}
    }
}

/// The first line that has the text in quotes.
fn place_of(file: &SourceFile, text: &str) -> Place {
    let wanted = format!("\"{text}\"");
    let found = file.text.lines().enumerate().find_map(|(n, line)| Some((n, line, line.find(&wanted)?)));
    found.map_or(Place::START, |(n, line, at)| Place {
        line: n + 1,
        column: line[..at].chars().count() + 1,
        length: wanted.chars().count(),
    })
}
