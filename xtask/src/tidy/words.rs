//! Words that must not be in any file: places of one machine, and marks of unfinished work.

use super::{Problem, tree::TextFile};

/// In two parts, so that this file does not contain them.
const FORBIDDEN: [(&str, &str, &str); 6] = [
    ("/wo", "rk/", "a path of one machine"),
    ("/ro", "ot/", "a path of one machine"),
    ("../sha", "red/", "a folder that is not part of the project"),
    ("TO", "DO", "unfinished work"),
    ("FIX", "ME", "unfinished work"),
    ("<<<<", "<<<", "an unresolved merge"),
];

pub fn check(file: &TextFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (a, b, why) in FORBIDDEN {
        let word = format!("{a}{b}");
        for (n, _) in file.text.lines().enumerate().filter(|(_, l)| l.contains(&word)) {
            problems.push(Problem::new(&file.path, n + 1, format!("`{word}`: {why}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found() {
        let file = |text: &str| TextFile { path: "a.md".into(), text: text.to_owned() };
        let path = ["/wo", "rk/x"].concat();
        assert_eq!(check(&file(&format!("a\nsee {path}"))).len(), 1);
        assert!(check(&file("work/x")).is_empty());
    }
}
