//! [`Profile`] and [`Distinct`] as aggregates of SQL, so that all measures of a dataset are one query.

use super::{distinct::Distinct, profile::Profile};
use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{DataType, Float64Type},
};
use datafusion::{
    common::ScalarValue,
    error::{DataFusionError, Result},
    logical_expr::{Accumulator, AggregateUDF, Volatility, create_udaf},
};
use std::sync::Arc;

/// Of a DOUBLE, the bytes of a [`Profile`].
pub(super) const PROFILE: &str = "alluvium_profile";
/// Of a VARCHAR, a number.
pub(super) const DISTINCT: &str = "alluvium_distinct";

pub(super) fn profile() -> AggregateUDF {
    create_udaf(
        PROFILE,
        vec![DataType::Float64],
        Arc::new(DataType::Binary),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Profiling(Profile::default())))),
        Arc::new(vec![DataType::Binary]),
    )
}

pub(super) fn distinct() -> AggregateUDF {
    create_udaf(
        DISTINCT,
        vec![DataType::Utf8],
        Arc::new(DataType::UInt64),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Counting(Distinct::default())))),
        Arc::new(vec![DataType::Binary]),
    )
}

#[derive(Debug)]
struct Profiling(Profile);

impl Accumulator for Profiling {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values[0].as_primitive::<Float64Type>().iter().flatten().for_each(|v| self.0.add(v));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.0.to_bytes())))
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for bytes in states[0].as_binary::<i32>().iter().flatten() {
            let part = Profile::from_bytes(bytes);
            let part = part.ok_or_else(|| DataFusionError::Internal("a profile is its own bytes".into()))?;
            self.0.merge(&part);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Counting(Distinct);

impl Accumulator for Counting {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values[0].as_string::<i32>().iter().flatten().for_each(|v| self.0.add(v.as_bytes()));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::UInt64(Some(self.0.count())))
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.0.to_bytes()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states[0].as_binary::<i32>().iter().flatten().for_each(|bytes| self.0.merge(bytes));
        Ok(())
    }
}
