//! Snapshots in a silver step: what is known of those before, and what the table remembers of them.
//!
//! Called by the silver step of a dataset with `snapshot_by`, between its refined rows and the write.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    refining::Outlet,
    scan::{self, Source},
    table::{DataFile, Place, SNAPSHOT, Table},
    upsert::{ArrivalPart, CandidatePart, Compared, Comparing, Keys, Shape, Truncates},
};
use alluvium_model::DatasetName;
use arrow::{
    array::AsArray,
    datatypes::{DataType, Field, Schema},
};
use std::{collections::BTreeSet, sync::Arc};

/// A step's rows, held against what is known.
pub(crate) struct Against {
    /// For the write of a history.
    pub(crate) arrivals: Vec<ArrivalPart>,
    /// For the write of a row a key.
    pub(crate) candidates: Vec<CandidatePart>,
    pub(crate) duplicates: u64,
    /// What the table is to remember from now on; `None`: what it does.
    pub(crate) property: Option<String>,
    pub(crate) notes: Vec<String>,
}

/// A silver step whose rows are snapshots.
pub(crate) struct Step<'a> {
    pub(crate) engine: &'a LakeEngine,
    pub(crate) dataset: &'a DatasetName,
    pub(crate) from: &'a DatasetName,
    pub(crate) keys: &'a Keys,
    pub(crate) shape: Arc<Shape>,
    pub(crate) outlet: Arc<Outlet>,
}

impl Step<'_> {
    /// `table` and `stored`: what the rows are held against; for a rebuild nothing. `aside`: landing objects of which the step set
    /// records aside.
    pub(crate) async fn compare(
        &self,
        table: Option<&Table>,
        stored: &[DataFile],
        parts: Vec<ArrivalPart>,
        aside: BTreeSet<String>,
    ) -> Result<Against, LakeError> {
        let (engine, shape, outlet) = (self.engine, self.shape.clone(), self.outlet.clone());
        let mut newest = Truncates::none(self.keys, &shape.table, false)?;
        if let Some(property) = table.map(|t| t.property(SNAPSHOT)).transpose()?.flatten() {
            newest.add_property(&property, self.dataset)?;
        }
        let dir = engine.tables.dir(&Place::Dataset(self.dataset.clone()));
        let sources = stored.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
        engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
        let before = self.aside_before().await?;
        let (meter, scratch, keys) = (engine.tables.meter.clone(), engine.scratch()?, self.keys.clone());
        let known = newest.clone();
        let done = tokio::task::spawn_blocking(move || {
            let before = events(&before, &meter)?;
            let comparing = Comparing {
                shape: &shape,
                newest: known.sequences(),
                stored: &sources,
                aside: (&aside, &before),
                scratch: &scratch,
                meter: &meter,
            };
            let compared = comparing.compare(parts)?;
            let candidates = (!shape.history)
                .then(|| compared.candidates(&keys, &outlet.room, &outlet.rows, outlet.graves.as_deref()))
                .transpose()?;
            Ok::<_, LakeError>((compared, candidates))
        });
        let (compared, candidates) = done.await.map_err(|_| LakeError::Worker("a thread ended early"))??;
        self.told(&newest, compared, candidates)
    }

    fn told(
        &self,
        newest: &Truncates,
        compared: Compared,
        candidates: Option<CandidatePart>,
    ) -> Result<Against, LakeError> {
        let mut now = newest.clone();
        now.add(&compared.newest, self.dataset)?;
        let mut notes = Vec::new();
        if compared.older > 0 {
            let latest = now.latest()?.unwrap_or_default();
            let rows = if compared.older == 1 { "row" } else { "rows" };
            notes.push(format!("{} {rows} of snapshots before {latest} passed over", compared.older));
        }
        if compared.incomplete {
            notes.push("a snapshot with records in quarantine ended no key".to_owned());
        }
        Ok(Against {
            property: if now == *newest { None } else { Some(now.to_property()?) },
            duplicates: compared.duplicates,
            notes,
            candidates: candidates.into_iter().collect(),
            arrivals: if self.shape.history { compared.parts.into() } else { Vec::new() },
        })
    }

    /// Files of what waits in the quarantine of the dataset that the rows come from.
    async fn aside_before(&self) -> Result<Vec<Source>, LakeError> {
        let place = Place::Quarantine(self.from.clone());
        let Some(table) = self.engine.tables.open(&place).await? else { return Ok(Vec::new()) };
        let sources = table.sources()?;
        self.engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
        Ok(sources)
    }
}

/// The landing objects of rows of a quarantine.
fn events(sources: &[Source], meter: &crate::meter::Meter) -> Result<BTreeSet<String>, LakeError> {
    let schema = Arc::new(Schema::new(vec![Field::new("_event_id", DataType::Utf8, true)]));
    let mut events = BTreeSet::new();
    for unit in scan::units(sources)? {
        for batch in unit.read(&schema, meter)? {
            for event in batch?.column(0).as_string::<i32>().iter().flatten() {
                if !events.contains(event) {
                    events.insert(event.to_owned());
                }
            }
        }
    }
    Ok(events)
}
