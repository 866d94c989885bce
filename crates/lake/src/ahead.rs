//! Rows that are refined while they are loaded, for the step that will read them.
//!
//! Called by the ingest step, which has the rows in memory, and by the refine step, which then need not read them again. Nothing rests
//! on it: what is not here, as after a crash or where another process loaded the rows, is read from bronze. Until the refine step
//! commits, what it is about to find here is staged and no more.

use crate::{
    commit::Attempt,
    engine::LakeEngine,
    error::LakeError,
    refine::{self, Binding, Refinery},
    refining::{Outlet, Refined, Refining},
    silver,
    table::Place,
};
use alluvium_flow::{Job, Reader};
use alluvium_model::{DatasetName, DefinitionVersion, RunId};
use alluvium_spec::{Contract, Project, Silver};
use alluvium_store::StepKind;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What waits for its step, of one silver dataset at a time, so that its keys take the memory of one step.
#[derive(Default)]
pub(crate) struct Aheads(Mutex<Option<Waiting>>);

struct Waiting {
    dataset: DatasetName,
    definition: DefinitionVersion,
    /// The run that loaded the first of it.
    run: RunId,
    outlet: Arc<Outlet>,
    /// By the version of the bronze table that has the same rows.
    parts: BTreeMap<i64, Vec<Refined>>,
}

impl Aheads {
    fn lock(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What nobody took is not left on the disk.
impl Drop for Waiting {
    fn drop(&mut self) {
        self.parts.values().flatten().for_each(|part| self.outlet.discard(part));
    }
}

/// How the rows of an ingest step can be refined at once; `None` where the step that reads them has to see more than these rows, where
/// its definition is wrong, which is that step's to tell, or where another dataset's rows wait.
pub(crate) fn begin(engine: &LakeEngine, job: &Job<'_>, attempt: &Attempt<'_>) -> Option<Refining> {
    let begun = |reader| into(engine, job, attempt, reader).inspect_err(given_up).ok().flatten();
    job.readers.iter().find_map(begun)
}

/// The rows are in bronze all the same, and the step that reads them meets the error again and tells it.
pub(crate) fn given_up(error: &LakeError) {
    tracing::debug!(%error, "rows are not refined while they are loaded");
}

fn into(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    reader: &Reader,
) -> Result<Option<Refining>, LakeError> {
    let Reader { dataset: name, position } = reader;
    let Some((silver, contract)) = suited(job.project, name) else { return Ok(None) };
    let failed = |source| LakeError::Refine { dataset: name.clone(), source };
    let Ok(compiled) = Refinery::compile(silver, contract) else { return Ok(None) };
    let definition = &job.project.datasets[name].version;
    // Rows of a quarantine are found by the step that set them aside: here that is the ingest step.
    let stamp = refine::Stamp { definition_version: definition.clone(), ..attempt.stamp() };
    let binding = Binding { lookups: BTreeMap::new(), stamp, watermark: None };
    let refinery = Refinery::bind(Arc::new(compiled), binding, engine.entropy.as_ref()).map_err(failed)?;
    let refinery = Arc::new(refinery);
    let mut waiting = engine.aheads.lock();
    let outlet = match waiting.as_mut() {
        Some(w) if w.dataset == *name && w.definition == *definition => {
            let stale = w.parts.extract_if(..=*position, |_, _| true).flat_map(|(_, parts)| parts);
            stale.for_each(|part| w.outlet.discard(&part));
            w.outlet.clone()
        }
        Some(w) if w.dataset != *name && w.run == job.step.run => return Ok(None),
        _ => {
            let schema = refinery.output_schema();
            let outlet = Arc::new(Outlet::new(engine, attempt, name, &schema, silver::buries(silver).as_ref())?);
            let (dataset, run) = (name.clone(), job.step.run.clone());
            let (definition, parts) = (definition.clone(), BTreeMap::new());
            *waiting = Some(Waiting { dataset, definition, run, outlet: outlet.clone(), parts });
            outlet
        }
    };
    let (dataset, keys) = (name.clone(), silver::keys_of(silver));
    Ok(Some(Refining { dataset, refinery, outlet, keys, events: None }))
}

/// Only the rows themselves decide what becomes of them.
fn suited<'a>(project: &'a Project, name: &DatasetName) -> Option<(&'a Silver, &'a Contract)> {
    let dataset = project.datasets.get(name)?;
    let (silver, contract) = (dataset.silver()?, project.contract_of(dataset)?);
    let alone = project.lookups_of(dataset).is_empty() && silver.watermark.is_none();
    let plain =
        silver.write.history().is_none() && !silver.write.compares() && !silver::order_matters(silver, contract);
    (alone && plain).then_some((silver, contract))
}

/// The rows are in the bronze table with this version.
pub(crate) fn keep(engine: &LakeEngine, refining: &Refining, version: i64, parts: Vec<Refined>) {
    let mut waiting = engine.aheads.lock();
    match waiting.as_mut().filter(|w| Arc::ptr_eq(&w.outlet, &refining.outlet)) {
        Some(w) => drop(w.parts.insert(version, parts)),
        None => parts.iter().for_each(|part| refining.outlet.discard(part)),
    }
}

/// What the step would make of its input, if all of that is here.
pub(crate) async fn take(
    engine: &LakeEngine,
    job: &Job<'_>,
    silver: &Silver,
) -> Result<Option<(Arc<Outlet>, Vec<Refined>)>, LakeError> {
    let (name, definition) = (&job.dataset.name, &job.step.version);
    let Some(range) = job.step.inputs.get(&silver.from).copied() else { return Ok(None) };
    let (here, suits) = match &*engine.aheads.lock() {
        Some(w) if w.dataset == *name => (true, w.definition == *definition && job.step.kind == StepKind::Refine),
        _ => (false, false),
    };
    if !here {
        return Ok(None);
    }
    let place = Place::Dataset(silver.from.clone());
    // Merged files have the rows of several versions.
    let whole = range.after >= 0 || engine.tables.rewritten(&place, range.upto).await? < 0;
    let versions: BTreeSet<i64> = if suits && job.step.watermark.is_none() && whole {
        let changes = engine.tables.changes(&place, range.after, range.upto).await?;
        changes.iter().filter(|c| !c.added.is_empty()).map(|c| c.version).collect()
    } else {
        BTreeSet::new()
    };
    let mut waiting = engine.aheads.lock();
    let Some(w) = waiting.as_mut().filter(|w| w.dataset == *name) else { return Ok(None) };
    let found: Vec<(i64, Vec<Refined>)> = w.parts.extract_if(..=range.upto, |_, _| true).collect();
    let complete = !versions.is_empty() && found.iter().map(|(v, _)| *v).eq(versions.iter().copied());
    let (outlet, parts) = (w.outlet.clone(), found.into_iter().flat_map(|(_, parts)| parts).collect::<Vec<_>>());
    if w.parts.is_empty() {
        *waiting = None;
    }
    if complete {
        return Ok(Some((outlet, parts)));
    }
    parts.iter().for_each(|part| outlet.discard(part));
    Ok(None)
}
