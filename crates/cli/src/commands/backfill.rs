//! `alluvium backfill`: history made anew beside a live table, compared with it, and swapped in or dropped.

use super::run::{Work, stop};
use crate::{
    args::{Backfill as Args, Format, Global},
    contracts::admitted,
    error::CliError,
    load,
    output::{print, print_json},
    render::{Style, backfill, progress::Reporter},
    wire::Wired,
};
use alluvium_flow::Backfill;
use alluvium_model::{Exit, Stride, Window};
use alluvium_store::BackfillState;
use std::sync::Arc;

pub async fn backfill(global: &Global, args: &Args) -> Result<Exit, CliError> {
    let range = args.from.zip(args.to).map(|(from, to)| Window { from: from.0, to: to.0 }).zip(args.window);
    match range {
        Some((range, stride)) if args.dry_run => survey(global, args, range, stride).await,
        _ if args.drop => drop_it(global, args).await,
        range => work(global, args, range).await,
    }
}

/// Makes and changes nothing.
async fn survey(global: &Global, args: &Args, range: Window, stride: Stride) -> Result<Exit, CliError> {
    let wired = Wired::reading(load::checked(global, args.dir.as_ref()).await?).await?;
    let reporter = Reporter::new(true, false);
    let windows = wired.flow(&reporter).survey_backfill(&wired.engine, &args.dataset, range, stride).await?;
    match global.format {
        Format::Json => print_json(&backfill::Survey::new(&args.dataset, &windows))?,
        Format::Human => print(&backfill::Survey::new(&args.dataset, &windows).text(Style::stdout()))?,
    }
    wired.close().await?;
    Ok(Exit::Done)
}

async fn drop_it(global: &Global, args: &Args) -> Result<Exit, CliError> {
    let wired = Wired::open(load::checked(global, args.dir.as_ref()).await?).await?;
    let reporter = Reporter::new(true, false);
    wired.flow(&reporter).drop_backfill(&wired.engine, &args.dataset).await?;
    match global.format {
        Format::Json => print_json(&serde_json::json!({ "dataset": args.dataset, "state": "dropped" }))?,
        Format::Human => print(&format!("the backfill of {} is dropped\n", args.dataset))?,
    }
    wired.close().await?;
    Ok(Exit::Done)
}

async fn work(global: &Global, args: &Args, range: Option<(Window, Stride)>) -> Result<Exit, CliError> {
    let stop = stop()?;
    let wired = admitted(global, args.dir.as_ref(), &[]).await?;
    let work = Work::new(global, &wired);
    let mut command = format!("backfill {}", args.dataset);
    if let Some((range, stride)) = &range {
        command.push_str(&format!(" {range} --window {stride}"));
    }
    for (word, is_asked) in [(" --resume", args.resume), (" --swap", args.swap)] {
        if is_asked {
            command.push_str(word);
        }
    }
    let asked = Backfill {
        dataset: args.dataset.clone(),
        range,
        max_active: args.max_active_runs,
        tolerated: args.tolerated_failure_percentage.map(|t| t.0),
        resume: args.resume,
        swap: args.swap,
    };
    let reporter = Arc::clone(&work.reporter);
    let done = wired.flow(reporter.as_ref()).backfill(&wired.engine, &asked, &command, stop).await;
    let done = work.tell(done).await?.ok_or(CliError::Stopped)?;
    let failed = done.record.state == BackfillState::Failed || (args.swap && done.committed.is_none());
    let told = backfill::Told::new(&done);
    match global.format {
        Format::Json => print_json(&told)?,
        Format::Human => print(&told.text(Style::stdout()))?,
    }
    wired.close().await?;
    Ok(if failed { Exit::FailedWork } else { Exit::Done })
}
