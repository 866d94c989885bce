//! `schema:` objects and their properties.

use super::{
    common::{annotations_with_action, booleans, texts},
    draft::{CheckDraft, ColumnDraft, ObjectDraft, RuleDraft},
    names::{RESERVED, can_name},
    nested::{self, Within},
    options, quality, relationship,
    rules::{Said, Scope, action},
    types::{self, LOGICAL},
    vocabulary,
};
use crate::{
    codes,
    contract::{Action, Check, Column, ColumnType, Severity},
    diagnostic::quoted,
    source_file::{Place, Spanned},
    yaml::{Fields, Node, Reader, Value},
};
use std::collections::BTreeMap;

pub(super) fn object(node: &Node, r: &mut Reader<'_>) -> Option<ObjectDraft> {
    let mut f = r.fields(node, "a schema object with `name` and `properties`")?;
    let name = f.require("name", r).and_then(|n| r.name(n));
    let id = f.take("id").and_then(|n| r.text(n)).map(|t| t.value);
    let physical_name = f.take("physicalName").and_then(|n| r.text(n)).map(|t| t.value);
    let description = f.take("description").and_then(|n| r.text(n)).map(|t| t.value);
    texts(&mut f, &["physicalType", "businessName", "dataGranularityDescription"], r);
    if let Some(n) = f.take("logicalType") {
        r.choice(n, &[("object", ())]);
    }
    let said = annotations_with_action(&mut f, r);
    vocabulary::element(&mut f, r);
    vocabulary::context(&mut f, r);
    let mut object = ObjectDraft {
        id,
        name: name.unwrap_or_else(|| Spanned::new(String::new(), node.place)),
        physical_name,
        description,
        columns: Vec::new(),
        rules: Vec::new(),
    };
    if let Some(n) = f.take("properties") {
        for item in r.list(n).unwrap_or_default() {
            property(item, &mut object, r);
        }
    }
    if let Some(n) = f.take("relationships") {
        for item in r.list(n).unwrap_or_default() {
            object.rules.extend(relationship::at_schema(item, r));
        }
    }
    if let Some(n) = f.take("quality") {
        for item in r.list(n).unwrap_or_default() {
            object.rules.extend(quality::read(item, None, said.as_ref(), r));
        }
    }
    f.finish(r);
    check_names(&object, r);
    key_rule(&mut object);
    object.rules.sort_by_key(|d| d.place.line);
    (!object.name.value.is_empty()).then_some(object)
}

/// Reads one property as a column with its rules.
fn property(node: &Node, object: &mut ObjectDraft, r: &mut Reader<'_>) {
    let Some(mut f) = r.fields(node, "a property with `name` and `logicalType`") else { return };
    let name = f.require("name", r).and_then(|n| r.name(n));
    let place = name.as_ref().map_or(node.place, |n| n.place);
    let name = name.map(|n| n.value).unwrap_or_default();
    let base = Base::read(&mut f, r);
    let kind = types::column_type(base.logical, base.physical.as_ref(), r);
    let said = Said { own: None, severity: None, property: base.action.as_ref() };
    let act = action(Scope::Row, said, None, place, r);
    let column = Column {
        name: name.clone(),
        kind: kind.unwrap_or(ColumnType::String),
        description: base.description.clone(),
        classification: base.classification.clone(),
        required: base.required.is_some() || base.key.is_some(),
    };
    object.rules.push(simple("type", &name, Check::Type, act, place));
    if let Some(at) = base.required.or_else(|| base.key.map(|(_, at)| at)) {
        object.rules.push(simple("required", &name, Check::Required, act, at));
    }
    if let Some(at) = base.unique {
        object.rules.push(simple("unique", &name, Check::Unique, act, at));
    }
    let allowed = base.allowed.as_ref().map_or(&[][..], |(values, _)| values);
    if let Some((values, at)) = &base.allowed {
        object.rules.push(simple("enum", &name, Check::OneOf { values: values.clone() }, act, *at));
    }
    let given = f.take("logicalTypeOptions");
    if let Some(n) = given {
        for (made, check, at) in options::read(n, base.logical, column.kind, r) {
            let inside = nested::of_whole(&check, base.logical);
            object.rules.push(RuleDraft { inside, ..simple(made, &name, check, act, at) });
        }
    } else if base.logical == types::Logical::Vector {
        r.error(codes::TYPE_OPTION, place, "a vector has `logicalTypeOptions: { dimensions: … }`", None);
    }
    for item in f.take("relationships").and_then(|n| r.list(n)).unwrap_or_default() {
        let from = Spanned::new(name.clone(), place);
        object.rules.extend(relationship::at_property(item, from, base.action.as_ref(), r));
    }
    for item in f.take("quality").and_then(|n| r.list(n)).unwrap_or_default() {
        let property = quality::Property { name: &name, kind: column.kind, allowed };
        object.rules.extend(quality::read(item, Some(property), base.action.as_ref(), r));
    }
    let mut within = Within::new(&name, &mut object.rules);
    let inside = within.read(&mut f, &[], &base, given, r);
    within.finish(r);
    f.finish(r);
    if !name.is_empty() {
        let key_position = base.key.map(|(p, _)| p);
        object.columns.push(ColumnDraft { id: base.id, column, inside, place, key_position });
    }
}

/// What a property says about itself, beside its name, rules and nested properties.
pub(super) struct Base {
    pub(super) id: Option<String>,
    pub(super) logical: types::Logical,
    pub(super) physical: Option<Spanned<String>>,
    pub(super) description: Option<String>,
    pub(super) classification: Option<String>,
    /// Where `required: true` stands.
    pub(super) required: Option<Place>,
    pub(super) unique: Option<Place>,
    /// Position and place of `primaryKey: true`.
    pub(super) key: Option<(i64, Place)>,
    pub(super) action: Option<Spanned<Action>>,
    /// The values of `enum`, and where it stands.
    pub(super) allowed: Option<(Vec<String>, Place)>,
}

impl Base {
    pub(super) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Self {
        let mut text = |key| f.take(key).and_then(|n| r.text(n));
        let id = text("id").map(|t| t.value);
        let physical = text("physicalType");
        let description = text("description").map(|t| t.value);
        let classification = text("classification").map(|t| t.value);
        let written = f.take("logicalType").and_then(|n| r.choice(n, &LOGICAL)).map(|l| l.value);
        // What stands inside says it, too.
        let logical = written
            .or_else(|| f.take("properties").map(|_| types::Logical::Object))
            .or_else(|| f.take("items").map(|_| types::Logical::Array));
        let mut flag = |key, r: &mut Reader<'_>| {
            let e = f.take_entry(key).filter(|e| !e.value.is_null())?;
            r.boolean(&e.value)?.then_some(e.key.place)
        };
        let (required, unique, key) = (flag("required", r), flag("unique", r), flag("primaryKey", r));
        let position = f.take("primaryKeyPosition").and_then(|n| r.whole::<i64>(n)).unwrap_or(-1);
        booleans(f, &["partitioned", "criticalDataElement"], r);
        f.take("partitionKeyPosition").and_then(|n| r.whole::<i64>(n));
        texts(f, &["businessName", "physicalName", "encryptedName", "transformLogic", "transformDescription"], r);
        for key in ["transformSourceObjects", "examples"] {
            f.take(key).and_then(|n| r.list(n));
        }
        let action = annotations_with_action(f, r);
        vocabulary::element(f, r);
        vocabulary::semantic_type(f, r);
        let allowed = vocabulary::allowed(f, required.is_some(), r);
        let logical = types::logical(logical, physical.as_ref());
        Self {
            id,
            logical,
            physical,
            description,
            classification,
            required,
            unique,
            key: key.map(|at| (position, at)),
            action,
            allowed,
        }
    }
}

pub(super) fn simple(kind: &str, column: &str, check: Check, action: Action, place: Place) -> RuleDraft {
    RuleDraft {
        own_id: None,
        made_id: format!("{kind}:{column}"),
        place,
        columns: vec![column.to_owned()],
        inside: None,
        check: CheckDraft::Ready(check),
        action,
        severity: if action == Action::Warn { Severity::Warning } else { Severity::Error },
        dimension: None,
        description: None,
        threshold: None,
    }
}

/// The columns of the primary key are unique together.
fn key_rule(object: &mut ObjectDraft) {
    let mut keys: Vec<&ColumnDraft> = object.columns.iter().filter(|c| c.key_position.is_some()).collect();
    keys.sort_by_key(|c| c.key_position.filter(|p| *p > 0).unwrap_or(i64::MAX));
    let Some(first) = keys.first() else { return };
    let columns: Vec<String> = keys.iter().map(|c| c.column.name.clone()).collect();
    let unique_already = |d: &RuleDraft| matches!(d.check, CheckDraft::Ready(Check::Unique)) && d.columns == columns;
    if object.rules.iter().any(unique_already) {
        return;
    }
    let place = first.place;
    object.rules.push(RuleDraft {
        own_id: None,
        made_id: format!("unique:{}", columns.join(",")),
        place,
        columns,
        inside: None,
        check: CheckDraft::Ready(Check::Unique),
        action: Action::Quarantine,
        severity: Severity::Error,
        dimension: None,
        description: None,
        threshold: None,
    });
}

fn check_names(object: &ObjectDraft, r: &mut Reader<'_>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for c in &object.columns {
        let name = &c.column.name;
        if let Some(line) = seen.insert(name.to_lowercase(), c.place.line) {
            r.error(codes::COLUMN_NAME, c.place, format!("line {line} has a column {} already", quoted(name)), None);
        }
        if RESERVED.contains(&name.as_str()) {
            let help = Some("bronze rows carry where they came from under these names".to_owned());
            r.error(codes::COLUMN_NAME, c.place, format!("the name {} is reserved", quoted(name)), help);
        }
        if !can_name(name) {
            let help = Some("write letters, digits and `_`".to_owned());
            r.error(codes::COLUMN_NAME, c.place, format!("{} cannot name a column of a table", quoted(name)), help);
        }
    }
}

/// The values of a quality rule's argument; null is one of them.
pub(super) fn texts_or_nulls(node: &Node, r: &mut Reader<'_>) -> Vec<Option<String>> {
    let Value::List(items) = &node.value else {
        r.wrong_type(node, "a list of values");
        return Vec::new();
    };
    items.iter().map(|n| if n.is_null() { None } else { r.text(n).map(|t| t.value) }).collect()
}
