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
