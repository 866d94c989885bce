-- What is told of committed steps, written by the transaction that ends the step, and kept after it was delivered. Who
-- ends a step holds its dataset's row, so that within a dataset `seq` is in the order of the commits.
CREATE TABLE publications (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step         text COLLATE "C" NOT NULL REFERENCES steps (key),
    dataset      text COLLATE "C" NOT NULL,
    sink         text COLLATE "C" NOT NULL,
    committed    bigint NOT NULL,
    event        text COLLATE "C" NOT NULL,
    made_at      bigint NOT NULL,
    delivered_at bigint
);
CREATE UNIQUE INDEX publications_once ON publications (step, sink);
CREATE INDEX publications_waiting ON publications (dataset, sink, seq) WHERE delivered_at IS NULL;

-- A dataset and a sink: who delivers there, and when the oldest waiting publication is tried next.
CREATE TABLE lanes (
    dataset       text COLLATE "C" NOT NULL,
    sink          text COLLATE "C" NOT NULL,
    failures      bigint NOT NULL DEFAULT 0, -- in a row
    next_at       bigint NOT NULL DEFAULT 0,
    error         text COLLATE "C",
    off           text COLLATE "C", -- the target that wants no more
    host          text COLLATE "C",
    process       bigint,
    started_ticks bigint,
    until         bigint,
    PRIMARY KEY (dataset, sink)
);

-- Calls that were refused.
CREATE TABLE audit (
    seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     bigint NOT NULL, -- of the last one
    kind   text COLLATE "C" NOT NULL,
    path   text COLLATE "C" NOT NULL,
    peer   text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    id     text COLLATE "C",
    times  bigint NOT NULL
);
