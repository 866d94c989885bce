-- Attempts that failed, or that nobody ended because their process was gone, and before when no further one may begin.
ALTER TABLE steps ADD COLUMN failures bigint NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN retry_at bigint;
-- The class of the last error; of a dead step, the run that gave it up, and when.
ALTER TABLE steps ADD COLUMN class    text COLLATE "C";
ALTER TABLE steps ADD COLUMN died_by  text COLLATE "C" REFERENCES runs (run);
ALTER TABLE steps ADD COLUMN died_at  bigint;

-- Attempts of a dataset's steps, beside their first ones, that began on a day; days are counted from 1970-01-01 UTC.
CREATE TABLE retries (
    dataset text COLLATE "C" NOT NULL,
    day     bigint NOT NULL,
    used    bigint NOT NULL,
    PRIMARY KEY (dataset, day)
);

-- Events that cannot proceed, and steps. A reason is `CODE: message`.
DROP VIEW dead_letters;
CREATE VIEW dead_letters AS
    SELECT l.event, l.step, l.kind, l.dataset, l.version, l.object, l.bytes, l.objects, l.inputs,
           CASE WHEN strpos(l.reason, ': ') > 0 THEN substr(l.reason, 1, strpos(l.reason, ': ') - 1) END AS code,
           CASE WHEN strpos(l.reason, ': ') > 0 THEN substr(l.reason, strpos(l.reason, ': ') + 2) ELSE l.reason END
               AS message,
           l.class, l.attempts, l.run, l.died_at
    FROM (
        SELECT e.event, s.key AS step, s.kind, e.dataset, s.version, e.path AS object, e.bytes, CAST(1 AS bigint) AS objects,
               s.inputs, e.reason, 'data' COLLATE "C" AS class, s.attempts, s.finished_by AS run,
               s.finished_at AS died_at
        FROM events AS e JOIN steps AS s ON s.key = e.step WHERE e.state = 'dead'
        UNION ALL
        SELECT NULL, s.key, s.kind, s.dataset, s.version, NULL,
               CASE WHEN s.kind = 'ingest'
                    THEN (SELECT CAST(coalesce(sum(e.bytes), 0) AS bigint) FROM events AS e WHERE e.step = s.key) END,
               json_array_length(s.events), s.inputs, s.error, s.class, s.attempts, s.died_by, s.died_at
        FROM steps AS s WHERE s.state = 'dead'
    ) AS l;
