//! After the trouble: one process after the other finishes what is left, and nothing happens to any of them.

use crate::{
    executor::Executor,
    process::Process,
    told,
    world::{SECOND, World},
};
use alluvium_flow::{Breakers, FlowError};
use alluvium_store::VerdictKind;
use std::sync::{Arc, Mutex};

/// Far beyond what anything here takes, a clock that was set back included.
const END: i64 = 6 * 3_600 * SECOND;
/// More than the clock is set back, and a lease.
const MOST_BACK: i64 = 1_300 * SECOND;
/// A delay lasts for a quarter of an hour at most.
const MOST_LAST_RUNS: u32 = 50;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Alone {
    #[error("does not end")]
    Endless,
    #[error("failed: {0}")]
    Failed(FlowError),
}

impl World {
    /// One process after the other finishes what is left, while commits of killed ones still arrive: a backfill that somebody
    /// began, what waits for somebody's word, and then runs until two in a row have nothing to wait for. The second one finds what
    /// arrived after the first one looked.
    pub(crate) fn settle(&self, executor: &mut Executor) -> Vec<String> {
        let (sim, mut quiet, mut is_over) = (&self.common.sim, 0, false);
        let (swap, verdict) = (sim.once_in(2), if sim.once_in(2) { VerdictKind::Drop } else { VerdictKind::Release });
        // Before anybody decides, so that something is wrong and has to be told.
        let mut found = self.last_look(executor, 999);
        self.common.folders.heal();
        for number in 1_000..1_000 + MOST_LAST_RUNS {
            if !is_over {
                match self.alone(executor, number, async move |p| p.end_backfill(swap).await) {
                    Ok(ended) => is_over = ended,
                    // Commits of killed processes may come in between.
                    Err(Alone::Failed(e)) => sim.note(format_args!("p{number} cannot end the backfill: {e}")),
                    Err(e) => return vec![format!("the end of the backfill {e}")],
                }
            }
            let decided = self.alone(executor, number, async move |p| p.decide(verdict).await);
            let decided = match decided {
                Ok(decided) => decided,
                Err(Alone::Failed(e)) => {
                    sim.note(format_args!("p{number} cannot decide: {e}"));
                    false
                }
                Err(e) => return vec![format!("what was decided {e}")],
            };
            let is_over = is_over && decided;
            match self.alone(executor, number, async |p| p.run().await) {
                Ok(summary) if summary.failed_steps == 0 && summary.waiting.is_empty() && is_over => quiet += 1,
                // A step that lost its commit to a killed process's, or failed before, has a time for its next attempt.
                Ok(_) => quiet = 0,
                Err(e) => return vec![format!("the last run {e}")],
            }
            executor.run(sim.elapsed() + 300 * SECOND, None);
            if quiet == 2 {
                // A killed run holds its lease for as long as the clock was set back. It is told by the first that looks after that.
                executor.run(sim.elapsed() + MOST_BACK, None);
                found.extend(self.last_look(executor, number + 1));
                found.extend(self.quiet(executor));
                return found;
            }
        }
        found.push("there is always something that waits".to_owned());
        found
    }

    /// Whoever looks last tells all that is wrong, and that nothing else is. What the clock alone brings about may come while he looks.
    pub(crate) fn last_look(&self, executor: &mut Executor, number: u32) -> Vec<String> {
        let before = self.holding();
        if let Err(e) = self.alone(executor, number, async |p| p.look().await) {
            return vec![format!("the last look {e}")];
        }
        let alerts = self.alerts();
        let wrong = told::against(&self.holding(), &alerts);
        if told::against(&before, &alerts).is_empty() { Vec::new() } else { wrong }
    }

    /// What a process does to which nothing happens.
    pub(crate) fn alone<T: 'static>(
        &self,
        executor: &mut Executor,
        number: u32,
        work: impl AsyncFnOnce(&Process) -> Result<T, FlowError> + 'static,
    ) -> Result<T, Alone> {
        let (ended, breakers, common) = (Arc::new(Mutex::new(None)), Breakers::default(), self.common.clone());
        let process = Process { common, number, faults: false, is_old: false, breakers };
        let told = ended.clone();
        let task = executor.begin(async move {
            let done = work(&process).await;
            *told.lock().expect("no holder of this lock panics") = Some(done);
        });
        if !executor.run(self.common.sim.elapsed() + END, Some(task)) {
            return Err(Alone::Endless);
        }
        let done = ended.lock().expect("no holder of this lock panics").take();
        done.ok_or(Alone::Endless)?.map_err(Alone::Failed)
    }
}
