//! Functions of the library by themselves: their types, and the cases that show what they give. No data is read.

use crate::{
    check::{Mistake, bare_message, nearest, place_in, session},
    refine, session,
};
use alluvium_spec::{Case, ColumnType, Function, Library};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use datafusion::{
    common::tree_node::TreeNode, datasource::MemTable, error::DataFusionError, logical_expr::LogicalPlan,
    prelude::SessionContext,
};
use std::sync::Arc;

/// Schema of a session in which each function finds its parameters as a table.
const PARAMETERS: &str = "library";

const TYPES: &str = "correct the expression, or declare the types that it takes and gives";
/// Of the rows of a case.
const MOST_SHOWN: usize = 3;
const CASE: &str = "correct the function or the case";

/// Every function whose expression the engine cannot type, or that gives another kind of value than it declares.
pub(crate) async fn check(library: &Library) -> Vec<Mistake> {
    let session = session();
    let mut mistakes = Vec::new();
    for function in library.functions() {
        mistakes.extend(typed(&session, function).await.err());
    }
    mistakes
}

/// The cases of all functions that give something else than they expect.
pub async fn try_cases(library: &Library) -> Vec<Mistake> {
    let session = session();
    let mut mistakes = Vec::new();
    for function in library.functions() {
        for case in &function.cases {
            mistakes.extend(tried(&session, library, function, case).await.err());
        }
    }
    mistakes
}

async fn typed(session: &SessionContext, function: &Function) -> Result<(), Mistake> {
    let at = |line, column, length, message: String, help: Option<String>| Mistake {
        file: function.file.clone(),
        line,
        column,
        length,
        code: "L0165",
        message,
        help,
    };
    let planned = plan(session, function).await;
    let found = planned.map_err(|e| {
        // The expression starts on the second line of the statement.
        let place = place_in(&e).filter(|(line, ..)| *line > 1);
        let (line, column, length) =
            place.map_or((1, 1, 1), |(line, column, length)| function.origins.written(line - 1, column, length));
        let column = if line == 1 { function.body_column + column - 1 } else { column };
        at(function.body_line + line - 1, column, length, bare_message(&e), nearest(&e).or(Some(TYPES.to_owned())))
    })?;
    for (parameter, value) in function.defaults() {
        if let Err(e) = value_of(session, &value).await {
            let message = format!("the default of `{}` is no value of its type: {}", parameter.name, bare_message(&e));
            let help = Some("write a value of the parameter's type".to_owned());
            return Err(at(function.line, function.column, function.name.len(), message, help));
        }
    }
    if fits(&found, function.returns) {
        return Ok(());
    }
    let message = format!("the expression gives {found}, and the function is declared as `{}`", function.signature());
    let help = Some(TYPES.to_owned());
    Err(at(function.body_line, function.body_column, 1, message, help))
}

async fn value_of(session: &SessionContext, value: &str) -> Result<(), DataFusionError> {
    session.sql_with_options(&format!("SELECT {value}"), crate::query::read_only()).await?.collect().await?;
    Ok(())
}

/// The type of the function's expression over its parameters.
async fn plan(session: &SessionContext, function: &Function) -> Result<DataType, DataFusionError> {
    let mut sql = format!("SELECT\n{}", function.body);
    if !function.parameters.is_empty() {
        let fields = function.parameters.iter().map(|p| Field::new(&p.name, refine::arrow_type(p.kind), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let table = MemTable::try_new(schema.clone(), vec![vec![RecordBatch::new_empty(schema)]])?;
        session::register(session, PARAMETERS, &function.name, Arc::new(table))
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        sql += &format!("\nFROM {PARAMETERS}.{}", function.name);
    }
    let frame = session.sql_with_options(&sql, crate::query::read_only()).await?;
    // Definitions refuse these by name. One that they did not know would fold or multiply the rows of each caller.
    if frame.logical_plan().exists(|node| Ok(sees_many_rows(node, function)))? {
        return Err(DataFusionError::Plan("the expression works over many rows, and a function sees one".to_owned()));
    }
    let found = frame.schema().field(0).data_type().clone();
    frame.create_physical_plan().await?;
    Ok(found)
}

fn sees_many_rows(node: &LogicalPlan, function: &Function) -> bool {
    match node {
        LogicalPlan::Aggregate(_) => !function.aggregates,
        LogicalPlan::Window(_) | LogicalPlan::Unnest(_) => true,
        _ => false,
    }
}

/// Whether a cast between them changes the form of a value and not its kind.
fn fits(found: &DataType, declared: ColumnType) -> bool {
    let text = matches!(found, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    let time = matches!(found, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
    *found == DataType::Null
        || match declared {
            ColumnType::String | ColumnType::Time | ColumnType::Json => text,
            ColumnType::Integer | ColumnType::Int32 | ColumnType::Number | ColumnType::Decimal { .. } => {
                found.is_numeric()
            }
            ColumnType::Boolean => *found == DataType::Boolean,
            ColumnType::Date | ColumnType::Timestamp => time,
        }
}

async fn tried(session: &SessionContext, library: &Library, function: &Function, case: &Case) -> Result<(), Mistake> {
    let call = shown(function, case);
    let fails = |message: String| Mistake {
        file: case.file.clone(),
        line: case.line,
        column: case.column,
        length: 1,
        code: "L0166",
        message,
        help: Some(format!("{CASE}; the function stands in {}:{}", function.file.display(), function.line)),
    };
    let (sql, expected) =
        library.call(function, case).map_err(|d| fails(format!("{call} cannot be tried: {}", d.to_string().trim())))?;
    let outcome = outcome(session, &sql, &expected).await;
    let [same, got, expected] = outcome.map_err(|e| fails(format!("{call} fails: {}", bare_message(&e))))?;
    if same.as_deref() == Some("true") {
        return Ok(());
    }
    let value = |text: Option<String>| literal(text.as_deref(), function.returns);
    Err(fails(format!("{call} gives {}, and {} is expected", value(got), value(expected))))
}

/// Whether the values are the same, and both as texts.
async fn outcome(session: &SessionContext, call: &str, expected: &str) -> Result<[Option<String>; 3], DataFusionError> {
    let text = |value: &str| format!("arrow_cast({value}, 'Utf8')");
    let same = format!("got IS NOT DISTINCT FROM {expected}");
    let sql = format!("SELECT {}, {}, {} FROM ({call}) AS tried", text(&same), text("got"), text(expected));
    let batches = session.sql_with_options(&sql, crate::query::read_only()).await?.collect().await?;
    let row = batches.iter().find(|b| b.num_rows() > 0);
    let row = row.ok_or_else(|| DataFusionError::Internal("a query without a table has a row".to_owned()))?;
    let cell = |i: usize| {
        let column = row.column(i).as_string::<i32>();
        column.is_valid(0).then(|| column.value(0).to_owned())
    };
    Ok([cell(0), cell(1), cell(2)])
}

/// The call as a person would write it.
fn shown(function: &Function, case: &Case) -> String {
    let row = |row: &Vec<Option<String>>| {
        let given = row.iter().zip(&function.parameters).map(|(v, p)| literal(v.as_deref(), p.kind));
        format!("({})", given.collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<String> = case.rows.iter().take(MOST_SHOWN).map(row).collect();
    if !function.aggregates {
        return format!("`{}{}`", function.name, rows.concat());
    }
    let more = if case.rows.len() > MOST_SHOWN { ", …" } else { "" };
    match rows.is_empty() {
        true => format!("`{}` over no rows", function.name),
        false => format!("`{}` over {}{more}", function.name, rows.join(", ")),
    }
}

fn literal(value: Option<&str>, kind: ColumnType) -> String {
    match (value, kind) {
        (None, _) => "NULL".to_owned(),
        (
            Some(text),
            ColumnType::Integer
            | ColumnType::Int32
            | ColumnType::Number
            | ColumnType::Decimal { .. }
            | ColumnType::Boolean,
        ) => text.to_owned(),
        (Some(text), _) => format!("'{}'", text.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{incremental::Shape, windows};
    use alluvium_model::DatasetName;
    use alluvium_spec::{Environment, Kind, Project, read};
    use std::path::Path;

    fn library(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
        let (dir, project) = project(files);
        (dir, project.library)
    }

    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |path: &Path, text: &str| {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        put(&dir.path().join("alluvium.yaml"), "name: x\n");
        files.iter().for_each(|(path, text)| put(&dir.path().join(path), text));
        let reading = read(dir.path(), &Environment::default());
        assert!(!reading.found.has_errors(), "{}", reading.found);
        (dir, reading.project)
    }

    fn told(mistakes: &[Mistake]) -> String {
        mistakes.iter().fold(String::new(), |all, m| {
            let at = format!("{}:{}:{}", m.file.display(), m.line, m.column);
            let help = m.help.as_deref().unwrap_or("-");
            format!("{all}{} {at} {}\n  help: {help}\n", m.code, m.message)
        })
    }

    #[tokio::test]
    async fn a_function_gives_what_it_declares() {
        let (_dir, library) = library(&[(
            "library/all.sql",
            "CREATE FUNCTION a(x TEXT) RETURNS TEXT RETURN upper(x);
CREATE FUNCTION b(x INT) RETURNS DOUBLE RETURN sqrt(x);
CREATE FUNCTION c(x TIMESTAMP) RETURNS DATE RETURN date_trunc('day', x);
CREATE FUNCTION d(x TEXT) RETURNS BIGINT RETURN NULLIF(x, '');
CREATE FUNCTION e(x BOOLEAN) RETURNS BOOLEAN
RETURN CASE WHEN a('y') = 'Y'
  THEN x + 1 END;
CREATE FUNCTION f(x DECIMAL(9, 2)) RETURNS DECIMAL(12, 4) RETURN x * 2;
CREATE FUNCTION g() RETURNS DOUBLE RETURN pi();
CREATE FUNCTION h(x DATE) RETURNS BOOLEAN RETURN date_part('year', x);
CREATE FUNCTION i(x TEXT) RETURNS TIMESTAMP RETURN to_timestamp(x);
",
        )]);
        let wrong = [
            "L0165 library/all.sql:4:49 the expression gives Utf8, and the function is declared as `d(x TEXT) RETURNS BIGINT`",
            "  help: correct the expression, or declare the types that it takes and gives",
            "L0165 library/all.sql:6:8 expressions have incompatible types",
            "  help: correct the expression, or declare the types that it takes and gives",
            "L0165 library/all.sql:10:50 the expression gives Int32, and the function is declared as `h(x DATE) RETURNS BOOLEAN`",
            "  help: correct the expression, or declare the types that it takes and gives",
        ];
        assert_eq!(told(&check(&library).await).lines().collect::<Vec<_>>(), wrong);
    }

    #[tokio::test]
    async fn what_sees_or_gives_many_rows_is_no_function() {
        let (_dir, library) = library(&[("library/all.sql", "CREATE FUNCTION a(x BIGINT) RETURNS BIGINT RETURN x;\n")]);
        let mut function = library.get("a").expect("a function").clone();
        for body in ["any_value(x)", "1 + max(x)", "lag(x) OVER ()", "unnest([x, 1])"] {
            function.body = body.to_owned();
            assert!(!function.aggregates);
            let mistake = typed(&session(), &function).await.expect_err(body);
            assert_eq!(mistake.code, "L0165");
            assert!(mistake.message.starts_with("the expression works over many rows"), "{body}: {}", mistake.message);
        }
    }

    #[tokio::test]
    async fn a_case_that_fails_tells_the_call_and_both_values() {
        let (_dir, library) = library(&[
            (
                "library/all.sql",
                "CREATE FUNCTION minutes(clock INT) RETURNS INT RETURN clock / 100 * 60 + clock % 100;
CREATE FUNCTION tidy(name TEXT) RETURNS TEXT RETURN NULLIF(trim(upper(name)), '');
CREATE FUNCTION share(part DOUBLE, whole DOUBLE) RETURNS DOUBLE RETURN part / whole;
CREATE FUNCTION day_of(at TIMESTAMP) RETURNS DATE RETURN at;
CREATE FUNCTION parts(a INT, b INT) RETURNS INT RETURN a / b;
CREATE FUNCTION vat() RETURNS DECIMAL(4, 2) RETURN 0.19;
",
            ),
            (
                "library/all.test.yaml",
                "minutes:
  - { given: [517], expect: 317 }
  - { given: [517], expect: 318 }
  - { given: [null], expect: null }
  - { given: [x], expect: 1 }
tidy:
  - { given: [\" o'hare \"], expect: O'HARE }
  - { given: [\"  \"], expect: null }
  - { given: [007], expect: \"007\" }
  - { given: [a], expect: a }
share:
  - { given: [1, 4], expect: 0.25 }
day_of:
  - { given: [\"2013-01-01T23:59:59Z\"], expect: 2013-01-01 }
  - { given: [\"2013-01-01T23:59:59-05:00\"], expect: 2013-01-01 }
parts:
  - { given: [1, 0], expect: null }
vat:
  - { expect: 0.19 }
",
            ),
        ]);
        assert_eq!(told(&check(&library).await), "");
        let wrong = [
            "L0166 library/all.test.yaml:15:5 `day_of('2013-01-01T23:59:59-05:00')` gives '2013-01-02', and '2013-01-01' is expected",
            "  help: correct the function or the case; the function stands in library/all.sql:4",
            "L0166 library/all.test.yaml:3:5 `minutes(517)` gives 317, and 318 is expected",
            "  help: correct the function or the case; the function stands in library/all.sql:1",
            "L0166 library/all.test.yaml:5:5 `minutes(x)` fails: Cast error: Cannot cast string 'x' to value of Int32 type",
            "  help: correct the function or the case; the function stands in library/all.sql:1",
            "L0166 library/all.test.yaml:17:5 `parts(1, 0)` fails: Divide by zero error",
            "  help: correct the function or the case; the function stands in library/all.sql:5",
            "L0166 library/all.test.yaml:10:5 `tidy('a')` gives 'A', and 'a' is expected",
            "  help: correct the function or the case; the function stands in library/all.sql:2",
        ];
        assert_eq!(told(&try_cases(&library).await).lines().collect::<Vec<_>>(), wrong);
    }

    #[tokio::test]
    async fn a_function_over_the_rows_of_a_group_has_its_types_and_cases() {
        let (_dir, library) = library(&[
            (
                "library/all.sql",
                "CREATE FUNCTION weighted(x DOUBLE, w DOUBLE DEFAULT 1) RETURNS DOUBLE RETURN sum(x * w) / sum(w);
CREATE FUNCTION share_above(x DOUBLE, bar DOUBLE DEFAULT 0) RETURNS DOUBLE
RETURN percent(count(*) FILTER (WHERE x > bar), count(x));
CREATE FUNCTION percent(part BIGINT, whole BIGINT) RETURNS DOUBLE RETURN part * 100.0 / nullif(whole, 0);
CREATE FUNCTION twice_weighted(x DOUBLE) RETURNS DOUBLE RETURN 2 * weighted(x);
CREATE FUNCTION outside(x DOUBLE, y DOUBLE) RETURNS DOUBLE RETURN sum(x) + y;
CREATE FUNCTION nested(x DOUBLE) RETURNS DOUBLE RETURN max(weighted(x, 1));
CREATE FUNCTION kind(x INT) RETURNS INT RETURN string_agg(x, ',');
CREATE FUNCTION rows_of() RETURNS BIGINT RETURN count(*);
CREATE FUNCTION plus(x INT, y INT DEFAULT 'a') RETURNS INT RETURN x + y;
",
            ),
            (
                "library/all.test.yaml",
                "weighted:
  - { rows: [[1, 1], [4, 2]], expect: 3 }
  - { rows: [[1], [4]], expect: 2.5 }
  - { rows: [], expect: null }
  - { rows: [[null, 5], [2, 1]], expect: 0.5 }
share_above:
  - { rows: [[1], [-1], [-1], [null]], expect: 33.333333333333336 }
  - { rows: [[1, 2], [1, 2], [3, 2], [1, 2]], expect: 20 }
  - { rows: [], expect: 1 }
twice_weighted:
  - { rows: [[1], [2]], expect: 3 }
rows_of:
  - { rows: [[], []], expect: 2 }
",
            ),
        ]);
        let wrong = told(&check(&library).await);
        let at = wrong.lines().filter(|l| l.starts_with("L0165")).map(|l| l.split(' ').nth(1).unwrap_or_default());
        let at: Vec<&str> = at.collect();
        assert_eq!(
            at,
            ["library/all.sql:8:48", "library/all.sql:7:60", "library/all.sql:6:76", "library/all.sql:10:17"],
            "{wrong}"
        );
        let wrong = [
            "L0166 library/all.test.yaml:8:5 `share_above` over (1, 2), (1, 2), (3, 2), … gives 25.0, and 20.0 is expected",
            "  help: correct the function or the case; the function stands in library/all.sql:2",
            "L0166 library/all.test.yaml:9:5 `share_above` over no rows gives NULL, and 1.0 is expected",
            "  help: correct the function or the case; the function stands in library/all.sql:2",
            "L0166 library/all.test.yaml:5:5 `weighted` over (NULL, 5), (2, 1) gives 0.3333333333333333, and 0.5 is expected",
            "  help: correct the function or the case; the function stands in library/all.sql:1",
        ];
        assert_eq!(told(&try_cases(&library).await).lines().collect::<Vec<_>>(), wrong);
    }

    /// What is kept of a table, and which of it a change touches, is found in what the calls became.
    #[tokio::test]
    async fn windows_and_kept_groups_are_those_of_the_expressions() {
        let contract = "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\nschema:
  - name: orders
    properties:
      - { name: id, logicalType: integer, primaryKey: true, required: true }
      - { name: at, logicalType: timestamp }
      - { name: status, logicalType: string }
      - { name: amount, logicalType: number, physicalType: \"decimal(12, 2)\" }
";
        let functions = "CREATE FUNCTION day_of(at TIMESTAMP) RETURNS DATE RETURN at;
CREATE FUNCTION is_revenue(status TEXT) RETURNS BOOLEAN RETURN status NOT IN ('cancelled', 'refunded');
CREATE FUNCTION net(amount DECIMAL(12, 2)) RETURNS DECIMAL(12, 2) RETURN round(amount * 0.8, 2);
CREATE FUNCTION revenue(amount DECIMAL(12, 2), share DECIMAL(3, 2) DEFAULT 0.8) RETURNS DECIMAL(38, 2) RETURN sum(amount * share);
";
        let gold = "/* window: { column: day, size: 1 day } */
SELECT day_of(at) AS day, sum(net(amount)) AS net, revenue(amount) AS revenue, count(*) AS n FROM silver.orders WHERE is_revenue(status) GROUP BY day_of(at)";
        let (_dir, project) = project(&[
            ("library/all.sql", functions),
            ("contracts/orders.odcs.yaml", contract),
            ("datasets/bronze/orders.yaml", "source: { files: landing/orders/ }\n"),
            ("datasets/silver/orders.yaml", "from: bronze.orders\ncontract: orders\n"),
            ("datasets/gold/days.sql", gold),
        ]);
        let name: DatasetName = "gold.days".parse().expect("a name");
        let Kind::Gold(gold) = &project.datasets[&name].kind else { panic!("gold") };
        let schema = crate::engine::contract_schema(&project.contracts["orders"]);
        let table = MemTable::try_new(schema.clone(), vec![vec![RecordBatch::new_empty(schema)]]).expect("a table");
        let session = session();
        session::register(&session, "silver", "orders", Arc::new(table)).expect("registered");
        let frame = session.sql(&gold.sql).await.expect("a plan");
        let (driver, expression) = windows::source(frame.logical_plan(), &name, "day").expect("a source");
        assert_eq!(driver.to_string(), "silver.orders");
        assert_eq!(expression.column_refs().into_iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["at"]);
        assert!(Shape::of(frame.logical_plan()).is_some(), "{}", frame.logical_plan());
    }
}
