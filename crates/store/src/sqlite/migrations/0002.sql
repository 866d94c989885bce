-- A run is alive while its process renews this lease.
ALTER TABLE runs ADD COLUMN host          TEXT;
ALTER TABLE runs ADD COLUMN process       INTEGER;
ALTER TABLE runs ADD COLUMN started_ticks INTEGER;
ALTER TABLE runs ADD COLUMN until         INTEGER;
CREATE INDEX runs_running ON runs (seq) WHERE state = 'running';

-- `run` planned the step.
ALTER TABLE steps ADD COLUMN finished_by TEXT REFERENCES runs (run);
UPDATE steps SET finished_by = run WHERE state = 'done';
CREATE INDEX steps_by_finisher ON steps (finished_by) WHERE finished_by IS NOT NULL;

-- Which run tried a step, and how that ended when it failed.
CREATE TABLE attempts (
    step       TEXT    NOT NULL REFERENCES steps (key),
    attempt    INTEGER NOT NULL,
    run        TEXT    NOT NULL REFERENCES runs (run),
    started_at INTEGER NOT NULL,
    error      TEXT,
    PRIMARY KEY (step, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_run ON attempts (run);
INSERT INTO attempts (step, attempt, run, started_at, error)
    SELECT key, attempts, run, planned_at, CASE state WHEN 'failed' THEN error END FROM steps WHERE attempts > 0;

-- A reason is `CODE: message`.
CREATE VIEW dead_letters AS
    SELECT e.event, e.dataset, e.path AS object, e.bytes,
           CASE WHEN instr(e.reason, ': ') > 0 THEN substr(e.reason, 1, instr(e.reason, ': ') - 1) END AS code,
           CASE WHEN instr(e.reason, ': ') > 0 THEN substr(e.reason, instr(e.reason, ': ') + 2) ELSE e.reason END
               AS message,
           s.finished_by AS run, s.finished_at AS died_at
    FROM events AS e JOIN steps AS s ON s.key = e.step WHERE e.state = 'dead';
