//! Rows that leave a quarantine for good, because a person said so.
//!
//! The dataset's table gets a commit without rows, which carries the step's key and the change of the quarantine, as each step's does; so
//! it happens once, whoever is killed. The rows are counted as dropped. What was set aside after it was asked stays: whoever asked has not seen it.

use crate::{
    commit::{Attempt, Staged},
    drift,
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    meter::Meter,
    refine,
    scan::Unit,
    stage::{StagedFile, Stager},
    table::{Place, Table},
    waiting::{self, Waiting},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_model::Balance;
use alluvium_store::Selection;
use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch, StringArray},
    compute::{and, cast, filter_record_batch, not},
    datatypes::{DataType, TimestampMicrosecondType},
};
use deltalake::kernel::Action;
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

const STEP: &str = "_step_key";
const SET_ASIDE_AT: &str = "_quarantined_at";

struct Work {
    units: Vec<Unit>,
    kept: Stager,
    selection: Selection,
    since: Since,
    meter: Arc<Meter>,
}

/// What came into the quarantine after somebody asked.
struct Since {
    asked_at: Timestamp,
    /// Steps that set their rows aside after that, also such as were at work then.
    steps: BTreeSet<String>,
}

#[derive(Default)]
struct Done {
    files: Vec<StagedFile>,
    gone: u64,
}

pub(crate) async fn execute(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    report: &dyn Report,
) -> Result<Outcome, LakeError> {
    let name = &job.dataset.name;
    let discard = job.discard.ok_or(LakeError::Worker("a discard says what it takes"))?;
    // Whoever asked looked at other rows than these are now.
    if waiting::is_overtaken(engine, job).await? {
        return Ok(Outcome::default());
    }
    let (place, quarantine) = (Place::Dataset(name.clone()), Place::Quarantine(name.clone()));
    let table = engine.tables.open(&place).await?.ok_or(LakeError::Worker("a quarantine has its table beside it"))?;
    let Waiting { units, rows: total, paths, table: waiting } = waiting::open(engine, job).await?;
    let work = Work {
        units,
        kept: attempt.stager(engine, &quarantine, refine::quarantine_schema()),
        selection: discard.selection.clone(),
        since: Since { asked_at: discard.asked_at, steps: steps_since(&waiting, discard.asked_at).await? },
        meter: engine.tables.meter.clone(),
    };
    let step = job.step.key.clone();
    let progress = |done: u64| report.signal(Signal::Progress { step: step.clone(), stage: "discard", done, total });
    let done = lanes::run(1, move |shared: &Shared| pass(&work, shared), progress).await?.pop().unwrap_or_default();
    let mut staged = Staged {
        quarantine: done.files,
        // All of them: rows are known by their steps where files were merged meanwhile.
        quarantine_remove: paths,
        rows_in: done.gone,
        ..Staged::new(table.schema()?)
    };
    if done.gone == 0 {
        staged.discard(engine, job.dataset);
        return Ok(Outcome::default());
    }
    staged.balance = Balance { received: done.gone, dropped: done.gone, ..Balance::default() };
    let rows = if done.gone == 1 { "row" } else { "rows" };
    staged
        .notes
        .push(format!("{} {rows} of the quarantine discarded by {}: {}", done.gone, discard.by, discard.reason));
    attempt.commit(engine, job, staged).await
}

/// By the quarantine's log, as far back as it goes: what is older than that has its time in each row.
async fn steps_since(waiting: &Table, asked_at: Timestamp) -> Result<BTreeSet<String>, LakeError> {
    let mut steps = BTreeSet::new();
    for version in (0..=waiting.version()).rev() {
        let Some(entry) = waiting.entry(version).await? else { break };
        let time = entry.iter().find_map(|a| if let Action::CommitInfo(info) = a { info.timestamp } else { None });
        if time.is_some_and(|millis| millis <= asked_at.as_millisecond()) {
            break;
        }
        steps.extend(entry.into_iter().filter_map(|a| if let Action::Txn(t) = a { Some(t.app_id) } else { None }));
    }
    Ok(steps)
}

fn pass(work: &Work, shared: &Shared) -> Result<Done, LakeError> {
    let schema = refine::quarantine_schema();
    let mut kept = work.kept.lane();
    let mut done = Done::default();
    for unit in &work.units {
        for batch in unit.read(&schema, &work.meter)? {
            let batch = batch?;
            let gone = and(&selected(&batch, &work.selection)?, &seen(&batch, &work.since)?)?;
            done.gone += gone.true_count() as u64;
            kept.write(&filter_record_batch(&batch, &not(&gone)?)?)?;
        }
        shared.advance(unit.rows)?;
    }
    done.files = kept.finish()?;
    Ok(done)
}

/// Which rows of a batch of a quarantine whoever asked may have seen.
fn seen(rows: &RecordBatch, since: &Since) -> Result<BooleanArray, LakeError> {
    let column =
        |name: &'static str| rows.column_by_name(name).ok_or(LakeError::Worker("rows of a quarantine have a stamp"));
    let (steps, times) =
        (column(STEP)?.as_string::<i32>(), column(SET_ASIDE_AT)?.as_primitive::<TimestampMicrosecondType>());
    let latest = since.asked_at.as_microsecond();
    let is_seen = |(step, time): (Option<&str>, Option<i64>)| {
        step.is_none_or(|s| !since.steps.contains(s)) && time.is_none_or(|t| t <= latest)
    };
    Ok(steps.iter().zip(times.iter()).map(|row| Some(is_seen(row))).collect())
}

/// Which rows of a batch of a quarantine are meant.
fn selected(rows: &RecordBatch, selection: &Selection) -> Result<BooleanArray, LakeError> {
    let strange = || LakeError::Worker("the reasons of the quarantine are a list");
    let text =
        |array: &dyn Array| Ok::<StringArray, LakeError>(cast(array, &DataType::Utf8)?.as_string::<i32>().clone());
    let reasons = rows.column_by_name("reasons").and_then(|c| c.as_list_opt::<i32>()).ok_or_else(strange)?;
    let items = reasons.values().as_struct_opt().ok_or_else(strange)?;
    let part = |name: &str| items.column_by_name(name).ok_or_else(strange).and_then(|c| text(c));
    let (rules, columns) = (part("rule")?, part("column")?);
    let objects = text(rows.column_by_name("_object").ok_or_else(strange)?)?;
    let is = |wanted: &Option<String>, values: &StringArray, row: usize| {
        wanted.as_ref().is_none_or(|w| values.is_valid(row) && values.value(row) == w)
    };
    // A rule over several columns names all of them: `a, b`. A field that drifted is one, and may be called so.
    let names = |wanted: &Option<String>, row: usize| {
        is(wanted, &columns, row)
            || wanted.as_ref().is_some_and(|w| {
                let several = columns.is_valid(row) && !rules.value(row).starts_with(drift::RULE);
                several && format!(", {}, ", columns.value(row)).contains(&format!(", {w}, "))
            })
    };
    let offsets = reasons.value_offsets();
    let meant = |row: usize| {
        let (from, to) = (offsets[row].unsigned_abs() as usize, offsets[row + 1].unsigned_abs() as usize);
        let by_reason = selection.rule.is_none() && selection.column.is_none()
            || (from..to).any(|r| is(&selection.rule, &rules, r) && names(&selection.column, r));
        by_reason && is(&selection.object, &objects, row)
    };
    Ok((0..rows.num_rows()).map(|row| Some(meant(row))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maintain::fixture::World;
    use alluvium_model::{DatasetName, Layer};
    use arrow::array::{ArrayRef, TimestampMicrosecondArray, new_null_array};
    use jiff::SignedDuration;

    /// A row of each step, set aside at these times.
    fn waiting(rows: &[(&str, Timestamp)]) -> RecordBatch {
        let schema = crate::refine::quarantine_schema();
        let columns = schema.fields().iter().map(|f| -> ArrayRef {
            match f.name().as_str() {
                STEP => Arc::new(rows.iter().map(|(s, _)| Some(*s)).collect::<StringArray>()),
                SET_ASIDE_AT => {
                    let times: TimestampMicrosecondArray = rows.iter().map(|(_, t)| Some(t.as_microsecond())).collect();
                    cast(&times, f.data_type()).expect("a time")
                }
                _ => new_null_array(f.data_type(), rows.len()),
            }
        });
        RecordBatch::try_new(schema.clone(), columns.collect()).expect("a batch")
    }

    #[tokio::test]
    async fn what_came_after_the_question_stays_also_from_steps_that_were_at_work_then() {
        let world = World::new();
        let place = Place::Quarantine(DatasetName::new(Layer::Silver, "t").expect("a name"));
        // The log bears the time of the machine.
        let before = Timestamp::from_second(1_000).expect("a time");
        world.append(&place, "first", &waiting(&[("first", before)])).await;
        let entry = world.table(&place).await.entry(0).await.expect("reads").expect("an entry");
        let committed = |a: &Action| if let Action::CommitInfo(info) = a { info.timestamp } else { None };
        let made = Timestamp::from_millisecond(entry.iter().find_map(committed).expect("a time")).expect("a time");
        for asked_at in [made - SignedDuration::from_secs(9), made + SignedDuration::from_hours(9)] {
            let table = world.table(&place).await;
            let since = Since { asked_at, steps: steps_since(&table, asked_at).await.expect("reads") };
            let later = asked_at + SignedDuration::from_secs(1);
            let rows = waiting(&[("first", before), ("merged", before), ("merged", later)]);
            let seen: Vec<bool> = seen(&rows, &since).expect("seen").iter().flatten().collect();
            assert_eq!(seen, [asked_at > made, true, false], "asked at {asked_at}");
        }
    }
}
