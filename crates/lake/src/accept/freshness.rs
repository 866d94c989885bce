//! How old the newest event of a table is: of what is staged, and of what is published.

use super::{
    columns::unfit,
    found::{Found, Measured},
    pass::{self, Pass, Seen, Unfit},
};
use crate::{engine::LakeEngine, error::LakeError, files::Files, session, table::Place};
use alluvium_model::DatasetName;
use alluvium_spec::{Freshness, Levels};
use arrow::datatypes::Schema;
use datafusion::catalog::TableProvider as _;
use jiff::Timestamp;
use std::sync::Arc;

pub(super) fn plan(of: &Freshness, schema: &Schema, pass: &mut Pass) -> Result<usize, Unfit> {
    pass::moment(schema, &of.column).map(|m| pass.ask(format!("max({m})")))
}

/// `table` gives the rows that the table would have, which are read only where those of the step are too old.
pub(super) async fn judge(
    engine: &LakeEngine,
    of: &Freshness,
    place: &Result<usize, Unfit>,
    seen: &Seen,
    table: impl FnOnce() -> Result<Arc<Files>, LakeError>,
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
        let rows = table()?;
        newest = newest_of(engine, of, &rows).await?;
    }
    // Without the time it is now, so that the sentence is the same when the step is done once more.
    let note = match newest.and_then(|n| Timestamp::from_microsecond(n).ok()) {
        Some(at) => format!("the newest `{}` is {at:.0}", of.column),
        None => format!("no row has a `{}`", of.column),
    };
    let age = newest.map_or(i64::MAX, |n| now.saturating_sub(n));
    let told = of.beyond(age).map(|(after, is_error)| (is_error, format!("{note}, more than {after} ago")));
    let of = Measured { rule, dimension, checked: 1, violations: u64::from(told.is_some()), note };
    found.say(of, told);
    Ok(())
}

/// A table that never had the column has no time.
async fn newest_of(engine: &LakeEngine, of: &Freshness, rows: &Arc<Files>) -> Result<Option<i64>, LakeError> {
    let mut pass = Pass::default();
    match plan(of, &rows.schema(), &mut pass) {
        Ok(place) => Ok(pass.look(engine, rows, "").await?.moment(place, 0)?),
        Err(_) => Ok(None),
    }
}

/// The newest event time of what is published; `None`: there is no table, or no row that has one.
pub(crate) async fn newest(
    engine: &LakeEngine,
    dataset: &DatasetName,
    of: &Freshness,
) -> Result<Option<Timestamp>, LakeError> {
    let Some(table) = engine.tables.open(&Place::Dataset(dataset.clone())).await? else { return Ok(None) };
    let rows = Arc::new(session::provider(&table)?);
    let newest = newest_of(engine, of, &rows).await?;
    Ok(newest.and_then(|n| Timestamp::from_microsecond(n).ok()))
}
