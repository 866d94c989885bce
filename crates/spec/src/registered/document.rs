//! A text of one of the languages, read once, with its fingerprint.

use super::{avro, canonical};
use crate::{
    avro::check_defaults,
    compatibility::{Comparison, Language, Mode},
    contract_file::{SchemaFile, read_text},
    diagnostic::{Diagnostics, Sink},
    source_file::SourceFile,
    yaml,
};
use ring::digest::{SHA256, digest};
use std::path::Path;

/// A contract or a schema, read without a mistake.
#[derive(Debug, Clone)]
pub struct Document {
    /// As it was written.
    pub text: String,
    /// SHA-256 of all that the text says, in hex: the same for another layout, other comments, another order of keys.
    pub identity: String,
    /// As others know it: for Avro the SHA-256 of its Parsing Canonical Form, else the identity.
    pub fingerprint: String,
    schema: SchemaFile,
}

impl Document {
    /// Of a text that is new. The error holds all mistakes, at their places in a file of that name.
    pub fn read(language: Language, name: &Path, text: &str) -> Result<Self, Diagnostics> {
        let document = Self::registered(language, name, text)?;
        if let SchemaFile::Avro(schema) = &document.schema {
            let mut sink = Sink::default();
            if !check_defaults(schema, &SourceFile::new(name, text), &mut sink) {
                return Err(sink.finish());
            }
        }
        Ok(document)
    }

    /// Of one that is a version already: what is asked of new ones only is not asked again.
    pub fn registered(language: Language, name: &Path, text: &str) -> Result<Self, Diagnostics> {
        let schema = read_text(language, name, text)?;
        let (identity, fingerprint) = match language {
            Language::Odcs => {
                let whole = sha256(&yaml_text(name, text)?);
                (whole.clone(), whole)
            }
            Language::JsonSchema => {
                let whole = sha256(&canonical::of_json(&json(text)));
                (whole.clone(), whole)
            }
            Language::Avro => {
                let value = json(text);
                (sha256(&canonical::of_json(&value)), sha256(&avro::canonical(&value)))
            }
        };
        Ok(Self { text: text.to_owned(), identity, fingerprint, schema })
    }

    pub fn language(&self) -> Language {
        self.schema.language()
    }

    /// The mode that the document itself declares.
    pub fn mode(&self) -> Option<Mode> {
        self.schema.mode()
    }

    /// What differs between this version and a `new` one; `None`: they are of two languages.
    pub fn compare(&self, new: &Self) -> Option<Comparison> {
        self.schema.compare(&new.schema)
    }
}

fn json(text: &str) -> serde_json::Value {
    // A name alone is an Avro schema, too, and the reader of Avro takes it without quotes.
    serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text.trim()))
}

fn yaml_text(name: &Path, text: &str) -> Result<String, Diagnostics> {
    let mut sink = Sink::default();
    let node = yaml::parse(text, &SourceFile::new(name, text), &mut sink);
    node.map(|n| canonical::of_yaml(&n)).ok_or_else(|| sink.finish())
}

fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(language: Language, text: &str) -> Document {
        Document::read(language, Path::new("schema"), text).expect("it can be read")
    }

    #[test]
    fn layout_says_nothing_and_content_does() {
        let a = read(Language::JsonSchema, r#"{"type": "object", "required": ["a"]}"#);
        let b = read(Language::JsonSchema, "{ \"required\":[\"a\"],\n\"type\":\"object\" }");
        let c = read(Language::JsonSchema, r#"{"type": "object", "required": ["b"]}"#);
        assert_eq!((&a.identity, &a.fingerprint), (&b.identity, &b.identity));
        assert_ne!(a.identity, c.identity);
    }

    #[test]
    fn a_contract_is_known_again_without_its_comments() {
        let contract = |more: &str, limit: &str| {
            format!(
                "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\n{more}schema:\n  - name: orders\n    properties:\n      - {{ name: amount, logicalType: integer, logicalTypeOptions: {{ minimum: {limit} }} }}\n"
            )
        };
        let a = read(Language::Odcs, &contract("", "0"));
        let b = read(Language::Odcs, &contract("# why\n", "0"));
        let c = read(Language::Odcs, &contract("", "5"));
        assert_eq!(a.identity, b.identity);
        assert_ne!(a.identity, c.identity);
        let found = a.compare(&c).expect("one language");
        assert!(!found.is_compatible(Mode::Backward) && found.is_compatible(Mode::Forward));
        assert_eq!(a.compare(&read(Language::JsonSchema, "true")), None);
    }

    #[test]
    fn an_avro_schema_has_the_fingerprint_that_others_give_it() {
        let plain = read(Language::Avro, "\"int\"");
        // Of the text `"int"`, quotes included.
        assert_eq!(plain.fingerprint, "3f2b87a9fe7cc9b13835598c3981cd45e3e355309e5090aa0933d7becb6fba45");
        let with = |field: &str| {
            let text =
                format!(r#"{{"type": "record", "name": "r", "fields": [{{"name": "a", "type": "int"{field}}}]}}"#);
            read(Language::Avro, &text)
        };
        let (a, b) = (with(""), with(r#", "default": 0"#));
        assert_eq!(a.fingerprint, b.fingerprint);
        assert_ne!(a.identity, b.identity, "a default decides what can be read");
    }

    #[test]
    fn mistakes_are_told() {
        assert!(Document::read(Language::Avro, Path::new("x"), "\"no_type\"").is_err());
        let record = |fields: &str| format!("{{\"type\": \"record\", \"name\": \"r\", \"fields\": [{fields}]}}");
        let field = |kind: &str, default: &str| {
            record(&format!(
                "{{\"name\": \"a\", \"type\": \"int\"}},\n{{\"name\": \"b\", \"type\": {kind}, \"default\": {default}}}"
            ))
        };
        for (kind, default, said) in [
            ("\"int\"", "\"0\"", "the default is no integer"),
            ("\"long\"", "null", "the default is no integer"),
            ("[\"null\", \"int\"]", "\"null\"", "the default is no integer"),
            ("{\"type\": \"array\", \"items\": \"string\"}", "[\"a\", 1]", "`/1` of the default is no string"),
            ("[\"null\", \"r\"]", "{}", "the default has no `a`"),
        ] {
            let schema = field(kind, default);
            let found = Document::read(Language::Avro, Path::new("x"), &schema).expect_err(default);
            assert!(found.0[0].message.starts_with(said) && found.0[0].line == 2, "{found}");
            assert!(Document::registered(Language::Avro, Path::new("x"), &schema).is_ok(), "{default}");
        }
        for (kind, default) in [
            ("[\"null\", \"int\"]", "1"),
            ("\"double\"", "0"),
            ("[\"int\", \"null\"]", "null"),
            ("[\"null\", \"r\"]", "{\"a\": 1}"),
        ] {
            read(Language::Avro, &field(kind, default));
        }
        assert!(Document::read(Language::JsonSchema, Path::new("x"), "{").is_err());
        assert!(Document::read(Language::Odcs, Path::new("x"), "a: [").is_err());
    }
}
