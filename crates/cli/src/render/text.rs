//! Numbers, times and foreign text as people read them.

use jiff::Timestamp;
use serde::Serializer;
use std::fmt::Write;

/// `336776` as `336,776`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
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
            c if c.is_control() || is_direction(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 336_776, 1_000_000].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "336,776", "1,000,000"]);
    }

    #[test]
    fn a_rate_of_nothing_is_not_a_number() {
        assert_eq!(rate(1_000, 0), "-");
        assert_eq!(rate(1_000, 500_000), "2,000");
        assert_eq!((seconds(1_234_567), seconds(12_345)), ("1.2".to_owned(), "0.012".to_owned()));
    }

    #[test]
    fn foreign_text_moves_no_cursor() {
        assert_eq!(printable("a\u{1b}[2J\r\nb\u{202e}"), "a\\u{1b}[2J\\r\\nb\\u{202e}");
    }
}
