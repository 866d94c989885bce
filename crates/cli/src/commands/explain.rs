//! `alluvium explain`: the runbook of a code, or the list of all codes. Reads no project, no state and no network.

use crate::{
    args::{Format, Global},
    error::CliError,
    output::{print, print_json},
    render::{Align, Style, Table},
    runbooks::{self, Runbook},
};
use alluvium_model::Exit;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Of names that are near a wrong one.
const MOST_NEAR: usize = 3;

pub fn explain(global: &Global, code: Option<&str>) -> Result<Exit, CliError> {
    match (code, global.format) {
        (Some(code), Format::Human) => print(&text(&find(code)?, Style::stdout()))?,
        (Some(code), Format::Json) => print_json(&whole(&find(code)?))?,
        (None, Format::Human) => print(&list(Style::stdout()))?,
        (None, Format::Json) => print_json(&runbooks::all().map(|r| Value::from(head(&r))).collect::<Vec<_>>())?,
    }
    Ok(Exit::Done)
}

fn find(code: &str) -> Result<Runbook, CliError> {
    runbooks::find(code).ok_or_else(|| {
        // Of those that the same part of the product tells, if there is such a part.
        let letter = code.chars().next().map(|c| c.to_ascii_uppercase());
        let (same, others): (Vec<_>, Vec<_>) =
            runbooks::all().map(|r| r.code).partition(|c| c.chars().next() == letter);
        let mut known = if same.is_empty() { others } else { same };
        let mut near: Vec<&'static str> = Vec::new();
        while let (true, Some(next)) = (near.len() < MOST_NEAR, alluvium_spec::nearest(code, known.iter().copied())) {
            known.retain(|c| *c != next);
            near.push(next);
        }
        CliError::UnknownCode { code: code.to_owned(), near }
    })
}

fn text(r: &Runbook, style: Style) -> String {
    let mut out = format!("{}: {}\n", style.bold(r.code), r.title.unwrap_or(r.meaning));
    if r.title.is_some() {
        let _ = writeln!(out, "  {}", r.meaning);
    }
    if let Some(class) = r.class {
        let _ = writeln!(out, "  {} {class}", style.cyan("= class:"));
    }
    let _ = writeln!(out, "  {} {}", style.cyan("= help:"), r.remedy);
    if r.together.len() > 1 {
        let _ = writeln!(out, "  {} {}", style.cyan("= told together:"), r.together.join(", "));
    }
    for (heading, text) in r.sections() {
        let _ = writeln!(out, "\n{}", style.bold(heading));
        let mut in_block = false;
        for line in text.lines() {
            if line.starts_with("```") {
                in_block = !in_block;
            } else if in_block && !line.is_empty() {
                let _ = writeln!(out, "    {line}");
            } else {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}

fn list(style: Style) -> String {
    let mut table = Table::new([("code", Align::Left), ("what", Align::Left)]);
    for r in runbooks::all() {
        table.row(vec![r.code.to_owned(), r.title.unwrap_or(r.meaning).to_owned()]);
    }
    table.text(style) + "more of one: alluvium explain CODE\n"
}

/// The fields that the code's errors have, too.
fn head(r: &Runbook) -> Map<String, Value> {
    let fields = [
        ("code", json!(r.code)),
        ("title", json!(r.title)),
        ("meaning", json!(r.meaning)),
        ("class", json!(r.class)),
        ("help", json!(r.remedy)),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

fn whole(r: &Runbook) -> Value {
    let mut fields = head(r);
    fields.insert("together".to_owned(), json!(r.together));
    for (heading, text) in r.sections() {
        fields.insert(heading.to_lowercase().replace(' ', "_"), json!(text));
    }
    fields.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_without_its_marks() {
        let shown = text(&find("s0001").expect("a runbook"), Style::PLAIN);
        assert!(
            shown.starts_with("S0001: Another process holds the state.\n  = class: transient\n  = help: "),
            "{shown}"
        );
        assert!(shown.contains("\nWhat to do\n") && shown.contains("\n    alluvium "), "{shown}");
        assert!(!shown.contains("```") && !shown.contains("##") && !shown.contains("| "), "{shown}");
    }

    #[test]
    fn a_wrong_code_tells_the_nearest() {
        let Err(CliError::UnknownCode { near, .. }) = find("S0099") else { panic!("there is none") };
        assert_eq!(near, ["S0009", "S0019"]);
        let Err(CliError::UnknownCode { near, .. }) = find("nothing") else { panic!("there is none") };
        assert!(near.is_empty());
    }
}
