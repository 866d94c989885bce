//! The compatibility relation: against values, against what registries document, and inside of a project.

mod avro;
mod contracts;
mod datacontract;
mod json_schema;
mod mend;
mod property;
mod readers;

use alluvium_spec::{Change, Comparison, Mode};
use serde_json::Value;

/// `path what before -> after breaks`, a line for each change.
fn shown(found: &Comparison) -> Vec<String> {
    let text = |t: &Option<String>| t.as_deref().unwrap_or("-").to_owned();
    let breaks = |c: &Change| match (c.breaks_backward, c.breaks_forward) {
        (true, true) => "both",
        (true, false) => "backward",
        (false, true) => "forward",
        (false, false) => "nothing",
    };
    let line = |c: &Change| {
        format!("{} {}: {} -> {}, breaks {}", c.path, c.what.words(), text(&c.before), text(&c.after), breaks(c))
    };
    found.changes.iter().map(line).collect()
}

/// Cases of a registry: each direction that it names is compatible, and no other. Gives how many there were.
fn registry(cases: &str, compared: impl Fn(&Value, &Value) -> Comparison) -> usize {
    let cases: Vec<Value> = serde_json::from_str(cases).expect("a list");
    for case in &cases {
        let found = compared(&case["original"], &case["updated"]);
        let verdict = match (found.is_compatible(Mode::Backward), found.is_compatible(Mode::Forward)) {
            (true, true) => "both",
            (true, false) => "backward",
            (false, true) => "forward",
            (false, false) => "none",
        };
        assert_eq!(verdict, case["compatibility"], "{case} {found:?}");
    }
    cases.len()
}
