-- Questions that wait for a person: of a run whose plan must be looked at, of a step of a flow.
CREATE TABLE approval (
  id           INTEGER PRIMARY KEY,
  integration  TEXT NOT NULL,
  kind         TEXT NOT NULL,
  subject      TEXT NOT NULL,
  question     TEXT NOT NULL,
  details      TEXT NOT NULL,
  digest       TEXT NOT NULL,
  proofs       BLOB NOT NULL,
  asked_of     TEXT NOT NULL,
  asked        INTEGER NOT NULL,
  expires      INTEGER,
  state        TEXT NOT NULL,
  decided      INTEGER,
  decided_by   TEXT,
  comment      TEXT,
  used_by      INTEGER
);
CREATE UNIQUE INDEX approval_standing ON approval (kind, integration, subject) WHERE state IN ('open', 'approved');
CREATE INDEX approval_of_subject ON approval (integration, kind, subject, id);

-- When the result of a slot is needed, and whether it was late.
CREATE TABLE deadline (
  integration  TEXT NOT NULL,
  slot         INTEGER NOT NULL,
  needed       INTEGER NOT NULL,
  missed       INTEGER,
  met          INTEGER,
  PRIMARY KEY (integration, slot)
) WITHOUT ROWID;

-- Keys that never leave the file, such as the one that proofs in saved plans are made with.
CREATE TABLE secret (
  name   TEXT PRIMARY KEY,
  value  BLOB NOT NULL
) WITHOUT ROWID;
