//! All criteria that look at rows, or at what the table was before: asked together, judged one after the other.

use super::{
    before, columns, distribution,
    found::Found,
    freshness::{self, Stored},
    parts,
    pass::Pass,
    totals, volume,
};
use crate::{
    commit::Staged,
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    stage::StagedFile,
    table::{DataFile, Place, Table},
};
use alluvium_flow::Job;
use alluvium_spec::Accept;
use alluvium_store::StepKind;
use std::sync::Arc;

/// The table as it was, with the files of it that stay.
pub(crate) async fn measures(
    engine: &LakeEngine,
    job: &Job<'_>,
    (table, stored): (Option<&Table>, &[DataFile]),
    staged: &Staged,
    found: &mut Found,
) -> Result<(), LakeError> {
    let accept = &job.dataset.accept;
    // What is made anew, or once more, is no measure of what arrives.
    let arrives = matches!(job.step.kind, StepKind::Ingest | StepKind::Refine | StepKind::Curate);
    let (made, moved) = staged.made_and_moved();
    let rows = |files: &[StagedFile]| files.iter().map(StagedFile::live).sum::<u64>();
    if let (Some(volume), Some(table), true) = (accept.volume, table, arrives) {
        // The log, too, has what only moved.
        volume::judge(volume, table, rows(&staged.add), found).await?;
    }
    let reads = !(accept.columns.is_empty() && accept.by.is_empty() && accept.distribution.is_empty());
    if !reads && accept.freshness.is_none() && accept.totals.is_none() {
        return Ok(());
    }
    let dir = engine.tables.dir(&Place::Dataset(job.dataset.name.clone()));
    let sources = |files: &[StagedFile]| files.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>();
    let files = Arc::new(Files::new(staged.schema.clone(), &sources(made)?)?);
    if let (Some(levels), StepKind::Ingest) = (accept.totals, job.step.kind) {
        totals::judge(engine, job, staged, levels, &files, found).await?;
    }
    // Of no row nothing can be told; rows of a replay were invalid before, and are few.
    if rows(made) == 0 || job.step.kind == StepKind::ReplayQuarantine {
        return Ok(());
    }
    let history = match table.zip(longest(accept)).filter(|_| arrives) {
        Some((table, most)) => before::figures(table, most).await?,
        None => Vec::new(),
    };
    let mut pass = Pass::default();
    pass.ask("count(*)".to_owned());
    let figures = (!accept.columns.is_empty()).then(|| columns::plan(&accept.columns, &staged.schema, &mut pass));
    let before = table.filter(|_| arrives && !accept.distribution.is_empty());
    let shapes = before.map(|t| (t, distribution::plan(&accept.distribution, &staged.schema, &mut pass)));
    let fresh = accept.freshness.as_ref().filter(|_| arrives);
    let fresh = fresh.map(|f| (f, freshness::plan(f, &staged.schema, &mut pass)));
    if figures.is_some() || shapes.is_some() || fresh.is_some() {
        let seen = pass.look(engine, &files, "").await?;
        if let Some(figures) = figures {
            figures.judge(&seen, &history, found)?;
        }
        if let Some((table, shapes)) = shapes {
            distribution::judge(engine, table, &shapes, &seen, found).await?;
        }
        if let Some((of, place)) = fresh {
            let moved = sources(moved)?;
            let stored = Stored { schema: staged.schema.clone(), dir: &dir, files: stored, moved: &moved };
            freshness::judge(engine, of, &place, &seen, stored, found).await?;
        }
    }
    for parts in &accept.by {
        parts::judge(engine, parts, &staged.schema, &files, &history, found).await?;
    }
    if !arrives {
        found.figures.clear();
    }
    Ok(())
}

/// So many commits at most are what something is compared with.
fn longest(accept: &Accept) -> Option<u64> {
    let parts = accept.by.iter().flat_map(|p| p.columns.iter().map(|c| c.of_last).chain([p.rows_of_last]));
    accept.columns.iter().map(|c| c.of_last).chain(parts).flatten().max()
}
