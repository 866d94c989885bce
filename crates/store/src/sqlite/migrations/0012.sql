-- Contracts and schemas: each content once, its versions by subject, and when each was in force.
CREATE TABLE registry (
    one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL, -- goes up with each change
    last_id  INTEGER NOT NULL,
    mode     TEXT
) STRICT;
INSERT INTO registry (one, revision, last_id) VALUES (1, 0, 0);
CREATE TABLE subjects (
    subject     TEXT    NOT NULL PRIMARY KEY,
    last_number INTEGER NOT NULL, -- also of versions that are gone
    mode        TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE schemas (
    id          INTEGER NOT NULL PRIMARY KEY,
    language    TEXT    NOT NULL,
    identity    TEXT    NOT NULL, -- by which the same content is known again
    fingerprint TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    UNIQUE (language, identity)
) STRICT;
CREATE TABLE schema_versions (
    subject       TEXT    NOT NULL REFERENCES subjects (subject),
    number        INTEGER NOT NULL,
    schema        INTEGER NOT NULL REFERENCES schemas (id),
    registered_at INTEGER NOT NULL,
    accepted      INTEGER NOT NULL, -- although it breaks the mode
    deleted_at    INTEGER,
    PRIMARY KEY (subject, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX schema_versions_by_schema ON schema_versions (schema);
CREATE TABLE schemas_in_force (
    subject      TEXT    NOT NULL,
    turn         INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    from_micros  INTEGER NOT NULL,
    until_micros INTEGER,
    PRIMARY KEY (subject, turn)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX schemas_in_force_now ON schemas_in_force (subject) WHERE until_micros IS NULL;
