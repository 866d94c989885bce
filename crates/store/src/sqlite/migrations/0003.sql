-- Every event that was pushed, so that one that is told twice counts once.
CREATE TABLE pushed (
    source      TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

-- Records of pushed events, until they lie in a landing object.
CREATE TABLE inbox (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset TEXT    NOT NULL,
    record  TEXT    NOT NULL
) STRICT;
CREATE INDEX inbox_by_dataset ON inbox (dataset, seq);

-- What lies in the inbox, so that its bound is checked without counting.
CREATE TABLE backlog (
    dataset TEXT    NOT NULL PRIMARY KEY,
    events  INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
