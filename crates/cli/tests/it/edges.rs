//! What goes out of a project and comes in: sinks that are told of commits, signed webhooks, notices of object stores.

use crate::{
    harness::{Project, Ran},
    hooks::{OLD_SECRET, Receiver, SECRET, call, now},
    http::{ask, post_to},
    market::killed,
    serving::Serving,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// The shop, which tells a folder of every commit, and a webhook of silver and gold.
fn telling_shop(port: u16) -> Project {
    let p = Project::shop();
    p.put(
        "alluvium.yaml",
        format!(
            "name: my shop\nsinks:\n  folder: {{ files: out/events/ }}\n  hook: {{ webhook: {{ url: \
             \"http://127.0.0.1:{port}/in\", secret: {{ env: ALLUVIUM_HOOK }} }} }}\n"
        )
        .as_bytes(),
    );
    for bronze in ["customers", "orders"] {
        let path = format!("datasets/bronze/{bronze}.yaml");
        let text = fs::read_to_string(p.path(&path)).expect("a file");
        p.put(&path, format!("{text}publish: folder\n").as_bytes());
    }
    for silver in ["customers", "orders"] {
        let path = format!("datasets/silver/{silver}.yaml");
        let text = fs::read_to_string(p.path(&path)).expect("a file");
        p.put(&path, format!("{text}publish: [folder, hook]\n").as_bytes());
    }
    p.edit("datasets/gold/daily.sql", "window:", "publish: [folder, hook]\nwindow:");
    p
}

#[track_caller]
fn run(p: &Project) -> Ran {
    let ran = Ran::from(p.command(&["run"]).env("ALLUVIUM_HOOK", SECRET).output().expect("the binary runs"));
    assert_eq!(ran.code, Some(0), "{ran}");
    ran
}

/// The events in the folder, by dataset in the order of their names.
fn files(p: &Project) -> BTreeMap<String, Vec<Value>> {
    let mut all = BTreeMap::new();
    for dataset in fs::read_dir(p.path("out/events")).expect("a folder") {
        let dataset = dataset.expect("an entry").path();
        let mut paths: Vec<_> =
            fs::read_dir(&dataset).expect("a folder").map(|e| e.expect("an entry").path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
        paths.sort();
        let event = |p: &std::path::PathBuf| serde_json::from_slice(&fs::read(p).expect("a file")).expect("an event");
        let name = dataset.file_name().expect("a name").to_string_lossy().into_owned();
        all.insert(name, paths.iter().map(event).collect());
    }
    all
}

/// Ids of what has to be told: every step that committed something.
fn steps(p: &Project, datasets: &str) -> BTreeSet<String> {
    let sql = format!("SELECT step FROM state.steps WHERE committed IS NOT NULL AND dataset LIKE '{datasets}'");
    p.rows(&sql).iter().map(|r| r["step"].as_str().expect("a key").to_owned()).collect()
}

#[test]
fn a_run_tells_its_sinks_of_every_commit() {
    let receiver = Receiver::start();
    let p = telling_shop(receiver.port);
    run(&p).said("delivered to hook");
    p.put("landing/orders/2.csv", crate::harness::STRANGER.as_bytes());
    p.put("landing/customers/c9.csv", b"customer,name\nc9,Cy\n");
    run(&p);
    run(&p);
    let calls = receiver.calls();
    assert!(calls.iter().all(|c| c.signed && c.event["id"] == c.id.as_str()), "{calls:?}");
    let told: BTreeSet<String> = calls.iter().map(|c| c.id.clone()).collect();
    assert_eq!(told.len(), calls.len(), "each once");
    let mut expected = steps(&p, "silver.%");
    expected.extend(steps(&p, "gold.%"));
    assert_eq!(told, expected);
    let files = files(&p);
    let in_files: BTreeSet<String> =
        files.values().flatten().map(|e| e["id"].as_str().expect("an id").into()).collect();
    assert_eq!(in_files, steps(&p, "%"));
    for (name, events) in &files {
        let versions: Vec<i64> = events.iter().map(|e| e["data"]["table_version"].as_i64().expect("one")).collect();
        assert!(versions.is_sorted() && versions.len() == 2, "{name}: {versions:?}");
    }
    let first = &files["silver.orders"][0];
    assert_eq!((first["source"].as_str(), first["specversion"].as_str()), (Some("/my%20shop/dev"), Some("1.0")));
    assert_eq!(first["type"], "io.alluvium.dataset.published");
    let step = &p.rows("SELECT * FROM state.steps WHERE dataset = 'silver.orders' ORDER BY planned_at LIMIT 1")[0];
    let data = &first["data"];
    for (told, held) in
        [("step", "step"), ("table_version", "committed"), ("run", "finished_by"), ("definition", "version")]
    {
        assert_eq!(data[told], step[held], "{told}");
    }
    for count in ["received", "loaded", "quarantined", "dropped", "dead", "duplicates", "late"] {
        assert_eq!(data["balance"][count], step[count], "{count}");
    }
    // What the receiver got is what lies in the file.
    assert!(calls.iter().any(|c| c.event == *first));
    assert_eq!(p.cell("SELECT count(*) FROM state.publications WHERE delivered_at IS NULL"), 0);
}

#[test]
fn a_run_is_told_when_all_of_it_has_ended() {
    let p = telling_shop(1);
    p.edit("alluvium.yaml", "sinks:", "publish: folder\nsinks:");
    let ran = run(&p);
    ran.said("runs: 1 publication delivered to folder");
    run(&p);
    let runs = files(&p).remove("runs").expect("runs");
    assert_eq!(runs.len(), 1, "the second one had nothing to do: {runs:?}");
    let (event, data) = (&runs[0], &runs[0]["data"]);
    let steps = p.rows("SELECT * FROM state.steps");
    assert_eq!(event["id"], format!("run-{}", steps[0]["run"].as_str().expect("a run")));
    assert_eq!((&event["type"], &event["subject"]), (&json!("io.alluvium.run.completed"), &steps[0]["run"]));
    let all = steps.len();
    assert_eq!(data["steps"], json!({ "expected": all, "done": all, "dead": 0, "superseded": 0 }));
    assert_eq!(data["objects"], json!({ "new": 2, "duplicate": 0, "dead": 0 }));
    assert_eq!(data["balance"]["received"], p.cell("SELECT sum(received) FROM state.steps"));
    let orders = &data["datasets"]["silver.orders"];
    let of_orders = "SELECT quarantined FROM state.steps WHERE dataset = 'silver.orders'";
    assert_eq!((&orders["table_version"], &orders["balance"]["quarantined"]), (&json!(1), &p.cell(of_orders)));
    let shown = p.json(&["show", "publications"]);
    let lane = shown.as_array().expect("lanes").iter().find(|l| l["dataset"] == "runs").expect("a lane");
    assert_eq!((&lane["sink"], &lane["waiting"]), (&json!("folder"), &json!(0)));
}

#[test]
fn a_kill_around_a_delivery_tells_it_again_and_loses_nothing() {
    for (point, again) in [("publish.before_delivery", 0), ("publish.after_delivery", 1), ("step.after_done", 0)] {
        let receiver = Receiver::start();
        let p = telling_shop(receiver.port);
        // So that there is one lane, and the order of what is delivered is known.
        for file in ["datasets/silver/customers.yaml", "datasets/silver/orders.yaml", "datasets/gold/daily.sql"] {
            p.edit(
                file,
                "publish: [folder, hook]",
                if file.contains("daily") { "publish: hook" } else { "publish: []" },
            );
        }
        for bronze in ["customers", "orders"] {
            p.edit(&format!("datasets/bronze/{bronze}.yaml"), "publish: folder", "publish: []");
        }
        let nth = if point == "step.after_done" { 5 } else { 1 };
        let mut command = p.command(&["run"]);
        command.env("ALLUVIUM_HOOK", SECRET);
        assert!(killed(command, point, nth), "{point} is reached");
        assert_eq!(receiver.calls().len(), again, "{point}");
        run(&p);
        let calls = receiver.calls();
        assert_eq!(calls.len(), again + 1, "{point}: {calls:?}");
        assert!(calls.iter().all(|c| c.id == calls[0].id && c.event == calls[0].event), "{calls:?}");
        assert_eq!(steps(&p, "gold.%"), BTreeSet::from([calls[0].id.clone()]));
    }
}

#[test]
fn a_sink_that_fails_fails_no_run_and_shows_why() {
    let p = telling_shop(1);
    let ran = run(&p);
    ran.said("warning[H0306] gold.daily: hook was not told");
    let shown = p.json(&["show", "publications"]);
    let lane = |dataset: &str, sink: &str| {
        let lines = shown.as_array().expect("lanes");
        lines.iter().find(|l| l["dataset"] == dataset && l["sink"] == sink).expect("a lane").clone()
    };
    assert_eq!(
        (&lane("gold.daily", "hook")["waiting"], &lane("gold.daily", "hook")["failures"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&lane("gold.daily", "folder")["waiting"], &lane("gold.daily", "folder")["error"]),
        (&json!(0), &json!(null))
    );
    // A receiver that is there again, and a person who does not want to wait.
    let receiver = Receiver::start();
    p.edit("alluvium.yaml", "127.0.0.1:1/", &format!("127.0.0.1:{}/", receiver.port));
    p.done(&["resume", "hook"]);
    run(&p);
    assert_eq!(receiver.calls().len(), 3);
    assert_eq!(p.alluvium(&["resume", "hok"]).code, Some(2));
}

#[test]
fn a_service_tells_of_a_commit_when_it_is_made() {
    let receiver = Receiver::start();
    let p = telling_shop(receiver.port);
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_HOOK", SECRET);
    let serving = Serving::spawn(command);
    serving.wait_for("gold.daily: 1 publication delivered to hook");
    p.put("landing/orders/2.csv", b"id,customer,day,amount,updated_at\n9,c1,2024-01-09,1.00,2024-01-09T12:00:00Z\n");
    serving.wait_for("gold.daily: 1 publication delivered to hook");
    // Others may be on their way still.
    let waiting = "SELECT count(*) FROM state.publications WHERE delivered_at IS NULL";
    serving.until("the last delivery", || p.cell(waiting) == 0);
    assert_eq!(serving.stop().code, Some(0));
    let gold: Vec<_> = receiver.calls().into_iter().filter(|c| c.event["subject"] == "gold.daily").collect();
    assert_eq!(gold.len(), 2);
}

/// The shop, whose orders come by signed calls.
fn hooked_shop() -> (Project, Serving) {
    let p = Project::shop();
    p.put(
        "datasets/bronze/orders.yaml",
        b"source:\n  webhook:\n    path: /hooks/orders\n    secret: [ { env: ALLUVIUM_NEW }, { env: ALLUVIUM_OLD } ]\n    \
          max_bytes: 1 KiB\n    rate: { limit: 3, period: 1 hour }\n",
    );
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_NEW", SECRET).env("ALLUVIUM_OLD", OLD_SECRET);
    (p, Serving::spawn(command))
}

fn order(id: u32) -> String {
    format!(
        "{{\"id\":{id},\"customer\":\"c1\",\"day\":\"2024-01-05\",\"amount\":1.10,\"updated_at\":\"2024-01-05T10:00:00Z\"}}"
    )
}

#[test]
fn signed_calls_are_taken_once_and_others_are_refused_and_audited() {
    let (p, serving) = hooked_shop();
    let at = serving.address();
    serving.wait_for("ended");
    let path = "/hooks/orders";
    let taken = call(&at, path, SECRET, "msg_1", now(), &order(1));
    assert_eq!((taken.status, taken.json()), (202, json!({ "accepted": 1, "duplicates": 0 })));
    // The older key still holds; the same call again is acknowledged and not taken.
    assert_eq!(call(&at, path, OLD_SECRET, "msg_2", now(), &order(2)).json()["accepted"], 1);
    let replayed = call(&at, path, SECRET, "msg_1", now(), &order(3));
    assert_eq!((replayed.status, replayed.json()), (202, json!({ "accepted": 0, "duplicates": 1 })));
    let often = call(&at, path, SECRET, "msg_4", now(), &order(4));
    assert_eq!((often.status, often.code().as_str()), (429, "H0213"));
    assert!(often.head.contains("retry-after: 1"), "{}", often.head);
    let other = "whsec_BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
    let forged = call(&at, path, other, "msg_5", now(), &order(5));
    assert_eq!((forged.status, forged.code().as_str()), (401, "H0211"));
    for (offset, status) in [(-301, 401), (-3_600, 401), (400, 401)] {
        let stale = call(&at, path, SECRET, "msg_6", now() + offset, &order(6));
        assert_eq!((stale.status, stale.code().as_str()), (status, "H0212"), "{offset}");
    }
    let large = call(&at, path, SECRET, "msg_7", now(), &" ".repeat(1_025));
    assert_eq!((large.status, large.code().as_str()), (413, "H0202"));
    assert_eq!(ask(&at, "POST", path, &[], b"{}").code(), "H0211", "not signed at all");
    assert_eq!((ask(&at, "POST", "/hooks/other", &[], b"").status, ask(&at, "GET", path, &[], b"").status), (404, 405));
    let ran = serving.stop();
    assert_eq!(ran.code, Some(0));
    assert!(!ran.stderr.contains(&SECRET[6..]));
    p.done(&["run"]);
    let landed = p.rows("SELECT ce_id, ce_source, id, amount FROM bronze.orders ORDER BY ce_id");
    assert_eq!(landed.len(), 2, "{landed:?}");
    assert_eq!(landed[0], json!({ "ce_id": "msg_1", "ce_source": "/hooks/orders", "id": "1", "amount": "1.10" }));
    let audit: BTreeMap<String, i64> = p
        .rows(
            "SELECT kind, CAST(sum(times) AS BIGINT) AS times FROM state.audit WHERE path = '/hooks/orders' GROUP BY 1",
        )
        .iter()
        .map(|r| (r["kind"].as_str().expect("a kind").to_owned(), r["times"].as_i64().expect("a count")))
        .collect();
    let expected = [("forged", 2), ("replayed", 1), ("stale", 3), ("too_frequent", 1), ("too_large", 1)];
    assert_eq!(audit, expected.into_iter().map(|(k, n)| (k.to_owned(), n)).collect());
    let line = &p.rows("SELECT peer, id FROM state.audit WHERE kind = 'replayed'")[0];
    assert_eq!(*line, json!({ "peer": "127.0.0.1", "id": "msg_1" }));
}

#[test]
fn a_call_has_to_be_of_a_type_that_is_named_and_valid_under_its_schema() {
    let p = Project::shop();
    p.put(
        "datasets/bronze/orders.yaml",
        b"source:\n  webhook:\n    path: /hooks/orders\n    secret: { env: ALLUVIUM_NEW }\n    \
          types: { hooks.orders: schemas/order.json, order.gone: schemas/gone.json }\n",
    );
    p.put(
        "schemas/order.json",
        br#"{ "required": ["id"], "properties": { "amount": { "type": "number", "minimum": 1 } } }"#,
    );
    p.put("schemas/gone.json", br#"{ "required": ["type", "id"] }"#);
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ALLUVIUM_NEW", SECRET);
    let serving = Serving::spawn(command);
    let at = serving.address();
    serving.wait_for("ended");
    let path = "/hooks/orders";
    let said = |id: &str, body: &str| {
        let answer = call(&at, path, SECRET, id, now(), body);
        let code = if answer.status == 202 { String::new() } else { answer.code() };
        format!("{} {code}", answer.status)
    };
    assert_eq!(said("msg_1", &order(1).replace("1.10", "0.5")), "422 H0210");
    assert_eq!(said("msg_1", &order(1)), "202 ", "the id is not used up");
    assert_eq!(said("msg_2", r#"{"type":"order.new","id":2}"#), "422 H0205");
    assert_eq!(said("msg_3", r#"{"type":"order.gone"}"#), "422 H0210");
    assert_eq!(said("msg_4", r#"{"type":"order.gone","id":"4"}"#), "202 ");
    assert_eq!(said("msg_5", r#"{"type":"order.new","type":"order.gone","id":"5"}"#), "400 H0204");
    assert_eq!(serving.stop().code, Some(0));
    p.done(&["run"]);
    let landed = p.rows("SELECT ce_id, ce_type FROM bronze.orders ORDER BY ce_id");
    assert_eq!(
        landed,
        [json!({ "ce_id": "msg_1", "ce_type": "hooks.orders" }), json!({ "ce_id": "msg_4", "ce_type": "order.gone" })]
    );
    assert_eq!(p.cell("SELECT CAST(sum(times) AS BIGINT) FROM state.audit WHERE kind = 'schema'"), 3);
    let shown = p.json(&["show", "contracts"]);
    for subject in ["hooks.orders", "order.gone"] {
        assert!(shown.as_array().expect("lines").iter().any(|l| l["contract"] == subject), "{shown}");
    }
}

#[test]
fn a_call_that_was_acknowledged_survives_a_kill() {
    let (p, serving) = hooked_shop();
    let at = serving.address();
    serving.wait_for("ended");
    assert_eq!(call(&at, "/hooks/orders", SECRET, "msg_1", now(), &order(1)).status, 202);
    serving.kill();
    p.done(&["run"]);
    assert_eq!(p.cell("SELECT count(*) FROM bronze.orders"), 1);
}

#[test]
fn a_service_needs_the_secrets_of_its_webhooks() {
    let (p, serving) = hooked_shop();
    serving.wait_for("ended");
    serving.kill();
    for secret in [None, Some("hunter2")] {
        let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("ALLUVIUM_OLD", OLD_SECRET);
        secret.map(|s| command.env("ALLUVIUM_NEW", s));
        let ran = Ran::from(command.output().expect("it runs"));
        assert_eq!(ran.code, Some(2), "{ran}");
        ran.said("error[H0005]");
        ran.said("ALLUVIUM_NEW");
        assert!(!ran.stderr.contains("hunter2"));
    }
}

/// What a cloud sends, as its documentation shows it.
fn notice(name: &str) -> Vec<u8> {
    let folder = crate::harness::repository().join("crates/server/tests/notices");
    fs::read(folder.join(name)).expect("a notice")
}

#[test]
fn a_notice_of_an_object_store_makes_its_dataset_due() {
    let p = Project::shop();
    // Not watched: without the notice nobody looks for a long time.
    let schedule = "schedule: { cron: \"0 0 1 1 *\" }";
    p.put(
        "datasets/bronze/orders.yaml",
        format!(
            "source: {{ files: landing/orders/, glob: \"*.csv\", settle: 0s, {schedule}, notified_by: {{ bucket: \
             amzn-s3-demo-bucket, prefix: flights/ }} }}\n"
        )
        .as_bytes(),
    );
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    for (n, name) in ["s3.json", "s3-sns.json"].into_iter().enumerate() {
        let row = format!("id,customer,day,amount,updated_at\n1{n},c1,2024-01-0{},1,2024-01-09T12:00:00Z\n", n + 5);
        p.put(&format!("landing/orders/n{n}.csv"), row.as_bytes());
        let answer = post_to(&at, "/events", "text/plain; charset=UTF-8", &notice(name));
        let told = json!({ "objects": 1, "datasets": ["bronze.orders"], "unmatched": 0, "ignored": 0 });
        assert_eq!((answer.status, answer.json()), (202, told), "{name}");
        serving.wait_for("done gold.daily");
        serving.wait_for("ended");
    }
    let answer = post_to(&at, "/events", "application/json", &notice("gcs-pubsub.json"));
    assert_eq!((answer.status, answer.code().as_str()), (422, "H0209"));
    assert!(answer.json()["error"]["message"].as_str().is_some_and(|m| m.contains("example-bucket")));
    assert_eq!(post_to(&at, "/events", "application/json", &notice("s3-removed.json")).json()["ignored"], 1);
    assert_eq!(post_to(&at, "/events", "application/json", &notice("s3-test.json")).status, 200);
    let event =
        post_to(&at, "/events", "application/cloudevents+json; charset=utf-8", &notice("azure-cloudevent.json"));
    assert_eq!(event.code(), "H0209", "an event of a store that nobody takes as data is a notice");
    assert_eq!(serving.stop().code, Some(0));
    assert_eq!(p.cell("SELECT count(*) FROM silver.orders WHERE id >= 10"), 2);
    assert_eq!(p.cell("SELECT CAST(sum(times) AS BIGINT) FROM state.audit WHERE kind = 'unmatched'"), 2);
}

/// Beside each dataset that is meant there is one that another prefix or account belongs to.
#[test]
fn the_notice_of_each_cloud_finds_the_dataset_whose_bucket_it_names() {
    let p = Project::new(&[("alluvium.yaml", "name: clouds\n")]);
    for (name, notified) in [
        ("bridged", "bucket: amzn-s3-demo-bucket1, prefix: example-"),
        ("minio", "bucket: images"),
        ("minio_other", "bucket: images, prefix: holidays/"),
        ("google", "bucket: example-bucket, prefix: flights/"),
        ("google_other", "bucket: example-bucket, prefix: trains/"),
        ("azure", "bucket: test-container, account: my-storage-account, prefix: new-"),
        ("azure_other", "bucket: test-container, account: another"),
        ("grid_event", "bucket: '{storage-container}', account: '{storage-account}'"),
    ] {
        let landing = format!("files: landing/{name}/, glob: \"*.csv\", settle: 0s");
        // Not watched: without the notice nobody looks for a long time.
        let source = format!("{{ {landing}, schedule: {{ cron: \"0 0 1 1 *\" }}, notified_by: {{ {notified} }} }}");
        p.put(&format!("datasets/bronze/{name}.yaml"), format!("source: {source}\n").as_bytes());
        p.put(&format!("landing/{name}/first.csv"), b"a,b\n1,2\n");
    }
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    for (name, kind, file) in [
        ("bridged", "application/json", "s3-eventbridge.json"),
        ("minio", "application/json", "minio.json"),
        ("google", "application/json", "gcs-pubsub.json"),
        ("azure", "application/json; charset=utf-8", "azure-eventgrid.json"),
        ("grid_event", "application/cloudevents+json", "azure-cloudevent.json"),
    ] {
        p.put(&format!("landing/{name}/second.csv"), b"a,b\n3,4\n");
        p.put(&format!("landing/{name}_other/second.csv"), b"a,b\n3,4\n");
        let answer = post_to(&at, "/events", kind, &notice(file));
        let told = json!({ "objects": 1, "datasets": [format!("bronze.{name}")], "unmatched": 0, "ignored": 0 });
        assert_eq!((answer.status, answer.json()), (202, told), "{file}");
        serving.wait_for(&format!("done bronze.{name}"));
        serving.wait_for("ended");
    }
    assert_eq!(post_to(&at, "/events", "application/json", &notice("gcs-pubsub-deleted.json")).json()["ignored"], 1);
    assert_eq!(serving.stop().code, Some(0));
    for name in ["bridged", "minio", "google", "azure", "grid_event"] {
        assert_eq!(p.cell(&format!("SELECT count(*) FROM bronze.{name}")), 2, "{name}");
    }
    for name in ["minio_other", "google_other", "azure_other"] {
        assert_eq!(p.cell(&format!("SELECT count(*) FROM bronze.{name}")), 1, "{name}");
    }
}

#[test]
fn clouds_that_ask_whether_they_may_send_are_answered() {
    const TOKEN: &str = "a-token-that-only-this-test-knows";
    let p = Project::shop();
    let mut command = p.command(&["serve", "--listen", "127.0.0.1:0"]);
    let serving = Serving::spawn({
        command.env("ALLUVIUM_TOKEN", TOKEN);
        command
    });
    let at = serving.address();
    let path = format!("/events?token={TOKEN}");
    let json = [("Content-Type", "application/json"), ("aeg-event-type", "SubscriptionValidation")];
    let body = notice("azure-validation.json");
    let answer = ask(&at, "POST", &path, &json, &body);
    assert_eq!(answer.json(), json!({ "validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6" }));
    assert_eq!(ask(&at, "POST", "/events", &json, &body).status, 401);
    assert_eq!(ask(&at, "GET", &format!("/api/runs?token={TOKEN}"), &[], b"").status, 401, "only for events");
    let options = [("WebHook-Request-Origin", "eventgrid.azure.net"), ("WebHook-Request-Rate", "120")];
    let allowed = ask(&at, "OPTIONS", &path, &options, b"");
    assert_eq!(allowed.status, 200);
    assert!(allowed.head.contains("webhook-allowed-origin: eventgrid.azure.net"), "{}", allowed.head);
    let sns = ask(&at, "POST", &path, &[("Content-Type", "text/plain")], &notice("sns-confirmation.json"));
    assert_eq!(sns.status, 200);
    serving.wait_for("Action=ConfirmSubscription");
    let ran = serving.stop();
    assert!(!ran.stderr.contains(TOKEN));
    assert_eq!(p.cell("SELECT CAST(sum(times) AS BIGINT) FROM state.audit WHERE kind = 'token'"), 2);
}

#[test]
fn metrics_are_counted_in_the_state() {
    let p = Project::shop();
    p.put("landing/orders/broken.csv.gz", b"\x1f\x8b\x08 and no more of a gzip");
    p.edit("datasets/bronze/orders.yaml", "*.csv", "*.csv{,.gz}");
    p.alluvium(&["run"]);
    let serving = Serving::start(&p, &[]);
    let at = serving.address();
    serving.wait_for("ended");
    let answer = ask(&at, "GET", "/metrics", &[], b"");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let value = |series: &str| -> f64 {
        let line = answer.body.lines().find(|l| l.starts_with(series) && l[series.len()..].starts_with(' '));
        line.unwrap_or_else(|| panic!("no {series}\n{}", answer.body))
            .rsplit_once(' ')
            .expect("a value")
            .1
            .parse()
            .expect("a number")
    };
    assert_eq!(serving.stop().code, Some(0));
    let sums = p.rows("SELECT CAST(sum(received) AS BIGINT) AS r, CAST(sum(loaded) AS BIGINT) AS l FROM state.steps WHERE dataset = 'silver.orders'");
    assert_eq!(
        value("alluvium_records_received_total{dataset=\"silver.orders\"}"),
        sums[0]["r"].as_f64().expect("a sum")
    );
    assert_eq!(
        value("alluvium_records_total{dataset=\"silver.orders\",end=\"loaded\"}"),
        sums[0]["l"].as_f64().expect("a sum")
    );
    assert_eq!(value("alluvium_landing_objects{dataset=\"bronze.orders\",state=\"dead\"}"), 1.0);
    assert_eq!(value("alluvium_steps{dataset=\"gold.daily\",state=\"done\"}"), 1.0);
    assert!(value("alluvium_freshness_seconds{dataset=\"gold.daily\"}") < 600.0);
}

#[test]
fn the_openapi_document_is_of_what_is_there() {
    let (p, serving) = hooked_shop();
    let at = serving.address();
    serving.wait_for("ended");
    let document = ask(&at, "GET", "/openapi.json", &[], b"").json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut seen = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            assert!(seen.insert(id.clone()), "{id} twice");
            let asked = path.replace("{id}", "latest");
            let answer = ask(&at, &method.to_uppercase(), &asked, &[], b"");
            // What this names need not be there, but the path is.
            let missing = answer.status == 404 && answer.code() == "H0103";
            assert!(!missing && answer.status != 405, "{method} {path}: {}", answer.status);
            assert!(
                operation["responses"][answer.status.to_string()].is_object(),
                "{method} {path}: {}",
                answer.status
            );
        }
    }
    for id in ["push", "hook_hooks_orders", "metrics", "run", "publications"] {
        assert!(seen.contains(id), "{id} is missing in {seen:?}");
    }
    assert_eq!(serving.stop().code, Some(0));
    drop(p);
}

#[test]
fn the_way_of_an_event_is_told_as_a_whole() {
    let p = telling_shop(1);
    for file in ["datasets/silver/customers.yaml", "datasets/silver/orders.yaml", "datasets/gold/daily.sql"] {
        p.edit(file, "[folder, hook]", "folder");
    }
    p.done(&["run"]);
    let event = p.cell("SELECT event FROM state.events WHERE dataset = 'bronze.orders'");
    let event = event.as_str().expect("an id");
    for id in [event, &event[..12], "2024-01-01.csv"] {
        let shown = p.json(&["show", "event", id]);
        assert_eq!(shown["event"]["event"], event);
        let steps: Vec<&str> =
            shown["steps"].as_array().expect("steps").iter().filter_map(|s| s["dataset"].as_str()).collect();
        assert_eq!(steps, ["bronze.orders", "silver.orders", "gold.daily"]);
        let run = p.cell("SELECT run FROM state.runs");
        assert!(shown["steps"].as_array().expect("steps").iter().all(|s| s["finished_by"] == run));
        // One of its rows broke the contract.
        assert_eq!(shown["quarantined"], json!([{ "dataset": "silver.orders", "rows": 1 }]));
        assert_eq!(shown["publications"].as_array().map(Vec::len), Some(3));
    }
    p.done(&["show", "event", event]).said("silver.orders: 1 of its rows wait in quarantine");
    assert_eq!(p.alluvium(&["show", "event", "nothing"]).code, Some(2));
    p.put("landing/orders/2.csv", crate::harness::STRANGER.as_bytes());
    let ran = p.alluvium(&["run", "-v", "--log-format", "json"]);
    let second = p.cell("SELECT event FROM state.events WHERE path = '2.csv'");
    let line =
        ran.stderr.lines().rfind(|l| l.contains(second.as_str().expect("an id"))).expect("a log line of the event");
    let line: Value = serde_json::from_str(line).expect("JSON");
    let span = &line["span"];
    assert!(span["run"].is_string() && span["step"].is_string() && span["dataset"] == "bronze.orders", "{line}");
}
