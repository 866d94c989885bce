//! `alluvium replay`: what waits in quarantine, and dead letters, once more.

use super::run::{Work, stop};
use crate::{
    args::{Global, UnderVersion},
    contracts::admitted,
    error::CliError,
};
use alluvium_flow::{Letters, Replay, Version};
use alluvium_model::{DatasetName, Exit};
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

async fn replay(global: &Global, dir: Option<&PathBuf>, what: &Replay) -> Result<Exit, CliError> {
    let stop = stop()?;
    let wired = admitted(global, dir, &[]).await?;
    let work = Work::new(global, &wired);
    let summary = wired.flow(work.reporter.as_ref()).replay(what, stop).await;
    work.close(summary).await
}
