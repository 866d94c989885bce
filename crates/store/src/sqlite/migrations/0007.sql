-- A slot of a key is held by a step for as long as its lease. One of a lease that does not hold any more is free.
CREATE TABLE slots (
    key  TEXT NOT NULL,
    step TEXT NOT NULL REFERENCES steps (key),
    PRIMARY KEY (key, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX slots_by_step ON slots (step);

-- Steps that were refused a key, and until when they keep their place.
CREATE TABLE waiting (
    key   TEXT    NOT NULL,
    step  TEXT    NOT NULL,
    seq   INTEGER NOT NULL, -- that of the step
    until INTEGER NOT NULL,
    PRIMARY KEY (key, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_by_step ON waiting (step);

-- From then on a rate that rests has its whole burst again.
CREATE TABLE rates (
    key     TEXT    NOT NULL PRIMARY KEY,
    full_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
