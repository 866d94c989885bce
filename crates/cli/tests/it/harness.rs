//! A project in a folder of its own, and the real binary run on it.

use crate::fixtures::{
    BRONZE_CUSTOMERS, BRONZE_ORDERS, CUSTOMERS, CUSTOMERS_CSV, GOLD_DAILY, SILVER_CUSTOMERS, orders_contract,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// A small shop: customers and orders, a reference between them, a gold table by day.
pub const SHOP: &[(&str, &str)] = &[
    ("alluvium.yaml", "name: shop\n"),
    ("datasets/bronze/customers.yaml", BRONZE_CUSTOMERS),
    ("datasets/bronze/orders.yaml", BRONZE_ORDERS),
    ("datasets/silver/customers.yaml", SILVER_CUSTOMERS),
    (
        "datasets/silver/orders.yaml",
        "from: bronze.orders
contract: orders
steps:
  - normalize: { trim: \"*\", null_if: [\"\"] }
  - validate
write: { keys: [id], sequence_by: updated_at }
",
    ),
    ("datasets/gold/daily.sql", GOLD_DAILY),
    ("contracts/customers.odcs.yaml", CUSTOMERS),
    ("contracts/orders.odcs.yaml", ORDERS),
    ("landing/customers/customers.csv", CUSTOMERS_CSV),
    (
        "landing/orders/2024-01-01.csv",
        "id,customer,day,amount,updated_at
1,c1,2024-01-01,10.50,2024-01-01T10:00:00Z
2,c2,2024-01-01,-4,2024-01-01T11:00:00Z
3,c1,2024-01-02,7.25,2024-01-02T09:00:00Z
",
    ),
];

/// One order, of a customer that the shop does not know yet.
pub const STRANGER: &str = "id,customer,day,amount,updated_at\n4,c9,2024-01-02,1.00,2024-01-02T12:00:00Z\n";

const ORDERS: &str = orders_contract!(
    "      - { name: updated_at, logicalType: timestamp, required: true }
"
);

pub struct Project {
    folder: tempfile::TempDir,
    is_unread: AtomicBool,
    /// Set for every command.
    variables: Vec<(String, String)>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ran {
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    /// With these files, by path.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let project = Self { folder, is_unread: AtomicBool::new(false), variables: Vec::new() };
        for (path, text) in files {
            project.put(path, text.as_bytes());
        }
        project
    }

    pub fn shop() -> Self {
        Self::new(SHOP)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// At once: a process that looks meanwhile sees all of it, or what was there before.
    pub fn put(&self, path: &str, content: &[u8]) {
        let at = self.path(path);
        fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
        // Beside the project, where nobody looks, and closed before it is moved, so that it gives one notice.
        let aside = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        fs::write(&aside, content).expect("written");
        aside.persist(at).expect("moved");
    }

    /// Replaces a text that is there in a file.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).expect("a file");
        assert!(text.contains(from), "{path} does not hold `{from}`");
        self.put(path, text.replace(from, to).as_bytes());
    }

    /// An environment variable of all commands from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// In the project's folder, with nothing of the surrounding environment that the product reads.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alluvium"));
        for (name, _) in std::env::vars_os() {
            if ["ALLUVIUM_", "AWS_", "GOOGLE_", "AZURE_", "AZURITE_"]
                .iter()
                .any(|p| name.to_string_lossy().starts_with(p))
            {
                command.env_remove(name);
            }
        }
        command.args(args).current_dir(self.root()).env("NO_COLOR", "1").stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(n, v)| (n, v)));
        command
    }

    pub fn alluvium(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("the binary runs").into()
    }

    /// As [`Project::alluvium`], and it has to end well.
    #[track_caller]
    pub fn done(&self, args: &[&str]) -> Ran {
        let ran = self.alluvium(args);
        assert_eq!(ran.code, Some(0), "alluvium {}\n{ran}", args.join(" "));
        ran
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--format", "json"]].concat();
        let ran = self.alluvium(&args);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("alluvium {}: {e}\n{ran}", args.join(" ")))
    }

    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Value> {
        self.json(&["query", sql]).as_array().expect("rows").clone()
    }

    /// As [`Project::rows`], while others work: none as long as a table is not there.
    pub fn rows_by_now(&self, sql: &str) -> Vec<Value> {
        let ran = self.alluvium(&["query", sql, "--format", "json"]);
        if ran.code == Some(0) { serde_json::from_str(&ran.stdout).expect("rows") } else { Vec::new() }
    }

    /// A query's only cell.
    #[track_caller]
    pub fn cell(&self, sql: &str) -> Value {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].as_object().and_then(|o| o.values().next()).expect("a cell").clone()
    }

    /// Table version of each dataset; none where there is no table.
    #[track_caller]
    pub fn versions(&self) -> BTreeMap<String, Option<i64>> {
        let shown = self.json(&["show", "datasets"]);
        let line = |l: &Value| (l["dataset"].as_str().expect("a name").to_owned(), l["table_version"].as_i64());
        shown.as_array().expect("datasets").iter().map(line).collect()
    }

    /// Every row of every silver and gold table and of every quarantine, without what differs from run to run.
    #[track_caller]
    pub fn tables(&self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::new();
        let shown = self.json(&["show", "datasets"]);
        for line in shown.as_array().expect("datasets") {
            let name = line["dataset"].as_str().expect("a name");
            if line["table_version"].is_i64() {
                all.insert(name.to_owned(), self.sorted(&format!("SELECT * FROM {name}")));
            }
            if line["quarantined"].as_u64() > Some(0) {
                let table = format!("quarantine.{}", name.replace('.', "_"));
                let sql = format!("SELECT _event_id, _object, _position, record, reasons FROM {table}");
                all.insert(table.clone(), self.sorted(&sql));
            }
        }
        all
    }

    /// Others do not read what it leaves: they cannot, or they read one that is the same.
    pub fn leave_unread(&self) {
        self.is_unread.store(true, Ordering::Relaxed);
    }

    fn sorted(&self, sql: &str) -> Vec<String> {
        const PASSING: [&str; 3] = ["_run_id", "_received_at", "_step_key"];
        let mut rows: Vec<String> = self
            .rows(sql)
            .into_iter()
            .map(|mut row| {
                let fields = row.as_object_mut().expect("a row");
                PASSING.iter().for_each(|f| drop(fields.remove(*f)));
                row.to_string()
            })
            .collect();
        rows.sort();
        rows
    }
}

/// Whatever tables a test leaves are read by others too.
impl Drop for Project {
    fn drop(&mut self) {
        let is_whole = !self.is_unread.load(Ordering::Relaxed) && !std::thread::panicking();
        if is_whole && std::env::var_os(PYTHON).is_some() {
            compared_with_others(self);
        }
    }
}

/// Readers that share no code with us see what we say is there.
#[track_caller]
pub fn readers_agree(p: &Project) {
    let shown = p.json(&["show", "datasets"]);
    assert!(shown.as_array().is_some_and(|all| all.iter().any(|of| of["rows"].is_u64())), "{shown}");
    assert!(compared_with_others(p) >= 4, "tables of three layers and what became of their records");
}

/// How many tables there are.
#[track_caller]
fn compared_with_others(p: &Project) -> usize {
    let read = others_read(p.root());
    if read.is_empty() {
        return 0;
    }
    let shown = p.alluvium(&["show", "datasets", "--format", "json"]);
    // The project need not be whole any more.
    let datasets: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap_or_default();
    for of in &datasets {
        let name = of["dataset"].as_str().expect("a name");
        if let Some((version, rows)) = read.get(&format!("lake.dev.{name}")) {
            assert_eq!(
                (&of["table_version"], &of["rows"]),
                (&json!(version), &json!(rows)),
                "{name}, and as others read it"
            );
        }
        if let Some((_, rows)) = read.get(&format!("lake.dev.quarantine.{name}")) {
            assert_eq!(of["quarantined"], *rows, "the quarantine of {name}, and as others read it");
        }
    }
    read.len()
}

/// With that ending, at any depth.
pub fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found
}

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

const PYTHON: &str = "ALLUVIUM_TEST_PYTHON";

/// The Python of the tests, with the pinned packages.
pub fn test_python() -> PathBuf {
    let Some(python) = std::env::var_os(PYTHON) else {
        panic!("{PYTHON} is not set: run the tests with `cargo xtask test`, which makes that environment");
    };
    python.into()
}

/// Version and rows of each table below a folder, by its path with dots, as readers read it that share no code with us: Delta's own, Polars and
/// DuckDB. They have to read the same rows, and its change feed has to give them.
#[track_caller]
pub fn others_read(folder: &Path) -> BTreeMap<String, (i64, u64)> {
    static OTHERS: Mutex<Option<Others>> = Mutex::new(None);
    let mut others = OTHERS.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = others.get_or_insert_with(Others::start).read(folder);
    let mut answer: Value = serde_json::from_str(&answer).expect("a line of JSON");
    assert!(answer["differ"].is_null(), "{answer}");
    serde_json::from_value(answer["tables"].take()).expect("tables")
}

/// One process for all tests: its start takes longer than what it reads.
struct Others {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Others {
    fn start() -> Self {
        let mut python = Command::new(test_python());
        let mut process = python
            .arg(repository().join("tests/readers.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, answers }
    }

    fn read(&mut self, folder: &Path) -> String {
        let asks = self.process.stdin.as_mut().expect("a pipe");
        writeln!(asks, "{}", folder.display()).expect("it reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        answer
    }
}

/// What a script of the repository writes; it has to end well.
#[track_caller]
pub fn python(script: &str, args: &[&OsStr]) -> String {
    python_with(script, args, &[])
}

/// As [`python`], with variables of its environment.
#[track_caller]
pub fn python_with(script: &str, args: &[&OsStr], variables: &[(&str, String)]) -> String {
    let mut python = Command::new(test_python());
    python.arg(repository().join(script)).args(args).envs(variables.iter().map(|(n, v)| (n, v)));
    let ran = Ran::from(python.output().expect("python runs"));
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.stdout
}

impl Ran {
    #[track_caller]
    pub fn said(&self, text: &str) {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "`{text}` was not said\n{self}");
    }
}

impl From<Output> for Ran {
    fn from(o: Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { code: o.status.code(), stdout: text(&o.stdout), stderr: text(&o.stderr) }
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}
