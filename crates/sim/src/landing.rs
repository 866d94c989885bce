//! Landing folders made of memory.

use crate::{
    executor::Sim,
    fault::{Odds, Rejected, way},
    pushed,
};
use alluvium_flow::{Arrival, Landing, Look, StepError};
use alluvium_model::{ContentHash, DatasetName};
use alluvium_spec::Dataset;
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

/// What lies where, for all processes.
#[derive(Default)]
pub(crate) struct Folders {
    files: Mutex<BTreeMap<DatasetName, Vec<Arrival>>>,
    healed: AtomicBool,
}

impl Folders {
    /// A file of so many records. The same content gives the same records.
    pub(crate) fn put(&self, dataset: &DatasetName, path: &str, content: &str, records: u64) {
        let content = ContentHash::from_stored(content);
        let arrival = Arrival { path: path.to_owned(), bytes: records, modified_nanos: 1, content };
        self.files.lock().expect("no holder of this lock panics").entry(dataset.clone()).or_default().push(arrival);
    }

    /// What could not be read can be from now on, and is what it was.
    pub(crate) fn heal(&self) {
        self.healed.store(true, SeqCst);
    }

    pub(crate) fn are_healed(&self) -> bool {
        self.healed.load(SeqCst)
    }
}

pub(crate) struct SimLanding {
    pub(crate) folders: Arc<Folders>,
    pub(crate) sim: Sim,
    pub(crate) odds: Option<Odds>,
}

#[async_trait]
impl Landing for SimLanding {
    async fn lay_down(&self, dataset: &Dataset, records: &[String]) -> Result<Arrival, StepError> {
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.reject * 4)) {
            return Err(StepError::new(Rejected));
        }
        Ok(pushed::laid_down(&self.folders, &dataset.name, records))
    }

    async fn find(&self, dataset: &Dataset, path: &str) -> Result<Option<Arrival>, StepError> {
        let folders = self.folders.files.lock().expect("no holder of this lock panics");
        let all = folders.get(&dataset.name).map_or(&[][..], Vec::as_slice);
        Ok(all.iter().find(|a| a.path == path).cloned())
    }

    async fn lacks(&self, dataset: &Dataset, paths: Vec<String>) -> Result<Option<String>, StepError> {
        let folders = self.folders.files.lock().expect("no holder of this lock panics");
        let all = folders.get(&dataset.name).map_or(&[][..], Vec::as_slice);
        Ok(paths.into_iter().find(|path| !all.iter().any(|a| a.path == *path)))
    }

    async fn look(
        &self,
        dataset: &Dataset,
        known: &BTreeMap<String, (u64, i64)>,
        _: Option<&str>,
    ) -> Result<Look, StepError> {
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.reject * 4)) {
            return Err(StepError::new(Rejected));
        }
        let folders = self.folders.files.lock().expect("no holder of this lock panics");
        let all = folders.get(&dataset.name).map_or(&[][..], Vec::as_slice);
        let arrivals = all.iter().filter(|a| !known.contains_key(&a.path)).cloned().collect();
        Ok(Look { arrivals, ..Look::default() })
    }
}
