//! Goes through files: which columns they have together, then every record once.

use super::{column::Column, refer, rows::RowHashes};
use crate::{
    decode::{self, DecodeError, Decoded, Options},
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    refine,
};
use alluvium_model::DatasetName;
use alluvium_spec::{ColumnType, CsvOptions, Format, Project, infer::Facts};
use arrow::{
    array::Array,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

const BATCH_ROWS: usize = 8 * 1024;
/// Keys of NDJSON that come late make another pass over the files, this often.
const MOST_PASSES: usize = 3;
/// Delimiters that a file can have without its name saying so.
const DELIMITERS: [u8; 3] = [b';', b'\t', b'|'];

/// What is looked at, and how it is written.
#[derive(Debug, Clone)]
pub struct Look {
    pub files: Vec<PathBuf>,
    /// `None`: what each file's name says.
    pub format: Option<Format>,
    pub csv: CsvOptions,
    /// At most so many records of each file.
    pub sample: Option<u64>,
}

/// What was found.
#[derive(Debug)]
pub struct Looked {
    pub facts: Facts,
    pub rows: RowHashes,
    /// As given, with the delimiter that the files turned out to have.
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

/// A column of the files together.
struct Named {
    name: String,
    spellings: BTreeSet<String>,
    declared: Declared,
}

#[derive(Clone, Copy)]
enum Declared {
    Text,
    As(ColumnType),
    /// Several types that have none in common.
    Mixed,
    /// Bytes that are no text.
    Bytes,
}

/// The columns of one file, and where each stands among all.
struct OneFile {
    path: PathBuf,
    format: Format,
    columns: SchemaRef,
    places: Vec<usize>,
}

impl Scan {
    pub(super) fn run(mut self) -> Result<Looked, LakeError> {
        let mut late = BTreeSet::new();
        for pass in 1.. {
            let (names, files) = self.discover(&late)?;
            let found = self.pass(names, &files)?;
            let new = found.late.difference(&late).cloned().collect::<BTreeSet<_>>();
            if new.is_empty() || pass == MOST_PASSES {
                return Ok(Looked { facts: found.facts, rows: found.rows, csv: self.look.csv });
            }
            late.extend(new);
        }
        unreachable!("the last pass returns")
    }

    /// `late`: columns beside those that the beginnings of the files show.
    fn discover(&mut self, late: &BTreeSet<String>) -> Result<(Vec<Named>, Vec<OneFile>), LakeError> {
        let mut names: Vec<Named> = Vec::new();
        let mut files = Vec::new();
        for path in self.look.files.clone() {
            let format = self.look.format.unwrap_or_else(|| decode::format_of(&path.to_string_lossy()));
            let mut fields = self.fields(&path, format)?;
            if format == Format::Ndjson && !fields.is_empty() {
                let late: Vec<Field> = late.iter().map(|n| Field::new(n, DataType::Utf8, true)).collect();
                fields.extend(decode::new_columns(&Schema::new(fields.clone()), &late));
            }
            let mut taken = (Vec::new(), Vec::new());
            for field in fields {
                if let Some(place) = place(&mut names, &field, format) {
                    taken.0.push(field);
                    taken.1.push(place);
                }
            }
            files.push(OneFile { path, format, columns: Arc::new(Schema::new(taken.0)), places: taken.1 });
        }
        Ok((names, files))
    }

    fn fields(&mut self, path: &Path, format: Format) -> Result<Vec<Field>, LakeError> {
        let open = || File::open(path).map_err(LakeError::io(path));
        let fields = decode::discover(open()?, &self.options(format)).map_err(unreadable(path))?;
        let [one] = fields.as_slice() else { return Ok(fields) };
        if format != Format::Csv || self.look.csv.delimiter.is_some() {
            return Ok(fields);
        }
        let of_name = |d: &&u8| one.name().bytes().any(|b| b == **d);
        // A tab in a name is shown as `_`.
        for delimiter in DELIMITERS.iter().filter(|d| of_name(d) || **d == b'\t') {
            let before = self.look.csv.delimiter.replace(*delimiter);
            let again = decode::discover(open()?, &self.options(format)).map_err(unreadable(path))?;
            if again.len() > 1 {
                return Ok(again);
            }
            self.look.csv.delimiter = before;
        }
        Ok(fields)
    }

    fn options(&self, format: Format) -> Options<'_> {
        let most = self.look.sample.map_or(BATCH_ROWS, |n| usize::try_from(n).unwrap_or(BATCH_ROWS));
        Options {
            format,
            csv: &self.look.csv,
            max_record_bytes: self.max_record_bytes,
            batch_rows: BATCH_ROWS.min(most).max(1),
            any_case: false,
        }
    }

    fn pass(&self, names: Vec<Named>, files: &[OneFile]) -> Result<Found, LakeError> {
        let of = names.len();
        let mut found = Found {
            facts: Facts { files: files.len(), delimiter: self.look.csv.delimiter, ..Facts::default() },
            columns: names.iter().map(|n| Column::new(n.name.clone(), of)).collect(),
            rows: RowHashes::new(of),
            unreadable: vec![0; of],
            late: BTreeSet::new(),
        };
        let typed = files.iter().filter(|f| f.format == Format::Parquet).count();
        found.facts.mixed = typed > 0 && typed < files.len();
        for file in files {
            self.file(file, &names, &mut found)?;
        }
        let columns = std::mem::take(&mut found.columns);
        let mut kept = Vec::new();
        for (i, (column, named)) in columns.into_iter().zip(names).enumerate() {
            if found.unreadable[i] > 0 {
                found.facts.left_out.push((named.name, "it holds bytes that are no text"));
                continue;
            }
            let mut facts = column.finish(named.declared.kind());
            facts.spellings = named.spellings;
            found.facts.columns.push(facts);
            kept.push(std::mem::take(&mut found.rows.columns[i]));
        }
        found.rows.columns = kept;
        Ok(found)
    }

    fn file(&self, file: &OneFile, names: &[Named], found: &mut Found) -> Result<(), LakeError> {
        let path = &file.path;
        let opened = File::open(path).map_err(LakeError::io(path))?;
        let mut decoder = decode::open(opened, &self.options(file.format), &file.columns).map_err(unreadable(path))?;
        let mut left = self.look.sample.unwrap_or(u64::MAX);
        while let Some(decoded) = decoder.next().map_err(unreadable(path))? {
            if left == 0 {
                found.facts.sampled = true;
                break;
            }
            let rows = u64::try_from(decoded.batch.num_rows()).unwrap_or(u64::MAX);
            found.facts.sampled |= rows > left;
            let taken = rows.min(left);
            found.take(&self.name, file, names, &decoded, usize::try_from(taken).unwrap_or(usize::MAX))?;
            left -= taken;
        }
        let drift = decoder.drift();
        for (place, field) in file.places.iter().zip(file.columns.fields()) {
            let strings = drift.rescued.get(field.name()).map_or(0, |r| r.strings);
            found.columns[*place].quoted(strings);
        }
        if file.format == Format::Ndjson {
            let known = |n: &str| names.iter().any(|k| k.name.to_lowercase() == n.to_lowercase());
            let new = drift.new_fields.keys().filter(|n| decode::holdable(n) && !known(n));
            found.late.extend(new.cloned());
        }
        Ok(())
    }
}

struct Found {
    facts: Facts,
    columns: Vec<Column>,
    rows: RowHashes,
    /// Values of each column that are no text.
    unreadable: Vec<u64>,
    late: BTreeSet<String>,
}

impl Found {
    fn take(
        &mut self,
        dataset: &DatasetName,
        file: &OneFile,
        names: &[Named],
        decoded: &Decoded,
        rows: usize,
    ) -> Result<(), LakeError> {
        let failed = |source| LakeError::Refine { dataset: dataset.clone(), source };
        for m in &decoded.malformed {
            *self.facts.malformed.entry(m.reason.code()).or_default() += 1;
        }
        let batch = decoded.batch.slice(0, rows);
        self.facts.records += rows as u64;
        let mut missing: BTreeSet<usize> = (0..names.len()).collect();
        for (at, place) in file.places.iter().enumerate() {
            missing.remove(place);
            let column = batch.column(at);
            let text = refine::to_text(column).map_err(failed)?;
            let typed = names[*place].declared.is_typed();
            let of = &mut self.columns[*place];
            for row in 0..rows {
                let value = text.is_valid(row).then(|| text.value(row)).and_then(|t| of.add(t, typed));
                self.rows.push(*place, value);
            }
            let nulls = column.logical_nulls().map_or(0, |n| n.null_count());
            of.nulls(nulls as u64);
            self.unreadable[*place] += (text.null_count().saturating_sub(nulls)) as u64;
        }
        for place in missing {
            self.columns[place].nulls(rows as u64);
            (0..rows).for_each(|_| self.rows.push(place, None));
        }
        Ok(())
    }
}

/// The place of a column among all; `None`: it is another one's name in other letters.
fn place(names: &mut Vec<Named>, field: &Field, format: Format) -> Option<usize> {
    let lower = field.name().to_lowercase();
    let declared = declared(field.data_type(), format);
    let Some(place) = names.iter().position(|n| n.name.to_lowercase() == lower) else {
        names.push(Named { name: field.name().clone(), spellings: BTreeSet::new(), declared });
        return Some(names.len() - 1);
    };
    let named = &mut names[place];
    if named.name != *field.name() {
        named.spellings.insert(field.name().clone());
        return None;
    }
    named.declared = named.declared.with(declared);
    Some(place)
}

impl Declared {
    fn kind(self) -> Option<ColumnType> {
        match self {
            Self::As(kind) => Some(kind),
            Self::Text | Self::Mixed | Self::Bytes => None,
        }
    }

    fn is_typed(self) -> bool {
        !matches!(self, Self::Text | Self::As(ColumnType::String))
    }

    fn with(self, other: Self) -> Self {
        use ColumnType::{Int32, Integer, Number};
        match (self, other) {
            (Self::Text, Self::Text) => Self::Text,
            (Self::As(a), Self::As(b)) if a == b => self,
            (Self::As(Int32 | Integer), Self::As(Int32 | Integer)) => Self::As(Integer),
            (Self::As(Int32 | Number), Self::As(Int32 | Number)) => Self::As(Number),
            (Self::Bytes, _) | (_, Self::Bytes) => Self::Bytes,
            _ => Self::Mixed,
        }
    }
}

/// Text formats give text, and say nothing of types by that. Where Parquet has text, somebody chose it.
fn declared(kind: &DataType, format: Format) -> Declared {
    match kind {
        DataType::Boolean => Declared::As(ColumnType::Boolean),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Declared::As(ColumnType::Int32),
        DataType::Int64 => Declared::As(ColumnType::Integer),
        DataType::Float32 | DataType::Float64 => Declared::As(ColumnType::Number),
        DataType::Decimal128(precision, scale) => match u8::try_from(*scale) {
            Ok(scale) => Declared::As(ColumnType::Decimal { precision: *precision, scale }),
            Err(_) => Declared::Text,
        },
        DataType::Date32 => Declared::As(ColumnType::Date),
        DataType::Timestamp(..) => Declared::As(ColumnType::Timestamp),
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => Declared::As(ColumnType::Json),
        DataType::Binary => Declared::Bytes,
        _ if format == Format::Parquet => Declared::As(ColumnType::String),
        _ => Declared::Text,
    }
}

fn unreadable(path: &Path) -> impl FnOnce(DecodeError) -> LakeError {
    let object = path.display().to_string();
    move |source| LakeError::Decode { object, source }
}
