-- Conditions that somebody was told of, each from when it was seen until it was over.
CREATE TABLE alerts (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text COLLATE "C" NOT NULL UNIQUE,
    key         text COLLATE "C" NOT NULL, -- the same condition has the same one each time
    kind        text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    code        text COLLATE "C",
    summary     text COLLATE "C" NOT NULL,
    opened_at   bigint NOT NULL,
    resolved_at bigint
);
CREATE UNIQUE INDEX alerts_open ON alerts (key) WHERE resolved_at IS NULL;
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;
-- Rises with each change; who decided by an older one decides anew.
CREATE TABLE alerting (
    one      bigint PRIMARY KEY CHECK (one = 1),
    revision bigint NOT NULL
);
INSERT INTO alerting (one, revision) VALUES (1, 0);
-- Who threw away what of a quarantine, and why. Never forgotten.
CREATE TABLE discards (
    step       text COLLATE "C" NOT NULL PRIMARY KEY,
    dataset    text COLLATE "C" NOT NULL,
    selection  text COLLATE "C" NOT NULL, -- JSON
    decided_by text COLLATE "C" NOT NULL,
    reason     text COLLATE "C" NOT NULL,
    run        text COLLATE "C" NOT NULL REFERENCES runs (run),
    asked_at   bigint NOT NULL
);
CREATE TABLE quarantine_notes (
    seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset   text COLLATE "C" NOT NULL,
    selection text COLLATE "C" NOT NULL, -- JSON
    text      text COLLATE "C" NOT NULL,
    noted_by  text COLLATE "C" NOT NULL,
    noted_at  bigint NOT NULL
);
CREATE INDEX quarantine_notes_of ON quarantine_notes (dataset, seq);
