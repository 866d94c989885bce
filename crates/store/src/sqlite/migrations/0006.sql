-- Attempts that failed, or that nobody ended because their process was gone, and before when no further one may begin.
ALTER TABLE steps ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN retry_at INTEGER;
-- The class of the last error; of a dead step, the run that gave it up, and when.
ALTER TABLE steps ADD COLUMN class    TEXT;
ALTER TABLE steps ADD COLUMN died_by  TEXT REFERENCES runs (run);
ALTER TABLE steps ADD COLUMN died_at  INTEGER;

-- Attempts of a dataset's steps, beside their first ones, that began on a day; days are counted from 1970-01-01 UTC.
CREATE TABLE retries (
    dataset TEXT    NOT NULL,
    day     INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (dataset, day)
) STRICT, WITHOUT ROWID;

-- Events that cannot proceed, and steps. A reason is `CODE: message`.
DROP VIEW dead_letters;
CREATE VIEW dead_letters AS
    SELECT l.event, l.step, l.kind, l.dataset, l.version, l.object, l.bytes, l.objects, l.inputs,
           CASE WHEN instr(l.reason, ': ') > 0 THEN substr(l.reason, 1, instr(l.reason, ': ') - 1) END AS code,
           CASE WHEN instr(l.reason, ': ') > 0 THEN substr(l.reason, instr(l.reason, ': ') + 2) ELSE l.reason END
               AS message,
           l.class, l.attempts, l.run, l.died_at
    FROM (
        SELECT e.event, s.key AS step, s.kind, e.dataset, s.version, e.path AS object, e.bytes, 1 AS objects,
               s.inputs, e.reason, 'data' AS class, s.attempts, s.finished_by AS run, s.finished_at AS died_at
        FROM events AS e JOIN steps AS s ON s.key = e.step WHERE e.state = 'dead'
        UNION ALL
        SELECT NULL, s.key, s.kind, s.dataset, s.version, NULL,
               CASE WHEN s.kind = 'ingest'
                    THEN (SELECT coalesce(sum(e.bytes), 0) FROM events AS e WHERE e.step = s.key) END,
               json_array_length(s.events), s.inputs, s.error, s.class, s.attempts, s.died_by, s.died_at
        FROM steps AS s WHERE s.state = 'dead'
    ) AS l;
