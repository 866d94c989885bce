//! What a contract says to people: who answers for it, and what was agreed. Called once the document has been read without a
//! mistake, so nothing is reported here. Nothing of this decides rows.

use crate::{
    diagnostic::Sink,
    source_file::SourceFile,
    yaml::{self, Node, Value},
};
use serde::Serialize;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Terms {
    pub status: Option<String>,
    pub domain: Option<String>,
    pub data_product: Option<String>,
    pub purpose: Option<String>,
    pub usage: Option<String>,
    pub limitations: Option<String>,
    /// The team, then its members who have not left.
    pub owners: Vec<String>,
    pub support: Vec<String>,
    pub roles: Vec<String>,
    /// As `frequency 1 m`.
    pub agreed: Vec<String>,
}

pub(crate) fn terms(file: &SourceFile) -> Terms {
    let Some(node) = yaml::parse(&file.text, file, &mut Sink::default()) else { return Terms::default() };
    let description = node.get("description");
    let of = |key| description.and_then(|d| text(d, key));
    let (team, members) = match node.get("team") {
        Some(t) if matches!(t.value, Value::List(_)) => (None, items(Some(t))),
        t => (t.and_then(|t| text(t, "name")), items(t.and_then(|t| t.get("members")))),
    };
    let members = members.iter().filter(|m| text(m, "dateOut").is_none()).filter_map(|m| {
        let name = text(m, "name").or_else(|| text(m, "username"))?;
        Some(text(m, "role").map_or_else(|| name.clone(), |role| format!("{name} ({role})")))
    });
    let line = |n: &Node, keys: &[&str]| {
        let parts: Vec<String> = keys.iter().filter_map(|k| text(n, k)).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let lines = |key: &str, keys: &[&str]| items(node.get(key)).iter().filter_map(|n| line(n, keys)).collect();
    Terms {
        status: text(&node, "status"),
        domain: text(&node, "domain"),
        data_product: text(&node, "dataProduct"),
        purpose: of("purpose").or_else(|| text(&node, "description")),
        usage: of("usage"),
        limitations: of("limitations"),
        owners: team.into_iter().chain(members).collect(),
        support: lines("support", &["channel", "tool", "url"]),
        roles: lines("roles", &["role", "access"]),
        agreed: lines("slaProperties", &["property", "value", "unit", "element"]),
    }
}

fn text(node: &Node, key: &str) -> Option<String> {
    match &node.get(key)?.value {
        Value::Scalar(s) if !s.text.is_empty() => Some(s.text.clone()),
        Value::Scalar(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|n| &n.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}
