//! `${NAME}` and `${NAME:-default}` in the SQL of rules, as v3.2 of the standard has them.
//!
//! Nothing here gives a contract variables, least of all those of the process: only defaults count, and a name without one is
//! a mistake. Elsewhere in a document they stay as they are written.

use crate::{
    codes,
    diagnostic::MOST_PER_FILE,
    source_file::Place,
    yaml::{Node, Reader},
};

/// What the versions of the standard and other tools call the table and the column.
const OWN: [&str; 5] = ["object", "table", "model", "property", "column"];

/// `None`: one has no value, which was reported at its place.
pub(super) fn filled(text: &str, node: &Node, r: &mut Reader<'_>) -> Option<String> {
    let (mut out, mut at, mut missing) = (String::with_capacity(text.len()), 0, 0);
    // Behind the last brace there is none.
    let last = text.rfind('}').unwrap_or(0);
    while let Some(start) = text[at..].find("${").map(|n| at + n).filter(|start| *start < last) {
        out.push_str(&text[at..start]);
        let after = start + 2;
        match variable(&text[after..]) {
            Some((name, Some(default))) => {
                out.push_str(default);
                at = after + name.len() + ":-".len() + default.len() + 1;
            }
            Some((name, None)) => {
                at = after + name.len() + 1;
                missing += 1;
                // One more than is kept.
                if missing <= MOST_PER_FILE + 1 {
                    unset(name, place(text, start, at), node, r);
                }
            }
            None => {
                out.push_str("${");
                at = after;
            }
        }
    }
    out.push_str(&text[at..]);
    (missing == 0).then_some(out)
}

fn unset(name: &str, place: Place, node: &Node, r: &mut Reader<'_>) {
    let message = format!("the variable `{name}` has no value here");
    let help = format!("write `${{{name}:-default}}`; the table that is checked is `${{object}}`");
    r.error(codes::INVALID_VALUE, node.place_of_inner(place), message, Some(help));
}

/// Name and default of what stands behind `${`, if it is a variable. Our own names are told before a brace is looked for, since
/// nothing is skipped behind them.
fn variable(after: &str) -> Option<(&str, Option<&str>)> {
    let (name, rest) = after.split_at(after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || OWN.contains(&name) {
        return None;
    }
    match rest.strip_prefix(":-") {
        Some(rest) => Some((name, Some(&rest[..rest.find('}')?]))),
        None => rest.starts_with('}').then_some((name, None)),
    }
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

    /// Each part of a text is looked at once or twice, however it is made.
    #[test]
    fn a_hostile_text_takes_no_time() {
        let open = "${A:-".repeat(200_000);
        assert_eq!(read(&open), Ok(open.clone()));
        assert_eq!(read(&format!("{open}}}")).map(|t| t.len()), Ok(open.len() - 5));
        assert_eq!(read(&format!("{}}}", "${".repeat(200_000))).map(|t| t.len()), Ok(400_001));
        let own = format!("{}}}", "${object:-".repeat(200_000));
        assert_eq!(read(&own), Ok(own.clone()));
        let said = read(&"${A}".repeat(100_000)).expect_err("mistakes");
        assert_eq!(said.matches("has no value").count(), MOST_PER_FILE);
    }

    #[test]
    fn one_without_a_value_is_told_at_its_place() {
        let said = read("SELECT 1\nFROM ${TARGET} WHERE ${CUT_OFF}").expect_err("two mistakes");
        assert!(said.contains("`TARGET` has no value") && said.contains("c.odcs.yaml:3:8"), "{said}");
        assert!(said.contains("`CUT_OFF` has no value") && said.contains("${CUT_OFF:-default}"), "{said}");
    }
}
