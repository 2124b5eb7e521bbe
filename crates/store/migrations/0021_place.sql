-- Where in their systems the rows are that the ledger, and agreements, are about; NULL: not known yet.
ALTER TABLE ledger_scope ADD COLUMN place TEXT;
ALTER TABLE agreement_scope ADD COLUMN place TEXT;
