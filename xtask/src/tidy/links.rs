//! Links between documents lead somewhere.

use super::{Problem, tree::TextFile};
use std::path::Path;

pub fn check(root: &Path, file: &TextFile) -> Vec<Problem> {
    let folder = root.join(&file.path).parent().expect("a file is in a folder").to_owned();
    let dead = |target: &String| !folder.join(target).exists();
    targets(&file.text)
        .into_iter()
        .filter(|(_, target)| dead(target))
        .map(|(line, target)| Problem::new(&file.path, line, format!("the link to `{target}` leads nowhere")))
        .collect()
}

/// Line (1 is the first) and path of every link that stays in the repository. Code blocks have no links.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (n, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (i, _) in line.match_indices("](") {
            let target = line[i + 2..].split([')', ' ', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                found.push((n + 1, target.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_within_the_repository_are_followed() {
        let text = "[a](b.md) [c](https://x.y) [d](#e)\n```\n[f](g.md)\n```\n[h](i/j.md#k) [l](m.md \"n\")";
        let expected = [(1, "b.md"), (5, "i/j.md"), (5, "m.md")].map(|(n, t)| (n, t.to_owned()));
        assert_eq!(targets(text), expected);
    }
}
