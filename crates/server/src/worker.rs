//! The loop of a worker: waits until a step is there that others planned, and executes what there is.
//!
//! Called by cli. Windows of backfills have a lane of their own beside it. It plans nothing, and keeps nothing that a restart needs. While nothing is planned it waits until the state's files tell
//! that somebody writes; where they tell nothing, it costs one small question to the state a second, and one more where the end of runs is told.

use crate::{
    ServerError, Stop,
    resting::{LOOK_AT_REST, LOOK_EVERY, Resting},
    windows::Windows,
};
use alluvium_flow::{Flow, FlowError, RefusedSteps};
use alluvium_model::Fault;
use alluvium_store::Stamp;
use std::time::Duration;

/// Between the end of work or rest and the next look for steps; then twice as long each time, up to [`LOOK_EVERY`].
const FIRST_WAIT: Duration = Duration::from_millis(20);

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
        let windows = Windows { flow: &self.flow, grace: self.grace };
        tokio::try_join!(self.live(stop), async { Ok(windows.run(stop).await?) })?;
        Ok(())
    }

    async fn live(&self, stop: &Stop) -> Result<(), ServerError> {
        let (mut wait, mut refused) = (FIRST_WAIT, RefusedSteps::default());
        while !stop.is_said() {
            let rests = match self.look(&mut refused, stop).await {
                Ok(None) => {
                    wait = FIRST_WAIT;
                    continue;
                }
                Ok(Some(rests)) => rests,
                Err(FlowError::Store(error)) if error.class().may_pass() => {
                    tracing::warn!(code = error.code(), error = %error, "the state cannot be reached; it is tried again");
                    Resting::default()
                }
                Err(error) => return Err(error.into()),
            };
            let longest = if rests.lasts(&self.flow) { LOOK_AT_REST } else { wait };
            tokio::select! {
                () = self.flow.timer.wait(longest) => wait = (wait * 2).min(LOOK_EVERY),
                // What is being written is there in a moment.
                () = rests.ends(&self.flow) => wait = FIRST_WAIT,
                () = stop.clone().said() => {}
            }
        }
        Ok(())
    }

    /// `None`: there was something to do.
    async fn look(&self, refused: &mut RefusedSteps, stop: &Stop) -> Result<Option<Resting>, FlowError> {
        let stamp = Resting::stamp(&self.flow);
        if !self.flow.is_asked(refused).await? {
            // Of a killed process it may have been the last one.
            self.flow.tell_ended_runs().await?;
            return self.rests(stamp).await.map(Some);
        }
        let last = async {
            stop.clone().said().await;
            self.flow.timer.wait(self.grace).await;
        };
        self.flow.assist(refused, || stop.is_said(), last).await?;
        Ok(None)
    }

    /// Steps may wait for their time, or be left by whoever is at them, without a word in the state.
    async fn rests(&self, stamp: Option<Stamp>) -> Result<Resting, FlowError> {
        if stamp.is_none() {
            return Ok(Resting::default());
        }
        let news = self.flow.store.news(&[], &self.flow.watch()).await?;
        let is_open = news.is_open() || !news.ready.is_empty() || (news.untold && self.flow.tells());
        Ok(Resting::since(stamp.filter(|_| !is_open)))
    }
}
