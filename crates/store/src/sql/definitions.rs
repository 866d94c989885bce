//! Definitions under which steps were planned: which files made them, and the text of each, once.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{
    Arg, Session,
    codec::{Cells, json, micros},
};
use crate::StoreError;
use alluvium_model::{ContentHash, DatasetName, DefinitionVersion};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Of these, those that are not kept.
pub(super) async fn missing(
    tx: &mut Session<'_>,
    of: &[(DatasetName, DefinitionVersion)],
) -> Result<Vec<(DatasetName, DefinitionVersion)>, StoreError> {
    let asked: Vec<_> = of.iter().map(|(dataset, version)| (dataset.to_string(), version.as_str())).collect();
    let sql = "SELECT j.value ->> 0 AS dataset, j.value ->> 1 AS version FROM json_each($1) AS j
               WHERE NOT EXISTS (SELECT 1 FROM definitions AS d
                                 WHERE d.dataset = j.value ->> 0 AND d.version = j.value ->> 1)";
    let rows = tx.rows(sql, &[Arg::list(&asked)]).await?;
    let pair =
        |cells: Cells<'_>| Ok((cells.dataset("dataset")?, DefinitionVersion::from_stored(cells.text("version")?)));
    rows.iter().map(Cells).map(pair).collect()
}

pub(super) async fn keep(
    tx: &mut Session<'_>,
    of: &[(DatasetName, DefinitionVersion)],
    files: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut contents: BTreeMap<&str, ContentHash> = BTreeMap::new();
    for (path, text) in files {
        contents.insert(path, keep_text(tx, text).await?);
    }
    let list = keep_text(tx, &json(&contents)).await?;
    let rows: Vec<_> = of.iter().map(|(dataset, version)| (dataset.to_string(), version.as_str())).collect();
    let sql = "INSERT INTO definitions (dataset, version, files, kept_at)
               SELECT value ->> 0, value ->> 1, $2, $3 FROM json_each($1) WHERE true ON CONFLICT DO NOTHING";
    tx.execute(sql, &[Arg::list(&rows), list.as_str().into(), micros(now).into()]).await?;
    Ok(())
}

async fn keep_text(tx: &mut Session<'_>, text: &str) -> Result<ContentHash, StoreError> {
    let content = ContentHash::of(text.as_bytes());
    let sql = "SELECT content FROM definition_files WHERE content = $1";
    // One that is there need not be sent.
    if tx.row(sql, &[content.as_str().into()]).await?.is_none() {
        let sql = "INSERT INTO definition_files (content, text) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[content.as_str().into(), text.into()]).await?;
    }
    Ok(content)
}

/// Texts by their paths.
pub(super) async fn read(
    tx: &mut Session<'_>,
    dataset: &DatasetName,
    version: &DefinitionVersion,
) -> Result<Option<BTreeMap<String, String>>, StoreError> {
    let sql = "SELECT f.text AS list FROM definitions AS d JOIN definition_files AS f ON f.content = d.files
               WHERE d.dataset = $1 AND d.version = $2";
    let Some(row) = tx.row(sql, &[dataset.to_string().into(), version.as_str().into()]).await? else {
        return Ok(None);
    };
    let contents: BTreeMap<String, ContentHash> = Cells(&row).json("list")?;
    let sql = "SELECT content, text FROM definition_files WHERE content IN (SELECT value ->> 0 FROM json_each($1))";
    let rows = tx.rows(sql, &[Arg::column(contents.values().map(ContentHash::as_str))]).await?;
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for cells in rows.iter().map(Cells) {
        texts.insert(cells.text("content")?, cells.text("text")?);
    }
    let file = |(path, content): (String, ContentHash)| match texts.get(content.as_str()) {
        Some(text) => Ok((path, text.clone())),
        None => Err(StoreError::unknown("file of a definition", content)),
    };
    contents.into_iter().map(file).collect::<Result<_, _>>().map(Some)
}
