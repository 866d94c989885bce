//! The service's own TLS, and that of receivers.

use crate::outbox::{Bench, hook};
use alluvium_flow::{FlowError, Replay, Timer};
use alluvium_model::{DatasetName, RunId, Span, SystemClock};
use alluvium_server::{Api, ApiError, ApiParts, Audit, Health, Intake, Stop, Stopper, TlsFiles, Views};
use alluvium_spec::{Environment, load};
use alluvium_store::{AskedReplay, Lane, Measures};
use async_trait::async_trait;
use serde_json::Value;
use std::{collections::BTreeMap, net::SocketAddr, path::Path, process::Command, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

struct Nothing;

#[async_trait]
impl Views for Nothing {
    async fn committed(&self) -> Result<BTreeMap<DatasetName, i64>, ApiError> {
        Ok(BTreeMap::new())
    }

    async fn datasets(&self) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn catalog(&self, _: &[String]) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn runs(&self, _: u32) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn run(&self, _: &str) -> Result<Option<Value>, ApiError> {
        Ok(None)
    }

    async fn dead_letters(&self) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn publications(&self) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn alerts(&self, _: u32) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn gaps(&self, _: Option<&DatasetName>, _: Option<Span>) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn events(&self, _: Option<&DatasetName>, _: u32) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn event(&self, _: &str, _: Option<&str>) -> Result<Option<Value>, ApiError> {
        Ok(None)
    }

    async fn replays(&self, _: u32) -> Result<Value, ApiError> {
        Ok(Value::Null)
    }

    async fn replay(&self, _: &RunId) -> Result<Option<Value>, ApiError> {
        Ok(None)
    }

    async fn ask_replay(&self, _: &Replay, _: Option<&str>) -> Result<(AskedReplay, RunId), FlowError> {
        Ok((AskedReplay::Full, RunId::from_stored("none")))
    }

    async fn measures(&self) -> Result<(Measures, Vec<Lane>), ApiError> {
        Ok((Measures::default(), Vec::new()))
    }
}

struct Never;

#[async_trait]
impl Timer for Never {
    async fn wait(&self, _: Duration) {
        std::future::pending().await
    }
}

/// An authority of its own, and what it says of `localhost`.
fn certificates(folder: &Path) -> TlsFiles {
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=authority -keyout ca.key -out ca.pem &&
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr &&
        echo subjectAltName=DNS:localhost > names &&
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile names -out server.crt";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).output().expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    TlsFiles { certificate: folder.join("server.crt"), key: folder.join("server.key") }
}

async fn bound(bench: &Bench, tls: TlsFiles, stop: &Stop) -> Result<Api, alluvium_server::ServerError> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("alluvium.yaml"), "name: x\n").expect("a file");
    let project = load(folder.path(), &Environment::default()).expect("a project");
    let clock = Arc::new(SystemClock);
    let (intake, takes_in) = Intake::new(bench.store.clone(), clock.clone(), stop.clone());
    let (audit, writes_down) = Audit::new(bench.store.clone(), clock.clone(), Arc::new(Never), stop.clone());
    tokio::spawn(takes_in);
    tokio::spawn(writes_down);
    let parts = ApiParts {
        project: &project,
        named_tokens: None,
        token: None,
        tls: Some(tls),
        intake,
        audit,
        views: Arc::new(Nothing),
        registry: bench.store.clone(),
        health: Arc::new(Health::default()),
        clock,
        variables: &|_: &str| None,
    };
    Api::bind("127.0.0.1:0".parse().expect("an address"), parts).await
}

async fn asked(address: SocketAddr, authority: &Path) -> String {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).expect("a file") {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("asked");
    let mut answer = Vec::new();
    // How a server ends TLS is its choice.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("a text")
}

#[tokio::test]
async fn a_service_speaks_tls_and_nothing_else_where_it_has_a_certificate() {
    let bench = Bench::new().await;
    let files = certificates(bench.folder.path());
    let (stopper, stop) = Stopper::new();
    let api = bound(&bench, files, &stop).await.expect("bound");
    let address = api.address().expect("an address");
    let serving = tokio::spawn(api.serve(stop));
    // Who connects and says nothing holds up nobody.
    let _silent = TcpStream::connect(address).await.expect("it listens");
    let answer = asked(address, &bench.folder.path().join("ca.pem")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("{\"alive\":true}"), "{answer}");
    let mut plain = TcpStream::connect(address).await.expect("it listens");
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("asked");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("alive"));
    // A receiver whose certificate nobody vouches for is told nothing.
    bench.committed("silver.a", 1, &["hook"]).await;
    bench.once(&[("hook", hook(&format!("https://localhost:{}/", address.port())))]).await;
    assert_eq!(bench.heard(), ["silver.a hook H0307"]);
    stopper.stop();
    serving.await.expect("it ends").expect("in order");
}

#[tokio::test]
async fn files_that_are_no_certificate_are_named() {
    use alluvium_model::Fault;
    let bench = Bench::new().await;
    let files = certificates(bench.folder.path());
    let (_stopper, stop) = Stopper::new();
    let swapped = TlsFiles { certificate: files.key.clone(), key: files.certificate.clone() };
    let missing = TlsFiles { key: bench.folder.path().join("nowhere"), ..files };
    for (tls, name) in [(swapped, "server"), (missing, "nowhere")] {
        let error = bound(&bench, tls, &stop).await.err().expect("refused");
        assert_eq!(error.code(), "H0006");
        assert!(error.to_string().contains(name), "{error}");
    }
}
