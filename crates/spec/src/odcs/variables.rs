//! `${NAME}` and `${NAME:-default}` in the SQL of rules, as v3.2 of the standard has them.
//!
//! Nothing here gives a contract variables, least of all those of the process: only defaults count, and a name without one is
//! a mistake. Elsewhere in a document they stay as they are written.

use crate::{
    codes,
    source_file::Place,
    yaml::{Node, Reader},
};

/// What the versions of the standard and other tools call the table and the column.
const OWN: [&str; 5] = ["object", "table", "model", "property", "column"];

/// `None`: one has no value, which was reported at its place.
pub(super) fn filled(text: &str, node: &Node, r: &mut Reader<'_>) -> Option<String> {
    let (mut out, mut at, mut whole) = (String::with_capacity(text.len()), 0, true);
    while let Some(start) = text[at..].find("${").map(|n| at + n) {
        out.push_str(&text[at..start]);
        let after = &text[start + 2..];
        let (length, default) = match variable(after) {
            Some((name, default)) if !OWN.contains(&name) => (name.len() + default.map_or(0, |d| d.len() + 2), default),
            // As it is written.
            _ => (0, Some("${")),
        };
        at = if length == 0 { start + 2 } else { start + 2 + length + 1 };
        match default {
            Some(value) => out.push_str(value),
            None => {
                whole = false;
                unset(&after[..length], place(text, start, at), node, r);
            }
        }
    }
    out.push_str(&text[at..]);
    whole.then_some(out)
}

fn unset(name: &str, place: Place, node: &Node, r: &mut Reader<'_>) {
    let message = format!("the variable `{name}` has no value here");
    let help = format!("write `${{{name}:-default}}`; the table that is checked is `${{object}}`");
    r.error(codes::INVALID_VALUE, node.place_of_inner(place), message, Some(help));
}

/// Name and default of what stands behind `${`, if it is a variable.
fn variable(after: &str) -> Option<(&str, Option<&str>)> {
    let inner = &after[..after.find('}')?];
    let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
    let mut letters = name.chars();
    let is_name = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((name, default))
}

/// Of a part of a text, in characters from 1.
fn place(text: &str, start: usize, end: usize) -> Place {
    let before = &text[..start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place { line, column, length: text[start..end].chars().count() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnostic::Sink, source_file::SourceFile, yaml};

    fn read(text: &str) -> Result<String, String> {
        let file = SourceFile::new("c.odcs.yaml", format!("q: |\n  {}\n", text.replace('\n', "\n  ")));
        let mut sink = Sink::default();
        let root = yaml::parse(&file.text, &file, &mut sink).expect("a document");
        let node = root.get("q").expect("a text");
        let out = filled(text, node, &mut Reader::new(&file, &mut sink));
        out.ok_or_else(|| sink.finish().to_string())
    }

    #[test]
    fn defaults_are_written_in_and_our_own_names_stay() {
        assert_eq!(read("a > ${LOW:-0} ${B:-}$"), Ok("a > 0 $".to_owned()));
        for same in ["FROM ${object}, {object} ${table}", "'^a${3}'", "${", "${}", "${a b}", "$x", "${é}", "${1:-x}"] {
            assert_eq!(read(same), Ok(same.to_owned()));
        }
        assert_eq!(read("${A:-${object}}"), Ok("${object}".to_owned()), "a default ends at the first brace");
    }

    #[test]
    fn one_without_a_value_is_told_at_its_place() {
        let said = read("SELECT 1\nFROM ${TARGET} WHERE ${CUT_OFF}").expect_err("two mistakes");
        assert!(said.contains("`TARGET` has no value") && said.contains("c.odcs.yaml:3:8"), "{said}");
        assert!(said.contains("`CUT_OFF` has no value") && said.contains("${CUT_OFF:-default}"), "{said}");
    }
}
