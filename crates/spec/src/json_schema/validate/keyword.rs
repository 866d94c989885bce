//! A compiled schema: keywords by place, each with the places of the schemas that it applies.

use super::super::node::Type;
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Of a [`super::super::JsonSchema`] whose patterns all compile. Its first schema is the whole.
#[derive(Debug, Clone)]
pub struct Validator {
    pub(super) schemas: Vec<Vec<Keyword>>,
    /// Whether some schema asks what others looked at.
    pub(super) tracks: bool,
}

/// The place of a schema in [`Validator::schemas`].
pub(super) type At = usize;

#[derive(Debug, Clone)]
pub(super) enum Keyword {
    /// The schema `false`.
    Never,
    Type(BTreeSet<Type>),
    Values(Vec<Value>),
    Low(f64, bool),
    High(f64, bool),
    MultipleOf(String),
    Length(Count),
    Pattern(Regex),
    Properties {
        named: BTreeMap<String, At>,
        patterns: Vec<(Regex, At)>,
        others: Option<At>,
    },
    Required(Vec<String>),
    PropertyNames(At),
    PropertyCount(Count),
    /// Where the property is there, these are, too.
    Dependent(String, Vec<String>),
    /// Where the property is there, the schema holds for the whole object.
    DependentSchema(String, At),
    Items {
        places: Vec<At>,
        rest: Option<At>,
    },
    Contains(At, Count),
    ItemCount(Count),
    Unique,
    All(Vec<At>),
    Any(Vec<At>),
    One(Vec<At>),
    Not(At),
    If {
        condition: At,
        then: Option<At>,
        or_else: Option<At>,
    },
    /// After all others of its schema, as the next.
    UnevaluatedProperties(At),
    UnevaluatedItems(At),
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Count {
    pub(super) fn holds(self, n: usize) -> bool {
        (self.least..=self.most).contains(&(n as f64))
    }

    pub(super) fn words(self) -> String {
        match (self.least > 0.0, self.most.is_finite()) {
            (true, true) => format!("{} to {}", self.least, self.most),
            (true, false) => format!("at least {}", self.least),
            (false, _) => format!("at most {}", self.most),
        }
    }
}

impl Keyword {
    /// As it is written in the schema.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Never => "false",
            Self::Type(_) => "type",
            Self::Values(_) => "enum",
            Self::Low(_, false) => "minimum",
            Self::Low(_, true) => "exclusiveMinimum",
            Self::High(_, false) => "maximum",
            Self::High(_, true) => "exclusiveMaximum",
            Self::MultipleOf(_) => "multipleOf",
            Self::Length(c) if c.most.is_finite() => "maxLength",
            Self::Length(_) => "minLength",
            Self::Pattern(_) => "pattern",
            Self::Properties { .. } => "additionalProperties",
            Self::Required(_) => "required",
            Self::PropertyNames(_) => "propertyNames",
            Self::PropertyCount(c) if c.most.is_finite() => "maxProperties",
            Self::PropertyCount(_) => "minProperties",
            Self::Dependent(..) => "dependentRequired",
            Self::DependentSchema(..) => "dependentSchemas",
            Self::Items { .. } => "items",
            Self::Contains(..) => "contains",
            Self::ItemCount(c) if c.most.is_finite() => "maxItems",
            Self::ItemCount(_) => "minItems",
            Self::Unique => "uniqueItems",
            Self::All(_) => "allOf",
            Self::Any(_) => "anyOf",
            Self::One(_) => "oneOf",
            Self::Not(_) => "not",
            Self::If { .. } => "if",
            Self::UnevaluatedProperties(_) => "unevaluatedProperties",
            Self::UnevaluatedItems(_) => "unevaluatedItems",
        }
    }
}
