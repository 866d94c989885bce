//! The parts of a contract about servers, people and terms. They are checked for form; nothing here decides rows.

use super::common::{annotations, custom, tags, texts};
use crate::yaml::{Fields, Node, Reader, Value};

/// Every key that some kind of server has.
const SERVER_KEYS: [&str; 26] = [
    "account",
    "catalog",
    "catalogUrl",
    "database",
    "dataset",
    "delimiter",
    "endpointUrl",
    "environment",
    "format",
    "host",
    "id",
    "location",
    "path",
    "port",
    "project",
    "region",
    "regionName",
    "schema",
    "serviceName",
    "stagingDir",
    "stream",
    "topic",
    "warehouse",
    "description",
    "type",
    "server",
];

pub(super) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    each(f, "servers", r, server);
    if let Some(n) = f.take("price") {
        price(n, r);
    }
    if let Some(n) = f.take("team") {
        team(n, r);
    }
    each(f, "roles", r, role);
    each(f, "support", r, support);
    texts(f, &["slaDefaultElement"], r);
    each(f, "slaProperties", r, agreement);
}

fn each(f: &mut Fields<'_>, key: &'static str, r: &mut Reader<'_>, read: fn(&Node, &mut Reader<'_>)) {
    let Some(n) = f.take(key) else { return };
    for item in r.list(n).unwrap_or_default() {
        read(item, r);
    }
}

fn server(node: &Node, r: &mut Reader<'_>) {
    let Some(mut f) = r.fields(node, "a mapping with `server` and `type`") else { return };
    f.require("server", r);
    f.require("type", r);
    texts(&mut f, &SERVER_KEYS, r);
    each(&mut f, "roles", r, role);
    annotations(&mut f, r);
    f.finish(r);
}

fn price(node: &Node, r: &mut Reader<'_>) {
    let Some(mut f) = r.fields(node, "a mapping with `priceAmount`") else { return };
    if let Some(n) = f.take("priceAmount") {
        r.number(n);
    }
    texts(&mut f, &["id", "priceCurrency", "priceUnit"], r);
    f.finish(r);
}

/// A list of members (v3.0), or a mapping with them (v3.1).
fn team(node: &Node, r: &mut Reader<'_>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|n| member(n, r)),
        Value::Map(_) | Value::Scalar(_) => {
            let Some(mut f) = r.fields(node, "a mapping with `members`") else { return };
            texts(&mut f, &["id", "name", "description"], r);
            each(&mut f, "members", r, member);
            annotations(&mut f, r);
            f.finish(r);
        }
    }
}

fn member(node: &Node, r: &mut Reader<'_>) {
    let Some(mut f) = r.fields(node, "a mapping with `username`") else { return };
    f.require("username", r);
    texts(&mut f, &["id", "username", "name", "description", "role", "dateIn", "dateOut", "replacedByUsername"], r);
    annotations(&mut f, r);
    f.finish(r);
}

fn role(node: &Node, r: &mut Reader<'_>) {
    let Some(mut f) = r.fields(node, "a mapping with `role`") else { return };
    f.require("role", r);
    texts(&mut f, &["id", "role", "description", "access", "firstLevelApprovers", "secondLevelApprovers"], r);
    custom(&mut f, r);
    f.finish(r);
}

fn support(node: &Node, r: &mut Reader<'_>) {
    let Some(mut f) = r.fields(node, "a mapping with `channel`") else { return };
    f.require("channel", r);
    texts(&mut f, &["id", "channel", "url", "description", "tool", "scope", "invitationUrl"], r);
    custom(&mut f, r);
    f.finish(r);
}

fn agreement(node: &Node, r: &mut Reader<'_>) {
    let Some(mut f) = r.fields(node, "a mapping with `property` and `value`") else { return };
    f.require("property", r);
    f.take("value");
    texts(
        &mut f,
        &["id", "property", "valueExt", "unit", "element", "driver", "description", "scheduler", "schedule"],
        r,
    );
    tags(&mut f, r);
    custom(&mut f, r);
    f.finish(r);
}
