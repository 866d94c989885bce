//! Both ends of signed webhooks, by hand: a receiver that keeps what it got, and a sender.

use crate::http::{Answer, ask};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::SystemTime,
};

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const OLD_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

#[derive(Debug, Clone)]
pub struct Call {
    pub id: String,
    pub event: Value,
    /// Whether it was signed with [`SECRET`].
    pub signed: bool,
}

/// Answers 204 to everything.
pub struct Receiver {
    pub port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = calls.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = BufReader::new(socket.expect("a connection"));
                let Some(call) = taken(&mut socket) else { continue };
                seen.lock().expect("no holder of this lock panics").push(call);
                // Who called may have been killed.
                let _ = socket.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            }
        });
        Self { port, calls }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no holder of this lock panics").clone()
    }
}

fn taken(socket: &mut BufReader<std::net::TcpStream>) -> Option<Call> {
    let mut headers = std::collections::BTreeMap::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).ok().filter(|n| *n > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => drop(headers.insert(name.to_ascii_lowercase(), value.to_owned())),
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    socket.read_exact(&mut body).ok()?;
    let (id, at) = (headers.get("webhook-id")?, headers.get("webhook-timestamp")?);
    Some(Call {
        id: id.clone(),
        event: serde_json::from_slice(&body).expect("an event"),
        signed: headers.get("webhook-signature").is_some_and(|s| *s == signature(SECRET, id, at, &body)),
    })
}

pub fn signature(secret: &str, id: &str, at: &str, body: &[u8]) -> String {
    let key = BASE64_STANDARD.decode(&secret["whsec_".len()..]).expect("a secret");
    let text = [id.as_bytes(), b".", at.as_bytes(), b".", body].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &text);
    format!("v1,{}", BASE64_STANDARD.encode(tag))
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the service compares with the real time")]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the end")
}

/// A signed call.
pub fn call(address: &str, path: &str, secret: &str, id: &str, at: i64, body: &str) -> Answer {
    let at = at.to_string();
    let signature = signature(secret, id, &at, body.as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", at.as_str()),
        ("webhook-signature", signature.as_str()),
    ];
    ask(address, "POST", path, &headers, body.as_bytes())
}
