//! The rows of units in their order, batch by batch, for lanes whose work has an order. Called by the silver step.
//!
//! Reading is done by one lane at a time, since the next batch begins where the last one ended; what follows is done side by
//! side. Holds no batch.

use crate::{
    error::LakeError,
    meter::Meter,
    refine::{Turn, Turns},
    scan::{Batches, Unit},
};
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use std::sync::{Mutex, PoisonError};

#[derive(Default)]
pub(crate) struct InOrder {
    reading: Mutex<Reading>,
    turns: Turns,
}

#[derive(Default)]
struct Reading {
    /// Units that were opened.
    opened: usize,
    batches: Option<Batches>,
}

impl InOrder {
    /// The next batch and its turn; `None` after the last. Always to be called with the same units and columns.
    pub(crate) fn next(
        &self,
        units: &[Unit],
        schema: &SchemaRef,
        meter: &Meter,
    ) -> Result<Option<(RecordBatch, Turn<'_>)>, LakeError> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(batch) = reading.batches.as_mut().and_then(Iterator::next) {
                return batch.map(|b| Some((b, self.turns.give())));
            }
            let Some(unit) = units.get(reading.opened) else { return Ok(None) };
            reading.opened += 1;
            reading.batches = Some(unit.read(schema, meter)?);
        }
    }
}
