//! The types of events that a project sends, each with the schema of its data.
//!
//! Called by whoever makes one of these events, and by the service, whose document has the schemas. A field that is added leaves a schema's
//! number as it is; one that goes, or means another thing, is a schema of its own.

/// A type of CloudEvents.
#[derive(Debug, PartialEq, Eq)]
pub struct EventType {
    pub name: &'static str,
    /// The `dataschema` of its events, which names the schema and is no address.
    pub schema_id: &'static str,
    /// JSON Schema of their data.
    pub schema: &'static str,
}

pub(crate) const PUBLISHED: EventType = EventType {
    name: "io.alluvium.dataset.published",
    schema_id: "urn:alluvium:schemas:dataset.published:1",
    schema: include_str!("schemas/dataset.published.json"),
};
pub(crate) const RUN_COMPLETED: EventType = EventType {
    name: "io.alluvium.run.completed",
    schema_id: "urn:alluvium:schemas:run.completed:1",
    schema: include_str!("schemas/run.completed.json"),
};
pub(crate) const BACKFILL_COMPLETED: EventType = EventType {
    name: "io.alluvium.backfill.completed",
    schema_id: "urn:alluvium:schemas:backfill.completed:1",
    schema: include_str!("schemas/backfill.completed.json"),
};
pub(crate) const ALERT_OPENED: EventType = EventType {
    name: "io.alluvium.alert.opened",
    schema_id: "urn:alluvium:schemas:alert:1",
    schema: include_str!("schemas/alert.json"),
};
pub(crate) const ALERT_RESOLVED: EventType = EventType { name: "io.alluvium.alert.resolved", ..ALERT_OPENED };

/// All of them.
pub const EVENT_TYPES: [EventType; 5] = [PUBLISHED, RUN_COMPLETED, BACKFILL_COMPLETED, ALERT_OPENED, ALERT_RESOLVED];

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_spec::{Language, SchemaFile, read_schema_text};
    use serde_json::Value;

    #[test]
    fn each_schema_can_be_used_and_has_the_name_that_events_give() {
        for EventType { name, schema_id, schema } in EVENT_TYPES {
            let read: Value = serde_json::from_str(schema).expect("JSON");
            assert_eq!(read["$id"], schema_id, "{name}");
            let file = read_schema_text(Language::JsonSchema, std::path::Path::new("schema.json"), schema);
            let Ok(SchemaFile::JsonSchema(schema)) = file else { panic!("{name}: {file:?}") };
            schema.validator().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}
