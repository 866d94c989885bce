//! What is made from the runbooks: the tables of the reference, and a chapter of the book for each letter.
//!
//! `cargo xtask docs` writes it; `cargo xtask tidy` says where it was not written.

use super::{FOLDER, Page, read};
use crate::tidy::{Problem, Tree};
use std::{fs, io, path::Path};

const REFERENCE: &str = "docs/src/reference/error-codes.md";
const SUMMARY: &str = "docs/src/SUMMARY.md";

pub struct Derived {
    /// Relative to the workspace.
    pub path: String,
    pub text: String,
}

/// Nothing as long as a page is wrong, or a letter has no table in the reference.
pub fn derived(tree: &Tree, problems: &mut Vec<Problem>) -> (Vec<Page>, Vec<Derived>) {
    let before = problems.len();
    let files = tree.files.iter().filter(|f| f.is_below(FOLDER) && f.extension() == "md");
    let pages: Vec<Page> = files.filter_map(|f| read(f, problems)).collect();
    let text_of = |path: &str| tree.files.iter().find(|f| f.path == Path::new(path)).map(|f| f.text.as_str());
    let (Some(reference), true) = (text_of(REFERENCE), problems.len() == before) else { return (pages, Vec::new()) };
    let summary = text_of(SUMMARY).unwrap_or_default();
    let sections = sections(reference);
    for page in &pages {
        let fits = sections.iter().any(|s| s.letter == page.letter() && s.header == page.header);
        if !fits {
            let message = format!("{REFERENCE} has no table with these columns for `{}`", page.letter());
            problems.push(Problem::new(&page.path, 3, message));
        }
    }
    let mut all = vec![Derived { path: REFERENCE.to_owned(), text: tables(reference, &pages) }];
    for s in &sections {
        let path = format!("runbooks/{}.md", s.letter);
        if !summary.contains(&format!("({path})")) {
            problems.push(Problem::new(SUMMARY, 1, format!("`{path}` is not listed")));
        }
        all.push(Derived { path: format!("docs/src/{path}"), text: chapter(s, &pages) });
    }
    (pages, all)
}

/// A heading `## S: the state` and the head of the table below it.
struct Section<'a> {
    letter: &'a str,
    title: &'a str,
    header: [&'a str; 2],
}

fn sections(reference: &str) -> Vec<Section<'_>> {
    let lines: Vec<&str> = reference.lines().collect();
    let mut found = Vec::new();
    let mut heading = None;
    for (n, line) in lines.iter().enumerate() {
        heading = line.strip_prefix("## ").and_then(|h| h.split_once(": ")).or(heading);
        if let (Some((letter, title)), true, Some(below)) = (heading, line.starts_with("| code |"), lines.get(n + 1)) {
            found.push(Section { letter, title, header: [line, below] });
        }
    }
    found
}

fn of_letter<'a>(pages: &'a [Page], letter: &'a str) -> impl Iterator<Item = &'a Page> {
    pages.iter().filter(move |p| p.letter() == letter)
}

/// The reference with the rows of the pages in its tables.
fn tables(reference: &str, pages: &[Page]) -> String {
    let mut out = String::new();
    let mut letter = "";
    let mut in_table = false;
    for line in reference.lines() {
        letter = line.strip_prefix("## ").and_then(|h| h.split_once(": ")).map_or(letter, |(l, _)| l);
        if in_table && line.starts_with("|---") {
            out.push_str(line);
            out.push('\n');
            for (code, row) in rows(pages, letter) {
                out.push_str(&format!("| [`{code}`](../runbooks/{letter}.md#{}) | {} |\n", row.0, row.1));
            }
            continue;
        }
        in_table = line.starts_with("| code |") || (in_table && line.starts_with('|'));
        if !in_table || line.starts_with("| code |") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// By code: the anchor of its page, and its cells.
fn rows<'a>(pages: &'a [Page], letter: &'a str) -> Vec<(&'a str, (String, String))> {
    let mut rows: Vec<_> = of_letter(pages, letter)
        .flat_map(|p| p.rows.iter().map(|r| (r.code.as_str(), (p.anchor(), r.cells.join(" | ")))))
        .collect();
    rows.sort();
    rows
}

fn chapter(section: &Section<'_>, pages: &[Page]) -> String {
    let mut out = format!("# Runbooks: {}\n", section.title);
    for page in of_letter(pages, section.letter) {
        out.push_str(&format!("\n{{{{#include ../../runbooks/{}.md}}}}\n", page.rows[0].code));
    }
    out
}

/// How many files were not as they should be.
pub fn write(root: &Path, derived: &[Derived]) -> io::Result<usize> {
    let mut written = 0;
    for d in derived {
        let path = root.join(&d.path);
        if fs::read_to_string(&path).ok().as_ref() != Some(&d.text) {
            fs::create_dir_all(path.parent().expect("a file is in a folder"))?;
            fs::write(path, &d.text)?;
            written += 1;
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::TextFile;

    const HEAD: &str = "| code | meaning |\n|---|---|\n";

    fn tree(reference: &str, summary: &str) -> Tree {
        let rest = "\n## What it means\na\n## How to see it\na\n## What to do\na\n## How to prevent it\na\n";
        let page = |code: &str| {
            (format!("docs/runbooks/{code}.md"), format!("# {code}\n{HEAD}| `{code}` | of {code} |\n{rest}"))
        };
        let files = [
            page("S0001"),
            page("S0002"),
            (REFERENCE.to_owned(), reference.to_owned()),
            (SUMMARY.to_owned(), summary.to_owned()),
        ];
        Tree { files: files.map(|(path, text)| TextFile { path: path.into(), text }).into() }
    }

    #[test]
    fn tables_and_chapters_are_those_of_the_pages() {
        let reference = format!("# R\n\n## S: the state\n\nWords.\n\n{HEAD}| `S0009` | old |\n\nMore.\n");
        let mut problems = Vec::new();
        let (pages, all) = derived(&tree(&reference, "(runbooks/S.md)"), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((pages.len(), all.len()), (2, 2));
        let rows =
            "| [`S0001`](../runbooks/S.md#s0001) | of S0001 |\n| [`S0002`](../runbooks/S.md#s0002) | of S0002 |\n";
        assert_eq!(all[0].text, format!("# R\n\n## S: the state\n\nWords.\n\n{HEAD}{rows}\nMore.\n"));
        assert_eq!(
            all[1].text,
            "# Runbooks: the state\n\n{{#include ../../runbooks/S0001.md}}\n\n{{#include ../../runbooks/S0002.md}}\n"
        );
        let (_, again) = derived(&tree(&all[0].text, "(runbooks/S.md)"), &mut problems);
        assert_eq!(again[0].text, all[0].text);
    }

    #[test]
    fn a_letter_without_a_table_and_a_chapter_that_is_not_listed_are_told() {
        let mut problems = Vec::new();
        derived(&tree(&format!("## L: the lake\n{HEAD}"), ""), &mut problems);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("no table with these columns for `S`"), "{told:?}");
        assert!(told[2].contains("`runbooks/L.md` is not listed"), "{told:?}");
    }
}
