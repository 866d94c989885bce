//! What a contract says that nothing here acts on, and what the standard has given up. Called for `contract lint` only: it is
//! no mistake, and stays in the contract.

use crate::{
    codes,
    diagnostic::Sink,
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
    let newest = node.get("apiVersion").is_some_and(|n| ["v3.1.0", "v3.2.0"].iter().any(|v| is_text(n, v)));
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
        quality(object, newest, &mut r);
        list(object, "properties").iter().for_each(|p| property(p, newest, &mut r));
    }
}

fn property(node: &Node, newest: bool, r: &mut Reader<'_>) {
    idle(node, &PROPERTY, r);
    quality(node, newest, r);
    let inside = list(node, "properties").iter().chain(node.get("items"));
    inside.for_each(|n| property(n, newest, r));
}

fn quality(node: &Node, newest: bool, r: &mut Reader<'_>) {
    for rule in list(node, "quality") {
        idle(rule, &RULE, r);
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
