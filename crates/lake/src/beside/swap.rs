//! A backfill takes its place: the rows of its windows replace those of the live table, in one commit.
//!
//! Called by the engine. Fenced twice: by the version of the live table that the backfill was checked against, and by the
//! snapshot that the commit is made on.

use super::ranges::{gold_of, touching, window_of};
use crate::{
    commit::{Attempt, Staged},
    curate,
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    ingest, scan, session,
    table::{Place, Table},
    windows::{self, Touched},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use arrow::compute::filter_record_batch;

pub(crate) async fn swap(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    report: &dyn Report,
) -> Result<Outcome, LakeError> {
    let (gold, name) = (gold_of(job)?, &job.dataset.name);
    let window = window_of(gold)?;
    let place = Place::Dataset(name.clone());
    let side = engine.tables.open(&Place::Beside(name.clone(), job.step.run.clone())).await?;
    let side = side.ok_or(LakeError::Worker("what a backfill made is there until it is swapped"))?;
    let live = engine.tables.open(&place).await?;
    let before = job.step.lookups.get(name).copied().unwrap_or(-1);
    let newer = match &live {
        Some(live) => live.newest_after(before).await?,
        None => None,
    };
    // Files may have been merged since; rows may not have changed.
    if newer.is_some() {
        return Err(LakeError::Moved { dataset: name.clone() });
    }
    let touched = match &job.step.windows {
        Some(windows) => touching(windows),
        None => Touched::All,
    };
    let schema = ingest::plain_schema(side.schema()?.as_ref());
    let mut staged = Staged::new(schema.clone());
    staged.evolved = curate::replaced_schema(live.as_ref(), &schema)?;
    let stager = attempt.stager(engine, &place, schema.clone());
    // Written again, in the order of the windows: many small files become a few.
    let mut lane = stager.lane();
    let mut done = 0;
    let sources = in_order(&side)?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    for unit in scan::units(&sources)? {
        for batch in unit.read(&schema, &engine.tables.meter)? {
            let batch = batch?;
            let inside = windows::inside(batch.column(batch.schema().index_of(&window.column)?), &touched)?;
            lane.write(&filter_record_batch(&batch, &inside)?)?;
            done += inside.true_count() as u64;
        }
        report.signal(Signal::Progress { step: job.step.key.clone(), stage: "swap", done, total: 0 });
    }
    staged.add = lane.finish()?;
    let dir = engine.tables.dir(&place);
    let sources = staged.add.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
    staged.windows = windows::count(&session::bare(engine)?, Files::new(schema.clone(), &sources)?, window).await?;
    if let Some(live) = &live {
        curate::replace(engine, live, gold, &touched, &stager, &mut staged)?;
        // Groups are of the inputs, whatever the table shows of them.
        let newest = live.newest().await?.filter(|info| info.version == job.step.version);
        staged.groups = newest.and_then(|info| info.groups).map(|g| (g, Vec::new()));
    }
    staged.rows_in = done;
    staged.read = live;
    attempt.commit(engine, job, staged).await
}

/// The files of the side table, by the beginning of their windows.
fn in_order(side: &Table) -> Result<Vec<scan::Source>, LakeError> {
    let mut files = side.files()?;
    let begins = |path: &str| path.split('/').next().and_then(|w| w.parse::<i64>().ok());
    files.sort_by(|a, b| (begins(&a.path), &a.path).cmp(&(begins(&b.path), &b.path)));
    files.iter().map(|f| f.source(&side.dir)).collect()
}
