//! `alluvium serve`: what arrives, processed when it arrives, until SIGTERM or Ctrl-C.

use super::{run, show::Served};
use crate::{
    args::{Format, Global},
    contracts::admitted,
    error::CliError,
    render::serving::Lines,
    rest,
    wire::Wired,
};
use alluvium_model::{Exit, Span};
use alluvium_server::{
    Api, ApiParts, Audit, Health, Intake, Over, ServerError, Service, Stop, Stopper, TlsFiles, Waking,
};
use alluvium_source::files::FolderWatch;
use futures::FutureExt as _;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::timeout};

/// Others than on this machine have to know it. No argument, because arguments can be read by everybody here.
const TOKEN: &str = "ALLUVIUM_TOKEN";
/// Of people, who are known by theirs: `name:token`, separated by commas.
const NAMED_TOKENS: &str = "ALLUVIUM_TOKENS";
/// For requests that are on their way when the service stops.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

pub async fn serve(
    global: &Global,
    dir: Option<&PathBuf>,
    accept: &[String],
    scan_every: Span,
    exit_when_idle: Option<Span>,
    listen: SocketAddr,
    tls: Option<TlsFiles>,
) -> Result<Exit, CliError> {
    let asked = run::stop()?;
    let wired = Arc::new(admitted(global, dir, accept).await?);
    let lines = Arc::new(Lines::new(global.format == Format::Json));
    let watch = FolderWatch::new(&wired.project).map_err(ServerError::Files)?;
    let (stopper, stop) = Stopper::new();
    let health = Arc::new(Health::default());
    let (intake, takes_in) = Intake::new(wired.store.shared(), wired.clock.clone(), stop.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let (clock, timer) = (wired.clock.clone(), wired.timer.clone());
    let (audit, writes_down) = Audit::new(wired.store.shared(), clock.clone(), timer, stop.clone());
    let parts = ApiParts {
        project: &wired.project,
        token: std::env::var(TOKEN).ok(),
        named_tokens: std::env::var(NAMED_TOKENS).ok(),
        tls,
        intake: intake.clone(),
        audit,
        registry: wired.store.shared(),
        views: Arc::new(Served(wired.clone())),
        health: health.clone(),
        clock,
        variables: &*wired.variables,
    };
    let api = Api::bind(listen, parts).await?;
    lines.tell(&format!("serving {} on {scheme}://{}", wired.project.name, api.address()?));
    // On threads of their own, so that they answer while a step is computed.
    let (takes_in, writes_down) = (tokio::spawn(takes_in), tokio::spawn(writes_down));
    let answers = tokio::spawn(api.serve(stop.clone()));
    tokio::spawn(rest::give_back(stop.clone()));
    let wake = Arc::new(Notify::new());
    let outbox = wired.outbox(lines.clone());
    let lanes = outbox.busy.clone();
    let outbox = tokio::spawn(outbox.work(wake.clone(), stop.clone()));
    let waking = Waking { report: lines.as_ref(), wake };
    let flow = wired.flow(&waking);
    let (scan_every, exit_when_idle) = (scan_every.into(), exit_when_idle.map(Into::into));
    let service = Service { flow, watch: &watch, intake, health: &health, telling: &lanes, scan_every, exit_when_idle };
    let served = async {
        let done = service.run(&stop).await;
        stopper.stop();
        done
    };
    let told = async {
        tokio::select! {
            () = asked => stopper.stop(),
            () = stop.clone().said() => {}
        }
    };
    let (done, answered, ()) = tokio::join!(served, ends(answers, &stop, &stopper), told);
    // Every event that was taken is answered for before this ends.
    let _ = timeout(LAST_ANSWERS, async { tokio::join!(takes_in, writes_down) }).await;
    let asked_again = run::stop()?.shared();
    let finished = match done {
        Ok(Over::Idle) => service.finish(asked_again.clone()).await,
        Ok(Over::Stopped) | Err(_) => Ok(()),
    };
    drop(service);
    // So is every delivery that is on its way; what is not told waits.
    let telling = outbox.abort_handle();
    if timeout(LAST_ANSWERS, outbox).await.is_err() {
        telling.abort();
    }
    let told = match done {
        Ok(Over::Idle) => tell_last(&wired, lines.clone(), asked_again).await,
        Ok(Over::Stopped) | Err(_) => Ok(()),
    };
    let over = done?;
    finished?;
    answered?;
    told?;
    lines.tell(if over == Over::Idle { "nothing is left to do" } else { "stopped" });
    if let Some(wired) = Arc::into_inner(wired) {
        wired.close().await?;
    }
    Ok(Exit::Done)
}

/// What was committed while an idle service closed, when its outbox had ended. What is not told by then waits in the state.
async fn tell_last(wired: &Wired, lines: Arc<Lines>, stop: impl Future<Output = ()>) -> Result<(), CliError> {
    tokio::select! {
        told = timeout(LAST_ANSWERS, wired.outbox(lines).once(LAST_ANSWERS)) => told.unwrap_or(Ok(()))?,
        () = stop => {}
    }
    Ok(())
}

/// A socket that fails stops the service; a service that stops leaves requests some time.
async fn ends(
    answers: tokio::task::JoinHandle<Result<(), ServerError>>,
    stop: &Stop,
    stopper: &Stopper,
) -> Result<(), ServerError> {
    let abort = answers.abort_handle();
    let late = async {
        stop.clone().said().await;
        let _ = timeout(LAST_ANSWERS, std::future::pending::<()>()).await;
    };
    tokio::select! {
        done = answers => {
            stopper.stop();
            done.unwrap_or_else(|e| Err(ServerError::Serve(std::io::Error::other(e))))
        }
        () = late => {
            abort.abort();
            Ok(())
        }
    }
}
