//! What the SQLite file does beside the promises of every store: several processes, crashes, bad files.

use crate::{build::*, sqlite};
use alluvium_model::{Fault, RetryClass};
use alluvium_store::{Planned, RunState, SqliteStore, Store, StoreError};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::Path;

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_fresh_file_at_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/state.db");
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { SqliteStore::open(&path).await.map(drop) })
            })
            .collect();
        for open in opening {
            open.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let store = sqlite(&folder).await;
    started(&store).await;
    store.record_events(&run(), &[event("a", "1")]).await.unwrap();
    store.plan(&ingest("s", &["1"])).await.unwrap();
    // The files as a process leaves them that is killed here: nothing is closed or checkpointed.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let after = sqlite(&copy).await;
    assert_eq!(after.open_steps().await.unwrap(), store.open_steps().await.unwrap());
    assert_eq!(after.tables(&watch(0)).await.unwrap(), store.tables(&watch(0)).await.unwrap());
    assert_eq!(after.plan(&ingest("s", &["1"])).await.unwrap(), Planned::Exists);
    // And after an orderly end.
    let before = store.tables(&watch(0)).await.unwrap();
    drop(store);
    assert_eq!(sqlite(&folder).await.tables(&watch(0)).await.unwrap(), before);
}

#[tokio::test]
async fn a_dropped_future_leaves_all_or_nothing() {
    use std::{future::Future, pin::pin, task::Context};
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(&folder).await;
    started(&store).await;
    let events: Vec<_> = (0..50).map(|n| event(&n.to_string(), &n.to_string())).collect();
    store.record_events(&run(), &events).await.unwrap();
    let (mut taken, mut refused) = (0, 0);
    for n in 0..40 {
        let step = format!("s{n}");
        {
            let new = ingest(&step, &[&n.to_string()]);
            let mut planning = pin!(store.plan(&new));
            let mut context = Context::from_waker(std::task::Waker::noop());
            // Dropped after n polls, the thread of the connection being as far as it happens to be.
            for _ in 0..=n * 3 {
                if planning.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                std::thread::yield_now();
            }
        }
        let there = store.step(&key(&step)).await.unwrap().is_some();
        let event = store.events(&[event_id(&n.to_string())]).await.unwrap().remove(0);
        assert_eq!(event.step.is_some(), there);
        if there { taken += 1 } else { refused += 1 }
    }
    assert!(refused > 0, "{taken} of 40 were planned: no future was dropped half-way");
    assert_eq!(store.plan(&ingest("last", &["49"])).await.unwrap(), Planned::New);
}

#[tokio::test]
async fn a_place_where_nothing_can_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let below_a_file = SqliteStore::open(&file.join("state.db")).await.unwrap_err();
    assert!(matches!(below_a_file, StoreError::Folder { .. }), "{below_a_file}");
    let a_folder = SqliteStore::open(folder.path()).await.unwrap_err();
    assert!(matches!(a_folder, StoreError::CannotOpen { .. }), "{a_folder:?}");
    assert_eq!(a_folder.class(), RetryClass::Data);
}

/// The kernel refuses files in `/proc` and `/sys` even to root.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_may_not_be_written_is_told() {
    let refused = SqliteStore::open(Path::new("/proc/self/state.db")).await.unwrap_err();
    assert!(matches!(refused, StoreError::CannotOpen { .. }), "{refused:?}");
    let refused = SqliteStore::open(Path::new("/proc/self/folder/state.db")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Folder { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let text = "month,day,carrier\n".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut other = raw(&path).await;
    sqlx::raw_sql("CREATE TABLE theirs (x)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn damaged_pages_are_told_as_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = sqlite(&folder).await;
    started(&store).await;
    drop(store);
    let mut conn = raw(&path).await;
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // All but the first page, which holds the header and the schema's root.
    bytes[4096..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let error = match SqliteStore::open(&path).await {
        Err(e) => e,
        Ok(store) => store.runs(1, &watch(0)).await.unwrap_err(),
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(error.class(), RetryClass::Data);
}

#[tokio::test]
async fn a_cell_that_nobody_wrote_is_told_with_its_column() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(&folder).await;
    started(&store).await;
    store.plan(&refine("a", -1, 3)).await.unwrap();
    let mut conn = raw(&folder.path().join("state.db")).await;
    // From the last column that is read to the first, so that each is the first that fails.
    for (change, column) in [
        ("UPDATE steps SET planned_at = 9223372036854775807", "planned_at"),
        ("UPDATE steps SET attempts = -1", "attempts"),
        ("UPDATE steps SET windows = '{'", "windows"),
        ("UPDATE steps SET inputs = '[]'", "inputs"),
        ("UPDATE steps SET dataset = '../etc'", "dataset"),
        ("UPDATE steps SET kind = 'guess'", "kind"),
    ] {
        sqlx::raw_sql(change).execute(&mut conn).await.unwrap();
        match store.open_steps().await.unwrap_err() {
            StoreError::Unreadable { column: found, .. } => assert_eq!(found, column),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    drop(sqlite(&folder).await);
    let mut conn = raw(&path).await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut conn).await.unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, known: 17 }), "{error:?}");
    assert_eq!(error.class(), RetryClass::Schema);
    assert!(error.remedy().starts_with("use a newer alluvium"));
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut conn).await.unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn the_file_is_write_ahead_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(&folder).await;
    started(&store).await;
    store.plan(&refine("a", -1, 3)).await.unwrap();
    let mut conn = raw(&folder.path().join("state.db")).await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut conn).await.unwrap();
    assert_eq!(mode, "wal");
    let health: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut conn).await.unwrap();
    assert_eq!(health, "ok");
}

/// The plans of the reads that every pass of the planner makes.
#[tokio::test]
async fn frequent_reads_use_their_index() {
    let folder = tempfile::tempdir().unwrap();
    drop(sqlite(&folder).await);
    let mut conn = raw(&folder.path().join("state.db")).await;
    for (query, index) in [
        ("SELECT * FROM steps WHERE state NOT IN ('done', 'superseded') ORDER BY seq", "steps_open"),
        (
            "SELECT * FROM events AS e WHERE e.state = 'pending' AND e.dataset = 'x' ORDER BY e.received_at, e.path",
            "events_pending",
        ),
        (
            "SELECT count(*) FROM steps WHERE dataset = 'x' AND committed > 1 AND committed <= 9 AND state = 'done' AND kind <> 'backfill'",
            "steps_committed",
        ),
        (
            "SELECT run FROM runs AS r WHERE tells = 1 AND NOT EXISTS (SELECT 1 FROM steps AS s WHERE s.run = r.run) ORDER BY seq",
            "runs_untold",
        ),
        ("UPDATE events SET state = 'done' WHERE step IN (SELECT value FROM json_each('[]'))", "events_by_step"),
        (
            "UPDATE steps SET error = j.value ->> 'e' FROM json_each('[]') AS j WHERE steps.seq = j.value ->> 'seq'",
            "PRIMARY KEY",
        ),
        (
            "SELECT j.value ->> 0 AS dataset, (SELECT max(s.committed) FROM steps AS s
             WHERE s.dataset = j.value ->> 0 AND s.committed IS NOT NULL AND s.kind <> 'backfill') AS committed
             FROM json_each('[]') AS j",
            "steps_committed",
        ),
        ("SELECT * FROM replays WHERE ended_at IS NULL ORDER BY asked_at, id", "replays_open"),
        (
            "UPDATE events SET step = j.value FROM json_each('[]') AS j WHERE events.event = j.value ->> 0",
            "PRIMARY KEY",
        ),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut conn).await.unwrap();
        assert!(plan.iter().any(|row| row.3.contains(index)), "{query}: {plan:?}");
        assert!(!plan.iter().any(|row| row.3.contains("TEMP B-TREE")), "{query}: {plan:?}");
    }
}

/// As the first version made it: all but what later ones added.
async fn first_version(path: &Path) {
    let mut old = raw(path).await;
    sqlx::raw_sql(include_str!("../../src/sqlite/migrations/0001.sql")).execute(&mut old).await.unwrap();
    sqlx::raw_sql(
        "PRAGMA application_id = 1634498157; PRAGMA user_version = 1;
         INSERT INTO runs VALUES (1, 'old', 'run', 'running', 1, NULL, 1, 0, 0);
         INSERT INTO steps (seq, key, run, kind, dataset, version, events, inputs, lookups, state, attempts, planned_at, \
             finished_at, error) \
         VALUES (1, 'a', 'old', 'ingest', 'bronze.flights', 'v1', '[]', '{}', '{}', 'done', 1, 1, 2, NULL),
                (2, 'b', 'old', 'ingest', 'bronze.flights', 'v1', '[]', '{}', '{}', 'failed', 2, 1, NULL, 'L0001: full');",
    )
    .execute(&mut old)
    .await
    .unwrap();
    old.close().await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_first_version_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    first_version(&path).await;
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::read(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, known: 17 }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let store = sqlite(&folder).await;
    let old = alluvium_model::RunId::from_stored("old");
    let steps = store.run_steps(&old, &watch(0)).await.unwrap();
    assert_eq!(steps[0].step.finished_by, Some(old));
    assert_eq!((steps[1].attempts, steps[1].error.as_deref()), (1, Some("L0001: full")));
    assert_eq!(store.runs(1, &watch(0)).await.unwrap()[0].state, RunState::Interrupted);
    started(&store).await;
    assert!(claim(&store, "b", 1, 0).await.is_taken());
}

/// Of version 8: what was told and what waits stays so, and is followed by what comes.
#[tokio::test]
async fn publications_of_an_older_file_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    first_version(&path).await;
    let mut old = raw(&path).await;
    for migration in [
        include_str!("../../src/sqlite/migrations/0002.sql"),
        include_str!("../../src/sqlite/migrations/0003.sql"),
        include_str!("../../src/sqlite/migrations/0004.sql"),
        include_str!("../../src/sqlite/migrations/0005.sql"),
        include_str!("../../src/sqlite/migrations/0006.sql"),
        include_str!("../../src/sqlite/migrations/0007.sql"),
        include_str!("../../src/sqlite/migrations/0008.sql"),
        "PRAGMA user_version = 8;
         INSERT INTO publications (seq, step, dataset, sink, committed, event, made_at, delivered_at)
         VALUES (3, 'a', 'bronze.flights', 'hook', 1, '1', 5, 6), (8, 'b', 'bronze.flights', 'hook', 2, '2', 7, NULL);
         INSERT INTO lanes (dataset, sink) VALUES ('bronze.flights', 'hook');",
    ] {
        sqlx::raw_sql(migration).execute(&mut old).await.unwrap();
    }
    old.close().await.unwrap();
    let store = sqlite(&folder).await;
    let topic = alluvium_store::Topic::Dataset(name("bronze.flights"));
    let part = store.take_lane((&topic, "hook"), "here", &owner(1), MINUTE, &watch(0), 9).await.unwrap();
    let waits: Vec<_> = part.iter().map(|p| (p.id.as_str(), p.committed, p.event.as_str())).collect();
    assert_eq!(waits, [("b", Some(2), "2")]);
    let old = alluvium_model::RunId::from_stored("old");
    assert!(store.ended_runs(&watch(0)).await.unwrap().is_empty(), "what ended before is not told now");
    assert!(!store.runs(9, &watch(0)).await.unwrap().iter().any(|r| r.run == old && r.tells));
}

#[tokio::test]
async fn reading_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/state.db");
    let store = SqliteStore::read(&path).await.unwrap();
    assert_eq!(store.runs(9, &watch(0)).await.unwrap(), []);
    assert!(store.tables(&watch(0)).await.unwrap().iter().all(|t| t.rows.is_empty()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // As a run leaves it that was killed before its first word.
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    assert_eq!(SqliteStore::read(&empty).await.unwrap().runs(9, &watch(0)).await.unwrap(), []);
    assert_eq!(std::fs::metadata(&empty).unwrap().len(), 0);
}

#[tokio::test]
async fn a_reader_sees_what_is_written_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(&folder).await;
    let reader = SqliteStore::read(&folder.path().join("state.db")).await.unwrap();
    started(&store).await;
    assert_eq!(reader.runs(9, &watch(0)).await.unwrap().len(), 1);
    let error = reader.finish_run(&run(), RunState::Done, at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    drop(store);
    assert_eq!(reader.runs(9, &watch(0)).await.unwrap()[0].state, RunState::Running);
}

#[tokio::test]
async fn the_files_tell_of_every_write() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (sqlite(&folder).await, sqlite(&folder).await);
    let before = store.stamp().expect("it is a file");
    let files = ["state.db", "state.db-wal"].map(|name| folder.path().join(name));
    let written = files.iter().filter_map(|f| f.metadata().ok()?.modified().ok()).max().unwrap();
    assert!(!before.is_distinct(written.try_into().unwrap()), "just then nobody can tell it from the next write");
    assert!(before.is_distinct(at(9_000_000_000)));
    store.runs(9, &watch(0)).await.unwrap();
    assert_eq!(store.stamp(), Some(before.clone()), "reading is no write");
    started(&other).await;
    let after = store.stamp();
    assert_ne!(after, Some(before));
    other.finish_run(&run(), RunState::Done, at(1)).await.unwrap();
    assert_ne!(store.stamp(), after);
    // The journal of a link lies elsewhere.
    std::os::unix::fs::symlink(folder.path().join("state.db"), folder.path().join("link.db")).unwrap();
    assert_eq!(SqliteStore::open(&folder.path().join("link.db")).await.unwrap().stamp(), None);
    assert_eq!(SqliteStore::read(&folder.path().join("none.db")).await.unwrap().stamp(), None);
}

/// The last writer takes its journal with it; who reads then leaves none behind.
#[tokio::test]
async fn a_reader_leaves_the_folder_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(&folder).await;
    started(&store).await;
    store.close().await.unwrap();
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["state.db"]);
    let reader = SqliteStore::read(&folder.path().join("state.db")).await.unwrap();
    assert_eq!(reader.runs(9, &watch(0)).await.unwrap().len(), 1);
    reader.close().await.unwrap();
    assert_eq!(names(), ["state.db"]);
}
