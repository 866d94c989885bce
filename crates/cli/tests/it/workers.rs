//! `alluvium worker` as a process, beside a service or a run, over a file and over a real database.

use crate::{
    clouds::Cloud,
    harness::{Project, Ran, SHOP, test_python},
    market::{MARKET, MORE, balances, copied, held, killed_at, put_all, told},
    proxy::{Fault, Proxy},
    server::Server,
    serving::Serving,
    stopped::{Stopped, is_stopped, signalled},
};
use alluvium_model::{Clock, Entropy, SeededEntropy, SystemClock};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

fn worker(p: &Project) -> Serving {
    Serving::spawn(p.command(&["worker"]))
}

/// The same files, and a fresh state in the database.
fn over(server: &Server, from: &Project) -> Project {
    let to = copied(from);
    to.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", server.url()));
    to
}

#[test]
fn a_worker_executes_what_another_process_planned() {
    let p = Project::new(SHOP);
    assert!(killed_at(&p, &["run"], "plan.after_record", 1));
    let worker = worker(&p);
    worker.wait_for("working for shop");
    worker.wait_for("done bronze.");
    worker.wait_for("ended");
    let ran = worker.stop();
    assert_eq!(ran.code, Some(0), "{ran}");
    let runs = p.json(&["show", "runs"]);
    assert_eq!((&runs[0]["command"], &runs[0]["state"]), (&"worker".into(), &"done".into()), "{runs:#}");
    p.done(&["run"]);
    let calm = Project::new(SHOP);
    calm.done(&["run"]);
    assert_eq!(p.tables(), calm.tables());
}

#[test]
fn a_worker_at_rest_sleeps_until_something_is_planned() {
    let p = Project::new(SHOP);
    let worker = worker(&p);
    worker.wait_for("working for shop");
    assert!(worker.comes_to_rest());
    let start = SystemClock.now();
    assert!(killed_at(&p, &["run"], "plan.after_record", 1));
    worker.wait_for("done bronze.");
    let passed = SystemClock.now().duration_since(start).as_secs();
    assert!(passed < 45, "it looks by itself after a minute only, and took {passed} s");
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn an_idle_worker_makes_no_runs_and_stops_at_once() {
    let p = Project::new(SHOP);
    p.done(&["run"]);
    let worker = worker(&p);
    worker.wait_for("working for shop");
    let ran = worker.stop();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(p.json(&["show", "runs"]).as_array().map(Vec::len), Some(1));
}

/// Another program that holds the state file.
struct Locked(Child);

impl Locked {
    fn over(p: &Project) -> Self {
        let script = "import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=300)
held.execute('BEGIN EXCLUSIVE')
print('held', flush=True)
sys.stdin.read()";
        let mut command = Command::new(test_python());
        command.args(["-c", script]).arg(p.path(".alluvium/dev.db"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it answers");
        assert_eq!(line.trim(), "held");
        Self(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_state_file_that_another_program_holds_is_told_and_survived() {
    let p = Project::new(SHOP);
    assert!(killed_at(&p, &["run"], "plan.after_record", 2));
    let worker = worker(&p);
    worker.wait_for("working for shop");
    let locked = Locked::over(&p);
    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    ran.said("S0001");
    assert!(worker.lives(), "a worker waits for it");
    drop(locked);
    p.done(&["run"]);
    let ran = worker.stop();
    assert_eq!(ran.code, Some(0), "{ran}");
    let calm = Project::new(SHOP);
    calm.done(&["run"]);
    assert_eq!(p.tables(), calm.tables());
}

/// As when time has passed: nobody holds a lease any more. Those of processes that are stopped are not renewed.
fn leases_end(p: &Project) {
    let script = "import sqlite3, sys
state = sqlite3.connect(sys.argv[1], timeout=300)
state.execute('UPDATE leases SET until = 0')
state.execute('UPDATE runs SET until = 0')
state.commit()";
    let mut python = Command::new(test_python());
    let ran = Ran::from(python.args(["-c", script]).arg(p.path(".alluvium/dev.db")).output().expect("python runs"));
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// Its first turn hangs on a step that another process holds; what has nothing to do with that goes on.
#[test]
fn a_service_does_not_wait_for_what_others_hold() {
    // Orders are all that the other one finds, so that it is stopped with their step.
    let (others, first): (Vec<_>, Vec<_>) =
        MARKET.iter().copied().partition(|(path, _)| path.starts_with("landing/") && !path.contains("/orders/"));
    let p = Project::new(&first);
    p.edit("alluvium.yaml", "name: market", "limits: { lease: 1h }\nname: market");
    for (path, _) in &others {
        fs::create_dir_all(p.path(path).parent().expect("a parent")).expect("a folder");
    }
    let holder = Stopped::at(&p, &["run"], "step.after_claim");
    let held = p.rows("SELECT dataset FROM state.steps WHERE state = 'running'");
    assert_eq!(held, [json!({ "dataset": "bronze.orders" })]);
    put_all(&p, &others);
    let serving = Serving::start(&p, &[]);
    serving.wait_for_all(&["bronze.orders: waiting for process", "done silver.clicks"]);
    p.put("landing/clicks/2.ndjson", b"{\"id\":3}\n");
    serving.wait_for("bronze.clicks: 1 new file");
    serving.wait_for("done silver.clicks");
    drop(holder);
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM silver.clicks"), 3);
}

const BACKFILL: [&str; 11] = [
    "backfill",
    "gold.daily",
    "--from",
    "2024-01-01",
    "--to",
    "2024-01-11",
    "--window",
    "2d",
    "--swap",
    "--max-active-runs",
    "3",
];
/// Of the five.
const MADE: &str = "SELECT count(*) FROM state.steps WHERE kind = 'backfill' AND state = 'done'";

/// After its first run gold is defined in another way. Whoever is stopped keeps what it has.
fn to_backfill(p: &Project) {
    p.edit("alluvium.yaml", "name: market", "limits: { lease: 1h }\nname: market");
    p.done(&["run"]);
    p.edit("datasets/gold/daily.sql", "sum(amount) AS amount", "sum(amount) * 2 AS amount");
}

/// What a run makes of the new definition.
fn from_scratch() -> Project {
    let anew = Project::new(MARKET);
    anew.edit("datasets/gold/daily.sql", "sum(amount) AS amount", "sum(amount) * 2 AS amount");
    anew.done(&["run"]);
    anew
}

/// How many windows each run made, with the run's command.
fn makers(p: &Project) -> Vec<(String, u64)> {
    let sql = "SELECT r.command, count(*) AS n FROM state.steps AS s JOIN state.runs AS r ON s.finished_by = r.run
               WHERE s.kind = 'backfill' GROUP BY r.run, r.command ORDER BY n";
    let maker = |row: &serde_json::Value| {
        let command = row["command"].as_str().expect("a command").split(' ').next().expect("a word").to_owned();
        (command, row["n"].as_u64().expect("a number"))
    };
    p.rows(sql).iter().map(maker).collect()
}

/// The command has one window and stands still, one worker has made one and is killed with its second, another one makes the rest.
#[test]
fn windows_of_a_backfill_are_made_by_all_processes_and_outlive_a_killed_one() {
    let server = Server::start();
    let p = over(&server, &Project::new(MARKET));
    to_backfill(&p);
    let command = Stopped::at(&p, &BACKFILL, "step.after_claim");
    let mut first = p.command(&["worker"]);
    first.env("ALLUVIUM_STOP_AT", "commit.before_main:2");
    let first = Serving::spawn(first);
    first.until("its second window", || is_stopped(first.process()));
    assert_eq!(p.cell(MADE), 1);
    let second = worker(&p);
    second.until("what nobody has", || p.cell(MADE) == 3);
    first.kill();
    second.until("what the killed one had", || p.cell(MADE) == 4);
    let ran = command.go_on();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(second.stop().code, Some(0));
    let made = makers(&p);
    let by = |command: &str| made.iter().filter(|(c, _)| c == command).map(|(_, n)| *n).sum::<u64>();
    assert_eq!((by("backfill"), by("windows")), (1, 4), "{made:?}");
    assert!(made.len() >= 3, "each made one: {made:?}");
    assert_eq!(p.tables(), from_scratch().tables());
}

/// Steps that committed to what the backfill makes beside the table, in any order.
fn committed_beside(p: &Project) -> Vec<String> {
    let below =
        |at: &Path| fs::read_dir(at).expect("a folder").map(|e| e.expect("an entry").path()).collect::<Vec<_>>();
    let tables = below(&p.path("lake/dev/backfill/gold.daily"));
    let log = tables.iter().flat_map(|table| below(&table.join("_delta_log")));
    let texts =
        log.filter(|f| f.extension().is_some_and(|e| e == "json")).map(|f| fs::read_to_string(f).expect("a log"));
    let steps = texts.flat_map(|text| {
        let actions = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("an action"));
        actions.filter_map(|a| Some(a["txn"]["appId"].as_str()?.to_owned())).collect::<Vec<_>>()
    });
    steps.collect()
}

/// Its leases end while it is about to commit; another process makes all, and then it goes on.
#[test]
fn a_window_whose_process_was_taken_for_dead_is_made_once() {
    let p = Project::new(MARKET);
    to_backfill(&p);
    // One at a time: another could be in the midst of a transaction, which would lock the state.
    let one = |word| if word == "3" { "1" } else { word };
    let build = BACKFILL.iter().copied().map(one).filter(|word| *word != "--swap").collect::<Vec<_>>();
    let stopped = Stopped::at(&p, &build, "commit.before_main");
    leases_end(&p);
    p.done(&["backfill", "gold.daily", "--resume"]).said("5 of 5 windows made");
    let ran = stopped.go_on();
    assert_eq!(ran.code, Some(0), "{ran}");
    let (all, each) = (committed_beside(&p), committed_beside(&p).into_iter().collect::<BTreeSet<_>>());
    assert_eq!((all.len(), each.len()), (5, 5), "{all:?}");
    p.done(&["backfill", "gold.daily", "--swap"]).said("swapped in");
    assert_eq!(p.tables(), from_scratch().tables());
}

#[test]
fn a_service_makes_windows_beside_its_live_work() {
    let p = Project::new(MARKET);
    to_backfill(&p);
    // So that the service has nothing to make anew by itself.
    p.edit("datasets/gold/daily.sql", "sum(amount) * 2 AS amount", "sum(amount) AS amount");
    let command = Stopped::at(&p, &BACKFILL, "step.after_claim");
    let serving = Serving::start(&p, &[]);
    serving.until("all but one", || p.cell(MADE) == 4);
    put_all(&p, MORE);
    serving.wait_for("done gold.daily curate");
    let ran = command.go_on();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(serving.stop().code, Some(0));
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    put_all(&calm, MORE);
    calm.done(&["run"]);
    assert_eq!(p.tables(), calm.tables());
}

fn clicks(has_table: bool) -> Project {
    let of_clicks = MARKET.iter().filter(|(path, _)| path.contains("clicks")).copied();
    let own = ("alluvium.yaml", "name: clicks\nsinks: { folder: { files: out/ } }\n");
    let p = Project::new(&of_clicks.chain([own]).collect::<Vec<_>>());
    if has_table {
        p.done(&["run"]);
        p.put("landing/clicks/2.ndjson", b"{\"id\":3}\n");
    }
    p
}

fn redefined(p: &Project) {
    p.edit("datasets/bronze/clicks.yaml", "settle: 0s", "format: ndjson, settle: 0s");
}

/// Its lease ends while it is stopped, and what it was about to load is planned anew under another definition.
#[test]
fn a_step_that_was_replaced_does_not_commit_when_its_process_goes_on() {
    let whole: &[&str] = &[];
    let cases = [
        // Before it opens its table, and after that.
        ("gate.after_pass", whole),
        ("commit.before_main", &["plan.after_record"]),
        ("gate.after_pass", &["fence.before_commit", "fence.after_commit"]),
    ];
    for has_table in [false, true] {
        let calm = clicks(has_table);
        redefined(&calm);
        calm.done(&["run"]);
        for (point, kills) in cases {
            let p = clicks(has_table);
            let stopped = Stopped::at(&p, &["run"], point);
            leases_end(&p);
            redefined(&p);
            for kill in kills {
                assert!(killed_at(&p, &["run"], kill, 1), "{kill} is reached");
            }
            if kills != ["plan.after_record"] {
                p.done(&["run"]);
            }
            let ran = stopped.go_on();
            assert_eq!(ran.code, Some(0), "{point}, table: {has_table}\n{ran}");
            p.done(&["run"]);
            assert_eq!(p.tables(), calm.tables(), "{point}, table: {has_table}");
        }
    }
}

/// Its lease ends while it is stopped. What its gate let pass the next process has to hold, because its sender's totals were corrected.
#[test]
fn a_step_that_was_held_meanwhile_does_not_commit_when_its_process_goes_on() {
    for (has_table, point) in [(false, "gate.after_pass"), (true, "commit.before_main")] {
        let p = clicks(false);
        p.edit("datasets/bronze/clicks.yaml", "settle: 0s }", "settle: 0s }\naccept: { totals: { error_above: 0 } }");
        let file = |n: u64| {
            p.put(&format!("landing/clicks/{n}.ndjson.ctl"), b"rows: 1\n");
            p.put(&format!("landing/clicks/{n}.ndjson"), format!("{{\"id\":{n}}}\n").as_bytes());
        };
        file(1);
        if has_table {
            p.done(&["run"]);
            file(2);
        }
        let stopped = Stopped::at(&p, &["run"], point);
        leases_end(&p);
        let last = if has_table { 2 } else { 1 };
        p.put(&format!("landing/clicks/{last}.ndjson.ctl"), b"rows: 7\n");
        let ran = p.alluvium(&["run"]);
        assert_eq!(ran.code, Some(1), "{ran}");
        let held = || p.json(&["show", "held"]).as_array().map(Vec::len);
        assert_eq!(held(), Some(1), "{point}");
        let ran = stopped.go_on();
        assert_eq!(held(), Some(1), "{point}: it is held all the same\n{ran}");
        p.done(&["drop", "held", "bronze.clicks", "--by", "ann"]);
        let sql = "SELECT sum(loaded) AS l, sum(dropped) AS d FROM state.steps WHERE dataset = 'bronze.clicks'";
        let (loaded, dropped) = (u64::from(has_table), 1);
        assert_eq!(p.rows(sql), [serde_json::json!({ "l": loaded, "d": dropped })], "{point}");
        assert_eq!(p.cell("SELECT count(*) FROM bronze.clicks"), loaded, "{point}");
    }
}

/// A file for each dataset that may come at any time.
fn more(n: u64) -> [(String, String); 2] {
    let (id, day) = (1_000 + n, 1 + n % 28);
    let order = format!("id,customer,day,amount,op,changed\n{id},c{},2024-02-{day:02},{n},I,1\n", 1 + n % 2);
    let click = format!("{{\"id\":{id},\"page\":\"p{n}\"}}\n");
    [(format!("landing/orders/m{n}.csv"), order), (format!("landing/clicks/m{n}.ndjson"), click)]
}

fn arrive(p: &Project, round: u64) {
    more(round).iter().for_each(|(path, text)| p.put(path, text.as_bytes()));
}

/// What a quiet process makes of all that comes in so many rounds, and then.
fn calm(rounds: u64) -> Project {
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    (0..rounds).for_each(|round| arrive(&calm, round));
    put_all(&calm, MORE);
    calm.done(&["run"]);
    calm
}

/// The market over this database. What fails there is tried again so soon that no run has to leave it for later.
fn hasty(server: &Server) -> Project {
    let p = over(server, &Project::new(MARKET));
    let often = "defaults: { retry: { interval: 100ms, max_delay: 1s } }";
    p.edit("alluvium.yaml", "name: market", &format!("limits: {{ lease: 2s }}\n{often}\nname: market"));
    p
}

fn power_failure(server: &Server) {
    server.crash();
    server.start_again();
}

/// A service and three workers over one state, each in a folder that may be another machine's.
struct Crowd<'p> {
    places: [&'p Project; 4],
    all: Vec<Serving>,
    seed: SeededEntropy,
}

impl<'p> Crowd<'p> {
    fn begin(places: [&'p Project; 4], seed: u64) -> Self {
        let all = (0..places.len()).map(|n| Self::one(&places, n)).collect();
        Self { places, all, seed: SeededEntropy::new(seed) }
    }

    fn one(places: &[&Project; 4], n: usize) -> Serving {
        if n == 0 { Serving::start(places[n], &[]) } else { worker(places[n]) }
    }

    fn below(&self, end: u64) -> u64 {
        self.seed.next_u64() % end
    }

    /// Somewhere in the work on what has come.
    fn works_for(&self, millis: u64) {
        self.all[0].for_a_while(Duration::from_millis(millis));
    }

    fn kill(&mut self, victim: usize) {
        let again = Self::one(&self.places, victim);
        std::mem::replace(&mut self.all[victim], again).kill();
    }

    /// Stops it for so long, and lets it go on.
    fn stop(&self, victim: usize, millis: u64) {
        signalled(self.all[victim].process(), "-STOP");
        self.all[(victim + 1) % self.all.len()].for_a_while(Duration::from_millis(millis));
        signalled(self.all[victim].process(), "-CONT");
    }

    /// Those that have ended by themselves.
    fn begin_anew(&mut self) {
        for n in 0..self.all.len() {
            if !self.all[n].lives() {
                self.all[n] = Self::one(&self.places, n);
            }
        }
    }

    /// Until it is so, whoever did it, and whoever ended over it.
    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..MOST_LOOKS {
            if is_so() {
                return;
            }
            self.works_for(100);
            self.begin_anew();
        }
        panic!("{what} does not come");
    }

    fn end(self) {
        self.all.into_iter().for_each(Serving::kill);
    }
}

const MOST_LOOKS: usize = 2_000;
const ROUNDS: u64 = 18;

/// At random, by a seed, four processes are killed and begun anew, stopped for longer than their leases and let go on; the
/// database loses its power now and then. Then the tables are those that a quiet run makes.
#[test]
fn four_processes_are_killed_and_stopped_at_random() {
    let calm = calm(ROUNDS);
    let server = Server::start();
    let p = hasty(&server);
    p.done(&["run"]);
    let mut crowd = Crowd::begin([&p; 4], 4);
    for round in 0..ROUNDS {
        arrive(&p, round);
        let victim = crowd.below(4) as usize;
        crowd.works_for(crowd.below(600));
        match crowd.below(3) {
            0 => crowd.kill(victim),
            1 => crowd.stop(victim, crowd.below(4_000)),
            _ if round % 8 == 5 => power_failure(&server),
            _ => {}
        }
        crowd.begin_anew();
    }
    power_failure(&server);
    put_all(&p, &MORE[..1]);
    // So that nobody judges the orders before it is there.
    crowd.until("the customer", || p.rows("SELECT customer FROM silver.customers").len() == 3);
    put_all(&p, &MORE[1..]);
    crowd.end();
    p.done(&["run"]);
    // How the work was cut into steps depends on what came when.
    let (found, expected) = (held(&p), held(&calm));
    assert_eq!(found.rows, expected.rows);
    for dataset in ["bronze.orders", "bronze.clicks", "bronze.customers", "silver.clicks"] {
        assert_eq!(found.balances[dataset], expected.balances[dataset], "{dataset}");
    }
}

/// The way to the bucket, which is another one in each round: calm, busy, slow, cut in the midst, and closed.
fn rough() -> (Proxy, Arc<AtomicUsize>) {
    let round = Arc::new(AtomicUsize::new(0));
    let (now, count) = (round.clone(), AtomicUsize::new(0));
    let proxy = Proxy::start(move |_| {
        let nth = count.fetch_add(1, Ordering::Relaxed);
        match now.load(Ordering::Relaxed) % 5 {
            1 if nth.is_multiple_of(3) => Fault::Busy,
            2 if nth.is_multiple_of(3) => Fault::Slow,
            3 if nth.is_multiple_of(4) => [Fault::CutRequest, Fault::LostReply, Fault::CutReply][nth / 4 % 3],
            4 => Fault::CutRequest,
            _ => Fault::None,
        }
    });
    (proxy, round)
}

const ROUGH_ROUNDS: u64 = 8;

/// As above on two machines, of which only the first has the landing folders, over a lake in a bucket whose way is rough.
#[test]
fn four_processes_of_two_machines_are_killed_and_stopped_while_the_bucket_is_cut_off() {
    let calm = calm(ROUGH_ROUNDS);
    let (server, (proxy, way)) = (Server::start(), rough());
    let p = Cloud::S3.through(Cloud::S3.over(&hasty(&server), &Cloud::S3.lake()), &proxy.endpoint());
    let far = Cloud::S3.through(copied(&p), &proxy.endpoint());
    fs::remove_dir_all(far.path("landing")).expect("files");
    p.done(&["run"]);
    let mut crowd = Crowd::begin([&p, &p, &far, &far], 7);
    for round in 0..ROUGH_ROUNDS {
        way.store(round as usize, Ordering::Relaxed);
        let met = proxy.met();
        arrive(&p, round);
        let victim = crowd.below(4) as usize;
        crowd.works_for(200 + crowd.below(800));
        // Later ones may find everybody leaving the bucket alone for a while.
        if (1..4).contains(&round) {
            crowd.until("a fault", || proxy.met() > met);
        }
        match round % 4 {
            0 | 2 => crowd.kill(victim),
            1 => crowd.stop(victim, crowd.below(3_000)),
            _ => power_failure(&server),
        }
        crowd.begin_anew();
    }
    way.store(0, Ordering::Relaxed);
    // Nor does a process that begins now know that the bucket is to be left alone.
    crowd.end();
    put_all(&p, &MORE[..1]);
    p.done(&["run"]);
    put_all(&p, &MORE[1..]);
    p.done(&["run"]);
    assert_eq!(p.json(&["show", "dead-letters"]), json!([]));
    assert_eq!(p.tables(), calm.tables());
    told(&p);
    let (found, expected) = (balances(&p), balances(&calm));
    for dataset in ["bronze.orders", "bronze.clicks", "bronze.customers", "silver.clicks"] {
        assert_eq!(found[dataset], expected[dataset], "{dataset}");
    }
}
