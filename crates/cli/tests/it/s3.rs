//! An S3-protocol server for tests, and a proxy before it that disturbs what it is told to.
//!
//! The server is a process of its own on loopback that ends with the test's process. The proxy is threads of the test: one
//! request a connection, so that a fault meets exactly the request that it is for.

use crate::harness::{Project, repository};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

pub const SECRET: &str = "the-secret-key-of-the-tests";

static SHARED: LazyLock<S3> = LazyLock::new(S3::start);

/// The bucket is `lake`.
struct S3 {
    port: u16,
    places: AtomicUsize,
    _server: Child,
}

impl S3 {
    fn start() -> Self {
        let Ok(python) = std::env::var("ALLUVIUM_TEST_PYTHON") else {
            panic!(
                "ALLUVIUM_TEST_PYTHON is not set: run the tests with `cargo xtask test`, which makes that environment"
            );
        };
        let mut server = Command::new(python)
            .arg(repository().join("tests/s3.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python runs");
        let mut said = String::new();
        BufReader::new(server.stdout.as_mut().expect("its output")).read_line(&mut said).expect("its port");
        let port = said.trim().parse().expect("a port");
        Self { port, places: AtomicUsize::new(0), _server: server }
    }
}

/// A lake of its own in the shared server.
pub fn lake() -> String {
    format!("s3://lake/p{}", SHARED.places.fetch_add(1, Ordering::Relaxed))
}

/// Names of the objects of a lake, below its prefix, as the server lists them.
pub fn objects(lake: &str) -> BTreeSet<String> {
    let prefix = lake.strip_prefix("s3://lake/").expect("a lake of `lake`");
    let mut server = TcpStream::connect(("127.0.0.1", SHARED.port)).expect("the server");
    let ask =
        format!("GET /lake?list-type=2&prefix={prefix}/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    server.write_all(ask.as_bytes()).expect("asked");
    let mut answer = String::new();
    server.read_to_string(&mut answer).expect("answered");
    assert!(answer.contains("<IsTruncated>false"), "{answer}");
    let keys = answer.split("<Key>").skip(1).filter_map(|k| k.split("</Key>").next());
    keys.filter_map(|k| k.strip_prefix(prefix)?.strip_prefix('/')).map(str::to_owned).collect()
}

pub fn endpoint() -> String {
    format!("http://127.0.0.1:{}", SHARED.port)
}

/// The same files over a lake in the object store: one line differs.
pub fn over_s3(from: &Project, lake: &str) -> Project {
    let to = crate::market::copied(from);
    to.edit("alluvium.yaml", "name: ", &format!("lake: {lake}\nname: "));
    through(to, &endpoint())
}

/// The project's commands reach the object store at this address.
pub fn through(mut p: Project, endpoint: &str) -> Project {
    p.set("AWS_ENDPOINT_URL", endpoint);
    p.set("AWS_ALLOW_HTTP", "true");
    p.set("AWS_REGION", "us-east-1");
    p.set("AWS_ACCESS_KEY_ID", "tester");
    p.set("AWS_SECRET_ACCESS_KEY", SECRET);
    p
}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
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
}

impl Proxy {
    pub fn start(rule: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (stop, faults, requests): (Arc<AtomicBool>, Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let (stopped, counted, came) = (stop.clone(), faults.clone(), requests.clone());
        let rule: Arc<Rule> = Arc::new(Box::new(rule));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let to = SHARED.port;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                came.fetch_add(1, Ordering::Relaxed);
                let (rule, seen, counted) = (rule.clone(), seen.clone(), counted.clone());
                // A client that goes away is no fault of the proxy.
                thread::spawn(move || serve(client, to, &rule, &seen, &counted).ok());
            }
        });
        Self { port, stop, faults, requests }
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
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
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
