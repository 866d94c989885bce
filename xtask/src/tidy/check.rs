//! Runs every check over the workspace's files.

use super::{Problem, codes, layers, links, rust, tree::Tree, words};
use std::path::Path;

/// All findings, by file and line. A file that cannot be read is a finding.
pub fn check(root: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    let tree = Tree::read(root, &mut problems);
    for file in &tree.files {
        problems.extend(words::check(file));
        match file.extension() {
            "rs" => problems.extend(rust::check(file)),
            "md" => problems.extend(links::check(root, file)),
            _ => {}
        }
    }
    problems.extend(layers::check(&tree));
    problems.extend(codes::check(&tree));
    problems.sort();
    problems
}
