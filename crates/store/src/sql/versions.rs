//! Definition versions: which ones a dataset had, and which one made its newest rows.
//!
//! Called by `store.rs` and `finish.rs` of this folder, inside a transaction.

use super::{
    Arg, Row, Session,
    codec::{Cells, micros},
};
use crate::{StoreError, VersionRecord};
use alluvium_model::{DatasetName, DefinitionVersion};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A version that becomes its dataset's active one.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Activation {
    pub(super) dataset: String,
    pub(super) version: String,
    /// Microseconds; kept only where the version was not seen before.
    pub(super) seen: i64,
}

impl Activation {
    pub(super) fn new(dataset: &DatasetName, version: &DefinitionVersion, seen: Timestamp) -> Self {
        Self { dataset: dataset.to_string(), version: version.as_str().to_owned(), seen: micros(seen) }
    }
}

/// Of one dataset, which nobody else changes meanwhile.
pub(super) async fn activate_one(tx: &mut Session<'_>, activation: Activation) -> Result<(), StoreError> {
    tx.take_datasets([&activation.dataset]).await?;
    activate(tx, &[activation]).await
}

/// Only of datasets that have no active version.
pub(super) async fn activate_first(tx: &mut Session<'_>, mut order: Vec<Activation>) -> Result<(), StoreError> {
    if order.is_empty() {
        return Ok(());
    }
    let sql = "SELECT dataset FROM versions WHERE active = 1 AND dataset IN (SELECT value ->> 0 FROM json_each($1))";
    let rows = tx.rows(sql, &[Arg::column(order.iter().map(|a| &a.dataset))]).await?;
    let active: BTreeSet<String> = rows.iter().map(|row| Cells(row).text("dataset")).collect::<Result<_, _>>()?;
    order.retain(|a| !active.contains(&a.dataset));
    activate(tx, &order).await
}

/// In this order: the last version of a dataset stays the active one.
pub(super) async fn activate(tx: &mut Session<'_>, order: &[Activation]) -> Result<(), StoreError> {
    let last: BTreeMap<&str, &str> = order.iter().map(|a| (a.dataset.as_str(), a.version.as_str())).collect();
    let mut first: BTreeMap<(&str, &str), &Activation> = BTreeMap::new();
    for a in order {
        first.entry((&a.dataset, &a.version)).or_insert(a);
    }
    tx.execute(
        "INSERT INTO versions (dataset, version, first_seen, active)
         SELECT value ->> 'dataset', value ->> 'version', CAST(value ->> 'seen' AS BIGINT), 0 FROM json_each($1) WHERE true
         ON CONFLICT DO NOTHING",
        &[Arg::list(&first.into_values().collect::<Vec<_>>())],
    )
    .await?;
    tx.execute(
        "UPDATE versions SET active = CASE WHEN versions.version = j.value ->> 1 THEN 1 ELSE 0 END
         FROM json_each($1) AS j WHERE versions.dataset = j.value ->> 0
             AND versions.active <> CASE WHEN versions.version = j.value ->> 1 THEN 1 ELSE 0 END",
        &[Arg::list(&last.into_iter().collect::<Vec<_>>())],
    )
    .await?;
    Ok(())
}

/// By dataset, then by when the version was first seen.
pub(super) async fn all(tx: &mut Session<'_>) -> Result<Vec<VersionRecord>, StoreError> {
    let sql = "SELECT dataset, version, first_seen, active FROM versions ORDER BY dataset, first_seen, version";
    let rows = tx.rows(sql, &[]).await?;
    let record = |row: &Row| {
        let cells = Cells(row);
        Ok(VersionRecord {
            dataset: cells.dataset("dataset")?,
            version: DefinitionVersion::from_stored(cells.text("version")?),
            first_seen: cells.time("first_seen")?,
            active: cells.integer("active")? != 0,
        })
    };
    rows.iter().map(record).collect()
}
