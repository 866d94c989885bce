//! A YAML value as written, with its place. Built by [`super::parse`].

use crate::source_file::{Place, Spanned};

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Spanned<String>,
    pub(crate) value: Node,
}

/// The text is kept as written beside what YAML 1.2 takes it for, so that `1.10` or `007` can stay a text.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) kind: ScalarKind,
    pub(crate) style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    Null,
    Bool(bool),
    Number,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    /// `|`, lines as written.
    Literal,
    /// `>`, lines joined.
    Folded,
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(s) if s.kind == ScalarKind::Null)
    }

    /// What it is, for a message.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(s) => match s.kind {
                ScalarKind::Null => "nothing",
                ScalarKind::Bool(_) => "true or false",
                ScalarKind::Number => "a number",
                ScalarKind::Text => "a text",
            },
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key.value == key).map(|e| &e.value),
            Value::List(_) | Value::Scalar(_) => None,
        }
    }

    /// The file's line on which a scalar's text starts. A literal block's place is its first line that is not empty.
    pub(crate) fn first_text_line(&self) -> usize {
        match &self.value {
            Value::Scalar(s) if s.style == Style::Literal => {
                let empty = s.text.bytes().take_while(|b| *b == b'\n').count();
                self.place.line.saturating_sub(empty).max(1)
            }
            _ => self.place.line,
        }
    }

    /// The place in the file of `inner`, a place in this scalar's text. Exact for literal blocks and for scalars on a
    /// single line without escapes; else the scalar's own place.
    pub(crate) fn place_of_inner(&self, inner: Place) -> Place {
        let Value::Scalar(s) = &self.value else { return self.place };
        let quotes = match s.style {
            Style::Literal => {
                let line = self.first_text_line() + inner.line - 1;
                return Place { line, column: self.place.column + inner.column - 1, ..inner };
            }
            Style::Folded => return self.place,
            Style::Plain => 0,
            Style::Quoted => 1,
        };
        if self.place.length == s.text.chars().count() + 2 * quotes {
            Place { line: self.place.line, column: self.place.column + quotes + inner.column - 1, ..inner }
        } else {
            self.place
        }
    }
}

impl ScalarKind {
    /// YAML 1.2's core schema.
    pub(crate) fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" => Self::Bool(true),
            "false" | "False" | "FALSE" => Self::Bool(false),
            _ if is_number(text) => Self::Number,
            _ => Self::Text,
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let starts_right = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.len() - digits.len() <= 1;
    starts_right
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        assert_eq!(ScalarKind::of_plain("NO"), ScalarKind::Text);
        assert_eq!(ScalarKind::of_plain("1.1.0"), ScalarKind::Text);
        assert_eq!(ScalarKind::of_plain("-1.5e3"), ScalarKind::Number);
        assert_eq!(ScalarKind::of_plain("--1"), ScalarKind::Text);
        assert_eq!(ScalarKind::of_plain("infinity"), ScalarKind::Text);
        assert_eq!(ScalarKind::of_plain("~"), ScalarKind::Null);
    }
}
