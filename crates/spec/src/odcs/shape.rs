//! A document as a [`Shape`]: what is promised of every field, nested ones too. Called once the document has been read
//! without a mistake, so nothing is reported here.

use super::{
    common::annotations_with_mode,
    draft::{CheckDraft, RuleDraft, Target},
    nested, options, quality, relationship,
    rules::{Said, Scope, action},
    schema::{Base, simple},
    types::{self, Logical},
};
use crate::{
    compatibility::{About, Field, Kind, Limits, ObjectShape, Scalar, Shape, Sizes, TableRule},
    contract::{Action, Check, ColumnType, Threshold},
    diagnostic::Sink,
    source_file::{SourceFile, Spanned},
    sql,
    yaml::{self, Node, Reader},
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn shape(file: &SourceFile) -> Option<Shape> {
    let mut quiet = Sink::default();
    let node = yaml::parse(&file.text, file, &mut quiet)?;
    let mut r = Reader::new(file, &mut quiet);
    let mut f = r.fields(&node, "an ODCS document")?;
    let mut text = |key| f.take(key).and_then(|n| r.text(n)).map(|t| t.value).unwrap_or_default();
    let (id, version) = (text("id"), text("version"));
    let objects = f.take("schema").and_then(|n| r.list(n)).unwrap_or_default();
    let objects = objects.iter().filter_map(|n| object(n, &mut r)).collect();
    Some(Shape { id, version, mode: annotations_with_mode(&mut f, &mut r), objects })
}

fn object(node: &Node, r: &mut Reader<'_>) -> Option<ObjectShape> {
    let mut f = r.fields(node, "a schema object")?;
    let name = f.take("name").and_then(|n| r.text(n))?.value;
    let description = f.take("description").and_then(|n| r.text(n)).map(|t| t.value);
    let mut found = Found::default();
    let properties = f.take("properties").and_then(|n| r.list(n)).unwrap_or_default();
    let fields = properties.iter().filter_map(|n| field(n, "", None, &mut found, r)).collect();
    let said = super::common::annotations_with_action(&mut f, r);
    for item in f.take("relationships").and_then(|n| r.list(n)).unwrap_or_default() {
        found.rules.extend(relationship::at_schema(item, r).and_then(|d| table_rule(&d, "", None)));
    }
    for item in f.take("quality").and_then(|n| r.list(n)).unwrap_or_default() {
        found.rules.extend(quality::read(item, None, said.as_ref(), r).iter().filter_map(|d| table_rule(d, "", None)));
    }
    found.keys.sort_by_key(|(position, _)| if *position > 0 { *position } else { i64::MAX });
    let primary_key: Vec<String> = found.keys.into_iter().map(|(_, name)| name).collect();
    if !primary_key.is_empty() && !found.rules.iter().any(|r| r.is_key() && r.columns == primary_key) {
        found.rules.push(unique(&primary_key, None));
    }
    Some(ObjectShape { name, description, primary_key, fields, rules: found.rules })
}

/// What fields say beyond themselves.
#[derive(Default)]
struct Found {
    rules: Vec<TableRule>,
    keys: Vec<(i64, String)>,
}

/// `above`: the path to the field, without its own name; empty for columns. `said`: what was said there of the action.
fn field(
    node: &Node,
    above: &str,
    said: Option<&Spanned<Action>>,
    found: &mut Found,
    r: &mut Reader<'_>,
) -> Option<Field> {
    let mut f = r.fields(node, "a property")?;
    let name = f.take("name").and_then(|n| r.text(n)).map(|t| t.value).unwrap_or_default();
    let mut base = Base::read(&mut f, r);
    base.action = base.action.or_else(|| said.cloned());
    let column_type = types::column_type(base.logical, base.physical.as_ref(), r).unwrap_or(ColumnType::String);
    let said = Said { own: None, severity: None, property: base.action.as_ref() };
    let act = action(Scope::Row, said, None, node.place, r);
    let mut drafts = Vec::new();
    if base.required.is_some() || base.key.is_some() {
        drafts.push(simple("required", &name, Check::Required, act, node.place));
    }
    if base.unique.is_some() {
        drafts.push(simple("unique", &name, Check::Unique, act, node.place));
    }
    let allowed = base.allowed.as_ref().map_or(&[][..], |(values, _)| values);
    if let Some((values, at)) = &base.allowed {
        drafts.push(simple("enum", &name, Check::OneOf { values: values.clone() }, act, *at));
    }
    let mut limits = Limits::default();
    if let Some(n) = f.take("logicalTypeOptions") {
        let checks = options::read(n, base.logical, column_type, r);
        drafts.extend(checks.into_iter().map(|(made, check, at)| simple(made, &name, check, act, at)));
    }
    for item in f.take("relationships").and_then(|n| r.list(n)).unwrap_or_default() {
        let from = Spanned::new(name.clone(), node.place);
        drafts.extend(relationship::at_property(item, from, base.action.as_ref(), r));
    }
    for item in f.take("quality").and_then(|n| r.list(n)).unwrap_or_default() {
        let property = quality::Property { name: &name, kind: column_type, allowed };
        drafts.extend(quality::read(item, Some(property), base.action.as_ref(), r));
    }
    let scalar = Scalar::of(column_type);
    for d in drafts.iter().filter(|d| d.action != Action::Warn) {
        let strict = d.threshold.is_none();
        if !(strict && ready(d).is_some_and(|check| limit(check, scalar, &mut limits))) {
            found.rules.extend(table_rule(d, above, scalar));
        }
    }
    if let Some((position, _)) = base.key {
        found.keys.push((position, name.clone()));
    }
    let below = format!("{above}{name}.");
    let names = node.get("logicalTypeOptions").filter(|_| base.logical == Logical::Object && act != Action::Warn);
    let names = names.and_then(|n| n.get("required")).and_then(|n| r.names(n)).unwrap_or_default();
    let kind = match scalar {
        _ if !above.is_empty() && !nested::is_typed(node, base.logical) => {
            found.rules.extend(require(&names, &mut []).into_iter().map(|name| required(&below, name)));
            Kind::Any
        }
        Some(scalar) => Kind::Scalar(scalar),
        None if matches!(base.logical, Logical::Array | Logical::Vector) => {
            Kind::Array(items(f.take("items"), &below, base.action.as_ref(), found, r))
        }
        None => {
            let list = f.take("properties").and_then(|n| r.list(n));
            let mut fields: Option<Vec<Field>> =
                list.map(|l| l.iter().filter_map(|n| field(n, &below, base.action.as_ref(), found, r)).collect());
            let undeclared = require(&names, fields.as_deref_mut().unwrap_or_default());
            found.rules.extend(undeclared.into_iter().map(|name| required(&below, name)));
            Kind::Object(fields)
        }
    };
    let (description, classification) = (base.description, base.classification);
    Some(Field { name, id: base.id, description, classification, kind, limits })
}

/// The fields that `required` among the options of their object names. Gives those that it does not declare, each once.
fn require<'n>(names: &'n [Spanned<String>], fields: &mut [Field]) -> BTreeSet<&'n str> {
    let mut declared: BTreeMap<String, &mut Field> = fields.iter_mut().map(|f| (f.name.clone(), f)).collect();
    let mut undeclared = BTreeSet::new();
    for name in names {
        match declared.get_mut(&name.value) {
            Some(f) => f.limits.required = true,
            None => {
                undeclared.insert(name.value.as_str());
            }
        }
    }
    undeclared
}

/// That a field is there which is not declared. `below`: the path to it, from its column on.
fn required(below: &str, name: &str) -> TableRule {
    let text = format!("required {below}{name}");
    let columns = below.split('.').next().map(str::to_owned).into_iter().collect();
    let label = format!("required {}{name}", below.replace("..", "[]."));
    TableRule { subject: text.clone(), text, label, columns, about: About::Rows, threshold: None }
}

/// The keys of an element are none of the object.
fn items(
    node: Option<&Node>,
    above: &str,
    said: Option<&Spanned<Action>>,
    found: &mut Found,
    r: &mut Reader<'_>,
) -> Option<Box<Field>> {
    let keys = found.keys.len();
    let item = field(node?, above, said, found, r).map(Box::new);
    found.keys.truncate(keys);
    item
}

fn ready(d: &RuleDraft) -> Option<&Check> {
    match &d.check {
        CheckDraft::Ready(check) => Some(check),
        CheckDraft::Expression { .. } | CheckDraft::Query { .. } | CheckDraft::Reference { .. } => None,
    }
}

/// Takes up what a rule says about single values; `false`: it says something else.
fn limit(check: &Check, kind: Option<Scalar>, limits: &mut Limits) -> bool {
    match check {
        Check::Required => limits.required = true,
        Check::Missing { values } => {
            limits.required |= values.iter().any(Option::is_none);
            limits.missing.extend(values.iter().flatten().cloned());
        }
        Check::OneOf { values } => limits.only(values.iter().cloned().collect()),
        Check::Range { min, max } => {
            let Some(kind) = kind else { return false };
            min.iter().for_each(|b| limits.raise(kind, b));
            max.iter().for_each(|b| limits.lower(kind, b));
        }
        Check::Length { min, max } => limits.length.within(Sizes { min: *min, max: *max }),
        Check::Pattern { regex } => {
            limits.patterns.insert(regex.clone());
        }
        Check::MultipleOf { divisor } => {
            limits.steps.insert(divisor.to_string());
        }
        Check::Items { min, max } => limits.items = Sizes { min: *min, max: *max },
        Check::Properties { min, max } => limits.properties = Sizes { min: *min, max: *max },
        Check::UniqueItems => limits.unique_items = true,
        Check::Type => {}
        Check::Inside { .. }
        | Check::Unique
        | Check::Reference { .. }
        | Check::Expression { .. }
        | Check::RowCount
        | Check::Query { .. } => {
            return false;
        }
    }
    true
}

fn unique(columns: &[String], threshold: Option<Threshold>) -> TableRule {
    let text = format!("unique {}", columns.join(", "));
    let label = format!("{text}{}", tolerated(threshold));
    TableRule { subject: text.clone(), text, label, columns: columns.to_vec(), about: About::Unique, threshold }
}

fn tolerated(threshold: Option<Threshold>) -> String {
    threshold.map(|t| format!(" {}", t.words())).unwrap_or_default()
}

/// `None`: it only warns.
fn table_rule(d: &RuleDraft, above: &str, scalar: Option<Scalar>) -> Option<TableRule> {
    if d.action == Action::Warn {
        return None;
    }
    let at_top = above.is_empty();
    if at_top && matches!(ready(d), Some(Check::Unique)) {
        return Some(unique(&d.columns, d.threshold));
    }
    let columns =
        if at_top { d.columns.clone() } else { above.split('.').next().map(str::to_owned).into_iter().collect() };
    let (kind, meaning) = match &d.check {
        CheckDraft::Ready(Check::Unique) => ("unique", d.columns.join(", ")),
        CheckDraft::Ready(check) => ("rule", json!(check).to_string()),
        CheckDraft::Expression { sql, .. } => {
            ("expression", sql::row_expression(sql, None).map_or_else(|_| sql.clone(), |e| e.canonical))
        }
        CheckDraft::Query { sql, .. } => {
            let parsed = sql::query(&sql.replace("${object}", "_object__"), None);
            ("query", parsed.map_or_else(|_| sql.clone(), |q| q.canonical).replace("_object__", "${object}"))
        }
        CheckDraft::Reference { from, to, .. } => {
            let from: Vec<&str> = from.iter().map(|f| f.value.as_str()).collect();
            let to: Vec<String> = to.iter().map(|t| target(&t.value)).collect();
            ("reference", format!("{} -> {}", from.join(", "), to.join(", ")))
        }
    };
    let about = about(d, scalar, at_top);
    let text = format!("{kind} {above}{} {meaning}", d.columns.join(","));
    let subject = if let About::Values(_) = about { d.made_id.clone() } else { text.clone() };
    let tolerated = tolerated(d.threshold);
    let label = match &d.own_id {
        Some(id) => format!("{} ({kind} {meaning}{tolerated})", id.value),
        None => format!("{kind} {meaning}{tolerated}"),
    };
    Some(TableRule { text, subject, label, columns, about, threshold: d.threshold })
}

fn about(d: &RuleDraft, scalar: Option<Scalar>, at_top: bool) -> About {
    match &d.check {
        CheckDraft::Query { .. } => About::Number,
        CheckDraft::Ready(Check::RowCount) => About::RowCount,
        CheckDraft::Ready(check) if at_top && scalar.is_some() => {
            let mut limits = Limits::default();
            if limit(check, scalar, &mut limits) { About::Values(Box::new(limits)) } else { About::Rows }
        }
        CheckDraft::Ready(_) | CheckDraft::Expression { .. } | CheckDraft::Reference { .. } => About::Rows,
    }
}

fn target(target: &Target) -> String {
    match target {
        Target::Property { contract, object, property, .. } => {
            let file = contract.as_ref().map(|c| format!("{c}#")).unwrap_or_default();
            format!("{file}{object}.{property}")
        }
        Target::Column { dataset, column } => format!("{dataset}.{column}"),
    }
}
