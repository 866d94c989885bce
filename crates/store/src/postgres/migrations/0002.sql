-- Every event that was pushed, so that one that is told twice counts once.
CREATE TABLE pushed (
    source      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    received_at bigint NOT NULL,
    PRIMARY KEY (source, id)
);

-- Records of pushed events, until they lie in a landing object.
CREATE TABLE inbox (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- within a dataset, order of the commits
    dataset text COLLATE "C" NOT NULL,
    record  text COLLATE "C" NOT NULL
);
CREATE INDEX inbox_by_dataset ON inbox (dataset, seq);

-- What lies in the inbox, so that its bound is checked without counting. Whoever changes the inbox of a dataset holds its
-- row meanwhile.
CREATE TABLE backlog (
    dataset text COLLATE "C" NOT NULL PRIMARY KEY,
    events  bigint NOT NULL,
    bytes   bigint NOT NULL
);
