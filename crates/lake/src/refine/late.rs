//! Lateness: rows whose event time lies further before the watermark than is allowed, and how far that time has come.
//!
//! Called by `refinery.rs` after all steps, so that it sees the rows as they are written. It must never judge a row by
//! another row of the same step, or the order of batches would decide.

use super::{
    RefineError, Tally,
    frame::Frame,
    pass::{Exits, Violation, Why},
    rules::Rule,
    types::RECEIVED_AT,
};
use alluvium_spec::{Action, Late, Watermark};
use arrow::{
    array::{Array, AsArray, Int64Array, RecordBatch},
    buffer::BooleanBuffer,
    compute::cast,
    datatypes::{DataType, Date32Type, TimestampMicrosecondType},
};
use jiff::Timestamp;

const MICROS_PER_DAY: i64 = 86_400_000_000;

#[derive(Debug)]
pub(super) struct LateOp {
    watermark: Watermark,
    /// Index of the rule that late rows break.
    rule: usize,
}

impl LateOp {
    /// With the rule, which goes to that index.
    pub fn new(watermark: &Watermark, rule: usize) -> (Self, Rule) {
        let action = match watermark.late {
            // It only counts.
            Late::Recompute => Action::Warn,
            Late::Quarantine => Action::Quarantine,
            Late::Drop => Action::Drop,
            Late::Fail => Action::Fail,
        };
        let message = "is late".to_owned();
        let declared = Rule::elsewhere(watermark.rule(), Some(&watermark.column), action, message);
        (Self { watermark: watermark.clone(), rule }, declared)
    }

    /// Lets late rows go where the policy says. A row without a time is never late.
    pub fn judge(
        &self,
        frame: &mut Frame,
        watermark: Timestamp,
        rules: &[Rule],
        exits: &mut Exits,
    ) -> Result<(), RefineError> {
        let times = self.times(frame);
        let oldest = watermark.as_microsecond().saturating_sub(self.watermark.allowed_lateness.micros());
        let is_late = |row: usize| times.is_valid(row) && times.value(row) < oldest;
        let mask = BooleanBuffer::collect_bool(times.len(), is_late);
        exits.checked(self.rule, times.len());
        let count = mask.count_set_bits() as u64;
        if count == 0 {
            return Ok(());
        }
        let notes = match self.watermark.late {
            Late::Quarantine => {
                let note = format!("the watermark was {watermark}, {} allowed", self.watermark.allowed_lateness);
                mask.set_indices().map(|row| Why::of_columns((row, note.clone()))).collect()
            }
            Late::Recompute | Late::Drop | Late::Fail => Vec::new(),
        };
        exits.send_away(frame, &[Violation { rule: self.rule, mask, notes }], &[], rules)?;
        match self.watermark.late {
            Late::Recompute | Late::Fail => {}
            Late::Quarantine => exits.late_aside += count,
            Late::Drop => {
                exits.dropped -= count;
                exits.late += count;
            }
        }
        Ok(())
    }

    /// How far the time of these rows comes. One that lies after the row's arrival tells nothing.
    pub fn reach(&self, frame: &Frame, bronze: &RecordBatch, tally: &mut Tally) -> Result<(), RefineError> {
        let failed = RefineError::arrow("comparing event times with arrivals");
        let times = self.times(frame);
        let received = bronze.column_by_name(RECEIVED_AT);
        let received = received.ok_or(RefineError::NoSystemColumn { column: RECEIVED_AT })?;
        let received = cast(received, &DataType::Int64).map_err(failed)?;
        let received = received.as_primitive::<arrow::datatypes::Int64Type>();
        for (row, time) in times.iter().enumerate() {
            let Some(time) = time else { continue };
            let arrival = frame.origin_of(row) as usize;
            if received.is_valid(arrival) && time <= received.value(arrival) {
                tally.reached = tally.reached.max(Some(time));
            } else {
                tally.ahead += 1;
            }
        }
        Ok(())
    }

    /// In microseconds since 1970.
    fn times(&self, frame: &Frame) -> Int64Array {
        let column = frame.get(&self.watermark.column).expect("the last pass leaves every column of the contract");
        match column.data_type() {
            DataType::Date32 => {
                column.as_primitive::<Date32Type>().unary(|day| i64::from(day).saturating_mul(MICROS_PER_DAY))
            }
            _ => column.as_primitive::<TimestampMicrosecondType>().reinterpret_cast(),
        }
    }
}
