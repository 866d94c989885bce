//! How rules get their action, and a chosen object's drafts become the flat list of a [`Contract`].

use super::draft::{CheckDraft, ContractDraft, RuleDraft};
use crate::{
    codes,
    contract::{Action, Check, Contract, Rule, Severity, Threshold},
    diagnostic::{Sink, quoted},
    source_file::{Place, Spanned},
    yaml::Reader,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a rule can decide about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Row,
    Dataset,
}

/// What was said about a rule's action, nearest first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said<'a> {
    pub(super) own: Option<&'a Spanned<Action>>,
    pub(super) severity: Option<Severity>,
    /// Of the property that the rule stands at.
    pub(super) property: Option<&'a Spanned<Action>>,
}

/// The rule's own action, else what its severity implies, else the property's, else the default: `quarantine` for
/// rows, `fail` where no single row is to blame.
pub(super) fn action(
    scope: Scope,
    said: Said<'_>,
    threshold: Option<&Threshold>,
    place: Place,
    r: &mut Reader<'_>,
) -> Action {
    let by_rows = scope == Scope::Row && threshold.is_none();
    let hard = if by_rows { Action::Quarantine } else { Action::Fail };
    let inherited = said.property.filter(|_| by_rows).map(|a| a.value);
    let chosen = match (said.own, said.severity) {
        (Some(own), _) => own.value,
        (None, Some(Severity::Warning | Severity::Info)) => Action::Warn,
        (None, Some(Severity::Error) | None) => inherited.unwrap_or(hard),
    };
    if !by_rows && matches!(chosen, Action::Quarantine | Action::Drop) {
        let place = said.own.map_or(place, |o| o.place);
        let word = if chosen == Action::Drop { "drop" } else { "quarantine" };
        let help = Some("use `warn` or `fail`".to_owned());
        if scope == Scope::Dataset {
            let message = format!("a rule about the whole dataset cannot `{word}`");
            r.error(codes::RULE_ACTION, place, message, help);
        } else {
            let message =
                format!("`{word}` acts on every row that breaks the rule, so no number of rows can be tolerated");
            r.error(codes::THRESHOLD_ACTION, place, message, help);
        }
        return Action::Fail;
    }
    chosen
}

/// Columns, key and those rules that need nothing from outside. References and queries are added by `resolve`.
pub(crate) fn compile(draft: &ContractDraft, sink: &mut Sink) -> Option<(Contract, Vec<String>)> {
    let object = draft.object()?;
    let mut keys: Vec<(i64, &str)> = Vec::new();
    for (i, c) in object.columns.iter().enumerate() {
        if let Some(position) = c.key_position {
            let order = if position > 0 { position } else { 1_000_000 + i as i64 };
            keys.push((order, &c.column.name));
        }
    }
    keys.sort_by_key(|(order, _)| *order);
    let ids = unique_ids(&object.rules, draft, sink);
    let rules = object.rules.iter().zip(&ids).filter_map(|(d, id)| ready(d, id, draft, sink)).collect();
    let contract = Contract {
        id: draft.id.clone(),
        version: draft.version.clone(),
        file: draft.file.path.clone(),
        text: draft.file.text.as_str().into(),
        description: object.description.clone().or_else(|| draft.description.clone()),
        columns: object.columns.iter().map(|c| c.column.clone()).collect(),
        primary_key: keys.into_iter().map(|(_, name)| name.to_owned()).collect(),
        rules,
    };
    Some((contract, ids))
}

/// Own names have to differ; made ones get a number behind them.
fn unique_ids(rules: &[RuleDraft], draft: &ContractDraft, sink: &mut Sink) -> Vec<String> {
    let mut own: BTreeMap<&str, usize> = BTreeMap::new();
    for id in rules.iter().filter_map(|d| d.own_id.as_ref()) {
        if let Some(line) = own.insert(&id.value, id.place.line) {
            let message = format!("line {line} has a rule {} already", quoted(&id.value));
            sink.report(
                codes::DUPLICATE_RULE,
                &draft.file,
                id.place,
                message,
                "give each rule its own name".to_owned(),
            );
        }
    }
    let mut taken: BTreeSet<String> = own.keys().map(|k| (*k).to_owned()).collect();
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut made = |base: &'_ str, n: &mut usize| loop {
        *n += 1;
        let id = if *n == 1 { base.to_owned() } else { format!("{base}:{n}") };
        if taken.insert(id.clone()) {
            return id;
        }
    };
    rules
        .iter()
        .map(|d| match &d.own_id {
            Some(id) => id.value.clone(),
            None => made(&d.made_id, numbers.entry(&d.made_id).or_default()),
        })
        .collect()
}

fn ready(d: &RuleDraft, id: &str, draft: &ContractDraft, sink: &mut Sink) -> Option<Rule> {
    let object = draft.object()?;
    match &d.check {
        CheckDraft::Ready(check) => {
            let uses = matches!(check, Check::Unique).then_some(&d.columns);
            for unknown in uses.into_iter().flatten().filter(|c| !object.has_column(c)) {
                let help = crate::nearest::help(unknown, object.column_names());
                let message = format!("{} is no column of {}", quoted(unknown), quoted(&object.name.value));
                sink.report(codes::UNKNOWN_COLUMN, &draft.file, d.place, message, help);
            }
            Some(rule(d, id, d.columns.clone(), check.clone()))
        }
        CheckDraft::Expression { sql, uses, .. } => {
            for unknown in uses.iter().filter(|u| !object.has_column(&u.value)) {
                let help = crate::nearest::help(&unknown.value, object.column_names());
                let message = format!("{} is no column of {}", quoted(&unknown.value), quoted(&object.name.value));
                sink.report(codes::UNKNOWN_COLUMN, &draft.file, unknown.place, message, help);
            }
            let mut columns = d.columns.clone();
            for u in uses {
                if !columns.contains(&u.value) {
                    columns.push(u.value.clone());
                }
            }
            Some(rule(d, id, columns, Check::Expression { sql: sql.clone() }))
        }
        CheckDraft::Query { .. } | CheckDraft::Reference { .. } => None,
    }
}

pub(crate) fn rule(d: &RuleDraft, id: &str, columns: Vec<String>, check: Check) -> Rule {
    Rule {
        id: id.to_owned(),
        columns,
        check: match &d.inside {
            Some(at) => Check::Inside { at: at.clone(), check: Box::new(check) },
            None => check,
        },
        action: d.action,
        severity: d.severity,
        dimension: d.dimension.clone(),
        description: d.description.clone(),
        threshold: d.threshold,
        line: d.place.line,
    }
}
