//! `alluvium replay`, `release` and `drop held`: what waits in quarantine, dead letters and what gates held back, once more.

use super::run::{Work, stop};
use crate::{
    args::{Global, UnderVersion, Verdict},
    contracts::admitted,
    error::CliError,
};
use alluvium_flow::{Letters, Replay, Settle, Version};
use alluvium_model::{DatasetName, Exit};
use alluvium_store::VerdictKind;
use std::path::PathBuf;

pub async fn quarantine(
    global: &Global,
    dataset: &DatasetName,
    dir: Option<&PathBuf>,
    adopt: bool,
) -> Result<Exit, CliError> {
    replay(global, dir, &Replay::Quarantine { dataset: dataset.clone(), adopt }).await
}

pub async fn rescued(global: &Global, dataset: &DatasetName, dir: Option<&PathBuf>) -> Result<Exit, CliError> {
    replay(global, dir, &Replay::Rescued { dataset: dataset.clone() }).await
}

pub async fn dead_letters(
    global: &Global,
    dir: Option<&PathBuf>,
    dataset: Option<&DatasetName>,
    ids: &[String],
    version: UnderVersion,
) -> Result<Exit, CliError> {
    let version = match version {
        UnderVersion::Original => Version::Original,
        UnderVersion::Current => Version::Current,
    };
    replay(global, dir, &Replay::DeadLetters(Letters { dataset: dataset.cloned(), ids: ids.to_vec(), version })).await
}

pub async fn held(global: &Global, verdict: VerdictKind, args: &Verdict) -> Result<Exit, CliError> {
    let Verdict { dataset, dir, reason, by } = args;
    let by = who(by.as_ref());
    let what = Settle { dataset: dataset.clone(), verdict, by, reason: reason.clone() };
    replay(global, dir.as_ref(), &Replay::Held(what)).await
}

/// Who says something that is kept.
pub fn who(by: Option<&String>) -> String {
    by.cloned().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown".to_owned())
}

pub async fn replay(global: &Global, dir: Option<&PathBuf>, what: &Replay) -> Result<Exit, CliError> {
    let stop = stop()?;
    let wired = admitted(global, dir, &[]).await?;
    let work = Work::new(global, &wired);
    let summary = wired.flow(work.reporter.as_ref()).replay(what, stop).await;
    work.close(summary).await
}
