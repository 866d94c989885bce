//! Fan-in: a run with all of its steps, or a backfill with all of its windows, has ended, and that is told by one event.
//!
//! Called by `life.rs` when any run ends, by the backfill's swap, and by services and workers when they look. A run whose process died is
//! told by the one that ended the last of its steps, or by the first that looks when its lease is over. Each step belongs to the run that planned it, whoever executes it, so no two events count the same rows.

use crate::{
    Flow, FlowError, Signal,
    event_types::{BACKFILL_COMPLETED, RUN_COMPLETED},
    publication::Envelope,
};
use alluvium_model::{Balance, Window, crash_point};
use alluvium_store::{BackfillRecord, EndedRun, EndedSteps, Ending, NewPublication, StepState};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

impl Flow<'_> {
    /// Whether somebody wants to know of the end of runs.
    pub fn tells(&self) -> bool {
        !self.project.publish.is_empty()
    }

    /// Tells the project's sinks of all runs that have ended, and were not told. Each is told once, whoever calls this.
    ///
    /// # Errors
    /// When the state store fails.
    pub async fn tell_ended_runs(&self) -> Result<(), FlowError> {
        if !self.tells() {
            return Ok(());
        }
        for ended in self.store.ended_runs(&self.watch()).await? {
            let now = self.clock.now();
            let ending = self.of_run(&ended, now);
            crash_point("run.before_told");
            let told = self.store.tell_run(&ended, &ending, now).await?;
            crash_point("run.after_told");
            if told && !ending.publish.is_empty() {
                self.report.signal(Signal::RunTold { run: ended.run.run });
            }
        }
        Ok(())
    }

    /// One that had nothing to do has nothing to tell.
    fn of_run(&self, ended: &EndedRun, now: Timestamp) -> Ending {
        let id = format!("run-{}", ended.run.run);
        if ended.datasets.is_empty() {
            return Ending { id, committed: None, publish: Vec::new() };
        }
        let run = &ended.run;
        let mut all = EndedSteps::default();
        let mut datasets = Map::new();
        for (name, steps) in &ended.datasets {
            all.balance += steps.balance;
            for (state, number) in &steps.states {
                *all.states.entry(*state).or_default() += number;
            }
            let part = json!({
                "steps": counts(steps),
                "balance": balance(&steps.balance),
                "table_version": steps.committed,
            });
            datasets.insert(name.to_string(), part);
        }
        let data = json!({
            "run": run.run,
            "command": run.command,
            "state": run.state,
            "started_at": run.started_at.to_string(),
            "finished_at": run.finished_at.map(|at| at.to_string()),
            "objects": { "new": run.objects_new, "duplicate": run.objects_duplicate, "dead": run.objects_dead },
            "steps": counts(&all),
            "balance": balance(&all.balance),
            "datasets": datasets,
        });
        let event =
            Envelope { project: self.project, id: &id, kind: &RUN_COMPLETED, subject: run.run.as_str(), at: now }
                .event(&data);
        let publish = to(&self.project.publish, &event);
        Ending { id, committed: None, publish }
    }

    /// Of a backfill that took its place in version `committed` of the live table.
    pub(crate) fn of_backfill(
        &self,
        record: &BackfillRecord,
        windows: &[Window],
        made: usize,
        committed: i64,
        now: Timestamp,
    ) -> Ending {
        let id = format!("backfill-{}", record.id);
        let time = |micros| Timestamp::from_microsecond(micros).ok().map(|t| t.to_string());
        let compared = record.summary.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let compared = compared.map(|c| {
            json!({
                "same": c["same"],
                "different": c["different"],
                "live_rows": c["live_rows"],
                "new_rows": c["new_rows"],
            })
        });
        let data = json!({
            "dataset": record.dataset,
            "backfill": record.id,
            "table_version": committed,
            "definition": record.version,
            "from": time(record.range.from),
            "to": time(record.range.to),
            "windows": { "expected": windows.len(), "made": made, "failed": windows.len() - made },
            "compared": compared,
            "started_at": record.started_at.to_string(),
        });
        let subject = record.dataset.to_string();
        let event = Envelope { project: self.project, id: &id, kind: &BACKFILL_COMPLETED, subject: &subject, at: now }
            .event(&data);
        let sinks = self.project.datasets.get(&record.dataset).map_or(&[][..], |d| &d.publish);
        Ending { id, committed: Some(committed), publish: to(sinks, &event) }
    }
}

pub(crate) fn to(sinks: &[String], event: &str) -> Vec<NewPublication> {
    sinks.iter().map(|sink| NewPublication { sink: sink.clone(), event: event.to_owned() }).collect()
}

/// What was expected, and how each of them ended.
fn counts(steps: &EndedSteps) -> Value {
    let of = |state| steps.states.get(&state).copied().unwrap_or(0);
    json!({
        "expected": steps.states.values().sum::<u64>(),
        "done": of(StepState::Done),
        "dead": of(StepState::Dead),
        "superseded": of(StepState::Superseded),
    })
}

pub(crate) fn balance(b: &Balance) -> Value {
    json!({
        "received": b.received,
        "loaded": b.loaded,
        "quarantined": b.quarantined,
        "dropped": b.dropped,
        "dead": b.dead,
        "duplicates": b.duplicates,
        "late": b.late,
    })
}
