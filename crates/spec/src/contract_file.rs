//! One contract by itself, outside of any project. Called by cli for `contract diff`, `export` and `lint`.

use crate::{
    avro::{self, Avro},
    compatibility::{self, Comparison, Language, Mode, Shape},
    contract::Contract,
    diagnostic::{Diagnostics, Sink},
    json_schema::{self, JsonSchema, Undecidable, Validator},
    odcs::{self, Terms},
    source_file::SourceFile,
};
use std::{path::Path, sync::Arc};

#[derive(Debug, Clone)]
pub struct ContractFile {
    pub shape: Shape,
    /// As the engine uses it, without the rules that look at other datasets. `None`: it has several objects, and none is named like the file.
    pub contract: Option<Box<Contract>>,
    /// What it says to people.
    pub terms: Box<Terms>,
    /// What is written and has no effect; warnings only.
    pub notes: Diagnostics,
}

/// Reads an ODCS document. The error holds all its mistakes. References to other datasets are not looked up.
pub fn read_contract(path: &Path) -> Result<ContractFile, Diagnostics> {
    let mut sink = Sink::default();
    let file = SourceFile::read(Path::new(""), path, &mut sink);
    contract_of(file, sink)
}

pub(crate) fn contract_of(file: Option<Arc<SourceFile>>, mut sink: Sink) -> Result<ContractFile, Diagnostics> {
    let read = file.and_then(|file| {
        let draft = odcs::read(file.clone(), None, &mut sink)?;
        // Columns that rules name. None of several objects may be meant.
        let contract = odcs::compile(&draft, &mut sink).map(|(contract, _)| Box::new(contract));
        Some((odcs::shape(&file)?, contract, Box::new(odcs::terms(&file))))
    });
    let found = sink.finish();
    match read {
        Some((shape, contract, terms)) if !found.has_errors() => {
            Ok(ContractFile { shape, contract, terms, notes: found })
        }
        _ => Err(found),
    }
}

/// All warnings of a contract: what has no effect, what is told to people only, and what the standard has given up. The
/// error holds its mistakes, and the warnings beside them.
pub fn lint_contract(path: &Path) -> Result<Diagnostics, Diagnostics> {
    let mut sink = Sink::default();
    if let Some(file) = SourceFile::read(Path::new(""), path, &mut sink) {
        if let Some(draft) = odcs::read(file.clone(), None, &mut sink) {
            let _ = odcs::compile(&draft, &mut sink);
        }
        odcs::lint(&file, &mut sink);
    }
    let found = sink.finish();
    if found.has_errors() { Err(found) } else { Ok(found) }
}

/// A file that `contract diff` takes, by its ending: an ODCS contract unless that says another language.
#[derive(Debug, Clone)]
pub enum SchemaFile {
    Contract(ContractFile),
    Avro(Avro),
    JsonSchema(JsonSchema),
}

/// Reads a contract or a schema. The error holds all its mistakes.
pub fn read_schema(path: &Path) -> Result<SchemaFile, Diagnostics> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("avsc") => read_with(path, avro::read).map(SchemaFile::Avro),
        Some("json") => read_with(path, json_schema::read).map(SchemaFile::JsonSchema),
        _ => read_contract(path).map(SchemaFile::Contract),
    }
}

/// As [`read_schema`], of a text. Mistakes are told as those of a file of that name.
pub fn read_text(language: Language, name: &Path, text: &str) -> Result<SchemaFile, Diagnostics> {
    let (file, mut sink) = (SourceFile::new(name, text), Sink::default());
    let read = match language {
        Language::Odcs => return contract_of(Some(Arc::new(file)), sink).map(SchemaFile::Contract),
        Language::Avro => avro::read(&file, &mut sink).map(SchemaFile::Avro),
        Language::JsonSchema => json_schema::read(&file, &mut sink).map(SchemaFile::JsonSchema),
    };
    read.ok_or_else(|| sink.finish())
}

fn read_with<T>(path: &Path, read: fn(&SourceFile, &mut Sink) -> Option<T>) -> Result<T, Diagnostics> {
    let mut sink = Sink::default();
    let file = SourceFile::read(Path::new(""), path, &mut sink);
    file.and_then(|file| read(&file, &mut sink)).ok_or_else(|| sink.finish())
}

impl SchemaFile {
    pub fn language(&self) -> Language {
        match self {
            Self::Contract(_) => Language::Odcs,
            Self::Avro(_) => Language::Avro,
            Self::JsonSchema(_) => Language::JsonSchema,
        }
    }

    /// The mode that the file itself asks for.
    pub fn mode(&self) -> Option<Mode> {
        match self {
            Self::Contract(c) => c.shape.mode,
            Self::Avro(_) | Self::JsonSchema(_) => None,
        }
    }

    pub fn notes(&self) -> Option<&Diagnostics> {
        match self {
            Self::Contract(c) => Some(&c.notes),
            Self::Avro(_) | Self::JsonSchema(_) => None,
        }
    }

    /// What decides over values of JSON; `None`: a contract does that row by row.
    ///
    /// # Errors
    /// With the first of its patterns or keywords that cannot be decided.
    pub fn validator(&self) -> Option<Result<Validator, Undecidable>> {
        match self {
            Self::Contract(_) => None,
            Self::Avro(schema) => Some(JsonSchema::made(schema.plain()).validator()),
            Self::JsonSchema(schema) => Some(schema.validator()),
        }
    }

    /// What differs between this version and the `new` one; `None`: they are of two languages.
    pub fn compare(&self, new: &Self) -> Option<Comparison> {
        match (self, new) {
            (Self::Contract(old), Self::Contract(new)) => Some(compatibility::compare(&old.shape, &new.shape)),
            (Self::Avro(old), Self::Avro(new)) => Some(avro::compare(old, new)),
            (Self::JsonSchema(old), Self::JsonSchema(new)) => Some(json_schema::compare(old, new)),
            _ => None,
        }
    }
}
