//! The state in a real PostgreSQL: the same work, the same tables, whoever is killed meanwhile.

use crate::{
    harness::{Project, Ran, SHOP, STRANGER},
    http::{STRUCTURED, event, post, pushed_shop},
    market::{Held, MARKET, copied, held, killed_at, two_at_a_time},
    server::{PASSWORD, SHARED, Server},
    serving::Serving,
};
use alluvium_model::CRASH_POINTS;
use serde_json::json;
use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
};

const VARIABLE: &str = "ALLUVIUM_STATE_PASSWORD";

/// The same files, and a fresh state in the database.
fn over(server: &Server, from: &Project) -> Project {
    let to = copied(from);
    to.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", server.url()));
    to
}

#[test]
fn a_run_keeps_its_state_in_the_database_and_its_password_to_itself() {
    let by_file = Project::new(SHOP);
    by_file.done(&["run"]);
    let p = Project::new(SHOP);
    let (port, schema) = (SHARED.port(), SHARED.schema());
    let authority = SHARED.authority().display().to_string();
    let query = format!("schema={schema}_{{env}}&sslrootcert={authority}");
    let url = format!("postgres://alluvium:${{{VARIABLE}}}@localhost:{port}/locked?{query}");
    p.put("alluvium.yaml", format!("name: shop\nstate: '{url}'\n").as_bytes());
    let run =
        |args: &[&str], password: &str| Ran::from(p.command(args).env(VARIABLE, password).output().expect("it runs"));

    // Its definitions can be checked where the password is not known.
    p.done(&["check"]);
    let unset = p.alluvium(&["run"]);
    assert_eq!(unset.code, Some(1), "{unset}");
    unset.said("S0017");
    let wrong = run(&["run"], "a wrong one");
    assert_eq!(wrong.code, Some(1), "{wrong}");
    wrong.said("S0016");
    assert!(!format!("{wrong}").contains("a wrong one"), "{wrong}");

    for (args, said) in [
        (&["show", "runs"][..], ""),
        (&["run", "-vv"], ""),
        (&["run"], "nothing"),
        (&["show", "runs"], "done"),
        (&["query", "SELECT count(*) AS steps FROM state.steps WHERE state = 'done'"], "steps"),
    ] {
        let ran = run(args, PASSWORD);
        assert_eq!(ran.code, Some(0), "{ran}");
        let text = format!("{ran}").to_lowercase();
        assert!(text.contains(said), "{ran}");
        assert!(!text.contains("word'"), "{ran}");
    }
    assert!(!p.path(".alluvium/dev.db").exists());
    p.put("alluvium.yaml", b"name: shop\nstate: 'other/{env}.db'\n");
    let daily = "SELECT * FROM gold.daily ORDER BY day";
    assert_eq!(p.rows(daily), by_file.rows(daily));
}

#[test]
fn a_first_run_over_the_database_survives_a_kill_at_every_point() {
    let start = Project::new(MARKET);
    let calm = copied(&start);
    calm.done(&["run"]);
    let expected = held(&calm);
    two_at_a_time(CRASH_POINTS, |point| {
        // Once at the first time that the point is reached, once in the midst of the run.
        for nth in [1, 3] {
            let p = over(&SHARED, &start);
            if !killed_at(&p, &["run"], point.0, nth) {
                break;
            }
            p.done(&["run"]);
            assert_eq!(held(&p), expected, "after a kill at {}:{nth}", point.0);
        }
    });
}

fn spawned(p: &Project) -> Child {
    p.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

fn ended(child: Child) -> Ran {
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn a_run_waits_for_a_database_that_restarts() {
    let start = Project::new(MARKET);
    let calm = copied(&start);
    calm.done(&["run"]);
    let server = Server::start();
    let p = over(&server, &start);
    let running = spawned(&p);
    // Its first steps are there: it is in the midst of its work.
    while server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 's0' AND tablename = 'steps'") == "0"
        || server.sql("SELECT count(*) FROM s0.steps") == "0"
    {}
    server.crash();
    server.start_again();
    let ran = ended(running);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(held(&p), held(&calm));
}

#[test]
fn two_runs_at_once_share_the_work() {
    let start = Project::new(MARKET);
    let calm = copied(&start);
    calm.done(&["run"]);
    let p = over(&SHARED, &start);
    let both = [spawned(&p), spawned(&p)];
    for ran in both.map(ended) {
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    p.done(&["run"]);
    // How the work was split between them is theirs.
    let seen = |p: &Project| Held { commits: BTreeMap::new(), ..held(p) };
    assert_eq!(seen(&p), seen(&calm));
}

#[test]
fn new_input_and_a_replay_go_on_from_the_state_in_the_database() {
    let p = over(&SHARED, &Project::new(SHOP));
    p.done(&["run"]);
    p.put("landing/orders/2024-01-02.csv", STRANGER.as_bytes());
    p.done(&["run"]);
    let by_file = Project::new(SHOP);
    by_file.done(&["run"]);
    by_file.put("landing/orders/2024-01-02.csv", STRANGER.as_bytes());
    by_file.done(&["run"]);
    for project in [&p, &by_file] {
        project.done(&["replay", "quarantine", "silver.orders"]);
    }
    assert_eq!(p.tables(), by_file.tables());
    assert_eq!(p.versions(), by_file.versions());
}

#[test]
fn a_service_keeps_what_is_pushed_in_the_database() {
    let p = over(&SHARED, &pushed_shop());
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    assert_eq!(post(&at, STRUCTURED, &event("7", "10.50")).json(), json!({ "accepted": 1, "duplicates": 0 }));
    serving.wait_for("bronze.orders: 1 new event");
    serving.wait_for("done gold.daily");
    let ran = serving.stop();
    assert_eq!(ran.code, Some(0), "{ran}");
    let serving = Serving::start(&p, &[]);
    let again = post(&serving.address(), STRUCTURED, &event("7", "10.50"));
    assert_eq!(again.json(), json!({ "accepted": 0, "duplicates": 1 }));
    assert_eq!(serving.stop().code, Some(0));
    assert!(!p.path(".alluvium/dev.db").exists());
    assert_eq!(p.rows("SELECT orders, amount FROM gold.daily"), [json!({ "orders": 1, "amount": 10.5 })]);
}

#[test]
fn of_two_services_over_one_state_one_may_be_killed() {
    let p = over(&SHARED, &pushed_shop());
    let both = [(); 2].map(|()| Serving::start(&p, &["--scan-every", "200ms"]));
    let at = both.each_ref().map(Serving::address);
    let push = |to: usize, id: u32| {
        let answer = post(&at[to], STRUCTURED, &event(&id.to_string(), "1.00"));
        assert_eq!(answer.status, 202);
        answer.json()["accepted"].clone()
    };
    for id in 0..10 {
        assert_eq!(push(id as usize % 2, id), 1);
        assert_eq!(push((id as usize + 1) % 2, id), 0, "the other has taken it");
    }
    let [first, second] = both;
    assert_eq!(push(0, 10), 1);
    first.kill();
    for id in 0..11 {
        assert_eq!(push(1, id), 0, "what was acknowledged by the one that was killed is there");
    }
    assert_eq!(push(1, 11), 1);
    second.until("gold", || {
        p.rows_by_now("SELECT orders, amount FROM gold.daily") == [json!({ "orders": 12, "amount": 12.0 })]
    });
    let ran = second.stop();
    assert_eq!(ran.code, Some(0), "{ran}");
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 12);
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 12);
}
