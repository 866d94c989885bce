//! A dataset as its file says it, names still unresolved and with their places. Turned into [`crate::Dataset`] by
//! `resolve`.

use super::{EffortDraft, TurnsDraft};
use crate::{
    acceptance::Accept,
    condition::Condition,
    definition::{
        Batch, FileSource, IngestMode, Normalize, Notified, OrderBy, Push, Rate, Watermark, WebhookSource, WindowSpec,
    },
    drift::DriftPolicies,
    schedule::Schedule,
    source_file::{Place, SourceFile, Spanned},
    sql::{Origins, RowExpression, RowQuery, TableUse},
};
use alluvium_model::{DatasetName, Span};
use std::{collections::BTreeSet, sync::Arc};

#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) name: DatasetName,
    pub(crate) file: Arc<SourceFile>,
    pub(crate) description: Option<String>,
    pub(crate) contract: Option<Spanned<String>>,
    pub(crate) accept: AcceptDraft,
    pub(crate) turns: TurnsDraft,
    pub(crate) effort: EffortDraft,
    /// Names of sinks.
    pub(crate) publish: Vec<Spanned<String>>,
    pub(crate) when: Option<Condition>,
    pub(crate) body: Body,
}

impl Draft {
    /// Functions of the library that its SQL calls.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &String> {
        let mut all = Vec::new();
        match &self.body {
            Body::Silver(s) => {
                all.extend(s.steps.iter().filter_map(|step| match step {
                    StepDraft::Sql { query, .. } => Some(&query.calls),
                    StepDraft::Normalize(_) | StepDraft::Validate | StepDraft::Enrich(_) => None,
                }));
                all.extend(s.write.conditions().map(|condition| &condition.calls));
            }
            Body::Gold(g) => all.push(&g.calls),
            Body::Bronze(_) | Body::Unusable => {}
        }
        all.into_iter().flatten()
    }
}

/// What has to hold, and the columns that it names.
#[derive(Debug, Default)]
pub(crate) struct AcceptDraft {
    pub(crate) accept: Accept,
    pub(crate) uses: Vec<ColumnUse>,
    pub(crate) totals_place: Option<Place>,
}

#[derive(Debug)]
pub(crate) struct ColumnUse {
    pub(crate) column: Spanned<String>,
    pub(crate) needs: Needs,
}

/// What the values of a column have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Any,
    Number,
    Time,
}

#[derive(Debug)]
pub(crate) enum Body {
    Bronze(Box<BronzeDraft>),
    Silver(Box<SilverDraft>),
    Gold(GoldDraft),
    /// Mistakes left nothing to resolve; the contract still tells the columns to those who read them.
    Unusable,
}

#[derive(Debug)]
pub(crate) struct BronzeDraft {
    pub(crate) source: FileSource,
    /// The landing folder as written; none for events that are pushed.
    pub(crate) folder: Option<Spanned<String>>,
    pub(crate) push: Option<Push>,
    /// With the place of its path.
    pub(crate) webhook: Option<Spanned<WebhookSource>>,
    pub(crate) notified: Option<Notified>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) freshness: Option<Span>,
    pub(crate) batch: Batch,
    pub(crate) mode: IngestMode,
    pub(crate) order_by: OrderBy,
    /// Of what comes over HTTP.
    pub(crate) rate: Option<Spanned<Rate>>,
    pub(crate) drift: DriftPolicies,
    /// Whether the file says what becomes of missing columns.
    pub(crate) said_missing: bool,
}

#[derive(Debug)]
pub(crate) struct SilverDraft {
    pub(crate) from: Spanned<DatasetName>,
    pub(crate) steps: Vec<StepDraft>,
    pub(crate) write: WriteDraft,
    pub(crate) watermark: Option<WatermarkDraft>,
    pub(crate) cluster_by: Vec<Spanned<String>>,
}

#[derive(Debug)]
pub(crate) struct WatermarkDraft {
    pub(crate) spec: Watermark,
    pub(crate) column_place: Place,
}

#[derive(Debug)]
pub(crate) enum StepDraft {
    Normalize(NormalizeDraft),
    Validate,
    Enrich(EnrichDraft),
    Sql { line: usize, query: RowQuery },
}

#[derive(Debug)]
pub(crate) struct NormalizeDraft {
    pub(crate) step: Normalize,
    pub(crate) renames: Vec<(Spanned<String>, Spanned<String>)>,
    /// Columns named by the other keys, after the renaming.
    pub(crate) uses: Vec<Spanned<String>>,
}

#[derive(Debug)]
pub(crate) struct EnrichDraft {
    pub(crate) lookup: Spanned<DatasetName>,
    pub(crate) on: Vec<(Spanned<String>, Spanned<String>)>,
    pub(crate) take: Vec<(Spanned<String>, Spanned<String>)>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a dataset")]
pub(crate) enum WriteDraft {
    Append,
    Upsert {
        keys: Vec<Spanned<String>>,
        sequence_by: Vec<Spanned<String>>,
        /// Written as `snapshot_by`.
        snapshots: bool,
        delete_when: Option<RowExpression>,
        truncate_when: Option<RowExpression>,
        change_feed: bool,
        history: Option<TrackedDraft>,
    },
}

impl WriteDraft {
    /// What decides over single rows.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &RowExpression> {
        let both = match self {
            Self::Append => [None, None],
            Self::Upsert { delete_when, truncate_when, .. } => [delete_when.as_ref(), truncate_when.as_ref()],
        };
        both.into_iter().flatten()
    }
}

#[derive(Debug)]
pub(crate) enum TrackedDraft {
    Only(Vec<Spanned<String>>),
    Except(Vec<Spanned<String>>),
}

impl TrackedDraft {
    pub(crate) fn names(&self) -> &[Spanned<String>] {
        match self {
            Self::Only(names) | Self::Except(names) => names,
        }
    }
}

#[derive(Debug)]
pub(crate) struct GoldDraft {
    pub(crate) sql: String,
    pub(crate) sql_line: usize,
    pub(crate) origins: Origins,
    /// Functions of the library.
    pub(crate) calls: BTreeSet<String>,
    /// The statement without layout and comments.
    pub(crate) canonical: String,
    pub(crate) tables: Vec<TableUse>,
    pub(crate) outputs: Option<Vec<String>>,
    pub(crate) window: Option<WindowDraft>,
}

#[derive(Debug)]
pub(crate) struct WindowDraft {
    pub(crate) spec: WindowSpec,
    pub(crate) column_place: Place,
}
