-- What arrived, by time.
CREATE INDEX steps_by_end ON steps (finished_at) WHERE state = 'done' AND kind IN ('ingest', 'refine');
