//! What every Rust file keeps to.

use super::{Problem, reexports, scan, tree::TextFile};

const LONG_LINES: usize = 1_000;
const LONG_REASON: &str = "// long: ";
/// Not left in any code.
const UNFINISHED: [(&str, &str); 4] = [
    ("todo!", "unfinished code"),
    ("unimplemented!", "unfinished code"),
    ("dbg!", "left over from a search for a mistake"),
    ("#[ignore", "a test runs or is removed"),
];
const SLEEPS: [&str; 4] = ["thread::sleep(", "time::sleep(", "sleep_until(", "park_timeout("];

pub fn check(file: &TextFile) -> Vec<Problem> {
    let masked = scan::mask(&file.text);
    let in_tests = scan::test_lines(&masked);
    let whole_file_is_test = file.is_test();
    let mut problems = Vec::new();
    if !file.text.starts_with("//!") {
        problems.push(at(file, 1, "a module opens with `//!`: purpose, caller, what it must never do"));
    }
    if let Some(m) = too_long(&file.text) {
        problems.push(at(file, 1, m));
    }
    for (n, line) in masked.lines().enumerate() {
        let test = whole_file_is_test || in_tests[n];
        for (word, why) in UNFINISHED {
            if has_word(line, word) {
                problems.push(at(file, n + 1, format!("`{word}`: {why}")));
            }
        }
        if !test && line.contains(".unwrap()") {
            problems.push(at(file, n + 1, "`unwrap` outside tests; `expect` states the invariant"));
        }
        if test && SLEEPS.iter().any(|s| line.contains(s)) {
            problems.push(at(file, n + 1, "a test waits for a notification, never sleeps"));
        }
    }
    if matches!(file.name(), "lib.rs" | "mod.rs") && !whole_file_is_test {
        problems.extend(reexports::check(&masked).into_iter().map(|(line, m)| at(file, line, m)));
    }
    if is_second_test_binary(file) {
        problems.push(at(file, 1, "a crate has one integration binary, `tests/it/main.rs`; make this a module of it"));
    }
    problems
}

fn at(file: &TextFile, line: usize, message: impl Into<String>) -> Problem {
    Problem::new(&file.path, line, message)
}

fn too_long(text: &str) -> Option<String> {
    let lines = text.lines().count();
    let reason = text.lines().any(|l| l.trim_start().strip_prefix(LONG_REASON).is_some_and(|r| !r.trim().is_empty()));
    (lines > LONG_LINES && !reason).then(|| format!("{lines} lines; split it, or say why with `{LONG_REASON}…`"))
}

/// Not as the end of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(i, _)| !line[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn is_second_test_binary(file: &TextFile) -> bool {
    let parts = file.path.components().count();
    file.is_below(&["crates", "*", "tests"])
        && (parts == 4 || (parts == 5 && file.name() == "main.rs" && !file.is_below(&["crates", "*", "tests", "it"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&TextFile { path: path.into(), text: text.to_owned() }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let file = "crates/a/src/b.rs";
        assert!(messages(file, "//! Fine.\nfn a() {}\n").is_empty());
        assert!(messages(file, "fn a() {}\n")[0].contains("opens with"));
        assert!(messages(file, "//! A.\nfn a() { todo!() }\n")[0].contains(":2: `todo!`"));
        assert!(messages(file, "//! A.\n// todo!() in words\nfn a() { my_todo!() }\n").is_empty());
        assert!(messages(file, "//! A.\nfn a() { b.unwrap() }\n")[0].contains("`unwrap`"));
        assert!(messages(file, "//! A.\n#[cfg(test)]\nmod tests {\n fn a() { b.unwrap() }\n}\n").is_empty());
        assert!(
            messages(file, "//! A.\n#[cfg(test)]\nmod tests {\n fn a() { std::thread::sleep(d) }\n}\n")[0]
                .contains("sleeps")
        );
        assert!(messages("crates/a/tests/it/x.rs", "//! A.\nfn a() { b.unwrap() }\n").is_empty());
        assert!(messages("crates/a/src/b/tests/mod.rs", "//! A.\nfn a() { b.unwrap() }\n").is_empty());
        assert!(messages("crates/a/tests/other.rs", "//! A.\n")[0].contains("one integration binary"));
        assert!(messages("crates/a/tests/other/main.rs", "//! A.\n")[0].contains("one integration binary"));
        assert!(messages("crates/a/tests/it/main.rs", "//! A.\n").is_empty());
    }

    #[test]
    fn a_long_file_says_why() {
        let long = format!("//! A.\n{}", "\n".repeat(1_000));
        assert!(messages("crates/a/src/b.rs", &long)[0].contains("1001 lines"));
        assert!(messages("crates/a/src/b.rs", &format!("{long}// long: one table of cases\n")).is_empty());
    }
}
