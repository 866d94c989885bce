//! `alluvium resume`: what waits for a sink is due at once, also after its receiver said that it wants no more.

use crate::{
    args::{Format, Global},
    error::CliError,
    load,
    output::{print, print_json},
    wire::Wired,
};
use alluvium_model::Exit;
use serde_json::json;
use std::path::PathBuf;

pub async fn resume(global: &Global, sink: &str, dir: Option<&PathBuf>) -> Result<Exit, CliError> {
    let wired = Wired::open(load::checked(global, dir).await?).await?;
    if !wired.project.sinks.contains_key(sink) {
        return Err(CliError::UnknownSink(sink.to_owned()));
    }
    wired.store.reopen_sink(sink).await?;
    let waiting: u64 = wired.store.lanes().await?.iter().filter(|l| l.sink == sink).map(|l| l.waiting).sum();
    match global.format {
        Format::Json => print_json(&json!({ "sink": sink, "waiting": waiting }))?,
        Format::Human => print(&format!("{sink}: {waiting} waiting; `serve` or the next `run` delivers\n"))?,
    }
    wired.close().await?;
    Ok(Exit::Done)
}
