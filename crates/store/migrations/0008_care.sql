-- What dead letters have in common: a fingerprint of integration, step, code and message, empty where it is not known
-- yet. `goes` is when a discarded one is forgotten for good.
ALTER TABLE dead_letter ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letter ADD COLUMN goes INTEGER;
-- Holds all that a list of groups asks for, so that the letters themselves are not read.
CREATE INDEX dead_letter_of_cause ON dead_letter (cause, state, first_seen, last_seen, count);

-- One for each cause: what made it one, and what people say of it.
CREATE TABLE dead_letter_group (
  id           TEXT PRIMARY KEY,
  integration  TEXT NOT NULL,
  step         TEXT NOT NULL,
  code         TEXT NOT NULL,
  message      TEXT NOT NULL,
  owner        TEXT,
  note         TEXT,
  link         TEXT,
  hold_until   INTEGER,
  reviewed     INTEGER,
  reviewed_by  TEXT
) WITHOUT ROWID;

-- A copy of a dead letter that a person has changed and sent instead. `body` is what was sent.
CREATE TABLE dead_letter_edit (
  id       INTEGER PRIMARY KEY,
  letter   TEXT NOT NULL,
  at       INTEGER NOT NULL,
  by       TEXT NOT NULL,
  why      TEXT NOT NULL,
  changes  TEXT NOT NULL,
  body     BLOB NOT NULL
);
CREATE INDEX dead_letter_edit_of ON dead_letter_edit (letter);

-- Retries of many dead letters, and what became of each.
CREATE TABLE retry_job (
  id           INTEGER PRIMARY KEY,
  integration  TEXT NOT NULL,
  cause        TEXT NOT NULL,
  made         INTEGER NOT NULL,
  by           TEXT NOT NULL,
  via          TEXT NOT NULL,
  why          TEXT,
  as_of        INTEGER NOT NULL,
  state        TEXT NOT NULL,
  stop_after   INTEGER,
  per_minute   INTEGER,
  changed      INTEGER NOT NULL,
  note         TEXT NOT NULL
);
CREATE TABLE retry_item (
  job     INTEGER NOT NULL,
  pos     INTEGER NOT NULL,
  letter  TEXT NOT NULL,
  state   TEXT NOT NULL,
  at      INTEGER,
  result  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job, pos)
) WITHOUT ROWID;
CREATE INDEX retry_item_state ON retry_item (job, state, pos);
CREATE INDEX retry_item_letter ON retry_item (letter);

-- What people did. Only ever added to; each row proves the one before it.
CREATE TABLE audit (
  id       INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  by       TEXT NOT NULL,
  via      TEXT NOT NULL,
  action   TEXT NOT NULL,
  subject  TEXT NOT NULL,
  why      TEXT,
  detail   TEXT NOT NULL,
  before   BLOB NOT NULL,
  hash     BLOB NOT NULL
);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;

-- The definition of each integration that the hub worked with last, and since when.
CREATE TABLE definition_seen (
  integration  TEXT PRIMARY KEY,
  digest       TEXT NOT NULL,
  since        INTEGER NOT NULL
) WITHOUT ROWID;
