//! Bytes of landing objects that became dead letters: who still needs them.
//!
//! Called by `arrivals.rs` and by replays, when a letter may have been the last that needed them.

use crate::{Flow, FlowError};
use alluvium_model::DatasetName;

impl Flow<'_> {
    /// Removes the bytes that no dead letter of the dataset needs, nor an object that may become one. What cannot be removed now is removed
    /// another time.
    pub(crate) async fn forget_payloads(&self, dataset: &DatasetName) -> Result<(), FlowError> {
        let needed = self.store.unfinished_contents(dataset).await?;
        match self.engine.forget_payloads(dataset, &needed).await {
            Ok(removed) => tracing::debug!(%dataset, removed, "forgot what no dead letter needs"),
            Err(error) => tracing::warn!(%dataset, %error, "what no dead letter needs could not be removed"),
        }
        Ok(())
    }
}
