//! Notices of object stores, as their clouds send them over HTTP: which objects came.
//!
//! Called by `http/notices.rs`; pure. Read are: S3 event notifications (plain, in an SNS envelope, and EventBridge), Cloud Storage
//! (Pub/Sub push, and CloudEvents), and Azure Event Grid (its own schema, and CloudEvents).

use crate::cloudevents::NoEvent;
use serde_json::Value;

/// An object of which a notice tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Of Azure, the storage account.
    pub(crate) account: Option<String>,
    pub(crate) bucket: String,
    pub(crate) key: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// What came, and how many other things happened.
    Objects { created: Vec<Object>, others: usize },
    /// Event Grid asks whether it may send: the answer repeats the code.
    Validation { code: String },
    /// SNS asks the same: a person opens the address.
    Confirmation { topic: String, url: String },
    /// That a store could reach us.
    Test,
}

/// `None`: this is no notice. An error: it is one, and cannot be read.
pub(crate) fn read(body: &[u8]) -> Option<Result<Notice, NoEvent>> {
    of_json(&serde_json::from_slice(body).ok()?)
}

fn of_json(json: &Value) -> Option<Result<Notice, NoEvent>> {
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    if let Value::Array(events) = json {
        let grid = !events.is_empty() && events.iter().all(|e| e["eventType"].is_string() && e["subject"].is_string());
        return grid.then(|| event_grid(events));
    }
    if let Some(Value::Array(records)) = json.get("Records") {
        let s3 = |r: &Value| r["eventSource"].as_str().is_some_and(|s| s.ends_with(":s3"));
        return records.iter().all(s3).then(|| s3_records(records));
    }
    if text("Event") == Some("s3:TestEvent") {
        return Some(Ok(Notice::Test));
    }
    match (text("Type"), text("TopicArn")) {
        (Some("Notification"), Some(_)) => return Some(sns(text("Message"))),
        (Some("SubscriptionConfirmation"), Some(topic)) => {
            let url = text("SubscribeURL").ok_or_else(|| missing("SubscribeURL"));
            return Some(url.map(|url| Notice::Confirmation { topic: topic.to_owned(), url: url.to_owned() }));
        }
        _ => {}
    }
    if text("source") == Some("aws.s3")
        && let Some(kind) = text("detail-type")
    {
        return Some(event_bridge(kind, &json["detail"]));
    }
    let message = json.get("message")?;
    json.get("subscription")?;
    Some(pub_sub(&message["attributes"]))
}

/// An object of a CloudEvent that a cloud made of its own notice, and whether it came.
pub(crate) fn of_event(event_type: &str, source: &str, subject: Option<&str>) -> Option<(Object, bool)> {
    if let Some(what) = event_type.strip_prefix("google.cloud.storage.object.v1.") {
        let bucket = source.rsplit_once("/buckets/")?.1.to_owned();
        let key = subject?.strip_prefix("objects/")?.to_owned();
        return Some((Object { account: None, bucket, key }, what == "finalized"));
    }
    let what = event_type.strip_prefix("Microsoft.Storage.")?;
    Some((blob(source, subject?)?, what == "BlobCreated"))
}

fn missing(what: &str) -> NoEvent {
    NoEvent(format!("the notice has no `{what}`"))
}

fn s3_records(records: &[Value]) -> Result<Notice, NoEvent> {
    let mut created = Vec::new();
    for record in records {
        let name = record["eventName"].as_str().ok_or_else(|| missing("eventName"))?;
        // MinIO writes the name as it is asked for, `s3:ObjectCreated:Put`.
        if !name.trim_start_matches("s3:").starts_with("ObjectCreated:") {
            continue;
        }
        let s3 = &record["s3"];
        let bucket = s3["bucket"]["name"].as_str().ok_or_else(|| missing("s3.bucket.name"))?.to_owned();
        let key = s3["object"]["key"].as_str().ok_or_else(|| missing("s3.object.key"))?;
        let key = form_decoded(key).ok_or_else(|| NoEvent("`s3.object.key` cannot be decoded".to_owned()))?;
        created.push(Object { account: None, bucket, key });
    }
    let others = records.len() - created.len();
    Ok(Notice::Objects { created, others })
}

fn sns(message: Option<&str>) -> Result<Notice, NoEvent> {
    let message = message.ok_or_else(|| missing("Message"))?;
    let inner: Option<Value> = serde_json::from_str(message).ok();
    match inner.as_ref().and_then(of_json) {
        Some(Ok(Notice::Confirmation { .. } | Notice::Validation { .. })) | None => {
            Err(NoEvent("the message of this SNS notification is no notice of an object store".to_owned()))
        }
        Some(notice) => notice,
    }
}

fn event_bridge(kind: &str, detail: &Value) -> Result<Notice, NoEvent> {
    if kind != "Object Created" {
        return Ok(Notice::Objects { created: Vec::new(), others: 1 });
    }
    // Here the key is not encoded.
    let bucket = detail["bucket"]["name"].as_str().ok_or_else(|| missing("detail.bucket.name"))?.to_owned();
    let key = detail["object"]["key"].as_str().ok_or_else(|| missing("detail.object.key"))?.to_owned();
    Ok(Notice::Objects { created: vec![Object { account: None, bucket, key }], others: 0 })
}

fn pub_sub(attributes: &Value) -> Result<Notice, NoEvent> {
    let of = |name: &str| {
        let missing =
            || NoEvent(format!("this Pub/Sub message has no attribute `{name}`: it is no notice of Cloud Storage"));
        attributes[name].as_str().ok_or_else(missing)
    };
    let (kind, bucket, key) = (of("eventType")?, of("bucketId")?.to_owned(), of("objectId")?.to_owned());
    if kind != "OBJECT_FINALIZE" {
        return Ok(Notice::Objects { created: Vec::new(), others: 1 });
    }
    Ok(Notice::Objects { created: vec![Object { account: None, bucket, key }], others: 0 })
}

fn event_grid(events: &[Value]) -> Result<Notice, NoEvent> {
    let mut created = Vec::new();
    for event in events {
        let (kind, subject) = (event["eventType"].as_str().unwrap_or(""), event["subject"].as_str().unwrap_or(""));
        match kind {
            "Microsoft.EventGrid.SubscriptionValidationEvent" => {
                let code = event["data"]["validationCode"].as_str().ok_or_else(|| missing("data.validationCode"))?;
                return Ok(Notice::Validation { code: code.to_owned() });
            }
            "Microsoft.Storage.BlobCreated" => {
                let topic = event["topic"].as_str().unwrap_or("");
                let wrong = || NoEvent("the `subject` names no blob of a container".to_owned());
                created.push(blob(topic, subject).ok_or_else(wrong)?);
            }
            _ => {}
        }
    }
    let others = events.len() - created.len();
    Ok(Notice::Objects { created, others })
}

/// From `…/storageAccounts/<account>` and `/blobServices/default/containers/<container>/blobs/<name>`.
fn blob(topic: &str, subject: &str) -> Option<Object> {
    let account = topic.rsplit_once("/storageAccounts/").map(|(_, account)| account.to_owned());
    let (container, key) = subject.strip_prefix("/blobServices/default/containers/")?.split_once("/blobs/")?;
    Some(Object { account, bucket: container.to_owned(), key: key.to_owned() })
}

/// As forms are encoded: `+` is a space.
fn form_decoded(text: &str) -> Option<String> {
    crate::cloudevents::decoded(text.replace('+', " ").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notices").join(name);
        std::fs::read(path).expect("a notice")
    }

    fn of(name: &str) -> Notice {
        read(&file(name)).expect("a notice").expect("a readable one")
    }

    fn created(account: Option<&str>, bucket: &str, key: &str) -> Notice {
        let object = Object { account: account.map(str::to_owned), bucket: bucket.into(), key: key.into() };
        Notice::Objects { created: vec![object], others: 0 }
    }

    #[test]
    fn the_notices_of_three_clouds_are_read_as_they_are_sent() {
        assert_eq!(of("s3.json"), created(None, "amzn-s3-demo-bucket", "flights/2013 01+a.csv"));
        assert_eq!(of("s3-sns.json"), created(None, "amzn-s3-demo-bucket", "flights/2013-02.csv"));
        assert_eq!(of("s3-eventbridge.json"), created(None, "amzn-s3-demo-bucket1", "example-key"));
        assert_eq!(of("s3-removed.json"), Notice::Objects { created: Vec::new(), others: 1 });
        assert_eq!(of("s3-test.json"), Notice::Test);
        assert_eq!(of("minio.json"), created(None, "images", "myphoto.jpg"));
        assert_eq!(of("gcs-pubsub.json"), created(None, "example-bucket", "flights/2013-01.csv"));
        assert_eq!(of("gcs-pubsub-deleted.json"), Notice::Objects { created: Vec::new(), others: 1 });
        assert_eq!(of("azure-eventgrid.json"), created(Some("my-storage-account"), "test-container", "new-file.txt"));
    }

    #[test]
    fn what_asks_for_a_word_is_told_apart() {
        let code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6".to_owned();
        assert_eq!(of("azure-validation.json"), Notice::Validation { code });
        let Notice::Confirmation { topic, url } = of("sns-confirmation.json") else { panic!("no confirmation") };
        assert_eq!(topic, "arn:aws:sns:us-west-2:123456789012:MyTopic");
        assert!(url.starts_with("https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription"), "{url}");
    }

    #[test]
    fn cloudevents_of_stores_name_their_object() {
        let gcs = of_event(
            "google.cloud.storage.object.v1.finalized",
            "//storage.googleapis.com/projects/_/buckets/MY-BUCKET-NAME",
            Some("objects/MY_FILE.txt"),
        );
        let object = |account: Option<&str>, bucket: &str, key: &str| Object {
            account: account.map(str::to_owned),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        };
        assert_eq!(gcs, Some((object(None, "MY-BUCKET-NAME", "MY_FILE.txt"), true)));
        let azure = of_event(
            "Microsoft.Storage.BlobDeleted",
            "/subscriptions/x/resourceGroups/y/providers/Microsoft.Storage/storageAccounts/acc",
            Some("/blobServices/default/containers/c/blobs/a/b.csv"),
        );
        assert_eq!(azure, Some((object(Some("acc"), "c", "a/b.csv"), false)));
        assert_eq!(of_event("com.example.order", "/s", Some("objects/x")), None);
        assert_eq!(of_event("google.cloud.storage.object.v1.finalized", "/s", Some("objects/x")), None);
    }

    #[test]
    fn other_json_is_no_notice_and_a_broken_notice_is_said() {
        for text in [
            "",
            "hello",
            "{}",
            "[]",
            "[{\"id\":1}]",
            "{\"message\":{}}",
            "{\"Records\":[{\"eventSource\":\"aws:sqs\"}]}",
        ] {
            assert!(read(text.as_bytes()).is_none(), "{text}");
        }
        for (text, part) in [
            ("{\"Records\":[{\"eventSource\":\"aws:s3\"}]}", "eventName"),
            ("{\"Records\":[{\"eventSource\":\"aws:s3\",\"eventName\":\"ObjectCreated:Put\"}]}", "bucket"),
            ("{\"Type\":\"Notification\",\"TopicArn\":\"a\",\"Message\":\"hello\"}", "no notice"),
            ("{\"message\":{\"attributes\":{}},\"subscription\":\"s\"}", "eventType"),
            ("{\"source\":\"aws.s3\",\"detail-type\":\"Object Created\",\"detail\":{}}", "detail.bucket.name"),
        ] {
            let NoEvent(why) = read(text.as_bytes()).expect("a notice").expect_err("a broken one");
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn deep_and_odd_json_does_no_harm() {
        let deep = format!("{{\"Records\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(deep.as_bytes()).is_none());
        // An envelope in an envelope in an envelope …
        let mut text = "{}".to_owned();
        for _ in 0..12 {
            let inner = Value::from(text).to_string();
            text = format!("{{\"Type\":\"Notification\",\"TopicArn\":\"a\",\"Message\":{inner}}}");
        }
        assert!(read(text.as_bytes()).expect("an envelope").is_err());
    }
}
