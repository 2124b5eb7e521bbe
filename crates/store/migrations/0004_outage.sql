-- Destinations that take nothing at the moment. A row goes when the destination is back.
CREATE TABLE outage (
  integration  TEXT NOT NULL,
  system       TEXT NOT NULL,
  since        INTEGER NOT NULL,
  seen         INTEGER NOT NULL,
  code         TEXT NOT NULL,
  what         TEXT NOT NULL,
  fix          TEXT NOT NULL,
  failures     INTEGER NOT NULL,
  PRIMARY KEY (integration, system)
) WITHOUT ROWID;
