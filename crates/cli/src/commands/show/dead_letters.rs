//! `show dead-letters`: landing objects and steps that were given up, with the reason and the run that gave them up.

use super::listing::{Column, list, or_dash};
use crate::{
    args::{Format, Global},
    error::CliError,
    output::say,
    render::{Align, brief_time, diagnostic, json_time, printable, progress, size},
    wire::Wired,
};
use alluvium_model::{DatasetName, EventId};
use alluvium_store::{Claimed, DeadLetter, EventRecord, StepKind};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Characters of an id in the table; `replay dead-letters --id` takes them.
const ID: usize = 12;

/// The columns of `state.dead_letters`.
#[derive(Debug, Serialize)]
pub struct Line {
    /// None: the whole step.
    event: Option<String>,
    step: String,
    #[serde(skip)]
    what: StepKind,
    kind: &'static str,
    dataset: String,
    version: String,
    object: Option<String>,
    bytes: Option<u64>,
    /// Where its bytes are kept.
    payload: Option<String>,
    objects: u64,
    /// Versions of tables, `after` excluded.
    inputs: BTreeMap<String, Claimed>,
    code: Option<String>,
    message: String,
    class: Option<String>,
    attempts: u32,
    run: String,
    #[serde(serialize_with = "json_time")]
    died_at: Timestamp,
}

const COLUMNS: &[Column<Line>] = &[
    ("id", Align::Left, |l| l.id().chars().take(ID).collect()),
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("what", Align::Left, Line::described),
    ("size", Align::Right, |l| or_dash(l.bytes.map(size))),
    ("kept", Align::Left, |l| or_dash(l.payload.as_ref().map(|_| "yes"))),
    ("code", Align::Left, |l| or_dash(l.code.as_deref().map(printable))),
    ("class", Align::Left, |l| or_dash(l.class.as_deref())),
    ("attempts", Align::Right, |l| l.attempts.to_string()),
    ("definition", Align::Left, |l| l.version.chars().take(8).collect()),
    ("when", Align::Left, |l| brief_time(l.died_at)),
    ("run", Align::Left, |l| l.run.clone()),
    ("reason", Align::Left, |l| printable(&l.message)),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    let lines = lines(wired).await?;
    list(global, COLUMNS, &lines, "there are no dead letters")?;
    if let (Format::Human, Some(code)) = (global.format, lines.iter().find_map(|l| l.code.as_deref())) {
        say(&format!("{}\n", diagnostic::more(&printable(code))));
    }
    Ok(())
}

pub async fn lines(wired: &Wired) -> Result<Vec<Line>, CliError> {
    let letters = wired.store.dead_letters().await?;
    let kept = kept(wired, &letters).await?;
    let payload = |letter: &DeadLetter| kept.get(letter.event.as_ref()?).cloned();
    let line = |letter: DeadLetter| {
        let payload = payload(&letter);
        Line::new(letter, payload)
    };
    Ok(letters.into_iter().map(line).collect())
}

/// Where the bytes of dead landing objects are.
async fn kept(wired: &Wired, letters: &[DeadLetter]) -> Result<BTreeMap<EventId, String>, CliError> {
    let ids: Vec<EventId> = letters.iter().filter_map(|l| l.event.clone()).collect();
    let events = wired.store.events(&ids).await?;
    let datasets: BTreeSet<&DatasetName> = events.iter().map(|e| &e.dataset).collect();
    let mut places = BTreeMap::new();
    for dataset in datasets {
        match wired.engine.payloads(dataset).await {
            Ok(all) => places.extend(all.into_iter().map(|(c, at)| ((dataset, c), at.display().to_string()))),
            // The letters themselves are in the state.
            Err(error) => tracing::warn!(%dataset, %error, "what is kept of its dead letters cannot be seen"),
        }
    }
    let place = |e: &EventRecord| Some((e.event.clone(), places.get(&(&e.dataset, e.content.clone()))?.clone()));
    Ok(events.iter().filter_map(place).collect())
}

impl Line {
    fn new(letter: DeadLetter, payload: Option<String>) -> Self {
        Self {
            event: letter.event.map(|e| e.to_string()),
            step: letter.step.to_string(),
            what: letter.kind,
            kind: progress::word(letter.kind),
            dataset: letter.dataset.to_string(),
            version: letter.version.to_string(),
            object: letter.object,
            bytes: letter.bytes,
            payload,
            objects: letter.objects,
            inputs: letter.inputs.into_iter().map(|(input, claimed)| (input.to_string(), claimed)).collect(),
            code: letter.code,
            message: letter.message,
            class: letter.class.map(|c| c.to_string()),
            attempts: letter.attempts,
            run: letter.run.to_string(),
            died_at: letter.died_at,
        }
    }

    fn id(&self) -> &str {
        self.event.as_deref().unwrap_or(&self.step)
    }

    /// The landing object, or the step and what it would have read.
    fn described(&self) -> String {
        if let Some(object) = &self.object {
            return printable(object);
        }
        let inputs: Vec<String> =
            self.inputs.iter().map(|(input, c)| format!("{input} ({}, {}]", c.after, c.upto)).collect();
        match self.what {
            StepKind::Ingest => format!("step: {} of {} files", self.kind, self.objects),
            StepKind::Refine
            | StepKind::Curate
            | StepKind::ReplayQuarantine
            | StepKind::Discard
            | StepKind::Rebuild
            | StepKind::Backfill
            | StepKind::Swap => {
                format!("step: {} of {}", self.kind, inputs.join(", "))
            }
        }
    }
}
