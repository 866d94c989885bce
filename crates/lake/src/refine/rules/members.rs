//! A set of constants of one column type: for `one of` and `missing`.

use super::{bad_value, mask};
use crate::refine::{Place, RefineError, cast::cast_constant};
use alluvium_spec::ColumnType;
use arrow::{
    array::{ArrayRef, AsArray},
    buffer::BooleanBuffer,
    datatypes::{Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType},
};
use hashbrown::HashSet;

/// Values are compared as the column's type, so `01` is in a list of integers that has `1`.
#[derive(Debug)]
pub(crate) enum Members {
    /// Texts of up to 15 bytes, packed: few enough to compare with each in turn.
    Short(Vec<u128>),
    Text(HashSet<Box<[u8]>>),
    Integer(HashSet<i64>),
    Decimal(HashSet<i128>),
    Number(Vec<f64>),
    Boolean {
        no: bool,
        yes: bool,
    },
}

const SHORT_BYTES: usize = 15;
const FEW: usize = 8;

pub(super) fn fits(value: &str, kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Json) || cast_constant(value, kind).is_some()
}

impl Members {
    pub fn new(values: &[&str], kind: ColumnType, place: &Place) -> Result<Self, RefineError> {
        let typed = |v: &&str| cast_constant(v, kind).ok_or_else(|| bad_value(v, kind, place));
        let all = || values.iter().map(typed).collect::<Result<Vec<ArrayRef>, _>>();
        Ok(match kind {
            ColumnType::String | ColumnType::Json => Self::text(values),
            ColumnType::Time => {
                all()?;
                Self::text(values)
            }
            ColumnType::Integer => {
                Self::Integer(all()?.iter().map(|a| a.as_primitive::<Int64Type>().value(0)).collect())
            }
            ColumnType::Int32 => {
                Self::Integer(all()?.iter().map(|a| a.as_primitive::<Int32Type>().value(0).into()).collect())
            }
            ColumnType::Date => {
                Self::Integer(all()?.iter().map(|a| a.as_primitive::<Date32Type>().value(0).into()).collect())
            }
            ColumnType::Timestamp => {
                Self::Integer(all()?.iter().map(|a| a.as_primitive::<TimestampMicrosecondType>().value(0)).collect())
            }
            ColumnType::Decimal { .. } => {
                Self::Decimal(all()?.iter().map(|a| a.as_primitive::<Decimal128Type>().value(0)).collect())
            }
            ColumnType::Number => {
                Self::Number(all()?.iter().map(|a| a.as_primitive::<Float64Type>().value(0)).collect())
            }
            ColumnType::Boolean => {
                let all = all()?;
                let has = |b| all.iter().any(|a| a.as_boolean().value(0) == b);
                Self::Boolean { no: has(false), yes: has(true) }
            }
        })
    }

    fn text(values: &[&str]) -> Self {
        if values.len() <= FEW && values.iter().all(|v| v.len() <= SHORT_BYTES) {
            Self::Short(values.iter().map(|v| pack(v.as_bytes())).collect())
        } else {
            Self::Text(values.iter().map(|v| v.as_bytes().into()).collect())
        }
    }

    /// The rows with a value that is (or is not) in the set.
    pub fn mask(&self, column: &ArrayRef, listed: bool) -> Option<BooleanBuffer> {
        match self {
            Self::Short(set) => text_mask(column, |v| (v.len() <= SHORT_BYTES && set.contains(&pack(v))) == listed),
            Self::Text(set) => text_mask(column, |v| set.contains(v) == listed),
            Self::Integer(set) => {
                let of = integers(column);
                mask(column, |row| set.contains(&of(row)) == listed)
            }
            Self::Decimal(set) => {
                let values = column.as_primitive::<Decimal128Type>().values();
                mask(column, |row| set.contains(&values[row]) == listed)
            }
            Self::Number(set) => {
                let values = column.as_primitive::<Float64Type>().values();
                mask(column, |row| set.contains(&values[row]) == listed)
            }
            Self::Boolean { no, yes } => {
                let values = column.as_boolean().values();
                mask(column, |row| (if values.value(row) { *yes } else { *no }) == listed)
            }
        }
    }
}

/// Neighbours are often equal: the last answer is kept.
fn text_mask(column: &ArrayRef, mut broken: impl FnMut(&[u8]) -> bool) -> Option<BooleanBuffer> {
    let text = column.as_string::<i32>();
    let (offsets, data) = (text.value_offsets(), text.value_data());
    let mut last: (&[u8], bool) = (b"", broken(b""));
    mask(column, |row| {
        let value = &data[offsets[row] as usize..offsets[row + 1] as usize];
        if value != last.0 {
            last = (value, broken(value));
        }
        last.1
    })
}

/// Bytes and length in one number.
fn pack(text: &[u8]) -> u128 {
    let mut bytes = [0_u8; 16];
    bytes[..text.len()].copy_from_slice(text);
    bytes[15] = text.len() as u8;
    u128::from_le_bytes(bytes)
}

/// The values of a column of integers, dates or timestamps.
pub(super) fn integers(column: &ArrayRef) -> Box<dyn Fn(usize) -> i64 + '_> {
    if let Some(a) = column.as_primitive_opt::<Int32Type>() {
        return Box::new(|row| a.value(row).into());
    }
    if let Some(a) = column.as_primitive_opt::<Date32Type>() {
        return Box::new(|row| a.value(row).into());
    }
    if let Some(a) = column.as_primitive_opt::<TimestampMicrosecondType>() {
        return Box::new(|row| a.value(row));
    }
    let a = column.as_primitive::<Int64Type>();
    Box::new(|row| a.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Decimal128Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn hits(m: &Members, column: ArrayRef, listed: bool) -> Vec<usize> {
        m.mask(&column, listed).map(|b| b.set_indices().collect()).unwrap_or_default()
    }

    #[test]
    fn text_lists_short_and_long() {
        let place = Place::step(0);
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None, Some(""), Some("a\0")]));
        let few = Members::new(&["a", "c"], ColumnType::String, &place).unwrap();
        assert!(matches!(few, Members::Short(_)));
        assert_eq!(hits(&few, Arc::clone(&column), false), [1, 3, 4]);
        assert_eq!(hits(&few, Arc::clone(&column), true), [0]);
        let many = ["a", "c", "d", "e", "f", "g", "h", "i", "a value that is rather long"];
        let many = Members::new(&many, ColumnType::String, &place).unwrap();
        assert_eq!(hits(&many, column, false), [1, 3, 4]);
    }

    #[test]
    fn typed_lists_compare_values() {
        let place = Place::step(0);
        let ints = Members::new(&["01", "2"], ColumnType::Integer, &place).unwrap();
        assert_eq!(hits(&ints, Arc::new(Int64Array::from(vec![Some(1), Some(3), None])), false), [1]);
        let kind = ColumnType::Decimal { precision: 5, scale: 2 };
        let decimals = Members::new(&["1.5"], kind, &place).unwrap();
        let column = Decimal128Array::from(vec![150, 151]).with_precision_and_scale(5, 2).unwrap();
        assert_eq!(hits(&decimals, Arc::new(column), false), [1]);
        assert!(matches!(
            Members::new(&["one"], ColumnType::Integer, &place),
            Err(RefineError::BadValue { value, .. }) if value == "one"
        ));
    }
}
