//! A state in which nothing goes on: as long as its files tell that nobody writes, nothing has to be asked.
//!
//! Called by the loops of the service and of workers, which otherwise ask about once a second.

use alluvium_flow::Flow;
use alluvium_source::files::FileWatch;
use alluvium_store::Stamp;
use std::{future, time::Duration};

/// Between two questions to the state, or two looks at its files where the system tells nothing of them.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// At rest. It is only for a notice that was lost.
pub(crate) const LOOK_AT_REST: Duration = Duration::from_secs(60);

/// What the files bore before a question that found nothing; `None`: there was something, or they do not tell.
#[derive(Debug, Default)]
pub(crate) struct Resting(Option<Stamp>);

impl Resting {
    /// To be asked for before the question.
    pub(crate) fn stamp(flow: &Flow<'_>) -> Option<Stamp> {
        flow.store.stamp().filter(|s| s.is_distinct(flow.clock.now()))
    }

    pub(crate) fn since(stamp: Option<Stamp>) -> Self {
        Self(stamp)
    }

    /// Whether nobody has written since, as far as that can be told without a question.
    pub(crate) fn lasts(&self, flow: &Flow<'_>) -> bool {
        self.0.is_some() && flow.store.stamp() == self.0
    }

    /// Waits until somebody has written; for ever where that is told by questions only.
    pub(crate) async fn ends(&self, flow: &Flow<'_>) {
        let Some(stamp) = &self.0 else { return future::pending().await };
        let watch = FileWatch::new(stamp.files());
        while self.lasts(flow) {
            match &watch {
                Ok(watch) => watch.touched().await,
                Err(_) => flow.timer.wait(LOOK_EVERY).await,
            }
        }
    }
}
