//! `sinks` of alluvium.yaml: where publications of datasets go.
//!
//! Called by the reader of the project file; [`WebhookUrl`] also where a URL comes from the environment.

use crate::{
    codes,
    definition::Rate,
    diagnostic::{self, quoted},
    nearest,
    paths::Fence,
    project_file::inside,
    rate::{self, Said},
    secret::{self, Secret},
    source_file::{SourceFile, Spanned},
    yaml::{Node, Reader, Value},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, str::FromStr};

/// A place that is told what was published.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// One file an event, in a folder for each dataset.
    Files {
        /// Absolute.
        folder: PathBuf,
    },
    Webhook(Webhook),
}

/// A receiver of signed HTTP requests.
#[derive(Debug, Clone, Serialize)]
pub struct Webhook {
    pub url: WebhookAddress,
    pub format: BodyFormat,
    /// Each signs, so that a receiver can change from one to another. None: only where nobody would look.
    pub secrets: Vec<Secret>,
    /// Whether it may be asked without TLS beyond this machine.
    pub allow_http: bool,
    /// Whether it may lie where machines keep their credentials.
    pub allow_link_local: bool,
    /// How often it is called, by all processes over one state; `None`: as often as there is something to tell.
    pub rate: Option<Rate>,
}

/// How an event lies in the body of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// As it is.
    #[default]
    CloudEvents,
    /// As a message for people, in the form that Slack's incoming webhooks take, and others after them.
    Slack,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookAddress {
    Written(WebhookUrl),
    /// The URL is itself a secret, or another in each environment.
    Env(Secret),
}

/// `https://host:port/path`, without user and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookUrl {
    pub https: bool,
    pub host: WebhookHost,
    pub port: u16,
    /// With the query, as it is asked for.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookHost {
    Name(String),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookUrl {
    #[error("this is no URL")]
    NoUrl,
    #[error("a webhook is asked by `https`, or by `http`")]
    Scheme,
    #[error("a URL with a user or a password would show it; the signature tells who sends")]
    User,
    #[error("a URL with a fragment is none that can be asked")]
    Fragment,
}

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        let url = url::Url::parse(text).map_err(|_| InvalidWebhookUrl::NoUrl)?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidWebhookUrl::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidWebhookUrl::User);
        }
        if url.fragment().is_some() {
            return Err(InvalidWebhookUrl::Fragment);
        }
        let host = match url.host() {
            Some(url::Host::Domain(name)) => WebhookHost::Name(name.to_owned()),
            Some(url::Host::Ipv4(ip)) => WebhookHost::Address(ip.into()),
            Some(url::Host::Ipv6(ip)) => WebhookHost::Address(ip.into()),
            None => return Err(InvalidWebhookUrl::NoUrl),
        };
        let port = url.port_or_known_default().ok_or(InvalidWebhookUrl::NoUrl)?;
        let query = url.query().map_or_else(String::new, |q| format!("?{q}"));
        Ok(Self { https, host, port, path: format!("{}{query}", url.path()) })
    }
}

/// Without the path, which may be what a receiver knows its senders by.
impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }
}

impl WebhookUrl {
    /// `host:port`, as the `Host` header has it.
    pub fn authority(&self) -> String {
        let host = match &self.host {
            WebhookHost::Name(name) => name.clone(),
            WebhookHost::Address(IpAddr::V4(ip)) => ip.to_string(),
            WebhookHost::Address(IpAddr::V6(ip)) => format!("[{ip}]"),
        };
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    fn is_here(&self) -> bool {
        match &self.host {
            WebhookHost::Name(name) => name == "localhost",
            WebhookHost::Address(ip) => ip.is_loopback(),
        }
    }
}

/// By name. Those with a mistake are among them, so that who names one is not told that there is none.
pub(crate) struct Sinks {
    pub(crate) usable: BTreeMap<String, Sink>,
    pub(crate) names: Vec<String>,
    /// By the keys that they share.
    pub(crate) rates: BTreeMap<String, Said>,
}

impl Sinks {
    pub(crate) fn none() -> Self {
        Self { usable: BTreeMap::new(), names: Vec::new(), rates: BTreeMap::new() }
    }

    /// Reports a name that is no sink's.
    pub(crate) fn check(&self, name: &Spanned<String>, file: &SourceFile, sink: &mut diagnostic::Sink) {
        if self.names.contains(&name.value) {
            return;
        }
        let help = nearest::help(&name.value, self.names.iter().map(String::as_str))
            .unwrap_or_else(|| "name it under `sinks` in alluvium.yaml".to_owned());
        let message = format!("there is no sink {}", quoted(&name.value));
        sink.report(codes::UNKNOWN_SINK, file, name.place, message, help);
    }
}

pub(crate) fn read(node: &Node, fence: &Fence, r: &mut Reader<'_>) -> Sinks {
    let mut sinks = Sinks::none();
    for e in r.entries(node).unwrap_or_default() {
        let name = &e.key.value;
        let fits = name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !fits {
            let help = "write lower case letters, digits and `_`, starting with a letter".to_owned();
            r.error(codes::INVALID_VALUE, e.key.place, format!("{} is no sink's name", quoted(name)), Some(help));
        }
        sinks.names.push(name.clone());
        let sink = sink(&e.value, fence, r);
        if let Some(Sink::Webhook(Webhook { rate: Some(rate), .. })) = &sink
            && let Some(key) = &rate.key
        {
            let said = *sinks.rates.entry(key.clone()).or_insert_with(|| rate.said());
            if said != rate.said() {
                let message = format!("the key {} has another rate elsewhere", quoted(key));
                let (limit, period, burst) = said;
                let help = format!("a sink above says `limit: {limit}, period: {period}, burst: {burst}`");
                r.error(codes::CONTRADICTION, e.key.place, message, Some(help));
            }
        }
        sinks.usable.extend(sink.map(|s| (name.clone(), s)));
    }
    sinks
}

fn sink(node: &Node, fence: &Fence, r: &mut Reader<'_>) -> Option<Sink> {
    let mut f = r.fields(node, "a mapping such as `{ files: out/events/ }` or `{ webhook: { url: …, secret: … } }`")?;
    let (files, webhook) = (f.take("files"), f.take("webhook"));
    f.not_yet(&["kafka", "nats", "queue"], r);
    f.finish(r);
    match (files, webhook) {
        (Some(files), None) => Some(Sink::Files { folder: r.text(files).and_then(|w| inside(&w, fence, r))? }),
        (None, Some(hook)) => self::webhook(hook, r).map(Sink::Webhook),
        (Some(_), Some(_)) => {
            r.error(codes::CONTRADICTION, node.place, "a sink is `files` or `webhook`", None);
            None
        }
        (None, None) => {
            r.error(codes::MISSING_KEY, node.place, "a sink is `files` or `webhook`", None);
            None
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Http,
    LinkLocal,
}

fn webhook(node: &Node, r: &mut Reader<'_>) -> Option<Webhook> {
    let mut f = r.fields(node, "a mapping such as `{ url: https://…, secret: { env: ALLUVIUM_HOOK_SECRET } }`")?;
    let url = f.require("url", r);
    let formats = [("cloudevents", BodyFormat::CloudEvents), ("slack", BodyFormat::Slack)];
    let format = match f.take("format") {
        Some(n) => r.choice(n, &formats).map(|w| w.value),
        None => Some(BodyFormat::default()),
    };
    // Slack looks at no signature: there the URL is the secret. Of a format that is misspelt nothing more is asked.
    let secrets = match format {
        Some(BodyFormat::Slack) | None => f.take("secret").map_or_else(|| Some(Vec::new()), |n| secret::read_all(n, r)),
        Some(BodyFormat::CloudEvents) => f.require("secret", r).and_then(|n| secret::read_all(n, r)),
    };
    let rate = f.take("rate").map_or(Some(None), |n| rate::read(n, |_| 1, r).map(Some));
    let allow: Vec<Allowed> = f.take("allow").map_or_else(Vec::new, |n| allowed(n, r));
    f.finish(r);
    let allow_http = allow.contains(&Allowed::Http);
    let url = match url? {
        node if matches!(node.value, Value::Scalar(_)) => WebhookAddress::Written(written(node, allow_http, r)?),
        node => WebhookAddress::Env(secret::read(node, r)?),
    };
    let allow_link_local = allow.contains(&Allowed::LinkLocal);
    Some(Webhook { url, format: format?, secrets: secrets?, allow_http, allow_link_local, rate: rate? })
}

fn allowed(node: &Node, r: &mut Reader<'_>) -> Vec<Allowed> {
    let words = [("http", Allowed::Http), ("link_local", Allowed::LinkLocal)];
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(_) => std::slice::from_ref(node),
    };
    items.iter().filter_map(|n| r.choice(n, &words)).map(|w| w.value).collect()
}

fn written(node: &Node, allow_http: bool, r: &mut Reader<'_>) -> Option<WebhookUrl> {
    let text: Spanned<String> = r.text(node)?;
    let url: WebhookUrl = match text.value.parse() {
        Ok(url) => url,
        Err(e) => {
            let place = if e == InvalidWebhookUrl::User { crate::source_file::Place::WHOLE } else { text.place };
            let help = "write it as `https://host/path`, or name a variable that holds it".to_owned();
            r.error(codes::INVALID_VALUE, place, format!("`url`: {e}"), Some(help));
            return None;
        }
    };
    if !url.https && !url.is_here() && !allow_http {
        let help = "use `https`, or write `allow: [http]` for a network of your own".to_owned();
        let message = "everybody between here and there could read what is sent by `http`";
        r.error(codes::INVALID_VALUE, text.place, message, Some(help));
        return None;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<WebhookUrl, InvalidWebhookUrl> {
        text.parse()
    }

    #[test]
    fn a_url_is_taken_apart() {
        let url = of("https://hooks.example.com/a/b?c=d").expect("a url");
        assert!(url.https && url.port == 443 && url.path == "/a/b?c=d");
        assert_eq!(url.to_string(), "https://hooks.example.com", "its path may be a secret");
        assert_eq!(of("http://[::1]:8080").expect("a url").authority(), "[::1]:8080");
        // However an address is written, it is seen as one.
        for text in ["http://0x7f000001/", "http://2130706433/", "http://0177.0.0.1/"] {
            assert!(of(text).expect("a url").is_here(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        assert_eq!(of("hooks.example.com"), Err(InvalidWebhookUrl::NoUrl));
        assert_eq!(of("file:///etc/passwd"), Err(InvalidWebhookUrl::Scheme));
        assert_eq!(of("https://a:b@c/"), Err(InvalidWebhookUrl::User));
        assert_eq!(of("https://a/#b"), Err(InvalidWebhookUrl::Fragment));
    }
}
