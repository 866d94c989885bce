//! Versions in the state as documents that can be compared. Called by cli for contracts of a project, and by server for schemas over HTTP.

use alluvium_spec::{Diagnostics, Document, Language, Mode, SchemaFile, read_schema_text};
use alluvium_store::{NewSchema, Registry, SchemaVersion};
use std::path::Path;

/// How often somebody who finds the registry changed decides anew.
pub const MOST_TURNS: usize = 20;

const LANGUAGES: [(Language, &str); 3] =
    [(Language::Odcs, "odcs"), (Language::Avro, "avro"), (Language::JsonSchema, "json-schema")];

/// A document as a version of the subject.
pub fn new_version(subject: &str, document: &Document, accepted: bool) -> NewSchema {
    NewSchema {
        subject: subject.to_owned(),
        language: word_of(document.language()).to_owned(),
        identity: document.identity.clone(),
        fingerprint: document.fingerprint.clone(),
        text: document.text.clone(),
        accepted,
    }
}

/// As the state has it.
pub fn word_of(language: Language) -> &'static str {
    LANGUAGES.iter().find(|(l, _)| *l == language).expect("every language has its word").1
}

pub fn language_of(version: &SchemaVersion) -> Option<Language> {
    LANGUAGES.iter().find(|(_, word)| *word == version.language).map(|(language, _)| *language)
}

/// The error says what cannot be read any more: it was registered by a release that read it.
pub fn document_of(version: &SchemaVersion) -> Result<Document, Diagnostics> {
    Document::registered(language_of(version).unwrap_or_default(), Path::new(&name_of(version)), &version.text)
}

/// As [`document_of`], only to be compared.
pub fn schema_of(version: &SchemaVersion) -> Result<SchemaFile, Diagnostics> {
    read_schema_text(language_of(version).unwrap_or_default(), Path::new(&name_of(version)), &version.text)
}

fn name_of(version: &SchemaVersion) -> String {
    format!("{}@{}", version.subject, version.number)
}

/// The versions that a new one has to be compared with, newest first: the one in force, and under a transitive mode all.
pub fn looked_at<'a>(registry: &'a Registry, subject: &'a str, mode: Mode) -> Vec<&'a SchemaVersion> {
    if mode == Mode::None {
        return Vec::new();
    }
    let current = registry.current(subject);
    let mut all: Vec<_> =
        registry.of(subject).rev().filter(|v| mode.transitive() || Some(v.number) == current).collect();
    all.sort_by_key(|v| Some(v.number) != current);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_store::InForce;
    use jiff::Timestamp;

    #[test]
    fn the_version_in_force_counts_and_all_of_them_when_it_is_transitive() {
        let version = |number: u32, deleted: bool| SchemaVersion {
            subject: "a".into(),
            number,
            id: number,
            language: "avro".into(),
            identity: String::new(),
            fingerprint: String::new(),
            text: "\"int\"".into(),
            registered_at: Timestamp::UNIX_EPOCH,
            accepted: false,
            deleted_at: deleted.then_some(Timestamp::UNIX_EPOCH),
        };
        let in_force = InForce { subject: "a".into(), number: 2, from: Timestamp::UNIX_EPOCH, until: None };
        let versions = vec![version(1, false), version(2, false), version(3, false), version(4, true)];
        let registry = Registry { versions, in_force: vec![in_force], ..Registry::default() };
        let numbers = |mode| looked_at(&registry, "a", mode).iter().map(|v| v.number).collect::<Vec<_>>();
        assert_eq!(numbers(Mode::Full), [2]);
        assert_eq!(numbers(Mode::FullTransitive), [2, 3, 1]);
        assert!(numbers(Mode::None).is_empty());
        let document = document_of(&registry.versions[0]).expect("it can be read");
        let again = new_version("a", &document, true);
        assert_eq!((again.language.as_str(), again.text.as_str(), again.accepted), ("avro", "\"int\"", true));
    }
}
