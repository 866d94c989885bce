//! How a dataset has to read the files, so that their records fit the contract: its steps, and its file.

use super::{column::Plan, facts::Facts, propose::Naming, yaml::scalar};
use crate::definition::{Columns, Normalize, NullIf, Step};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn steps(plans: &[Plan<'_>]) -> Vec<Step> {
    let mut n = Normalize::default();
    for p in plans {
        if p.name != p.facts.name {
            n.rename.insert(p.facts.name.clone(), p.name.clone());
        }
        if let Some(format) = p.typed.parse {
            n.parse.insert(p.name.clone(), format.to_owned());
        }
    }
    if plans.iter().any(|p| p.facts.padded > 0) {
        n.trim = Columns::All;
    }
    n.null_if = null_if(plans);
    let some = !n.rename.is_empty() || !n.parse.is_empty() || n.trim == Columns::All || !n.null_if.is_empty();
    some.then_some(Step::Normalize(n)).into_iter().chain([Step::Validate]).collect()
}

/// For all columns, unless one of them has such a word as a value.
fn null_if(plans: &[Plan<'_>]) -> Vec<NullIf> {
    let words: BTreeSet<&str> = plans.iter().flat_map(|p| p.null_words.iter().copied()).collect();
    let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let taken = plans.iter().flat_map(|p| &p.real_words).any(|(w, _)| words.contains(w));
    if words.is_empty() {
        return Vec::new();
    }
    if !taken {
        let values = owned(&words.into_iter().collect::<Vec<_>>());
        return vec![NullIf { columns: Columns::All, values }];
    }
    let mut by_words: BTreeMap<&[&str], Vec<String>> = BTreeMap::new();
    for p in plans.iter().filter(|p| !p.null_words.is_empty()) {
        by_words.entry(&p.null_words).or_default().push(p.name.clone());
    }
    by_words.into_iter().map(|(w, c)| NullIf { columns: Columns::Named(c), values: owned(w) }).collect()
}

/// The file of a bronze dataset that reads the files; `None`: there is one, or none can.
pub(super) fn bronze(facts: &Facts, naming: &Naming<'_>) -> Option<String> {
    if naming.reads.is_some() || !facts.delimiters.is_empty() {
        return None;
    }
    let mut source = format!("files: {}", scalar(naming.folder?));
    if let Some(glob) = naming.glob {
        source.push_str(&format!(", glob: {}", scalar(glob)));
    }
    if let Some(delimiter) = facts.delimiter {
        source.push_str(&format!(", delimiter: {}", scalar(&char::from(delimiter).to_string())));
    }
    Some(format!("source: {{ {source} }}\n"))
}

/// The file of a silver dataset that has the contract.
pub(super) fn silver(steps: &[Step], key: &[&Plan<'_>], naming: &Naming<'_>) -> String {
    let from = naming.reads.map_or_else(|| format!("bronze.{}", naming.contract), ToString::to_string);
    let mut out = format!("from: {from}\ncontract: {}\nsteps:\n", naming.contract);
    for step in steps {
        match step {
            Step::Normalize(n) => out.push_str(&format!("  - normalize:\n{}", normalize(n))),
            Step::Validate | Step::Enrich(_) | Step::Sql { .. } => out.push_str("  - validate\n"),
        }
    }
    if key.is_empty() {
        out.push_str("write: append\n");
        return out;
    }
    out.push_str(&format!("write: {{ keys: {} }}\n", super::yaml::list(key.iter().map(|p| p.name.as_str()))));
    out
}

fn normalize(n: &Normalize) -> String {
    let mut out = String::new();
    let pairs = |of: &BTreeMap<String, String>| {
        let all: Vec<String> = of.iter().map(|(a, b)| format!("{}: {}", scalar(a), scalar(b))).collect();
        format!("{{ {} }}", all.join(", "))
    };
    let texts = |all: &[String]| super::yaml::list(all.iter().map(String::as_str));
    let mut line = |key: &str, value: String| out.push_str(&format!("      {key}: {value}\n"));
    if !n.rename.is_empty() {
        line("rename", pairs(&n.rename));
    }
    if n.trim == Columns::All {
        line("trim", "\"*\"".to_owned());
    }
    let everywhere = n.null_if.iter().find(|w| w.columns == Columns::All);
    match everywhere {
        Some(words) => line("null_if", texts(&words.values)),
        None if n.null_if.is_empty() => {}
        None => {
            let named = |w: &NullIf| match &w.columns {
                Columns::Named(c) => {
                    Some(format!("\n        - {{ columns: {}, values: {} }}", texts(c), texts(&w.values)))
                }
                Columns::All | Columns::None => None,
            };
            line("null_if", n.null_if.iter().filter_map(named).collect());
        }
    }
    if !n.parse.is_empty() {
        line("parse", pairs(&n.parse));
    }
    out
}
