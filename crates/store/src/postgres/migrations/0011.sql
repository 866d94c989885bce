-- Contracts and schemas: each content once, its versions by subject, and when each was in force.
CREATE TABLE registry (
    one      bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    revision bigint NOT NULL, -- goes up with each change
    last_id  bigint NOT NULL,
    mode     text COLLATE "C"
);
INSERT INTO registry (one, revision, last_id) VALUES (1, 0, 0);
CREATE TABLE subjects (
    subject     text COLLATE "C"    NOT NULL PRIMARY KEY,
    last_number bigint NOT NULL, -- also of versions that are gone
    mode        text COLLATE "C"
);
CREATE TABLE schemas (
    id          bigint NOT NULL PRIMARY KEY,
    language    text COLLATE "C"    NOT NULL,
    identity    text COLLATE "C"    NOT NULL, -- by which the same content is known again
    fingerprint text COLLATE "C"    NOT NULL,
    text        text COLLATE "C"    NOT NULL,
    UNIQUE (language, identity)
);
CREATE TABLE schema_versions (
    subject       text COLLATE "C"    NOT NULL REFERENCES subjects (subject),
    number        bigint NOT NULL,
    schema        bigint NOT NULL REFERENCES schemas (id),
    registered_at bigint NOT NULL,
    accepted      bigint NOT NULL, -- although it breaks the mode
    deleted_at    bigint,
    PRIMARY KEY (subject, number)
);
CREATE INDEX schema_versions_by_schema ON schema_versions (schema);
CREATE TABLE schemas_in_force (
    subject      text COLLATE "C"    NOT NULL,
    turn         bigint NOT NULL,
    number       bigint NOT NULL,
    from_micros  bigint NOT NULL,
    until_micros bigint,
    PRIMARY KEY (subject, turn)
);
CREATE UNIQUE INDEX schemas_in_force_now ON schemas_in_force (subject) WHERE until_micros IS NULL;
