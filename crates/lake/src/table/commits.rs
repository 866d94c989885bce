//! The one place that commits: each version is made against exactly one snapshot, or not at all.

use super::{
    INFO, LOG, StepInfo, Table, TableKind, entry_name,
    handle::to_i64,
    place::{LOCAL_TIMES, VECTORS},
};
use crate::{
    error::LakeError,
    remote::{Disk, Identity},
    snapshots::Entry,
};
use alluvium_model::StepKey;
use arrow::datatypes::{DataType, Schema};
use deltalake::{
    DeltaTableError,
    kernel::{
        Action, MetadataExt, StructType, Transaction,
        engine::arrow_conversion::TryIntoKernel,
        transaction::{CommitBuilder, CommitProperties, TransactionError},
    },
    protocol::{DeltaOperation, SaveMode},
};
use std::{fs::File, path::Path};

pub(crate) const CHECKPOINT_EVERY: i64 = 20;
/// The transaction's number in a step's commit. A fence has the negative number of the last attempt that it stops.
pub(super) const COMMITTED: i64 = 1;

impl Table {
    /// Makes one version out of `actions`, fenced by the step key: against exactly this snapshot, or not at all.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] when another commit came in between; then nothing was committed.
    pub(crate) async fn commit(
        &self,
        step: &StepKey,
        actions: Vec<Action>,
        info: Option<&StepInfo>,
        mode: SaveMode,
    ) -> Result<i64, LakeError> {
        let memory = info.map(|i| (INFO.to_owned(), serde_json::to_value(i).expect("a step's memory is plain data")));
        // No retry against a newer snapshot: it could hold this very step, and the same transaction would pass again.
        let properties = CommitProperties::default()
            .with_metadata(memory)
            .with_application_transaction(Transaction::new(step.as_str(), COMMITTED));
        let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
        let own = Identity::of(&actions).with(step, COMMITTED, info);
        self.publish(properties, actions, operation, own).await
    }

    /// Makes one version that changes nothing but that attempts of the step up to this one find their fence: against exactly this
    /// snapshot, or not at all.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub(crate) async fn fence(&self, step: &StepKey, attempt: u32) -> Result<i64, LakeError> {
        let version = -i64::from(attempt);
        let fence = Transaction::new(step.as_str(), version);
        let properties = CommitProperties::default().with_application_transaction(fence);
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let own = Identity::of(&[]).with(step, version, None);
        self.publish(properties, Vec::new(), operation, own).await
    }

    /// Makes one version in which the same rows lie in other files: against exactly this snapshot, or not at all.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub(crate) async fn rearrange(&self, actions: Vec<Action>, target_bytes: u64) -> Result<i64, LakeError> {
        let target_size = i64::try_from(target_bytes).unwrap_or(i64::MAX);
        let operation = DeltaOperation::Optimize { predicate: None, target_size };
        let own = Identity::of(&actions);
        self.publish(CommitProperties::default(), actions, operation, own).await
    }

    async fn publish(
        &self,
        properties: CommitProperties,
        actions: Vec<Action>,
        operation: DeltaOperation,
        own: Identity,
    ) -> Result<i64, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let properties =
            properties.with_max_retries(0).with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
        self.syncs.wait(&self.dir).await?;
        let done =
            CommitBuilder::from(properties).with_actions(actions).build(Some(snapshot), self.log(), operation).await;
        let version = match done {
            Ok(done) => {
                let version = to_i64(done.version());
                sync_log(&self.disk, &self.dir, version)?;
                let mut delta = self.delta.clone();
                delta.state = Some(done.snapshot());
                if let Some(entry) = self.which(version).await {
                    self.snapshots.keep(&self.dir, version, entry, &delta, self.checkpoint.clone());
                }
                version
            }
            Err(e) => self.commit_all_the_same(&own).await.ok_or_else(|| lost(&self.shown())(e))?,
        };
        self.checkpoint(version).await;
        Ok(version)
    }

    /// The version of a commit of which the object store told an error. Its answer may have been lost after the commit
    /// stood; the client may even have tried again, and then it finds its own commit in the way. What the log holds
    /// decides. `None`: it is not there, as far as can be told.
    async fn commit_all_the_same(&self, own: &Identity) -> Option<i64> {
        self.disk.remote()?;
        let version = self.version() + 1;
        match self.entry(version).await {
            Ok(stands) => (Identity::of(&stands?) == *own).then_some(version),
            Err(e) => {
                tracing::warn!(table = %self.shown().display(), version, error = %e, "whether a commit stands is not known");
                None
            }
        }
    }

    /// Which file or object this version's entry is, where that can be told.
    async fn which(&self, version: i64) -> Option<Entry> {
        match self.disk.remote() {
            None => Entry::of(&self.dir, version),
            // The commit stands all the same; the next opening reads the log.
            Some(remote) => remote.which(&self.dir.join(LOG).join(entry_name(version))).await.ok().flatten(),
        }
    }

    /// Spares readers the log's beginning. The commit stands whether or not this works: the next one tries again.
    async fn checkpoint(&self, version: i64) {
        if (version + 1) % CHECKPOINT_EVERY != 0 {
            return;
        }
        let made = async {
            let mut table = self.delta.clone();
            table.update_state().await?;
            deltalake::checkpoints::create_checkpoint(&table, None).await
        };
        if let Err(e) = made.await {
            tracing::warn!(table = %self.dir.display(), version, error = %e, "no checkpoint could be written");
        }
    }

    /// The actions that give the table these columns, and the property of a name this value; `None`: both stay.
    pub(crate) fn described(
        &self,
        schema: Option<&Schema>,
        property: Option<&(&str, String)>,
    ) -> Result<Vec<Action>, LakeError> {
        if schema.is_none() && property.is_none() {
            return Ok(Vec::new());
        }
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let mut metadata = snapshot.metadata().clone();
        let mut actions = Vec::new();
        if let Some(schema) = schema {
            metadata =
                metadata.with_schema(&kernel_schema(schema)?).map_err(|e| LakeError::delta(self.shown())(e.into()))?;
            // Without the feature nobody could read the table any more.
            if schema.fields().iter().any(|f| has_local_time(f.data_type())) {
                actions.extend(self.naming(&[LOCAL_TIMES], &[LOCAL_TIMES])?);
            }
        }
        if let Some((name, value)) = property {
            let told = metadata.add_config_key((*name).to_owned(), value.clone());
            metadata = told.map_err(|e| LakeError::delta(self.shown())(e.into()))?;
        }
        actions.push(Action::Metadata(metadata));
        Ok(actions)
    }

    /// The actions that give the table the columns of `schema` which it lacks, or, `only` them; none when it has them.
    pub(crate) fn with_columns(&self, schema: &Schema, only: bool) -> Result<Vec<Action>, LakeError> {
        let stored = crate::ingest::plain_schema(self.schema()?.as_ref());
        if only && stored.fields().iter().any(|f| schema.field_with_name(f.name()).is_err()) {
            return self.described(Some(schema), None);
        }
        let lacks: Vec<_> = schema.fields().iter().filter(|f| stored.field_with_name(f.name()).is_err()).collect();
        if lacks.is_empty() {
            return Ok(Vec::new());
        }
        let all = Schema::new(stored.fields().iter().chain(lacks).cloned().collect::<Vec<_>>());
        self.described(Some(&all), None)
    }

    /// What gives the table the features of `kind` that it has not yet.
    pub(super) fn with_features(&self, kind: TableKind) -> Result<Vec<Action>, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let mut metadata = serde_json::to_value(snapshot.metadata()).map_err(self.log_error())?;
        let set = |m: &serde_json::Value, p: &str| m["configuration"][p] == "true";
        if kind.wants().iter().all(|(property, _)| set(&metadata, property)) {
            return Ok(Vec::new());
        }
        for (property, _) in kind.wants() {
            metadata["configuration"][*property] = "true".into();
        }
        let metadata = serde_json::from_value(serde_json::json!({ "metaData": metadata })).map_err(self.log_error())?;
        let protocol = self.naming(&[VECTORS], &["changeDataFeed", VECTORS])?;
        Ok(protocol.into_iter().chain([metadata]).collect())
    }

    /// The action by which readers and writers have to know these features; `None` when they have to already.
    fn naming(&self, of_readers: &[&str], of_writers: &[&str]) -> Result<Option<Action>, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let protocol = serde_json::to_value(snapshot.protocol()).map_err(self.log_error())?;
        let named = |key: &str| -> Vec<String> {
            let list = protocol.get(key).and_then(|v| v.as_array()).into_iter().flatten();
            list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let (mut readers, mut writers) = (named("readerFeatures"), named("writerFeatures"));
        let has = |all: &[String], wanted: &[&str]| wanted.iter().all(|w| all.iter().any(|f| f == w));
        if has(&readers, of_readers) && has(&writers, of_writers) {
            return Ok(None);
        }
        let add = |all: &mut Vec<String>, wanted: &[&str]| {
            for feature in wanted {
                if all.iter().all(|f| f != feature) {
                    all.push((*feature).to_owned());
                }
            }
        };
        add(&mut readers, of_readers);
        // What a table without named features may do by its version has to be named from now on.
        add(&mut writers, &["appendOnly", "invariants"]);
        add(&mut writers, of_writers);
        let protocol = serde_json::json!({ "protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": readers, "writerFeatures": writers } });
        serde_json::from_value(protocol).map(Some).map_err(self.log_error())
    }

    fn log_error(&self) -> impl FnOnce(serde_json::Error) -> LakeError {
        let path = self.shown();
        move |source| LakeError::Log { path, source }
    }
}

/// Whether a column has times of no zone, of which readers have to know.
fn has_local_time(kind: &DataType) -> bool {
    match kind {
        DataType::Timestamp(_, zone) => zone.is_none(),
        DataType::List(item) | DataType::Map(item, _) => has_local_time(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_local_time(f.data_type())),
        _ => false,
    }
}

/// Tells a commit that came too late from one that failed.
pub(super) fn lost(dir: &Path) -> impl FnOnce(DeltaTableError) -> LakeError {
    let path = dir.to_owned();
    move |e| match e {
        DeltaTableError::Transaction {
            source:
                TransactionError::MaxCommitAttempts(_)
                | TransactionError::CommitConflict(_)
                | TransactionError::VersionAlreadyExists(_),
        } => LakeError::Conflict { path },
        e => LakeError::delta(path)(e),
    }
}

pub(super) fn kernel_schema(schema: &Schema) -> Result<StructType, LakeError> {
    let kernel: StructType = schema.try_into_kernel()?;
    Ok(kernel)
}

/// The commit survives a loss of power only once its log entry and the folder's entry for it are on the disk.
pub(super) fn sync_log(disk: &Disk, dir: &Path, version: i64) -> Result<(), LakeError> {
    if disk.remote().is_some() {
        return Ok(());
    }
    let log = dir.join(LOG);
    for path in [log.join(entry_name(version)), log] {
        File::open(&path).and_then(|f| f.sync_all()).map_err(LakeError::io(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        maintain::fixture::{World, ids},
        table::Tables,
    };
    use arrow::datatypes::{Field, TimeUnit};
    use std::sync::Arc;

    /// A table that names no feature, and one that names others.
    #[tokio::test]
    async fn a_table_that_gains_times_without_a_zone_is_read_as_before() {
        for kind in [TableKind::Plain, TableKind::Upserted { feed: false }] {
            let world = World::new();
            let place = World::silver();
            let made = world.engine.tables.ensure(&place, &ids(&[]).schema(), kind).await.expect("a table");
            let local = DataType::Timestamp(TimeUnit::Microsecond, None);
            let item = Arc::new(Field::new("element", local.clone(), true));
            let mut columns = vec![Field::new("id", DataType::Int64, true)];
            let nested = [DataType::List(item.clone()), DataType::Struct(vec![item].into()), local];
            for (n, kind) in nested.into_iter().enumerate() {
                columns.push(Field::new(format!("at{n}"), kind, true));
                let table = world.table(&place).await;
                let actions = table.described(Some(&Schema::new(columns.clone())), None).expect("described");
                let names = actions.iter().any(|a| matches!(a, Action::Protocol(_)));
                assert_eq!(names, n == 0, "the feature is named once");
                let step = StepKey::from_stored(format!("grows{n}"));
                table.commit(&step, actions, None, SaveMode::Append).await.expect("commits");
            }
            world.append(&place, "rows", &ids(&[1])).await;
            assert_eq!(world.ids(&place).await, [1]);
            // As another process does, which has not seen it before.
            let root = made.dir.ancestors().nth(2).expect("the lake").to_owned();
            let opened = Tables::new(root).open(&place).await.expect("opens").expect("a table");
            assert_eq!(opened.rows().expect("rows"), 1);
        }
    }
}
