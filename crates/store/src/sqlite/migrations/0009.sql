-- What a run decided by the condition of a dataset, and by what numbers; the last word of each run.
CREATE TABLE decisions (
    run        TEXT    NOT NULL REFERENCES runs (run),
    dataset    TEXT    NOT NULL,
    decided_at INTEGER NOT NULL,
    condition  TEXT    NOT NULL,
    measures   TEXT    NOT NULL, -- word to number
    taken      INTEGER NOT NULL,
    PRIMARY KEY (run, dataset)
) STRICT, WITHOUT ROWID;

-- 1: that it has ended is to be told, and was not; 2: it was told, and plans nothing any more.
ALTER TABLE runs ADD COLUMN tells INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_untold ON runs (seq) WHERE tells = 1;

-- Not only commits are told: `dataset` is what it is told of, a dataset or `runs`, and `id` that of the event.
DROP INDEX publications_once;
DROP INDEX publications_waiting;
ALTER TABLE publications RENAME TO publications_of_steps;
CREATE TABLE publications (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT, -- within a dataset, order in which steps ended
    id           TEXT    NOT NULL,
    step         TEXT REFERENCES steps (key),
    dataset      TEXT    NOT NULL,
    sink         TEXT    NOT NULL,
    committed    INTEGER,
    event        TEXT    NOT NULL,
    made_at      INTEGER NOT NULL,
    delivered_at INTEGER
) STRICT;
INSERT INTO publications (seq, id, step, dataset, sink, committed, event, made_at, delivered_at)
    SELECT seq, step, step, dataset, sink, committed, event, made_at, delivered_at FROM publications_of_steps ORDER BY seq;
DROP TABLE publications_of_steps;
CREATE UNIQUE INDEX publications_once ON publications (id, sink);
CREATE INDEX publications_waiting ON publications (dataset, sink, seq) WHERE delivered_at IS NULL;
