//! The registry as the handlers use it: read as a whole of a subject, decided upon, and written if nobody wrote meanwhile.

use super::{answer::Refusal, asked::TYPES};
use alluvium_flow::registry::{MOST_TURNS, document_of, language_of, looked_at, new_version};
use alluvium_model::Clock;
use alluvium_spec::{Comparison, Document, Language, Mode, Project};
use alluvium_store::{Registered, Registry, SchemaVersion, Store};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Without a mode anywhere, as registries have it.
const DEFAULT: Mode = Mode::Backward;

pub(in crate::http) struct Schemas {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    /// Those of the project, schemas of its events among them, and the modes that they declare.
    pub(super) contracts: BTreeMap<String, Option<Mode>>,
}

impl Schemas {
    pub(in crate::http) fn new(project: &Project, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let mode = |c: &alluvium_spec::Contract| Document::read(Language::Odcs, &c.file, &c.text).ok()?.mode();
        let events = project.event_schemas().into_iter().map(|(name, schema)| (name.to_owned(), Some(schema.mode)));
        let contracts = project.contracts.iter().map(|(name, c)| (name.clone(), mode(c))).chain(events).collect();
        Self { store, clock, contracts }
    }

    /// Refuses what only the project's files change.
    pub(super) fn free(&self, subject: &str) -> Result<(), Refusal> {
        match self.contracts.contains_key(subject) {
            true => Err(Refusal::OfProject(subject.to_owned())),
            false => Ok(()),
        }
    }

    /// That of the subject itself.
    pub(super) fn own_mode(&self, registry: &Registry, subject: &str) -> Result<Option<Mode>, Refusal> {
        match self.contracts.get(subject) {
            // A contract that declares none is told as what it is compared under.
            Some(declared) => Ok(Some(declared.unwrap_or(DEFAULT))),
            None => registry.modes.get(subject).map(|word| parsed(word)).transpose(),
        }
    }

    pub(super) fn mode(&self, registry: &Registry, subject: &str) -> Result<Mode, Refusal> {
        match self.own_mode(registry, subject)? {
            Some(mode) => Ok(mode),
            None => default(registry),
        }
    }

    /// Number and id of the document as a version of the subject, if it keeps to the mode.
    pub(super) async fn register(&self, subject: &str, document: &Document) -> Result<(u32, u32), Refusal> {
        self.free(subject)?;
        let new = [new_version(subject, document, false)];
        for _ in 0..MOST_TURNS {
            let registry = self.store.registry(Some(subject)).await?;
            if let Some(known) = find(&registry, subject, document) {
                return Ok((known.number, known.id));
            }
            let mode = self.mode(&registry, subject)?;
            let messages = broken(&looked_at(&registry, subject, mode), document, mode)?;
            if !messages.is_empty() {
                return Err(Refusal::Incompatible { subject: subject.to_owned(), messages });
            }
            match self.store.register(&new, registry.revision, self.clock.now()).await? {
                Registered::Done(numbers) => return Ok(numbers.first().copied().expect("one answer for one text")),
                Registered::Moved => {}
            }
        }
        Err(Refusal::Contended)
    }
}

pub(super) fn default(registry: &Registry) -> Result<Mode, Refusal> {
    registry.default_mode.as_deref().map_or(Ok(DEFAULT), parsed)
}

pub(super) fn parsed(word: &str) -> Result<Mode, Refusal> {
    word.parse().map_err(|e: alluvium_spec::InvalidMode| Refusal::Mode(e.to_string()))
}

/// The version of the subject with this content.
pub(super) fn find<'a>(registry: &'a Registry, subject: &'a str, document: &Document) -> Option<&'a SchemaVersion> {
    let same = |v: &&SchemaVersion| v.identity == document.identity && language_of(v) == Some(document.language());
    registry.of(subject).rev().find(same)
}

/// What the document breaks of these versions under the mode, one text each.
pub(super) fn broken(old: &[&SchemaVersion], document: &Document, mode: Mode) -> Result<Vec<String>, Refusal> {
    let mut out = Vec::new();
    for version in old {
        let number = version.number;
        let read = document_of(version).map_err(|mistakes| {
            let why = mistakes.0.first().map_or_else(String::new, |d| d.message.clone());
            Refusal::Unreadable { subject: version.subject.clone(), number, why }
        })?;
        match read.compare(document) {
            Some(found) => out.extend(found.breaking(mode).map(|change| said(change, &found, mode, number))),
            None => out.push(format!(
                "version {number} is {} and this is {}",
                read.language().words(),
                document.language().words()
            )),
        }
    }
    Ok(out)
}

fn said(change: &alluvium_spec::Change, found: &Comparison, mode: Mode, number: u32) -> String {
    let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let (before, after) = (cell(&change.before), cell(&change.after));
    let fix = found.fix(change, mode).unwrap_or_default();
    format!("{} {}: {before} in version {number}, {after} now, breaks {mode}; {fix}", change.path, change.what.words())
}

/// The fields of a version in an answer; the type is left out where clients expect that.
pub(super) fn fields(version: &SchemaVersion) -> Value {
    let mut out = json!({
        "subject": version.subject,
        "id": version.id,
        "version": version.number,
        "schema": version.text,
    });
    if let Some(kind) = kind(version).filter(|k| *k != "AVRO") {
        out["schemaType"] = json!(kind);
    }
    out
}

pub(super) fn kind(version: &SchemaVersion) -> Option<&'static str> {
    let language = language_of(version)?;
    TYPES.iter().find(|(_, l)| *l == language).map(|(word, _)| *word)
}
