//! A proxy before a server of an object store, that disturbs what it is told to.
//!
//! It is threads of the test: one request a connection, so that a fault meets exactly the request that it is for.

use crate::clouds::Cloud;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its parameters, and without escapes.
    pub path: String,
    /// How many requests like this, by method and path, came before it.
    pub before: usize,
}

impl Request {
    pub fn is_commit(&self) -> bool {
        self.method == "PUT" && self.path.contains("/_delta_log/") && self.path.contains(".json")
    }

    /// Of data files, also a part of one.
    pub fn is_upload(&self) -> bool {
        self.method == "PUT" && self.path.contains(".parquet")
    }

    /// Of a part of a file: S3 and Google number them, Azure calls them blocks.
    pub fn is_part(&self) -> bool {
        self.is_upload() && (self.path.contains("partNumber=") || self.path.contains("comp=block&"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server answers.
    None,
    /// The server answers, after a while.
    Slow,
    /// `503 SlowDown`, and the server hears nothing.
    Busy,
    /// `403`, and the server hears nothing.
    Refused,
    /// The connection ends in the middle of the request.
    CutRequest,
    /// The server does it, and its answer is lost.
    LostReply,
    /// The connection ends in the middle of the answer.
    CutReply,
}

type Rule = Box<dyn Fn(&Request) -> Fault + Send + Sync>;

pub struct Proxy {
    port: u16,
    stop: Arc<AtomicBool>,
    /// How often a fault met a request.
    faults: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Before the server of S3's protocol.
    pub fn start(rule: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        Self::before(Cloud::S3, rule)
    }

    pub fn before(cloud: Cloud, rule: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (stop, faults, requests): (Arc<AtomicBool>, Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let (stopped, counted, came) = (stop.clone(), faults.clone(), requests.clone());
        let rule: Arc<Rule> = Arc::new(Box::new(rule));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = seen.clone();
        let to = cloud.port();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                came.fetch_add(1, Ordering::Relaxed);
                let (rule, seen, counted) = (rule.clone(), all.clone(), counted.clone());
                // A client that goes away is no fault of the proxy.
                thread::spawn(move || serve(client, to, &rule, &seen, &counted).ok());
            }
        });
        Self { port, stop, faults, requests, seen }
    }

    /// Method and path of each request so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").clone()
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn met(&self) -> usize {
        self.faults.load(Ordering::Relaxed)
    }

    /// How many requests there were since this was asked last.
    pub fn requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    mut client: TcpStream,
    to: u16,
    rule: &Rule,
    seen: &Mutex<Vec<String>>,
    counted: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length, mut first) = (Vec::new(), 0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if first.is_empty() {
            first = line.trim().to_owned();
        }
        let lower = line.to_ascii_lowercase();
        if let Some(n) = lower.strip_prefix("content-length:") {
            length = n.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            head.extend(b"Connection: close\r\n\r\n");
            break;
        }
        if !lower.starts_with("connection:") {
            head.extend(line.as_bytes());
        }
    }
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), plain(&words.next().unwrap_or_default()));
    let before = {
        let mut seen = seen.lock().expect("not poisoned");
        let this = format!("{method} {path}");
        let before = seen.iter().filter(|s| **s == this).count();
        seen.push(this);
        before
    };
    let fault = rule(&Request { method, path, before });
    if fault != Fault::None {
        counted.fetch_add(1, Ordering::Relaxed);
    }
    if fault == Fault::CutRequest {
        let mut half = vec![0; length / 2];
        reader.read_exact(&mut half)?;
        return client.shutdown(Shutdown::Both);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if let Fault::Busy | Fault::Refused = fault {
        let (status, code) = match fault {
            Fault::Busy => ("503 Slow Down", "SlowDown"),
            _ => ("403 Forbidden", "AccessDenied"),
        };
        let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
        client.write_all(head.as_bytes())?;
        client.write_all(text.as_bytes())?;
        return client.shutdown(Shutdown::Both);
    }
    if fault == Fault::Slow {
        let (_never, nothing) = mpsc::channel::<()>();
        let _ = nothing.recv_timeout(Duration::from_millis(300));
    }
    let mut server = TcpStream::connect(("127.0.0.1", to))?;
    server.write_all(&head)?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    match fault {
        Fault::LostReply => {}
        Fault::CutReply => client.write_all(&answer[..answer.len() - answer.len() / 4])?,
        _ => client.write_all(&answer)?,
    }
    client.shutdown(Shutdown::Both)
}

/// Without what stands for `/`, `.` and `_` in Google's URLs.
fn plain(path: &str) -> String {
    [("%2F", "/"), ("%2E", "."), ("%5F", "_")].iter().fold(path.to_owned(), |p, (from, to)| p.replace(from, to))
}
