//! Who may ask: whoever has the token; and without one, whoever is on this machine.
//!
//! Clouds that send to `POST /events` cannot set every header: there the token may also be the password of `Basic`, or the
//! parameter `token` of the address.
//!
//! Called before every path but those that say whether the service lives.

use super::{api::State, peer::Peer, problem::Problem};
use crate::{audit::Refused, cloudevents::decoded};
use alluvium_store::RefusalKind;
use axum::{
    extract::{self, Request},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};

const EVENTS: &str = "/events";

pub(super) async fn check(state: extract::State<State>, request: Request, next: Next) -> Response {
    let query = request.uri().query().filter(|_| request.uri().path() == EVENTS);
    match allowed(state.token.as_deref(), request.headers(), query) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            if let Problem::Token = problem {
                let path = request.uri().path().to_owned();
                let (Peer(peer), reason) = (Peer::of(request.extensions()), problem.to_string());
                state.audit.note(Refused { kind: RefusalKind::Token, path, peer, reason, id: None }).await;
            }
            problem.into_response()
        }
    }
}

fn allowed(token: Option<&str>, headers: &HeaderMap, query: Option<&str>) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|v: &header::HeaderValue| v.to_str().ok());
    match token {
        Some(token) => {
            let header = text(header::AUTHORIZATION);
            let bearer = header.and_then(|v| v.strip_prefix("Bearer ")).map(|t| t.as_bytes().to_vec());
            let given = [bearer, header.and_then(password), query.and_then(parameter)];
            let right = given.iter().flatten().any(|g| same(g, token.as_bytes()));
            right.then_some(()).ok_or(Problem::Token)
        }
        // A page in a browser can make other names lead to this machine, but not this one.
        None => text(header::HOST).filter(|h| is_here(h)).map(drop).ok_or(Problem::Host),
    }
}

fn password(header: &str) -> Option<Vec<u8>> {
    let login = BASE64_STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let colon = login.iter().position(|b| *b == b':')?;
    Some(login[colon + 1..].to_vec())
}

fn parameter(query: &str) -> Option<Vec<u8>> {
    let token = query.split('&').find_map(|p| p.strip_prefix("token="))?;
    decoded(token.as_bytes()).map(String::into_bytes)
}

/// Takes as long for a wrong token as for the right one.
fn same(given: &[u8], token: &[u8]) -> bool {
    given.len() == token.len() && given.iter().zip(token).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}

fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|n| {
        n.eq_ignore_ascii_case("localhost") || n.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a header"))])
    }

    #[test]
    fn the_token_opens_and_nothing_else() {
        let with = |v: &str| allowed(Some("secret-secret-secret"), &headers(header::AUTHORIZATION, v), None).is_ok();
        assert!(with("Bearer secret-secret-secret"));
        for wrong in ["Bearer secret-secret-secreT", "Bearer secret", "Bearer ", "secret-secret-secret", "Basic x"] {
            assert!(!with(wrong), "{wrong}");
        }
        // `any:secret-secret-secret`, `any:secret-secret-secreT`, and no colon.
        assert!(with("Basic YW55OnNlY3JldC1zZWNyZXQtc2VjcmV0"));
        assert!(!with("Basic YW55OnNlY3JldC1zZWNyZXQtc2VjcmVU"));
        assert!(!with("Basic c2VjcmV0LXNlY3JldC1zZWNyZXQ="));
        let of = |query: &str| allowed(Some("secret-secret-secret"), &headers(header::HOST, "localhost"), Some(query));
        assert!(of("a=b&token=secret-secret%2Dsecret").is_ok());
        assert!(of("token=secret").is_err() && of("").is_err());
    }

    #[test]
    fn without_a_token_only_this_machine_is_asked_by_name() {
        for (host, here) in [
            ("localhost:80", true),
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("127.0.0.2", true),
            ("evil.example:80", false),
            ("localhost.evil.example", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(allowed(None, &headers(header::HOST, host), None).is_ok(), here, "{host}");
        }
    }
}
