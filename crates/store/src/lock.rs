//! One `up` for each folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::Error;

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
        match file.try_lock() {
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

/// Whether the process that was the folder's `up` last is there, without touching its lock. `true` where the machine does
/// not tell.
pub(crate) fn is_up(dir: &Path) -> bool {
    let Ok(mut file) = File::open(dir.join("up.lock")) else { return false };
    let processes = Path::new("/proc/self");
    match holder(&mut file) {
        Some(pid) if processes.exists() => processes.with_file_name(pid.to_string()).exists(),
        Some(_) => true,
        None => !processes.exists(),
    }
}

/// The process that the lock file names. `None` where the system does not let us read a locked file.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
