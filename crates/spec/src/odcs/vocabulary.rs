//! What v3.2 of the standard has beside v3.1: words for people and tools, the values that a property takes, and maps.

use super::{
    common::{annotations, booleans, custom, texts},
    types::Logical,
};
use crate::{
    codes, decimal,
    diagnostic::quoted,
    source_file::Place,
    yaml::{Fields, Node, Reader, Scalar, ScalarKind, Value},
};
use std::collections::BTreeSet;

const SEMANTIC: [(&str, ()); 3] = [("column", ()), ("measure", ()), ("dimension", ())];

/// `deprecated` and `synonyms`, of an object or a property.
pub(super) fn element(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    booleans(f, &["deprecated"], r);
    let Some(n) = f.take("synonyms") else { return };
    for item in r.list(n).unwrap_or_default() {
        let Some(mut f) = r.fields(item, "a mapping with `synonym`") else { continue };
        f.require("synonym", r).and_then(|n| r.text(n));
        texts(&mut f, &["id", "description", "locale", "source", "status"], r);
        custom(&mut f, r);
        f.finish(r);
    }
}

pub(super) fn semantic_type(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    if let Some(n) = f.take("semanticType") {
        r.choice(n, &SEMANTIC);
    }
}

/// What tools are told of a document or an object: a text, or a mapping.
pub(super) fn context(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    let Some(node) = f.take("context") else { return };
    if let Value::Scalar(_) = node.value {
        r.text(node);
        return;
    }
    let Some(mut f) = r.fields(node, "a text, or a mapping with `instructions`") else { return };
    texts(&mut f, &["instructions"], r);
    let lists: [(_, _, &[&str]); 2] =
        [("verifiedStatements", "question", &["id", "answer"]), ("constraints", "constraint", &["id"])];
    for (key, required, more) in lists {
        for item in f.take(key).and_then(|n| r.list(n)).unwrap_or_default() {
            let Some(mut f) = r.fields(item, "a mapping") else { continue };
            f.require(required, r).and_then(|n| r.text(n));
            texts(&mut f, more, r);
            annotations(&mut f, r);
            f.finish(r);
        }
    }
    f.finish(r);
}

/// The values of `enum` as texts, and where it stands. Null may be among them: it is no value, and `required` decides over it.
pub(super) fn allowed(f: &mut Fields<'_>, required: bool, r: &mut Reader<'_>) -> Option<(Vec<String>, Place)> {
    let entry = f.take_entry("enum").filter(|e| !e.value.is_null())?;
    let (mut values, mut known, mut seen) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for item in r.list(&entry.value)? {
        let Some(mut f) = r.fields(item, "a mapping with `value`") else { continue };
        let value = f.take_entry("value").filter(|e| e.value.is_null() || r.text(&e.value).is_some());
        if value.is_none() {
            f.require("value", r);
        }
        texts(&mut f, &["id", "label", "description"], r);
        annotations(&mut f, r);
        f.finish(r);
        let Some(Value::Scalar(value)) = value.map(|e| &e.value.value) else { continue };
        if value.kind == ScalarKind::Null && required {
            let help = Some("leave it out, or leave out `required`".to_owned());
            r.error(codes::CONTRADICTION, item.place, "null is among the values, and the property is required", help);
        }
        if !seen.insert(identity(value)) {
            let help = Some("keep one of them".to_owned());
            r.error(codes::INVALID_VALUE, item.place, format!("{} is listed twice", quoted(&value.text)), help);
        } else if value.kind != ScalarKind::Null && known.insert(value.text.as_str()) {
            values.push(value.text.clone());
        }
    }
    if values.is_empty() {
        let help = Some("write `enum: [{ value: … }]`, or remove it".to_owned());
        r.error(codes::INVALID_VALUE, entry.key.place, "an `enum` lists at least one value", help);
        return None;
    }
    Some((values, entry.key.place))
}

/// Equal for what is one value of JSON: 1 and 1.0, and not 1 and "1".
fn identity(value: &Scalar) -> (&'static str, String) {
    match value.kind {
        ScalarKind::Null => ("null", String::new()),
        ScalarKind::Bool(b) => ("boolean", b.to_string()),
        ScalarKind::Number => ("number", decimal::plain(&value.text).unwrap_or_else(|| value.text.clone())),
        ScalarKind::Text => ("text", value.text.clone()),
    }
}

/// Key and value of a map, which are read for their form.
pub(super) fn map<'n>(f: &mut Fields<'n>, logical: Logical, r: &mut Reader<'_>) -> Vec<&'n Node> {
    let is_map = logical == Logical::Map;
    let Some(entry) = f.take_entry("map").filter(|e| !e.value.is_null()) else {
        if is_map {
            let help = Some("write `map: { key: { logicalType: string }, value: { logicalType: … } }`".to_owned());
            r.error(codes::MISSING_KEY, f.place, "a map has no `map`", help);
        }
        return Vec::new();
    };
    if !is_map {
        let help = Some("write that type, or remove `map`".to_owned());
        r.error(codes::TYPE_OPTION, entry.key.place, "`map` belongs to `logicalType: map`", help);
    }
    let Some(mut inner) = r.fields(&entry.value, "a mapping with `key` and `value`") else { return Vec::new() };
    let both = ["key", "value"].into_iter().filter_map(|k| inner.require(k, r)).collect();
    inner.finish(r);
    both
}
