//! Whether the defaults of fields are values of their types.
//!
//! Asked of schemas that are new, as other registries do it; one that is registered already is read as it is.

use super::schema::Avro;
use crate::{codes, diagnostic::Sink, json_schema::JsonSchema, source_file::SourceFile};
use serde_json::Value;

/// Reports the first ones that are not; of a union, those that are of none of its types. `file`: where the schema stands.
pub(crate) fn check_defaults(schema: &Avro, file: &SourceFile, sink: &mut Sink) -> bool {
    let defaults = &schema.defaults;
    let Ok(validator) = JsonSchema::made(schema.plain_list(defaults.iter().map(|d| &d.kind))).validator() else {
        return true;
    };
    let values = Value::Array(defaults.iter().map(|d| d.value.clone()).collect());
    let mut sound = true;
    for breach in validator.breaches(&values) {
        let mut parts = breach.at.splitn(3, '/').skip(1);
        let Some(default) = parts.next().and_then(|i| defaults.get(i.parse::<usize>().ok()?)) else { continue };
        sound = false;
        let inside = parts.next().map(|p| format!("`/{}` of ", p.escape_debug())).unwrap_or_default();
        let message = format!("{inside}the default {} (`{}`)", breach.what, breach.keyword);
        let help = format!("a default is a value of the field's type, {}", schema.text(&default.kind));
        sink.report(codes::SCHEMA, file, default.place, message, help);
    }
    sound
}
