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
