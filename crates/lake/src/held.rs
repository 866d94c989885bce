//! What a gate held back: the staged files stay where they are, and a note beside them says which they are and why.
//!
//! Written by the commit of a step that did not pass, read by people and by the vacuum, which keeps what a note names. Nothing
//! commits from here: a step that is released stages the same rows again, from the same input.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    remote::Disk,
    scan,
    stage::{self, StagedFile},
    table::Place,
};
use alluvium_model::{DatasetName, StepKey, crash_point};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

/// Below the table's folder; readers of the table do not look there.
const FOLDER: &str = "_held";

/// What is held of one step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldStep {
    pub step: StepKey,
    /// Why, one sentence each.
    pub breaches: Vec<String>,
    /// Rows that it would add to the table.
    pub rows: u64,
    pub bytes: u64,
    files: Vec<StagedFile>,
    /// Everything of them, below the table's folder.
    names: Vec<String>,
}

/// A note, and where it is.
struct Note {
    path: PathBuf,
    held: HeldStep,
}

/// Keeps these files of the step for who wants to look at them. Durable on return; what was held of an earlier attempt is forgotten.
pub(crate) async fn keep(
    engine: &LakeEngine,
    dataset: &DatasetName,
    (step, nonce): (&StepKey, u64),
    breaches: &[String],
    files: &[StagedFile],
) -> Result<(), LakeError> {
    forget(engine, dataset, step).await?;
    let disk = &engine.tables.disk;
    let dir = engine.tables.dir(&Place::Dataset(dataset.clone()));
    engine.tables.syncs.wait(&dir).await?;
    stage::upload(disk, &dir, files).await?;
    let below = |path: PathBuf| path.strip_prefix(&dir).ok().and_then(Path::to_str).map(str::to_owned);
    let held = HeldStep {
        step: step.clone(),
        breaches: breaches.to_vec(),
        rows: files.iter().map(StagedFile::live).sum(),
        bytes: files.iter().map(|f| f.bytes).sum(),
        files: files.to_vec(),
        names: files.iter().flat_map(|f| f.paths(&dir)).filter_map(below).collect(),
    };
    let path = dir.join(FOLDER).join(format!("{}-{nonce:016x}.json", step.as_str()));
    crash_point("hold.before_note");
    write(&path, &held)?;
    disk.upload(vec![path]).await?;
    crash_point("hold.after_note");
    Ok(())
}

/// Whole or not at all.
fn write(path: &Path, held: &HeldStep) -> Result<(), LakeError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(LakeError::io(folder))?;
    let mut part = tempfile::NamedTempFile::new_in(folder).map_err(LakeError::io(folder))?;
    let text = serde_json::to_vec(held).expect("a note is plain data");
    part.write_all(&text).and_then(|()| part.as_file().sync_all()).map_err(LakeError::io(path))?;
    part.persist(path).map_err(|e| LakeError::io(path)(e.error))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(LakeError::io(folder))
}

/// The step has ended in another way: nothing of it is held any more. Idempotent.
pub(crate) async fn forget(engine: &LakeEngine, dataset: &DatasetName, step: &StepKey) -> Result<(), LakeError> {
    let disk = &engine.tables.disk;
    let dir = engine.tables.dir(&Place::Dataset(dataset.clone()));
    for note in notes(disk, &dir).await?.into_iter().filter(|n| n.held.step == *step) {
        // Without its note a file is one of a step that was killed, and the vacuum's.
        remove(disk, &note.path).await?;
        for name in &note.held.names {
            remove(disk, &dir.join(name)).await?;
        }
    }
    Ok(())
}

async fn remove(disk: &Disk, path: &Path) -> Result<(), LakeError> {
    match disk.remote() {
        Some(remote) => remote.remove(path).await,
        None => match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LakeError::io(path)(e)),
            Ok(()) | Err(_) => Ok(()),
        },
    }
}

/// Files of a table's folder that notes name.
pub(crate) async fn names(disk: &Disk, dir: &Path) -> Result<BTreeSet<String>, LakeError> {
    Ok(notes(disk, dir).await?.into_iter().flat_map(|n| n.held.names).collect())
}

async fn notes(disk: &Disk, dir: &Path) -> Result<Vec<Note>, LakeError> {
    let folder = dir.join(FOLDER);
    let mut paths: Vec<PathBuf> = match disk.remote() {
        Some(remote) => remote.list(&folder).await?.into_iter().map(|o| folder.join(o.name)).collect(),
        None => match std::fs::read_dir(&folder) {
            Ok(entries) => entries.filter_map(Result::ok).map(|e| e.path()).collect(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(LakeError::io(&folder)(e)),
        },
    };
    paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        disk.have(&path).await?;
        // One that went meanwhile is held no more.
        let Some(mut file) = disk.open_if_there(&path, None)? else { continue };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(LakeError::io(&path))?;
        let held = serde_json::from_str(&text).map_err(|source| LakeError::Log { path: path.clone(), source })?;
        found.push(Note { path, held });
    }
    Ok(found)
}

/// What is held of the dataset's steps.
///
/// # Errors
/// When the lake cannot be read.
pub async fn held(engine: &LakeEngine, dataset: &DatasetName) -> Result<Vec<HeldStep>, LakeError> {
    let dir = engine.tables.dir(&Place::Dataset(dataset.clone()));
    Ok(notes(&engine.tables.disk, &dir).await?.into_iter().map(|n| n.held).collect())
}

/// The rows that are held of these steps, as they would be in the table. `None`: there are none.
pub(crate) async fn rows(engine: &LakeEngine, dataset: &DatasetName) -> Result<Option<Files>, LakeError> {
    let dir = engine.tables.dir(&Place::Dataset(dataset.clone()));
    let disk = &engine.tables.disk;
    let (mut sources, mut schema) = (Vec::new(), None);
    for held in held(engine, dataset).await? {
        for file in &held.files {
            for name in &held.names {
                disk.have(&dir.join(name)).await?;
            }
            sources.push(file.source(&dir)?);
            if schema.is_none() {
                schema = Some(scan::schema_of(&disk.file(dir.join(&file.path)))?);
            }
        }
    }
    schema.map(|schema| Files::new(schema, &sources)).transpose()
}
