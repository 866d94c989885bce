//! A page for a browser: one file that loads nothing and runs nothing, whatever the contract says.

use super::{
    lines::{Line, lines},
    words::rules,
};
use crate::{
    compatibility::{ObjectShape, Shape},
    odcs::Terms,
};

/// Keeps even what escaping might miss from loading or running.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;\
color:#1c2126;background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;\
padding:.4rem .6rem;border-bottom:1px solid #cfd6dc}code{font:.9em ui-monospace,monospace}td,li,p,h1,dd{\
overflow-wrap:anywhere;white-space:pre-line}dt{font-weight:600}dd{margin:0 0 .3rem 1.1rem}ul{margin:0;padding-left:1.1rem}.class{font-size:.85em;border:1px solid;\
border-radius:.3rem;padding:0 .3rem}@media(prefers-color-scheme:dark){body{color:#e4e8eb;background:#14181b}\
th,td{border-color:#3a434b}}";

/// Of the servers, those of the environment.
pub fn html(shape: &Shape, object: &ObjectShape, terms: &Terms, environment: &str) -> String {
    let name = escaped(&object.name);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"{POLICY}\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{name}</h1>\n"
    );
    if let Some(description) = &object.description {
        out.push_str(&format!("<p>{}</p>\n", escaped(description)));
    }
    let (id, version) = (escaped(&shape.id), escaped(&shape.version));
    let status = terms.status.as_deref().map_or_else(String::new, |s| format!(", {}", escaped(s)));
    out.push_str(&format!("<p>Contract <code>{id}</code>, version {version}{status}.</p>\n"));
    out.push_str(&about(&terms.told(environment)));
    out.push_str("<table>\n<thead><tr>");
    for heading in ["field", "type", "required", "limits", "description"] {
        out.push_str(&format!("<th scope=\"col\">{heading}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    lines(object).iter().for_each(|l| out.push_str(&row(l)));
    out.push_str("</tbody>\n</table>\n");
    let rules: Vec<&str> = rules(object, |columns| *columns == *object.primary_key).collect();
    if !rules.is_empty() {
        out.push_str(&format!("<h2>Rules</h2>\n{}\n", list(rules.into_iter())));
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn about(told: &[(&str, Vec<String>)]) -> String {
    if told.is_empty() {
        return String::new();
    }
    let line = |(about, said): &(&str, Vec<String>)| {
        let said: String = said.iter().map(|s| format!("<dd>{}</dd>", escaped(s))).collect();
        format!("<dt>{about}</dt>{said}\n")
    };
    format!("<dl>\n{}</dl>\n", told.iter().map(line).collect::<String>())
}

fn row(line: &Line<'_>) -> String {
    let required = line.need.word();
    let limits = if line.limits.is_empty() { String::new() } else { list(line.limits.iter().map(String::as_str)) };
    let description = line.description.map(escaped).unwrap_or_default();
    let class =
        line.classification.map(|c| format!(" <span class=\"class\">{}</span>", escaped(c))).unwrap_or_default();
    let (path, kind) = (escaped(&line.path), escaped(&line.kind));
    format!(
        "<tr><th scope=\"row\"><code>{path}</code></th><td>{kind}</td><td>{required}</td><td>{limits}</td>\
         <td>{description}{class}</td></tr>\n"
    )
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: String = items.map(|i| format!("<li>{}</li>", escaped(i))).collect();
    format!("<ul>{items}</ul>")
}

/// Text in an element or in a quoted attribute. What HTML allows in neither is shown as a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
