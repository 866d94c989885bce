//! Replays over HTTP: asked for, acknowledged when they are durable, and done by whichever service takes them.

use crate::{
    harness::{Project, SHOP, STRANGER},
    http::{Answer, ask},
    market::{MARKET, copied, rows},
    server::SHARED,
    serving::Serving,
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The shop with an order whose customer came later, in quarantine.
fn with_quarantine(p: Project) -> Project {
    p.put("landing/orders/2024-01-02.csv", STRANGER.as_bytes());
    p.done(&["run"]);
    p.put("landing/customers/more.csv", b"customer,name\nc9,Ida\n");
    p.done(&["run"]);
    assert_eq!(waiting(&p), 2);
    p
}

fn waiting(p: &Project) -> u64 {
    p.cell("SELECT count(*) FROM quarantine.silver_orders").as_u64().expect("a count")
}

fn over(from: &Project) -> Project {
    let to = copied(from);
    to.edit("alluvium.yaml", "name: ", &format!("environments: {{ dev: {{ state: '{}' }} }}\nname: ", SHARED.url()));
    to
}

fn post(at: &str, body: &Value) -> Answer {
    ask(at, "POST", "/api/replays", &[JSON], body.to_string().as_bytes())
}

#[track_caller]
fn accepted(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let id = answer.json()["replay"].as_str().expect("an id").to_owned();
    assert!(answer.head.contains(&format!("location: /api/replays/{}", id.to_lowercase())), "{}", answer.head);
    id
}

fn look(at: &str, id: &str, who: &[(&str, &str)]) -> Value {
    let answer = ask(at, "GET", &format!("/api/replays/{id}"), who, b"");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// The replay, once it has ended.
#[track_caller]
fn ended(serving: &Serving, at: &str, id: &str) -> Value {
    ended_as(serving, at, id, &[])
}

#[track_caller]
fn ended_as(serving: &Serving, at: &str, id: &str, who: &[(&str, &str)]) -> Value {
    serving.until("the end of the replay", || look(at, id, who)["replay"]["ended_at"].is_string());
    look(at, id, who)
}

fn quarantine(dataset: &str) -> Value {
    json!({ "quarantine": { "dataset": dataset } })
}

#[test]
fn a_quarantine_is_replayed_as_by_the_command() {
    let by_command = with_quarantine(Project::new(SHOP));
    by_command.done(&["replay", "quarantine", "silver.orders"]);
    for p in [Project::new(SHOP), over(&Project::new(SHOP))].map(with_quarantine) {
        let serving = Serving::start(&p, &[]);
        let at = serving.address();
        let id = accepted(&post(&at, &quarantine("silver.orders")));
        let shown = ended(&serving, &at, &id);
        assert_eq!(
            (&shown["replay"]["state"], &shown["replay"]["outcome"]["complete"]),
            (&json!("done"), &json!(true))
        );
        assert_eq!(shown["replay"]["command"], "replay quarantine silver.orders");
        let run = &shown["run"];
        assert_eq!((&run["run"]["run"], &run["run"]["state"]), (&json!(id), &json!("done")), "{shown:#}");
        assert!(run["steps"].as_array().expect("steps").iter().any(|s| s["kind"] == "replay_quarantine"), "{shown:#}");
        let list = ask(&at, "GET", "/api/replays?limit=1", &[], b"").json();
        assert_eq!(list[0], shown["replay"]);
        assert_eq!(serving.stop().code, Some(0));
        assert_eq!(p.tables(), by_command.tables());
        assert_eq!(p.cell("SELECT count(*) FROM state.replays WHERE ended_at IS NOT NULL"), 1);
    }
}

/// To a request of which the first half came before it closed: no request yet, and answered all the same. `None`: it was gone.
fn answered_while_it_closes(serving: &Serving, at: &str) -> Option<String> {
    let mut socket = TcpStream::connect(at).ok()?;
    write!(socket, "POST /api/replays HTTP/1.1\r\nHost: {at}\r\nIdempotency-Key: once\r\n").ok()?;
    serving.until("its end", || TcpStream::connect(at).is_err());
    let body = quarantine("silver.orders").to_string();
    let length = body.len();
    let (name, value) = JSON;
    write!(socket, "Connection: close\r\n{name}: {value}\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    Some(answer).filter(|a| !a.is_empty())
}

#[test]
fn a_replay_that_is_acknowledged_while_an_idle_service_closes_is_done() {
    let p = Project::new(SHOP);
    p.edit("alluvium.yaml", "name: shop", "name: shop\nsinks: { folder: { files: out/ } }");
    p.edit("datasets/silver/orders.yaml", "write:", "publish: folder\nwrite:");
    let p = with_quarantine(p);
    let told = || std::fs::read_dir(p.path("out/silver.orders")).expect("a folder").count();
    let before = told();
    // Where this is slow the service may have ended before; then the next one is asked.
    let answer = (0..8).find_map(|_| {
        let serving = Serving::start(&p, &["--exit-when-idle", "2s"]);
        let at = serving.address();
        let answer = answered_while_it_closes(&serving, &at);
        let ran = serving.end();
        assert_eq!(ran.code, Some(0), "{ran}");
        answer
    });
    assert!(answer.as_ref().is_some_and(|a| a.starts_with("HTTP/1.1 202")), "{answer:?}");
    assert_eq!(waiting(&p), 1, "one breaks a rule");
    assert_eq!(p.cell("SELECT count(*) FROM state.replays WHERE ended_at IS NOT NULL"), 1);
    assert!(told() > before, "the sink heard of the commit");
    assert_eq!(p.cell("SELECT count(*) FROM state.publications WHERE delivered_at IS NULL"), 0);
}

#[test]
fn dead_letters_come_back_once_however_often_it_is_asked() {
    let p = Project::new(MARKET);
    p.edit("datasets/silver/orders.yaml", "write:", "accept: { invalid: { error_above: 1% } }\nwrite:");
    assert_eq!(p.alluvium(&["run"]).code, Some(1));
    p.edit("datasets/silver/orders.yaml", "error_above: 1%", "error_above: 100%");
    let step = p.json(&["show", "dead-letters"])[0]["step"].as_str().expect("an id").to_owned();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let body = json!({ "dead_letters": { "dataset": "silver.orders", "ids": [&step[..12]] } }).to_string();
    let with_key =
        |key, body: &str| ask(&at, "POST", "/api/replays", &[JSON, ("Idempotency-Key", key)], body.as_bytes());
    let id = accepted(&with_key("first", &body));
    let shown = ended(&serving, &at, &id);
    assert_eq!(shown["replay"]["state"], "done", "{shown:#}");
    let outcome = &shown["replay"]["outcome"];
    assert_eq!((&outcome["letters_back"], &outcome["letters_left"]), (&json!(1), &json!(0)));
    assert_eq!(
        outcome["letters"][0],
        json!({ "dataset": "silver.orders", "letter": step, "done": "tried", "stays": null })
    );
    // The letter is none any more, and the beginning of its id names nothing.
    assert_eq!(accepted(&with_key("first", &body)), id, "no answer came, and it was asked again");
    let other = with_key("first", &json!({ "dead_letters": {} }).to_string());
    assert_eq!((other.status, other.code().as_str()), (422, "H0110"), "{}", other.body);
    let gone = with_key("second", &body);
    assert_eq!((gone.status, gone.code().as_str()), (404, "F0105"), "{}", gone.body);
    // By its whole id it is no mistake, and no work.
    let whole = json!({ "dead_letters": { "ids": [step] } });
    let shown = ended(&serving, &at, &accepted(&post(&at, &whole)));
    assert_eq!((&shown["replay"]["state"], &shown["run"]["steps"]), (&json!("done"), &json!([])), "{shown:#}");
    assert_eq!(serving.stop().code, Some(0));
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    assert_eq!(rows(&p), rows(&calm));
}

#[test]
fn what_a_gate_held_is_released_over_http() {
    let p = Project::new(MARKET);
    p.edit("datasets/silver/orders.yaml", "write:", "accept: { invalid: { error_above: 1% } }\nwrite:");
    assert_eq!(p.alluvium(&["run"]).code, Some(1));
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let of = |dataset: &str, verdict: &str| json!({ "held": { "dataset": dataset, "verdict": verdict, "by": "ann" } });
    let gold = post(&at, &of("gold.best", "drop"));
    assert_eq!((gold.status, gold.code().as_str()), (422, "F0170"), "{}", gold.body);
    assert_eq!(post(&at, &of("silver.orders", "forget")).status, 400);
    let shown = ended(&serving, &at, &accepted(&post(&at, &of("silver.orders", "release"))));
    assert_eq!(shown["replay"]["state"], "done", "{shown:#}");
    assert_eq!(shown["replay"]["outcome"]["letters"][0]["done"], "released");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT decided_by FROM state.verdicts"), "ann");
    let calm = Project::new(MARKET);
    calm.done(&["run"]);
    assert_eq!(rows(&p), rows(&calm));
}

#[test]
fn who_decides_shows_it_by_a_token_of_their_own() {
    let p = Project::new(MARKET);
    let gate = "accept: { invalid: { error_above: 1% }, decided_by: ann }\nwrite:";
    p.edit("datasets/silver/orders.yaml", "write:", gate);
    assert_eq!(p.alluvium(&["run"]).code, Some(1));
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_TOKEN", "a-token-that-only-this-test-knows");
    command.env("ALLUVIUM_TOKENS", "ann:a-token-of-ann-alone,eve:a-token-of-eve-alone");
    let serving = Serving::spawn(command);
    let at = serving.address();
    serving.wait_for("ended");
    let asks = |token: &str, by: &str| {
        let body = json!({ "held": { "dataset": "silver.orders", "verdict": "release", "by": by } }).to_string();
        let bearer = format!("Bearer {token}");
        ask(&at, "POST", "/api/replays", &[JSON, ("Authorization", &bearer)], body.as_bytes())
    };
    // What is written in the body shows nothing.
    for token in ["a-token-that-only-this-test-knows", "a-token-of-eve-alone"] {
        let refused = asks(token, "ann");
        assert_eq!((refused.status, refused.code().as_str()), (403, "F0188"), "{}", refused.body);
    }
    assert_eq!(asks("a-token-of-nobody-here", "ann").code(), "H0101");
    let id = accepted(&asks("a-token-of-ann-alone", "eve"));
    let shown = ended_as(&serving, &at, &id, &[("Authorization", "Bearer a-token-of-ann-alone")]);
    assert_eq!(shown["replay"]["outcome"]["letters"][0]["done"], "released", "{shown:#}");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT decided_by FROM state.verdicts"), "ann");
}

/// Killed before the answer, between the answer and the work, in the midst of the work, and at its end.
#[test]
fn what_was_accepted_is_done_after_a_kill() {
    let start = with_quarantine(Project::new(SHOP));
    let calm = copied(&start);
    calm.done(&["replay", "quarantine", "silver.orders"]);
    for (point, answered) in [
        ("replay.after_record", false),
        ("plan.before_record", true),
        ("step.after_claim", true),
        ("commit.after_main", true),
        ("run.before_finish", true),
        ("run.after_finish", true),
    ] {
        let p = copied(&start);
        // Its first turn finds nothing to do, so that it is the replay that comes there.
        let nth = if point.starts_with("run.") { 2 } else { 1 };
        let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("ALLUVIUM_CRASH_AT", format!("{point}:{nth}"));
        let serving = Serving::spawn(command);
        let at = serving.address();
        serving.wait_for("ended");
        let headers = [JSON, ("Idempotency-Key", "k")];
        let body = quarantine("silver.orders").to_string();
        let answer = ask(&at, "POST", "/api/replays", &headers, body.as_bytes());
        assert!(answer.is_202_or_cut() && (answered || answer.status != 202), "{point}: {}", answer.body);
        assert_eq!(serving.end().code, None, "{point}: it was killed");
        let serving = Serving::start(&p, &[]);
        let at = serving.address();
        let id = accepted(&ask(&at, "POST", "/api/replays", &headers, body.as_bytes()));
        let shown = ended(&serving, &at, &id);
        assert_eq!(shown["replay"]["state"], "done", "{point}: {shown:#}");
        assert_eq!(serving.stop().code, Some(0));
        assert_eq!(p.tables(), calm.tables(), "{point}");
        assert_eq!(p.cell("SELECT count(*) FROM state.replays"), 1, "{point}");
    }
}

/// The other service has no part in it but that it lives.
#[test]
fn another_service_does_what_a_killed_one_accepted() {
    let p = with_quarantine(over(&Project::new(SHOP)));
    let other = Serving::start(&p, &[]);
    let at_other = other.address();
    other.wait_for("ended");
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_CRASH_AT", "replay.after_record");
    let first = Serving::spawn(command);
    let at = first.address();
    first.wait_for("ended");
    post(&at, &quarantine("silver.orders"));
    assert_eq!(first.end().code, None, "it was killed");
    let id = ask(&at_other, "GET", "/api/replays", &[], b"").json()[0]["replay"].as_str().expect("an id").to_owned();
    let shown = ended(&other, &at_other, &id);
    assert_eq!(shown["replay"]["state"], "done", "{shown:#}");
    assert_eq!(other.stop().code, Some(0));
    assert_eq!(waiting(&p), 1);
}

#[test]
fn a_changed_definition_is_held_until_it_is_adopted() {
    let p = with_quarantine(Project::new(SHOP));
    p.edit("datasets/silver/orders.yaml", "null_if: [\"\"]", "null_if: [\"\", \"NA\"]");
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    let shown = ended(&serving, &at, &accepted(&post(&at, &quarantine("silver.orders"))));
    assert_eq!(shown["replay"]["state"], "incomplete", "{shown:#}");
    assert_eq!(shown["replay"]["outcome"]["held"], json!(["silver.orders"]));
    let adopt = json!({ "quarantine": { "dataset": "silver.orders", "adopt": true } });
    let shown = ended(&serving, &at, &accepted(&post(&at, &adopt)));
    assert_eq!(shown["replay"]["state"], "done", "{shown:#}");
    assert_eq!(shown["replay"]["command"], "replay quarantine silver.orders --adopt");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(waiting(&p), 1);
}

#[test]
fn what_cannot_be_replayed_is_refused_with_its_reason() {
    let p = Project::new(SHOP);
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    for (body, status, code, says) in [
        (quarantine("silver.order"), 404, "F0101", "there is silver.orders"),
        (quarantine("gold.daily"), 422, "F0102", "gold sets no row aside"),
        (json!({ "rescued": { "dataset": "bronze.orders" } }), 422, "F0104", "not silver"),
        (json!({ "dead_letters": { "dataset": "silver.nothing_like_it" } }), 404, "F0101", "is not a dataset"),
        (json!({ "dead_letters": { "ids": ["zz"] } }), 404, "F0105", "zz"),
        (json!({ "dead_letters": { "id": "zz" } }), 400, "H0108", "unknown field `id`"),
        (json!({ "quarantine": { "dataset": "orders" } }), 400, "H0108", "orders"),
        (json!({ "all": {} }), 400, "H0108", "expected one of `quarantine`, `rescued`, `dead_letters`"),
        (json!({}), 400, "H0108", "no replay"),
    ] {
        let answer = post(&at, &body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}: {}", answer.body);
        assert!(answer.body.contains(says), "{body}: {}", answer.body);
    }
    let no_json = ask(&at, "POST", "/api/replays", &[], b"{}");
    assert_eq!((no_json.status, no_json.code().as_str()), (415, "H0109"));
    let long = "k".repeat(300);
    let key = ask(&at, "POST", "/api/replays", &[JSON, ("Idempotency-Key", &long)], b"{}");
    assert_eq!((key.status, key.code().as_str()), (400, "H0105"));
    let nowhere = ask(&at, "GET", "/api/replays/2026", &[], b"");
    assert_eq!((nowhere.status, nowhere.code().as_str()), (404, "H0107"));
    assert_eq!(ask(&at, "GET", "/api/replays", &[], b"").json(), json!([]));
    let paths = ask(&at, "GET", "/openapi.json", &[], b"").json()["paths"]["/api/replays"].clone();
    assert_eq!(paths["post"]["parameters"][0]["in"], "header", "{paths:#}");
    assert!(paths["get"]["responses"]["200"].is_object(), "{paths:#}");
    assert_eq!(serving.stop().code, Some(0));
}

#[test]
fn a_replay_asks_for_the_token() {
    let p = Project::new(SHOP);
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_TOKEN", "a-token-that-only-this-test-knows");
    let serving = Serving::spawn(command);
    let at = serving.address();
    assert_eq!(post(&at, &quarantine("silver.orders")).code(), "H0101");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM state.replays"), 0);
}
