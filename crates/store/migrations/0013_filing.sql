-- The messages of a session are filed many at a time: one that is not filed yet has the number of its session with a minus
-- before it, and the index leaves it out. `filed`: all messages up to this number are filed.
--
-- A process of the version before files each message at once, and may be slow until it ends.
ALTER TABLE queue ADD COLUMN filed INTEGER NOT NULL DEFAULT 0;
UPDATE queue SET filed = coalesce((SELECT next FROM sequence WHERE name = 'message'), 0);
DROP INDEX message_of_session;
CREATE INDEX message_of_session ON message (session, state, seq) WHERE session > 0;
