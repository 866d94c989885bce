//! What a contract promises of its data, and nothing else: fields with types and limits, nested ones too, and rules over
//! tables. Built from ODCS by `odcs::shape`.

use super::{Mode, scalar};
use crate::contract::{Bound, ColumnType, Threshold};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Shape {
    pub id: String,
    /// The contract's own version.
    pub version: String,
    /// `alluvium.compatibility` among the document's custom properties.
    pub mode: Option<Mode>,
    pub objects: Vec<ObjectShape>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ObjectShape {
    pub name: String,
    pub description: Option<String>,
    /// In its order; empty if none.
    pub primary_key: Vec<String>,
    pub fields: Vec<Field>,
    pub rules: Vec<TableRule>,
}

/// A column, a field of an object, or what an array holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    pub name: String,
    /// The standard's stable id, by which a renamed field is known.
    pub id: Option<String>,
    pub description: Option<String>,
    pub classification: Option<String>,
    pub kind: Kind,
    /// A rule that only warns is no limit; one that tolerates some rows is a [`TableRule`].
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Scalar(Scalar),
    /// `None`: an object whose fields nobody named.
    Object(Option<Vec<Field>>),
    Array(Option<Box<Field>>),
    /// Inside of a column: any JSON, since nobody said what. Limits hold for its text.
    Any,
}

/// [`ColumnType`] without JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    String,
    Integer,
    Int32,
    Number,
    Decimal { precision: u8, scale: u8 },
    Boolean,
    Date,
    Timestamp,
    Time,
}

/// What is said about one field's values beside their type. All of it holds at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Limits {
    pub required: bool,
    pub low: Option<Bound>,
    pub high: Option<Bound>,
    /// Characters of a text.
    pub length: Sizes,
    pub patterns: BTreeSet<String>,
    /// Divisors, as texts.
    pub steps: BTreeSet<String>,
    /// The only values there are, as texts.
    pub values: Option<BTreeSet<String>>,
    /// Values that count as missing.
    pub missing: BTreeSet<String>,
    /// Of an array.
    pub items: Sizes,
    pub unique_items: bool,
    /// Of an object: how many of its fields are there.
    pub properties: Sizes,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    pub min: Option<u64>,
    pub max: Option<u64>,
}

/// A promise about several rows, or about more than one column of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableRule {
    /// What it is about, its kind and meaning in one fixed form: equal texts are about the same rows or number.
    pub text: String,
    /// Equal where only the meaning or the number that is allowed differs.
    pub subject: String,
    pub label: String,
    pub columns: Vec<String>,
    pub about: About,
    /// `None`: no row breaks it.
    pub threshold: Option<Threshold>,
}

/// What a rule counts or measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Rows whose value in the one column lies outside of these limits.
    Values(Box<Limits>),
    /// Rows that share the columns with an earlier one; of more columns there are fewer such rows.
    Unique,
    /// Rows that break it.
    Rows,
    /// All rows.
    RowCount,
    /// What a query answers.
    Number,
}

impl Shape {
    /// The object that the contract is about: the one named like the file, else the only one.
    pub fn object(&self, file: &str) -> Option<&ObjectShape> {
        let only = || self.objects.first().filter(|_| self.objects.len() == 1);
        self.objects.iter().find(|o| o.name == file).or_else(only)
    }
}

impl Scalar {
    /// `None` for JSON.
    pub(crate) fn of(column: ColumnType) -> Option<Self> {
        Some(match column {
            ColumnType::String => Self::String,
            ColumnType::Integer => Self::Integer,
            ColumnType::Int32 => Self::Int32,
            ColumnType::Number => Self::Number,
            ColumnType::Decimal { precision, scale } => Self::Decimal { precision, scale },
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Date => Self::Date,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::Time => Self::Time,
            ColumnType::Json => return None,
        })
    }

    /// As a contract writes it.
    pub fn text(self) -> String {
        match self {
            Self::String => "string".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::Int32 => "integer (int)".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
            Self::Boolean => "boolean".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::Time => "time".to_owned(),
        }
    }
}

impl Kind {
    pub fn text(&self) -> String {
        match self {
            Self::Scalar(s) => s.text(),
            Self::Object(_) => "object".to_owned(),
            Self::Array(_) => "array".to_owned(),
            Self::Any => "any".to_owned(),
        }
    }
}

impl TableRule {
    /// Whether no two rows share its columns.
    pub(crate) fn is_key(&self) -> bool {
        self.about == About::Unique && self.threshold.is_none()
    }
}

impl Field {
    /// A field without limits.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        let limits = Limits::default();
        Self { name: name.into(), id: None, description: None, classification: None, kind, limits }
    }
}

impl Limits {
    /// Of two bounds, the one that leaves less.
    pub(crate) fn raise(&mut self, kind: Scalar, bound: &Bound) {
        let weaker = |own: &Bound| scalar::is_weaker_low(kind, own, bound);
        if self.low.as_ref().is_none_or(weaker) {
            self.low = Some(bound.clone());
        }
    }

    pub(crate) fn lower(&mut self, kind: Scalar, bound: &Bound) {
        let weaker = |own: &Bound| scalar::is_weaker_high(kind, own, bound);
        if self.high.as_ref().is_none_or(weaker) {
            self.high = Some(bound.clone());
        }
    }

    pub(crate) fn only(&mut self, values: BTreeSet<String>) {
        self.values = Some(match self.values.take() {
            Some(own) => own.intersection(&values).cloned().collect(),
            None => values,
        });
    }
}

impl Sizes {
    pub(crate) fn within(&mut self, other: Self) {
        self.min = self.min.max(other.min);
        self.max = match (self.max, other.max) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Fields by name.
pub(crate) fn by_name(fields: &[Field]) -> BTreeMap<&str, &Field> {
    fields.iter().map(|f| (f.name.as_str(), f)).collect()
}
