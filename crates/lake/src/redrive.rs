//! What bronze set aside for its drift, once more: rows that the columns and the policy take by now land, as they were received.
//!
//! Called for a replay of a bronze dataset's quarantine. Records that could not be read stay where they are: there is nothing of
//! them to load.

use crate::{
    admit,
    commit::{Attempt, Staged},
    decode,
    drift::{self, Object, RULE, Seen, Watch},
    engine::LakeEngine,
    error::LakeError,
    ingest,
    lanes::{self, Shared},
    meter::Meter,
    refine::{self, Stamp},
    scan::{self, Unit},
    stage::{StagedFile, Stager},
    table::Place,
    waiting::{self, Waiting},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_model::{Balance, DatasetName};
use alluvium_spec::{Bronze, DriftKind, DriftPolicy, Format, Kind};
use arrow::{
    array::{Array, AsArray, BooleanArray, ListArray, RecordBatch, StringArray, StructArray},
    compute::{filter_record_batch, not},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What the pass over the waiting rows works with.
struct Work {
    dataset: DatasetName,
    bronze: Bronze,
    units: Vec<Unit>,
    rows: Stager,
    aside: Stager,
    watch: Watch,
    stamp: Stamp,
    meter: Arc<Meter>,
}

#[derive(Default)]
struct Done {
    files: Vec<StagedFile>,
    aside: Vec<StagedFile>,
    landed: u64,
    stays: u64,
    /// Rows that wait on, by what they have.
    seen: Seen,
}

pub(crate) async fn execute(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    report: &dyn Report,
) -> Result<Outcome, LakeError> {
    let Kind::Bronze(bronze) = &job.dataset.kind else {
        return Err(LakeError::Worker("a replay of another layer"));
    };
    let name = &job.dataset.name;
    let (place, quarantine) = (Place::Dataset(name.clone()), Place::Quarantine(name.clone()));
    // As in silver: what has left would land once more.
    if waiting::is_overtaken(engine, job).await? {
        return Ok(Outcome::default());
    }
    let table = engine.tables.open(&place).await?.ok_or(LakeError::Worker("a quarantine has its table beside it"))?;
    let Waiting { units, rows: total, paths, .. } = waiting::open(engine, job).await?;
    let meter = engine.tables.meter.clone();

    let known = admit::admit(&engine.objects(), Some(&table), bronze, job)?.schema;
    let own = known.fields().iter().filter(|f| !ingest::is_metadata(f.name())).map(|f| f.as_ref().clone());
    let mut columns: Vec<Field> = own.collect();
    if bronze.drift.new == DriftPolicy::Evolve {
        columns.extend(grown(&units, &columns, bronze, &meter)?);
    }
    let data = Arc::new(Schema::new(columns.clone()));
    let schema = admit::with_metadata(columns)?;
    let watch = Watch { strict: true, ..Watch::new(bronze.drift, data, &bronze.inside) };
    let work = Work {
        dataset: name.clone(),
        bronze: bronze.clone(),
        units,
        rows: attempt.stager(engine, &place, schema.clone()),
        aside: attempt.stager(engine, &quarantine, refine::quarantine_schema()),
        watch,
        stamp: attempt.stamp(),
        meter,
    };
    let step = job.step.key.clone();
    let progress = |done: u64| report.signal(Signal::Progress { step: step.clone(), stage: "bronze", done, total });
    let done = lanes::run(1, move |shared: &Shared| pass(&work, shared), progress).await?.pop().unwrap_or_default();

    let grows = table.schema()?.fields().len() != schema.fields().len();
    let mut staged = Staged {
        evolved: grows.then(|| schema.clone()),
        add: done.files,
        quarantine: done.aside,
        quarantine_remove: paths,
        rows_in: done.landed + done.stays,
        quality: done.seen.quality(bronze.drift, done.landed + done.stays),
        ..Staged::new(schema)
    };
    staged.balance = Balance {
        received: done.landed + done.stays,
        loaded: done.landed,
        quarantined: done.stays,
        ..Balance::default()
    };
    if done.landed == 0 {
        staged.discard(engine, job.dataset);
        return Ok(Outcome { balance: staged.balance, quality: staged.quality, ..Outcome::default() });
    }
    attempt.commit(engine, job, staged).await
}

/// New fields of the waiting rows that become columns.
fn grown(units: &[Unit], columns: &[Field], bronze: &Bronze, meter: &Meter) -> Result<Vec<Field>, LakeError> {
    let reasons = scan::project(&refine::quarantine_schema(), &["reasons".to_owned()])?;
    let mut names = BTreeSet::new();
    let rule = drift::rule(DriftKind::New, "");
    for unit in units {
        for batch in unit.read(&reasons, meter)? {
            let batch = batch?;
            let causes = Causes::of(&batch)?;
            for (rule_of, column) in (0..causes.rules.len()).map(|i| (causes.rules.value(i), causes.columns.value(i))) {
                // A field inside of a column has its name in the path.
                if rule_of.starts_with(&rule) && bronze.inside.keys().all(|c| !is_inside(column, c)) {
                    names.insert(column.to_owned());
                }
            }
        }
    }
    let fields: Vec<Field> = names.into_iter().map(|n| Field::new(n, DataType::Utf8, true)).collect();
    Ok(drift::room(columns, &fields))
}

fn is_inside(path: &str, column: &str) -> bool {
    path.strip_prefix(column).is_some_and(|rest| rest.starts_with(['.', '[']))
}

fn pass(work: &Work, shared: &Shared) -> Result<Done, LakeError> {
    let schema = refine::quarantine_schema();
    let (mut rows, mut aside) = (work.rows.lane(), work.aside.lane());
    let mut done = Done::default();
    for unit in &work.units {
        for batch in unit.read(&schema, &work.meter)? {
            let batch = batch?;
            let drifted = Causes::of(&batch)?.drifted(&batch)?;
            let kept = filter_record_batch(&batch, &not(&drifted)?)?;
            done.stays += kept.num_rows() as u64;
            aside.write(&kept)?;
            let again = filter_record_batch(&batch, &drifted)?;
            for json in [false, true] {
                let part = filter_record_batch(&again, &of_format(work, &again, json)?)?;
                if part.num_rows() > 0 {
                    once_more(work, &part, json, (&mut rows, &mut aside), &mut done)?;
                }
            }
        }
        shared.advance(unit.rows)?;
    }
    (done.files, done.aside) = (rows.finish()?, aside.finish()?);
    Ok(done)
}

fn once_more(
    work: &Work,
    waiting: &RecordBatch,
    json: bool,
    (rows, aside): (&mut crate::stage::Lane<'_>, &mut crate::stage::Lane<'_>),
    done: &mut Done,
) -> Result<(), LakeError> {
    let failed = |source| LakeError::Refine { dataset: work.dataset.clone(), source };
    let any_case = work.bronze.drift.recased == DriftPolicy::Evolve;
    let unpacked = refine::with_columns(waiting, work.rows.schema(), any_case, json).map_err(failed)?;
    let bronze = refine::unquarantine(&unpacked, work.rows.schema()).map_err(failed)?;
    let absent = Causes::of(waiting)?.missing();
    let object = Object { json, absent: &absent, typed: &[] };
    let stays = work.watch.look(&bronze, object, &mut decode::Drift::default())?;
    let lands: BooleanArray = (0..bronze.num_rows()).map(|r| Some(!stays.contains_key(&(r as u32)))).collect();
    let landing = filter_record_batch(&bronze, &lands)?;
    done.landed += landing.num_rows() as u64;
    rows.write(&landing)?;
    if !stays.is_empty() {
        done.stays += stays.len() as u64;
        for reason in stays.values().flatten() {
            done.seen.add(drift::Found { what: reason.what.clone(), records: 1, inside: false });
        }
        let stays = ingest::aside_rows(&work.dataset, &bronze, stays, &work.stamp)?;
        aside.write(&refine::replayed(&stays, waiting).map_err(failed)?)?;
    }
    Ok(())
}

/// Which rows came from JSON, or which did not.
fn of_format(work: &Work, rows: &RecordBatch, json: bool) -> Result<BooleanArray, LakeError> {
    let objects = text(rows, "_object")?;
    let is = |path: Option<&str>| {
        let format = admit::format(&work.bronze, path.unwrap_or_default());
        Some((format == Format::Ndjson) == json)
    };
    Ok(objects.iter().map(is).collect())
}

/// The reasons of a batch of quarantine rows.
struct Causes {
    offsets: ListArray,
    rules: StringArray,
    columns: StringArray,
}

impl Causes {
    fn of(rows: &RecordBatch) -> Result<Self, LakeError> {
        let strange = || LakeError::Worker("the reasons of the quarantine are a list");
        let list = rows.column_by_name("reasons").and_then(|c| c.as_list_opt::<i32>()).ok_or_else(strange)?;
        let items: &StructArray = list.values().as_struct_opt().ok_or_else(strange)?;
        let text = |name: &str| {
            let column = items.column_by_name(name).ok_or_else(strange)?;
            Ok::<_, LakeError>(arrow::compute::cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        Ok(Self { offsets: list.clone(), rules: text("rule")?, columns: text("column")? })
    }

    /// Rows that drift alone keeps.
    fn drifted(&self, rows: &RecordBatch) -> Result<BooleanArray, LakeError> {
        let encodings = text(rows, "record_encoding")?;
        let is = |row: usize| {
            let (from, to) =
                (self.offsets.value_offsets()[row] as usize, self.offsets.value_offsets()[row + 1] as usize);
            let all = (from..to).all(|i| self.rules.is_valid(i) && self.rules.value(i).starts_with(RULE));
            Some(from < to && all && encodings.is_valid(row) && encodings.value(row) == "json")
        };
        Ok((0..rows.num_rows()).map(is).collect())
    }

    /// Columns that some of them lack.
    fn missing(&self) -> BTreeSet<String> {
        let rule = drift::rule(DriftKind::Missing, "");
        let is =
            |i: &usize| self.rules.is_valid(*i) && self.rules.value(*i).starts_with(&rule) && self.columns.is_valid(*i);
        (0..self.rules.len()).filter(is).map(|i| self.columns.value(i).to_owned()).collect()
    }
}

fn text(rows: &RecordBatch, name: &'static str) -> Result<StringArray, LakeError> {
    let column = rows.column_by_name(name).ok_or(LakeError::Worker("a quarantine has its columns"))?;
    Ok(arrow::compute::cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// Fields of a silver dataset's definition that bronze has only in `_rescued`, with the number of rows.
pub(crate) async fn rescued(
    engine: &LakeEngine,
    from: &DatasetName,
    wanted: &[String],
) -> Result<BTreeMap<String, u64>, LakeError> {
    let Some(table) = engine.tables.open(&Place::Dataset(from.clone())).await? else { return Ok(BTreeMap::new()) };
    let stored = ingest::plain_schema(table.schema()?.as_ref());
    let names = wanted.iter().filter(|n| stored.index_of(n).is_ok()).cloned();
    let schema: SchemaRef = scan::project(&stored, &names.chain(["_rescued".to_owned()]).collect::<Vec<_>>())?;
    let sources = table.sources()?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let (wanted, meter): (BTreeSet<String>, _) = (wanted.iter().cloned().collect(), engine.tables.meter.clone());
    let work = move |shared: &Shared| {
        let mut found = BTreeMap::new();
        for unit in scan::units(&sources)? {
            for batch in unit.read(&schema, &meter)? {
                count(&batch?, &wanted, &mut found)?;
            }
            shared.advance(unit.rows)?;
        }
        Ok(found)
    };
    Ok(lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default())
}

fn count(batch: &RecordBatch, wanted: &BTreeSet<String>, found: &mut BTreeMap<String, u64>) -> Result<(), LakeError> {
    let rescued = text(batch, "_rescued")?;
    for row in (0..rescued.len()).filter(|r| rescued.is_valid(*r)) {
        let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(rescued.value(row)).unwrap_or_default();
        for (name, value) in fields.iter().filter(|(n, _)| wanted.contains(*n)) {
            let held = batch.column_by_name(name).is_some_and(|c| c.is_valid(row));
            if !held && !value.is_null() {
                *found.entry(name.clone()).or_default() += 1;
            }
        }
    }
    Ok(())
}
