//! Reads one runbook, and says what it lacks. `alluvium explain` reads the same form.
//!
//! Its title names its codes, a table has a row for each, and four headings follow. What others print from it must not
//! depend on where it lies, so it holds no links.

use crate::tidy::{Problem, TextFile};
use std::path::PathBuf;

pub const FOLDER: &[&str] = &["docs", "runbooks"];
const HEADINGS: [&str; 4] = ["What it means", "How to see it", "What to do", "How to prevent it"];

pub struct Page {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// The table's first two lines.
    pub header: [String; 2],
    /// By code, in the order of the page.
    pub rows: Vec<Row>,
}

pub struct Row {
    pub code: String,
    /// 1 is the first.
    pub line: usize,
    /// Without the code's.
    pub cells: Vec<String>,
}

impl Page {
    /// What this page is found by in a chapter: as documentation makes it from the title.
    pub fn anchor(&self) -> String {
        self.rows.iter().map(|r| r.code.to_lowercase()).collect::<Vec<_>>().join("-")
    }

    pub fn letter(&self) -> &str {
        self.rows.first().map_or("", |r| &r.code[..1])
    }
}

/// One letter and four digits.
pub fn is_code(word: &str) -> bool {
    let b = word.as_bytes();
    b.len() == 5 && b[0].is_ascii_uppercase() && b[1..].iter().all(u8::is_ascii_digit)
}

pub fn read(file: &TextFile, problems: &mut Vec<Problem>) -> Option<Page> {
    let before = problems.len();
    let mut wrong = |line: usize, message: String| problems.push(Problem::new(&file.path, line, message));
    let lines: Vec<&str> = file.text.lines().collect();
    let title = lines.first().and_then(|l| l.strip_prefix("# ")).unwrap_or_default();
    let codes: Vec<&str> = title.split(", ").collect();
    if !codes.iter().all(|c| is_code(c)) || !codes.is_sorted() {
        wrong(1, "a runbook opens with its codes in order, as `# S0001, S0002`".to_owned());
    }
    if file.name() != format!("{}.md", codes[0]) {
        wrong(1, format!("the file of this runbook is named {}.md, as its first code", codes[0]));
    }
    let table = lines.iter().position(|l| l.starts_with("| code |")).unwrap_or(lines.len());
    let line = |n: usize| lines.get(n).copied().unwrap_or_default().to_owned();
    let rows: Vec<Row> = lines
        .iter()
        .enumerate()
        .skip(table + 2)
        .take_while(|(_, l)| l.starts_with('|'))
        .map(|(n, l)| row(n + 1, l))
        .collect();
    if !rows.iter().map(|r| r.code.as_str()).eq(codes.iter().copied()) {
        wrong(1, "the table has a row for each code of the title, in that order".to_owned());
    }
    for r in rows.iter().filter(|r| r.cells.iter().any(String::is_empty)) {
        wrong(r.line, format!("the row of `{}` says nothing in a column", r.code));
    }
    let headings: Vec<&str> = lines.iter().filter_map(|l| l.strip_prefix("## ")).collect();
    if headings != HEADINGS {
        wrong(1, format!("a runbook has the headings {}", HEADINGS.join(", ")));
    }
    for (n, _) in lines.iter().enumerate().filter(|(n, l)| l.starts_with("## ") && is_silent(&lines[n + 1..])) {
        wrong(n + 1, "nothing is said under this heading".to_owned());
    }
    for (n, _) in lines.iter().enumerate().filter(|(_, l)| l.contains("](")) {
        wrong(n + 1, "a runbook is printed by `alluvium explain`, so it holds no links".to_owned());
    }
    (problems.len() == before).then(|| Page { path: file.path.clone(), header: [line(table), line(table + 1)], rows })
}

fn row(line: usize, text: &str) -> Row {
    let mut cells = text.trim().trim_start_matches("| ").trim_end_matches(" |").split(" | ").map(str::to_owned);
    let code = cells.next().unwrap_or_default().trim_matches('`').to_owned();
    Row { code, line, cells: cells.collect() }
}

fn is_silent(rest: &[&str]) -> bool {
    rest.iter().take_while(|l| !l.starts_with("## ")).all(|l| l.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# S0001, S0002\n\n| code | meaning | class | remedy |\n|---|---|---|---|\n\
        | `S0001` | a | b | c |\n| `S0002` | a | b | c |\n\n## What it means\na\n\n## How to see it\na\n\n\
        ## What to do\na\n\n## How to prevent it\na\n";

    fn read_as(name: &str, text: &str) -> (Option<Page>, Vec<String>) {
        let mut problems = Vec::new();
        let file = TextFile { path: format!("docs/runbooks/{name}").into(), text: text.to_owned() };
        let page = read(&file, &mut problems);
        (page, problems.into_iter().map(|p| p.to_string()).collect())
    }

    #[test]
    fn a_page_of_the_form_is_read() {
        let (page, problems) = read_as("S0001.md", GOOD);
        assert!(problems.is_empty(), "{problems:?}");
        let page = page.expect("a page");
        assert_eq!((page.anchor().as_str(), page.letter(), page.rows[1].line), ("s0001-s0002", "S", 6));
        assert_eq!(page.rows[1].cells, ["a", "b", "c"]);
    }

    #[test]
    fn what_a_page_lacks_is_told() {
        let broken = [
            ("S0001.md", GOOD.replace("# S0001, S0002", "# S0001"), "a row for each code"),
            ("S0002.md", GOOD.to_owned(), "is named S0001.md"),
            ("S0001.md", GOOD.replace("| b | c |\n\n", "| b |  |\n\n"), "`S0002` says nothing"),
            ("S0001.md", GOOD.replace("## What to do\na", "## What to do\n"), ":14: nothing is said"),
            ("S0001.md", GOOD.replace("## How to see it\na\n", ""), "has the headings"),
            ("S0001.md", format!("{GOOD}[x](y.md)\n"), "no links"),
        ];
        for (name, text, expected) in broken {
            let (page, problems) = read_as(name, &text);
            assert!(page.is_none() && problems.iter().any(|p| p.contains(expected)), "{expected}: {problems:?}");
        }
    }
}
