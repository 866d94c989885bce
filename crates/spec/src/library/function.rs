//! The functions of a project, checked. Built by [`super::build`], used wherever SQL is read, and shown by cli.

use crate::{
    contract::ColumnType,
    diagnostic::{Diagnostics, Sink},
    source_file::SourceFile,
    sql::{self, Origins, Size},
};
use alluvium_model::DatasetName;
use sqlparser::ast::Expr;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

#[derive(Debug, Clone, Default)]
pub struct Library {
    pub(super) functions: BTreeMap<String, Function>,
    /// Names of those with a mistake: who calls them is not wrong for that.
    pub(super) flawed: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    pub parameters: Vec<Parameter>,
    pub returns: ColumnType,
    /// The file, relative to the project's root.
    pub file: PathBuf,
    /// Where its name stands in it.
    pub line: usize,
    pub column: usize,
    /// Its expression as it is executed.
    pub body: String,
    /// Where the expression starts.
    pub body_line: usize,
    pub body_column: usize,
    pub origins: Origins,
    pub cases: Vec<Case>,
    /// Functions that it calls.
    pub calls: BTreeSet<String>,
    /// Datasets whose SQL or whose contract's rules call it, also through other functions.
    pub used_by: BTreeSet<DatasetName>,
    pub(crate) expr: Expr,
    /// How often each parameter is used.
    pub(crate) uses: Vec<usize>,
    /// Of `expr`.
    pub(crate) size: Size,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub kind: ColumnType,
}

/// What a function has to give. `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub given: Vec<Option<String>>,
    pub expect: Option<String>,
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
}

impl Function {
    /// As it is declared: `minutes_late(planned INT, actual INT) RETURNS INT`.
    pub fn signature(&self) -> String {
        let parameters: Vec<String> =
            self.parameters.iter().map(|p| format!("{} {}", p.name, sql::word(p.kind))).collect();
        format!("{}({}) RETURNS {}", self.name, parameters.join(", "), sql::word(self.returns))
    }
}

impl Library {
    /// By name.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.values()
    }

    pub fn get(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    /// A query of a person, with its calls written out.
    ///
    /// # Errors
    /// Every call that is none of the function's, at its place in `sql`.
    pub fn query(&self, sql: &str) -> Result<String, Diagnostics> {
        if self.functions.is_empty() {
            return Ok(sql.to_owned());
        }
        sql::asked(sql, self).map_err(|mistakes| {
            let (file, mut sink) = (SourceFile::new("query", sql), Sink::default());
            for m in mistakes {
                sink.report(m.code, &file, m.place, m.message, m.help);
            }
            sink.finish()
        })
    }

    /// A call of a function with these values, and what it has to give, both as SQL.
    pub fn call(&self, function: &Function, case: &Case) -> Result<(String, String), Diagnostics> {
        let literal = |value: &Option<String>| match value {
            Some(text) => format!("'{}'", text.replace('\'', "''")),
            None => "NULL".to_owned(),
        };
        let given: Vec<String> = case.given.iter().map(literal).collect();
        let call = self.query(&format!("SELECT {}({}) AS got", function.name, given.join(", ")))?;
        Ok((call, sql::cast_text(&literal(&case.expect), function.returns)))
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.functions.contains_key(name) || self.flawed.contains(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().chain(&self.flawed).map(String::as_str)
    }

    /// These and all that they call.
    pub(crate) fn used(&self, calls: BTreeSet<String>) -> BTreeSet<String> {
        let (mut all, mut open) = (BTreeSet::new(), Vec::from_iter(calls));
        while let Some(name) = open.pop() {
            if all.insert(name.clone()) {
                open.extend(self.get(&name).into_iter().flat_map(|f| f.calls.iter().cloned()));
            }
        }
        all
    }

    pub(crate) fn note_use(&mut self, function: &str, by: &DatasetName) {
        if let Some(f) = self.functions.get_mut(function) {
            f.used_by.insert(by.clone());
        }
    }
}
