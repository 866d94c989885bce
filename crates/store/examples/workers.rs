//! How many no-op steps a second several workers claim and finish, and how long one takes: from asking for it to its end.
//!
//! Run by a person: `cargo run --release -p alluvium-store --example workers -- WORKERS [FOLDER | URL]`. Each worker has a
//! connection of its own, as a process has. It writes below FOLDER (default: the folder for temporary files) and removes what
//! it wrote; or into a schema of the PostgreSQL database that URL names, one that is empty or not there, which stays.

use alluvium_model::{Balance, Clock, DefinitionVersion, PostgresUrl, RunId, Span, StatePlace, StepKey, SystemClock};
use alluvium_store::{
    Claim, LedgerEntry, NewStep, Owner, RunRecord, RunState, StateStore, StepDone, StepKind, Terms, Watch,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, error::Error};

const DATASETS: usize = 100;
const STEPS_OF_EACH: usize = 20;
const LEASE: Span = Span::from_secs(60);

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut args = std::env::args().skip(1);
    let workers: u32 = args.next().ok_or("say how many workers")?.parse()?;
    let argument = args.next();
    let folder = match argument.as_deref().filter(|a| !PostgresUrl::is_meant(a)) {
        Some(below) => tempfile::tempdir_in(below)?,
        None => tempfile::tempdir()?,
    };
    let place = match argument.filter(|a| PostgresUrl::is_meant(a)) {
        Some(url) => StatePlace::Postgres(url.parse()?),
        None => StatePlace::File(folder.path().join("state.db")),
    };
    let store = StateStore::open(&place).await?;
    let run = started(&store, 0).await?;
    store.plan_many(&planned(&run)?).await?;

    let start = SystemClock.now();
    let mut all = tokio::task::JoinSet::new();
    for number in 1..=workers {
        let store = StateStore::open(&place).await?;
        all.spawn(work(store, number));
    }
    let mut micros = Vec::new();
    while let Some(done) = all.join_next().await {
        micros.extend(done??);
    }
    let seconds = SystemClock.now().duration_since(start).as_secs_f64();
    micros.sort_unstable();
    let at = |share: usize| micros[(micros.len() - 1) * share / 100] as f64 / 1e3;
    let rate = micros.len() as f64 / seconds;
    println!("{workers} workers: {rate:>6.0} steps/s, p50 {:.2} ms, p99 {:.2} ms", at(50), at(99));
    Ok(())
}

async fn started(store: &StateStore, number: u32) -> Result<RunId, Failed> {
    let run = RunId::from_stored(format!("20260101T000000-{number:08}"));
    let record = RunRecord {
        run: run.clone(),
        command: "measure".to_owned(),
        state: RunState::Running,
        started_at: SystemClock.now(),
        finished_at: None,
        objects_new: 0,
        objects_duplicate: 0,
        objects_dead: 0,
    };
    store.start_run(&record, &owner(number), LEASE, &watch(SystemClock.now())).await?;
    Ok(run)
}

fn owner(number: u32) -> Owner {
    Owner { host: "here".into(), process: number, started_ticks: 0 }
}

fn watch(now: Timestamp) -> Watch<'static> {
    Watch { now, alive: &|_| true }
}

fn planned(run: &RunId) -> Result<Vec<NewStep>, Failed> {
    let step = |n: usize| {
        Ok(NewStep {
            key: StepKey::from_stored(format!("{:032x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            run: run.clone(),
            kind: StepKind::Curate,
            dataset: format!("gold.table_{}", n % DATASETS).parse()?,
            version: DefinitionVersion::from_stored("v1"),
            events: Vec::new(),
            inputs: BTreeMap::new(),
            lookups: BTreeMap::new(),
            windows: None,
            watermark: None,
            planned_at: SystemClock.now(),
        })
    };
    (0..DATASETS * STEPS_OF_EACH).map(step).collect()
}

/// Until nothing is left; how long each of its steps took, in microseconds.
async fn work(store: StateStore, number: u32) -> Result<Vec<i64>, Failed> {
    let run = started(&store, number).await?;
    let mut took = Vec::new();
    loop {
        let ready = store.ready_steps(&watch(SystemClock.now())).await?;
        if ready.is_empty() && store.open_steps().await?.is_empty() {
            return Ok(took);
        }
        for step in ready {
            let asked = SystemClock.now();
            let claim = store.claim(&step.key, &run, &owner(number), LEASE, &Terms::default(), &watch(asked)).await?;
            if claim == Claim::Taken {
                store.finish(&done(&run, &step.key)).await?;
                took.push(SystemClock.now().as_microsecond() - asked.as_microsecond());
            }
        }
    }
}

fn done(run: &RunId, key: &StepKey) -> StepDone {
    StepDone {
        key: key.clone(),
        run: run.clone(),
        finished_at: SystemClock.now(),
        committed: None,
        balance: Balance::default(),
        dead: Vec::new(),
        quality: Vec::new(),
        reached: None,
        ledger: LedgerEntry { attempt: 1, ..LedgerEntry::default() },
        publish: Vec::new(),
    }
}
