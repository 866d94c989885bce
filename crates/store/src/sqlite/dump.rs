//! The state's own tables, as people query them.
//!
//! Called by `store.rs` of this folder, inside a transaction that reads. It shows facts, never leases or journals.

use crate::{StoreError, TableDump, Value};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// A table's name, its columns with their types, and the statement that yields exactly these columns.
struct Shape {
    name: &'static str,
    columns: &'static [(&'static str, &'static str)],
    select: &'static str,
}

const INTEGER: &str = "integer";
const TEXT: &str = "text";
const TIME: &str = "timestamp";

const SHAPES: &[Shape] = &[RUNS, STEPS, EVENTS, QUALITY, LEDGER, VERSIONS];

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
        ("planned_at", TIME),
        ("failed_at", TIME),
        ("finished_at", TIME),
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
        ("error", TEXT),
    ],
    select: "SELECT run, dataset, key, kind, version, state, attempts, planned_at, failed_at, finished_at, committed,
                    received, loaded, quarantined, dropped, dead, duplicates, late, json_array_length(events),
                    inputs, lookups, windows, error
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
    ],
    select: "SELECT s.run, s.dataset, q.step, q.rule, q.action, q.severity, q.dimension, q.checked, q.violations,
                    q.passed, q.note
             FROM quality AS q JOIN steps AS s ON s.key = q.step ORDER BY s.seq, q.ordinal",
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
    select: "SELECT s.run, s.dataset, l.step, l.attempt, l.wall_micros, l.cpu_micros, l.peak_memory_bytes,
                    l.bytes_read, l.bytes_written, l.store_reads, l.store_writes, l.store_lists, l.retries,
                    l.rows_in, l.rows_out
             FROM ledger AS l JOIN steps AS s ON s.key = l.step ORDER BY s.seq, l.attempt",
};

const VERSIONS: Shape = Shape {
    name: "versions",
    columns: &[("dataset", TEXT), ("version", TEXT), ("first_seen", TIME), ("active", INTEGER)],
    select: "SELECT dataset, version, first_seen, active FROM versions ORDER BY dataset, first_seen, version",
};

pub(super) async fn tables(conn: &mut SqliteConnection) -> Result<Vec<TableDump>, StoreError> {
    let mut dumps = Vec::with_capacity(SHAPES.len());
    for shape in SHAPES {
        let rows = sqlx::query(shape.select).fetch_all(&mut *conn).await?;
        let rows = rows.iter().map(|row| cells(shape, row)).collect::<Result<_, _>>()?;
        dumps.push(TableDump { name: shape.name, columns: shape.columns.to_vec(), rows });
    }
    Ok(dumps)
}

fn cells(shape: &Shape, row: &SqliteRow) -> Result<Vec<Value>, StoreError> {
    let cell = |(n, (_, kind)): (usize, &(&'static str, &'static str))| -> Result<Value, StoreError> {
        Ok(match *kind {
            TEXT => row.try_get::<Option<String>, _>(n)?.map_or(Value::Null, Value::Text),
            _ => row.try_get::<Option<i64>, _>(n)?.map_or(Value::Null, Value::Integer),
        })
    };
    shape.columns.iter().enumerate().map(cell).collect()
}
