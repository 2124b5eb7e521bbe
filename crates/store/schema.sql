CREATE TABLE lease (
  name    TEXT PRIMARY KEY,
  holder  TEXT,
  epoch   INTEGER NOT NULL,
  until   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE run (
  id            INTEGER PRIMARY KEY,
  integration   TEXT NOT NULL,
  trigger       TEXT NOT NULL,
  slot          INTEGER,
  retry_of      INTEGER,
  state         TEXT NOT NULL,
  started       INTEGER NOT NULL,
  finished      INTEGER,
  read          INTEGER NOT NULL DEFAULT 0,
  created       INTEGER NOT NULL DEFAULT 0,
  updated       INTEGER NOT NULL DEFAULT 0,
  deleted       INTEGER NOT NULL DEFAULT 0,
  unchanged     INTEGER NOT NULL DEFAULT 0,
  rejected      INTEGER NOT NULL DEFAULT 0,
  skipped       INTEGER NOT NULL DEFAULT 0,
  error_code    TEXT,
  error_text    TEXT,
  error_detail  TEXT
);
CREATE INDEX run_of_integration ON run (integration);
CREATE INDEX run_running ON run (integration) WHERE state = 'running';
CREATE TABLE cursor (
  integration  TEXT NOT NULL,
  stream       TEXT NOT NULL,
  position     TEXT NOT NULL,
  fingerprint  TEXT NOT NULL,
  updated      INTEGER NOT NULL,
  PRIMARY KEY (integration, stream)
) WITHOUT ROWID;
CREATE TABLE ledger_scope (
  id        INTEGER PRIMARY KEY,
  system    TEXT NOT NULL,
  entity    TEXT NOT NULL,
  written   INTEGER NOT NULL DEFAULT 0,
  rejected  INTEGER NOT NULL DEFAULT 0,
  waiting   INTEGER NOT NULL DEFAULT 0, deactivated INTEGER NOT NULL DEFAULT 0, place TEXT,
  UNIQUE (system, entity)
);
CREATE TABLE ledger (
  scope         INTEGER NOT NULL,
  key           BLOB NOT NULL,
  source_hash   BLOB NOT NULL,
  content_hash  BLOB NOT NULL,
  mapping       INTEGER NOT NULL,
  state         INTEGER NOT NULL,
  generation    INTEGER NOT NULL,
  remote_id,
  version       TEXT,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE TABLE queue (
  id                      INTEGER PRIMARY KEY,
  path                    TEXT NOT NULL UNIQUE COLLATE NOCASE,
  kind                    INTEGER NOT NULL,
  parent                  INTEGER REFERENCES queue (id),
  lock_ms                 INTEGER NOT NULL,
  max_deliveries          INTEGER NOT NULL,
  ttl_ms                  INTEGER,
  dead_letter_expired     INTEGER NOT NULL,
  duplicate_window_ms     INTEGER,
  sessions                INTEGER NOT NULL,
  forward_to              TEXT,
  forward_dead_letters_to TEXT,
  filed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX queue_of_parent ON queue (parent) WHERE parent IS NOT NULL;
CREATE TABLE rule (
  queue   INTEGER NOT NULL REFERENCES queue (id),
  name    TEXT NOT NULL COLLATE NOCASE,
  filter  BLOB NOT NULL,
  PRIMARY KEY (queue, name)
) WITHOUT ROWID;
CREATE TABLE session (
  id     INTEGER PRIMARY KEY,
  queue  INTEGER NOT NULL,
  name   TEXT NOT NULL,
  locks  INTEGER NOT NULL DEFAULT 0,
  until  INTEGER,
  head   INTEGER,
  state  BLOB,
  UNIQUE (queue, name)
);
CREATE INDEX session_free ON session (queue, head) WHERE head IS NOT NULL;
CREATE INDEX session_until ON session (until) WHERE until IS NOT NULL;
CREATE TABLE message (
  queue       INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  state       INTEGER NOT NULL,
  deliveries  INTEGER NOT NULL,
  locks       INTEGER NOT NULL,
  enqueued    INTEGER NOT NULL,
  due         INTEGER,
  expires     INTEGER,
  session     INTEGER,
  PRIMARY KEY (queue, seq)
) WITHOUT ROWID;
CREATE INDEX message_ready ON message (queue, seq) WHERE state = 0 AND session IS NULL;
CREATE INDEX message_due ON message (due) WHERE due IS NOT NULL;
CREATE INDEX message_expires ON message (expires) WHERE expires IS NOT NULL AND state NOT IN (1, 4);
CREATE TABLE body (
  seq        INTEGER PRIMARY KEY,
  first_seq  INTEGER,
  id         TEXT NOT NULL,
  envelope  BLOB,
  body      BLOB NOT NULL
);
CREATE TABLE seen (
  queue   INTEGER NOT NULL,
  id      TEXT NOT NULL,
  until   INTEGER NOT NULL,
  PRIMARY KEY (queue, id)
) WITHOUT ROWID;
CREATE INDEX seen_until ON seen (until);
CREATE TABLE dead_letter (
  seq          INTEGER PRIMARY KEY,
  id           TEXT NOT NULL UNIQUE,
  kind         TEXT NOT NULL,
  queue        INTEGER NOT NULL,
  integration  TEXT NOT NULL,
  entity       TEXT NOT NULL,
  key          BLOB,
  key_text     TEXT NOT NULL,
  code         TEXT NOT NULL,
  what         TEXT NOT NULL,
  place        TEXT NOT NULL,
  why          TEXT NOT NULL,
  fix          TEXT NOT NULL,
  detail       TEXT NOT NULL,
  state        TEXT NOT NULL,
  count        INTEGER NOT NULL,
  first_seen   INTEGER NOT NULL,
  last_seen    INTEGER NOT NULL,
  run          INTEGER,
  changed      INTEGER,
  changed_by   TEXT,
  note         TEXT
, cause TEXT NOT NULL DEFAULT '', goes INTEGER);
CREATE UNIQUE INDEX dead_letter_row ON dead_letter (integration, entity, key) WHERE kind = 'row';
CREATE INDEX dead_letter_closed ON dead_letter (changed) WHERE state NOT IN ('open', 'retrying');
CREATE INDEX dead_letter_recent ON dead_letter (last_seen, seq);
CREATE INDEX dead_letter_of_integration ON dead_letter (integration, last_seen, seq);
CREATE TABLE dead_letter_count (
  integration  TEXT NOT NULL,
  state        TEXT NOT NULL,
  count        INTEGER NOT NULL,
  PRIMARY KEY (integration, state)
) WITHOUT ROWID;
CREATE TABLE pause (
  integration  TEXT PRIMARY KEY,
  by           TEXT NOT NULL,
  note         TEXT NOT NULL,
  since        INTEGER NOT NULL,
  until        INTEGER
) WITHOUT ROWID;
CREATE TABLE outage (
  integration  TEXT NOT NULL,
  system       TEXT NOT NULL,
  since        INTEGER NOT NULL,
  seen         INTEGER NOT NULL,
  code         TEXT NOT NULL,
  what         TEXT NOT NULL,
  fix          TEXT NOT NULL,
  failures     INTEGER NOT NULL, at TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (integration, system)
) WITHOUT ROWID;
CREATE TABLE agreement_scope (
  id           INTEGER PRIMARY KEY,
  integration  TEXT NOT NULL,
  entity       TEXT NOT NULL, place TEXT,
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
CREATE TABLE deadline (
  integration  TEXT NOT NULL,
  slot         INTEGER NOT NULL,
  needed       INTEGER NOT NULL,
  missed       INTEGER,
  met          INTEGER,
  PRIMARY KEY (integration, slot)
) WITHOUT ROWID;
CREATE TABLE secret (
  name   TEXT PRIMARY KEY,
  value  BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE journal (
  id       INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  keys     BLOB NOT NULL,
  notes    BLOB NOT NULL
);
CREATE INDEX dead_letter_of_cause ON dead_letter (cause, state, first_seen, last_seen, count);
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
CREATE TABLE definition_seen (
  integration  TEXT PRIMARY KEY,
  digest       TEXT NOT NULL,
  since        INTEGER NOT NULL
) WITHOUT ROWID;
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
CREATE TABLE sqlite_sequence(name,seq);
CREATE INDEX flow_instance_due ON flow_instance (wake) WHERE wake IS NOT NULL;
CREATE INDEX flow_instance_of ON flow_instance (integration, state, id);
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
CREATE TABLE flow_cause (
  integration  TEXT NOT NULL,
  cause        TEXT NOT NULL,
  instance     INTEGER,
  PRIMARY KEY (integration, cause)
) WITHOUT ROWID;
CREATE TABLE user (
  name      TEXT PRIMARY KEY COLLATE NOCASE,
  role      TEXT NOT NULL,
  person    TEXT,
  password  TEXT NOT NULL,
  created   INTEGER NOT NULL,
  changed   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE sign_in (
  token    BLOB PRIMARY KEY,
  user     TEXT NOT NULL COLLATE NOCASE,
  created  INTEGER NOT NULL,
  seen     INTEGER NOT NULL,
  until    INTEGER NOT NULL
) WITHOUT ROWID;
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
CREATE TABLE silence (
  id       INTEGER PRIMARY KEY,
  subject  TEXT NOT NULL,
  by       TEXT NOT NULL,
  note     TEXT NOT NULL,
  since    INTEGER NOT NULL,
  until    INTEGER NOT NULL
);
CREATE TABLE alert_route (
  name       TEXT PRIMARY KEY,
  delivered  INTEGER,
  failing    INTEGER,
  failures   INTEGER NOT NULL DEFAULT 0,
  code       TEXT,
  what       TEXT
) WITHOUT ROWID;
CREATE TABLE traffic (
  name   TEXT NOT NULL,
  hour   INTEGER NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (name, hour)
) WITHOUT ROWID;
CREATE TABLE away (
  person    TEXT PRIMARY KEY,
  since     INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  stand_in  TEXT,
  note      TEXT NOT NULL,
  by        TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX flow_instance_key ON flow_instance (integration, key);
CREATE INDEX message_of_session ON message (session, state, seq) WHERE session > 0;
CREATE TABLE tally (
  id  INTEGER PRIMARY KEY,
  n   INTEGER NOT NULL
);
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
CREATE INDEX approval_open ON approval (id) WHERE state = 'open';
CREATE INDEX flow_instance_begun ON flow_instance (integration, started, state);
CREATE INDEX dead_letter_waiting ON dead_letter (integration, key) WHERE kind = 'message' AND state IN ('open', 'retrying');
CREATE TABLE unheard (
  integration TEXT PRIMARY KEY,
  since       INTEGER NOT NULL,
  seen        INTEGER NOT NULL,
  changes     INTEGER NOT NULL DEFAULT 0,
  sweeps      INTEGER NOT NULL DEFAULT 0,
  refused     INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
