//! `datasets/gold/*.sql`: a query with YAML front matter in its leading comment.

use super::{
    NOT_YET, Unusable, accept,
    draft::{AcceptDraft, Body, Draft, GoldDraft, WindowDraft},
    effort::{self, EffortDraft},
    publish,
    turns::{self, TurnsDraft},
    when,
};
use crate::{
    codes,
    condition::Condition,
    definition::WindowSpec,
    diagnostic::Sink,
    library::Library,
    source_file::{Place, SourceFile, Spanned},
    sql,
    yaml::{self, Fields, Node, Reader},
};
use alluvium_model::{DatasetName, Span};
use std::sync::Arc;

struct FrontMatter {
    description: Option<String>,
    contract: Option<Spanned<String>>,
    window: Result<Option<WindowDraft>, Unusable>,
    accept: AcceptDraft,
    turns: TurnsDraft,
    effort: EffortDraft,
    publish: Vec<Spanned<String>>,
    when: Option<Condition>,
}

impl Default for FrontMatter {
    fn default() -> Self {
        Self {
            description: None,
            contract: None,
            window: Ok(None),
            accept: AcceptDraft::default(),
            turns: TurnsDraft::default(),
            effort: EffortDraft::default(),
            publish: Vec::new(),
            when: None,
        }
    }
}

pub(crate) fn read(name: DatasetName, file: Arc<SourceFile>, library: &Library, sink: &mut Sink) -> Option<Draft> {
    let (comment, statement) = split(&file, sink)?;
    let matter = match comment {
        Some(text) => front_matter(&name, &text, &file, sink),
        None => Some(FrontMatter::default()),
    };
    let gold = query(&file, statement, library, sink);
    let FrontMatter { description, contract, accept, turns, effort, publish, when, window } = matter?;
    let body = match (gold, window) {
        (Some((sql_line, query)), Ok(window)) => {
            let sql::Query { text, origins, canonical, calls, tables, outputs } = query;
            Body::Gold(GoldDraft { sql: text, sql_line, origins, calls, canonical, tables, outputs, window })
        }
        _ => Body::Unusable,
    };
    Some(Draft { name, description, contract, accept, turns, effort, publish, when, body, file })
}

/// The front matter, padded so that its places are the file's, and the byte at which the statement starts.
fn split(file: &SourceFile, sink: &mut Sink) -> Option<(Option<String>, usize)> {
    let text = &file.text;
    let start = text.len() - text.trim_start().len();
    if !text[start..].starts_with("/*") {
        return Some((None, start));
    }
    let Some(length) = text[start..].find("*/") else {
        let place = place_at(text, start);
        sink.report(codes::SQL_SYNTAX, file, place, "the leading comment does not end", "add `*/`".to_owned());
        return None;
    };
    let (inner, end) = (start + 2, start + length);
    let mut padded = blank(&text[..inner]);
    padded.push_str(text.get(inner..end).unwrap_or_default());
    let after = end + 2;
    let skipped = text[after..].len() - text[after..].trim_start().len();
    Some((Some(padded), after + skipped))
}

/// Spaces in place of all characters, line breaks kept.
fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\n' || c == '\r' { c } else { ' ' }).collect()
}

fn place_at(text: &str, byte: usize) -> Place {
    let before = &text[..byte];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place { line, column, length: 1 }
}

fn front_matter(name: &DatasetName, text: &str, file: &SourceFile, sink: &mut Sink) -> Option<FrontMatter> {
    let node = yaml::parse(text, file, sink)?;
    if node.is_null() {
        return Some(FrontMatter::default());
    }
    let mut r = Reader::new(file, sink);
    let mut f = r.fields(&node, "YAML front matter in the leading comment, as in `contract: daily_delays`")?;
    let description = f.take("description").and_then(|n| r.text(n)).map(|t| t.value);
    let contract = f.take("contract").and_then(|n| r.name(n));
    let window = window(&mut f, &mut r);
    let accept = accept::read(&mut f, &mut r);
    let turns = turns::read(name, &mut f, &mut r);
    let effort = effort::read(&mut f, &mut r);
    let publish = publish::read(&mut f, &mut r);
    let when = when::read(&mut f, &mut r);
    f.not_yet(&NOT_YET, &mut r);
    f.finish_with(&mut r, |key| {
        let inputs = matches!(key, "from" | "inputs");
        inputs.then(|| "inputs are read from the SQL; remove it".to_owned()).or_else(|| super::belongs(key))
    });
    Some(FrontMatter { description, contract, window, accept, turns, effort, publish, when })
}

fn window(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Result<Option<WindowDraft>, Unusable> {
    let Some(node) = f.take("window") else { return Ok(None) };
    written_window(node, r).map(Some).ok_or(Unusable)
}

fn written_window(node: &Node, r: &mut Reader<'_>) -> Option<WindowDraft> {
    let mut f = r.fields(node, "a mapping such as `{ column: flight_date, size: 1 day }`")?;
    let column = f.require("column", r).and_then(|n| r.name(n));
    let size = f.require("size", r).and_then(|n| r.parsed::<Span>(n));
    f.finish(r);
    let (column, size) = (column?, size?);
    if size.value.micros() <= 0 {
        r.error(codes::INVALID_VALUE, size.place, "a window has to have a length", None);
        return None;
    }
    Some(WindowDraft { spec: WindowSpec { column: column.value, size: size.value }, column_place: column.place })
}

/// With the line on which it starts.
fn query(file: &SourceFile, start: usize, library: &Library, sink: &mut Sink) -> Option<(usize, sql::Query)> {
    let statement = file.text[start..].trim_end();
    let statement = statement.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    if statement.is_empty() {
        sink.report(codes::SQL_STATEMENT, file, Place::WHOLE, "there is no SELECT in this file", None);
        return None;
    }
    let offset = place_at(&file.text, start);
    match sql::query(statement, Some(library)) {
        Ok(mut query) => {
            for t in &mut query.tables {
                t.place = t.place.within(offset);
            }
            Some((offset.line, query))
        }
        Err(mistakes) => {
            for m in mistakes {
                sink.report(m.code, file, m.place.within(offset), m.message, m.help);
            }
            None
        }
    }
}
