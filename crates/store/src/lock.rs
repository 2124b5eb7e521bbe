//! One `up` for each folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::Error;

/// Whoever only looks holds the lock for less than this.
const LOOK: Duration = Duration::from_millis(100);

/// Held for as long as this process is the folder's `up`. The operating system frees it when the process ends, however
/// it ends, so a dead holder never stands in the way.
#[derive(Debug)]
pub struct UpLock {
    _file: File,
    path: PathBuf,
}

impl UpLock {
    pub(crate) fn take(dir: &Path) -> Result<UpLock, Error> {
        let path = dir.join("up.lock");
        let io = |source| Error::Folder { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        let locked = file.try_lock().or_else(|taken| match taken {
            TryLockError::WouldBlock => {
                std::thread::sleep(LOOK);
                file.try_lock()
            }
            error => Err(error),
        });
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::UpIsRunning { dir: dir.to_owned(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(io)?;
        Ok(UpLock { _file: file, path })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Since when somebody is the `up` of the project that keeps its state in this folder; nothing where nobody is. `Some`
/// where the machine does not tell.
pub fn up_since(dir: &Path) -> Option<SystemTime> {
    let file = File::open(dir.join("up.lock")).ok()?;
    match file.try_lock_shared() {
        // Nobody has it; ours is gone with the file. The process that it names may be another one after a restart.
        Ok(()) => None,
        // It was written once, when that process began.
        Err(_) => file.metadata().and_then(|about| about.modified()).ok().or(Some(SystemTime::UNIX_EPOCH)),
    }
}

/// The process that the lock file names. `None` where the system does not let us read a locked file.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
