//! What a contract says that nothing here acts on, and what the standard has given up. Called for `contract lint` only: it is
//! no mistake, and stays in the contract.

use super::{
    common::{ACTION, ACTIONS, COMPATIBILITY, MASKING, PREFIX, word},
    document::{Standard, standard},
};
use crate::{
    codes,
    compatibility::Mode,
    diagnostic::{Sink, quoted},
    source_file::SourceFile,
    yaml::{self, Entry, Node, Reader, Value},
};

/// Keys that look like an instruction, and are read by people only. By where they stand.
const DOCUMENT: [(&str, &str); 3] = [
    ("servers", "where data lies is said in alluvium.yaml and in the datasets"),
    ("roles", "nobody is given access by it"),
    ("price", "nothing is charged by it"),
];
const PROPERTY: [(&str, &str); 7] = [
    ("physicalName", "columns have the name of the property; `normalize: { rename: … }` renames"),
    ("partitioned", "tables are not partitioned"),
    ("partitionKeyPosition", "tables are not partitioned"),
    ("encryptedName", "nothing is encrypted by it"),
    ("transformLogic", "columns are made by the steps and the SQL of datasets"),
    ("transformSourceObjects", "lineage is read from the SQL of datasets"),
    ("criticalDataElement", "no rule follows from it"),
];
const RULE: [(&str, &str); 2] = [
    ("schedule", "rules are checked by every step, before it commits"),
    ("scheduler", "rules are checked by every step, before it commits"),
];
/// Service levels that bound the time of a step; all others are told to people.
const ACTED_ON: [&str; 2] = ["latency", "frequency"];

pub(crate) fn lint(file: &SourceFile, sink: &mut Sink) {
    let mut quiet = Sink::default();
    let Some(node) = yaml::parse(&file.text, file, &mut quiet) else { return };
    let mut r = Reader::new(file, sink);
    idle(&node, &DOCUMENT, &mut r);
    let newest = match node.get("apiVersion").map(|n| &n.value) {
        Some(Value::Scalar(s)) => standard(&s.text).is_some_and(|s| s != Standard::Known(0)),
        _ => false,
    };
    foreign(&node, COMPATIBILITY, &Mode::ALL, &mut r);
    if let Some(e) = entry(&node, "team").filter(|e| newest && matches!(e.value.value, Value::List(_))) {
        given_up(e, "a list is what v3.0 had", "write `team: { members: […] }`", &mut r);
    }
    if let Some(e) = entry(&node, "slaDefaultElement") {
        given_up(e, "the standard removes it", "write `element` at each of `slaProperties`", &mut r);
    }
    for level in list(&node, "slaProperties") {
        let Some(n) = level.get("property") else { continue };
        if !ACTED_ON.iter().any(|word| is_text(n, word)) {
            let help = Some("`latency` and `frequency` bound the time of a step".to_owned());
            r.error(codes::FOR_PEOPLE, n.place, "this service level is told to people only", help);
        }
    }
    for object in list(&node, "schema") {
        foreign(object, ACTION, &ACTIONS, &mut r);
        quality(object, newest, &mut r);
        list(object, "properties").iter().for_each(|p| property(p, newest, &mut r));
    }
}

fn property(node: &Node, newest: bool, r: &mut Reader<'_>) {
    idle(node, &PROPERTY, r);
    foreign(node, ACTION, &ACTIONS, r);
    for masking in custom(node, MASKING) {
        let message = format!("{} is told to people only: columns are shown as they are", quoted(MASKING));
        r.error(codes::FOR_PEOPLE, masking.place, message, None);
    }
    quality(node, newest, r);
    let inside = list(node, "properties").iter().chain(node.get("items"));
    inside.for_each(|n| property(n, newest, r));
}

fn quality(node: &Node, newest: bool, r: &mut Reader<'_>) {
    for relationship in list(node, "relationships") {
        foreign(relationship, ACTION, &ACTIONS, r);
    }
    for rule in list(node, "quality") {
        idle(rule, &RULE, r);
        foreign(rule, ACTION, &ACTIONS, r);
        if let Some(e) = entry(rule, "rule").filter(|_| newest) {
            given_up(e, "v3.1 has `metric` in its place", "write `metric`", r);
        }
    }
}

fn idle(node: &Node, keys: &[(&str, &str)], r: &mut Reader<'_>) {
    for (key, why) in keys {
        if let Some(e) = entry(node, key) {
            let message = format!("`{key}` is told to people only: {why}");
            r.error(codes::FOR_PEOPLE, e.key.place, message, None);
        }
    }
}

/// A custom property that is named like one of ours, and says something else.
fn foreign<T: Copy>(node: &Node, name: &str, words: &[(&'static str, T)], r: &mut Reader<'_>) {
    for value in custom(node, name).filter_map(|c| c.get("value")).filter(|n| word(n, words).is_none()) {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("{} is told to people only: its value is none of ours", quoted(name));
        let help = format!("write `{PREFIX}{name}` with one of {}", all.join(", "));
        r.error(codes::FOR_PEOPLE, value.place, message, Some(help));
    }
}

fn custom<'n>(node: &'n Node, name: &str) -> impl Iterator<Item = &'n Node> {
    list(node, "customProperties").iter().filter(move |c| c.get("property").is_some_and(|n| is_text(n, name)))
}

fn given_up(e: &Entry, why: &str, help: &str, r: &mut Reader<'_>) {
    let message = format!("`{}` is deprecated here: {why}", e.key.value);
    r.error(codes::DEPRECATED, e.key.place, message, Some(help.to_owned()));
}

fn entry<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|e| e.key.value == key && !e.value.is_null()),
        Value::List(_) | Value::Scalar(_) => None,
    }
}

fn list<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    match node.get(key).map(|n| &n.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

fn is_text(node: &Node, text: &str) -> bool {
    matches!(&node.value, Value::Scalar(s) if s.text.eq_ignore_ascii_case(text))
}
