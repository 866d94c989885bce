//! What each state makes of every command. Each file names all commands, so that a new one is decided on in all of them.

pub(super) mod dead;
pub(super) mod done;
pub(super) mod failed;
pub(super) mod planned;
pub(super) mod running;
pub(super) mod superseded;
