//! Lower and upper bounds, in the column's type.

use super::{bad_value, mask, members::integers, not_applicable};
use crate::refine::{
    Place, RefineError,
    cast::{cast_constant, parse_decimal_parts, parse_number},
};
use alluvium_spec::{Bound, ColumnType};
use arrow::{
    array::{ArrayRef, AsArray},
    buffer::BooleanBuffer,
    datatypes::{Decimal128Type, Float64Type},
};

#[derive(Debug)]
pub(crate) enum Range {
    /// Both ends included, as the next two.
    Integer(i64, i64),
    Decimal(i128, i128),
    Number(f64, f64),
    /// By bytes.
    Text {
        min: Option<Bound>,
        max: Option<Bound>,
    },
}

impl Range {
    pub fn new(min: Option<&Bound>, max: Option<&Bound>, kind: ColumnType, place: &Place) -> Result<Self, RefineError> {
        let units = |scale| -> Result<(i128, i128), RefineError> {
            let low = min.map(|b| on_grid(b, scale, Side::Low).ok_or_else(|| bad_value(&b.value, kind, place)));
            let high = max.map(|b| on_grid(b, scale, Side::High).ok_or_else(|| bad_value(&b.value, kind, place)));
            Ok((low.transpose()?.unwrap_or(i128::MIN), high.transpose()?.unwrap_or(i128::MAX)))
        };
        let clamp = |(low, high): (i128, i128)| {
            let within =
                |v: i128| i64::try_from(v.clamp(i64::MIN.into(), i64::MAX.into())).expect("clamped to 64 bits");
            // A bound beyond 64 bits admits nothing on one side of it.
            if low > i64::MAX.into() || high < i64::MIN.into() {
                Self::Integer(1, 0)
            } else {
                Self::Integer(within(low), within(high))
            }
        };
        match kind {
            ColumnType::Integer | ColumnType::Int32 => units(0).map(clamp),
            ColumnType::Decimal { scale, .. } => units(scale.into()).map(|(low, high)| Self::Decimal(low, high)),
            ColumnType::Date | ColumnType::Timestamp => {
                let point = |b: &Bound| {
                    let one = cast_constant(&b.value, kind).ok_or_else(|| bad_value(&b.value, kind, place))?;
                    Ok(i128::from(integers(&one)(0)))
                };
                let low = min.map(|b| Ok(point(b)? + i128::from(!b.inclusive))).transpose()?;
                let high = max.map(|b| Ok(point(b)? - i128::from(!b.inclusive))).transpose()?;
                Ok(clamp((low.unwrap_or(i128::MIN), high.unwrap_or(i128::MAX))))
            }
            ColumnType::Number => {
                let point =
                    |b: &Bound| parse_number(b.value.as_bytes()).ok_or_else(|| bad_value(&b.value, kind, place));
                let low = min.map(|b| point(b).map(|v| if b.inclusive { v } else { v.next_up() })).transpose()?;
                let high = max.map(|b| point(b).map(|v| if b.inclusive { v } else { v.next_down() })).transpose()?;
                Ok(Self::Number(low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY)))
            }
            ColumnType::String => Ok(Self::Text { min: min.cloned(), max: max.cloned() }),
            ColumnType::Time => {
                for bound in [min, max].into_iter().flatten() {
                    cast_constant(&bound.value, kind).ok_or_else(|| bad_value(&bound.value, kind, place))?;
                }
                Ok(Self::Text { min: min.cloned(), max: max.cloned() })
            }
            ColumnType::Boolean | ColumnType::Json => Err(not_applicable("a range", kind, place)),
        }
    }

    pub fn outside(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        match self {
            Self::Integer(low, high) => {
                let of = integers(column);
                mask(column, |row| !(*low..=*high).contains(&of(row)))
            }
            Self::Decimal(low, high) => {
                let values = column.as_primitive::<Decimal128Type>().values();
                mask(column, |row| !(*low..=*high).contains(&values[row]))
            }
            Self::Number(low, high) => {
                let values = column.as_primitive::<Float64Type>().values();
                mask(column, |row| !(*low..=*high).contains(&values[row]))
            }
            Self::Text { min, max } => {
                let text = column.as_string::<i32>();
                let below = |v: &str, b: &Bound| v < b.value.as_str() || (!b.inclusive && v == b.value);
                let above = |v: &str, b: &Bound| v > b.value.as_str() || (!b.inclusive && v == b.value);
                mask(text, |row| {
                    let v = text.value(row);
                    min.as_ref().is_some_and(|b| below(v, b)) || max.as_ref().is_some_and(|b| above(v, b))
                })
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Low,
    High,
}

/// The outermost value of the column that the bound lets in, in units of `10^-scale`; `None` if it is no number.
fn on_grid(bound: &Bound, scale: u32, side: Side) -> Option<i128> {
    let (mantissa, fraction) = parse_decimal_parts(bound.value.as_bytes())?;
    let (floor, exact) = match fraction.checked_sub(scale) {
        Some(finer @ 1..) => {
            let unit = 10_i128.checked_pow(finer)?;
            (mantissa.div_euclid(unit), mantissa.rem_euclid(unit) == 0)
        }
        _ => (mantissa.checked_mul(10_i128.checked_pow(scale.saturating_sub(fraction))?)?, true),
    };
    match (side, exact, bound.inclusive) {
        (_, true, true) => Some(floor),
        (Side::Low, _, _) => floor.checked_add(1),
        (Side::High, true, false) => floor.checked_sub(1),
        (Side::High, false, _) => Some(floor),
    }
}

pub(super) fn message(min: Option<&Bound>, max: Option<&Bound>) -> String {
    let low = min.map(|b| format!("{} {}", if b.inclusive { "at least" } else { "above" }, b.value));
    let high = max.map(|b| format!("{} {}", if b.inclusive { "at most" } else { "below" }, b.value));
    let both: Vec<String> = low.into_iter().chain(high).collect();
    format!("is not {}", both.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn bound(value: &str, inclusive: bool) -> Option<Bound> {
        Some(Bound { value: value.into(), inclusive })
    }

    fn outside(min: Option<Bound>, max: Option<Bound>, kind: ColumnType, column: ArrayRef) -> Vec<usize> {
        let range = Range::new(min.as_ref(), max.as_ref(), kind, &Place::step(0)).unwrap();
        range.outside(&column).map(|b| b.set_indices().collect()).unwrap_or_default()
    }

    #[test]
    fn bounds_between_two_values_of_the_column() {
        let ints = || Arc::new(Int64Array::from(vec![Some(-1), Some(0), Some(1), None, Some(2)])) as ArrayRef;
        assert_eq!(outside(bound("0", true), bound("1", true), ColumnType::Integer, ints()), [0, 4]);
        assert_eq!(outside(bound("0", false), bound("2", false), ColumnType::Integer, ints()), [0, 1, 4]);
        assert_eq!(outside(bound("0.5", true), bound("1.5", true), ColumnType::Integer, ints()), [0, 1, 4]);
        assert_eq!(outside(bound("-0.5", true), None, ColumnType::Integer, ints()), [0]);
        assert_eq!(outside(bound("99999999999999999999", true), None, ColumnType::Integer, ints()), [0, 1, 2, 4]);
        let kind = ColumnType::Decimal { precision: 12, scale: 2 };
        let cents = Decimal128Array::from(vec![-1, 0, 1]).with_precision_and_scale(12, 2).unwrap();
        assert_eq!(outside(bound("0", true), bound("0.005", false), kind, Arc::new(cents)), [0, 2]);
    }

    #[test]
    fn numbers_dates_and_texts() {
        let numbers = Arc::new(Float64Array::from(vec![0.0, -0.0, 0.1, 1.0]));
        assert_eq!(outside(bound("0", false), bound("1", false), ColumnType::Number, numbers), [0, 1, 3]);
        let dates = Arc::new(Date32Array::from(vec![0, 1, 2]));
        assert_eq!(outside(bound("1970-01-02", true), None, ColumnType::Date, dates), [0]);
        let texts = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        assert_eq!(outside(bound("a", false), bound("c", true), ColumnType::String, texts), [0]);
    }

    #[test]
    fn a_bound_that_is_no_value_is_a_mistake() {
        let bad = bound("soon", true);
        for kind in [ColumnType::Integer, ColumnType::Number, ColumnType::Date, ColumnType::Time] {
            let made = Range::new(bad.as_ref(), None, kind, &Place::step(0));
            assert!(matches!(made, Err(RefineError::BadValue { .. })), "{kind:?}");
        }
        let made = Range::new(bad.as_ref(), None, ColumnType::Boolean, &Place::step(0));
        assert!(matches!(made, Err(RefineError::NotApplicable { .. })));
    }
}
