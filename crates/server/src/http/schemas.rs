//! Schemas of bodies and answers, under the names by which the table of paths calls them.
//!
//! Called by `openapi.rs`. They say what the code's types say: a test of the binary holds real answers against them, each field.

use serde_json::{Map, Value, json};

/// All of them, as components of the document.
pub(super) fn all() -> Map<String, Value> {
    let groups = [service(), events(), runs(), waiting(), replays(), told(), registry()];
    groups.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// Where the document has it.
pub(super) fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn list(items: Value) -> Value {
    with("array", "items", items)
}

type Group = Vec<(&'static str, Value)>;

/// All of these fields are always there.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    with_more(fields, [])
}

/// The second ones are left out where there is nothing to say.
fn with_more<const N: usize, const M: usize>(fields: [(&str, Value); N], more: [(&str, Value); M]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let all = fields.into_iter().chain(more).map(|(name, schema)| (name.to_owned(), schema));
    json!({ "type": "object", "required": required, "properties": all.collect::<Map<_, _>>() })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn whole() -> Value {
    json!({ "type": "integer" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn or_null(schema: Value) -> Value {
    let either = vec![schema, json!({ "type": "null" })];
    json!({ "anyOf": either })
}

fn any_of(names: &[&str]) -> Value {
    json!({ "anyOf": names.iter().map(|name| of(name)).collect::<Vec<_>>() })
}

/// Any names, with values of one kind.
fn by_name(values: Value) -> Value {
    with("object", "additionalProperties", values)
}

/// A type, and what it says of its parts.
fn with(kind: &str, keyword: &str, parts: Value) -> Value {
    Value::Object(Map::from_iter([("type".to_owned(), json!(kind)), (keyword.to_owned(), parts)]))
}

fn described(mut schema: Value, what: &str) -> Value {
    schema["description"] = json!(what);
    schema
}

fn service() -> Group {
    let error = [
        ("code", described(text(), "Stays the same across releases")),
        ("message", text()),
        ("class", described(text(), "Whether trying again can help")),
        ("help", text()),
    ];
    let of_registry =
        [("error_code", described(whole(), "As clients of schema registries know it")), ("message", text())];
    vec![
        ("Alive", object([("alive", flag())])),
        ("Ready", object([("ready", flag())])),
        ("Document", described(json!({ "type": "object" }), "OpenAPI 3.1")),
        ("Error", object([("error", object(error))])),
        ("RegistryError", object(of_registry)),
    ]
}

/// What became of a dataset for which a request waited.
const OUTCOMES: [&str; 4] = ["committed", "unchanged", "held", "failed"];

fn events() -> Group {
    let event = with_more(
        [("specversion", word(&["1.0"])), ("id", text()), ("source", text()), ("type", text())],
        [
            ("subject", text()),
            ("time", time()),
            ("datacontenttype", text()),
            ("dataschema", text()),
            ("data", json!({})),
            ("data_base64", text()),
        ],
    );
    let due = [("objects", whole()), ("datasets", list(text())), ("unmatched", whole()), ("ignored", whole())];
    let [objects, datasets, unmatched, ignored] = due.clone();
    vec![
        ("CloudEvent", described(event, "CloudEvents 1.0; other attributes may stand beside these")),
        ("CloudEvents", json!({ "type": "array", "items": of("CloudEvent"), "maxItems": 10_000 })),
        ("Accepted", object([("accepted", whole()), ("duplicates", whole())])),
        ("Due", object(due)),
        ("Outcome", by_name(object([("state", word(&OUTCOMES)), ("version", or_null(whole()))]))),
        ("AcceptedAndDone", object([("accepted", whole()), ("duplicates", whole()), ("outcome", of("Outcome"))])),
        ("DueAndDone", object([objects, datasets, unmatched, ignored, ("outcome", of("Outcome"))])),
        ("AcceptedOrDue", any_of(&["Accepted", "Due"])),
        ("Validation", object([("validationResponse", text())])),
        ("Confirmation", object([("confirm", text())])),
        ("Tested", object([("test", flag())])),
        ("Answered", any_of(&["Validation", "Confirmation", "Tested", "AcceptedAndDone", "DueAndDone"])),
    ]
}

fn balance() -> Value {
    object(["received", "loaded", "quarantined", "dropped", "dead", "duplicates", "late"].map(|n| (n, whole())))
}

fn runs() -> Group {
    let condition = [("condition", text()), ("sees", by_name(json!({ "type": "number" }))), ("holds", flag())];
    let dataset = [
        ("dataset", text()),
        ("rows", whole()),
        ("quarantined", whole()),
        ("files", whole()),
        ("bytes", whole()),
        ("table_version", or_null(whole())),
        ("definition", text()),
        ("active", or_null(text())),
        ("watermark", or_null(text())),
        ("when", or_null(object(condition))),
        ("file", text()),
    ];
    let column =
        [("name", text()), ("type", text()), ("description", or_null(text())), ("classification", or_null(text()))];
    let entry = [
        ("dataset", text()),
        ("description", or_null(text())),
        ("contract", or_null(text())),
        ("status", or_null(text())),
        ("domain", or_null(text())),
        ("owners", list(text())),
        ("support", list(text())),
        ("agreed", list(text())),
        ("tags", list(text())),
        ("columns", list(object(column))),
        ("last_commit", or_null(time())),
        ("used_by", list(text())),
    ];
    let run = [
        ("run", text()),
        ("command", text()),
        ("state", word(&["running", "done", "failed", "interrupted"])),
        ("started_at", time()),
        ("finished_at", or_null(time())),
        ("objects_new", whole()),
        ("objects_duplicate", whole()),
        ("objects_dead", whole()),
    ];
    let step = [
        ("step", text()),
        ("dataset", text()),
        ("kind", text()),
        ("state", text()),
        ("definition", text()),
        ("attempts", whole()),
        ("planned_by", text()),
        ("finished_by", or_null(text())),
        ("committed", or_null(whole())),
        ("balance", or_null(of("Balance"))),
        ("micros", or_null(whole())),
        ("error", or_null(text())),
    ];
    let rule = [
        ("dataset", text()),
        ("rule", text()),
        ("action", text()),
        ("checked", whole()),
        ("violations", whole()),
        ("passed", flag()),
    ];
    let decision = [
        ("dataset", text()),
        ("when", text()),
        ("saw", by_name(json!({ "type": "number" }))),
        ("taken", flag()),
        ("decided_at", time()),
    ];
    let whole_run = [
        ("run", of("Run")),
        ("steps", list(object(step))),
        ("rules", list(object(rule))),
        ("decisions", list(object(decision))),
    ];
    vec![
        ("Balance", described(balance(), "`received` is the sum of the others")),
        ("Dataset", object(dataset)),
        ("CatalogEntry", object(entry)),
        ("Run", object(run)),
        ("RunWithSteps", object(whole_run)),
    ]
}

fn waiting() -> Group {
    let letter = [
        ("event", or_null(text())),
        ("step", text()),
        ("kind", text()),
        ("dataset", text()),
        ("version", text()),
        ("object", or_null(text())),
        ("bytes", or_null(whole())),
        ("payload", or_null(text())),
        ("objects", whole()),
        ("inputs", by_name(object([("after", whole()), ("upto", whole())]))),
        ("code", or_null(text())),
        ("message", text()),
        ("class", or_null(text())),
        ("attempts", whole()),
        ("run", text()),
        ("died_at", time()),
    ];
    let event = [
        ("dataset", text()),
        ("state", word(&["inbox", "pending", "planned"])),
        ("received_at", or_null(time())),
        ("bytes", whole()),
        ("source", or_null(text())),
        ("id", or_null(text())),
        ("event", or_null(text())),
        ("path", or_null(text())),
        ("step", or_null(text())),
    ];
    let landed = [
        ("event", text()),
        ("run", text()),
        ("dataset", text()),
        ("path", text()),
        ("content", text()),
        ("bytes", whole()),
        ("modified_nanos", whole()),
        ("received_at", text()),
        ("state", text()),
        ("step", or_null(text())),
        ("reason", or_null(text())),
    ];
    let step = [
        ("dataset", text()),
        ("step", text()),
        ("kind", text()),
        ("state", text()),
        ("planned_by", text()),
        ("finished_by", or_null(text())),
        ("committed", or_null(whole())),
        ("received", or_null(whole())),
        ("loaded", or_null(whole())),
        ("quarantined", or_null(whole())),
        ("error", or_null(text())),
    ];
    let told = [
        ("dataset", text()),
        ("sink", text()),
        ("step", or_null(text())),
        ("committed", or_null(whole())),
        ("made_at", text()),
        ("delivered_at", or_null(text())),
    ];
    let way = [
        ("event", object(landed)),
        ("steps", list(object(step))),
        ("quarantined", list(object([("dataset", text()), ("rows", whole())]))),
        ("publications", list(object(told))),
    ];
    let pushed = [("source", text()), ("id", text()), ("received_at", time()), ("loaded", list(of("EventOfObject")))];
    let gap = [
        ("dataset", text()),
        ("column", described(text(), "The time of the rows")),
        ("from", time()),
        ("to", described(time(), "The first moment after it")),
        ("window", text()),
        ("windows", whole()),
        (
            "state",
            described(or_null(word(&["closed", "open"])), "Closed: what comes for it now is late; null: nothing tells"),
        ),
    ];
    vec![
        ("Gap", object(gap)),
        ("DeadLetter", object(letter)),
        ("WaitingEvent", object(event)),
        ("EventOfObject", object(way)),
        ("PushedEvent", object(pushed)),
        ("Event", any_of(&["EventOfObject", "PushedEvent"])),
    ]
}

/// One of the replays by its name, with what it asks for; nothing else is taken.
fn asked<const N: usize, const M: usize>(
    name: &'static str,
    fields: [(&str, Value); N],
    more: [(&str, Value); M],
) -> Value {
    let mut what = with_more(fields, more);
    what["additionalProperties"] = json!(false);
    let mut all = object([(name, what)]);
    all["additionalProperties"] = json!(false);
    all
}

fn replays() -> Group {
    let selection = with_more([], ["rule", "column", "object"].map(|n| (n, or_null(text()))));
    let verdict = word(&["release", "drop"]);
    let kinds = [
        asked("quarantine", [("dataset", text())], [("adopt", flag())]),
        asked("rescued", [("dataset", text())], []),
        asked(
            "dead_letters",
            [],
            [("dataset", or_null(text())), ("ids", list(text())), ("version", word(&["current", "original"]))],
        ),
        asked("held", [("dataset", text()), ("verdict", verdict), ("by", text())], [("reason", or_null(text()))]),
        asked("discard", [("dataset", text()), ("selection", selection), ("by", text()), ("reason", text())], []),
    ];
    let letter = [("dataset", text()), ("letter", text()), ("done", text()), ("stays", or_null(text()))];
    let error = [("code", text()), ("message", text()), ("class", text()), ("help", text())];
    let outcome = [
        ("complete", flag()),
        ("letters", list(object(letter))),
        ("letters_back", whole()),
        ("letters_left", whole()),
        ("held", list(text())),
        ("failed_steps", whole()),
        ("waiting", by_name(text())),
        ("dead_steps", list(text())),
        ("error", or_null(object(error))),
    ];
    let line = [
        ("replay", text()),
        ("state", word(&["waiting", "running", "done", "incomplete"])),
        ("command", text()),
        ("asked_at", time()),
        ("ended_at", or_null(time())),
        ("outcome", or_null(object(outcome))),
    ];
    vec![
        ("AskedReplay", json!({ "oneOf": kinds })),
        ("AcceptedReplay", object([("replay", text()), ("command", text())])),
        ("Replay", object(line)),
        ("ReplayWithRun", object([("replay", of("Replay")), ("run", or_null(of("RunWithSteps")))])),
    ]
}

fn told() -> Group {
    let publication = [
        ("dataset", described(text(), "Or `runs`, or `alerts`")),
        ("sink", text()),
        ("waiting", whole()),
        ("oldest", or_null(time())),
        ("failures", whole()),
        ("next_try", or_null(time())),
        ("off", flag()),
        ("defined", flag()),
        ("error", or_null(text())),
    ];
    let alert = [
        ("alert", text()),
        ("state", word(&["open", "resolved"])),
        ("kind", text()),
        ("subject", text()),
        ("code", or_null(text())),
        ("summary", text()),
        ("opened_at", time()),
        ("resolved_at", or_null(time())),
        ("runbook", text()),
    ];
    vec![("Publication", object(publication)), ("Alert", object(alert))]
}

fn registry() -> Group {
    let sent = with_more(
        [("schema", text())],
        [("schemaType", word(&["AVRO", "JSON", "ODCS"])), ("references", json!({ "type": "array", "maxItems": 0 }))],
    );
    let kind = [("schemaType", text())];
    let version = [("subject", text()), ("id", whole()), ("version", whole()), ("schema", text())];
    vec![
        ("SentSchema", sent),
        ("SentLevel", object([("compatibility", text())])),
        ("Names", list(text())),
        ("Numbers", list(whole())),
        ("Number", whole()),
        ("SchemaVersion", with_more(version, kind.clone())),
        ("Registered", object([("id", whole()), ("version", whole())])),
        ("Schema", with_more([("schema", text())], kind)),
        ("VersionsOfSchema", list(object([("subject", text()), ("version", whole())]))),
        ("Verdict", with_more([("is_compatible", flag())], [("messages", list(text()))])),
        ("Level", object([("compatibilityLevel", text())])),
        ("SetLevel", object([("compatibility", text())])),
        ("RegistryMode", object([("mode", text())])),
    ]
}
