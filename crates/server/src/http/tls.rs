//! TLS at the service's own socket.
//!
//! Called by `api.rs`. A client that connects and says nothing holds up no other: handshakes go on beside each other, and have
//! a bound in number and time.

use crate::ServerError;
use axum::serve::Listener;
use std::{net::SocketAddr, path::Path, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};

const MOST_HANDSHAKES: usize = 256;
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);

/// PEM files of a certificate with its chain, and of its key.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

pub(super) fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, ServerError> {
    type Cause = Box<dyn std::error::Error + Send + Sync>;
    let of = |path: &Path, source: Cause| ServerError::Tls { path: path.to_owned(), source };
    let wrong = |e: Cause| of(&files.certificate, e);
    let chain = CertificateDer::pem_file_iter(&files.certificate).map_err(|e| wrong(e.into()))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|e| wrong(e.into()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| of(&files.key, e.into()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.into()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| wrong(e.into()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Connections whose handshake is done.
pub(super) struct Door {
    address: SocketAddr,
    opened: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    accepts: tokio::task::JoinHandle<()>,
}

impl Door {
    pub(super) fn new(listener: TcpListener, config: Arc<ServerConfig>) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (opens, opened) = mpsc::channel(1);
        let accepts = tokio::spawn(accept(listener, TlsAcceptor::from(config), opens));
        Ok(Self { address, opened, accepts })
    }
}

async fn accept(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    opens: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let at_once = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    loop {
        let one = at_once.clone().acquire_owned().await.expect("nobody closes it");
        let (stream, address) = Listener::accept(&mut listener).await;
        let (acceptor, opens) = (acceptor.clone(), opens.clone());
        tokio::spawn(async move {
            // Who does not speak TLS is not answered.
            if let Ok(Ok(stream)) = tokio::time::timeout(LONGEST_HANDSHAKE, acceptor.accept(stream)).await {
                let _ = opens.send((stream, address)).await;
            }
            drop(one);
        });
    }
}

impl Listener for Door {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.opened.recv().await {
            Some(opened) => opened,
            // The task that accepts ends with this value only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}
