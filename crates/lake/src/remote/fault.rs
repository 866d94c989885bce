//! What an object store meant by its refusal, found below whatever wrapped it.
//!
//! The client hides its own error type, and so the status is read from the one sentence in which it tells it.

use alluvium_model::RetryClass;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFault {
    /// There are no credentials, or they do not allow it.
    Denied,
    /// It asked for fewer requests.
    Throttled,
    /// No answer in time.
    Late,
    /// No connection, a cut one, or a failure of its own.
    Unreachable,
    /// There is no such bucket or container.
    NoBucket,
}

impl StoreFault {
    pub(crate) fn class(self) -> RetryClass {
        match self {
            Self::Denied => RetryClass::Auth,
            Self::Throttled => RetryClass::Throttled,
            Self::Late => RetryClass::Timeout,
            Self::Unreachable => RetryClass::Transient,
            Self::NoBucket => RetryClass::Schema,
        }
    }
}

/// What machines of the clouds are asked when the environment has no credentials: addresses, and paths where the environment
/// names another address.
const METADATA: [&str; 7] = [
    "169.254.169.254",
    "169.254.170.2",
    "metadata.google.internal",
    "/computeMetadata/v1/",
    "/latest/api/token",
    "/latest/meta-data/iam/",
    "/metadata/identity/oauth2/token",
];
const STATUS: &str = "status code: ";
/// Start of an [`HttpError`], where a wrapper kept its words alone, as the reader of the log does.
const BROKEN: &str = "HTTP error: ";
/// Of S3, of the services that change one token for another, and of Azure, for credentials that no longer hold or never did.
const OUTDATED: [&str; 7] = [
    "ExpiredToken",
    "InvalidToken",
    "InvalidIdentityToken",
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "InvalidAuthenticationInfo",
];
const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"];

pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<StoreFault> {
    let (mut next, mut is_broken) = (Some(error), false);
    while let Some(e) = next {
        let text = e.to_string();
        if METADATA.iter().any(|m| text.contains(m)) {
            return Some(StoreFault::Denied);
        }
        if let Some(fault) = by_status(&text) {
            return Some(fault);
        }
        if let Some(http) = e.downcast_ref::<HttpError>() {
            return Some(match http.kind() {
                HttpErrorKind::Timeout => StoreFault::Late,
                _ => StoreFault::Unreachable,
            });
        }
        is_broken |= text.contains(BROKEN);
        next = e.source();
    }
    is_broken.then_some(StoreFault::Unreachable)
}

fn by_status(text: &str) -> Option<StoreFault> {
    let (_, rest) = text.split_once(STATUS)?;
    let status: u16 = rest.get(..3)?.parse().ok()?;
    let says = |codes: &[&str]| codes.iter().any(|c| rest.contains(c));
    match status {
        401 | 403 => Some(StoreFault::Denied),
        400 if says(&OUTDATED) => Some(StoreFault::Denied),
        404 if says(&NO_BUCKET) => Some(StoreFault::NoBucket),
        429 | 503 => Some(StoreFault::Throttled),
        408 | 504 => Some(StoreFault::Late),
        500..=599 => Some(StoreFault::Unreachable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_found_in_the_clients_sentence() {
        let said = |status: &str| {
            let text =
                format!("Error performing PUT http://s3/b in 2s - Server returned non-2xx status code: {status}");
            of(&std::io::Error::other(text))
        };
        assert_eq!(said("403 Forbidden: <Code>AccessDenied</Code>"), Some(StoreFault::Denied));
        assert_eq!(said("503 Service Unavailable: <Code>SlowDown</Code>"), Some(StoreFault::Throttled));
        assert_eq!(said("500 Internal Server Error: "), Some(StoreFault::Unreachable));
        assert_eq!(said("404 Not Found: <Code>NoSuchBucket</Code>"), Some(StoreFault::NoBucket));
        assert_eq!(said("404 Not Found: <Code>NoSuchKey</Code>"), None);
        assert_eq!(said("400 Bad Request: <Code>ExpiredToken</Code>"), Some(StoreFault::Denied));
        assert_eq!(said("400 Bad Request: { \"error\": \"invalid_grant\" }"), Some(StoreFault::Denied));
        assert_eq!(said("400 Bad Request: <Code>InvalidArgument</Code>"), None);
        assert_eq!(of(&std::io::Error::other("no such thing")), None);
        let cut = "Kernel error: Generic S3 error: Error getting list response body: HTTP error: request or response body error";
        assert_eq!(of(&std::io::Error::other(cut)), Some(StoreFault::Unreachable));
        for asked in ["http://169.254.169.254/any", "http://here:1/latest/api/token"] {
            let text = format!("Error performing PUT {asked} in 1s");
            assert_eq!(of(&std::io::Error::other(text)), Some(StoreFault::Denied));
        }
    }
}
