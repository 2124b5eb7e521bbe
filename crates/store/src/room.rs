//! Room on the disk that is the file's already, so that a full disk never hinders the copying of the log.
//!
//! What is committed stands in the write-ahead log first, and is copied into the file later. Could the file not grow then,
//! the log could not be written anew, and nothing could be committed any more: not even what would make room. So the blocks
//! behind the end of the file are reserved before pages for them are handed out, and no commit may make the file longer
//! than that. Where the disk is full, a commit that needs more fails; one that settles what waits uses pages that are free,
//! and its log is copied and written anew.
//!
//! Not every file system can reserve; there the file grows when it is written, as SQLite has it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use crate::file::PAGE_BYTES;

/// Pages that are reserved behind the last one: 1 MB. A commit that wants more at once has it reserved then.
const AHEAD: u32 = 64;
/// Only so much of what is free is taken: the log needs room as well.
const SHARE_OF_FREE: u64 = 4;
/// A file that is as close to its limit on a full disk takes nothing new, so that what waits can still be settled.
pub(crate) const KEPT_FOR_SETTLING: u32 = 32;

/// The files that this process has open for reserving. They stay open while any store has them: to close one would give up
/// the locks that SQLite has on the same file in this process.
static OPEN: LazyLock<Mutex<HashMap<PathBuf, Weak<File>>>> = LazyLock::new(Mutex::default);

/// The reserved room of one state file.
#[derive(Debug)]
pub(crate) struct Room {
    file: Arc<File>,
    /// Pages that the file may have.
    pages: AtomicU32,
    /// The disk gave less than was asked for.
    scarce: AtomicBool,
    reserving: Mutex<()>,
}

impl Room {
    /// *Errors*: none; where nothing can be reserved, there is no limit either.
    pub fn open(path: &Path, pages_now: u32) -> Option<Room> {
        let (file, pages, scarce) = (shared(path).ok()?, AtomicU32::new(pages_now), AtomicBool::new(false));
        let room = Room { file, pages, scarce, reserving: Mutex::default() };
        room.reserve(pages_now, AHEAD).ok()?;
        Some(room)
    }

    /// Pages that the file may have.
    pub fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Whether the disk had less room than the file should have ahead.
    pub fn is_scarce(&self) -> bool {
        self.scarce.load(Ordering::Relaxed)
    }

    /// Reserves more where the file has come close to what is reserved.
    pub fn follow(&self, pages_now: u32) {
        if self.pages() < pages_now + AHEAD / 2 {
            let _ = self.reserve(pages_now, AHEAD);
        }
    }

    /// A commit wanted more than was reserved: much more is, where the disk has it. Says whether there is more now.
    pub fn stretch(&self, pages_now: u32, tries: u32) -> bool {
        let before = self.pages();
        self.reserve(pages_now.max(before), AHEAD << (3 * tries + 3).min(20)).is_ok() && self.pages() > before
    }

    /// SQLite has cut the file off behind its last page, as it does when the whole log is copied, and what was reserved
    /// went with that: it is taken again before anybody else has it.
    pub fn take_again(&self, pages_now: u32) {
        let _guard = self.reserving.lock();
        let had = self.pages().saturating_sub(pages_now);
        let wanted = had.min(if self.is_scarce() { 4 * AHEAD } else { AHEAD });
        let _ = self.reserve_all(pages_now, wanted);
    }

    fn reserve(&self, pages_now: u32, ahead: u32) -> io::Result<()> {
        let _guard = self.reserving.lock();
        let free = free_bytes(&self.file)?;
        let affordable = u32::try_from(free / SHARE_OF_FREE / u64::from(PAGE_BYTES)).unwrap_or(u32::MAX);
        let more = ahead.min(affordable);
        let given = if pages_now + more > self.pages() { self.reserve_all(pages_now, more)? } else { more };
        self.scarce.store(given < ahead, Ordering::Relaxed);
        Ok(())
    }

    /// Or as much of it as the disk has. Says how much.
    fn reserve_all(&self, pages_now: u32, ahead: u32) -> io::Result<u32> {
        let length = self.file.metadata()?.len();
        let mut given = ahead;
        loop {
            let wanted = pages_now.saturating_add(given);
            let bytes = u64::from(wanted) * u64::from(PAGE_BYTES);
            let reserved = if bytes > length { allocate(&self.file, length, bytes - length) } else { Ok(()) };
            match reserved {
                Err(error) if is_full(&error) && given > 0 => given /= 2,
                Err(error) if !is_full(&error) => return Err(error),
                _ => {
                    self.pages.store(wanted, Ordering::Relaxed);
                    return Ok(given);
                }
            }
        }
    }
}

/// The file of a path, opened once in this process.
fn shared(path: &Path) -> io::Result<Arc<File>> {
    let path = path.canonicalize()?;
    let mut open = OPEN.lock();
    if let Some(file) = open.get(&path).and_then(Weak::upgrade) {
        return Ok(file);
    }
    let file = Arc::new(OpenOptions::new().read(true).write(true).open(&path)?);
    open.retain(|_, file| file.strong_count() > 0);
    open.insert(path, Arc::downgrade(&file));
    Ok(file)
}

/// A file that is open already in this process.
pub(crate) fn open_already(path: &Path) -> Option<Arc<File>> {
    OPEN.lock().get(&path.canonicalize().ok()?).and_then(Weak::upgrade)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    // Its length stays: SQLite takes the length of the file for what it has written.
    fallocate(file, FallocateFlags::KEEP_SIZE, from, bytes).map_err(io::Error::from)
}

#[cfg(target_os = "linux")]
fn free_bytes(file: &File) -> io::Result<u64> {
    let disk = rustix::fs::fstatvfs(file)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn free_bytes(_: &File) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_room_ahead_and_keeps_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        std::fs::write(&path, vec![1; 3 * PAGE_BYTES as usize]).unwrap();
        // Where the file system of the tests cannot reserve, there is nothing to look at.
        let Some(room) = Room::open(&path, 3) else { return };
        assert_eq!((room.pages(), room.is_scarce()), (3 + AHEAD, false));
        room.follow(3 + AHEAD / 2);
        assert_eq!(room.pages(), 3 + AHEAD, "there is enough");
        room.follow(4 + AHEAD / 2);
        assert_eq!(room.pages(), 4 + AHEAD / 2 + AHEAD);
        assert!(room.stretch(50, 0) && room.pages() > 50 + 8 * AHEAD);
        room.take_again(2);
        assert_eq!(room.pages(), 2 + AHEAD);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3 * u64::from(PAGE_BYTES));
        assert!(open_already(&path).is_some());
        drop(room);
        assert!(open_already(&path).is_none());
    }
}
