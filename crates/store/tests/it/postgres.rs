//! What the database does beside the promises of every store: restarts, lost answers, other programs' tables, logins.

use crate::{
    Fresh,
    build::*,
    server::{SHARED, Server},
};
use alluvium_model::{Fault, PostgresUrl, RetryClass, RunId, StatePlace};
use alluvium_store::{Planned, PostgresStore, RunState, StateStore, StepState, Store, StoreError};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

fn url(text: &str) -> PostgresUrl {
    text.parse().unwrap()
}

fn fresh() -> PostgresUrl {
    url(&SHARED.url())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_restarts_is_waited_for_and_nothing_is_lost_or_done_twice() {
    const STEPS: i64 = 150;
    let server = Server::start();
    let store = Arc::new(PostgresStore::open(&url(&server.url())).await.unwrap());
    started(&*store).await;
    let (told, mut midst) = mpsc::channel(1);
    let worker = Arc::clone(&store);
    let work = tokio::spawn(async move {
        for n in 0..STEPS {
            let step = format!("s{n}");
            assert_eq!(worker.plan(&refine(&step, n - 1, n)).await.unwrap(), Planned::New);
            assert!(claim(&*worker, &step, 1, 0).await.is_taken());
            worker.finish(&done(&step)).await.unwrap();
            if n % 50 == 25 {
                told.send(()).await.unwrap();
            }
        }
    });
    while midst.recv().await.is_some() {
        tokio::task::block_in_place(|| {
            server.crash();
            server.start_again();
        });
    }
    work.await.unwrap();
    for n in 0..STEPS {
        let step = store.step(&key(&format!("s{n}"))).await.unwrap().unwrap();
        assert_eq!((step.state, step.attempts), (StepState::Done, 1));
    }
    let tables = store.tables(&watch(0)).await.unwrap();
    assert_eq!(tables.iter().find(|t| t.name == "ledger").unwrap().rows.len(), STEPS as usize);
}

/// Stands between store and server. At the n-th `COMMIT` it cuts the connection, before the server hears it or after
/// it answered, and lets `meanwhile` happen before the store can know; everything else passes.
async fn cutting(to: u16, nth: usize, after: bool, meanwhile: impl Fn() + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicUsize::new(0));
    let meanwhile = Arc::new(meanwhile);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("localhost", to)).await.unwrap();
            let (seen, meanwhile) = (Arc::clone(&seen), Arc::clone(&meanwhile));
            tokio::spawn(async move {
                let (mut client, mut server) = (client, server);
                let (mut said, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
                loop {
                    tokio::select! {
                        n = client.read(&mut said) => {
                            let n = n.unwrap_or(0);
                            let commit = said[..n].windows(7).any(|w| w == b"COMMIT\0");
                            let cut = commit && seen.fetch_add(1, Ordering::SeqCst) == nth;
                            if n == 0 {
                                return;
                            }
                            if !cut || after {
                                server.write_all(&said[..n]).await.unwrap();
                            }
                            if cut {
                                if after {
                                    assert!(server.read(&mut answered).await.unwrap() > 0);
                                }
                                // The server hears of the end, the store not yet.
                                drop(server);
                                return tokio::task::block_in_place(&*meanwhile);
                            }
                        }
                        n = server.read(&mut answered) => {
                            let n = n.unwrap_or(0);
                            if n == 0 || client.write_all(&answered[..n]).await.is_err() {
                                return;
                            }
                        }
                    }
                }
            });
        }
    });
    port
}

/// Its transactions in turn: migrate, start, plan, claim, fail, claim, finish.
async fn each_counts_once(through: u16, schema: &str, nth: usize, after: bool) {
    let to = url(&format!("postgres://alluvium@localhost:{through}/postgres?sslmode=disable&schema={schema}"));
    let store = PostgresStore::open(&to).await;
    let store = match store {
        Ok(store) => store,
        // Whoever opens is told at once; opening again finds what is there.
        Err(e) => {
            assert!(nth == 0 && e.class() == RetryClass::Transient, "{e}");
            PostgresStore::open(&to).await.unwrap()
        }
    };
    started(&store).await;
    assert_eq!(store.plan(&refine("a", -1, 1)).await.unwrap(), Planned::New, "{nth} {after}");
    assert!(claim(&store, "a", 1, 0).await.is_taken(), "{nth} {after}");
    fail(&store, &failure("a", 1, 0, 9)).await;
    assert!(claim(&store, "a", 1, 2).await.is_taken(), "{nth} {after}");
    store.finish(&done("a")).await.unwrap();
    let step = store.step(&key("a")).await.unwrap().unwrap();
    assert_eq!((step.state, step.attempts), (StepState::Done, 2), "{nth} {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_counts_once() {
    for nth in 0..7 {
        for after in [false, true] {
            let through = cutting(SHARED.port(), nth, after, || ()).await;
            each_counts_once(through, &SHARED.schema(), nth, after).await;
        }
    }
}

/// A server that crashed gives the ids of transactions that it forgot to others, which are committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_in_a_crash_counts_once() {
    let server = Arc::new(Server::start());
    for nth in 2..7 {
        for after in [false, true] {
            let crashing = Arc::clone(&server);
            let crash = move || {
                crashing.crash();
                crashing.start_again();
                for _ in 0..3 {
                    crashing.sql("SELECT pg_current_xact_id()");
                }
            };
            let through = cutting(server.port(), nth, after, crash).await;
            each_counts_once(through, &server.schema(), nth, after).await;
        }
    }
}

#[tokio::test]
async fn a_process_that_writes_has_one_row_and_those_long_gone_have_none() {
    let to = fresh();
    let writers = format!("SELECT count(*) FROM {}.writers", to.schema);
    let sleeper = PostgresStore::open(&to).await.unwrap();
    started(&sleeper).await;
    for n in 0..5 {
        assert_eq!(sleeper.plan(&refine(&format!("s{n}"), n - 1, n)).await.unwrap(), Planned::New);
    }
    assert_eq!(SHARED.sql(&writers), "1");
    SHARED.sql(&format!("UPDATE {}.writers SET at = at - INTERVAL '8 days'", to.schema));
    let other = PostgresStore::open(&to).await.unwrap();
    start(&other, &RunId::from_stored("20260101T000000-00000002"), 1, 0).await;
    assert_eq!(SHARED.sql(&writers), "1");
    assert_eq!(sleeper.plan(&refine("s5", 4, 5)).await.unwrap(), Planned::New);
    assert_eq!(SHARED.sql(&writers), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_nobody_knows_is_not_guessed() {
    for after in [false, true] {
        let schema = SHARED.schema();
        let forget = format!("SET lock_timeout = '20s'; DELETE FROM {schema}.writers");
        let cut = cutting(SHARED.port(), 2, after, move || drop(SHARED.sql(&forget)));
        let through = cut.await;
        let to = url(&format!("postgres://alluvium@localhost:{through}/postgres?sslmode=disable&schema={schema}"));
        let store = PostgresStore::open(&to).await.unwrap();
        started(&store).await;
        let error = store.plan(&refine("a", -1, 1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Lost { .. }), "{error:?}");
        let there = store.step(&key("a")).await.unwrap().is_some();
        assert_eq!(there, after);
    }
}

#[tokio::test]
async fn a_dropped_future_leaves_all_or_nothing() {
    let store = PostgresStore::open(&fresh()).await.unwrap();
    started(&store).await;
    let mut refused = 0;
    for n in 0..30_u32 {
        let step = format!("s{n}");
        let new = curate(&step, -1, 0, None);
        let new = alluvium_store::NewStep { dataset: name(&format!("gold.t{n}")), ..new };
        let mut polls = 0;
        let told = {
            let mut planning = pin!(store.plan(&new));
            poll_fn(|context| match planning.as_mut().poll(context) {
                Poll::Pending if polls > n / 2 => Poll::Ready(false),
                Poll::Pending => {
                    polls += 1;
                    Poll::Pending
                }
                Poll::Ready(answer) => Poll::Ready(answer.is_ok()),
            })
            .await
        };
        refused += usize::from(!told);
        // A commit that was on its way may arrive between two questions.
        let (there, position) = loop {
            let before = store.step(&key(&step)).await.unwrap().is_some();
            let position = store.positions(&new.dataset).await.unwrap();
            if store.step(&key(&step)).await.unwrap().is_some() == before {
                break (before, position);
            }
        };
        assert!(there || !told);
        assert_eq!(position.len(), usize::from(there));
    }
    assert!(refused > 0, "no future was dropped half-way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_fresh_schema_at_once() {
    let to = fresh();
    let open = |_| {
        tokio::spawn({
            let to = to.clone();
            async move { PostgresStore::open(&to).await.map(drop) }
        })
    };
    for opened in (0..8).map(open).collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_schema_of_another_program_is_left_alone() {
    let to = fresh();
    SHARED.sql(&format!("CREATE SCHEMA {0}; CREATE TABLE {0}.theirs (x int)", to.schema));
    for error in [PostgresStore::open(&to).await.unwrap_err(), PostgresStore::read(&to).await.unwrap_err()] {
        assert!(matches!(error, StoreError::ForeignSchema { .. }), "{error:?}");
    }
    let tables = format!("SELECT count(*) FROM pg_tables WHERE schemaname = '{}'", to.schema);
    assert_eq!(SHARED.sql(&tables), "1");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let to = fresh();
    PostgresStore::open(&to).await.unwrap().close().await.unwrap();
    SHARED.sql(&format!("UPDATE {}.state_version SET version = 99", to.schema));
    let error = PostgresStore::open(&to).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, known: 16 }), "{error:?}");
    assert_eq!(SHARED.sql(&format!("SELECT version FROM {}.state_version", to.schema)), "99");
}

#[tokio::test]
async fn reading_makes_nothing_and_writes_nothing() {
    let to = fresh();
    let place = StatePlace::Postgres(to.clone());
    let store = StateStore::read(&place).await.unwrap();
    assert_eq!(store.runs(9, &watch(0)).await.unwrap(), []);
    let schemas = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{}'", to.schema);
    assert_eq!(SHARED.sql(&schemas), "0");

    let writer = StateStore::open(&place).await.unwrap();
    started(&*writer).await;
    let reader = StateStore::read(&place).await.unwrap();
    assert_eq!(reader.runs(9, &watch(0)).await.unwrap().len(), 1);
    let error = reader.finish_run(&run(), RunState::Done, at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert_eq!(reader.runs(9, &watch(0)).await.unwrap()[0].state, RunState::Running);
}

#[tokio::test]
async fn a_cell_that_nobody_wrote_is_told_with_its_column() {
    let fresh = Fresh::schema();
    let StatePlace::Postgres(to) = &fresh.place else { panic!("a schema") };
    let store = fresh.open().await;
    started(&*store).await;
    store.plan(&refine("a", -1, 3)).await.unwrap();
    SHARED.sql(&format!("UPDATE {}.steps SET kind = 'guess'", to.schema));
    let error = store.open_steps().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable { column: "kind", .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_listens_or_nobody_is_let_in() {
    let port = SHARED.port();
    let refused = |error: &StoreError| matches!(error, StoreError::Refused { .. });
    let lost = |error: &StoreError| matches!(error, StoreError::Lost { .. });
    type Is<'a> = &'a dyn Fn(&StoreError) -> bool;
    let cases: [(String, Is<'_>); 5] = [
        ("postgres://alluvium@127.0.0.1:1/postgres?sslmode=disable".to_owned(), &lost),
        (format!("postgres://alluvium@localhost:{port}/nowhere?sslmode=disable"), &refused),
        (format!("postgres://alluvium@localhost:{port}/locked?sslmode=disable"), &refused),
        // Its authority is none of the system's.
        (format!("postgres://alluvium@localhost:{port}/postgres"), &refused),
        (
            format!("postgres://alluvium:${{ALLUVIUM_NOWHERE_SET}}@localhost:{port}/locked?sslmode=disable"),
            &|e| matches!(e, StoreError::NoPassword { variable } if variable == "ALLUVIUM_NOWHERE_SET"),
        ),
    ];
    for (text, is) in cases {
        let error = PostgresStore::open(&url(&text)).await.unwrap_err();
        assert!(is(&error), "{text}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate() {
    let (port, authority, schema) = (SHARED.port(), SHARED.authority(), SHARED.schema());
    let to = |host: &str| {
        let authority = authority.display();
        url(&format!("postgres://alluvium@{host}:{port}/postgres?schema={schema}&sslrootcert={authority}"))
    };
    started(&PostgresStore::open(&to("localhost")).await.unwrap()).await;
    let error = PostgresStore::open(&to("127.0.0.1")).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert_eq!(error.class(), RetryClass::Auth);
}
