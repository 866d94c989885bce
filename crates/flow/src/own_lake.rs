//! A state and its lake belong together: what the one says was done is in the other.
//!
//! Called by `life.rs` before the work of each run. A lake that is not mounted, or another one, would take rows in that are
//! missing in the right one for good.

use crate::{Flow, FlowError};
use alluvium_model::RunId;

impl Flow<'_> {
    pub(crate) async fn own_lake(&self) -> Result<(), FlowError> {
        let known = self.store.lake().await?;
        let first = known.is_none().then(|| RunId::fresh(self.clock, self.entropy));
        let found = match self.engine.name(first.as_ref().map(RunId::as_str)).await {
            Ok(found) => found,
            Err(error) => {
                // Each step meets it as well, and has its place, its retries and its alert.
                tracing::debug!(code = error.code(), %error, "the lake's name could not be read");
                return Ok(());
            }
        };
        let known = match (known, &found) {
            (Some(known), _) => known,
            (None, Some(found)) => self.store.belong(found).await?,
            (None, None) => return Ok(()),
        };
        if found.as_ref() == Some(&known) { Ok(()) } else { Err(FlowError::OtherLake { known, found }) }
    }
}
