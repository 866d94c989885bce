//! `POST /hooks/…`: calls that their sender signed, as [Standard Webhooks](https://www.standardwebhooks.com) says.
//!
//! A call is durable before it is acknowledged. One that is refused is audited, with the reason.

use super::{
    api::{Shared, State},
    events::{Durable, breach, pushed, read},
    peer::Peer,
    problem::Problem,
};
use crate::{
    audit::Refused,
    cloudevents::{self, Event, NoEvent},
    rates::counted,
    signature::{self, Key},
};
use alluvium_model::DatasetName;
use alluvium_spec::{Project, Push, WebhookSource};
use alluvium_store::{PushedEvent, PushedList, Rate, RefusalKind};
use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

/// As senders make them they have up to about 64.
const LONGEST_ID: usize = 256;
const TYPE: &str = "io.alluvium.webhook";

/// Each webhook of the project, by its path.
pub(super) type Hooks = BTreeMap<String, Hook>;

pub(super) struct Hook {
    dataset: DatasetName,
    source: WebhookSource,
    keys: Vec<Key>,
    rate: Rate,
    full: Full,
}

/// When the rate has a place again, as the state said last: until then it need not be asked.
#[derive(Debug)]
struct Full(AtomicI64);

impl Full {
    /// How long to wait. A place is nobody's for longer than a period: then the clock was set back.
    fn wait(&self, now: Timestamp, rate: &Rate) -> Option<Duration> {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(now.as_microsecond());
        let left = Some(left).filter(|left| (1..=rate.period.micros()).contains(left))?;
        u64::try_from(left).ok().map(Duration::from_micros)
    }

    fn tell(&self, now: Timestamp, wait: Duration) {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        self.0.store(now.as_microsecond().saturating_add(wait), Ordering::Relaxed);
    }
}

/// The variable that holds no key.
pub(super) struct NoKey(pub(super) String);

impl Hook {
    pub(super) fn most_bytes(&self) -> u64 {
        self.source.max_bytes.0
    }
}

pub(super) fn of(project: &Project, variables: &dyn Fn(&str) -> Option<String>) -> Result<Hooks, NoKey> {
    let mut hooks = Hooks::new();
    for dataset in project.datasets.values() {
        let Some(source) = dataset.webhook() else { continue };
        let key = |variable: &String| variables(variable).and_then(|text| Key::read(&text));
        let keys = source.secrets.iter().map(|s| key(&s.variable).ok_or_else(|| NoKey(s.variable.clone())));
        let hook = Hook {
            dataset: dataset.name.clone(),
            keys: keys.collect::<Result<_, _>>()?,
            rate: rate(source),
            full: Full(AtomicI64::new(i64::MIN)),
            source: source.clone(),
        };
        hooks.insert(source.path.clone(), hook);
    }
    Ok(hooks)
}

/// All processes that take calls of the path share it.
fn rate(source: &WebhookSource) -> Rate {
    counted(&source.rate, || format!("hook {}", source.path))
}

pub(super) async fn post(
    state: axum::extract::State<State>,
    Peer(peer): Peer,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let hook = state.hooks.get(&path).ok_or(Problem::NoSuchPath)?;
    let _one = state.hooks_at_once.try_acquire().map_err(|_| Problem::Busy)?;
    let mut refused = Refused { kind: RefusalKind::Forged, path, peer, reason: String::new(), id: None };
    let most = usize::try_from(hook.source.max_bytes.0).unwrap_or(usize::MAX);
    let body = match read(body, &head.headers, most).await {
        Err(problem @ Problem::TooLarge(_)) => {
            refused.kind = RefusalKind::TooLarge;
            return Err(audited(&state, refused, problem).await);
        }
        body => body?,
    };
    let signed = match Signed::of(&head.headers) {
        Ok(signed) => signed,
        Err(problem) => return Err(audited(&state, refused, problem).await),
    };
    if !signature::holds(&hook.keys, signed.id, signed.timestamp, &body, signed.signature) {
        return Err(audited(&state, refused, Problem::Forged("no signature fits")).await);
    }
    let _asked = state.intake.asked();
    // From here on its sender is known, and what it says of itself is worth keeping.
    refused.id = Some(signed.id.to_owned());
    let now = state.clock.now();
    let Some(at) = signed.within(now, hook) else {
        refused.kind = RefusalKind::Stale;
        return Err(audited(&state, refused, Problem::Stale(hook.source.tolerance.to_string())).await);
    };
    if let Some(wait) = hook.full.wait(now, &hook.rate) {
        refused.kind = RefusalKind::TooFrequent;
        return Err(audited(&state, refused, Problem::TooFrequent(wait)).await);
    }
    let event = match event(&head.headers, &signed, at, hook, &body) {
        Ok(event) => event,
        Err(NoEvent(why)) => {
            refused.kind = RefusalKind::Malformed;
            return Err(audited(&state, refused, Problem::Event(why)).await);
        }
    };
    if let Some(problem) = hook.source.types.as_ref().and_then(|types| unwanted(types, &event)) {
        refused.kind = RefusalKind::Schema;
        return Err(audited(&state, refused, problem).await);
    }
    let event = PushedEvent {
        source: format!("webhook:{}", hook.source.path),
        id: signed.id.to_owned(),
        datasets: vec![hook.dataset.clone()],
        record: event.record,
    };
    let list = PushedList { events: vec![event], rates: vec![hook.rate.clone()] };
    let Durable { new, duplicates, .. } = match pushed(&state, list).await {
        Err(Problem::TooFrequent(wait)) => {
            hook.full.tell(state.clock.now(), wait);
            let problem = Problem::TooFrequent(wait);
            refused.kind = RefusalKind::TooFrequent;
            return Err(audited(&state, refused, problem).await);
        }
        pushed => pushed?,
    };
    if duplicates > 0 {
        refused.kind = RefusalKind::Replayed;
        refused.reason = "a call of this id was taken before".to_owned();
        state.audit.note(refused).await;
    }
    Ok((StatusCode::ACCEPTED, Json(json!({ "accepted": new, "duplicates": duplicates }))))
}

/// Why the dataset does not take the event.
fn unwanted(types: &Push, event: &Event) -> Option<Problem> {
    if !types.takes(&event.event_type) {
        return Some(Problem::Type(event.event_type.clone()));
    }
    let schema = types.schemas.get(&event.event_type)?;
    breach(schema, event, "the call".to_owned())
}

async fn audited(state: &Shared, refused: Refused, problem: Problem) -> Problem {
    state.audit.note(Refused { reason: problem.to_string(), ..refused }).await;
    problem
}

struct Signed<'a> {
    id: &'a str,
    timestamp: &'a str,
    signature: &'a str,
}

impl<'a> Signed<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, Problem> {
        let text = |name: &'static str, missing: &'static str| {
            let mut all = headers.get_all(name).iter();
            match (all.next().and_then(|v| v.to_str().ok()), all.next()) {
                (Some(text), None) if !text.is_empty() => Ok(text),
                _ => Err(Problem::Forged(missing)),
            }
        };
        let id = text(signature::ID, "there is no header `webhook-id`, or it is not readable")?;
        if id.len() > LONGEST_ID {
            return Err(Problem::Forged("the header `webhook-id` is too long"));
        }
        Ok(Self {
            id,
            timestamp: text(signature::TIMESTAMP, "there is no header `webhook-timestamp`, or it is not readable")?,
            signature: text(signature::SIGNATURE, "there is no header `webhook-signature`, or it is not readable")?,
        })
    }

    /// The call's time, if it is close to ours.
    fn within(&self, now: Timestamp, hook: &Hook) -> Option<Timestamp> {
        let at = Timestamp::from_second(self.timestamp.parse().ok()?).ok()?;
        let off = now.duration_since(at).as_micros().unsigned_abs();
        (off <= u128::from(hook.source.tolerance.micros().unsigned_abs())).then_some(at)
    }
}

/// An event of CloudEvents as it is; of anything else the body, under what the headers say.
fn event(headers: &HeaderMap, signed: &Signed<'_>, at: Timestamp, hook: &Hook, body: &[u8]) -> Result<Event, NoEvent> {
    let content = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    let kind = String::from_utf8_lossy(content).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/cloudevents+json" {
        return cloudevents::structured(body);
    }
    let kind = match hook.source.types {
        // Whatever it calls itself.
        None => TYPE.to_owned(),
        Some(_) => told_type(body)?.unwrap_or_else(|| hook.source.own_type()),
    };
    let (id, kind, time) = (escaped(signed.id), escaped(&kind), at.to_string());
    let attributes: [(&str, &[u8]); 6] = [
        ("ce-specversion", b"1.0"),
        ("ce-id", id.as_bytes()),
        ("ce-source", hook.source.path.as_bytes()),
        ("ce-type", kind.as_bytes()),
        ("ce-time", time.as_bytes()),
        ("content-type", content),
    ];
    cloudevents::binary(attributes.into_iter().filter(|(_, value)| !value.is_empty()), body)
}

/// What the body says of itself, in the field that Standard Webhooks has for it. One that is no mapping says nothing.
fn told_type(body: &[u8]) -> Result<Option<String>, NoEvent> {
    let Ok(Told(kinds)) = serde_json::from_slice(body) else { return Ok(None) };
    match kinds[..] {
        [] => Ok(None),
        [kind] => Ok(serde_json::from_str(kind.get()).ok().filter(|k: &String| !k.is_empty())),
        // Readers of the record would not agree on which of them holds.
        _ => Err(NoEvent("the body has more than one field `type`".to_owned())),
    }
}

/// The first two fields `type` of a mapping.
struct Told<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Told<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Told<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut kinds = Vec::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value::<&RawValue>()?;
            if name == "type" && kinds.len() < 2 {
                kinds.push(value);
            }
        }
        Ok(Told(kinds))
    }
}

/// As an attribute of an event travels in a header.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::Span;

    #[test]
    fn a_full_rate_is_remembered_until_it_has_a_place_and_not_over_a_clock_that_is_set_back() {
        let at = |s: i64| Timestamp::from_second(s).expect("a time");
        let rate = Rate { key: "k".to_owned(), limit: 2, period: Span::from_secs(60), burst: 1 };
        let full = Full(AtomicI64::new(i64::MIN));
        assert_eq!(full.wait(at(100), &rate), None);
        full.tell(at(100), Duration::from_secs(30));
        assert_eq!(full.wait(at(100), &rate), Some(Duration::from_secs(30)));
        assert_eq!(full.wait(at(129), &rate), Some(Duration::from_secs(1)));
        assert_eq!(full.wait(at(130), &rate), None);
        assert_eq!(full.wait(at(60), &rate), None, "nobody waits for so long");
    }

    #[test]
    fn only_a_mapping_tells_its_type_and_only_once() {
        let told = |body: &str| told_type(body.as_bytes()).map_err(|NoEvent(why)| why);
        assert_eq!(told(r#"{"id":1,"\u0074ype":"order.gone"}"#), Ok(Some("order.gone".to_owned())));
        for none in [r#"["order.gone"]"#, r#""order.gone""#, "{", "", "{}", r#"{"type":""}"#, r#"{"type":["a"]}"#] {
            assert_eq!(told(none), Ok(None), "{none}");
        }
        let nested = r#"{"data":{"type":"a"},"type":"b"}"#;
        assert_eq!(told(nested), Ok(Some("b".to_owned())));
        for twice in [
            r#"{"type":"a","type":"a"}"#,
            r#"{"type":"a","\u0074ype":"b"}"#,
            r#"{"type":"a","type":1}"#,
            r#"{"type":"\ud800","type":"a"}"#,
            r#"{"type":"a","type":"b","type":"c"}"#,
        ] {
            assert_eq!(told(twice), Err("the body has more than one field `type`".to_owned()), "{twice}");
        }
    }
}
