//! The one thread that writes: it takes whatever commits have gathered and gives them one sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};

use crate::core::{Answer, Core};
use crate::op::Op;
use crate::time::{Clock, to_ms};
use crate::{Error, journal};

/// More commits than this do not wait for the disk at once.
const WAITING_MAX: usize = 65_536;
/// At most this many commits share a transaction, so that the first of them does not wait for too long.
const GROUP_MAX: usize = 1024;
/// Where as many write at once, a group is given time to gather, so that more of them share what every transaction costs,
/// however small it is.
const MANY: usize = 8;
/// It gathers for so long at most, and only until a third of them is there: meanwhile the others keep the rest of the process
/// busy, and are the next group.
const GATHERS: Duration = Duration::from_micros(300);
/// What is due and could not be written is tried again after so long.
const REST: Duration = Duration::from_secs(1);

/// What the writing thread shares with those who hand it work.
pub(crate) struct Writer {
    pending: Mutex<Pending>,
    arrived: Condvar,
    /// Held by the writer during a transaction, by the checkpointer for the short rest of a checkpoint.
    pub gate: Mutex<()>,
    /// Pages in the write-ahead log.
    pub log_pages: AtomicU32,
    /// A commit found no room on the disk, and the log was not copied as a whole since. Until it is, that is tried after
    /// every commit, so that the first room there is does not go to a log that grows.
    pub wants_room: AtomicBool,
    commits: watch::Sender<u64>,
}

#[derive(Default)]
struct Pending {
    commits: Vec<Commit>,
    /// The writer is woken when there are as many.
    wanted: usize,
    closed: bool,
}

struct Commit {
    ops: Vec<Op>,
    answer: oneshot::Sender<Answer>,
}

impl Writer {
    pub fn new() -> Arc<Writer> {
        Arc::new(Writer {
            pending: Mutex::default(),
            arrived: Condvar::new(),
            gate: Mutex::new(()),
            log_pages: AtomicU32::new(0),
            wants_room: AtomicBool::new(false),
            commits: watch::Sender::new(0),
        })
    }

    /// Hands a commit in; the receiver gets its answer once it is on disk.
    pub fn submit(&self, mut ops: Vec<Op>) -> Result<oneshot::Receiver<Answer>, Error> {
        for op in &mut ops {
            if let Op::Journal(journal) = op {
                let noted = std::mem::replace(journal, journal::Op::Note(Vec::new()));
                *journal = noted.packed();
            }
        }
        let (answer, receiver) = oneshot::channel();
        let mut pending = self.pending.lock();
        if pending.closed {
            return Err(Error::Closed);
        }
        if pending.commits.len() >= WAITING_MAX {
            return Err(Error::Overloaded { waiting: pending.commits.len() });
        }
        pending.commits.push(Commit { ops, answer });
        let enough = pending.commits.len() == pending.wanted.max(1);
        drop(pending);
        if enough {
            self.arrived.notify_one();
        }
        Ok(receiver)
    }

    /// Counts up with every transaction that this process wrote.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// No more commits; those that were handed in are still written.
    pub fn close(&self) {
        self.pending.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Starts the thread. It ends after [`Writer::close`], and `core` with it.
    pub fn start(
        self: &Arc<Writer>,
        mut core: Core,
        clock: Clock,
        timers: bool,
        after: impl Fn() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let writer = Arc::clone(self);
        let pages = Arc::clone(self);
        std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            // Between two waits for the disk it works for less than a millisecond, and everybody waits for it. Where the
            // kernel knows nothing of that, it is as slow as before.
            let _ = scheduling::take_turns_of(scheduling::SHORTEST);
            let hook = move |_: &mut rusqlite::hooks::Wal, now: i32| {
                pages.log_pages.store(now.max(0) as u32, Ordering::Relaxed);
                Ok(())
            };
            // Without the hook checkpoints come late, which costs space and nothing else.
            let _ = core.conn.wal_hook(Some(hook));
            let (mut rest, mut last) = (Duration::ZERO, 0);
            while let Some(group) = writer.next(&core, &clock, timers, rest, last) {
                last = group.len();
                rest = writer.write(&mut core, &clock, group);
                after();
            }
        })
    }

    /// The next commits to write; none, but awake, when something is due by itself, and not before `rest` is over. Ends
    /// when closed and empty.
    fn next(&self, core: &Core, clock: &Clock, timers: bool, rest: Duration, last: usize) -> Option<Vec<Commit>> {
        let mut pending = self.pending.lock();
        // Those of the last group come back, and those who came while it was written are here.
        let active = last + pending.commits.len();
        pending.wanted = active / 3;
        if active >= MANY && pending.commits.len() < pending.wanted && !pending.closed {
            self.arrived.wait_for(&mut pending, GATHERS);
        }
        pending.wanted = 1;
        loop {
            if !pending.commits.is_empty() {
                return Some(take(&mut pending));
            }
            if pending.closed {
                return None;
            }
            let wait = if timers { MutexGuard::unlocked(&mut pending, || until_due(core, clock)) } else { None };
            let wait = wait.map(|wait| wait.max(rest));
            if !pending.commits.is_empty() || pending.closed {
                continue;
            }
            match wait {
                Some(Duration::ZERO) => return Some(Vec::new()),
                Some(wait) => {
                    if self.arrived.wait_for(&mut pending, wait).timed_out() && !rest.is_zero() {
                        return Some(Vec::new());
                    }
                }
                None => self.arrived.wait(&mut pending),
            }
        }
    }

    /// Says how long to rest before something that is due is tried again by itself.
    fn write(&self, core: &mut Core, clock: &Clock, group: Vec<Commit>) -> Duration {
        let mut rest = Duration::ZERO;
        let gate = self.gate.lock();
        let now = to_ms(clock.now());
        if group.is_empty() {
            // A failure here shows again with the next commit, to somebody who can be told. Until then nobody else is
            // kept from the file by tries of ours.
            if core.tick(now).is_err() {
                rest = REST;
            }
        } else {
            let ops: Vec<&[Op]> = group.iter().map(|commit| &*commit.ops).collect();
            let answers = core.apply(now, &ops);
            if answers.iter().any(|answer| matches!(answer, Err(Error::DiskFull { .. }))) {
                self.wants_room.store(true, Ordering::Relaxed);
            }
            for (commit, answer) in group.into_iter().zip(answers) {
                // Whoever does not wait any more has dropped its end; the commit stands.
                let _ = commit.answer.send(answer);
            }
        }
        MutexGuard::unlock_fair(gate);
        self.commits.send_modify(|commits| *commits += 1);
        rest
    }
}

fn take(pending: &mut Pending) -> Vec<Commit> {
    if pending.commits.len() <= GROUP_MAX {
        return std::mem::take(&mut pending.commits);
    }
    let rest = pending.commits.split_off(GROUP_MAX);
    std::mem::replace(&mut pending.commits, rest)
}

/// How long nothing happens by itself. An hour at most, so that a clock that is set back is noticed.
fn until_due(core: &Core, clock: &Clock) -> Option<Duration> {
    const LONGEST: i64 = 3_600_000;
    let (due, now) = (core.next_due().ok().flatten()?, to_ms(clock.now()));
    let wait = if core.was_put_back(now) { 0 } else { due.saturating_sub(now).clamp(0, LONGEST) };
    Some(Duration::from_millis(wait as u64))
}
