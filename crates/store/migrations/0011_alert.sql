-- Conditions that need a person: one row for each time that a condition held, the open ones without `resolved`.
CREATE TABLE alert (
  id           INTEGER PRIMARY KEY,
  key          TEXT NOT NULL,
  kind         TEXT NOT NULL,
  integration  TEXT NOT NULL,
  system       TEXT NOT NULL,
  severity     TEXT NOT NULL,
  title        TEXT NOT NULL,
  text         TEXT NOT NULL,
  facts        TEXT NOT NULL,
  command      TEXT NOT NULL,
  since        INTEGER NOT NULL,
  opened       INTEGER NOT NULL,
  gone         INTEGER,
  resolved     INTEGER,
  cause        TEXT,
  quiet_until  INTEGER,
  acked        INTEGER,
  acked_by     TEXT,
  note         TEXT
);
CREATE UNIQUE INDEX alert_open ON alert (key) WHERE resolved IS NULL;
CREATE INDEX alert_resolved ON alert (resolved) WHERE resolved IS NOT NULL;
-- Who was told of it, in which notice, and whether it got through.
CREATE TABLE alert_notice (
  alert      INTEGER NOT NULL,
  route      TEXT NOT NULL,
  kind       TEXT NOT NULL,
  severity   TEXT NOT NULL,
  about      TEXT NOT NULL,
  queued     INTEGER NOT NULL,
  delivered  INTEGER,
  failed     INTEGER,
  error      TEXT,
  PRIMARY KEY (alert, route, kind, severity)
) WITHOUT ROWID;
CREATE INDEX alert_notice_about ON alert_notice (about, route);
-- A subject of which nobody is told for a while, because somebody said so.
CREATE TABLE silence (
  id       INTEGER PRIMARY KEY,
  subject  TEXT NOT NULL,
  by       TEXT NOT NULL,
  note     TEXT NOT NULL,
  since    INTEGER NOT NULL,
  until    INTEGER NOT NULL
);
-- How each way to tell people did lately.
CREATE TABLE alert_route (
  name       TEXT PRIMARY KEY,
  delivered  INTEGER,
  failing    INTEGER,
  failures   INTEGER NOT NULL DEFAULT 0,
  code       TEXT,
  what       TEXT
) WITHOUT ROWID;
-- How much went through in each hour: rows of an integration's runs, messages of a destination's subscription.
CREATE TABLE traffic (
  name   TEXT NOT NULL,
  hour   INTEGER NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (name, hour)
) WITHOUT ROWID;
