//! `alluvium replay quarantine`: what waits, once more, under the present contract.

use super::run::{Work, stop};
use crate::{args::Global, error::CliError, load, wire::Wired};
use alluvium_flow::Options;
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
