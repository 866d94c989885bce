//! From the arguments of `show` to the view.

use super::{
    alerts, anomalies, backfills, catalog, contracts, datasets, dead_letters, drift, event, gaps, held, ledger,
    library, publications, quarantine, retries, run, runs, versions,
};
use crate::{
    args::{Global, Show},
    error::CliError,
    load,
    render::printable,
    wire::Wired,
};
use alluvium_model::Exit;
use std::path::PathBuf;

pub async fn show(global: &Global, what: &Show) -> Result<Exit, CliError> {
    let mut only = None;
    let dir = match what {
        Show::Catalog { .. } => None,
        Show::Datasets { dir }
        | Show::Runs { dir, .. }
        | Show::Run { dir, .. }
        | Show::Event { dir, .. }
        | Show::DeadLetters { dir }
        | Show::Retries { dir }
        | Show::Anomalies { dir, .. }
        | Show::Alerts { dir, .. }
        | Show::Backfills { dir }
        | Show::Ledger { dir }
        | Show::Publications { dir }
        | Show::Library { dir }
        | Show::Contracts { dir }
        | Show::Contract { dir, .. }
        | Show::Versions { dir } => dir.clone(),
        Show::Quarantine(args) => {
            let (dataset, dir) = quarantine::target(args.dataset.as_deref(), args.dir.clone())?;
            // Nothing is written of several quarantines at once.
            if let (None, Some(first), Some(_)) = (&dataset, &args.dataset, &args.to) {
                return Err(CliError::UnknownDataset(printable(first)));
            }
            only = dataset;
            dir
        }
        Show::Drift { dataset, dir } | Show::Held { dataset, dir } | Show::Gaps { dataset, dir, .. } => {
            let (dataset, dir) = quarantine::target(dataset.as_deref(), dir.clone())?;
            only = dataset;
            dir
        }
    };
    let wired = open(global, dir.as_ref()).await?;
    match what {
        Show::Datasets { .. } => datasets::show(global, &wired).await?,
        Show::Catalog { words } => catalog::show(global, &wired, words).await?,
        Show::Runs { limit, .. } => runs::show(global, &wired, *limit).await?,
        Show::Run { id, .. } => run::show(global, &wired, id).await?,
        Show::Event { id, .. } => event::show(global, &wired, id).await?,
        Show::Quarantine(args) => quarantine::show(global, &wired, only.as_ref(), args).await?,
        Show::DeadLetters { .. } => dead_letters::show(global, &wired).await?,
        Show::Held { .. } => held::show(global, &wired, only.as_ref()).await?,
        Show::Retries { .. } => retries::show(global, &wired).await?,
        Show::Drift { .. } => drift::show(global, &wired, only.as_ref()).await?,
        Show::Gaps { window, .. } => gaps::show(global, &wired, only.as_ref(), *window).await?,
        Show::Anomalies { days, .. } => anomalies::show(global, &wired, *days).await?,
        Show::Alerts { days, .. } => alerts::show(global, &wired, *days).await?,
        Show::Backfills { .. } => backfills::show(global, &wired).await?,
        Show::Ledger { .. } => ledger::show(global, &wired).await?,
        Show::Publications { .. } => publications::show(global, &wired).await?,
        Show::Library { .. } => library::show(global, &wired)?,
        Show::Contracts { .. } => contracts::show(global, &wired).await?,
        Show::Contract { name, .. } => contracts::versions(global, &wired, name).await?,
        Show::Versions { .. } => versions::show(global, &wired).await?,
    }
    wired.close().await?;
    Ok(Exit::Done)
}

async fn open(global: &Global, dir: Option<&PathBuf>) -> Result<Wired, CliError> {
    Wired::reading(load::project(global, dir)?).await
}
