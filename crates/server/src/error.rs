//! What ends a service, or keeps it from starting.

use alluvium_flow::FlowError;
use alluvium_model::{Fault, RetryClass};
use alluvium_source::files::FilesError;
use std::{io, net::SocketAddr};

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("others can reach {0}, and there is no token")]
    NoToken(SocketAddr),
    #[error("the token has fewer than {0} characters, or some that a header cannot hold")]
    WeakToken(usize),
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
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Flow(e) => e.class(),
            Self::Files(e) => e.class(),
            Self::NoToken(_) | Self::WeakToken(_) => RetryClass::Auth,
            Self::Listen { source, .. } | Self::Serve(source) => RetryClass::of_io(source.kind()),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Flow(e) => e.remedy(),
            Self::Files(e) => e.remedy(),
            Self::NoToken(_) => "set ALLUVIUM_TOKEN, or listen on 127.0.0.1",
            Self::WeakToken(_) => "make one with `openssl rand -hex 32`",
            Self::Listen { .. } => "name another address with --listen",
            Self::Serve(_) => "start the service again",
        }
    }
}
