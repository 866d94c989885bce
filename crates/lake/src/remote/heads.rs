//! The newest versions seen in logs of an object store, so that a list of a log begins there.

use super::Remote;
use crate::{
    error::LakeError,
    table::{entry_name, version_of},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// By folder of the log. Forgetting costs a longer list, nothing else.
#[derive(Debug, Default)]
pub(crate) struct Heads(Mutex<HashMap<PathBuf, i64>>);

impl Heads {
    /// Newest version in this log; one request, unless the log is longer than a page or another than it was.
    pub(crate) async fn newest(&self, remote: &Remote, log: &Path) -> Result<Option<i64>, LakeError> {
        let all = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all().get(log).copied();
        let mut head = None;
        // The list begins with the version that was seen last. Where that is gone, the lake is another one.
        if let Some(before) = seen.and_then(|s| s.checked_sub(1)).filter(|b| *b >= 0) {
            head = newest_of(&remote.names_after(log, &entry_name(before)).await?);
        }
        if head.is_none() {
            head = newest_of(&remote.names_after(log, "").await?);
        }
        match head {
            Some(head) => all().insert(log.to_owned(), head),
            None => all().remove(log),
        };
        Ok(head)
    }
}

fn newest_of(names: &[String]) -> Option<i64> {
    names.iter().filter_map(|n| version_of(n)).max()
}
