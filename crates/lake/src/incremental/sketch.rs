//! Distinct values of a kept group as a sketch: the engine's own (HyperLogLog), in the bytes that it hands from thread to thread.
//!
//! Sketches of parts of the rows, put together, count exactly what `approx_distinct` counts of all the rows, in any order and
//! however they are split. Nothing can be taken out of one. Called by [`super::shape`].

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, UInt64Array},
    datatypes::{DataType, Field, FieldRef, Schema, UInt64Type},
};
use datafusion::{
    common::{exec_err, internal_err},
    error::{DataFusionError, Result},
    functions_aggregate::approx_distinct::approx_distinct_udaf,
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, EmitTo, Expr, GroupsAccumulator, Signature,
        Volatility, create_udf, function::AccumulatorArgs,
    },
};
use std::sync::Arc;

/// The function of SQL that is kept by a sketch.
pub(super) const FUNCTION: &str = "approx_distinct";
/// How a sketch is stored.
pub(super) const KIND: DataType = DataType::Binary;
/// Sketches that are opened together: one of many values has 16 KiB.
const OPENED: usize = 64;
/// The sketches of one table of groups in memory are one array when they leave it.
const MOST_BYTES: usize = i32::MAX as usize;

/// Whether the values of this type have sketches. The engine counts small numbers in other ways.
pub(super) fn takes(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Int32
            | DataType::Int64
            | DataType::Utf8
            | DataType::Utf8View
            | DataType::LargeUtf8
            | DataType::Date32
            | DataType::Decimal128(..)
            | DataType::Timestamp(..)
    )
}

/// The sketch of the values.
pub(super) fn of(values: Expr) -> Expr {
    aggregate("alluvium_sketch", Of::Values, Signature::any(1, Volatility::Immutable)).call(vec![values])
}

/// One sketch of these.
pub(super) fn together(sketches: Expr) -> Expr {
    let signature = Signature::exact(vec![KIND], Volatility::Immutable);
    aggregate("alluvium_sketches", Of::Sketches, signature).call(vec![sketches])
}

/// How many values a sketch has seen.
pub(super) fn count(sketch: Expr) -> Expr {
    let one = create_udf(
        "alluvium_sketched",
        vec![KIND],
        DataType::UInt64,
        Volatility::Immutable,
        Arc::new(|values: &[ColumnarValue]| {
            let arrays = ColumnarValue::values_to_arrays(values)?;
            Ok(ColumnarValue::Array(counts(&arrays[0])?))
        }),
    );
    one.call(vec![sketch])
}

fn counts(sketches: &ArrayRef) -> Result<ArrayRef> {
    let mut all = Vec::with_capacity(sketches.len());
    for from in (0..sketches.len()).step_by(OPENED) {
        let some = sketches.slice(from, OPENED.min(sketches.len() - from));
        let each: Vec<usize> = (0..some.len()).collect();
        let mut opened = engines()?;
        opened.merge_batch(&[some], &each, each.len())?;
        all.extend_from_slice(opened.evaluate(EmitTo::All)?.as_primitive::<UInt64Type>().values());
    }
    Ok(Arc::new(UInt64Array::from(all)))
}

fn aggregate(name: &'static str, of: Of, signature: Signature) -> AggregateUDF {
    AggregateUDF::from(Sketching { name, of, signature })
}

/// What the engine counts with, a sketch a group. It is the same for values of all types that have one.
fn engines() -> Result<Box<dyn GroupsAccumulator>> {
    let schema = Schema::empty();
    let values: [FieldRef; 1] = [Arc::new(Field::new("values", DataType::Int64, true))];
    approx_distinct_udaf().create_groups_accumulator(AccumulatorArgs {
        return_field: Arc::new(Field::new(FUNCTION, DataType::UInt64, false)),
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: FUNCTION,
        is_distinct: false,
        exprs: &[],
        expr_fields: &values,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Values,
    Sketches,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sketching {
    name: &'static str,
    of: Of,
    signature: Signature,
}

impl AggregateUDFImpl for Sketching {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(KIND)
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        internal_err!("kept groups have keys")
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Sketches { of: self.of, groups: engines()? }))
    }
}

/// The engine's sketches, which end as what they are and not as counts.
struct Sketches {
    of: Of,
    groups: Box<dyn GroupsAccumulator>,
}

impl Sketches {
    /// More than one array can have: the engine would not end in an error.
    fn bounded(&self) -> Result<()> {
        if self.groups.size() <= MOST_BYTES {
            return Ok(());
        }
        let message = format!("the sketches of {FUNCTION} take more than {MOST_BYTES} bytes");
        Err(DataFusionError::ResourcesExhausted(message))
    }
}

impl GroupsAccumulator for Sketches {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        match (self.of, opt_filter) {
            (Of::Values, _) => self.groups.update_batch(values, group_indices, opt_filter, total_num_groups)?,
            (Of::Sketches, None) => self.groups.merge_batch(values, group_indices, total_num_groups)?,
            (Of::Sketches, Some(_)) => return exec_err!("sketches are put together without a filter"),
        }
        self.bounded()
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.groups.merge_batch(values, group_indices, total_num_groups)?;
        self.bounded()
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        match self.groups.state(emit_to)?.pop() {
            Some(sketches) => Ok(sketches),
            None => internal_err!("a sketch is one state"),
        }
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.groups.state(emit_to)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        match (self.of, opt_filter) {
            (Of::Values, _) => self.groups.convert_to_state(values, opt_filter),
            (Of::Sketches, None) => Ok(values.to_vec()),
            (Of::Sketches, Some(_)) => exec_err!("sketches are put together without a filter"),
        }
    }

    fn size(&self) -> usize {
        self.groups.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, RecordBatch, StringArray};
    use datafusion::{
        dataframe::DataFrame,
        logical_expr::{ident, lit},
        prelude::SessionContext,
    };
    use proptest::prelude::*;

    /// The rows' first column is the key of their group.
    fn frame(columns: Vec<(&str, ArrayRef)>) -> DataFrame {
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        SessionContext::new().read_batch(batch).expect("a table")
    }

    fn values(of: &[Option<i64>]) -> DataFrame {
        let key: ArrayRef = Arc::new(Int64Array::from(vec![1; of.len()]));
        frame(vec![("k", key), ("x", Arc::new(Int64Array::from(of.to_vec())))])
    }

    async fn one(frame: DataFrame, made: Expr) -> ArrayRef {
        let grouped = frame.aggregate(vec![ident("k")], vec![made.alias("made")]).expect("a plan");
        let found = grouped.collect().await.expect("groups");
        let group = found.iter().find(|b| b.num_rows() > 0).expect("a group");
        assert_eq!(group.num_rows(), 1);
        group.column(1).clone()
    }

    async fn sketch(of_these: &[Option<i64>]) -> Vec<u8> {
        one(values(of_these), of(ident("x"))).await.as_binary::<i32>().value(0).to_vec()
    }

    async fn put_together(parts: &[Vec<u8>]) -> Vec<u8> {
        let sketches = arrow::array::BinaryArray::from_iter(parts.iter().map(Some).chain([None]));
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![1; parts.len() + 1]));
        let parts = frame(vec![("k", keys), ("x", Arc::new(sketches))]);
        one(parts, together(ident("x"))).await.as_binary::<i32>().value(0).to_vec()
    }

    fn counted(sketch: &[u8]) -> u64 {
        let sketches: ArrayRef = Arc::new(arrow::array::BinaryArray::from_vec(vec![sketch]));
        counts(&sketches).expect("counts").as_primitive::<UInt64Type>().value(0)
    }

    fn numbers(n: i64) -> Vec<Option<i64>> {
        (0..n).map(Some).chain([None, Some(0)]).collect()
    }

    #[tokio::test]
    async fn a_sketch_counts_as_the_engine_does_and_within_two_percent() {
        for n in [0, 1, 200, 256, 257, 5_000, 100_000] {
            let all = numbers(n).into_iter().filter(|x| n > 0 || x.is_none()).collect::<Vec<_>>();
            let counted = counted(&sketch(&all).await);
            let engine = one(values(&all), approx_distinct_udaf().call(vec![ident("x")])).await;
            assert_eq!(counted, engine.as_primitive::<UInt64Type>().value(0), "{n}");
            let off = counted.abs_diff(u64::try_from(n).expect("a count"));
            assert!(off * 50 <= u64::try_from(n).expect("a count"), "{counted} of {n}");
        }
    }

    #[tokio::test]
    async fn texts_have_sketches_too() {
        let words: Vec<String> = (0..3_000).map(|n| format!("a word of more than twelve letters {n}")).collect();
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![1; words.len()]));
        let rows = || frame(vec![("k", keys.clone()), ("x", Arc::new(StringArray::from(words.clone())) as ArrayRef)]);
        let sketch = one(rows(), of(ident("x"))).await;
        let engine = one(rows(), approx_distinct_udaf().call(vec![ident("x")])).await;
        assert_eq!(counted(sketch.as_binary::<i32>().value(0)), engine.as_primitive::<UInt64Type>().value(0));
    }

    #[tokio::test]
    async fn many_groups_are_counted_a_few_at_a_time() {
        let n = i64::try_from(OPENED * 2 + 1).expect("few");
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
        let rows = frame(vec![("k", keys.clone()), ("x", keys)]);
        let groups = rows.aggregate(vec![ident("k")], vec![of(ident("x")).alias("h")]).expect("a plan");
        let wrong = groups.filter(count(ident("h")).not_eq(lit(1_u64))).expect("a plan");
        assert_eq!(wrong.count().await.expect("counted"), 0);
    }

    /// Files of sketches outlive the program: an engine that makes others needs another name of their columns in `shape`.
    #[tokio::test]
    async fn sketches_are_those_that_were_kept_before() {
        let (few, many) = (sketch(&numbers(3)).await, sketch(&numbers(1_000)).await);
        let shown = |bytes: &[u8]| format!("{} {}", bytes.len(), &blake3::hash(bytes).to_hex()[..16]);
        assert_eq!([shown(&few), shown(&many)], ["24 9145f12ad4d1b824", "16384 78edfd76b2975587"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn however_rows_are_split_the_sketch_is_the_same(
            rows in proptest::collection::vec(proptest::option::weighted(0.9, 0_i64..2_000), 1..3_000),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
            twice in any::<proptest::sample::Index>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(rows.len())).chain([0, rows.len()]).collect();
            cuts.sort_unstable();
            let mut parts: Vec<&[Option<i64>]> = cuts.windows(2).map(|c| &rows[c[0]..c[1]]).filter(|p| !p.is_empty()).collect();
            parts.push(&rows[..=twice.index(rows.len())]);
            parts.reverse();
            runtime.block_on(async {
                let mut sketches = Vec::new();
                for part in parts {
                    sketches.push(sketch(part).await);
                }
                // As they would come to be in parts and then in a base.
                let (first, rest) = sketches.split_first().expect("a part");
                let rest = put_together(rest).await;
                prop_assert_eq!(put_together(&[rest, first.clone()]).await, sketch(&rows).await);
                Ok(())
            })?;
        }
    }
}
