//! One contract by itself, outside of any project. Called by cli for `contract diff`, `export` and `lint`.

use crate::{
    compatibility::Shape,
    diagnostic::{Diagnostics, Sink},
    odcs,
    source_file::SourceFile,
};
use std::path::Path;

#[derive(Debug, Clone)]
pub struct ContractFile {
    pub shape: Shape,
    /// What is written and has no effect; warnings only.
    pub notes: Diagnostics,
}

/// Reads an ODCS document. The error holds all its mistakes. References to other datasets are not looked up.
pub fn read_contract(path: &Path) -> Result<ContractFile, Diagnostics> {
    let mut sink = Sink::default();
    let file = SourceFile::read(Path::new(""), path, &mut sink);
    let shape = file.and_then(|file| {
        odcs::read(file.clone(), &mut sink)?;
        odcs::shape(&file)
    });
    let found = sink.finish();
    match shape {
        Some(shape) if !found.has_errors() => Ok(ContractFile { shape, notes: found }),
        _ => Err(found),
    }
}
