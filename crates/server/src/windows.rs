//! The lane of backfills: makes windows that others planned, beside the live work of a service or a worker.
//!
//! Called by both. It takes no hand of theirs, one window at a time, and begins none while a live step is executed, for up to ten seconds.
//! While none is open it waits until the state's files tell that somebody writes; where they tell nothing, it asks about once a second.

use crate::{
    Stop,
    resting::{LOOK_AT_REST, LOOK_EVERY, Resting},
};
use alluvium_flow::{Flow, FlowError, SharedWindows};
use alluvium_model::Fault;
use std::time::Duration;

pub(crate) struct Windows<'a> {
    pub(crate) flow: &'a Flow<'a>,
    /// How long a window may take to commit once the process is to stop. After that it is handed back.
    pub(crate) grace: Duration,
}

impl Windows<'_> {
    /// Until `stop` is said. A window that fails is reported, and tried again at its time.
    ///
    /// # Errors
    /// When the state fails in a way that does not pass.
    pub(crate) async fn run(&self, stop: &Stop) -> Result<(), FlowError> {
        let mut shared = SharedWindows::default();
        while !stop.is_said() {
            let rests = match self.look(&mut shared, stop).await {
                Ok(rests) => rests,
                // The live work tells it.
                Err(FlowError::Store(error)) if error.class().may_pass() => Resting::default(),
                Err(error) => return Err(error),
            };
            tokio::select! {
                () = self.rest(&rests) => {}
                () = stop.clone().said() => {}
            }
        }
        Ok(())
    }

    async fn look(&self, shared: &mut SharedWindows, stop: &Stop) -> Result<Resting, FlowError> {
        let stamp = Resting::stamp(self.flow);
        let (is_asked, is_open) = self.flow.asked_for_windows(shared).await?;
        if is_asked {
            let last = async {
                stop.clone().said().await;
                self.flow.timer.wait(self.grace).await;
            };
            self.flow.make_windows(shared, || stop.is_said(), last).await?;
            return Ok(Resting::default());
        }
        // What is open may be let go, or come to its time, without a word.
        Ok(Resting::since(stamp.filter(|_| !is_open)))
    }

    /// Windows can wait a little: each write of the live work would be a reason to look.
    async fn rest(&self, rests: &Resting) {
        self.flow.timer.wait(LOOK_EVERY).await;
        if rests.lasts(self.flow) {
            tokio::select! {
                () = self.flow.timer.wait(LOOK_AT_REST) => {}
                () = rests.ends(self.flow) => {}
            }
        }
    }
}
