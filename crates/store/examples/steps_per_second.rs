//! How many no-op steps a second the state plans and finishes, beside what the disk syncs a second.
//!
//! Run by a person: `cargo run --release -p alluvium-store --example steps_per_second [FOLDER | URL]`. It writes below
//! FOLDER (default: the folder for temporary files) and removes what it wrote; or into a schema of the PostgreSQL
//! database that URL names, one that is empty or not there, which stays.

use alluvium_model::{Balance, Clock, DefinitionVersion, PostgresUrl, RunId, Span, StatePlace, StepKey, SystemClock};
use alluvium_store::{
    LedgerEntry, NewStep, Owner, Planned, RunRecord, RunState, StateStore, StepDone, StepKind, Watch,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, error::Error, fs::File, io::Write, path::Path};

const STEPS: usize = 10_000;
const SYNCS: usize = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    if let Some(url) = argument.as_deref().filter(|a| PostgresUrl::is_meant(a)) {
        let url: PostgresUrl = url.parse()?;
        return measure_all(|chunk| {
            StatePlace::Postgres(PostgresUrl { schema: format!("{}_{chunk}", url.schema), ..url.clone() })
        })
        .await;
    }
    let folder = match argument {
        Some(below) => tempfile::tempdir_in(below)?,
        None => tempfile::tempdir()?,
    };
    println!("fsync probe: {:>8.0} syncs of 4 KiB/s", probe(folder.path())?);
    measure_all(|chunk| StatePlace::File(folder.path().join(format!("state-{chunk}.db")))).await
}

async fn measure_all(place: impl Fn(usize) -> StatePlace) -> Result<(), Box<dyn Error>> {
    for chunk in [1, 100, 1_000, STEPS] {
        // One step a transaction is bound by the disk; fewer of them say the same.
        let steps = if chunk == 1 { 500 } else { STEPS };
        let rate = measure(&place(chunk), steps, chunk).await?;
        println!("{chunk:>6} steps a transaction: {rate:>8.0} steps/s");
    }
    Ok(())
}

fn seconds_since(start: Timestamp) -> f64 {
    SystemClock.now().duration_since(start).as_secs_f64()
}

fn probe(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let mut file = File::create(folder.join("probe"))?;
    let start = SystemClock.now();
    for _ in 0..SYNCS {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
    }
    Ok(SYNCS as f64 / seconds_since(start))
}

async fn measure(place: &StatePlace, steps: usize, chunk: usize) -> Result<f64, Box<dyn Error>> {
    let store = StateStore::open(place).await?;
    let now = SystemClock.now();
    let run = RunId::from_stored("20260101T000000-00000000");
    let owner = Owner { host: "here".into(), process: std::process::id(), started_ticks: 0 };
    store.start_run(&started(&run, now), &owner, Span::from_secs(60), &Watch { now, alive: &|_| true }).await?;
    let planned: Vec<NewStep> = (0..steps).map(|n| no_op(&run, n, now)).collect::<Result<_, _>>()?;
    let done: Vec<StepDone> = planned.iter().map(|s| finished(&run, &s.key, now)).collect();

    let start = SystemClock.now();
    for (planned, done) in planned.chunks(chunk).zip(done.chunks(chunk)) {
        let answers = store.plan_many(planned).await?;
        if answers.iter().any(|a| *a != Planned::New) {
            return Err("a fresh state refused a step".into());
        }
        store.finish_many(done).await?;
    }
    Ok(steps as f64 / seconds_since(start))
}

fn started(run: &RunId, now: Timestamp) -> RunRecord {
    RunRecord {
        run: run.clone(),
        command: "measure".to_owned(),
        state: RunState::Running,
        started_at: now,
        finished_at: None,
        objects_new: 0,
        objects_duplicate: 0,
        objects_dead: 0,
        tells: false,
    }
}

fn no_op(run: &RunId, n: usize, now: Timestamp) -> Result<NewStep, Box<dyn Error>> {
    Ok(NewStep {
        key: StepKey::from_stored(format!("{:032x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
        run: run.clone(),
        kind: StepKind::Curate,
        dataset: format!("gold.table_{}", n % 100).parse()?,
        version: DefinitionVersion::from_stored("v1"),
        events: Vec::new(),
        inputs: BTreeMap::new(),
        lookups: BTreeMap::new(),
        windows: None,
        watermark: None,
        planned_at: now,
    })
}

fn finished(run: &RunId, key: &StepKey, now: Timestamp) -> StepDone {
    StepDone {
        key: key.clone(),
        run: run.clone(),
        finished_at: now,
        committed: None,
        balance: Balance::default(),
        dead: Vec::new(),
        quality: Vec::new(),
        reached: None,
        ledger: LedgerEntry { attempt: 1, ..LedgerEntry::default() },
        publish: Vec::new(),
    }
}
