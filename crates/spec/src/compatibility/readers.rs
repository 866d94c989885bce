//! Who reads the columns of a contract: what the project's definitions say of it.
//!
//! SQL is looked at as it is written. A name counts as read where it may be the column, so a reader can be named that a
//! closer look would leave out, and none is missed.

use crate::{
    contract::{Check, Rule},
    definition::{Columns, Dataset, Kind, Project, Silver, Step, Tracked, Write},
    load::Reading,
    sql,
};
use alluvium_model::DatasetName;
use serde::Serialize;
use std::collections::BTreeSet;

/// A dataset that reads columns of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reader {
    pub dataset: DatasetName,
    pub columns: BTreeSet<String>,
    /// Datasets that are computed from it, nearest first.
    pub downstream: Vec<DatasetName>,
}

/// Readers of these columns of the project's contract of this name, by dataset. Datasets with mistakes are not looked
/// at; `reading.flawed` has them.
pub fn readers(reading: &Reading, contract: &str, columns: &BTreeSet<String>) -> Vec<Reader> {
    let project = &reading.project;
    let own_contract = |d: &&Dataset| d.contract.as_deref() == Some(contract);
    let sound = project.datasets.values().filter(own_contract).map(|d| &d.name);
    let flawed = reading.flawed.iter().filter(|(_, c)| c.as_deref() == Some(contract)).map(|(name, _)| name);
    let tables: BTreeSet<&DatasetName> = sound.chain(flawed).collect();
    let rules = project.contracts.get(contract).map_or(&[][..], |c| &c.rules);
    let known: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut out = Vec::new();
    for dataset in project.datasets.values() {
        let mut read = BTreeSet::new();
        if tables.contains(&dataset.name) {
            read.extend(own(dataset));
            read.extend(rules.iter().flat_map(rule_columns));
        }
        for table in &tables {
            read.extend(read_from(project, dataset, table, &known));
        }
        read.retain(|c| columns.contains(c));
        if !read.is_empty() {
            let downstream = downstream(project, &dataset.name);
            out.push(Reader { dataset: dataset.name.clone(), columns: read, downstream });
        }
    }
    out
}

/// Rules that look at more than their own column.
fn rule_columns(rule: &Rule) -> Vec<String> {
    match &rule.check {
        Check::Expression { .. } | Check::Reference { .. } => rule.columns.clone(),
        Check::Unique if rule.columns.len() > 1 => rule.columns.clone(),
        _ => Vec::new(),
    }
}

/// What a dataset does with the columns of its own contract.
fn own(dataset: &Dataset) -> Vec<String> {
    match &dataset.kind {
        Kind::Silver(s) => silver(s),
        Kind::Gold(g) => g.window.iter().map(|w| w.column.clone()).collect(),
        Kind::Bronze(_) => Vec::new(),
    }
}

fn silver(s: &Silver) -> Vec<String> {
    let mut out = s.cluster_by.clone();
    out.extend(s.watermark.iter().map(|w| w.column.clone()));
    if let Write::Upsert { keys, sequence_by, delete_when, truncate_when, history, .. } = &s.write {
        out.extend(keys.iter().chain(sequence_by).cloned());
        let conditions = delete_when.iter().chain(truncate_when).filter_map(|sql| sql::row_expression(sql, None).ok());
        out.extend(conditions.flat_map(|e| e.uses).map(|u| u.value));
        match history {
            Some(Tracked::Only(names) | Tracked::Except(names)) => out.extend(names.iter().cloned()),
            None => {}
        }
    }
    for step in &s.steps {
        match step {
            Step::Enrich(e) => out.extend(e.on.iter().chain(&e.take).map(|(here, _)| here.clone())),
            Step::Sql { query, .. } => {
                let query = sql::row_query(query, None).ok();
                let names = query.into_iter().flat_map(|q| q.uses.into_iter().map(|u| u.value).chain(q.makes));
                out.extend(names);
            }
            Step::Normalize(n) => {
                let lists = [&n.trim, &n.lower, &n.upper].into_iter().chain(n.null_if.iter().map(|n| &n.columns));
                for list in lists {
                    if let Columns::Named(names) = list {
                        out.extend(names.iter().cloned());
                    }
                }
                out.extend(
                    n.rename.values().chain(n.map.keys()).chain(n.parse.keys()).chain(n.default.keys()).cloned(),
                );
            }
            Step::Validate => {}
        }
    }
    out
}

/// Columns of `table` that another dataset looks up, refers to or selects.
fn read_from(project: &Project, dataset: &Dataset, table: &DatasetName, known: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for step in dataset.silver().map_or(&[][..], |s| &s.steps) {
        if let Step::Enrich(e) = step
            && e.lookup == *table
        {
            out.extend(e.on.iter().chain(&e.take).map(|(_, there)| there.clone()));
        }
    }
    for rule in project.contract_of(dataset).map_or(&[][..], |c| &c.rules) {
        match rule.check.of_value() {
            Check::Reference { dataset, to } if dataset == table => out.extend(to.iter().cloned()),
            Check::Query { sql, inputs } if inputs.contains(table) => {
                out.extend(sql::columns_read(&sql.replace("${object}", "_object__"), &table.to_string(), known));
            }
            _ => {}
        }
    }
    if let Kind::Gold(g) = &dataset.kind
        && g.inputs.contains(table)
    {
        out.extend(sql::columns_read(&g.sql, &table.to_string(), known));
    }
    out
}

/// All that is computed from a dataset, directly or not.
fn downstream(project: &Project, of: &DatasetName) -> Vec<DatasetName> {
    let mut out: Vec<DatasetName> = Vec::new();
    let mut from = BTreeSet::from([of.clone()]);
    for name in &project.order {
        let Some(dataset) = project.datasets.get(name) else { continue };
        let reads = dataset.consumes().into_iter().chain(project.lookups_of(dataset));
        if name != of && reads.into_iter().any(|d| from.contains(&d)) {
            from.insert(name.clone());
            out.push(name.clone());
        }
    }
    out
}
