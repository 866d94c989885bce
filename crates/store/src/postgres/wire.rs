//! PostgreSQL's frontend/backend protocol, version 3, as far as the state needs it: log in, run statements in turn.
//!
//! Called by `connection.rs`. Values travel as text. A future that is dropped between question and answer leaves a
//! connection that nobody may use again; the caller sees to that.

use super::{
    scram::{MECHANISM, Scram},
    text::{escaped, escaped_json, unescaped},
    tls,
};
use crate::{
    Value,
    sql::{Arg, Row},
};
use alluvium_model::{PostgresUrl, Tls};
use std::{collections::HashMap, error::Error, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the network failed")]
    Lost(#[from] io::Error),
    #[error("the server did not answer in time")]
    Silent,
    #[error("the server's certificate is not trusted")]
    Untrusted(#[source] Box<dyn Error + Send + Sync>),
    #[error("{0}")]
    Login(&'static str),
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    /// `code` is one of PostgreSQL's, the message is the server's own.
    #[error("{message} ({code})")]
    Answer { code: String, message: String },
}

/// What a statement came to.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// As the server names it, as `UPDATE 3`.
    pub(crate) tag: String,
}

impl Answer {
    /// How many rows it changed or gave.
    pub(crate) fn changed(&self) -> u64 {
        self.tag.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// One connection that is logged in.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Duplex>>,
    /// By text; each is sent once. The texts are those of this crate, so there are few.
    statements: HashMap<&'static str, Statement>,
    /// Names that the server was given, also for statements that it refused.
    named: u32,
    encrypted: bool,
}

struct Statement {
    name: String,
    columns: Columns,
}

#[derive(Clone, Default)]
struct Columns {
    names: Arc<[String]>,
    kinds: Vec<Kind>,
}

const CONNECT: Duration = Duration::from_secs(10);
/// Longer than any statement waits for a lock.
const REPLY: Duration = Duration::from_secs(60);
const LARGEST_MESSAGE: usize = 256 << 20;
const PROTOCOL: i32 = 3 << 16;
const TLS_REQUEST: i32 = 80_877_103;
const INT8: i32 = 20;
const TEXT: i32 = 25;
/// int8, int2, int4.
const WHOLE: [i32; 3] = [INT8, 21, 23];
const FLOAT8: i32 = 701;

/// How the text of a cell is read.
#[derive(Clone, Copy)]
enum Kind {
    Whole,
    Real,
    Text,
}

impl Kind {
    fn of(oid: i32) -> Self {
        match oid {
            FLOAT8 => Self::Real,
            oid if WHOLE.contains(&oid) => Self::Whole,
            _ => Self::Text,
        }
    }
}

impl Wire {
    /// `settings` hold for the connection.
    pub(super) async fn connect(
        url: &PostgresUrl,
        password: Option<String>,
        settings: &[(&str, &str)],
    ) -> Result<Self, WireError> {
        let connecting = TcpStream::connect((url.host.as_str(), url.port));
        let mut stream = timeout(CONNECT, connecting).await.map_err(|_| WireError::Silent)??;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Duplex> = match &url.tls {
            Tls::Off => Box::new(stream),
            Tls::Verified { authorities } => {
                let request = [8_i32.to_be_bytes(), TLS_REQUEST.to_be_bytes()].concat();
                stream.write_all(&request).await?;
                let answer = timeout(REPLY, stream.read_u8()).await.map_err(|_| WireError::Silent)??;
                if answer != b'S' {
                    return Err(WireError::Login("the server has no TLS; `sslmode=disable` does without"));
                }
                let wrapping = tls::wrapped(stream, &url.host, authorities.as_deref());
                Box::new(timeout(REPLY, wrapping).await.map_err(|_| WireError::Silent)??)
            }
        };
        let encrypted = url.tls != Tls::Off;
        let mut wire = Self { stream: BufReader::new(stream), statements: HashMap::new(), named: 0, encrypted };
        wire.start(url, settings).await?;
        wire.log_in(password).await?;
        Ok(wire)
    }

    async fn start(&mut self, url: &PostgresUrl, settings: &[(&str, &str)]) -> Result<(), WireError> {
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        let login = [("user", url.user.as_str()), ("database", &url.database), ("client_encoding", "UTF8")];
        for (name, value) in login.iter().chain(settings) {
            put_str(&mut body, name);
            put_str(&mut body, value);
        }
        body.push(0);
        let mut message = length(body.len() + 4).to_be_bytes().to_vec();
        message.extend(body);
        self.send(&message).await
    }

    async fn log_in(&mut self, password: Option<String>) -> Result<(), WireError> {
        let mut scram = None;
        let mut expected = None;
        loop {
            let (kind, body) = self.receive().await?;
            let mut fields = Fields(&body);
            match kind {
                b'R' => match fields.int()? {
                    // Whoever was asked for a password waits for the proof that the server knows it.
                    0 if scram.is_some() => return Err(WireError::Login("the server did not prove itself")),
                    0 => {}
                    3 if self.encrypted => {
                        let mut body = Vec::new();
                        put_str(&mut body, password.as_deref().ok_or(NO_PASSWORD)?);
                        self.send(&message(b'p', &body)).await?;
                    }
                    10 => {
                        if !fields.strings().any(|m| m == MECHANISM.as_bytes()) {
                            return Err(WireError::Login("the server asks for a password in a way that is not known"));
                        }
                        let start = Scram::new(password.clone().ok_or(NO_PASSWORD)?)?;
                        let mut body = Vec::new();
                        put_str(&mut body, MECHANISM);
                        put_bytes(&mut body, start.first().as_bytes());
                        self.send(&message(b'p', &body)).await?;
                        scram = Some(start);
                    }
                    11 => {
                        let start = scram.as_ref().ok_or(WireError::Protocol("a challenge that nobody asked for"))?;
                        let (answer, proof) = start.answer(fields.rest_str()?)?;
                        self.send(&message(b'p', answer.as_bytes())).await?;
                        expected = Some(proof);
                    }
                    12 => {
                        let proof = expected.take().ok_or(WireError::Protocol("a proof that nobody asked for"))?;
                        proof.check(fields.rest_str()?)?;
                        scram = None;
                    }
                    _ => {
                        return Err(WireError::Login(
                            "the server asks for the password unprotected, or in a way that is not known; \
                             scram-sha-256 is",
                        ));
                    }
                },
                b'E' => return Err(fields.error()?),
                b'Z' => return Ok(()),
                // Settings, the key to cancel with, notices.
                b'S' | b'K' | b'N' | b'v' => {}
                _ => return Err(WireError::Protocol("an unknown message at the start")),
            }
        }
    }

    /// One statement with its arguments.
    pub(super) async fn query(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<Answer, WireError> {
        let known = self.statements.get(sql).map(|s| (s.name.clone(), s.columns.clone()));
        let mut out = Vec::new();
        let (name, columns) = match known {
            Some((name, columns)) => (name, Some(columns)),
            None => {
                self.named += 1;
                let name = format!("s{}", self.named);
                put_parse(&mut out, &name, sql, args);
                (name, None)
            }
        };
        put_execution(&mut out, &name, args);
        self.send(&out).await?;
        let is_new = columns.is_none();
        let (answer, columns) = self.answer(columns.unwrap_or_default()).await?;
        if is_new {
            self.statements.insert(sql, Statement { name, columns });
        }
        Ok(answer)
    }

    /// Statements without arguments, separated by `;`. The answer is all of their rows and the last one's tag.
    pub(super) async fn batch(&mut self, sql: &str) -> Result<Answer, WireError> {
        let mut body = Vec::new();
        put_str(&mut body, sql);
        self.send(&message(b'Q', &body)).await?;
        Ok(self.answer(Columns::default()).await?.0)
    }

    /// Tells the server that it ends here.
    pub(super) async fn close(mut self) -> Result<(), WireError> {
        self.send(&message(b'X', &[])).await?;
        Ok(self.stream.get_mut().shutdown().await?)
    }

    /// Up to where the server waits for the next question.
    async fn answer(&mut self, mut columns: Columns) -> Result<(Answer, Columns), WireError> {
        let mut answer = Answer::default();
        let mut refused = None;
        loop {
            let (kind, body) = match (self.receive().await, refused.take()) {
                // Before it ends a connection the server says why.
                (Err(_), Some(reason)) => return Err(reason),
                (received, reason) => {
                    refused = reason;
                    received?
                }
            };
            let mut fields = Fields(&body);
            match kind {
                b'T' => columns = fields.columns()?,
                b'D' => answer.rows.push(fields.row(&columns)?),
                b'C' => answer.tag = fields.str()?.to_owned(),
                b'E' => refused = Some(fields.error()?),
                b'Z' => return refused.map_or(Ok((answer, columns)), Err),
                // Done parsing, done binding, no columns, arguments, nothing to do; settings, notices, notifications.
                b'1' | b'2' | b'n' | b't' | b'I' | b'S' | b'N' | b'A' => {}
                _ => return Err(WireError::Protocol("an unknown message")),
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let stream = self.stream.get_mut();
        let sending = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        Ok(timeout(REPLY, sending).await.map_err(|_| WireError::Silent)??)
    }

    async fn receive(&mut self) -> Result<(u8, Vec<u8>), WireError> {
        let reading = async {
            let kind = self.stream.read_u8().await?;
            let length = self.stream.read_i32().await?;
            let length = usize::try_from(length).ok().and_then(|l| l.checked_sub(4)).filter(|l| *l <= LARGEST_MESSAGE);
            let mut body = vec![0; length.ok_or(WireError::Protocol("a message of a length that cannot be"))?];
            self.stream.read_exact(&mut body).await?;
            Ok((kind, body))
        };
        timeout(REPLY, reading).await.map_err(|_| WireError::Silent)?
    }
}

const NO_PASSWORD: WireError =
    WireError::Login("the server asks for a password; name its variable, as in `user:${ALLUVIUM_STATE_PASSWORD}@host`");

/// Lengths and counts of what we send.
fn length(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    put_bytes_after(&mut out, 4, body);
    out
}

/// The length, `more` than that of the bytes, and the bytes.
fn put_bytes_after(out: &mut Vec<u8>, more: usize, bytes: &[u8]) {
    out.extend(length(bytes.len() + more).to_be_bytes());
    out.extend(bytes);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_bytes_after(out, 0, bytes);
}

/// Up to its first NUL: one would end the text for the server too.
fn put_str(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().take_while(|b| *b != 0));
    out.push(0);
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u16::try_from(count).expect("statements of this crate have few arguments").to_be_bytes());
}

fn put_parse(out: &mut Vec<u8>, name: &str, sql: &str, args: &[Arg<'_>]) {
    let mut body = Vec::new();
    put_str(&mut body, name);
    put_str(&mut body, sql);
    put_count(&mut body, args.len());
    for arg in args {
        let kind = if matches!(arg, Arg::Integer(_)) { INT8 } else { TEXT };
        body.extend(kind.to_be_bytes());
    }
    out.extend(message(b'P', &body));
    let mut body = vec![b'S'];
    put_str(&mut body, name);
    out.extend(message(b'D', &body));
}

fn put_execution(out: &mut Vec<u8>, name: &str, args: &[Arg<'_>]) {
    let mut body = Vec::new();
    put_str(&mut body, "");
    put_str(&mut body, name);
    put_count(&mut body, 0);
    put_count(&mut body, args.len());
    for arg in args {
        match arg {
            Arg::Integer(None) => body.extend((-1_i32).to_be_bytes()),
            Arg::Integer(Some(number)) => put_bytes(&mut body, number.to_string().as_bytes()),
            Arg::Text(text) => put_bytes(&mut body, escaped(text).as_bytes()),
            Arg::List(list) => put_bytes(&mut body, escaped_json(list).as_bytes()),
        }
    }
    put_count(&mut body, 0);
    out.extend(message(b'B', &body));
    let mut body = Vec::new();
    put_str(&mut body, "");
    body.extend(0_i32.to_be_bytes());
    out.extend(message(b'E', &body));
    out.extend(message(b'S', &[]));
}

/// What is left of a message.
struct Fields<'a>(&'a [u8]);

const SHORT: WireError = WireError::Protocol("a message that ends too early");
const NO_TEXT: WireError = WireError::Protocol("text that is no UTF-8");

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn int(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into().map_err(|_| SHORT)?))
    }

    fn short(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into().map_err(|_| SHORT)?))
    }

    fn string(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.0.iter().position(|b| *b == 0).ok_or(SHORT)?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }

    fn str(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.string()?).map_err(|_| NO_TEXT)
    }

    fn strings(&mut self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(|| self.string().ok())
    }

    fn rest_str(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.0).map_err(|_| NO_TEXT)
    }

    /// Code and message only: what else the server says may show what is in a row.
    fn error(&mut self) -> Result<WireError, WireError> {
        let (mut code, mut message) = (String::new(), String::new());
        while let Ok(&[kind]) = self.take(1) {
            if kind == 0 {
                break;
            }
            let text = String::from_utf8_lossy(self.string()?).into_owned();
            match kind {
                b'C' => code = text,
                b'M' => message = text,
                _ => {}
            }
        }
        Ok(WireError::Answer { code, message })
    }

    fn columns(&mut self) -> Result<Columns, WireError> {
        let (mut names, mut kinds) = (Vec::new(), Vec::new());
        for _ in 0..self.short()? {
            names.push(self.str()?.to_owned());
            self.take(6)?; // its table and its place there
            kinds.push(Kind::of(self.int()?));
            self.take(8)?; // its size and its form
        }
        Ok(Columns { names: names.into(), kinds })
    }

    fn row(&mut self, columns: &Columns) -> Result<Row, WireError> {
        if usize::from(self.short()?) != columns.kinds.len() {
            return Err(WireError::Protocol("a row of other columns"));
        }
        let mut values = Vec::with_capacity(columns.kinds.len());
        for kind in &columns.kinds {
            let Ok(length) = usize::try_from(self.int()?) else {
                values.push(Value::Null);
                continue;
            };
            let text = std::str::from_utf8(self.take(length)?).map_err(|_| NO_TEXT)?;
            let none = || WireError::Protocol("a number that is none");
            values.push(match kind {
                Kind::Whole => Value::Integer(text.parse().map_err(|_| none())?),
                Kind::Real => Value::Real(text.parse().map_err(|_| none())?),
                Kind::Text => Value::Text(unescaped(text.to_owned())),
            });
        }
        Ok(Row { names: Arc::clone(&columns.names), values })
    }
}
