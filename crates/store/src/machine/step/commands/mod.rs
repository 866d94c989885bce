//! What a command counts and compares, where more than one state takes it.

mod claim;
mod fail;
mod finish;
mod hold_off;
mod lose;
mod plan;
mod replay;
mod supersede;

pub(super) use claim::claim;
pub(super) use fail::fail;
pub(super) use finish::finish;
pub(super) use hold_off::hold_off;
pub(super) use lose::{hand_back, lose};
pub(super) use plan::plan_again;
pub(super) use replay::{pass_verdict, replay};
pub(super) use supersede::{give_up, supersede};
