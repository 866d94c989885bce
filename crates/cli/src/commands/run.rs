//! `alluvium run`: what is new, processed until nothing is pending.

use crate::{
    args::{Format, Global},
    error::CliError,
    load, logging,
    output::{print, print_json},
    process,
    render::{Style, progress::Reporter, summary::RunSummary},
    wire::Wired,
};
use alluvium_flow::{FlowError, Options, Summary};
use alluvium_model::{DatasetName, Exit};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

pub async fn run(
    global: &Global,
    dir: Option<&PathBuf>,
    adopt: &[DatasetName],
    rebuild: &[DatasetName],
) -> Result<Exit, CliError> {
    let mut command = "run".to_owned();
    for (option, names) in [("adopt", adopt), ("rebuild", rebuild)] {
        names.iter().for_each(|n| command.push_str(&format!(" --{option} {n}")));
    }
    let options =
        Options { command, adopt: adopt.iter().cloned().collect(), rebuild: rebuild.iter().cloned().collect() };
    let wired = Wired::open(load::checked(global, dir).await?).await?;
    let work = Work::new(global, &wired);
    let summary = until_stopped(wired.flow(&work.reporter).run(&options)).await;
    work.close(summary)
}

/// One piece of work that is shown while it goes on, and summed up when it ends.
pub struct Work<'a> {
    pub reporter: Reporter,
    format: Format,
    wired: &'a Wired,
    started: jiff::Timestamp,
}

impl<'a> Work<'a> {
    pub fn new(global: &Global, wired: &'a Wired) -> Self {
        let reporter = Reporter::new(global.format == Format::Json, logging::is_on(global));
        Self { reporter, format: global.format, wired, started: wired.clock.now() }
    }

    pub fn close(self, summary: Result<Summary, CliError>) -> Result<Exit, CliError> {
        let heard = self.reporter.finish();
        let summary = summary?;
        let wall = self.wired.clock.now().as_microsecond() - self.started.as_microsecond();
        let wall = u64::try_from(wall).unwrap_or(0);
        let order = &self.wired.project.order;
        let summed = RunSummary::new(&summary, order, heard, wall, process::peak_memory_bytes());
        match self.format {
            Format::Human => print(&summed.text(Style::stdout()))?,
            Format::Json => print_json(&summed)?,
        }
        Ok(if summary.complete() { Exit::Done } else { Exit::FailedWork })
    }
}

/// Ends the work when the process is asked to stop. What is not committed then is not visible and is done again.
pub async fn until_stopped(work: impl Future<Output = Result<Summary, FlowError>>) -> Result<Summary, CliError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Runtime)?;
    tokio::select! {
        done = work => Ok(done?),
        _ = tokio::signal::ctrl_c() => Err(CliError::Stopped),
        _ = terminate.recv() => Err(CliError::Stopped),
    }
}
