//! What is made from a dataset, when somebody else has committed to it: whether there is something to do.
//!
//! Called by the server, for commits that it did not make itself. It plans nothing.

use crate::{
    Flow, FlowError,
    drain::{is_live, needs},
};
use alluvium_model::DatasetName;
use std::collections::BTreeMap;

impl Flow<'_> {
    /// Datasets that need this one, and that have input which no step of theirs took, or an open step: whoever planned that may be
    /// gone. `committed` is the newest version of each table.
    ///
    /// # Errors
    /// When the state store fails.
    pub async fn behind(
        &self,
        name: &DatasetName,
        committed: &BTreeMap<DatasetName, i64>,
    ) -> Result<Vec<DatasetName>, FlowError> {
        let mut behind = Vec::new();
        let open = self.store.open_steps().await?;
        let all = self.project.datasets.values();
        for dataset in all.filter(|d| needs(self.project, d).any(|n| n == *name)) {
            let positions = self.store.positions(&dataset.name).await?;
            let position = |input: &DatasetName| positions.get(input).copied().unwrap_or(-1);
            let has_input = dataset.consumes().iter().any(|i| committed.get(i).is_some_and(|v| *v > position(i)));
            let has_step = || open.iter().any(|s| s.dataset == dataset.name && is_live(s) && s.state.is_open());
            if has_input || has_step() {
                behind.push(dataset.name.clone());
            }
        }
        Ok(behind)
    }
}
