//! Who may ask: whoever has a token; and without one, whoever is on this machine. A token with a name tells who asks.
//!
//! Clouds that send to `POST /events` cannot set every header: there the token may also be the password of `Basic`, or the
//! parameter `token` of the address.
//!
//! Called before every path but those that say whether the service lives.

use super::{api::State, peer::Peer, problem::Problem};
use crate::{ServerError, audit::Refused, cloudevents::decoded};
use alluvium_spec::is_person;
use alluvium_store::RefusalKind;
use axum::{
    extract::{self, Request},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};

const EVENTS: &str = "/events";
/// A token that can be guessed protects nothing.
const SHORTEST: usize = 16;

/// What opens, each with the name of whom it is; the service's own has none.
#[derive(Default)]
pub(super) struct Tokens(Vec<(Caller, String)>);

/// Who asks, if a token tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Caller(pub(super) Option<String>);

impl Tokens {
    /// `named`: `name:token`, separated by commas.
    pub(super) fn of(own: Option<String>, named: Option<&str>) -> Result<Self, ServerError> {
        let mut all: Vec<(Caller, String)> = own.map(|token| (Caller(None), token)).into_iter().collect();
        for one in named.iter().flat_map(|n| n.split(',')).map(str::trim) {
            let (name, token) = one.split_once(':').ok_or(ServerError::WeakToken(SHORTEST))?;
            let caller = Caller(Some(name.to_owned()));
            // A token that two have tells nobody, and of two tokens of one person only one is thrown away.
            if !is_person(name) || all.iter().any(|(c, t)| *c == caller || t == token) {
                return Err(ServerError::WeakToken(SHORTEST));
            }
            all.push((caller, token.to_owned()));
        }
        match all.iter().all(|(_, t)| t.len() >= SHORTEST && t.bytes().all(|b| b.is_ascii_graphic())) {
            true => Ok(Self(all)),
            false => Err(ServerError::WeakToken(SHORTEST)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes as long whichever it is.
    fn whose(&self, given: &[u8]) -> Option<&Caller> {
        self.0
            .iter()
            .fold(None, |found, (caller, token)| if same(given, token.as_bytes()) { Some(caller) } else { found })
    }
}

pub(super) async fn check(state: extract::State<State>, mut request: Request, next: Next) -> Response {
    let query = request.uri().query().filter(|_| request.uri().path() == EVENTS);
    match allowed(&state.tokens, request.headers(), query) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
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

fn allowed(tokens: &Tokens, headers: &HeaderMap, query: Option<&str>) -> Result<Caller, Problem> {
    let text = |name| headers.get(name).and_then(|v: &header::HeaderValue| v.to_str().ok());
    if tokens.is_empty() {
        // A page in a browser can make other names lead to this machine, but not this one.
        return text(header::HOST).filter(|h| is_here(h)).map(|_| Caller::default()).ok_or(Problem::Host);
    }
    let header = text(header::AUTHORIZATION);
    let bearer = header.and_then(|v| under(v, "Bearer")).map(|t| t.as_bytes().to_vec());
    let given = [bearer, header.and_then(password), query.and_then(parameter)];
    given.iter().flatten().find_map(|g| tokens.whose(g)).cloned().ok_or(Problem::Token)
}

/// What follows the scheme, which HTTP lets clients write in any case.
fn under<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    header.split_once(' ').filter(|(s, _)| s.eq_ignore_ascii_case(scheme)).map(|(_, rest)| rest)
}

fn password(header: &str) -> Option<Vec<u8>> {
    let login = BASE64_STANDARD.decode(under(header, "Basic")?).ok()?;
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

    fn secret() -> Tokens {
        Tokens::of(Some("secret-secret-secret".into()), None).expect("a token")
    }

    #[test]
    fn the_token_opens_and_nothing_else() {
        let with = |v: &str| allowed(&secret(), &headers(header::AUTHORIZATION, v), None).is_ok();
        assert!(with("Bearer secret-secret-secret") && with("bearer secret-secret-secret"));
        for wrong in ["Bearer secret-secret-secreT", "Bearer secret", "Bearer ", "secret-secret-secret", "Basic x"] {
            assert!(!with(wrong), "{wrong}");
        }
        // `any:secret-secret-secret`, `any:secret-secret-secreT`, and no colon.
        assert!(with("Basic YW55OnNlY3JldC1zZWNyZXQtc2VjcmV0"));
        assert!(!with("Basic YW55OnNlY3JldC1zZWNyZXQtc2VjcmVU"));
        assert!(!with("Basic c2VjcmV0LXNlY3JldC1zZWNyZXQ="));
        let of = |query: &str| allowed(&secret(), &headers(header::HOST, "localhost"), Some(query));
        assert!(of("a=b&token=secret-secret%2Dsecret").is_ok());
        assert!(of("token=secret").is_err() && of("").is_err());
    }

    #[test]
    fn a_token_with_a_name_tells_who_asks() {
        let tokens =
            Tokens::of(Some("secret-secret-secret".into()), Some("anna:annas-long-secret, ben:bens:long-secret!!"));
        let tokens = tokens.unwrap_or_else(|e| panic!("{e}"));
        let who = |token: &str| {
            allowed(&tokens, &headers(header::AUTHORIZATION, &format!("Bearer {token}")), None).map(|c| c.0).ok()
        };
        assert_eq!(who("annas-long-secret"), Some(Some("anna".into())));
        assert_eq!(who("bens:long-secret!!"), Some(Some("ben".into())));
        assert_eq!(who("secret-secret-secret"), Some(None));
        assert_eq!(who("anna:annas-long-secret"), None);
        for wrong in [
            "",
            "annas-long-secret-",
            "anna:short",
            ":annas-long-secret",
            "an na:annas-long-secret",
            "anna:annas-long-secret,",
            "anna:annas-long-secret,anna:another-long-secret",
            "anna:annas-long-secret,ben:annas-long-secret",
            "anna:secret-secret-secret",
            "anna:annas-long secret",
        ] {
            assert!(Tokens::of(Some("secret-secret-secret".into()), Some(wrong)).is_err(), "{wrong}");
        }
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
            assert_eq!(allowed(&Tokens::default(), &headers(header::HOST, host), None).is_ok(), here, "{host}");
        }
    }
}
