//! What is asked of columns of every kind, by the engine itself.

use super::{
    columns,
    freshness::{self, Stored},
    pass::{self, Pass, Seen},
    totals,
};
use crate::{files::Files, maintain::fixture::World};
use alluvium_spec::{ColumnMeasure, Freshness, Levels, MeasureKind};
use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
        RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Int64Type, Schema},
};
use std::sync::Arc;

/// Two rows.
fn every_kind() -> RecordBatch {
    let cents = Decimal128Array::from(vec![10, 20]).with_precision_and_scale(12, 2).expect("a decimal");
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), None]);
    let inner = Arc::new(Field::new("x", DataType::Int64, true));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("whole", Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX]))),
        ("cents", Arc::new(cents)),
        ("float", Arc::new(Float64Array::from(vec![0.5, f64::INFINITY]))),
        ("text", Arc::new(StringArray::from(vec!["1.5", "x"]))),
        ("flag", Arc::new(BooleanArray::from(vec![true, false]))),
        ("day", Arc::new(Date32Array::from(vec![1, 2]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC"))),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"\xff"[..], b"a"]))),
        ("list", Arc::new(list)),
        ("object", Arc::new(StructArray::from(vec![(inner, Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true))).expect("a batch")
}

struct Rows {
    world: World,
    schema: Arc<Schema>,
    files: Arc<Files>,
}

impl Rows {
    async fn new() -> Self {
        Self::of(every_kind()).await
    }

    async fn of(batch: RecordBatch) -> Self {
        let world = World::new();
        world.append(&World::silver(), "one", &batch).await;
        let sources = world.table(&World::silver()).await.sources().expect("sources");
        let files = Arc::new(Files::new(batch.schema(), &sources).expect("files"));
        Self { world, schema: batch.schema(), files }
    }

    async fn look(&self, pass: &Pass, of: &str) -> Seen {
        pass.look(&self.world.engine, &self.files, of).await.unwrap_or_else(|e| panic!("{of}: {e:?}"))
    }

    async fn figure(&self, column: &str, kind: MeasureKind) -> Option<f64> {
        let mut names = column.split('+').map(str::to_owned);
        let column = names.next().expect("a name");
        let levels = Levels::default();
        let measures = [ColumnMeasure { column, and: names.collect(), kind, of_last: None, levels }];
        let mut pass = Pass::default();
        let plan = columns::plan(&measures, &self.schema, &mut pass);
        let place = plan.asked[0].place.clone().expect("it can be measured");
        let seen = self.look(&pass, "").await;
        plan.asked[0].answer(place, 2, &seen, 0).expect("an answer").map(|a| a.value)
    }
}

#[tokio::test]
async fn what_is_asked_of_any_column_is_answered_or_cannot_be_measured() {
    let rows = Rows::new().await;
    let (mut unsummed, mut unsingle) = (Vec::new(), Vec::new());
    for field in rows.schema.fields() {
        let name = field.name().as_str();
        let mut pass = Pass::default();
        pass.ask(format!("count({})", pass::any(&rows.schema, name).expect("it is there")));
        match totals::sum_of(&rows.schema, name) {
            Ok(sum) => _ = pass.ask(sum),
            Err(_) => unsummed.push(name),
        }
        match pass::single(&rows.schema, name) {
            Ok(column) => {
                pass.ask(pass::distinct_of(&column));
                let mut parts = Pass::default();
                let key = parts.ask(format!("CAST({column} AS VARCHAR)"));
                let seen = rows.look(&parts, "GROUP BY 1 ORDER BY 1").await;
                assert!(seen.text(key, 0).expect("a text").is_some(), "{name}");
            }
            Err(_) => unsingle.push(name),
        }
        rows.look(&pass, "").await;
    }
    assert_eq!(unsummed, ["flag", "day", "at", "bytes", "list", "object"]);
    assert_eq!(unsingle, ["bytes", "list", "object"]);
    let why = totals::sum_of(&rows.schema, "day").expect_err("a day is no number");
    assert_eq!(why, "`day` is Date32, and no number");
}

#[tokio::test]
async fn sums_of_decimals_and_whole_numbers_are_exact() {
    let rows = Rows::new().await;
    assert_eq!(rows.figure("cents", MeasureKind::Sum).await, Some(0.3), "not 0.1 + 0.2 of floats");
    assert_eq!(rows.figure("cents", MeasureKind::Mean).await, Some(0.15));
    assert_eq!(rows.figure("whole", MeasureKind::Sum).await, Some(i64::MAX as f64 * 2.0));
    assert_eq!(rows.figure("text", MeasureKind::Mean).await, Some(1.5), "of those that are numbers");
    assert_eq!(rows.figure("text", MeasureKind::Distinct).await, Some(2.0));
}

#[tokio::test]
async fn all_figures_of_a_column_are_asked_for_together() {
    use MeasureKind::{Distinct, Max, Mean, Min, Nulls, Percentile, Sum};
    let rows = Rows::new().await;
    for column in ["whole", "cents", "float", "text"] {
        let measures = [Nulls, Distinct, Min, Max, Sum, Mean, Percentile(95.0)].map(|kind| ColumnMeasure {
            column: column.to_owned(),
            and: Vec::new(),
            kind,
            of_last: None,
            levels: Levels::default(),
        });
        let mut pass = Pass::default();
        let plan = columns::plan(&measures, &rows.schema, &mut pass);
        let seen = rows.look(&pass, "").await;
        for asked in &plan.asked {
            let place = asked.place.clone().expect("it can be measured");
            let together = asked.answer(place, 2, &seen, 0).expect("an answer").map(|a| a.value);
            assert_eq!(together, rows.figure(column, asked.measure.kind).await, "{column} {}", asked.rule());
        }
    }
}

#[tokio::test]
async fn different_values_of_several_columns_are_counted_together() {
    let rows = Rows::new().await;
    for (columns, count) in [("whole+cents", 2.0), ("whole+flag+day+at", 2.0), ("whole+text", 2.0)] {
        assert_eq!(rows.figure(columns, MeasureKind::Distinct).await, Some(count), "{columns}");
    }
    // Where one ends and the next begins is told, and what lacks one is not counted.
    let text = |values: [Option<&str>; 4]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let columns = [
        ("a", text([Some("x:"), Some("x"), None, Some("x")])),
        ("b", text([Some("y"), Some(":y"), Some("y"), Some(":y")])),
        ("same", text([Some("é"); 4])),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)));
    let rows = Rows::of(batch.expect("a batch")).await;
    assert_eq!(rows.figure("a+b", MeasureKind::Distinct).await, Some(2.0));
    assert_eq!(rows.figure("same+b", MeasureKind::Distinct).await, Some(2.0));
}

#[tokio::test]
async fn the_first_and_the_last_of_a_time_are_moments() {
    let rows = Rows::new().await;
    let both = |column| [(column, MeasureKind::First), (column, MeasureKind::Last)];
    let mut found = Vec::new();
    for (column, kind) in both("at").into_iter().chain(both("day")) {
        found.push(rows.figure(column, kind).await);
    }
    assert_eq!(found, [Some(1.0), Some(2.0), Some(86_400e6), Some(2.0 * 86_400e6)]);
    assert_eq!(rows.figure("text", MeasureKind::Last).await, None, "no text of it is a time");
}

#[tokio::test]
async fn rows_that_only_moved_are_still_those_of_the_table() {
    let rows = Rows::new().await;
    let table = rows.world.table(&World::silver()).await;
    let of = Freshness { column: "at".to_owned(), warn_after: None, error_after: None };
    let sources = table.sources().expect("sources");
    let mut newest = Vec::new();
    for moved in [&[][..], &sources] {
        let stored = Stored { schema: rows.schema.clone(), dir: &table.dir, files: &[], moved };
        newest.push(freshness::newest_of(&rows.world.engine, &of, &stored).await.expect("it is told"));
    }
    assert_eq!(newest, [None, Some(2)]);
}
