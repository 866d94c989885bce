//! Runs that have ended with all of their steps, and were not told.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{Arg, Row, Session, codec::Cells, lanes, runs, sets::open};
use crate::{EndedRun, EndedSteps, Ending, RunState, StoreError, Topic, Watch};
use alluvium_model::DatasetName;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Told at once; more are found by the next look.
const MOST: usize = 100;

pub(super) async fn runs(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<Vec<EndedRun>, StoreError> {
    let sql = concat!(
        "SELECT run, command, state, started_at, finished_at, objects_new, objects_duplicate, objects_dead, tells
         FROM runs AS r
         WHERE tells = 1 AND NOT EXISTS (SELECT 1 FROM steps AS s WHERE s.run = r.run AND s.state IN ",
        open!(),
        ")
             -- Another process may go on with a replay.
             AND NOT EXISTS (SELECT 1 FROM replays AS p WHERE p.id = r.run AND p.ended_at IS NULL)
         ORDER BY seq"
    );
    let untold = tx.rows(sql, &[]).await?;
    let mut ended = Vec::new();
    if untold.is_empty() {
        return Ok(ended);
    }
    let lost = runs::lost(tx, watch).await?;
    for row in untold {
        let mut run = runs::record_of(&row)?;
        if lost.contains(run.run.as_str()) {
            run.state = run.state.without_lease();
        }
        if run.state != RunState::Running && ended.len() < MOST {
            ended.push(EndedRun { run, datasets: BTreeMap::new() });
        }
    }
    let asked = ended.iter().map(|e| e.run.run.as_str());
    for row in steps(tx, asked).await? {
        let run = Cells(&row).text("run")?;
        if let Some(ended) = ended.iter_mut().find(|e| e.run.run.as_str() == run) {
            add(&mut ended.datasets, &row)?;
        }
    }
    Ok(ended)
}

/// What each of the runs planned, summed by dataset and state.
async fn steps<'a>(tx: &mut Session<'_>, runs: impl IntoIterator<Item = &'a str>) -> Result<Vec<Row>, StoreError> {
    let sql = "SELECT run, dataset, state, count(*) AS number, max(committed) AS committed,
                      CAST(sum(received) AS BIGINT) AS received, CAST(sum(loaded) AS BIGINT) AS loaded,
                      CAST(sum(quarantined) AS BIGINT) AS quarantined, CAST(sum(dropped) AS BIGINT) AS dropped,
                      CAST(sum(dead) AS BIGINT) AS dead, CAST(sum(duplicates) AS BIGINT) AS duplicates,
                      CAST(sum(late) AS BIGINT) AS late
               FROM steps WHERE run IN (SELECT value ->> 0 FROM json_each($1))
               GROUP BY run, dataset, state";
    tx.rows(sql, &[Arg::column(runs)]).await
}

fn add(datasets: &mut BTreeMap<DatasetName, EndedSteps>, row: &Row) -> Result<(), StoreError> {
    let cells = Cells(row);
    let steps = datasets.entry(cells.dataset("dataset")?).or_default();
    steps.states.insert(cells.word("state")?, cells.count("number")?);
    steps.balance += cells.balance()?;
    steps.committed = steps.committed.max(cells.optional_integer("committed")?);
    Ok(())
}

/// Whoever comes second changes nothing. A step that is open again keeps the word back, and so does one that the word does not know
/// of: a run that was cut off may have gone on since it was looked at. From then on the run plans nothing.
pub(super) async fn tell_run(
    tx: &mut Session<'_>,
    ended: &EndedRun,
    ending: &Ending,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let run = &ended.run.run;
    // First, so that the next statement sees what was planned until then.
    tx.row("SELECT run FROM runs WHERE run = $1 FOR UPDATE", &[run.as_str().into()]).await?;
    let mut datasets = BTreeMap::new();
    for row in steps(tx, [run.as_str()]).await? {
        add(&mut datasets, &row)?;
    }
    if datasets != ended.datasets {
        return Ok(false);
    }
    let sql = concat!(
        "UPDATE runs SET tells = 2 WHERE run = $1 AND tells = 1
             AND NOT EXISTS (SELECT 1 FROM steps AS s WHERE s.run = runs.run AND s.state IN ",
        open!(),
        ")
             AND NOT EXISTS (SELECT 1 FROM replays AS p WHERE p.id = runs.run AND p.ended_at IS NULL)"
    );
    if tx.execute(sql, &[run.as_str().into()]).await? == 0 {
        return Ok(false);
    }
    lanes::tell(tx, &Topic::Runs, ending, at).await?;
    Ok(true)
}
