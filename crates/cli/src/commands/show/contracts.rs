//! `show contracts` and `show contract`: every version of what is registered, and when it was in force.

use super::listing::{Column, list, or_dash};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, brief_time, json_time, json_time_if_any, printable},
    wire::Wired,
};
use alluvium_flow::registry::{document_of, word_of};
use alluvium_spec::{Document, EventSchema, Language};
use alluvium_store::{Registry, SchemaVersion};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

const SHOWN_OF_FINGERPRINT: usize = 12;

#[derive(Debug, Serialize)]
struct Line {
    contract: String,
    language: String,
    /// `None`: none is in force; it was never used, or all of it was deleted.
    version: Option<u32>,
    id: Option<u32>,
    fingerprint: Option<String>,
    #[serde(serialize_with = "json_time_if_any")]
    since: Option<Timestamp>,
    versions: usize,
    /// That of the contract, else of the subject; `None`: it has none of its own.
    mode: Option<String>,
    /// `false`: the project defines it in another way than what is in force. `None`: it is no contract of the project.
    as_defined: Option<bool>,
}

const COLUMNS: &[Column<Line>] = &[
    ("contract", Align::Left, |l| printable(&l.contract)),
    ("language", Align::Left, |l| printable(&l.language)),
    ("version", Align::Right, |l| or_dash(l.version)),
    ("id", Align::Right, |l| or_dash(l.id)),
    ("fingerprint", Align::Left, |l| or_dash(l.fingerprint.as_deref().map(short))),
    ("in force since", Align::Left, |l| or_dash(l.since.map(brief_time))),
    ("mode", Align::Left, |l| or_dash(l.mode.as_ref())),
    ("", Align::Left, |l| {
        match (l.as_defined, l.version) {
            (Some(false), Some(_)) => "defined differently now",
            (Some(false), None) => "never used",
            (Some(true) | None, _) => "",
        }
        .to_owned()
    }),
];

#[derive(Debug, Serialize)]
struct VersionLine {
    version: u32,
    id: u32,
    language: String,
    fingerprint: String,
    #[serde(serialize_with = "json_time")]
    registered_at: Timestamp,
    in_force: Vec<Range>,
    /// It breaks its mode, and a person accepted that.
    accepted: bool,
    deleted: bool,
}

#[derive(Debug, Serialize)]
struct Range {
    #[serde(serialize_with = "json_time")]
    from: Timestamp,
    #[serde(serialize_with = "json_time_if_any")]
    until: Option<Timestamp>,
}

const VERSION_COLUMNS: &[Column<VersionLine>] = &[
    ("version", Align::Right, |l| l.version.to_string()),
    ("id", Align::Right, |l| l.id.to_string()),
    ("language", Align::Left, |l| printable(&l.language)),
    ("fingerprint", Align::Left, |l| short(&l.fingerprint)),
    ("registered", Align::Left, |l| brief_time(l.registered_at)),
    ("in force", Align::Left, |l| l.in_force.iter().map(range).collect::<Vec<_>>().join(", ")),
    ("", Align::Left, |l| {
        match (l.deleted, l.accepted) {
            (true, _) => "deleted",
            (false, true) => "accepted although it breaks its mode",
            (false, false) => "",
        }
        .to_owned()
    }),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    let registry = wired.store.registry(None).await?;
    let mut subjects: Vec<&str> = registry.versions.iter().map(|v| v.subject.as_str()).collect();
    subjects.extend(wired.project.contracts.keys().map(String::as_str));
    let events = wired.project.event_schemas();
    subjects.extend(events.keys());
    subjects.sort_unstable();
    subjects.dedup();
    let lines: Vec<Line> = subjects.into_iter().map(|s| line(wired, &events, &registry, s)).collect();
    list(global, COLUMNS, &lines, "this project has no contracts yet")
}

pub async fn versions(global: &Global, wired: &Wired, name: &str) -> Result<(), CliError> {
    let registry = wired.store.registry(Some(name)).await?;
    let project = &wired.project;
    let is_own = || project.contracts.contains_key(name) || project.event_schemas().contains_key(name);
    if registry.versions.is_empty() && !is_own() {
        return Err(CliError::UnknownContract(printable(name)));
    }
    let lines: Vec<VersionLine> = registry.versions.iter().map(|v| version_line(&registry, v)).collect();
    list(global, VERSION_COLUMNS, &lines, "no version of it was used yet")
}

fn line(wired: &Wired, events: &BTreeMap<&str, &EventSchema>, registry: &Registry, subject: &str) -> Line {
    let current = registry.current(subject);
    let in_force = registry.of(subject).find(|v| Some(v.number) == current);
    let since = registry.in_force.iter().find(|f| f.subject == subject && f.until.is_none()).map(|f| f.from);
    let contract = wired.project.contracts.get(subject).map(|c| (Language::Odcs, &c.file, &*c.text));
    let event = events.get(subject).copied();
    let own = contract.or(event.map(|e| (e.language, &e.file, &*e.text)));
    let defined = own.and_then(|(language, file, text)| Document::read(language, file, text).ok());
    let declared = match (&defined, in_force) {
        _ if event.is_some() => event.map(|e| e.mode),
        (Some(document), _) => document.mode(),
        (None, Some(version)) => document_of(version).ok().and_then(|d| d.mode()),
        (None, None) => None,
    };
    Line {
        contract: subject.to_owned(),
        language: in_force.map_or(word_of(own.map(|(l, ..)| l).unwrap_or_default()), |v| &v.language).to_owned(),
        version: current,
        id: in_force.map(|v| v.id),
        fingerprint: in_force.map(|v| v.fingerprint.clone()),
        since,
        versions: registry.of(subject).count(),
        mode: declared.map(|m| m.to_string()).or_else(|| registry.modes.get(subject).cloned()),
        as_defined: own
            .map(|_| defined.zip(in_force).is_some_and(|(document, version)| document.identity == version.identity)),
    }
}

fn version_line(registry: &Registry, v: &SchemaVersion) -> VersionLine {
    let ranges = registry.in_force.iter().filter(|f| f.subject == v.subject && f.number == v.number);
    VersionLine {
        version: v.number,
        id: v.id,
        language: v.language.clone(),
        fingerprint: v.fingerprint.clone(),
        registered_at: v.registered_at,
        in_force: ranges.map(|f| Range { from: f.from, until: f.until }).collect(),
        accepted: v.accepted,
        deleted: v.deleted_at.is_some(),
    }
}

fn range(r: &Range) -> String {
    match r.until {
        Some(until) => format!("{} to {}", brief_time(r.from), brief_time(until)),
        None => format!("since {}", brief_time(r.from)),
    }
}

fn short(fingerprint: &str) -> String {
    fingerprint.chars().take(SHOWN_OF_FINGERPRINT).collect()
}
