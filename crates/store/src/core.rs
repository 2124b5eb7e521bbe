//! The heart of the store: applies commits in one transaction. No thread, no clock.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::error::{Error, Fail};
use crate::file::{self, Role};
use crate::op::{Op, OpResult};
use crate::room::{KEPT_FOR_SETTLING, Room};
use crate::time::Ms;
use crate::tx::Tx;
use crate::{
    Failpoints, agreements, alerts, approvals, audit, away, cursors, dead_letters, deadlines, definitions, forget,
    leases, ledger, looks, outages, pauses, queue, retries, runs, secrets, unheard, users,
};

/// A commit that wants more room than is reserved is tried so often with more: 8 MB, 64 MB, and so on.
const STRETCHES_MAX: u32 = 4;

/// What a commit is answered with.
pub(crate) type Answer = Result<Vec<OpResult>, Error>;

pub(crate) struct Core {
    pub conn: Connection,
    path: std::path::PathBuf,
    failpoints: Failpoints,
    queues: queue::Cache,
    room: Option<Arc<Room>>,
    /// What the connection was told last of [`Room::pages`].
    limit: u32,
    /// When it last wrote.
    wrote: Ms,
}

impl Core {
    pub fn open(path: &Path, failpoints: Failpoints, busy: std::time::Duration) -> Result<Core, Error> {
        let conn = file::connect(path, Role::Writer, busy)?;
        let (path, queues) = (path.to_owned(), queue::Cache::default());
        Ok(Core { conn, path, failpoints, queues, room: None, limit: 0, wrote: Ms::MIN })
    }

    /// From now on the file only gets as long as room is reserved for it.
    pub fn keep_to(&mut self, room: Arc<Room>) {
        self.room = Some(room);
    }

    /// Applies commits in order, each as a whole or not at all, and puts what was applied on disk with one sync.
    ///
    /// A commit that is refused leaves no trace and does not hinder its neighbours.
    pub fn apply(&mut self, now: Ms, commits: &[&[Op]]) -> Vec<Answer> {
        if !self.is_nearly_full() || !commits.iter().any(|ops| only_brings(ops)) {
            return self.apply_all(now, commits);
        }
        let settling: Vec<&[Op]> = commits.iter().copied().filter(|ops| !only_brings(ops)).collect();
        let mut settled = if settling.is_empty() { Vec::new() } else { self.apply_all(now, &settling) }.into_iter();
        let answer = |ops: &&[Op]| match only_brings(ops) {
            true => Err(Error::DiskFull { path: self.path.clone() }),
            false => settled.next().expect("each commit has one answer"),
        };
        commits.iter().map(answer).collect()
    }

    fn apply_all(&mut self, now: Ms, commits: &[&[Op]]) -> Vec<Answer> {
        let mut attempt = self.attempt(now, commits);
        let mut tries = 0;
        while let Err(Attempt::Apply(error) | Attempt::Whole(error)) = &attempt
            && error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            && tries < STRETCHES_MAX
            && self.stretch(tries)
        {
            tries += 1;
            attempt = self.attempt(now, commits);
        }
        match attempt {
            Ok(answers) => answers,
            Err(Attempt::Whole(error)) => self.fail_all(commits.len(), error),
            // The database failed on one of several: each has its own fate.
            Err(Attempt::Apply(_)) if commits.len() > 1 => {
                commits.iter().flat_map(|&commit| self.apply_all(now, &[commit])).collect()
            }
            Err(Attempt::Apply(error)) => vec![Err(Error::sqlite(&self.path, error))],
            Err(Attempt::Injected(injected)) => commits.iter().map(|_| Err(injected.clone().into())).collect(),
        }
    }

    /// Lets time pass: what is due by now becomes visible, expires or returns from a lost lock. Says whether anything
    /// was due.
    pub fn tick(&mut self, now: Ms) -> Result<bool, Error> {
        match queue::next_due(&self.conn) {
            Ok(due) if due.is_some_and(|due| due <= now) || self.was_put_back(now) => {}
            Ok(_) => return Ok(false),
            Err(error) => return Err(Error::sqlite(&self.path, error)),
        }
        match self.attempt(now, &[]) {
            Ok(_) => Ok(true),
            Err(Attempt::Whole(error) | Attempt::Apply(error)) => Err(Error::sqlite(&self.path, error)),
            Err(Attempt::Injected(injected)) => Err(injected.into()),
        }
    }

    /// Whether the clock is behind what it was.
    pub fn was_put_back(&self, now: Ms) -> bool {
        now <= self.wrote.saturating_sub(queue::CLOCK_STEP)
    }

    /// When the next message becomes visible, expires or returns from its lock by itself.
    pub fn next_due(&self) -> Result<Option<Ms>, Error> {
        queue::next_due(&self.conn).map_err(|error| Error::sqlite(&self.path, error))
    }

    /// Pages of the file, free ones among them.
    fn pages(&self) -> rusqlite::Result<(u32, u32)> {
        let number = |name| self.conn.pragma_query_value(None, name, |row| row.get(0));
        Ok((number("page_count")?, number("freelist_count")?))
    }

    /// Whether the disk is full and the last pages that are reserved are kept for what settles.
    fn is_nearly_full(&self) -> bool {
        let Some(room) = self.room.as_ref().filter(|room| room.is_scarce()) else { return false };
        self.pages().is_ok_and(|(all, free)| room.pages().saturating_sub(all) + free < KEPT_FOR_SETTLING)
    }

    fn stretch(&self, tries: u32) -> bool {
        let Some(room) = &self.room else { return false };
        self.pages().is_ok_and(|(all, _)| room.stretch(all, tries))
    }

    fn attempt(&mut self, now: Ms, commits: &[&[Op]]) -> Result<Vec<Answer>, Attempt> {
        let attempt = self.write(now, commits);
        if attempt.is_err() && !self.conn.is_autocommit() {
            // A failure here leaves the connection without a transaction all the same.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        if attempt.is_err() {
            self.queues.clear();
        }
        attempt
    }

    fn write(&mut self, now: Ms, commits: &[&[Op]]) -> Result<Vec<Answer>, Attempt> {
        let mut tx = Tx::begin(&self.conn, now, &mut self.queues).map_err(Attempt::Whole)?;
        // Inside of the transaction, because outside of it the file's locks would be taken once more.
        if let Some(room) = &self.room {
            let mut page_count = self.conn.prepare_cached("PRAGMA page_count").map_err(Attempt::Whole)?;
            room.follow(page_count.query_row([], |row| row.get(0)).map_err(Attempt::Whole)?);
        }
        if let Some(pages) = self.room.as_ref().map(|room| room.pages()).filter(|&pages| pages != self.limit) {
            self.conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(Attempt::Whole)?;
            self.limit = pages;
        }
        queue::follow_clock(&tx)?;
        queue::let_time_pass(&mut tx)?;
        let mut answers = Vec::with_capacity(commits.len());
        for ops in commits {
            answers.push(apply_whole(&mut tx, ops)?);
        }
        tx.flush()?;
        drop(tx);
        self.failpoints.hit("commit.before").map_err(Attempt::Injected)?;
        let committed = self.conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        committed.map_err(Attempt::Whole)?;
        self.wrote = now;
        self.failpoints.hit("commit.after").map_err(Attempt::Injected)?;
        Ok(answers)
    }

    fn fail_all(&self, commits: usize, error: rusqlite::Error) -> Vec<Answer> {
        let text = error.to_string();
        let code = error.sqlite_error().copied();
        let again = || match code {
            Some(code) => rusqlite::Error::SqliteFailure(code, Some(text.clone())),
            None => rusqlite::Error::InvalidQuery,
        };
        (0..commits).map(|_| Err(Error::sqlite(&self.path, again()))).collect()
    }
}

/// Why a transaction was given up.
enum Attempt {
    /// An operation could not be applied.
    Apply(rusqlite::Error),
    /// The beginning or the commit itself failed, which is the same for all.
    Whole(rusqlite::Error),
    Injected(crate::Injected),
}

impl From<rusqlite::Error> for Attempt {
    fn from(error: rusqlite::Error) -> Attempt {
        Attempt::Apply(error)
    }
}

/// One commit as a whole. Every single operation checks before it writes, so that there is something to take back only
/// where one that can be refused follows one that writes. The mark for that is not free: after it, SQLite copies every page
/// that is changed once more.
fn apply_whole(tx: &mut Tx<'_>, ops: &[Op]) -> rusqlite::Result<Answer> {
    let last_refusable = ops.iter().rposition(may_be_refused).unwrap_or(0);
    let notes = tx.journal.mark();
    let mut mark = None;
    let mut results = Vec::with_capacity(ops.len());
    for (at, op) in ops.iter().enumerate() {
        if mark.is_none() && at < last_refusable && writes(op) {
            mark = Some(tx.mark()?);
        }
        match apply_one(tx, op) {
            Ok(result) => results.push(result),
            Err(Fail::Sql(error)) => return Err(error),
            Err(Fail::Refused(refusal)) => {
                if let Some(mark) = mark {
                    tx.take_back(mark)?;
                }
                tx.journal.take_back(notes);
                return Ok(Err(Error::Refused { op: at, refusal }));
            }
        }
    }
    if let Some(mark) = mark {
        tx.keep(mark)?;
    }
    Ok(Ok(results))
}

/// Whether a commit does nothing but bring new messages.
fn only_brings(ops: &[Op]) -> bool {
    !ops.is_empty() && ops.iter().all(|op| matches!(op, Op::Queue(queue::Op::Send { .. })))
}

/// Whether an operation has a precondition. Those without one fail only with the database, and then the transaction does.
fn may_be_refused(op: &Op) -> bool {
    !matches!(op, Op::Journal(_) | Op::Ledger(_) | Op::Agreement(_) | Op::Audit(_) | Op::Deadline(_) | Op::Outage(_))
}

/// Whether an operation changes a page when it is applied; notes are only gathered then.
fn writes(op: &Op) -> bool {
    !matches!(op, Op::Journal(_) | Op::Lease(leases::Op::Fence { .. }))
}

fn apply_one(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Lease(op) => leases::apply(tx, op),
        Op::Run(op) => runs::apply(tx, op),
        Op::Cursor(op) => cursors::apply(tx, op),
        Op::Ledger(op) => ledger::apply(tx, op),
        Op::Agreement(op) => agreements::apply(tx, op),
        Op::DeadLetter(op) => dead_letters::apply(tx, op),
        Op::Queue(op) => queue::apply(tx, op),
        Op::Pause(op) => pauses::apply(tx, op),
        Op::Away(op) => away::apply(tx, op),
        Op::Look(op) => looks::apply(tx, op),
        Op::Outage(op) => outages::apply(tx, op),
        Op::Unheard(op) => unheard::apply(tx, op),
        Op::Approval(op) => approvals::apply(tx, op),
        Op::Alert(op) => alerts::apply(tx, op),
        Op::Deadline(op) => deadlines::apply(tx, op),
        Op::Secret(op) => secrets::apply(tx, op),
        Op::Journal(op) => crate::journal::apply(tx, op),
        Op::Audit(op) => audit::apply(tx, op),
        Op::Retry(op) => retries::apply(tx, op),
        Op::Definition(op) => definitions::apply(tx, op),
        Op::Forget(op) => forget::apply(tx, op),
        Op::Flow(op) => crate::flows::apply(tx, op),
        Op::User(op) => users::apply(tx, op),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Message, Op as QueueOp, Settings};

    fn send(id: &str, bytes: usize) -> Vec<Op> {
        let message = Message { id: id.into(), body: vec![7; bytes], ..Message::default() };
        vec![QueueOp::Send { queue: "q".into(), messages: vec![message.into()] }.into()]
    }

    fn ready(core: &Core) -> (i64, i64) {
        let ready = queue::counts(&core.conn, "q").unwrap().unwrap().ready as i64;
        (ready, core.conn.query_row("SELECT count(*) FROM body", [], |row| row.get(0)).unwrap())
    }

    #[test]
    fn a_full_disk_costs_only_what_does_not_fit() {
        let dir = tempfile::tempdir().unwrap();
        let busy = std::time::Duration::from_secs(1);
        let path = file::prepare(dir.path(), busy).unwrap();
        let mut core = Core::open(&path, Failpoints::off(), busy).unwrap();
        let put: Op = QueueOp::Put { queue: "q".into(), settings: Settings::default() }.into();
        core.apply(0, &[&[put]]).pop().unwrap().unwrap();

        let pages: i64 = core.conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        core.conn.pragma_update_and_check(None, "max_page_count", pages + 8, |_| Ok(())).unwrap();
        // Three commits of one group, of which the middle one is too big for the disk.
        let group = [send("a", 100), send("b", 1 << 20), send("c", 100)];
        let answers = core.apply(1, &group.each_ref().map(|ops| &**ops));
        let fates: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(fates, [true, false, true], "{answers:?}");
        let error = answers.into_iter().nth(1).unwrap().unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }) && !error.effect_is_unknown(), "{error:?}");
        assert_eq!(ready(&core), (2, 2));

        core.conn.pragma_update_and_check(None, "max_page_count", 1 << 20, |_| Ok(())).unwrap();
        assert!(core.apply(2, &[&send("b", 1 << 20)])[0].is_ok());
        assert_eq!(ready(&core), (3, 3));
    }

    #[test]
    fn a_refused_commit_does_not_hinder_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        let busy = std::time::Duration::from_secs(1);
        let path = file::prepare(dir.path(), busy).unwrap();
        let mut core = Core::open(&path, Failpoints::off(), busy).unwrap();
        let put: Op = QueueOp::Put { queue: "q".into(), settings: Settings::default() }.into();
        let stale: Op = leases::Op::Fence { name: "nobody".into(), epoch: leases::Epoch(1) }.into();
        let refused = [send("b", 10), vec![stale]].concat();
        let group = [vec![put], send("a", 10), refused, send("c", 10)];
        let answers = core.apply(1, &group.each_ref().map(|ops| &**ops));
        assert!(matches!(answers[2], Err(Error::Refused { op: 1, .. })), "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
        assert_eq!(ready(&core), (2, 2));
    }
}
