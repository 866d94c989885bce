//! A mistake in a project file: what, where, and the way out.
//!
//! Made by every module of this crate through [`Sink`], printed by cli. Rendering adds no colour.

use crate::{
    codes::{CODES, Code},
    source_file::{Place, SourceFile},
};
use alluvium_model::{Fault, RetryClass};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, path::PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The project cannot be used.
    Error,
    /// The project can be used, but something written in it has no effect.
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable, as `E0007`; see [`crate::CODES`].
    pub code: &'static str,
    pub severity: Level,
    pub message: String,
    /// Relative to the project's root; as it was asked for where there is no project.
    pub file: PathBuf,
    /// 1 is the first. 0 when the whole file or folder is meant.
    pub line: usize,
    /// In characters, 1 is the first.
    pub column: usize,
    /// In characters, at least 1.
    pub length: usize,
    pub source_line: String,
    pub help: Option<String>,
}

/// All mistakes of a project, by file and line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl std::error::Error for Diagnostics {}

impl Fault for Diagnostics {
    /// Of the first mistake.
    fn code(&self) -> &'static str {
        self.first().map_or("E0001", |d| d.code)
    }

    /// Trying again cannot help: a person has to change a file.
    fn class(&self) -> RetryClass {
        RetryClass::Schema
    }

    fn remedy(&self) -> &'static str {
        let doc = CODES.iter().find(|c| c.code == self.code());
        doc.map_or("Correct the project's files.", |c| c.remedy)
    }
}

impl Diagnostics {
    pub fn has_errors(&self) -> bool {
        self.first().is_some()
    }

    /// These and `more`, by file and line, each once.
    #[must_use]
    pub fn with(mut self, more: impl IntoIterator<Item = Diagnostic>) -> Self {
        self.0.extend(more);
        self.0.sort_by(|a, b| (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code)));
        self.0.dedup();
        self
    }

    fn first(&self) -> Option<&Diagnostic> {
        self.0.iter().find(|d| d.severity == Level::Error)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{d}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        writeln!(f, "{word}[{}]: {}", self.code, self.message)?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        if self.line == 0 {
            writeln!(f, "{margin}--> {}", self.file.display())?;
        } else {
            writeln!(f, "{margin}--> {}:{}:{}", self.file.display(), self.line, self.column)?;
            let (line, column) = window(&self.source_line, self.column);
            let carets = "^".repeat(self.length.clamp(1, (line.chars().count() + 2).saturating_sub(column).max(1)));
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {line}")?;
            writeln!(f, "{margin} | {}{carets}", " ".repeat(column - 1))?;
        }
        match &self.help {
            Some(help) => writeln!(f, "{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

/// The part of a long line around the caret, and the caret's column in it.
fn window(line: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 160;
    let column = column.max(1);
    if line.chars().count() <= WIDTH {
        return (line.to_owned(), column);
    }
    let skip = column.saturating_sub(WIDTH / 2);
    let part: String = line.chars().skip(skip).take(WIDTH).collect();
    (part, column - skip)
}

/// Collects diagnostics while files are read. A file with very many mistakes keeps its first ones.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    found: Vec<Diagnostic>,
    /// Mistakes and warnings are counted apart: many warnings must not hide a mistake.
    per_file: BTreeMap<(PathBuf, Level), usize>,
}

pub(crate) const MOST_PER_FILE: usize = 100;

impl Sink {
    pub(crate) fn report(
        &mut self,
        code: Code,
        file: &SourceFile,
        place: Place,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        let count = self.per_file.entry((file.path.clone(), code.level)).or_default();
        *count += 1;
        if *count > MOST_PER_FILE {
            return;
        }
        self.found.push(Diagnostic {
            code: code.id,
            severity: code.level,
            message: printable(&message.into(), 600),
            file: file.path.clone(),
            line: place.line,
            column: place.column.max(1),
            length: place.length.max(1),
            source_line: printable(file.line(place.line), 2_000),
            help: help.into().map(|h| printable(&h, 600)),
        });
    }

    /// Takes back what another report tells better.
    pub(crate) fn withdraw(&mut self, code: Code, file: &SourceFile, place: Place, message: &str) {
        let is = |d: &Diagnostic| {
            (d.code, d.file.as_path(), d.line, d.column, d.message.as_str())
                == (code.id, file.path.as_path(), place.line, place.column.max(1), message)
        };
        if let Some(at) = self.found.iter().rposition(is) {
            self.found.remove(at);
            self.per_file.entry((file.path.clone(), code.level)).and_modify(|n| *n -= 1);
        }
    }

    pub(crate) fn finish(self) -> Diagnostics {
        Diagnostics::default().with(self.found)
    }
}

/// Cut to `most` characters, without anything that would move a terminal's cursor.
fn printable(text: &str, most: usize) -> String {
    let mut out: String = text
        .chars()
        .take(most)
        .map(|c| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

/// A user's text inside a message: in backticks, shortened.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    #[test]
    fn shows_the_line_and_a_caret() {
        let file = SourceFile::new("a.yaml", "from: x\ntrmi: \"*\"\n");
        let mut sink = Sink::default();
        let place = Place { line: 2, column: 1, length: 4 };
        sink.report(codes::UNKNOWN_KEY, &file, place, "unknown key `trmi`", "did you mean `trim`?".to_owned());
        let shown = sink.finish().to_string();
        assert_eq!(
            shown,
            "error[E0007]: unknown key `trmi`\n --> a.yaml:2:1\n  |\n2 | trmi: \"*\"\n  | ^^^^\n  = help: did you mean `trim`?\n"
        );
    }

    #[test]
    fn many_warnings_do_not_hide_a_mistake() {
        let file = SourceFile::new("a.yaml", "");
        let mut sink = Sink::default();
        for i in 0..2 * MOST_PER_FILE {
            sink.report(codes::RULE_NOT_RUN, &file, Place::WHOLE, format!("{i}"), None);
        }
        sink.report(codes::UNKNOWN_KEY, &file, Place::WHOLE, "unknown key", None);
        let found = sink.finish();
        assert!(found.has_errors());
        assert_eq!(found.0.len(), MOST_PER_FILE + 1);
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb", 10), "a\u{fffd}[2Jb");
        assert_eq!(printable("abcdef", 3), "abc…");
    }

    #[test]
    fn a_long_line_is_shown_around_the_caret() {
        let (line, column) = window(&"x".repeat(5_000), 4_000);
        assert_eq!(line.chars().count(), 160);
        assert_eq!(column, 80);
    }
}
