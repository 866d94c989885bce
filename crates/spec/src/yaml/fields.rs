//! Typed reading of nodes. Every mistake is reported and reading goes on, so that one look shows them all.

use super::node::{Entry, Node, ScalarKind, Value};
use crate::{
    codes,
    diagnostic::{Sink, quoted},
    library::Library,
    nearest,
    source_file::{Place, SourceFile, Spanned},
};
use std::{fmt::Display, str::FromStr};

/// What a key is that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Mistake,
    /// One of a later version of the file's standard, as far as is known: told.
    Later,
    /// One of the writer's own, which the file's standard allows: told, unless it looks like a misspelt one.
    Own,
}

/// The file being read and where its mistakes go.
pub(crate) struct Reader<'a> {
    pub(crate) file: &'a SourceFile,
    pub(crate) sink: &'a mut Sink,
    /// What SQL in the file can call; `None`: the file is read by itself, and calls stay as they are written.
    pub(crate) library: Option<&'a Library>,
    pub(crate) unknown: Unknown,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a SourceFile, sink: &'a mut Sink) -> Self {
        Self { file, sink, library: None, unknown: Unknown::Mistake }
    }
}

impl Reader<'_> {
    pub(crate) fn error(&mut self, code: codes::Code, place: Place, message: impl Into<String>, help: Option<String>) {
        self.sink.report(code, self.file, place, message, help);
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, wanted: &str) {
        self.error(codes::WRONG_TYPE, node.place, format!("expected {wanted}, found {}", node.describe()), None);
    }

    pub(crate) fn fields<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<Fields<'n>> {
        match &node.value {
            Value::Map(entries) => Some(Fields { entries, place: node.place, asked: Vec::new(), missing: Vec::new() }),
            Value::List(_) | Value::Scalar(_) => {
                self.wrong_type(node, wanted);
                None
            }
        }
    }

    /// Any scalar, as written: `1.10` stays `1.10`.
    pub(crate) fn text(&mut self, node: &Node) -> Option<Spanned<String>> {
        match &node.value {
            Value::Scalar(s) if s.kind != ScalarKind::Null => Some(Spanned::new(s.text.clone(), node.place)),
            _ => {
                self.wrong_type(node, "a text");
                None
            }
        }
    }

    /// A text that names something: not empty.
    pub(crate) fn name(&mut self, node: &Node) -> Option<Spanned<String>> {
        let text = self.text(node)?;
        if text.value.trim().is_empty() {
            self.error(codes::INVALID_VALUE, node.place, "a name is empty", None);
            return None;
        }
        Some(text)
    }

    pub(crate) fn boolean(&mut self, node: &Node) -> Option<bool> {
        match &node.value {
            Value::Scalar(s) if matches!(s.kind, ScalarKind::Bool(_)) => Some(s.kind == ScalarKind::Bool(true)),
            _ => {
                self.wrong_type(node, "true or false");
                None
            }
        }
    }

    pub(crate) fn number(&mut self, node: &Node) -> Option<f64> {
        match &node.value {
            Value::Scalar(s) if s.kind == ScalarKind::Number => s.text.parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        }
        .or_else(|| {
            self.wrong_type(node, "a number");
            None
        })
    }

    pub(crate) fn whole<T: FromStr>(&mut self, node: &Node) -> Option<T> {
        match &node.value {
            Value::Scalar(s) if s.kind == ScalarKind::Number => s.text.parse().ok(),
            _ => None,
        }
        .or_else(|| {
            self.error(
                codes::WRONG_TYPE,
                node.place,
                format!("expected a whole number, found {}", node.describe()),
                None,
            );
            None
        })
    }

    pub(crate) fn list<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            Value::Map(_) | Value::Scalar(_) => {
                self.wrong_type(node, "a list");
                None
            }
        }
    }

    /// A list of names, or one name.
    pub(crate) fn names(&mut self, node: &Node) -> Option<Vec<Spanned<String>>> {
        match &node.value {
            Value::List(items) => Some(items.iter().filter_map(|n| self.name(n)).collect()),
            Value::Scalar(_) => Some(vec![self.name(node)?]),
            Value::Map(_) => {
                self.wrong_type(node, "a name or a list of names");
                None
            }
        }
    }

    /// A mapping of names to texts.
    pub(crate) fn pairs(&mut self, node: &Node) -> Option<Vec<(Spanned<String>, Spanned<String>)>> {
        let entries = self.entries(node)?;
        Some(entries.iter().filter_map(|e| Some((e.key.clone(), self.text(&e.value)?))).collect())
    }

    pub(crate) fn entries<'n>(&mut self, node: &'n Node) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            Value::List(_) | Value::Scalar(_) => {
                self.wrong_type(node, "a mapping");
                None
            }
        }
    }

    /// A text that `T` reads; its own error is the message.
    pub(crate) fn parsed<T>(&mut self, node: &Node) -> Option<Spanned<T>>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(node)?;
        match text.value.parse() {
            Ok(value) => Some(Spanned::new(value, text.place)),
            Err(e) => {
                self.error(codes::INVALID_VALUE, node.place, format!("{e}"), None);
                None
            }
        }
    }

    /// One of a fixed set of words.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&'static str, T)]) -> Option<Spanned<T>> {
        let text = self.text(node)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.value) {
            return Some(Spanned::new(*value, text.place));
        }
        let words = choices.iter().map(|(word, _)| *word);
        let help = nearest::help(&text.value, words);
        self.error(codes::NOT_A_CHOICE, node.place, format!("{} is not known here", quoted(&text.value)), help);
        None
    }
}

/// The keys of one mapping. Whoever reads it asks for each key it knows; what nobody asked for is a mistake.
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    pub(crate) place: Place,
    asked: Vec<&'static str>,
    /// Told as missing.
    missing: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of `key`; a key without a value counts as absent.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.take_entry(key).map(|e| &e.value).filter(|n| !n.is_null())
    }

    /// As `take`, with the key and also without a value.
    pub(crate) fn take_entry(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.asked.push(key);
        self.entries.iter().find(|e| e.key.value == key)
    }

    pub(crate) fn require(&mut self, key: &'static str, r: &mut Reader<'_>) -> Option<&'n Node> {
        let found = self.take(key);
        if found.is_none() {
            self.missing.push(key);
            let place = self.entries.iter().find(|e| e.key.value == key).map_or(self.place, |e| e.key.place);
            r.error(codes::MISSING_KEY, place, missing(key), None);
        }
        found
    }

    /// Keys that exist in the design but not in this version: said, never ignored.
    pub(crate) fn not_yet(&mut self, keys: &[&'static str], r: &mut Reader<'_>) {
        for key in keys {
            if let Some(e) = self.take_entry(key) {
                r.error(
                    codes::NOT_AVAILABLE,
                    e.key.place,
                    format!("`{key}` is not available yet in this version"),
                    Some("remove it".to_owned()),
                );
            }
        }
        // They are no suggestions for a misspelt key.
        self.asked.truncate(self.asked.len() - keys.len());
        self.asked.extend(keys.iter().filter(|k| self.entries.iter().any(|e| e.key.value == **k)));
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(self, r: &mut Reader<'_>) {
        self.finish_with(r, |_| None);
    }

    pub(crate) fn finish_with(self, r: &mut Reader<'_>, special: impl Fn(&str) -> Option<String>) {
        let free = self.asked.iter().copied().filter(|k| !self.entries.iter().any(|e| e.key.value == *k));
        let unknown = self.entries.iter().filter(|e| !self.asked.contains(&e.key.value.as_str()));
        // One more than is kept, so that a file full of them takes no time.
        for e in unknown.take(crate::diagnostic::MOST_PER_FILE + 1) {
            let near = nearest::nearest(&e.key.value, self.asked.iter().copied());
            // It is there, misspelt: one mistake, told once.
            if let Some(key) = near.filter(|k| r.unknown != Unknown::Later && self.missing.contains(k)) {
                r.sink.withdraw(codes::MISSING_KEY, r.file, self.place, &missing(key));
            }
            let meant = special(&e.key.value).or_else(|| near.map(|k| format!("did you mean `{k}`?")));
            let code = match r.unknown {
                Unknown::Later => codes::LATER_STANDARD,
                Unknown::Own if meant.is_none() => codes::OPTION_NOT_USED,
                Unknown::Own | Unknown::Mistake => codes::UNKNOWN_KEY,
            };
            let help = meant.or_else(|| nearest::help(&e.key.value, free.clone()));
            r.error(code, e.key.place, format!("unknown key {}", quoted(&e.key.value)), help);
        }
    }
}

fn missing(key: &str) -> String {
    format!("the key `{key}` is missing or empty")
}
