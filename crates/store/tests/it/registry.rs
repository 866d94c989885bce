//! Versions of contracts and schemas: numbered, known again, in force one at a time, and decided by what was read.

use crate::{Fresh, build::*};
use alluvium_store::{NewSchema, Registered, Registry, Store};
use std::collections::BTreeMap;

fn schema(subject: &str, content: &str) -> NewSchema {
    NewSchema {
        subject: subject.to_owned(),
        language: "avro".to_owned(),
        identity: format!("i:{content}"),
        fingerprint: format!("f:{content}"),
        text: content.to_owned(),
        accepted: false,
    }
}

async fn all(store: &dyn Store) -> Registry {
    store.registry(None).await.unwrap()
}

/// Under what is there now.
async fn register(store: &dyn Store, new: &[NewSchema], second: i64) -> Vec<(u32, u32)> {
    let under = all(store).await.revision;
    match store.register(new, under, at(second)).await.unwrap() {
        Registered::Done(numbers) => numbers,
        Registered::Moved => panic!("nobody else writes"),
    }
}

fn periods(registry: &Registry) -> Vec<(&str, u32, i64, Option<i64>)> {
    let seconds = |t: jiff::Timestamp| t.as_second() - at(0).as_second();
    registry.in_force.iter().map(|f| (f.subject.as_str(), f.number, seconds(f.from), f.until.map(seconds))).collect()
}

pub async fn versions_are_numbered_within_their_subject(store: &dyn Store) {
    assert_eq!(all(store).await, Registry::default());
    let text = "{\"a\": '\0\u{1F600}'}\n";
    assert_eq!(
        register(store, &[schema("b", text), schema("a", "x"), schema("b", "y")], 1).await,
        [(1, 1), (1, 2), (2, 3)]
    );
    assert_eq!(register(store, &[NewSchema { accepted: true, ..schema("a", "z") }], 2).await, [(2, 4)]);
    let known = all(store).await;
    let told: Vec<_> = known.versions.iter().map(|v| (v.subject.as_str(), v.number, v.id, v.accepted)).collect();
    assert_eq!(told, [("a", 1, 2, false), ("a", 2, 4, true), ("b", 1, 1, false), ("b", 2, 3, false)]);
    let first = known.of("b").next().unwrap();
    assert_eq!((first.text.as_str(), first.registered_at, first.deleted_at), (text, at(1), None));
    assert_eq!((first.language.as_str(), first.identity.as_str()), ("avro", format!("i:{text}").as_str()));
    let one = store.registry(Some("a")).await.unwrap();
    assert_eq!(one.versions, known.of("a").cloned().collect::<Vec<_>>());
    assert_eq!((one.revision, one.in_force.len()), (known.revision, 2));
    assert!(store.registry(Some("none")).await.unwrap().versions.is_empty());
    let tables = store.tables(&watch(0)).await.unwrap();
    let rows = |name: &str| tables.iter().find(|t| t.name == name).unwrap().rows.len();
    assert_eq!((rows("contracts"), rows("contracts_in_force")), (4, 4));
}

pub async fn a_content_is_known_again(store: &dyn Store) {
    assert_eq!(register(store, &[schema("a", "x"), schema("b", "x")], 1).await, [(1, 1), (1, 1)]);
    let before = all(store).await;
    assert_eq!(register(store, &[schema("b", "x"), schema("a", "x")], 2).await, [(1, 1), (1, 1)]);
    assert_eq!(all(store).await, before, "nothing was written");
    let found = store.schema(1).await.unwrap();
    assert_eq!(found.iter().map(|v| (v.subject.as_str(), v.number)).collect::<Vec<_>>(), [("a", 1), ("b", 1)]);
    assert!(store.schema(2).await.unwrap().is_empty());
    // The same text in another language is another content.
    let other = NewSchema { language: "json-schema".to_owned(), ..schema("a", "x") };
    assert_eq!(register(store, &[other], 3).await, [(2, 2)]);
}

pub async fn the_version_in_force_is_one_and_its_history_has_no_gap(store: &dyn Store) {
    register(store, &[schema("a", "x")], 1).await;
    register(store, &[schema("a", "y")], 5).await;
    // Back to the first one, by a machine whose clock is late.
    assert_eq!(register(store, &[schema("a", "x")], 3).await, [(1, 1)]);
    let known = all(store).await;
    assert_eq!(periods(&known), [("a", 1, 1, Some(5)), ("a", 2, 5, Some(5)), ("a", 1, 5, None)]);
    assert_eq!((known.current("a"), known.current("b")), (Some(1), None));
}

pub async fn who_decided_by_an_older_revision_writes_nothing(store: &dyn Store) {
    let old = all(store).await.revision;
    register(store, &[schema("a", "x")], 1).await;
    let before = all(store).await;
    assert!(before.revision > old);
    assert_eq!(store.register(&[schema("a", "y")], old, at(2)).await.unwrap(), Registered::Moved);
    assert!(!store.set_mode(Some("a"), Some("FULL"), old).await.unwrap());
    assert!(!store.set_mode(None, Some("FULL"), old).await.unwrap());
    assert!(!store.delete_schemas("a", &[1], true, old, at(2)).await.unwrap());
    assert_eq!(all(store).await, before);
}

pub async fn what_is_deleted_is_out_of_use_and_its_number_stays(store: &dyn Store) {
    register(store, &[schema("a", "x"), schema("a", "y")], 1).await;
    let delete = async |numbers: &[u32], for_good: bool, second: i64| {
        let under = all(store).await.revision;
        assert!(store.delete_schemas("a", numbers, for_good, under, at(second)).await.unwrap());
    };
    delete(&[2], false, 3).await;
    let known = all(store).await;
    assert_eq!(known.of("a").map(|v| v.number).collect::<Vec<_>>(), [1]);
    assert_eq!(known.versions[1].deleted_at, Some(at(3)));
    assert_eq!(periods(&known), [("a", 1, 1, Some(1)), ("a", 2, 1, Some(3)), ("a", 1, 3, None)]);
    // It comes back as another version of the same content.
    assert_eq!(register(store, &[schema("a", "y")], 4).await, [(3, 2)]);
    delete(&[1, 2, 3], false, 5).await;
    assert_eq!((all(store).await.of("a").count(), all(store).await.current("a")), (0, None));
    delete(&[1, 2, 3], true, 6).await;
    let known = all(store).await;
    assert!(known.versions.is_empty() && known.in_force.is_empty());
    assert!(store.schema(2).await.unwrap().is_empty());
    // Neither number nor id is given to anything else.
    assert_eq!(register(store, &[schema("a", "z")], 7).await, [(4, 3)]);
}

pub async fn modes_are_kept_by_subject(store: &dyn Store) {
    let set = async |subject: Option<&str>, mode: Option<&str>| {
        let under = all(store).await.revision;
        assert!(store.set_mode(subject, mode, under).await.unwrap());
    };
    set(Some("b"), Some("FULL")).await;
    set(Some("a"), Some("NONE")).await;
    set(None, Some("FORWARD")).await;
    set(Some("a"), None).await;
    register(store, &[schema("b", "x")], 1).await;
    let known = all(store).await;
    assert_eq!(known.default_mode.as_deref(), Some("FORWARD"));
    assert_eq!(known.modes, BTreeMap::from([("b".to_owned(), "FULL".to_owned())]));
    set(None, None).await;
    assert_eq!(all(store).await.default_mode, None);
}

/// Each of many writers reads, decides and writes, until its text is in: every text has one number, and none is lost.
pub async fn writers_at_once_come_one_after_the_other(fresh: Fresh) {
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(std::sync::Arc::new(fresh.open().await));
    }
    let write = |n: usize| {
        let store = stores[n].clone();
        tokio::spawn(async move {
            for round in 0..5 {
                // Half of the texts are those of another writer, too.
                let new = [schema("s", &format!("{}-{round}", n / 2)), schema("own", &format!("{n}-{round}"))];
                loop {
                    let under = store.registry(Some("s")).await.unwrap().revision;
                    match store.register(&new, under, at(1)).await.unwrap() {
                        Registered::Done(numbers) => break assert_eq!(numbers.len(), 2),
                        Registered::Moved => {}
                    }
                }
            }
        })
    };
    let writers: Vec<_> = (0..stores.len()).map(write).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let known = stores[0].registry(None).await.unwrap();
    let numbers = |subject: &str| known.of(subject).map(|v| v.number).collect::<Vec<_>>();
    assert_eq!((numbers("s"), numbers("own")), ((1..=10).collect(), (1..=20).collect()));
    for subject in ["s", "own"] {
        assert_eq!(known.in_force.iter().filter(|f| f.subject == subject && f.until.is_none()).count(), 1);
    }
}
