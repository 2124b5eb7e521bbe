-- Whether each system answered when it was asked last.
CREATE TABLE system_look (
  system   TEXT PRIMARY KEY,
  answers  INTEGER NOT NULL,
  since    INTEGER NOT NULL,
  seen     INTEGER NOT NULL,
  took_ms  INTEGER NOT NULL,
  good     INTEGER,
  version  TEXT NOT NULL DEFAULT '',
  user     TEXT,
  person   INTEGER NOT NULL DEFAULT 0,
  code     TEXT NOT NULL DEFAULT '',
  what     TEXT NOT NULL DEFAULT '',
  why      TEXT NOT NULL DEFAULT '',
  fix      TEXT NOT NULL DEFAULT '',
  wait_ms  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
