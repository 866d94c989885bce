//! Which datasets and columns exist.

use crate::{
    codes,
    dataset::{Body, Draft, WriteDraft},
    diagnostic::{Sink, quoted},
    load::Sources,
    nearest,
    source_file::{Place, SourceFile},
};
use alluvium_model::{DatasetName, Layer};

/// The project's names, for all who check a reference to one.
pub(super) struct Names<'a> {
    pub(super) sources: &'a Sources,
    shown: Vec<String>,
}

impl<'a> Names<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Self { sources, shown: sources.names.iter().map(ToString::to_string).collect() }
    }

    /// Reports a dataset that does not exist or lies in a layer that must not be read here.
    pub(super) fn check(
        &self,
        name: &DatasetName,
        allowed: &[Layer],
        at: (&SourceFile, Place),
        what: &str,
        sink: &mut Sink,
    ) -> bool {
        if !self.sources.names.contains(name) {
            self.unknown(&name.to_string(), at, sink);
            return false;
        }
        if !allowed.contains(&name.layer()) {
            let layers: Vec<&str> = allowed.iter().map(|l| l.as_str()).collect();
            let message = format!("{what} cannot read {name}");
            sink.report(codes::LAYER, at.0, at.1, message, format!("it reads {}", layers.join(" or ")));
            return false;
        }
        true
    }

    pub(super) fn unknown(&self, written: &str, at: (&SourceFile, Place), sink: &mut Sink) {
        let help = nearest::help(written, self.shown.iter().map(String::as_str));
        sink.report(codes::UNKNOWN_DATASET, at.0, at.1, format!("there is no dataset {}", quoted(written)), help);
    }

    /// A dataset that SQL names.
    pub(super) fn of_table(
        &self,
        written: &str,
        allowed: &[Layer],
        at: (&SourceFile, Place),
        what: &str,
        sink: &mut Sink,
    ) -> Option<DatasetName> {
        match written.parse::<DatasetName>() {
            Ok(name) => self.check(&name, allowed, at, what, sink).then_some(name),
            Err(_) => {
                self.unknown(written, at, sink);
                None
            }
        }
    }

    /// Column names of a silver or gold dataset, `None` where they cannot be known before it runs.
    pub(super) fn columns(&self, name: &DatasetName) -> Option<Vec<&'a str>> {
        let draft = self.sources.drafts.get(name)?;
        if let Some(object) = self.object_of(draft) {
            return Some(object.column_names().collect());
        }
        match &draft.body {
            Body::Gold(g) if draft.contract.is_none() => Some(g.outputs.as_ref()?.iter().map(String::as_str).collect()),
            Body::Bronze(_) | Body::Silver(_) | Body::Gold(_) | Body::Unusable => None,
        }
    }

    /// Whether the dataset keeps a row for each version of a key.
    pub(super) fn is_history(&self, name: &DatasetName) -> bool {
        let body = self.sources.drafts.get(name).map(|d| &d.body);
        matches!(body, Some(Body::Silver(s)) if matches!(&s.write, WriteDraft::Upsert { history: Some(_), .. }))
    }

    pub(super) fn object_of(&self, draft: &Draft) -> Option<&'a crate::odcs::ObjectDraft> {
        self.sources.contracts.get(&draft.contract.as_ref()?.value)?.object()
    }
}

/// Reports a column that is not among `known`.
pub(super) fn check_column<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
    at: (&SourceFile, Place),
    whose: &str,
    sink: &mut Sink,
) -> bool {
    if known.clone().into_iter().any(|k| k == name) {
        return true;
    }
    let help = nearest::help(name, known);
    sink.report(codes::UNKNOWN_COLUMN, at.0, at.1, format!("{} is no column of {whose}", quoted(name)), help);
    false
}
