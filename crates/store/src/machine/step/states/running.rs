//! An attempt has its lease. Who finds that it does not hold any more says so first ([`Command::Lose`]), and then what he wants.

use super::super::{
    Command, Refusal, Step,
    commands::{fail, finish, give_up, hand_back, lose, supersede},
};

pub(in super::super) fn after(step: Step, command: Command) -> Result<Step, Refusal> {
    match command {
        Command::Plan => Err(Refusal::There),
        Command::Claim { .. } | Command::HoldOff => Err(Refusal::Held),
        Command::Lose => Ok(lose(step)),
        Command::HandBack => Ok(hand_back(step)),
        Command::Fail { attempt, most, retry_at } => fail(step, attempt, most, retry_at),
        Command::Finish { attempt, has_committed } => finish(step, attempt, has_committed),
        Command::Replay | Command::Verdict { .. } => Err(Refusal::NotDead),
        Command::Supersede { attempts } => supersede(step, attempts),
        Command::GiveUp | Command::Forget => Ok(give_up(step)),
    }
}
