//! Moves pages from the write-ahead log into the file, beside the commits instead of inside them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::Error;
use crate::file::{self, Role};
use crate::writer::Writer;

/// A checkpoint begins when the log has this many pages: 16 MB.
const LOG_PAGES: u32 = 1000;

/// Wakes and stops the checkpointing thread.
#[derive(Default)]
pub(crate) struct Checkpointer {
    asked: Mutex<bool>,
    wake: Condvar,
    closed: AtomicBool,
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own.
    pub fn start(
        self: &Arc<Checkpointer>,
        path: &Path,
        busy: Duration,
        writer: Arc<Writer>,
    ) -> Result<JoinHandle<()>, Error> {
        let conn = file::connect(path, Role::Checkpointer, busy)?;
        let this = Arc::clone(self);
        let thread = std::thread::Builder::new().name("store-checkpoint".into());
        let folder = |source| Error::Folder { path: path.to_owned(), source };
        thread.spawn(move || this.work(&conn, &writer)).map_err(folder)
    }

    /// Asks for a checkpoint if the log has grown enough. Cheap; called after every transaction.
    pub fn nudge(&self, writer: &Writer) {
        if writer.log_pages.load(Ordering::Relaxed) >= LOG_PAGES {
            *self.asked.lock() = true;
            self.wake.notify_one();
        }
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        *self.asked.lock() = true;
        self.wake.notify_one();
    }

    fn work(&self, conn: &Connection, writer: &Writer) {
        loop {
            let mut asked = self.asked.lock();
            while !*asked {
                self.wake.wait(&mut asked);
            }
            *asked = false;
            drop(asked);
            if self.closed.load(Ordering::Relaxed) {
                return;
            }
            // Most of it while commits go on. Then the small rest with the writer at rest, so that the log is wholly
            // copied and the next commit starts again at its beginning: a log that is overwritten is twice as fast as
            // one that grows. A failure leaves the log longer; the next nudge tries again.
            if checkpoint(conn).is_ok() {
                let _gate = writer.gate.lock();
                if checkpoint(conn).is_ok_and(|(all, done)| all == done) {
                    writer.log_pages.store(0, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Pages in the log, and how many of them the file has now.
fn checkpoint(conn: &Connection) -> rusqlite::Result<(i32, i32)> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))
}
