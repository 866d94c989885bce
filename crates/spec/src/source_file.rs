//! The text of one project file, and places in it.
//!
//! Used by all readers of this crate. It refuses what is too large or no text before anyone parses it.

use crate::{
    codes::{self, Code},
    diagnostic::Sink,
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

/// More than any sensible definition; what is larger is refused unread.
const MOST_BYTES: u64 = 4 << 20;

/// Where something is written: line and column from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) length: usize,
}

impl Place {
    /// The file as a whole.
    pub(crate) const WHOLE: Self = Self { line: 0, column: 1, length: 1 };
    pub(crate) const START: Self = Self { line: 1, column: 1, length: 1 };

    /// A place in a part of a text, as one in the text in which the part starts at `start`.
    pub(crate) fn within(self, start: Self) -> Self {
        let column = if self.line == 1 { self.column + start.column - 1 } else { self.column };
        Self { line: self.line + start.line - 1, column, length: self.length }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), place: self.place }
    }
}

#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the project's root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Byte offset of each line's start.
    lines: Vec<usize>,
}

impl SourceFile {
    pub(crate) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        let starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { path: path.into(), text, lines }
    }

    /// Reads `root/path`; a file that cannot be used is reported and `None`.
    pub(crate) fn read(root: &Path, path: &Path, sink: &mut Sink) -> Option<Arc<Self>> {
        match read_text(&root.join(path)) {
            Ok(text) => Some(Arc::new(Self::new(path, text))),
            Err((code, message, help)) => {
                sink.report(code, &Self::new(path, ""), Place::WHOLE, message, help.map(str::to_owned));
                None
            }
        }
    }

    /// Without its line break; empty outside the file.
    pub(crate) fn line(&self, number: usize) -> &str {
        let Some(start) = number.checked_sub(1).and_then(|n| self.lines.get(n)) else { return "" };
        let end = self.lines.get(number).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(['\n', '\r'])
    }

    /// The file's name without folders and without `ending`.
    pub(crate) fn stem(&self, ending: &str) -> &str {
        let name = self.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.strip_suffix(ending).unwrap_or(name)
    }
}

type Refusal = (Code, String, Option<&'static str>);

fn read_text(path: &Path) -> Result<String, Refusal> {
    let unreadable = |e: std::io::Error| (codes::UNREADABLE, format!("the file cannot be read: {e}"), None);
    // Asked before it is opened: opening a named pipe would wait for a writer.
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err((codes::UNREADABLE, "this is no regular file".to_owned(), None));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err((
            codes::TOO_LARGE,
            "the file is larger than 4 MiB".to_owned(),
            Some("a project file holds definitions, never data"),
        ));
    }
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        (
            codes::NOT_UTF8,
            format!("the file is not UTF-8: line {line} holds other bytes"),
            Some("save the file as UTF-8"),
        )
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_without_their_breaks() {
        let f = SourceFile::new("datasets/silver/a.yaml", "one\r\ntwo\n\nfour");
        assert_eq!(
            [f.line(1), f.line(2), f.line(3), f.line(4), f.line(5), f.line(0)],
            ["one", "two", "", "four", "", ""]
        );
        assert_eq!(f.stem(".yaml"), "a");
    }
}
