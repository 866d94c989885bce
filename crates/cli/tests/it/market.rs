//! A project that touches every effect of a run, and what its tables, logs and state hold in the end.

use crate::{
    fixtures::{
        BRONZE_CUSTOMERS, BRONZE_ORDERS, CUSTOMERS, CUSTOMERS_CSV, GOLD_DAILY, SILVER_CUSTOMERS, orders_contract,
    },
    harness::{Project, Ran},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Two CSV drops and NDJSON, a reference, an upsert that deletes and quarantines, gold with and without a window.
pub const MARKET: &[(&str, &str)] = &[
    ("alluvium.yaml", "name: market\nsinks: { folder: { files: out/ } }\npublish: folder\n"),
    ("datasets/bronze/customers.yaml", BRONZE_CUSTOMERS),
    ("datasets/bronze/orders.yaml", BRONZE_ORDERS),
    ("datasets/bronze/clicks.yaml", "source: { files: landing/clicks/, glob: \"*.ndjson\", settle: 0s }\n"),
    ("datasets/silver/customers.yaml", SILVER_CUSTOMERS),
    (
        "datasets/silver/orders.yaml",
        "from: bronze.orders
contract: orders
steps:
  - normalize: { trim: \"*\", null_if: [\"\"] }
  - validate
write: { keys: [id], sequence_by: changed, delete_when: \"op = 'D'\" }
",
    ),
    (
        "datasets/silver/clicks.yaml",
        "from: bronze.clicks\ncontract: clicks\nsteps: [validate]\nwrite: append\npublish: folder\n",
    ),
    ("datasets/gold/daily.sql", GOLD_DAILY),
    (
        "datasets/gold/best.sql",
        "/* publish: folder */ SELECT o.customer, c.name, sum(o.amount) AS amount, count(*) AS orders
FROM silver.orders o JOIN silver.customers c ON o.customer = c.customer GROUP BY o.customer, c.name
",
    ),
    ("contracts/customers.odcs.yaml", CUSTOMERS),
    ("contracts/orders.odcs.yaml", ORDERS),
    ("contracts/clicks.odcs.yaml", CLICKS),
    ("landing/customers/customers.csv", CUSTOMERS_CSV),
    (
        "landing/orders/1.csv",
        "id,customer,day,amount,op,changed
1,c1,2024-01-01,10.50,I,1
2,c2,2024-01-01,-4,I,1
3,c1,2024-01-02,7.25,I,1
4,c9,2024-01-02,8.25,I,1
5,c2,2024-01-02,8.25,I,1
",
    ),
    (
        "landing/orders/2.csv",
        "id,customer,day,amount,op,changed\n1,c2,2024-01-03,11.50,U,2\n3,c1,2024-01-02,7.25,D,2\n6,c2,2024-01-04,1,I,1\n",
    ),
    ("landing/clicks/1.ndjson", "{\"id\":1,\"page\":\"x\"}\n{\"id\":2,\"page\":\"y\"}\n[1]\n{\"id\":\"no\"}\n"),
];

/// What a second run finds: the missing customer, late and later changes, new clicks.
pub const MORE: &[(&str, &str)] = &[
    ("landing/customers/more.csv", "customer,name\nc9,Cy\n"),
    (
        "landing/orders/3.csv",
        "id,customer,day,amount,op,changed
3,c1,2024-01-02,9,U,1
5,c1,2024-01-05,9.25,U,2
6,c2,2024-01-04,1,D,3
7,c8,2024-01-05,2,I,1
8,c9,2024-01-05,3,I,1
",
    ),
    ("landing/clicks/2.ndjson", "{\"id\":3}\n{\"id\":4,\"page\":\"z\"\n"),
];

pub const ORDERS_HEAD: &str = "id,customer,day,amount,op,changed\n";

const ORDERS: &str = orders_contract!(
    "      - { name: op, logicalType: string, required: true }
      - { name: changed, logicalType: integer, required: true }
"
);

const CLICKS: &str = "apiVersion: v3.1.0
kind: DataContract
id: market.clicks
name: clicks
version: 1.0.0
status: active
schema:
  - name: clicks
    properties:
      - { name: id, logicalType: integer, required: true }
      - { name: page, logicalType: string }
";

/// Tables and their columns, without what differs from run to run.
const TABLES: &[(&str, &str)] = &[
    ("bronze.customers", "customer, name, _rescued, _position, _event_id, _object"),
    ("bronze.orders", "id, customer, day, amount, op, changed, _rescued, _position, _event_id, _object"),
    ("bronze.clicks", "id, page, _rescued, _position, _event_id, _object"),
    ("silver.customers", "customer, name, _event_id, _position"),
    ("silver.orders", "id, customer, day, amount, op, changed, _event_id, _position"),
    ("silver.clicks", "id, page, _event_id, _position"),
    ("gold.daily", "day, orders, amount"),
    ("gold.best", "customer, name, amount, orders"),
];

/// Everything that has to be the same, whatever happened on the way.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    /// Rows by table.
    pub rows: BTreeMap<String, Vec<String>>,
    /// Commits that add or remove files, by table below the lake.
    pub commits: BTreeMap<String, usize>,
    /// By dataset: received, loaded, quarantined, dropped, dead, duplicates, late.
    pub balances: BTreeMap<String, [u64; 7]>,
}

/// Kills the command at a crash point. `false`: it ended well, without reaching the point so often.
#[track_caller]
pub fn killed_at(p: &Project, args: &[&str], point: &str, nth: usize) -> bool {
    killed(p.command(args), point, nth)
}

/// As [`killed_at`], of a command as it is.
#[track_caller]
pub fn killed(mut command: Command, point: &str, nth: usize) -> bool {
    let output = command.env("ALLUVIUM_CRASH_AT", format!("{point}:{nth}")).output().expect("the binary runs");
    let signal = output.status.signal();
    let ran = Ran::from(output);
    match (ran.code, signal) {
        (None, Some(9)) => true,
        (Some(0), _) => false,
        _ => panic!("{point}:{nth} ended by signal {signal:?}\n{ran}"),
    }
}

/// Runs `case` for each item, two at a time.
pub fn two_at_a_time<T: Sync>(items: &[T], case: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    case(item);
                }
            });
        }
    });
}

/// The same files in another folder. There are thousands, each compared with one that others read.
pub fn copied(from: &Project) -> Project {
    let to = Project::new(&[]);
    to.leave_unread();
    copy_folder(from.root(), to.root());
    to
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            // Modification times stay: a copy of a known file is the known file.
            let times = fs::metadata(entry.path()).and_then(|m| m.modified()).expect("a time");
            fs::copy(entry.path(), &target).expect("a copy");
            let file = fs::File::options().write(true).open(&target).expect("a file");
            file.set_modified(times).expect("a time set");
        }
    }
}

/// Reads all of it, and checks what has to hold for any project: balances, closed steps, one commit a step key.
#[track_caller]
pub fn held(p: &Project) -> Held {
    told(p);
    Held { rows: rows(p), commits: commits(p), balances: balances(p) }
}

/// Every commit of a dataset that publishes is told once, and so is every run that planned something; nothing else is.
#[track_caller]
pub fn told(p: &Project) {
    let sql = "SELECT dataset, step, committed FROM state.steps
               WHERE committed IS NOT NULL AND dataset IN ('silver.clicks', 'gold.best')";
    let file = |row: &Value| {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        format!("{}/{:020}-{}.json", text("dataset"), row["committed"].as_i64().expect("a version"), text("step"))
    };
    let mut expected: BTreeSet<String> = p.rows(sql).iter().map(file).collect();
    let runs = p.rows("SELECT run, count(*) AS steps, sum(received) AS received FROM state.steps GROUP BY run");
    for run in &runs {
        let file = format!("runs/run-{}.json", run["run"].as_str().expect("a run"));
        let event: Value =
            serde_json::from_slice(&fs::read(p.path("out").join(&file)).expect(&file)).expect("an event");
        assert_eq!(event["data"]["steps"]["expected"], run["steps"], "{event}");
        assert_eq!(event["data"]["balance"]["received"], run["received"], "{event}");
        expected.insert(file);
    }
    let mut found = BTreeSet::new();
    for dataset in fs::read_dir(p.path("out")).expect("a folder").map(|e| e.expect("an entry")) {
        for event in fs::read_dir(dataset.path()).expect("a folder").map(|e| e.expect("an entry")) {
            let name = event.file_name().to_string_lossy().into_owned();
            // A draft of a process that was killed.
            if !name.starts_with('.') {
                found.insert(format!("{}/{name}", dataset.file_name().to_string_lossy()));
            }
        }
    }
    assert_eq!(found, expected);
    assert_eq!(p.cell("SELECT count(*) FROM state.publications WHERE delivered_at IS NULL"), 0);
}

#[track_caller]
pub fn rows(p: &Project) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = |columns: &str| {
        let cells: Vec<String> = columns.split(", ").map(|c| format!("coalesce(CAST({c} AS VARCHAR), '~')")).collect();
        cells.join(" || '|' || ")
    };
    let plain: Vec<String> =
        TABLES.iter().map(|(t, c)| format!("SELECT '{t}' AS t, {} AS r FROM {t}", text(c))).collect();
    for row in p.rows(&format!("{} ORDER BY t, r", plain.join(" UNION ALL "))) {
        let cell = |name: &str| row[name].as_str().expect("a text").to_owned();
        all.entry(cell("t")).or_default().push(cell("r"));
    }
    let aside: Vec<String> = ["bronze_clicks", "silver_clicks", "silver_orders"]
        .iter()
        .filter(|t| p.path("lake/dev/quarantine").join(t.replace('_', ".")).exists())
        .map(|t| format!("SELECT '{t}' AS t, _event_id, _object, _position, record, reasons FROM quarantine.{t}"))
        .collect();
    for row in p.rows(&format!("{} ORDER BY t, _event_id, _position", aside.join(" UNION ALL "))) {
        let table = format!("quarantine.{}", row["t"].as_str().expect("a text"));
        all.entry(table).or_default().push(row.to_string());
    }
    all
}

/// Commits that change rows, by table; each transaction in a log has to be there once.
#[track_caller]
pub fn commits(p: &Project) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    let layers = fs::read_dir(p.path("lake/dev")).expect("a lake").map(|l| l.expect("a layer").path());
    for layer in layers.filter(|l| l.is_dir()) {
        for table in fs::read_dir(layer).expect("a layer") {
            let table = table.expect("a table").path();
            let (mut changes, mut seen) = (0, BTreeSet::new());
            let Ok(log) = fs::read_dir(table.join("_delta_log")) else { continue };
            for entry in log.map(|e| e.expect("an entry").path()).filter(|p| p.extension().is_some_and(|e| e == "json"))
            {
                let text = fs::read_to_string(&entry).expect("a log entry");
                let actions: Vec<Value> =
                    text.lines().map(|l| serde_json::from_str(l).expect("an action of the log")).collect();
                changes += usize::from(actions.iter().any(|a| !a["add"].is_null() || !a["remove"].is_null()));
                for step in actions.iter().filter_map(|a| a["txn"]["appId"].as_str()) {
                    assert!(seen.insert(step.to_owned()), "step {step} committed twice in {}", table.display());
                }
            }
            let name = table.strip_prefix(p.path("lake/dev")).expect("below the lake").display().to_string();
            all.insert(name, changes);
        }
    }
    all
}

#[track_caller]
pub fn balances(p: &Project) -> BTreeMap<String, [u64; 7]> {
    let mut all = BTreeMap::new();
    for row in p.rows("SELECT * FROM state.steps") {
        assert!(row["state"] == "done" || row["state"] == "superseded", "an open step: {row}");
        let names = ["received", "loaded", "quarantined", "dropped", "dead", "duplicates", "late"];
        let counts = names.map(|n| row[n].as_u64().expect("a count"));
        assert_eq!(counts[0], counts[1..].iter().sum::<u64>(), "not balanced: {row}");
        let sums: &mut [u64; 7] = all.entry(row["dataset"].as_str().expect("a name").to_owned()).or_default();
        sums.iter_mut().zip(counts).for_each(|(s, c)| *s += c);
    }
    all
}

pub fn put_all(p: &Project, files: &[(&str, &str)]) {
    for (path, text) in files {
        p.put(path, text.as_bytes());
    }
}
