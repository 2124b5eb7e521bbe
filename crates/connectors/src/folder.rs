//! What a folder of this machine allows, asked without changing anything in it.

use std::path::Path;

/// Whether files may be made in this folder.
#[cfg(unix)]
pub(crate) fn takes_files(folder: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
pub(crate) fn takes_files(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|data| !data.permissions().readonly())
}
