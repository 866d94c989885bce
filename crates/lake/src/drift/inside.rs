//! What is inside of a JSON value, beside what the contract says of it.

use alluvium_spec::{DriftKind, Inside};
use serde_json::Value;

/// What was found at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Differs {
        kind: DriftKind,
        path: String,
        detail: String,
    },
    /// A field that the contract names, and whether it is there.
    Known {
        path: String,
        there: bool,
    },
}

/// Goes through the value as deep as the contract says something.
pub(super) fn look(path: &str, value: &Value, said: &Inside, found: &mut impl FnMut(Found)) {
    match (said, value) {
        (Inside::Any, _) | (_, Value::Null) => {}
        (Inside::Scalar, Value::Object(_)) => found(retyped(path, "an object", "a single value")),
        (Inside::Scalar, Value::Array(_)) => found(retyped(path, "an array", "a single value")),
        (Inside::Scalar, Value::Bool(_) | Value::Number(_) | Value::String(_)) => {}
        (Inside::Object(fields), Value::Object(members)) => {
            if fields.is_empty() {
                return;
            }
            for (name, inner) in fields {
                found(Found::Known { path: format!("{path}.{name}"), there: members.contains_key(name) });
                if let Some(value) = members.get(name) {
                    look(&format!("{path}.{name}"), value, inner, found);
                }
            }
            for name in members.keys().filter(|n| !fields.contains_key(*n)) {
                let lower = name.to_lowercase();
                let other = fields.keys().find(|f| !members.contains_key(*f) && f.to_lowercase() == lower);
                let (kind, detail) = match other {
                    Some(field) => (DriftKind::Recased, format!("the contract has `{field}`")),
                    None => (DriftKind::New, "the contract names no such field".to_owned()),
                };
                if let Some(field) = other {
                    found(Found::Known { path: format!("{path}.{field}"), there: true });
                }
                found(Found::Differs { kind, path: format!("{path}.{name}"), detail });
            }
        }
        (Inside::Array(item), Value::Array(values)) => {
            let path = format!("{path}[]");
            values.iter().for_each(|v| look(&path, v, item, found));
        }
        (Inside::Object(_), other) => found(retyped(path, word(other), "an object")),
        (Inside::Array(_), other) => found(retyped(path, word(other), "an array")),
    }
}

fn retyped(path: &str, is: &str, said: &str) -> Found {
    let detail = format!("it is {is}, where the contract has {said}");
    Found::Differs { kind: DriftKind::Retyped, path: path.to_owned(), detail }
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(value: &Value) -> Vec<String> {
        let point = Inside::Object([("x".to_owned(), Inside::Scalar), ("at".to_owned(), Inside::Any)].into());
        let inside = Inside::Object(
            [("id".to_owned(), Inside::Scalar), ("points".to_owned(), Inside::Array(Box::new(point)))].into(),
        );
        let mut all = Vec::new();
        look("part", value, &inside, &mut |f| {
            if let Found::Differs { kind, path, .. } = f {
                all.push(format!("{} {path}", kind.word()));
            }
        });
        all
    }

    #[test]
    fn fields_are_told_by_their_path_however_deep() {
        let none: [&str; 0] = [];
        assert_eq!(said(&json!({ "id": 1, "points": [{ "x": 1, "at": {} }] })), none);
        assert_eq!(
            said(&json!({ "id": [1], "points": [{ "X": 1, "y": 2 }] })),
            ["retyped part.id", "recased part.points[].X", "new part.points[].y"]
        );
        assert_eq!(said(&json!({ "points": { "x": 1 } })), ["retyped part.points"]);
        assert_eq!(said(&json!("a text")), ["retyped part"]);
        assert_eq!(said(&Value::Null), none);
    }

    #[test]
    fn what_the_contract_names_is_known_to_be_there_or_not() {
        let inside = Inside::Object([("a".to_owned(), Inside::Any), ("b".to_owned(), Inside::Any)].into());
        let mut known = Vec::new();
        look("o", &json!({ "A": 1 }), &inside, &mut |f| {
            if let Found::Known { path, there } = f {
                known.push((path, there));
            }
        });
        assert_eq!(known, [("o.a".to_owned(), false), ("o.b".to_owned(), false), ("o.a".to_owned(), true)]);
    }
}
