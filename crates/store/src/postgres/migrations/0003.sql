-- By which watermark a step judges its rows, decided when it was planned.
ALTER TABLE steps ADD COLUMN watermark bigint;

-- How far the event time of each dataset has come, by the column that carries it. It never moves back.
CREATE TABLE watermarks (
    dataset    text COLLATE "C" NOT NULL,
    event_time text COLLATE "C" NOT NULL,
    watermark  bigint NOT NULL,
    moved_at   bigint NOT NULL,
    step       text COLLATE "C" NOT NULL REFERENCES steps (key),
    PRIMARY KEY (dataset, event_time)
);
