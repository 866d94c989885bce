//! Properties inside of objects and arrays: what they are, and the rules that they give the column that holds them.
//!
//! Called for each property of an object. A rule of a nested property is a rule of its column that knows the place.

use super::{
    draft::{CheckDraft, RuleDraft},
    options, quality, relationship,
    rules::{Said, Scope, action},
    schema::{Base, simple},
    types::{self, Logical},
    vocabulary,
};
use crate::{
    codes,
    contract::{Action, Check, ColumnType, Holds, Inner, Segment},
    diagnostic::{Sink, quoted},
    drift::Inside,
    source_file::{Place, Spanned},
    yaml::{Fields, Node, Reader},
};
use std::collections::BTreeMap;

/// Where a check of a column as a whole looks, if that is into its JSON.
pub(super) fn of_whole(check: &Check, logical: Logical) -> Option<Inner> {
    let counts = matches!(check, Check::Items { .. } | Check::UniqueItems | Check::Properties { .. });
    counts.then(|| Inner { path: Vec::new(), holds: holds(logical, ColumnType::Json) })
}

/// What is inside of one column.
pub(super) struct Within<'a> {
    column: &'a str,
    rules: &'a mut Vec<RuleDraft>,
    /// The first rule that is not run.
    unread: Option<Place>,
}

/// A nested property.
struct Child<'n> {
    /// As it is written.
    node: &'n Node,
    path: Vec<Segment>,
    name: Option<String>,
    base: Base,
    kind: ColumnType,
    /// What happens to a row that breaks one of its rules.
    action: Action,
}

impl<'a> Within<'a> {
    pub(super) fn new(column: &'a str, rules: &'a mut Vec<RuleDraft>) -> Self {
        Self { column, rules, unread: None }
    }

    /// The properties, items and entries of what stands at `path`, and the fields that its options require.
    pub(super) fn read(
        &mut self,
        f: &mut Fields<'_>,
        path: &[Segment],
        above: &Base,
        given: Option<&Node>,
        r: &mut Reader<'_>,
    ) -> Inside {
        let children = f.take("properties").and_then(|n| r.list(n)).unwrap_or_default();
        let items = f.take("items");
        let entries = vocabulary::map(f, above.logical, r);
        let first = self.rules.len();
        let mut fields = BTreeMap::new();
        for child in children {
            if let (Some(name), inside) = self.child(child, path, false, above, r) {
                fields.insert(name, inside);
            }
        }
        let item = items.map_or(Inside::Any, |n| self.child(n, path, true, above, r).1);
        for entry in entries {
            self.entry(entry, path, above, r);
        }
        if above.logical == Logical::Object {
            self.required(path, first, above, given, r);
        }
        match above.logical {
            Logical::Object => Inside::Object(fields),
            Logical::Array => Inside::Array(Box::new(item)),
            Logical::String | Logical::Map | Logical::Vector => Inside::Any,
            Logical::Date
            | Logical::Timestamp
            | Logical::Time
            | Logical::Number
            | Logical::Integer
            | Logical::Boolean => Inside::Scalar,
        }
    }

    /// Tells of what stays documentation.
    pub(super) fn finish(self, r: &mut Reader<'_>) {
        if let Some(place) = self.unread {
            let message = format!("this rule inside {} is not run", quoted(self.column));
            let help = "uniqueness over rows, SQL, and what is inside of maps need a column of their own";
            r.error(codes::RULE_NOT_RUN, place, message, Some(help.to_owned()));
        }
    }

    fn child(
        &mut self,
        node: &Node,
        above: &[Segment],
        is_item: bool,
        parent: &Base,
        r: &mut Reader<'_>,
    ) -> (Option<String>, Inside) {
        let Some(mut f) = r.fields(node, "a property") else { return (None, Inside::Any) };
        let name = f.take("name").and_then(|n| r.text(n)).map(|t| t.value);
        let mut base = Base::read(&mut f, r);
        if base.action.is_none() {
            base.action.clone_from(&parent.action);
        }
        let kind = types::column_type(base.logical, base.physical.as_ref(), r).unwrap_or(ColumnType::String);
        let said = Said { own: None, severity: None, property: base.action.as_ref() };
        let action = action(Scope::Row, said, None, node.place, r);
        let last = if is_item { Segment::Items } else { Segment::Field(name.clone().unwrap_or_default()) };
        let path = above.iter().cloned().chain([last]).collect();
        let child = Child { node, path, name, base, kind, action };
        let given = f.take("logicalTypeOptions");
        // A field without a name is nowhere.
        if is_item || child.name.is_some() {
            self.own_rules(&child, given, r);
            self.other_rules(&mut f, &child, r);
        }
        let inside = self.read(&mut f, &child.path, &child.base, given, r);
        f.finish(r);
        (child.name, inside)
    }

    /// Type, `required`, `enum` and options.
    fn own_rules(&mut self, child: &Child<'_>, given: Option<&Node>, r: &mut Reader<'_>) {
        let base = &child.base;
        if is_typed(child.node, base.logical) {
            self.rule(child, "type", Check::Type, child.node.place);
        }
        if let Some(at) = base.required.or_else(|| base.key.map(|(_, at)| at)) {
            self.rule(child, "required", Check::Required, at);
        }
        if let Some((values, at)) = &base.allowed {
            self.rule(child, "enum", Check::OneOf { values: values.clone() }, *at);
        }
        for (made, check, at) in given.map_or_else(Vec::new, |n| options::read(n, base.logical, child.kind, r)) {
            self.rule(child, made, check, at);
        }
        self.unread = self.unread.or(base.unique);
    }

    fn other_rules(&mut self, f: &mut Fields<'_>, child: &Child<'_>, r: &mut Reader<'_>) {
        let said = child.base.action.as_ref();
        for item in f.take("relationships").and_then(|n| r.list(n)).unwrap_or_default() {
            let from = Spanned::new(self.column.to_owned(), child.node.place);
            let drafts = relationship::at_property(item, from, said, r);
            drafts.into_iter().for_each(|d| self.push(d, child));
        }
        for item in f.take("quality").and_then(|n| r.list(n)).unwrap_or_default() {
            let allowed = child.base.allowed.as_ref().map_or(&[][..], |(values, _)| values);
            let property = quality::Property { name: self.column, kind: child.kind, allowed };
            // A rule that cannot be read here stays documentation: others write SQL and metrics of their own inside.
            let mut quiet = Sink::default();
            let drafts = quality::read(item, Some(property), said, &mut Reader::new(r.file, &mut quiet));
            let told = quiet.finish();
            if told.has_errors() || (drafts.is_empty() && !told.0.is_empty()) {
                self.unread = self.unread.or(Some(item.place));
                continue;
            }
            drafts.into_iter().for_each(|d| self.push(d, child));
        }
    }

    fn rule(&mut self, child: &Child<'_>, made: &str, check: Check, place: Place) {
        self.push(simple(made, self.column, check, child.action, place), child);
    }

    fn push(&mut self, draft: RuleDraft, child: &Child<'_>) {
        let at = Inner { path: child.path.clone(), holds: holds(child.base.logical, child.kind) };
        let runs = match &draft.check {
            CheckDraft::Ready(check) => match check {
                Check::Inside { .. }
                | Check::Unique
                | Check::RowCount
                | Check::Query { .. }
                | Check::Expression { .. } => false,
                Check::Type | Check::Required | Check::Items { .. } | Check::UniqueItems | Check::Properties { .. } => {
                    true
                }
                Check::Missing { .. }
                | Check::OneOf { .. }
                | Check::Range { .. }
                | Check::Length { .. }
                | Check::Pattern { .. }
                | Check::MultipleOf { .. }
                | Check::Reference { .. } => matches!(at.holds, Holds::Scalar(_)),
            },
            CheckDraft::Reference { .. } => matches!(at.holds, Holds::Scalar(_)),
            CheckDraft::Expression { .. } | CheckDraft::Query { .. } => false,
        };
        if !runs {
            self.unread = self.unread.or(Some(draft.place));
            return;
        }
        let kind = draft.made_id.split(':').next().unwrap_or_default();
        let made_id = format!("{kind}:{}", Segment::join(self.column, &at.path));
        self.rules.push(RuleDraft { made_id, columns: vec![self.column.to_owned()], inside: Some(at), ..draft });
    }

    /// The fields that `required` among the options of an object names. `first`: of the rules that its properties made.
    fn required(&mut self, path: &[Segment], first: usize, object: &Base, given: Option<&Node>, r: &mut Reader<'_>) {
        let names = given.and_then(|n| n.get("required")).and_then(|n| r.names(n)).unwrap_or_default();
        if names.is_empty() {
            return;
        }
        // What stands in each field, and whether it is required already.
        let mut known: BTreeMap<String, (Holds, bool)> = BTreeMap::new();
        for d in &self.rules[first..] {
            let Some(at) = &d.inside else { continue };
            let Some((Segment::Field(name), above)) = at.path.split_last() else { continue };
            if above == path {
                let (holds, is_required) = known.entry(name.clone()).or_insert((at.holds, false));
                *holds = at.holds;
                *is_required |= matches!(d.check, CheckDraft::Ready(Check::Required));
            }
        }
        let said = Said { own: None, severity: None, property: object.action.as_ref() };
        for name in names {
            let unknown = (Holds::Scalar(ColumnType::String), false);
            let (holds, is_required) = known.get(&name.value).copied().unwrap_or(unknown);
            if is_required {
                continue;
            }
            known.insert(name.value.clone(), (holds, true));
            let place = name.place;
            let path: Vec<Segment> = path.iter().cloned().chain([Segment::Field(name.value)]).collect();
            let act = action(Scope::Row, said, None, place, r);
            let draft = simple("required", &Segment::join(self.column, &path), Check::Required, act, place);
            let inside = Some(Inner { path, holds });
            self.rules.push(RuleDraft { columns: vec![self.column.to_owned()], inside, ..draft });
        }
    }

    /// Key and value of a map, which are read for their form: their rules are not run.
    fn entry(&mut self, node: &Node, path: &[Segment], map: &Base, r: &mut Reader<'_>) {
        let mut rules = Vec::new();
        let mut within = Within { column: self.column, rules: &mut rules, unread: None };
        within.child(node, path, true, map, r);
        let unread = within.unread;
        let said = rules.iter().find(|d| !matches!(d.check, CheckDraft::Ready(Check::Type))).map(|d| d.place);
        self.unread = self.unread.or(said).or(unread);
    }
}

/// Whether the contract says what JSON stands there. A physical type alone says so if it is none of text and objects: those are
/// what is taken for granted where nothing is known.
pub(super) fn is_typed(node: &Node, logical: Logical) -> bool {
    let written = node.get("logicalType").is_some_and(|n| !n.is_null());
    written || node.get("properties").is_some() || !matches!(logical, Logical::String | Logical::Object)
}

fn holds(logical: Logical, kind: ColumnType) -> Holds {
    match logical {
        Logical::Object | Logical::Map => Holds::Object,
        Logical::Array | Logical::Vector => Holds::Array,
        Logical::String
        | Logical::Date
        | Logical::Timestamp
        | Logical::Time
        | Logical::Number
        | Logical::Integer
        | Logical::Boolean => Holds::Scalar(kind),
    }
}
