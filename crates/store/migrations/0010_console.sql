-- Who may use the web console, and who is signed in there. A password is kept as its Argon2id hash, the token of a
-- session as its SHA-256 hash: what is in this file lets nobody in.
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
