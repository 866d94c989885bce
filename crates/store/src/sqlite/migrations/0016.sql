-- Definitions under which steps were planned, so that they can be carried out when the project holds others. Never forgotten.
CREATE TABLE definition_files (
    content TEXT NOT NULL PRIMARY KEY, -- BLAKE3 of the text
    text    TEXT NOT NULL
) STRICT;

CREATE TABLE definitions (
    dataset TEXT    NOT NULL,
    version TEXT    NOT NULL,
    files   TEXT    NOT NULL REFERENCES definition_files (content), -- of a JSON object: content by path
    kept_at INTEGER NOT NULL,
    PRIMARY KEY (dataset, version)
) STRICT, WITHOUT ROWID;

-- A person wants it done under the definition that it was planned under, whatever the project holds.
ALTER TABLE steps ADD COLUMN original INTEGER NOT NULL DEFAULT 0;
