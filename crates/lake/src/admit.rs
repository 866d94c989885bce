//! Before a row is loaded: the columns of a bronze table, and which of a step's objects fit them.
//!
//! Called by the ingest step. It reads no more of an object than its header, its first records or its footer.

use crate::{
    decode::{self, DecodeError, Options},
    drift::{self, Difference, Gate},
    error::LakeError,
    ingest::{is_metadata, metadata_fields, plain, reason},
    objects::Objects,
    table::{self, Table},
};
use alluvium_flow::Job;
use alluvium_model::{Fault, RetryClass};
use alluvium_spec::{Bronze, DriftPolicies, DriftPolicy, Format};
use alluvium_store::EventRecord;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub(crate) const BATCH_ROWS: usize = 8192;

/// What takes part in the step, and into which columns.
pub(crate) struct Admitted {
    pub(crate) schema: SchemaRef,
    /// Columns that the table gains from the objects.
    pub(crate) grown: BTreeSet<String>,
    /// For each object, what the gate found.
    pub(crate) gates: Vec<Gate>,
    /// By object, why it takes no part.
    pub(crate) dead: BTreeMap<usize, String>,
}

/// The bronze columns: those of the table, or of the first readable object and the contracts that read it; and those that
/// objects bring, where the dataset's drift lets them.
pub(crate) fn admit(
    objects: &Objects,
    table: Option<&Table>,
    bronze: &Bronze,
    job: &Job<'_>,
) -> Result<Admitted, LakeError> {
    let mut dead = BTreeMap::new();
    let mut columns = loop {
        match own_columns(objects, table, bronze, job, &dead)? {
            Ok(columns) => break columns,
            Err(unreadable) => dead.extend(unreadable),
        }
    };
    let mut gates = Vec::with_capacity(job.events.len());
    let mut grown = BTreeSet::new();
    for (i, event) in job.events.iter().enumerate() {
        let judged = if dead.contains_key(&i) || !is_looked_at(bronze, &event.path) {
            Ok(Gate::default())
        } else {
            judge(objects, bronze, event, job.project.limits.record.0, &columns)
        };
        let gate = match judged {
            Ok(gate) => gate,
            Err(e) if e.class() == RetryClass::Data => {
                dead.insert(i, reason(event, &e));
                Gate::default()
            }
            Err(source) => return Err(LakeError::Decode { object: event.path.clone(), source }),
        };
        grown.extend(gate.grows.iter().map(|f| f.name().clone()));
        columns.extend(gate.grows.iter().cloned());
        gates.push(gate);
    }
    Ok(Admitted { schema: with_metadata(columns)?, grown, gates, dead })
}

/// Whether something could follow from what an object's header, first records or footer say.
fn is_looked_at(bronze: &Bronze, path: &str) -> bool {
    bronze.drift != DriftPolicies::default() || !bronze.required.is_empty() && names_its_columns(bronze, path)
}

/// Whether the object says once which columns it has. Each record of NDJSON has fields of its own, and the next may bring
/// what the first ones lack.
fn names_its_columns(bronze: &Bronze, path: &str) -> bool {
    format(bronze, path) != Format::Ndjson
}

fn judge(
    objects: &Objects,
    bronze: &Bronze,
    event: &EventRecord,
    limit: u64,
    columns: &[Field],
) -> Result<Gate, DecodeError> {
    let found = discover(objects, bronze, event, limit)?;
    if names_its_columns(bronze, &event.path) {
        drift::fits(&found, columns, &bronze.required)?;
    }
    drift::gate(&found, columns, &bronze.inside, bronze.drift, format(bronze, &event.path))
}

/// How the object's types differ inside of the columns.
pub(crate) fn typed(
    objects: &Objects,
    bronze: &Bronze,
    event: &EventRecord,
    limit: u64,
    columns: &Schema,
) -> Vec<Difference> {
    let columns: Vec<Field> = columns.fields().iter().map(|f| f.as_ref().clone()).collect();
    let found = discover(objects, bronze, event, limit).unwrap_or_default();
    drift::compare(&found, &columns, false).into_iter().filter(|d| d.field.contains(['.', '['])).collect()
}

/// The columns, then our own.
pub(crate) fn with_metadata(mut columns: Vec<Field>) -> Result<SchemaRef, LakeError> {
    columns.extend(metadata_fields());
    let schema = Schema::new(columns);
    table::storable(&schema)?;
    Ok(Arc::new(schema))
}

/// The data's own columns before the step.
fn own_columns(
    objects: &Objects,
    table: Option<&Table>,
    bronze: &Bronze,
    job: &Job<'_>,
    dead: &BTreeMap<usize, String>,
) -> Result<Result<Vec<Field>, BTreeMap<usize, String>>, LakeError> {
    let mut fields: Vec<Field> = Vec::new();
    if let Some(table) = table {
        fields.extend(table.schema()?.fields().iter().map(|f| Field::new(f.name(), plain(f.data_type()), true)));
        fields.retain(|f| !is_metadata(f.name()));
    } else {
        let mut unreadable = BTreeMap::new();
        for (i, event) in job.events.iter().enumerate().filter(|(i, _)| !dead.contains_key(i)) {
            match discover(objects, bronze, event, job.project.limits.record.0) {
                Ok(found) if found.is_empty() && bronze.expected.is_empty() => {}
                Ok(found) => {
                    fields = first(found, bronze);
                    break;
                }
                Err(e) if e.class() == RetryClass::Data => {
                    unreadable.insert(i, reason(event, &e));
                }
                Err(source) => return Err(LakeError::Decode { object: event.path.clone(), source }),
            }
        }
        if fields.is_empty() && !unreadable.is_empty() {
            fields.extend(bronze.expected.iter().map(|n| Field::new(n, DataType::Utf8, true)));
            if unreadable.len() + dead.len() < job.events.len() {
                return Ok(Err(unreadable));
            }
        }
    }
    let expected: Vec<Field> = bronze.expected.iter().map(|n| Field::new(n, DataType::Utf8, true)).collect();
    fields.extend(decode::new_columns(&Schema::new(fields.clone()), &expected));
    Ok(Ok(fields))
}

/// What of the first object's fields makes the table's columns. Where contracts say which there are, and new or recased
/// fields are not taken as they come, the first file says no more than any later one.
fn first(mut found: Vec<Field>, bronze: &Bronze) -> Vec<Field> {
    let expected = || bronze.expected.iter().map(String::as_str);
    if bronze.drift.recased != DriftPolicy::Rescue {
        found.retain(|f| expected().any(|e| e == f.name()) || decode::in_other_letters(f.name(), expected()).is_none());
    }
    let takes_new = matches!(bronze.drift.new, DriftPolicy::Evolve | DriftPolicy::Rescue);
    if !takes_new && !bronze.expected.is_empty() {
        found.retain(|f| expected().any(|e| e.eq_ignore_ascii_case(f.name())));
    }
    found
}

pub(crate) fn format(bronze: &Bronze, path: &str) -> Format {
    bronze.files.format.unwrap_or_else(|| decode::format_of(path))
}

pub(crate) fn options<'a>(bronze: &'a Bronze, path: &str, max_record_bytes: u64) -> Options<'a> {
    Options {
        format: format(bronze, path),
        csv: &bronze.files.csv,
        max_record_bytes,
        batch_rows: BATCH_ROWS,
        any_case: bronze.drift.recased == DriftPolicy::Evolve,
    }
}

fn discover(
    objects: &Objects,
    bronze: &Bronze,
    event: &EventRecord,
    max_record_bytes: u64,
) -> Result<Vec<Field>, DecodeError> {
    let file = objects.open(bronze, event)?;
    decode::discover(file, &options(bronze, &event.path, max_record_bytes))
}
