//! `alluvium worker` as a process, beside a service or a run, over a file and over a real database.

use crate::{
    clouds::Cloud,
    harness::{Project, Ran, SHOP},
    market::{MARKET, MORE, balances, copied, held, killed_at, put_all, told},
    proxy::{Fault, Proxy},
    server::Server,
    serving::Serving,
};
use alluvium_model::{Clock, Entropy, SeededEntropy, SystemClock};
use serde_json::json;
use std::{
    fs,
    io::{BufRead, BufReader},
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

fn signalled(process: u32, signal: &str) {
    let told = Command::new("kill").args([signal, &process.to_string()]).status().expect("kill runs");
    assert!(told.success(), "process {process} is there");
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
    assert!(passed < 30, "it looks by itself after a minute only, and took {passed} s");
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
        let python = std::env::var("ALLUVIUM_TEST_PYTHON").expect("run the tests with `cargo xtask test`");
        let script = "import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute('BEGIN EXCLUSIVE')
print('held', flush=True)
sys.stdin.read()";
        let mut command = Command::new(python);
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

/// A run that is stopped, neither alive nor dead, while it holds a step.
struct Frozen(Child);

impl Frozen {
    fn at(p: &Project, dataset: &str) -> Self {
        let mut command = p.command(&["run"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let running = format!("SELECT dataset FROM state.steps WHERE state = 'running' AND dataset = '{dataset}'");
        while !p.path(".alluvium/dev.db").exists() || p.rows(&running).is_empty() {}
        signalled(child.id(), "-STOP");
        assert_eq!(p.rows(&running).len(), 1, "it was stopped in the midst of the step");
        Self(child)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Its first turn hangs on a step that another process holds; what has nothing to do with that goes on.
#[test]
fn a_service_does_not_wait_for_what_others_hold() {
    let p = Project::new(MARKET);
    let rows: String = (10..120_000).map(|i| format!("{i},c1,2024-01-05,1.00,I,1\n")).collect();
    p.put("landing/orders/large.csv", format!("id,customer,day,amount,op,changed\n{rows}").as_bytes());
    let holder = Frozen::at(&p, "bronze.orders");
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

/// A run that is stopped at a crash point until it goes on.
struct Stopped(Child);

impl Stopped {
    fn at(p: &Project, point: &str) -> Self {
        let mut command = p.command(&["run"]);
        command.env("ALLUVIUM_STOP_AT", point).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the binary runs");
        let stat = format!("/proc/{}/stat", child.id());
        let is_stopped =
            || fs::read_to_string(&stat).is_ok_and(|s| s.rsplit(") ").next().is_some_and(|s| s.starts_with('T')));
        while !is_stopped() {
            std::thread::yield_now();
        }
        Self(child)
    }

    fn go_on(self) -> Ran {
        signalled(self.0.id(), "-CONT");
        self.0.wait_with_output().expect("it ends").into()
    }
}

fn clicks(has_table: bool) -> Project {
    let of_clicks = MARKET.iter().filter(|(path, _)| path.contains("clicks")).copied();
    let own = ("alluvium.yaml", "name: clicks\nsinks: { folder: { files: out/ } }\nlimits: { lease: 2s }\n");
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
            let stopped = Stopped::at(&p, point);
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
        let stopped = Stopped::at(&p, point);
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

const ROUNDS: u64 = 18;

/// A service and three workers over one database. At random, by a seed, they are killed and begun anew, stopped for longer than
/// their leases and let go on; the database loses its power twice. Then the tables are those that a quiet run makes.
#[test]
fn four_processes_are_killed_and_stopped_at_random() {
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    (0..ROUNDS).flat_map(more).for_each(|(path, text)| calm.put(&path, text.as_bytes()));
    put_all(&calm, MORE);
    calm.done(&["run"]);

    let server = Server::start();
    let p = over(&server, &Project::new(MARKET));
    p.edit("alluvium.yaml", "name: market", "limits: { lease: 2s }\nname: market");
    p.done(&["run"]);
    let seed = SeededEntropy::new(4);
    let below = |end: u64| seed.next_u64() % end;
    let begin = |n: usize| if n == 0 { Serving::start(&p, &[]) } else { worker(&p) };
    let mut all: Vec<Serving> = (0..4).map(begin).collect();
    for round in 0..ROUNDS {
        more(round).iter().for_each(|(path, text)| p.deliver(path, text.as_bytes()));
        let victim = below(4) as usize;
        // Somewhere in the work on what has come.
        all[0].for_a_while(Duration::from_millis(below(600)));
        match below(3) {
            0 => {
                let again = begin(victim);
                std::mem::replace(&mut all[victim], again).kill();
            }
            1 => {
                signalled(all[victim].process(), "-STOP");
                all[(victim + 1) % 4].for_a_while(Duration::from_millis(below(4_000)));
                signalled(all[victim].process(), "-CONT");
            }
            _ if round % 8 == 5 => {
                server.crash();
                server.start_again();
            }
            _ => {}
        }
    }
    server.crash();
    server.start_again();
    put_all(&p, &MORE[..1]);
    while p.rows("SELECT customer FROM silver.customers").len() < 3 {
        all[0].for_a_while(Duration::from_millis(500));
        if !all[0].lives() {
            all[0] = begin(0);
        }
    }
    put_all(&p, &MORE[1..]);
    all.into_iter().for_each(Serving::kill);
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
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    (0..ROUGH_ROUNDS).flat_map(more).for_each(|(path, text)| calm.put(&path, text.as_bytes()));
    put_all(&calm, MORE);
    calm.done(&["run"]);

    let (server, (proxy, way)) = (Server::start(), rough());
    let p = over(&server, &Project::new(MARKET));
    let often = "defaults: { retry: { interval: 100ms, max_delay: 1s } }";
    p.edit("alluvium.yaml", "name: market", &format!("limits: {{ lease: 2s }}\n{often}\nname: market"));
    let p = Cloud::S3.through(Cloud::S3.over(&p, &Cloud::S3.lake()), &proxy.endpoint());
    let far = Cloud::S3.through(copied(&p), &proxy.endpoint());
    fs::remove_dir_all(far.path("landing")).expect("files");
    p.done(&["run"]);
    let seed = SeededEntropy::new(7);
    let below = |end: u64| seed.next_u64() % end;
    let begin = |n: usize| match n {
        0 => Serving::start(&p, &[]),
        1 => worker(&p),
        _ => worker(&far),
    };
    let mut all: Vec<Serving> = (0..4).map(begin).collect();
    for round in 0..ROUGH_ROUNDS {
        way.store(round as usize, Ordering::Relaxed);
        more(round).iter().for_each(|(path, text)| p.deliver(path, text.as_bytes()));
        let victim = below(4) as usize;
        all[0].for_a_while(Duration::from_millis(200 + below(800)));
        match round % 4 {
            0 | 2 => {
                let again = begin(victim);
                std::mem::replace(&mut all[victim], again).kill();
            }
            1 => {
                signalled(all[victim].process(), "-STOP");
                all[(victim + 1) % 4].for_a_while(Duration::from_millis(below(3_000)));
                signalled(all[victim].process(), "-CONT");
            }
            _ => {
                server.crash();
                server.start_again();
            }
        }
        for (n, process) in all.iter_mut().enumerate().filter(|(_, process)| !process.lives()) {
            *process = begin(n);
        }
    }
    assert!(proxy.met() > 5, "{} requests met a fault", proxy.met());
    way.store(0, Ordering::Relaxed);
    put_all(&p, &MORE[..1]);
    while p.rows("SELECT customer FROM silver.customers").len() < 3 {
        all[0].for_a_while(Duration::from_millis(500));
        if !all[0].lives() {
            all[0] = begin(0);
        }
    }
    put_all(&p, &MORE[1..]);
    all.into_iter().for_each(Serving::kill);
    p.done(&["run"]);
    assert_eq!(p.json(&["show", "dead-letters"]), json!([]));
    assert_eq!(p.tables(), calm.tables());
    told(&p);
    let (found, expected) = (balances(&p), balances(&calm));
    for dataset in ["bronze.orders", "bronze.clicks", "bronze.customers", "silver.clicks"] {
        assert_eq!(found[dataset], expected[dataset], "{dataset}");
    }
}
