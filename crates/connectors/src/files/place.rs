//! Where files lie: a folder here, on an SFTP server, or in a bucket.

mod local;
mod objects;
mod sftp;

use std::fs::File;
use std::io::Seek;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use record::{BoxFuture, Fault, Health, Options};

pub(super) use self::local::is_still;
use super::{fault, passing};

/// A place that can be opened as often as it is needed.
pub(super) trait Place: Send + Sync {
    /// Connects. *Errors*: not reachable, not permitted, not the server that it should be.
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Folder>, Fault>>;

    /// Waits until no other program of this machine writes there, and keeps them out for as long as the answer is held.
    /// Nothing where that cannot be told: then nobody else may write there.
    fn alone(&self) -> BoxFuture<'_, Option<File>> {
        Box::pin(std::future::ready(None))
    }

    /// Where it is, for people.
    fn shown(&self) -> String;

    /// Whether files can be put there; `None` where only putting one tells.
    fn takes_files(&self) -> Option<bool> {
        None
    }
}

/// An open folder. Dropping it ends the connection. Folders in it have names without a slash at their ends; the folder
/// itself is the empty one.
pub(super) trait Folder: Send + Sync {
    /// The files in a folder, not those below it. *Shape*: in no order. A folder in it that is not there is empty.
    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, Fault>>;

    /// The file as it is listed. *Errors*: it has changed since (transient), or is gone (`None`).
    fn fetch<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<Option<Fetched>, Fault>>;

    /// Gives the file another folder and name; makes the folder if need be. What had that name before is replaced.
    fn rename<'a>(&'a self, entry: &'a Entry, folder: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), Fault>>;

    /// Writes a file of the folder itself. Whoever looks finds the one before or this one, never a part of it; where that
    /// takes two steps, what was there before lies beside it as `.NAME.old` between the two.
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), Fault>>;

    fn delete<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Fault>>;

    /// What it says of itself.
    fn health(&self) -> BoxFuture<'_, Result<Health, Fault>>;
}

/// A file in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub folder: String,
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// In milliseconds since 1970.
    pub modified: i64,
}

/// A file that can be read here and now.
pub(super) struct Fetched {
    /// At its beginning. What came from elsewhere has no name here: it is gone with the process.
    pub file: File,
    /// Of its bytes, where they went through our hands on their way here.
    pub hash: Option<u64>,
    /// It is the file itself, which others may go on writing.
    pub watched: bool,
}

/// Makes a place of `connection:`.
///
/// *Errors*: an address that makes no sense, or a kind of place that is not there.
pub(super) fn of(system: &str, options: &Options) -> Result<Arc<dyn Place>, Fault> {
    let timeout = options.duration("timeout").unwrap_or(Duration::from_secs(30));
    let wrong = |what: &str, fix: &str| Err(fault::settings(system, what, fix));
    let url = match (options.text("folder"), options.text("url")) {
        (Some(folder), None) => {
            return Ok(Arc::new(local::Place { system: system.to_owned(), folder: PathBuf::from(folder) }));
        }
        (None, Some(url)) => url,
        (Some(_), Some(_)) => {
            return wrong("`connection:` names a folder and an address", "leave `folder:` or `url:` out");
        }
        (None, None) => {
            return wrong(
                "`connection:` does not say where the files are",
                "add `folder:` for a folder of this machine, or `url:` for another place",
            );
        }
    };
    match url.split_once("://") {
        Some(("sftp", rest)) => sftp::place(system, rest, options, timeout),
        Some(("s3", rest)) => objects::s3(system, rest, options, timeout),
        Some(("azure", rest)) => objects::azure(system, rest, options, timeout),
        Some(("file", rest)) => Ok(Arc::new(local::Place { system: system.to_owned(), folder: PathBuf::from(rest) })),
        Some((other, _)) => wrong(
            &format!("`{other}://` is no place that files are fetched from"),
            "use `sftp://`, `s3://` or `azure://`, or `folder:` for a folder of this machine",
        ),
        None => wrong(
            "`url:` has no `://`",
            "write for example `url: \"sftp://files.supplier.example/out\"`; a folder of this machine is `folder: data/in`",
        ),
    }
}

/// A name that a server may have given to a file of a folder.
fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

impl Fetched {
    /// The hash of its first bytes; it is at its beginning again after this. Blocks.
    pub fn hash_of(&mut self, bytes: u64) -> std::io::Result<u64> {
        let hash = passing::hash(&mut self.file, bytes)?;
        self.file.rewind()?;
        Ok(hash)
    }

    /// The hash of all its bytes. Blocks.
    pub fn hash(&mut self) -> std::io::Result<u64> {
        let hash = match self.hash {
            Some(hash) => hash,
            None => self.hash_of(u64::MAX)?,
        };
        self.hash = Some(hash);
        Ok(hash)
    }
}

/// Runs blocking work beside the runtime. *Cancel*: the work goes on to its end, unseen.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
