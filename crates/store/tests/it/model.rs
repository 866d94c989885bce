//! Random sequences of calls, compared after each with a model that is plain enough to be read.

use crate::{Fresh, build::*};
use alluvium_model::{DatasetName, DefinitionVersion};
use alluvium_store::{
    AfterFailure, Claim, Claimed, EventState, Failure, NewStep, NotYet, Owner, Planned, StepKind, StepState, Store,
    StoreError,
};
use proptest::{prelude::*, sample::select};
use std::collections::BTreeMap;

const EVENTS: [&str; 5] = ["1", "2", "3", "4", "5"];
const INPUTS: [&str; 2] = ["bronze.x", "bronze.y"];
const TTL: i64 = 60;

#[derive(Debug, Clone)]
struct Draft {
    key: u8,
    kind: StepKind,
    dataset: &'static str,
    version: &'static str,
    events: Vec<&'static str>,
    /// How far `after` lies off the position (0: on it), and how many versions the step reads.
    inputs: BTreeMap<&'static str, (i64, i64)>,
    whole: bool,
}

#[derive(Debug, Clone)]
enum Call {
    Plan(Vec<Draft>),
    Claim {
        key: u8,
        process: u32,
    },
    Renew {
        key: u8,
        process: u32,
    },
    Finish(Vec<(u8, Option<usize>)>),
    /// After so many seconds it may be tried again, unless it failed so often.
    Fail {
        key: u8,
        /// So many attempts ago.
        ago: u32,
        later: i64,
        most: u32,
    },
    Revive {
        key: u8,
    },
    Supersede {
        key: u8,
    },
    Wait(i64),
    Reopen,
}

fn draft() -> impl Strategy<Value = Draft> {
    let kinds = [StepKind::Ingest, StepKind::Refine, StepKind::Curate, StepKind::ReplayQuarantine, StepKind::Rebuild];
    // Mostly on the position, so that most steps are accepted.
    let offset = prop_oneof![6 => Just(0_i64), 1 => -3..=2_i64];
    (
        0..10_u8,
        select(kinds.to_vec()),
        select(vec!["silver.a", "silver.b"]),
        select(vec!["v1", "v2"]),
        prop::sample::subsequence(EVENTS.to_vec(), 0..=2),
        prop::collection::btree_map(select(INPUTS.to_vec()), (offset, 0..4_i64), 0..=2),
        any::<bool>(),
    )
        .prop_map(|(key, kind, dataset, version, events, inputs, whole)| Draft {
            key,
            kind,
            dataset,
            version,
            events,
            inputs,
            whole,
        })
}

fn call() -> impl Strategy<Value = Call> {
    let key = || 0..10_u8;
    let process = || select(vec![1, 2, 13_u32]);
    let dead = prop_oneof![3 => Just(None), 1 => (0..2_usize).prop_map(Some)];
    prop_oneof![
        6 => prop::collection::vec(draft(), 1..4).prop_map(Call::Plan),
        5 => (key(), process()).prop_map(|(key, process)| Call::Claim { key, process }),
        2 => (key(), process()).prop_map(|(key, process)| Call::Renew { key, process }),
        4 => prop::collection::vec((key(), dead), 1..3).prop_map(Call::Finish),
        3 => (key(), 0..2_u32, 0..3_i64, 1..4_u32)
            .prop_map(|(key, ago, later, most)| Call::Fail { key, ago, later, most }),
        1 => key().prop_map(|key| Call::Revive { key }),
        3 => key().prop_map(|key| Call::Supersede { key }),
        1 => select(vec![1, TTL - 1, TTL]).prop_map(Call::Wait),
        1 => Just(Call::Reopen),
    ]
}

#[derive(Debug, Clone)]
struct ModelStep {
    new: NewStep,
    state: StepState,
    attempts: u32,
    failures: u32,
    retry_at: i64,
    error: bool,
    lease: Option<(Owner, i64)>,
}

/// Steps in planning order; everything else follows from them.
#[derive(Debug, Clone, Default)]
struct Model {
    steps: Vec<ModelStep>,
    dead: Vec<&'static str>,
    /// Version of each dataset's step that was finished last.
    active: BTreeMap<DatasetName, DefinitionVersion>,
}

impl Model {
    fn find(&mut self, key: &str) -> Option<&mut ModelStep> {
        self.steps.iter_mut().find(|s| s.new.key.as_str() == key)
    }

    fn position(&self, dataset: &DatasetName, input: &DatasetName) -> Option<i64> {
        let of_dataset = |s: &&ModelStep| s.new.dataset == *dataset && s.state != StepState::Superseded;
        self.steps.iter().rev().filter(of_dataset).find_map(|s| s.new.inputs.get(input)).map(|c| c.upto)
    }

    fn event(&self, content: &str) -> EventState {
        let id = event_id(content);
        let holder = self.steps.iter().find(|s| s.state != StepState::Superseded && s.new.events.contains(&id));
        match holder.map(|s| s.state) {
            None | Some(StepState::Superseded) => EventState::Pending,
            Some(StepState::Done) if self.dead.contains(&content) => EventState::Dead,
            Some(StepState::Done) => EventState::Done,
            Some(StepState::Planned | StepState::Running | StepState::Failed | StepState::Dead) => EventState::Planned,
        }
    }

    fn plan(&mut self, new: NewStep) -> Planned {
        if self.find(new.key.as_str()).is_some_and(|s| s.state != StepState::Superseded) {
            return Planned::Exists;
        }
        let taken = |c: &&str| new.events.contains(&event_id(c)) && self.event(c) != EventState::Pending;
        if EVENTS.iter().any(taken) {
            return Planned::Conflict;
        }
        let anew = new.kind == StepKind::Rebuild || (new.kind == StepKind::Curate && new.windows.is_none());
        for (input, claimed) in &new.inputs {
            let at = self.position(&new.dataset, input).unwrap_or(-1);
            if claimed.after > at || (claimed.after < at && !anew) {
                return Planned::Conflict;
            }
        }
        let attempts = self.find(new.key.as_str()).map_or(0, |s| s.attempts);
        self.steps.retain(|s| s.new.key != new.key);
        let (state, error, lease) = (StepState::Planned, false, None);
        self.steps.push(ModelStep { new, state, attempts, failures: 0, retry_at: 0, error, lease });
        Planned::New
    }

    fn claim(&mut self, key: &str, by: Owner, now: i64) -> Option<Claim> {
        let step = self.find(key)?.clone();
        if matches!(step.state, StepState::Done | StepState::Superseded | StepState::Dead) {
            return Some(Claim::Closed);
        }
        let holder = self.steps.iter_mut().find(|s| s.new.dataset == step.new.dataset && s.lease.is_some());
        if let Some(holder) = holder {
            let (other, until) = holder.lease.clone().expect("found by its lease");
            if now < until && other.process != 13 {
                return Some(Claim::Held { by: other, until: at(until) });
            }
            holder.lease = None;
            holder.state = StepState::Planned;
            holder.failures += 1;
        }
        let step = self.find(key)?;
        if now < step.retry_at {
            return Some(Claim::NotYet { until: at(step.retry_at), why: NotYet::Delay });
        }
        step.state = StepState::Running;
        step.attempts += 1;
        step.lease = Some((by, now + TTL));
        Some(Claim::Taken { attempt: step.attempts, failures: step.failures })
    }

    /// `None` for a step that is not there, `Some(false)` for one that was superseded.
    fn finish(&mut self, key: &str, dead: Option<&'static str>) -> Option<bool> {
        let step = self.find(key)?;
        match step.state {
            StepState::Superseded => return Some(false),
            StepState::Done => return Some(true),
            StepState::Planned | StepState::Running | StepState::Failed | StepState::Dead => {}
        }
        step.state = StepState::Done;
        step.lease = None;
        let (dataset, version) = (step.new.dataset.clone(), step.new.version.clone());
        self.active.insert(dataset, version);
        self.dead.extend(dead);
        Some(true)
    }

    /// How many attempts it had.
    fn supersede(&mut self, key: &str) -> Option<u32> {
        let step = self.find(key)?;
        if step.state != StepState::Done {
            step.state = StepState::Superseded;
            step.lease = None;
        }
        Some(step.attempts)
    }

    fn fail(&mut self, key: &str, attempt: u32, retry_at: i64, most: u32) -> Option<AfterFailure> {
        let step = self.find(key)?;
        if matches!(step.state, StepState::Done | StepState::Superseded | StepState::Dead) {
            return Some(AfterFailure::Closed);
        }
        if step.attempts != attempt {
            return Some(AfterFailure::Closed);
        }
        (step.failures, step.error, step.lease) = (step.failures + 1, true, None);
        let dead = step.failures >= most;
        (step.state, step.retry_at) = if dead { (StepState::Dead, 0) } else { (StepState::Failed, retry_at) };
        Some(if dead { AfterFailure::Dead } else { AfterFailure::Open })
    }

    fn revive(&mut self, key: &str) -> Option<bool> {
        let step = self.find(key)?;
        let dead = step.state == StepState::Dead;
        if dead {
            (step.state, step.failures) = (StepState::Planned, 0);
        }
        Some(dead)
    }
}

fn step_of(draft: &Draft, model: &Model) -> NewStep {
    let dataset = name(draft.dataset);
    let claimed = |(input, (offset, length)): (&&str, &(i64, i64))| {
        let input = name(input);
        let after = model.position(&dataset, &input).unwrap_or(-1) + offset;
        (input, Claimed { after, upto: after + length })
    };
    NewStep {
        kind: draft.kind,
        version: DefinitionVersion::from_stored(draft.version),
        inputs: draft.inputs.iter().map(claimed).collect(),
        windows: (!draft.whole).then(Vec::new),
        dataset: dataset.clone(),
        ..ingest(&format!("k{}", draft.key), &draft.events)
    }
}

/// The `pick`-th event of a step dies.
fn dead_of(model: &Model, key: &str, pick: Option<usize>) -> Option<&'static str> {
    let step = model.steps.iter().find(|s| s.new.key.as_str() == key)?;
    let id = step.new.events.get(pick?)?;
    EVENTS.into_iter().find(|c| event_id(c) == *id)
}

fn refused(result: Result<(), StoreError>, known: bool) {
    match result {
        Ok(()) => assert!(known),
        Err(StoreError::Unknown { .. }) => assert!(!known),
        Err(other) => panic!("{other:?}"),
    }
}

async fn apply(call: &Call, store: &dyn Store, model: &mut Model, now: i64) {
    match call {
        Call::Plan(drafts) => {
            let steps: Vec<NewStep> = drafts.iter().map(|d| step_of(d, model)).collect();
            let expected: Vec<Planned> = steps.iter().map(|s| model.plan(s.clone())).collect();
            assert_eq!(store.plan_many(&steps).await.unwrap(), expected);
        }
        Call::Claim { key: k, process } => {
            let k = format!("k{k}");
            let expected = model.claim(&k, owner(*process), now);
            if expected.is_some() {
                assert_eq!(Some(claim(store, &k, *process, now).await), expected);
            }
        }
        Call::Renew { key: k, process } => {
            let k = format!("k{k}");
            let lease = model.find(&k).and_then(|s| s.lease.as_mut());
            let held = lease.filter(|(by, _)| *by == owner(*process));
            let ttl = alluvium_model::Span::from_secs(TTL);
            let renewed = store.renew(&key(&k), &owner(*process), at(now), ttl).await.unwrap();
            assert_eq!(renewed, held.is_some());
            if let Some((_, until)) = held {
                *until = now + TTL;
            }
        }
        Call::Finish(list) => finish(list, store, model).await,
        Call::Fail { key: k, ago, later, most } => {
            let k = format!("k{k}");
            let attempt = model.find(&k).map_or(0, |s| s.attempts).saturating_sub(*ago);
            let expected = model.fail(&k, attempt, now + later, *most);
            let answer = store.fail(&Failure { attempt, ..failure(&k, now, *later, *most) }).await;
            assert_eq!(answer.as_ref().ok(), expected.as_ref());
            refused(answer.map(drop), expected.is_some());
        }
        Call::Revive { key: k } => {
            let k = format!("k{k}");
            let expected = model.revive(&k);
            let answer = store.revive_step(&key(&k), false).await;
            assert_eq!(answer.as_ref().ok(), expected.as_ref());
            refused(answer.map(drop), expected.is_some());
        }
        Call::Supersede { key: k } => {
            let k = format!("k{k}");
            let known = model.supersede(&k);
            let answer = store.supersede(&key(&k), known.unwrap_or(0)).await;
            assert!(*answer.as_ref().unwrap_or(&true));
            refused(answer.map(drop), known.is_some());
        }
        Call::Wait(_) | Call::Reopen => {}
    }
}

async fn finish(list: &[(u8, Option<usize>)], store: &dyn Store, model: &mut Model) {
    let (mut after, mut ends, mut fine) = (model.clone(), Vec::new(), true);
    for (k, pick) in list {
        let k = format!("k{k}");
        let dead = dead_of(model, &k, *pick);
        let mut end = done(&k);
        end.dead.extend(dead.map(|c| (event_id(c), "unreadable".into())));
        ends.push(end);
        fine &= after.finish(&k, dead) == Some(true);
    }
    match store.finish_many(&ends).await {
        Ok(ended) => assert!(fine && ended),
        Err(StoreError::Unknown { .. } | StoreError::Superseded { .. }) => assert!(!fine),
        Err(other) => panic!("{other:?}"),
    }
    if fine {
        *model = after;
    }
}

async fn compare(store: &dyn Store, model: &Model) {
    let open: Vec<_> = store.open_steps().await.unwrap();
    let open: Vec<_> = open.into_iter().map(|s| (s.key, s.state, s.attempts, s.failures, s.error.is_some())).collect();
    let live = model.steps.iter().filter(|s| !matches!(s.state, StepState::Done | StepState::Superseded));
    let expected: Vec<_> = live.map(|s| (s.new.key.clone(), s.state, s.attempts, s.failures, s.error)).collect();
    assert_eq!(open, expected);
    for step in &model.steps {
        assert_eq!(store.step(&step.new.key).await.unwrap().unwrap().state, step.state);
    }
    for dataset in ["silver.a", "silver.b"].map(name) {
        let position = |i: &str| Some((name(i), model.position(&dataset, &name(i))?));
        let expected: BTreeMap<_, _> = INPUTS.iter().filter_map(|i| position(i)).collect();
        assert_eq!(store.positions(&dataset).await.unwrap(), expected);
    }
    let events = store.events(&EVENTS.map(event_id)).await.unwrap();
    let states: Vec<_> = events.iter().map(|e| e.state).collect();
    assert_eq!(states, EVENTS.map(|c| model.event(c)));
    let active = store.versions().await.unwrap().into_iter().filter(|v| v.active);
    let active: BTreeMap<_, _> = active.map(|v| (v.dataset, v.version)).collect();
    assert_eq!(active, model.active);
}

async fn play(fresh: Fresh, calls: &[Call]) {
    let mut store = fresh.open().await;
    started(&*store).await;
    store.record_events(&run(), &EVENTS.map(|c| event(c, c))).await.unwrap();
    let (mut model, mut now) = (Model::default(), 0);
    for call in calls {
        match call {
            Call::Wait(seconds) => now += seconds,
            Call::Reopen => store = fresh.open().await,
            _ => apply(call, &*store, &mut model, now).await,
        }
        compare(&*store, &model).await;
    }
}

fn played(fresh: Fresh, calls: &[Call]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(play(fresh, calls));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_over_a_file_agrees_with_the_model(calls in prop::collection::vec(call(), 1..40)) {
        played(Fresh::file(), &calls);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_over_a_database_agrees_with_the_model(calls in prop::collection::vec(call(), 1..40)) {
        played(Fresh::schema(), &calls);
    }
}
