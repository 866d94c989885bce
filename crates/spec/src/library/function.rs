//! The functions of a project, checked. Built by [`super::build`], used wherever SQL is read, and shown by cli.

use crate::{
    contract::ColumnType,
    diagnostic::{Diagnostics, Sink},
    source_file::{Place, SourceFile},
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
    /// Of all cases.
    pub(super) values: Size,
}

#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    pub parameters: Vec<Parameter>,
    pub returns: ColumnType,
    /// It is over the rows of a group, and not over one row.
    pub aggregates: bool,
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
    /// In SQL, for calls that leave it out.
    pub default: Option<String>,
    pub(crate) place: Place,
}

/// What a function has to give. `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Arguments; of a function over one row, those of that row. All rows have as many.
    pub rows: Vec<Vec<Option<String>>>,
    /// As it is written.
    pub(crate) over_rows: bool,
    pub expect: Option<String>,
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
}

impl Function {
    /// As it is declared: `minutes_late(planned INT, actual INT) RETURNS INT`.
    pub fn signature(&self) -> String {
        let parameter = |p: &Parameter| {
            let default = p.default.as_ref().map(|d| format!(" DEFAULT {d}")).unwrap_or_default();
            format!("{} {}{default}", p.name, sql::word(p.kind))
        };
        let parameters: Vec<String> = self.parameters.iter().map(parameter).collect();
        format!("{}({}) RETURNS {}", self.name, parameters.join(", "), sql::word(self.returns))
    }

    /// Whether it can be called with so many arguments.
    pub(crate) fn takes(&self, given: usize) -> bool {
        (self.needed()..=self.parameters.len()).contains(&given)
    }

    fn needed(&self) -> usize {
        self.parameters.iter().filter(|p| p.default.is_none()).count()
    }

    /// How many arguments it takes, in words.
    pub(crate) fn arity(&self) -> String {
        let (least, most) = (self.needed(), self.parameters.len());
        let s = if most == 1 { "" } else { "s" };
        if least == most { format!("{most} argument{s}") } else { format!("{least} to {most} argument{s}") }
    }

    /// The parameters that have a default, and that as the value which it stands for.
    pub fn defaults(&self) -> impl Iterator<Item = (&Parameter, String)> {
        self.parameters.iter().filter_map(|p| Some((p, sql::cast_text(p.default.as_deref()?, p.kind))))
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
        let asked = match case.rows.as_slice() {
            [row] if !function.aggregates => {
                let given: Vec<String> = row.iter().map(literal).collect();
                format!("SELECT {}({}) AS got", function.name, given.join(", "))
            }
            rows => over_rows(function, rows, literal),
        };
        let call = self.query(&asked)?;
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

/// A call over a table of these arguments, each a text as those of a call over one row.
fn over_rows(function: &Function, rows: &[Vec<Option<String>>], literal: impl Fn(&Option<String>) -> String) -> String {
    let count = rows.first().map_or(function.parameters.len(), Vec::len);
    let columns: Vec<String> = (1..=count).map(|n| format!("x{n}")).collect();
    let types = format!(" AS {}", sql::text_type());
    let texts = columns.iter().map(|c| format!(", CAST({c}{types}) AS {c}"));
    // A table has at least one column, and `VALUES` at least one row.
    let row = |row: &Vec<Option<String>>| row.iter().fold("(0".to_owned(), |all, v| all + ", " + &literal(v)) + ")";
    let (values, none) = match rows.is_empty() {
        true => (format!("(0{})", ", NULL".repeat(count)), " WHERE false"),
        false => (rows.iter().map(row).collect::<Vec<_>>().join(", "), ""),
    };
    let named = ["x0"].into_iter().chain(columns.iter().map(String::as_str)).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {}({}) AS got FROM (SELECT x0{} FROM (VALUES {values}) AS given({named}){none}) AS given",
        function.name,
        columns.join(", "),
        texts.collect::<String>(),
    )
}
