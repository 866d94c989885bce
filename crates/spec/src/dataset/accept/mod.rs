//! `accept:` acceptance criteria of a dataset.

mod levels;
mod measures;
mod read;

pub(super) use read::read;
