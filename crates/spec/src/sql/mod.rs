//! What the SQL of a project reads and makes, found by parsing it. Nothing is executed here.

mod columns;
mod condition;
mod parse;
mod query;
mod row;

pub(crate) use columns::columns_read;
pub(crate) use condition::condition;
pub(crate) use query::{Query, TableUse, query};
pub(crate) use row::{RowExpression, RowQuery, row_expression, row_query};
