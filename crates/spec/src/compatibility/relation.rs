//! The compatibility relation: two shapes walked side by side.
//!
//! Data holds only the fields that its contract names, and a reader takes the fields that it knows and leaves the others:
//! so a field may be added or left out wherever no reader insists on it.

use super::{
    change::{Change, Comparison, Language, Path, What},
    domain::{self, Side},
    shape::{Field, Kind, Limits, ObjectShape, Scalar, Shape, Sizes, by_name},
    table,
};
use crate::contract::Bound;
use std::collections::BTreeSet;

/// Every difference between two versions, by path, and which direction each one breaks.
pub fn compare(old: &Shape, new: &Shape) -> Comparison {
    let mut changes = Vec::new();
    for (old, new) in pairs(old, new) {
        match (old, new) {
            (Some(old), Some(new)) => {
                let path = Path::root(&new.name);
                fields(&path, &old.fields, &new.fields, &mut changes);
                table::compare(&path, old, new, &mut changes);
            }
            (Some(old), None) => changes.push(named(Path::root(&old.name), What::ObjectRemoved, false, true)),
            (None, Some(new)) => changes.push(named(Path::root(&new.name), What::ObjectAdded, false, false)),
            (None, None) => {}
        }
    }
    changes.sort_by(|a, b| (&a.path, a.what).cmp(&(&b.path, b.what)));
    Comparison { language: Language::Odcs, changes }
}

type Pair<'a> = (Option<&'a ObjectShape>, Option<&'a ObjectShape>);

/// Objects of one name; two only objects belong together whatever they are named.
fn pairs<'a>(old: &'a Shape, new: &'a Shape) -> Vec<Pair<'a>> {
    if let ([old], [new]) = (old.objects.as_slice(), new.objects.as_slice()) {
        return vec![(Some(old), Some(new))];
    }
    let find = |shape: &'a Shape, name: &str| shape.objects.iter().find(|o| o.name == name);
    let kept = new.objects.iter().map(|n| (find(old, &n.name), Some(n)));
    let gone = old.objects.iter().filter(|o| find(new, &o.name).is_none()).map(|o| (Some(o), None));
    kept.chain(gone).collect()
}

fn fields(path: &Path, old: &[Field], new: &[Field], out: &mut Vec<Change>) {
    let (before, after) = (by_name(old), by_name(new));
    let mut removed: Vec<&Field> = old.iter().filter(|f| !after.contains_key(f.name.as_str())).collect();
    for f in new {
        if let Some(was) = before.get(f.name.as_str()) {
            field(&path.to(&f.name), was, f, out);
            continue;
        }
        let renamed = removed.iter().position(|r| is_renamed(r, f)).map(|i| removed.remove(i));
        let what = if renamed.is_some() { What::FieldRenamed } else { What::FieldAdded };
        let lost = renamed.is_some_and(|r| r.limits.required);
        let mut change = named(path.to(&f.name), what, f.limits.required, lost);
        change.before = renamed.map(|r| r.name.clone());
        change.after = Some(if renamed.is_some() { f.name.clone() } else { described(f) });
        out.push(change);
    }
    for f in removed {
        let mut change = named(path.to(&f.name), What::FieldRemoved, false, f.limits.required);
        change.before = Some(described(f));
        out.push(change);
    }
}

fn is_renamed(old: &Field, new: &Field) -> bool {
    (old.id.is_some() && old.id == new.id) || old.name.to_lowercase() == new.name.to_lowercase()
}

fn described(f: &Field) -> String {
    format!("{}{}", if f.limits.required { "required " } else { "optional " }, f.kind.text())
}

fn field(path: &Path, old: &Field, new: &Field, out: &mut Vec<Change>) {
    let (backward, forward) = breaks(old, new);
    let mut all: BTreeSet<What> = differing(&old.limits, &new.limits);
    all.extend(backward.iter().chain(&forward));
    if old.kind.text() != new.kind.text() {
        all.insert(What::Type);
    }
    for what in all {
        out.push(Change {
            path: path.clone(),
            what,
            before: text_of(what, old),
            after: text_of(what, new),
            breaks_backward: backward.contains(&what),
            breaks_forward: forward.contains(&what),
        });
    }
    match (&old.kind, &new.kind) {
        (Kind::Object(Some(old)), Kind::Object(Some(new))) => fields(path, old, new, out),
        (Kind::Array(Some(old)), Kind::Array(Some(new))) => field(&path.items(), old, new, out),
        _ => {}
    }
}

/// What the new field demands and the old one does not keep to, and the other way round; nested fields apart.
fn breaks(old: &Field, new: &Field) -> (BTreeSet<What>, BTreeSet<What>) {
    (broken(old, new), broken(new, old))
}

fn broken(writer: &Field, reader: &Field) -> BTreeSet<What> {
    let (w, r) = (&writer.limits, &reader.limits);
    let mut out = match (&writer.kind, &reader.kind) {
        (_, Kind::Any) => broken_of_any(writer, r),
        (Kind::Scalar(a), Kind::Scalar(b)) => domain::broken(&Side::new(*a, w), &Side::new(*b, r)),
        (Kind::Object(a), Kind::Object(b)) => {
            let mut out =
                sizes(present(a.as_deref(), w.properties), r.properties, What::MinProperties, What::MaxProperties);
            if a.is_none() && b.as_ref().is_some_and(|f| !f.is_empty()) {
                out.insert(What::Type);
            }
            out
        }
        (Kind::Array(a), Kind::Array(b)) => {
            let mut out = sizes(w.items, r.items, What::MinItems, What::MaxItems);
            if r.unique_items && !w.unique_items {
                out.insert(What::UniqueItems);
            }
            if a.is_none() && b.is_some() {
                out.insert(What::Type);
            }
            out
        }
        _ => BTreeSet::from([What::Type]),
    };
    if r.required && !w.required {
        out.insert(What::Required);
    }
    out
}

/// As [`broken`], for a reader that takes every type. What it demands of texts is compared with what a writer of texts or of anything
/// keeps to; of other types it is not known.
fn broken_of_any(writer: &Field, demanded: &Limits) -> BTreeSet<What> {
    if *demanded == (Limits { required: demanded.required, ..Limits::default() }) {
        return BTreeSet::new();
    }
    match &writer.kind {
        Kind::Any | Kind::Scalar(Scalar::String) => {
            let kept = &writer.limits;
            let mut out = domain::broken(&Side::new(Scalar::String, kept), &Side::new(Scalar::String, demanded));
            out.extend(sizes(kept.properties, demanded.properties, What::MinProperties, What::MaxProperties));
            out
        }
        Kind::Scalar(_) | Kind::Object(_) | Kind::Array(_) => BTreeSet::from([What::Type]),
    }
}

/// How many fields an object has at least and at most.
fn present(fields: Option<&[Field]>, said: Sizes) -> Sizes {
    let Some(fields) = fields else { return said };
    let mut sizes = said;
    let required = fields.iter().filter(|f| f.limits.required).count();
    sizes.within(Sizes { min: Some(required as u64), max: Some(fields.len() as u64) });
    sizes
}

fn sizes(kept: Sizes, demanded: Sizes, min: What, max: What) -> BTreeSet<What> {
    let checks = [(domain::keeps_min(kept, demanded), min), (domain::keeps_max(kept, demanded), max)];
    checks.into_iter().filter(|(ok, _)| !ok).map(|(_, what)| what).collect()
}

/// What is written differently, whether or not it matters.
fn differing(old: &Limits, new: &Limits) -> BTreeSet<What> {
    let checks = [
        (old.required == new.required, What::Required),
        (old.low == new.low, What::Minimum),
        (old.high == new.high, What::Maximum),
        (old.length.min == new.length.min, What::MinLength),
        (old.length.max == new.length.max, What::MaxLength),
        (old.patterns == new.patterns, What::Pattern),
        (old.steps == new.steps, What::MultipleOf),
        (old.values == new.values, What::Values),
        (old.missing == new.missing, What::MissingValues),
        (old.items.min == new.items.min, What::MinItems),
        (old.items.max == new.items.max, What::MaxItems),
        (old.unique_items == new.unique_items, What::UniqueItems),
        (old.properties.min == new.properties.min, What::MinProperties),
        (old.properties.max == new.properties.max, What::MaxProperties),
    ];
    checks.into_iter().filter(|(same, _)| !same).map(|(_, what)| what).collect()
}

fn text_of(what: What, f: &Field) -> Option<String> {
    let l = &f.limits;
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    let list = |set: &BTreeSet<String>| (!set.is_empty()).then(|| set.iter().cloned().collect::<Vec<_>>().join(", "));
    let yes = |b: bool| b.then(|| "true".to_owned());
    match what {
        What::Type => Some(f.kind.text()),
        What::Required => yes(l.required),
        What::Minimum => l.low.as_ref().map(|b| bound(b, "above")),
        What::Maximum => l.high.as_ref().map(|b| bound(b, "below")),
        What::MinLength => number(l.length.min),
        What::MaxLength => number(l.length.max),
        What::Pattern => list(&l.patterns),
        What::MultipleOf => list(&l.steps),
        What::Values => l.values.as_ref().map(|v| format!("[{}]", v.iter().cloned().collect::<Vec<_>>().join(", "))),
        What::MissingValues => list(&l.missing).map(|v| format!("[{v}]")),
        What::MinItems => number(l.items.min),
        What::MaxItems => number(l.items.max),
        What::UniqueItems => yes(l.unique_items),
        What::MinProperties => number(l.properties.min),
        What::MaxProperties => number(l.properties.max),
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
        | What::Schema => None,
    }
}

fn bound(b: &Bound, exclusive: &str) -> String {
    if b.inclusive { b.value.clone() } else { format!("{exclusive} {}", b.value) }
}

fn named(path: Path, what: What, breaks_backward: bool, breaks_forward: bool) -> Change {
    Change { path, what, before: None, after: None, breaks_backward, breaks_forward }
}
