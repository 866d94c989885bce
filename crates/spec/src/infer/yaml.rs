//! Texts for a YAML file: values that read back as they are, and comments that stay comments.

use alluvium_model::is_unseen;
use std::fmt::Write;

/// Longer values are cut in comments.
const MOST_SHOWN: usize = 40;

/// Plain where every reader takes it for the same text, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let plain = first && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    const WORDS: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];
    if plain && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unseen(c) && u32::from(c) <= 0xFFFF => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c if is_unseen(c) => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(super) fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<String> = texts.map(scalar).collect();
    format!("[{}]", items.join(", "))
}

/// A value of a file in a comment or a sentence: one line, cut.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MOST_SHOWN).map(|c| if is_unseen(c) { '\u{FFFD}' } else { c }).collect();
    let more = if text.chars().nth(MOST_SHOWN).is_some() { "…" } else { "" };
    format!("`{}{more}`", cut.replace('`', "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_a_reader_could_take_them_for_something_else() {
        assert_eq!(scalar("carrier"), "carrier");
        for text in ["no", "12", "", "a b", "a: b", "#x", "-", "~", "1.5"] {
            assert_eq!(scalar(text), format!("\"{text}\""));
        }
        assert_eq!(scalar("a\"\\\n\u{2028}"), "\"a\\\"\\\\\\n\\u2028\"");
    }

    #[test]
    fn a_value_cannot_leave_its_comment() {
        assert_eq!(shown("a\nb: `c`"), "`a\u{FFFD}b: 'c'`");
        assert_eq!(shown(&"x".repeat(50)).chars().count(), 43);
    }
}
