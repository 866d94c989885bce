//! Discards and notes of quarantines over a fresh store of whatever kind.

use crate::build::*;
use alluvium_store::{Discard, NewStep, Planned, QuarantineNote, Selection, StepKind, StepState, Store, Value};
use std::collections::BTreeMap;

fn step(key: &str) -> NewStep {
    NewStep {
        kind: StepKind::Discard,
        inputs: BTreeMap::new(),
        lookups: BTreeMap::from([(name("silver.flights"), 4)]),
        ..refine(key, -1, 0)
    }
}

fn said(step: &str, by: &str) -> Discard {
    Discard {
        step: key(step),
        dataset: name("silver.flights"),
        selection: Selection { rule: Some("it's \"new\"".into()), ..Selection::default() },
        by: by.into(),
        reason: "no flights".into(),
        run: run(),
        asked_at: at(1),
    }
}

pub async fn a_discard_is_written_down_with_its_step(store: &dyn Store) {
    started(store).await;
    assert_eq!(store.plan_discard(&step("d"), &said("d", "ann")).await.unwrap(), Planned::New);
    assert_eq!(store.plan_discard(&step("d"), &said("d", "bob")).await.unwrap(), Planned::Exists);
    assert_eq!(store.discard(&key("d")).await.unwrap(), Some(said("d", "ann")), "who came first");
    assert_eq!(store.discard(&key("e")).await.unwrap(), None);
    // One that made room is asked for anew, by somebody else.
    supersede(store, "d").await;
    assert_eq!(store.plan_discard(&step("d"), &said("d", "bob")).await.unwrap(), Planned::New);
    assert_eq!(store.discard(&key("d")).await.unwrap(), Some(said("d", "bob")));
    let tables = store.tables(&watch(0)).await.unwrap();
    let discards = tables.iter().find(|t| t.name == "discards").unwrap();
    assert_eq!(discards.rows.len(), 1);
    assert_eq!(discards.rows[0][3], Value::Text("bob".into()));
}

pub async fn a_discard_makes_no_version_active(store: &dyn Store) {
    started(store).await;
    store.plan_discard(&step("d"), &said("d", "ann")).await.unwrap();
    store.finish(&done("d")).await.unwrap();
    assert_eq!(found(store, "d").await.state, StepState::Done);
    assert!(store.versions().await.unwrap().iter().all(|v| !v.active));
}

pub async fn notes_stay_in_their_order(store: &dyn Store) {
    let note = |text: &str, column: Option<&str>| QuarantineNote {
        dataset: name("silver.flights"),
        selection: Selection { column: column.map(str::to_owned), ..Selection::default() },
        text: text.into(),
        by: "ann".into(),
        noted_at: at(2),
    };
    let all = [note("first", None), note("then 'this'", Some("dest"))];
    for n in &all {
        store.note_quarantine(n).await.unwrap();
    }
    assert_eq!(store.quarantine_notes(&name("silver.flights")).await.unwrap(), all);
    assert!(store.quarantine_notes(&name("silver.other")).await.unwrap().is_empty());
}
