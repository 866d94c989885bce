//! A compiled definition bound to its lookups, and the pass over a batch.

use super::{
    Compiled, RefineError, Stop, Tally,
    compile::Op,
    expression::RowExpr,
    frame::Frame,
    lookup::Lookup,
    pass::{Exits, Shared, Violation},
    quarantine::Stamp,
    rescued::frame_of,
    rules::{Seen, Test},
    sql::{Failure, SqlOp},
    tally::RuleCount,
    turn::Turn,
    types::{EVENT_ID, POSITION},
};
use alluvium_model::{DatasetName, Entropy};
use alluvium_spec::Action;
use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch},
    compute::{cast, take},
    datatypes::{DataType, SchemaRef},
};
use jiff::Timestamp;
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

/// What a step brings to a compiled definition.
#[derive(Debug)]
pub struct Binding {
    /// The rows of each dataset of [`super::lookup_needs`]; one that is left out has no rows.
    pub lookups: BTreeMap<DatasetName, Vec<RecordBatch>>,
    pub stamp: Stamp,
    /// By which rows are judged late; `None`: none is.
    pub watermark: Option<Timestamp>,
}

/// Applies a silver dataset's steps to the batches of one step. Shared by worker threads.
///
/// Results do not depend on how rows are split into batches or on their order, with one exception: of the rows that
/// share the columns of a `unique` rule, the first to arrive stays. Give the batches turns where that has to be
/// repeatable.
#[derive(Debug)]
pub struct Refinery {
    compiled: Arc<Compiled>,
    lookups: Vec<Option<Lookup>>,
    stamp: Stamp,
    watermark: Option<Timestamp>,
    seen: Seen,
    seed: [u8; 16],
}

/// A bronze batch, refined. What is in neither table was dropped, and counted in the tally.
#[derive(Debug)]
pub struct Refined {
    /// In the output schema, in the order of the input.
    pub valid: RecordBatch,
    /// The rows of `valid` that `delete_when` holds for; `None` if the definition has no such condition.
    pub deletes: Option<BooleanArray>,
    /// The rows of `valid` that `truncate_when` holds for; `None` if the definition has no such condition.
    pub truncates: Option<BooleanArray>,
    /// In the quarantine schema; `None` if there are none.
    pub quarantined: Option<RecordBatch>,
}

impl Refinery {
    /// Type-checks every expression against the contract; all mistakes at once. Needs no data.
    pub fn compile(
        silver: &alluvium_spec::Silver,
        contract: &alluvium_spec::Contract,
    ) -> Result<Compiled, Vec<RefineError>> {
        Compiled::new(silver, contract)
    }

    /// Prepares the hash tables. `entropy` seeds the hash of unique keys, so that no input can aim at a collision.
    pub fn bind(compiled: Arc<Compiled>, binding: Binding, entropy: &dyn Entropy) -> Result<Self, RefineError> {
        let mut lookups = Vec::with_capacity(compiled.lookups.len());
        for spec in &compiled.lookups {
            let rows = binding.lookups.get(&spec.dataset).map_or(&[][..], Vec::as_slice);
            let on: Vec<&str> = spec.on.iter().map(String::as_str).collect();
            let taken: Vec<&str> = spec.take.iter().map(String::as_str).collect();
            lookups.push(Lookup::build(&spec.dataset, rows, &on, &taken)?);
        }
        let unique = compiled.rules.iter().filter(|r| matches!(r.test, Test::Unique(_))).count();
        let mut seed = [0; 16];
        for part in seed.chunks_exact_mut(8) {
            part.copy_from_slice(&entropy.next_u64().to_le_bytes());
        }
        Ok(Self {
            compiled,
            lookups,
            stamp: binding.stamp,
            watermark: binding.watermark,
            seen: Seen::new(unique),
            seed,
        })
    }

    /// The contract's columns, typed and in order, then `_event_id` and `_position`.
    pub fn output_schema(&self) -> SchemaRef {
        self.compiled.output_schema()
    }

    /// With a turn, waits for the turns before it where rows are compared with those of other batches. On an error
    /// nothing was counted and the batch has to be given again, to a refinery newly bound.
    pub fn refine(
        &self,
        bronze: &RecordBatch,
        turn: Option<Turn<'_>>,
        tally: &mut Tally,
    ) -> Result<Refined, RefineError> {
        let compiled = &*self.compiled;
        let (mut frame, mut exits) = self.pass(bronze, turn, true)?;
        if let (Some(late), Some(watermark)) = (&compiled.late, self.watermark) {
            late.judge(&mut frame, watermark, &compiled.rules, &mut exits)?;
        }
        let mut truncates = self.decides(compiled.truncate_when.as_ref(), &mut frame, &mut exits)?;
        let decided = frame.rows();
        let deletes = self.decides(compiled.delete_when.as_ref(), &mut frame, &mut exits)?;
        if frame.rows() < decided {
            truncates = self.decides(compiled.truncate_when.as_ref(), &mut frame, &mut exits)?;
        }
        let valid = self.output(bronze, &frame)?;
        let quarantined = std::mem::take(&mut exits.rejected).finish(bronze, &self.stamp)?;
        if let Some(late) = &compiled.late {
            late.reach(&frame, bronze, tally)?;
        }
        self.count([bronze.num_rows(), frame.rows(), rows(&quarantined)], &exits, tally);
        Ok(Refined { valid, deletes, truncates, quarantined })
    }

    /// The rows that are to be set aside, as [`Self::refine`] tells them where nothing is written, deleted or late.
    pub fn check(
        &self,
        bronze: &RecordBatch,
        turn: Option<Turn<'_>>,
        tally: &mut Tally,
    ) -> Result<Option<RecordBatch>, RefineError> {
        let (frame, mut exits) = self.pass(bronze, turn, false)?;
        let quarantined = std::mem::take(&mut exits.rejected).finish(bronze, &self.stamp)?;
        self.count([bronze.num_rows(), frame.rows(), rows(&quarantined)], &exits, tally);
        Ok(quarantined)
    }

    /// All steps. The rows that are left after them are there only if they are `wanted`.
    fn pass(&self, bronze: &RecordBatch, turn: Option<Turn<'_>>, wanted: bool) -> Result<(Frame, Exits), RefineError> {
        let compiled = &*self.compiled;
        let mut exits = Exits::new(compiled.rules.len());
        let mut frame = frame_of(bronze, &compiled.sources)?;
        let shared = Shared {
            rules: &compiled.rules,
            trees: &compiled.trees,
            lookups: &self.lookups,
            seen: &self.seen,
            seed: &self.seed,
            turn: RefCell::new(turn),
        };
        for (i, op) in compiled.ops.iter().enumerate() {
            match op {
                Op::Normalize(op) => op.apply(&mut frame)?,
                Op::Validate(pass) => {
                    if !wanted && i + 1 == compiled.ops.len() {
                        frame.ends();
                    }
                    pass.run(&mut frame, &shared, &mut exits)?;
                }
                Op::Enrich(op) => op.apply(&mut frame, self.lookups[op.slot].as_ref())?,
                Op::Sql(op) => self.sql(op, &mut frame, &mut exits)?,
            }
        }
        Ok((frame, exits))
    }

    fn count(&self, [received, valid, quarantined]: [usize; 3], exits: &Exits, tally: &mut Tally) {
        tally.received += received as u64;
        tally.valid += valid as u64;
        tally.quarantined += quarantined as u64;
        tally.dropped += exits.dropped;
        tally.late += exits.late;
        tally.late_aside += exits.late_aside;
        for (rule, (checked, violations)) in self.compiled.rules.iter().zip(&exits.counts) {
            if checked + violations > 0 {
                tally.count(&rule.id, *checked, *violations);
            }
        }
    }

    /// The `fail` rules that forbid the step to go on: those without a threshold that some row broke, and those whose
    /// threshold does not hold. Ask when all batches are in.
    pub fn stops(&self, tally: &Tally) -> Vec<Stop> {
        let fails = self.compiled.rules.iter().filter(|r| r.action == Action::Fail);
        let counted = fails.map(|r| (r, tally.rules.get(&r.id).copied().unwrap_or_default()));
        let broken = counted.filter(|(r, RuleCount { checked, violations })| match &r.threshold {
            None => *violations > 0,
            Some(t) => !t.holds(*violations as f64, *checked as f64),
        });
        broken.map(|(r, count)| Stop { rule: r.id.clone(), count }).collect()
    }

    /// Rows that the `WHERE` does not keep are dropped; rows on which an expression fails are quarantined.
    fn sql(&self, op: &SqlOp, frame: &mut Frame, exits: &mut Exits) -> Result<(), RefineError> {
        let rules = &self.compiled.rules;
        let mut selected = op.select(frame)?;
        if let Some((_, failure)) = selected.take_if(|(_, failure)| !failure.rows.is_empty()) {
            let failed = violation(op.rule, frame, failure);
            exits.send_away(frame, &[failed], &[], rules)?;
            selected = op.select(frame)?;
        }
        if let Some((keep, _)) = selected {
            exits.dropped += (frame.rows() - keep.count_set_bits()) as u64;
            frame.retain(&keep)?;
        }
        let (mut projected, failures) = op.project(frame)?;
        let failures: Vec<Violation> = failures.into_iter().map(|f| violation(op.rule, frame, f)).collect();
        exits.send_away(&mut projected, &failures, &[], rules)?;
        *frame = projected;
        Ok(())
    }

    /// The rows that a condition of `write` holds for; those that it fails on leave.
    fn decides(
        &self,
        condition: Option<&(RowExpr, usize)>,
        frame: &mut Frame,
        exits: &mut Exits,
    ) -> Result<Option<BooleanArray>, RefineError> {
        let Some((condition, rule)) = condition else { return Ok(None) };
        let mut decided = condition.decide(frame)?;
        if !decided.failures.is_empty() {
            let failed = Violation::of_rows(*rule, frame.rows(), decided.failures);
            exits.send_away(frame, &[failed], &[], &self.compiled.rules)?;
            decided = condition.decide(frame)?;
        }
        Ok(Some(BooleanArray::new(decided.yes, None)))
    }

    fn output(&self, bronze: &RecordBatch, frame: &Frame) -> Result<RecordBatch, RefineError> {
        let failed = RefineError::arrow("building refined rows");
        let system = |column: &'static str, kind: &DataType| -> Result<ArrayRef, RefineError> {
            let array = bronze.column_by_name(column).ok_or(RefineError::NoSystemColumn { column })?;
            let array = match frame.origin() {
                Some(rows) => take(array, rows, None).map_err(&failed)?,
                None => Arc::clone(array),
            };
            if array.data_type() == kind { Ok(array) } else { cast(&array, kind).map_err(&failed) }
        };
        let schema = self.output_schema();
        let own = schema.fields().len() - 2;
        let mut columns = Vec::with_capacity(own + 2);
        for field in &schema.fields()[..own] {
            columns.push(frame.get(field.name()).cloned().expect("the last pass leaves every column of the contract"));
        }
        columns.push(system(EVENT_ID, &DataType::Utf8)?);
        columns.push(system(POSITION, &DataType::Int64)?);
        RecordBatch::try_new(schema, columns).map_err(&failed)
    }
}

fn rows(batch: &Option<RecordBatch>) -> usize {
    batch.as_ref().map_or(0, RecordBatch::num_rows)
}

fn violation(rule: usize, frame: &Frame, failure: Failure) -> Violation {
    let place = |text: String| match &failure.column {
        Some(column) => format!("{column}: {text}"),
        None => format!("WHERE: {text}"),
    };
    let rows = failure.rows.into_iter().map(|(row, text)| (row, place(text))).collect();
    Violation::of_rows(rule, frame.rows(), rows)
}
