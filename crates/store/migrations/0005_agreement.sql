-- What the two sides of a two-way integration were when they last agreed, by key. state: 0 settled, 1 pending (looked at
-- again by the next run). `content` is the hub's: hashes of fields, never their values.
CREATE TABLE agreement_scope (
  id           INTEGER PRIMARY KEY,
  integration  TEXT NOT NULL,
  entity       TEXT NOT NULL,
  UNIQUE (integration, entity)
);
CREATE TABLE agreement (
  scope    INTEGER NOT NULL,
  key      BLOB NOT NULL,
  state    INTEGER NOT NULL,
  content  BLOB NOT NULL,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX agreement_pending ON agreement (scope, key) WHERE state = 1;
