//! What an object's header, first records or footer say about its fields, judged before a row of it is loaded.

use super::{
    Seen,
    difference::{Difference, against, compare, sentence},
};
use crate::decode::{self, DecodeError};
use alluvium_model::DatasetName;
use alluvium_spec::{DriftKind, DriftPolicies, DriftPolicy, Format, Inside};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// A table that grew to so many columns takes in no more of them: what comes then is rescued.
const MOST_COLUMNS: usize = 1_000;

/// What the gate lets through, and how.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Gate {
    /// Fields that become columns.
    pub(crate) grows: Vec<Field>,
    /// Columns that the object has not, where its rows are set aside for that.
    pub(crate) absent: BTreeSet<String>,
    /// How its types differ inside of columns.
    pub(crate) typed: Vec<Difference>,
}

/// `said`: what contracts say of the columns. `found`: the object's fields in their order; none for an empty object, which differs from nothing.
pub(crate) fn gate(
    found: &[Field],
    columns: &[Field],
    said: &BTreeMap<String, Inside>,
    policies: DriftPolicies,
    format: Format,
) -> Result<Gate, DecodeError> {
    if found.is_empty() {
        return Ok(Gate::default());
    }
    let ordered = !matches!(format, Format::Ndjson);
    let mut differences = compare(found, columns, ordered);
    if format == Format::Parquet {
        for (field, inside) in found.iter().filter_map(|f| Some((f, said.get(f.name())?))) {
            against(field.name(), field.data_type(), inside, &mut differences);
        }
        differences.sort();
        differences.dedup_by(|a, b| (a.kind, &a.field) == (b.kind, &b.field));
    }
    stop(differences.iter(), policies)?;
    let absent =
        differences.iter().filter(|d| d.kind == DriftKind::Missing && policies.missing == DriftPolicy::Quarantine);
    let absent = absent.filter(|d| columns.iter().any(|c| *c.name() == d.field)).map(|d| d.field.clone()).collect();
    let is_new = |f: &&Field| differences.iter().any(|d| d.kind == DriftKind::New && d.field == *f.name());
    let grows = match policies.new {
        DriftPolicy::Evolve => found.iter().filter(is_new).cloned().collect(),
        _ => Vec::new(),
    };
    let grows = room(columns, &grows);
    let typed = differences.into_iter().filter(|d| d.field.contains(['.', '['])).collect();
    Ok(Gate { grows, absent, typed })
}

/// Refuses an object none of whose rows a reader could take: by reader, the columns that it requires.
pub(crate) fn fits(
    found: &[Field],
    columns: &[Field],
    required: &BTreeMap<DatasetName, BTreeSet<String>>,
) -> Result<(), DecodeError> {
    if found.is_empty() || required.is_empty() {
        return Ok(());
    }
    let mut missing = compare(found, columns, false);
    missing.retain(|d| d.kind == DriftKind::Missing);
    let lacked = |of: &BTreeSet<String>| missing.iter().any(|d| of.contains(&d.field));
    if !required.values().all(lacked) {
        return Ok(());
    }
    missing.retain_mut(|d| {
        let by: Vec<String> =
            required.iter().filter(|(_, c)| c.contains(&d.field)).map(|(r, _)| r.to_string()).collect();
        d.detail = format!("{}; required by {}", d.detail, by.join(", "));
        !by.is_empty()
    });
    Err(DecodeError::Unfit { differences: sentence(missing.iter()) })
}

/// Refuses an object that differs in a way which the dataset does not take. One that is a dead letter holds nothing up.
pub(crate) fn stop<'d>(
    differences: impl Iterator<Item = &'d Difference> + Clone,
    policies: DriftPolicies,
) -> Result<(), DecodeError> {
    let under = |policy: DriftPolicy| differences.clone().filter(move |d| policies.of(d.kind) == policy);
    if under(DriftPolicy::Fail).next().is_some() {
        return Err(DecodeError::Unfit { differences: sentence(under(DriftPolicy::Fail)) });
    }
    if under(DriftPolicy::Freeze).next().is_some() {
        return Err(DecodeError::Frozen { differences: sentence(under(DriftPolicy::Freeze)) });
    }
    Ok(())
}

/// New fields that were found in rows, as columns.
pub(crate) fn grown(seen: &Seen, columns: &Schema, policies: DriftPolicies) -> Vec<Field> {
    if policies.new != DriftPolicy::Evolve {
        return Vec::new();
    }
    let fields: Vec<Field> = seen.new_columns().map(|n| Field::new(n, DataType::Utf8, true)).collect();
    let columns: Vec<Field> = columns.fields().iter().map(|f| f.as_ref().clone()).collect();
    room(&columns, &fields)
}

/// Those that may become columns beside these.
pub(crate) fn room(columns: &[Field], fields: &[Field]) -> Vec<Field> {
    let mut new = decode::new_columns(&Schema::new(columns.to_vec()), fields);
    new.truncate(MOST_COLUMNS.saturating_sub(columns.len()));
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(names: &[&str]) -> Vec<Field> {
        names.iter().map(|n| Field::new(*n, DataType::Utf8, true)).collect()
    }

    fn all(policy: DriftPolicy) -> DriftPolicies {
        let of = |k: DriftKind| if k.policies().contains(&policy) { policy } else { k.policies()[0] };
        DriftPolicies {
            new: of(DriftKind::New),
            missing: of(DriftKind::Missing),
            retyped: of(DriftKind::Retyped),
            reordered: of(DriftKind::Reordered),
            recased: of(DriftKind::Recased),
        }
    }

    fn judged(found: &[&str], policy: DriftPolicy) -> Result<Gate, DecodeError> {
        gate(&text(found), &text(&["id", "day"]), &BTreeMap::new(), all(policy), Format::Csv)
    }

    #[test]
    fn what_stops_stops_for_every_kind() {
        for found in [&["id", "day", "x"][..], &["id"], &["day", "id"], &["id", "Day"]] {
            assert!(matches!(judged(found, DriftPolicy::Fail), Err(DecodeError::Unfit { .. })), "{found:?}");
            assert!(matches!(judged(found, DriftPolicy::Freeze), Err(DecodeError::Frozen { .. })), "{found:?}");
            assert!(judged(found, DriftPolicy::Rescue).is_ok() && judged(found, DriftPolicy::Quarantine).is_ok());
        }
        assert!(judged(&["id", "day"], DriftPolicy::Fail).is_ok());
        assert!(judged(&[], DriftPolicy::Fail).is_ok(), "an empty file differs from nothing");
    }

    #[test]
    fn a_file_that_is_to_fail_holds_nothing_up() {
        let policies =
            DriftPolicies { new: DriftPolicy::Fail, missing: DriftPolicy::Freeze, ..DriftPolicies::default() };
        let judged = gate(&text(&["id", "x"]), &text(&["id", "day"]), &BTreeMap::new(), policies, Format::Csv);
        assert!(matches!(judged, Err(DecodeError::Unfit { .. })));
    }

    #[test]
    fn a_first_file_that_the_contract_cannot_take_is_stopped_too() {
        let part = vec![Field::new("id", DataType::Struct(text(&["a"]).into()), true)];
        let said = BTreeMap::from([("id".to_owned(), Inside::Scalar)]);
        let judged = gate(&part, &part, &said, all(DriftPolicy::Fail), Format::Parquet);
        let Err(DecodeError::Unfit { differences }) = judged else { panic!("{judged:?}") };
        assert!(differences.contains("it is object, where the contract has a single value"), "{differences}");
        assert!(gate(&part, &part, &said, all(DriftPolicy::Rescue), Format::Parquet).is_ok());
    }

    #[test]
    fn what_no_reader_can_take_stops_and_tells_who_asks_for_it() {
        let columns = text(&["id", "day", "amount"]);
        let reader = |name: &str, needs: &[&str]| {
            (name.parse().expect("a name"), needs.iter().map(|c| (*c).to_owned()).collect::<BTreeSet<_>>())
        };
        let judged = |found: &[&str], readers: &[(DatasetName, BTreeSet<String>)]| {
            fits(&text(found), &columns, &readers.iter().cloned().collect()).map_err(|e| e.to_string())
        };
        let both = [reader("silver.a", &["id", "day"]), reader("silver.b", &["amount"])];
        assert_eq!(judged(&["id", "day"], &both), Ok(()), "silver.a takes it");
        assert_eq!(judged(&["amount"], &both), Ok(()), "silver.b takes it");
        assert_eq!(judged(&["id", "Day"], &both[..1]), Ok(()), "other letters are another kind of drift");
        assert_eq!(judged(&[], &both), Ok(()), "an empty file lacks nothing");
        assert_eq!(judged(&["x"], &[]), Ok(()));
        let said = judged(&["id", "amuont"], &both).expect_err("nobody takes it");
        assert!(said.contains("missing `amount` (the column is there and no field for it; the field `amuont` is near; required by silver.b)"), "{said}");
        assert!(said.contains("missing `day`") && said.contains("required by silver.a"), "{said}");
    }

    #[test]
    fn a_table_grows_up_to_a_bound() {
        let names: Vec<String> = (0..1_200).map(|n| format!("c{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let gate = judged(&names, DriftPolicy::Evolve).expect("it passes");
        assert_eq!(gate.grows.len(), MOST_COLUMNS - 2);
        assert_eq!(judged(&["id", "day", "x", "X"], DriftPolicy::Evolve).expect("it passes").grows, text(&["x"]));
    }

    #[test]
    fn rows_are_set_aside_for_what_their_file_lacks() {
        let gate = judged(&["id"], DriftPolicy::Quarantine).expect("it passes");
        assert_eq!(gate.absent, BTreeSet::from(["day".to_owned()]));
        assert_eq!(gate.grows, []);
    }
}
