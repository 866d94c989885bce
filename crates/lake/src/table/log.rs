//! What a table's log says: of steps, and of rows that came and went.

use super::{Change, INFO, Mark, Part, StepInfo, Table, cardinality, commits::COMMITTED, data_file::record_count};
use crate::error::LakeError;
use alluvium_model::StepKey;
use deltalake::{
    kernel::{Action, DeletionVectorDescriptor},
    logstore::LogStoreRef,
};
use std::path::Path;

/// Folder of a table's log.
pub(crate) const LOG: &str = "_delta_log";

impl Table {
    /// Whether this step's commit is in this snapshot.
    pub(crate) async fn committed(&self, step: &StepKey) -> Result<bool, LakeError> {
        Ok(self.mark(step).await? == Mark::Committed)
    }

    /// What this snapshot knows of the step.
    pub(crate) async fn mark(&self, step: &StepKey) -> Result<Mark, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let found = snapshot.transaction_version(self.log().as_ref(), step.as_str()).await;
        Ok(match found.map_err(LakeError::delta(self.shown()))? {
            None => Mark::Nothing,
            Some(COMMITTED..) => Mark::Committed,
            Some(fence) => Mark::Fenced { upto: fence.unsigned_abs() },
        })
    }

    /// Version and memory of the step's commit, looked for from the newest back.
    pub(crate) async fn find(&self, step: &StepKey) -> Result<Option<(i64, StepInfo)>, LakeError> {
        self.latest(-1, |info| info.step == *step).await
    }

    /// Memory of the newest commit that a step made.
    pub(crate) async fn newest(&self) -> Result<Option<StepInfo>, LakeError> {
        Ok(self.newest_after(-1).await?.map(|(_, info)| info))
    }

    /// As [`Table::newest`], with its version, if that came after `after`.
    pub(crate) async fn newest_after(&self, after: i64) -> Result<Option<(i64, StepInfo)>, LakeError> {
        self.latest(after, |_| true).await
    }

    async fn latest(
        &self,
        after: i64,
        wanted: impl Fn(&StepInfo) -> bool,
    ) -> Result<Option<(i64, StepInfo)>, LakeError> {
        for version in (after + 1..=self.version()).rev() {
            let Some(entry) = self.entry(version).await? else { return Ok(None) };
            if let Some(found) = self.remembered(entry)?.filter(&wanted) {
                return Ok(Some((version, found)));
            }
        }
        Ok(None)
    }

    /// Memory of the step that made this version, if one did.
    ///
    /// # Errors
    /// [`LakeError::LogGone`] when the log no longer holds the version.
    pub(crate) async fn memory(&self, version: i64) -> Result<Option<StepInfo>, LakeError> {
        let entry = self.entry(version).await?;
        self.remembered(entry.ok_or_else(|| LakeError::LogGone { path: self.shown(), version })?)
    }

    fn remembered(&self, entry: Vec<Action>) -> Result<Option<StepInfo>, LakeError> {
        let memory = |action| if let Action::CommitInfo(mut info) = action { info.info.remove(INFO) } else { None };
        let found = entry.into_iter().find_map(memory).map(serde_json::from_value);
        found.transpose().map_err(|source| LakeError::Log { path: self.shown(), source })
    }

    /// One version's actions; `None` when the log no longer holds it.
    pub(crate) async fn entry(&self, version: i64) -> Result<Option<Vec<Action>>, LakeError> {
        entry(&self.log(), &self.shown(), version).await
    }

    /// Row changes of the versions in `(after, upto]`, ascending.
    pub(crate) async fn changes(&self, after: i64, upto: i64) -> Result<Vec<Change>, LakeError> {
        changes(&self.log(), &self.shown(), after, upto).await
    }
}

impl Part {
    fn live(path: String, rows: u64, bytes: Option<i64>, vector: Option<DeletionVectorDescriptor>) -> Self {
        let rows = rows.saturating_sub(cardinality(vector.as_ref()));
        Self { path, rows, bytes: bytes.and_then(|b| u64::try_from(b).ok()), within: None, without: vector }
    }
}

impl Change {
    /// A file that is removed and added at once got another vector: only the rows between the two left.
    fn pair(&mut self) {
        let mut added = std::mem::take(&mut self.added);
        for old in &mut self.removed {
            if let Some(i) = added.iter().position(|a| a.path == old.path) {
                old.within = added.swap_remove(i).without;
            }
        }
        added.sort_by(|a, b| a.path.cmp(&b.path));
        self.added = added;
    }
}

pub(crate) fn version_of(name: &str) -> Option<i64> {
    name.strip_suffix(".json").filter(|v| v.len() == 20)?.parse().ok()
}

pub(crate) fn entry_name(version: i64) -> String {
    format!("{version:020}.json")
}

/// One version's actions; `None` when the log no longer holds it.
pub(super) async fn entry(log: &LogStoreRef, dir: &Path, version: i64) -> Result<Option<Vec<Action>>, LakeError> {
    let number = u64::try_from(version).unwrap_or(0);
    let bytes = log.read_commit_entry(number).await.map_err(LakeError::delta(dir))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let actions: Result<Vec<Action>, _> = lines.map(serde_json::from_slice).collect();
    actions.map(Some).map_err(|source| LakeError::Log { path: dir.to_owned(), source })
}

pub(super) async fn changes(log: &LogStoreRef, dir: &Path, after: i64, upto: i64) -> Result<Vec<Change>, LakeError> {
    let mut changes = Vec::new();
    for version in after + 1..=upto {
        let entry = entry(log, dir, version).await?;
        let entry = entry.ok_or_else(|| LakeError::LogGone { path: dir.to_owned(), version })?;
        let mut change = Change { version, ..Change::default() };
        for action in entry {
            match action {
                Action::Add(a) if a.data_change => {
                    let rows = a.stats.as_deref().and_then(record_count).unwrap_or(0);
                    change.added.push(Part::live(a.path, rows, Some(a.size), a.deletion_vector));
                }
                Action::Remove(r) if r.data_change => {
                    change.removed.push(Part::live(r.path, 0, r.size, r.deletion_vector));
                }
                Action::Cdc(c) => change.feed.push(Part::live(c.path, 0, Some(c.size), None)),
                Action::Add(_)
                | Action::Remove(_)
                | Action::Metadata(_)
                | Action::Protocol(_)
                | Action::Txn(_)
                | Action::CommitInfo(_)
                | Action::DomainMetadata(_) => {}
            }
        }
        change.pair();
        if !(change.added.is_empty() && change.removed.is_empty() && change.feed.is_empty()) {
            changes.push(change);
        }
    }
    Ok(changes)
}
