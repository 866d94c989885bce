//! `alluvium replay`: what waits in quarantine, and dead letters, once more.

use super::run::{Work, stop};
use crate::{
    args::{Global, UnderVersion},
    error::CliError,
    load,
    wire::Wired,
};
use alluvium_flow::{Letters, Options, Version};
use alluvium_model::{DatasetName, Exit};
use std::{collections::BTreeSet, path::PathBuf};

pub async fn quarantine(
    global: &Global,
    dataset: &DatasetName,
    dir: Option<&PathBuf>,
    adopt: bool,
) -> Result<Exit, CliError> {
    let stop = stop()?;
    let wired = Wired::open(load::checked(global, dir).await?).await?;
    let work = Work::new(global, &wired);
    let (mut command, mut adopted) = (format!("replay quarantine {dataset}"), BTreeSet::new());
    if adopt {
        command.push_str(" --adopt");
        adopted.insert(dataset.clone());
    }
    let options = Options { command, adopt: adopted, ..Options::default() };
    let summary = wired.flow(work.reporter.as_ref()).replay_quarantine(dataset, &options, stop).await;
    work.close(summary).await
}

pub async fn dead_letters(
    global: &Global,
    dir: Option<&PathBuf>,
    dataset: Option<&DatasetName>,
    ids: &[String],
    version: UnderVersion,
) -> Result<Exit, CliError> {
    let stop = stop()?;
    let wired = Wired::open(load::checked(global, dir).await?).await?;
    let work = Work::new(global, &wired);
    let mut command = "replay dead-letters".to_owned();
    dataset.iter().for_each(|d| command.push_str(&format!(" --dataset {d}")));
    ids.iter().for_each(|id| command.push_str(&format!(" --id {id}")));
    let version = match version {
        UnderVersion::Original => Version::Original,
        UnderVersion::Current => Version::Current,
    };
    if version == Version::Original {
        command.push_str(" --version original");
    }
    let letters = Letters { dataset: dataset.cloned(), ids: ids.to_vec(), version };
    let summary = wired.flow(work.reporter.as_ref()).replay_dead_letters(&letters, &command, stop).await;
    work.close(summary).await
}
