//! The tables of the documentation: written by hand, they are what the machines are compared with.

const PAGE: &str = include_str!("../../../../docs/src/explanation/states.md");

/// The table with this head has exactly these rows.
pub(super) fn says(head: &[&str], rows: &[Vec<String>]) {
    let cells = |line: &'static str| -> Vec<&str> { line.trim_matches('|').split('|').map(str::trim).collect() };
    let lines = PAGE.lines().skip_while(|l| !l.starts_with('|') || cells(l) != head);
    let told: Vec<Vec<&str>> = lines.take_while(|l| l.starts_with('|')).skip(2).map(cells).collect();
    assert_eq!(told, rows, "left: the documentation under {head:?}; right: the machine");
}
