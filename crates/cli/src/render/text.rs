//! Numbers, times and foreign text as people read them.

use alluvium_model::{grouped, is_unseen};
use jiff::Timestamp;
use serde::Serializer;
use std::fmt::Write;

/// `1 file`, `2,000 files`.
pub fn plural(n: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `1.2` for 1,234,567 microseconds; hundredths below a tenth.
pub fn seconds(micros: u64) -> String {
    let s = micros as f64 / 1e6;
    if s < 0.1 { format!("{s:.3}") } else { format!("{s:.1}") }
}

/// Rows a second, or nothing to say.
pub fn rate(rows: u64, micros: u64) -> String {
    if rows == 0 || micros == 0 {
        return "-".to_owned();
    }
    grouped((rows as f64 / (micros as f64 / 1e6)) as u64)
}

/// `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    alluvium_model::ByteSize(bytes).to_string()
}

/// UTC, to the second.
pub fn brief_time(t: Timestamp) -> String {
    t.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// For JSON: RFC 3339, UTC.
pub fn json_time<S: Serializer>(t: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(t)
}

pub fn json_time_if_any<S: Serializer>(t: &Option<Timestamp>, s: S) -> Result<S::Ok, S::Error> {
    match t {
        Some(t) => s.collect_str(t),
        None => s.serialize_none(),
    }
}

/// Text from outside, without anything that would move a terminal's cursor or change its direction of writing.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unseen(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_nothing_is_not_a_number() {
        assert_eq!(rate(1_000, 0), "-");
        assert_eq!(rate(1_000, 500_000), "2,000");
        assert_eq!((seconds(1_234_567), seconds(12_345)), ("1.2".to_owned(), "0.012".to_owned()));
    }

    #[test]
    fn foreign_text_moves_no_cursor() {
        assert_eq!(printable("a\u{1b}[2J\r\nb\u{202e}\u{2028}"), "a\\u{1b}[2J\\r\\nb\\u{202e}\\u{2028}");
    }
}
