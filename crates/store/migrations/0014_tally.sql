-- Every number that almost every commit changes, in one small page: the next number of a message (0), the bytes of the journal
-- (1), and how many messages a queue has in each place (8 times the queue's id, and 8, and the place).
--
-- The table `sequence` and the counts in `queue` are what the version before reads; the next one drops them.
CREATE TABLE tally (
  id  INTEGER PRIMARY KEY,
  n   INTEGER NOT NULL
);
INSERT INTO tally SELECT 0, next FROM sequence WHERE name = 'message';
INSERT INTO tally SELECT 1, next FROM sequence WHERE name = 'journal bytes';
INSERT INTO tally SELECT id * 8 + 8, ready FROM queue WHERE ready <> 0;
INSERT INTO tally SELECT id * 8 + 9, locked FROM queue WHERE locked <> 0;
INSERT INTO tally SELECT id * 8 + 10, delayed FROM queue WHERE delayed <> 0;
INSERT INTO tally SELECT id * 8 + 11, deferred FROM queue WHERE deferred <> 0;
INSERT INTO tally SELECT id * 8 + 12, scheduled FROM queue WHERE scheduled <> 0;
