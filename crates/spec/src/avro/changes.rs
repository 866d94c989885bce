//! The differences between two schemas, named. The verdict of a direction is the resolution's, as a whole.

use super::{
    resolution::{Resolution, matches, same_name, written},
    schema::{Avro, Body, Field, Type},
};
use crate::compatibility::{Change, Comparison, Language, Path, What};
use std::collections::BTreeSet;

/// What lies deeper is told as a whole.
const MOST_DEPTH: usize = 100;

pub(crate) fn compare(old: &Avro, new: &Avro) -> Comparison {
    let root = match &new.root {
        Type::Named(name) => new.body(name).short().to_owned(),
        other => new.text(other),
    };
    let mut walk = Walk { old, new, seen: BTreeSet::new(), depth: 0, changes: Vec::new() };
    walk.types(&Path::root(&root), &old.root, &new.root);
    let mut changes = walk.changes;
    let backward = Resolution::new(new, old).reads(&new.root, &old.root);
    let forward = Resolution::new(old, new).reads(&old.root, &new.root);
    // Another branch of a union may read what this one does not.
    for change in &mut changes {
        change.breaks_backward &= !backward;
        change.breaks_forward &= !forward;
    }
    let told = (changes.iter().any(|c| c.breaks_backward), changes.iter().any(|c| c.breaks_forward));
    if (!backward && !told.0) || (!forward && !told.1) {
        let mut change = named(Path::root(&root), What::Type, !backward, !forward);
        (change.before, change.after) = (Some(old.text(&old.root)), Some(new.text(&new.root)));
        changes.push(change);
    }
    changes.sort_by(|a, b| (&a.path, a.what).cmp(&(&b.path, b.what)));
    Comparison { language: Language::Avro, changes }
}

struct Walk<'a> {
    old: &'a Avro,
    new: &'a Avro,
    /// Pairs of names that were looked at.
    seen: BTreeSet<(String, String)>,
    depth: usize,
    changes: Vec<Change>,
}

impl Walk<'_> {
    fn types(&mut self, path: &Path, old: &Type, new: &Type) {
        match (old, new) {
            (Type::Array(old), Type::Array(new)) | (Type::Map(old), Type::Map(new)) => {
                self.types(&path.items(), old, new);
            }
            (Type::Named(old), Type::Named(new)) => self.named(path, old, new),
            (Type::Union(old), Type::Union(new)) => self.unions(path, old, new),
            // An optional type keeps its own changes.
            (Type::Union(branches), one) | (one, Type::Union(branches)) => {
                self.retyped(path, old, new);
                let like = branches.iter().find(|b| self.alike(b, one));
                if let Some(like) = like.cloned() {
                    let (old, new) = if matches!(old, Type::Union(_)) { (&like, new) } else { (old, &like) };
                    self.types(path, old, new);
                }
            }
            _ => self.retyped(path, old, new),
        }
    }

    fn unions(&mut self, path: &Path, old: &[Type], new: &[Type]) {
        let kinds = |side: &Avro, all: &[Type]| all.iter().map(|t| side.text(t)).collect::<BTreeSet<_>>();
        if kinds(self.old, old) != kinds(self.new, new) {
            self.retyped(path, &Type::Union(old.to_vec()), &Type::Union(new.to_vec()));
        }
        for branch in old {
            if let Some(like) = new.iter().find(|n| self.alike(branch, n)) {
                self.types(path, branch, like);
            }
        }
    }

    /// Two complex types of one kind, and of one name if they have names.
    fn alike(&self, old: &Type, new: &Type) -> bool {
        match (old, new) {
            (Type::Array(_), Type::Array(_)) | (Type::Map(_), Type::Map(_)) => true,
            (Type::Named(old), Type::Named(new)) => {
                let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
                short(old) == short(new)
            }
            _ => false,
        }
    }

    fn retyped(&mut self, path: &Path, old: &Type, new: &Type) {
        let (before, after) = (self.old.text(old), self.new.text(new));
        let backward = !Resolution::new(self.new, self.old).reads(new, old);
        let forward = !Resolution::new(self.old, self.new).reads(old, new);
        if before != after || backward || forward {
            let mut change = named(path.clone(), What::Type, backward, forward);
            (change.before, change.after) = (Some(before), Some(after));
            self.changes.push(change);
        }
    }

    fn named(&mut self, path: &Path, old_name: &str, new_name: &str) {
        if self.depth >= MOST_DEPTH || !self.seen.insert((old_name.to_owned(), new_name.to_owned())) {
            return;
        }
        self.depth += 1;
        let (old, new) = (self.old.body(old_name), self.new.body(new_name));
        if old.name != new.name {
            let mut change = named(path.clone(), What::Name, !same_name(new, old), !same_name(old, new));
            (change.before, change.after) = (Some(old.name.clone()), Some(new.name.clone()));
            self.changes.push(change);
        }
        match (&old.body, &new.body) {
            (Body::Fixed(size, a), Body::Fixed(new_size, b)) => {
                if size != new_size {
                    let mut change = named(path.clone(), What::Size, true, true);
                    (change.before, change.after) = (Some(size.to_string()), Some(new_size.to_string()));
                    self.changes.push(change);
                }
                if a != b {
                    let breaks = !matches(a.as_ref(), b.as_ref());
                    let mut change = named(path.clone(), What::Type, breaks, breaks);
                    let (was, is) = (Type::Named(old_name.to_owned()), Type::Named(new_name.to_owned()));
                    (change.before, change.after) = (Some(self.old.text(&was)), Some(self.new.text(&is)));
                    self.changes.push(change);
                }
            }
            (Body::Enum { symbols: a, has_default: d }, Body::Enum { symbols: b, has_default: e }) if a != b => {
                let all = |kept: &[String], of: &[String]| of.iter().all(|s| kept.contains(s));
                let mut change = named(path.clone(), What::Values, !e && !all(b, a), !d && !all(a, b));
                (change.before, change.after) =
                    (Some(format!("[{}]", a.join(", "))), Some(format!("[{}]", b.join(", "))));
                self.changes.push(change);
            }
            (Body::Record(a), Body::Record(b)) => self.fields(path, a, b),
            (Body::Enum { .. }, Body::Enum { .. }) => {}
            _ => self.retyped(path, &Type::Named(old_name.to_owned()), &Type::Named(new_name.to_owned())),
        }
        self.depth -= 1;
    }

    fn fields(&mut self, path: &Path, old: &[Field], new: &[Field]) {
        let mut gone: Vec<&Field> = old.iter().collect();
        for field in new {
            let path = path.to(&field.name);
            let Some(was) = written(field, old) else {
                let mut change = named(path, What::FieldAdded, !field.has_default, false);
                change.after = Some(self.new.text(&field.kind));
                self.changes.push(change);
                continue;
            };
            gone.retain(|g| g.name != was.name);
            if was.name != field.name {
                let known = written(was, new).is_some() || was.has_default;
                let mut change = named(path.clone(), What::FieldRenamed, false, !known);
                (change.before, change.after) = (Some(was.name.clone()), Some(field.name.clone()));
                self.changes.push(change);
            } else if was.has_default != field.has_default {
                let mut change = named(path.clone(), What::Default, false, false);
                let text = |f: &Field| f.has_default.then(|| "a default".to_owned());
                (change.before, change.after) = (text(was), text(field));
                self.changes.push(change);
            }
            self.types(&path, &was.kind, &field.kind);
        }
        for field in gone {
            let known = written(field, new).is_some() || field.has_default;
            let mut change = named(path.to(&field.name), What::FieldRemoved, false, !known);
            change.before = Some(self.old.text(&field.kind));
            self.changes.push(change);
        }
    }
}

fn named(path: Path, what: What, breaks_backward: bool, breaks_forward: bool) -> Change {
    Change { path, what, before: None, after: None, breaks_backward, breaks_forward }
}
