//! One publication, sent to one receiver by a signed POST. Only an answer of 200 to 299 counts.
//!
//! Called by `deliver.rs`. It follows no redirect, reads no body, and is over after a fixed time.

use super::{address, error::SinkError, receiver::Target, slack};
use crate::signature;
use alluvium_spec::{BodyFormat, WebhookHost};
use alluvium_store::Publication;
use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

const MOST_HEAD_BYTES: usize = 32 << 10;

pub(super) async fn post(
    target: &Target,
    publication: &Publication,
    now: Timestamp,
    longest: Duration,
) -> Result<(), SinkError> {
    let host = target.url.authority();
    match tokio::time::timeout(longest, sent(target, &host, publication, now)).await {
        Ok(done) => done,
        Err(_) => Err(SinkError::Silent { host, seconds: longest.as_secs() }),
    }
}

async fn sent(target: &Target, host: &str, publication: &Publication, now: Timestamp) -> Result<(), SinkError> {
    let unreachable = |source| SinkError::Unreachable { host: host.to_owned(), source };
    let addresses = addresses(target).await.map_err(unreachable)?;
    address::check(host, target.url.https, target.allowed, &addresses)?;
    let stream = TcpStream::connect(&addresses[..]).await.map_err(unreachable)?;
    let request = request(target, host, publication, now).map_err(|e| unreachable(io::Error::other(e)))?;
    let (status, headers) = if target.url.https {
        answered(tls(target, host, stream).await?, host, request).await?
    } else {
        answered(stream, host, request).await?
    };
    match status {
        s if s.is_success() => Ok(()),
        StatusCode::GONE => Err(SinkError::Gone { host: host.to_owned() }),
        s => {
            let after_seconds = headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
            Err(SinkError::Status { host: host.to_owned(), status: s.as_u16(), after_seconds })
        }
    }
}

async fn addresses(target: &Target) -> io::Result<Vec<SocketAddr>> {
    let port = target.url.port;
    let found: Vec<SocketAddr> = match &target.url.host {
        WebhookHost::Address(ip) => vec![SocketAddr::new(*ip, port)],
        WebhookHost::Name(name) => lookup_host((name.as_str(), port)).await?.collect(),
    };
    if found.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(found) }
}

async fn tls(
    target: &Target,
    host: &str,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, SinkError> {
    let untrusted =
        |source: Box<dyn std::error::Error + Send + Sync>| SinkError::Untrusted { host: host.to_owned(), source };
    let name = match &target.url.host {
        WebhookHost::Name(name) => ServerName::try_from(name.clone()).map_err(|e| untrusted(e.into()))?,
        WebhookHost::Address(ip) => ServerName::from(*ip),
    };
    let mut roots = RootCertStore::empty();
    // What of the system's cannot be read is left out: the receiver is then refused, not trusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| untrusted(e.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| match e.kind() {
        // A certificate that is not trusted comes as bad data; anything else is the network.
        io::ErrorKind::InvalidData => untrusted(e.into()),
        _ => SinkError::Unreachable { host: host.to_owned(), source: e },
    })
}

fn request(
    target: &Target,
    host: &str,
    publication: &Publication,
    now: Timestamp,
) -> Result<Request<Body>, axum::http::Error> {
    let (id, timestamp) = (publication.id.as_str(), now.as_second().to_string());
    let (kind, body) = match target.format {
        BodyFormat::CloudEvents => ("application/cloudevents+json", publication.event.clone()),
        BodyFormat::Slack => ("application/json", slack::body(&publication.event)),
    };
    let mut request = Request::post(&target.url.path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("alluvium/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONNECTION, "close")
        .header(signature::ID, id)
        .header(signature::TIMESTAMP, &timestamp);
    if !target.keys.is_empty() {
        let signed = signature::sign(&target.keys, id, &timestamp, body.as_bytes());
        request = request.header(signature::SIGNATURE, signed);
    }
    request.body(Body::from(body))
}

async fn answered(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    request: Request<Body>,
) -> Result<(StatusCode, HeaderMap), SinkError> {
    let broken = |source| SinkError::Broken { host: host.to_owned(), source };
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MOST_HEAD_BYTES).handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = Driver(tokio::spawn(async {
        // How it ended, the answer tells.
        let _ = connection.await;
    }));
    let answer = sender.send_request(request).await.map_err(broken)?;
    drop(driver);
    Ok((answer.status(), answer.headers().clone()))
}

/// A connection that nobody waits for is closed.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
