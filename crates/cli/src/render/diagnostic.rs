//! Mistakes and errors on standard error: code, message, causes, help; or the same fields as JSON.

use super::{Style, printable};
use crate::{
    args::Format,
    error::{CliError, causes},
    output::say,
};
use alluvium_model::Fault;
use alluvium_spec::{Diagnostic, Diagnostics, Level};
use serde_json::json;

/// Why the command failed.
pub fn error(error: &CliError, format: Format) {
    let diagnostics = match error {
        CliError::Definitions(d) => d.0.as_slice(),
        _ => &[],
    };
    match format {
        Format::Json => {
            let fault = json!({
                "code": error.code(),
                "message": error.to_string(),
                "causes": causes(error),
                "class": error.class(),
                "help": error.remedy(),
                "diagnostics": diagnostics,
            });
            say(&format!("{}\n", json!({ "error": fault })));
        }
        Format::Human if diagnostics.is_empty() => say(&human(error, Style::stderr())),
        Format::Human => {
            all(diagnostics, Style::stderr());
            let wrong: Vec<_> = diagnostics.iter().filter(|d| d.severity == Level::Error).collect();
            let count = format!("{} {}", wrong.len(), if wrong.len() == 1 { "mistake" } else { "mistakes" });
            let code = wrong.first().map_or(error.code(), |d| d.code);
            say(&format!("{count}; {}\n", more(code)));
        }
    }
}

fn human(error: &CliError, style: Style) -> String {
    let mut out = format!("{}: {}\n", style.red(&format!("error[{}]", error.code())), printable(&error.to_string()));
    for cause in causes(error) {
        out.push_str(&format!("  because {}\n", printable(&cause)));
    }
    out.push_str(&format!("  {} {}\n", style.cyan("= help:"), error.remedy()));
    out + &format!("  {} {}\n", style.cyan("= more:"), explain(error.code()))
}

fn explain(code: &str) -> String {
    format!("alluvium explain {code}")
}

/// Where a person finds what a code means. Said once in an output, of its first code.
pub fn more(code: &str) -> String {
    format!("more of {code}: {}", explain(code))
}

/// Each with its line and a caret.
pub fn all(diagnostics: &[Diagnostic], style: Style) {
    for d in diagnostics {
        say(&coloured(d, style));
        say("\n");
    }
}

/// What is written and has no effect.
pub fn warnings(notes: &Diagnostics, format: Format) {
    match format {
        Format::Human => all(&notes.0, Style::stderr()),
        Format::Json => {
            for d in &notes.0 {
                say(&format!("{}\n", json!({ "warning": d })));
            }
        }
    }
}

fn coloured(d: &Diagnostic, style: Style) -> String {
    let mut out = String::new();
    for (n, line) in d.to_string().lines().enumerate() {
        let caret = line.trim_start().strip_prefix("| ").is_some_and(|rest| rest.trim_start().starts_with('^'));
        let shown = match line.split_once(']') {
            Some((head, rest)) if n == 0 => {
                let head = format!("{head}]");
                let head = if d.severity == Level::Error { style.red(&head) } else { style.yellow(&head) };
                format!("{head}{}", style.bold(rest))
            }
            _ if caret => style.red(line),
            _ if line.trim_start().starts_with("= help:") => line.replacen("= help:", &style.cyan("= help:"), 1),
            _ => line.to_owned(),
        };
        out.push_str(&shown);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_code_causes_and_help() {
        let source = std::io::Error::other("the \u{1b}disk is gone");
        let shown = human(&CliError::File { path: "a.csv".into(), source }, Style::PLAIN);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "error[C0101]: a.csv cannot be read or written");
        assert_eq!(lines[1], "  because the \\u{1b}disk is gone");
        assert!(lines[2].starts_with("  = help: "));
        assert_eq!(lines[3], "  = more: alluvium explain C0101");
    }
}
