//! Pages of lists with names that the client does not take.
//!
//! Object stores let an object have any name; the client refuses a name with an empty part, `.`, `..` or a control character, and
//! with it the whole page, so that one such object would hide all others. Here such a name is told under another one, below
//! which nothing of ours lies.

use object_store::path::Path;
use std::{borrow::Cow, fmt::Write as _};
use url::form_urlencoded;

/// How the told name begins: a character for private use.
const MARK: char = '\u{f8ff}';
/// A name in S3 and Google, and in Azure.
const TAGS: [(&str, &str); 3] = [("<Key>", "</Key>"), ("<Name>", "</Name>"), ("<Name Encoded=\"true\">", "</Name>")];

/// The page as the client takes it; `None`: as it is.
pub(super) fn mended(page: &str) -> Option<String> {
    let mut mended: Option<String> = None;
    let mut rest = page;
    while let Some((at, open, close)) = next(rest) {
        let inner = &rest[at + open.len()..];
        let Some(end) = inner.find(close) else { break };
        let (written, after) = (&inner[..end], &inner[end + close.len()..]);
        let name = unescaped(written);
        if Path::parse(&*name).is_ok_and(|p| p.as_ref() == name) && open != TAGS[2].0 {
            if let Some(text) = &mut mended {
                text.push_str(&rest[..at + open.len() + end + close.len()]);
            }
        } else {
            let text = mended.get_or_insert_with(|| page[..page.len() - rest.len()].to_owned());
            let told: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
            let tag = &close[2..];
            // Writing to a text does not fail.
            let _ = write!(text, "{}<{tag}{MARK}{told}{close}", &rest[..at]);
        }
        rest = after;
    }
    if let Some(text) = &mut mended {
        text.push_str(rest);
    }
    mended
}

/// Looks no further than to what it finds: a page has a thousand names, and none of some of the tags.
fn next(text: &str) -> Option<(usize, &'static str, &'static str)> {
    text.match_indices('<').find_map(|(at, _)| {
        let (open, close) = TAGS.into_iter().find(|(open, _)| text[at..].starts_with(open))?;
        Some((at, open, close))
    })
}

/// The object's real name, of one that is told under another.
pub(super) fn unmended(told: &str) -> Option<String> {
    let name = told.strip_prefix(MARK)?;
    form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned())
}

/// A reference that is none stays as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = rest.find(';').and_then(|end| Some((reference(&rest[1..end])?, end)));
        let (c, end) = found.unwrap_or(('&', 0));
        out.push(c);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out.into()
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[&str]) -> String {
        let contents: String =
            keys.iter().map(|k| format!("<Contents><Key>{k}</Key><Size>1</Size></Contents>")).collect();
        format!("<ListBucketResult><Name>lake</Name>{contents}<MaxKeys>1000</MaxKeys></ListBucketResult>")
    }

    fn keys(page: &str) -> Vec<String> {
        page.split("<Key>").skip(1).filter_map(|k| k.split("</Key>").next()).map(str::to_owned).collect()
    }

    #[test]
    fn a_page_of_names_that_can_be_asked_for_stays_as_it_is() {
        let long = "a".repeat(1_000);
        assert_eq!(mended(&page(&["a/b.csv", "a%2Fb.csv", "ä ö+.csv", "a&amp;b", "A/b.csv", &long])), None);
        for odd in ["", "<Key>", "<Key>a", "</Key><Key>", "<Name", "&", "<Key>&</Key>"] {
            assert_eq!(mended(odd), None, "{odd}");
        }
    }

    /// Were the rest of the page looked through for each name, this would take half an hour.
    #[test]
    fn a_large_page_is_looked_through_once() {
        let text = page(&vec!["a/b.csv"; 200_000]);
        assert_eq!(mended(&text), None);
        let text = mended(&text.replace("</ListBucketResult>", "<Key>/</Key></ListBucketResult>")).expect("one is odd");
        assert!(text.ends_with("<Key>\u{f8ff}%2F</Key></ListBucketResult>"));
    }

    #[test]
    fn a_name_that_cannot_be_asked_for_hides_no_other() {
        let odd = ["a//b.csv", "/a.csv", "a/../b.csv", "./a.csv", "a/", "a&#10;b", "a&#x1;b", "..", "a+ %&amp;//"];
        let real = ["a//b.csv", "/a.csv", "a/../b.csv", "./a.csv", "a/", "a\nb", "a\u{1}b", "..", "a+ %&//"];
        let mut listed = vec!["first.csv"];
        listed.extend(odd);
        listed.push("last.csv");
        let text = mended(&page(&listed)).expect("it is mended");
        assert!(text.starts_with("<ListBucketResult><Name>lake</Name>") && text.ends_with("</ListBucketResult>"));
        let told = keys(&text);
        assert_eq!((told.len(), &*told[0], &*told[10]), (11, "first.csv", "last.csv"));
        for (told, real) in told[1..10].iter().zip(real) {
            assert_eq!(Path::parse(told).expect("it can be taken").as_ref(), told);
            assert_eq!(unmended(told).as_deref(), Some(real));
        }
        assert_eq!(unmended("first.csv"), None);
        let azure = mended("<Blob><Name Encoded=\"true\">a%01</Name></Blob>").expect("it is mended");
        assert!(azure.starts_with("<Blob><Name>\u{f8ff}") && azure.ends_with("</Name></Blob>"), "{azure}");
    }
}
