//! Every stable error code has a runbook, every runbook a code, and both say the same remedy.

use super::{
    Problem, scan,
    tree::{TextFile, Tree},
};
use crate::runbooks::{self, Page};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Classes of what is told without a remedy of its own: a line of a run, and a warning.
const WITHOUT_REMEDY: [&str; 1] = ["refused"];

pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (pages, derived) = runbooks::derived(tree, &mut problems);
    let mut used = BTreeMap::new();
    let mut said = BTreeSet::new();
    let ours = |f: &&TextFile| f.extension() == "rs" && f.is_below(&["crates", "*", "src"]) && !f.is_test();
    for file in tree.files.iter().filter(ours) {
        for (line, code) in codes_in(file) {
            used.entry(code).or_insert_with(|| (file.path.clone(), line));
        }
        said.extend(scan::strings(&file.text).iter().map(|s| plain(s)));
    }
    let rows = || pages.iter().flat_map(|p: &Page| p.rows.iter().map(move |r| (p, r)));
    let mut told = BTreeSet::new();
    for (page, row) in rows() {
        let mut wrong = |message| problems.push(Problem::new(&page.path, row.line, message));
        if !told.insert(row.code.as_str()) {
            wrong(format!("`{}` has another runbook", row.code));
        }
        if !used.contains_key(&row.code) {
            wrong(format!("nothing reports `{}`", row.code));
        }
        let remedy = row.cells.last().map(|r| plain(r)).unwrap_or_default();
        let needless = row.cells.iter().any(|c| WITHOUT_REMEDY.contains(&c.as_str()));
        if !needless && !said.contains(&remedy) {
            wrong(format!("the code has no such remedy for `{}`", row.code));
        }
    }
    let untold = used.iter().filter(|(code, _)| !told.contains(code.as_str()));
    problems.extend(
        untold.map(|(code, (file, line))| {
            Problem::new(file, *line, format!("`{code}` has no runbook in docs/runbooks/"))
        }),
    );
    for d in derived {
        let there = tree.files.iter().find(|f| f.path == Path::new(&d.path));
        if there.is_none_or(|f| f.text != d.text) {
            problems.push(Problem::new(d.path, 1, "differs from the runbooks; `cargo xtask docs` writes it"));
        }
    }
    problems
}

/// A remedy is a sentence in one place and a clause in another, with and without marks for code.
fn plain(text: &str) -> String {
    text.trim().trim_end_matches('.').replace('`', "").to_lowercase()
}

/// Line (1 is the first) and text of each code that stands alone in a string outside tests.
fn codes_in(file: &TextFile) -> Vec<(usize, String)> {
    let tests = scan::test_lines(&scan::mask(&file.text));
    let mut found = Vec::new();
    for (n, line) in file.text.lines().enumerate().filter(|(n, l)| !tests[*n] && !l.trim_start().starts_with("//")) {
        let codes = line.split('"').skip(1).step_by(2).filter(|s| runbooks::is_code(s));
        found.extend(codes.map(|c| (n + 1, c.to_owned())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "/// As in `X9999`.\nfn code() { \"L0301\" }\nfn remedy() { \"run `x` again\" }\n\
        #[cfg(test)]\nmod tests { const A: &str = \"T0001\"; }\n";
    const HEAD: &str = "| code | meaning | class | remedy |\n|---|---|---|---|\n";

    fn told(pages: &[(&str, &str)]) -> Vec<String> {
        let page = |(code, row): &(&str, &str)| {
            let rest = "## What it means\na\n## How to see it\na\n## What to do\na\n## How to prevent it\na\n";
            (format!("docs/runbooks/{code}.md"), format!("# {code}\n\n{HEAD}| `{code}` | {row} |\n\n{rest}"))
        };
        let reference = "docs/src/reference/error-codes.md".to_owned();
        let mut files = vec![
            ("crates/a/src/b.rs".to_owned(), CODE.to_owned()),
            ("docs/src/SUMMARY.md".to_owned(), "(runbooks/L.md)".to_owned()),
            (reference.clone(), format!("## L: the lake\n\n{HEAD}")),
        ];
        files.extend(pages.iter().map(page));
        let mut tree = Tree { files: Vec::new() };
        tree.files.extend(files.into_iter().map(|(path, text)| TextFile { path: path.into(), text }));
        let (_, derived) = runbooks::derived(&tree, &mut Vec::new());
        for d in derived {
            tree.files.retain(|f| f.path != Path::new(&d.path));
            tree.files.push(TextFile { path: d.path.into(), text: d.text });
        }
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn codes_and_runbooks_agree() {
        assert_eq!(told(&[("L0301", "a | transient | Run x again.")]), [""; 0]);
        assert_eq!(
            told(&[("L0302", "a | refused | Look.")]),
            [
                "docs/runbooks/L0302.md:5: nothing reports `L0302`",
                "crates/a/src/b.rs:2: `L0301` has no runbook in docs/runbooks/"
            ]
        );
        assert_eq!(
            told(&[("L0301", "a | transient | Wait.")]),
            ["docs/runbooks/L0301.md:5: the code has no such remedy for `L0301`"]
        );
    }

    #[test]
    fn what_was_not_written_anew_is_told() {
        let file = |path: &str, text: &str| TextFile { path: path.into(), text: text.to_owned() };
        let reference = format!("## L: the lake\n\n{HEAD}| `L0301` | a | b | c |\n");
        let files =
            vec![file("docs/src/reference/error-codes.md", &reference), file("docs/src/SUMMARY.md", "(runbooks/L.md)")];
        let problems = check(&Tree { files });
        assert_eq!(problems.len(), 2, "the table and the chapter: {problems:?}");
    }
}
