//! One step: take its lease, execute it or find that it committed earlier, record what it did.

use crate::{
    Flow, FlowError, Job, Outcome, Signal, StepError, Summary,
    drain::{LEASE, is_open},
    publication,
};
use alluvium_model::{EventId, RetryClass, RunId, crash_point};
use alluvium_spec::Dataset;
use alluvium_store::{Claim, LedgerEntry, StepDone, StepRecord};
use std::time::Duration;

/// Attempts within one run for errors that may pass by themselves.
const ATTEMPTS: u32 = 3;
const HELD_WAIT: Duration = Duration::from_millis(200);
const RETRY_WAIT: Duration = Duration::from_millis(500);

impl Flow<'_> {
    /// `false`: the step failed and stays open.
    pub(crate) async fn work(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: StepRecord,
        summary: &mut Summary,
    ) -> Result<bool, FlowError> {
        let mut attempt = 0;
        loop {
            if !self.take(run, &step).await? {
                return Ok(true);
            }
            attempt += 1;
            let number = step.attempts + attempt;
            self.report.signal(Signal::StepStarted {
                step: step.key.clone(),
                dataset: dataset.name.clone(),
                kind: step.kind,
                attempt: number,
            });
            let span = tracing::info_span!(
                "step", run = %run, dataset = %dataset.name, step = %step.key, events = events(&step)
            );
            let result = tracing::Instrument::instrument(self.attempt(dataset, &step), span).await;
            match result {
                Ok((outcome, recovered)) => {
                    let step = StepRecord { attempts: number, ..step };
                    self.done(run, dataset, &step, outcome, recovered, summary).await?;
                    return Ok(true);
                }
                Err(error) => {
                    let again = error.class().may_pass() && attempt < ATTEMPTS;
                    self.failed(dataset, &step, &error, again).await?;
                    if !again {
                        if error.class().may_pass() {
                            summary.passing.insert(dataset.name.clone());
                        }
                        return Ok(false);
                    }
                    self.timer.wait(RETRY_WAIT * attempt).await;
                }
            }
        }
    }

    /// Waits for the lease. `false`: another process finished the step.
    async fn take(&self, run: &RunId, step: &StepRecord) -> Result<bool, FlowError> {
        let mut told = false;
        loop {
            let claim = self.store.claim(&step.key, run, &self.owner, LEASE, &self.watch()).await?;
            match claim {
                Claim::Taken => {
                    crash_point("step.after_claim");
                    return Ok(true);
                }
                Claim::Closed => return Ok(false),
                Claim::Held { by, .. } => {
                    if !told {
                        told = true;
                        let dataset = step.dataset.clone();
                        self.report.signal(Signal::StepHeldBy { dataset, process: by.process });
                    }
                    self.timer.wait(HELD_WAIT).await;
                    if !self.store.step(&step.key).await?.is_some_and(|s| is_open(s.state)) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Executes under a lease that is renewed; stops when the lease is lost.
    async fn attempt(&self, dataset: &Dataset, step: &StepRecord) -> Result<(Outcome, bool), StepError> {
        let work = async {
            if let Some(outcome) = self.engine.recover(dataset, step).await? {
                return Ok((outcome, true));
            }
            let events = self.store.events(&step.events).await.map_err(StepError::new)?;
            let job = Job { project: self.project, dataset, step, events: &events };
            Ok((self.engine.execute(&job, self.report).await?, false))
        };
        let keep = async {
            loop {
                self.timer.wait(Duration::from(LEASE) / 3).await;
                match self.store.renew(&step.key, &self.owner, self.clock.now(), LEASE).await {
                    Ok(true) => {}
                    Ok(false) => return StepError::new(LeaseLost),
                    Err(e) => return StepError::new(e),
                }
            }
        };
        tokio::select! {
            done = work => done,
            lost = keep => Err(lost),
        }
    }

    pub(crate) async fn done(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
        outcome: Outcome,
        recovered: bool,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let u = outcome.usage;
        let finished_at = self.clock.now();
        let done = StepDone {
            key: step.key.clone(),
            run: run.clone(),
            finished_at,
            committed: outcome.committed,
            balance: outcome.balance,
            dead: outcome.dead.clone(),
            quality: outcome.quality.clone(),
            reached: outcome.reached.clone(),
            ledger: LedgerEntry {
                attempt: step.attempts,
                wall_micros: u.wall_micros,
                cpu_micros: u.cpu_micros,
                peak_memory_bytes: u.peak_memory_bytes,
                bytes_read: u.bytes_read,
                bytes_written: u.bytes_written,
                store_reads: u.store_reads,
                store_writes: u.store_writes,
                store_lists: u.store_lists,
                retries: u64::from(step.attempts.saturating_sub(1)),
                rows_in: u.rows_in,
                rows_out: u.rows_out,
            },
            publish: publication::of(self.project, dataset, step, run, &outcome, recovered, finished_at),
        };
        crash_point("step.before_done");
        self.store.finish(&done).await?;
        crash_point("step.after_done");
        summary.objects_dead += outcome.dead.len() as u64;
        summary.datasets.entry(dataset.name.clone()).or_default().add(&outcome);
        self.report.signal(Signal::StepDone {
            step: step.key.clone(),
            dataset: dataset.name.clone(),
            kind: step.kind,
            outcome: Box::new(outcome),
            recovered,
        });
        Ok(())
    }

    async fn failed(
        &self,
        dataset: &Dataset,
        step: &StepRecord,
        error: &StepError,
        again: bool,
    ) -> Result<(), FlowError> {
        let message = chain(error);
        self.store.fail(&step.key, &format!("{}: {message}", error.code()), self.clock.now()).await?;
        self.report.signal(Signal::StepFailed {
            step: step.key.clone(),
            dataset: dataset.name.clone(),
            code: error.code(),
            message,
            remedy: error.remedy(),
            again,
        });
        Ok(())
    }
}

/// For log lines: the ids of the objects that the step loads, the first few of them.
fn events(step: &StepRecord) -> Option<String> {
    const MOST: usize = 3;
    let first: Vec<&str> = step.events.iter().take(MOST).map(EventId::as_str).collect();
    let more = step.events.len() - first.len();
    match (first.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(first.join(" ")),
        (false, more) => Some(format!("{} and {more} more", first.join(" "))),
    }
}

/// An error and all its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        let t = e.to_string();
        if !text.ends_with(&t) {
            text.push_str(": ");
            text.push_str(&t);
        }
        next = e.source();
    }
    text
}

#[derive(Debug, thiserror::Error)]
#[error("the lease of this step was taken over by another process")]
struct LeaseLost;

impl alluvium_model::Fault for LeaseLost {
    fn code(&self) -> &'static str {
        "F0201"
    }

    fn class(&self) -> RetryClass {
        RetryClass::Transient
    }

    fn remedy(&self) -> &'static str {
        "nothing: the other process finishes the step"
    }
}
