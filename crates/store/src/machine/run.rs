//! The life of a run.

use crate::RunState;

/// A run as far as it decides what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) state: RunState,
    /// It was said how it ended. One that was interrupted without a word may go on: its machine slept.
    pub(crate) has_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Its lease does not hold any more.
    Lose,
    /// Its process lives.
    Renew,
    /// Its process says how it ended.
    Finish(RunState),
    /// What it was to do is not done, and another process does it.
    StartAgain,
}

/// Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not run.
    NotRunning,
    /// It has ended, for good.
    Ended,
}

impl Run {
    /// # Errors
    /// Why it stays as it is.
    pub(crate) fn after(self, command: Command) -> Result<Self, Refusal> {
        match (command, self.state) {
            (Command::Lose, RunState::Running) => Ok(Self { state: RunState::Interrupted, ..self }),
            (Command::Lose, RunState::Done | RunState::Failed | RunState::Interrupted) => Err(Refusal::NotRunning),
            (Command::Renew, _) if self.has_ended => Err(Refusal::Ended),
            (Command::Renew, _) => Ok(Self { state: RunState::Running, ..self }),
            // The last word counts: it is the same one told again, or that of whoever went on.
            (Command::Finish(state), _) => Ok(Self { state, has_ended: true }),
            (Command::StartAgain, _) => Ok(Self { state: RunState::Running, has_ended: false }),
        }
    }
}

impl RunState {
    /// As one reads whose lease does not hold any more, before somebody writes that down.
    pub(crate) fn without_lease(self) -> Self {
        Run { state: self, has_ended: false }.after(Command::Lose).map_or(self, |run| run.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::page;

    /// The columns of the table in the documentation.
    const STATES: [(&str, Run); 5] = [
        ("running", Run { state: RunState::Running, has_ended: false }),
        ("done", Run { state: RunState::Done, has_ended: true }),
        ("failed", Run { state: RunState::Failed, has_ended: true }),
        ("interrupted, and told", Run { state: RunState::Interrupted, has_ended: true }),
        ("interrupted, untold", Run { state: RunState::Interrupted, has_ended: false }),
    ];

    /// Its row in the documentation, and the command of the next one.
    fn row(command: Command) -> (&'static str, Option<Command>) {
        match command {
            Command::Lose => ("lose the lease", Some(Command::Renew)),
            Command::Renew => ("renew the lease", Some(Command::Finish(RunState::Done))),
            Command::Finish(RunState::Running | RunState::Done) => {
                ("finish, done", Some(Command::Finish(RunState::Failed)))
            }
            Command::Finish(RunState::Failed) => ("finish, failed", Some(Command::Finish(RunState::Interrupted))),
            Command::Finish(RunState::Interrupted) => ("finish, interrupted", Some(Command::StartAgain)),
            Command::StartAgain => ("start again, of a replay", None),
        }
    }

    fn cell(run: Run, command: Command) -> String {
        let Ok(next) = run.after(command) else { return "–".to_owned() };
        let found = STATES.iter().find(|(_, state)| *state == next);
        found.expect("no command leads out of the table").0.to_owned()
    }

    #[test]
    fn every_state_takes_every_command_as_the_documentation_says() {
        let commands = std::iter::successors(Some(Command::Lose), |c| row(*c).1);
        let rows: Vec<Vec<String>> = commands
            .map(|c| std::iter::once(row(c).0.to_owned()).chain(STATES.map(|(_, run)| cell(run, c))).collect())
            .collect();
        let head: Vec<&str> = std::iter::once("command of a run").chain(STATES.map(|(name, _)| name)).collect();
        page::says(&head, &rows);
    }

    #[test]
    fn who_has_no_lease_reads_as_interrupted_only_while_it_runs() {
        let read = STATES.map(|(_, run)| run.state.without_lease());
        let interrupted = RunState::Interrupted;
        assert_eq!(read, [interrupted, RunState::Done, RunState::Failed, interrupted, interrupted]);
    }
}
