//! A contract by its name or by the path of its file.

use crate::{args::Global, error::CliError, render::printable};
use alluvium_store::{SchemaVersion, StateStore};
use std::path::{Path, PathBuf};

const CONTRACT_ENDING: &str = ".odcs.yaml";

/// The name of a project's contract that is meant by its name or by a path that ends with its file.
pub fn stem(name: &str) -> &str {
    let file = Path::new(name).file_name().and_then(|f| f.to_str());
    file.and_then(|f| f.strip_suffix(CONTRACT_ENDING)).unwrap_or(name)
}

/// `NAME@N` or `NAME@latest`: a version that the state has. `None`: it is not written so, or a file has that name.
pub async fn version(global: &Global, named: &Path) -> Result<Option<SchemaVersion>, CliError> {
    let Some((name, number)) = named.to_str().and_then(|n| n.rsplit_once('@')) else { return Ok(None) };
    let wanted = number.parse::<u32>().ok();
    if named.exists() || (wanted.is_none() && number != "latest") {
        return Ok(None);
    }
    // The project may have mistakes, of which this version could be one.
    let reading = alluvium_spec::read(&global.folder(None)?, &global.environment());
    let store = StateStore::read(&reading.project.state).await?;
    let registry = store.registry(Some(name)).await?;
    store.close().await?;
    let wanted = wanted.or_else(|| registry.current(name));
    let found = registry.versions.iter().find(|v| Some(v.number) == wanted).cloned();
    found.map(Some).ok_or_else(|| CliError::UnknownContract(printable(&named.to_string_lossy())))
}

/// A file, or the file of the project's contract of this name.
pub fn file(global: &Global, named: &Path) -> Result<PathBuf, CliError> {
    // A folder is no contract; a pipe may be.
    if named.exists() && !named.is_dir() {
        return Ok(named.to_owned());
    }
    let name = named.to_str().filter(|n| !n.is_empty() && !n.contains(['/', '\\']) && !n.contains('.'));
    let of_project =
        name.map(|n| global.folder(None).map(|f| f.join("contracts").join(format!("{n}{CONTRACT_ENDING}"))));
    match of_project.transpose()? {
        Some(path) if path.exists() => Ok(path),
        // A path that is not there is told as such when it is read.
        _ if named.extension().is_some() => Ok(named.to_owned()),
        _ => Err(CliError::UnknownContract(printable(&named.to_string_lossy()))),
    }
}
