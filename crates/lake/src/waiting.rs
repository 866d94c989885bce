//! Rows that wait in a quarantine, as a step that takes them out was planned with them.
//!
//! Called for replays and discards. Reads only.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    scan::{self, Unit},
    table::Place,
};
use alluvium_flow::Job;
use alluvium_model::DatasetName;

/// The quarantine at the version of the step.
pub(crate) struct Waiting {
    pub(crate) units: Vec<Unit>,
    pub(crate) rows: u64,
    /// Of its files.
    pub(crate) paths: Vec<String>,
}

pub(crate) async fn open(engine: &LakeEngine, job: &Job<'_>) -> Result<Waiting, LakeError> {
    let name = &job.dataset.name;
    let version = job.step.lookups.get(name).copied();
    let table = engine.tables.open_at(&Place::Quarantine(name.clone()), version).await?;
    let table = table.ok_or(LakeError::Worker("what is taken out of a quarantine waits in a table"))?;
    let sources = table.sources()?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let paths = table.files()?.into_iter().map(|f| f.path).collect();
    Ok(Waiting { units: scan::units(&sources)?, rows: table.rows()?, paths })
}

/// Whether rows have left since the step was planned: replayed or discarded, and so none of this step's any more.
pub(crate) async fn is_overtaken(engine: &LakeEngine, job: &Job<'_>) -> Result<bool, LakeError> {
    let name = &job.dataset.name;
    has_left(engine, name, job.step.lookups.get(name).copied().unwrap_or(-1)).await
}

/// Whether rows have left the quarantine since that version.
pub(crate) async fn has_left(engine: &LakeEngine, name: &DatasetName, version: i64) -> Result<bool, LakeError> {
    let place = Place::Quarantine(name.clone());
    let Some(head) = engine.tables.head(&place).await?.filter(|h| *h > version) else { return Ok(false) };
    let changes = engine.tables.changes(&place, version, head).await?;
    Ok(changes.iter().any(|c| !c.removed.is_empty()))
}
