//! A schema's JSON to [`Avro`]. JSON is YAML, so the reader that keeps places reads it. What the specification does not name is
//! somebody's own attribute, and stays unread.

use super::schema::{Avro, Body, Field, FieldDefault, Logical, Named, PRIMITIVES, Type};
use crate::{
    codes,
    diagnostic::{Sink, quoted},
    nearest,
    registered::of_yaml,
    source_file::{SourceFile, Spanned},
    yaml::{self, Fields, Node, Reader, Value},
};
use std::collections::{BTreeMap, BTreeSet};

/// Reports every mistake; `None` if there is one.
pub(crate) fn read(file: &SourceFile, sink: &mut Sink) -> Option<Avro> {
    let node = yaml::parse(&file.text, file, sink)?;
    let mut r = Reader::new(file, sink);
    let mut names = Names::default();
    let root = kind(&node, "", &mut names, &mut r);
    // A type can be named before it is defined only by itself, but schemas of several files do it.
    for used in &names.used {
        if !names.known.contains_key(&used.value) {
            let known = names.known.keys().map(String::as_str).chain(PRIMITIVES.map(|(word, _)| word));
            let help = nearest::help(&used.value, known);
            r.error(codes::SCHEMA, used.place, format!("{} is no type", quoted(&used.value)), help);
        }
    }
    let complete = names.used.iter().all(|u| names.known.contains_key(&u.value));
    root.filter(|_| complete && !names.wrong).map(|root| Avro { root, named: names.known, defaults: names.defaults })
}

#[derive(Default)]
struct Names {
    known: BTreeMap<String, Named>,
    used: Vec<Spanned<String>>,
    defaults: Vec<FieldDefault>,
    wrong: bool,
}

fn kind(node: &Node, namespace: &str, names: &mut Names, r: &mut Reader<'_>) -> Option<Type> {
    let found = match &node.value {
        Value::Scalar(s) => Some(by_name(&s.text, node, namespace, names)),
        Value::List(all) => all.iter().map(|n| kind(n, namespace, names, r)).collect::<Option<_>>().map(Type::Union),
        Value::Map(_) => complex(node, namespace, names, r),
    };
    names.wrong |= found.is_none();
    found
}

fn by_name(text: &str, node: &Node, namespace: &str, names: &mut Names) -> Type {
    if let Some((_, primitive)) = PRIMITIVES.iter().find(|(word, _)| *word == text) {
        return Type::Primitive(*primitive, None);
    }
    let full = full_name(text, namespace);
    // An unqualified name may be one without a namespace.
    let name = if names.known.contains_key(text) && !names.known.contains_key(&full) { text.to_owned() } else { full };
    names.used.push(Spanned::new(name.clone(), node.place));
    Type::Named(name)
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn complex(node: &Node, namespace: &str, names: &mut Names, r: &mut Reader<'_>) -> Option<Type> {
    let mut f = r.fields(node, "a type")?;
    let written = f.require("type", r)?;
    let Value::Scalar(word) = &written.value else { return kind(written, namespace, names, r) };
    match word.text.as_str() {
        "array" => Some(Type::Array(Box::new(kind(f.require("items", r)?, namespace, names, r)?))),
        "map" => Some(Type::Map(Box::new(kind(f.require("values", r)?, namespace, names, r)?))),
        "record" | "error" | "enum" | "fixed" => {
            let name = f.require("name", r).and_then(|n| r.name(n))?;
            let own = f.take("namespace").and_then(|n| r.text(n)).map(|t| t.value);
            let full = full_name(&name.value, own.as_deref().unwrap_or(namespace));
            let namespace = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
            let aliases = f.take("aliases").and_then(|n| r.names(n)).unwrap_or_default();
            let aliases = aliases.into_iter().map(|a| full_name(&a.value, &namespace)).collect();
            if names.known.contains_key(&full) {
                r.error(codes::SCHEMA, name.place, format!("{} is defined twice", quoted(&full)), None);
                return None;
            }
            // Known before its fields are read: they may hold it.
            let empty = Named { name: full.clone(), aliases, body: Body::Record(Vec::new()) };
            names.known.insert(full.clone(), empty);
            let body = match word.text.as_str() {
                "enum" => {
                    let symbols = f.require("symbols", r)?;
                    let symbols = r.names(symbols)?.into_iter().map(|s| s.value).collect();
                    Body::Enum { symbols, has_default: f.take("default").is_some() }
                }
                "fixed" => {
                    let size = f.require("size", r).and_then(|n| r.whole(n))?;
                    Body::Fixed(size, logical("fixed", &mut f))
                }
                _ => {
                    let fields = f.require("fields", r)?;
                    let fields = r.list(fields)?;
                    let fields: Vec<Option<Field>> = fields.iter().map(|n| field(n, &namespace, names, r)).collect();
                    Body::Record(fields.into_iter().collect::<Option<_>>()?)
                }
            };
            names.known.get_mut(&full).expect("inserted above").body = body;
            Some(Type::Named(full))
        }
        other => Some(match by_name(other, written, namespace, names) {
            Type::Primitive(primitive, _) => Type::Primitive(primitive, logical(other, &mut f)),
            named => named,
        }),
    }
}

/// By the type beneath.
const LOGICAL: [(&str, &str); 12] = [
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-millis"),
    ("long", "local-timestamp-micros"),
    ("long", "local-timestamp-nanos"),
    ("string", "uuid"),
    ("fixed", "uuid"),
    ("fixed", "duration"),
];

/// A logical type that is not valid is to be read as the type beneath it, says the specification; so it is no mistake.
fn logical(kind: &str, f: &mut Fields<'_>) -> Option<Logical> {
    let mut scalar = |key: &'static str| match &f.take(key)?.value {
        Value::Scalar(s) => Some(s.text.clone()),
        Value::List(_) | Value::Map(_) => None,
    };
    let name = scalar("logicalType")?;
    if name == "decimal" && matches!(kind, "bytes" | "fixed") {
        let precision = scalar("precision")?.parse().ok()?;
        let scale = scalar("scale").map_or(Some(0), |s| s.parse().ok())?;
        return (precision > 0 && scale <= precision).then_some(Logical::Decimal { precision, scale });
    }
    LOGICAL.iter().find(|known| **known == (kind, name.as_str())).map(|(_, name)| Logical::Other(name))
}

fn field(node: &Node, namespace: &str, names: &mut Names, r: &mut Reader<'_>) -> Option<Field> {
    let mut f = r.fields(node, "a field with `name` and `type`")?;
    let name = f.require("name", r).and_then(|n| r.name(n));
    let kind = f.require("type", r).and_then(|n| kind(n, namespace, names, r));
    let aliases: BTreeSet<String> =
        f.take("aliases").and_then(|n| r.names(n)).unwrap_or_default().into_iter().map(|a| a.value).collect();
    // `null` is a default, too.
    let default = f.take_entry("default");
    let (name, kind, has_default) = (name?.value, kind?, default.is_some());
    if let Some((entry, value)) = default.and_then(|e| Some((e, serde_json::from_str(&of_yaml(&e.value)).ok()?))) {
        names.defaults.push(FieldDefault { value, kind: kind.clone(), place: entry.value.place });
    }
    Some(Field { name, aliases, kind, has_default })
}
