//! A publication as a file: `<folder>/<dataset>/<table version>-<id>.json`, or `<folder>/runs/<id>.json`; there as a whole or
//! not at all.
//!
//! Called by `deliver.rs`. Delivered again it is the same file with the same content. Names that start with a dot are no
//! publications.

use super::error::SinkError;
use alluvium_store::Publication;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

pub(super) async fn write(folder: PathBuf, publication: &Publication) -> Result<(), SinkError> {
    let folder = folder.join(publication.topic.to_string());
    let id = &publication.id;
    let name = publication.committed.map_or_else(|| format!("{id}.json"), |version| format!("{version:020}-{id}.json"));
    let path = folder.join(&name);
    // Of this process: another that still writes the same one does not write into ours.
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    let text = format!("{}\n", publication.event);
    let failed = path.clone();
    let written = tokio::task::spawn_blocking(move || whole(&folder, &draft, &path, text.as_bytes())).await;
    let written = written.unwrap_or_else(|e| Err(io::Error::other(e)));
    written.map_err(|source| SinkError::File { path: failed, source })
}

fn whole(folder: &Path, draft: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        // The names of new folders have to last as well.
        folder.ancestors().skip(1).take(2).try_for_each(|above| File::open(above)?.sync_all())?;
    }
    let mut file = File::create(draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    drop(file);
    fs::rename(draft, path)?;
    File::open(folder)?.sync_all()
}
