//! The columns of a history, or of snapshots: as events arrive, as the table has them, and as they lie beside it.

use super::super::{candidates::DELETED, keys::Keys};
use crate::error::LakeError;
use alluvium_spec::{Contract, VERSION_COLUMNS, Write};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::sync::Arc;

pub(super) const START: &str = VERSION_COLUMNS[0];
pub(super) const END: &str = VERSION_COLUMNS[1];

#[derive(Debug)]
pub(crate) struct Shape {
    /// With one sequence column.
    pub(crate) keys: Keys,
    /// Columns that make a new version when they change.
    pub(super) tracked: Vec<String>,
    /// The contract's columns, where the row came from, and whether it deletes its key: what arrives, and what lies beside.
    pub(crate) event: SchemaRef,
    /// The contract's columns, from when to when they hold, and where the row came from.
    pub(crate) table: SchemaRef,
    /// All of them: how stored rows of both kinds are read.
    pub(super) stored: SchemaRef,
    /// The contract's columns but for keys and sequence.
    pub(super) said: Vec<String>,
    /// Whether the table has versions.
    pub(crate) history: bool,
}

impl Shape {
    /// `plain`: the refined rows' columns. `None`: the dataset is no history, and compares no snapshots.
    pub(crate) fn of(write: &Write, contract: &Contract, plain: &SchemaRef) -> Result<Option<Self>, LakeError> {
        let Write::Upsert { keys, sequence_by, snapshots, history, .. } = write else { return Ok(None) };
        if history.is_none() && !snapshots {
            return Ok(None);
        }
        let keys = Keys { keys: keys.clone(), sequence: sequence_by.clone(), snapshots: *snapshots };
        let versions = version_fields(write, plain)?;
        let own = contract.columns.len();
        let fields = plain.fields();
        let deleted: FieldRef = Arc::new(Field::new(DELETED, DataType::Boolean, true));
        let event: Vec<FieldRef> = fields.iter().cloned().chain([deleted]).collect();
        let stored: Vec<FieldRef> = event.iter().cloned().chain(versions.iter().cloned()).collect();
        let table: Vec<FieldRef> =
            fields[..own].iter().cloned().chain(versions).chain(fields[own..].iter().cloned()).collect();
        let taken = keys.columns();
        let names = contract.columns.iter().map(|c| &c.name);
        Ok(Some(Self {
            said: names.filter(|n| !taken.contains(n)).cloned().collect(),
            history: history.is_some(),
            keys,
            tracked: write.tracked(contract),
            event: Arc::new(Schema::new(event)),
            table: Arc::new(Schema::new(table)),
            stored: Arc::new(Schema::new(stored)),
        }))
    }

    pub(super) fn sequence(&self) -> Result<&str, LakeError> {
        self.keys.sequence.first().map(String::as_str).ok_or(LakeError::Worker("a history has a sequence"))
    }
}

/// What a history adds to `columns`; nothing for other datasets.
pub(crate) fn version_fields(write: &Write, columns: &Schema) -> Result<Vec<FieldRef>, LakeError> {
    let Write::Upsert { sequence_by, history: Some(_), .. } = write else { return Ok(Vec::new()) };
    let [sequence] = sequence_by.as_slice() else { return Err(LakeError::Worker("a history has one sequence")) };
    let kind = columns.field_with_name(sequence)?.data_type();
    Ok(VERSION_COLUMNS.iter().map(|n| Arc::new(Field::new(*n, kind.clone(), true))).collect())
}
