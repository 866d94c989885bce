//! `datasets/silver/*.yaml`: how a dataset is cleaned.

use super::{
    NOT_YET, accept,
    draft::{Body, Draft, EnrichDraft, SilverDraft, StepDraft},
    effort, normalize, publish, turns, watermark, when, write,
};
use crate::{
    codes,
    diagnostic::{Sink, quoted},
    library::Library,
    nearest,
    source_file::{SourceFile, Spanned},
    sql,
    yaml::{self, Entry, Node, Reader, Unknown, Value},
};
use alluvium_model::DatasetName;
use std::sync::Arc;

const STEPS: [&str; 4] = ["normalize", "validate", "enrich", "sql"];

pub(crate) fn read(name: DatasetName, file: Arc<SourceFile>, library: &Library, sink: &mut Sink) -> Option<Draft> {
    let node = yaml::parse(&file.text, &file, sink)?;
    let mut r = Reader { file: &file, sink, library: Some(library), unknown: Unknown::Mistake };
    let mut f = r.fields(&node, "a mapping that starts with `from: …`")?;
    let description = f.take("description").and_then(|n| r.text(n)).map(|t| t.value);
    let from = f.require("from", &mut r).and_then(|n| r.parsed::<DatasetName>(n));
    let contract = f.require("contract", &mut r).and_then(|n| r.name(n));
    let steps = f.take("steps").map_or_else(|| Some(vec![StepDraft::Validate]), |n| steps(n, &mut r));
    let write = write::read(&mut f, &mut r);
    let cluster_by = f.take("cluster_by").map_or_else(|| Some(Vec::new()), |n| r.names(n));
    let watermark = watermark::read(&mut f, &mut r);
    let accept = accept::read(&mut f, &mut r);
    let turns = turns::read(&name, &mut f, &mut r);
    let effort = effort::read(&mut f, &mut r);
    let publish = publish::read(&mut f, &mut r);
    let when = when::read(&mut f, &mut r);
    f.not_yet(&NOT_YET, &mut r);
    f.not_yet(&["window"], &mut r);
    f.finish_with(&mut r, super::belongs);
    let body = match (from, steps, write, watermark, cluster_by) {
        (Some(from), Some(steps), Some(write), Ok(watermark), Some(cluster_by)) => {
            Body::Silver(Box::new(SilverDraft { from, steps, write, watermark, cluster_by }))
        }
        _ => Body::Unusable,
    };
    Some(Draft { name, description, contract: Some(contract?), accept, turns, effort, publish, when, body, file })
}

/// `None` if a step could not be read, so that what depends on the steps is not reported as well.
fn steps(node: &Node, r: &mut Reader<'_>) -> Option<Vec<StepDraft>> {
    let items = r.list(node)?;
    let read: Vec<Option<StepDraft>> = items.iter().map(|n| step(n, r)).collect();
    let steps: Vec<StepDraft> = read.into_iter().collect::<Option<_>>()?;
    check_order(node, items, &steps, r);
    Some(steps)
}

fn step(node: &Node, r: &mut Reader<'_>) -> Option<StepDraft> {
    let (word, place, argument) = match &node.value {
        Value::Scalar(_) => {
            let text = r.text(node)?;
            (text.value, text.place, None)
        }
        Value::Map(entries) => match entries.as_slice() {
            [Entry { key, value }] => (key.value.clone(), key.place, Some(value).filter(|v| !v.is_null())),
            _ => {
                let help = Some("start each step with its own `-`".to_owned());
                r.error(codes::WRONG_TYPE, node.place, "a step is one word with its settings", help);
                return None;
            }
        },
        Value::List(_) => {
            r.wrong_type(node, "a step");
            return None;
        }
    };
    match (word.as_str(), argument) {
        ("validate", None) => Some(StepDraft::Validate),
        ("validate", Some(n)) => {
            let help = Some("write `- validate`; the rules stand in the contract".to_owned());
            r.error(codes::WRONG_TYPE, n.place, "`validate` takes no settings", help);
            None
        }
        ("normalize", Some(n)) => normalize::read(n, r).map(StepDraft::Normalize),
        ("enrich", Some(n)) => enrich(n, r).map(StepDraft::Enrich),
        ("sql", Some(n)) => sql_step(n, r),
        ("normalize" | "enrich" | "sql", None) => {
            r.error(codes::MISSING_KEY, place, format!("`{word}` needs its settings"), None);
            None
        }
        ("function" | "mask" | "deduplicate", _) => {
            r.error(codes::NOT_AVAILABLE, place, format!("`{word}` is not available yet in this version"), None);
            None
        }
        _ => {
            r.error(codes::NOT_A_CHOICE, place, format!("{} is no step", quoted(&word)), nearest::help(&word, STEPS));
            None
        }
    }
}

fn check_order(node: &Node, items: &[Node], steps: &[StepDraft], r: &mut Reader<'_>) {
    let mut validated = false;
    for (item, step) in items.iter().zip(steps) {
        match step {
            StepDraft::Validate if validated => {
                r.error(
                    codes::STEPS,
                    item.place,
                    "the rows are validated already",
                    Some("keep one `validate`".to_owned()),
                );
            }
            StepDraft::Validate => validated = true,
            StepDraft::Normalize(_) if validated => {
                let help = Some("write it before `validate`, which turns texts into the contract's types".to_owned());
                r.error(codes::STEPS, item.place, "`normalize` works on texts as received", help);
            }
            StepDraft::Normalize(_) | StepDraft::Enrich(_) | StepDraft::Sql { .. } => {}
        }
    }
    if !validated {
        let help = Some("add `- validate`".to_owned());
        r.error(codes::STEPS, node.place, "the steps never validate, so the contract would not be checked", help);
    }
}

fn enrich(node: &Node, r: &mut Reader<'_>) -> Option<EnrichDraft> {
    let mut f =
        r.fields(node, "a mapping such as `{ lookup: silver.airlines, on: carrier, take: { airline: name } }`")?;
    let lookup = f.require("lookup", r).and_then(|n| r.parsed::<DatasetName>(n));
    let on = f.require("on", r).and_then(|n| same_or_pairs(n, r));
    let take = f.require("take", r).and_then(|n| same_or_pairs(n, r));
    f.finish(r);
    Some(EnrichDraft { lookup: lookup?, on: on?, take: take? })
}

type Pair = (Spanned<String>, Spanned<String>);

/// `name`, `{here: there}`, or a list of both.
fn same_or_pairs(node: &Node, r: &mut Reader<'_>) -> Option<Vec<Pair>> {
    let pairs: Vec<Pair> = match &node.value {
        Value::Map(_) => r.pairs(node)?,
        Value::Scalar(_) => r.name(node).map(|n| (n.clone(), n)).into_iter().collect(),
        Value::List(items) => items
            .iter()
            .flat_map(|n| match &n.value {
                Value::Map(_) => r.pairs(n).unwrap_or_default(),
                Value::List(_) | Value::Scalar(_) => r.name(n).map(|n| (n.clone(), n)).into_iter().collect(),
            })
            .collect(),
    };
    if pairs.is_empty() {
        r.error(codes::MISSING_KEY, node.place, "at least one column is needed here", None);
        return None;
    }
    Some(pairs)
}

fn sql_step(node: &Node, r: &mut Reader<'_>) -> Option<StepDraft> {
    let text = r.text(node)?;
    match sql::row_query(&text.value, r.library) {
        Ok(query) => Some(StepDraft::Sql { line: node.first_text_line(), query }),
        Err(mistakes) => {
            for m in mistakes {
                r.error(m.code, node.place_of_inner(m.place), m.message, m.help);
            }
            None
        }
    }
}
