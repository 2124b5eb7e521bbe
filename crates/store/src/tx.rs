//! One write transaction, as the operations of every domain see it.

use std::collections::HashMap;

use rusqlite::{Connection, Params, Row};

use crate::time::Ms;

/// A write transaction that is open, with the time at which it happens.
///
/// Counts are gathered here and written once for all the commits of the transaction; they are never counted from rows.
pub(crate) struct Tx<'c> {
    pub conn: &'c Connection,
    pub now: Ms,
    /// Settings of queues, as of this transaction.
    pub queues: &'c mut crate::queue::Cache,
    /// Notes for the journal, written as one row at the end.
    pub journal: crate::journal::Gathered,
    counts: HashMap<Count, i64>,
    next_seq: i64,
    first_seq: i64,
}

/// The places of the table of numbers; those of queues follow.
const NEXT_MESSAGE: i64 = 0;
pub(crate) const JOURNAL_BYTES: i64 = 1;
/// How late it was at the last commit, in milliseconds.
pub(crate) const CLOCK: i64 = 2;

/// A number that is kept, and the row it is kept in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Count {
    Ledger {
        scope: i64,
        state: crate::ledger::State,
    },
    DeadLetters {
        integration: String,
        state: crate::dead_letters::State,
    },
    Messages {
        queue: i64,
        state: crate::queue::Place,
    },
    /// What went through in this hour.
    Traffic {
        name: String,
    },
}

/// What a commit that is refused half-way takes back.
pub(crate) struct Mark {
    counts: HashMap<Count, i64>,
    next_seq: i64,
    journal: crate::journal::Mark,
}

impl<'c> Tx<'c> {
    pub fn begin(conn: &'c Connection, now: Ms, queues: &'c mut crate::queue::Cache) -> rusqlite::Result<Tx<'c>> {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let sql = "SELECT n FROM tally WHERE id = ?1";
        let next_seq = first(conn, sql, [NEXT_MESSAGE], |row| row.get(0))?.unwrap_or(1);
        queues.check(conn)?;
        let journal = crate::journal::Gathered::default();
        Ok(Tx { conn, now, queues, journal, counts: HashMap::new(), next_seq, first_seq: next_seq })
    }

    /// The next sequence number; never given twice, also after the message is gone.
    pub fn next_seq(&mut self) -> i64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    /// The last number that was given, by whomever.
    pub fn last_seq(&self) -> i64 {
        self.next_seq - 1
    }

    pub fn count(&mut self, count: Count, by: i64) {
        if by != 0 {
            *self.counts.entry(count).or_insert(0) += by;
        }
    }

    /// What this transaction added to a count so far; the row does not have it yet.
    pub fn counted(&self, count: &Count) -> i64 {
        self.counts.get(count).copied().unwrap_or(0)
    }

    pub fn mark(&self) -> rusqlite::Result<Mark> {
        self.conn.prepare_cached("SAVEPOINT op")?.execute([])?;
        Ok(Mark { counts: self.counts.clone(), next_seq: self.next_seq, journal: self.journal.mark() })
    }

    pub fn keep(&mut self, _: Mark) -> rusqlite::Result<()> {
        self.conn.prepare_cached("RELEASE op")?.execute([]).map(drop)
    }

    pub fn take_back(&mut self, mark: Mark) -> rusqlite::Result<()> {
        self.conn.execute_batch("ROLLBACK TO op; RELEASE op")?;
        self.queues.clear();
        self.counts = mark.counts;
        self.next_seq = mark.next_seq;
        self.journal.take_back(mark.journal);
        Ok(())
    }

    /// Writes the gathered numbers; the last thing before the transaction is committed.
    pub fn flush(&mut self) -> rusqlite::Result<()> {
        crate::journal::flush(self)?;
        if self.next_seq != self.first_seq {
            let sql = "INSERT INTO tally (id, n) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET n = excluded.n";
            self.run(sql, (NEXT_MESSAGE, self.next_seq))?;
        }
        for (count, by) in std::mem::take(&mut self.counts) {
            match count {
                _ if by == 0 => {}
                Count::Ledger { scope, state } => crate::ledger::add_to_count(self, scope, state, by)?,
                Count::DeadLetters { integration, state } => {
                    crate::dead_letters::add_to_count(self, &integration, state, by)?;
                }
                Count::Traffic { name } => crate::alerts::add_to_traffic(self, &name, by)?,
                Count::Messages { queue, state } => crate::queue::add_to_count(self, queue, state, by)?,
            }
        }
        Ok(())
    }

    /// Adds to a number of the table of numbers that change with almost every commit.
    pub fn tally(&self, id: i64, by: i64) -> rusqlite::Result<()> {
        let sql = "INSERT INTO tally (id, n) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET n = n + ?2";
        self.run(sql, (id, by)).map(drop)
    }

    /// Runs a statement and says how many rows it changed.
    pub fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.conn.prepare_cached(sql)?.execute(params)
    }

    /// The rows of a scope are at this place. Answers whether they were known to be at another one.
    pub fn moves(&self, scopes: &'static str, scope: i64, place: &str) -> rusqlite::Result<bool> {
        let before: Option<String> =
            self.first(&format!("SELECT place FROM {scopes} WHERE id = ?1"), [scope], |row| row.get(0))?.flatten();
        self.run(&format!("UPDATE {scopes} SET place = ?2 WHERE id = ?1"), (scope, place))?;
        Ok(before.is_some_and(|before| before != place))
    }

    /// The first row of a query, if it has one.
    pub fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        first(self.conn, sql, params, map)
    }

    /// All rows of a query, which the caller has bounded.
    pub fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        all(self.conn, sql, params, map)
    }
}

/// The first row of a query, if it has one.
pub(crate) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    match conn.prepare_cached(sql)?.query_row(params, map) {
        Ok(value) => Ok(Some(value)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All rows of a query, which the caller has bounded.
pub(crate) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(params, map)?.collect()
}
