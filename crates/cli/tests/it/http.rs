//! A service over HTTP: events that are pushed, what can be read, and what is refused.

use crate::{
    harness::Project,
    serving::{LIMIT, Serving},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

pub const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
/// Longer than anything here takes.
pub const WAITING: &str = "/events?wait=4m";
const TOKEN: &str = "a-token-that-only-this-test-knows";

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// Taken, by a process that may have been killed before it could say so.
    pub fn is_202_or_cut(&self) -> bool {
        matches!(self.status, 202 | 0)
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// What the service answers to these bytes.
fn raw(address: &str, request: &[u8]) -> Answer {
    answer(TcpStream::connect(address).expect("it listens"), request)
}

/// As [`raw`], on this connection.
fn answer(mut socket: TcpStream, request: &[u8]) -> Answer {
    socket.set_read_timeout(Some(LIMIT)).expect("a timeout");
    // It may answer, and close, before it has read everything.
    let _ = socket.write_all(request);
    let mut text = Vec::new();
    let _ = socket.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

pub fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    raw(address, &request(address, method, path, headers, body))
}

fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [request.as_bytes(), body].concat()
}

fn get(address: &str, path: &str) -> Answer {
    ask(address, "GET", path, &[], b"")
}

pub fn post(address: &str, kind: &str, body: &str) -> Answer {
    post_to(address, "/events", kind, body.as_bytes())
}

/// To a service that is killed over this event, which is durable by then.
#[track_caller]
pub fn push_to_dying(address: &str, event: &str) {
    let answer = post(address, STRUCTURED, event);
    assert!(answer.is_202_or_cut(), "{}", answer.body);
}

pub fn post_to(address: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
    ask(address, "POST", path, &[("Content-Type", kind)], body)
}

pub fn event(id: &str, amount: &str) -> String {
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/shop\",\"type\":\"com.shop.order.placed\",\
         \"data\":{{\"id\":{id},\"customer\":\"c1\",\"day\":\"2024-01-05\",\"amount\":{amount},\
         \"updated_at\":\"2024-01-05T10:00:00Z\"}}}}"
    )
}

/// The shop, whose orders are pushed.
pub fn pushed_shop() -> Project {
    let p = Project::shop();
    p.put("datasets/bronze/orders.yaml", b"source: { http: { types: [\"com.shop.order.*\"] } }\n");
    p
}

#[test]
fn events_beyond_the_rate_of_their_source_are_refused_and_taken_when_they_come_again() {
    let p = pushed_shop();
    let unlimited = fs::read(p.path("datasets/bronze/orders.yaml")).expect("a file");
    let rated: &[u8] =
        b"source: { http: { types: [\"com.shop.order.*\"], rate: { limit: 2, period: 1 hour, key: shop } } }\n";
    p.put("datasets/bronze/orders.yaml", rated);
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    for id in ["1", "2"] {
        assert_eq!(post(&at, STRUCTURED, &event(id, "1")).status, 202);
    }
    let often = post(&at, STRUCTURED, &event("3", "1"));
    assert_eq!((often.status, often.code().as_str()), (429, "H0213"), "{}", often.body);
    let after = often.head.lines().find_map(|l| l.strip_prefix("retry-after: ")?.trim().parse::<u32>().ok());
    // Half an hour, less what has passed since.
    assert!(after.is_some_and(|s| (1..=1_800).contains(&s)), "{}", often.head);
    assert_eq!(serving.stop().code, Some(0));
    // Nothing of it was taken: it comes again.
    p.put("datasets/bronze/orders.yaml", &unlimited);
    let serving = Serving::start(&p, &[]);
    assert_eq!(post(&serving.address(), STRUCTURED, &event("3", "1")).json()["accepted"], 1);
    assert_eq!(serving.stop().code, Some(0));
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 3, "each once");
    // Who shares a key says the same of it.
    p.put("datasets/bronze/orders.yaml", rated);
    p.put("alluvium.yaml", b"name: shop\nsinks:\n  hook: { webhook: { url: https://a.example/, secret: { env: ALLUVIUM_A }, rate: { limit: 9, period: 1m, key: shop } } }\n");
    let refused = p.alluvium(&["check"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    refused.said("the key `shop` has another rate elsewhere");
}

#[test]
fn an_event_is_in_gold_once_however_often_it_is_pushed() {
    let p = pushed_shop();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let first = post(&at, STRUCTURED, &event("7", "10.50"));
    assert_eq!((first.status, first.json()), (202, json!({ "accepted": 1, "duplicates": 0 })), "{}", first.body);
    let second = post(&at, STRUCTURED, &event("7", "10.50"));
    assert_eq!((second.status, second.json()), (202, json!({ "accepted": 0, "duplicates": 1 })));
    serving.wait_for("bronze.orders: 1 new event");
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.rows("SELECT orders, amount FROM gold.daily"), [json!({ "orders": 1, "amount": 10.5 })]);
    let row = &p.rows("SELECT ce_id, ce_source, ce_type, id FROM bronze.orders")[0];
    assert_eq!((row["ce_id"].as_str(), row["ce_source"].as_str()), (Some("7"), Some("/shop")), "{row}");
}

#[test]
fn all_three_forms_are_taken() {
    let p = pushed_shop();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    let batch = format!("[{},{},{}]", event("1", "1.00"), event("2", "2.00"), event("1", "1.00"));
    let answer = post(&at, BATCH, &batch);
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 2, "duplicates": 1 })), "{}", answer.body);
    let headers = [
        ("Content-Type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "3"),
        ("ce-source", "/shop"),
        ("ce-type", "com.shop.order.changed"),
    ];
    let body = b"{\"id\":3,\"customer\":\"c2\",\"day\":\"2024-01-05\",\"amount\":3.00,\"updated_at\":\"2024-01-05T10:00:00Z\"}";
    assert_eq!(ask(&at, "POST", "/events", &headers, body).status, 202);
    assert_eq!(serving.stop().code, Some(0));
    // What was acknowledged and not processed yet is done by the next one.
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders"), 3);
}

#[test]
fn events_of_a_batch_come_in_their_own_order_where_the_dataset_asks() {
    let of = |id: u32, time: &str| {
        event(&id.to_string(), "1.00").replace("\"data\"", &format!("\"time\":\"{time}\",\"data\""))
    };
    let came = [of(1, "2024-01-05T10:00:02Z"), event("2", "1.00"), of(3, "2024-01-05T11:00:01+01:00")];
    for (order, ids) in [("time", ["3", "1", "2"]), ("arrival", ["1", "2", "3"])] {
        let p = pushed_shop();
        let source = format!("source: {{ http: {{ types: [\"com.shop.order.*\"], order_by: {order} }} }}\n");
        p.put("datasets/bronze/orders.yaml", source.as_bytes());
        let serving = Serving::start(&p, &[]);
        let answer = post(&serving.address(), BATCH, &format!("[{}]", came.join(",")));
        assert_eq!(answer.status, 202, "{}", answer.body);
        serving.wait_for("done gold.daily");
        assert_eq!(serving.stop().code, Some(0));
        let rows = p.rows("SELECT ce_id FROM bronze.orders ORDER BY _position");
        assert_eq!(rows, ids.map(|id| json!({ "ce_id": id })), "{order}");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let p = pushed_shop();
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    // Its landing object is written, and not recorded.
    command.env("ALLUVIUM_CRASH_AT", "events.before_record:2");
    let serving = Serving::spawn(command);
    let at = serving.address();
    serving.wait_for("ended");
    push_to_dying(&at, &event("7", "10.50"));
    assert_eq!(serving.end().code, None, "it was killed");
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    assert_eq!(post(&at, STRUCTURED, &event("7", "10.50")).json()["duplicates"], 1);
    serving.wait_for("done gold.daily");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 1);
    assert_eq!(p.cell("SELECT sum(orders) FROM gold.daily"), 1);
}

#[test]
fn an_answer_that_waits_comes_when_gold_is_made_and_then_an_idle_service_ends() {
    let p = pushed_shop();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    let push = || post_to(&at, WAITING, STRUCTURED, event("7", "10.50").as_bytes());
    let word = |answer: &Answer, dataset: &str| answer.json()["outcome"][dataset]["state"].clone();
    let first = push();
    assert_eq!((first.status, &first.json()["accepted"]), (200, &json!(1)), "{}", first.body);
    for dataset in ["bronze.orders", "silver.orders", "gold.daily"] {
        assert_eq!(word(&first, dataset), "committed", "{}", first.body);
    }
    assert_eq!(first.json()["outcome"]["bronze.customers"], Value::Null, "{}", first.body);
    let again = push();
    assert_eq!((again.status, &again.json()["duplicates"]), (200, &json!(1)), "{}", again.body);
    assert_eq!(word(&again, "gold.daily"), "unchanged", "{}", again.body);
    assert_eq!(serving.stop().code, Some(0));
    // Nobody asks this one anything.
    let ran = Serving::start(&p, &["--exit-when-idle", "2s"]).end();
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.said("nothing is left to do");
    assert_eq!(p.rows("SELECT orders, amount FROM gold.daily"), [json!({ "orders": 1, "amount": 10.5 })]);
    p.done(&["run"]).said("nothing to do");
}

#[test]
fn who_looks_and_who_is_refused_keeps_no_idle_service() {
    let p = pushed_shop();
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0", "--exit-when-idle", "3s"]);
    command.env("ALLUVIUM_TOKEN", TOKEN);
    let serving = Serving::spawn(command);
    let at = serving.address();
    let calls = [
        ("HEAD", "/healthz", String::new()),
        ("OPTIONS", "/events", format!("Authorization: Bearer {TOKEN}\r\nWebHook-Request-Origin: a.example\r\n")),
        ("POST", "/nowhere", format!("Authorization: Bearer {TOKEN}\r\n")),
        ("POST", "/events", String::new()),
        ("POST", "/hooks/orders", String::new()),
    ];
    // Far more often than every three seconds.
    serving.until("its end", || {
        for (method, path, headers) in &calls {
            // It may end at any time.
            let Ok(mut socket) = TcpStream::connect(&at) else { continue };
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{headers}Content-Length: 0\r\n\r\n"
            );
            let _ = socket.write_all(request.as_bytes());
            let _ = socket.read_to_end(&mut Vec::new());
        }
        !serving.lives()
    });
    assert_eq!(serving.end().code, Some(0), "nobody brought any work");
}

#[test]
fn an_answer_that_waits_tells_what_failed_and_comes_in_time() {
    let p = pushed_shop();
    let failing = "accept: { columns: { amount: { max: { error_above: 100 } } } }\n";
    let silver = std::fs::read_to_string(p.path("datasets/silver/orders.yaml")).expect("a file");
    p.put("datasets/silver/orders.yaml", format!("{silver}{failing}").as_bytes());
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    let dear = post_to(&at, WAITING, STRUCTURED, event("7", "1000").as_bytes());
    let outcome = dear.json()["outcome"].clone();
    assert_eq!((dear.status, &outcome["bronze.orders"]["state"]), (200, &json!("committed")), "{}", dear.body);
    assert_eq!(
        (&outcome["silver.orders"]["state"], &outcome["gold.daily"]["state"]),
        (&json!("failed"), &json!("failed"))
    );
    // What is asked for in another way than a time takes nothing.
    for wrong in ["soon", "-1s", "2h", "4294967295d", "1s&wait=1s", "%00", ""] {
        let answer = post_to(&at, &format!("/events?wait={wrong}"), STRUCTURED, event("9", "1").as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (400, "H0105"), "{wrong}: {}", answer.body);
    }
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 1);
}

#[test]
fn who_waits_for_what_is_collected_is_answered_in_time_and_keeps_an_idle_service() {
    let p = pushed_shop();
    let late = "source: { http: { types: [com.shop.late] } }\nfreshness: 2 hours\n";
    p.put("datasets/bronze/late.yaml", late.as_bytes());
    let late = |id: &str| event(id, "1").replace("com.shop.order.placed", "com.shop.late");
    // Where this is slow the service may have ended before it was asked; then the next one is.
    let asked = (0..20).find_map(|_| {
        let serving = Serving::start(&p, &["--exit-when-idle", "2s"]);
        let at = serving.address();
        serving.wait_for("ended");
        let socket = TcpStream::connect(&at).ok()?;
        // It collects for longer than the answer waits.
        let headers = [("Content-Type", STRUCTURED)];
        let answer = answer(socket, &request(&at, "POST", "/events?wait=300ms", &headers, late("8").as_bytes()));
        (answer.status != 0).then_some((serving, at, answer))
    });
    let (serving, at, answer) = asked.expect("a service that is asked before it ends");
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 1, "duplicates": 0 })), "{}", answer.body);
    // Twice as long as an idle one lives, in which nothing is said; what it says before counts for nothing.
    while serving.says_within(Duration::from_secs(4), "") {}
    assert_eq!(get(&at, "/healthz").status, 200, "something waits to be collected");
    // Who waits is let go when the service stops.
    let waits = std::thread::spawn({
        let (at, late) = (at.clone(), late("10"));
        move || post_to(&at, WAITING, STRUCTURED, late.as_bytes())
    });
    serving.until("both events", || {
        get(&at, "/api/events?dataset=bronze.late").json().as_array().map(Vec::len) == Some(2)
    });
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(waits.join().expect("an answer").status, 202);
}

#[test]
fn garbage_is_refused_with_its_reason() {
    let p = pushed_shop();
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let other_type = event("1", "1").replace("com.shop.order.placed", "com.shop.return");
    for (kind, body, status, code) in [
        (STRUCTURED, "", 400, "H0204"),
        (STRUCTURED, "{", 400, "H0204"),
        (STRUCTURED, "{}", 400, "H0204"),
        (STRUCTURED, "\u{0}\u{1}", 400, "H0204"),
        (BATCH, "{}", 400, "H0204"),
        ("text/plain", "hello", 415, "H0201"),
        ("application/json", "{}", 415, "H0201"),
        (STRUCTURED, other_type.as_str(), 422, "H0205"),
    ] {
        let answer = post(&at, kind, body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{kind} {body}: {}", answer.body);
    }
    let large = format!("{}{}", event("1", "1"), " ".repeat(2 << 20));
    let answer = post(&at, STRUCTURED, &large);
    assert_eq!((answer.status, answer.code().as_str()), (413, "H0202"));
    assert_eq!((get(&at, "/nowhere").status, get(&at, "/events").status), (404, 405));
    assert_eq!(get(&at, "/api/runs?limit=0").code(), "H0105");
    assert_eq!(get(&at, "/api/runs/1999").code(), "H0106");
    assert_eq!(raw(&at, b"\x16\x03\x01garbage\r\n\r\n").status, 400);
    let foreign = b"GET /api/runs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(&at, foreign).status, 403);
    assert_eq!(get(&at, "/healthz").status, 200, "it lives");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM bronze.customers"), 2);
}

#[test]
fn what_show_shows_is_shown_over_http() {
    let p = Project::shop();
    p.put("landing/orders/broken.csv.gz", b"\x1f\x8b\x08 and no more of a gzip");
    p.edit("datasets/bronze/orders.yaml", "*.csv", "*.csv{,.gz}");
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("done gold.daily");
    serving.wait_for("ended");
    assert_eq!(get(&at, "/readyz").json(), json!({ "ready": true }));
    let (datasets, runs) = (get(&at, "/api/datasets").json(), get(&at, "/api/runs").json());
    let catalog = get(&at, "/api/catalog?q=orders%20DAY").json();
    let (latest, dead) = (get(&at, "/api/runs/latest").json(), get(&at, "/api/dead-letters").json());
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(datasets, p.json(&["show", "datasets"]));
    assert_eq!(catalog, p.json(&["show", "catalog", "orders", "DAY"]));
    assert_eq!(catalog.as_array().map(Vec::len), Some(1), "{catalog}");
    assert_eq!(runs, p.json(&["show", "runs"]));
    assert_eq!(latest, p.json(&["show", "run", "latest"]));
    assert_eq!(dead, p.json(&["show", "dead-letters"]));
    assert_eq!(dead.as_array().map(Vec::len), Some(1), "{dead}");
}

#[test]
fn a_token_guards_everything_but_health() {
    let p = pushed_shop();
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_TOKEN", TOKEN);
    let serving = Serving::spawn(command);
    let at = serving.address();
    for path in ["/api/runs", "/api/datasets", "/nowhere"] {
        let answer = get(&at, path);
        assert_eq!((answer.status, answer.code().as_str()), (401, "H0101"), "{path}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    assert_eq!(post(&at, STRUCTURED, &event("1", "1")).status, 401);
    assert_eq!(get(&at, "/healthz").status, 200);
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(ask(&at, "GET", "/api/runs", &[("Authorization", &bearer)], b"").status, 200);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", STRUCTURED)];
    assert_eq!(ask(&at, "POST", "/events", &headers, event("1", "1").as_bytes()).status, 202);
    let ran = serving.stop();
    assert_eq!(ran.code, Some(0));
    assert!(!ran.stderr.contains(TOKEN));
}

#[test]
fn nobody_else_may_reach_a_service_without_a_token() {
    let p = pushed_shop();
    let ran = p.alluvium(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("error[H0001]");
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    let ran = crate::harness::Ran::from(command.env("ALLUVIUM_TOKEN", "short").output().expect("it runs"));
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("error[H0002]");
}

#[test]
fn a_producer_is_told_to_wait_while_the_inbox_is_full() {
    let p = pushed_shop();
    // Where its table would be there is a file, so that nothing leaves the inbox.
    p.put("lake/dev/pushed", b"no folder");
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    let batch = |from: u32| {
        let one =
            |i| format!("{{\"specversion\":\"1.0\",\"id\":\"{i}\",\"source\":\"/s\",\"type\":\"com.shop.order.x\"}}");
        format!("[{}]", (from..from + 10_000).map(one).collect::<Vec<_>>().join(","))
    };
    for from in 0..10 {
        assert_eq!(post(&at, BATCH, &batch(from * 10_000)).status, 202);
    }
    let full = post(&at, BATCH, &batch(100_000));
    assert_eq!((full.status, full.code().as_str()), (429, "H0207"), "{}", full.body);
    assert!(full.head.contains("retry-after: 5"), "{}", full.head);
    assert_eq!(post(&at, BATCH, &batch(0)).json()["duplicates"], 10_000, "what was taken is still acknowledged");
    assert_eq!(serving.stop().code, Some(0));
    assert!(Command::new("rm").arg(p.path("lake/dev/pushed")).status().expect("rm runs").success());
    p.alluvium(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 100_000);
}

#[test]
fn what_waits_is_told_and_what_became_of_each_event() {
    let p = pushed_shop();
    // Where its landing object would be there is a file, so that nothing leaves the inbox.
    p.put("lake/dev/pushed", b"no folder");
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    for id in ["7", "8"] {
        assert_eq!(post(&at, STRUCTURED, &event(id, "10.50")).status, 202);
    }
    let waiting = get(&at, "/api/events?dataset=bronze.orders").json();
    let told = |n: usize| (waiting[n]["state"].clone(), waiting[n]["source"].clone(), waiting[n]["id"].clone());
    assert_eq!(waiting.as_array().map(Vec::len), Some(2), "{waiting:#}");
    assert_eq!(told(0), (json!("inbox"), json!("/shop"), json!("8")), "the newest first");
    assert!(waiting[0]["received_at"].is_string() && waiting[0]["bytes"].as_u64() > Some(20), "{waiting:#}");
    assert_eq!(get(&at, "/api/events?limit=1").json(), json!([waiting[0]]));
    assert_eq!(get(&at, "/api/events?dataset=bronze.customers").json(), json!([]));
    let unknown = get(&at, "/api/events?dataset=bronze.order");
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "F0101"), "{}", unknown.body);
    assert!(unknown.body.contains("there is bronze.orders"), "{}", unknown.body);
    let shown = get(&at, "/api/events/7?source=/shop").json();
    assert_eq!((&shown["id"], &shown["loaded"]), (&json!("7"), &json!([])), "{shown:#}");
    for nowhere in ["/api/events/7?source=/other", "/api/events/9?source=/shop", "/api/events/zz"] {
        assert_eq!(get(&at, nowhere).code(), "H0112", "{nowhere}");
    }
    assert_eq!(serving.stop().code, Some(0));

    std::fs::remove_file(p.path("lake/dev/pushed")).expect("removed");
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("done gold.daily");
    serving.wait_for("ended");
    assert_eq!(get(&at, "/api/events").json(), json!([]));
    let shown = get(&at, "/api/events/7?source=%2Fshop").json();
    let whole = &shown["loaded"][0];
    let (id, run) = (whole["event"]["event"].as_str().expect("an id"), &whole["event"]["run"]);
    let steps: Vec<_> = whole["steps"].as_array().expect("steps").iter().map(|s| s["dataset"].clone()).collect();
    assert_eq!(steps, [json!("bronze.orders"), json!("silver.orders"), json!("gold.daily")], "{shown:#}");
    assert!(run.is_string() && whole["steps"][0]["finished_by"] == *run, "{shown:#}");
    assert_eq!(get(&at, &format!("/api/events/{}", &id[..12])).json(), *whole);
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.json(&["show", "event", id]), *whole);
}
