//! The loop of a worker: waits until a step is there that others planned, and executes what there is.
//!
//! Called by cli. It plans nothing, and keeps nothing that a restart needs. While nothing is planned it costs one small question
//! to the state a second, and one more where the end of runs is told.

use crate::{ServerError, Stop};
use alluvium_flow::{Flow, FlowError, RefusedSteps};
use alluvium_model::Fault;
use std::time::Duration;

/// Between two looks for steps: the first one after work, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LAST_WAIT: Duration = Duration::from_secs(1);

pub struct Worker<'a> {
    pub flow: Flow<'a>,
    /// How long a step that is being executed may take to commit once the worker is to stop. After that it is handed back.
    pub grace: Duration,
}

impl Worker<'_> {
    /// Works until `stop` is said. A state that cannot be reached for a time is waited for.
    ///
    /// # Errors
    /// When the state fails in a way that does not pass. A step that fails is reported, and tried again at its time.
    pub async fn run(&self, stop: &Stop) -> Result<(), ServerError> {
        let (mut wait, mut refused) = (FIRST_WAIT, RefusedSteps::default());
        while !stop.is_said() {
            match self.look(&mut refused, stop).await {
                Ok(true) => {
                    wait = FIRST_WAIT;
                    continue;
                }
                Ok(false) => {}
                Err(FlowError::Store(error)) if error.class().may_pass() => {
                    tracing::warn!(code = error.code(), error = %error, "the state cannot be reached; it is tried again");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = self.flow.timer.wait(wait) => {}
                () = stop.clone().said() => {}
            }
            wait = (wait * 2).min(LAST_WAIT);
        }
        Ok(())
    }

    /// Whether there was something to do.
    async fn look(&self, refused: &mut RefusedSteps, stop: &Stop) -> Result<bool, FlowError> {
        if !self.flow.is_asked(refused).await? {
            // Of a killed process it may have been the last one.
            self.flow.tell_ended_runs().await?;
            return Ok(false);
        }
        let last = async {
            stop.clone().said().await;
            self.flow.timer.wait(self.grace).await;
        };
        self.flow.assist(refused, || stop.is_said(), last).await?;
        Ok(true)
    }
}
