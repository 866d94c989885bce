//! It waits for its first attempt, or for the next one after one that nobody ended, or that was handed back.

use super::super::{
    Command, Refusal, Step,
    commands::{claim, fail, finish, give_up, hold_off, supersede},
};

pub(in super::super) fn after(step: Step, command: Command) -> Result<Step, Refusal> {
    match command {
        Command::Plan => Err(Refusal::There),
        Command::Claim { now } => claim(step, now),
        Command::Lose | Command::HandBack => Err(Refusal::NotHeld),
        Command::HoldOff => Ok(hold_off(step)),
        Command::Fail { attempt, most, retry_at } => fail(step, attempt, most, retry_at),
        Command::Finish { attempt, has_committed } => finish(step, attempt, has_committed),
        Command::Replay | Command::Verdict { .. } => Err(Refusal::NotDead),
        Command::Supersede { attempts } => supersede(step, attempts),
        Command::GiveUp | Command::Forget => Ok(give_up(step)),
    }
}
