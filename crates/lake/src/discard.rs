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
    scan::{self, Source, Unit},
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
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, sync::Arc};

const STEP: &str = "_step_key";
const SET_ASIDE_AT: &str = "_quarantined_at";
/// Files that left the table longer ago may be removed; a day less than `maintain/vacuum.rs` keeps them.
const KEPT: SignedDuration = SignedDuration::from_hours(6 * 24);
/// No clock of a machine is slower by more, so that the log is not read to its beginning.
const ASTRAY: SignedDuration = SignedDuration::from_hours(24);

struct Work {
    units: Vec<Unit>,
    kept: Stager,
    selection: Selection,
    then: Then,
    meter: Arc<Meter>,
}

/// What waited when somebody asked.
struct Then {
    asked_at: Timestamp,
    /// Steps whose rows were there; `None`: the stamps of the rows alone tell.
    steps: Option<BTreeSet<String>>,
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
    let then = Then::of(engine, &quarantine, &waiting, discard.asked_at).await?;
    let work = Work {
        units,
        kept: attempt.stager(engine, &quarantine, refine::quarantine_schema()),
        selection: discard.selection.clone(),
        then,
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

impl Then {
    /// By the steps that rows say they are of. The commit that brings rows may be another step's: those that are refined ahead
    /// are of the step that loaded them, and a discard or a replay writes anew what stays.
    async fn of(
        engine: &LakeEngine,
        quarantine: &Place,
        waiting: &Table,
        asked_at: Timestamp,
    ) -> Result<Self, LakeError> {
        let steps = match version_at(waiting, asked_at).await? {
            Some(version) if version < waiting.version() => {
                Some(steps_at(engine, quarantine, waiting, (version, asked_at)).await?)
            }
            // All that waits was there, or nothing else tells.
            _ => None,
        };
        Ok(Self { asked_at, steps })
    }
}

/// The quarantine's version when it was asked, -1 before its first; `None` where its log does not reach so far back.
///
/// It ends before the first commit that is younger, so that one by a slow clock does not hide it. A commit takes its time before it
/// is put into the log: what was asked between the two counts as if the commit had been there.
async fn version_at(waiting: &Table, asked_at: Timestamp) -> Result<Option<i64>, LakeError> {
    let asked = asked_at.as_millisecond();
    let oldest = i128::from(asked) - ASTRAY.as_millis();
    let mut then = waiting.version();
    for version in (0..=waiting.version()).rev() {
        let Some(entry) = waiting.entry(version).await? else { return Ok((then > version).then_some(then)) };
        let time = entry.iter().find_map(|a| if let Action::CommitInfo(info) = a { info.timestamp } else { None });
        match time {
            Some(millis) if i128::from(millis) < oldest => break,
            Some(millis) if millis < asked => {}
            // Nobody looked at it in the same millisecond.
            _ => then = version - 1,
        }
    }
    Ok(Some(then))
}

/// Of all rows of an earlier version, as far as its files are still there: rows that were merged longer ago than that stay.
async fn steps_at(
    engine: &LakeEngine,
    quarantine: &Place,
    waiting: &Table,
    (version, asked_at): (i64, Timestamp),
) -> Result<BTreeSet<String>, LakeError> {
    if version < 0 {
        return Ok(BTreeSet::new());
    }
    let table = engine.tables.open_at(quarantine, Some(version)).await?;
    let table = table.ok_or(LakeError::Worker("an earlier version of a quarantine is of its table"))?;
    let mut files = table.files()?;
    if engine.clock.now().duration_since(asked_at) >= KEPT {
        let here: BTreeSet<String> = waiting.files()?.into_iter().map(|f| f.path).collect();
        files.retain(|f| here.contains(&f.path));
    }
    let sources = files.iter().map(|f| f.source(&table.dir)).collect::<Result<Vec<_>, _>>()?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let meter = engine.tables.meter.clone();
    let work = move |shared: &Shared| steps_of(&sources, &meter, shared);
    Ok(lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default())
}

fn steps_of(sources: &[Source], meter: &Meter, shared: &Shared) -> Result<BTreeSet<String>, LakeError> {
    let alone = scan::project(&refine::quarantine_schema(), &[STEP.to_owned()])?;
    let mut steps = BTreeSet::new();
    for unit in scan::units(sources)? {
        for batch in unit.read(&alone, meter)? {
            for step in batch?.column(0).as_string::<i32>().iter().flatten() {
                if !steps.contains(step) {
                    steps.insert(step.to_owned());
                }
            }
        }
        shared.advance(unit.rows)?;
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
            let gone = and(&selected(&batch, &work.selection)?, &seen(&batch, &work.then)?)?;
            done.gone += gone.true_count() as u64;
            kept.write(&filter_record_batch(&batch, &not(&gone)?)?)?;
        }
        shared.advance(unit.rows)?;
    }
    done.files = kept.finish()?;
    Ok(done)
}

/// Which rows of a batch of a quarantine whoever asked may have seen.
fn seen(rows: &RecordBatch, then: &Then) -> Result<BooleanArray, LakeError> {
    let column =
        |name: &'static str| rows.column_by_name(name).ok_or(LakeError::Worker("rows of a quarantine have a stamp"));
    let (steps, times) =
        (column(STEP)?.as_string::<i32>(), column(SET_ASIDE_AT)?.as_primitive::<TimestampMicrosecondType>());
    let latest = then.asked_at.as_microsecond();
    let is_seen = |(step, time): (Option<&str>, Option<i64>)| {
        let was_there = then.steps.as_ref().is_none_or(|there| step.is_some_and(|s| there.contains(s)));
        was_there && time.is_none_or(|t| t <= latest)
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
    use crate::{
        maintain::{compact, fixture::World},
        table::{LOG, entry_name},
    };
    use alluvium_model::{Clock, DatasetName, Layer};
    use arrow::array::{ArrayRef, TimestampMicrosecondArray, new_null_array};
    use std::{fs, path::PathBuf};

    const FILES: i64 = 12;
    /// So many of them are older than the question.
    const THERE: i64 = 6;

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

    fn quarantine() -> Place {
        Place::Quarantine(DatasetName::new(Layer::Silver, "t").expect("a name"))
    }

    fn entry_of(table: &Table, version: i64) -> PathBuf {
        table.dir.join(LOG).join(entry_name(version))
    }

    /// The clock of whoever committed the version was at this time.
    fn committed_at(table: &Table, version: i64, time: Timestamp) {
        let path = entry_of(table, version);
        let text = fs::read_to_string(&path).expect("an entry");
        let lines = text.lines().map(|line| {
            let mut action: serde_json::Value = serde_json::from_str(line).expect("an action");
            if let Some(info) = action.get_mut("commitInfo") {
                info["timestamp"] = time.as_millisecond().into();
            }
            format!("{action}\n")
        });
        fs::write(path, lines.collect::<String>()).expect("written");
    }

    /// Rows refined ahead, a file for each step that loaded them; each commit is a second younger than the one before, and bears the
    /// key of the step that read them. All were set aside before it was asked.
    async fn refined_ahead(world: &World) -> Timestamp {
        let asked_at = world.clock.now() - SignedDuration::from_mins(1);
        for n in 0..FILES {
            let rows = waiting(&[(&loading(n), asked_at - SignedDuration::from_mins(1))]);
            world.append(&quarantine(), &format!("refine{n:02}"), &rows).await;
        }
        let table = world.table(&quarantine()).await;
        for version in 0..=FILES {
            committed_at(&table, version, asked_at + SignedDuration::from_secs(version - 1 - THERE));
        }
        asked_at
    }

    fn loading(n: i64) -> String {
        format!("ingest{n:02}")
    }

    /// For each of the steps whether its row was seen.
    async fn all_seen(world: &World, asked_at: Timestamp) -> Vec<bool> {
        let table = world.table(&quarantine()).await;
        seen_in(world, &table, asked_at).await
    }

    async fn seen_in(world: &World, table: &Table, asked_at: Timestamp) -> Vec<bool> {
        let then = Then::of(&world.engine, &quarantine(), table, asked_at).await.expect("reads");
        let steps: Vec<String> = (0..FILES).map(loading).collect();
        let before = asked_at - SignedDuration::from_mins(1);
        let rows: Vec<(&str, Timestamp)> = steps.iter().map(|s| (s.as_str(), before)).collect();
        seen(&waiting(&rows), &then).expect("seen").iter().flatten().collect()
    }

    fn first(count: i64) -> Vec<bool> {
        (0..FILES).map(|n| n < count).collect()
    }

    #[tokio::test]
    async fn rows_of_steps_that_began_before_a_question_and_were_committed_after_it_stay() {
        let world = World::new();
        let asked_at = refined_ahead(&world).await;
        assert_eq!(all_seen(&world, asked_at).await, first(THERE));
        // Whoever asks later has seen all, and who asked before all of it nothing.
        assert_eq!(all_seen(&world, asked_at + SignedDuration::from_secs(30)).await, first(FILES));
        assert_eq!(all_seen(&world, asked_at - SignedDuration::from_secs(30)).await, first(0));
        let table = world.table(&quarantine()).await;
        // A slow clock, by which the last one would be older than the question.
        committed_at(&table, FILES, asked_at - SignedDuration::from_hours(1));
        assert_eq!(all_seen(&world, asked_at).await, first(THERE));
    }

    #[tokio::test]
    async fn merged_rows_are_known_by_their_steps_while_their_files_are_kept() {
        let world = World::new();
        let asked_at = refined_ahead(&world).await;
        let before = world.table(&quarantine()).await;
        compact(&world.engine, &quarantine(), &before, None, &[]).await.expect("merges").expect("pays");
        assert_eq!(all_seen(&world, asked_at).await, first(THERE));
        world.clock.advance_micros(7 * 24 * 3_600_000_000);
        assert_eq!(seen_in(&world, &before, asked_at).await, first(THERE), "they were not merged then");
        before.files().expect("files").iter().for_each(|f| fs::remove_file(before.dir.join(&f.path)).expect("removed"));
        assert_eq!(all_seen(&world, asked_at).await, first(0), "nobody knows");
    }

    #[tokio::test]
    async fn stamps_tell_where_the_log_does_not_reach() {
        let world = World::new();
        let asked_at = refined_ahead(&world).await;
        let table = world.table(&quarantine()).await;
        (0..=THERE).for_each(|version| fs::remove_file(entry_of(&table, version)).expect("an entry"));
        assert_eq!(seen_in(&world, &table, asked_at).await, first(FILES));
        let then = Then::of(&world.engine, &quarantine(), &table, asked_at).await.expect("reads");
        let rows = waiting(&[("a", asked_at), ("a", asked_at + SignedDuration::from_secs(1))]);
        let seen: Vec<bool> = seen(&rows, &then).expect("seen").iter().flatten().collect();
        assert_eq!(seen, [true, false]);
    }
}
