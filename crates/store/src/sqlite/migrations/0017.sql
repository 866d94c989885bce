-- The lake that this state belongs to, by the name that lies in it.
CREATE TABLE lake (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT    NOT NULL
) STRICT;
