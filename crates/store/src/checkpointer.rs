//! Moves pages from the write-ahead log into the file, and gives space back, beside the commits instead of inside them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::Error;
use crate::file::{self, Role};
use crate::room::Room;
use crate::writer::Writer;

/// A checkpoint begins when the log has this many pages: 16 MB.
const LOG_PAGES: u32 = 1000;
/// The rest of a checkpoint, for which commits wait, is to be this small; unless it does not get there in a few passes.
const REST_PAGES: u32 = 50;
const PASSES_MAX: u32 = 4;
/// Space is given back when so many pages are free (32 MB) and they are more than half of the file.
const FREE_PAGES: i64 = 2000;
/// Pages that are given back at once, while the writer rests.
const VACUUM_PAGES: i64 = 256;
/// Nothing was written for so long: a good time to look for space.
const QUIET: Duration = Duration::from_millis(500);

/// Wakes and stops the checkpointing thread.
#[derive(Default)]
pub(crate) struct Checkpointer {
    asked: Mutex<Asked>,
    wake: Condvar,
}

#[derive(Default)]
struct Asked {
    checkpoint: bool,
    /// Something was written since the thread last looked for space.
    written: bool,
    closed: bool,
}

enum Work {
    Checkpoint,
    Space,
    Close,
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own.
    pub fn start(
        self: &Arc<Checkpointer>,
        path: &Path,
        busy: Duration,
        writer: Arc<Writer>,
        room: Option<Arc<Room>>,
    ) -> Result<JoinHandle<()>, Error> {
        let conn = file::connect(path, Role::Checkpointer, busy)?;
        let this = Arc::clone(self);
        let thread = std::thread::Builder::new().name("store-checkpoint".into());
        let folder = |source| Error::Folder { path: path.to_owned(), source };
        thread.spawn(move || this.work(&conn, &writer, room.as_deref())).map_err(folder)
    }

    /// Something was written. Cheap; called after every transaction.
    pub fn nudge(&self, writer: &Writer) {
        let mut asked = self.asked.lock();
        let is_long = writer.log_pages.load(Ordering::Relaxed) >= LOG_PAGES;
        let checkpoint = !asked.checkpoint && (is_long || writer.wants_room.load(Ordering::Relaxed));
        let wake = checkpoint || !asked.written;
        asked.checkpoint |= checkpoint;
        asked.written = true;
        if wake {
            self.wake.notify_one();
        }
    }

    pub fn close(&self) {
        self.asked.lock().closed = true;
        self.wake.notify_one();
    }

    fn work(&self, conn: &Connection, writer: &Writer, room: Option<&Room>) {
        loop {
            match self.next() {
                Work::Checkpoint => checkpoint_and_rewind(conn, writer, room),
                Work::Space => while self.give_back(conn, writer, room).unwrap_or(false) {},
                Work::Close => return,
            }
        }
    }

    fn next(&self) -> Work {
        let mut asked = self.asked.lock();
        loop {
            if asked.closed {
                return Work::Close;
            }
            if std::mem::take(&mut asked.checkpoint) {
                return Work::Checkpoint;
            }
            if !asked.written {
                self.wake.wait(&mut asked);
            } else if self.wake.wait_for(&mut asked, QUIET).timed_out() && std::mem::take(&mut asked.written) {
                return Work::Space;
            }
        }
    }

    /// Gives a little space back. `false`: there is none worth it, or somebody writes again.
    fn give_back(&self, conn: &Connection, writer: &Writer, room: Option<&Room>) -> rusqlite::Result<bool> {
        let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (free, all) = (number("freelist_count")?, number("page_count")?);
        if free < FREE_PAGES || free * 2 < all {
            return Ok(false);
        }
        {
            let _gate = writer.gate.lock();
            conn.execute_batch(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
        }
        // The file gets shorter when the log is copied.
        if free - VACUUM_PAGES < FREE_PAGES || (free / VACUUM_PAGES) % 8 == 0 {
            checkpoint_and_rewind(conn, writer, room);
        }
        let asked = self.asked.lock();
        Ok(!asked.written && !asked.closed)
    }
}

/// Most of it while commits go on; then the small rest with the writer at rest, so that the log is wholly copied and the
/// next commit starts again at its beginning: a log that is overwritten is twice as fast as one that grows.
///
/// A failure leaves the log longer; the next nudge tries again.
fn checkpoint_and_rewind(conn: &Connection, writer: &Writer, room: Option<&Room>) {
    for _ in 0..PASSES_MAX {
        let Ok((_, done)) = checkpoint(conn, room) else { break };
        // What was written during a long pass is copied by a shorter one.
        if writer.log_pages.load(Ordering::Relaxed).saturating_sub(done.max(0) as u32) <= REST_PAGES {
            break;
        }
    }
    let _gate = writer.gate.lock();
    if checkpoint(conn, room).is_ok_and(|(all, done)| all == done) {
        writer.log_pages.store(0, Ordering::Relaxed);
        writer.wants_room.store(false, Ordering::Relaxed);
    }
}

/// Pages in the log, and how many of them the file has now.
fn checkpoint(conn: &Connection, room: Option<&Room>) -> rusqlite::Result<(i32, i32)> {
    let copied = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)));
    if let (Some(room), Ok(pages)) = (room, conn.pragma_query_value(None, "page_count", |row| row.get(0))) {
        room.take_again(pages);
    }
    copied
}
