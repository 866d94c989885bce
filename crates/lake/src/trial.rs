//! Files against a contract, without a table: what of them would come into a silver dataset that only validates, or that has given steps.
//!
//! Called by cli. Decodes and checks on all cores as the steps do, keeps no row, and writes nothing.

use crate::{
    decode::{self, DecodeError, Decoded, Decoder, Malformed, Options, Piece, PieceDecoder, Pieces},
    engine::LakeEngine,
    error::LakeError,
    ingest,
    lanes::{self, Shared},
    quarantine::{self, Origin},
    refine::{self, Binding, Refinery, Stamp, Tally, Turn, Turns},
    silver,
    table::Place,
};
use alluvium_model::{Clock, DatasetName, DefinitionVersion, Layer, StepKey};
use alluvium_spec::{Check, Contract, CsvOptions, Format, Project, Silver, Step, Write};
use alluvium_store::QualityResult;
use arrow::{
    array::{ArrayRef, RecordBatch, new_null_array},
    compute::concat_batches,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc;

/// More than the records of most pieces, so that a piece is one batch.
const BATCH_ROWS: usize = 64 * 1024;

/// What was found in some files.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    pub records: u64,
    /// Records that no rule keeps out.
    pub valid: u64,
    /// Rules that were checked on some record, in the contract's order, then why records are malformed.
    pub rules: Vec<QualityResult>,
    /// Ids of rules that need the whole table, or another one that is not there.
    pub unchecked: Vec<String>,
    /// Time of all threads together: reading and decoding, and checking.
    pub decoding: Duration,
    pub checking: Duration,
}

/// What is checked, and how it is read.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    pub files: &'a [PathBuf],
    /// `None`: what each file's name says.
    pub format: Option<Format>,
    pub csv: CsvOptions,
    /// Of a silver dataset, up to `validate`.
    pub steps: Vec<Step>,
}

impl<'a> Given<'a> {
    /// Files as they are, and nothing between them and the contract.
    pub fn plain(files: &'a [PathBuf]) -> Self {
        let csv = CsvOptions { delimiter: None, quote: b'"', columns: None };
        Self { files, format: None, csv, steps: vec![Step::Validate] }
    }
}

/// Checks the records of files and gives the invalid ones to `invalid`, as rows of a quarantine, in no order. Of rows that share the columns
/// of a `unique` rule the first one stays, in the order of the files.
///
/// # Errors
/// When a file cannot be read to its end, or when nobody takes the invalid rows any more.
pub async fn trial(
    engine: &LakeEngine,
    project: &Project,
    contract: &Contract,
    given: Given<'_>,
    invalid: Option<mpsc::Sender<RecordBatch>>,
) -> Result<Trial, LakeError> {
    let mut contract = contract.clone();
    let mut unchecked = Vec::new();
    for rule in std::mem::take(&mut contract.rules) {
        if here(engine, &rule.check).await? { contract.rules.push(rule) } else { unchecked.push(rule.id) }
    }
    let name = DatasetName::new(Layer::Silver, "trial").map_err(|_| LakeError::Worker("`trial` is a name"))?;
    let from = DatasetName::new(Layer::Bronze, "trial").map_err(|_| LakeError::Worker("`trial` is a name"))?;
    let Given { files, format, csv, steps } = given;
    let silver = Silver { from, steps, write: Write::Append, watermark: None, cluster_by: Vec::new() };
    let stamp = Stamp {
        step_key: StepKey::from_stored("trial"),
        definition_version: DefinitionVersion::from_stored(contract.version.clone()),
        quarantined_at: engine.clock.now(),
    };
    let refinery = bind(engine, project, &name, &silver, &contract, stamp.clone()).await?;
    let mut work = Work {
        name,
        files: Vec::new(),
        csv,
        max_record_bytes: project.limits.record.0,
        reading: Mutex::default(),
        turns: Turns::default(),
        refinery,
        stamp,
        invalid,
        clock: engine.clock.clone(),
    };
    let files = files.iter().map(|f| work.one_file(f, format, &contract));
    work.files = files.collect::<Result<_, _>>()?;
    let work = Arc::new(work);
    let lane = work.clone();
    let parts = lanes::run(lanes::count(), move |shared| lane.lane(shared), |_| ()).await?;
    let (mut tally, mut malformed, mut trial) = (Tally::default(), BTreeMap::new(), Trial::default());
    for part in parts {
        tally.merge(&part.tally);
        part.malformed.into_iter().for_each(|(reason, n)| *malformed.entry(reason).or_default() += n);
        trial.decoding += part.decoding;
        trial.checking += part.checking;
    }
    trial.records = tally.received + malformed.values().sum::<u64>();
    trial.valid = tally.valid;
    trial.rules = silver::quality(&contract, &tally, work.refinery.stops(&tally));
    trial.rules.extend(malformed.into_iter().map(|(reason, n)| ingest::quality(reason, n, trial.records)));
    trial.unchecked = unchecked;
    Ok(trial)
}

/// Whether a rule can be told from the records, and from tables that are there.
async fn here(engine: &LakeEngine, check: &Check) -> Result<bool, LakeError> {
    Ok(match check.of_value() {
        Check::Reference { dataset, .. } => engine.tables.head(&Place::Dataset(dataset.clone())).await?.is_some(),
        Check::Query { .. } | Check::RowCount => false,
        Check::Type
        | Check::Required
        | Check::Missing { .. }
        | Check::OneOf { .. }
        | Check::Range { .. }
        | Check::Length { .. }
        | Check::Pattern { .. }
        | Check::MultipleOf { .. }
        | Check::Items { .. }
        | Check::UniqueItems
        | Check::Properties { .. }
        | Check::Inside { .. }
        | Check::Unique
        | Check::Expression { .. } => true,
    })
}

async fn bind(
    engine: &LakeEngine,
    project: &Project,
    name: &DatasetName,
    silver: &Silver,
    contract: &Contract,
    stamp: Stamp,
) -> Result<Refinery, LakeError> {
    let failed = |source| LakeError::Refine { dataset: name.clone(), source };
    let compiled = Refinery::compile(silver, contract).map_err(|mut mistakes| match mistakes.pop() {
        Some(first) => failed(first),
        None => LakeError::Worker("a contract that does not compile names its mistake"),
    })?;
    let mut lookups = BTreeMap::new();
    for (other, columns) in refine::lookup_needs(silver, contract) {
        let version = engine.tables.head(&Place::Dataset(other.clone())).await?.unwrap_or(-1);
        let rows = silver::lookup(engine, project, &other, version, columns.into_iter().collect()).await?;
        lookups.insert(other, rows);
    }
    Refinery::bind(Arc::new(compiled), Binding { lookups, stamp, watermark: None }, engine.entropy.as_ref())
        .map_err(failed)
}

/// What the lanes share.
struct Work {
    name: DatasetName,
    files: Vec<OneFile>,
    csv: CsvOptions,
    max_record_bytes: u64,
    reading: Mutex<Reading>,
    turns: Turns,
    refinery: Refinery,
    stamp: Stamp,
    invalid: Option<mpsc::Sender<RecordBatch>>,
    clock: Arc<dyn Clock>,
}

struct OneFile {
    path: PathBuf,
    format: Format,
    columns: SchemaRef,
}

#[derive(Default)]
struct Reading {
    /// Files that were opened.
    opened: usize,
    open: Option<Open>,
}

enum Open {
    /// NDJSON, which the lanes decode side by side.
    Pieces(Box<Pieces>),
    Whole(Box<Decoder>),
}

/// What a lane takes, with the number of its file.
enum Taken {
    Piece(usize),
    Rows(usize, Decoded),
}

#[derive(Default)]
struct Part {
    tally: Tally,
    malformed: BTreeMap<&'static str, u64>,
    decoding: Duration,
    checking: Duration,
}

impl Work {
    fn one_file(&self, path: &Path, format: Option<Format>, contract: &Contract) -> Result<OneFile, LakeError> {
        let format = format.unwrap_or_else(|| decode::format_of(&path.to_string_lossy()));
        let file = File::open(path).map_err(LakeError::io(path))?;
        let mut fields = decode::discover(file, &self.options(format)).map_err(unreadable(path))?;
        let expected = contract.columns.iter().map(|c| Field::new(&c.name, DataType::Utf8, true));
        let missing = decode::new_columns(&Schema::new(fields.clone()), &expected.collect::<Vec<_>>());
        fields.extend(missing);
        Ok(OneFile { path: path.to_owned(), format, columns: Arc::new(Schema::new(fields)) })
    }

    fn options(&self, format: Format) -> Options<'_> {
        let max_record_bytes = self.max_record_bytes;
        Options { format, csv: &self.csv, max_record_bytes, batch_rows: BATCH_ROWS, any_case: false }
    }

    /// The next records in the order of the files, and their turn.
    fn take(&self, piece: &mut Piece) -> Result<Option<(Taken, Turn<'_>)>, LakeError> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let at = reading.opened.saturating_sub(1);
            let failed = |e| unreadable(&self.files[at].path)(e);
            let taken = match &mut reading.open {
                Some(Open::Pieces(pieces)) => pieces.next(piece).map_err(failed)?.then_some(Taken::Piece(at)),
                Some(Open::Whole(decoder)) => decoder.next().map_err(failed)?.map(|d| Taken::Rows(at, d)),
                None => None,
            };
            if let Some(taken) = taken {
                return Ok(Some((taken, self.turns.give())));
            }
            let Some(next) = self.files.get(reading.opened) else { return Ok(None) };
            reading.opened += 1;
            let file = File::open(&next.path).map_err(LakeError::io(&next.path))?;
            let o = self.options(next.format);
            let open = match next.format {
                Format::Ndjson => Pieces::open(file, &o).map(|p| Open::Pieces(Box::new(p))),
                Format::Csv | Format::Tsv | Format::Parquet => {
                    decode::open(file, &o, &next.columns).map(|d| Open::Whole(Box::new(d)))
                }
            };
            reading.open = Some(open.map_err(unreadable(&next.path))?);
        }
    }

    fn lane(&self, shared: &Shared) -> Result<Part, LakeError> {
        let mut part = Part::default();
        let mut piece = Piece::default();
        let mut decoder: Option<(usize, PieceDecoder)> = None;
        let mut start = self.clock.now();
        while let Some((taken, turn)) = self.take(&mut piece)? {
            let (file, decoded) = match taken {
                Taken::Rows(file, decoded) => (file, vec![decoded]),
                Taken::Piece(file) => (file, self.decode(file, &mut piece, &mut decoder)?),
            };
            let read = self.clock.now();
            self.check(file, decoded, turn, &mut part)?;
            let checked = self.clock.now();
            part.decoding += read.duration_since(start).unsigned_abs();
            part.checking += checked.duration_since(read).unsigned_abs();
            start = checked;
            shared.advance(0)?;
        }
        Ok(part)
    }

    fn decode(
        &self,
        file: usize,
        piece: &mut Piece,
        decoder: &mut Option<(usize, PieceDecoder)>,
    ) -> Result<Vec<Decoded>, LakeError> {
        let OneFile { path, format, columns } = &self.files[file];
        if decoder.as_ref().is_none_or(|(of, _)| *of != file) {
            let new = PieceDecoder::new(&self.options(*format), columns);
            *decoder = Some((file, new.map_err(unreadable(path))?));
        }
        let (_, decoder) = decoder.as_mut().expect("it was made for this file");
        decoder.load(piece);
        let mut all = Vec::new();
        while let Some(decoded) = decoder.next().map_err(unreadable(path))? {
            all.push(decoded);
        }
        Ok(all)
    }

    fn check(&self, file: usize, decoded: Vec<Decoded>, turn: Turn<'_>, part: &mut Part) -> Result<(), LakeError> {
        let path = &self.files[file].path;
        let malformed: Vec<Malformed> = decoded.iter().flat_map(|d| d.malformed.iter().cloned()).collect();
        if !malformed.is_empty() {
            malformed.iter().for_each(|m| *part.malformed.entry(m.reason.code()).or_default() += 1);
            let object = path.to_string_lossy();
            let origin = Origin { event: "", object: &object, run: "", received_at: self.stamp.quarantined_at };
            self.give(quarantine::malformed(&self.stamp, &origin, &malformed)?)?;
        }
        let batches: Vec<RecordBatch> = decoded.into_iter().map(|d| d.batch).collect();
        let Some(first) = batches.first() else { return Ok(()) };
        let rows = if batches.len() == 1 { first.clone() } else { concat_batches(&first.schema(), &batches)? };
        let rows = with_origin(&rows, path)?;
        let invalid = self.refinery.check(&rows, Some(turn), &mut part.tally);
        let invalid = invalid.map_err(|source| LakeError::Refine { dataset: self.name.clone(), source })?;
        invalid.map_or(Ok(()), |rows| self.give(rows))
    }

    fn give(&self, rows: RecordBatch) -> Result<(), LakeError> {
        let Some(to) = &self.invalid else { return Ok(()) };
        to.blocking_send(rows).map_err(|_| LakeError::Worker("nobody takes the invalid rows"))
    }
}

fn unreadable(path: &Path) -> impl FnOnce(DecodeError) -> LakeError {
    let object = path.display().to_string();
    move |source| LakeError::Decode { object, source }
}

/// With the columns that a bronze row has and the rules pass on.
fn with_origin(rows: &RecordBatch, path: &Path) -> Result<RecordBatch, LakeError> {
    let mut fields: Vec<Field> = rows.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    let mut columns = rows.columns().to_vec();
    let object = ingest::constant(&path.to_string_lossy(), rows.num_rows());
    let event: ArrayRef = new_null_array(&DataType::Utf8, rows.num_rows());
    for (name, column) in [("_event_id", event), ("_object", object)] {
        fields.push(Field::new(name, column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
