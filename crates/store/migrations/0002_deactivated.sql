-- Rows that are gone from the source, and that the hub has deactivated in the destination (ledger state 3).
ALTER TABLE ledger_scope ADD COLUMN deactivated INTEGER NOT NULL DEFAULT 0;
