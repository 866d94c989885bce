//! Rows that leave a quarantine for good, because a person said so.
//!
//! The dataset's table gets a commit without rows, which carries the step's key and the change of the quarantine, as each step's does; so
//! it happens once, whoever is killed. The rows are counted as dropped.

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
    table::Place,
    waiting::{self, Waiting},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_model::Balance;
use alluvium_store::Selection;
use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch, StringArray},
    compute::{cast, filter_record_batch, not},
    datatypes::DataType,
};
use std::sync::Arc;

struct Work {
    units: Vec<Unit>,
    kept: Stager,
    selection: Selection,
    meter: Arc<Meter>,
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
    let Waiting { units, rows: total, paths } = waiting::open(engine, job).await?;
    let work = Work {
        units,
        kept: attempt.stager(engine, &quarantine, refine::quarantine_schema()),
        selection: discard.selection.clone(),
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

fn pass(work: &Work, shared: &Shared) -> Result<Done, LakeError> {
    let schema = refine::quarantine_schema();
    let mut kept = work.kept.lane();
    let mut done = Done::default();
    for unit in &work.units {
        for batch in unit.read(&schema, &work.meter)? {
            let batch = batch?;
            let gone = selected(&batch, &work.selection)?;
            done.gone += gone.true_count() as u64;
            kept.write(&filter_record_batch(&batch, &not(&gone)?)?)?;
        }
        shared.advance(unit.rows)?;
    }
    done.files = kept.finish()?;
    Ok(done)
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
