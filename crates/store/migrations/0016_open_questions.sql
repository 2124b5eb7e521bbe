-- Questions without an answer are looked for again and again, among all that were ever asked.
CREATE INDEX approval_open ON approval (id) WHERE state = 'open';
