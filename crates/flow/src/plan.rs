//! From what is new to steps: pure functions over what the store and the tables say.

use crate::Increment;
use alluvium_model::{DatasetName, DefinitionVersion, RunId, StepKeyBuilder};
use alluvium_spec::{Dataset, IngestMode};
use alluvium_store::{Claimed, EventRecord, NewEvent, NewStep, Selection, StepKind};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What every step of one planning round shares.
pub(crate) struct Round<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) dataset: &'a Dataset,
    pub(crate) now: Timestamp,
    pub(crate) lookups: BTreeMap<DatasetName, i64>,
    /// The dataset's watermark now, if it has one.
    pub(crate) watermark: Option<Timestamp>,
}

impl Round<'_> {
    /// Landing objects in batches of at most `step_bytes`, or each alone; a larger object goes alone.
    pub(crate) fn ingest(&self, pending: &[EventRecord], mode: IngestMode, step_bytes: u64) -> Vec<NewStep> {
        let most = match mode {
            IngestMode::PerObject => 1,
            IngestMode::Batch => usize::MAX,
        };
        let mut steps = Vec::new();
        let mut rest = pending;
        while !rest.is_empty() {
            let mut bytes = 0;
            let take = rest
                .iter()
                .take(most)
                .take_while(|e| {
                    bytes += e.bytes;
                    bytes <= step_bytes
                })
                .count()
                .max(1);
            let (batch, left) = rest.split_at(take);
            rest = left;
            let key = batch.iter().fold(self.key("ingest"), |k, e| k.event(&e.event)).finish();
            let mut step = self.step(StepKind::Ingest, key);
            step.events = batch.iter().map(|e| e.event.clone()).collect();
            steps.push(step);
        }
        steps
    }

    /// The one event, which was none before.
    pub(crate) fn again(&self, new: &NewEvent) -> NewStep {
        let key = self.key("ingest").event(&new.event).finish();
        NewStep { events: vec![new.event.clone()], ..self.step(StepKind::Ingest, key) }
    }

    /// Versions of `from` after `position`, in ranges of about `step_rows` rows. All of them are judged by the watermark of
    /// now: what came together is not late beside itself.
    pub(crate) fn refine(
        &self,
        from: &DatasetName,
        position: i64,
        increments: &[Increment],
        step_rows: u64,
    ) -> Vec<NewStep> {
        let mut steps = Vec::new();
        let (mut after, mut rows) = (position, 0);
        for (i, inc) in increments.iter().enumerate() {
            rows += inc.rows;
            let full = increments.get(i + 1).is_none_or(|next| rows + next.rows > step_rows);
            if full {
                let mut step = self.over(StepKind::Refine, "refine", from, Claimed { after, upto: inc.version });
                // No part of the key: who planned first decides it for all.
                step.watermark = self.watermark;
                steps.push(step);
                (after, rows) = (inc.version, 0);
            }
        }
        steps
    }

    /// All of `from` once more, into a table that is replaced as a whole. In which order it came is not known any more, so
    /// nothing of it is late.
    /// `head`: the version of the dataset's own table that it replaces, so that going back to an earlier definition is
    /// work of its own.
    pub(crate) fn rebuild(&self, from: &DatasetName, upto: i64, head: i64) -> NewStep {
        let key = self.key("rebuild").input(from, -1, upto).input(&self.dataset.name, head, head).finish();
        let mut step = self.step(StepKind::Rebuild, key);
        step.inputs.insert(from.clone(), Claimed { after: -1, upto });
        step
    }

    /// What waits in quarantine at its version `upto`. Somebody wants it, so nothing of it is late.
    pub(crate) fn replay(&self, upto: i64) -> NewStep {
        let key = self.key("replay").input(&self.dataset.name, -1, upto).finish();
        let mut step = self.step(StepKind::ReplayQuarantine, key);
        step.lookups.insert(self.dataset.name.clone(), upto);
        step
    }

    /// These rows of the quarantine at version `upto`, which never come into the table. Who asks later means other rows by the same words.
    pub(crate) fn discard(&self, upto: i64, what: &Selection, asked_at: Timestamp) -> NewStep {
        let Selection { rule, column, object } = what;
        let name = &self.dataset.name;
        // Whatever it looks up decides nothing here.
        let key = StepKeyBuilder::new("discard", name, &self.dataset.version).input(name, -1, upto);
        let key = [rule, column, object].into_iter().fold(key, |k, part| k.text(part.as_deref()));
        let key = key.text(Some(&asked_at.as_microsecond().to_string())).finish();
        let mut step = self.step(StepKind::Discard, key);
        step.lookups = BTreeMap::from([(name.clone(), upto)]);
        step
    }

    /// A gold dataset over changed inputs. `head` as for a rebuild, when the whole table is replaced.
    pub(crate) fn curate(&self, inputs: &BTreeMap<DatasetName, Claimed>, head: Option<i64>) -> NewStep {
        let key = inputs.iter().fold(self.key("curate"), |k, (n, c)| k.input(n, c.after, c.upto));
        let key = head.iter().fold(key, |k, h| k.input(&self.dataset.name, *h, *h)).finish();
        let mut step = self.step(StepKind::Curate, key);
        step.inputs = inputs.clone();
        step
    }

    fn over(&self, kind: StepKind, word: &str, from: &DatasetName, range: Claimed) -> NewStep {
        let key = self.key(word).input(from, range.after, range.upto).finish();
        let mut step = self.step(kind, key);
        step.inputs.insert(from.clone(), range);
        step
    }

    fn key(&self, word: &str) -> StepKeyBuilder {
        let start = StepKeyBuilder::new(word, &self.dataset.name, &self.dataset.version);
        // A lookup at another version can give other rows: it is part of what the work depends on.
        self.lookups.iter().fold(start, |k, (n, v)| k.input(n, *v, *v))
    }

    fn step(&self, kind: StepKind, key: alluvium_model::StepKey) -> NewStep {
        NewStep {
            key,
            run: self.run.clone(),
            kind,
            dataset: self.dataset.name.clone(),
            version: self.dataset.version.clone(),
            events: Vec::new(),
            inputs: BTreeMap::new(),
            lookups: self.lookups.clone(),
            windows: None,
            watermark: None,
            planned_at: self.now,
        }
    }
}

/// Whether rows made under `active` may stand beside rows made under `now` without a person's word.
pub(crate) fn versions_mix(active: Option<&DefinitionVersion>, now: &DefinitionVersion) -> bool {
    active.is_none_or(|a| a == now)
}
