//! Text that PostgreSQL cannot hold, made into text that it can.
//!
//! Called by `connection.rs`. PostgreSQL knows no NUL. It becomes `\u{1}0`, and `\u{1}` becomes `\u{1}1`: all other text
//! stays as it is, and the order of texts too.

use std::borrow::Cow;

const MARK: char = '\u{1}';

pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => out.extend([MARK, '0']),
            MARK => out.extend([MARK, '1']),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The same for the texts inside of JSON, where both are written as escapes.
pub(super) fn escaped_json(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u000") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 8);
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (taken, put) = match escape {
            e if e.starts_with("\\u0000") => (6, "\\u00010"),
            e if e.starts_with("\\u0001") => (6, "\\u00011"),
            // With the character it escapes, which may be a backslash.
            e => (2, e.get(..2).unwrap_or(e)),
        };
        out.push_str(put);
        rest = escape.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

pub(super) fn unescaped(text: String) -> String {
    if !text.contains(MARK) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            MARK => out.push(if chars.next() == Some('0') { '\0' } else { MARK }),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in ["", "plain", "\0", "\u{1}", "\u{1}0\0\u{1}1", "a\\u0000\0\\", "\\\\u0001\u{1}\u{2}\u{1F600}"] {
            assert!(!escaped(text).contains('\0'));
            assert_eq!(unescaped(escaped(text).into_owned()), text);
            let json = serde_json::to_string(text).expect("text");
            let through: String = serde_json::from_str(&escaped_json(&json)).expect("still JSON");
            assert_eq!(through, escaped(text), "{json}");
        }
    }

    #[test]
    fn the_order_stays() {
        let mut texts = ["a", "a\0", "a\0b", "a\u{1}", "a\u{1}\0", "a\u{2}", "b"];
        texts.sort_unstable();
        assert!(texts.windows(2).all(|w| escaped(w[0]) < escaped(w[1])));
    }
}
