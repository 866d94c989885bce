//! A place in an object store: where a lake lies, or where objects arrive.
//!
//! Called by spec, which reads it, and by lake, which opens it. It never holds a credential or an endpoint: those come from
//! the environment alone.

use std::{fmt, path::PathBuf, str::FromStr};

/// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
/// `abfss://container@account.dfs.core.windows.net/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeUrl {
    pub cloud: Cloud,
    scheme: &'static str,
    /// The bucket or container, for Azure with its account where the URL names it.
    bucket: String,
    /// Parts of the prefix.
    prefix: Vec<String>,
}

/// Whose object store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, and what speaks its protocol.
    S3,
    Google,
    Azure,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidLakeUrl {
    #[error("`{0}://` is no object store that is known here")]
    Scheme(String),
    #[error("credentials are not written into a file; they are read from the environment")]
    Login,
    #[error("the name of a bucket or container has letters, digits, `.`, `-` and `_`, as in `{0}://bucket/prefix`")]
    Bucket(&'static str),
    #[error("an account is written as in `abfss://container@account.dfs.core.windows.net/prefix`")]
    Account,
    #[error("a prefix is made of names with letters, digits, `.`, `-`, `_`, `=` and `~`, with one `/` between two")]
    Prefix,
}

impl LakeUrl {
    /// Known schemes.
    pub const SCHEMES: [&str; 4] = ["s3", "gs", "az", "abfss"];
    /// Longest prefix that leaves room for the names of a lake within what object stores allow for a key.
    const MOST_BYTES: usize = 512;

    /// Whether the text asks for an object store at all.
    pub fn is_meant(text: &str) -> bool {
        text.contains("://")
    }

    /// The same place, one name further down.
    #[must_use]
    pub fn join(mut self, name: &str) -> Self {
        self.prefix.push(name.to_owned());
        self
    }

    /// Of the bucket: what a client of the object store is made for.
    pub fn root(&self) -> String {
        format!("{}://{}", self.scheme, self.bucket)
    }

    /// The bucket or container by itself, and its storage account where the URL names one.
    pub fn bucket(&self) -> (&str, Option<&str>) {
        self.bucket.split_once('@').map_or((&self.bucket, None), |(container, host)| {
            (container, host.split_once('.').map(|(account, _)| account))
        })
    }

    /// Names between the bucket and what lies in the place.
    pub fn prefix(&self) -> &[String] {
        &self.prefix
    }

    /// A relative path that no other URL has.
    pub fn folder(&self) -> PathBuf {
        [self.scheme, &self.bucket].into_iter().chain(self.prefix.iter().map(String::as_str)).collect()
    }
}

impl FromStr for LakeUrl {
    type Err = InvalidLakeUrl;

    fn from_str(text: &str) -> Result<Self, InvalidLakeUrl> {
        let (written, rest) = text.split_once("://").unwrap_or((text, ""));
        let scheme = Self::SCHEMES.into_iter().find(|s| *s == written);
        let scheme = scheme.ok_or_else(|| InvalidLakeUrl::Scheme(written.to_owned()))?;
        let cloud = match scheme {
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            _ => Cloud::Azure,
        };
        // From the right, so that an `@` in a secret is still seen as a part of it.
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let (host, prefix) = place.split_once('/').unwrap_or((place, ""));
        let bucket = match login {
            None => host.to_owned(),
            Some(container) if scheme == "abfss" && !container.contains([':', '/', '@']) => {
                let account = host.strip_suffix(".dfs.core.windows.net").filter(|a| is_name(a) && !a.contains('.'));
                if !is_name(container) {
                    return Err(InvalidLakeUrl::Bucket(scheme));
                }
                format!("{container}@{}.dfs.core.windows.net", account.ok_or(InvalidLakeUrl::Account)?)
            }
            Some(_) => return Err(InvalidLakeUrl::Login),
        };
        if !is_name(host) {
            return Err(InvalidLakeUrl::Bucket(scheme));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let parts: Vec<String> = prefix.split('/').filter(|_| !prefix.is_empty()).map(str::to_owned).collect();
        if prefix.len() > Self::MOST_BYTES || !parts.iter().all(|p| is_part(p)) {
            return Err(InvalidLakeUrl::Prefix);
        }
        Ok(Self { cloud, scheme, bucket, prefix: parts })
    }
}

fn is_name(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
    (1..=222).contains(&name.len()) && name.bytes().all(fine) && name.bytes().any(|b| b.is_ascii_alphanumeric())
}

/// Nothing that would have to be escaped, and nothing that a file system takes for another folder.
fn is_part(part: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.=~".contains(&b);
    !part.is_empty() && part.bytes().all(fine) && part != "." && part != ".."
}

impl fmt::Display for LakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root())?;
        self.prefix.iter().try_for_each(|p| write!(f, "/{p}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LakeUrl, InvalidLakeUrl> {
        text.parse()
    }

    #[test]
    fn a_url_says_the_cloud_the_bucket_and_the_prefix() {
        for (text, cloud, root, shown) in [
            ("s3://b", Cloud::S3, "s3://b", "s3://b/dev"),
            ("s3://my.b/a/b=1/", Cloud::S3, "s3://my.b", "s3://my.b/a/b=1/dev"),
            ("gs://b_1/a", Cloud::Google, "gs://b_1", "gs://b_1/a/dev"),
            ("az://c/a", Cloud::Azure, "az://c", "az://c/a/dev"),
        ] {
            let url = read(text).expect(text).join("dev");
            assert_eq!((url.cloud, &*url.root(), &*url.to_string()), (cloud, root, shown));
            assert_eq!(url.folder(), PathBuf::from(shown.replacen("://", "/", 1)));
        }
        let full = read("abfss://c@acc.dfs.core.windows.net/a").expect("a url");
        assert_eq!((full.cloud, &*full.root()), (Cloud::Azure, "abfss://c@acc.dfs.core.windows.net"));
    }

    #[test]
    fn what_is_no_such_url_is_refused_and_no_secret_is_repeated() {
        use InvalidLakeUrl::{Account, Bucket, Login, Prefix, Scheme};
        for (text, expected) in [
            ("s3a://b/a", Scheme("s3a".to_owned())),
            ("https://b/a", Scheme("https".to_owned())),
            ("s3://", Bucket("s3")),
            ("s3:///a", Bucket("s3")),
            ("s3://b:9000/a", Bucket("s3")),
            ("gs://b?x=1", Bucket("gs")),
            ("s3://key:se@cret@b/a", Login),
            ("s3://key@b/a", Login),
            ("abfss://key:secret@b/a", Login),
            ("abfss://c@acc.example.com/a", Account),
            ("s3://b/a//c", Prefix),
            ("s3://b/../c", Prefix),
            ("s3://b/a?x=1", Prefix),
            ("s3://b/a%20c", Prefix),
        ] {
            let refused = read(text).expect_err(text);
            assert!(!refused.to_string().contains("cret"), "{refused}");
            assert_eq!(refused, expected, "{text}");
        }
        assert_eq!(read(&format!("s3://b/{}", "x".repeat(513))), Err(Prefix));
    }
}
