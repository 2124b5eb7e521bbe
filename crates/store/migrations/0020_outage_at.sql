-- Which system it was that failed: events do not get through to their destination where their source does not answer.
-- Empty: not known yet, and then it is the destination.
ALTER TABLE outage ADD COLUMN at TEXT NOT NULL DEFAULT '';
