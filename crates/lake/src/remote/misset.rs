//! Variables for Google's store that hold something else than their names say.
//!
//! Its client repeats the value of such a variable in its error, and a key that was put where the path of its file belongs
//! is a common mistake. So these are looked at before the client reads them, and told by name alone. Called when a
//! client is made; a value never leaves this file.

use std::fs::File;

/// Either names the file of a service account's key, and then no other credentials are looked for.
const ACCOUNTS: [&str; 3] = ["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "SERVICE_ACCOUNT"];
const KEY: &str = "GOOGLE_SERVICE_ACCOUNT_KEY";
const DEFAULT: &str = "GOOGLE_APPLICATION_CREDENTIALS";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misset {
    #[error(
        "{0} does not name a file that can be read; its value is not shown, as it may be a key, which goes into \
         GOOGLE_SERVICE_ACCOUNT_KEY"
    )]
    Path(&'static str),
    #[error("{KEY} does not hold the JSON that Google hands out as a service account's key; its value is not shown")]
    Key,
}

pub(super) fn check(variable: impl Fn(&str) -> Option<String>) -> Result<(), Misset> {
    let readable = |path: &str| File::open(path).and_then(|f| f.metadata()).is_ok_and(|m| m.is_file());
    let key = variable(KEY);
    if key.as_ref().is_some_and(|k| !matches!(serde_json::from_str(k), Ok(serde_json::Value::Object(_)))) {
        return Err(Misset::Key);
    }
    let account = ACCOUNTS.into_iter().find_map(|name| Some((name, variable(name)?)));
    let path = match account {
        None if key.is_some() => None,
        None => variable(DEFAULT).map(|path| (DEFAULT, path)),
        named => named,
    };
    match path {
        Some((name, path)) if !readable(&path) => Err(Misset::Path(name)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nc2VjcmV0\"}";

    fn checked(set: &[(&str, &str)]) -> Result<(), Misset> {
        check(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_key_in_the_place_of_a_path_is_refused_by_name() {
        for name in ACCOUNTS.into_iter().chain([DEFAULT]) {
            for value in [SECRET, "c2VjcmV0", "/", "no/such/file"] {
                let refused = checked(&[(name, value)]).expect_err(name);
                assert_eq!(refused, Misset::Path(name));
                assert!(refused.to_string().contains(name) && !refused.to_string().contains(value) || value == "/");
            }
        }
        for value in ["c2VjcmV0", "\"{}\"", ""] {
            assert_eq!(checked(&[(KEY, value)]), Err(Misset::Key));
        }
    }

    #[test]
    fn what_the_client_reads_passes_and_what_it_does_not_read_is_not_looked_at() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("a path");
        assert_eq!(checked(&[]), Ok(()));
        assert_eq!(checked(&[(KEY, SECRET), (DEFAULT, "gone")]), Ok(()));
        assert_eq!(checked(&[(ACCOUNTS[0], path), (ACCOUNTS[2], "an account"), (DEFAULT, "gone")]), Ok(()));
        assert_eq!(checked(&[(DEFAULT, path)]), Ok(()));
    }
}
