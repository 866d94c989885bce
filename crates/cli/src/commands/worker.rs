//! `alluvium worker`: one more process that executes what others planned, until SIGTERM or Ctrl-C.

use super::run::stop;
use crate::{
    args::{Format, Global},
    error::CliError,
    load,
    render::serving::Lines,
    rest,
    wire::Wired,
};
use alluvium_model::{Exit, Span};
use alluvium_server::{Stopper, Worker};
use std::{path::PathBuf, pin::pin};

pub async fn worker(global: &Global, dir: Option<&PathBuf>, grace: Span) -> Result<Exit, CliError> {
    let asked = stop()?;
    let wired = Wired::open(load::checked(global, dir).await?).await?;
    let lines = Lines::new(global.format == Format::Json);
    let (stopper, stop) = Stopper::new();
    lines.tell(&format!("working for {}", wired.project.name));
    tokio::spawn(rest::give_back(stop.clone()));
    let done = {
        let worker = Worker { flow: wired.flow(&lines), grace: grace.into() };
        let mut work = pin!(worker.run(&stop));
        tokio::select! {
            done = &mut work => done,
            () = asked => {
                stopper.stop();
                work.await
            }
        }
    };
    done?;
    lines.tell("stopped");
    wired.close().await?;
    Ok(Exit::Done)
}
