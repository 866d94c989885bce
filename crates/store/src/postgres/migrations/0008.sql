-- What a run decided by the condition of a dataset, and by what numbers; the last word of each run.
CREATE TABLE decisions (
    run        text COLLATE "C" NOT NULL REFERENCES runs (run),
    dataset    text COLLATE "C" NOT NULL,
    decided_at bigint NOT NULL,
    condition  text COLLATE "C" NOT NULL,
    measures   text COLLATE "C" NOT NULL, -- word to number
    taken      bigint NOT NULL,
    PRIMARY KEY (run, dataset)
);

-- 1: that it has ended is to be told, and was not; 2: it was told, and plans nothing any more.
ALTER TABLE runs ADD COLUMN tells bigint NOT NULL DEFAULT 0;
CREATE INDEX runs_untold ON runs (seq) WHERE tells = 1;

-- Not only commits are told: `dataset` is what it is told of, a dataset or `runs`, and `id` that of the event.
ALTER TABLE publications ADD COLUMN id text COLLATE "C";
UPDATE publications SET id = step;
ALTER TABLE publications ALTER COLUMN id SET NOT NULL;
ALTER TABLE publications ALTER COLUMN step DROP NOT NULL;
ALTER TABLE publications ALTER COLUMN committed DROP NOT NULL;
DROP INDEX publications_once;
CREATE UNIQUE INDEX publications_once ON publications (id, sink);
