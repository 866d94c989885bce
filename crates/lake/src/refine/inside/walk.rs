//! One pass over the JSON of a batch: what is looked for is taken out, and shape, absence and counts are judged on the way.

use super::{
    findings::Findings,
    tree::{Form, Inside, Node, Values},
};
use crate::refine::text::shorten;
use alluvium_spec::{ColumnType, Exact, same_value_text};
use arrow::array::{Array, StringArray, StringBuilder};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeSet, fmt, mem, ops::Range};

/// The texts that are judged together are no longer than this, or are one value.
pub(super) const MOST_TEXT: usize = 16 << 20;
/// No type has more digits on either side of the point.
const MOST_DIGITS: u32 = 40;

/// For each node its values in these rows, if rules test them. Adds to `findings`.
pub(super) fn walk(
    tree: &Inside,
    column: &StringArray,
    rows: Range<usize>,
    findings: Findings,
) -> (Vec<Vec<Values>>, Findings) {
    let leaves = tree.nodes.iter().map(Leaf::new).collect();
    let mut state = State { tree, row: 0, items: Vec::new(), fields: Vec::new(), leaves, findings };
    for row in rows.filter(|row| column.is_valid(*row)) {
        state.row = u32::try_from(row).expect("a batch has fewer rows than 32 bits count");
        state.items.clear();
        state.fields.clear();
        let mut reader = serde_json::Deserializer::from_str(column.value(row));
        // The cast took it for JSON; what a reader would still refuse, such as half of a surrogate pair, is told here.
        if (At { state: &mut state, node: 0 }).deserialize(&mut reader).is_err() {
            state.findings.add(tree.cast, state.row, &[], &[], || Some(shorten(column.value(row))));
        }
    }
    (state.leaves.into_iter().map(|leaf| leaf.map_or_else(Vec::new, Leaf::finish)).collect(), state.findings)
}

struct State<'t> {
    tree: &'t Inside,
    row: u32,
    /// The items that lead to where it is.
    items: Vec<u32>,
    /// Of the objects that it is in, one above the other.
    fields: Vec<Field>,
    leaves: Vec<Option<Leaf>>,
    findings: Findings,
}

/// What was seen of a field of an object.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    Missing,
    There,
    Null,
}

#[derive(Default)]
struct Leaf {
    /// As much as is judged together.
    full: Vec<Values>,
    rows: Vec<u32>,
    items: Vec<u32>,
    text: StringBuilder,
}

impl Leaf {
    /// `None`: its values are of no use after the walk.
    fn new(node: &Node) -> Option<Self> {
        let Form::Scalar(kind) = node.form else { return None };
        let told = matches!(kind, ColumnType::String | ColumnType::Boolean);
        let wanted = !node.tests.is_empty() || (!node.types.is_empty() && !told);
        wanted.then(Self::default)
    }

    fn add(&mut self, row: u32, items: &[u32], text: &str) {
        if self.text.values_slice().len() + text.len() > MOST_TEXT {
            self.cut();
        }
        self.rows.push(row);
        self.items.extend_from_slice(items);
        self.text.append_value(text);
    }

    fn cut(&mut self) {
        if !self.rows.is_empty() {
            let (rows, items) = (mem::take(&mut self.rows), mem::take(&mut self.items));
            self.full.push(Values { rows, items, text: self.text.finish() });
        }
    }

    fn finish(mut self) -> Vec<Values> {
        self.cut();
        self.full
    }
}

impl State<'_> {
    /// Whether it is null.
    fn scalar(&mut self, node: usize, kind: ColumnType, raw: &str) -> bool {
        if raw == "null" {
            return true;
        }
        let typed = !self.tree.nodes[node].types.is_empty();
        let read = if typed { text(kind, raw) } else { any_text(raw) };
        match read {
            Some(text) => {
                if let Some(leaf) = &mut self.leaves[node] {
                    leaf.add(self.row, &self.items, &text);
                }
            }
            None => self.mistyped(node, || Some(shorten(raw))),
        }
        false
    }

    /// What stands there is not what the contract says.
    fn mistyped(&mut self, node: usize, value: impl Fn() -> Option<String>) {
        let it = &self.tree.nodes[node];
        // The column's value has its type from the cast.
        let rules = if node == 0 { std::slice::from_ref(&self.tree.cast) } else { it.types.as_slice() };
        for rule in rules {
            self.findings.add(*rule, self.row, &it.path, &self.items, &value);
        }
    }

    fn absent(&mut self, node: usize) {
        let it = &self.tree.nodes[node];
        for rule in &it.required {
            self.findings.add(*rule, self.row, &it.path, &self.items, || None);
        }
    }

    fn counted(&mut self, node: usize, count: u64) {
        let it = &self.tree.nodes[node];
        for (rule, min, max) in &it.counts {
            if !(*min..=*max).contains(&count) {
                self.findings.add(*rule, self.row, &it.path, &self.items, || None);
            }
        }
    }
}

/// Reads one value; tells whether it is null.
struct At<'s, 't> {
    state: &'s mut State<'t>,
    node: usize,
}

impl<'de> DeserializeSeed<'de> for At<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<bool, D::Error> {
        match self.state.tree.nodes[self.node].form {
            // Skipped without recursion, however deep it is.
            Form::Scalar(kind) => {
                let raw = <&RawValue>::deserialize(d)?;
                Ok(self.state.scalar(self.node, kind, raw.get()))
            }
            Form::Object(_) | Form::Array(_) => d.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for At<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.state.mistyped(self.node, || Some(value.to_string()));
        Ok(false)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.state.mistyped(self.node, || Some(value.to_string()));
        Ok(false)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.state.mistyped(self.node, || Some(value.to_string()));
        Ok(false)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        self.state.mistyped(self.node, || Some(value.to_string()));
        Ok(false)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        self.state.mistyped(self.node, || Some(shorten(value)));
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Self { state, node } = self;
        let tree = state.tree;
        let Form::Object(fields) = &tree.nodes[node].form else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            state.mistyped(node, || Some("an object".to_owned()));
            return Ok(false);
        };
        let (first, mut count) = (state.fields.len(), 0);
        state.fields.resize(first + fields.len(), Field::Missing);
        while let Some(field) = map.next_key_seed(Key(fields))? {
            count += 1;
            let Some(at) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let is_null = map.next_value_seed(At { state: &mut *state, node: fields[at].1 })?;
            // Of a field that stands there twice a reader may take either.
            match (&mut state.fields[first + at], is_null) {
                (Field::Null, _) => {}
                (seen, true) => *seen = Field::Null,
                (seen, false) => *seen = Field::There,
            }
        }
        for (at, (_, child)) in fields.iter().enumerate() {
            if state.fields[first + at] != Field::There {
                state.absent(*child);
            }
        }
        state.fields.truncate(first);
        state.counted(node, count);
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let Self { state, node } = self;
        let tree = state.tree;
        let it = &tree.nodes[node];
        let Form::Array(item) = it.form else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            state.mistyped(node, || Some("an array".to_owned()));
            return Ok(false);
        };
        let mut known = BTreeSet::new();
        let (mut count, mut repeated) = (0_u32, false);
        loop {
            state.items.push(count);
            let more = if !it.unique.is_empty() {
                let raw = seq.next_element::<&RawValue>()?.map(RawValue::get);
                repeated |= raw.is_some_and(|raw| !same_value_text(raw).is_some_and(|text| known.insert(text)));
                raw.map(|raw| each(state, item, &mut serde_json::Deserializer::from_str(raw)).map_err(A::Error::custom))
                    .transpose()?
            } else if let Some(node) = item {
                seq.next_element_seed(At { state: &mut *state, node })?
            } else {
                seq.next_element::<IgnoredAny>()?.map(|_| false)
            };
            if let (Some(true), Some(item)) = (more, item) {
                state.absent(item);
            }
            state.items.pop();
            if more.is_none() {
                break;
            }
            count = count.saturating_add(1);
        }
        state.counted(node, count.into());
        for rule in it.unique.iter().filter(|_| repeated) {
            state.findings.add(*rule, state.row, &it.path, &state.items, || None);
        }
        Ok(false)
    }
}

/// An item that was looked at as a whole before.
fn each<'de, D: Deserializer<'de>>(state: &mut State<'_>, item: Option<usize>, d: D) -> Result<bool, D::Error> {
    item.map_or(Ok(false), |node| At { state, node }.deserialize(d))
}

/// The field that a key names.
struct Key<'t>(&'t [(String, usize)]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok())
    }
}

/// A value of JSON as the text that its type is read from; `None`: JSON of another type.
fn text(kind: ColumnType, raw: &str) -> Option<Cow<'_, str>> {
    let is_number = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    match kind {
        ColumnType::String | ColumnType::Date | ColumnType::Timestamp | ColumnType::Time => unquoted(raw),
        ColumnType::Boolean => matches!(raw, "true" | "false").then_some(Cow::Borrowed(raw)),
        ColumnType::Integer | ColumnType::Int32 | ColumnType::Decimal { .. } => is_number.then(|| plain(raw)),
        ColumnType::Number => is_number.then_some(Cow::Borrowed(raw)),
        ColumnType::Json => raw.starts_with(['{', '[']).then_some(Cow::Borrowed(raw)),
    }
}

/// Where no type is said.
fn any_text(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes()[0] {
        b'"' => unquoted(raw),
        b'{' | b'[' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// A number as JSON counts it, where `2.0` is whole and `1.50` has one digit behind the point. One that is too long for any type
/// without its exponent keeps it, and no cast to whole numbers or decimals reads it then.
fn plain(raw: &str) -> Cow<'_, str> {
    if raw.contains(['e', 'E']) {
        return Exact::of(raw).and_then(|n| n.plain(MOST_DIGITS)).map_or(Cow::Borrowed(raw), Cow::Owned);
    }
    Cow::Borrowed(if raw.contains('.') { raw.trim_end_matches('0').trim_end_matches('.') } else { raw })
}
