//! Files that no reader needs any more: those left over from killed runs, those that left the table long ago, and the old
//! part of the log.
//!
//! Age is told by the time of a file, against the engine's clock. A file stays when the table has it, when a version of
//! the last days names it, when a version names it that somebody still has to process, or when a gate held it back.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    held,
    incremental::Groups,
    remote::{Disk, age_of},
    table::{LOG, Place, Table},
    upsert, vector,
};
use alluvium_flow::Maintained;
use alluvium_model::crash_point;
use deltalake::kernel::{Action, DeletionVectorDescriptor};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

/// What left a table is kept so long for readers of earlier versions.
const RETENTION: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Younger files that no version names may be those of a step that is still at work.
const STAGED: SignedDuration = SignedDuration::from_hours(24);
/// As long as the log remembers steps.
const LOG_RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Folders of a table that hold files of ours; "" is its own.
const FOLDERS: [&str; 4] = ["", "_change_data", "_groups", KEYS];
const KEYS: &str = "_keys";

/// A file that may go.
struct Idle {
    /// Below the table's folder.
    name: String,
    path: PathBuf,
    bytes: u64,
}

/// A file of a table's folders.
struct Found {
    /// Below the table's folder.
    name: String,
    bytes: u64,
    age: SignedDuration,
}

pub(super) async fn vacuum(
    engine: &LakeEngine,
    place: &Place,
    needed: i64,
    done: &mut Maintained,
) -> Result<(), LakeError> {
    // Opened now, and so with what a compaction just made.
    let Some(table) = engine.tables.open(place).await? else { return Ok(()) };
    let now = engine.clock.now();
    let mut used = live(&table).await?;
    let disk = &engine.tables.disk;
    let mut idle = idle(disk, &table.dir, &used, now).await?;
    if !idle.is_empty() {
        let kept = used.len();
        used.extend(held::names(disk, &table.dir).await?);
        recent(disk, &table, needed, now, &mut used).await?;
        if used.len() > kept {
            idle.retain(|f| !used.contains(&f.name));
        }
    }
    for file in idle {
        if removed(disk, &file.path).await? {
            done.removed += 1;
            done.removed_bytes += file.bytes;
        }
        crash_point("maintain.after_removal");
    }
    if disk.remote().is_some() {
        sweep(&table.dir, now)?;
    }
    shorten(&table, needed, now).await
}

/// `false`: another process was faster.
async fn removed(disk: &Disk, path: &Path) -> Result<bool, LakeError> {
    match disk.remote() {
        Some(remote) => remote.remove(path).await.map(|()| true),
        None => removed_here(path),
    }
}

fn removed_here(path: &Path) -> Result<bool, LakeError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(LakeError::io(path)(e)),
    }
}

/// Removes what was staged on this disk and never uploaded. Nobody else knows of it, but for processes that share the
/// folder and sweep it as well.
fn sweep(table: &Path, now: Timestamp) -> Result<(), LakeError> {
    for folder in FOLDERS {
        let dir = table.join(folder);
        for file in on_disk(&dir, folder, now, |about| !about.permissions().readonly())? {
            if file.age >= STAGED {
                removed_here(&table.join(&file.name))?;
            }
        }
    }
    Ok(())
}

/// Names of the files of the newest version.
async fn live(table: &Table) -> Result<BTreeSet<String>, LakeError> {
    let mut used = BTreeSet::new();
    for file in table.files()? {
        name(&mut used, &table.dir, file.path, file.vector.as_ref());
    }
    let groups = table.newest().await?.and_then(|info| info.groups);
    used.extend(groups.iter().flat_map(Groups::files).map(str::to_owned));
    Ok(used)
}

/// A data file comes with its vector and its keys.
fn name(used: &mut BTreeSet<String>, table: &Path, path: String, vector: Option<&DeletionVectorDescriptor>) {
    let keys = upsert::keys_of_file(table, &path);
    used.extend(keys.file_name().and_then(OsStr::to_str).map(|k| format!("{KEYS}/{k}")));
    used.extend(vector.and_then(vector::file_of));
    used.insert(path);
}

/// Adds what versions name that are young or still have to be processed.
async fn recent(
    disk: &Disk,
    table: &Table,
    needed: i64,
    now: Timestamp,
    used: &mut BTreeSet<String>,
) -> Result<(), LakeError> {
    let log = table.dir.join(LOG);
    let listed: Option<BTreeMap<String, SignedDuration>> = match disk.remote() {
        Some(remote) => {
            let entries = remote.list(&log).await?.into_iter();
            Some(entries.map(|o| (o.name, now.duration_since(o.modified))).collect())
        }
        None => None,
    };
    for version in (0..=table.version()).rev() {
        let entry = format!("{version:020}.json");
        let age = match &listed {
            Some(listed) => listed.get(&entry).copied(),
            None => match fs::metadata(log.join(&entry)) {
                Ok(about) => Some(age(&about, now)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(LakeError::io(log.join(&entry))(e)),
            },
        };
        // The log begins after it.
        let Some(age) = age else { return Ok(()) };
        let young = age < RETENTION;
        if !young && version <= needed {
            return Ok(());
        }
        for action in table.entry(version).await?.into_iter().flatten() {
            match action {
                Action::Add(a) => name(used, &table.dir, a.path, a.deletion_vector.as_ref()),
                Action::Remove(r) => name(used, &table.dir, r.path, r.deletion_vector.as_ref()),
                Action::Cdc(c) => drop(used.insert(c.path)),
                Action::Metadata(_)
                | Action::Protocol(_)
                | Action::Txn(_)
                | Action::CommitInfo(_)
                | Action::DomainMetadata(_) => {}
            }
        }
    }
    Ok(())
}

/// Files of ours that the newest version does not use, and that are too old to be a running step's.
async fn idle(disk: &Disk, table: &Path, used: &BTreeSet<String>, now: Timestamp) -> Result<Vec<Idle>, LakeError> {
    let mut all = Vec::new();
    match disk.remote() {
        Some(remote) => {
            let objects = remote.list(table).await?.into_iter().filter(|o| in_our_folders(&o.name));
            all.extend(objects.map(|o| Found { name: o.name, bytes: o.bytes, age: now.duration_since(o.modified) }));
        }
        None => {
            for folder in FOLDERS {
                all.extend(on_disk(&table.join(folder), folder, now, |_| true)?);
            }
        }
    }
    all.retain(|f| !used.contains(&f.name) && f.age >= STAGED);
    Ok(all.into_iter().map(|f| Idle { path: table.join(&f.name), name: f.name, bytes: f.bytes }).collect())
}

/// Files of ours in one folder of a table.
fn on_disk(
    dir: &Path,
    folder: &str,
    now: Timestamp,
    wanted: impl Fn(&Metadata) -> bool,
) -> Result<Vec<Found>, LakeError> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(LakeError::io(dir)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(LakeError::io(dir))?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        let name = if folder.is_empty() { file } else { format!("{folder}/{file}") };
        if !in_our_folders(&name) {
            continue;
        }
        // One that went meanwhile needs no care.
        let Ok(about) = entry.metadata() else { continue };
        if about.is_file() && wanted(&about) {
            found.push(Found { name, bytes: about.len(), age: age(&about, now) });
        }
    }
    Ok(found)
}

/// Whether a name below a table's folder is one that we give.
fn in_our_folders(name: &str) -> bool {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    FOLDERS.contains(&folder) && (folder == KEYS || is_ours(file))
}

fn is_ours(file: &str) -> bool {
    file.ends_with(".parquet") || file.starts_with("deletion_vector_") && file.ends_with(".bin")
}

fn age(about: &Metadata, now: Timestamp) -> SignedDuration {
    about.modified().map_or(SignedDuration::ZERO, |changed| age_of(changed, now))
}

/// Removes the log's entries before a checkpoint that is old enough, and that nobody has to read from.
async fn shorten(table: &Table, needed: i64, now: Timestamp) -> Result<(), LakeError> {
    let Ok(keep) = u64::try_from(needed.min(table.version())) else { return Ok(()) };
    let cutoff = (now - LOG_RETENTION).as_millisecond();
    let log = table.log();
    let cleaned = deltalake::checkpoints::cleanup_expired_logs_for(keep, log.as_ref(), cutoff, None).await;
    cleaned.map(drop).map_err(LakeError::delta(&table.dir))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            compact::compact,
            fixture::{World, ids, mark},
        },
        *,
    };
    use alluvium_model::StepKey;
    use deltalake::protocol::SaveMode;
    use std::sync::Arc;

    const HOUR: i64 = 3_600_000_000;

    fn names(table: &Table) -> BTreeSet<String> {
        let found = fs::read_dir(&table.dir).expect("a folder").map(|e| e.expect("an entry").file_name());
        found.map(|n| n.into_string().expect("text")).filter(|n| !n.starts_with('_')).collect()
    }

    async fn table_files(world: &World) -> Vec<String> {
        let files = world.table(&World::silver()).await.files().expect("files");
        files.into_iter().map(|f| f.path).collect()
    }

    async fn vacuumed(world: &World, needed: i64) -> u64 {
        let mut done = Maintained::default();
        vacuum(&world.engine, &World::silver(), needed, &mut done).await.expect("a vacuum");
        done.removed
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_uploaded_and_never_committed_goes_from_the_object_store_and_from_the_disk() {
        use object_store::{ObjectStoreExt, memory::InMemory, path::Path as Key};
        let store = Arc::new(InMemory::new());
        let world = World::in_object_store(store.clone(), 1 << 30);
        let place = World::silver();
        for n in 0..3 {
            world.append(&place, &format!("step{n}"), &ids(&[n * 2, n * 2 + 1])).await;
        }
        let table = world.table(&place).await;
        let killed = table.dir.join("killed-0000.parquet");
        fs::write(&killed, b"half").expect("a file");
        let disk = &world.engine.tables.disk;
        disk.upload(vec![killed.clone()]).await.expect("uploaded");
        fs::write(table.dir.join("staged-0000.parquet"), b"never uploaded").expect("a file");
        let key = Key::from("lake/silver/t/killed-0000.parquet");
        world.clock.advance_micros(23 * HOUR);
        assert_eq!(vacuumed(&world, i64::MAX).await, 0);
        assert!(store.head(&key).await.is_ok());
        world.clock.advance_micros(2 * HOUR);
        assert_eq!(vacuumed(&world, i64::MAX).await, 1);
        assert!(store.head(&key).await.is_err() && !killed.exists());
        assert!(!table.dir.join("staged-0000.parquet").exists());
        fs::remove_dir_all(&table.dir).expect("copies");
        assert_eq!(world.ids(&place).await, (0..6).collect::<Vec<_>>());
    }

    /// Here, and in an object store as another machine finds it.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_gate_held_back_stays_until_it_is_forgotten() {
        use alluvium_model::{DatasetName, Layer};
        let name = DatasetName::new(Layer::Silver, "t").expect("a name");
        let (place, step) = (World::silver(), StepKey::from_stored("held"));
        let store = Arc::new(object_store::memory::InMemory::new());
        for world in [World::new(), World::in_object_store(store, 1 << 30)] {
            let engine = &world.engine;
            world.append(&place, "step0", &ids(&[1])).await;
            let table = world.table(&place).await;
            let stager = engine.tables.stager(&place, "held-1".to_owned(), ids(&[2]).schema());
            let mut lane = stager.lane();
            lane.write(&ids(&[2, 3])).expect("written");
            let files = lane.finish().expect("finished");
            held::keep(engine, &name, (&step, 1), &["too few".to_owned()], &files).await.expect("kept");
            // A new attempt's takes its place.
            held::keep(engine, &name, (&step, 2), &["too many".to_owned()], &files[..0]).await.expect("kept");
            assert!(!table.dir.join(&files[0].path).exists());
            let mut lane = stager.lane();
            lane.write(&ids(&[4, 5, 6])).expect("written");
            let files = lane.finish().expect("finished");
            held::keep(engine, &name, (&step, 3), &["too few".to_owned()], &files).await.expect("kept");
            world.clock.advance_micros(60 * 24 * HOUR);
            assert_eq!(vacuumed(&world, i64::MAX).await, 0);
            if engine.tables.disk.remote().is_some() {
                fs::remove_dir_all(&table.dir).expect("copies");
            }
            let told = held::held(engine, &name).await.expect("notes");
            assert_eq!(told.iter().map(|h| (h.rows, &*h.breaches[0])).collect::<Vec<_>>(), [(3, "too few")]);
            assert_eq!(held::rows(engine, &name).await.expect("files").map(|f| f.rows()), Some(3));
            assert_eq!(world.ids(&place).await, [1]);
            held::forget(engine, &name, &step).await.expect("forgotten");
            held::forget(engine, &name, &step).await.expect("forgotten before");
            assert!(held::rows(engine, &name).await.expect("files").is_none());
            assert!(!table.dir.join(&files[0].path).exists());
        }
    }

    #[test]
    fn what_another_process_removed_is_no_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let staged = folder.path().join("staged-0000.parquet");
        fs::write(&staged, b"never uploaded").expect("a file");
        let removed = || removed_here(&staged).expect("removed, here or elsewhere");
        assert_eq!([removed(), removed()], [true, false]);
    }

    #[tokio::test]
    async fn only_what_nothing_needs_any_more_goes() {
        let world = World::new();
        let place = World::silver();
        for n in 0..10 {
            world.append(&place, &format!("step{n}"), &ids(&[n * 2, n * 2 + 1])).await;
        }
        let table = world.table(&place).await;
        let first = table.files().expect("files").remove(0);
        let marked = mark(&table, &first, &[0]);
        table.commit(&StepKey::from_stored("marks"), marked, None, SaveMode::Append).await.expect("commits");
        fs::write(table.dir.join("killed-0000.parquet"), b"half").expect("a file");
        fs::write(table.dir.join("notes.txt"), b"a person's own").expect("a file");
        let table = world.table(&place).await;
        let merged = compact(&world.engine, &place, &table, None, &[]).await.expect("merges").expect("pays").version;

        // One that no version names may be a running step's for a day.
        world.clock.advance_micros(23 * HOUR);
        assert_eq!(vacuumed(&world, i64::MAX).await, 0);
        world.clock.advance_micros(2 * HOUR);
        assert_eq!(vacuumed(&world, i64::MAX).await, 1);
        assert!(!table.dir.join("killed-0000.parquet").exists());

        // What left the table stays for a week, and for who has not processed that version.
        world.clock.advance_micros(5 * 24 * HOUR);
        assert_eq!(vacuumed(&world, i64::MAX).await, 0);
        world.clock.advance_micros(24 * HOUR);
        assert_eq!(vacuumed(&world, merged - 1).await, 0);
        assert_eq!(vacuumed(&world, merged).await, 11, "ten files and a vector");
        let live = table_files(&world).await;
        assert_eq!(names(&table), live.into_iter().chain(["notes.txt".to_owned()]).collect());
        assert_eq!(world.ids(&place).await, (1..20).collect::<Vec<_>>());
    }
}
