//! The parts of a contract about servers, people and terms. They are checked for form; nothing here decides rows. Of the
//! service-level agreement, latency and frequency say how long a step may take, and when a table is overdue.

use super::{
    common::{annotations, custom, texts},
    draft::{Agreement, Promise},
};
use crate::{
    codes,
    schedule::{CatchUp, Schedule},
    source_file::Spanned,
    yaml::{Fields, Node, Reader, Value},
};
use alluvium_model::Span;

/// Properties of an agreement that bound the time of a step, in any case of letters.
const TIMES: [(&str, Promise); 2] = [("latency", Promise::Latency), ("frequency", Promise::Frequency)];
const YEAR_DAYS: i64 = 365;

/// Every key that some kind of server has.
const SERVER_KEYS: [&str; 29] = [
    "account",
    "catalog",
    "catalogUrl",
    "database",
    "dataset",
    "delimiter",
    "encoding",
    "endpointUrl",
    "environment",
    "format",
    "host",
    "id",
    "location",
    "namespace",
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
    "workgroup",
    "description",
    "type",
    "server",
];

pub(super) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Vec<Agreement> {
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
    let Some(n) = f.take("slaProperties") else { return Vec::new() };
    r.list(n).unwrap_or_default().iter().filter_map(|item| agreement(item, r)).collect()
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

fn agreement(node: &Node, r: &mut Reader<'_>) -> Option<Agreement> {
    let mut f = r.fields(node, "a mapping with `property` and `value`")?;
    let property = f.require("property", r).and_then(|n| r.text(n));
    let value = f.take("value");
    let mut text = |key| f.take(key).and_then(|n| r.text(n));
    let (unit, element) = (text("unit"), text("element"));
    texts(&mut f, &["id", "valueExt", "driver", "description"], r);
    let mut text = |key| f.take(key).and_then(|n| r.text(n));
    let (scheduler, cron) = (text("scheduler"), text("schedule"));
    annotations(&mut f, r);
    f.finish(r);
    let property = property?;
    let (_, promise) = TIMES.into_iter().find(|(word, _)| property.value.eq_ignore_ascii_case(word))?;
    let time = time(&property, value?, unit.as_ref(), r)?;
    // `table.column`, several with commas between them; a column alone is one of the only object.
    let objects = element.iter().flat_map(|e| e.value.split(',')).filter_map(|e| e.trim().rsplit_once('.'));
    let is_cron = scheduler.is_some_and(|s| s.value.trim().eq_ignore_ascii_case("cron"));
    let cron = cron.filter(|_| is_cron && promise == Promise::Frequency);
    let schedule = cron.and_then(|c| times(&c, r));
    Some(Agreement { promise, time, schedule, objects: objects.map(|(object, _)| object.to_owned()).collect() })
}

/// The times at which new data is agreed. The standard has no time zone: they are UTC.
fn times(cron: &Spanned<String>, r: &mut Reader<'_>) -> Option<Schedule> {
    let schedule = Schedule::new(&cron.value, "UTC", CatchUp::None);
    if let Err(why) = &schedule {
        let help = Some("write it as in `0 6 * * 1-5`; what is agreed is the frequency alone".to_owned());
        r.error(codes::OPTION_NOT_USED, cron.place, format!("the schedule is not used: {why}"), help);
    }
    schedule.ok()
}

fn time(property: &Spanned<String>, value: &Node, unit: Option<&Spanned<String>>, r: &mut Reader<'_>) -> Option<Span> {
    let value = r.text(value)?;
    let written = unit.map_or_else(|| value.value.clone(), |u| format!("{}{}", value.value, u.value.trim()));
    let time = match unit.map(|u| u.value.trim()) {
        Some("y" | "yr" | "year" | "years") => {
            let days = value.value.trim().parse::<i64>().ok().and_then(|n| n.checked_mul(YEAR_DAYS));
            days.and_then(|d| format!("{d}d").parse().ok())
        }
        Some("hr" | "hrs") => format!("{}h", value.value).parse().ok(),
        Some(_) | None => written.parse().ok(),
    };
    let time = time.filter(|t| *t > Span::ZERO);
    if time.is_none() {
        let message = format!("`{}` says no length of time, so no timeout follows from it", property.value);
        let help = "write a whole number and a unit, as in `value: 4`, `unit: h`".to_owned();
        r.error(codes::OPTION_NOT_USED, value.place, message, Some(help));
    }
    time
}
