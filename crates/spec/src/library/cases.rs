//! `library/*.test.yaml`: by function, what it gives for which arguments.

use super::function::{Case, Function, Library};
use crate::{
    codes,
    diagnostic::Sink,
    source_file::SourceFile,
    sql::{self, Size},
    yaml::{self, Entry, Node, Reader, ScalarKind, Value},
};

/// Of a function. Each is planned and executed by itself.
const MOST_CASES: usize = 1_000;
/// Of a case. All of them are one query.
const MOST_ROWS: usize = 100;
/// The values of all cases of a project, which are in memory together.
const MOST_VALUES: Size = Size { expressions: 100_000, bytes: 4 << 20 };

/// Gives each function of the library its cases in this file.
pub(crate) fn read_cases(file: &SourceFile, library: &mut Library, sink: &mut Sink) {
    let Some(node) = yaml::parse(&file.text, file, sink).filter(|n| !n.is_null()) else { return };
    let mut r = Reader::new(file, sink);
    for Entry { key, value } in r.entries(&node).unwrap_or_default() {
        if !library.knows(&key.value) {
            let m = sql::unknown_in_library(&key.value, key.place, library);
            r.error(m.code, m.place, m.message, m.help);
            continue;
        }
        for item in r.list(value).unwrap_or_default() {
            let Some(case) = case(item, &mut r) else { continue };
            let Some(function) = library.functions.get_mut(&key.value) else { continue };
            let had = library.values;
            library.values = had.plus(size(&case));
            if let Some((message, help)) = misfit(function, &case) {
                r.error(codes::FUNCTION_CALL, item.place, message, Some(help));
            } else if !library.values.fits(MOST_VALUES) {
                if had.fits(MOST_VALUES) {
                    let Size { expressions, bytes } = MOST_VALUES;
                    let message =
                        format!("the cases of the library have more than {expressions} values or {bytes} bytes");
                    r.error(codes::TOO_LARGE, item.place, message, Some("remove those that show the same".to_owned()));
                }
            } else if function.cases.len() >= MOST_CASES {
                let message = format!("`{}` has more than {MOST_CASES} cases", key.value);
                r.error(codes::TOO_LARGE, item.place, message, Some("remove those that show the same".to_owned()));
                break;
            } else {
                function.cases.push(case);
            }
        }
    }
}

fn case(node: &Node, r: &mut Reader<'_>) -> Option<Case> {
    let mut f = r.fields(node, "a case such as `{ given: [517, 515], expect: 2 }`")?;
    let given = f.take_entry("given").map(|e| values_of(&e.value, r));
    let many = f.take_entry("rows").map(|e| rows_of(&e.value, r));
    if given.is_some() && many.is_some() {
        let help = Some("a function over one row has `given`, one over many rows `rows`".to_owned());
        r.error(codes::FUNCTION_CALL, node.place, "the case has one row and many", help);
    }
    let over_rows = many.is_some();
    let rows = many.unwrap_or_else(|| given.unwrap_or(Some(Vec::new())).map(|row| vec![row]));
    let expect = match f.take_entry("expect") {
        Some(Entry { value, .. }) => value_of(value, r),
        None => {
            let help = Some("NULL is written `expect: null`".to_owned());
            r.error(codes::MISSING_KEY, node.place, "the case does not say what it expects", help);
            None
        }
    };
    f.finish(r);
    let place = node.place;
    let file = r.file.path.clone();
    Some(Case { rows: rows?, over_rows, expect: expect?, file, line: place.line, column: place.column })
}

/// What of the case is not as the function takes it.
fn misfit(function: &Function, case: &Case) -> Option<(String, String)> {
    let name = &function.name;
    match (function.aggregates, case.over_rows) {
        (true, false) => {
            let help = "write the arguments of each as in `rows: [[1, 2], [3, 4]]`".to_owned();
            return Some((format!("`{name}` is over many rows, and one is given"), help));
        }
        (false, true) => {
            let message = format!("`{name}` is over one row, and many are given");
            return Some((message, "write its arguments as in `given: [1, 2]`".to_owned()));
        }
        (true, true) | (false, false) => {}
    }
    let is = || format!("it is `{}`", function.signature());
    if case.rows.len() > MOST_ROWS {
        return Some((format!("a case has up to {MOST_ROWS} rows"), "show it with fewer".to_owned()));
    }
    if let Some(row) = case.rows.iter().find(|row| !function.takes(row.len())) {
        return Some((format!("`{name}` takes {}, and {} are given", function.arity(), row.len()), is()));
    }
    let equal = case.rows.windows(2).all(|pair| pair[0].len() == pair[1].len());
    (!equal).then(|| ("the rows have different numbers of values".to_owned(), is()))
}

fn size(case: &Case) -> Size {
    let values = case.rows.iter().flatten().chain([&case.expect]);
    let one = |v: &Option<String>| Size { expressions: 1, bytes: v.as_ref().map_or(0, String::len) };
    values.map(one).fold(Size::default(), Size::plus)
}

fn rows_of(node: &Node, r: &mut Reader<'_>) -> Option<Vec<Vec<Option<String>>>> {
    r.list(node)?.iter().map(|row| values_of(row, r)).collect()
}

fn values_of(node: &Node, r: &mut Reader<'_>) -> Option<Vec<Option<String>>> {
    r.list(node)?.iter().map(|n| value_of(n, r)).collect()
}

/// A scalar as written; the function's type says what it is. `None`: it is no scalar, which is told.
fn value_of(node: &Node, r: &mut Reader<'_>) -> Option<Option<String>> {
    match &node.value {
        Value::Scalar(s) if s.kind == ScalarKind::Null => Some(None),
        Value::Scalar(s) => Some(Some(s.text.clone())),
        Value::List(_) | Value::Map(_) => {
            r.wrong_type(node, "one value");
            None
        }
    }
}
