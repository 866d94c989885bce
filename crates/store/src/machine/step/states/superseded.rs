//! It never committed, and never will. Under its key another step may be planned, which goes on with the number of its attempts.

use super::super::{Command, Refusal, Step, commands::plan_again};

pub(in super::super) fn after(step: Step, command: Command) -> Result<Step, Refusal> {
    match command {
        Command::Plan => Ok(plan_again(step)),
        Command::Lose | Command::HandBack => Err(Refusal::NotHeld),
        Command::Replay | Command::Verdict { .. } => Err(Refusal::NotDead),
        Command::Claim { .. }
        | Command::HoldOff
        | Command::Fail { .. }
        | Command::Finish { .. }
        | Command::Supersede { .. }
        | Command::GiveUp
        | Command::Forget => Err(Refusal::Superseded),
    }
}
