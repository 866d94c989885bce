//! What flow asks of tables beside live ones.

use super::{compare, survey};
use crate::{engine::LakeEngine, error::LakeError};
use alluvium_flow::{Beside, Compared, Extent, StepError, Windowed};
use alluvium_model::{DatasetName, RunId, Window};
use alluvium_store::Claimed;
use async_trait::async_trait;
use std::{collections::BTreeMap, io};

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

    async fn remove(&self, dataset: &DatasetName) -> Result<bool, StepError> {
        let dir = self.tables.besides(dataset);
        let mut removed = false;
        if let Some(remote) = self.tables.disk.remote() {
            for object in remote.list(&dir).await.map_err(StepError::new)? {
                remote.remove(&dir.join(&object.name)).await.map_err(StepError::new)?;
                removed = true;
            }
        }
        match std::fs::remove_dir_all(&dir) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(removed),
            Err(e) => Err(StepError::new(LakeError::io(dir)(e))),
        }
    }
}
