//! What the inputs say of windows: how much lies in each, and which of them a change touches.

use super::ranges::window_of;
use crate::{
    engine::LakeEngine,
    error::LakeError,
    query, session,
    table::Place,
    windows::{self, Touched},
};
use alluvium_flow::{Extent, Windowed};
use alluvium_model::{DatasetName, Window};
use alluvium_store::Claimed;
use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use datafusion::{
    logical_expr::{ident, not},
    prelude::SessionContext,
};
use futures::StreamExt;
use std::{collections::BTreeMap, io};

/// Reads only: makes no folder in the lake.
async fn over(engine: &LakeEngine, inputs: &BTreeMap<DatasetName, i64>) -> Result<SessionContext, LakeError> {
    let session = session::reading(engine)?;
    session::register_inputs(engine, &session, inputs).await?;
    Ok(session)
}

pub(super) async fn survey(
    engine: &LakeEngine,
    of: Windowed<'_>,
    inputs: &BTreeMap<DatasetName, i64>,
    windows: &[Window],
) -> Result<Vec<Extent>, LakeError> {
    let session = over(engine, inputs).await?;
    let plan = session.sql_with_options(&of.gold.sql, query::read_only()).await?.logical_plan().clone();
    let (driver, expression) = windows::source(&plan, &of.dataset.name, &window_of(of.gold)?.column)?;
    let table = engine.tables.open_at(&Place::Dataset(driver.clone()), inputs.get(&driver).copied()).await?;
    let table = table.ok_or(LakeError::Worker("the input of a planned step has a table"))?;
    let files = table.files()?;
    let (rows, bytes) = files.iter().fold((0, 0), |(rows, bytes), f| (rows + f.rows, bytes + f.bytes));
    let mut counts = vec![0_u64; windows.len()];
    let table = session.table(format!("{}.{}", driver.layer(), driver.name())).await?;
    let mut found = table.select(vec![expression.alias("w")])?.execute_stream().await?;
    while let Some(batch) = found.next().await {
        let micros = windows::micros(batch?.column(0))?;
        for micros in micros.as_primitive::<TimestampMicrosecondType>().iter().flatten() {
            if let Some(i) = windows::index_of(windows, micros) {
                counts[i] += 1;
            }
        }
    }
    let share = |n: u64| (u128::from(bytes) * u128::from(n)).checked_div(u128::from(rows)).unwrap_or(0);
    let extent = |n: u64| Extent { rows: n, bytes: u64::try_from(share(n)).unwrap_or(u64::MAX) };
    Ok(counts.into_iter().map(extent).collect())
}

pub(super) async fn touched(
    engine: &LakeEngine,
    of: Windowed<'_>,
    changes: &BTreeMap<DatasetName, Claimed>,
    windows: &[Window],
) -> Result<Vec<bool>, LakeError> {
    let upto = changes.iter().map(|(input, range)| (input.clone(), range.upto)).collect();
    let session = over(engine, &upto).await?;
    let window = window_of(of.gold)?;
    match windows::touched(engine, &session, &of.dataset.name, changes, of.gold, window).await {
        Ok(Touched::Windows { ranges, .. }) => {
            let meets = |w: &Window| ranges.iter().any(|r| r.from < w.to && w.from < r.to);
            Ok(windows.iter().map(meets).collect())
        }
        // What was there before is not told any more, or its files are gone.
        Ok(Touched::All) | Err(LakeError::LogGone { .. }) => Ok(vec![true; windows.len()]),
        Err(LakeError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(vec![true; windows.len()]),
        Err(error) => Err(error),
    }
}

pub(super) async fn covers(
    engine: &LakeEngine,
    of: Windowed<'_>,
    inputs: &BTreeMap<DatasetName, i64>,
    range: Window,
) -> Result<bool, LakeError> {
    let session = over(engine, inputs).await?;
    let result = session.sql_with_options(&of.gold.sql, query::read_only()).await?;
    let column = &window_of(of.gold)?.column;
    let kind = result.schema().field_with_unqualified_name(column)?.data_type().clone();
    let outside = not(windows::filter(column, &kind, &[range], false)).or(ident(column).is_null());
    Ok(result.filter(outside)?.limit(0, Some(1))?.count().await? == 0)
}
