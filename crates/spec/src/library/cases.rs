//! `library/*.test.yaml`: by function, what it gives for which arguments.

use super::function::{Case, Library};
use crate::{
    codes,
    diagnostic::Sink,
    source_file::SourceFile,
    sql,
    yaml::{self, Entry, Node, Reader, ScalarKind, Value},
};

/// Of a function. Each is planned and executed by itself.
const MOST_CASES: usize = 1_000;

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
            let (wanted, given) = (function.parameters.len(), case.given.len());
            if wanted != given {
                let message = format!("`{}` has {wanted} parameters, and {given} values are given", key.value);
                r.error(codes::FUNCTION_CALL, item.place, message, Some(format!("it is `{}`", function.signature())));
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
    let given = match f.take_entry("given") {
        Some(Entry { value, .. }) => r.list(value).map(|items| items.iter().map(|n| value_of(n, r)).collect()),
        None => Some(Some(Vec::new())),
    };
    let expect = match f.take_entry("expect") {
        Some(Entry { value, .. }) => value_of(value, r),
        None => {
            let help = Some("NULL is written `expect: null`".to_owned());
            r.error(codes::MISSING_KEY, node.place, "the case does not say what it expects", help);
            None
        }
    };
    f.finish(r);
    let given: Option<Vec<Option<String>>> = given?;
    let place = node.place;
    Some(Case { given: given?, expect: expect?, file: r.file.path.clone(), line: place.line, column: place.column })
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
