//! `alluvium query`: SQL over the lake and the state.

use crate::{
    args::{Format, Global, Output, Query},
    error::{CliError, causes},
    load,
    output::{Destination, Written, say},
    render::{grouped, results::Results},
    wire::Wired,
};
use alluvium_lake::{LakeError, QueryResult};
use alluvium_model::{DatasetName, Exit, Fault};
use alluvium_spec::Project;
use futures::StreamExt;
use std::io::{self, IsTerminal, Read};

/// A table is for people.
const TABLE_ROWS: usize = 100;
/// More than anyone writes by hand.
const MOST_SQL_BYTES: u64 = 1 << 20;

pub async fn query(global: &Global, args: &Query) -> Result<Exit, CliError> {
    let output = form(global, args);
    if output == Output::Parquet && args.to.is_none() && io::stdout().is_terminal() {
        return Err(CliError::Terminal);
    }
    let sql = if args.sql == "-" { read_sql()? } else { args.sql.clone() };
    let wired = Wired::reading(load::project(global, args.dir.as_ref())?).await?;
    let result = ask(&wired, &sql).await?;
    let limit = match (args.limit, output) {
        (Some(0), _) => None,
        (None, Output::Table) => Some(TABLE_ROWS),
        (limit, _) => limit,
    };
    let out = match &args.to {
        Some(to) => Destination::file(to)?,
        None => Destination::stdout(),
    };
    if send(result, output, out, limit).await? && args.limit.is_none() {
        let rows = grouped(TABLE_ROWS as u64);
        say(&format!("the first {rows} rows; more with --limit N, all with --limit 0 or --output csv\n"));
    }
    wired.close().await?;
    Ok(Exit::Done)
}

/// Plans the statement; a wrong one is the asker's mistake, not failed work.
pub async fn ask(wired: &Wired, sql: &str) -> Result<QueryResult, CliError> {
    let sql = wired.project.library.query(sql).map_err(CliError::Definitions)?;
    let state = wired.store.tables(&wired.watch()).await?;
    alluvium_lake::query(&wired.engine, &wired.project, state, &sql).await.map_err(|e| wrong(&wired.project, e))
}

fn wrong(project: &Project, error: LakeError) -> CliError {
    // The engine also fails for what is not the asker's, as a disk that may not be written or has no room.
    if error.code() != "L0103" {
        return CliError::Lake(error);
    }
    let Some(innermost) = causes(&error).pop() else { return CliError::Lake(error) };
    let said = innermost.replace("'alluvium.", "'");
    let missing = |n: &&DatasetName| said.contains(&format!("table '{n}' not found"));
    match project.datasets.keys().find(missing) {
        Some(name) => CliError::NoTable(name.clone()),
        None => CliError::Query { said, error: Box::new(error) },
    }
}

/// Writes at most `limit` rows. `true`: there were more.
pub async fn send(
    result: QueryResult,
    output: Output,
    out: Destination,
    limit: Option<usize>,
) -> Result<bool, CliError> {
    let QueryResult { schema, mut batches } = result;
    let mut results = Results::new(output, schema, out)?;
    let mut left = limit.unwrap_or(usize::MAX);
    let mut more = false;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let rows = batch.num_rows().min(left);
        more = batch.num_rows() > rows;
        left -= rows;
        if results.write(&batch.slice(0, rows))? == Written::NoReader {
            return Ok(false);
        }
        if more {
            break;
        }
    }
    results.finish()?;
    Ok(more)
}

fn form(global: &Global, args: &Query) -> Output {
    let by_ending = || args.to.as_deref().and_then(Output::of);
    let otherwise = match global.format {
        Format::Human => Output::Table,
        Format::Json => Output::Json,
    };
    args.output.or_else(by_ending).unwrap_or(otherwise)
}

fn read_sql() -> Result<String, CliError> {
    let mut sql = String::new();
    io::stdin().lock().take(MOST_SQL_BYTES).read_to_string(&mut sql).map_err(CliError::Input)?;
    Ok(sql)
}
