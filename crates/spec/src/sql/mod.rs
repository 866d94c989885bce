//! What the SQL of a project reads and makes, found by parsing it. Nothing is executed here.

mod built_in;
mod columns;
mod condition;
mod expand;
mod function;
mod origins;
mod parse;
mod query;
mod row;
mod size;
mod types;

pub(crate) use built_in::is_built_in;
pub use built_in::{OVER_A_ROW, OVER_MANY_ROWS};
pub(crate) use columns::columns_read;
pub(crate) use condition::condition;
pub(crate) use expand::unknown_in_library;
pub(crate) use function::{FunctionDraft, aggregates, body, functions};
pub use origins::Origins;
pub(crate) use query::{Query, TableUse, asked, query};
pub(crate) use row::{RowExpression, RowQuery, row_expression, row_query};
pub(crate) use size::Size;
pub(crate) use types::{cast_text, text_type, word};
