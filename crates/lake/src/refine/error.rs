//! What can be wrong with a silver definition, or stop its execution. Rows that break a rule are no errors.

use alluvium_model::{DatasetName, Fault, RetryClass};
use alluvium_spec::ColumnType;
use arrow::{datatypes::DataType, error::ArrowError};
use datafusion::{common::DataFusionError, sql::sqlparser::parser::ParserError};
use std::fmt;

/// Where in a definition a mistake is, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub part: Part,
    pub column: Option<String>,
    /// Byte offset in the part's SQL text.
    pub offset: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Index into `Silver::steps`.
    Step(usize),
    /// Id of the contract's rule.
    Rule(String),
    /// A condition of `write`, by its key.
    Write(&'static str),
}

impl Place {
    fn of(part: Part) -> Self {
        Self { part, column: None, offset: None }
    }

    pub(super) fn step(index: usize) -> Self {
        Self::of(Part::Step(index))
    }

    pub(super) fn rule(id: &str) -> Self {
        Self::of(Part::Rule(id.to_owned()))
    }

    /// Under this key of `write`.
    pub(super) fn write(key: &'static str) -> Self {
        Self::of(Part::Write(key))
    }

    pub(super) fn column(mut self, name: &str) -> Self {
        self.column = Some(name.to_owned());
        self
    }

    pub(super) fn at(mut self, offset: Option<usize>) -> Self {
        self.offset = offset;
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Step(index) => write!(f, "step {}", index + 1),
            Part::Rule(id) => write!(f, "rule `{id}`"),
            Part::Write(key) => f.write_str(key),
        }?;
        self.column.as_ref().map_or(Ok(()), |c| write!(f, ", column `{c}`"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RefineError {
    #[error("{place}: there is no column `{column}`{}", suggestion(.nearest.as_deref()))]
    UnknownColumn { place: Box<Place>, column: String, nearest: Option<String> },
    #[error("{place}: this is not SQL that can be read")]
    Syntax { place: Box<Place>, source: ParserError },
    #[error("{place}: {what} cannot be used here")]
    NotAllowed { place: Box<Place>, what: String },
    #[error("{place}: the expression does not fit its columns")]
    Plan { place: Box<Place>, source: Box<DataFusionError> },
    #[error("{place}: the expression gives {found}, a boolean is needed")]
    NotBoolean { place: Box<Place>, found: DataType },
    #[error("{place}: `{value}` cannot be read as {}", kind_name(*.kind))]
    BadValue { place: Box<Place>, value: String, kind: ColumnType },
    #[error("{place}: the pattern is not a regular expression that can be used")]
    BadPattern { place: Box<Place>, source: Box<regex::Error> },
    #[error("{place}: {what} does not apply to {}", kind_name(*.kind))]
    NotApplicable { place: Box<Place>, what: &'static str, kind: ColumnType },
    #[error("{place}: the format `{format}` does not describe {}", kind_name(*.kind))]
    BadFormat { place: Box<Place>, format: String, kind: ColumnType },
    #[error("{place}: the column `{column}` is made twice")]
    DuplicateColumn { place: Box<Place>, column: String },
    #[error("{place}: `{expression}` has no name")]
    Unnamed { place: Box<Place>, expression: String },
    #[error("the dataset {dataset} has no column `{column}`")]
    LookupColumn { dataset: DatasetName, column: String },
    #[error("the lookup {dataset} has {rows} rows, more than can be held")]
    LookupSize { dataset: DatasetName, rows: usize },
    #[error("the input has no column `{column}`")]
    NoSystemColumn { column: &'static str },
    #[error("{doing} failed")]
    Arrow { doing: &'static str, source: ArrowError },
    #[error("{doing} failed")]
    Evaluate { doing: &'static str, source: Box<DataFusionError> },
    #[error("quarantined row {row} does not hold a record that can be read")]
    Record { row: usize, source: serde_json::Error },
    #[error("quarantined row {row} is encoded as `{encoding}`, which is not known here")]
    RecordEncoding { row: usize, encoding: String },
}

impl RefineError {
    /// Where the mistake is, for a caret.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::UnknownColumn { place, .. }
            | Self::Syntax { place, .. }
            | Self::NotAllowed { place, .. }
            | Self::Plan { place, .. }
            | Self::NotBoolean { place, .. }
            | Self::BadValue { place, .. }
            | Self::BadPattern { place, .. }
            | Self::NotApplicable { place, .. }
            | Self::BadFormat { place, .. }
            | Self::DuplicateColumn { place, .. }
            | Self::Unnamed { place, .. } => Some(place),
            Self::LookupColumn { .. }
            | Self::LookupSize { .. }
            | Self::NoSystemColumn { .. }
            | Self::Arrow { .. }
            | Self::Evaluate { .. }
            | Self::Record { .. }
            | Self::RecordEncoding { .. } => None,
        }
    }

    /// For `map_err`: an Arrow kernel failed while `doing` something.
    pub(super) fn arrow(doing: &'static str) -> impl Fn(ArrowError) -> Self {
        move |source| Self::Arrow { doing, source }
    }
}

impl Fault for RefineError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownColumn { .. } => "Q0001",
            Self::Syntax { .. } => "Q0002",
            Self::NotAllowed { .. } => "Q0003",
            Self::Plan { .. } => "Q0004",
            Self::NotBoolean { .. } => "Q0005",
            Self::BadValue { .. } => "Q0006",
            Self::BadPattern { .. } => "Q0007",
            Self::NotApplicable { .. } => "Q0008",
            Self::BadFormat { .. } => "Q0009",
            Self::DuplicateColumn { .. } => "Q0010",
            Self::Unnamed { .. } => "Q0011",
            Self::LookupColumn { .. } => "Q0012",
            Self::LookupSize { .. } => "Q0013",
            Self::NoSystemColumn { .. } => "Q0014",
            Self::Arrow { .. } => "Q0015",
            Self::Evaluate { .. } => "Q0016",
            Self::Record { .. } => "Q0017",
            Self::RecordEncoding { .. } => "Q0018",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::UnknownColumn { .. }
            | Self::Syntax { .. }
            | Self::NotAllowed { .. }
            | Self::Plan { .. }
            | Self::NotBoolean { .. }
            | Self::BadValue { .. }
            | Self::BadPattern { .. }
            | Self::NotApplicable { .. }
            | Self::BadFormat { .. }
            | Self::DuplicateColumn { .. }
            | Self::Unnamed { .. }
            | Self::LookupColumn { .. } => RetryClass::Schema,
            Self::LookupSize { .. } | Self::Record { .. } | Self::RecordEncoding { .. } => RetryClass::Data,
            Self::NoSystemColumn { .. } | Self::Arrow { .. } | Self::Evaluate { .. } => RetryClass::Internal,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::UnknownColumn { .. } => "Correct the name, or declare the column in the contract.",
            Self::Syntax { .. } => "Correct the SQL at the place shown.",
            Self::NotAllowed { .. } => {
                "Write an expression over one row: columns, literals, CASE and functions that always give the same answer."
            }
            Self::Plan { .. } => "Compare the types of the columns in the contract, and cast where they differ.",
            Self::NotBoolean { .. } => "Write a comparison or another expression that is true or false.",
            Self::BadValue { .. } => "Write the value as it would stand in the column, or change the column's type.",
            Self::BadPattern { .. } => {
                "Correct the regular expression; look-around and back-references are not supported."
            }
            Self::NotApplicable { .. } => "Remove the rule, or change the column's type.",
            Self::BadFormat { .. } => "Use a strftime format that names every part of the value, as in `%d/%m/%Y`.",
            Self::DuplicateColumn { .. } => "Give each column its own name.",
            Self::Unnamed { .. } => "Name the column with AS.",
            Self::LookupColumn { .. } => {
                "Correct the column's name in the step or the rule, or add it to that dataset."
            }
            Self::LookupSize { .. } => "Use a lookup dataset with fewer than four billion rows.",
            Self::NoSystemColumn { .. } | Self::Arrow { .. } | Self::Evaluate { .. } => {
                "This is a defect: report it with the definition and, if possible, the rows."
            }
            Self::Record { .. } | Self::RecordEncoding { .. } => {
                "The quarantine table was changed from outside: restore the row, or replay the event from raw."
            }
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}

/// The contract's word for a type, with its article.
pub(super) fn kind_name(kind: ColumnType) -> String {
    match kind {
        ColumnType::String => "a string".into(),
        ColumnType::Integer => "an integer".into(),
        ColumnType::Int32 => "an integer of 32 bits".into(),
        ColumnType::Number => "a number".into(),
        ColumnType::Decimal { precision, scale } => format!("a decimal({precision}, {scale})"),
        ColumnType::Boolean => "a boolean".into(),
        ColumnType::Date => "a date".into(),
        ColumnType::Timestamp => "a timestamp".into(),
        ColumnType::Time => "a time".into(),
        ColumnType::Json => "a JSON array or object".into(),
    }
}
