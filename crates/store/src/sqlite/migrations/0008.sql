-- Backfills. Their windows are steps of kind `backfill` whose run is the backfill's id.
CREATE TABLE backfills (
    id          TEXT    NOT NULL PRIMARY KEY REFERENCES runs (run),
    dataset     TEXT    NOT NULL,
    version     TEXT    NOT NULL,
    from_micros INTEGER NOT NULL,
    to_micros   INTEGER NOT NULL,
    stride      TEXT    NOT NULL,
    inputs      TEXT    NOT NULL, -- name to version
    max_active  INTEGER NOT NULL,
    tolerated   INTEGER NOT NULL, -- hundredths of a percent
    state       TEXT    NOT NULL,
    summary     TEXT    NOT NULL, -- empty until it was compared
    started_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- As before, without windows of backfills: those are tried again by the backfill.
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
        FROM steps AS s WHERE s.state = 'dead' AND s.kind <> 'backfill'
    ) AS l;
