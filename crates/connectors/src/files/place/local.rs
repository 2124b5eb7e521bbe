//! A folder of this machine, or one that is mounted there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use record::{BoxFuture, Fault, Health};

use super::{Entry, Fetched, Folder, blocking, is_plain};
use crate::files::fault;
use crate::files::sink::beside;
use crate::folder::takes_files;

#[derive(Debug, Clone)]
pub(super) struct Place {
    pub system: String,
    pub folder: PathBuf,
}

impl super::Place for Place {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Folder>, Fault>> {
        Box::pin(async move { Ok(Box::new(self.clone()) as Box<dyn Folder>) })
    }

    /// By a lock of the folder itself, which leaves no file in it.
    fn alone(&self) -> BoxFuture<'_, Option<File>> {
        let folder = self.folder.clone();
        Box::pin(blocking(move || {
            let folder = File::open(folder).ok()?;
            folder.lock().ok().map(|()| folder)
        }))
    }

    fn takes_files(&self) -> Option<bool> {
        Some(takes_files(&self.folder))
    }

    fn shown(&self) -> String {
        self.folder.display().to_string()
    }
}

impl Place {
    fn path(&self, entry: &Entry) -> PathBuf {
        self.folder.join(&entry.folder).join(&entry.name)
    }

    fn failed(&self, path: &Path, doing: &str, error: &io::Error) -> Fault {
        let shown = path.display();
        match error.kind() {
            ErrorKind::NotFound => fault::no_folder(&self.system, &shown.to_string()),
            ErrorKind::NotADirectory => fault::no_folder(&self.system, &format!("{shown} (it is a file)")),
            ErrorKind::PermissionDenied => fault::not_permitted(&self.system, &format!("{doing} {shown}"), error),
            ErrorKind::StorageFull => {
                Fault::retry(record::Code("IB0514"), format!("there is no room left for {shown}"), None)
                    .at_system(&self.system)
                    .why(fault::words(error))
                    .fix("free space on that disk")
            }
            _ => fault::unreachable(&self.system, &shown.to_string(), error),
        }
    }
}

fn entry(folder: &str, name: &str, of: &fs::Metadata) -> Entry {
    let modified = of.modified().ok().map_or(0, |at| match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    });
    Entry { folder: folder.to_owned(), name: name.to_owned(), size: of.len(), modified }
}

fn list(folder: &Path, name: &str) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        // A name that is no Unicode cannot be written in a definition; a file may be gone again by now.
        let (Some(plain), Ok(metadata)) = (file.file_name().to_str().map(str::to_owned), fs::metadata(file.path()))
        else {
            continue;
        };
        if metadata.is_file() && is_plain(&plain) {
            found.push(entry(name, &plain, &metadata));
        }
    }
    Ok(found)
}

impl Folder for Place {
    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, Fault>> {
        Box::pin(async move {
            let path = if folder.is_empty() { self.folder.clone() } else { self.folder.join(folder) };
            let name = folder.to_owned();
            let listed = blocking({
                let path = path.clone();
                move || list(&path, &name)
            });
            match listed.await {
                Err(error) if error.kind() == ErrorKind::NotFound && !folder.is_empty() => Ok(Vec::new()),
                Err(error) => Err(self.failed(&path, "listing", &error)),
                Ok(found) => Ok(found),
            }
        })
    }

    fn fetch<'a>(&'a self, listed: &'a Entry) -> BoxFuture<'a, Result<Option<Fetched>, Fault>> {
        Box::pin(async move {
            let path = self.path(listed);
            let opened = blocking({
                let path = path.clone();
                move || -> io::Result<(File, Entry)> {
                    let file = File::open(&path)?;
                    let now = entry("", "", &file.metadata()?);
                    Ok((file, now))
                }
            });
            match opened.await {
                Ok((_, now)) if (now.size, now.modified) != (listed.size, listed.modified) => {
                    Err(fault::changed(&self.system, &listed.name))
                }
                Ok((file, _)) => Ok(Some(Fetched { file, hash: None, watched: true })),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.failed(&path, "reading", &error)),
            }
        })
    }

    fn rename<'a>(&'a self, entry: &'a Entry, folder: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let (from, into) = (self.path(entry), self.folder.join(folder));
            let to = into.join(name);
            let moved = blocking({
                let from = from.clone();
                move || {
                    fs::create_dir_all(&into)?;
                    fs::rename(&from, &to)
                }
            });
            moved.await.map_err(|error| self.failed(&from, "moving", &error))
        })
    }

    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let to = self.folder.join(name);
            let part = self.folder.join(beside(name, "part"));
            let put = blocking({
                let (to, folder) = (to.clone(), self.folder.clone());
                move || -> io::Result<()> {
                    let written = File::create(&part).and_then(|mut file| {
                        file.write_all(&bytes)?;
                        file.sync_all()
                    });
                    if let Err(error) = written {
                        // A disk that is full is not made fuller.
                        fs::remove_file(&part).ok();
                        return Err(error);
                    }
                    fs::rename(&part, &to)?;
                    // The name, too, is to be there after a power cut.
                    File::open(&folder)?.sync_all()
                }
            });
            put.await.map_err(|error| match error.kind() {
                ErrorKind::NotFound => self.failed(&self.folder, "writing into", &error),
                _ => self.failed(&to, "writing", &error),
            })
        })
    }

    fn delete<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let path = self.path(entry);
            let gone = blocking({
                let path = path.clone();
                move || fs::remove_file(&path)
            });
            gone.await.map_err(|error| self.failed(&path, "deleting", &error))
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async move { Ok(Health { version: "a folder".to_owned(), ..Health::default() }) })
    }
}

/// Whether an open file is still the one that was listed: for one that others may go on writing.
pub(in crate::files) fn is_still(file: &File, listed: &Entry) -> bool {
    file.metadata().is_ok_and(|now| {
        let now = entry("", "", &now);
        (now.size, now.modified) == (listed.size, listed.modified)
    })
}
