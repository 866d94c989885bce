//! Writes records that were pushed as a landing object, named by its content.
//!
//! Called by `landing.rs`. The object appears when it is complete and on the disk, and is never changed.

use super::{FilesError, walk::Stat};
use alluvium_flow::Arrival;
use alluvium_model::ContentHash;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

pub(super) fn lay_down(folder: &Path, records: &[String]) -> Result<Arrival, FilesError> {
    let mut text = String::with_capacity(records.iter().map(|r| r.len() + 1).sum());
    for record in records {
        text.push_str(record);
        text.push('\n');
    }
    let content = ContentHash::from_stored(blake3::hash(text.as_bytes()).to_hex().as_str());
    let path = format!("{content}.ndjson");
    let place = folder.join(&path);
    let stat = write(folder, &place, text.as_bytes())
        .map_err(|source| FilesError::LayDown { folder: folder.to_owned(), source })?;
    Ok(Arrival { path, bytes: stat.bytes, modified_nanos: stat.modified_nanos, content })
}

fn write(folder: &Path, place: &Path, bytes: &[u8]) -> io::Result<Stat> {
    // Whole, because it got its name when it was whole.
    if let Ok(there) = fs::symlink_metadata(place) {
        return Ok(Stat::of(&there));
    }
    fs::create_dir_all(folder)?;
    let part = place.with_extension(format!("{}.part", std::process::id()));
    let mut file = File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    name(&part, place)?;
    File::open(folder)?.sync_all()?;
    Ok(Stat::of(&fs::symlink_metadata(place)?))
}

/// Gives the written object its name. One that another process laid down meanwhile stays: its event has been recorded with its time.
fn name(part: &Path, place: &Path) -> io::Result<()> {
    let named = fs::hard_link(part, place);
    fs::remove_file(part)?;
    match named {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_records_give_the_same_object() {
        let t = tempfile::tempdir().expect("a folder");
        let folder = t.path().join("pushed/bronze.a");
        let records = ["{\"a\":1}".to_owned(), "{\"a\":2}".to_owned()];
        let first = lay_down(&folder, &records).expect("written");
        assert_eq!(fs::read_to_string(folder.join(&first.path)).expect("a file"), "{\"a\":1}\n{\"a\":2}\n");
        assert_eq!(lay_down(&folder, &records).expect("it is there"), first);
        assert_ne!(lay_down(&folder, &records[..1]).expect("written").path, first.path);
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 2, "and nothing beside them");
    }

    #[test]
    fn an_object_that_another_process_laid_down_meanwhile_stays_as_it_is() {
        let t = tempfile::tempdir().expect("a folder");
        let (part, place) = (t.path().join("a.part"), t.path().join("a.ndjson"));
        fs::write(&place, "theirs").expect("a file");
        fs::write(&part, "ours").expect("a file");
        name(&part, &place).expect("it has its name");
        assert_eq!(fs::read_to_string(&place).expect("a file"), "theirs");
        assert!(!part.exists());
        fs::write(&part, "ours").expect("a file");
        name(&part, &t.path().join("b.ndjson")).expect("it has its name");
        assert_eq!(fs::read_to_string(t.path().join("b.ndjson")).expect("a file"), "ours");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let t = tempfile::tempdir().expect("a folder");
        fs::write(t.path().join("pushed"), "").expect("a file");
        let error = lay_down(&t.path().join("pushed/bronze.a"), &[String::new()]);
        assert!(matches!(error, Err(FilesError::LayDown { .. })));
    }
}
