//! The name of a lake: a file in it that says which one it is, wherever it is mounted or copied.

use crate::{error::LakeError, remote::Disk};
use std::{
    fs,
    io::{self, Write},
    path::Path,
};

const FILE: &str = "lake.id";

/// The name that lies there; `first` becomes it where there is none.
pub(crate) async fn name(root: &Path, disk: &Disk, first: Option<&str>) -> Result<Option<String>, LakeError> {
    let path = root.join(FILE);
    let found = match disk.remote() {
        Some(remote) => remote.text(&path, first).await?,
        None => on_disk(&path, first).map_err(LakeError::io(&path))?,
    };
    Ok(found.map(|text| text.trim().to_owned()))
}

fn on_disk(path: &Path, first: Option<&str>) -> io::Result<Option<String>> {
    match (fs::read_to_string(path), first) {
        (Err(e), Some(first)) if e.kind() == io::ErrorKind::NotFound => {
            write(path, first)?;
            // Another process may have been first.
            fs::read_to_string(path).map(Some)
        }
        (Err(e), None) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        (found, _) => found.map(Some),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir)?;
    let mut part = tempfile::NamedTempFile::new_in(dir)?;
    writeln!(part, "{text}")?;
    part.as_file().sync_all()?;
    match part.persist_noclobber(path) {
        Err(e) if e.error.kind() != io::ErrorKind::AlreadyExists => return Err(e.error),
        _ => {}
    }
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use crate::maintain::fixture::World;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    async fn is_named_once(world: &World) {
        let name = async |first| alluvium_flow::Engine::name(&world.engine, first).await.expect("a name");
        assert_eq!(name(None).await, None);
        assert_eq!(name(Some("first")).await.as_deref(), Some("first"));
        assert_eq!(name(Some("second")).await.as_deref(), Some("first"));
        assert_eq!(name(None).await.as_deref(), Some("first"));
    }

    #[tokio::test]
    async fn a_lake_is_named_once() {
        is_named_once(&World::new()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lake_in_an_object_store_is_named_once() {
        is_named_once(&World::in_object_store(Arc::new(InMemory::new()), 1 << 20)).await;
    }
}
