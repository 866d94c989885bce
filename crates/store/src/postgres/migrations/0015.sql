-- Definitions under which steps were planned, so that they can be carried out when the project holds others. Never forgotten.
CREATE TABLE definition_files (
    content text COLLATE "C" NOT NULL PRIMARY KEY, -- BLAKE3 of the text
    text    text NOT NULL
);

CREATE TABLE definitions (
    dataset text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    files   text COLLATE "C" NOT NULL REFERENCES definition_files (content), -- of a JSON object: content by path
    kept_at bigint NOT NULL,
    PRIMARY KEY (dataset, version)
);

-- A person wants it done under the definition that it was planned under, whatever the project holds.
ALTER TABLE steps ADD COLUMN original bigint NOT NULL DEFAULT 0;
