//! From the command line to the command.

use super::{backfill, check, contract, explain, init, quarantine, query, replay, resume, run, serve, show, worker};
use crate::{
    args::{Cli, Command, Drop, Replay},
    error::CliError,
};
use alluvium_model::Exit;
use alluvium_server::TlsFiles;
use alluvium_store::VerdictKind;

pub async fn dispatch(cli: &Cli) -> Result<Exit, CliError> {
    let global = &cli.global;
    match &cli.command {
        Command::Init { template, dir } => init::init(global, template, dir.as_ref()),
        Command::Check { dir, accept } => check::check(global, dir.as_ref(), accept).await,
        Command::Run { dir, adopt, rebuild, accept } => run::run(global, dir.as_ref(), adopt, rebuild, accept).await,
        Command::Serve { dir, accept, scan_every, exit_when_idle, listen, tls_cert, tls_key } => {
            let tls = tls_cert.clone().zip(tls_key.clone());
            let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
            serve::serve(global, dir.as_ref(), accept, *scan_every, *exit_when_idle, *listen, tls).await
        }
        Command::Worker { dir, grace } => worker::worker(global, dir.as_ref(), *grace).await,
        Command::Replay { what: Replay::Quarantine { dataset, dir, adopt } } => {
            replay::quarantine(global, dataset, dir.as_ref(), *adopt).await
        }
        Command::Replay { what: Replay::Rescued { dataset, dir } } => {
            replay::rescued(global, dataset, dir.as_ref()).await
        }
        Command::Replay { what: Replay::DeadLetters { dir, dataset, id, version } } => {
            replay::dead_letters(global, dir.as_ref(), dataset.as_ref(), id, *version).await
        }
        Command::Release(verdict) => replay::held(global, VerdictKind::Release, verdict).await,
        Command::Drop { what: Drop::Held(verdict) } => replay::held(global, VerdictKind::Drop, verdict).await,
        Command::Discard(args) => quarantine::discard(global, args).await,
        Command::Annotate(args) => quarantine::annotate(global, args).await,
        Command::Backfill(args) => backfill::backfill(global, args).await,
        Command::Contract { what } => contract::contract(global, what).await,
        Command::Resume { sink, dir } => resume::resume(global, sink, dir.as_ref()).await,
        Command::Explain { code } => explain::explain(global, code.as_deref()),
        Command::Query(query) => query::query(global, query).await,
        Command::Show { what } => show::show(global, what).await,
    }
}
