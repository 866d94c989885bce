//! A contract as its file says it, references unresolved and with their places.

use crate::{
    contract::{Action, Check, Column, Inner, Severity, Threshold},
    definition::Due,
    drift::Inside,
    schedule::Schedule,
    source_file::{Place, SourceFile, Spanned},
    sql::TableUse,
};
use alluvium_model::{DatasetName, Span};
use std::{collections::BTreeSet, sync::Arc};

#[derive(Debug)]
pub(crate) struct ContractDraft {
    pub(crate) file: Arc<SourceFile>,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) objects: Vec<ObjectDraft>,
    pub(crate) agreements: Vec<Agreement>,
    /// Index of the object that the contract is about.
    pub(crate) chosen: Option<usize>,
}

/// One of `slaProperties` that says in what time new data has to be there.
#[derive(Debug)]
pub(crate) struct Agreement {
    pub(crate) promise: Promise,
    pub(crate) time: Span,
    /// Of a frequency: at these times, rather than so long after each other.
    pub(crate) schedule: Option<Schedule>,
    /// Objects it speaks of; none: all.
    pub(crate) objects: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// How long after its event data is there.
    Latency,
    /// How often there is new data.
    Frequency,
}

#[derive(Debug)]
pub(crate) struct ObjectDraft {
    pub(crate) id: Option<String>,
    pub(crate) name: Spanned<String>,
    pub(crate) physical_name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) columns: Vec<ColumnDraft>,
    pub(crate) rules: Vec<RuleDraft>,
}

#[derive(Debug)]
pub(crate) struct ColumnDraft {
    pub(crate) id: Option<String>,
    pub(crate) column: Column,
    /// What its values are.
    pub(crate) inside: Inside,
    pub(crate) place: Place,
    /// Position in the primary key; those without a position come in the order written.
    pub(crate) key_position: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct RuleDraft {
    /// The rule's own `id` or `name`.
    pub(crate) own_id: Option<Spanned<String>>,
    /// Kind and columns, as `required:carrier`.
    pub(crate) made_id: String,
    pub(crate) place: Place,
    pub(crate) columns: Vec<String>,
    /// Where in its column of JSON the check looks; `None`: at the columns themselves.
    pub(crate) inside: Option<Inner>,
    pub(crate) check: CheckDraft,
    pub(crate) action: Action,
    pub(crate) severity: Severity,
    pub(crate) dimension: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) threshold: Option<Threshold>,
}

#[derive(Debug)]
pub(crate) enum CheckDraft {
    Ready(Check),
    /// Column names used are still to be checked.
    Expression {
        sql: String,
        uses: Vec<Spanned<String>>,
        /// Functions of the library.
        calls: BTreeSet<String>,
    },
    Query {
        sql: String,
        tables: Vec<TableUse>,
        calls: BTreeSet<String>,
    },
    Reference {
        from: Vec<Spanned<String>>,
        to: Vec<Spanned<Target>>,
        /// Where it says its action itself.
        action: Option<Place>,
    },
}

/// What a relationship points at.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A property of an object, by names or by ids, in this contract or in the one named.
    Property {
        contract: Option<String>,
        object: String,
        property: String,
        by_id: bool,
    },
    Column {
        dataset: DatasetName,
        column: String,
    },
}

impl ContractDraft {
    pub(crate) fn stem(&self) -> &str {
        self.file.stem(".odcs.yaml")
    }

    pub(crate) fn object(&self) -> Option<&ObjectDraft> {
        self.objects.get(self.chosen?)
    }

    /// Functions of the library that its rules call.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &String> {
        let rules = self.object().into_iter().flat_map(|o| &o.rules);
        let calls = rules.filter_map(|d| match &d.check {
            CheckDraft::Expression { calls, .. } | CheckDraft::Query { calls, .. } => Some(calls),
            CheckDraft::Ready(_) | CheckDraft::Reference { .. } => None,
        });
        calls.flatten()
    }

    /// In what time a step has to be done, so that new data is there as agreed: the shortest of what is said.
    pub(crate) fn step_time(&self) -> Option<Span> {
        self.agreed().map(|a| a.time).min()
    }

    /// When a commit is overdue: at the agreed frequency, and by what latency is agreed beside it.
    pub(crate) fn due(&self) -> Option<Due> {
        let latency = self.shortest(Promise::Latency).unwrap_or(Span::ZERO);
        let scheduled = self.agreed().find_map(|a| a.schedule.clone());
        Some(match scheduled {
            Some(times) => Due::At { times, latency },
            None => Due::After(self.frequency()? + latency),
        })
    }

    /// How often there is new data, as agreed.
    pub(crate) fn frequency(&self) -> Option<Span> {
        self.shortest(Promise::Frequency)
    }

    fn shortest(&self, promise: Promise) -> Option<Span> {
        self.agreed().filter(|a| a.promise == promise).map(|a| a.time).min()
    }

    /// What is said of the contract's object.
    fn agreed(&self) -> impl Iterator<Item = &Agreement> {
        self.agreements.iter().filter(|a| {
            let of_object = |name: &String| self.object().is_some_and(|o| o.is_named(name, false));
            a.objects.is_empty() || a.objects.iter().any(of_object)
        })
    }
}

impl ObjectDraft {
    pub(crate) fn is_named(&self, name: &str, by_id: bool) -> bool {
        if by_id {
            return self.id.as_deref().unwrap_or(&self.name.value) == name;
        }
        self.name.value == name || self.physical_name.as_deref() == Some(name)
    }

    pub(crate) fn column_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.iter().map(|c| c.column.name.as_str())
    }

    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|c| c.column.name == name)
    }
}
