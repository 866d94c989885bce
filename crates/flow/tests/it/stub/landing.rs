//! A landing zone whose files are sizes.

use super::faults::Told;
use alluvium_flow::{Arrival, Landing, Look, Refused, StepError};
use alluvium_spec::Dataset;
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Mutex};

#[derive(Default)]
pub struct StubLanding {
    pub(super) files: Mutex<Vec<Arrival>>,
    pub(super) refused: Mutex<Vec<Refused>>,
    pub(super) state: Mutex<Folder>,
}

#[derive(Debug, Clone, Copy, Default)]
pub enum Folder {
    #[default]
    Readable,
    Unreadable,
    /// Looking at it never ends.
    Hanging,
}

#[async_trait]
impl Landing for StubLanding {
    async fn lay_down(&self, _: &Dataset, _: &[String]) -> Result<Arrival, StepError> {
        unreachable!("the stub's datasets have files")
    }

    async fn find(&self, _: &Dataset, path: &str) -> Result<Option<Arrival>, StepError> {
        let all = self.files.lock().expect("no holder panics");
        Ok(all.iter().rev().find(|a| a.path == path).cloned())
    }

    async fn lacks(&self, _: &Dataset, paths: Vec<String>) -> Result<Option<String>, StepError> {
        let all = self.files.lock().expect("no holder panics");
        Ok(paths.into_iter().find(|path| !all.iter().any(|a| a.path == *path)))
    }

    async fn look(
        &self,
        _: &Dataset,
        known: &BTreeMap<String, (u64, i64)>,
        _: Option<&str>,
    ) -> Result<Look, StepError> {
        let state = *self.state.lock().expect("no holder panics");
        match state {
            Folder::Readable => {}
            Folder::Unreadable => return Err(StepError::new(Told)),
            Folder::Hanging => std::future::pending().await,
        }
        let all = self.files.lock().expect("no holder panics");
        let arrivals = all.iter().filter(|a| !known.contains_key(&a.path)).cloned().collect();
        let refused = self.refused.lock().expect("no holder panics").clone();
        Ok(Look { arrivals, refused, ..Look::default() })
    }
}
