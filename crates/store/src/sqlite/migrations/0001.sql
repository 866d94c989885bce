-- Times are microseconds since 1970 UTC unless the name says otherwise; lists and maps are JSON.

CREATE TABLE runs (
    seq               INTEGER PRIMARY KEY,
    run               TEXT    NOT NULL UNIQUE,
    command           TEXT    NOT NULL,
    state             TEXT    NOT NULL,
    started_at        INTEGER NOT NULL,
    finished_at       INTEGER,
    objects_new       INTEGER NOT NULL,
    objects_duplicate INTEGER NOT NULL,
    objects_dead      INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_by_start ON runs (started_at, seq);

CREATE TABLE steps (
    seq         INTEGER PRIMARY KEY, -- order of planning
    key         TEXT    NOT NULL UNIQUE,
    run         TEXT    NOT NULL REFERENCES runs (run),
    kind        TEXT    NOT NULL,
    dataset     TEXT    NOT NULL,
    version     TEXT    NOT NULL,
    events      TEXT    NOT NULL,
    inputs      TEXT    NOT NULL,
    lookups     TEXT    NOT NULL,
    windows     TEXT,
    state       TEXT    NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    planned_at  INTEGER NOT NULL,
    failed_at   INTEGER,
    finished_at INTEGER,
    committed   INTEGER,
    received    INTEGER NOT NULL DEFAULT 0,
    loaded      INTEGER NOT NULL DEFAULT 0,
    quarantined INTEGER NOT NULL DEFAULT 0,
    dropped     INTEGER NOT NULL DEFAULT 0,
    dead        INTEGER NOT NULL DEFAULT 0,
    duplicates  INTEGER NOT NULL DEFAULT 0,
    late        INTEGER NOT NULL DEFAULT 0,
    error       TEXT
) STRICT;
CREATE INDEX steps_open ON steps (seq) WHERE state NOT IN ('done', 'superseded');
CREATE INDEX steps_by_run ON steps (run);

CREATE TABLE events (
    event          TEXT    NOT NULL PRIMARY KEY,
    dataset        TEXT    NOT NULL,
    path           TEXT    NOT NULL, -- where the content arrived first
    content        TEXT    NOT NULL,
    bytes          INTEGER NOT NULL,
    modified_nanos INTEGER NOT NULL,
    received_at    INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    step           TEXT REFERENCES steps (key),
    reason         TEXT,
    run            TEXT    NOT NULL REFERENCES runs (run)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_pending ON events (dataset, received_at, path) WHERE state = 'pending';
CREATE INDEX events_dead ON events (dataset, received_at, path) WHERE state = 'dead';
CREATE INDEX events_by_step ON events (step) WHERE step IS NOT NULL;

-- Every content that ever lay under a path, so that a call told twice counts once.
CREATE TABLE arrivals (
    event TEXT NOT NULL REFERENCES events (event),
    path  TEXT NOT NULL,
    run   TEXT NOT NULL REFERENCES runs (run),
    PRIMARY KEY (event, path)
) STRICT, WITHOUT ROWID;

-- What lies under a path now.
CREATE TABLE files (
    dataset        TEXT    NOT NULL,
    path           TEXT    NOT NULL,
    bytes          INTEGER NOT NULL,
    modified_nanos INTEGER NOT NULL,
    PRIMARY KEY (dataset, path)
) STRICT, WITHOUT ROWID;

-- What steps that were not superseded consumed; the row with the highest seq is the position.
CREATE TABLE consumed (
    dataset TEXT    NOT NULL,
    input   TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    upto    INTEGER NOT NULL,
    PRIMARY KEY (dataset, input, seq)
) STRICT, WITHOUT ROWID;

-- One row a dataset: one step of it runs at a time.
CREATE TABLE leases (
    dataset       TEXT    NOT NULL PRIMARY KEY,
    step          TEXT    NOT NULL UNIQUE REFERENCES steps (key),
    host          TEXT    NOT NULL,
    process       INTEGER NOT NULL,
    started_ticks INTEGER NOT NULL,
    until         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE quality (
    step       TEXT    NOT NULL REFERENCES steps (key),
    ordinal    INTEGER NOT NULL,
    rule       TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    severity   TEXT    NOT NULL,
    dimension  TEXT,
    checked    INTEGER NOT NULL,
    violations INTEGER NOT NULL,
    passed     INTEGER NOT NULL,
    note       TEXT,
    PRIMARY KEY (step, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
    step              TEXT    NOT NULL REFERENCES steps (key),
    attempt           INTEGER NOT NULL,
    wall_micros       INTEGER NOT NULL,
    cpu_micros        INTEGER NOT NULL,
    peak_memory_bytes INTEGER NOT NULL,
    bytes_read        INTEGER NOT NULL,
    bytes_written     INTEGER NOT NULL,
    store_reads       INTEGER NOT NULL,
    store_writes      INTEGER NOT NULL,
    store_lists       INTEGER NOT NULL,
    retries           INTEGER NOT NULL,
    rows_in           INTEGER NOT NULL,
    rows_out          INTEGER NOT NULL,
    PRIMARY KEY (step, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
    dataset    TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    active     INTEGER NOT NULL,
    PRIMARY KEY (dataset, version)
) STRICT, WITHOUT ROWID;
