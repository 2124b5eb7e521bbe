//! Reading files: chosen, fetched, and read one after the other.

use std::collections::HashSet;
use std::sync::Arc;

use record::{BoxFuture, Column, Fault, Key, Page, ReadKind, ReadSpec, Reader, Row, Schema, Source};
use tokio::sync::mpsc;

use super::choose::{self, Listed, Step};
use super::cursor::{Cursor, Known};
use super::fault;
use super::pager::{self, Ended, LATEST_MAX, Latest, Read};
use super::place::{Entry, Fetched, Folder, Place, blocking};
use super::settings::{Afterwards, Settings};
use crate::sql::pages::{Pages, Told};

pub(super) struct Files {
    system: String,
    place: Arc<dyn Place>,
    spec: Arc<ReadSpec>,
    settings: Arc<Settings>,
}

/// Files of one name in a folder; more than this are not looked through at each read.
const FILES_MAX: usize = 20_000;

impl Files {
    /// *Errors*: a `Stop` where the definition asks for what cannot be.
    pub fn new(system: &str, place: Arc<dyn Place>, spec: ReadSpec) -> Result<Files, Fault> {
        let settings = Arc::new(Settings::of(system, &spec)?);
        Ok(Files { system: system.to_owned(), place, spec: Arc::new(spec), settings })
    }

    fn schema(&self) -> Arc<Schema> {
        let column = |name: &String| {
            let declared = self.spec.declared.iter().find(|(declared, _)| declared == name).map(|(_, ty)| ty);
            Column { name: name.as_str().into(), ty: self.settings.format.column(declared) }
        };
        Schema::new(self.spec.columns.iter().map(column).collect())
    }

    async fn list(&self, folder: &dyn Folder) -> Result<Vec<Entry>, Fault> {
        let here = folder.list("").await?;
        if here.len() > FILES_MAX {
            return Err(fault::settings(
                &self.system,
                &format!("{} has {} files", self.place.shown(), here.len()),
                "have files that were read moved away: `afterwards: move to done/`",
            ));
        }
        Ok(here)
    }

    async fn start(&self, cursor: Option<Cursor>) -> Result<Box<dyn Reader>, Fault> {
        let settings = &self.settings;
        let folder: Arc<dyn Folder> = self.place.open().await?.into();
        let here = self.list(&*folder).await?;
        let looks_back = cursor.as_ref().is_none_or(|cursor| cursor.at.is_some());
        let done = match &settings.afterwards {
            Afterwards::Move(name) if looks_back => folder.list(name).await?,
            _ => Vec::new(),
        };
        let listed = Listed {
            system: &self.system,
            place: &self.place.shown(),
            here: &here,
            done: &done,
            now: jiff::Timestamp::now().as_millisecond(),
        };
        let mut steps = choose::choose(settings, cursor.as_ref(), &listed)?;
        let left = choose::left(settings, cursor.as_ref(), &listed);
        let known = cursor.is_some();
        let mut cursor = cursor.unwrap_or_default();
        cursor.forget(&here);
        let mut kind = ReadKind::Changes;
        let mut first = None;
        let mut repeated = false;
        if settings.whole
            && let Some(step) = steps.first()
        {
            let fetched = fetch(&self.system, &*folder, &step.entry).await?;
            let last = cursor.read.last().cloned().filter(|_| step.resume.is_none());
            let (fetched, same) = twin(&self.system, &step.entry, fetched, last.into_iter().collect()).await?;
            repeated = same.is_some();
            if let Some(entry) = same {
                cursor.done(entry, true);
                steps.clear();
            } else {
                let why = format!("`{}` has every row", step.entry.name);
                kind = ReadKind::Full { why: (known && step.resume.is_none()).then_some(why) };
                first = Some(fetched);
            }
        }
        let (out, receive) = mpsc::channel(1);
        let read = Read {
            system: self.system.clone(),
            spec: self.spec.clone(),
            settings: settings.clone(),
            schema: self.schema(),
            out,
            latest: Latest::default(),
        };
        let anew = !known && !settings.whole && steps.len() > 1 && !self.spec.key.is_empty();
        tokio::spawn(async move {
            let out = read.out.clone();
            let start = Told::Start { kind, schema: read.schema.clone() };
            let whole_read = async move {
                read.out.send(Ok(start)).await.map_err(|_| Ended::Unheard)?;
                let read = if anew { last_words(read, &*folder, &steps).await? } else { read };
                drive(read, &*folder, cursor, steps, first, repeated).await
            };
            let told = tokio::select! {
                () = out.closed() => return,
                told = whole_read => told,
            };
            // Nobody listens any more where the reader was dropped.
            match told {
                Ok(()) => out.send(Ok(Told::End)).await.ok(),
                Err(Ended::Fault(fault)) => out.send(Err(*fault)).await.ok(),
                Err(Ended::Unheard) => None,
            };
        });
        Pages::leaving(left, receive, None).await
    }

    async fn put_away(&self, cursor: &Cursor) -> Result<(), Fault> {
        let settings = &self.settings;
        let into = match &settings.afterwards {
            Afterwards::Keep => return Ok(()),
            Afterwards::Delete => None,
            Afterwards::Move(into) => Some(into.as_str()),
        };
        let folder = self.place.open().await?;
        let here = self.list(&*folder).await?;
        let found = choose::settled(settings, cursor, &here);
        if found.is_empty() {
            return Ok(());
        }
        let taken = match into {
            Some(into) => folder.list(into).await?,
            None => Vec::new(),
        };
        for entry in found {
            let marker = choose::marker(settings, &entry.name);
            let marker = marker.and_then(|name| here.iter().find(|other| other.name == name));
            for entry in marker.into_iter().chain([entry]) {
                let (done, what) = match into {
                    Some(into) => {
                        let name = choose::free_name(entry, &taken);
                        (folder.rename(entry, into, &name).await, format!("moved to {into}/"))
                    }
                    None => (folder.delete(entry).await, "deleted".to_owned()),
                };
                match done {
                    Err(fault) if !fault.is_transient() => {
                        return Err(fault::not_put_away(&self.system, &entry.name, &what, &fault));
                    }
                    done => done?,
                }
            }
        }
        Ok(())
    }
}

/// The file as it was read before, under whatever name: of the files that are known, the one with the same content.
async fn twin(
    system: &str,
    entry: &Entry,
    fetched: Fetched,
    mut known: Vec<Known>,
) -> Result<(Fetched, Option<Known>), Fault> {
    known.retain(|known| known.size == entry.size);
    if known.is_empty() {
        // It is another one: that is seen without a look at its bytes.
        return Ok((fetched, None));
    }
    let (fetched, hash) = hashed(system, entry, fetched, None).await?;
    let same = known.iter().any(|known| known.hash == hash);
    Ok((fetched, same.then(|| Known::of(entry, hash))))
}

/// The file, and the hash of its first bytes, or of all.
async fn hashed(
    system: &str,
    entry: &Entry,
    mut fetched: Fetched,
    bytes: Option<u64>,
) -> Result<(Fetched, u64), Fault> {
    let size = entry.size;
    let hashed = blocking(move || {
        let hash = match bytes.filter(|bytes| *bytes < size) {
            Some(bytes) => fetched.hash_of(bytes)?,
            None => fetched.hash()?,
        };
        Ok((fetched, hash))
    });
    hashed.await.map_err(|error: std::io::Error| fault::unreachable(system, &format!("`{}`", entry.name), error))
}

async fn fetch(system: &str, folder: &dyn Folder, entry: &Entry) -> Result<Fetched, Fault> {
    // Gone between the list and the call: the next list says what is there.
    folder.fetch(entry).await?.ok_or_else(|| fault::changed(system, &entry.name))
}

fn failed(fault: Fault) -> Ended {
    Ended::Fault(Box::new(fault))
}

/// Looks through all files before any of them is read anew: what an older one says of a row, and a later one too, was
/// written once, and is not written again only to be overwritten.
async fn last_words(mut read: Read, folder: &dyn Folder, steps: &[Step]) -> Result<Read, Ended> {
    let mut contents = HashSet::new();
    for (number, step) in steps.iter().enumerate() {
        let mut fetched = fetch(&read.system, folder, &step.entry).await.map_err(failed)?;
        if steps.iter().filter(|other| other.entry.size == step.entry.size).count() > 1 {
            let hash;
            (fetched, hash) = hashed(&read.system, &step.entry, fetched, None).await.map_err(failed)?;
            if !contents.insert(hash) {
                // It is left out later too.
                continue;
            }
        }
        let entry = step.entry.clone();
        read = blocking(move || {
            let mut latest = std::mem::take(&mut read.latest);
            pager::look_through(&read, &entry, fetched, number as u32, &mut latest)?;
            Ok(Read { latest, ..read })
        })
        .await?;
        if read.latest.0.len() > LATEST_MAX {
            read.latest = Latest::default();
            break;
        }
    }
    Ok(read)
}

/// Reads the files of the steps.
async fn drive(
    read: Read,
    folder: &dyn Folder,
    mut cursor: Cursor,
    steps: Vec<Step>,
    mut first: Option<Fetched>,
    moved_on: bool,
) -> Result<(), Ended> {
    if moved_on {
        let page = empty(&read.schema, &cursor);
        read.out.send(Ok(Told::Page(page))).await.map_err(|_| Ended::Unheard)?;
    }
    let read = Arc::new(read);
    for (number, step) in steps.into_iter().enumerate() {
        let mut fetched = match first.take() {
            Some(fetched) => fetched,
            None => fetch(&read.system, folder, &step.entry).await.map_err(failed)?,
        };
        let mut skip = 0;
        if let Some(at) = step.resume {
            let begun;
            (fetched, begun) = hashed(&read.system, &step.entry, fetched, Some(at.bytes)).await.map_err(failed)?;
            // Else it is another one under its name.
            skip = if begun == at.known.hash { at.rows } else { 0 };
        } else if !read.settings.whole {
            let same;
            (fetched, same) = twin(&read.system, &step.entry, fetched, cursor.read.clone()).await.map_err(failed)?;
            if let Some(same) = same {
                // The same content once more: it would put old values over new ones.
                cursor.done(same, false);
                let page = empty(&read.schema, &cursor);
                read.out.send(Ok(Told::Page(page))).await.map_err(|_| Ended::Unheard)?;
                continue;
            }
        }
        let (reading, entry) = (read.clone(), step.entry);
        let mut at = cursor;
        cursor = blocking(move || {
            pager::file(&reading, &entry, fetched, skip, number as u32, &mut at)?;
            Ok(at)
        })
        .await?;
    }
    Ok(())
}

fn empty(schema: &Arc<Schema>, cursor: &Cursor) -> Page {
    let batch = record::Batch::builder(schema.clone()).finish();
    Page { batch, unreadable: Vec::new(), deleted: Vec::new(), cursor: Some(cursor.to_text()) }
}

impl Source for Files {
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        Box::pin(self.start(cursor.and_then(Cursor::parse)))
    }

    /// Looks through the files from their beginnings: what a later one says of a row counts.
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>> {
        Box::pin(async move {
            let mut found = vec![None; keys.len()];
            let mut reader = self.start(None).await?;
            let schema = reader.schema().clone();
            let columns: Vec<usize> = self.spec.key.iter().filter_map(|name| schema.index(name)).collect();
            while let Some(page) = reader.next().await? {
                for row in page.batch.rows() {
                    let values: Vec<record::Value> = columns.iter().map(|at| row.at(*at).to_owned()).collect();
                    let Ok(key) = Key::of(&values) else { continue };
                    if let Some(at) = keys.iter().position(|wanted| *wanted == key) {
                        found[at] = Some(row.to_row());
                    }
                }
            }
            Ok(found)
        })
    }

    fn committed<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            match Cursor::parse(cursor) {
                Some(cursor) => self.put_away(&cursor).await,
                None => Ok(()),
            }
        })
    }
}
