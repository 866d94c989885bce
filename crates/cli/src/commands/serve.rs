//! `alluvium serve`: what arrives, processed when it arrives, until SIGTERM or Ctrl-C.

use super::run::stop;
use crate::{
    args::{Format, Global},
    error::CliError,
    load,
    render::serving::Lines,
    wire::Wired,
};
use alluvium_model::{Exit, Span};
use alluvium_server::{ServerError, Service, Stopper};
use alluvium_source::files::FolderWatch;
use std::path::PathBuf;

pub async fn serve(global: &Global, dir: Option<&PathBuf>, scan_every: Span) -> Result<Exit, CliError> {
    let asked = stop()?;
    let wired = Wired::open(load::checked(global, dir).await?).await?;
    let watch = FolderWatch::new(&wired.project).map_err(ServerError::Files)?;
    let lines = Lines::new(global.format == Format::Json);
    let (stopper, stop) = Stopper::new();
    let service = Service { flow: wired.flow(&lines), watch: &watch, scan_every: scan_every.into() };
    let served = async {
        let done = service.run(&stop).await;
        stopper.stop();
        done
    };
    let said = async {
        tokio::select! {
            () = asked => stopper.stop(),
            () = stop.clone().said() => {}
        }
    };
    lines.tell(&format!("serving {}", wired.project.name));
    let (done, ()) = tokio::join!(served, said);
    done?;
    lines.tell("stopped");
    wired.close().await?;
    Ok(Exit::Done)
}
