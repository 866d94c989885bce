-- Replays that were asked for. Each is done as the run of the same id, by whichever process takes it.
CREATE TABLE replays (
    id       TEXT    NOT NULL PRIMARY KEY,
    key      TEXT UNIQUE, -- by which whoever asked knows the question
    asked    TEXT    NOT NULL,
    request  TEXT    NOT NULL,
    command  TEXT    NOT NULL,
    asked_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome  TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_by_time ON replays (asked_at, id);
CREATE INDEX replays_open ON replays (asked_at, id) WHERE ended_at IS NULL;

-- What a dataset committed, and its newest version, so that it can be asked for often.
CREATE INDEX steps_committed ON steps (dataset, committed) WHERE committed IS NOT NULL AND kind <> 'backfill';
