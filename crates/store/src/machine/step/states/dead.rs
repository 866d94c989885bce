//! A dead letter: it failed for good, or a gate held it. What it took stays with it. It is brought back by a person, it makes room for
//! another step, or its commit is found.

use super::super::{
    Command, Refusal, Step,
    commands::{finish, give_up, hold_off, pass_verdict, replay, supersede},
};

pub(in super::super) fn after(step: Step, command: Command) -> Result<Step, Refusal> {
    match command {
        Command::Plan => Err(Refusal::There),
        Command::Claim { .. } | Command::Fail { .. } | Command::GiveUp => Err(Refusal::Dead),
        Command::Lose | Command::HandBack => Err(Refusal::NotHeld),
        Command::HoldOff => Ok(hold_off(step)),
        Command::Finish { attempt, has_committed } => finish(step, attempt, has_committed),
        Command::Replay => Ok(replay(step)),
        Command::Verdict { is_as_held } => pass_verdict(step, is_as_held),
        Command::Supersede { attempts } => supersede(step, attempts),
        Command::Forget => Ok(give_up(step)),
    }
}
