-- What is told of committed steps, written by the transaction that ends the step, and kept after it was delivered.
CREATE TABLE publications (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT, -- within a dataset, order in which steps ended
    step         TEXT    NOT NULL REFERENCES steps (key),
    dataset      TEXT    NOT NULL,
    sink         TEXT    NOT NULL,
    committed    INTEGER NOT NULL,
    event        TEXT    NOT NULL,
    made_at      INTEGER NOT NULL,
    delivered_at INTEGER
) STRICT;
CREATE UNIQUE INDEX publications_once ON publications (step, sink);
CREATE INDEX publications_waiting ON publications (dataset, sink, seq) WHERE delivered_at IS NULL;

-- A dataset and a sink: who delivers there, and when the oldest waiting publication is tried next.
CREATE TABLE lanes (
    dataset       TEXT    NOT NULL,
    sink          TEXT    NOT NULL,
    failures      INTEGER NOT NULL DEFAULT 0, -- in a row
    next_at       INTEGER NOT NULL DEFAULT 0,
    error         TEXT,
    off           TEXT, -- the target that wants no more
    host          TEXT,
    process       INTEGER,
    started_ticks INTEGER,
    until         INTEGER,
    PRIMARY KEY (dataset, sink)
) STRICT, WITHOUT ROWID;

-- Calls that were refused.
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL, -- of the last one
    kind   TEXT    NOT NULL,
    path   TEXT    NOT NULL,
    peer   TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    id     TEXT,
    times  INTEGER NOT NULL
) STRICT;
