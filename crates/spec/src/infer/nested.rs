//! What JSON holds, as nested properties: fields and types.

use super::{facts::NestedFacts, yaml::scalar};
use std::fmt::Write;

impl NestedFacts {
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
    if kind == Some("object") && of.fields.keys().any(|n| !n.is_empty()) {
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
