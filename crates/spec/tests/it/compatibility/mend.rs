//! What the texts of [`Comparison::fix`](alluvium_spec::Comparison::fix) advise, done to the new version: what breaks is as it was before.

use alluvium_spec::{
    Field, FieldKind as Kind, FieldLimits as Limits, Mode, ObjectShape, Shape, TableRule, What, compare,
};
use std::collections::BTreeSet;

/// `new`, changed as little as needed so that it keeps to `mode` beside `old`.
pub(super) fn mended(old: &Shape, new: &Shape, mode: Mode) -> Shape {
    let mut out = new.clone();
    let only = old.objects.len() == 1 && new.objects.len() == 1;
    for was in &old.objects {
        match out.objects.iter_mut().find(|o| only || o.name == was.name) {
            Some(now) => {
                fields(&was.fields, &mut now.fields, mode);
                if mode.backward() {
                    now.rules.retain(|r| follows(&was.rules, r));
                }
                if mode.forward() {
                    let lost = was.rules.iter().filter(|r| !follows(&now.rules, r));
                    let lost: Vec<_> = lost.cloned().collect();
                    now.rules.extend(lost);
                }
            }
            None if mode.forward() => out.objects.push(was.clone()),
            None => {}
        }
    }
    out
}

fn fields(old: &[Field], new: &mut Vec<Field>, mode: Mode) {
    for f in new.iter_mut() {
        match old.iter().find(|o| o.name == f.name) {
            Some(was) => field(was, f, mode),
            None if mode.backward() => f.limits.required = false,
            None => {}
        }
    }
    if mode.forward() {
        let lost = old.iter().filter(|o| o.limits.required && !new.iter().any(|f| f.name == o.name));
        let lost: Vec<Field> = lost.cloned().collect();
        new.extend(lost);
    }
}

fn field(old: &Field, new: &mut Field, mode: Mode) {
    match (&old.kind, &mut new.kind) {
        (Kind::Object(Some(old)), Kind::Object(Some(new))) => fields(old, new, mode),
        (Kind::Array(Some(old)), Kind::Array(Some(new))) => field(old, new, mode),
        _ => {}
    }
    for what in asked(old, new, mode) {
        restore(what, old, new, mode);
    }
    // Limits can depend on each other; then all of them are as before.
    if !asked(old, new, mode).is_empty() {
        new.kind = old.kind.clone();
        new.limits = old.limits.clone();
    }
}

/// What breaks in a direction that the mode asks for, nested fields apart.
fn asked(old: &Field, new: &Field, mode: Mode) -> BTreeSet<What> {
    let of = |f: &Field| alone(vec![Field { name: "f".to_owned(), ..f.clone() }], Vec::new());
    let found = compare(&of(old), &of(new));
    found.breaking(mode).filter(|c| c.path.to_string() == "t.f").map(|c| c.what).collect()
}

fn follows(rules: &[TableRule], rule: &TableRule) -> bool {
    let more = [rules, std::slice::from_ref(rule)].concat();
    compare(&alone(Vec::new(), rules.to_vec()), &alone(Vec::new(), more)).is_compatible(Mode::Backward)
}

fn alone(fields: Vec<Field>, rules: Vec<TableRule>) -> Shape {
    let object = ObjectShape { name: "t".to_owned(), fields, rules, ..ObjectShape::default() };
    Shape { objects: vec![object], ..Shape::default() }
}

fn restore(what: What, old: &Field, new: &mut Field, mode: Mode) {
    let (was, now): (&Limits, &mut Limits) = (&old.limits, &mut new.limits);
    match what {
        What::Type => new.kind = old.kind.clone(),
        What::Required => now.required = was.required,
        What::Minimum => now.low.clone_from(&was.low),
        What::Maximum => now.high.clone_from(&was.high),
        What::MinLength => now.length.min = was.length.min,
        What::MaxLength => now.length.max = was.length.max,
        What::Pattern => now.patterns.clone_from(&was.patterns),
        What::MultipleOf => now.steps.clone_from(&was.steps),
        What::Values => now.values = values(was.values.as_ref(), now.values.as_ref(), mode),
        What::MissingValues => now.missing.clone_from(&was.missing),
        What::MinItems => now.items.min = was.items.min,
        What::MaxItems => now.items.max = was.items.max,
        What::UniqueItems => now.unique_items = was.unique_items,
        What::MinProperties => now.properties.min = was.properties.min,
        What::MaxProperties => now.properties.max = was.properties.max,
        What::ObjectAdded
        | What::ObjectRemoved
        | What::FieldAdded
        | What::FieldRemoved
        | What::FieldRenamed
        | What::RuleAdded
        | What::RuleRemoved
        | What::RuleChanged
        | What::Name
        | What::Size
        | What::Default
        | What::Format
        | What::Content
        | What::AdditionalProperties
        | What::PatternProperties
        | What::PropertyNames
        | What::Dependencies
        | What::Items
        | What::Contains
        | What::Alternatives
        | What::Not
        | What::Conditional
        | What::Schema => {}
    }
}

/// Backward the values of both, forward those that both have.
fn values(old: Option<&BTreeSet<String>>, new: Option<&BTreeSet<String>>, mode: Mode) -> Option<BTreeSet<String>> {
    match (old, new) {
        (Some(old), Some(new)) if mode.backward() && !mode.forward() => Some(old.union(new).cloned().collect()),
        (Some(old), Some(new)) if mode.forward() && !mode.backward() => Some(old.intersection(new).cloned().collect()),
        _ => old.cloned(),
    }
}
