//! From the arguments of `show` to the view.

use super::{datasets, ledger, quarantine, run, runs, versions};
use crate::{
    args::{Global, Show},
    error::CliError,
    load,
    wire::Wired,
};
use alluvium_model::Exit;
use std::path::PathBuf;

pub async fn show(global: &Global, what: &Show) -> Result<Exit, CliError> {
    match what {
        Show::Datasets { dir } => datasets::show(global, &open(global, dir).await?).await?,
        Show::Runs { dir, limit } => runs::show(global, &open(global, dir).await?, *limit).await?,
        Show::Run { id, dir } => run::show(global, &open(global, dir).await?, id).await?,
        Show::Quarantine { dataset, dir } => {
            let (dataset, dir) = quarantine::target(dataset.as_deref(), dir.clone())?;
            quarantine::show(global, &open(global, &dir).await?, dataset.as_ref()).await?;
        }
        Show::Ledger { dir } => ledger::show(global, &open(global, dir).await?).await?,
        Show::Versions { dir } => versions::show(global, &open(global, dir).await?).await?,
    }
    Ok(Exit::Done)
}

async fn open(global: &Global, dir: &Option<PathBuf>) -> Result<Wired, CliError> {
    Wired::open(load::project(global, dir.as_ref())?).await
}
