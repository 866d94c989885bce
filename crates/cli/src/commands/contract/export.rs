//! `alluvium contract export`: a contract in the language of others.

use super::find;
use crate::{
    args::{ExportLanguage, Global},
    error::CliError,
    output::Destination,
    render,
};
use alluvium_model::Exit;
use alluvium_spec::{export, read_contract};
use std::path::{Path, PathBuf};

pub fn export(
    global: &Global,
    contract: &Path,
    language: ExportLanguage,
    to: Option<&PathBuf>,
) -> Result<Exit, CliError> {
    let path = find::file(global, contract)?;
    let read = read_contract(&path).map_err(CliError::Definitions)?;
    render::diagnostic::warnings(&read.notes, global.format);
    let stem = path.to_str().map(find::stem).unwrap_or_default();
    let object = read.shape.object(stem).ok_or_else(|| CliError::NoObject(path.clone()))?;
    let shape = &read.shape;
    let text = match language {
        ExportLanguage::JsonSchema => export::json_schema(shape, object),
        ExportLanguage::Avro => export::avro(shape, object),
        ExportLanguage::Sql => export::sql(shape, object),
        ExportLanguage::Markdown => export::markdown(shape, object, &read.terms, &global.env),
        ExportLanguage::Html => export::html(shape, object, &read.terms, &global.env),
    };
    let mut out = match to {
        Some(to) => Destination::file(to)?,
        None => Destination::stdout(),
    };
    out.write(text.as_bytes())?;
    out.finish()?;
    Ok(Exit::Done)
}
