//! What differs between two versions, whom it breaks, and what would not.

use super::{Mode, fix};
use serde::{Serialize, Serializer};
use std::fmt;

/// From an object's name down; `[]` is what an array holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<String>);

impl Path {
    pub(crate) fn root(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    pub(crate) fn to(&self, name: &str) -> Self {
        let mut parts = self.0.clone();
        parts.push(name.to_owned());
        Self(parts)
    }

    pub(crate) fn items(&self) -> Self {
        self.to("[]")
    }

    /// From the object down.
    pub(crate) fn parts(&self) -> &[String] {
        &self.0
    }

    /// The column that it is, or lies in.
    pub fn column(&self) -> Option<&str> {
        self.0.get(1).map(String::as_str)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            if i > 0 && part != "[]" {
                f.write_str(".")?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What kind of difference it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    ObjectAdded,
    ObjectRemoved,
    FieldAdded,
    FieldRemoved,
    /// Known by its id, or by a name that differs in the case of letters only.
    FieldRenamed,
    Type,
    Required,
    Minimum,
    Maximum,
    MinLength,
    MaxLength,
    Pattern,
    MultipleOf,
    /// The list of values there are.
    Values,
    /// The list of values that count as missing.
    MissingValues,
    MinItems,
    MaxItems,
    UniqueItems,
    MinProperties,
    MaxProperties,
    RuleAdded,
    RuleRemoved,
    /// The same rule with another number of rows that it tolerates, or about other values of its column.
    RuleChanged,
    /// Of a named type.
    Name,
    /// Bytes of a fixed type.
    Size,
    Default,
    Format,
    /// `contentEncoding` or `contentMediaType`.
    Content,
    AdditionalProperties,
    PatternProperties,
    PropertyNames,
    Dependencies,
    /// Schemas of items by their place.
    Items,
    Contains,
    /// `anyOf`, `oneOf` or `allOf`.
    Alternatives,
    Not,
    Conditional,
    /// As a whole, where no part of it can be named.
    Schema,
}

impl What {
    pub fn words(self) -> &'static str {
        match self {
            Self::ObjectAdded => "object added",
            Self::ObjectRemoved => "object removed",
            Self::FieldAdded => "field added",
            Self::FieldRemoved => "field removed",
            Self::FieldRenamed => "field renamed",
            Self::Type => "type",
            Self::Required => "required",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::MinLength => "minLength",
            Self::MaxLength => "maxLength",
            Self::Pattern => "pattern",
            Self::MultipleOf => "multipleOf",
            Self::Values => "validValues",
            Self::MissingValues => "missingValues",
            Self::MinItems => "minItems",
            Self::MaxItems => "maxItems",
            Self::UniqueItems => "uniqueItems",
            Self::MinProperties => "minProperties",
            Self::MaxProperties => "maxProperties",
            Self::RuleAdded => "rule added",
            Self::RuleRemoved => "rule removed",
            Self::RuleChanged => "rule changed",
            Self::Name => "name",
            Self::Size => "size",
            Self::Default => "default",
            Self::Format => "format",
            Self::Content => "content",
            Self::AdditionalProperties => "additionalProperties",
            Self::PatternProperties => "patternProperties",
            Self::PropertyNames => "propertyNames",
            Self::Dependencies => "dependencies",
            Self::Items => "items",
            Self::Contains => "contains",
            Self::Alternatives => "alternatives",
            Self::Not => "not",
            Self::Conditional => "if",
            Self::Schema => "schema",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub path: Path,
    pub what: What,
    pub before: Option<String>,
    pub after: Option<String>,
    /// The new version refuses something that the old one let through.
    pub breaks_backward: bool,
    /// The old version refuses something that the new one lets through.
    pub breaks_forward: bool,
}

/// In which words a way out is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    #[default]
    Odcs,
    JsonSchema,
    Avro,
}

impl Language {
    pub fn words(self) -> &'static str {
        match self {
            Self::Odcs => "an ODCS contract",
            Self::JsonSchema => "a JSON Schema",
            Self::Avro => "an Avro schema",
        }
    }
}

/// Two versions beside each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub language: Language,
    pub changes: Vec<Change>,
}

impl Comparison {
    pub fn breaking(&self, mode: Mode) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |c| c.breaks(mode))
    }

    pub fn is_compatible(&self, mode: Mode) -> bool {
        self.breaking(mode).next().is_none()
    }

    /// The smallest change of the new version that keeps to `mode`; `None`: this one does.
    pub fn fix(&self, change: &Change, mode: Mode) -> Option<String> {
        change.breaks(mode).then(|| fix::of(change, mode, self.language))
    }
}

impl Change {
    pub fn breaks(&self, mode: Mode) -> bool {
        (mode.backward() && self.breaks_backward) || (mode.forward() && self.breaks_forward)
    }

    /// `narrowed` when less is let through than before, `widened` when more, `changed` when both.
    pub fn direction(&self) -> Option<&'static str> {
        match (self.breaks_backward, self.breaks_forward) {
            (true, true) => Some("changed"),
            (true, false) => Some("narrowed"),
            (false, true) => Some("widened"),
            (false, false) => None,
        }
    }
}
