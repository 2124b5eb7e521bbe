-- People who are not there for a while, and who answers for them.
CREATE TABLE away (
  person    TEXT PRIMARY KEY,
  since     INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  stand_in  TEXT,
  note      TEXT NOT NULL,
  by        TEXT NOT NULL
) WITHOUT ROWID;

-- What an instance waits for may happen to its record.
CREATE INDEX flow_instance_key ON flow_instance (integration, key);
