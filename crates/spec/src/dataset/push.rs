//! `source.http`: the types of events that a bronze dataset takes, and their schemas. Called by `bronze.rs`, and by `webhook.rs` for those of
//! signed calls.

use crate::{
    avro, codes,
    compatibility::Mode,
    contract_file::SchemaFile,
    definition::{EventSchema, OrderBy, Push, Rate},
    diagnostic::quoted,
    json_schema,
    paths::Fence,
    project_file::inside,
    rate,
    source_file::{Place, SourceFile, Spanned},
    yaml::{Fields, Node, Reader, Value},
};
use alluvium_model::Span;
use std::{collections::BTreeMap, sync::Arc};

const TYPES: &str = "a list of types, or a mapping such as `{ com.example.order.placed: schemas/order.json }`";
const ORDERS: [(&str, OrderBy); 2] = [("arrival", OrderBy::Arrival), ("time", OrderBy::Time)];

/// How events that are pushed become landing objects.
pub(super) struct Taken {
    /// Those that follow each other within this time are one batch.
    pub(super) settle: Span,
    pub(super) order_by: OrderBy,
    pub(super) rate: Option<Spanned<Rate>>,
}

pub(super) fn taken(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Taken {
    let settle = f.take("settle").and_then(|n| r.parsed::<Span>(n)).map_or(Span::ZERO, |s| s.value);
    let order_by = f.take("order_by").and_then(|n| r.choice(n, &ORDERS)).map(|o| o.value).unwrap_or_default();
    let rate = |n: &Node| rate::read(n, |limit| limit, r).map(|rate| Spanned::new(rate, n.place));
    Taken { settle, order_by, rate: f.take("rate").and_then(rate) }
}

pub(super) fn read(node: &Node, fence: &Fence, r: &mut Reader<'_>) -> Option<(Push, Taken)> {
    let mut f = r.fields(node, "a mapping such as `{ types: [com.example.order.placed] }`")?;
    let push = f.require("types", r).and_then(|n| types(n, fence, r));
    let taken = taken(&mut f, r);
    f.finish(r);
    Some((Push { rate: taken.rate.as_ref().map(|rate| rate.value.clone()), ..push? }, taken))
}

pub(super) fn types(node: &Node, fence: &Fence, r: &mut Reader<'_>) -> Option<Push> {
    let (names, schemas) = match node.value {
        Value::Map(_) => with_schemas(node, fence, r)?,
        Value::List(_) | Value::Scalar(_) => (r.names(node)?, BTreeMap::new()),
    };
    for name in &names {
        let start = if schemas.is_empty() { name.value.strip_suffix('*') } else { None };
        if start.unwrap_or(&name.value).contains('*') {
            let help = match schemas.is_empty() {
                true => "`*` stands at the end, as in `com.example.order.*`",
                false => "write each type by itself: a schema is that of one",
            };
            let message = format!("{} is no type of events", quoted(&name.value));
            r.error(codes::INVALID_VALUE, name.place, message, Some(help.to_owned()));
        }
    }
    if names.is_empty() {
        r.wrong_type(node, TYPES);
        return None;
    }
    Some(Push { types: names.into_iter().map(|t| t.value).collect(), schemas, rate: None })
}

type WithSchemas = (Vec<Spanned<String>>, BTreeMap<String, Arc<EventSchema>>);

/// `None` if one of them cannot be used.
fn with_schemas(node: &Node, fence: &Fence, r: &mut Reader<'_>) -> Option<WithSchemas> {
    let (mut names, mut schemas, mut usable) = (Vec::new(), BTreeMap::new(), true);
    for entry in r.entries(node)? {
        match schema(&entry.value, entry.key.place, fence, r) {
            Some(schema) => {
                schemas.insert(entry.key.value.clone(), Arc::new(schema));
            }
            None => usable = false,
        }
        names.push(entry.key.clone());
    }
    usable.then_some((names, schemas))
}

/// A path, or a mapping with the mode.
fn schema(node: &Node, place: Place, fence: &Fence, r: &mut Reader<'_>) -> Option<EventSchema> {
    let (path, mode) = match node.value {
        Value::Map(_) => {
            let mut f = r.fields(node, "a mapping such as `{ schema: schemas/order.json, compatibility: FULL }`")?;
            let path = f.require("schema", r).and_then(|n| r.name(n));
            let mode = f.take("compatibility").map_or(Some(Mode::Backward), |n| Some(r.parsed::<Mode>(n)?.value));
            f.finish(r);
            (path, mode)
        }
        Value::List(_) | Value::Scalar(_) => (r.name(node), Some(Mode::Backward)),
    };
    let (path, mode) = (path?, mode?);
    let found = inside(&path, fence, r)?;
    let shown = found.strip_prefix(fence.root()).unwrap_or(&found).to_owned();
    let is_avro = shown.extension().is_some_and(|e| e == "avsc");
    if !is_avro && shown.extension().is_none_or(|e| e != "json") {
        let help = "a JSON Schema, whose name ends with `.json`, or an Avro schema, `.avsc`".to_owned();
        let message = format!("{} is no schema of events", quoted(&path.value));
        r.error(codes::INVALID_VALUE, path.place, message, Some(help));
        return None;
    }
    let file = SourceFile::read(fence.root(), &shown, r.sink)?;
    let read = match is_avro {
        true => {
            let schema = avro::read(&file, r.sink)?;
            avro::check_defaults(&schema, &file, r.sink).then_some(SchemaFile::Avro(schema))?
        }
        false => SchemaFile::JsonSchema(json_schema::read(&file, r.sink)?),
    };
    let validator = match read.validator()? {
        Ok(validator) => validator,
        Err(e) => {
            let help = "say it with other keywords, or leave it out".to_owned();
            r.sink.report(codes::SCHEMA, &file, Place::START, format!("events cannot be checked by this: {e}"), help);
            return None;
        }
    };
    let language = read.language();
    Some(EventSchema { file: shown, text: file.text.clone(), language, mode, validator, place })
}
