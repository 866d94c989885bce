//! A page for people.

use super::{
    lines::{Line, lines},
    words::rules,
};
use crate::{
    compatibility::{ObjectShape, Shape},
    odcs::Terms,
};

/// Of the servers, those of the environment.
pub fn markdown(shape: &Shape, object: &ObjectShape, terms: &Terms, environment: &str) -> String {
    let mut out = format!("# {}\n\n", escaped(&object.name));
    if let Some(description) = &object.description {
        out.push_str(&format!("{}\n\n", escaped(description)));
    }
    out.push_str(&format!(
        "Contract `{}`, version {}{}.\n\n",
        shape.id.replace('`', ""),
        escaped(&shape.version),
        status(terms)
    ));
    let told = terms.told(environment);
    for (about, said) in &told {
        let said: Vec<String> = said.iter().map(|s| escaped(s)).collect();
        out.push_str(&format!("- {about}: {}\n", said.join("; ")));
    }
    if !told.is_empty() {
        out.push('\n');
    }
    out.push_str("| field | type | required | limits | description |\n|---|---|---|---|---|\n");
    lines(object).iter().for_each(|l| out.push_str(&row(l)));
    let rules: Vec<String> = rules(object, |columns| *columns == *object.primary_key).map(escaped).collect();
    if !rules.is_empty() {
        out.push_str(&format!("\nRules:\n\n- {}\n", rules.join("\n- ")));
    }
    out
}

fn status(terms: &Terms) -> String {
    terms.status.as_deref().map_or_else(String::new, |s| format!(", {}", escaped(s)))
}

fn row(line: &Line<'_>) -> String {
    let required = line.need.word();
    let class = line.classification.map(|c| format!(" ({})", escaped(c))).unwrap_or_default();
    let description = line.description.map(escaped).unwrap_or_default();
    let limits: Vec<String> = line.limits.iter().map(|l| escaped(l)).collect();
    let (path, kind, limits) = (escaped(&line.path), &line.kind, limits.join("; "));
    format!("| {path} | {kind} | {required} | {limits} | {description}{class} |\n")
}

/// Nothing in it is markup, and it stays in its cell.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '\\' | '#' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
