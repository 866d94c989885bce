//! Colours, on a terminal that wants them.

use std::io::{self, IsTerminal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    on: bool,
}

impl Style {
    pub const PLAIN: Self = Self { on: false };

    pub fn stdout() -> Self {
        Self { on: io::stdout().is_terminal() && wanted() }
    }

    pub fn stderr() -> Self {
        Self { on: io::stderr().is_terminal() && wanted() }
    }

    pub fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub fn red(self, text: &str) -> String {
        self.code("1;31", text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.code("1;33", text)
    }

    pub fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    pub fn cyan(self, text: &str) -> String {
        self.code("36", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// See no-color.org: set to anything but nothing, it turns colours off.
fn wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}
