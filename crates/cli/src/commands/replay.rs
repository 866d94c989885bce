//! `alluvium replay quarantine`: what waits, once more, under the present contract.

use super::run::{Work, until_stopped};
use crate::{args::Global, error::CliError, load, wire::Wired};
use alluvium_model::{DatasetName, Exit};
use std::path::PathBuf;

pub async fn quarantine(global: &Global, dataset: &DatasetName, dir: Option<&PathBuf>) -> Result<Exit, CliError> {
    let wired = Wired::open(load::checked(global, dir).await?).await?;
    let work = Work::new(global, &wired);
    let command = format!("replay quarantine {dataset}");
    let summary = until_stopped(wired.flow(&work.reporter).replay_quarantine(dataset, &command)).await;
    work.close(summary)
}
