//! Contracts of the project beside the versions of them that the state has: what a new version breaks, and its registration.
//!
//! Called by `check`, which only compares, and by the commands that plan, which register what they work under before they do.

use crate::{args::Global, error::CliError, load, render, wire::Wired};
use alluvium_flow::registry::{MOST_TURNS, document_of, looked_at, new_version};
use alluvium_spec::{
    Comparison, Diagnostic, Diagnostics, Document, Language, Mode, Reading, event_verdict, not_compared, verdict,
};
use alluvium_store::{NewSchema, Registered, Registry, StateStore, StoreError};
use std::{collections::BTreeSet, path::PathBuf};

#[derive(Debug, thiserror::Error)]
#[error("others kept registering schemas meanwhile")]
struct Contended;

/// For commands that plan: the definitions are without a mistake, the state is open, and each contract that a dataset uses is
/// registered in the version that is used from now on, and the definitions are kept.
pub async fn admitted(global: &Global, dir: Option<&PathBuf>, accept: &[String]) -> Result<Wired, CliError> {
    let reading = load::look(global, dir).await?;
    if reading.found.has_errors() {
        return Err(CliError::Definitions(reading.found));
    }
    let accept = known(&reading, accept)?;
    let wired = Wired::open(reading.project.clone()).await?;
    for _ in 0..MOST_TURNS {
        let registry = wired.store.registry(None).await?;
        let Compared { found, new } = compared(&reading, &registry, &accept);
        let found = reading.found.clone().with(found);
        if found.has_errors() {
            return Err(CliError::Definitions(found));
        }
        // By what was read is decided what is written: who finds it changed decides anew.
        let done = new.is_empty()
            || wired.store.register(&new, registry.revision, wired.clock.now()).await? != Registered::Moved;
        if done {
            keep_definitions(&wired).await?;
            render::diagnostic::warnings(&found, global.format);
            return Ok(wired);
        }
    }
    Err(StoreError::Busy { source: Box::new(Contended) }.into())
}

/// Before anything is planned under them.
async fn keep_definitions(wired: &Wired) -> Result<(), StoreError> {
    let all: Vec<_> = wired.project.datasets.values().map(|d| (d.name.clone(), d.version.clone())).collect();
    let new = wired.store.undefined(&all).await?;
    if !new.is_empty() {
        wired.store.keep_definitions(&new, &wired.project.files, wired.clock.now()).await?;
    }
    Ok(())
}

/// What is to be said of the contracts beside their versions. A state that is not there has none.
pub async fn looked_back(reading: &Reading, accept: &[String]) -> Result<Diagnostics, CliError> {
    let accept = known(reading, accept)?;
    let registry = async {
        let store = StateStore::read(&reading.project.state).await?;
        let registry = store.registry(None).await?;
        store.close().await?;
        Ok::<_, StoreError>(registry)
    };
    Ok(Diagnostics(match registry.await {
        Ok(registry) => compared(reading, &registry, &accept).found,
        Err(error) => vec![not_compared(&error.to_string())],
    }))
}

fn known<'a>(reading: &Reading, accept: &'a [String]) -> Result<BTreeSet<&'a str>, CliError> {
    let (contracts, events) = (&reading.project.contracts, reading.project.event_schemas());
    let is_known = |name: &String| contracts.contains_key(name) || events.contains_key(name.as_str());
    match accept.iter().find(|name| !is_known(name)) {
        Some(unknown) => Err(CliError::UnknownContract(render::printable(unknown))),
        None => Ok(accept.iter().map(String::as_str).collect()),
    }
}

struct Compared {
    found: Vec<Diagnostic>,
    /// Contracts and schemas that are not in force as they are written now.
    new: Vec<NewSchema>,
}

fn compared(reading: &Reading, registry: &Registry, accept: &BTreeSet<&str>) -> Compared {
    let project = &reading.project;
    let used: BTreeSet<&String> = project.datasets.values().filter_map(|d| d.contract.as_ref()).collect();
    let mut out = Compared { found: Vec::new(), new: Vec::new() };
    for (name, contract) in project.contracts.iter().filter(|(name, _)| used.contains(name)) {
        match Document::read(Language::Odcs, &contract.file, &contract.text) {
            Ok(document) => {
                let declared = document.mode();
                let said = |against: &Against| verdict(reading, name, against, declared);
                out.add(name, &document, declared, registry, accept, said);
            }
            Err(mistakes) => out.found.extend(mistakes.0),
        }
    }
    for (name, schema) in project.event_schemas() {
        match Document::read(schema.language, &schema.file, &schema.text) {
            Ok(document) => {
                let said = |against: &Against| event_verdict(name, schema, against);
                out.add(name, &document, Some(schema.mode), registry, accept, said);
            }
            Err(mistakes) => out.found.extend(mistakes.0),
        }
    }
    out
}

/// Differences from earlier versions, by their numbers.
type Against = [(u32, Comparison)];

impl Compared {
    fn add(
        &mut self,
        name: &str,
        document: &Document,
        declared: Option<Mode>,
        registry: &Registry,
        accept: &BTreeSet<&str>,
        said: impl Fn(&Against) -> Vec<Diagnostic>,
    ) {
        let current = registry.current(name);
        if registry.of(name).any(|v| Some(v.number) == current && v.identity == document.identity) {
            return;
        }
        let mut against = Vec::new();
        for version in looked_at(registry, name, declared.unwrap_or(Mode::Backward)) {
            match document_of(version) {
                Ok(old) => against.extend(old.compare(document).map(|c| (version.number, c))),
                Err(mistakes) => self.found.extend(mistakes.0),
            }
        }
        let said = said(&against);
        let accepted = accept.contains(name) && declared.is_some() && !said.is_empty();
        self.new.push(new_version(name, document, accepted));
        if !accepted {
            self.found.extend(said);
        }
    }
}
