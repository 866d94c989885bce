//! From the state to what sinks are told.
//!
//! Called by runs, replays and services. What is wrong is computed from the state each time and compared with the alerts that are open; so
//! nothing has to be remembered by a process, and one that is killed loses nothing.

use super::{
    changes::{self, Seen},
    conditions, event,
};
use crate::{Flow, FlowError, HISTORY_DAYS, Signal, anomalies, step::uses};
use alluvium_model::{DatasetName, RunId, crash_point};
use alluvium_store::AlertChange;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Whoever loses so often to others leaves it to them.
const TRIES: u32 = 3;
/// So long what was resolved is compared with what is seen.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The newest event time of each table that was looked at; `None`: no row has one.
pub type Ages = BTreeMap<DatasetName, Option<Timestamp>>;

/// How much a look judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// What the ends of steps, and the clock, tell.
    Steps,
    /// Each dataset against its history as well, which costs a look at that.
    All,
}

impl Flow<'_> {
    /// Tells the project's sinks of what went wrong, and of what is over, since that was done last; each once, whoever calls this.
    ///
    /// # Errors
    /// When the state store fails.
    pub async fn tell_alerts(&self, judged: Judged) -> Result<(), FlowError> {
        self.judge_alerts(judged, &Ages::new()).await.map(|_| ())
    }

    /// As [`Flow::tell_alerts`] does of steps, and of tables that grew too old. `false`: another process told something
    /// meanwhile, perhaps of a commit that made a table fresh; look again.
    ///
    /// # Errors
    /// When the state store fails.
    pub async fn tell_ages(&self, ages: &Ages) -> Result<bool, FlowError> {
        self.judge_alerts(Judged::Steps, ages).await
    }

    async fn judge_alerts(&self, judged: Judged, ages: &Ages) -> Result<bool, FlowError> {
        if self.project.alerts.is_empty() {
            return Ok(true);
        }
        let needed: BTreeSet<String> = self.project.datasets.values().flat_map(uses).map(|d| d.to_string()).collect();
        let watched = self.project.datasets.values().filter(|d| d.accept.freshness.is_some());
        let watched: BTreeSet<String> = watched.map(|d| d.name.to_string()).collect();
        let aged: BTreeSet<String> = ages.keys().map(ToString::to_string).collect();
        for _ in 0..TRIES {
            let now = self.clock.now();
            let before = |time: SignedDuration| now.saturating_sub(time).unwrap_or(Timestamp::MIN);
            // Before the troubles: of two processes the one that saw less writes nothing.
            let known = self.store.alerts(before(REMEMBERED)).await?;
            let troubles = self.store.troubles(&self.project.order).await?;
            let words = self.breakers.words();
            let mut found = conditions::of_state(self.project, &troubles, now);
            found.extend(conditions::of_waiting(self.project, &troubles, now));
            found.extend(conditions::of_breakers(&words, &known));
            found.extend(conditions::of_ages(self.project, ages, &known, now));
            if judged == Judged::All {
                let past = self.store.past(before(DAY * HISTORY_DAYS)).await?;
                found.extend(conditions::of_history(self.project, &anomalies(&past, now)));
            }
            let fresh = || RunId::fresh(self.clock, self.entropy).to_string();
            let seen = Seen { words: &words, needed: &needed, watched: &watched, aged: &aged, judged };
            let changed = changes::between(found, &known, &seen, now, fresh);
            if changed.is_empty() {
                return Ok(true);
            }
            let changes: Vec<AlertChange> = changed.into_iter().map(|a| event::told(self.project, a, now)).collect();
            crash_point("alert.before_told");
            let done = self.store.change_alerts(&changes, known.revision, now).await?;
            crash_point("alert.after_told");
            if done {
                changes.into_iter().for_each(|c| self.report.signal(Signal::AlertTold { alert: Box::new(c.alert) }));
                return Ok(true);
            }
            if !ages.is_empty() {
                break;
            }
        }
        Ok(false)
    }
}
