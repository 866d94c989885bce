-- Who published, or dropped, staged data that a gate had held back. Never forgotten.
CREATE TABLE verdicts (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step       TEXT    NOT NULL,
    dataset    TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    decided_by TEXT    NOT NULL,
    reason     TEXT,
    run        TEXT    NOT NULL REFERENCES runs (run),
    decided_at bigint NOT NULL,
    held       TEXT    NOT NULL -- code and message with which the step was held
);
CREATE INDEX verdicts_of_step ON verdicts (step, seq);
