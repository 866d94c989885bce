//! `alluvium run`: what is new, processed until nothing is pending.

use crate::{
    args::{Format, Global},
    commands::show::recent_anomalies,
    contracts::admitted,
    error::CliError,
    logging,
    output::{print, print_json},
    process,
    render::{Style, progress::Reporter, summary::RunSummary},
    wire::Wired,
};
use alluvium_flow::{FlowError, Options, Summary};
use alluvium_model::{DatasetName, Exit};
use alluvium_server::tell_stale;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// A run ends then, even if sinks could be told more.
const LONGEST_TELLING: Duration = Duration::from_secs(60);

pub async fn run(
    global: &Global,
    dir: Option<&PathBuf>,
    adopt: &[DatasetName],
    rebuild: &[DatasetName],
    accept: &[String],
) -> Result<Exit, CliError> {
    let mut command = "run".to_owned();
    for (option, names) in [("adopt", adopt), ("rebuild", rebuild)] {
        names.iter().for_each(|n| command.push_str(&format!(" --{option} {n}")));
    }
    accept.iter().for_each(|n| command.push_str(&format!(" --accept {n}")));
    let (adopt, rebuild) = (adopt.iter().cloned().collect(), rebuild.iter().cloned().collect());
    let options = Options { command, adopt, rebuild, ..Options::default() };
    let stop = stop()?;
    let wired = admitted(global, dir, accept).await?;
    let work = Work::new(global, &wired);
    let summary = wired.flow(work.reporter.as_ref()).run(&options, stop).await;
    work.close(summary).await
}

/// One piece of work that is shown while it goes on, and summed up when it ends.
pub struct Work<'a> {
    pub reporter: Arc<Reporter>,
    format: Format,
    wired: &'a Wired,
    started: jiff::Timestamp,
}

impl<'a> Work<'a> {
    pub fn new(global: &Global, wired: &'a Wired) -> Self {
        let reporter = Reporter::new(global.format == Format::Json, logging::is_on(global));
        Self { reporter: Arc::new(reporter), format: global.format, wired, started: wired.clock.now() }
    }

    /// Tells the sinks what was committed, unless it was stopped (`None`), and ends the bars. For work that is summed up elsewhere.
    pub async fn tell<T>(&self, done: Result<Option<T>, FlowError>) -> Result<Option<T>, CliError> {
        let done = self.published(done, Option::is_none).await?;
        self.reporter.finish();
        Ok(done)
    }

    /// The work as it ended, when what it has to tell is told: alerts too, if an error ended it. That error says more than one of telling.
    async fn published<T>(
        &self,
        done: Result<T, FlowError>,
        is_stopped: impl FnOnce(&T) -> bool,
    ) -> Result<T, CliError> {
        let done = done.map_err(CliError::from);
        match &done {
            Ok(done) if is_stopped(done) => {}
            Ok(_) => self.publish().await?,
            // What was asked was wrong, and nothing was done.
            Err(error) if error.exit() == Exit::BadInput => {}
            Err(_) => {
                let told = self.publish().await;
                let _ = told.inspect_err(|error| tracing::warn!(%error, "sinks could not be told"));
            }
        }
        done
    }

    async fn publish(&self) -> Result<(), CliError> {
        // What is not told by then waits in the state.
        let outbox = self.wired.outbox(self.reporter.clone());
        tokio::select! {
            told = outbox.once(LONGEST_TELLING) => told?,
            () = stop()? => {}
        }
        Ok(())
    }

    /// What is unusual now about the datasets that were worked on. The work is done: no failure to tell this is one of it.
    async fn note_anomalies(&self, summary: &mut Summary) {
        let found = recent_anomalies(self.wired, self.wired.clock.now(), 1).await;
        let found =
            found.inspect_err(|error| tracing::warn!(%error, "anomalies could not be looked for")).unwrap_or_default();
        for anomaly in found.iter().filter(|a| a.open) {
            if let Some(dataset) = summary.datasets.get_mut(&anomaly.dataset) {
                dataset.notes.push(anomaly.to_string());
            }
        }
    }

    /// Tells the sinks what there is to tell, and then a person what was done.
    pub async fn close(self, summary: Result<Summary, FlowError>) -> Result<Exit, CliError> {
        let summary = match summary {
            // Before the sinks are told, so that they hear of it now.
            Ok(done) if !done.stopped => tell_stale(&self.wired.flow(self.reporter.as_ref())).await.map(|()| done),
            ended => ended,
        };
        let summary = self.published(summary, |s| s.stopped).await;
        let heard = self.reporter.finish();
        let mut summary = summary?;
        if summary.stopped {
            return Err(CliError::Stopped);
        }
        if !summary.did_nothing() {
            self.note_anomalies(&mut summary).await;
        }
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

/// Ends when the process is asked to stop, by Ctrl-C or SIGTERM.
pub fn stop() -> Result<impl Future<Output = ()>, CliError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Runtime)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
