//! The life of a landing object.

use crate::EventState;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// A step takes it.
    Take,
    /// The step that took it never runs.
    GiveBack,
    /// The step that took it is done with it.
    Finish,
    /// The step that took it gave it up.
    Bury,
    /// Another one takes its place.
    Replay,
}

impl Command {
    /// From where to where: each is for one state alone, so that a statement over many objects has both as arguments.
    pub(crate) fn moves(self) -> (EventState, EventState) {
        match self {
            Self::Take => (EventState::Pending, EventState::Planned),
            Self::GiveBack => (EventState::Planned, EventState::Pending),
            Self::Finish => (EventState::Planned, EventState::Done),
            Self::Bury => (EventState::Planned, EventState::Dead),
            Self::Replay => (EventState::Dead, EventState::Replayed),
        }
    }

    pub(crate) fn is_for(self, state: EventState) -> bool {
        self.moves().0 == state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::page;

    const STATES: [EventState; 5] =
        [EventState::Pending, EventState::Planned, EventState::Done, EventState::Dead, EventState::Replayed];

    fn word(state: EventState) -> &'static str {
        match state {
            EventState::Pending => "pending",
            EventState::Planned => "planned",
            EventState::Done => "done",
            EventState::Dead => "dead",
            EventState::Replayed => "replayed",
        }
    }

    /// Its row in the documentation, and the command of the next one.
    fn row(command: Command) -> (&'static str, Option<Command>) {
        match command {
            Command::Take => ("plan a step over it", Some(Command::GiveBack)),
            Command::GiveBack => ("supersede its step", Some(Command::Finish)),
            Command::Finish => ("finish its step", Some(Command::Bury)),
            Command::Bury => ("give it up as its step ends", Some(Command::Replay)),
            Command::Replay => ("replay", None),
        }
    }

    #[test]
    fn every_state_takes_every_command_as_the_documentation_says() {
        let cell = |state, command: Command| {
            if command.is_for(state) { word(command.moves().1).to_owned() } else { "–".to_owned() }
        };
        let commands = std::iter::successors(Some(Command::Take), |c| row(*c).1);
        let rows: Vec<Vec<String>> = commands
            .map(|c| std::iter::once(row(c).0.to_owned()).chain(STATES.map(|s| cell(s, c))).collect())
            .collect();
        let head: Vec<&str> = std::iter::once("command of a landing object").chain(STATES.map(word)).collect();
        page::says(&head, &rows);
    }
}
