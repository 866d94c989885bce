//! A day of small arrivals, one in ten minutes, and the month after it: the real parts over a clock that the test owns, so that
//! the day takes no day.

use crate::{
    fixtures::{BRONZE_ORDERS, GOLD_DAILY},
    harness::Project,
};
use alluvium_flow::{Breakers, Flow, Hands, Options, Report, Signal, Timer};
use alluvium_lake::LakeEngine;
use alluvium_model::{Clock, Entropy, ManualClock, SystemClock, SystemEntropy};
use alluvium_source::files::FileLanding;
use alluvium_spec::Environment;
use alluvium_store::{Owner, StateStore};
use async_trait::async_trait;
use std::{fs, path::PathBuf, sync::Arc, time::Duration};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1_440 * MINUTE;
const ARRIVALS: u64 = 144;
/// Nine that wait for a tenth, and larger ones, each twice the size of all before it.
const MOST_FILES: u64 = 18;
const TABLES: [&str; 3] = ["bronze/orders", "silver/orders", "gold/daily"];

const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - { name: id, logicalType: integer, required: true }
      - { name: day, logicalType: date, required: true }
      - { name: amount, logicalType: integer, required: true }
      - { name: changed, logicalType: integer, required: true }
";

struct Quiet;

impl Report for Quiet {
    fn signal(&self, _: Signal) {}
}

/// No file settles and no step waits here; what is left are the renewals of leases.
struct Never;

#[async_trait]
impl Timer for Never {
    async fn wait(&self, _: Duration) {
        std::future::pending::<()>().await;
    }
}

/// A new order, and a change of one of seven that change all the time.
fn arrive(p: &Project, n: u64) {
    let day = 1 + n / 72;
    let text = format!("id,day,amount,changed\n{},2024-01-0{day},{n},1\n{},2024-01-0{day},1,{n}\n", 100 + n, n % 7);
    p.put(&format!("landing/orders/{n:05}.csv"), text.as_bytes());
}

/// Data files and log entries that lie in the table's folder.
fn on_disk(p: &Project, table: &str) -> (usize, usize) {
    let count = |folder: PathBuf, ending: &str| {
        let names = fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").file_name());
        names.filter(|n| n.to_string_lossy().ends_with(ending)).count()
    };
    let dir = p.path("lake/dev").join(table);
    (count(dir.clone(), ".parquet"), count(dir.join("_delta_log"), ".json"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_an_arrival_in_ten_minutes_leaves_few_files_and_a_short_log() {
    let p = Project::new(&[
        ("alluvium.yaml", "name: shop\n"),
        ("datasets/bronze/orders.yaml", BRONZE_ORDERS),
        (
            "datasets/silver/orders.yaml",
            "from: bronze.orders\ncontract: orders\nwrite: { keys: [id], sequence_by: changed }\n",
        ),
        ("datasets/gold/daily.sql", GOLD_DAILY),
        ("contracts/orders.odcs.yaml", CONTRACT),
    ]);
    let project = alluvium_spec::load(p.root(), &Environment::default()).expect("a project");
    // Ahead of the times of the files, which are those of the machine.
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    clock.advance_micros(60 * MINUTE);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let store = StateStore::open(&project.state).await.expect("a state");
    let engine = LakeEngine::new(&project, clock.clone(), entropy.clone()).expect("an engine");
    let landing = FileLanding::new(clock.clone(), engine.copies(), engine.buckets());
    let run = async || {
        let flow = Flow {
            project: &project,
            store: &*store,
            engine: &engine,
            landing: &landing,
            clock: clock.as_ref(),
            entropy: entropy.as_ref(),
            timer: &Never,
            report: &Quiet,
            breakers: &Breakers::default(),
            owner: Owner { host: "test".into(), process: 1, started_ticks: 1 },
            alive: &|_| true,
            hands: &Hands::new(1),
        };
        let summary = flow.run(&Options::default(), std::future::pending()).await.expect("it runs");
        let errors = store.open_steps().await.expect("steps").into_iter().filter_map(|s| s.error).collect::<Vec<_>>();
        assert!(summary.complete(), "{summary:?} {errors:?}");
        clock.advance_micros(10 * MINUTE);
    };
    for n in 0..ARRIVALS {
        arrive(&p, n);
        run().await;
        if n % 12 == 0 {
            for info in alluvium_lake::describe(&engine, &project).await.expect("tables") {
                assert!(info.files <= MOST_FILES, "{} has {} files after {n} arrivals", info.name, info.files);
            }
        }
    }
    let sums = "SELECT count(*) AS orders, sum(amount) AS amount FROM silver.orders";
    let expected = serde_json::json!({ "orders": ARRIVALS + 7, "amount": ARRIVALS * (ARRIVALS - 1) / 2 + 7 });
    assert_eq!(p.rows(sums), std::slice::from_ref(&expected));
    assert_eq!(p.rows("SELECT sum(orders) AS orders, sum(amount) AS amount FROM gold.daily"), [expected]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 2 * ARRIVALS);

    // Nothing of the day is old enough to go, until a month has passed. Then its traces are gone with the next checkpoint.
    let after_a_day = TABLES.map(|t| on_disk(&p, t));
    clock.advance_micros(31 * DAY);
    for n in ARRIVALS..ARRIVALS + 25 {
        arrive(&p, n);
        run().await;
    }
    for (table, (files, entries)) in TABLES.into_iter().zip(after_a_day) {
        assert!(entries as u64 > ARRIVALS, "{table}: {entries} entries");
        let (left, left_entries) = on_disk(&p, table);
        assert!(left < files / 2, "{table}: {left} of {files} files are left");
        assert!(left_entries < entries / 2, "{table}: {left_entries} of {entries} entries are left");
    }
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), ARRIVALS + 25 + 7);
    store.close().await.expect("closed");
}
