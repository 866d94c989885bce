//! What JSON holds, as nested properties: fields and types.

use super::{facts::NestedFacts, yaml::scalar};
use std::fmt::Write;

/// An object of so many different names, or of so many of which few are there at once, is looked up by its names.
const MANY: usize = 100;
const SEVERAL: usize = 20;
const FEW_AT_ONCE: u64 = 10;

impl NestedFacts {
    /// Whether the names in it are values themselves: none of them is told, for they may be of persons.
    fn is_map(&self) -> bool {
        let names = self.fields.len();
        let there: u64 = self.fields.values().map(NestedFacts::there).sum();
        let sparse =
            || names >= SEVERAL && there.saturating_mul(FEW_AT_ONCE) <= self.objects.saturating_mul(names as u64);
        self.keyed > 0 || names >= MANY || sparse()
    }

    fn there(&self) -> u64 {
        self.strings + self.integers + self.numbers + self.booleans + self.arrays + self.objects
    }

    /// `None`: it held several kinds of values, or only nulls.
    fn logical(&self) -> Option<&'static str> {
        let kinds = [
            (self.strings, "string"),
            (self.integers + self.numbers, if self.numbers > 0 { "number" } else { "integer" }),
            (self.booleans, "boolean"),
            (self.arrays, "array"),
            (self.objects, "object"),
        ];
        let mut seen = kinds.into_iter().filter(|(n, _)| *n > 0);
        let (_, one) = seen.next()?;
        seen.next().is_none().then_some(one)
    }
}

/// The logical type of a column of JSON.
pub(super) fn logical(of: &NestedFacts) -> &'static str {
    match of.logical() {
        Some("array") => "array",
        _ => "object",
    }
}

/// The lines below a property, indented by `indent`.
pub(super) fn write(of: &NestedFacts, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let kind = of.logical();
    if kind == Some("object") && of.is_map() {
        let _ = writeln!(out, "{pad}# Looked up by names that seem to be values, which are not told here.");
    } else if kind == Some("object") && of.fields.keys().any(|n| !n.is_empty()) {
        let _ = writeln!(out, "{pad}properties:");
        for (name, field) in of.fields.iter().filter(|(n, _)| !n.is_empty()) {
            let _ = writeln!(out, "{pad}  - name: {}", scalar(name));
            // Without a type, several kinds of values may stand there.
            if let Some(kind) = field.logical() {
                let _ = writeln!(out, "{pad}    logicalType: {kind}");
            }
            write(field, indent + 4, out);
        }
    }
    if let (Some("array"), Some(item)) = (kind, &of.item)
        && let Some(inner) = item.logical()
    {
        let _ = writeln!(out, "{pad}items:\n{pad}  logicalType: {inner}");
        write(item, indent + 2, out);
    }
}
