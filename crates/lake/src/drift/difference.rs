//! One difference between an object's fields and a dataset's columns, and all of them in a sentence.

use crate::decode;
use alluvium_spec::{DriftKind, Inside, nearest};
use arrow::datatypes::{DataType, Field};
use std::collections::BTreeSet;

/// So many are written out in a sentence.
const MOST_TOLD: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    pub(crate) kind: DriftKind,
    /// The field as the object names it; of what is missing, the column. Inside of a column the path to it.
    pub(crate) field: String,
    /// What a person needs to see it.
    pub(crate) detail: String,
}

impl Difference {
    /// How the drift is named as a rule.
    pub(crate) fn rule(&self) -> String {
        rule(self.kind, &self.field)
    }
}

pub(crate) fn rule(kind: DriftKind, field: &str) -> String {
    format!("{}{}:{field}", super::RULE, kind.word())
}

/// How `found`, the fields of an object in their order, differ from the columns. `ordered`: their order says something.
pub(crate) fn compare(found: &[Field], columns: &[Field], ordered: bool) -> Vec<Difference> {
    let mut all = Vec::new();
    let named = |name: &str| columns.iter().position(|c| c.name() == name);
    let own: BTreeSet<&str> = found.iter().map(|f| f.name().as_str()).collect();
    let free = || columns.iter().map(|c| c.name().as_str()).filter(|c| !own.contains(c));
    let mut other_letters: BTreeSet<&str> = BTreeSet::new();
    let mut order = Vec::new();
    for field in found {
        if let Some(at) = named(field.name()) {
            order.push(at);
            all.extend(retyped(field, &columns[at]));
        } else if let Some(column) = decode::in_other_letters(field.name(), free()) {
            other_letters.insert(column);
            order.extend(named(column));
            all.push(recased(field.name(), column));
        } else {
            all.push(new(field.name(), free()));
        }
    }
    let missing =
        columns.iter().filter(|c| !own.contains(c.name().as_str()) && !other_letters.contains(c.name().as_str()));
    all.extend(missing.map(|c| missing_among(c.name(), own.iter().copied())));
    if let Some(pair) = order.windows(2).find(|p| ordered && p[0] > p[1]) {
        all.push(reordered(columns[pair[0]].name(), columns[pair[1]].name()));
    }
    all.sort();
    all
}

pub(crate) fn new<'c>(name: &str, free: impl Iterator<Item = &'c str>) -> Difference {
    let near = nearest(name, free).map(|c| format!("; the column `{c}` is near"));
    let detail = format!("no column is named so{}", near.unwrap_or_default());
    Difference { kind: DriftKind::New, field: name.to_owned(), detail }
}

pub(crate) fn missing_among<'f>(name: &str, found: impl Iterator<Item = &'f str>) -> Difference {
    let near = nearest(name, found.filter(|f| *f != name)).map(|f| format!("; the field `{f}` is near"));
    let detail = format!("the column is there and no field for it{}", near.unwrap_or_default());
    Difference { kind: DriftKind::Missing, field: name.to_owned(), detail }
}

pub(crate) fn recased(name: &str, column: &str) -> Difference {
    Difference { kind: DriftKind::Recased, field: name.to_owned(), detail: format!("the column is `{column}`") }
}

pub(crate) fn reordered(earlier: &str, later: &str) -> Difference {
    let detail = format!("it comes before `{later}`, and the columns have it after that");
    Difference { kind: DriftKind::Reordered, field: earlier.to_owned(), detail }
}

/// How the type differs, down to fields inside. Nothing where every value fits.
fn retyped(field: &Field, column: &Field) -> Vec<Difference> {
    let mut all = Vec::new();
    inside(field.name(), field.data_type(), column.data_type(), &mut all);
    all
}

/// As [`compare`], inside of a column: fields of objects by their path.
pub(crate) fn inside(path: &str, found: &DataType, column: &DataType, all: &mut Vec<Difference>) {
    match (found, column) {
        (DataType::Struct(theirs), DataType::Struct(ours)) => {
            let plain =
                |fields: &arrow::datatypes::Fields| fields.iter().map(|f| f.as_ref().clone()).collect::<Vec<_>>();
            // The order of fields inside of an object says nothing.
            let found = compare(&plain(theirs), &plain(ours), false);
            all.extend(found.into_iter().map(|d| Difference { field: format!("{path}.{}", d.field), ..d }));
        }
        (DataType::List(theirs), DataType::List(ours)) => {
            inside(&format!("{path}[]"), theirs.data_type(), ours.data_type(), all);
        }
        _ if always_fits(found, column) => {}
        _ => all.push(Difference {
            kind: DriftKind::Retyped,
            field: path.to_owned(),
            detail: format!("it is {}, where the column is {}", word(found), word(column)),
        }),
    }
}

/// How a type differs from what the contract says of the column, down to fields inside.
pub(crate) fn against(path: &str, found: &DataType, said: &Inside, all: &mut Vec<Difference>) {
    let retyped = |what: &str| Difference {
        kind: DriftKind::Retyped,
        field: path.to_owned(),
        detail: format!("it is {}, where the contract has {what}", word(found)),
    };
    match (said, found) {
        (Inside::Scalar, t) if t.is_nested() => all.push(retyped("a single value")),
        (Inside::Object(fields), DataType::Struct(theirs)) if !fields.is_empty() => {
            let ours: Vec<Field> = fields.keys().map(|n| Field::new(n, DataType::Null, true)).collect();
            let untyped: Vec<Field> = theirs.iter().map(|f| Field::new(f.name(), DataType::Null, true)).collect();
            let found = compare(&untyped, &ours, false);
            all.extend(found.into_iter().map(|d| Difference { field: format!("{path}.{}", d.field), ..d }));
            for (field, inner) in theirs.iter().filter_map(|f| Some((f, fields.get(f.name())?))) {
                against(&format!("{path}.{}", field.name()), field.data_type(), inner, all);
            }
        }
        (Inside::Array(item), DataType::List(theirs)) => {
            against(&format!("{path}[]"), theirs.data_type(), item, all);
        }
        (Inside::Object(_), t) if is_single(t) || matches!(t, DataType::List(_)) => all.push(retyped("an object")),
        (Inside::Array(_), t) if is_single(t) || matches!(t, DataType::Struct(_)) => all.push(retyped("an array")),
        _ => {}
    }
}

/// A type of which no value is JSON in a text.
fn is_single(t: &DataType) -> bool {
    t.is_numeric() || t.is_temporal() || matches!(t, DataType::Boolean)
}

/// Whether every value of the one type is one of the other.
fn always_fits(found: &DataType, column: &DataType) -> bool {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64};
    match (found, column) {
        (a, b) if a == b => true,
        (Int8, Int16 | Int32 | Int64 | Float32 | Float64) => true,
        (Int16, Int32 | Int64 | Float32 | Float64) => true,
        (Int32, Int64 | Float64) | (Float32, Float64) => true,
        (Decimal128(p, s), Decimal128(wide, scale)) => {
            scale >= s && i16::from(*wide) - i16::from(*scale) >= i16::from(*p) - i16::from(*s)
        }
        _ => false,
    }
}

/// A type as people who write SQL call it.
fn word(t: &DataType) -> String {
    match t {
        DataType::Utf8 => "text".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(p, s) => format!("decimal({p}, {s})"),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, _) => "timestamp".to_owned(),
        DataType::List(_) => "array".to_owned(),
        DataType::Struct(_) => "object".to_owned(),
        DataType::Map(_, _) => "map".to_owned(),
        other => other.to_string(),
    }
}

/// All of them, by kind, for a person.
pub(crate) fn sentence<'d>(all: impl Iterator<Item = &'d Difference>) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut more = 0;
    for d in all {
        if told.len() < MOST_TOLD {
            told.push(format!("{} `{}` ({})", d.kind.word(), d.field, d.detail));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Fields;

    fn text(names: &[&str]) -> Vec<Field> {
        names.iter().map(|n| Field::new(*n, DataType::Utf8, true)).collect()
    }

    fn said(found: &[Field], columns: &[Field]) -> Vec<(&'static str, String)> {
        compare(found, columns, true).into_iter().map(|d| (d.kind.word(), d.field)).collect()
    }

    fn pair(kind: &'static str, field: &str) -> (&'static str, String) {
        (kind, field.to_owned())
    }

    #[test]
    fn every_kind_is_told_apart() {
        let columns = text(&["id", "amount", "day"]);
        assert_eq!(said(&text(&["id", "amount", "day"]), &columns), []);
        assert_eq!(said(&text(&["id", "day", "amount"]), &columns), [pair("reordered", "day")]);
        assert_eq!(said(&text(&["id", "Amount", "day"]), &columns), [pair("recased", "Amount")]);
        assert_eq!(
            said(&text(&["id", "amuont", "day", "x"]), &columns),
            [pair("new", "amuont"), pair("new", "x"), pair("missing", "amount")]
        );
        let near = compare(&text(&["id", "amuont", "day"]), &columns, true);
        assert!(near[0].detail.contains("`amount` is near") && near[1].detail.contains("`amuont` is near"));
    }

    #[test]
    fn a_type_that_always_fits_is_no_drift() {
        let of = |t: DataType| vec![Field::new("n", t, true)];
        assert_eq!(said(&of(DataType::Int32), &of(DataType::Int64)), []);
        assert_eq!(said(&of(DataType::Decimal128(10, 2)), &of(DataType::Decimal128(12, 3))), []);
        assert_eq!(said(&of(DataType::Int64), &of(DataType::Int32)), [pair("retyped", "n")]);
        assert_eq!(said(&of(DataType::Utf8), &of(DataType::Int64)), [pair("retyped", "n")]);
        assert_eq!(said(&of(DataType::Decimal128(10, 2)), &of(DataType::Decimal128(10, 3))), [pair("retyped", "n")]);
    }

    #[test]
    fn fields_inside_are_told_by_their_path() {
        let part = |names: &[&str]| DataType::Struct(Fields::from(text(names)));
        let list = |t: DataType| DataType::List(Field::new("element", t, true).into());
        let columns = vec![Field::new("part", part(&["a", "b"]), true), Field::new("parts", list(part(&["a"])), true)];
        let found = vec![Field::new("part", part(&["a", "c"]), true), Field::new("parts", list(part(&["A"])), true)];
        assert_eq!(
            said(&found, &columns),
            [pair("new", "part.c"), pair("missing", "part.b"), pair("recased", "parts[].A")]
        );
    }

    #[test]
    fn a_type_is_held_against_the_contract_too() {
        let part = DataType::Struct(Fields::from(text(&["a", "c"])));
        let of = |t: &DataType, said: &Inside| {
            let mut all = Vec::new();
            against("p", t, said, &mut all);
            all.into_iter().map(|d| (d.kind.word(), d.field)).collect::<Vec<_>>()
        };
        let fields = [("a".to_owned(), Inside::Any), ("b".to_owned(), Inside::Any)].into();
        assert_eq!(of(&part, &Inside::Object(fields)), [pair("new", "p.c"), pair("missing", "p.b")]);
        assert_eq!(of(&part, &Inside::Scalar), [pair("retyped", "p")]);
        assert_eq!(of(&DataType::Int64, &Inside::Object([].into())), [pair("retyped", "p")]);
        assert_eq!(of(&DataType::Utf8, &Inside::Object([].into())), [], "JSON in a text");
        assert_eq!(of(&DataType::Utf8, &Inside::Scalar), []);
    }

    #[test]
    fn a_sentence_stays_one() {
        let many: Vec<Difference> = (0..40).map(|n| recased(&n.to_string(), "x")).collect();
        assert!(sentence(many.iter()).ends_with("and 30 more"));
    }
}
