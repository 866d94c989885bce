//! Type-checks every expression and query of a project against its contracts, without any data.

use crate::{
    engine::{contract_schema, declared},
    library,
    refine::{Part, RefineError, Refinery},
    session, windows,
};
use alluvium_model::{DatasetName, Fault};
use alluvium_spec::{Contract, Dataset, Gold, Kind, Origins, Reading, Silver, Step};
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    datasource::MemTable,
    error::DataFusionError,
    prelude::{SessionConfig, SessionContext},
};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// What to do about a query that does not give what its contract says.
const AGREE: &str =
    "make the query give every column of the contract, and no other, in types that cast without a guess";

/// A mistake in an expression or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Relative to the project's root.
    pub file: PathBuf,
    /// From 1; 1 where the place is not known.
    pub line: usize,
    pub column: usize,
    /// Characters.
    pub length: usize,
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
}

/// All mistakes of the datasets that are sound so far, in their order. A query over a dataset whose columns are not known is
/// left out: what is wrong there is told already.
pub async fn check(reading: &Reading) -> Vec<Mistake> {
    let project = &reading.project;
    let mut mistakes = library::check(&project.library).await;
    let session = session();
    let mut known = BTreeSet::new();
    for (name, contract) in &reading.flawed {
        let contract = contract.as_ref().and_then(|c| project.contracts.get(c));
        if contract.is_some_and(|c| offer(&session, name, contract_schema(c))) {
            known.insert(name);
        }
    }
    for name in &project.order {
        let dataset = &project.datasets[name];
        let contract = project.contract_of(dataset);
        let mut schema = contract.and_then(|c| declared(c, dataset.silver()).ok());
        match &dataset.kind {
            Kind::Bronze(_) => {}
            Kind::Silver(silver) => {
                let Some(contract) = contract else { continue };
                if let Err(errors) = Refinery::compile(silver, contract) {
                    mistakes.extend(errors.into_iter().map(|e| in_steps(dataset, silver, contract, &e)));
                }
            }
            Kind::Gold(gold) if gold.inputs.iter().all(|i| known.contains(i)) => {
                match plan(&session, dataset, gold, contract).await {
                    Ok(planned) => schema = Some(planned),
                    Err(found) => mistakes.push(*found),
                }
            }
            Kind::Gold(_) => {}
        }
        if schema.is_some_and(|s| offer(&session, name, s)) {
            known.insert(name);
        }
    }
    mistakes
}

/// One that tells where in a statement a mistake is.
pub(crate) fn session() -> SessionContext {
    let mut config = SessionConfig::new().with_default_catalog_and_schema("alluvium", "silver");
    config.options_mut().sql_parser.collect_spans = true;
    SessionContext::new_with_config(config)
}

/// Lets later queries read the dataset. `false`: it has no columns that a table can hold.
fn offer(session: &SessionContext, name: &DatasetName, schema: SchemaRef) -> bool {
    let empty = RecordBatch::new_empty(schema.clone());
    let table = MemTable::try_new(schema, vec![vec![empty]]);
    table.is_ok_and(|t| session::register(session, name.layer().as_str(), name.name(), Arc::new(t)).is_ok())
}

fn in_steps(dataset: &Dataset, silver: &Silver, contract: &Contract, e: &RefineError) -> Mistake {
    let (mut file, mut line) = (dataset.file.clone(), 1);
    match e.place().map(|p| &p.part) {
        Some(Part::Rule(id)) => {
            if let Some(rule) = contract.rules.iter().find(|r| r.id == *id) {
                (file, line) = (contract.file.clone(), rule.line);
            }
        }
        Some(Part::Step(i)) => {
            if let Some(Step::Sql { line: at, .. }) = silver.steps.get(*i) {
                line = *at;
            }
        }
        Some(Part::Write(_)) | None => {}
    }
    Mistake { file, line, column: 1, length: 1, code: e.code(), message: chain(e), help: Some(e.remedy().to_owned()) }
}

/// The message with its causes: the engine's word on an expression is in the cause.
fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut next = e.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

async fn plan(
    session: &SessionContext,
    dataset: &Dataset,
    gold: &Gold,
    contract: Option<&Contract>,
) -> Result<SchemaRef, Box<Mistake>> {
    let at = |line, column, length, code, message, help| {
        Box::new(Mistake { file: dataset.file.clone(), line, column, length, code, message, help })
    };
    let frame = match session.sql_with_options(&gold.sql, crate::query::read_only()).await {
        Ok(f) => f,
        Err(e) => {
            let (line, column, length) = place_of(&e, &gold.origins, gold.sql_line);
            let help = nearest(&e);
            return Err(at(line, column, length, "L0103", bare_message(&e), help));
        }
    };
    if let Some(window) = &gold.window
        && let Err(e) = windows::source(frame.logical_plan(), &dataset.name, &window.column)
    {
        return Err(at(1, 1, 1, e.code(), e.to_string(), Some(e.remedy().to_owned())));
    }
    let schema = crate::curate::storable_schema(frame.schema().as_arrow());
    if let Err(e) = crate::table::storable(&schema) {
        return Err(at(gold.sql_line, 1, 1, e.code(), e.to_string(), Some(e.remedy().to_owned())));
    }
    if let Some(contract) = contract {
        let help = || Some(AGREE.to_owned());
        agrees(&schema, contract).map_err(|m| at(gold.sql_line, 1, 1, "L0405", m, help()))?;
        return Ok(contract_schema(contract));
    }
    Ok(schema)
}

/// A query gives what its contract says: every column, in a type that casts without a guess.
fn agrees(schema: &SchemaRef, contract: &Contract) -> Result<(), String> {
    for column in contract_schema(contract).fields() {
        match schema.field_with_name(column.name()) {
            Ok(f) if arrow::compute::can_cast_types(f.data_type(), column.data_type()) => {}
            Ok(f) => {
                let (name, have, want) = (column.name(), f.data_type(), column.data_type());
                return Err(format!("column `{name}` is {have} in the query and {want} in the contract"));
            }
            Err(_) => {
                return Err(format!("the contract has a column `{}` that the query does not give", column.name()));
            }
        }
    }
    match schema.fields().iter().find(|f| !contract.columns.iter().any(|c| c.name == *f.name())) {
        Some(extra) => Err(format!("the query gives a column `{}` that the contract does not have", extra.name())),
        None => Ok(()),
    }
}

/// In the file in which the statement starts on that line: of the call where the mistake is in what a call became.
fn place_of(e: &DataFusionError, origins: &Origins, first_line: usize) -> (usize, usize, usize) {
    let Some((line, column, length)) = place_in(e) else { return (first_line, 1, 1) };
    let (line, column, length) = origins.written(line, column, length);
    (first_line + line - 1, column, length)
}

/// Line, column and length in the SQL that was planned.
pub(crate) fn place_in(e: &DataFusionError) -> Option<(usize, usize, usize)> {
    let span = e.diagnostic()?.span?;
    let line = usize::try_from(span.start.line).unwrap_or(1).max(1);
    let column = usize::try_from(span.start.column).unwrap_or(1).max(1);
    let end = usize::try_from(span.end.column).unwrap_or(column);
    let length = if span.end.line == span.start.line { end.saturating_sub(column).max(1) } else { 1 };
    Some((line, column, length))
}

/// The engine's message without the wrapping that says which of its parts spoke.
pub(crate) fn bare_message(e: &DataFusionError) -> String {
    let text = e.find_root().to_string();
    match e.diagnostic() {
        Some(d) => d.message.clone(),
        None => text.split_once(": ").map_or(text.clone(), |(_, rest)| rest.to_owned()),
    }
}

/// The right name, when the engine knows near ones.
pub(crate) fn nearest(e: &DataFusionError) -> Option<String> {
    let helps = e.diagnostic()?.helps.first()?;
    Some(helps.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that is missing there could be taken by a library, and one that is too much could not be called.
    #[test]
    fn the_engine_has_the_functions_that_definitions_may_call() {
        let state = SessionContext::new().state();
        let scalar = state.scalar_functions().keys().chain(state.higher_order_functions().keys());
        let names: BTreeSet<&str> = scalar.map(String::as_str).collect();
        let known: BTreeSet<&str> = alluvium_spec::OVER_A_ROW.iter().copied().collect();
        assert_eq!(names.symmetric_difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    /// One that is missing there would pass as an expression over one row.
    #[test]
    fn the_engine_has_the_functions_that_a_row_cannot_answer() {
        let state = SessionContext::new().state();
        let many = state.aggregate_functions().keys().chain(state.window_functions().keys());
        let mut names: BTreeSet<&str> = many.map(String::as_str).collect();
        names.extend(["unnest", "unnest_outer"]);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), alluvium_spec::OVER_MANY_ROWS);
    }
}
