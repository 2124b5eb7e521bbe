-- What nothing reads any more since the table of numbers (0014).
DROP TABLE sequence;
ALTER TABLE queue DROP COLUMN ready;
ALTER TABLE queue DROP COLUMN locked;
ALTER TABLE queue DROP COLUMN delayed;
ALTER TABLE queue DROP COLUMN deferred;
ALTER TABLE queue DROP COLUMN scheduled;
