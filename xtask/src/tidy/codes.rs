//! Every stable error code is told in the documentation, and the documentation tells of no other.

use super::{
    Problem, scan,
    tree::{TextFile, Tree},
};
use std::collections::{BTreeMap, BTreeSet};

pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut used = BTreeMap::new();
    let ours = |f: &&TextFile| f.extension() == "rs" && f.is_below(&["crates", "*", "src"]) && !f.is_test();
    for file in tree.files.iter().filter(ours) {
        for (line, code) in codes_in(file) {
            used.entry(code).or_insert_with(|| (file.path.clone(), line));
        }
    }
    let documents = tree.files.iter().filter(|f| f.extension() == "md" && f.is_below(&["docs"]));
    let mut told = BTreeSet::new();
    let mut problems = Vec::new();
    for file in documents {
        for (n, line) in file.text.lines().enumerate() {
            let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| is_code(w)).collect();
            if line.starts_with('#') {
                let unknown = words.iter().filter(|w| !used.contains_key(**w));
                problems.extend(unknown.map(|w| Problem::new(&file.path, n + 1, format!("nothing reports `{w}`"))));
            }
            told.extend(words.into_iter().map(str::to_owned));
        }
    }
    let untold = used.into_iter().filter(|(code, _)| !told.contains(code));
    problems
        .extend(untold.map(|(code, (file, line))| Problem::new(file, line, format!("`{code}` is not told in docs/"))));
    problems
}

/// One letter and four digits.
fn is_code(word: &str) -> bool {
    let b = word.as_bytes();
    b.len() == 5 && b[0].is_ascii_uppercase() && b[1..].iter().all(u8::is_ascii_digit)
}

/// Line (1 is the first) and text of each code that stands alone in a string outside tests.
fn codes_in(file: &TextFile) -> Vec<(usize, String)> {
    let tests = scan::test_lines(&scan::mask(&file.text));
    let mut found = Vec::new();
    for (n, line) in file.text.lines().enumerate().filter(|(n, l)| !tests[*n] && !l.trim_start().starts_with("//")) {
        let codes = line.split('"').skip(1).step_by(2).filter(|s| is_code(s));
        found.extend(codes.map(|c| (n + 1, c.to_owned())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_documents_agree() {
        let file = |path: &str, text: &str| TextFile { path: path.into(), text: text.to_owned() };
        let code =
            "/// As in `X9999`.\nfn code() { \"L0301\" }\n#[cfg(test)]\nmod tests { const A: &str = \"T0001\"; }\n";
        let tree = |doc: &str| Tree { files: vec![file("crates/a/src/b.rs", code), file("docs/errors.md", doc)] };
        assert!(check(&tree("## L0301 full disk\nSee also Z0000.\n")).is_empty());
        let problems = check(&tree("## L0302\n"));
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0].to_string(), "docs/errors.md:1: nothing reports `L0302`");
        assert_eq!(problems[1].to_string(), "crates/a/src/b.rs:2: `L0301` is not told in docs/");
    }
}
