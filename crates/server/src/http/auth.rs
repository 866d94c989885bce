//! Who may ask: whoever has the token; and without one, whoever is on this machine.
//!
//! Called before every path but those that say whether the service lives.

use super::{api::State, problem::Problem};
use axum::{
    extract::{self, Request},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

pub(super) async fn check(state: extract::State<State>, request: Request, next: Next) -> Response {
    match allowed(state.token.as_deref(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn allowed(token: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|v: &header::HeaderValue| v.to_str().ok());
    match token {
        Some(token) => {
            let given = text(header::AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer "));
            given.filter(|g| same(g.as_bytes(), token.as_bytes())).map(drop).ok_or(Problem::Token)
        }
        // A page in a browser can make other names lead to this machine, but not this one.
        None => text(header::HOST).filter(|h| is_here(h)).map(drop).ok_or(Problem::Host),
    }
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
        let with = |v: &str| allowed(Some("secret-secret-secret"), &headers(header::AUTHORIZATION, v)).is_ok();
        assert!(with("Bearer secret-secret-secret"));
        for wrong in ["Bearer secret-secret-secreT", "Bearer secret", "Bearer ", "secret-secret-secret", "Basic x"] {
            assert!(!with(wrong), "{wrong}");
        }
        assert!(allowed(Some("secret-secret-secret"), &headers(header::HOST, "localhost")).is_err());
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
            assert_eq!(allowed(None, &headers(header::HOST, host)).is_ok(), here, "{host}");
        }
    }
}
