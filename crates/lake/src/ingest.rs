//! Landing objects into bronze: every record as received, once.
//!
//! An object that cannot be read to its end loads nothing: it becomes a dead letter, and the others go on without it.

use crate::{
    commit::{Attempt, Staged},
    decode::{self, DecodeError, Decoder, Malformed, Options},
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    quarantine,
    refine::Stamp,
    stage::{self, Lane, StagedFile, Stager},
    table::Place,
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_model::{Balance, Fault, RetryClass};
use alluvium_spec::{Action, Bronze, Format, Kind, Severity};
use alluvium_store::{EventRecord, QualityResult};
use arrow::{
    array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
    sync::Arc,
};

const BATCH_ROWS: usize = 8192;
/// Bytes decoded between two words of progress, about.
const PROGRESS_BATCHES: usize = 8;

/// Columns of every bronze table after the data's own.
pub(crate) fn metadata_fields() -> Vec<Field> {
    vec![
        Field::new("_rescued", DataType::Utf8, true),
        Field::new("_position", DataType::Int64, true),
        Field::new("_event_id", DataType::Utf8, true),
        Field::new("_object", DataType::Utf8, true),
        Field::new("_received_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("_run_id", DataType::Utf8, true),
    ]
}

/// Why one object takes no part in the step.
type Dead = (usize, String);

/// What the lanes share.
struct Work {
    bronze: Bronze,
    events: Vec<EventRecord>,
    skip: BTreeSet<usize>,
    /// The data's own columns.
    columns: SchemaRef,
    stager: Stager,
    quarantine: Stager,
    stamp: Stamp,
    run: String,
    max_record_bytes: u64,
}

#[derive(Default)]
struct Done {
    files: Vec<StagedFile>,
    quarantined: Vec<StagedFile>,
    rows: u64,
    /// Records by why they are malformed.
    malformed: BTreeMap<&'static str, u64>,
    dead: Vec<Dead>,
    /// Unexpected or missing field, or a value that had to be rescued, to the number of records.
    drift: BTreeMap<String, u64>,
}

pub(crate) async fn execute(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    report: &dyn Report,
) -> Result<Outcome, LakeError> {
    let Kind::Bronze(bronze) = &job.dataset.kind else {
        return Err(LakeError::Worker("an ingest step of another layer"));
    };
    let total: u64 = job.events.iter().map(|e| e.bytes).sum();
    let mut dead: BTreeMap<usize, String> = BTreeMap::new();
    let tables = &engine.tables;
    let place = Place::Dataset(job.dataset.name.clone());
    let (existing, schema) = loop {
        let table = tables.open(&place).await?;
        match table_schema(table.as_ref(), bronze, job, &dead)? {
            Ok(schema) => break (table, schema),
            Err(unreadable) => dead.extend(unreadable),
        }
    };
    let done = loop {
        let work = work(engine, job, attempt, bronze, &schema, dead.keys().copied().collect())?;
        let progress = |done: u64| {
            report.signal(Signal::Progress { step: job.step.key.clone(), stage: "bronze", done, total });
        };
        let results = lanes::run(lanes::count().min(job.events.len()), move |s| ingest(&work, s), progress).await?;
        let all = merge(results);
        if all.dead.is_empty() {
            break all;
        }
        // Rows of an unreadable object may be in any staged file: stage again without it.
        stage::discard(&tables.dir(&place), &all.files);
        stage::discard(&tables.dir(&Place::Quarantine(job.dataset.name.clone())), &all.quarantined);
        dead.extend(all.dead);
    };
    let evolved = match &existing {
        Some(t) if t.schema()?.fields().len() != schema.fields().len() => Some(schema.clone()),
        _ => None,
    };
    let lost = dead.len() as u64;
    let malformed: u64 = done.malformed.values().sum();
    let received = done.rows + malformed;
    let balance = Balance {
        received: received + lost,
        loaded: done.rows,
        quarantined: malformed,
        dead: lost,
        ..Balance::default()
    };
    let staged = Staged {
        evolved,
        add: done.files,
        quarantine: done.quarantined,
        balance,
        dead: dead.into_iter().map(|(i, reason)| (job.events[i].event.clone(), reason)).collect(),
        quality: done.malformed.into_iter().map(|(reason, n)| quality(reason, n, received)).collect(),
        notes: done.drift.into_iter().map(note).collect(),
        rows_in: received,
        ..Staged::new(schema)
    };
    attempt.commit(engine, job, staged).await
}

/// The bronze columns: those of the table, or of the first readable object and the contracts that read it.
fn table_schema(
    table: Option<&crate::table::Table>,
    bronze: &Bronze,
    job: &Job<'_>,
    dead: &BTreeMap<usize, String>,
) -> Result<Result<SchemaRef, BTreeMap<usize, String>>, LakeError> {
    let mut fields: Vec<Field> = Vec::new();
    if let Some(table) = table {
        fields.extend(table.schema()?.fields().iter().map(|f| Field::new(f.name(), plain(f.data_type()), true)));
        fields.retain(|f| !is_metadata(f.name()));
    } else {
        let mut unreadable = BTreeMap::new();
        for (i, event) in job.events.iter().enumerate().filter(|(i, _)| !dead.contains_key(i)) {
            match discover(bronze, event, job.project.limits.record.0) {
                Ok(found) if found.is_empty() && bronze.expected.is_empty() => {}
                Ok(found) => {
                    fields = found;
                    break;
                }
                Err(e) if e.class() == RetryClass::Data => {
                    unreadable.insert(i, reason(event, &e));
                }
                Err(source) => return Err(LakeError::Decode { object: event.path.clone(), source }),
            }
        }
        if fields.is_empty() && !unreadable.is_empty() {
            fields.extend(bronze.expected.iter().map(|n| Field::new(n, DataType::Utf8, true)));
            if unreadable.len() + dead.len() < job.events.len() {
                return Ok(Err(unreadable));
            }
        }
    }
    let expected: Vec<Field> = bronze.expected.iter().map(|n| Field::new(n, DataType::Utf8, true)).collect();
    let missing = decode::new_columns(&Schema::new(fields.clone()), &expected);
    fields.extend(missing);
    fields.extend(metadata_fields());
    let schema = Schema::new(fields);
    crate::table::storable(&schema)?;
    Ok(Ok(Arc::new(schema)))
}

fn is_metadata(name: &str) -> bool {
    metadata_fields().iter().any(|f| f.name() == name)
}

/// The columns of a table as we write them.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|f| Field::new(f.name(), plain(f.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Tables hand out view types where we write plain ones.
fn plain(t: &DataType) -> DataType {
    match t {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other.clone(),
    }
}

fn options(bronze: &Bronze, path: &str, max_record_bytes: u64) -> (Format, u64) {
    (bronze.files.format.unwrap_or_else(|| decode::format_of(path)), max_record_bytes)
}

fn discover(bronze: &Bronze, event: &EventRecord, max_record_bytes: u64) -> Result<Vec<Field>, DecodeError> {
    let file = open_unchanged(&bronze.files.folder.join(&event.path), event)?;
    let (format, max_record_bytes) = options(bronze, &event.path, max_record_bytes);
    decode::discover(file, &Options { format, csv: &bronze.files.csv, max_record_bytes, batch_rows: BATCH_ROWS })
}

fn work(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    bronze: &Bronze,
    schema: &SchemaRef,
    skip: BTreeSet<usize>,
) -> Result<Work, LakeError> {
    let columns: Vec<_> = schema.fields().iter().filter(|f| !is_metadata(f.name())).cloned().collect();
    Ok(Work {
        bronze: bronze.clone(),
        events: job.events.to_vec(),
        skip,
        columns: Arc::new(Schema::new(columns)),
        stager: attempt.stager(engine, &Place::Dataset(job.dataset.name.clone()), schema.clone()),
        quarantine: attempt.stager(
            engine,
            &Place::Quarantine(job.dataset.name.clone()),
            crate::refine::quarantine_schema(),
        ),
        stamp: attempt.stamp(),
        run: job.step.run.to_string(),
        max_record_bytes: job.project.limits.record.0,
    })
}

/// One lane: object after object.
fn ingest(work: &Work, shared: &Shared) -> Result<Done, LakeError> {
    let mut done = Done::default();
    let mut lane = work.stager.lane();
    let mut aside = work.quarantine.lane();
    while let Some(i) = shared.take(work.events.len()) {
        if work.skip.contains(&i) {
            continue;
        }
        let event = &work.events[i];
        match ingest_object(work, event, shared, &mut lane, &mut aside, &mut done) {
            Ok(()) => {}
            Err(LakeError::Decode { source, .. }) if source.class() == RetryClass::Data => {
                done.dead.push((i, reason(event, &source)));
            }
            Err(e) => return Err(e),
        }
    }
    done.files = lane.finish()?;
    done.quarantined = aside.finish()?;
    Ok(done)
}

fn ingest_object(
    work: &Work,
    event: &EventRecord,
    shared: &Shared,
    lane: &mut Lane<'_>,
    aside: &mut Lane<'_>,
    done: &mut Done,
) -> Result<(), LakeError> {
    let failed = |source: DecodeError| LakeError::Decode { object: event.path.clone(), source };
    let path = work.bronze.files.folder.join(&event.path);
    let file = open_unchanged(&path, event).map_err(failed)?;
    work.stager.meter().read(event.bytes);
    let (format, max_record_bytes) = options(&work.bronze, &event.path, work.max_record_bytes);
    let options = Options { format, csv: &work.bronze.files.csv, max_record_bytes, batch_rows: BATCH_ROWS };
    let mut decoder = decode::open(file, &options, &work.columns).map_err(failed)?;
    let mut batches = 0;
    while let Some(decoded) = decoder.next().map_err(failed)? {
        let rows = decoded.batch.num_rows();
        if rows > 0 {
            lane.write(&with_metadata(work, event, decoded.batch)?)?;
            done.rows += rows as u64;
        }
        write_malformed(work, event, &decoded.malformed, aside)?;
        for m in &decoded.malformed {
            *done.malformed.entry(m.reason.code()).or_default() += 1;
        }
        batches += 1;
        if batches % PROGRESS_BATCHES == 0 {
            shared.advance(0)?;
        }
    }
    // Changed while it was read: what was staged may be neither the old nor the new content.
    open_unchanged(&path, event).map_err(failed)?;
    note_drift(&decoder, &mut done.drift);
    shared.advance(event.bytes)
}

fn write_malformed(
    work: &Work,
    event: &EventRecord,
    malformed: &[Malformed],
    aside: &mut Lane<'_>,
) -> Result<(), LakeError> {
    if malformed.is_empty() {
        return Ok(());
    }
    aside.write(&quarantine::malformed(&work.stamp, &work.run, event, malformed)?)?;
    Ok(())
}

/// Malformed records as a broken rule, under the name that their quarantine rows give it.
fn quality(reason: &str, records: u64, received: u64) -> QualityResult {
    QualityResult {
        rule: quarantine::malformed_rule(reason),
        action: Action::Quarantine.word().into(),
        severity: Severity::Error.word().into(),
        dimension: Some("conformity".into()),
        checked: received,
        violations: records,
        passed: false,
        note: None,
    }
}

fn note_drift(decoder: &Decoder, drift: &mut BTreeMap<String, u64>) {
    for (what, records) in decoder.drift().notes() {
        *drift.entry(what).or_default() += records;
    }
}

/// Opens the object if it still is what the event recorded.
fn open_unchanged(path: &Path, event: &EventRecord) -> Result<File, DecodeError> {
    let file = File::open(path).map_err(DecodeError::from_io)?;
    let m = file.metadata().map_err(DecodeError::from_io)?;
    let modified = m.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    let nanos = modified.and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0);
    if m.len() != event.bytes || nanos != event.modified_nanos {
        return Err(DecodeError::Changed);
    }
    Ok(file)
}

fn reason(event: &EventRecord, e: &DecodeError) -> String {
    let cause = e.cause().map_or_else(String::new, |c| format!(" ({c})"));
    format!("{}: {}: {e}{cause}. {}", e.code(), event.path, e.remedy())
}

/// The decoder's columns in the table's order, with where they came from.
fn with_metadata(work: &Work, event: &EventRecord, batch: RecordBatch) -> Result<RecordBatch, LakeError> {
    let rows = batch.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(work.stager.schema().fields().len());
    let received = TimestampMicrosecondArray::from_value(event.received_at.as_microsecond(), rows).with_timezone("UTC");
    for field in work.stager.schema().fields() {
        columns.push(match field.name().as_str() {
            "_event_id" => constant(event.event.as_str(), rows),
            "_object" => constant(&event.path, rows),
            "_received_at" => Arc::new(received.clone()),
            "_run_id" => constant(&work.run, rows),
            name => batch.column_by_name(name).ok_or(LakeError::Worker("the decoder left out a column"))?.clone(),
        });
    }
    let fields = work.stager.schema().fields().iter().zip(&columns);
    let fields: Vec<Field> = fields.map(|(f, c)| Field::new(f.name(), c.data_type().clone(), true)).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// One text for all rows, kept once.
fn constant(text: &str, rows: usize) -> ArrayRef {
    let keys = Int32Array::from_value(0, rows);
    let values: ArrayRef = Arc::new(StringArray::from(vec![text]));
    Arc::new(DictionaryArray::new(keys, values))
}

fn note((what, records): (String, u64)) -> String {
    if records == 0 { what } else { format!("{what} ({records} records)") }
}

fn merge(results: Vec<Done>) -> Done {
    let mut all = Done::default();
    for d in results {
        all.files.extend(d.files);
        all.quarantined.extend(d.quarantined);
        all.rows += d.rows;
        for (reason, n) in d.malformed {
            *all.malformed.entry(reason).or_default() += n;
        }
        all.dead.extend(d.dead);
        for (what, n) in d.drift {
            *all.drift.entry(what).or_default() += n;
        }
    }
    all
}
