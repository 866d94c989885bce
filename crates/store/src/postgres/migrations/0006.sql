-- Whoever takes slots or rates of a key holds its row meanwhile.
CREATE TABLE limit_keys (
    key text COLLATE "C" NOT NULL PRIMARY KEY
);

-- A slot of a key is held by a step for as long as its lease. One of a lease that does not hold any more is free.
CREATE TABLE slots (
    key  text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL REFERENCES steps (key),
    PRIMARY KEY (key, step)
);
CREATE INDEX slots_by_step ON slots (step);

-- Steps that were refused a key, and until when they keep their place.
CREATE TABLE waiting (
    key   text COLLATE "C" NOT NULL,
    step  text COLLATE "C" NOT NULL,
    seq   bigint NOT NULL, -- that of the step
    until bigint NOT NULL,
    PRIMARY KEY (key, step)
);
CREATE INDEX waiting_by_step ON waiting (step);

-- From then on a rate that rests has its whole burst again.
CREATE TABLE rates (
    key     text COLLATE "C" NOT NULL PRIMARY KEY,
    full_at bigint NOT NULL
);
