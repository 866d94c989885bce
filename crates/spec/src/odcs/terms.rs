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
    pub servers: Vec<Server>,
    pub price: Option<String>,
    pub tags: Vec<String>,
    /// Authoritative definitions, as `businessDefinition https://…`.
    pub links: Vec<String>,
}

/// Where the data can be had.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Server {
    /// `None`: it is of all environments.
    pub environment: Option<String>,
    pub name: String,
    /// Every key that says where, as `type postgres`.
    pub place: Vec<String>,
}

impl Terms {
    /// What people are told, in this order, by what it is about; parts that the contract leaves out are left out. Of the servers, those
    /// of the environment.
    pub fn told(&self, environment: &str) -> Vec<(&'static str, Vec<String>)> {
        let of = |text: &Option<String>| text.iter().map(|t| t.trim_end().to_owned()).collect::<Vec<_>>();
        let here = |s: &&Server| s.environment.as_deref().is_none_or(|e| e == environment);
        let server = |s: &Server| format!("{} ({})", s.name, s.place.join(", "));
        let mut told = vec![
            ("purpose", of(&self.purpose)),
            ("usage", of(&self.usage)),
            ("limitations", of(&self.limitations)),
            ("domain", of(&self.domain)),
            ("product", of(&self.data_product)),
            ("owner", self.owners.clone()),
            ("support", self.support.clone()),
            ("roles", self.roles.clone()),
            ("agreed", self.agreed.clone()),
            ("servers", self.servers.iter().filter(here).map(server).collect()),
            ("price", of(&self.price)),
            ("tags", self.tags.clone()),
            ("links", self.links.clone()),
        ];
        told.retain(|(_, said)| !said.is_empty());
        told
    }
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
    let price =
        node.get("price").and_then(|n| line(n, &["priceAmount", "priceCurrency"]).zip(Some(text(n, "priceUnit"))));
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
        servers: items(node.get("servers")).iter().filter_map(server).collect(),
        price: price.map(|(amount, unit)| unit.map_or_else(|| amount.clone(), |unit| format!("{amount} per {unit}"))),
        tags: items(node.get("tags")).iter().filter_map(scalar).collect(),
        links: lines("authoritativeDefinitions", &["type", "url"]),
    }
}

fn server(node: &Node) -> Option<Server> {
    const ABOUT: [&str; 5] = ["id", "server", "environment", "description", "roles"];
    let Value::Map(entries) = &node.value else { return None };
    let place = entries.iter().filter(|e| !ABOUT.contains(&e.key.value.as_str()));
    let place = place.filter_map(|e| Some(format!("{} {}", e.key.value, scalar(&e.value)?))).collect();
    Some(Server { environment: text(node, "environment"), name: text(node, "server")?, place })
}

fn text(node: &Node, key: &str) -> Option<String> {
    scalar(node.get(key)?)
}

fn scalar(node: &Node) -> Option<String> {
    match &node.value {
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
