//! One text for all documents of one content: keys in order, no layout, no comments. Called by `document.rs`.

use crate::yaml::{Node, ScalarKind, Value as Yaml};
use serde_json::Value;

/// Of JSON; numbers as they are read.
pub(super) fn of_json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            braced(fields.into_iter().map(|(key, v)| (key.as_str(), of_json(v))))
        }
        Value::Array(all) => format!("[{}]", all.iter().map(of_json).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// Of YAML; a number keeps its digits, and a text is the same however it is quoted.
pub(crate) fn of_yaml(node: &Node) -> String {
    match &node.value {
        Yaml::Map(entries) => {
            let mut fields: Vec<_> = entries.iter().collect();
            fields.sort_by_key(|e| &e.key.value);
            braced(fields.into_iter().map(|e| (e.key.value.as_str(), of_yaml(&e.value))))
        }
        Yaml::List(all) => format!("[{}]", all.iter().map(of_yaml).collect::<Vec<_>>().join(",")),
        Yaml::Scalar(s) => match s.kind {
            ScalarKind::Null => "null".to_owned(),
            ScalarKind::Bool(yes) => yes.to_string(),
            ScalarKind::Number => s.text.clone(),
            ScalarKind::Text => quoted(&s.text),
        },
    }
}

pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn braced<'a>(fields: impl Iterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<String> = fields.map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
    format!("{{{}}}", fields.join(","))
}
