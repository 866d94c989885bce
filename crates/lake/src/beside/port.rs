//! What flow asks of tables beside live ones.

use super::{compare, survey};
use crate::{engine::LakeEngine, error::LakeError};
use alluvium_flow::{Beside, Compared, Extent, StepError, Windowed};
use alluvium_model::{DatasetName, RunId, Window};
use alluvium_store::Claimed;
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

#[async_trait]
impl Beside for LakeEngine {
    async fn survey(
        &self,
        of: Windowed<'_>,
        inputs: &BTreeMap<DatasetName, i64>,
        windows: &[Window],
    ) -> Result<Vec<Extent>, StepError> {
        survey::survey(self, of, inputs, windows).await.map_err(StepError::new)
    }

    async fn touched(
        &self,
        of: Windowed<'_>,
        changes: &BTreeMap<DatasetName, Claimed>,
        windows: &[Window],
    ) -> Result<Vec<bool>, StepError> {
        survey::touched(self, of, changes, windows).await.map_err(StepError::new)
    }

    async fn covers(
        &self,
        of: Windowed<'_>,
        inputs: &BTreeMap<DatasetName, i64>,
        range: Window,
    ) -> Result<bool, StepError> {
        survey::covers(self, of, inputs, range).await.map_err(StepError::new)
    }

    async fn compare(&self, of: Windowed<'_>, id: &RunId, windows: &[Window]) -> Result<Vec<Compared>, StepError> {
        compare::compare(self, of, id, windows).await.map_err(StepError::new)
    }

    async fn made(&self, dataset: &DatasetName) -> Result<Vec<RunId>, StepError> {
        let dir = self.tables.besides(dataset);
        let mut made = BTreeSet::new();
        if let Some(remote) = self.tables.disk.remote() {
            for object in remote.list(&dir).await.map_err(StepError::new)? {
                made.extend(object.name.split_once('/').map(|(id, _)| id.to_owned()));
            }
        }
        match std::fs::read_dir(&dir) {
            Ok(entries) => {
                for entry in entries {
                    let entry = entry.map_err(|e| StepError::new(LakeError::io(&dir)(e)))?;
                    made.extend(entry.file_name().into_string());
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(StepError::new(LakeError::io(dir)(e))),
        }
        Ok(made.into_iter().map(RunId::from_stored).collect())
    }

    async fn remove(&self, dataset: &DatasetName, id: &RunId) -> Result<(), StepError> {
        let all = self.tables.besides(dataset);
        let dir = all.join(id.as_str());
        if let Some(remote) = self.tables.disk.remote() {
            for object in remote.list(&dir).await.map_err(StepError::new)? {
                remote.remove(&dir.join(&object.name)).await.map_err(StepError::new)?;
            }
        }
        match std::fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(StepError::new(LakeError::io(dir)(e))),
            Ok(()) | Err(_) => {}
        }
        // The last one leaves no empty folder behind; that of another one stays.
        let _ = std::fs::remove_dir(&all);
        Ok(())
    }
}
