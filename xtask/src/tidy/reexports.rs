//! `lib.rs` and `mod.rs` hold modules, re-exports and constants, and nothing that runs.

use super::scan;

const ALLOWED: [&str; 5] = ["mod", "use", "const", "static", "extern"];

/// Line (1 is the first) and what is wrong there, from masked code.
pub fn check(masked: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = masked[at..].find(|c: char| !c.is_whitespace()).map(|n| at + n) {
        let rest = &masked[start..];
        if rest.starts_with("#[") || rest.starts_with("#!") {
            at = attribute_end(masked, start);
            continue;
        }
        at = match item_word(rest) {
            "mod" | "macro_rules" | "" => scan::item_end(masked, start),
            word if ALLOWED.contains(&word) => statement_end(masked, start),
            word => {
                found.push((scan::line_of(masked, start) + 1, format!("`{word}` in a file that only re-exports")));
                scan::item_end(masked, start)
            }
        };
    }
    found
}

/// The keyword after the visibility.
fn item_word(rest: &str) -> &str {
    let rest = rest.strip_prefix("pub").map_or(rest, str::trim_start);
    let rest = if rest.starts_with('(') { rest.split_once(')').map_or("", |(_, r)| r.trim_start()) } else { rest };
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// After the `;` that no bracket encloses: a `use` has braces before it, a constant's type may have one of its own.
fn statement_end(masked: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (i, c) in masked[start..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return start + i + 1,
            _ => {}
        }
    }
    masked.len()
}

fn attribute_end(masked: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (i, c) in masked[start..].char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth <= 1 => return start + i + 1,
            ']' => depth -= 1,
            _ => {}
        }
    }
    masked.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_is_found() {
        let fine = "#![allow(x)]\n\nmod a;\npub(crate) mod b;\n#[cfg(test)]\nmod tests { fn a() {} }\npub use a::{B, C};\nuse d;\nconst E: [u8; 1] = [1];\npub const F: &[G] = &[G { h: 1 }];\n";
        assert!(check(fine).is_empty());
        assert_eq!(
            check("mod a;\npub fn b() { c(); }\nmod d;\npub(crate) struct E { f: u8 }\n"),
            [
                (2, "`fn` in a file that only re-exports".to_owned()),
                (4, "`struct` in a file that only re-exports".to_owned()),
            ]
        );
        assert_eq!(check("impl A for B {\n}\n").len(), 1);
    }
}
