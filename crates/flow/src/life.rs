//! The life of a run: it starts under a lease, renews it while it works, and ends with a word on how.
//!
//! Called by `drain.rs` and others around all work. A run that is killed says nothing; its lease then tells that it is gone.

use crate::{Flow, FlowError, Judged, Signal, Summary};
use alluvium_model::{RunId, crash_point};
use alluvium_store::{RunRecord, RunState};
use std::{convert::Infallible, time::Duration};

/// A run waits so long, all in all, for steps that are to be tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Work that was done as a run.
pub(crate) struct Done {
    /// `None`: it was stopped before.
    pub(crate) done: Option<Result<(), FlowError>>,
    /// How the run ended.
    pub(crate) state: RunState,
    pub(crate) summary: Summary,
}

impl Flow<'_> {
    /// Does `work` as one run, until it is done or `stop` ends.
    pub(crate) async fn live(
        &self,
        command: &str,
        judged: Judged,
        stop: impl Future<Output = ()>,
        work: impl AsyncFnOnce(&RunId, &mut Summary) -> Result<(), FlowError>,
    ) -> Result<Summary, FlowError> {
        if judged == Judged::All {
            // What a process that was killed had no time to tell, before new work hides it.
            self.tell_alerts(Judged::Steps).await?;
        }
        let run = self.start(command).await?;
        let Done { done, state, summary } = self.conduct(&run, stop, work).await;
        crash_point("run.before_finish");
        let finished = self.store.finish_run(&run, state, self.clock.now()).await;
        crash_point("run.after_finish");
        // Also of work that ended with an error: that is what somebody wants to be told.
        let told = self.tell_alerts(judged).await;
        // What stopped the work says more than what may follow from it.
        done.transpose()?;
        finished?;
        self.tell_ended_runs().await?;
        told?;
        self.report.signal(Signal::RunFinished { run });
        Ok(summary)
    }

    /// Does `work` as a run that has started, and leaves it to the caller to end that.
    pub(crate) async fn conduct(
        &self,
        run: &RunId,
        stop: impl Future<Output = ()>,
        work: impl AsyncFnOnce(&RunId, &mut Summary) -> Result<(), FlowError>,
    ) -> Done {
        let mut summary = Summary { run: Some(run.clone()), patience: PATIENCE, ..Summary::default() };
        let done = tokio::select! {
            biased;
            () = stop => None,
            done = async {
                self.own_lake().await?;
                work(run, &mut summary).await?;
                self.maintain(&summary).await
            } => Some(done),
            never = self.keep(run) => match never {},
        };
        let state = match &done {
            Some(Ok(())) if summary.failed_steps == 0 => RunState::Done,
            Some(_) => RunState::Failed,
            None => RunState::Interrupted,
        };
        summary.stopped = done.is_none();
        Done { done, state, summary }
    }

    async fn start(&self, command: &str) -> Result<RunId, FlowError> {
        let run = RunId::fresh(self.clock, self.entropy);
        let record = RunRecord {
            run: run.clone(),
            command: command.to_owned(),
            state: RunState::Running,
            started_at: self.clock.now(),
            finished_at: None,
            objects_new: 0,
            objects_duplicate: 0,
            objects_dead: 0,
            tells: self.tells(),
        };
        self.store.start_run(&record, &self.owner, self.lease(), &self.watch()).await?;
        self.report.signal(Signal::RunStarted { run: run.clone() });
        Ok(run)
    }

    /// A lease that cannot be renewed stops no work: steps have leases of their own.
    async fn keep(&self, run: &RunId) -> Infallible {
        loop {
            self.timer.wait(Duration::from(self.lease()) / 3).await;
            if let Err(error) = self.store.renew_run(run, self.clock.now(), self.lease()).await {
                tracing::warn!(run = %run, error = %error, "the run's lease could not be renewed");
            }
        }
    }
}
