//! Where the state lies: a file, or a schema of a PostgreSQL database.
//!
//! Called by spec, which reads it, and by store, which opens it. It never holds a password, only the name of the
//! environment variable that does.

use std::{fmt, path::PathBuf, str::FromStr};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatePlace {
    /// An SQLite file; empty where the project's file is wrong.
    File(PathBuf),
    Postgres(PostgresUrl),
}

/// `postgres://user:${ALLUVIUM_VARIABLE}@host:port/database?schema=…&sslmode=…&sslrootcert=…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    pub user: String,
    /// The environment variable that holds the password.
    pub password: Option<String>,
    pub host: String,
    pub port: u16,
    pub database: String,
    pub schema: String,
    pub tls: Tls,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    Off,
    /// The server's certificate has to be for its host, under one of the system's authorities or those of the file.
    Verified {
        authorities: Option<PathBuf>,
    },
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidPostgresUrl {
    #[error("a database is `postgres://user@host/database`")]
    Form,
    #[error("a password is not written into a file; name its variable, as in `user:${{ALLUVIUM_STATE_PASSWORD}}@host`")]
    Password,
    #[error("only variables whose names start with ALLUVIUM_ and go on with capitals, digits and `_` are read")]
    Variable,
    #[error("a schema's name has lower case letters, digits, `_` and `-`, and up to 63 characters")]
    Schema,
    #[error("`sslmode` is `verify-full` or `disable`")]
    Tls,
    #[error("`{0}` is no parameter; there are `schema`, `sslmode` and `sslrootcert`")]
    Parameter(String),
}

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const VARIABLES: &str = "ALLUVIUM_";

impl PostgresUrl {
    /// Whether the text asks for a PostgreSQL database at all.
    pub fn is_meant(text: &str) -> bool {
        SCHEMES.iter().any(|s| text.starts_with(s))
    }
}

impl FromStr for PostgresUrl {
    type Err = InvalidPostgresUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPostgresUrl> {
        use InvalidPostgresUrl::{Form, Parameter};
        let rest = SCHEMES.iter().find_map(|s| text.strip_prefix(s)).ok_or(Form)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // From the right, so that an `@` in a literal password is still seen as one.
        let (login, place) = rest.rsplit_once('@').ok_or(Form)?;
        let (address, database) = place.split_once('/').ok_or(Form)?;
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(variable(password)?)),
            None => (login, None),
        };
        let (host, port) = host_and_port(address).ok_or(Form)?;
        if [user, host, database].iter().any(|part| !is_plain(part)) {
            return Err(Form);
        }
        let (mut schema, mut verified, mut authorities) = ("alluvium", true, None);
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            match pair.split_once('=').ok_or_else(|| Parameter(pair.to_owned()))? {
                ("schema", name) => schema = name,
                ("sslmode", "verify-full") => verified = true,
                ("sslmode", "disable") => verified = false,
                ("sslmode", _) => return Err(InvalidPostgresUrl::Tls),
                ("sslrootcert", path) => authorities = Some(PathBuf::from(path)),
                (other, _) => return Err(Parameter(other.to_owned())),
            }
        }
        if !is_schema(schema) {
            return Err(InvalidPostgresUrl::Schema);
        }
        Ok(Self {
            user: user.to_owned(),
            password,
            host: host.to_owned(),
            port,
            database: database.to_owned(),
            schema: schema.to_owned(),
            tls: if verified { Tls::Verified { authorities } } else { Tls::Off },
        })
    }
}

fn variable(written: &str) -> Result<String, InvalidPostgresUrl> {
    let name = written.strip_prefix("${").and_then(|w| w.strip_suffix('}')).ok_or(InvalidPostgresUrl::Password)?;
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    match name.strip_prefix(VARIABLES) {
        Some(rest) if !rest.is_empty() && rest.bytes().all(allowed) => Ok(name.to_owned()),
        Some(_) | None => Err(InvalidPostgresUrl::Variable),
    }
}

fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?,
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    match port.strip_prefix(':') {
        Some(port) => Some((host, port.parse().ok()?)),
        None => port.is_empty().then_some((host, 5432)),
    }
}

/// Nothing that would have to be escaped.
fn is_plain(part: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.:~$+".contains(&b);
    (1..=255).contains(&part.len()) && part.bytes().all(fine)
}

fn is_schema(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(fine) && !name.starts_with("pg_")
}

/// Without the schema and what else is a detail.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PostgresUrl, InvalidPostgresUrl> {
        text.parse()
    }

    #[test]
    fn a_url_says_where_and_never_the_password() {
        let all = read("postgresql://me:${ALLUVIUM_PW}@[::1]:7/db?schema=s-1&sslmode=disable").expect("a url");
        assert_eq!((&*all.host, all.port, &*all.database, &*all.schema), ("::1", 7, "db", "s-1"));
        assert_eq!((all.password.as_deref(), all.tls), (Some("ALLUVIUM_PW"), Tls::Off));
        let least = read("postgres://me@db.example/state").expect("a url");
        assert_eq!((least.port, &*least.schema, least.tls), (5432, "alluvium", Tls::Verified { authorities: None }));
        let own = read("postgres://me@db/state?sslrootcert=/etc/ca.pem").expect("a url");
        assert_eq!(own.tls, Tls::Verified { authorities: Some("/etc/ca.pem".into()) });
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        use InvalidPostgresUrl::{Form, Parameter, Password, Schema, Tls, Variable};
        for (text, expected) in [
            ("mysql://a@b/c", Form),
            ("postgres://host/db", Form),
            ("postgres://a@host", Form),
            ("postgres://a@host:99999/db", Form),
            ("postgres://a@ho st/db", Form),
            ("postgres://a@host/d%62", Form),
            ("postgres://a:se@cret@host/db", Password),
            ("postgres://a:${HOME}@host/db", Variable),
            ("postgres://a:${ALLUVIUM_}@host/db", Variable),
            ("postgres://a@host/db?schema=A\"", Schema),
            ("postgres://a@host/db?schema=pg_x", Schema),
            ("postgres://a@host/db?sslmode=prefer", Tls),
            ("postgres://a@host/db?options=-c", Parameter("options".to_owned())),
        ] {
            let refused = read(text).expect_err(text);
            assert!(!refused.to_string().contains("se@cret"));
            assert_eq!(refused, expected, "{text}");
        }
    }
}
