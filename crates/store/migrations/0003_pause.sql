-- Integrations that a person has paused. `until` empty: until somebody resumes.
CREATE TABLE pause (
  integration  TEXT PRIMARY KEY,
  by           TEXT NOT NULL,
  note         TEXT NOT NULL,
  since        INTEGER NOT NULL,
  until        INTEGER
) WITHOUT ROWID;
