//! A schema's JSON to [`Avro`]. JSON is YAML, so the reader that keeps places reads it. What the specification does not name is
//! somebody's own attribute, and stays unread.

use super::schema::{Avro, Body, Field, Named, PRIMITIVES, Type};
use crate::{
    codes,
    diagnostic::{Sink, quoted},
    nearest,
    source_file::{SourceFile, Spanned},
    yaml::{self, Node, Reader, Value},
};
use std::collections::{BTreeMap, BTreeSet};

/// Reports every mistake; `None` if there is one.
pub(crate) fn read(file: &SourceFile, sink: &mut Sink) -> Option<Avro> {
    let node = yaml::parse(&file.text, file, sink)?;
    let mut r = Reader { file, sink };
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
    root.filter(|_| complete && !names.wrong).map(|root| Avro { root, named: names.known })
}

#[derive(Default)]
struct Names {
    known: BTreeMap<String, Named>,
    used: Vec<Spanned<String>>,
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
        return Type::Primitive(*primitive);
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
                "fixed" => Body::Fixed(f.require("size", r).and_then(|n| r.whole(n))?),
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
        other => Some(by_name(other, written, namespace, names)),
    }
}

fn field(node: &Node, namespace: &str, names: &mut Names, r: &mut Reader<'_>) -> Option<Field> {
    let mut f = r.fields(node, "a field with `name` and `type`")?;
    let name = f.require("name", r).and_then(|n| r.name(n));
    let kind = f.require("type", r).and_then(|n| kind(n, namespace, names, r));
    let aliases: BTreeSet<String> =
        f.take("aliases").and_then(|n| r.names(n)).unwrap_or_default().into_iter().map(|a| a.value).collect();
    // `null` is a default, too.
    let has_default = f.take_entry("default").is_some();
    Some(Field { name: name?.value, aliases, kind: kind?, has_default })
}
