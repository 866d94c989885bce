-- Conditions that somebody was told of, each from when it was seen until it was over.
CREATE TABLE alerts (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    key         TEXT    NOT NULL, -- the same condition has the same one each time
    kind        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    code        TEXT,
    summary     TEXT    NOT NULL,
    opened_at   INTEGER NOT NULL,
    resolved_at INTEGER
) STRICT;
CREATE UNIQUE INDEX alerts_open ON alerts (key) WHERE resolved_at IS NULL;
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;
-- Rises with each change; who decided by an older one decides anew.
CREATE TABLE alerting (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO alerting (one, revision) VALUES (1, 0);
-- Who threw away what of a quarantine, and why. Never forgotten.
CREATE TABLE discards (
    step       TEXT    NOT NULL PRIMARY KEY,
    dataset    TEXT    NOT NULL,
    selection  TEXT    NOT NULL, -- JSON
    decided_by TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    run        TEXT    NOT NULL REFERENCES runs (run),
    asked_at   INTEGER NOT NULL
) STRICT;
CREATE TABLE quarantine_notes (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset   TEXT    NOT NULL,
    selection TEXT    NOT NULL, -- JSON
    text      TEXT    NOT NULL,
    noted_by  TEXT    NOT NULL,
    noted_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantine_notes_of ON quarantine_notes (dataset, seq);
