//! The change feed of an upsert, for datasets that ask for one: each changed row before and after, in files of its own.
//!
//! Without it, what changed can still be told from the log: rows that new vectors name, and new files.

use super::settle::Settled;
use crate::{
    error::LakeError,
    lanes::Shared,
    meter::Meter,
    scan::{self, Pick, Source},
    stage::{StagedFile, Stager},
    vector::Rows,
};
use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use std::sync::Arc;

/// Column that tells the kind of change.
const CHANGE: &str = "_change_type";

pub(crate) fn feed_schema(table: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> = table.fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(CHANGE, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

/// Which rows of which files changed how.
pub(crate) fn changes(
    stored: &[Source],
    staged: &[Source],
    numbers: &[u32],
    settled: &Settled,
) -> Vec<(Source, &'static str)> {
    let only = |source: &Source, rows: Rows| Source { path: source.path.clone(), pick: Pick::Only(Arc::new(rows)) };
    let mut changes = Vec::new();
    let none = Rows::new();
    for (file, rows) in &settled.superseded.rows {
        let deleted = settled.superseded.deleted.get(file).unwrap_or(&none);
        changes.push((only(&stored[*file], rows - deleted), "update_preimage"));
        changes.push((only(&stored[*file], deleted.clone()), "delete"));
    }
    for (source, number) in staged.iter().zip(numbers) {
        let gone = settled.gone.rows.get(number).unwrap_or(&none);
        // One that a stored row makes way for may give way to another one.
        let updated = settled.replacing.get(number).unwrap_or(&none) - gone;
        let old = Source { path: source.path.clone(), pick: Pick::Without(Arc::new(gone | &updated)) };
        changes.push((old, "insert"));
        changes.push((only(source, updated), "update_postimage"));
    }
    changes.retain(|(s, _)| !matches!(&s.pick, Pick::Only(rows) if rows.is_empty()));
    changes
}

/// One lane: change after change into files of the feed.
pub(crate) fn write_feed(
    stager: &Stager,
    table: &SchemaRef,
    changes: &[(Source, &'static str)],
    meter: &Meter,
    shared: &Shared,
) -> Result<Vec<StagedFile>, LakeError> {
    let mut lane = stager.lane();
    while let Some(i) = shared.take(changes.len()) {
        let (source, kind) = &changes[i];
        for unit in scan::units(std::slice::from_ref(source))? {
            for batch in unit.read(table, meter)? {
                let batch = batch?;
                let kinds: ArrayRef = Arc::new(StringArray::from(vec![*kind; batch.num_rows()]));
                let columns = batch.columns().iter().cloned().chain([kinds]).collect();
                lane.write(&RecordBatch::try_new(stager.schema().clone(), columns)?)?;
            }
        }
        shared.advance(1)?;
    }
    lane.finish()
}
