//! TLS to the server: its certificate has to be for its host, under an authority that is trusted.
//!
//! Called by `wire.rs` before it logs in.

use super::WireError;
use std::{error::Error, path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

pub(super) async fn wrapped(
    stream: TcpStream,
    host: &str,
    authorities: Option<&Path>,
) -> Result<TlsStream<TcpStream>, WireError> {
    let untrusted = |e: Box<dyn Error + Send + Sync>| WireError::Untrusted(e);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| untrusted(e.into()))?
        .with_root_certificates(roots(authorities).map_err(untrusted)?)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|e| untrusted(e.into()))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| {
        // A certificate that is not trusted comes as bad data; anything else is the network.
        if e.kind() == std::io::ErrorKind::InvalidData { untrusted(e.into()) } else { WireError::Lost(e) }
    })
}

fn roots(authorities: Option<&Path>) -> Result<RootCertStore, Box<dyn Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file)? {
                roots.add(certificate?)?;
            }
        }
        // What of the system's cannot be read is left out: the server is then refused, not trusted.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    Ok(roots)
}
