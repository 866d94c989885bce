//! It committed, or had nothing to commit. It stays so.

use super::super::{Command, Refusal, Step};

pub(in super::super) fn after(command: Command) -> Result<Step, Refusal> {
    match command {
        Command::Plan => Err(Refusal::There),
        Command::Lose | Command::HandBack => Err(Refusal::NotHeld),
        Command::Replay | Command::Verdict { .. } => Err(Refusal::NotDead),
        Command::Claim { .. }
        | Command::HoldOff
        | Command::Fail { .. }
        | Command::Finish { .. }
        | Command::Supersede { .. }
        | Command::GiveUp
        | Command::Forget => Err(Refusal::Done),
    }
}
