//! Which lake the state belongs to: the first one that it was used with.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{Session, codec::Cells};
use crate::StoreError;

pub(super) async fn lake(tx: &mut Session<'_>) -> Result<Option<String>, StoreError> {
    let row = tx.row("SELECT id FROM lake", &[]).await?;
    row.as_ref().map(|row| Cells(row).text("id")).transpose()
}

/// The one that it belongs to now.
pub(super) async fn belong(tx: &mut Session<'_>, id: &str) -> Result<String, StoreError> {
    let sql = "INSERT INTO lake (one, id) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET id = lake.id RETURNING id";
    let rows = tx.rows(sql, &[id.into()]).await?;
    rows.first().map_or_else(|| Ok(id.to_owned()), |row| Cells(row).text("id"))
}
