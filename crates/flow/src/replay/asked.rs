//! A replay that somebody asks a service for: written down before the answer, and done by whichever service takes it.
//!
//! Called by the server. Between the two lies the state: a process that is killed loses nothing of it, and whoever takes the
//! replay does it from its beginning, which brings nothing back twice.

use super::{Replay, ReplayOutcome, Tried};
use crate::{Flow, FlowError, Judged, Signal, Summary, life::Done};
use alluvium_model::{Fault, RunId, crash_point};
use alluvium_store::{AskedReplay, NewReplay, ReplayRecord, RunState, StoreError};
use std::time::Duration;

/// Replays that wait, or go on, at once.
const MOST_WAITING: u32 = 100;

impl Flow<'_> {
    /// Durable when it returns. `key` is by what whoever asks knows the question, so that it can be asked again when no answer came.
    ///
    /// # Errors
    /// When something is named that is not there, and when the state store fails.
    pub async fn ask_replay(&self, what: &Replay, key: Option<&str>) -> Result<(AskedReplay, RunId), FlowError> {
        let asked = json(what);
        if let Some(key) = key
            && let Some(known) = self.store.replay_under(key, &self.watch()).await?
        {
            // What it named may be mended by now, and is there no more.
            let id = known.id.clone();
            let same = known.asked == asked;
            return Ok((if same { AskedReplay::Known(known.id) } else { AskedReplay::OtherUnderKey(known.id) }, id));
        }
        let new = NewReplay {
            id: RunId::fresh(self.clock, self.entropy),
            key: key.map(str::to_owned),
            asked,
            request: json(&self.meant(what).await?),
            command: what.command(),
            asked_at: self.clock.now(),
        };
        crash_point("replay.before_record");
        let answer = self.store.ask_replay(&new, MOST_WAITING).await?;
        crash_point("replay.after_record");
        let id = match &answer {
            AskedReplay::Known(id) | AskedReplay::OtherUnderKey(id) => id.clone(),
            AskedReplay::New | AskedReplay::Full => new.id,
        };
        Ok((answer, id))
    }

    /// Does what was asked for, as the run of its id. `None`: another process does, or did. When
    /// `stop` ends first, or the state cannot be reached, it waits for the next process.
    ///
    /// # Errors
    /// As [`Flow::replay`]. But for those of the state the replay has ended with them.
    pub async fn replay_asked(
        &self,
        asked: &ReplayRecord,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<(Summary, Tried)>, FlowError> {
        let what = Replay::of(asked)?;
        let run = &asked.id;
        if !self.store.start_replay(run, &self.owner, self.lease(), self.tells(), &self.watch()).await? {
            return Ok(None);
        }
        self.report.signal(Signal::RunStarted { run: run.clone() });
        let mut tried = Tried::default();
        let work = async |run: &RunId, summary: &mut Summary| {
            // A service comes back by itself, and others wait for this.
            summary.patience = Duration::ZERO;
            what.check(self.project)?;
            self.replay_as(run, (&what, asked.asked_at), &mut tried, summary).await
        };
        let Done { done, state, summary } = self.conduct(run, stop, work).await;
        let ended = match &done {
            Some(Err(FlowError::Store(error))) if passes(error) => None,
            Some(done) => Some(ReplayOutcome::new(done, &tried, &summary)),
            None => None,
        };
        crash_point("run.before_finish");
        let finished = match ended {
            Some(outcome) => self.store.end_replay(run, state, self.clock.now(), &json(&outcome)).await,
            None => self.store.finish_run(run, RunState::Interrupted, self.clock.now()).await,
        };
        crash_point("run.after_finish");
        let told = self.tell_alerts(Judged::Steps).await;
        done.transpose()?;
        finished?;
        self.tell_ended_runs().await?;
        told?;
        self.report.signal(Signal::RunFinished { run: run.clone() });
        Ok(Some((summary, tried)))
    }
}

fn passes(error: &StoreError) -> bool {
    error.class().may_pass()
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("names and numbers become JSON")
}
