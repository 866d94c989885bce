//! The differences between two schemas, named. The verdict of a direction is that of [`Inclusion`], as a whole.

use super::{
    inclusion::Inclusion,
    node::{Document, JsonSchema, Node},
};
use crate::compatibility::{Change, Comparison, Language, Path, What};
use serde_json::Value;
use std::collections::BTreeSet;

/// Deeper ones are told by their parent.
const MOST_DEPTH: usize = 32;
/// Longer values are named by their kind.
const MOST_TEXT: usize = 200;

const KEYWORDS: [(&str, What); 35] = [
    ("type", What::Type),
    ("enum", What::Values),
    ("const", What::Values),
    ("minimum", What::Minimum),
    ("exclusiveMinimum", What::Minimum),
    ("maximum", What::Maximum),
    ("exclusiveMaximum", What::Maximum),
    ("multipleOf", What::MultipleOf),
    ("minLength", What::MinLength),
    ("maxLength", What::MaxLength),
    ("pattern", What::Pattern),
    ("format", What::Format),
    ("contentEncoding", What::Content),
    ("contentMediaType", What::Content),
    ("additionalProperties", What::AdditionalProperties),
    ("unevaluatedProperties", What::AdditionalProperties),
    ("patternProperties", What::PatternProperties),
    ("propertyNames", What::PropertyNames),
    ("minProperties", What::MinProperties),
    ("maxProperties", What::MaxProperties),
    ("dependencies", What::Dependencies),
    ("dependentRequired", What::Dependencies),
    ("dependentSchemas", What::Dependencies),
    ("additionalItems", What::Items),
    ("prefixItems", What::Items),
    ("unevaluatedItems", What::Items),
    ("contains", What::Contains),
    ("minItems", What::MinItems),
    ("maxItems", What::MaxItems),
    ("uniqueItems", What::UniqueItems),
    ("anyOf", What::Alternatives),
    ("oneOf", What::Alternatives),
    ("allOf", What::Alternatives),
    ("not", What::Not),
    ("if", What::Conditional),
];

pub(crate) fn compare(old: &JsonSchema, new: &JsonSchema) -> Comparison {
    if old == new {
        return Comparison { language: Language::JsonSchema, changes: Vec::new() };
    }
    let (old, new) = (Document::new(&old.0), Document::new(&new.0));
    between(Node { document: &old, value: old.root }, Node { document: &new, value: new.root })
}

fn between<'a>(old: Node<'a>, new: Node<'a>) -> Comparison {
    let path = Path::root(new.value.get("title").and_then(Value::as_str).unwrap_or("$"));
    let mut walk = Walk { changes: Vec::new(), seen: BTreeSet::new() };
    walk.schemas(&path, old, new, 0);
    let mut changes = walk.changes;
    let backward = reads(old, new);
    let forward = reads(new, old);
    for change in &mut changes {
        change.breaks_backward &= !backward;
        change.breaks_forward &= !forward;
    }
    let told = (changes.iter().any(|c| c.breaks_backward), changes.iter().any(|c| c.breaks_forward));
    if (!backward && !told.0) || (!forward && !told.1) {
        changes.push(made(path, What::Schema, !backward && !told.0, !forward && !told.1));
    }
    changes.sort_by(|a, b| (&a.path, a.what).cmp(&(&b.path, b.what)));
    Comparison { language: Language::JsonSchema, changes }
}

fn reads<'a>(writer: Node<'a>, reader: Node<'a>) -> bool {
    Inclusion::default().reads(&writer.parts(), reader)
}

struct Walk {
    changes: Vec<Change>,
    seen: BTreeSet<(usize, usize)>,
}

impl Walk {
    fn schemas(&mut self, path: &Path, old: Node<'_>, new: Node<'_>, depth: usize) {
        let (old, new) = (target(old), target(new));
        if depth > MOST_DEPTH || !self.seen.insert((old.id(), new.id())) {
            return;
        }
        for (key, what) in KEYWORDS {
            let (before, after) = (old.value.get(key), new.value.get(key));
            if before != after {
                let backward = after.is_some() && !Inclusion::default().follows(&old.parts(), new, key);
                let forward = before.is_some() && !Inclusion::default().follows(&new.parts(), old, key);
                // A part of `allOf` stands for itself.
                let of_all = |demanded: Node<'_>, kept| {
                    key == "allOf" && !demanded.list(key).into_iter().all(|d| reads(kept, d))
                };
                let (backward, forward) = (backward || of_all(new, old), forward || of_all(old, new));
                self.push(path, what, before.map(text), after.map(text), (backward, forward));
            }
        }
        self.properties(path, old, new, depth);
        self.required(path, old, new);
        self.items(path, old, new, depth);
    }

    fn properties(&mut self, path: &Path, old: Node<'_>, new: Node<'_>, depth: usize) {
        let of = |n: Node<'_>, name: &str| n.value.get("properties").and_then(|p| p.get(name)).is_some();
        let names = |n: Node<'_>| -> BTreeSet<String> {
            n.value
                .get("properties")
                .and_then(Value::as_object)
                .map(|m| m.keys().cloned().collect())
                .unwrap_or_default()
        };
        for name in names(old).union(&names(new)) {
            let here = path.to(name);
            let own = |n| Node::get(n, "properties").and_then(|p| p.get(name));
            if let (Some(old), Some(new)) = (own(old), own(new)) {
                self.schemas(&here, old, new, depth + 1);
                continue;
            }
            let one = Inclusion::default();
            let (before, after) = (one.property(&old.parts(), name), one.property(&new.parts(), name));
            // The side without the property has whatever it lets through besides.
            let passes = |kept, side| match own(side) {
                Some(demanded) => Inclusion::default().reads(kept, demanded),
                None => match Node::get(side, "additionalProperties").or_else(|| side.get("unevaluatedProperties")) {
                    Some(others) => Inclusion::default().reads(kept, others),
                    None => true,
                },
            };
            let breaks = (!passes(&before, new), !passes(&after, old));
            let what = if of(new, name) { What::FieldAdded } else { What::FieldRemoved };
            let said = |n| own(n).map(described);
            self.push(&here, what, said(old), said(new), breaks);
        }
    }

    fn required(&mut self, path: &Path, old: Node<'_>, new: Node<'_>) {
        let (before, after): (BTreeSet<&str>, BTreeSet<&str>) =
            (old.names("required").into_iter().collect(), new.names("required").into_iter().collect());
        for name in before.symmetric_difference(&after) {
            let added = after.contains(name);
            let side = if added { new } else { old };
            let has_default = side.get("properties").and_then(|p| p.get(name)).and_then(|p| p.get("default")).is_some();
            let said = |there: bool| there.then(|| "true".to_owned());
            let breaks = (added && !has_default, !added && !has_default);
            self.push(&path.to(name), What::Required, said(!added), said(added), breaks);
        }
    }

    fn items(&mut self, path: &Path, old: Node<'_>, new: Node<'_>, depth: usize) {
        match (old.get("items"), new.get("items")) {
            (Some(old), Some(new)) if !old.value.is_array() && !new.value.is_array() => {
                self.schemas(&path.items(), old, new, depth + 1);
            }
            (before, after) if before.map(|n| n.value) != after.map(|n| n.value) => {
                let backward = after.is_some() && !Inclusion::default().follows(&old.parts(), new, "items");
                let forward = before.is_some() && !Inclusion::default().follows(&new.parts(), old, "items");
                let (before, after) = (before.map(|n| text(n.value)), after.map(|n| text(n.value)));
                self.push(path, What::Items, before, after, (backward, forward));
            }
            _ => {}
        }
    }

    fn push(
        &mut self,
        path: &Path,
        what: What,
        before: Option<String>,
        after: Option<String>,
        (backward, forward): (bool, bool),
    ) {
        // Two keywords can say one thing, as `minimum` and `exclusiveMinimum`.
        if let Some(known) = self.changes.iter_mut().find(|c| c.path == *path && c.what == what) {
            known.breaks_backward |= backward;
            known.breaks_forward |= forward;
            known.before = known.before.take().or(before);
            known.after = known.after.take().or(after);
            return;
        }
        self.changes.push(Change { before, after, ..made(path.clone(), what, backward, forward) });
    }
}

/// Through references that say nothing else.
fn target(mut node: Node<'_>) -> Node<'_> {
    for _ in 0..MOST_DEPTH {
        let reference = node.value.get("$ref").and_then(Value::as_str);
        match reference.and_then(|r| node.document.find(r)) {
            Some(found) => node = node.at(found),
            None => break,
        }
    }
    node
}

fn described(node: Node<'_>) -> String {
    target(node).value.get("type").map_or_else(|| text(node.value), text)
}

fn text(value: &Value) -> String {
    let shown = match value {
        Value::String(s) => s.clone(),
        Value::Array(all) if all.iter().all(|v| !v.is_object() && !v.is_array()) => {
            let parts: Vec<String> =
                all.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
            format!("[{}]", parts.join(", "))
        }
        other => other.to_string(),
    };
    if shown.len() > MOST_TEXT { "a schema".to_owned() } else { shown }
}

fn made(path: Path, what: What, breaks_backward: bool, breaks_forward: bool) -> Change {
    Change { path, what, before: None, after: None, breaks_backward, breaks_forward }
}
