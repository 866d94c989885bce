//! Commits of which the object store tells an error, in the three ways in which that can be, and those of other processes.

use super::faulty::{AGAIN, CUT, Faulty, LOST};
use crate::{
    error::LakeError,
    maintain::fixture::{World, ids},
    stage,
    table::{StepInfo, Table},
};
use alluvium_model::{Balance, DefinitionVersion, RunId, StepKey};
use deltalake::protocol::SaveMode;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
use std::sync::{Arc, atomic::Ordering::SeqCst};

fn world() -> (Arc<Faulty>, World) {
    let store = Arc::new(Faulty::default());
    (store.clone(), World::in_object_store(store, 1 << 30))
}

async fn commits(world: &World, table: &Table, step: &str) -> Result<i64, LakeError> {
    let stager = world.engine.tables.stager(&World::silver(), step.to_owned(), ids(&[7]).schema());
    let mut lane = stager.lane();
    lane.write(&ids(&[7])).expect("written");
    let files = lane.finish().expect("finished");
    stage::upload(&world.engine.tables.disk, &table.dir, &files).await.expect("uploaded");
    table.commit(&StepKey::from_stored(step), vec![files[0].add(1)], None, SaveMode::Append).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_stands_counts_whatever_was_answered() {
    for fault in [LOST, AGAIN] {
        let (store, world) = world();
        world.append(&World::silver(), "first", &ids(&[1])).await;
        let table = world.table(&World::silver()).await;
        store.next.store(fault, SeqCst);
        assert_eq!(commits(&world, &table, "lost").await.expect("stands"), table.version() + 1);
        assert_eq!(world.ids(&World::silver()).await, [1, 7]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_does_not_stand_is_an_error_and_anothers_is_a_conflict() {
    let (store, world) = world();
    world.append(&World::silver(), "first", &ids(&[1])).await;
    let table = world.table(&World::silver()).await;
    store.next.store(CUT, SeqCst);
    let cut = commits(&world, &table, "cut").await;
    assert!(matches!(cut, Err(LakeError::Delta { .. })), "{cut:?}");
    world.append(&World::silver(), "other", &ids(&[2])).await;
    let late = commits(&world, &table, "late").await;
    assert!(matches!(late, Err(LakeError::Conflict { .. })), "{late:?}");
    assert_eq!(world.ids(&World::silver()).await, [1, 2]);
}

/// Of a commit that names no file, as one of which all rows are quarantined.
fn memory(attempt: &str) -> StepInfo {
    StepInfo {
        step: StepKey::from_stored("step"),
        run: RunId::from_stored("run"),
        version: DefinitionVersion::from_stored("version"),
        balance: Balance::default(),
        quality: Vec::new(),
        figures: Default::default(),
        dead: Vec::new(),
        windows: 0,
        notes: vec![attempt.to_owned()],
        reached: None,
        quarantine: None,
        tombstones: None,
        groups: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_files_is_told_by_its_step_and_its_memory() {
    let (store, world) = world();
    world.append(&World::silver(), "first", &ids(&[1])).await;
    let table = world.table(&World::silver()).await;
    let step = StepKey::from_stored("step");
    let commit = |memory: StepInfo| {
        let (table, step) = (&table, &step);
        async move { table.commit(step, Vec::new(), Some(&memory), SaveMode::Append).await }
    };
    store.next.store(LOST, SeqCst);
    assert_eq!(commit(memory("one")).await.expect("stands"), table.version() + 1);
    // The same version once more, by another attempt of the step.
    let other = commit(memory("another")).await;
    assert!(matches!(other, Err(LakeError::Conflict { .. })), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_processes_commit_is_seen_at_once() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let place = World::silver();
    let [one, two] = [(); 2].map(|()| World::in_object_store(store.clone(), 1 << 30));
    // Beyond the first checkpoint.
    for (n, world) in [&one, &two].into_iter().cycle().take(24).enumerate() {
        world.append(&place, &format!("step{n}"), &ids(&[n as i64])).await;
        for reader in [&one, &two] {
            let head = reader.engine.tables.head(&place).await.expect("a head");
            assert_eq!(head, Some(world.table(&place).await.version()));
            assert_eq!(reader.ids(&place).await, (0..=n as i64).collect::<Vec<_>>());
        }
    }
    // Other lakes in its place: one with fewer versions, and one with as many as that.
    for n in [30, 31] {
        let objects: Vec<_> = store.list(None).try_collect().await.expect("listed");
        for object in objects {
            store.delete(&object.location).await.expect("deleted");
        }
        assert_eq!(two.engine.tables.head(&place).await.expect("no head"), None);
        two.append(&place, &format!("anew{n}"), &ids(&[n])).await;
        let version = two.table(&place).await.version();
        assert_eq!(one.engine.tables.head(&place).await.expect("a head"), Some(version));
        assert_eq!(one.ids(&place).await, [n]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_read_is_only_listed() {
    let (store, world) = world();
    let place = World::silver();
    for step in ["first", "second"] {
        world.append(&place, step, &ids(&[1])).await;
        let read = store.gets.load(SeqCst);
        let version = world.table(&place).await.version();
        assert_eq!(
            world.engine.tables.open_at(&place, Some(version)).await.expect("opens").map(|t| t.version()),
            Some(version)
        );
        assert_eq!(store.gets.load(SeqCst), read, "after {step}");
    }
}
