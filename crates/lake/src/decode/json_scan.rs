//! The members of one JSON object, found in one pass over borrowed bytes. Called by the NDJSON reader, which has checked
//! that the bytes are UTF-8. The grammar is RFC 8259's in full; values are delimited and checked, never converted.

use super::simd;
use std::{borrow::Cow, ops::Range};

/// Arrays and objects within the record's object may be nested this deep.
pub(super) const DEPTH_LIMIT: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Syntax {
        at: usize,
        expected: &'static str,
    },
    TooDeep,
    TooManyMembers,
    /// An escape for half of a surrogate pair.
    Surrogate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    /// `escaped`: the content has escapes.
    String {
        escaped: bool,
    },
    /// A number, boolean, array or object.
    Other,
}

/// A value with its place, quotes of a string included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

impl Value {
    pub(super) fn raw<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        &line[self.start..self.end]
    }

    /// What is between the quotes of a string.
    pub(super) fn content<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        &line[self.start + 1..self.end - 1]
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// The key guessed.
    Guessed,
    /// The place between its quotes.
    Other { content: Range<usize>, escaped: bool },
    /// The object is closed.
    End,
}

/// Reads the members of the object that a line is.
pub(super) struct Members<'a> {
    line: &'a [u8],
    at: usize,
    first: bool,
}

impl<'a> Members<'a> {
    /// `None` where the line does not begin with an object.
    pub(super) fn open(line: &'a [u8]) -> Option<Self> {
        let at = space(line, 0);
        (byte(line, at) == b'{').then_some(Self { line, at: at + 1, first: true })
    }

    /// The next key, and past its colon. `guess` must be free of quotes, backslashes and control characters; empty
    /// where there is no guess.
    #[inline(always)]
    pub(super) fn key(&mut self, guess: &[u8]) -> Result<Key, Flaw> {
        self.at = space(self.line, self.at);
        match byte(self.line, self.at) {
            b'}' => {
                self.at += 1;
                return Ok(Key::End);
            }
            b',' if !self.first => self.at = space(self.line, self.at + 1),
            _ if !self.first => return Err(syntax(self.at, "a comma or the end of the object")),
            _ => {}
        }
        if byte(self.line, self.at) != b'"' {
            return Err(syntax(self.at, "a key"));
        }
        self.first = false;
        let start = self.at + 1;
        let end = start + guess.len();
        let guessed = !guess.is_empty() && byte(self.line, end) == b'"' && same(&self.line[start..end], guess);
        let key = if guessed {
            self.at = end + 1;
            Key::Guessed
        } else {
            let (end, escaped) = string_end(self.line, start)?;
            self.at = end + 1;
            Key::Other { content: start..end, escaped }
        };
        if byte(self.line, self.at) != b':' {
            self.at = space(self.line, self.at);
            if byte(self.line, self.at) != b':' {
                return Err(syntax(self.at, "a colon"));
            }
        }
        self.at += 1;
        Ok(key)
    }

    /// The value of the key just read.
    #[inline(always)]
    pub(super) fn value(&mut self) -> Result<Value, Flaw> {
        let start = space(self.line, self.at);
        let (end, kind) = value(self.line, start)?;
        self.at = end;
        Ok(Value { start, end, kind })
    }

    /// Checks that nothing follows the object.
    pub(super) fn close(self) -> Result<(), Flaw> {
        let end = space(self.line, self.at);
        if end == self.line.len() { Ok(()) } else { Err(syntax(end, "the end of the line")) }
    }
}

/// Whether the whole of `text` is one JSON value other than a string: what a text column would be read as.
#[inline]
pub(super) fn reads_as_other_value(text: &[u8]) -> bool {
    match text.first() {
        Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'[' | b'{') => {
            value(text, 0).is_ok_and(|(end, _)| end == text.len())
        }
        Some(_) | None => false,
    }
}

/// Whether the whole of `line` is one JSON value.
pub(super) fn is_value(line: &[u8]) -> bool {
    value(line, space(line, 0)).is_ok_and(|(end, _)| space(line, end) == line.len())
}

/// The text of string content that was scanned before.
pub(super) fn unescape(content: &[u8]) -> Cow<'_, [u8]> {
    let mut from = match memchr::memchr(b'\\', content) {
        Some(at) => at,
        None => return Cow::Borrowed(content),
    };
    let mut out = content[..from].to_vec();
    while let Some(&escape) = content.get(from + 1) {
        from += 2;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (c, next) = unicode(content, from).unwrap_or((char::REPLACEMENT_CHARACTER, from + 4));
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                from = next;
            }
            same => out.push(same),
        }
        let rest = content.get(from..).unwrap_or_default();
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        from += plain;
    }
    Cow::Owned(out)
}

/// The byte at `i`, or zero, which no grammar rule accepts outside strings.
#[inline(always)]
fn byte(line: &[u8], i: usize) -> u8 {
    line.get(i).copied().unwrap_or(0)
}

/// Whether two texts of one length are the same. Names are short: two reads that overlap take less than a call.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    match a.len() {
        4..=7 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        _ => a == b,
    }
}

#[inline(always)]
fn space(line: &[u8], mut i: usize) -> usize {
    while let b' ' | b'\t' | b'\n' | b'\r' = byte(line, i) {
        i += 1;
    }
    i
}

fn syntax(at: usize, expected: &'static str) -> Flaw {
    Flaw::Syntax { at, expected }
}

#[inline(always)]
fn value(line: &[u8], start: usize) -> Result<(usize, Kind), Flaw> {
    match byte(line, start) {
        b'"' => string_end(line, start + 1).map(|(end, escaped)| (end + 1, Kind::String { escaped })),
        b'{' | b'[' => nested(line, start).map(|end| (end, Kind::Other)),
        b'n' => literal(line, start, b"null").map(|end| (end, Kind::Null)),
        _ => bare(line, start).map(|end| (end, Kind::Other)),
    }
}

/// A number or a boolean.
#[inline(always)]
fn bare(line: &[u8], start: usize) -> Result<usize, Flaw> {
    match byte(line, start) {
        b'-' | b'0'..=b'9' => number(line, start),
        b't' => literal(line, start, b"true"),
        b'f' => literal(line, start, b"false"),
        _ => Err(syntax(start, "a value")),
    }
}

fn literal(line: &[u8], start: usize, word: &[u8]) -> Result<usize, Flaw> {
    let end = start + word.len();
    if line.get(start..end) == Some(word) { Ok(end) } else { Err(syntax(start, "a value")) }
}

#[inline]
fn number(line: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut i = start + usize::from(byte(line, start) == b'-');
    i = match byte(line, i) {
        b'0' => i + 1,
        b'1'..=b'9' => digits(line, i),
        _ => return Err(syntax(i, "a digit")),
    };
    if byte(line, i) == b'.' {
        i = some_digits(line, i + 1)?;
    }
    if let b'e' | b'E' = byte(line, i) {
        i += 1 + usize::from(matches!(byte(line, i + 1), b'+' | b'-'));
        i = some_digits(line, i)?;
    }
    Ok(i)
}

#[inline(always)]
fn digits(line: &[u8], mut i: usize) -> usize {
    while byte(line, i).is_ascii_digit() {
        i += 1;
    }
    i
}

fn some_digits(line: &[u8], start: usize) -> Result<usize, Flaw> {
    let end = digits(line, start);
    if end > start { Ok(end) } else { Err(syntax(start, "a digit")) }
}

/// Index of the quote that ends the string whose content begins at `start`, and whether it has escapes.
#[inline(always)]
fn string_end(line: &[u8], start: usize) -> Result<(usize, bool), Flaw> {
    let at = simd::string_special(line, start);
    if byte(line, at) == b'"' { Ok((at, false)) } else { escaped_string_end(line, at).map(|end| (end, true)) }
}

#[cold]
fn escaped_string_end(line: &[u8], from: usize) -> Result<usize, Flaw> {
    let mut i = from;
    loop {
        i = simd::string_special(line, i);
        match line.get(i) {
            Some(b'"') => return Ok(i),
            Some(b'\\') => match byte(line, i + 1) {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => i += 2,
                b'u' => i = unicode(line, i + 2)?.1,
                _ => return Err(syntax(i + 1, "an escape")),
            },
            Some(_) => return Err(syntax(i, "a string without control characters")),
            None => return Err(syntax(i, "the end of the string")),
        }
    }
}

/// The character whose four digits begin at `start`, and where what follows begins. A surrogate needs its other half.
fn unicode(line: &[u8], start: usize) -> Result<(char, usize), Flaw> {
    let first = hex(line, start)?;
    if !(0xD800..0xE000).contains(&first) {
        return Ok((char::from_u32(first).ok_or(Flaw::Surrogate)?, start + 4));
    }
    if first >= 0xDC00 || line.get(start + 4..start + 6) != Some(b"\\u") {
        return Err(Flaw::Surrogate);
    }
    let second = hex(line, start + 6)?;
    if !(0xDC00..0xE000).contains(&second) {
        return Err(Flaw::Surrogate);
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    Ok((char::from_u32(code).ok_or(Flaw::Surrogate)?, start + 10))
}

fn hex(line: &[u8], start: usize) -> Result<u32, Flaw> {
    (start..start + 4).try_fold(0, |code, i| match char::from(byte(line, i)).to_digit(16) {
        Some(digit) => Ok(code << 4 | digit),
        None => Err(syntax(i, "a hexadecimal digit")),
    })
}

/// Index after the array or object at `start`. Iterative, one bit a level: set for an object.
fn nested(line: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut levels: u128 = 0;
    let mut depth: u32 = 0;
    let mut i = start;
    loop {
        // At a value.
        let open = byte(line, i);
        if open == b'{' || open == b'[' {
            depth += 1;
            if depth > DEPTH_LIMIT {
                return Err(Flaw::TooDeep);
            }
            levels = levels << 1 | u128::from(open == b'{');
            i = space(line, i + 1);
            let empty = byte(line, i) == if open == b'{' { b'}' } else { b']' };
            if !empty {
                i = if open == b'{' { member_key(line, i)? } else { i };
                continue;
            }
            // The closing bracket is handled below.
        } else if open == b'"' {
            i = string_end(line, i + 1)?.0 + 1;
        } else if open == b'n' {
            i = literal(line, i, b"null")?;
        } else {
            i = bare(line, i)?;
        }
        // After a value: close what ends here, or go on to the next member.
        loop {
            i = space(line, i);
            let object = levels & 1 == 1;
            match byte(line, i) {
                b'}' if object => {}
                b']' if !object => {}
                b',' => {
                    i = space(line, i + 1);
                    i = if object { member_key(line, i)? } else { i };
                    break;
                }
                _ => return Err(syntax(i, if object { "a comma or `}`" } else { "a comma or `]`" })),
            }
            i += 1;
            depth -= 1;
            levels >>= 1;
            if depth == 0 {
                return Ok(i);
            }
        }
    }
}

/// Index of the value of the member whose key begins at `start`.
fn member_key(line: &[u8], start: usize) -> Result<usize, Flaw> {
    if byte(line, start) != b'"' {
        return Err(syntax(start, "a key"));
    }
    let colon = space(line, string_end(line, start + 1)?.0 + 1);
    if byte(line, colon) != b':' {
        return Err(syntax(colon, "a colon"));
    }
    Ok(space(line, colon + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn knows_the_grammar() {
        for good in
            ["0", "-0", "1.5e+3", "true", "null", "[]", "{}", "[1,[2,{\"a\":[]}]]", "\"\\ud83d\\ude00\"", " [ 1 , 2 ] "]
        {
            assert!(is_value(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "tru",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1}",
            "\"\t\"",
            "\"\\x\"",
            "1 2",
            "\"\\ud800\"",
            "[\"a]",
            "NaN",
        ] {
            assert!(!is_value(bad.as_bytes()), "{bad}");
        }
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(is_value(deep(100).as_bytes()));
        assert!(!is_value(deep(101).as_bytes()));
        assert_eq!(value(deep(1_000_000).as_bytes(), 0), Err(Flaw::TooDeep));
    }

    fn jsonish() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            "[\\[\\]{}:,\" ]",
            Just("\"a\"".to_owned()),
            Just("\"a\":".to_owned()),
            Just("\\u00e9".to_owned()),
            Just("\\ud83d\\ude00".to_owned()),
            Just("1".to_owned()),
            Just("-2.5e3".to_owned()),
            Just("true".to_owned()),
            Just("null".to_owned()),
            "[0-9eE+.-]{1,4}",
            "\\PC",
        ];
        prop::collection::vec(token, 0..12).prop_map(|t| t.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn agrees_with_serde_json(text in jsonish()) {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(is_value(text.as_bytes()), theirs, "{}", text);
        }

        #[test]
        fn unescapes_as_serde_json_does(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let content = &json.as_bytes()[1..json.len() - 1];
            prop_assert_eq!(&*unescape(content), text.as_bytes());
            let escaped: String = text.encode_utf16().map(|u| format!("\\u{u:04X}")).collect();
            prop_assert_eq!(&*unescape(escaped.as_bytes()), text.as_bytes());
        }
    }
}
