//! Publications reach their sinks: at least once, in order, only when they are due, and whatever the receiver does.

use crate::receiver::{Receiver, Reply};
use alluvium_flow::{Report, Signal, Timer};
use alluvium_model::{
    Balance, Clock, DatasetName, DefinitionVersion, ManualClock, RunId, SeededEntropy, Span, StepKey,
};
use alluvium_server::{Outbox, Stopper, Waking};
use alluvium_spec::{BodyFormat, Rate, Secret, Sink, Webhook, WebhookAddress};
use alluvium_store::{
    LedgerEntry, NewPublication, NewStep, Owner, RunRecord, RunState, SqliteStore, StepDone, StepKind, Store, Watch,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::Notify;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const LONG: Duration = Duration::from_secs(600);
/// What a receiver that says nothing costs a test, and longer than any other takes to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Report for Heard {
    fn signal(&self, signal: Signal) {
        let line = match signal {
            Signal::Published { topic, sink, events } => format!("{topic} {sink} {events}"),
            Signal::NotPublished { topic, sink, code, again_in, .. } => {
                format!("{topic} {sink} {code}{}", if again_in.is_none() { " off" } else { "" })
            }
            _ => return,
        };
        self.0.lock().expect("no holder of this lock panics").push(line);
    }
}

struct Never;

#[async_trait]
impl Timer for Never {
    async fn wait(&self, _: Duration) {
        std::future::pending().await
    }
}

/// Time passes, and so often another process takes the place in the rate that is free then.
struct Overtaken {
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    rate: alluvium_store::Rate,
    times: AtomicU32,
}

#[async_trait]
impl Timer for Overtaken {
    async fn wait(&self, time: Duration) {
        self.clock.advance_micros(i64::try_from(time.as_micros()).expect("a short time"));
        if self.times.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            let refused = self.store.pace(&self.rate, self.clock.now()).await.expect("the state works");
            assert_eq!(refused, None, "the place is free");
        }
    }
}

pub struct Bench {
    pub store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    heard: Arc<Heard>,
    run: RunId,
    pub folder: tempfile::TempDir,
}

fn name(text: &str) -> DatasetName {
    text.parse().expect("a name")
}

fn owner(process: u32) -> Owner {
    Owner { host: "here".to_owned(), process, started_ticks: 1 }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("a time")
}

impl Bench {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(SqliteStore::open(&folder.path().join("state.db")).await.expect("a state"));
        let run = RunId::from_stored("20260101T000000-00000001");
        let record = RunRecord {
            run: run.clone(),
            command: "run".to_owned(),
            state: RunState::Running,
            started_at: start(),
            finished_at: None,
            objects_new: 0,
            objects_duplicate: 0,
            objects_dead: 0,
            tells: false,
        };
        let watch = Watch { now: start(), alive: &|_| true };
        store.start_run(&record, &owner(1), Span::from_secs(60), &watch).await.expect("a run");
        Self { store, clock: Arc::new(ManualClock::at(start())), heard: Arc::default(), run, folder }
    }

    /// A step of the dataset that committed this version.
    pub async fn committed(&self, dataset: &str, version: i64, sinks: &[&str]) {
        let key = StepKey::from_stored(format!("{dataset}-{version}"));
        let step = NewStep {
            key: key.clone(),
            run: self.run.clone(),
            kind: StepKind::Refine,
            dataset: name(dataset),
            version: DefinitionVersion::from_stored("v1"),
            events: Vec::new(),
            inputs: BTreeMap::new(),
            lookups: BTreeMap::new(),
            windows: None,
            watermark: None,
            planned_at: start(),
        };
        self.store.plan(&step).await.expect("planned");
        let publish =
            sinks.iter().map(|s| NewPublication { sink: (*s).to_owned(), event: format!("{{\"id\":\"{key}\"}}") });
        let done = StepDone {
            key: key.clone(),
            run: self.run.clone(),
            finished_at: start(),
            committed: Some(version),
            balance: Balance::default(),
            dead: Vec::new(),
            quality: Vec::new(),
            reached: None,
            ledger: LedgerEntry::default(),
            publish: publish.collect(),
        };
        self.store.finish(&done).await.expect("finished");
    }

    fn outbox(&self, process: u32, sinks: &[(&str, Sink)]) -> Arc<Outbox> {
        Arc::new(Outbox {
            store: self.store.clone(),
            sinks: sinks.iter().map(|(n, s)| ((*n).to_owned(), s.clone())).collect(),
            variables: Arc::new(|name| (name == "ALLUVIUM_HOOK").then(|| SECRET.to_owned())),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(7)),
            timer: Arc::new(Never),
            report: self.heard.clone(),
            owner: owner(process),
            alive: |_| true,
            patience: PATIENCE,
            busy: Arc::default(),
        })
    }

    pub async fn once(&self, sinks: &[(&str, Sink)]) {
        self.outbox(1, sinks).once(LONG).await.expect("the state is read");
    }

    fn later(&self, seconds: i64) {
        self.clock.advance_micros(seconds * 1_000_000);
    }

    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.0.lock().expect("no holder of this lock panics"))
    }

    async fn waiting(&self) -> u64 {
        self.store.lanes().await.expect("read").iter().map(|l| l.waiting).sum()
    }
}

pub fn hook(url: &str) -> Sink {
    Sink::Webhook(Webhook {
        url: WebhookAddress::Written(url.parse().expect("a url")),
        format: BodyFormat::CloudEvents,
        secrets: vec![Secret { variable: "ALLUVIUM_HOOK".to_owned() }],
        allow_http: false,
        allow_link_local: false,
        rate: None,
    })
}

/// As people read it, and nobody looks at a signature.
fn slack(receiver: &Receiver) -> Sink {
    let Sink::Webhook(hook) = at(receiver) else { unreachable!("a webhook") };
    Sink::Webhook(Webhook { format: BodyFormat::Slack, secrets: Vec::new(), ..hook })
}

#[tokio::test]
async fn a_message_for_people_is_the_same_however_often_it_is_sent() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[Reply::Lost]).await);
    bench.committed("silver.a", 1, &["hook"]).await;
    let sinks = [("hook", slack(&receiver))];
    bench.once(&sinks).await;
    bench.later(10);
    bench.once(&sinks).await;
    let calls = receiver.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert_eq!((&calls[0].body, receiver.ids()[0].as_str()), (&calls[1].body, receiver.ids()[1].as_str()));
    assert_eq!(calls[0].headers["content-type"], "application/json");
    assert!(!calls[0].headers.contains_key("webhook-signature"));
    let body: serde_json::Value = serde_json::from_str(&calls[0].body).expect("a body");
    assert!(body["text"].is_string() && body.as_object().map(|b| b.len()) == Some(1), "{body}");
}

fn at(receiver: &Receiver) -> Sink {
    hook(&format!("http://127.0.0.1:{}/in?a=b", receiver.port))
}

#[tokio::test]
async fn what_was_committed_is_told_in_order_and_once_where_nothing_goes_wrong() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[]).await);
    let sinks = [("hook", at(&receiver))];
    for version in 1..=3 {
        bench.committed("silver.a", version, &["hook"]).await;
    }
    bench.committed("silver.b", 1, &["hook"]).await;
    bench.once(&sinks).await;
    bench.once(&sinks).await;
    let calls = receiver.calls();
    let of_a: Vec<_> = receiver.ids().into_iter().filter(|id| id.starts_with("silver.a")).collect();
    assert_eq!((of_a, calls.len()), (vec!["silver.a-1".into(), "silver.a-2".into(), "silver.a-3".into()], 4));
    let call = calls.iter().find(|c| c.headers["webhook-id"] == "silver.a-1").expect("the first");
    assert_eq!((call.path.as_str(), call.body.as_str()), ("/in?a=b", "{\"id\":\"silver.a-1\"}"));
    assert_eq!(call.headers["webhook-timestamp"], "1700000000");
    assert_eq!(call.headers["content-type"], "application/cloudevents+json");
    // `openssl dgst -sha256 -mac HMAC` over `silver.a-1.1700000000.{"id":"silver.a-1"}`.
    assert_eq!(call.headers["webhook-signature"], "v1,klhW1KI7jZPoVzwwekgfVZ0esNQZ8xIen/fT8CMyBi8=");
    assert_eq!(bench.waiting().await, 0);
}

/// No time passes here: only who wakes it makes it look again.
#[tokio::test]
async fn a_commit_of_another_process_wakes_the_outbox() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[]).await);
    let (stopper, stop) = Stopper::new();
    let wake = Arc::new(Notify::new());
    bench.committed("silver.a", 1, &["hook"]).await;
    let outbox = bench.outbox(1, &[("hook", at(&receiver))]);
    let lanes = outbox.busy.clone();
    let working = tokio::spawn(outbox.work(wake.clone(), stop));
    let told = async |events: usize| {
        let all = async {
            // And it rests again.
            while bench.waiting().await > 0 || lanes.load(SeqCst) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, all).await.expect("it is told");
        assert_eq!(receiver.calls().len(), events);
    };
    told(1).await;
    bench.committed("silver.a", 2, &["hook"]).await;
    Waking { report: &*bench.heard, wake }.signal(Signal::CommitsSeen);
    told(2).await;
    stopper.stop();
    working.await.expect("it ends");
}

#[tokio::test]
async fn whatever_a_receiver_does_nothing_is_lost_and_the_order_stays() {
    let bench = Bench::new().await;
    let replies = [
        Reply::Lost,
        Reply::Silent,
        Reply::Status(500),
        Reply::With(302, "location", "http://127.0.0.1:1/elsewhere"),
        Reply::Status(400),
        Reply::Status(204),
        Reply::Lost,
    ];
    let receiver = Receiver::start(&replies).await;
    let sinks = [("hook", at(&receiver))];
    bench.committed("silver.a", 1, &["hook"]).await;
    bench.committed("silver.a", 2, &["hook"]).await;
    for failure in 1..=5 {
        bench.once(&sinks).await;
        assert_eq!(receiver.calls().len(), failure, "one try, and none before its time");
        bench.once(&sinks).await;
        assert_eq!(receiver.calls().len(), failure);
        bench.later(3_600);
    }
    let said = bench.heard();
    let codes: Vec<&str> = said.iter().map(|l| l.rsplit(' ').next().expect("a code")).collect();
    assert_eq!(codes, ["H0309", "H0308", "H0310", "H0310", "H0310"]);
    bench.once(&sinks).await;
    bench.later(5);
    bench.once(&sinks).await;
    let mut expected = vec!["silver.a-1"; 6];
    expected.extend(["silver.a-2", "silver.a-2"]);
    assert_eq!(receiver.ids(), expected, "the first failure after a success waits short again");
    assert_eq!(bench.waiting().await, 0);
}

#[tokio::test]
async fn a_receiver_says_when_it_wants_to_be_asked_again() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[Reply::With(429, "retry-after", "120")]).await);
    let sinks = [("hook", at(&receiver))];
    bench.committed("silver.a", 1, &["hook"]).await;
    bench.once(&sinks).await;
    bench.later(119);
    bench.once(&sinks).await;
    assert_eq!(receiver.calls().len(), 1);
    bench.later(1);
    bench.once(&sinks).await;
    assert_eq!(receiver.ids(), ["silver.a-1", "silver.a-1"]);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_until_a_person_says_so() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[Reply::Status(410)]).await);
    let sinks = [("hook", at(&receiver))];
    bench.committed("silver.a", 1, &["hook"]).await;
    bench.once(&sinks).await;
    bench.later(100_000);
    bench.committed("silver.a", 2, &["hook"]).await;
    bench.once(&sinks).await;
    assert_eq!((receiver.calls().len(), bench.waiting().await), (1, 2));
    assert_eq!(bench.heard(), ["silver.a hook H0311 off"]);
    bench.store.reopen_sink("hook").await.expect("reopened");
    bench.once(&sinks).await;
    assert_eq!(receiver.ids(), ["silver.a-1", "silver.a-1", "silver.a-2"]);
}

#[tokio::test]
async fn one_sink_does_not_hold_up_another() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[]).await);
    let out = bench.folder.path().join("out");
    let sinks = [
        ("broken", hook("http://127.0.0.1:1/")),
        ("folder", Sink::Files { folder: out.clone() }),
        ("hook", at(&receiver)),
    ];
    bench.committed("silver.a", 7, &["broken", "folder", "hook"]).await;
    bench.once(&sinks).await;
    assert_eq!(receiver.ids(), ["silver.a-7"]);
    let file = out.join("silver.a/00000000000000000007-silver.a-7.json");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "{\"id\":\"silver.a-7\"}\n");
    assert_eq!(std::fs::read_dir(out.join("silver.a")).expect("a folder").count(), 1, "no draft is left");
    let mut said = bench.heard();
    said.sort();
    assert_eq!(said, ["silver.a broken H0306", "silver.a folder 1", "silver.a hook 1"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_tried_again() {
    let bench = Bench::new().await;
    let out = bench.folder.path().join("out");
    let sinks = [("folder", Sink::Files { folder: out.clone() })];
    std::fs::write(&out, "in the way").expect("a file");
    bench.committed("silver.a", 1, &["folder"]).await;
    bench.once(&sinks).await;
    assert_eq!(bench.heard(), ["silver.a folder H0312"]);
    std::fs::remove_file(&out).expect("gone");
    bench.later(5);
    bench.once(&sinks).await;
    assert_eq!((bench.heard(), bench.waiting().await), (vec!["silver.a folder 1".to_owned()], 0));
}

#[tokio::test]
async fn where_machines_keep_credentials_nothing_is_sent() {
    let bench = Bench::new().await;
    bench.committed("silver.a", 1, &["hook"]).await;
    bench.once(&[("hook", hook("https://169.254.169.254/latest/api/token"))]).await;
    assert_eq!(bench.heard(), ["silver.a hook H0305"]);
    bench.later(60);
    // Another machine, without TLS.
    bench.once(&[("hook", hook("http://192.0.2.1/"))]).await;
    assert_eq!(bench.heard(), ["silver.a hook H0304"]);
}

#[tokio::test]
async fn a_secret_that_is_missing_is_said_by_its_name() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[]).await);
    let Sink::Webhook(mut webhook) = at(&receiver) else { unreachable!("a webhook") };
    webhook.secrets[0].variable = "ALLUVIUM_OTHER".to_owned();
    bench.committed("silver.a", 1, &["hook"]).await;
    bench.once(&[("hook", Sink::Webhook(webhook))]).await;
    assert_eq!((receiver.calls().len(), bench.heard()), (0, vec!["silver.a hook H0301".to_owned()]));
    let lane = bench.store.lanes().await.expect("read").remove(0);
    assert_eq!(lane.error.as_deref(), Some("H0301: the environment variable `ALLUVIUM_OTHER` is not set"));
    bench.later(60);
    bench.once(&[("hook", at(&receiver))]).await;
    assert_eq!(receiver.ids(), ["silver.a-1"]);
}

#[tokio::test]
async fn two_processes_do_not_tell_the_same() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[]).await);
    let sinks = [("hook", at(&receiver))];
    for version in 1..=20 {
        bench.committed("silver.a", version, &["hook"]).await;
    }
    let (one, other) = (bench.outbox(1, &sinks), bench.outbox(2, &sinks));
    let (a, b) = tokio::join!(one.once(LONG), other.once(LONG));
    a.and(b).expect("the state is read");
    let expected: Vec<String> = (1..=20).map(|v| format!("silver.a-{v}")).collect();
    assert_eq!(receiver.ids(), expected);
}

/// Two datasets have two lanes, and two processes work on them: the receiver is called as often as the sink says.
#[tokio::test]
async fn a_rate_holds_over_all_lanes_and_processes() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[Reply::Status(500)]).await);
    let Sink::Webhook(webhook) = at(&receiver) else { unreachable!("a webhook") };
    let rate = Some(Rate { key: None, limit: 6, period: Span::from_secs(60), burst: 2 });
    let sinks = [("hook", Sink::Webhook(Webhook { rate, ..webhook }))];
    for version in 1..=4 {
        bench.committed("silver.a", version, &["hook"]).await;
        bench.committed("silver.b", version, &["hook"]).await;
    }
    let (one, other) = (bench.outbox(1, &sinks), bench.outbox(2, &sinks));
    let mut calls = Vec::new();
    for _ in 0..10 {
        for process in [&one, &other] {
            process.clone().once(LONG).await.expect("the state is read");
        }
        calls.push(receiver.calls().len());
        bench.later(10);
    }
    assert_eq!(calls, [2, 3, 4, 5, 6, 7, 8, 9, 9, 9], "one that failed is called anew, in its turn");
    assert_eq!(bench.waiting().await, 0);
    let of = |name: &str| receiver.ids().into_iter().filter(|id| id.starts_with(name)).collect::<Vec<_>>();
    for name in ["silver.a", "silver.b"] {
        let mut ids = of(name);
        ids.dedup();
        assert_eq!(ids, [1, 2, 3, 4].map(|v| format!("{name}-{v}")));
    }
    let failed = bench.store.lanes().await.expect("read").iter().map(|l| l.failures).sum::<u32>();
    assert_eq!(failed, 0, "to wait for a place is no failure");
}

/// Two sinks lie at one receiver, which is called as often as their key says.
#[tokio::test]
async fn sinks_that_name_a_key_share_its_rate() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[]).await);
    let Sink::Webhook(webhook) = at(&receiver) else { unreachable!("a webhook") };
    let rate = Some(Rate { key: Some("partner".to_owned()), limit: 6, period: Span::from_secs(60), burst: 2 });
    let sink = || Sink::Webhook(Webhook { rate: rate.clone(), ..webhook.clone() });
    let sinks = [("hook", sink()), ("other", sink())];
    for version in 1..=2 {
        bench.committed("silver.a", version, &["hook", "other"]).await;
    }
    let outbox = bench.outbox(1, &sinks);
    let mut calls = Vec::new();
    for _ in 0..4 {
        outbox.clone().once(LONG).await.expect("the state is read");
        calls.push(receiver.calls().len());
        bench.later(10);
    }
    assert_eq!(calls, [2, 3, 4, 4]);
    assert_eq!(bench.waiting().await, 0, "nothing of either is left out");
}

/// Two calls a second, and somebody else is always a little faster.
#[tokio::test]
async fn a_lane_that_is_overtaken_in_its_rate_is_given_back() {
    let (bench, receiver) = (Bench::new().await, Receiver::start(&[]).await);
    let Sink::Webhook(webhook) = at(&receiver) else { unreachable!("a webhook") };
    let (limit, period, burst) = (120, Span::from_secs(60), 1);
    let sinks = [("hook", Sink::Webhook(Webhook { rate: Some(Rate { key: None, limit, period, burst }), ..webhook }))];
    for version in 1..=3 {
        bench.committed("silver.a", version, &["hook"]).await;
    }
    let once = async |process: u32, times: u32| {
        let timer = Arc::new(Overtaken {
            store: bench.store.clone(),
            clock: bench.clock.clone(),
            rate: alluvium_store::Rate { key: "sink hook".to_owned(), limit, period, burst },
            times: AtomicU32::new(times),
        });
        let outbox = Arc::into_inner(bench.outbox(process, &sinks)).expect("nobody else has it");
        Arc::new(Outbox { timer, ..outbox }).once(LONG).await.expect("the state is read");
        receiver.calls().len()
    };
    assert_eq!(once(1, u32::MAX).await, 1, "it waits for one place, and not for the next");
    let lane = bench.store.lanes().await.expect("read").remove(0);
    assert_eq!((lane.failures, lane.next_at), (0, start() + Duration::from_secs(1)));
    assert_eq!(once(2, 0).await, 1, "not before its time");
    bench.later(1);
    assert_eq!(once(2, 0).await, 3, "nobody holds the lane");
    assert_eq!(bench.waiting().await, 0);
}
