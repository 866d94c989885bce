//! `show dead-letters`: landing objects that cannot be loaded, with the reason and the run that gave them up.

use super::listing::{Column, list, or_dash};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, brief_time, json_time, printable, size},
    wire::Wired,
};
use alluvium_store::DeadLetter;
use jiff::Timestamp;
use serde::Serialize;

/// The columns of `state.dead_letters`.
#[derive(Debug, Serialize)]
pub struct Line {
    event: String,
    dataset: String,
    object: String,
    bytes: u64,
    code: Option<String>,
    message: String,
    run: String,
    #[serde(serialize_with = "json_time")]
    died_at: Timestamp,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("object", Align::Left, |l| printable(&l.object)),
    ("size", Align::Right, |l| size(l.bytes)),
    ("code", Align::Left, |l| or_dash(l.code.as_deref().map(printable))),
    ("when", Align::Left, |l| brief_time(l.died_at)),
    ("run", Align::Left, |l| l.run.clone()),
    ("reason", Align::Left, |l| printable(&l.message)),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    list(global, COLUMNS, &lines(wired).await?, "there are no dead letters")
}

pub async fn lines(wired: &Wired) -> Result<Vec<Line>, CliError> {
    Ok(wired.store.dead_letters().await?.into_iter().map(Line::new).collect())
}

impl Line {
    fn new(letter: DeadLetter) -> Self {
        Self {
            event: letter.event.to_string(),
            dataset: letter.dataset.to_string(),
            object: letter.object,
            bytes: letter.bytes,
            code: letter.code,
            message: letter.message,
            run: letter.run.to_string(),
            died_at: letter.died_at,
        }
    }
}
