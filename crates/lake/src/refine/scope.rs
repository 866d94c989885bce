//! What is known about the columns at each point between the steps, while a definition is compiled.

use alluvium_spec::{ColumnType, Contract};
use arrow::datatypes::DataType;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use std::collections::{BTreeMap, BTreeSet};

use super::{cast::Format, types::arrow_type};

#[derive(Debug, Clone)]
pub(super) enum State {
    /// As bronze or a lookup has it; SQL sees its text. `parse` may have said how its dates are written.
    Raw(Option<Format>),
    /// Cast to its contract type.
    Cast(ColumnType),
    /// The result of an SQL expression.
    Computed(DataType),
}

impl State {
    fn seen_by_sql(&self) -> DataType {
        match self {
            Self::Raw(_) => DataType::Utf8,
            Self::Cast(kind) => arrow_type(*kind),
            Self::Computed(kind) => kind.clone(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Scope {
    pub columns: BTreeMap<String, State>,
    /// Bronze may have columns that nobody has named yet.
    pub open: bool,
    /// Names that a step can read from bronze.
    pub sources: BTreeSet<String>,
    /// Names that `sql`, `enrich` or `rename` steps speak of, wherever they stand.
    pub mentioned: BTreeSet<String>,
}

impl Scope {
    pub fn new(contract: &Contract, mentioned: BTreeSet<String>) -> Self {
        let columns: BTreeMap<String, State> =
            contract.columns.iter().map(|c| (c.name.clone(), State::Raw(None))).collect();
        let sources = columns.keys().cloned().collect();
        Self { columns, open: true, sources, mentioned }
    }

    /// Whether `name` is a column here. While bronze's columns are in sight, a name that some step speaks of is one.
    pub fn knows(&self, name: &str) -> bool {
        self.columns.contains_key(name) || (self.open && self.mentioned.contains(name))
    }

    /// A step reads `name`: if it is nobody's yet, it is bronze's.
    pub fn read(&mut self, name: &str) {
        if self.open && !self.columns.contains_key(name) {
            self.sources.insert(name.to_owned());
            self.columns.insert(name.to_owned(), State::Raw(None));
        }
    }

    pub fn nearest(&self, name: &str) -> Option<String> {
        nearest(name, self.columns.keys())
    }

    pub fn seen_by_sql(&self) -> BTreeMap<String, DataType> {
        self.columns.iter().map(|(n, s)| (n.clone(), s.seen_by_sql())).collect()
    }
}

/// The name that was probably meant: at most a third of it differs.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let close = known.map(|k| (levenshtein(name, k), k)).filter(|(d, k)| *d <= (k.chars().count() / 3).max(1));
    close.min().map(|(_, k)| k.clone())
}
