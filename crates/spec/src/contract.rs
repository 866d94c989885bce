//! A contract as the engine uses it: typed columns and a flat list of rules, compiled from an ODCS document.

use alluvium_model::DatasetName;
use serde::Serialize;
use std::{path::PathBuf, sync::Arc};

#[derive(Debug, Clone, Serialize)]
pub struct Contract {
    pub id: String,
    /// The contract's own version, as `1.2.0`.
    pub version: String,
    /// Relative to the project's root.
    pub file: PathBuf,
    /// The whole document as it was read.
    #[serde(skip)]
    pub text: Arc<str>,
    pub description: Option<String>,
    pub columns: Vec<Column>,
    /// Primary key in its declared order; empty if none.
    pub primary_key: Vec<String>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
    pub description: Option<String>,
    pub classification: Option<String>,
    pub required: bool,
}

/// The type a silver column has. Timestamps are UTC, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    String,
    /// `logicalType: integer`; 64 bits unless `physicalType` says less.
    Integer,
    /// 32 bits, from `physicalType: int` or `integer`.
    Int32,
    /// `logicalType: number` without a decimal `physicalType`.
    Number,
    /// From `physicalType: decimal(precision, scale)`, precision 1 to 38.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Boolean,
    Date,
    Timestamp,
    /// Time of day, kept as text `HH:MM:SS[.ffffff]`.
    Time,
    /// An array or object, kept as JSON text.
    Json,
}

/// What happens to a row, or to the step, that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The row goes on; the violation is counted and shown.
    Warn,
    Drop,
    Quarantine,
    /// The step stops before anything is visible.
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Action {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Drop => "drop",
            Self::Quarantine => "quarantine",
            Self::Fail => "fail",
        }
    }
}

impl Severity {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Rule {
    /// Unique in the contract: the rule's own `id` or `name`, else made of kind and column, as `required:carrier`.
    pub id: String,
    pub columns: Vec<String>,
    pub check: Check,
    pub action: Action,
    pub severity: Severity,
    pub dimension: Option<String>,
    pub description: Option<String>,
    /// `None`: no row may break the rule. Only `warn` and `fail` rules carry one.
    pub threshold: Option<Threshold>,
    /// Line of the contract file.
    pub line: usize,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The text could not be read as the column's type.
    Type,
    /// Null breaks it.
    Required,
    /// A value in this list (or null) counts as missing.
    Missing {
        values: Vec<Option<String>>,
    },
    /// A non-null value outside the list breaks it. Compared as text.
    OneOf {
        values: Vec<String>,
    },
    /// Bounds as text in the column's type.
    Range {
        min: Option<Bound>,
        max: Option<Bound>,
    },
    /// Characters, not bytes.
    Length {
        min: Option<u64>,
        max: Option<u64>,
    },
    /// The whole text matches (anchored at both ends by the engine).
    Pattern {
        regex: String,
    },
    MultipleOf {
        divisor: f64,
    },
    /// How many items an array has. Always [`Self::Inside`] of a column, as the next two.
    Items {
        min: Option<u64>,
        max: Option<u64>,
    },
    /// No two items of an array are the same value.
    UniqueItems,
    /// How many fields an object has.
    Properties {
        min: Option<u64>,
        max: Option<u64>,
    },
    /// A check of every value at one place in a column of JSON.
    Inside {
        at: Inner,
        check: Box<Check>,
    },
    /// No two accepted rows of the dataset's step share these columns (nulls never collide). For a dataset written by
    /// upsert on the same columns the write itself keeps them unique.
    Unique,
    /// A non-null combination exists in `dataset`'s columns `to`.
    Reference {
        dataset: DatasetName,
        to: Vec<String>,
    },
    /// A SQL boolean over one row; false breaks it, null does not.
    Expression {
        sql: String,
    },
    /// Rows that the table would have after the commit.
    RowCount,
    /// One number from a query over the table as it would be after the commit. `${object}` stands for it; the
    /// query may read the named inputs beside it and nothing else.
    Query {
        sql: String,
        inputs: Vec<DatasetName>,
    },
}

/// A place in the JSON of a column, and what the contract says stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inner {
    /// From the column's value on; empty: that value itself.
    pub path: Vec<Segment>,
    pub holds: Holds,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    Field(String),
    /// Each item of an array.
    Items,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    Scalar(ColumnType),
    Object,
    Array,
}

impl Check {
    /// What is asked of each value, wherever in a column it stands.
    pub fn of_value(&self) -> &Self {
        match self {
            Self::Inside { check, .. } => check.of_value(),
            other => other,
        }
    }
}

impl Segment {
    /// `lines[].quantity`: the place below `column` as rules name it.
    pub fn join(column: &str, path: &[Self]) -> String {
        path.iter().fold(column.to_owned(), |text, part| match part {
            Self::Field(name) => format!("{text}.{name}"),
            Self::Items => text + "[]",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    pub value: String,
    pub inclusive: bool,
}

/// The condition that the number of violations (or the measured value) has to meet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Threshold {
    pub operator: Operator,
    pub value: f64,
    /// The second bound of `between`.
    pub upper: Option<f64>,
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Operator {
    MustBe,
    MustNotBe,
    MustBeGreaterThan,
    MustBeGreaterOrEqualTo,
    MustBeLessThan,
    MustBeLessOrEqualTo,
    MustBeBetween,
    MustNotBeBetween,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Rows,
    Percent,
}

impl Operator {
    pub const ALL: [Self; 8] = [
        Self::MustBe,
        Self::MustNotBe,
        Self::MustBeGreaterThan,
        Self::MustBeGreaterOrEqualTo,
        Self::MustBeLessThan,
        Self::MustBeLessOrEqualTo,
        Self::MustBeBetween,
        Self::MustNotBeBetween,
    ];

    /// As a contract writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::MustBe => "mustBe",
            Self::MustNotBe => "mustNotBe",
            Self::MustBeGreaterThan => "mustBeGreaterThan",
            Self::MustBeGreaterOrEqualTo => "mustBeGreaterOrEqualTo",
            Self::MustBeLessThan => "mustBeLessThan",
            Self::MustBeLessOrEqualTo => "mustBeLessOrEqualTo",
            Self::MustBeBetween => "mustBeBetween",
            Self::MustNotBeBetween => "mustNotBeBetween",
        }
    }
}

impl Threshold {
    /// As `mustBeLessThan 5 percent`.
    pub fn words(&self) -> String {
        let value = match self.upper {
            Some(upper) => format!("[{}, {upper}]", self.value),
            None => self.value.to_string(),
        };
        let unit = if self.unit == Unit::Percent { " percent" } else { "" };
        format!("{} {value}{unit}", self.operator.word())
    }

    /// Whether `violations` among `checked` rows is acceptable. `between` includes both ends.
    pub fn holds(&self, violations: f64, checked: f64) -> bool {
        let x = match self.unit {
            Unit::Rows => violations,
            Unit::Percent if checked == 0.0 => 0.0,
            Unit::Percent => 100.0 * violations / checked,
        };
        let inside = x >= self.value && self.upper.is_some_and(|u| x <= u);
        match self.operator {
            Operator::MustBe => x == self.value,
            Operator::MustNotBe => x != self.value,
            Operator::MustBeGreaterThan => x > self.value,
            Operator::MustBeGreaterOrEqualTo => x >= self.value,
            Operator::MustBeLessThan => x < self.value,
            Operator::MustBeLessOrEqualTo => x <= self.value,
            Operator::MustBeBetween => inside,
            Operator::MustNotBeBetween => !inside,
        }
    }
}
