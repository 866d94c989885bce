//! Short words for long records.

use alluvium_model::{
    Balance, ContentHash, DatasetName, DefinitionVersion, EventId, RetryClass, RunId, Span, StepKey, Window,
};
use alluvium_store::{
    AfterFailure, Claim, Claimed, EndedRun, EventState, Failure, LedgerEntry, NewEvent, NewStep, Owner, Planned,
    QualityResult, Recorded, RunRecord, RunState, Slot, StepDone, StepKind, StepRecord, Store, Terms, Watch,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

pub fn name(text: &str) -> DatasetName {
    text.parse().expect("a dataset name")
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("within the calendar")
}

pub fn run() -> RunId {
    RunId::from_stored("20260101T000000-00000001")
}

pub fn key(text: &str) -> StepKey {
    StepKey::from_stored(text)
}

pub fn owner(process: u32) -> Owner {
    Owner { host: "here".into(), process, started_ticks: u64::MAX - u64::from(process) }
}

pub fn run_record(run: &RunId, started: i64) -> RunRecord {
    RunRecord {
        run: run.clone(),
        command: "run".into(),
        state: RunState::Running,
        started_at: at(started),
        finished_at: None,
        objects_new: 0,
        objects_duplicate: 0,
        objects_dead: 0,
        tells: false,
    }
}

/// As a look that found it at that second. `None` of its steps, if that look did not find it ended.
pub async fn ended_at(store: &dyn Store, run: &RunId, now: i64) -> EndedRun {
    let all = store.ended_runs(&watch(now)).await.expect("read");
    let found = all.into_iter().find(|e| e.run.run == *run);
    found.unwrap_or_else(|| EndedRun { run: run_record(run, 0), datasets: BTreeMap::new() })
}

pub const MINUTE: Span = Span::from_secs(60);

/// At that second; process 13 is always dead.
pub fn watch(now: i64) -> Watch<'static> {
    Watch { now: at(now), alive: &|o| o.process != 13 }
}

/// Under a lease of a minute, of this process.
pub async fn start(store: &dyn Store, run: &RunId, process: u32, now: i64) {
    let record = run_record(run, now);
    store.start_run(&record, &owner(process), MINUTE, &watch(now)).await.expect("a run starts");
}

pub async fn started(store: &dyn Store) -> RunId {
    start(store, &run(), 1, 0).await;
    run()
}

pub fn event_id(content: &str) -> EventId {
    EventId::of(&name("bronze.flights"), &ContentHash::from_stored(content))
}

/// An event of `bronze.flights`.
pub fn event(path: &str, content: &str) -> NewEvent {
    NewEvent {
        event: event_id(content),
        dataset: name("bronze.flights"),
        path: path.into(),
        content: ContentHash::from_stored(content),
        bytes: 10,
        modified_nanos: 1,
        received_at: at(0),
    }
}

pub fn ingest(step: &str, events: &[&str]) -> NewStep {
    NewStep {
        key: key(step),
        run: run(),
        kind: StepKind::Ingest,
        dataset: name("bronze.flights"),
        version: DefinitionVersion::from_stored("v1"),
        events: events.iter().map(|c| event_id(c)).collect(),
        inputs: BTreeMap::new(),
        lookups: BTreeMap::new(),
        windows: None,
        watermark: None,
        planned_at: at(1),
    }
}

/// A step of `silver.flights` over `(after, upto]` of `bronze.flights`.
pub fn refine(step: &str, after: i64, upto: i64) -> NewStep {
    NewStep {
        kind: StepKind::Refine,
        dataset: name("silver.flights"),
        inputs: BTreeMap::from([(name("bronze.flights"), Claimed { after, upto })]),
        ..ingest(step, &[])
    }
}

pub fn curate(step: &str, after: i64, upto: i64, windows: Option<Vec<Window>>) -> NewStep {
    NewStep { kind: StepKind::Curate, windows, ..refine(step, after, upto) }
}

pub fn done(step: &str) -> StepDone {
    StepDone {
        key: key(step),
        run: run(),
        finished_at: at(9),
        committed: Some(3),
        balance: Balance { received: 5, loaded: 3, quarantined: 1, dropped: 1, ..Balance::default() },
        dead: Vec::new(),
        quality: Vec::new(),
        reached: None,
        ledger: LedgerEntry { attempt: 1, wall_micros: 7, rows_in: 5, rows_out: u64::MAX, ..LedgerEntry::default() },
        publish: Vec::new(),
    }
}

pub fn quality(rule: &str, note: Option<&str>) -> QualityResult {
    QualityResult {
        rule: rule.into(),
        action: "quarantine".into(),
        severity: "error".into(),
        dimension: note.map(|_| "validity".into()),
        checked: 5,
        violations: 1,
        passed: false,
        note: note.map(Into::into),
        figure: None,
    }
}

/// Whoever has it.
pub async fn supersede(store: &dyn Store, step: &str) {
    let attempts = store.step(&key(step)).await.unwrap().expect("it is there").attempts;
    assert!(store.supersede(&key(step), attempts).await.unwrap());
}

pub async fn claim(store: &dyn Store, step: &str, process: u32, now: i64) -> Claim {
    claim_in(store, &run(), step, process, now).await
}

pub async fn claim_in(store: &dyn Store, run: &RunId, step: &str, process: u32, now: i64) -> Claim {
    let terms = Terms::default();
    store.claim(&key(step), run, &owner(process), MINUTE, &terms, &watch(now)).await.expect("a claim is answered")
}

pub async fn claim_on(store: &dyn Store, terms: &Terms, step: &str, process: u32, now: i64) -> Claim {
    store.claim(&key(step), &run(), &owner(process), MINUTE, terms, &watch(now)).await.expect("a claim is answered")
}

/// At most so many steps with one of this key.
pub fn slots(key: &str, limit: u32) -> Terms {
    Terms { slots: vec![Slot { key: key.into(), limit }], ..Terms::default() }
}

/// The first step of so many datasets, `s0` of `silver.t0` and so on.
pub fn datasets(count: usize) -> Vec<NewStep> {
    let of = |n: usize| NewStep { dataset: name(&format!("silver.t{n}")), ..refine(&format!("s{n}"), -1, 1) };
    (0..count).map(of).collect()
}

/// That may pass: the next attempt may begin so many seconds later, if the step has not failed `most` times by now.
pub fn failure(step: &str, now: i64, later: i64, most: u32) -> Failure {
    Failure {
        key: key(step),
        run: run(),
        attempt: 0,
        error: "L0001: the disk is full".into(),
        class: RetryClass::Transient,
        at: at(now),
        retry_at: Some(at(now + later)),
        most,
        quality: Vec::new(),
    }
}

/// By its newest attempt.
pub async fn fail(store: &dyn Store, failure: &Failure) -> AfterFailure {
    let attempt = store.step(&failure.key).await.expect("read").expect("the step is there").attempts;
    store.fail(&Failure { attempt, ..failure.clone() }).await.expect("it is answered")
}

pub const NEW: Recorded = Recorded::New;

pub fn duplicate(first: &str) -> Recorded {
    Recorded::Duplicate { first_path: first.into() }
}

pub async fn recorded(store: &dyn Store, contents: &[&str]) {
    let events: Vec<_> = contents.iter().map(|c| event(&format!("{c}.csv"), c)).collect();
    store.record_events(&run(), &events).await.expect("recorded");
}

pub async fn planned(store: &dyn Store, step: &NewStep) -> Planned {
    store.plan(step).await.expect("planned")
}

pub async fn found(store: &dyn Store, step: &str) -> StepRecord {
    let found = store.step(&key(step)).await.expect("read").expect("the step is there");
    assert_eq!(store.step_state(&key(step)).await.expect("read"), Some(found.state));
    found
}

pub async fn position(store: &dyn Store) -> Option<i64> {
    let positions = store.positions(&name("silver.flights")).await.expect("read");
    positions.get(&name("bronze.flights")).copied()
}

pub async fn event_state(store: &dyn Store, content: &str) -> EventState {
    store.events(&[event_id(content)]).await.expect("read").pop().expect("the event is there").state
}

pub async fn open_keys(store: &dyn Store) -> Vec<String> {
    store.open_steps().await.expect("read").iter().map(|s| s.key.to_string()).collect()
}

pub async fn pending_paths(store: &dyn Store) -> Vec<String> {
    let pending = store.pending_events(&name("bronze.flights")).await.expect("read");
    pending.into_iter().map(|e| e.path).collect()
}
