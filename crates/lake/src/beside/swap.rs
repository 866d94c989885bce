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
    ingest,
    lanes::{self, Shared},
    scan, session,
    stage::{StagedFile, Stager},
    table::{Place, Table},
    windows::{self, Touched},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use arrow::compute::filter_record_batch;
use std::sync::Arc;

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
    let stager = Arc::new(attempt.stager(engine, &place, schema.clone()));
    let step = job.step.key.clone();
    let progress = |done| report.signal(Signal::Progress { step: step.clone(), stage: "swap", done, total: 0 });
    staged.add = taken(engine, &side, &stager, &window.column, &touched, progress).await?;
    staged.rows_in = staged.add.iter().map(|f| f.rows).sum();
    let dir = engine.tables.dir(&place);
    let sources = staged.add.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
    staged.windows = windows::count(&session::bare(engine)?, Files::new(schema.clone(), &sources)?, window).await?;
    if let Some(live) = &live {
        curate::replace(engine, live, gold, &touched, &stager, &mut staged).await?;
        // Groups are of the inputs, whatever the table shows of them.
        let newest = live.newest().await?.filter(|info| info.version == job.step.version);
        staged.groups = newest.and_then(|info| info.groups).map(|g| (g, Vec::new()));
    }
    staged.read = live;
    attempt.commit(engine, job, staged).await
}

/// The rows of the windows, written again in the order of the windows: many small files become a few.
async fn taken(
    engine: &LakeEngine,
    side: &Table,
    stager: &Arc<Stager>,
    column: &str,
    touched: &Touched,
    progress: impl FnMut(u64),
) -> Result<Vec<StagedFile>, LakeError> {
    let sources = in_order(side)?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let (stager, column, touched) = (stager.clone(), column.to_owned(), touched.clone());
    let work = move |shared: &Shared| {
        let mut lane = stager.lane();
        for source in &sources {
            for unit in scan::units(std::slice::from_ref(source))? {
                let mut rows = 0;
                for batch in unit.read(stager.schema(), stager.meter())? {
                    let batch = batch?;
                    let inside = windows::inside(batch.column(batch.schema().index_of(&column)?), &touched)?;
                    lane.write(&filter_record_batch(&batch, &inside)?)?;
                    rows += inside.true_count() as u64;
                }
                shared.advance(rows)?;
            }
        }
        lane.finish()
    };
    Ok(lanes::run(1, work, progress).await?.pop().unwrap_or_default())
}

/// The files of the side table, by the beginning of their windows.
fn in_order(side: &Table) -> Result<Vec<scan::Source>, LakeError> {
    let mut files = side.files()?;
    let begins = |path: &str| path.split('/').next().and_then(|w| w.parse::<i64>().ok());
    files.sort_by(|a, b| (begins(&a.path), &a.path).cmp(&(begins(&b.path), &b.path)));
    files.iter().map(|f| f.source(&side.dir)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        maintain::fixture::{World, gives_way, ids},
        remote::faulty::without_copies,
    };
    use alluvium_model::Window;

    #[tokio::test]
    async fn writing_again_leaves_its_task_to_others_meanwhile() {
        let world = World::new();
        for n in 0..3 {
            world.append(&World::silver(), &format!("step{n}"), &ids(&[n, n + 10])).await;
        }
        let side = world.table(&World::silver()).await;
        let tables = &world.engine.tables;
        let stager = Arc::new(tables.stager(&World::silver(), "swapped".to_owned(), ids(&[]).schema()));
        let touched = touching(&[Window { from: 1, to: 11 }]);
        let mut told = 0;
        let again = taken(&world.engine, &side, &stager, "id", &touched, |done| told = done);
        let files = gives_way(&tables.meter, again).expect("written");
        assert_eq!(files.iter().map(|f| f.rows).collect::<Vec<_>>(), [3], "1, 2 and 10, in one file");
        assert_eq!(told, 3);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_in_an_object_store_come_together() {
        let (store, world) = without_copies(12).await;
        let side = world.table(&World::silver()).await;
        let stager = world.engine.tables.stager(&World::silver(), "swapped".to_owned(), ids(&[]).schema());
        let touched = touching(&[Window { from: 0, to: 1 }]);
        let files = taken(&world.engine, &side, &Arc::new(stager), "id", &touched, |_| ()).await.expect("written");
        assert_eq!(files.iter().map(|f| f.rows).sum::<u64>(), 1);
        assert!(store.down.most() > 1, "one after another");
    }
}
