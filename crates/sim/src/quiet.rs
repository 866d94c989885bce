//! After all is done: the lake takes nothing in while the last files come, and is back again; and then nothing comes for long. So
//! under every seed there is something to be told that only the clock, the days before, or who tried it can tell.

use crate::{
    executor::Executor,
    files, history, told,
    world::{SECOND, World},
};

/// As long as the delay of a step that failed some times, and the agreed time between two commits, all in all.
const LATER: i64 = 900 * SECOND;
const FIRST: u32 = 2_000;

impl World {
    /// What is wrong with what is told of that.
    pub(crate) fn quiet(&self, executor: &mut Executor) -> Vec<String> {
        let sim = &self.common.sim;
        sim.note("the lake takes nothing in");
        self.common.tables.fall();
        files::last().iter().for_each(|f| self.put(f));
        let mut found = Vec::from_iter(self.one_run(executor, FIRST, false));
        found.extend(told::of_breaker(true, &self.alerts()));
        executor.run(sim.elapsed() + LATER, None);
        sim.note("the lake takes in again");
        self.common.tables.rise();
        found.extend(self.one_run(executor, FIRST + 1, true));
        found.extend(told::of_breaker(false, &self.alerts()));
        found.extend(self.last_look(executor, FIRST + 2));
        executor.run(sim.elapsed() + history::LONG, None);
        found.extend(self.last_look(executor, FIRST + 3));
        found
    }

    fn one_run(&self, executor: &mut Executor, number: u32, is_whole: bool) -> Option<String> {
        match self.alone(executor, number, async |p| p.run().await) {
            Ok(summary) => {
                let whole = summary.failed_steps == 0 && summary.waiting.is_empty();
                (whole != is_whole)
                    .then(|| format!("p{number} ran, and what it left is not what it had to: {summary:?}"))
            }
            Err(e) => Some(format!("the run of p{number} {e}")),
        }
    }
}
