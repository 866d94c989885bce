//! A page for people.

use super::words::{rules, said};
use crate::compatibility::{Field, Kind, ObjectShape, Shape};

pub fn markdown(shape: &Shape, object: &ObjectShape) -> String {
    let mut out = format!("# {}\n\n", escaped(&object.name));
    if let Some(description) = &object.description {
        out.push_str(&format!("{}\n\n", escaped(description)));
    }
    out.push_str(&format!("Contract `{}`, version {}.\n\n", shape.id.replace('`', ""), escaped(&shape.version)));
    out.push_str("| field | type | required | limits | description |\n|---|---|---|---|---|\n");
    rows("", &object.fields, object, &mut out);
    let rules: Vec<String> = rules(object, |columns| *columns == *object.primary_key).map(escaped).collect();
    if !rules.is_empty() {
        out.push_str(&format!("\nRules:\n\n- {}\n", rules.join("\n- ")));
    }
    out
}

fn rows(above: &str, fields: &[Field], object: &ObjectShape, out: &mut String) {
    for f in fields {
        let path = format!("{above}{}", f.name);
        let key = above.is_empty() && object.primary_key.contains(&f.name);
        let required = match (key, f.limits.required) {
            (true, _) => "key",
            (false, true) => "yes",
            (false, false) => "",
        };
        let class = f.classification.as_ref().map(|c| format!(" ({})", escaped(c))).unwrap_or_default();
        let description = f.description.as_deref().map(escaped).unwrap_or_default();
        let limits: Vec<String> = said(f).iter().map(|s| escaped(s)).collect();
        let row = [&escaped(&path), &f.kind.text(), required, &limits.join("; "), &format!("{description}{class}")];
        out.push_str(&format!("| {} |\n", row.map(str::to_owned).join(" | ")));
        match &f.kind {
            Kind::Object(Some(fields)) => rows(&format!("{path}."), fields, object, out),
            Kind::Array(Some(item)) => match &item.kind {
                Kind::Object(Some(fields)) => rows(&format!("{path}[]."), fields, object, out),
                other => out.push_str(&format!("| {} | {} |  |  |  |\n", escaped(&format!("{path}[]")), other.text())),
            },
            _ => {}
        }
    }
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
