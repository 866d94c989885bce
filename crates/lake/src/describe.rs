//! What the lake holds of each dataset, for `show`.

use crate::{engine::LakeEngine, error::LakeError, table::Place};
use alluvium_model::DatasetName;
use alluvium_spec::Project;

/// One dataset's table as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInfo {
    pub name: DatasetName,
    /// `None`: no table yet.
    pub version: Option<i64>,
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    /// Rows that wait in the dataset's quarantine.
    pub quarantined: u64,
}

/// In the order of the datasets' dependencies.
pub async fn describe(engine: &LakeEngine, project: &Project) -> Result<Vec<DatasetInfo>, LakeError> {
    let mut all = Vec::new();
    for name in &project.order {
        let mut info = DatasetInfo { name: name.clone(), version: None, rows: 0, files: 0, bytes: 0, quarantined: 0 };
        if let Some(table) = engine.tables.open(&Place::Dataset(name.clone())).await? {
            let files = table.files()?;
            info.version = Some(table.version());
            info.rows = files.iter().map(|f| f.rows).sum();
            info.files = files.len() as u64;
            info.bytes = files.iter().filter_map(|f| u64::try_from(f.remove.size.unwrap_or(0)).ok()).sum();
        }
        if let Some(waiting) = engine.tables.open(&Place::Quarantine(name.clone())).await? {
            info.quarantined = waiting.rows()?;
        }
        all.push(info);
    }
    Ok(all)
}
