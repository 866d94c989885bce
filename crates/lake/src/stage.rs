//! Staged Parquet: files in a table's folder that no commit refers to yet, and so no reader sees.
//!
//! Called by the writers of steps, one [`Lane`] a thread. Files are written out while the work goes on, and a commit waits until
//! they are durable: see [`Syncs`].

use crate::{
    columns::FileWriter,
    encoding,
    error::LakeError,
    meter::Meter,
    remote::Disk,
    scan::{Pick, Source},
    statistics,
    syncs::Syncs,
    table, upsert, vector,
};
use alluvium_model::crash_point;
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use deltalake::kernel::{Action, Add, AddCDCFile, DeletionVectorDescriptor};
use parquet::{
    basic::Compression,
    file::properties::{EnabledStatistics, WriterProperties},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// A file is closed at about this size.
pub(crate) const TARGET_BYTES: u64 = 128 << 20;
/// Rows of one row group: bounds the memory of an open file and the unit of skipping.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Of long rows fewer make a row group, or its memory would follow their length.
const ROW_GROUP_BYTES: usize = 128 << 20;

/// A finished Parquet file, relative to its table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StagedFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// Delta's statistics: numRecords, minValues, maxValues, nullCount as JSON.
    pub(crate) stats: String,
    /// Rows of it that are not part of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vector: Option<DeletionVectorDescriptor>,
    /// Of the files of one stager.
    #[serde(skip)]
    pub(crate) number: u32,
}

impl StagedFile {
    pub(crate) fn add(&self, at_millis: i64) -> Action {
        Action::Add(Add {
            path: self.path.clone(),
            partition_values: HashMap::new(),
            size: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            modification_time: at_millis,
            data_change: true,
            stats: Some(if self.vector.is_some() { table::loose(&self.stats) } else { self.stats.clone() }),
            tags: None,
            deletion_vector: self.vector.clone(),
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }

    /// As [`StagedFile::add`], of rows that the table had before.
    pub(crate) fn moved(&self, at_millis: i64) -> Action {
        match self.add(at_millis) {
            Action::Add(add) => Action::Add(Add { data_change: false, ..add }),
            other => other,
        }
    }

    pub(crate) fn change(&self) -> Action {
        Action::Cdc(AddCDCFile {
            path: self.path.clone(),
            size: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            partition_values: HashMap::new(),
            data_change: false,
            tags: None,
        })
    }

    /// Rows that are part of the table.
    pub(crate) fn live(&self) -> u64 {
        let gone = self.vector.as_ref().and_then(|v| u64::try_from(v.cardinality).ok()).unwrap_or(0);
        self.rows.saturating_sub(gone)
    }

    pub(crate) fn source(&self, dir: &Path) -> Result<Source, LakeError> {
        let pick = match &self.vector {
            None => Pick::All,
            Some(v) => Pick::Without(vector::read(&Disk::default(), dir, v)?),
        };
        Ok(Source { path: dir.join(&self.path).into(), pick })
    }

    /// Everything of it that lies in the table's folder.
    pub(crate) fn paths(&self, dir: &Path) -> impl Iterator<Item = PathBuf> {
        let vectors = self.vector.as_ref().and_then(vector::file_of).map(|v| dir.join(v));
        let keys = Some(upsert::keys_of_file(dir, &self.path)).filter(|k| k.exists());
        [dir.join(&self.path)].into_iter().chain(vectors).chain(keys)
    }
}

/// Brings staged files to where a commit may name them.
pub(crate) async fn upload(disk: &Disk, dir: &Path, files: &[StagedFile]) -> Result<(), LakeError> {
    if disk.remote().is_none() || files.is_empty() {
        return Ok(());
    }
    let all: BTreeSet<PathBuf> = files.iter().flat_map(|f| f.paths(dir)).collect();
    disk.upload(all.into_iter().collect()).await
}

/// Names and opens the staged files of one attempt of one step in one table.
#[derive(Debug)]
pub(crate) struct Stager {
    /// The table's folder.
    dir: PathBuf,
    /// Folder below the table's and start of each file's name.
    prefix: String,
    schema: SchemaRef,
    compression: Compression,
    meter: Arc<Meter>,
    syncs: Syncs,
    target: u64,
    row_group_rows: usize,
    next: AtomicU32,
}

impl Stager {
    pub(crate) fn new(
        dir: &Path,
        prefix: String,
        schema: SchemaRef,
        compression: Compression,
        meter: Arc<Meter>,
        syncs: Syncs,
    ) -> Self {
        let next = AtomicU32::new(0);
        Self {
            dir: dir.to_owned(),
            prefix,
            schema,
            compression,
            meter,
            syncs,
            target: TARGET_BYTES,
            row_group_rows: ROW_GROUP_ROWS,
            next,
        }
    }

    /// Closes each file at about this size.
    pub(crate) fn with_target(self, target: u64) -> Self {
        Self { target, ..self }
    }

    /// For rows of many bytes: a row group is in memory until it is whole.
    pub(crate) fn with_row_groups(self, row_group_rows: usize) -> Self {
        Self { row_group_rows, ..self }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn syncs(&self) -> &Syncs {
        &self.syncs
    }

    /// The table's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where this stager's file of that number is.
    pub(crate) fn path(&self, number: u32) -> PathBuf {
        self.dir.join(self.name(number))
    }

    fn name(&self, number: u32) -> String {
        format!("{}-{number:04}.parquet", self.prefix)
    }

    pub(crate) fn lane(&self) -> Lane<'_> {
        Lane { stager: self, open: None, done: Vec::new() }
    }

    /// A file that begins with `first`.
    fn open(&self, first: &RecordBatch) -> Result<Open, LakeError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = self.name(number);
        let path = self.dir.join(&name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(LakeError::io(parent))?;
        }
        let file = File::create_new(&path).map_err(LakeError::io(&path))?;
        let made = self.writer(file, first);
        let writer = made.inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        Ok(Open { number, name, path, rows: 0, groups: 0, writer })
    }

    fn writer(&self, file: File, first: &RecordBatch) -> Result<FileWriter<File>, LakeError> {
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(self.row_group_rows))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by("alluvium".into());
        let properties = encoding::choose(properties, self.compression, first)?.build();
        FileWriter::new(file, self.schema.clone(), properties)
    }
}

struct Open {
    number: u32,
    name: String,
    path: PathBuf,
    rows: u32,
    /// Row groups that are being written out.
    groups: usize,
    writer: FileWriter<File>,
}

impl Open {
    fn finish(&mut self, stager: &Stager) -> Result<StagedFile, LakeError> {
        let metadata = self.writer.finish()?;
        let file = self.writer.inner();
        stager.syncs.start(file, &self.path)?;
        let bytes = file.metadata().map_err(LakeError::io(&self.path))?.len();
        stager.meter.wrote(bytes);
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
        let stats = statistics::of(&metadata, &stager.schema)?;
        Ok(StagedFile { path: self.name.clone(), bytes, rows, stats, vector: None, number: self.number })
    }
}

/// Writes batches into one file after another. Dropped unfinished, it leaves files that nothing refers to.
pub(crate) struct Lane<'a> {
    stager: &'a Stager,
    open: Option<Open>,
    done: Vec<StagedFile>,
}

impl Lane<'_> {
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.stager.schema()
    }

    /// Answers the number of the file and of the row in it that the batch's first row became.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(u32, u32), LakeError> {
        if batch.num_rows() == 0 {
            return Ok((0, 0));
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(self.stager.open(batch)?),
        };
        open.writer.write(batch)?;
        let place = (open.number, open.rows);
        open.rows += batch.num_rows() as u32;
        let groups = open.writer.row_groups();
        if groups > open.groups {
            open.groups = groups;
            self.stager.syncs.start(open.writer.inner(), &open.path)?;
        }
        if open.writer.bytes_written() as u64 >= self.stager.target {
            self.close()?;
        }
        Ok(place)
    }

    pub(crate) fn finish(mut self) -> Result<Vec<StagedFile>, LakeError> {
        self.close()?;
        Ok(std::mem::take(&mut self.done))
    }

    fn close(&mut self) -> Result<(), LakeError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        // Until it is whole it stays the open one, which is removed with the lane.
        let staged = open.finish(self.stager)?;
        self.open = None;
        self.done.push(staged);
        crash_point("stage.after_file");
        Ok(())
    }
}

/// A lane that is given up takes its files with it; a killed process leaves them, and nothing refers to them.
impl Drop for Lane<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let _ = std::fs::remove_file(&open.path);
        }
        discard(&self.stager.dir, &self.done);
    }
}

/// Removes staged files of an attempt that will not commit. What cannot be removed stays invisible.
pub(crate) fn discard(dir: &Path, files: &[StagedFile]) {
    for f in files {
        let _ = std::fs::remove_file(dir.join(&f.path));
        let _ = std::fs::remove_file(upsert::keys_of_file(dir, &f.path));
        if let Some(vectors) = f.vector.as_ref().and_then(vector::file_of) {
            let _ = std::fs::remove_file(dir.join(vectors));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{
        array::Int64Array,
        datatypes::{DataType, Field, Schema},
    };

    #[test]
    fn a_file_that_cannot_be_finished_does_not_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let meter = Arc::new(Meter::default());
        let (prefix, compression) = ("step".to_owned(), Compression::UNCOMPRESSED);
        let stager = Stager::new(folder.path(), prefix, schema.clone(), compression, meter, Syncs::default());
        let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2]))]).expect("a batch");
        let mut lane = stager.lane();
        lane.write(&batch).expect("written");
        // As if the disk refused what is still buffered: this handle may not write.
        let open = lane.open.as_mut().expect("an open file");
        open.writer = stager.writer(File::open(&open.path).expect("the file"), &batch).expect("a writer");
        open.writer.write(&batch).expect("buffered");
        assert!(lane.finish().is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
