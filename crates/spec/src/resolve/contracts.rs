//! The rules of contracts that look at other datasets: relationships and queries.

use super::{
    graph::Graph,
    names::{Names, check_column},
};
use crate::{
    codes,
    contract::{Action, Check, Contract, Operator, Rule, Threshold, Unit},
    definition::VERSION_COLUMNS,
    diagnostic::{Sink, quoted},
    nearest,
    odcs::{self, CheckDraft, ContractDraft, ObjectDraft, RuleDraft, Target},
    source_file::{Place, Spanned},
};
use alluvium_model::{DatasetName, Layer};

const READABLE: [Layer; 2] = [Layer::Silver, Layer::Gold];

/// The compiled contract. Rules that look elsewhere become edges from every dataset in `users`; a contract that no
/// dataset uses keeps the rules that can be resolved and is not reported for the others.
pub(super) fn complete(
    draft: &ContractDraft,
    users: &[DatasetName],
    names: &Names<'_>,
    graph: &mut Graph,
    sink: &mut Sink,
) -> Option<Contract> {
    let (mut contract, ids) = odcs::compile(draft, sink)?;
    let object = draft.object()?;
    let mut quiet = Sink::default();
    for (d, id) in object.rules.iter().zip(&ids) {
        let sink = if users.is_empty() { &mut quiet } else { &mut *sink };
        let rule = match &d.check {
            CheckDraft::Ready(_) | CheckDraft::Expression { .. } => continue,
            CheckDraft::Query { sql, tables, .. } => {
                let inputs: Vec<Option<DatasetName>> = tables
                    .iter()
                    .map(|t| {
                        let at = (&*draft.file, t.place);
                        let name = names.of_table(&t.name, &READABLE, at, "a rule", sink)?;
                        edges(users, &name, draft, d, t.place, graph, sink).then_some(name)
                    })
                    .collect();
                inputs.into_iter().collect::<Option<Vec<_>>>().map(|mut inputs| {
                    inputs.sort();
                    inputs.dedup();
                    let check = Check::Query { sql: sql.clone(), inputs };
                    odcs::rule(d, id, d.columns.clone(), check)
                })
            }
            CheckDraft::Reference { from, to, action } => {
                let own = from.iter().fold(true, |ok, c| {
                    let whose = format!("the contract {}", quoted(&object.name.value));
                    check_column(&c.value, object.column_names(), (&draft.file, c.place), &whose, sink) && ok
                });
                let rule = reference(d, id, to, draft, users, names, graph, sink).filter(|_| own);
                let at = to.first().map_or(d.place, |t| t.place);
                rule.and_then(|r| over_table(r, at, *action, users, draft, names, sink))
            }
        };
        contract.rules.extend(rule);
    }
    contract.rules.sort_by_key(|r| r.line);
    Some(contract)
}

/// A reference of a dataset to itself is a rule over the table that it will be, where no single row can be set aside. From inside
/// of a column there is none: row by row it would look at the table as it was.
fn over_table(
    mut rule: Rule,
    at: Place,
    said: Option<Place>,
    users: &[DatasetName],
    draft: &ContractDraft,
    names: &Names<'_>,
    sink: &mut Sink,
) -> Option<Rule> {
    let Check::Reference { dataset, to } = rule.check.of_value() else { return Some(rule) };
    if !users.contains(dataset) {
        return Some(rule);
    }
    if let Check::Inside { .. } = rule.check {
        let inside = quoted(&rule.columns.join(", "));
        let message = format!("a reference of a dataset to itself is not run inside {inside}");
        sink.report(codes::RULE_NOT_RUN, &draft.file, at, message, "it needs a column of its own".to_owned());
        return None;
    }
    let sql = within(&rule.columns, to, users.iter().all(|u| names.is_history(u)));
    rule.check = Check::Query { sql, inputs: Vec::new() };
    rule.threshold = Some(Threshold { operator: Operator::MustBe, value: 0.0, upper: None, unit: Unit::Rows });
    match (rule.action, said) {
        (Action::Warn | Action::Fail, _) => {}
        (Action::Quarantine | Action::Drop, None) => rule.action = Action::Fail,
        (Action::Quarantine | Action::Drop, Some(place)) => {
            let message = format!("a reference of a dataset to itself cannot `{}`", rule.action.word());
            sink.report(codes::RULE_ACTION, &draft.file, place, message, "use `warn` or `fail`".to_owned());
            return None;
        }
    }
    Some(rule)
}

/// Counts the rows of `${object}` that refer to none of it. Of a history, what holds now.
fn within(columns: &[String], to: &[String], is_history: bool) -> String {
    let name = |c: &String| format!("\"{}\"", c.replace('"', "\"\""));
    let on = columns.iter().zip(to).map(|(c, t)| format!("object.{} = referenced.{}", name(c), name(t)));
    let set = columns.iter().map(|c| format!("object.{} IS NOT NULL", name(c)));
    let table = match is_history {
        true => format!("(SELECT * FROM ${{object}} WHERE {} IS NULL)", VERSION_COLUMNS[1]),
        false => "${object}".to_owned(),
    };
    let (on, set) = (on.collect::<Vec<_>>().join(" AND "), set.collect::<Vec<_>>().join(" AND "));
    format!("SELECT count(*) FROM {table} AS object LEFT ANTI JOIN {table} AS referenced ON {on} WHERE {set}")
}

/// `users` wait for `read`. A query cannot read its own dataset by name.
fn edges(
    users: &[DatasetName],
    read: &DatasetName,
    draft: &ContractDraft,
    d: &RuleDraft,
    place: Place,
    graph: &mut Graph,
    sink: &mut Sink,
) -> bool {
    for user in users {
        if user != read {
            graph.edge(user, read, &draft.file, place);
            continue;
        }
        if let CheckDraft::Query { .. } = d.check {
            let message = format!("the rule reads its own dataset {user} as it was before");
            let help = "write `{object}` for the dataset that is checked".to_owned();
            sink.report(codes::CYCLE, &draft.file, place, message, help);
            return false;
        }
    }
    true
}

#[allow(clippy::too_many_arguments)]
fn reference(
    d: &RuleDraft,
    id: &str,
    to: &[Spanned<Target>],
    draft: &ContractDraft,
    users: &[DatasetName],
    names: &Names<'_>,
    graph: &mut Graph,
    sink: &mut Sink,
) -> Option<Rule> {
    let mut dataset: Option<DatasetName> = None;
    let mut columns = Vec::new();
    for t in to {
        let (found, column) = target(t, draft, names, sink)?;
        if dataset.as_ref().is_some_and(|d| *d != found) {
            let message = "one relationship points into two datasets";
            sink.report(codes::UNKNOWN_REFERENCE, &draft.file, t.place, message, None);
            return None;
        }
        if let Some(known) = names.columns(&found) {
            let whose = found.to_string();
            check_column(&column, known.iter().copied(), (&draft.file, t.place), &whose, sink).then_some(())?;
        }
        edges(users, &found, draft, d, t.place, graph, sink).then_some(())?;
        dataset = Some(found);
        columns.push(column);
    }
    let check = Check::Reference { dataset: dataset?, to: columns };
    Some(odcs::rule(d, id, d.columns.clone(), check))
}

/// The dataset and column that a relationship means: the dataset that has the contract of the object named, silver
/// before gold; else the silver dataset of that name.
fn target(
    t: &Spanned<Target>,
    draft: &ContractDraft,
    names: &Names<'_>,
    sink: &mut Sink,
) -> Option<(DatasetName, String)> {
    let at = (&*draft.file, t.place);
    let (contract, object, property, by_id) = match &t.value {
        Target::Column { dataset, column } => {
            return names
                .check(dataset, &READABLE, at, "a relationship", sink)
                .then(|| (dataset.clone(), column.clone()));
        }
        Target::Property { contract, object, property, by_id } => (contract.as_deref(), object, property, *by_id),
    };
    if let Some(other) = contract.filter(|c| !names.sources.contract_stems.contains(*c)) {
        let help = nearest::help(other, names.sources.contract_stems.iter().map(String::as_str));
        let message = format!("the reference is not checked: the project has no contract {}", quoted(other));
        sink.report(codes::RULE_NOT_RUN, at.0, at.1, message, help);
        return None;
    }
    let found: Vec<(&DatasetName, &ObjectDraft)> = candidates(contract, object, by_id, draft, names);
    let best = found.iter().find(|(n, _)| n.name() == object).or(match found.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    if let Some((name, o)) = best {
        let column = o.columns.iter().find(|c| by_id && c.id.as_deref() == Some(property));
        return Some(((*name).clone(), column.map_or(property, |c| &c.column.name).clone()));
    }
    if found.len() > 1 {
        let all: Vec<String> = found.iter().map(|(n, _)| n.to_string()).collect();
        let help = format!("name one of them, as in `{}.{property}`", all[0]);
        let message = format!("{} can mean {}", quoted(object), all.join(" or "));
        sink.report(codes::UNKNOWN_REFERENCE, at.0, at.1, message, help);
        return None;
    }
    let by_name =
        READABLE.iter().filter_map(|l| DatasetName::new(*l, object).ok()).find(|n| names.sources.names.contains(n));
    if let (Some(name), false) = (by_name, by_id) {
        return Some((name, property.clone()));
    }
    let shown: Vec<String> =
        names.sources.names.iter().filter(|n| READABLE.contains(&n.layer())).map(ToString::to_string).collect();
    let help =
        nearest::nearest(object, shown.iter().map(String::as_str)).map(|n| format!("did you mean `{n}.{property}`?"));
    sink.report(codes::UNKNOWN_REFERENCE, at.0, at.1, format!("no dataset has the object {}", quoted(object)), help);
    None
}

fn candidates<'a>(
    contract: Option<&str>,
    object: &str,
    by_id: bool,
    draft: &ContractDraft,
    names: &Names<'a>,
) -> Vec<(&'a DatasetName, &'a ObjectDraft)> {
    let mut out = Vec::new();
    for layer in READABLE {
        for (name, d) in names.sources.drafts.iter().filter(|(n, _)| n.layer() == layer) {
            let (Some(stem), Some(o)) = (&d.contract, names.object_of(d)) else { continue };
            let Some(c) = names.sources.contracts.get(&stem.value) else { continue };
            let same_contract = match contract {
                Some(wanted) => wanted == stem.value,
                // An id is only unique in its own contract.
                None => !by_id || c.stem() == draft.stem(),
            };
            let named =
                o.is_named(object, by_id) || (!by_id && (stem.value == object || c.name.as_deref() == Some(object)));
            if same_contract && named {
                out.push((name, o));
            }
        }
        if !out.is_empty() {
            break;
        }
    }
    out
}
