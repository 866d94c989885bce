//! How old the newest event of a table is: of what is staged, and of what is published.

use super::{
    columns::unfit,
    found::{Found, Measured},
    pass::{self, Pass, Seen, Unfit},
};
use crate::{
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    scan::Source,
    table::{DataFile, Place},
};
use alluvium_model::DatasetName;
use alluvium_spec::{Freshness, Levels};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use jiff::Timestamp;
use std::{path::Path, sync::Arc};

pub(super) fn plan(of: &Freshness, schema: &Schema, pass: &mut Pass) -> Result<usize, Unfit> {
    pass::moment(schema, &of.column).map(|m| pass.ask(format!("max({m})")))
}

/// Data files, and how their columns are read.
pub(super) struct Stored<'a> {
    pub(super) schema: SchemaRef,
    pub(super) dir: &'a Path,
    pub(super) files: &'a [DataFile],
    /// Of rows that the table had before, too.
    pub(super) moved: &'a [Source],
}

/// The table's own files are asked only where the rows of the step are too old.
pub(super) async fn judge(
    engine: &LakeEngine,
    of: &Freshness,
    place: &Result<usize, Unfit>,
    seen: &Seen,
    stored: Stored<'_>,
    found: &mut Found,
) -> Result<(), LakeError> {
    let (rule, dimension) = (format!("accept:freshness({})", of.column), "timeliness");
    let place = match place {
        Ok(place) => *place,
        Err(why) => {
            let levels = Levels { error_above: of.error_after.map(|_| 0.0), ..Levels::default() };
            unfit(rule, dimension, &[levels], why, found);
            return Ok(());
        }
    };
    let now = engine.clock.now().as_microsecond();
    let mut newest = seen.moment(place, 0)?;
    if newest.is_none_or(|n| of.beyond(now - n).is_some()) {
        newest = newest.max(newest_of(engine, of, &stored).await?);
    }
    // Without the time it is now, so that the sentence is the same when the step is done once more.
    let note = match newest.and_then(|n| Timestamp::from_microsecond(n).ok()) {
        Some(at) => format!("the newest `{}` is {at:.0}", of.column),
        None => format!("no row has a `{}`", of.column),
    };
    let age = newest.map_or(i64::MAX, |n| now.saturating_sub(n));
    let told = of.beyond(age).map(|(after, is_error)| (is_error, format!("{note}, more than {after} ago")));
    let of = Measured { rule, dimension, checked: 1, violations: u64::from(told.is_some()), note, figure: None };
    found.say(of, told);
    Ok(())
}

/// By the statistics of the files, and read only where these cannot tell. A table that never had the column has no time.
pub(super) async fn newest_of(
    engine: &LakeEngine,
    of: &Freshness,
    stored: &Stored<'_>,
) -> Result<Option<i64>, LakeError> {
    let mut pass = Pass::default();
    let Ok(place) = plan(of, &stored.schema, &mut pass) else { return Ok(None) };
    let (known, unread) = by_statistics(of, stored);
    if unread.is_empty() && stored.moved.is_empty() {
        return Ok(known);
    }
    let unread = unread.iter().map(|f| f.source(stored.dir));
    let sources = unread.chain(stored.moved.iter().cloned().map(Ok)).collect::<Result<Vec<_>, _>>()?;
    let rows = Arc::new(Files::new(stored.schema.clone(), &sources)?);
    Ok(known.max(pass.look(engine, &rows, "").await?.moment(place, 0)?))
}

/// The newest time that is certain, and files that may have a newer one.
fn by_statistics<'a>(of: &Freshness, stored: &Stored<'a>) -> (Option<i64>, Vec<&'a DataFile>) {
    let is_time = |t: &DataType| matches!(t, DataType::Date32 | DataType::Timestamp(..));
    // The greatest of texts need not be the newest of times.
    let told = stored.schema.field_with_name(&of.column).is_ok_and(|f| is_time(f.data_type()));
    let (mut known, mut unsure) = (None, Vec::new());
    for file in stored.files {
        match file.newest(&of.column).filter(|_| told) {
            Some(newest) if file.vector.is_none() => known = known.max(newest),
            // Of a row that is gone, perhaps: no other of the file is newer.
            Some(newest) => unsure.push((newest.unwrap_or(i64::MIN), file)),
            None => unsure.push((i64::MAX, file)),
        }
    }
    let may = |(newest, _): &(i64, &DataFile)| known.is_none_or(|k| *newest > k);
    let unread = unsure.into_iter().filter(may).map(|(_, file)| file).collect();
    (known, unread)
}

/// The newest event time of what is published; `None`: there is no table, or no row that has one.
pub(crate) async fn newest(
    engine: &LakeEngine,
    dataset: &DatasetName,
    of: &Freshness,
) -> Result<Option<Timestamp>, LakeError> {
    let Some(table) = engine.tables.open(&Place::Dataset(dataset.clone())).await? else { return Ok(None) };
    let stored = Stored { schema: table.schema()?, dir: &table.dir, files: &table.files()?, moved: &[] };
    let newest = newest_of(engine, of, &stored).await?;
    Ok(newest.and_then(|n| Timestamp::from_microsecond(n).ok()))
}
