//! What truncates end in a silver table: which ones hold for a step, and which rows go.
//!
//! Called by the silver step. The table remembers its truncates as a property, set by the commit of the step that read them: merges
//! and later steps leave it as it is, and a rebuild makes it anew.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    meter::Meter,
    scan::{self, Pick, Source},
    table::{TRUNCATES, Table},
    upsert::{Keys, Truncates},
    vector::Rows,
};
use alluvium_model::DatasetName;
use arrow::datatypes::SchemaRef;
use std::{collections::BTreeMap, sync::Arc};

/// The truncates of a step and those before it.
#[derive(Debug, Clone)]
pub(crate) struct Truncated {
    pub(crate) all: Truncates,
    /// Whether the step's own end more than those before.
    pub(crate) grew: bool,
    /// Whether the table has to remember others than it does.
    changed: bool,
    keys: Keys,
    schema: SchemaRef,
}

impl Truncated {
    /// `schema`: of the table. `rebuild`: those that it remembers are forgotten.
    pub(crate) fn of(
        dataset: &DatasetName,
        (keys, schema, history): (&Keys, &SchemaRef, bool),
        table: Option<&Table>,
        rebuild: bool,
        new: &[Truncates],
    ) -> Result<Self, LakeError> {
        let none = Truncates::none(keys, schema, history)?;
        let mut stored = none.clone();
        if let Some(property) = table.map(|t| t.property(TRUNCATES)).transpose()?.flatten() {
            stored.add_property(&property, dataset)?;
        }
        let before = if rebuild { none } else { stored.clone() };
        let mut all = before.clone();
        new.iter().try_for_each(|t| all.merge(t, dataset))?;
        Ok(Self { grew: all != before, changed: all != stored, all, keys: keys.clone(), schema: schema.clone() })
    }

    /// What the table is to remember from now on; `None`: what it does.
    pub(crate) fn property(&self) -> Result<Option<String>, LakeError> {
        self.changed.then(|| self.all.to_property()).transpose()
    }

    /// What people are told of it.
    pub(crate) fn note(&self) -> Result<Option<String>, LakeError> {
        let latest = if self.grew { self.all.latest()? } else { None };
        Ok(latest.map(|l| format!("truncated up to {l}")))
    }

    /// Of each of these files the rows that are ended, as far as they were there.
    pub(crate) async fn rows(
        &self,
        engine: &LakeEngine,
        sources: Vec<Source>,
        progress: impl FnMut(u64),
    ) -> Result<BTreeMap<usize, Rows>, LakeError> {
        if self.all.is_empty() {
            return Ok(BTreeMap::new());
        }
        engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
        let (truncates, meter) = (self.all.clone(), engine.tables.meter.clone());
        let columns = scan::project(&self.schema, &self.keys.sequence)?;
        let (count, sources) = (lanes::count().min(sources.len()), Arc::new(sources));
        let work = move |shared: &Shared| {
            let mut found = Vec::new();
            while let Some(i) = shared.take(sources.len()) {
                found.push((i, ended(&truncates, &sources[i], &columns, &meter)?));
                shared.advance(1)?;
            }
            Ok(found)
        };
        let found = lanes::run(count, work, progress).await?.into_iter().flatten();
        Ok(found.filter(|(_, rows)| !rows.is_empty()).collect())
    }
}

fn ended(truncates: &Truncates, source: &Source, columns: &SchemaRef, meter: &Meter) -> Result<Rows, LakeError> {
    let mut rows = Rows::new();
    for unit in scan::units(std::slice::from_ref(source))? {
        let mut row = unit.base;
        for batch in unit.read_rows(columns, meter, None)? {
            for end in truncates.ending(&batch?)? {
                if end.is_some() {
                    rows.insert(row);
                }
                row += 1;
            }
        }
    }
    match &source.pick {
        Pick::Without(gone) => rows -= gone.as_ref(),
        Pick::Only(only) => rows &= only.as_ref(),
        Pick::All => {}
    }
    Ok(rows)
}
