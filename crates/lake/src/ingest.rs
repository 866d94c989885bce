//! Landing objects into bronze: every record as received, once.
//!
//! An object that cannot be read to its end loads nothing: it becomes a dead letter, and the others go on without it.

use crate::{
    admit::{self, Admitted, format},
    ahead,
    commit::{Attempt, Staged},
    decode::{self, DecodeError, Decoded, Drift, Options, Piece, PieceDecoder, Pieces},
    drift::{self, Aside, Gate, Object, Seen, Watch},
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    objects::Objects,
    payload,
    quarantine::{self, Origin},
    refine::{self, Cause, Stamp},
    refining::{RefineLane, Refined, Refining},
    stage::{self, Lane, StagedFile, Stager},
    table::Place,
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_model::{Balance, DatasetName, Fault, RetryClass};
use alluvium_spec::{Action, Bronze, Format, Kind, Severity};
use alluvium_store::{EventRecord, QualityResult, VerdictKind};
use arrow::{
    array::{
        Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    compute::filter_record_batch,
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes decoded between two words of progress, about.
const PROGRESS_BATCHES: usize = 8;

/// An NDJSON object of this size is decoded by several lanes.
const SPLIT_BYTES: u64 = 4 << 20;
/// With less than this for each lane, lanes cost more files than they save time.
const LANE_BYTES: u64 = 8 << 20;

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
    objects: Objects,
    dataset: DatasetName,
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
    /// For each event, what its lanes read from; `None` for an object that one lane decodes alone.
    split: Vec<Option<Mutex<Reading>>>,
    /// Where the rows go at once, beside bronze.
    ahead: Option<Arc<Refining>>,
    watch: Watch,
    /// Of each object, what was known before its rows.
    gates: Arc<Vec<Gate>>,
    /// Columns that the table gains from these objects.
    grown: BTreeSet<String>,
}

/// How far an object of several lanes has been read.
enum Reading {
    Waiting,
    Open(Box<Pieces>),
    Ended,
}

#[derive(Default)]
struct Done {
    files: Vec<StagedFile>,
    quarantined: Vec<StagedFile>,
    /// One a lane; fewer, where a lane could not go on.
    refined: Vec<Refined>,
    rows: u64,
    /// Records by why they are malformed.
    malformed: BTreeMap<&'static str, u64>,
    dead: Vec<Dead>,
    /// Rows that were set aside for their drift.
    aside: u64,
    seen: Seen,
    /// Names that could not be those of columns, and what was used instead.
    renamed: BTreeSet<(String, String)>,
    /// Of the objects that other lanes decode too, by the event's place; with their rows.
    shared_drift: BTreeMap<usize, (Drift, u64)>,
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
    let tables = &engine.tables;
    let place = Place::Dataset(job.dataset.name.clone());
    let existing = tables.open(&place).await?;
    if let Some(folder) = &bronze.files.remote {
        let objects = job.events.iter().map(|e| (e.path.clone(), e.bytes, e.content.clone())).collect();
        engine.buckets.bring(folder, objects).await?;
    }
    let Admitted { mut schema, mut grown, gates, mut dead } =
        admit::admit(&engine.objects(), existing.as_ref(), bronze, job)?;
    let gates = Arc::new(gates);
    // What is dropped is nobody's to go on with.
    let goes_on = job.verdict.is_none_or(|v| v.kind == VerdictKind::Release);
    let ahead = goes_on.then(|| ahead::begin(engine, job, attempt)).flatten().map(Arc::new);
    let (done, lanes) = loop {
        let skip = dead.keys().copied().collect();
        let (ahead_here, gates, grown_here) = (ahead.clone(), gates.clone(), grown.clone());
        let work = work(engine, job, attempt, bronze, &schema, skip)?;
        let work = Arc::new(Work { ahead: ahead_here, gates, grown: grown_here, ..work });
        let lanes = lane_count(&work);
        let progress = |done: u64| {
            report.signal(Signal::Progress { step: job.step.key.clone(), stage: "bronze", done, total });
        };
        let lane = work.clone();
        let parts = lanes::staging(lanes, move |s| ingest(&lane, s), progress, |done| work.discard(done)).await?;
        let all = merge(&work, parts)?;
        let more = drift::grown(&all.seen, &work.watch.columns, bronze.drift);
        if all.dead.is_empty() && more.is_empty() {
            break (all, lanes);
        }
        // Rows of an unreadable object may be in any staged file: stage again without it. As well with columns that no first
        // record told of.
        work.discard(&all);
        dead.extend(all.dead);
        if !more.is_empty() {
            grown.extend(more.iter().map(|f| f.name().clone()));
            let own = work.watch.columns.fields().iter().map(|f| f.as_ref().clone());
            schema = admit::with_metadata(own.chain(more).collect())?;
        }
    };
    let evolved = match &existing {
        Some(t) if t.schema()?.fields().len() != schema.fields().len() => Some(schema.clone()),
        _ => None,
    };
    let lost = dead.len() as u64;
    payload::keep(engine, bronze, dead.keys().map(|i| job.events[*i].clone()).collect()).await?;
    let malformed: u64 = done.malformed.values().sum();
    let received = done.rows + malformed + done.aside;
    let balance = Balance {
        received: received + lost,
        loaded: done.rows,
        quarantined: malformed + done.aside,
        dead: lost,
        ..Balance::default()
    };
    let renamed = done.renamed.iter().map(|(from, to)| format!("field `{from}` is stored as `{to}`"));
    let malformed = done.malformed.iter().map(|(reason, n)| quality(reason, *n, received));
    let quality = malformed.chain(done.seen.quality(bronze.drift, received)).collect();
    let staged = Staged {
        evolved,
        add: done.files,
        quarantine: done.quarantined,
        balance,
        dead: dead.into_iter().map(|(i, reason)| (job.events[i].event.clone(), reason)).collect(),
        quality,
        notes: done.seen.notes(bronze.drift).into_iter().chain(renamed).collect(),
        rows_in: received,
        ..Staged::new(schema)
    };
    let committed = attempt.commit(engine, job, staged).await;
    if let Some(ahead) = ahead {
        match &committed {
            Ok(Outcome { committed: Some(version), .. }) if done.refined.len() == lanes.max(1) => {
                ahead::keep(engine, &ahead, *version, done.refined);
            }
            Ok(_) | Err(_) => done.refined.iter().for_each(|part| ahead.outlet.discard(part)),
        }
    }
    committed
}

pub(crate) fn is_metadata(name: &str) -> bool {
    metadata_fields().iter().any(|f| f.name() == name)
}

/// The columns of a table as we write them.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|f| Field::new(f.name(), plain(f.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Tables hand out view types where we write plain ones.
pub(crate) fn plain(t: &DataType) -> DataType {
    match t {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other.clone(),
    }
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
    let columns = Arc::new(Schema::new(columns));
    let several = |e: &EventRecord| e.bytes >= SPLIT_BYTES && format(bronze, &e.path) == Format::Ndjson;
    Ok(Work {
        objects: engine.objects(),
        split: job.events.iter().map(|e| several(e).then(|| Mutex::new(Reading::Waiting))).collect(),
        dataset: job.dataset.name.clone(),
        bronze: bronze.clone(),
        events: job.events.to_vec(),
        skip,
        watch: Watch::new(bronze.drift, columns.clone(), &bronze.inside),
        gates: Arc::default(),
        grown: BTreeSet::new(),
        columns,
        stager: attempt.stager(engine, &Place::Dataset(job.dataset.name.clone()), schema.clone()),
        quarantine: attempt.stager(
            engine,
            &Place::Quarantine(job.dataset.name.clone()),
            crate::refine::quarantine_schema(),
        ),
        stamp: attempt.stamp(),
        run: job.step.run.to_string(),
        max_record_bytes: job.project.limits.record.0,
        ahead: None,
    })
}

fn lane_count(work: &Work) -> usize {
    let parts = work.events.iter().zip(&work.split).map(|(e, split)| match split {
        Some(_) => usize::try_from(e.bytes / LANE_BYTES).unwrap_or(usize::MAX).max(1),
        None => 1,
    });
    lanes::count().min(parts.fold(0, usize::saturating_add))
}

/// One lane: object after object, then what is left of those that other lanes have begun.
fn ingest(work: &Work, shared: &Shared) -> Result<Done, LakeError> {
    let ahead = work.ahead.as_ref().and_then(|a| RefineLane::new(a, None).inspect_err(ahead::given_up).ok());
    let (rows, aside) = (work.stager.lane(), work.quarantine.lane());
    let mut lane = Ingest { work, shared, rows, aside, ahead, done: Done::default() };
    while let Some(i) = shared.take(work.events.len()) {
        lane.object(i)?;
    }
    for i in (0..work.events.len()).filter(|i| work.split[*i].is_some()) {
        lane.object(i)?;
    }
    let Ingest { rows, aside, ahead, mut done, .. } = lane;
    done.files = rows.finish()?;
    done.quarantined = aside.finish()?;
    done.refined.extend(ahead.and_then(|a| a.finish().inspect_err(ahead::given_up).ok()));
    Ok(done)
}

struct Ingest<'a> {
    work: &'a Work,
    shared: &'a Shared,
    rows: Lane<'a>,
    aside: Lane<'a>,
    ahead: Option<RefineLane<'a>>,
    done: Done,
}

impl Ingest<'_> {
    /// Loads the object, or what of it no other lane has taken.
    fn object(&mut self, i: usize) -> Result<(), LakeError> {
        if self.work.skip.contains(&i) {
            return Ok(());
        }
        let event = &self.work.events[i];
        let loaded = match &self.work.split[i] {
            None => self.whole(i, event),
            Some(reading) => self.pieces(i, event, reading),
        };
        match loaded {
            Err(LakeError::Decode { source, .. }) if source.class() == RetryClass::Data => {
                self.done.dead.push((i, reason(event, &source)));
                Ok(())
            }
            other => other,
        }
    }

    fn whole(&mut self, i: usize, event: &EventRecord) -> Result<(), LakeError> {
        let failed = |source: DecodeError| LakeError::Decode { object: event.path.clone(), source };
        let work = self.work;
        let file = work.open(event).map_err(failed)?;
        let mut decoder = decode::open(file, &work.options(event), &work.columns).map_err(failed)?;
        let (mut batches, mut rows, mut inside) = (0, 0, Drift::default());
        while let Some(decoded) = decoder.next().map_err(failed)? {
            rows += decoded.batch.num_rows() as u64;
            self.write(i, event, decoded, &mut inside)?;
            batches += 1;
            if batches % PROGRESS_BATCHES == 0 {
                self.shared.advance(0)?;
            }
        }
        work.objects.is_still(&work.bronze, event).map_err(failed)?;
        let mut drift = decoder.drift().clone();
        drift.merge_inside(&inside);
        self.done.note(work, event, &drift, rows).map_err(failed)?;
        self.shared.advance(event.bytes)
    }

    fn pieces(&mut self, i: usize, event: &EventRecord, reading: &Mutex<Reading>) -> Result<(), LakeError> {
        let failed = |source: DecodeError| LakeError::Decode { object: event.path.clone(), source };
        let mut decoder = PieceDecoder::new(&self.work.options(event), &self.work.columns).map_err(failed)?;
        let mut piece = Piece::default();
        let (mut rows, mut inside) = (0, Drift::default());
        while self.work.next_piece(event, reading, &mut piece, self.shared)? {
            decoder.load(&mut piece);
            while let Some(decoded) = decoder.next().map_err(failed)? {
                rows += decoded.batch.num_rows() as u64;
                self.write(i, event, decoded, &mut inside)?;
            }
            self.shared.advance(0)?;
        }
        if let Some(drift) = decoder.drift() {
            let mut drift = drift.clone();
            drift.merge_inside(&inside);
            self.done.share(i, &drift, rows);
        }
        Ok(())
    }

    fn write(&mut self, i: usize, event: &EventRecord, decoded: Decoded, inside: &mut Drift) -> Result<(), LakeError> {
        let mut batch = decoded.batch;
        for name in &self.work.grown {
            let values = batch.column_by_name(name).map_or(0, |c| c.len() - c.null_count());
            if values > 0 {
                self.done.seen.grew(name, values as u64);
            }
        }
        if batch.num_rows() > 0 {
            let aside = self.work.watch.look(&batch, self.work.object(i, event), inside)?;
            batch = with_metadata(self.work, event, batch)?;
            if !aside.is_empty() {
                batch = self.set_aside(batch, aside)?;
            }
        }
        let rows = batch.num_rows();
        if rows > 0 {
            self.rows.write(&batch)?;
            if let Some(ahead) = &mut self.ahead {
                ahead.add(batch, None).unwrap_or_else(|e| {
                    ahead::given_up(&e);
                    self.ahead = None;
                });
            }
            self.done.rows += rows as u64;
        }
        if !decoded.malformed.is_empty() {
            let Work { stamp, run, .. } = self.work;
            let (event_id, object) = (event.event.as_str(), event.path.as_str());
            let origin = Origin { event: event_id, object, run, received_at: event.received_at };
            self.aside.write(&quarantine::malformed(stamp, &origin, &decoded.malformed)?)?;
            for m in &decoded.malformed {
                *self.done.malformed.entry(m.reason.code()).or_default() += 1;
            }
        }
        Ok(())
    }
}

impl Ingest<'_> {
    /// Sends rows to the quarantine, and gives back the others.
    fn set_aside(&mut self, batch: RecordBatch, aside: Aside) -> Result<RecordBatch, LakeError> {
        let stays: BooleanArray = (0..batch.num_rows()).map(|r| Some(!aside.contains_key(&(r as u32)))).collect();
        self.done.aside += aside.len() as u64;
        let rows = aside_rows(&self.work.dataset, &batch, aside, &self.work.stamp)?;
        self.aside.write(&rows)?;
        Ok(filter_record_batch(&batch, &stays)?)
    }
}

/// Rows as the quarantine has them, with why they wait.
pub(crate) fn aside_rows(
    dataset: &DatasetName,
    batch: &RecordBatch,
    aside: Aside,
    stamp: &Stamp,
) -> Result<RecordBatch, LakeError> {
    let causes = aside.into_iter().map(|(row, reasons)| {
        let cause = |r: drift::Reason| Cause {
            rule: r.what.rule(),
            column: r.what.field,
            value: r.value,
            message: r.what.detail,
        };
        (row, reasons.into_iter().map(cause).collect())
    });
    let rows: Vec<(u32, Vec<Cause>)> = causes.collect();
    refine::set_aside(batch, rows, stamp)
        .map_err(|source| LakeError::Refine { dataset: dataset.clone(), source })?
        .ok_or(LakeError::Worker("rows that are set aside are some"))
}

impl Work {
    fn discard(&self, done: &Done) {
        stage::discard(self.stager.dir(), &done.files);
        stage::discard(self.quarantine.dir(), &done.quarantined);
        self.ahead.iter().for_each(|a| done.refined.iter().for_each(|part| a.outlet.discard(part)));
    }

    fn object(&self, i: usize, event: &EventRecord) -> Object<'_> {
        let gate = &self.gates[i];
        Object { json: format(&self.bronze, &event.path) == Format::Ndjson, absent: &gate.absent, typed: &gate.typed }
    }

    fn options(&self, event: &EventRecord) -> Options<'_> {
        admit::options(&self.bronze, &event.path, self.max_record_bytes)
    }

    /// Counts the object as read, but for one of a bucket, whose requests are counted where they are made.
    fn open(&self, event: &EventRecord) -> Result<File, DecodeError> {
        let file = self.objects.open(&self.bronze, event)?;
        if self.bronze.files.remote.is_none() {
            self.stager.meter().read(event.bytes);
        }
        Ok(file)
    }

    /// Reads the next piece of an object that several lanes decode; `false` when all has been taken. An error is told to
    /// one lane only, and ends the object for all.
    fn next_piece(
        &self,
        event: &EventRecord,
        reading: &Mutex<Reading>,
        piece: &mut Piece,
        shared: &Shared,
    ) -> Result<bool, LakeError> {
        let failed = |source: DecodeError| LakeError::Decode { object: event.path.clone(), source };
        let mut reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pieces = match std::mem::replace(&mut *reading, Reading::Ended) {
            Reading::Ended => return Ok(false),
            Reading::Open(pieces) => pieces,
            Reading::Waiting => {
                let file = self.open(event).map_err(failed)?;
                Box::new(Pieces::open(file, &self.options(event)).map_err(failed)?)
            }
        };
        if pieces.next(piece).map_err(failed)? {
            *reading = Reading::Open(pieces);
            return Ok(true);
        }
        self.objects.is_still(&self.bronze, event).map_err(failed)?;
        shared.advance(event.bytes)?;
        Ok(false)
    }
}

/// Malformed records as a broken rule, under the name that their quarantine rows give it.
pub(crate) fn quality(reason: &str, records: u64, received: u64) -> QualityResult {
    QualityResult {
        rule: quarantine::malformed_rule(reason),
        action: Action::Quarantine.word().into(),
        severity: Severity::Error.word().into(),
        dimension: Some("conformity".into()),
        checked: received,
        violations: records,
        passed: false,
        note: None,
        figure: None,
    }
}

impl Done {
    /// Counts the drift of an object, unless the dataset does not take it.
    fn note(&mut self, work: &Work, event: &EventRecord, drift: &Drift, rows: u64) -> Result<(), DecodeError> {
        let columns = &work.columns;
        let nested = |name: &String| columns.field_with_name(name).is_ok_and(|f| f.data_type().is_nested());
        let looks_deeper = drift.rescued.iter().any(|(name, r)| r.retyped > 0 && nested(name));
        let typed = match looks_deeper {
            true => admit::typed(&work.objects, &work.bronze, event, work.max_record_bytes, columns),
            false => Vec::new(),
        };
        let found = drift::differences_of(drift, columns, rows, &typed);
        drift::stop(found.iter().map(|f| &f.what), work.bronze.drift)?;
        found.into_iter().for_each(|f| self.seen.add(f));
        self.renamed.extend(drift.renamed.iter().cloned());
        Ok(())
    }

    /// Takes what a lane found in its part of an object.
    fn share(&mut self, event: usize, drift: &Drift, rows: u64) {
        let both = |(known, n): &mut (Drift, u64)| {
            known.merge(drift);
            *n += rows;
        };
        self.shared_drift.entry(event).and_modify(both).or_insert_with(|| (drift.clone(), rows));
    }
}

pub(crate) fn reason(event: &EventRecord, e: &DecodeError) -> String {
    let cause = e.cause().map_or_else(String::new, |c| format!(" ({c})"));
    let kept = match event.bytes > payload::MOST.0 {
        true => format!(". It is larger than {} and only where it came: keep it", payload::MOST),
        false => String::new(),
    };
    format!("{}: {}: {e}{cause}. {}{kept}", e.code(), event.path, e.remedy())
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
pub(crate) fn constant(text: &str, rows: usize) -> ArrayRef {
    let keys = Int32Array::from_value(0, rows);
    let values: ArrayRef = Arc::new(StringArray::from(vec![text]));
    Arc::new(DictionaryArray::new(keys, values))
}

fn merge(work: &Work, results: Vec<Done>) -> Result<Done, LakeError> {
    let mut all = Done::default();
    for d in results {
        all.files.extend(d.files);
        all.quarantined.extend(d.quarantined);
        all.refined.extend(d.refined);
        all.rows += d.rows;
        all.aside += d.aside;
        for (reason, n) in d.malformed {
            *all.malformed.entry(reason).or_default() += n;
        }
        all.dead.extend(d.dead);
        all.seen.merge(d.seen);
        all.renamed.extend(d.renamed);
        for (event, (drift, rows)) in d.shared_drift {
            all.share(event, &drift, rows);
        }
    }
    for (i, (drift, rows)) in std::mem::take(&mut all.shared_drift) {
        let event = &work.events[i];
        match all.note(work, event, &drift, rows) {
            Ok(()) => {}
            Err(e) if e.class() == RetryClass::Data => all.dead.push((i, reason(event, &e))),
            Err(source) => return Err(LakeError::Decode { object: event.path.clone(), source }),
        }
    }
    Ok(all)
}
