//! `alluvium discard` and `annotate`: what a person decides, or knows, of rows that wait in a quarantine.

use super::replay::{replay, who};
use crate::{
    args::{Annotate, Discard, Global, Selected},
    error::CliError,
    load,
    output::print,
    wire::Wired,
};
use alluvium_flow::Replay;
use alluvium_model::Exit;
use alluvium_store::{QuarantineNote, Selection};

impl Selected {
    pub fn selection(&self) -> Selection {
        Selection { rule: self.rule.clone(), column: self.column.clone(), object: self.object.clone() }
    }
}

pub async fn discard(global: &Global, args: &Discard) -> Result<Exit, CliError> {
    let what = alluvium_flow::Discard {
        dataset: args.dataset.clone(),
        // Of `--all` nothing else is said.
        selection: args.selected.selection(),
        by: who(args.by.as_ref()),
        reason: args.reason.clone(),
    };
    replay(global, args.dir.as_ref(), &Replay::Discard(what)).await
}

pub async fn annotate(global: &Global, args: &Annotate) -> Result<Exit, CliError> {
    let wired = Wired::open(load::project(global, args.dir.as_ref())?).await?;
    if !wired.project.datasets.contains_key(&args.dataset) {
        return Err(CliError::UnknownDataset(args.dataset.to_string()));
    }
    let note = QuarantineNote {
        dataset: args.dataset.clone(),
        selection: args.selected.selection(),
        text: args.note.clone(),
        by: who(args.by.as_ref()),
        noted_at: wired.clock.now(),
    };
    wired.store.note_quarantine(&note).await?;
    wired.close().await?;
    print(&format!("noted; `alluvium show quarantine {}` shows it\n", args.dataset))?;
    Ok(Exit::Done)
}
