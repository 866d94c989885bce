//! Definition versions: which ones a dataset had, and which one made its newest rows.
//!
//! Called by `store.rs` and `finish.rs` of this folder, inside a transaction.

use super::codec::{Cells, json, micros};
use crate::{StoreError, VersionRecord};
use alluvium_model::{DatasetName, DefinitionVersion};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

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

/// In this order: the last version of a dataset stays the active one.
pub(super) async fn activate(conn: &mut SqliteConnection, order: &[Activation]) -> Result<(), StoreError> {
    let last: BTreeMap<&str, &str> = order.iter().map(|a| (a.dataset.as_str(), a.version.as_str())).collect();
    let mut first: BTreeMap<(&str, &str), &Activation> = BTreeMap::new();
    for a in order {
        first.entry((&a.dataset, &a.version)).or_insert(a);
    }
    sqlx::query(
        "INSERT INTO versions (dataset, version, first_seen, active)
         SELECT value ->> 'dataset', value ->> 'version', value ->> 'seen', 0 FROM json_each(?) WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(json(&first.into_values().collect::<Vec<_>>()))
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE versions SET active = (versions.version = j.value) FROM json_each(?) AS j
         WHERE versions.dataset = j.key AND versions.active <> (versions.version = j.value)",
    )
    .bind(json(&last))
    .execute(conn)
    .await?;
    Ok(())
}

/// By dataset, then by when the version was first seen.
pub(super) async fn all(conn: &mut SqliteConnection) -> Result<Vec<VersionRecord>, StoreError> {
    let rows =
        sqlx::query("SELECT dataset, version, first_seen, active FROM versions ORDER BY dataset, first_seen, version")
            .fetch_all(conn)
            .await?;
    let record = |row| {
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
