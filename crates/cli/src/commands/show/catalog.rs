//! `show catalog`: what data there is, whose it is, what was agreed about it and who reads it. Made of the contracts and of the
//! definitions, so that nobody keeps it by hand.

use super::listing::{Column, list, or_dash};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, brief_time, json_time_if_any, printable},
    wire::Wired,
};
use alluvium_model::DatasetName;
use alluvium_spec::{
    ContractFile, Dataset, Language, Project, SchemaFile,
    export::{Line as Field, lines as fields},
    read_schema_text,
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub struct Line {
    dataset: DatasetName,
    description: Option<String>,
    contract: Option<String>,
    status: Option<String>,
    domain: Option<String>,
    owners: Vec<String>,
    support: Vec<String>,
    /// Service levels, as `frequency 1 d`.
    agreed: Vec<String>,
    tags: Vec<String>,
    columns: Vec<ColumnLine>,
    #[serde(serialize_with = "json_time_if_any")]
    last_commit: Option<Timestamp>,
    /// Datasets that read it, and sinks that are told of it.
    used_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ColumnLine {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    description: Option<String>,
    classification: Option<String>,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.to_string()),
    ("description", Align::Left, |l| or_dash(l.description.as_deref().map(|d| printable(d.trim_end())))),
    ("owners", Align::Left, |l| joined(&l.owners)),
    ("agreed", Align::Left, |l| joined(&l.agreed)),
    ("columns", Align::Left, |l| joined(&l.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>())),
    ("last commit", Align::Left, |l| or_dash(l.last_commit.map(brief_time))),
    ("used by", Align::Left, |l| joined(&l.used_by)),
];

fn joined(parts: &[String]) -> String {
    or_dash(Some(printable(&parts.join(", "))).filter(|p| !p.is_empty()))
}

pub async fn show(global: &Global, wired: &Wired, words: &[String]) -> Result<(), CliError> {
    let lines = lines(wired, words).await?;
    let nothing =
        if words.is_empty() { "this project has no datasets yet" } else { "no dataset is described by these words" };
    list(global, COLUMNS, &lines, nothing)
}

/// Those that every word is found in, in any case of letters.
pub async fn lines(wired: &Wired, words: &[String]) -> Result<Vec<Line>, CliError> {
    let project = &wired.project;
    let committed = wired.store.troubles(&project.order).await?.committed;
    let words: Vec<String> = words.iter().map(|w| w.to_lowercase()).collect();
    let read = |name: &String| Some((name.clone(), contract(project, name)?));
    let contracts: BTreeMap<String, ContractFile> = project.contracts.keys().filter_map(read).collect();
    let line = |d: &Dataset| {
        let contract = d.contract.as_ref().and_then(|c| Some((c, contracts.get(c)?)));
        line(project, d, contract, committed.get(&d.name).copied())
    };
    Ok(project.order.iter().filter_map(|n| project.datasets.get(n)).map(line).filter(|l| l.has(&words)).collect())
}

fn contract(project: &Project, name: &str) -> Option<ContractFile> {
    let contract = project.contracts.get(name)?;
    match read_schema_text(Language::Odcs, &contract.file, &contract.text).ok()? {
        SchemaFile::Contract(read) => Some(read),
        SchemaFile::Avro(_) | SchemaFile::JsonSchema(_) => None,
    }
}

fn line(
    project: &Project,
    dataset: &Dataset,
    contract: Option<(&String, &ContractFile)>,
    last_commit: Option<Timestamp>,
) -> Line {
    let terms = contract.map(|(_, c)| (*c.terms).clone()).unwrap_or_default();
    let object = contract.and_then(|(name, c)| c.shape.object(name));
    let own = dataset.contract.as_ref().and_then(|c| project.contracts.get(c)).and_then(|c| c.description.clone());
    Line {
        dataset: dataset.name.clone(),
        description: dataset.description.clone().or(own).or(terms.purpose),
        contract: dataset.contract.clone(),
        status: terms.status,
        domain: terms.domain,
        owners: terms.owners,
        support: terms.support,
        agreed: terms.agreed,
        tags: terms.tags,
        columns: object.map_or_else(Vec::new, |o| fields(o).into_iter().map(ColumnLine::from).collect()),
        last_commit,
        used_by: used_by(project, dataset),
    }
}

fn used_by(project: &Project, dataset: &Dataset) -> Vec<String> {
    let reads = |d: &&Dataset| d.consumes().contains(&dataset.name) || project.lookups_of(d).contains(&dataset.name);
    let readers = project.datasets.values().filter(reads).map(|d| d.name.to_string());
    readers.chain(dataset.publish.iter().cloned()).collect()
}

impl From<Field<'_>> for ColumnLine {
    fn from(field: Field<'_>) -> Self {
        Self {
            name: field.path,
            kind: field.kind,
            description: field.description.map(str::to_owned),
            classification: field.classification.map(str::to_owned),
        }
    }
}

impl Line {
    fn has(&self, words: &[String]) -> bool {
        let named = [&self.description, &self.contract, &self.status, &self.domain].into_iter().flatten().cloned();
        let lists =
            [&self.owners, &self.support, &self.agreed, &self.tags, &self.used_by].into_iter().flatten().cloned();
        let columns = self.columns.iter();
        let columns =
            columns.flat_map(|c| [Some(c.name.clone()), c.description.clone(), c.classification.clone()]).flatten();
        let all: Vec<String> = named.chain(lists).chain(columns).chain([self.dataset.to_string()]).collect();
        let all = all.join("\n").to_lowercase();
        words.iter().all(|w| all.contains(w.as_str()))
    }
}
