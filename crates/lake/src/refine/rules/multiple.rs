//! Multiples of a divisor.

use super::{bad_value, mask, members::integers, not_applicable};
use crate::refine::{Place, RefineError, cast::parse_decimal_parts};
use alluvium_spec::ColumnType;
use arrow::{
    array::{ArrayRef, AsArray},
    buffer::BooleanBuffer,
    datatypes::{Decimal128Type, Float64Type},
};

/// Exact for integers and decimals; for floating point numbers within a billionth of the quotient.
#[derive(Debug)]
pub(crate) enum Multiple {
    /// The value times `factor` leaves no rest over `divisor`.
    Integer {
        factor: i128,
        divisor: i128,
    },
    Decimal {
        factor: i128,
        divisor: i128,
    },
    Number(f64),
}

/// Larger divisors and finer scales are refused, so that no product overflows.
const LIMIT: i128 = 10_i128.pow(18);

impl Multiple {
    pub fn new(divisor: f64, kind: ColumnType, place: &Place) -> Result<Self, RefineError> {
        let bad = || bad_value(&divisor.to_string(), kind, place);
        if !divisor.is_finite() || divisor <= 0.0 {
            return Err(bad());
        }
        let exact = |scale: u32| {
            let (units, fraction) = parse_decimal_parts(divisor.to_string().as_bytes())?;
            let common = scale.max(fraction);
            let factor = 10_i128.checked_pow(common - scale).filter(|f| *f <= LIMIT)?;
            let divisor = units.checked_mul(10_i128.checked_pow(common - fraction)?)?;
            (divisor <= LIMIT).then_some((factor, divisor))
        };
        match kind {
            ColumnType::Integer | ColumnType::Int32 => {
                let (factor, divisor) = exact(0).ok_or_else(bad)?;
                Ok(Self::Integer { factor, divisor })
            }
            ColumnType::Decimal { scale, .. } => {
                let (factor, divisor) = exact(scale.into()).ok_or_else(bad)?;
                Ok(Self::Decimal { factor, divisor })
            }
            ColumnType::Number => Ok(Self::Number(divisor)),
            _ => Err(not_applicable("a divisor", kind, place)),
        }
    }

    pub fn others(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        let rest = |value: i128, factor: i128, divisor: i128| (value % divisor) * (factor % divisor) % divisor != 0;
        match *self {
            Self::Integer { factor, divisor } => {
                let of = integers(column);
                mask(column, |row| rest(of(row).into(), factor, divisor))
            }
            Self::Decimal { factor, divisor } => {
                let values = column.as_primitive::<Decimal128Type>().values();
                mask(column, |row| rest(values[row], factor, divisor))
            }
            Self::Number(divisor) => {
                let values = column.as_primitive::<Float64Type>().values();
                mask(column, |row| {
                    let quotient = values[row] / divisor;
                    (quotient - quotient.round()).abs() > 1e-9 * quotient.abs().max(1.0)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Decimal128Array, Float64Array, Int64Array};
    use std::sync::Arc;

    fn others(divisor: f64, kind: ColumnType, column: ArrayRef) -> Vec<usize> {
        let multiple = Multiple::new(divisor, kind, &Place::step(0)).unwrap();
        multiple.others(&column).map(|b| b.set_indices().collect()).unwrap_or_default()
    }

    #[test]
    fn exact_where_the_type_is() {
        let ints = || Arc::new(Int64Array::from(vec![Some(0), Some(5), Some(-10), None, Some(i64::MAX)])) as ArrayRef;
        assert_eq!(others(5.0, ColumnType::Integer, ints()), [4]);
        assert_eq!(others(2.5, ColumnType::Integer, ints()), [4]);
        assert_eq!(others(0.1, ColumnType::Integer, ints()), [0; 0]);
        let kind = ColumnType::Decimal { precision: 12, scale: 2 };
        let cents = Decimal128Array::from(vec![5, 10, 12]).with_precision_and_scale(12, 2).unwrap();
        assert_eq!(others(0.05, kind, Arc::new(cents)), [2]);
        let numbers = Arc::new(Float64Array::from(vec![0.3, 0.7, 0.25]));
        assert_eq!(others(0.1, ColumnType::Number, numbers), [2]);
    }

    #[test]
    fn divisors_that_are_none() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(Multiple::new(bad, ColumnType::Integer, &Place::step(0)).is_err(), "{bad}");
        }
        assert!(Multiple::new(2.0, ColumnType::String, &Place::step(0)).is_err());
    }
}
