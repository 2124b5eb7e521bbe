-- Flows: the definitions that instances began with, the instances, and what each has done.
CREATE TABLE flow_version (
  integration  TEXT NOT NULL,
  version      INTEGER NOT NULL,
  fingerprint  TEXT NOT NULL,
  definition   TEXT NOT NULL,
  since        INTEGER NOT NULL,
  PRIMARY KEY (integration, version)
) WITHOUT ROWID;

CREATE TABLE flow_instance (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  integration  TEXT NOT NULL,
  version      INTEGER NOT NULL,
  entity       TEXT NOT NULL,
  key          BLOB NOT NULL,
  key_text     TEXT NOT NULL,
  state        TEXT NOT NULL,
  revision     INTEGER NOT NULL,
  at           TEXT,
  data         TEXT NOT NULL,
  wake         INTEGER,
  attempts     INTEGER NOT NULL,
  problem      TEXT,
  started      INTEGER NOT NULL,
  updated      INTEGER NOT NULL,
  ended        INTEGER
);
CREATE INDEX flow_instance_due ON flow_instance (wake) WHERE wake IS NOT NULL;
CREATE INDEX flow_instance_of ON flow_instance (integration, state, id);
CREATE INDEX flow_instance_started ON flow_instance (integration, started);
CREATE INDEX flow_instance_ended ON flow_instance (ended) WHERE ended IS NOT NULL;

CREATE TABLE flow_step (
  instance  INTEGER NOT NULL,
  n         INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  path      TEXT NOT NULL,
  what      TEXT NOT NULL,
  person    TEXT,
  PRIMARY KEY (instance, n)
) WITHOUT ROWID;

-- What started an instance, or was there before the flow: it starts none again.
CREATE TABLE flow_cause (
  integration  TEXT NOT NULL,
  cause        TEXT NOT NULL,
  instance     INTEGER,
  PRIMARY KEY (integration, cause)
) WITHOUT ROWID;
