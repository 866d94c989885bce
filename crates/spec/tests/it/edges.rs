//! What comes in and goes out: sinks, webhooks and buckets that send notices.

use crate::folder;
use alluvium_model::{ByteSize, Span};
use alluvium_spec::{BodyFormat, Diagnostics, Environment, Project, Rate, Sink, WebhookAddress, load};
use jiff::Timestamp;

const SINKS: &str = "name: x
sinks:
  hook: { webhook: { url: \"https://hooks.example.com/in?a=b\", secret: [ { env: ALLUVIUM_NEW }, { env: ALLUVIUM_OLD } ] } }
  other: { webhook: { url: { env: ALLUVIUM_URL }, secret: { env: ALLUVIUM_NEW }, allow: [http, link_local] } }
  near: { webhook: { url: \"http://localhost:9/\", secret: { env: ALLUVIUM_NEW } } }
  folder: { files: out/events/ }
";

fn read(files: &[(&str, &str)]) -> Result<Project, Diagnostics> {
    load(folder(files).path(), &Environment::default())
}

#[test]
fn sinks_are_named_once_and_used_by_any_layer() {
    let p = read(&[
        ("alluvium.yaml", SINKS),
        ("datasets/bronze/a.yaml", "source: { files: landing/a/ }\npublish: folder\n"),
        ("datasets/gold/b.sql", "/* publish: [hook, folder] */ SELECT 1 AS one FROM gold.c\n"),
        ("datasets/gold/c.sql", "SELECT 1 AS one\n"),
    ]);
    let p = p.unwrap_or_else(|d| panic!("{d}"));
    let publish = |name: &str| p.datasets[&name.parse().expect("a name")].publish.join(" ");
    assert_eq!(
        (publish("bronze.a"), publish("gold.b"), publish("gold.c")),
        ("folder".into(), "hook folder".into(), "".into())
    );
    let Sink::Files { folder } = &p.sinks["folder"] else { panic!("no folder") };
    assert!(folder.is_absolute() && folder.ends_with("out/events"));
    let Sink::Webhook(hook) = &p.sinks["hook"] else { panic!("no webhook") };
    let secrets: Vec<&str> = hook.secrets.iter().map(|s| s.variable.as_str()).collect();
    assert_eq!((secrets, hook.allow_http), (vec!["ALLUVIUM_NEW", "ALLUVIUM_OLD"], false));
    let Sink::Webhook(other) = &p.sinks["other"] else { panic!("no webhook") };
    assert!(matches!(other.url, WebhookAddress::Env(_)) && other.allow_http && other.allow_link_local);
}

#[test]
fn alerts_have_sinks_and_messages_for_people_need_no_secret() {
    let file = "name: x\nsinks:\n  team: { webhook: { url: { env: ALLUVIUM_TEAM }, format: slack } }\nalerts: team\n";
    let p = read(&[("alluvium.yaml", file)]).unwrap_or_else(|d| panic!("{d}"));
    let Sink::Webhook(team) = &p.sinks["team"] else { panic!("no webhook") };
    assert_eq!((team.format, team.secrets.len()), (BodyFormat::Slack, 0));
    assert_eq!(p.alerts, ["team"]);
    let refused = |from: &str, to: &str| {
        let found = read(&[("alluvium.yaml", &file.replace(from, to))]).expect_err("a mistake");
        found.0.iter().map(|d| d.code).collect::<Vec<_>>()
    };
    assert_eq!(refused("alerts: team", "alerts: tame"), ["E0120"]);
    assert_eq!(refused("format: slack", "format: slak"), ["E0010"]);
    assert_eq!(refused(", format: slack", ""), ["E0008"], "events are signed");
}

#[test]
fn a_sink_says_how_often_it_is_called() {
    let rated = |rate: &str| {
        let url = "url: https://a.example/, secret: { env: ALLUVIUM_A }";
        read(&[("alluvium.yaml", &format!("name: x\nsinks:\n  a: {{ webhook: {{ {url}{rate} }} }}\n"))])
    };
    let of = |rate: &str| match &rated(rate).unwrap_or_else(|d| panic!("{d}")).sinks["a"] {
        Sink::Webhook(hook) => hook.rate.clone(),
        Sink::Files { .. } => panic!("no webhook"),
    };
    assert_eq!(of(""), None);
    let minute = Rate { key: None, limit: 9, period: Span::from_secs(60), burst: 1 };
    assert_eq!(of(", rate: { limit: 9, period: 1m }"), Some(minute.clone()));
    assert_eq!(of(", rate: { limit: 9, period: 1m, burst: 4 }"), Some(Rate { burst: 4, ..minute }));
    for (wrong, code) in [
        ("{ limit: 0, period: 1m }", "E0009"),
        ("{ limit: 1, period: 0s }", "E0009"),
        ("{ limit: 1, period: 1s, burst: 0 }", "E0009"),
        ("{ limit: 1000001, period: 1s }", "E0009"),
        ("{ limit: 1 }", "E0008"),
        ("{ limit: 1, period: 1s, brust: 2 }", "E0007"),
    ] {
        let said = rated(&format!(", rate: {wrong}")).expect_err(wrong);
        assert_eq!(said.0[0].code, code, "{wrong}");
    }
}

#[test]
fn sinks_sources_and_datasets_share_a_rate_by_its_key() {
    let all = |sink: &str, source: &str, throttle: &str| {
        let url = "url: https://a.example/, secret: { env: ALLUVIUM_A }";
        let project = format!(
            "name: x\nsinks:\n  a: {{ webhook: {{ {url}, rate: {{ limit: 9, period: 1m, burst: 2, key: partner }} }} }}\n  b: {{ webhook: {{ {url}, rate: {sink} }} }}\n"
        );
        let source = format!("source: {{ http: {{ types: [a], rate: {source} }} }}\n");
        let other = format!("source: {{ http: {{ types: [b] }} }}\nthrottle: {throttle}\n");
        read(&[("alluvium.yaml", &project), ("datasets/bronze/a.yaml", &source), ("datasets/bronze/b.yaml", &other)])
    };
    let same = "{ limit: 9, period: 1m, burst: 2, key: partner }";
    let p = all(same, same, same).unwrap_or_else(|d| panic!("{d}"));
    let rate = p.datasets.values().find_map(|d| d.push()?.rate.clone()).expect("a rate");
    assert_eq!((rate.key.as_deref(), rate.limit, rate.burst), (Some("partner"), 9, 2));
    let other = "{ limit: 8, period: 1m, burst: 2, key: partner }";
    for (wrong, at) in [
        (all(other, same, same), "alluvium.yaml"),
        (all(same, other, same), "datasets/bronze/a.yaml"),
        (all(same, same, other), "datasets/bronze/b.yaml"),
    ] {
        let said = wrong.expect_err(at);
        assert_eq!((said.0.len(), said.0[0].code, said.0[0].file.to_str()), (1, "E0109", Some(at)), "{said}");
    }
    let own = all(same, "{ limit: 8, period: 1m }", "{ limit: 7, period: 1m, key: dataset }");
    assert!(own.is_ok(), "what names no key is its own");
    for (wrong, code) in [("Partner", "E0009"), ("dataset", "E0109")] {
        let said = all(same, &format!("{{ limit: 9, period: 1m, burst: 2, key: {wrong} }}"), same).expect_err(wrong);
        assert_eq!(said.0[0].code, code, "{wrong}");
    }
}

#[test]
fn a_table_is_overdue_after_frequency_and_latency() {
    let contract = |sla: &str| {
        let contract = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: b\nname: b\nversion: 1.0.0\nstatus: active\nslaProperties:\n{sla}schema:\n  - name: b\n    properties:\n      - {{ name: id, logicalType: integer }}\n"
        );
        let p = read(&[
            ("alluvium.yaml", "name: x\n"),
            ("datasets/bronze/a.yaml", "source: { files: landing/a/ }\n"),
            ("datasets/silver/b.yaml", "from: bronze.a\ncontract: b\nwrite: append\n"),
            ("contracts/b.odcs.yaml", &contract),
        ]);
        p.unwrap_or_else(|d| panic!("{d}")).datasets[&"silver.b".parse().expect("a name")].due.clone()
    };
    let last: Timestamp = "2024-01-05T07:30:00Z".parse().expect("a time");
    let next = |sla: &str| contract(sla).and_then(|due| due.next(last)).map(|at| at.to_string());
    let (often, late) =
        ("  - { property: frequency, value: 1, unit: d }\n", "  - { property: Latency, value: 2, unit: h }\n");
    assert_eq!(next(&format!("{often}{late}")).as_deref(), Some("2024-01-06T09:30:00Z"));
    assert_eq!(next(often).as_deref(), Some("2024-01-06T07:30:00Z"));
    assert!(contract(late).is_none(), "nobody agreed on new data");
    // A Friday: the next working day is Monday.
    let at = |cron: &str, by: &str| {
        format!("  - {{ property: frequency, value: 1, unit: d, scheduler: {by}, schedule: '{cron}' }}\n{late}")
    };
    assert_eq!(next(&at("0 6 * * 1-5", "Cron")).as_deref(), Some("2024-01-08T08:00:00Z"));
    for (cron, by) in [("0 6 * * 1-5", "airflow"), ("every day", "cron"), ("0 0 30 2 *", "cron")] {
        assert_eq!(next(&at(cron, by)).as_deref(), Some("2024-01-06T09:30:00Z"), "{cron} {by}: the frequency alone");
    }
}

#[test]
fn who_is_told_decides_no_row() {
    let version = |publish: &str| {
        let bronze = format!("source: {{ files: landing/a/ }}\n{publish}");
        let p = read(&[("alluvium.yaml", SINKS), ("datasets/bronze/a.yaml", &bronze)]);
        p.unwrap_or_else(|d| panic!("{d}")).datasets.values().next().expect("one").version.clone()
    };
    assert_eq!(version(""), version("publish: folder\n"));
}

#[test]
fn a_webhook_has_its_usual_bounds() {
    let hook = |source: &str| read(&[("alluvium.yaml", "name: x\n"), ("datasets/bronze/a.yaml", source)]);
    let p = hook("source: { webhook: { path: /hooks/pay, secret: { env: ALLUVIUM_PAY } } }\n");
    let p = p.unwrap_or_else(|d| panic!("{d}"));
    let dataset = p.datasets.values().next().expect("one");
    let webhook = dataset.webhook().expect("a webhook");
    assert!(dataset.is_pushed() && dataset.push().is_none());
    assert_eq!((webhook.path.as_str(), webhook.tolerance), ("/hooks/pay", Span::from_secs(300)));
    assert_eq!(
        (webhook.max_bytes, webhook.rate.clone()),
        (ByteSize(256 << 10), Rate { key: None, limit: 100, period: Span::from_secs(1), burst: 100 })
    );
    let rated = hook(
        "source: { webhook: { path: /hooks/pay, secret: { env: ALLUVIUM_PAY }, rate: { limit: 3, period: 1m } } }\n",
    );
    let rated = rated.unwrap_or_else(|d| panic!("{d}"));
    let rate = rated.datasets.values().next().and_then(|d| Some(d.webhook()?.rate.clone()));
    assert_eq!(
        rate,
        Some(Rate { key: None, limit: 3, period: Span::from_secs(60), burst: 3 }),
        "all at once, as before"
    );
    for path in ["/hooks/", "/hooks//a", "/hooks/..", "/hooks/a?b", "/events", "hooks/a", "/hooks/{x}"] {
        let said = hook(&format!("source: {{ webhook: {{ path: \"{path}\", secret: {{ env: ALLUVIUM_PAY }} }} }}\n"));
        assert_eq!(said.expect_err(path).0[0].code, "E0009", "{path}");
    }
}

#[test]
fn one_path_has_one_taker() {
    let hook = "source: { webhook: { path: /hooks/pay, secret: { env: ALLUVIUM_PAY } } }\n";
    let said =
        read(&[("alluvium.yaml", "name: x\n"), ("datasets/bronze/a.yaml", hook), ("datasets/bronze/b.yaml", hook)]);
    let said = said.expect_err("two takers");
    assert_eq!(said.0.iter().map(|d| d.code).collect::<Vec<_>>(), ["E0109"]);
    assert!(said.0[0].message.contains("bronze.a"), "{said}");
}

#[test]
fn a_secret_is_never_shown() {
    let said = read(&[(
        "alluvium.yaml",
        "name: x\nsinks:\n  a: { webhook: { url: \"https://u:hunter2@h/\", secret: whsec_hunter2 } }\n",
    )]);
    let said = said.expect_err("written out").to_string();
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn events_do_not_come_back_as_data() {
    let said = read(&[
        ("alluvium.yaml", "name: x\nsinks: { out: { files: landing/a/out/ } }\n"),
        ("datasets/bronze/a.yaml", "source: { files: landing/a/ }\n"),
    ]);
    assert_eq!(said.expect_err("inside each other").0[0].code, "E0109");
}
