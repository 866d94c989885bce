-- By which watermark a step judges its rows, decided when it was planned.
ALTER TABLE steps ADD COLUMN watermark INTEGER;

-- How far the event time of each dataset has come, by the column that carries it. It never moves back.
CREATE TABLE watermarks (
    dataset    TEXT    NOT NULL,
    event_time TEXT    NOT NULL,
    watermark  INTEGER NOT NULL,
    moved_at   INTEGER NOT NULL,
    step       TEXT    NOT NULL REFERENCES steps (key),
    PRIMARY KEY (dataset, event_time)
) STRICT, WITHOUT ROWID;
