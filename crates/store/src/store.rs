//! The handle that everybody holds.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::checkpointer::Checkpointer;
use crate::core::{Answer, Core};
use crate::file::{self, Role};
use crate::lock::UpLock;
use crate::op::{Op, OpResult};
use crate::room::Room;
use crate::time::Clock;
use crate::writer::Writer;
use crate::{Error, Failpoints};

/// How a store is opened. The default is what a hub wants.
#[derive(Debug, Clone)]
pub struct Options {
    pub failpoints: Failpoints,
    pub clock: Clock,
    /// How long a commit waits for another process that is writing.
    pub busy_timeout: Duration,
    /// Wake by itself when a message becomes due. A test that moves the clock by hand turns it off, and a command that
    /// has something else to do: what is due then becomes so with the next commit.
    pub timers: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            failpoints: Failpoints::off(),
            clock: Clock::system(),
            busy_timeout: Duration::from_secs(10),
            timers: true,
        }
    }
}

/// The durable state in one folder. Clones share it; when the last one is dropped, what was handed in is still written
/// and the file is closed.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// A commit that is being written.
#[must_use = "whether it was written is known once it is done"]
pub struct HandedIn(oneshot::Receiver<Answer>);

impl HandedIn {
    /// Its results, once they are on disk. *Errors*: as [`Store::commit`].
    pub async fn done(self) -> Result<Vec<OpResult>, Error> {
        self.0.await.unwrap_or(Err(Error::Closed))
    }
}

struct Inner {
    dir: PathBuf,
    path: PathBuf,
    options: Options,
    writer: Arc<Writer>,
    checkpointer: Arc<Checkpointer>,
    /// Of writing; none before the first commit, unless what is due has to happen by itself.
    threads: Mutex<Vec<JoinHandle<()>>>,
    begun: AtomicBool,
    readers: Mutex<Vec<Connection>>,
    /// Tells by its `data_version` whether any other connection, of whatever process, has written.
    watcher: Mutex<Option<Connection>>,
    /// Closed after every connection.
    room: Mutex<Option<Arc<Room>>>,
}

/// Connections for reading that are kept between reads.
const READERS_KEPT: usize = 4;

impl Store {
    /// Opens the state of a folder, and makes it when there is none.
    ///
    /// Several processes may have one folder open. *Errors*: no permission, a file that is not ours, damaged, or
    /// written by a newer version; in each case nothing was touched.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Store, Error> {
        let dir = dir.as_ref().to_owned();
        let path = file::prepare(&dir, options.busy_timeout)?;
        let reader = file::connect(&path, Role::Reader, options.busy_timeout)?;
        let timers = options.timers;
        let store = Store(Arc::new(Inner {
            dir,
            path,
            options,
            writer: Writer::new(),
            checkpointer: Arc::default(),
            threads: Mutex::default(),
            begun: AtomicBool::new(false),
            readers: Mutex::new(vec![reader]),
            watcher: Mutex::default(),
            room: Mutex::default(),
        }));
        if timers {
            store.begin()?;
        }
        Ok(store)
    }

    /// Starts the threads of writing, unless they run. Whoever only reads does without them, and hinders nobody.
    fn begin(&self) -> Result<(), Error> {
        let Inner { dir, path, options, writer, checkpointer, threads, begun, room, .. } = &*self.0;
        if begun.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut threads = threads.lock();
        if !threads.is_empty() {
            return Ok(());
        }
        let mut core = Core::open(path, options.failpoints.clone(), options.busy_timeout)?;
        let pages = core.conn.pragma_query_value(None, "page_count", |row| row.get(0));
        let reserved = pages.ok().and_then(|pages| Room::open(path, pages)).map(Arc::new);
        if let Some(reserved) = &reserved {
            core.keep_to(Arc::clone(reserved));
        }
        room.lock().clone_from(&reserved);
        let checkpoints = checkpointer.start(path, options.busy_timeout, Arc::clone(writer), reserved)?;
        let after = {
            let (checkpointer, writer) = (Arc::clone(checkpointer), Arc::clone(writer));
            move || checkpointer.nudge(&writer)
        };
        threads.push(checkpoints);
        let writes = writer.start(core, options.clock.clone(), options.timers, after);
        threads.push(writes.map_err(|source| {
            writer.close();
            Error::Folder { path: dir.clone(), source }
        })?);
        begun.store(true, Ordering::Release);
        Ok(())
    }

    /// Applies all operations or none, and answers when they are on disk, one result for each operation.
    ///
    /// *Errors*: [`Error::Refused`] names the operation whose precondition did not hold; nothing was changed then.
    /// *Cancel*: dropping the future does not take the commit back; it may or may not be written.
    pub async fn commit(&self, ops: Vec<Op>) -> Result<Vec<OpResult>, Error> {
        self.hand_in(ops)?.done().await
    }

    /// As [`Store::commit`], without waiting: commits are written in the order in which they are handed in, though one that
    /// fails does not keep those behind it back.
    pub fn hand_in(&self, ops: Vec<Op>) -> Result<HandedIn, Error> {
        self.begin()?;
        self.0.writer.submit(ops).map(HandedIn)
    }

    /// [`Store::commit`] for a thread without a runtime. Panics on a runtime's thread, which it would block.
    pub fn commit_blocking(&self, ops: Vec<Op>) -> Result<Vec<OpResult>, Error> {
        self.begin()?;
        self.0.writer.submit(ops)?.blocking_recv().unwrap_or(Err(Error::Closed))
    }

    /// Commits one operation and answers its result.
    pub async fn commit_one(&self, op: impl Into<Op>) -> Result<OpResult, Error> {
        let mut results = self.commit(vec![op.into()]).await?;
        Ok(results.pop().expect("one operation has one result"))
    }

    /// Counts up with every transaction that this process has written; wakes whoever waits for work.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.writer.watch()
    }

    /// Changes whenever anybody, in whatever process, has written. A look costs microseconds; use it to notice other
    /// processes, and [`Store::watch`] for this one.
    pub fn data_version(&self) -> Result<u64, Error> {
        let mut watcher = self.0.watcher.lock();
        let conn = match &mut *watcher {
            Some(conn) => conn,
            none => none.insert(file::connect(&self.0.path, Role::Checkpointer, self.0.options.busy_timeout)?),
        };
        let version = conn.prepare_cached("PRAGMA data_version").and_then(|mut s| s.query_row([], |row| row.get(0)));
        version.map(|version: i64| version as u64).map_err(|error| Error::sqlite(&self.0.path, error))
    }

    /// Becomes this folder's `up`, until the lock is dropped. *Errors*: another process is, and which.
    pub fn lock_up(&self) -> Result<UpLock, Error> {
        UpLock::take(&self.0.dir)
    }

    /// Whether somebody is this folder's `up`, as far as that can be seen from outside.
    pub fn is_up(&self) -> bool {
        crate::lock::up_since(&self.0.dir).is_some()
    }

    /// Puts a page on the disk that holds the state, and takes it away again: whether a commit would find room.
    pub fn probe_disk(&self) -> Result<(), Error> {
        let path = self.0.dir.join("ready.probe");
        let probed = std::fs::File::create(&path).and_then(|mut file| {
            file.write_all(&[0; 4096])?;
            file.sync_data()
        });
        let _ = std::fs::remove_file(&path);
        probed.map_err(|source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::DiskFull { path: self.0.path.clone() },
            _ => Error::Folder { path: self.0.dir.clone(), source },
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The clock and the failpoints that the store was opened with, for those who work beside it.
    pub fn clock(&self) -> &Clock {
        &self.0.options.clock
    }

    pub fn failpoints(&self) -> &Failpoints {
        &self.0.options.failpoints
    }

    /// Works on a connection that is closed afterwards, outside of any transaction of the writer.
    pub(crate) fn with_own_connection<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let conn = file::connect(&self.0.path, Role::Writer, self.0.options.busy_timeout)?;
        work(&conn).map_err(|error| Error::sqlite(&self.0.path, error))
    }

    /// Reads in one snapshot. The connection is this call's own, so a long read hinders nobody.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let wrap = |error| Error::sqlite(&self.0.path, error);
        let kept = self.0.readers.lock().pop();
        let conn = match kept {
            Some(conn) => conn,
            None => file::connect(&self.0.path, Role::Reader, self.0.options.busy_timeout)?,
        };
        conn.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([])).map_err(wrap)?;
        let result = read(&conn).map_err(wrap);
        let ended = conn.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
        let mut readers = self.0.readers.lock();
        if ended.is_ok() && readers.len() < READERS_KEPT {
            readers.push(conn);
        }
        result
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.0.path.display())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.writer.close();
        self.checkpointer.close();
        for thread in self.threads.get_mut().drain(..) {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
