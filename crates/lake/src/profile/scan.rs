//! Goes through files: which columns they have together, then every record once.

use super::{
    column::Column,
    delimiter::{self, Delimited},
    names::{Named, Names},
    refer,
    rows::{Hashes, RowHashes},
};
use crate::{
    decode::{self, DecodeError, Decoded, Options},
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    refine::{self, RefineError},
};
use alluvium_model::DatasetName;
use alluvium_spec::{CsvOptions, Format, Project, infer::Facts};
use arrow::{
    array::{Array, ArrayRef},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, ScopedJoinHandle},
};

const BATCH_ROWS: usize = 8 * 1024;
/// Keys of NDJSON that come late make another pass over the files, this often.
const MOST_PASSES: usize = 3;

/// What is looked at, and how it is written.
#[derive(Debug, Clone)]
pub struct Look {
    pub files: Vec<PathBuf>,
    /// `None`: what each file's name says.
    pub format: Option<Format>,
    pub csv: CsvOptions,
    /// Whether the files may have another delimiter than their names say: not where a dataset reads them without one.
    pub free: bool,
    /// At most so many records of each file.
    pub sample: Option<u64>,
}

/// What was found.
#[derive(Debug)]
pub struct Looked {
    pub facts: Facts,
    pub rows: RowHashes,
    /// As given, with the delimiter that all of the files turned out to have.
    pub csv: CsvOptions,
}

/// Looks at the records of files, and for datasets whose keys their columns could be. Of a dataset that cannot be read nothing is said.
///
/// # Errors
/// When a file cannot be read to its end.
pub async fn profile(
    engine: &LakeEngine,
    project: &Project,
    name: &DatasetName,
    look: Look,
) -> Result<Looked, LakeError> {
    let max_record_bytes = project.limits.record.0;
    let of = name.clone();
    let work = move |_: &Shared| Scan { name: of.clone(), look: look.clone(), max_record_bytes }.run();
    let mut done = lanes::run(1, work, |_| ()).await?;
    let mut looked = done.pop().ok_or(LakeError::Worker("one lane gives one result"))?;
    refer::find(engine, project, name.name(), &mut looked).await?;
    Ok(looked)
}

pub(super) struct Scan {
    /// The silver dataset that could have the contract.
    pub(super) name: DatasetName,
    pub(super) look: Look,
    pub(super) max_record_bytes: u64,
}

/// The columns of one file, and where each stands among all.
struct OneFile {
    path: PathBuf,
    format: Format,
    csv: CsvOptions,
    columns: SchemaRef,
    places: Vec<usize>,
}

/// What the beginnings of the files show.
struct Seen {
    csv: CsvOptions,
    names: Names,
    files: Vec<OneFile>,
    /// Delimiters that differ, with how many files have each.
    differ: BTreeMap<u8, usize>,
    /// A delimiter that the files seem to have, and with which they are not read.
    unread: Option<u8>,
}

impl Scan {
    pub(super) fn run(self) -> Result<Looked, LakeError> {
        let (mut late, mut passes) = (BTreeSet::new(), 0);
        loop {
            let seen = self.discover(&late)?;
            let csv = seen.csv.clone();
            let (facts, rows, more) = self.pass(seen)?;
            passes += 1;
            if more.is_subset(&late) || passes == MOST_PASSES {
                return Ok(Looked { facts, rows, csv });
            }
            late.extend(more);
        }
    }

    /// `late`: columns beside those that the beginnings of the files show.
    fn discover(&self, late: &BTreeSet<String>) -> Result<Seen, LakeError> {
        let mut delimited = Vec::new();
        for path in &self.look.files {
            let format = self.look.format.unwrap_or_else(|| decode::format_of(&path.to_string_lossy()));
            let (fields, delimiter) = self.fields(path, format)?;
            delimited.push((path, format, fields, delimiter));
        }
        let of_all = delimiter::of_all(delimited.iter().map(|(.., d)| *d));
        let mut csv = self.look.csv.clone();
        if self.look.free {
            csv.delimiter = csv.delimiter.or(of_all.one);
        }
        let mut seen = Seen { csv, names: Names::default(), files: Vec::new(), differ: of_all.differ, unread: None };
        seen.unread = of_all.one.filter(|_| !self.look.free);
        for (path, format, mut fields, delimiter) in delimited {
            if format == Format::Ndjson && !fields.is_empty() {
                let late: Vec<Field> = late.iter().map(|n| Field::new(n, DataType::Utf8, true)).collect();
                fields.extend(decode::new_columns(&Schema::new(fields.clone()), &late));
            }
            let mut taken = (Vec::new(), Vec::new());
            for field in fields {
                if let Some(place) = seen.names.place(&field, format) {
                    taken.0.push(field);
                    taken.1.push(place);
                }
            }
            let mut csv = seen.csv.clone();
            if let (true, Delimited::By(d)) = (self.look.free, delimiter) {
                csv.delimiter = Some(d);
            }
            let columns = Arc::new(Schema::new(taken.0));
            seen.files.push(OneFile { path: path.clone(), format, csv, columns, places: taken.1 });
        }
        if !self.look.free {
            seen.differ.clear();
        }
        Ok(seen)
    }

    /// The columns of a file, and what stands between its fields. Where it has one column only it could be read with another delimiter.
    fn fields(&self, path: &Path, format: Format) -> Result<(Vec<Field>, Delimited), LakeError> {
        let discover = |csv: &CsvOptions| {
            let file = File::open(path).map_err(LakeError::io(path))?;
            decode::discover(file, &self.options(format, csv)).map_err(unreadable(path))
        };
        let fields = discover(&self.look.csv)?;
        let named = match format {
            Format::Csv => b',',
            Format::Tsv => b'\t',
            _ => return Ok((fields, Delimited::Unknown)),
        };
        let [only] = fields.as_slice() else {
            let known = !fields.is_empty() && self.look.csv.delimiter.is_none();
            return Ok((fields, if known { Delimited::AsNamed(named) } else { Delimited::Unknown }));
        };
        if format != Format::Csv || self.look.csv.delimiter.is_some() {
            return Ok((fields, Delimited::Unknown));
        }
        let name = only.name().clone();
        for delimiter in delimiter::in_name(&name) {
            let csv = CsvOptions { delimiter: Some(delimiter), ..self.look.csv.clone() };
            let again = discover(&csv)?;
            if again.len() > 1 {
                let fields = if self.look.free { again } else { fields };
                return Ok((fields, Delimited::By(delimiter)));
            }
        }
        Ok((fields, Delimited::Unknown))
    }

    fn options<'a>(&self, format: Format, csv: &'a CsvOptions) -> Options<'a> {
        let most = self.look.sample.map_or(BATCH_ROWS, |n| usize::try_from(n).unwrap_or(BATCH_ROWS));
        Options {
            format,
            csv,
            max_record_bytes: self.max_record_bytes,
            batch_rows: BATCH_ROWS.min(most).max(1),
            any_case: false,
        }
    }

    /// With columns that nothing before told of.
    fn pass(&self, seen: Seen) -> Result<(Facts, RowHashes, BTreeSet<String>), LakeError> {
        let Seen { csv, names, files, differ, unread } = seen;
        let of = names.all.len();
        let mut found = Found {
            facts: Facts {
                files: files.len(),
                delimiter: csv.delimiter,
                delimiters: differ,
                unread_delimiter: unread,
                ..Facts::default()
            },
            columns: names.all.iter().map(|n| OneColumn::new(n, of)).collect(),
            late: BTreeSet::new(),
        };
        let typed = files.iter().filter(|f| f.format == Format::Parquet).count();
        found.facts.mixed = typed > 0 && typed < files.len();
        for file in &files {
            self.file(file, &names, &mut found)?;
        }
        let Found { mut facts, columns, late } = found;
        let mut kept = Vec::new();
        for (own, named) in columns.into_iter().zip(names.all) {
            if own.unreadable > 0 {
                facts.left_out.push((named.name, "it holds bytes that are no text"));
                continue;
            }
            let mut of = own.column.finish(named.declared.kind());
            of.spellings = named.spellings;
            facts.columns.push(of);
            kept.push(own.hashes);
        }
        Ok((facts, kept.into_iter().collect(), late))
    }

    fn file(&self, file: &OneFile, names: &Names, found: &mut Found) -> Result<(), LakeError> {
        let path = &file.path;
        let opened = File::open(path).map_err(LakeError::io(path))?;
        let options = self.options(file.format, &file.csv);
        let mut decoder = decode::open(opened, &options, &file.columns).map_err(unreadable(path))?;
        let mut left = self.look.sample.unwrap_or(u64::MAX);
        while let Some(decoded) = decoder.next().map_err(unreadable(path))? {
            if left == 0 {
                found.facts.sampled = true;
                break;
            }
            let rows = u64::try_from(decoded.batch.num_rows()).unwrap_or(u64::MAX);
            found.facts.sampled |= rows > left;
            let taken = rows.min(left);
            found.take(&self.name, file, &decoded, usize::try_from(taken).unwrap_or(usize::MAX))?;
            left -= taken;
        }
        let drift = decoder.drift();
        for (place, field) in file.places.iter().zip(file.columns.fields()) {
            let strings = drift.rescued.get(field.name()).map_or(0, |r| r.strings);
            found.columns[*place].column.quoted(strings);
        }
        if file.format == Format::Ndjson {
            let new = drift.new_fields.keys().filter(|n| decode::holdable(n) && !names.has(n));
            found.late.extend(new.cloned());
        }
        Ok(())
    }
}

struct Found {
    facts: Facts,
    columns: Vec<OneColumn>,
    late: BTreeSet<String>,
}

struct OneColumn {
    column: Column,
    hashes: Hashes,
    /// Its files say what its values are.
    typed: bool,
    /// Values that are no text.
    unreadable: u64,
}

impl Found {
    /// Columns know nothing of each other, so each is looked at by whichever thread is free, and in the order of its rows.
    fn take(&mut self, dataset: &DatasetName, file: &OneFile, decoded: &Decoded, rows: usize) -> Result<(), LakeError> {
        for m in &decoded.malformed {
            *self.facts.malformed.entry(m.reason.code()).or_default() += 1;
        }
        let batch = decoded.batch.slice(0, rows);
        self.facts.records += rows as u64;
        let values: BTreeMap<usize, &ArrayRef> = file.places.iter().copied().zip(batch.columns()).collect();
        let work = self.columns.iter_mut().enumerate().map(|(place, own)| (own, values.get(&place).copied()));
        let waiting = Mutex::new(work);
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let look = || -> Result<(), RefineError> {
            while let Some((own, values)) = next() {
                own.take(values, rows)?;
            }
            Ok(())
        };
        let looked = thread::scope(|s| {
            let others: Vec<_> = (1..lanes::count()).map(|_| s.spawn(look)).collect();
            let own = look();
            let ended = |other: ScopedJoinHandle<'_, _>| other.join().unwrap_or_else(|panic| resume_unwind(panic));
            others.into_iter().map(ended).fold(own, Result::and)
        });
        looked.map_err(|source| LakeError::Refine { dataset: dataset.clone(), source })
    }
}

impl OneColumn {
    fn new(named: &Named, of: usize) -> Self {
        Self {
            column: Column::new(named.name.clone(), of),
            hashes: Hashes::new(of),
            typed: named.declared.is_typed(),
            unreadable: 0,
        }
    }

    /// `None`: the file does not have it.
    fn take(&mut self, values: Option<&ArrayRef>, rows: usize) -> Result<(), RefineError> {
        let Some(values) = values else {
            self.column.nulls(rows as u64);
            (0..rows).for_each(|_| self.hashes.push(None));
            return Ok(());
        };
        let text = refine::to_text(values)?;
        for row in 0..rows {
            let value = text.is_valid(row).then(|| text.value(row)).and_then(|t| self.column.add(t, self.typed));
            self.hashes.push(value);
        }
        let nulls = values.logical_nulls().map_or(0, |n| n.null_count());
        self.column.nulls(nulls as u64);
        self.unreadable += (text.null_count().saturating_sub(nulls)) as u64;
        Ok(())
    }
}

fn unreadable(path: &Path) -> impl FnOnce(DecodeError) -> LakeError {
    let object = path.display().to_string();
    move |source| LakeError::Decode { object, source }
}
