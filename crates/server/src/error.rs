//! What ends a service, or keeps it from starting.

use alluvium_flow::FlowError;
use alluvium_model::{Fault, RetryClass};
use alluvium_source::files::FilesError;
use std::{error::Error, io, net::SocketAddr, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("others can reach {0}, and there is no token")]
    NoToken(SocketAddr),
    #[error("a token has fewer than {0} characters, some that a header cannot hold, or no name of its own")]
    WeakToken(usize),
    #[error("the environment variable `{0}` holds no secret of a webhook")]
    NoKey(String),
    #[error("{} cannot be used for TLS", path.display())]
    Tls { path: PathBuf, source: Box<dyn Error + Send + Sync> },
    #[error("{address} cannot be listened on")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the socket of the service failed")]
    Serve(#[source] io::Error),
}

impl Fault for ServerError {
    fn code(&self) -> &'static str {
        match self {
            Self::Flow(e) => e.code(),
            Self::Files(e) => e.code(),
            Self::NoToken(_) => "H0001",
            Self::WeakToken(_) => "H0002",
            Self::Listen { .. } => "H0003",
            Self::Serve(_) => "H0004",
            Self::NoKey(_) => "H0005",
            Self::Tls { .. } => "H0006",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Flow(e) => e.class(),
            Self::Files(e) => e.class(),
            Self::NoToken(_) | Self::WeakToken(_) | Self::NoKey(_) => RetryClass::Auth,
            Self::Tls { .. } => RetryClass::Data,
            Self::Listen { source, .. } | Self::Serve(source) => RetryClass::of_io(source.kind()),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Flow(e) => e.remedy(),
            Self::Files(e) => e.remedy(),
            Self::NoToken(_) => "set ALLUVIUM_TOKEN, or listen on 127.0.0.1",
            Self::WeakToken(_) => "make one with `openssl rand -hex 32`; `ALLUVIUM_TOKENS` is `name:token,name:token`",
            Self::NoKey(_) => "give it `whsec_` and 24 to 64 random bytes as Base64",
            Self::Tls { .. } => "give PEM files of a certificate with its chain, and of the key that belongs to it",
            Self::Listen { .. } => "name another address with --listen",
            Self::Serve(_) => "start the service again",
        }
    }
}
