//! Why a publication could not be delivered. It waits, and is tried again.
//!
//! No text here shows a URL's path, a secret or what a receiver answered.

use alluvium_model::{Fault, RetryClass};
use alluvium_spec::InvalidWebhookUrl;
use std::{error::Error, io, net::IpAddr, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    #[error("the environment variable `{0}` holds no secret of a webhook")]
    NoSecret(String),
    #[error("the environment variable `{variable}` holds no URL of a webhook")]
    NoUrl { variable: String, source: InvalidWebhookUrl },
    #[error("{0} is another machine, and is asked without TLS")]
    Plain(String),
    #[error("{host} is at {address}, where machines keep their credentials")]
    Address { host: String, address: IpAddr },
    #[error("{host} cannot be reached")]
    Unreachable { host: String, source: io::Error },
    #[error("{host} is not who it should be")]
    Untrusted { host: String, source: Box<dyn Error + Send + Sync> },
    #[error("{host} did not answer within {seconds} s")]
    Silent { host: String, seconds: u64 },
    #[error("{host} broke off")]
    Broken { host: String, source: hyper::Error },
    #[error("{host} answered {status}")]
    Status { host: String, status: u16, after_seconds: Option<u64> },
    #[error("{host} wants no more: it answered 410")]
    Gone { host: String },
    #[error("{} cannot be written", path.display())]
    File { path: PathBuf, source: io::Error },
}

impl SinkError {
    /// What the receiver asked for.
    pub(crate) fn after_seconds(&self) -> Option<u64> {
        if let Self::Status { after_seconds, .. } = self { *after_seconds } else { None }
    }
}

impl Fault for SinkError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotSet(_) => "H0301",
            Self::NoSecret(_) => "H0302",
            Self::NoUrl { .. } => "H0303",
            Self::Plain(_) => "H0304",
            Self::Address { .. } => "H0305",
            Self::Unreachable { .. } => "H0306",
            Self::Untrusted { .. } => "H0307",
            Self::Silent { .. } => "H0308",
            Self::Broken { .. } => "H0309",
            Self::Status { .. } => "H0310",
            Self::Gone { .. } => "H0311",
            Self::File { .. } => "H0312",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::NotSet(_) | Self::NoSecret(_) | Self::Address { .. } | Self::Untrusted { .. } => RetryClass::Auth,
            Self::NoUrl { .. } | Self::Plain(_) | Self::Gone { .. } => RetryClass::Schema,
            Self::Unreachable { .. } | Self::Broken { .. } => RetryClass::Transient,
            Self::Silent { .. } => RetryClass::Timeout,
            Self::Status { status, .. } => match status {
                429 => RetryClass::Throttled,
                408 | 500.. => RetryClass::Transient,
                401 | 403 => RetryClass::Auth,
                _ => RetryClass::Schema,
            },
            Self::File { source, .. } => RetryClass::of_io(source.kind()),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::NotSet(_) => "set it; what waits is then delivered",
            Self::NoSecret(_) => "give it `whsec_` and 24 to 64 random bytes as Base64",
            Self::NoUrl { .. } => "give it a URL as `https://host/path`",
            Self::Plain(_) => "use `https`, or write `allow: [http]` for a network of your own",
            Self::Address { .. } => "name another host, or write `allow: [link_local]` if it is meant",
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Broken { .. } => {
                "check the receiver and the network; it is tried again"
            }
            Self::Untrusted { .. } => "check the receiver's certificate; SSL_CERT_FILE names authorities of your own",
            Self::Status { .. } => "look into the receiver's log; only an answer of 200 to 299 counts as delivered",
            Self::Gone { .. } => "change the sink's `url`, or say `alluvium resume SINK` to send there again",
            Self::File { .. } => "check the folder, its permissions and the space on its disk",
        }
    }
}
