//! Rows that have drift, found while they are loaded: those that the dataset's policy sets aside, and what is inside of JSON.

use super::{
    difference::{self, Difference},
    inside::{self, Found},
};
use crate::{
    decode::{self, Drift},
    error::LakeError,
};
use alluvium_spec::{DriftKind, DriftPolicies, DriftPolicy, Inside};
use arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, SchemaRef},
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, value::RawValue};
use std::collections::{BTreeMap, BTreeSet};

/// Where the decoder keeps the earlier values of a key given twice.
const DUPLICATES: &str = "_duplicates";

/// A longer value is not looked into: as a tree it takes up to a hundred times its bytes.
const LOOKED_INTO: usize = 1 << 20;

/// What a dataset looks for in its rows.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) policies: DriftPolicies,
    /// The data's own columns.
    pub(crate) columns: SchemaRef,
    /// What the contracts say of columns, those of which they say nothing left out.
    pub(crate) inside: Vec<(String, Inside)>,
    /// Also what would stop an object is looked for: rows that wait do not pass then.
    pub(crate) strict: bool,
}

/// What is known of the object before its rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a> {
    /// Its values are JSON.
    pub(crate) json: bool,
    /// Columns that it has not.
    pub(crate) absent: &'a BTreeSet<String>,
    /// How its types differ inside of columns.
    pub(crate) typed: &'a [Difference],
}

/// Why a row is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) what: Difference,
    pub(crate) value: Option<String>,
}

/// Rows of a batch, each with its reasons.
pub(crate) type Aside = BTreeMap<u32, Vec<Reason>>;

impl Watch {
    pub(crate) fn new(policies: DriftPolicies, columns: SchemaRef, said: &BTreeMap<String, Inside>) -> Self {
        let inside = said.iter().filter(|(name, i)| **i != Inside::Any && columns.index_of(name).is_ok());
        let inside = inside.map(|(name, i)| (name.clone(), i.clone())).collect();
        Self { policies, columns, inside, strict: false }
    }

    /// Looks at the rows: counts in `drift` what is inside of their JSON, and tells which rows are to be set aside.
    pub(crate) fn look(&self, batch: &RecordBatch, object: Object<'_>, drift: &mut Drift) -> Result<Aside, LakeError> {
        let mut aside = Aside::new();
        if object.json {
            self.look_inside(batch, drift, &mut aside)?;
        }
        if self.sets_aside(DriftKind::Missing) {
            for name in object.absent {
                let Some(column) = batch.column_by_name(name) else { continue };
                for row in (0..batch.num_rows()).filter(|r| column.is_null(*r)) {
                    let what = difference::missing_among(name, std::iter::empty());
                    add(&mut aside, row, Reason { what, value: None });
                }
            }
        }
        if [DriftKind::New, DriftKind::Recased, DriftKind::Retyped].iter().any(|k| self.sets_aside(*k)) {
            self.look_at_rescued(batch, object, &mut aside)?;
        }
        Ok(aside)
    }

    fn sets_aside(&self, kind: DriftKind) -> bool {
        let policy = self.policies.of(kind);
        policy == DriftPolicy::Quarantine || self.strict && policy.stops()
    }

    fn look_inside(&self, batch: &RecordBatch, drift: &mut Drift, aside: &mut Aside) -> Result<(), LakeError> {
        for (name, said) in &self.inside {
            let Some(values) = batch.column_by_name(name).filter(|c| *c.data_type() == DataType::Utf8) else {
                continue;
            };
            let values: &StringArray = values.as_string();
            for row in (0..values.len()).filter(|r| values.is_valid(*r)) {
                let text = values.value(row);
                let nested = text.starts_with(['{', '[']);
                if *said == Inside::Scalar && !nested || text.len() > LOOKED_INTO {
                    continue;
                }
                let value = if *said == Inside::Scalar { outermost(text) } else { json(text) };
                let Some(value) = value else { continue };
                inside::look(name, &value, said, &mut |found| match found {
                    Found::Known { path, there } => drift.inside_known(&path, there),
                    Found::Differs { kind, path, detail } => {
                        drift.inside(kind, &path, 1);
                        if self.sets_aside(kind) {
                            let what = Difference { kind, field: path, detail };
                            add(aside, row, Reason { what, value: None });
                        }
                    }
                });
            }
        }
        Ok(())
    }

    fn look_at_rescued(&self, batch: &RecordBatch, object: Object<'_>, aside: &mut Aside) -> Result<(), LakeError> {
        let Some(rescued) = batch.column_by_name("_rescued").filter(|c| c.null_count() < c.len()) else {
            return Ok(());
        };
        let rescued = cast(rescued, &DataType::Utf8)?;
        let rescued: &StringArray = rescued.as_string();
        for row in (0..rescued.len()).filter(|r| rescued.is_valid(*r)) {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(rescued.value(row)).unwrap_or_default();
            for (key, value) in fields.into_iter().filter(|(key, _)| key != DUPLICATES) {
                let name = received_name(&key);
                for what in self.of_rescued(name, object) {
                    if self.sets_aside(what.kind) {
                        add(aside, row, Reason { what, value: Some(value.get().to_owned()) });
                    }
                }
            }
        }
        Ok(())
    }

    /// How a field that bronze put aside differs.
    fn of_rescued(&self, name: &str, object: Object<'_>) -> Vec<Difference> {
        let columns = || self.columns.fields().iter().map(|f| f.name().as_str());
        if columns().any(|c| c == name) {
            // Of JSON that is a null or a text which the column holds too.
            if object.json {
                return Vec::new();
            }
            let deep = object.typed.iter().filter(|d| d.field.split(['.', '[']).next() == Some(name));
            let deep: Vec<Difference> = deep.cloned().collect();
            let detail = "it is none of the column's type".to_owned();
            let shallow = || vec![Difference { kind: DriftKind::Retyped, field: name.to_owned(), detail }];
            return if deep.is_empty() { shallow() } else { deep };
        }
        match decode::in_other_letters(name, columns()) {
            Some(column) => vec![difference::recased(name, column)],
            None => vec![difference::new(name, columns())],
        }
    }
}

/// The decoder moves keys out of the way of its own.
fn received_name(key: &str) -> &str {
    let moved = key.strip_suffix("duplicates").is_some_and(|p| p.len() > 1 && p.bytes().all(|b| b == b'_'));
    if moved { &key[1..] } else { key }
}

fn add(aside: &mut Aside, row: usize, reason: Reason) {
    let reasons = aside.entry(u32::try_from(row).expect("a batch has fewer rows")).or_default();
    if !reasons.iter().any(|r| r.what.kind == reason.what.kind && r.what.field == reason.what.field) {
        reasons.push(reason);
    }
}

/// An object or an array, of which nothing inside matters.
fn outermost(text: &str) -> Option<Value> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(if text.starts_with('{') { Value::Object(Map::new()) } else { Value::Array(Vec::new()) })
}

/// A text column's value as the JSON that it was; a text that is none was a text.
fn json(text: &str) -> Option<Value> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(e) if e.is_syntax() || e.is_eof() => Some(Value::String(text.to_owned())),
        Err(_) => None,
    }
}
