//! Project files and ODCS contracts: parse with spans, check, resolve, hash.
//!
//! Called by cli (load, check) and read by flow and lake. It reads project files only; it opens no data file.

mod acceptance;
mod avro;
mod codes;
mod compatibility;
mod condition;
pub mod contract;
mod contract_file;
mod dataset;
mod decimal;
mod definition;
mod diagnostic;
mod discover;
mod drift;
pub mod export;
pub mod infer;
mod json_schema;
mod kept;
mod library;
mod load;
mod nearest;
mod odcs;
mod paths;
mod project_file;
mod rate;
mod registered;
mod resolve;
mod schedule;
mod secret;
mod shelf;
mod sinks;
mod source_file;
mod sql;
mod yaml;

pub use acceptance::{
    Accept, Beyond, CONTROL_FILE, ColumnMeasure, Distribution, Freshness, Levels, MeasureKind, Parts, TimeWindow,
    Volume, is_person,
};
pub use avro::Avro;
pub use codes::{CODES, CodeDoc};
pub use compatibility::{
    Change, Comparison, Field, InvalidMode, Kind as FieldKind, Language, Limits as FieldLimits, Mode, ObjectShape,
    Path as FieldPath, Reader, Scalar, Shape, Sizes, TableRule, What, compare, readers,
};
pub use condition::{Condition, Measure, Measured};
pub use contract::{
    Action, Bound, Check, Column, ColumnType, Contract, Holds, Inner, Operator, Rule, Segment, Severity, Threshold,
    Unit,
};
pub use contract_file::{
    ContractFile, SchemaFile, lint_contract, read_contract, read_schema, read_text as read_schema_text,
};
pub use decimal::Exact;
pub use definition::{
    Backoff, Batch, Bronze, Columns, Concurrency, CsvOptions, Dataset, Due, Effort, Enrich, EventSchema, FileSource,
    Format, Gold, IngestMode, Jitter, Kind, Late, Limits, Normalize, Notified, NullIf, OrderBy, Project, Push, Rate,
    Retry, Silver, Step, Throttle, Timeout, TimeoutSource, Tracked, VERSION_COLUMNS, Watermark, WebhookSource,
    WindowSpec, Write,
};
pub use diagnostic::{Diagnostic, Diagnostics, Level};
pub use drift::{DriftKind, DriftPolicies, DriftPolicy, FROZEN, Inside};
pub use json_schema::{Breach, JsonSchema, Undecidable, Validator, same_value_text};
pub use library::{Case, Function, Library, Parameter};
pub use load::{Environment, Reading, load, read};
pub use nearest::nearest;
pub use odcs::{Server, Terms};
pub use registered::{Document, event_verdict, not_compared, verdict};
pub use schedule::{CatchUp, Schedule};
pub use secret::Secret;
pub use sinks::{BodyFormat, InvalidWebhookUrl, Sink, Webhook, WebhookAddress, WebhookHost, WebhookUrl};
pub use sql::{OVER_A_ROW, OVER_MANY_ROWS, Origins};
