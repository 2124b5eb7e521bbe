//! Reading one entity of a run, page by page: what is as it was written is counted, the rest goes on to be written.

use std::time::Duration;

use record::{Fault, Page, ReadKind, Reader};
use store::runs::Counts;

use super::wait::Orphan;
use super::write::rejected_by_destination;
use super::{Chunk, Run, begin_anew};
use crate::error::Stopped;
use crate::gone::{Gone, Seen};
use crate::known::Known;
use crate::lines;
use crate::pair::Pair;
use crate::reject::Rejected;
use crate::sort::{self, Candidate, Sorted};
use crate::twins::Twins;
use crate::watch::Note;

/// Pages of unchanged rows share a commit for so long: a sync for each of them would cost more than comparing them.
pub(super) const HELD_MAX: Duration = Duration::from_millis(250);

impl Run<'_> {
    /// Reads from a position to the end, and writes what differs.
    pub(super) async fn read(
        &mut self,
        pair: &Pair,
        mut position: Option<String>,
        mut everything: Option<String>,
        seen: &mut Seen,
    ) -> Result<Vec<Orphan>, Stopped> {
        let entity = &*pair.entity.name;
        let mut waiting = Vec::new();
        let mut reader = self.open(pair, position.as_deref()).await?;
        if let ReadKind::Full { why } = reader.kind() {
            // A full read that goes on where an earlier run was cut has not seen the rows before that.
            seen.whole = position.is_none() || why.is_some();
            everything = why.or(everything);
        }
        self.watch.note(Note::Reading { entity, everything: everything.as_deref(), left: reader.left() });
        if pair.gone == Gone::Ignore && seen.whole {
            seen.look_out(self.store.dead_letter_keys(&self.job.integration, entity)?);
        }
        let once = matches!(reader.kind(), ReadKind::Full { .. });
        let mut twins = Twins::new(once);
        seen.as_written = match reader.kind() {
            ReadKind::Full { .. } if !self.compare => Known::load(self.store, pair).await?,
            _ => Known::default(),
        };
        let (mut ahead, mut pages): (Option<Result<Option<Page>, Fault>>, _) = (None, 0);
        loop {
            let page = match ahead.take() {
                Some(read) => read,
                None => reader.next().await,
            };
            let page = match page {
                Ok(page) => page,
                Err(fault) if fault.is_transient() => {
                    // Go on after the last page that was dealt with.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if position.is_none() {
                        // Every row comes again, and may have changed since.
                        twins = Twins::new(once);
                    }
                    let next = match self.open(pair, position.as_deref()).await {
                        Ok(opened) => {
                            reader = opened;
                            reader.next().await
                        }
                        Err(fault) => Err(fault),
                    };
                    match next {
                        Ok(page) => page,
                        Err(fault) => return self.cut(pair, &mut waiting, fault).await,
                    }
                }
                Err(fault) => return self.cut(pair, &mut waiting, fault).await,
            };
            let Some(page) = page else { break };
            let page = match lines::of_page(&self.job.retry, self.watch, pair, page).await {
                Ok(page) => page,
                Err(fault) => return self.cut(pair, &mut waiting, fault).await,
            };
            // The source reads on while this page is written.
            let (done, read) = tokio::join!(self.page(pair, &page, &mut twins, &mut waiting, seen), reader.next());
            self.or_arrive(done, pair, &mut waiting).await?;
            ahead = Some(read);
            (position, pages) = (page.cursor, pages + 1);
            self.progress(pair);
        }
        self.land_all(pair, &mut waiting).await?;
        if pages > 0 && position.is_none() {
            begin_anew(self.store, self.lease, &self.job.integration, entity).await?;
        }
        self.parents_of(pair, waiting).await
    }

    /// The read ends early; what was held of it is remembered.
    async fn cut<T>(&mut self, pair: &Pair, waiting: &mut Vec<Orphan>, fault: Fault) -> Result<T, Stopped> {
        self.land_all(pair, waiting).await?;
        Err(fault.into())
    }

    /// A page that could not be dealt with takes nothing away from the rows that are on their way.
    async fn or_arrive(
        &mut self,
        done: Result<(), Stopped>,
        pair: &Pair,
        waiting: &mut Vec<Orphan>,
    ) -> Result<(), Stopped> {
        if let Err(Stopped::Fault(_)) = &done {
            self.land_all(pair, waiting).await?;
        }
        done
    }

    /// Commits what was held, and waits for that.
    pub(super) async fn commit_held(&mut self, pair: &Pair) -> Result<(), Stopped> {
        if self.held.counts.read == 0 && self.held.position.is_none() && self.held.entries.is_empty() {
            return Ok(self.handed_in().await?);
        }
        self.commit(pair, Chunk::default()).await
    }

    /// Adds a chunk to what goes with the next commit.
    pub(super) fn hold(&mut self, chunk: Chunk) {
        let Chunk { counts, entries, written, created, updated, gone, rejected, waits, refused, removed, position } =
            chunk;
        self.held.counts += counts;
        self.held.entries.extend(entries);
        self.held.written.extend(written);
        self.held.created.extend(created);
        self.held.updated.extend(updated);
        self.held.gone.extend(gone);
        self.held.rejected.extend(rejected);
        self.held.waits.extend(waits);
        self.held.refused.extend(refused);
        self.held.removed.extend(removed);
        self.held.position = position.or(self.held.position.take());
    }

    fn progress(&self, pair: &Pair) {
        let mut counts = self.counts;
        counts += self.held.counts;
        self.watch.note(Note::Progress { entity: &pair.entity.name, counts });
    }

    /// Reads a window of time to its end. What a read that was cut has written is unchanged when it is repeated.
    pub(super) async fn read_window(
        &mut self,
        pair: &Pair,
        mut reader: Box<dyn Reader>,
        seen: &mut Seen,
    ) -> Result<Vec<Orphan>, Stopped> {
        let entity = &*pair.entity.name;
        let (mut twins, mut waiting) = (Twins::new(false), Vec::new());
        self.watch.note(Note::Reading { entity, everything: None, left: reader.left() });
        loop {
            let page = match reader.next().await {
                Ok(page) => page,
                Err(fault) => return self.cut(pair, &mut waiting, fault).await,
            };
            let Some(page) = page else { break };
            let page = match lines::of_page(&self.job.retry, self.watch, pair, page).await {
                Ok(page) => page,
                Err(fault) => return self.cut(pair, &mut waiting, fault).await,
            };
            let done = self.page(pair, &page, &mut twins, &mut waiting, seen).await;
            self.or_arrive(done, pair, &mut waiting).await?;
            self.progress(pair);
        }
        self.land_all(pair, &mut waiting).await?;
        self.parents_of(pair, waiting).await
    }

    async fn open(&self, pair: &Pair, position: Option<&str>) -> Result<Box<dyn Reader>, Fault> {
        super::open(self.job, self.watch, pair, position, self.moment.as_ref()).await
    }

    async fn page(
        &mut self,
        pair: &Pair,
        page: &Page,
        twins: &mut Twins,
        waiting: &mut Vec<Orphan>,
        seen: &mut Seen,
    ) -> Result<(), Stopped> {
        let keyed = sort::keys(pair, page, &mut seen.as_written)?;
        let ledger = self.store.ledger_get(&pair.to, &pair.entity.name, keyed.asked())?.into_iter();
        let mut ledger = ledger.map(|known| known.map(|known| self.job.as_told(known)));
        let Sorted { unchanged, skipped, refreshed, rejected, candidates, left_out, keyless } =
            sort::sort(pair, page, &keyed, &mut ledger, twins, &seen.as_written, self.compare);
        if pair.gone != Gone::Ignore {
            seen.add(&keyed, left_out, keyless);
            seen.deletions |= !page.deleted.is_empty();
            seen.position.clone_from(&page.cursor);
        } else {
            seen.meet(&keyed, &left_out);
        }

        if let Some(first) = self.job.stop_after.first_alike(self.settled, &keyed, &rejected) {
            // These say what there is to say; the rest of the page would only be more of them.
            let mut rejected = rejected;
            rejected.truncate(first);
            self.land_all(pair, waiting).await?;
            let counts = Counts { read: first as u64, ..Counts::default() };
            return self.commit(pair, Chunk { counts, rejected, ..Chunk::default() }).await;
        }
        let read = (page.batch.len() + page.unreadable.len()) as u64;
        let counts = Counts { read, unchanged, skipped, ..Counts::default() };
        let moves = self.job.window.is_none() && !(pair.gone != Gone::Ignore && seen.holds_position());
        let nothing_else = refreshed.is_empty() && rejected.is_empty() && candidates.is_empty();
        if nothing_else && self.committed.elapsed() < HELD_MAX {
            // Its position is behind that of what is on its way.
            if !self.flights.is_empty() {
                self.land_all(pair, waiting).await?;
            }
            let position = page.cursor.clone().filter(|_| moves);
            self.hold(Chunk { counts, position, ..Chunk::default() });
            return Ok(());
        }
        let mut chunk = Chunk { counts, ..Chunk::default() };
        chunk.entries = refreshed;
        chunk.rejected = rejected;
        let rows_per_chunk = pair.sink.rows_per_chunk().max(pair.sink.rows_per_create()).max(1);
        let first = self.job.stop_after.first_rows_alike.and_then(|rows| usize::try_from(rows).ok());
        let mut rest = candidates;
        loop {
            // Where the first rows of a run are all refused for one reason, no more than these are tried.
            let try_few = first.filter(|_| self.settled == 0);
            let rows = try_few.map_or(rows_per_chunk, |rows| rows_per_chunk.min(rows));
            let later = rest.split_off(rest.len().min(rows));
            let now = std::mem::replace(&mut rest, later);
            if rest.is_empty() && moves {
                chunk.position.clone_from(&page.cursor);
            }
            self.chunk(pair, now, std::mem::take(&mut chunk), waiting).await?;
            if try_few.is_some() {
                self.land_all(pair, waiting).await?;
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// One chunk: rows that nobody knows are sent on their way, others are written.
    async fn chunk(
        &mut self,
        pair: &Pair,
        rows: Vec<Candidate>,
        chunk: Chunk,
        waiting: &mut Vec<Orphan>,
    ) -> Result<(), Stopped> {
        let is_bad = !chunk.rejected.is_empty();
        let Some((rows, mut chunk)) = self.take_off(pair, rows, chunk, waiting).await? else {
            // Whether that were too many is told before more is sent.
            return if is_bad { self.land_all(pair, waiting).await } else { Ok(()) };
        };
        self.land_all(pair, waiting).await?;
        let orphans = self.write_known(pair, &rows, &mut chunk).await?;
        self.keep_waiting(pair, orphans, waiting, &mut chunk)?;
        self.commit(pair, chunk).await
    }

    /// Rows without their parent wait for the end of the read, as far as there is room.
    pub(super) fn keep_waiting(
        &self,
        pair: &Pair,
        orphans: Vec<Orphan>,
        waiting: &mut Vec<Orphan>,
        chunk: &mut Chunk,
    ) -> Result<(), Stopped> {
        for orphan in orphans {
            if waiting.len() < self.job.waiting_max {
                chunk.entries.push(orphan.waits(pair, self.id));
                waiting.push(orphan);
            } else {
                let parents = self.unknown_parents(pair, &orphan.row)?;
                let rejected = Rejected { parents, ..rejected_by_destination(pair, &orphan.row, orphan.fault) };
                chunk.refuse(pair, &orphan.row, rejected);
            }
        }
        Ok(())
    }
}
