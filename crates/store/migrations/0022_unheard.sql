-- Integrations whose webhooks do not come: what a sweep found that had none, and calls that were refused. A row goes with
-- the first good one.
CREATE TABLE unheard (
  integration TEXT PRIMARY KEY,
  since       INTEGER NOT NULL,
  seen        INTEGER NOT NULL,
  changes     INTEGER NOT NULL DEFAULT 0,
  sweeps      INTEGER NOT NULL DEFAULT 0,
  refused     INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
