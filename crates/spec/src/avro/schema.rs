//! A schema with its named types taken out, so that types that hold themselves are finite.

use crate::source_file::Place;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avro {
    pub(super) root: Type,
    /// By full name.
    pub(super) named: BTreeMap<String, Named>,
    pub(super) defaults: Vec<FieldDefault>,
}

/// What a field is where data has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldDefault {
    pub(super) value: Value,
    pub(super) kind: Type,
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Primitive(Primitive, Option<Logical>),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// Full name of one of [`Avro::named`].
    Named(String),
}

/// What the values of a type stand for. One that the specification does not know, or that does not fit its type, is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Logical {
    Decimal { precision: u64, scale: u64 },
    Other(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

pub(super) const PRIMITIVES: [(&str, Primitive); 8] = [
    ("null", Primitive::Null),
    ("boolean", Primitive::Boolean),
    ("int", Primitive::Int),
    ("long", Primitive::Long),
    ("float", Primitive::Float),
    ("double", Primitive::Double),
    ("bytes", Primitive::Bytes),
    ("string", Primitive::String),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    /// Full names.
    pub(super) aliases: BTreeSet<String>,
    pub(super) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Record(Vec<Field>),
    Enum { symbols: Vec<String>, has_default: bool },
    Fixed(u64, Option<Logical>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: BTreeSet<String>,
    pub(super) kind: Type,
    pub(super) has_default: bool,
}

impl Named {
    /// Without the namespace.
    pub(super) fn short(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

impl Avro {
    pub(super) fn body(&self, name: &str) -> &Named {
        self.named.get(name).expect("every name was looked up when the schema was read")
    }

    /// As a person writes it.
    pub(super) fn text(&self, kind: &Type) -> String {
        match kind {
            Type::Primitive(p, logical) => {
                let word = PRIMITIVES.iter().find(|(_, known)| known == p).map(|(word, _)| *word);
                with(word.unwrap_or_default(), logical.as_ref())
            }
            Type::Array(items) => format!("array<{}>", self.text(items)),
            Type::Map(values) => format!("map<{}>", self.text(values)),
            Type::Union(all) => format!("[{}]", all.iter().map(|t| self.text(t)).collect::<Vec<_>>().join(", ")),
            Type::Named(name) => {
                let word = match self.body(name).body {
                    Body::Record(_) => "record",
                    Body::Enum { .. } => "enum",
                    Body::Fixed(..) => "fixed",
                };
                let logical = match &self.body(name).body {
                    Body::Fixed(_, logical) => logical.as_ref(),
                    Body::Record(_) | Body::Enum { .. } => None,
                };
                with(&format!("{word} {name}"), logical)
            }
        }
    }
}

fn with(kind: &str, logical: Option<&Logical>) -> String {
    match logical {
        None => kind.to_owned(),
        Some(Logical::Decimal { precision, scale }) => format!("{kind} (decimal({precision}, {scale}))"),
        Some(Logical::Other(name)) => format!("{kind} ({name})"),
    }
}
