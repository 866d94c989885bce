//! A receiver of webhooks that does what it is told: takes, loses its answer, is slow, refuses.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Status(u16),
    /// With a header.
    With(u16, &'static str, &'static str),
    /// Takes the call, and breaks the connection off.
    Lost,
    /// Takes the call, and says nothing.
    Silent,
}

#[derive(Debug, Clone)]
pub struct Call {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

#[derive(Default)]
struct Held {
    calls: Mutex<Vec<Call>>,
    replies: Mutex<VecDeque<Reply>>,
}

pub struct Receiver {
    pub port: u16,
    held: Arc<Held>,
    serving: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Answers in this order, and then 204.
    pub async fn start(replies: &[Reply]) -> Self {
        let held = Arc::new(Held { replies: Mutex::new(replies.iter().copied().collect()), ..Held::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let app = Router::new().fallback(take).with_state(held.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { port, held, serving }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.held.calls.lock().expect("no holder of this lock panics").clone()
    }

    pub fn ids(&self) -> Vec<String> {
        self.calls().iter().map(|c| c.headers["webhook-id"].to_str().expect("a text").to_owned()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(held: State<Arc<Held>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let path = head.uri.to_string();
    let call = Call { path, headers: head.headers, body: String::from_utf8(body.to_vec()).expect("a text") };
    held.calls.lock().expect("no holder of this lock panics").push(call);
    let reply = held.replies.lock().expect("no holder of this lock panics").pop_front();
    let status = |s: u16| StatusCode::from_u16(s).expect("a status");
    let mut response = Response::new(Body::empty());
    match reply.unwrap_or(Reply::Status(204)) {
        Reply::Status(s) => *response.status_mut() = status(s),
        Reply::With(s, name, value) => {
            *response.status_mut() = status(s);
            response.headers_mut().insert(name, value.parse().expect("a value"));
        }
        // The handler that panics takes its connection with it.
        Reply::Lost => panic!("lost, as asked for"),
        Reply::Silent => std::future::pending().await,
    }
    response
}
