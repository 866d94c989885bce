//! What every state makes of every command, and what no sequence of commands does.

use super::{Command, Refusal, Step};
use crate::{
    EventState, StepState,
    machine::{event, page},
};
use jiff::Timestamp;
use proptest::{prelude::*, sample::select};

const STATES: [StepState; 6] = [
    StepState::Planned,
    StepState::Running,
    StepState::Failed,
    StepState::Dead,
    StepState::Done,
    StepState::Superseded,
];

/// Attempts and failures of the steps of the table.
const ATTEMPTS: u32 = 3;
const FAILURES: u32 = 1;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("an instant")
}

/// Its next attempt may begin at second 10.
fn step(state: StepState) -> Step {
    Step { state, attempts: ATTEMPTS, failures: FAILURES, retry_at: Some(at(10)) }
}

/// The rows of the table in the documentation, each with its command, in their order. A new command has no row, and so does not compile.
fn row(command: Command) -> (&'static str, Option<Command>) {
    match command {
        Command::Plan => ("plan under the same key", Some(Command::Claim { now: at(10) })),
        Command::Claim { now } if now >= at(10) => ("claim", Some(Command::Claim { now: at(9) })),
        Command::Claim { .. } => ("claim before its time", Some(Command::Lose)),
        Command::Lose => ("lose the lease", Some(Command::HandBack)),
        Command::HandBack => ("hand back", Some(Command::HoldOff)),
        Command::HoldOff => ("hold off", Some(fail(ATTEMPTS, FAILURES + 2, Some(at(20))))),
        Command::Fail { attempt, .. } if attempt != ATTEMPTS => {
            ("fail, an earlier attempt", Some(finish(ATTEMPTS - 1, true)))
        }
        Command::Fail { retry_at: None, .. } => ("fail for good", Some(fail(ATTEMPTS, FAILURES + 1, Some(at(20))))),
        Command::Fail { most, .. } if most > FAILURES + 1 => ("fail", Some(fail(ATTEMPTS, FAILURES + 2, None))),
        Command::Fail { .. } => ("fail too often", Some(fail(ATTEMPTS - 1, FAILURES + 2, Some(at(20))))),
        Command::Finish { has_committed: true, .. } => ("finish, committed", Some(finish(ATTEMPTS, false))),
        Command::Finish { attempt, .. } if attempt == ATTEMPTS => {
            ("finish, nothing to commit", Some(finish(ATTEMPTS - 1, false)))
        }
        Command::Finish { .. } => ("finish, nothing to commit, an earlier attempt", Some(Command::Replay)),
        Command::Replay => ("replay", Some(Command::Verdict { is_as_held: true })),
        Command::Verdict { is_as_held: true } => ("release or drop", Some(Command::Verdict { is_as_held: false })),
        Command::Verdict { is_as_held: false } => {
            ("release or drop, held for another reason", Some(Command::Supersede { attempts: ATTEMPTS }))
        }
        Command::Supersede { attempts } if attempts == ATTEMPTS => {
            ("supersede", Some(Command::Supersede { attempts: ATTEMPTS - 1 }))
        }
        Command::Supersede { .. } => ("supersede, taken meanwhile", Some(Command::GiveUp)),
        Command::GiveUp => ("end its backfill", Some(Command::Forget)),
        Command::Forget => ("forget its backfill", None),
    }
}

fn fail(attempt: u32, most: u32, retry_at: Option<Timestamp>) -> Command {
    Command::Fail { attempt, most, retry_at }
}

fn finish(attempt: u32, has_committed: bool) -> Command {
    Command::Finish { attempt, has_committed }
}

fn commands() -> impl Iterator<Item = Command> {
    std::iter::successors(Some(Command::Plan), |command| row(*command).1)
}

fn word(state: StepState) -> &'static str {
    match state {
        StepState::Planned => "planned",
        StepState::Running => "running",
        StepState::Failed => "failed",
        StepState::Dead => "dead",
        StepState::Done => "done",
        StepState::Superseded => "superseded",
    }
}

/// As the documentation has it: the next state and what is counted, or a dash.
fn cell(step: Step, command: Command) -> String {
    let Ok(next) = step.after(command) else { return "–".to_owned() };
    let counted = |now: u32, then: u32, what: &str| match i64::from(then) - i64::from(now) {
        0 => String::new(),
        1 => format!(", {what}+1"),
        _ => format!(", {what}={then}"),
    };
    let retry_at = match next.retry_at {
        None => ", now",
        Some(then) if Some(then) != step.retry_at => ", later",
        Some(_) => "",
    };
    // A dead letter has no next time.
    let retry_at = if next.state == StepState::Dead { "" } else { retry_at };
    let attempts = counted(step.attempts, next.attempts, "a");
    format!("{}{attempts}{}{retry_at}", word(next.state), counted(step.failures, next.failures, "f"))
}

#[test]
fn every_state_takes_every_command_as_the_documentation_says() {
    let cells = |c| std::iter::once(row(c).0.to_owned()).chain(STATES.map(|s| cell(step(s), c))).collect();
    let made: Vec<Vec<String>> = commands().map(cells).collect();
    let head: Vec<&str> = std::iter::once("command of a step").chain(STATES.map(word)).collect();
    page::says(&head, &made);
}

#[test]
fn a_refusal_says_why() {
    use StepState::{Dead, Done, Failed, Planned, Running, Superseded};
    let (claim, early) = (Command::Claim { now: at(10) }, Command::Claim { now: at(9) });
    let late = Command::Supersede { attempts: ATTEMPTS - 1 };
    let other = Command::Verdict { is_as_held: false };
    for (state, command, why) in [
        (Planned, Command::Plan, Refusal::There),
        (Planned, early, Refusal::NotYet { until: at(10) }),
        (Failed, early, Refusal::NotYet { until: at(10) }),
        (Running, claim, Refusal::Held),
        (Running, Command::HoldOff, Refusal::Held),
        (Dead, claim, Refusal::Dead),
        (Done, claim, Refusal::Done),
        (Superseded, claim, Refusal::Superseded),
        (Planned, Command::Lose, Refusal::NotHeld),
        (Failed, Command::HandBack, Refusal::NotHeld),
        (Running, fail(ATTEMPTS - 1, 9, None), Refusal::OtherAttempt),
        (Running, finish(ATTEMPTS - 1, false), Refusal::OtherAttempt),
        (Dead, fail(ATTEMPTS, 9, None), Refusal::Dead),
        (Done, finish(ATTEMPTS, true), Refusal::Done),
        (Superseded, finish(ATTEMPTS, true), Refusal::Superseded),
        (Running, Command::Replay, Refusal::NotDead),
        (Dead, other, Refusal::NotAsHeld),
        (Planned, other, Refusal::NotDead),
        (Failed, late, Refusal::OtherAttempt),
        (Dead, Command::GiveUp, Refusal::Dead),
        (Done, Command::Forget, Refusal::Done),
    ] {
        assert_eq!(step(state).after(command), Err(why), "{state:?} {command:?}");
    }
}

#[test]
fn a_step_is_open_as_long_as_it_can_be_claimed_or_is() {
    for state in STATES {
        let claim = step(state).after(Command::Claim { now: at(10) });
        assert_eq!(state.is_open(), matches!(claim, Ok(_) | Err(Refusal::Held)), "{state:?}");
        let leaves = commands().filter(|c| *c != Command::Plan).any(|c| step(state).after(c).is_ok());
        assert_eq!(state.is_over(), !leaves, "{state:?}");
        assert_eq!(state.without_lease(), if state == StepState::Running { StepState::Planned } else { state });
    }
}

#[test]
fn what_was_never_tried_needs_no_number_to_be_held_off() {
    assert_eq!(Step::NEW.after(Command::HoldOff), Ok(Step::NEW));
}

/// Three steps of one dataset, each with a landing object.
#[derive(Debug, Clone)]
struct Dataset {
    steps: [Step; 3],
    objects: [EventState; 3],
    /// The step that has it, and until when.
    lease: Option<(usize, i64)>,
    now: i64,
}

const TTL: i64 = 5;

#[derive(Debug, Clone, Copy)]
enum Call {
    Wait(i64),
    Claim,
    /// Of an attempt so many numbers ago.
    Fail(u32, u32, Option<i64>),
    Finish(u32, bool),
    Supersede(u32),
    HoldOff,
    Plain(Command),
}

fn call() -> impl Strategy<Value = (usize, Call)> {
    let later = prop::option::of(0..4_i64);
    let plain = vec![
        Command::Plan,
        Command::HandBack,
        Command::Replay,
        Command::Verdict { is_as_held: true },
        Command::Verdict { is_as_held: false },
        Command::GiveUp,
        Command::Forget,
    ];
    let call = prop_oneof![
        2 => (1..=TTL).prop_map(Call::Wait),
        8 => Just(Call::Claim),
        4 => (0..3_u32, 1..5_u32, later).prop_map(|(ago, most, later)| Call::Fail(ago, most, later)),
        2 => (0..3_u32, any::<bool>()).prop_map(|(ago, has_committed)| Call::Finish(ago, has_committed)),
        1 => (0..2_u32).prop_map(Call::Supersede),
        1 => Just(Call::HoldOff),
        4 => select(plain).prop_map(Call::Plain),
    ];
    (0..3_usize, call)
}

impl Dataset {
    fn new() -> Self {
        Self { steps: [Step::NEW; 3], objects: [event::Command::Take.moves().1; 3], lease: None, now: 0 }
    }

    /// As the store does: who finds a lease that does not hold says so before he takes it. What was said, and to what.
    fn play(&mut self, (n, call): (usize, Call)) -> Option<(Step, Command, Step)> {
        let attempt = |ago: u32| self.steps[n].attempts.saturating_sub(ago);
        let command = match call {
            Call::Wait(seconds) => {
                self.now += seconds;
                return None;
            }
            Call::Claim | Call::HoldOff => {
                match self.lease {
                    Some((_, until)) if self.now < until => return None,
                    Some((holder, _)) => self.apply(holder, Command::Lose),
                    None => {}
                }
                if matches!(call, Call::Claim) { Command::Claim { now: at(self.now) } } else { Command::HoldOff }
            }
            Call::Fail(ago, most, later) => fail(attempt(ago), most, later.map(|l| at(self.now + l))),
            Call::Finish(ago, has_committed) => finish(attempt(ago), has_committed),
            Call::Supersede(ago) => Command::Supersede { attempts: attempt(ago) },
            Call::Plain(command) => command,
        };
        let before = self.steps[n];
        self.apply(n, command);
        Some((before, command, self.steps[n]))
    }

    fn apply(&mut self, n: usize, command: Command) {
        let before = self.steps[n];
        let Ok(next) = before.after(command) else { return };
        self.steps[n] = next;
        if next.state == StepState::Running {
            assert_eq!(self.lease, None, "one step of a dataset at a time");
            self.lease = Some((n, self.now + TTL));
        } else if before.state == StepState::Running {
            self.lease = None;
        }
        let object = match (command, next.state) {
            (Command::Plan, _) => Some(event::Command::Take),
            (_, StepState::Done) if self.now % 2 == 0 => Some(event::Command::Bury),
            (_, StepState::Done) => Some(event::Command::Finish),
            (_, StepState::Superseded) => Some(event::Command::GiveBack),
            (_, StepState::Planned | StepState::Running | StepState::Failed | StepState::Dead) => None,
        };
        if let Some(object) = object {
            assert!(object.is_for(self.objects[n]), "{object:?} of {:?}", self.objects[n]);
            self.objects[n] = object.moves().1;
        }
    }
}

/// What holds whatever was called, of the step that it was said to.
fn check(before: Step, command: Command, after: Step) {
    let is_new = command == Command::Plan && before.state == StepState::Superseded;
    assert!(after.attempts >= before.attempts, "attempts never decrease");
    assert!(before.state != StepState::Done || after == before, "what is done stays done");
    assert!(before.state != StepState::Superseded || after == before || is_new, "only another step takes its key");
    let by_a_person = matches!(command, Command::Replay | Command::Verdict { is_as_held: true });
    if before.state == StepState::Dead && !by_a_person {
        assert!(!after.state.is_open(), "a dead letter comes back by a person alone");
    }
    if after.failures < before.failures {
        assert!(by_a_person || is_new, "a failure is forgotten by a replay alone");
    }
    match command {
        Command::Fail { attempt, .. } | Command::Finish { attempt, has_committed: false } => {
            let is_earlier = attempt < before.attempts;
            assert!(!is_earlier || after == before, "an earlier attempt says nothing of a later one's step");
        }
        Command::Finish { has_committed: true, .. } => {
            assert!(after.state.is_over(), "what was committed is not done once more");
        }
        Command::Supersede { attempts } => {
            assert!(attempts == before.attempts || after == before, "who took it meanwhile keeps it");
        }
        Command::Claim { .. } => assert!(after == before || after.attempts == before.attempts + 1),
        Command::Plan
        | Command::Lose
        | Command::HandBack
        | Command::HoldOff
        | Command::Replay
        | Command::Verdict { .. }
        | Command::GiveUp
        | Command::Forget => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_commands_breaks_what_holds(calls in prop::collection::vec(call(), 1..60)) {
        let mut dataset = Dataset::new();
        for call in calls {
            if let Some((before, command, after)) = dataset.play(call) {
                check(before, command, after);
            }
            let running: Vec<usize> =
                (0..3).filter(|n| dataset.steps[*n].state == StepState::Running).collect();
            prop_assert_eq!(running, dataset.lease.map(|(n, _)| n).into_iter().collect::<Vec<_>>());
        }
    }
}
