//! The state's own tables, as people query them.
//!
//! Called by `store.rs` of this folder, inside a transaction that reads. It shows facts, never leases or journals.

use super::{
    Row, Session,
    codec::{Word, unreadable_as},
    leases, runs,
};
use crate::{RunState, StepState, StoreError, TableDump, Value, Watch};

/// A table's name, its columns with their types, and the statement that yields exactly these columns.
struct Shape {
    name: &'static str,
    columns: &'static [(&'static str, &'static str)],
    select: &'static str,
}

const INTEGER: &str = "integer";
const REAL: &str = "real";
const TEXT: &str = "text";
const TIME: &str = "timestamp";

const SHAPES: &[Shape] = &[
    RUNS,
    STEPS,
    EVENTS,
    DEAD_LETTERS,
    QUALITY,
    LEDGER,
    VERSIONS,
    WATERMARKS,
    RETRIES,
    BACKFILLS,
    DECISIONS,
    VERDICTS,
    DISCARDS,
    QUARANTINE_NOTES,
    REPLAYS,
    CONTRACTS,
    CONTRACTS_IN_FORCE,
    DEFINITIONS,
    DEFINITION_FILES,
    ALERTS,
    PUBLICATIONS,
    LANES,
    AUDIT,
];

const RUNS: Shape = Shape {
    name: "runs",
    columns: &[
        ("run", TEXT),
        ("command", TEXT),
        ("state", TEXT),
        ("started_at", TIME),
        ("finished_at", TIME),
        ("objects_new", INTEGER),
        ("objects_duplicate", INTEGER),
        ("objects_dead", INTEGER),
    ],
    select: "SELECT run, command, state, started_at, finished_at, objects_new, objects_duplicate, objects_dead
             FROM runs ORDER BY started_at, seq",
};

const STEPS: Shape = Shape {
    name: "steps",
    columns: &[
        ("run", TEXT),
        ("dataset", TEXT),
        ("step", TEXT),
        ("kind", TEXT),
        ("version", TEXT),
        ("state", TEXT),
        ("attempts", INTEGER),
        ("failures", INTEGER),
        ("retry_at", TIME),
        ("planned_at", TIME),
        ("failed_at", TIME),
        ("finished_at", TIME),
        ("finished_by", TEXT),
        ("committed", INTEGER),
        ("received", INTEGER),
        ("loaded", INTEGER),
        ("quarantined", INTEGER),
        ("dropped", INTEGER),
        ("dead", INTEGER),
        ("duplicates", INTEGER),
        ("late", INTEGER),
        ("events", INTEGER),
        ("inputs", TEXT),
        ("lookups", TEXT),
        ("windows", TEXT),
        ("watermark", TIME),
        ("error", TEXT),
        ("original", INTEGER),
    ],
    select: "SELECT run, dataset, key, kind, version, state, attempts, failures, retry_at, planned_at, failed_at, finished_at,
                    finished_by, committed, received, loaded, quarantined, dropped, dead, duplicates, late, json_array_length(events),
                    inputs, lookups, windows, watermark, error, original
             FROM steps ORDER BY seq",
};

const EVENTS: Shape = Shape {
    name: "events",
    columns: &[
        ("event", TEXT),
        ("run", TEXT),
        ("dataset", TEXT),
        ("path", TEXT),
        ("content", TEXT),
        ("bytes", INTEGER),
        ("modified_nanos", INTEGER),
        ("received_at", TIME),
        ("state", TEXT),
        ("step", TEXT),
        ("reason", TEXT),
    ],
    select: "SELECT event, run, dataset, path, content, bytes, modified_nanos, received_at, state, step, reason
             FROM events ORDER BY dataset, received_at, path, event",
};

const DEAD_LETTERS: Shape = Shape {
    name: "dead_letters",
    columns: &[
        ("event", TEXT),
        ("step", TEXT),
        ("kind", TEXT),
        ("dataset", TEXT),
        ("version", TEXT),
        ("object", TEXT),
        ("bytes", INTEGER),
        ("objects", INTEGER),
        ("inputs", TEXT),
        ("code", TEXT),
        ("message", TEXT),
        ("class", TEXT),
        ("attempts", INTEGER),
        ("run", TEXT),
        ("died_at", TIME),
    ],
    select:
        "SELECT event, step, kind, dataset, version, object, bytes, objects, inputs, code, message, class, attempts,
                    run, died_at
             FROM dead_letters ORDER BY dataset, died_at, object, event, step",
};

const QUALITY: Shape = Shape {
    name: "quality",
    columns: &[
        ("run", TEXT),
        ("dataset", TEXT),
        ("step", TEXT),
        ("rule", TEXT),
        ("action", TEXT),
        ("severity", TEXT),
        ("dimension", TEXT),
        ("checked", INTEGER),
        ("violations", INTEGER),
        ("passed", INTEGER),
        ("note", TEXT),
        ("figure", REAL),
    ],
    select:
        "SELECT coalesce(s.finished_by, s.died_by), s.dataset, q.step, q.rule, q.action, q.severity, q.dimension, q.checked, q.violations,
                    q.passed, q.note, q.figure
             FROM quality AS q JOIN steps AS s ON s.key = q.step WHERE s.state IN ('done', 'dead') ORDER BY s.seq, q.ordinal",
};

const LEDGER: Shape = Shape {
    name: "ledger",
    columns: &[
        ("run", TEXT),
        ("dataset", TEXT),
        ("step", TEXT),
        ("attempt", INTEGER),
        ("wall_micros", INTEGER),
        ("cpu_micros", INTEGER),
        ("peak_memory_bytes", INTEGER),
        ("bytes_read", INTEGER),
        ("bytes_written", INTEGER),
        ("store_reads", INTEGER),
        ("store_writes", INTEGER),
        ("store_lists", INTEGER),
        ("retries", INTEGER),
        ("rows_in", INTEGER),
        ("rows_out", INTEGER),
    ],
    select: "SELECT s.finished_by, s.dataset, l.step, l.attempt, l.wall_micros, l.cpu_micros, l.peak_memory_bytes,
                    l.bytes_read, l.bytes_written, l.store_reads, l.store_writes, l.store_lists, l.retries,
                    l.rows_in, l.rows_out
             FROM ledger AS l JOIN steps AS s ON s.key = l.step ORDER BY s.seq, l.attempt",
};

const VERSIONS: Shape = Shape {
    name: "versions",
    columns: &[("dataset", TEXT), ("version", TEXT), ("first_seen", TIME), ("active", INTEGER)],
    select: "SELECT dataset, version, first_seen, active FROM versions ORDER BY dataset, first_seen, version",
};

const RETRIES: Shape = Shape {
    name: "retries",
    columns: &[("dataset", TEXT), ("day", TIME), ("used", INTEGER)],
    select: "SELECT dataset, day * 86400000000 AS day, used FROM retries ORDER BY dataset, day",
};

const BACKFILLS: Shape = Shape {
    name: "backfills",
    columns: &[
        ("id", TEXT),
        ("dataset", TEXT),
        ("version", TEXT),
        ("from", TIME),
        ("to", TIME),
        ("stride", TEXT),
        ("inputs", TEXT),
        ("max_active", INTEGER),
        ("tolerated", INTEGER),
        ("state", TEXT),
        ("summary", TEXT),
        ("started_at", TIME),
        ("changed_at", TIME),
    ],
    select:
        "SELECT id, dataset, version, from_micros, to_micros, stride, inputs, max_active, tolerated, state, summary,
                    started_at, changed_at
             FROM backfills ORDER BY started_at, id",
};

const DECISIONS: Shape = Shape {
    name: "decisions",
    columns: &[
        ("run", TEXT),
        ("dataset", TEXT),
        ("decided_at", TIME),
        ("condition", TEXT),
        ("measures", TEXT),
        ("taken", INTEGER),
    ],
    select: "SELECT run, dataset, decided_at, condition, measures, taken FROM decisions ORDER BY decided_at, run, dataset",
};

const VERDICTS: Shape = Shape {
    name: "verdicts",
    columns: &[
        ("step", TEXT),
        ("dataset", TEXT),
        ("kind", TEXT),
        ("decided_by", TEXT),
        ("reason", TEXT),
        ("run", TEXT),
        ("decided_at", TIME),
        ("held", TEXT),
    ],
    select: "SELECT step, dataset, kind, decided_by, reason, run, decided_at, held FROM verdicts ORDER BY seq",
};

const DISCARDS: Shape = Shape {
    name: "discards",
    columns: &[
        ("step", TEXT),
        ("dataset", TEXT),
        ("selection", TEXT),
        ("decided_by", TEXT),
        ("reason", TEXT),
        ("run", TEXT),
        ("asked_at", TIME),
        ("state", TEXT),
        ("rows", INTEGER),
    ],
    select: "SELECT d.step, d.dataset, d.selection, d.decided_by, d.reason, d.run, d.asked_at, s.state, s.dropped
             FROM discards AS d JOIN steps AS s ON s.key = d.step ORDER BY d.asked_at, d.step",
};

const QUARANTINE_NOTES: Shape = Shape {
    name: "quarantine_notes",
    columns: &[("dataset", TEXT), ("selection", TEXT), ("text", TEXT), ("noted_by", TEXT), ("noted_at", TIME)],
    select: "SELECT dataset, selection, text, noted_by, noted_at FROM quarantine_notes ORDER BY seq",
};

const ALERTS: Shape = Shape {
    name: "alerts",
    columns: &[
        ("id", TEXT),
        ("kind", TEXT),
        ("subject", TEXT),
        ("code", TEXT),
        ("summary", TEXT),
        ("opened_at", TIME),
        ("resolved_at", TIME),
    ],
    select: "SELECT id, kind, subject, code, summary, opened_at, resolved_at FROM alerts ORDER BY seq",
};

const REPLAYS: Shape = Shape {
    name: "replays",
    columns: &[
        ("id", TEXT),
        ("key", TEXT),
        ("request", TEXT),
        ("command", TEXT),
        ("asked_at", TIME),
        ("ended_at", TIME),
        ("outcome", TEXT),
    ],
    select: "SELECT id, key, request, command, asked_at, ended_at, outcome FROM replays ORDER BY asked_at, id",
};

const CONTRACTS: Shape = Shape {
    name: "contracts",
    columns: &[
        ("subject", TEXT),
        ("version", INTEGER),
        ("id", INTEGER),
        ("language", TEXT),
        ("fingerprint", TEXT),
        ("registered_at", TIME),
        ("accepted", INTEGER),
        ("deleted_at", TIME),
        ("text", TEXT),
    ],
    select: "SELECT v.subject, v.number, v.schema, s.language, s.fingerprint, v.registered_at, v.accepted, v.deleted_at, s.text
             FROM schema_versions AS v JOIN schemas AS s ON s.id = v.schema ORDER BY v.subject, v.number",
};

const CONTRACTS_IN_FORCE: Shape = Shape {
    name: "contracts_in_force",
    columns: &[("subject", TEXT), ("version", INTEGER), ("from", TIME), ("until", TIME)],
    select: "SELECT subject, number, from_micros, until_micros FROM schemas_in_force ORDER BY subject, turn",
};

const DEFINITIONS: Shape = Shape {
    name: "definitions",
    columns: &[("dataset", TEXT), ("version", TEXT), ("files", TEXT), ("kept_at", TIME)],
    select: "SELECT d.dataset, d.version, f.text, d.kept_at
             FROM definitions AS d JOIN definition_files AS f ON f.content = d.files
             ORDER BY d.dataset, d.kept_at, d.version",
};

const DEFINITION_FILES: Shape = Shape {
    name: "definition_files",
    columns: &[("content", TEXT), ("text", TEXT)],
    select: "SELECT content, text FROM definition_files
             WHERE content NOT IN (SELECT files FROM definitions) ORDER BY content",
};

const WATERMARKS: Shape = Shape {
    name: "watermarks",
    columns: &[("dataset", TEXT), ("event_time", TEXT), ("watermark", TIME), ("moved_at", TIME), ("step", TEXT)],
    select: "SELECT dataset, event_time, watermark, moved_at, step FROM watermarks ORDER BY dataset, event_time",
};

const PUBLICATIONS: Shape = Shape {
    name: "publications",
    columns: &[
        ("id", TEXT),
        ("dataset", TEXT),
        ("sink", TEXT),
        ("step", TEXT),
        ("committed", INTEGER),
        ("made_at", TIME),
        ("delivered_at", TIME),
        ("event", TEXT),
    ],
    select: "SELECT id, dataset, sink, step, committed, made_at, delivered_at, event FROM publications ORDER BY seq",
};

const LANES: Shape = Shape {
    name: "lanes",
    columns: &[
        ("dataset", TEXT),
        ("sink", TEXT),
        ("failures", INTEGER),
        ("next_at", TIME),
        ("error", TEXT),
        ("off", INTEGER),
    ],
    select: "SELECT dataset, sink, failures, next_at, error, CASE WHEN off IS NULL THEN 0 ELSE 1 END AS off
             FROM lanes ORDER BY dataset, sink",
};

const AUDIT: Shape = Shape {
    name: "audit",
    columns: &[
        ("at", TIME),
        ("kind", TEXT),
        ("path", TEXT),
        ("peer", TEXT),
        ("reason", TEXT),
        ("id", TEXT),
        ("times", INTEGER),
    ],
    select: "SELECT at, kind, path, peer, reason, id, times FROM audit ORDER BY seq",
};

pub(super) async fn tables(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<Vec<TableDump>, StoreError> {
    let (lost_runs, lost_steps) = (runs::lost(tx, watch).await?, leases::lost(tx, watch).await?);
    let mut dumps = Vec::with_capacity(SHAPES.len());
    for shape in SHAPES {
        let rows = tx.rows(shape.select, &[]).await?;
        let rows = rows.into_iter().map(|row| cells(shape, row)).collect::<Result<_, _>>()?;
        let mut dump = TableDump { name: shape.name, columns: shape.columns.to_vec(), rows };
        match shape.name {
            "runs" => end_lost(&mut dump, "run", |run| lost_runs.contains(run), RunState::without_lease),
            "steps" => end_lost(&mut dump, "step", |step| lost_steps.contains(step), StepState::without_lease),
            _ => {}
        }
        dumps.push(dump);
    }
    Ok(dumps)
}

/// Nobody holds these any more, whatever was last written of them.
fn end_lost<T: Word>(dump: &mut TableDump, id: &str, lost: impl Fn(&str) -> bool, without_lease: impl Fn(T) -> T) {
    let column = |name: &str| dump.columns.iter().position(|(c, _)| *c == name).expect("the shape has this column");
    let (id, at) = (column(id), column("state"));
    for row in &mut dump.rows {
        let is_lost = matches!(&row[id], Value::Text(id) if lost(id));
        let state = T::WORDS.iter().find(|(_, word)| row[at] == Value::Text((*word).to_owned()));
        if let Some((state, _)) = state.filter(|_| is_lost) {
            row[at] = Value::Text(without_lease(*state).word().to_owned());
        }
    }
}

fn cells(shape: &Shape, row: Row) -> Result<Vec<Value>, StoreError> {
    for ((column, kind), value) in shape.columns.iter().zip(&row.values) {
        let fits = match value {
            Value::Null => true,
            Value::Text(_) => *kind == TEXT,
            Value::Integer(_) => matches!(*kind, INTEGER | TIME),
            Value::Real(_) => *kind == REAL,
        };
        if !fits {
            return Err(unreadable_as(column, kind));
        }
    }
    Ok(row.values)
}
