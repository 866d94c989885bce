//! Backfills and how far they have come.
//!
//! Called by `store.rs` of this folder, inside a transaction. Their windows are steps as any others.

use super::{
    Arg, Row, Session,
    codec::{Cells, Word, json, micros, number},
    lanes, leases, runs,
    sets::over,
    steps,
};
use crate::{
    BackfillRecord, BackfillState, Ending, Forgotten, OpenWindows, StepState, StoreError, Topic, Watch,
    machine::step::Command,
};
use alluvium_model::{DefinitionVersion, RunId, StepKey, Window};
use std::collections::{HashMap, HashSet};

pub(super) async fn start(tx: &mut Session<'_>, new: &BackfillRecord) -> Result<Option<RunId>, StoreError> {
    runs::require(tx, [new.id.as_str()]).await?;
    // Whoever else begins one of the dataset waits.
    tx.take_datasets([new.dataset.to_string()]).await?;
    let sql = "SELECT id FROM backfills WHERE dataset = $1 AND state <> $2 AND id <> $3";
    let args = [new.dataset.to_string().into(), BackfillState::END.word().into(), new.id.as_str().into()];
    if let Some(row) = tx.row(sql, &args).await? {
        return Ok(Some(RunId::from_stored(Cells(&row).text("id")?)));
    }
    let sql =
        "INSERT INTO backfills (id, dataset, version, from_micros, to_micros, stride, inputs, max_active, tolerated,
                                      state, summary, started_at, changed_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING";
    tx.execute(
        sql,
        &[
            new.id.as_str().into(),
            new.dataset.to_string().into(),
            new.version.as_str().into(),
            new.range.from.into(),
            new.range.to.into(),
            new.stride.to_string().into(),
            json(&new.inputs).into(),
            i64::from(new.max_active).into(),
            i64::from(new.tolerated).into(),
            new.state.word().into(),
            new.summary.clone().unwrap_or_default().into(),
            micros(new.started_at).into(),
            micros(new.changed_at).into(),
        ],
    )
    .await?;
    Ok(None)
}

pub(super) async fn all(tx: &mut Session<'_>) -> Result<Vec<BackfillRecord>, StoreError> {
    let sql =
        "SELECT id, dataset, version, from_micros, to_micros, stride, inputs, max_active, tolerated, state, summary,
                      started_at, changed_at
               FROM backfills ORDER BY started_at, id";
    tx.rows(sql, &[]).await?.iter().map(record_of).collect()
}

fn record_of(row: &Row) -> Result<BackfillRecord, StoreError> {
    let cells = Cells(row);
    Ok(BackfillRecord {
        id: RunId::from_stored(cells.text("id")?),
        dataset: cells.dataset("dataset")?,
        version: DefinitionVersion::from_stored(cells.text("version")?),
        range: Window { from: cells.integer("from_micros")?, to: cells.integer("to_micros")? },
        stride: cells.parsed("stride")?,
        inputs: cells.json("inputs")?,
        max_active: cells.small("max_active")?,
        tolerated: cells.small("tolerated")?,
        state: cells.word("state")?,
        summary: Some(cells.text("summary")?).filter(|s| !s.is_empty()),
        started_at: cells.time("started_at")?,
        changed_at: cells.time("changed_at")?,
    })
}

/// All of the record but what it was begun with. One that has come to its end stays as it is.
pub(super) async fn change(tx: &mut Session<'_>, now: &BackfillRecord) -> Result<bool, StoreError> {
    let before = tx.row("SELECT state FROM backfills WHERE id = $1 FOR UPDATE", &[now.id.as_str().into()]).await?;
    let before = before.ok_or_else(|| StoreError::unknown("backfill", &now.id))?;
    let Some(next) = Cells(&before).word::<BackfillState>("state")?.after(now.state) else { return Ok(false) };
    let sql =
        "UPDATE backfills SET state = $1, summary = $2, inputs = $3, max_active = $4, tolerated = $5, changed_at = $6
               WHERE id = $7";
    let args = [
        next.word().into(),
        now.summary.clone().unwrap_or_default().into(),
        json(&now.inputs).into(),
        i64::from(now.max_active).into(),
        i64::from(now.tolerated).into(),
        micros(now.changed_at).into(),
        now.id.as_str().into(),
    ];
    tx.execute(sql, &args).await?;
    Ok(true)
}

/// What becomes of its windows, of a dataset that is taken.
async fn move_windows(tx: &mut Session<'_>, id: &RunId, command: Command) -> Result<(), StoreError> {
    let sql = "SELECT key, seq, state, attempts, failures, retry_at FROM steps WHERE run = $1 AND kind = 'backfill'";
    let windows = tx.rows(sql, &[id.as_str().into()]).await?;
    steps::move_all(tx, &windows, command).await
}

pub(super) async fn end(tx: &mut Session<'_>, now: &BackfillRecord, ending: &Ending) -> Result<bool, StoreError> {
    // Before what else is told of the dataset later, and after what was.
    tx.take_datasets([now.dataset.to_string()]).await?;
    let ended = change(tx, &BackfillRecord { state: BackfillState::END, ..now.clone() }).await?;
    if ended {
        move_windows(tx, &now.id, Command::GiveUp).await?;
        lanes::tell(tx, &Topic::Dataset(now.dataset.clone()), ending, now.changed_at).await?;
    }
    Ok(ended)
}

/// Its open windows never run. Those that are done stay, with what they used.
pub(super) async fn forget(tx: &mut Session<'_>, id: &RunId) -> Result<Forgotten, StoreError> {
    let row = tx.row("SELECT dataset FROM backfills WHERE id = $1", &[id.as_str().into()]).await?;
    let Some(row) = row else { return Ok(Forgotten::NotThere) };
    tx.take_datasets([Cells(&row).text("dataset")?]).await?;
    let swap = "SELECT key FROM steps WHERE run = $1 AND kind = 'swap' AND state <> $2 LIMIT 1";
    if tx.row(swap, &[id.as_str().into(), StepState::Superseded.word().into()]).await?.is_some() {
        return Ok(Forgotten::Swapping);
    }
    move_windows(tx, id, Command::Forget).await?;
    let forgotten = tx.execute("DELETE FROM backfills WHERE id = $1", &[id.as_str().into()]).await?;
    Ok(if forgotten == 1 { Forgotten::Now } else { Forgotten::NotThere })
}

/// Windows of backfills that are being built. What was left of one that failed waits until somebody goes on with it.
///
/// Those that failed come last: who has no retry left today makes the others meanwhile.
pub(super) async fn open(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<OpenWindows, StoreError> {
    let sql = concat!(
        "SELECT s.key, s.run, s.retry_at, b.max_active FROM steps AS s JOIN backfills AS b ON b.id = s.run
         WHERE s.state NOT IN ",
        over!(),
        " AND s.state <> 'dead' AND s.kind = 'backfill' AND b.state = $1
         ORDER BY CASE WHEN s.failures > 0 THEN 1 ELSE 0 END, s.seq"
    );
    let rows = tx.rows(sql, &[BackfillState::Building.word().into()]).await?;
    let mut windows = OpenWindows { ready: Vec::new(), any: !rows.is_empty() };
    if !windows.any {
        return Ok(windows);
    }
    let held = leases::windows(tx, watch).await?;
    let mut at_work: HashMap<&str, i64> = HashMap::new();
    held.values().for_each(|run| *at_work.entry(run).or_default() += 1);
    let mut told = HashSet::new();
    for cells in rows.iter().map(Cells) {
        let (key, run) = (cells.text("key")?, cells.text("run")?);
        let is_due = cells.optional_time("retry_at")?.is_none_or(|at| at <= watch.now);
        let most = cells.integer("max_active")?.max(1);
        let is_full = at_work.get(run.as_str()).is_some_and(|n| *n >= most);
        if is_due && !is_full && !held.contains_key(&key) && told.insert(run) {
            windows.ready.extend(steps::by_key(tx, &StepKey::from_stored(key)).await?);
        }
    }
    Ok(windows)
}

/// Whether as many windows of the backfill that this one is of are made at once as may be. Who asks has taken its dataset.
pub(super) async fn is_full(tx: &mut Session<'_>, window: &StepKey, watch: &Watch<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT b.id, b.max_active FROM steps AS s JOIN backfills AS b ON b.id = s.run WHERE s.key = $1";
    let Some(row) = tx.row(sql, &[window.as_str().into()]).await? else { return Ok(false) };
    let id = Cells(&row).text("id")?;
    let at_work = leases::windows(tx, watch).await?.into_values().filter(|run| *run == id).count();
    Ok(number(at_work) >= Cells(&row).integer("max_active")?.max(1))
}

/// Of those runs that are named, backfills that are under way.
pub(super) async fn under_way<'a>(
    tx: &mut Session<'_>,
    ids: impl IntoIterator<Item = &'a str>,
) -> Result<HashSet<String>, StoreError> {
    let ids: HashSet<&str> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = "SELECT id FROM backfills WHERE id IN (SELECT value ->> 0 FROM json_each($1)) AND state <> $2";
    let rows = tx.rows(sql, &[Arg::column(ids), BackfillState::END.word().into()]).await?;
    rows.iter().map(|row| Cells(row).text("id")).collect()
}
