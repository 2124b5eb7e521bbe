-- An event that is delivered asks for the dead letters of its row, among all that there are.
CREATE INDEX dead_letter_waiting ON dead_letter (integration, key) WHERE kind = 'message' AND state IN ('open', 'retrying');
