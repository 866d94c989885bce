-- Who published, or dropped, staged data that a gate had held back. Never forgotten.
CREATE TABLE verdicts (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    step       TEXT    NOT NULL,
    dataset    TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    decided_by TEXT    NOT NULL,
    reason     TEXT,
    run        TEXT    NOT NULL REFERENCES runs (run),
    decided_at INTEGER NOT NULL,
    held       TEXT    NOT NULL -- code and message with which the step was held
) STRICT;
CREATE INDEX verdicts_of_step ON verdicts (step, seq);
