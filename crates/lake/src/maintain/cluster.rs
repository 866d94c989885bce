//! Rows in the order of the columns that people look for them by, so that files and row groups have narrow bounds.
//!
//! Called by `compact.rs` for the files that it merges anyway. What one merge wrote is a run: files that follow each other
//! in that order. Runs are merged as small files are, smallest first, and so seldom; never for the order's sake alone.

use crate::{
    curate,
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    scan::Source,
    session,
    stage::{StagedFile, Stager},
    table::DataFile,
};
use datafusion::logical_expr::ident;
use std::{collections::BTreeMap, sync::Arc};

/// How the names of a run's files begin.
pub(super) const PREFIX: &str = "clustered-";
/// Runs below this are merged with others: as many as are read at once make a full one.
pub(super) const SMALL_BYTES: u64 = 512 << 20;
/// A run's files are closed at about this size: the smaller, the fewer rows are read for one value.
pub(super) const FILE_BYTES: u64 = 32 << 20;

/// All rows of the sources in order, nulls first. Holds what the memory limit of queries allows; the rest spills.
pub(super) async fn sorted(
    engine: &LakeEngine,
    stager: &Stager,
    sources: &[Source],
    columns: &[String],
) -> Result<Vec<StagedFile>, LakeError> {
    let files = Files::new(stager.schema().clone(), sources)?;
    let order = columns.iter().map(|c| ident(c).sort(true, true)).collect();
    let rows = session::bare(engine)?.read_table(Arc::new(files))?.sort(order)?;
    curate::stage(rows, stager, |_| ()).await
}

/// The files by run; a file that no such merge wrote is one for itself.
pub(super) fn runs(files: &[DataFile]) -> Vec<Vec<usize>> {
    let mut runs: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        let name = file.path.rsplit_once('-').filter(|_| file.path.starts_with(PREFIX));
        runs.entry(name.map_or(file.path.as_str(), |(run, _)| run)).or_default().push(at);
    }
    runs.into_values().collect()
}
