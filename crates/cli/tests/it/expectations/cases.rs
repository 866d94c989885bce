//! The cases as the suite has them.

use jiff::{Timestamp, civil};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Why a case is not tried.
pub type Reason = &'static str;

pub const AN_ERROR: Reason = "their own error is expected";
pub const OTHER_ENGINES: Reason = "written for the patterns or values of other engines";
pub const A_CONDITION: Reason = "a condition of pandas says which rows count";
pub const PYTHON: Reason = "an argument is an expression of Python";
pub const SEVERAL_TYPES: Reason = "a column holds values of several types";

/// Engines whose values and patterns are ours, too.
const ENGINES: [&str; 6] = ["pandas", "pandas_v2_api", "pandas_v3_api", "postgresql", "sqlite", "sqlalchemy"];

pub struct Case<'a> {
    /// Of its contract and of the datasets that read by it.
    pub number: usize,
    /// Of the data set.
    pub set: usize,
    /// Without the word `expect`.
    pub expectation: &'a str,
    pub given: &'a Value,
    /// The case as it is written.
    pub whole: &'a Value,
    pub data: &'a Map<String, Value>,
    times: BTreeSet<&'a str>,
}

pub fn cases(suite: &Value) -> Vec<Case<'_>> {
    let (mut cases, mut set) = (Vec::new(), 0);
    for (expectation, sets) in suite["expectations"].as_object().expect("expectations") {
        for of in list(sets) {
            let times: BTreeSet<&str> = of["times"].as_array().into_iter().flatten().map(text).collect();
            for whole in list(&of["cases"]) {
                cases.push(Case {
                    number: cases.len(),
                    set,
                    expectation: expectation.trim_start_matches("expect_"),
                    given: &whole["in"],
                    whole,
                    data: of["data"].as_object().expect("columns"),
                    times: times.clone(),
                });
            }
            set += 1;
        }
    }
    cases
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

impl<'a> Case<'a> {
    pub fn name(&self) -> String {
        format!("{}: {}", self.expectation, text(&self.whole["title"]))
    }

    /// Those that it names.
    pub fn columns(&self) -> Vec<&'a str> {
        let one = ["column", "column_A", "column_B"].into_iter().filter_map(|k| self.given[k].as_str());
        one.chain(self.given["column_list"].as_array().into_iter().flatten().map(text)).collect()
    }

    pub fn rows(&self) -> usize {
        self.data.values().next().map_or(0, |v| list(v).len())
    }

    pub fn refused(&self) -> Option<Reason> {
        let given = self.given.as_object().expect("arguments");
        let elsewhere = |only: &Value| !list(only).iter().any(|e| ENGINES.contains(&text(e)));
        if self.whole["success"].is_null() {
            Some(AN_ERROR)
        } else if self.whole.get("only_for").is_some_and(elsewhere) {
            Some(OTHER_ENGINES)
        } else if given.contains_key("row_condition") {
            Some(A_CONDITION)
        } else if given.values().any(|v| v.get("$PARAMETER").is_some()) {
            Some(PYTHON)
        } else if self.columns().iter().any(|c| self.kind(c).is_none()) {
            Some(SEVERAL_TYPES)
        } else {
            None
        }
    }

    /// The logical type of a column; `None`: its values have several.
    pub fn kind(&self, column: &str) -> Option<&'static str> {
        if self.is_time(column) {
            return Some("timestamp");
        }
        let kinds: BTreeSet<&str> = list(&self.data[column]).iter().filter_map(kind_of).collect();
        match kinds.into_iter().collect::<Vec<_>>()[..] {
            // Of no values at all, what a figure is asked of.
            [] if self.expectation.starts_with("column_m") => Some("number"),
            [] => Some("string"),
            [one] => Some(one),
            ["integer", "number"] => Some("number"),
            _ => None,
        }
    }

    pub fn is_time(&self, column: &str) -> bool {
        self.times.contains(column) || self.given["parse_strings_as_datetimes"] == true
    }

    /// How times are written in a column, where it is not as ISO has it.
    pub fn form(&self, column: &str) -> Option<&'static str> {
        match list(&self.data[column]).iter().find_map(Value::as_str)? {
            t if t.contains('/') => Some("%m/%d/%Y"),
            t if t.starts_with(char::is_alphabetic) => Some("%b %d %Y %H:%M:%S"),
            t if t.contains(" +") => Some("%Y-%m-%d %H:%M:%S%.f %z"),
            _ => None,
        }
    }

    /// A time of a column as ISO has it.
    pub fn iso(&self, column: &str, time: &str) -> String {
        match self.form(column) {
            Some(f) if f.ends_with("%z") => Timestamp::strptime(f, time).expect("a moment").to_string(),
            Some(f) if f.contains("%H") => civil::DateTime::strptime(f, time).expect("a time").to_string(),
            Some(f) => civil::Date::strptime(f, time).expect("a day").to_string(),
            None => time.replace(' ', "T"),
        }
    }

    pub fn passes(&self) -> bool {
        self.whole["success"] == true
    }

    pub fn values(&self, row: usize) -> Vec<String> {
        self.columns().iter().map(|c| plain(&self.data[*c][row])).collect()
    }

    /// The values of the rows that break it, sorted; `None`: it does not say.
    pub fn broken(&self) -> Option<Vec<Vec<String>>> {
        let columns = self.columns();
        let row = |of: &Value| match of {
            Value::Object(by_name) => columns.iter().map(|c| plain(&by_name[*c])).collect(),
            Value::Array(in_order) => in_order.iter().map(plain).collect(),
            one => vec![plain(one)],
        };
        let at = |of: &Value| self.values(of.as_u64().expect("a row") as usize);
        let mut broken: Vec<Vec<String>> =
            match (self.whole.get("unexpected_index_list"), self.whole.get("unexpected_list")) {
                (Some(rows), _) => list(rows).iter().map(at).collect(),
                (None, Some(rows)) => list(rows).iter().map(row).collect(),
                (None, None) => return None,
            };
        broken.sort();
        if ["column_values_to_be_unique", "compound_columns_to_be_unique"].contains(&self.expectation) {
            // Of rows that share their values they tell all, and here the first one stays.
            let mut seen = BTreeSet::new();
            broken.retain(|values| !seen.insert(values.clone()));
        }
        Some(broken)
    }
}

fn kind_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some("boolean"),
        Value::Number(n) if n.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        Value::String(_) => Some("string"),
        Value::Array(_) | Value::Object(_) => Some("object"),
    }
}

/// A number in one form, whoever wrote it.
fn plain(value: &Value) -> String {
    value.as_f64().map_or_else(|| value.to_string(), |n| n.to_string())
}
