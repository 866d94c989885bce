//! Whole definitions on whole batches.

mod compile;
mod flights;
mod inside;
mod late;
mod property;
mod replay;
mod rules;
mod steps;

use super::{refinery::Refined, tally::RuleCount, *};
use alluvium_model::{DefinitionVersion, SeededEntropy, StepKey};
use alluvium_spec::{Action, Check, Column, ColumnType, Contract, Normalize, Rule, Severity, Silver, Step, Write};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::Int32Type,
    util::display::{ArrayFormatter, FormatOptions},
};
use std::{collections::BTreeMap, sync::Arc};

pub const DECIMAL: ColumnType = ColumnType::Decimal { precision: 12, scale: 2 };

pub fn contract(columns: &[(&str, ColumnType)], rules: Vec<Rule>) -> Contract {
    let column = |(name, kind): &(&str, ColumnType)| Column {
        name: (*name).to_owned(),
        kind: *kind,
        description: None,
        classification: None,
        required: false,
    };
    Contract {
        id: "test".into(),
        version: "1.0.0".into(),
        file: "contracts/test.odcs.yaml".into(),
        text: "".into(),
        description: None,
        columns: columns.iter().map(column).collect(),
        primary_key: Vec::new(),
        rules,
    }
}

pub fn rule(id: &str, columns: &[&str], check: Check, action: Action) -> Rule {
    Rule {
        id: id.into(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        check,
        action,
        severity: Severity::Error,
        dimension: None,
        description: None,
        threshold: None,
        line: 1,
    }
}

pub fn silver(steps: Vec<Step>) -> Silver {
    Silver {
        from: "bronze.test".parse().unwrap(),
        steps,
        write: Write::Append,
        watermark: None,
        cluster_by: Vec::new(),
    }
}

pub fn sql(query: &str) -> Step {
    Step::Sql { query: query.into(), line: 1 }
}

pub fn normalize(change: impl FnOnce(&mut Normalize)) -> Step {
    let mut step = Normalize::default();
    change(&mut step);
    Step::Normalize(step)
}

/// Text columns and the system columns; positions count from `first`.
pub fn bronze_from(first: i64, columns: &[(&str, Vec<Option<&str>>)]) -> RecordBatch {
    let arrays = columns.iter().map(|(n, v)| (*n, Arc::new(StringArray::from(v.clone())) as ArrayRef));
    typed_bronze(first, arrays.collect())
}

pub fn bronze(columns: &[(&str, Vec<Option<&str>>)]) -> RecordBatch {
    bronze_from(0, columns)
}

pub fn typed_bronze(first: i64, mut columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let rows = columns[0].1.len();
    let event: DictionaryArray<Int32Type> =
        DictionaryArray::new(Int32Array::from(vec![0; rows]), Arc::new(StringArray::from(vec!["event-1"])));
    columns.push(("_event_id", Arc::new(event)));
    columns.push(("_object", Arc::new(StringArray::from(vec!["landing/a.csv"; rows]))));
    columns.push(("_position", Arc::new(Int64Array::from_iter_values(first..first + rows as i64))));
    let at = TimestampMicrosecondArray::from(vec![1_751_371_200_000_000; rows]).with_timezone("UTC");
    columns.push(("_received_at", Arc::new(at)));
    columns.push(("_run_id", Arc::new(StringArray::from(vec!["run-1"; rows]))));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

pub fn stamp() -> Stamp {
    Stamp {
        step_key: StepKey::from_stored("step-1"),
        definition_version: DefinitionVersion::from_stored("version-1"),
        quarantined_at: "2025-07-02T00:00:00Z".parse().unwrap(),
    }
}

pub fn compiled(silver: &Silver, contract: &Contract) -> Arc<Compiled> {
    match Refinery::compile(silver, contract) {
        Ok(c) => Arc::new(c),
        Err(errors) => panic!("{}", errors.iter().map(|e| format!("{e}: {e:?}\n")).collect::<String>()),
    }
}

pub fn refinery_with(silver: &Silver, contract: &Contract, lookups: &[(&str, RecordBatch)]) -> Refinery {
    let lookups: BTreeMap<_, _> = lookups.iter().map(|(n, b)| (n.parse().unwrap(), vec![b.clone()])).collect();
    let binding = Binding { lookups, stamp: stamp(), watermark: None };
    Refinery::bind(compiled(silver, contract), binding, &SeededEntropy::new(7)).unwrap()
}

pub fn refinery(silver: &Silver, contract: &Contract) -> Refinery {
    refinery_with(silver, contract, &[])
}

/// Refines one batch and checks what always holds.
pub fn refine(refinery: &Refinery, batch: &RecordBatch) -> (Refined, Tally) {
    let mut tally = Tally::default();
    let refined = refinery.refine(batch, None, &mut tally).unwrap();
    assert_eq!(tally.received, tally.valid + tally.quarantined + tally.dropped + tally.late, "{tally:?}");
    assert_eq!(refined.valid.schema(), refinery.output_schema());
    if let Some(q) = &refined.quarantined {
        assert_eq!(q.schema(), quarantine_schema());
    }
    (refined, tally)
}

/// Each row as its values joined by `|`, nulls as `∅`, without the two system columns.
pub fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("∅");
    let own = batch.num_columns() - 2;
    let formatters: Vec<ArrayFormatter<'_>> =
        batch.columns()[..own].iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    let row = |r: usize| formatters.iter().map(|f| f.value(r).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(row).collect()
}

/// Each quarantined row as `position: rule(column=value) ...`.
pub fn reasons(refined: &Refined) -> Vec<String> {
    let Some(q) = &refined.quarantined else { return Vec::new() };
    let position = q["_position"].as_primitive::<arrow::datatypes::Int64Type>();
    let lists = q["reasons"].as_list::<i32>();
    let row = |r: usize| {
        let list = lists.value(r);
        let list = list.as_struct();
        let text = |c: &str, i: usize| {
            let c = list.column_by_name(c).unwrap().as_string::<i32>();
            if c.is_null(i) { "∅" } else { c.value(i) }
        };
        let one = |i| format!("{}({}={})", text("rule", i), text("column", i), text("value", i));
        format!("{}: {}", position.value(r), (0..list.len()).map(one).collect::<Vec<_>>().join(" "))
    };
    (0..q.num_rows()).map(row).collect()
}
