//! The order in which batches claim unique keys, whichever thread has them.
//!
//! The silver step gives each batch a turn as it is read. A turn waits for all before it; it passes when it was used or
//! dropped, so a batch that failed holds nobody up. Turns must be given in the order of the batches.

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

#[derive(Debug, Default)]
pub struct Turns {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    given: u64,
    /// The first that has not passed.
    next: u64,
    /// Later ones that passed already; no more than there are threads.
    early: BTreeSet<u64>,
}

/// A batch's place in the line.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Turns {
    /// The turn after the one given last.
    pub fn give(&self) -> Turn<'_> {
        let mut line = self.line();
        line.given += 1;
        Turn { turns: self, number: line.given - 1 }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Does `work` when all turns before have passed; then this one has.
    pub(super) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        let line = self.turns.line();
        let waiting = |l: &mut Line| l.next != self.number;
        drop(self.turns.moved.wait_while(line, waiting).unwrap_or_else(PoisonError::into_inner));
        work()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut line = self.turns.line();
        line.early.insert(self.number);
        while line.early.first() == Some(&line.next) {
            line.early.pop_first();
            line.next += 1;
        }
        self.turns.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_in_the_order_of_the_turns() {
        let turns = Turns::default();
        let done = Mutex::new(Vec::new());
        let given: Vec<Turn<'_>> = (0..8).map(|_| turns.give()).collect();
        std::thread::scope(|s| {
            for turn in given.into_iter().rev() {
                let done = &done;
                s.spawn(move || {
                    let number = turn.number;
                    // Those that fail pass without work.
                    if number % 3 != 1 {
                        turn.run(|| done.lock().unwrap().push(number));
                    }
                });
            }
        });
        assert_eq!(done.into_inner().unwrap(), [0, 2, 3, 5, 6]);
    }
}
