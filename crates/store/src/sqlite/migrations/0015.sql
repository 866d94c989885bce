-- What was measured, where that is compared with what other steps measured.
ALTER TABLE quality ADD COLUMN figure REAL;
CREATE INDEX quality_figures ON quality (step) WHERE figure IS NOT NULL;
