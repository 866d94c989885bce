//! The newest versions seen in logs of an object store, so that a list of a log begins there.

use super::Remote;
use crate::{
    error::LakeError,
    snapshots::{Entry, LAST_CHECKPOINT},
    table::{entry_name, version_of},
};
use object_store::ObjectMeta;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// By folder of the log. Forgetting costs a longer list, nothing else.
#[derive(Debug, Default)]
pub(crate) struct Heads(Mutex<HashMap<PathBuf, i64>>);

/// What one list of a log tells.
pub(crate) struct Head {
    /// The newest one.
    pub(crate) version: i64,
    pub(crate) entry: Option<Entry>,
    pub(crate) checkpoint: Option<Entry>,
}

impl Heads {
    /// `None`: there is no table. One request, unless the log is longer than a page or another than it was.
    pub(crate) async fn newest(&self, remote: &Remote, log: &Path) -> Result<Option<Head>, LakeError> {
        let all = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all().get(log).copied();
        let mut head = None;
        // The list begins with the version that was seen last. Where that is gone, the lake is another one.
        if let Some(before) = seen.and_then(|s| s.checked_sub(1)).filter(|b| *b >= 0) {
            head = head_of(&remote.list_after(log, &entry_name(before)).await?);
        }
        if head.is_none() {
            head = head_of(&remote.list_after(log, "").await?);
        }
        match &head {
            Some(head) => all().insert(log.to_owned(), head.version),
            None => all().remove(log),
        };
        Ok(head)
    }
}

fn head_of(listed: &[ObjectMeta]) -> Option<Head> {
    let versions = listed.iter().filter_map(|about| Some((version_of(about.location.filename()?)?, about)));
    let (version, entry) = versions.max_by_key(|(version, _)| *version)?;
    // Its name comes after those of all versions.
    let checkpoint = listed.iter().find(|about| about.location.filename() == Some(LAST_CHECKPOINT));
    let checkpoint = checkpoint.and_then(Entry::of_object);
    Some(Head { version, entry: Entry::of_object(entry), checkpoint })
}
