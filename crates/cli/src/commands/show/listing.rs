//! The same lines, as a table for people or as JSON for programs.

use crate::{
    args::{Format, Global},
    error::CliError,
    output::{print, print_json},
    render::{Align, Style, Table},
};
use serde::Serialize;

/// One column: its heading, its alignment, and a line's cell.
pub type Column<T> = (&'static str, Align, fn(&T) -> String);

pub fn table<T>(columns: &[Column<T>], lines: &[T]) -> Table {
    let mut table = Table::new(columns.iter().map(|(name, align, _)| (*name, *align)));
    for line in lines {
        table.row(columns.iter().map(|(_, _, cell)| cell(line)).collect());
    }
    table
}

/// `nothing` is said in place of an empty table.
pub fn list<T: Serialize>(global: &Global, columns: &[Column<T>], lines: &[T], nothing: &str) -> Result<(), CliError> {
    match global.format {
        Format::Json => print_json(&lines),
        Format::Human if lines.is_empty() => print(&format!("{nothing}\n")),
        Format::Human => print(&table(columns, lines).text(Style::stdout())),
    }
}

pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}
