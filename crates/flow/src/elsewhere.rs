//! Steps that load files which this process does not see: they are left to one that does.
//!
//! Called by `assist.rs` and `drain.rs` before a step is taken. A file that is missing where it was found is gone, and whoever plans
//! there makes it a dead letter; anywhere else it may only be on another machine. A machine is known by its name, so that a container
//! that was started anew is the same one.

use crate::{Flow, FlowError, drain::look_error};
use alluvium_model::EventId;
use alluvium_spec::Dataset;
use alluvium_store::{EventRecord, StepKind, StepRecord};

/// A file that is missing here, and where it was found.
pub(crate) struct Elsewhere {
    pub(crate) path: String,
    pub(crate) host: String,
}

impl Flow<'_> {
    /// For who only executes: whether the step loads a file that is not here. Whoever planned it comes back to it.
    pub(crate) async fn sees_files_of(&self, dataset: &Dataset, step: &StepRecord) -> Result<bool, FlowError> {
        Ok(self.missing(dataset, step, |_| true).await?.is_none())
    }

    /// For who plans: what of the step another machine found, and is not here.
    pub(crate) async fn elsewhere(&self, dataset: &Dataset, step: &StepRecord) -> Result<Option<Elsewhere>, FlowError> {
        // Nobody knows the host of what an early version recorded.
        self.missing(dataset, step, |host| !host.is_empty() && machine(host) != machine(&self.owner.host)).await
    }

    async fn missing(
        &self,
        dataset: &Dataset,
        step: &StepRecord,
        asked: impl Fn(&str) -> bool,
    ) -> Result<Option<Elsewhere>, FlowError> {
        // What is in the lake or in a bucket is seen by all.
        if step.kind != StepKind::Ingest || dataset.folder().is_none() {
            return Ok(None);
        }
        let mut files = self.store.found_by(&step.key).await?;
        files.retain(|(_, host)| asked(host));
        let mut events: Option<Vec<EventRecord>> = None;
        loop {
            let paths = files.iter().map(|(path, _)| path.clone()).collect();
            let missing = self.landing.lacks(dataset, paths).await.map_err(|e| look_error(&dataset.name, e))?;
            let Some(at) = missing.and_then(|path| files.iter().position(|(p, _)| *p == path)) else { return Ok(None) };
            // Those before it are there.
            files.drain(..at);
            let (path, host) = files.remove(0);
            let all = match events.take() {
                Some(all) => all,
                None => self.store.events(&step.events).await?,
            };
            if !self.is_kept(dataset, &all, &path).await? {
                return Ok(Some(Elsewhere { path, host }));
            }
            events = Some(all);
        }
    }

    /// Whether the lake has the bytes of the file, because it was a dead letter.
    async fn is_kept(&self, dataset: &Dataset, events: &[EventRecord], path: &str) -> Result<bool, FlowError> {
        let of_path = |e: &&EventRecord| e.path == path && e.event != EventId::of(&e.dataset, &e.content);
        let Some(event) = events.iter().find(of_path) else { return Ok(false) };
        self.engine.keeps(&dataset.name, &event.content).await.map_err(|e| look_error(&dataset.name, e))
    }
}

/// Without the space of process ids that is told after it: that is another one after each start of a container.
fn machine(host: &str) -> &str {
    host.split_once(' ').map_or(host, |(name, _)| name)
}
