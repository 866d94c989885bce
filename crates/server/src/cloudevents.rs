//! CloudEvents 1.0 as they come over HTTP, to one line of JSON each: the envelope as `ce_…`, then the data's own fields.
//!
//! Called by `http/events.rs`; pure. The data's text stays as it was sent, digit for digit.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;

const MOST_EVENTS: usize = 10_000;
const LONGEST_ATTRIBUTE: usize = 1_024;
const MOST_ATTRIBUTES: usize = 64;

/// How an event lies in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its attributes are headers, its data is the body.
    Binary,
    /// It is one JSON object.
    Structured,
    /// Many, in a JSON array.
    Batch,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) subject: Option<String>,
    /// One JSON object without a line end.
    pub(crate) record: String,
    content: Content,
}

/// What lies in a record beside the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// The data's own fields.
    Fields,
    /// One field, `data`.
    Value,
    /// Nothing that is JSON.
    Other,
}

impl Event {
    /// The data alone; null where it is no JSON. `None`: nested deeper than is read.
    pub(crate) fn data(&self) -> Option<Value> {
        let mut fields: serde_json::Map<String, Value> = serde_json::from_str(&self.record).ok()?;
        Some(match self.content {
            Content::Fields => fields.into_iter().filter(|(name, _)| !name.starts_with("ce_")).collect(),
            Content::Value => fields.remove("data").unwrap_or_default(),
            Content::Other => Value::Null,
        })
    }
}

/// Why it is none, for the sender.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoEvent(pub(crate) String);

/// The attributes, as texts of JSON, by name.
type Attributes = BTreeMap<String, Value>;

enum Data<'a> {
    None,
    Json(&'a RawValue),
    Text(&'a str),
    Base64(String),
}

pub(crate) fn structured(body: &[u8]) -> Result<Event, NoEvent> {
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_slice(body).map_err(|e| NoEvent(format!("the event is no JSON object: {e}")))?;
    event(fields)
}

pub(crate) fn batch(body: &[u8]) -> Result<Vec<Event>, NoEvent> {
    let all: Vec<BTreeMap<String, &RawValue>> =
        serde_json::from_slice(body).map_err(|e| NoEvent(format!("the batch is no JSON array of objects: {e}")))?;
    if all.len() > MOST_EVENTS {
        return Err(NoEvent(format!("a batch has up to {MOST_EVENTS} events")));
    }
    let numbered = all.into_iter().enumerate();
    numbered.map(|(i, fields)| event(fields).map_err(|NoEvent(why)| NoEvent(format!("event {i}: {why}")))).collect()
}

/// From headers, of which those that start with `ce-` are attributes.
pub(crate) fn binary<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>, body: &[u8]) -> Result<Event, NoEvent> {
    let (mut attributes, mut content) = (Attributes::new(), String::new());
    for (name, value) in headers {
        if let Some(attribute) = name.strip_prefix("ce-") {
            let text = decoded(value).ok_or_else(|| NoEvent(format!("the header `{name}` is not readable")))?;
            if attributes.insert(attribute.to_owned(), Value::String(text)).is_some() {
                return Err(NoEvent(format!("the header `{name}` is there twice")));
            }
        } else if name == "content-type" {
            content = String::from_utf8_lossy(value).into_owned();
        }
    }
    let kind = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !content.is_empty() {
        attributes.insert("datacontenttype".to_owned(), Value::String(content));
    }
    let data = if body.is_empty() {
        Data::None
    } else if kind.is_empty() || kind == "application/json" || kind.ends_with("+json") {
        Data::Json(serde_json::from_slice(body).map_err(|e| NoEvent(format!("the data is no JSON: {e}")))?)
    } else if kind.starts_with("text/") {
        Data::Text(std::str::from_utf8(body).map_err(|_| NoEvent("the data is no UTF-8".to_owned()))?)
    } else {
        Data::Base64(BASE64_STANDARD.encode(body))
    };
    build(attributes, data)
}

fn event(fields: BTreeMap<String, &RawValue>) -> Result<Event, NoEvent> {
    let mut attributes = Attributes::new();
    let mut data = Data::None;
    for (name, raw) in fields {
        match name.as_str() {
            "data" | "data_base64" if !matches!(data, Data::None) => {
                return Err(NoEvent("`data` and `data_base64` exclude each other".to_owned()));
            }
            "data" if raw.get() == "null" => {}
            "data" => data = Data::Json(raw),
            "data_base64" => {
                let text: String =
                    serde_json::from_str(raw.get()).map_err(|_| NoEvent("`data_base64` is no text".to_owned()))?;
                if BASE64_STANDARD.decode(&text).is_err() {
                    return Err(NoEvent("`data_base64` is no Base64".to_owned()));
                }
                data = Data::Base64(text);
            }
            _ => {
                let value: Value = match serde_json::from_str(raw.get()) {
                    Ok(value @ (Value::String(_) | Value::Bool(_) | Value::Number(_))) => value,
                    Ok(Value::Null) => continue,
                    _ => return Err(NoEvent(format!("the attribute {} is no single value", shown(&name)))),
                };
                attributes.insert(name, value);
            }
        }
    }
    build(attributes, data)
}

fn build(attributes: Attributes, data: Data<'_>) -> Result<Event, NoEvent> {
    if attributes.len() > MOST_ATTRIBUTES {
        return Err(NoEvent(format!("an event has up to {MOST_ATTRIBUTES} attributes")));
    }
    for (name, value) in &attributes {
        check(name, value)?;
    }
    let required = |name: &str| match attributes.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(_) => Err(NoEvent(format!("the attribute `{name}` is no text, or is empty"))),
        None => Err(NoEvent(format!("the attribute `{name}` is missing"))),
    };
    match required("specversion")?.as_str() {
        "1.0" => {}
        other => return Err(NoEvent(format!("`specversion` is {} and not 1.0", shown(other)))),
    }
    let (source, id, event_type) = (required("source")?, required("id")?, required("type")?);
    if attributes.contains_key("time") && required("time")?.parse::<Timestamp>().is_err() {
        return Err(NoEvent("`time` is no time as RFC 3339 writes it".to_owned()));
    }
    let subject = attributes.get("subject").and_then(Value::as_str).map(str::to_owned);
    let content = match &data {
        Data::Json(raw) if raw.get().trim_start().starts_with('{') => Content::Fields,
        Data::Json(_) | Data::Text(_) => Content::Value,
        Data::None | Data::Base64(_) => Content::Other,
    };
    let record = record(&attributes, data)?;
    Ok(Event { source, id, event_type, subject, record, content })
}

fn check(name: &str, value: &Value) -> Result<(), NoEvent> {
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !named || name.len() > LONGEST_ATTRIBUTE {
        let help = "names of attributes are lower case letters and digits";
        return Err(NoEvent(format!("{} cannot be an attribute: {help}", shown(name))));
    }
    match value {
        Value::String(text) if text.len() > LONGEST_ATTRIBUTE => {
            Err(NoEvent(format!("the attribute `{name}` is longer than {LONGEST_ATTRIBUTE} bytes")))
        }
        Value::String(text) if text.chars().any(char::is_control) => {
            Err(NoEvent(format!("the attribute `{name}` has control characters")))
        }
        _ => Ok(()),
    }
}

fn record(attributes: &Attributes, data: Data<'_>) -> Result<String, NoEvent> {
    let mut out = String::from("{");
    // The version of the envelope says nothing of the event.
    for (name, value) in attributes.iter().filter(|(name, _)| *name != "specversion") {
        field(&mut out, &format!("ce_{name}"), &value.to_string());
    }
    match data {
        Data::None => {}
        Data::Text(text) => field(&mut out, "data", &Value::from(text).to_string()),
        Data::Base64(text) => field(&mut out, "data_base64", &Value::from(text).to_string()),
        Data::Json(raw) => {
            // Line ends lie between tokens only; in texts they are escaped.
            let text = raw.get().replace(['\n', '\r'], " ");
            match text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
                Some(fields) => {
                    let keys: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get())
                        .map_err(|e| NoEvent(format!("the data cannot be read: {e}")))?;
                    if let Some(key) = keys.keys().find(|k| k.starts_with("ce_")) {
                        let why = "names that start with `ce_` are those of the envelope";
                        return Err(NoEvent(format!("the data has a field {}: {why}", shown(key))));
                    }
                    if !keys.is_empty() {
                        out.push(',');
                        out.push_str(fields.trim());
                    }
                }
                None => field(&mut out, "data", &text),
            }
        }
    }
    out.push('}');
    Ok(out)
}

fn field(out: &mut String, name: &str, value: &str) {
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str(&Value::from(name).to_string());
    out.push(':');
    out.push_str(value);
}

/// As it can be shown to whoever sent it.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("`{}`", short.escape_debug())
}

/// A header's value: percent-encoded UTF-8.
pub(crate) fn decoded(value: &[u8]) -> Option<String> {
    let digit = |b: u8| (b as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [high, low, behind @ ..]) => {
                bytes.push(digit(*high)? * 16 + digit(*low)?);
                rest = behind;
            }
            (b'%', _) => return None,
            (byte, behind) => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(result: Result<Event, NoEvent>) -> String {
        result.expect_err("no event").0
    }

    fn with(attributes: &str) -> String {
        format!("{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\",\"type\":\"t\"{attributes}}}")
    }

    #[test]
    fn the_data_keeps_its_text() {
        let body = with(",\"time\":\"2024-01-01T00:00:00Z\",\"data\":{\n \"n\": 1.10,\r\n \"s\":\"a\\nb\"\n}");
        let event = structured(body.as_bytes()).expect("an event");
        assert_eq!(
            event.record,
            "{\"ce_id\":\"1\",\"ce_source\":\"/a\",\"ce_time\":\"2024-01-01T00:00:00Z\",\"ce_type\":\"t\",\"n\": 1.10,   \"s\":\"a\\nb\"}"
        );
        assert_eq!((event.source.as_str(), event.id.as_str(), event.event_type.as_str()), ("/a", "1", "t"));
    }

    #[test]
    fn data_that_is_no_object_is_a_field() {
        let of = |data: &str| structured(with(data).as_bytes()).expect("an event").record;
        assert!(of(",\"data\":[1,2]").ends_with("\"ce_type\":\"t\",\"data\":[1,2]}"));
        assert!(of(",\"data_base64\":\"AAE=\"").ends_with(",\"data_base64\":\"AAE=\"}"));
        assert!(of(",\"data\":{}").ends_with("\"ce_type\":\"t\"}"));
        assert!(of(",\"data\":null,\"seq\":7").ends_with("\"ce_seq\":7,\"ce_source\":\"/a\",\"ce_type\":\"t\"}"));
    }

    #[test]
    fn the_data_is_had_again_without_the_envelope() {
        let of =
            |data: &str| structured(with(data).as_bytes()).expect("an event").data().expect("it is flat").to_string();
        assert_eq!(of(",\"data\":{\"data\": 1}"), "{\"data\":1}");
        assert_eq!(of(",\"data\":[1, 2]"), "[1,2]");
        assert_eq!(of(",\"data\":{}"), "{}");
        assert_eq!(of(",\"data_base64\":\"AAE=\""), "null");
        assert_eq!(of(""), "null");
        let deep = format!(",\"data\":{}{}", "[".repeat(200), "]".repeat(200));
        assert_eq!(structured(with(&deep).as_bytes()).expect("an event").data(), None);
    }

    #[test]
    fn headers_make_an_event_too() {
        let heads: [(&str, &[u8]); 6] = [
            ("ce-specversion", b"1.0"),
            ("ce-id", b"a%20b"),
            ("ce-source", b"/a"),
            ("ce-type", b"t"),
            ("content-type", b"application/json; charset=utf-8"),
            ("host", b"x"),
        ];
        let event = binary(heads.into_iter(), b"{\"a\":1}").expect("an event");
        assert_eq!(event.id, "a b");
        assert!(event.record.ends_with("\"ce_type\":\"t\",\"a\":1}"), "{}", event.record);
        let text = binary(heads[..4].iter().copied().chain([("content-type", &b"text/plain"[..])]), b"a\nb");
        assert!(text.expect("an event").record.ends_with(",\"data\":\"a\\nb\"}"));
        assert!(why(binary(heads.into_iter(), b"{")).starts_with("the data is no JSON"));
        assert!(why(binary([("ce-id", &b"%zz"[..])].into_iter(), b"")).contains("`ce-id`"));
    }

    #[test]
    fn what_breaks_the_envelope_is_named() {
        for (body, part) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("{}", "`specversion` is missing"),
            ("{\"specversion\":\"0.3\"}", "not 1.0"),
            ("{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"s\"}", "`id`"),
            (&with(",\"time\":\"yesterday\""), "`time`"),
            (&with(",\"Upper\":\"x\""), "`Upper`"),
            (&with(",\"list\":[1]"), "`list`"),
            (&with(",\"data\":1,\"data_base64\":\"AA==\""), "exclude"),
            (&with(",\"data_base64\":\"?\""), "Base64"),
            (&with(",\"data\":{\"ce_id\":1}"), "`ce_id`"),
            (&with(",\"subject\":\"a\\u0000\""), "control"),
            (&with(&format!(",\"subject\":\"{}\"", "x".repeat(2_000))), "longer"),
        ] {
            let found = why(structured(body.as_bytes()));
            assert!(found.contains(part), "{body}: {found}");
        }
    }

    #[test]
    fn a_batch_names_the_event_that_is_wrong() {
        let good = with("");
        assert_eq!(batch(format!("[{good},{good}]").as_bytes()).map(|b| b.len()), Ok(2));
        assert_eq!(batch(b"[]").map(|b| b.len()), Ok(0));
        let found = batch(format!("[{good},{{}}]").as_bytes()).expect_err("no batch").0;
        assert!(found.starts_with("event 1: "), "{found}");
    }

    #[test]
    fn a_deep_text_does_no_harm() {
        let deep = format!(",\"data\":{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let _ = structured(with(&deep).as_bytes());
    }
}
