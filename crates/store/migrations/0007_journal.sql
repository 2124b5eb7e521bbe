-- What happened to records, in the order of the commits that did it. One row for each transaction, so that a note costs
-- no more than its bytes; `keys` holds eight bytes for each note, by which the notes of a record are found.
CREATE TABLE journal (
  id       INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  keys     BLOB NOT NULL,
  notes    BLOB NOT NULL
);
