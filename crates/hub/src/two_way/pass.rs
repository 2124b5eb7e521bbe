//! Reads one side, and finds the rows that differ from what was agreed on.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

use definition::MinRows;
use record::hash::RowHasher;
use record::{Decimal, Fault, Key, Page, ReadKind, ValueRef};
use store::runs::Counts;

use super::Joint;
use super::decide::{Case, Verdict};
use super::exchange::Round;
use super::look::{Bad, Found};
use super::memory::{Memory, Stage};
use super::merge::{Both, Which};
use super::run::{Mode, Run};
use crate::batch::{STOPPED, begin_anew};
use crate::codes;
use crate::error::Stopped;
use crate::gone::{Gone, enough_rows};
use crate::outage::with_retries;
use crate::plan::PlannedRow;
use crate::reject::keyless;
use crate::watch::Note;
use crate::window::Window;

/// What one read of one side has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Read from the beginning to the end: what was not seen may be gone.
    pub whole: bool,
    rows: u64,
    /// Rows of which not even the key can be read: any row might be one of them.
    keyless: u64,
    /// Hashes of the canonical keys; empty where nobody asks what is gone.
    keys: HashSet<u128>,
    /// The side said that rows were deleted, by ids that are its own, or has rows that `where:` leaves out now.
    deletions: bool,
    /// The place to go on from, once what is gone was dealt with.
    pub held: Option<String>,
}

/// Why a side that tells what has changed is read whole all the same.
const DELETED: &str = "rows were deleted there; comparing every key shows which";

impl<E: FnMut(PlannedRow)> Run<'_, E> {
    /// Reads a side for what changed, and merges it.
    pub(super) async fn pass(&mut self, joint: &Joint, side: Which) -> Result<Seen, Stopped> {
        if let Some(window) = self.job.window {
            return self.read_window(joint, side, window).await;
        }
        let stream = joint.stream(side);
        let removes = joint.rules.removes_in[side.other()];
        let cursor = self.store.cursor(&self.job.integration, &stream)?;
        let left = cursor.as_ref().and_then(|cursor| joint.reached_by(side).left(&cursor.fingerprint));
        let (position, everything) = match cursor {
            _ if self.compare => {
                (None, Some("comparing with what the two sides agreed on (`compare_live`)".to_owned()))
            }
            _ if self.job.stopped_before => (None, Some(STOPPED.to_owned())),
            // A watermark never tells what is gone.
            _ if removes && joint.from(side).reads_all => (None, None),
            None => (None, None),
            // It was deleted before the position: a removal that was refused then, or could not be told.
            Some(_) if removes && self.lost[side] => (None, Some(DELETED.to_owned())),
            Some(cursor) => match left {
                Some(why) => (None, Some(why.to_owned())),
                None => (Some(cursor.position), None),
            },
        };
        if let (Some(_), Mode::Live { lease, .. }) = (left, &self.mode) {
            // Should this run end half-way and somebody take the change back, the rest is not right as it stands.
            begin_anew(self.store, lease, &self.job.integration, &stream).await?;
        }
        let mut seen = self.read(joint, side, position, everything).await?;
        if removes && seen.deletions && !seen.whole {
            seen = self.read(joint, side, None, Some(DELETED.to_owned())).await?;
        }
        Ok(seen)
    }

    /// What the side changed in a window of time. No position is read or moved, and nothing is taken for gone.
    async fn read_window(&mut self, joint: &Joint, side: Which, window: Window) -> Result<Seen, Stopped> {
        let mut reader = window.open(self.job, joint.from(side), self.watch).await?;
        let entity = format!("{} of {}", joint.entity.name, joint.name(side));
        self.watch.note(Note::Reading { entity: &entity, everything: None, left: reader.left() });
        let mut seen = Seen::default();
        while let Some(page) = reader.next().await? {
            let page = Page { cursor: None, deleted: Vec::new(), ..page };
            self.page(joint, side, &page, &mut seen).await?;
            self.watch.note(Note::Progress { entity: &entity, counts: self.counts });
        }
        Ok(Seen::default())
    }

    async fn read(
        &mut self,
        joint: &Joint,
        side: Which,
        mut position: Option<String>,
        mut everything: Option<String>,
    ) -> Result<Seen, Stopped> {
        let source = joint.from(side).source.clone();
        let retry = &self.job.retry;
        let mut seen = Seen::default();
        let mut reader = with_retries(retry, self.watch, || source.read(position.as_deref())).await?;
        if let ReadKind::Full { why } = reader.kind() {
            seen.whole = position.is_none() || why.is_some();
            everything = why.or(everything);
        }
        let entity = format!("{} of {}", joint.entity.name, joint.name(side));
        self.watch.note(Note::Reading { entity: &entity, everything: everything.as_deref(), left: reader.left() });
        let mut pages = 0;
        loop {
            let page = match reader.next().await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(fault) if fault.is_transient() => {
                    // Go on after the last page that is committed.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    reader = with_retries(retry, self.watch, || source.read(position.as_deref())).await?;
                    match reader.next().await {
                        Ok(Some(page)) => page,
                        Ok(None) => break,
                        Err(fault) => return Err(fault.into()),
                    }
                }
                Err(fault) => return Err(fault.into()),
            };
            self.page(joint, side, &page, &mut seen).await?;
            (position, pages) = (page.cursor, pages + 1);
            self.watch.note(Note::Progress { entity: &entity, counts: self.counts });
        }
        if pages > 0 && position.is_none() {
            seen.held = None;
            if let Mode::Live { lease, .. } = &self.mode {
                begin_anew(self.store, lease, &self.job.integration, &joint.stream(side)).await?;
            }
        }
        Ok(seen)
    }

    async fn page(&mut self, joint: &Joint, side: Which, page: &Page, seen: &mut Seen) -> Result<(), Stopped> {
        let removes = joint.rules.removes_in[side.other()];
        let mut candidates = Vec::new();
        for (canonical, memory, found) in self.sorted(joint, side, page, seen)? {
            if matches!(found, Found::LeftOut) {
                // Where both sides had the row, it is gone from this one: like any other that is, once everything was read.
                if removes && memory.is_some_and(|memory| memory.agreed.joined && !memory.asleep) {
                    seen.keys.remove(&named(&canonical));
                    seen.deletions = true;
                }
                self.count(Counts { read: 1, skipped: 1, ..Counts::default() });
                continue;
            }
            let mut case = Case { canonical, memory, found: Both::of(|_| Found::Absent) };
            case.found[side] = found;
            candidates.push(case);
        }
        seen.deletions |= !page.deleted.is_empty();
        let holds = removes && (seen.whole || seen.deletions);
        let mut position = page.cursor.clone();
        if holds {
            seen.held = position.take().or(seen.held.take());
        }
        let chunks = joint.rows_per_chunk();
        let mut rest = candidates;
        loop {
            let later = rest.split_off(rest.len().min(chunks));
            let cases = self.other_side(joint, side, std::mem::replace(&mut rest, later)).await?;
            let position = position.clone().filter(|_| rest.is_empty());
            self.exchange(joint, cases, Round::First, position.map(|position| (side, position))).await?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// The rows of a page that are not as they were agreed on, with what is remembered of them.
    fn sorted(
        &mut self,
        joint: &Joint,
        side: Which,
        page: &Page,
        seen: &mut Seen,
    ) -> Result<Vec<(Key, Option<Memory>, Found)>, Stopped> {
        let removes = joint.rules.removes_in[side.other()];
        let binding = joint.binding(side, &page.batch)?;
        let mut hasher = RowHasher::default();
        let mut rows = Vec::with_capacity(page.batch.len());
        for row in page.batch.rows() {
            let hash = hasher.hash(binding.iter().map(|column| row.at(*column)));
            let key = joint.read(side).key(row, &binding);
            rows.push((key.as_ref().map_or_else(|| keyless(hash), |key| key.folded(joint.key_rules)), key, hash));
        }
        let canonical: Vec<Key> = rows.iter().map(|(canonical, ..)| canonical.clone()).collect();
        let known = self.known(joint, &canonical)?;
        // How many rows of the page have a key, and the hash of all of them.
        let mut times: HashMap<&Key, (u32, u128)> = HashMap::new();
        for (canonical, _, hash) in &rows {
            let (rows, all) = times.entry(canonical).or_default();
            *rows += 1;
            *all ^= hash;
        }
        let mut unchanged = Counts::default();
        let mut candidates = Vec::new();
        for ((row, (canonical, key, hash)), known) in page.batch.rows().zip(&rows).zip(known) {
            seen.rows += 1;
            seen.keyless += u64::from(key.is_none());
            if removes {
                seen.keys.insert(named(canonical));
            }
            let memory = known.and_then(|known| Memory::decode(&known.content, &joint.entity));
            let all = times.get(canonical).filter(|(rows, _)| *rows > 1).map(|(_, all)| *all);
            let twice = all.is_some();
            let hash = &all.unwrap_or(*hash);
            let settled = memory.as_ref().filter(|memory| {
                let spelled = twice || key.is_none() || memory.keys[side] == *key;
                memory.mapping == joint.fingerprint && memory.rows[side] == Some(*hash) && spelled
            });
            match settled.map(|memory| memory.stage) {
                Some(Stage::Agreed) if !twice => unchanged.unchanged += 1,
                Some(Stage::Disputed | Stage::Waiting) if !twice => unchanged.skipped += 1,
                Some(Stage::Rejected) if !self.job.stopped_before => unchanged.skipped += 1,
                // It waits for a row of the other side that matches it.
                _ if key.is_none() && joint.sides[side].matching.is_some() => unchanged.skipped += 1,
                // A plan has dealt with it when it came from the first side.
                _ if self.planned.contains(canonical) => unchanged.unchanged += 1,
                _ if twice => {
                    let fault = twice_in_side(joint, side, key.as_ref().unwrap_or(canonical));
                    let bad = Bad {
                        key: key.clone(),
                        hash: *hash,
                        raw: row.to_row(),
                        faults: vec![fault],
                        fields: joint.read(side).explain(row, &binding),
                    };
                    candidates.push((canonical.clone(), memory, Found::Bad(Box::new(bad))));
                    continue;
                }
                _ => {
                    candidates.push((canonical.clone(), memory, joint.understand(side, row, &binding)));
                    continue;
                }
            }
            unchanged.read += 1;
        }
        for unreadable in &page.unreadable {
            let batch = record::Batch::from_rows(unreadable.row.schema().clone(), [&unreadable.row]);
            let hash = hasher.hash(batch.row(0).values());
            let key = joint.read(side).bind(batch.schema()).ok();
            let key = key.and_then(|binding| joint.read(side).key(batch.row(0), &binding));
            let canonical = key.as_ref().map_or_else(|| keyless(hash), |key| key.folded(joint.key_rules));
            seen.rows += 1;
            seen.keyless += u64::from(key.is_none());
            seen.keys.insert(named(&canonical));
            let known = self.known(joint, std::slice::from_ref(&canonical))?;
            let memory = known.into_iter().flatten().next();
            let memory = memory.and_then(|known| Memory::decode(&known.content, &joint.entity));
            let (raw, faults) = (unreadable.row.clone(), vec![joint.read(side).hide(unreadable.fault.clone())]);
            let bad = Bad { key, hash, raw, faults, fields: Vec::new() };
            candidates.push((canonical, memory, Found::Bad(Box::new(bad))));
        }
        self.count(unchanged);
        Ok(candidates)
    }

    /// Looks at the other side of rows of one side.
    async fn other_side(&mut self, joint: &Joint, side: Which, mut cases: Vec<Case>) -> Result<Vec<Case>, Stopped> {
        let other = side.other();
        let (mut at, mut keys) = (Vec::new(), Vec::new());
        for (index, case) in cases.iter_mut().enumerate() {
            let Found::Row(loaded) = &case.found[side] else { continue };
            // The agreement knows the row by another spelling: where that is there as well, they are two rows.
            let known = case.memory.as_ref().and_then(|memory| memory.keys[side].clone());
            if let Some(spelled) = known.filter(|spelled| *spelled != loaded.key) {
                let twin = joint.fetch(&self.job.retry, self.watch, side, std::slice::from_ref(&spelled)).await?;
                if matches!(&twin[..], [Found::Row(twin)] if twin.key == spelled) {
                    let (key, hash, raw) = (Some(loaded.key.clone()), loaded.hash, loaded.raw.clone());
                    let faults = vec![twice_in_side(joint, side, &loaded.key)];
                    case.found[side] = Found::Bad(Box::new(Bad { key, hash, raw, faults, fields: Vec::new() }));
                    // What was agreed on is about the other one.
                    case.canonical = keyless(hash);
                    let known = self.known(joint, std::slice::from_ref(&case.canonical))?.pop().flatten();
                    case.memory = known.and_then(|known| Memory::decode(&known.content, &joint.entity));
                    continue;
                }
            }
            let spelled = case.memory.as_ref().and_then(|memory| memory.keys[other].clone());
            at.push(index);
            keys.push(spelled.unwrap_or_else(|| loaded.key.clone()));
        }
        let found = joint.fetch(&self.job.retry, self.watch, other, &keys).await?;
        for (index, found) in at.into_iter().zip(found) {
            cases[index].found[other] = found;
        }
        Ok(cases)
    }

    /// The keys that both sides once had and that a whole read of this side has not seen, each looked for by its key
    /// before it is believed.
    ///
    /// *Errors*: more are gone than `max_deletes` allows, or the side gave nothing at all: then nothing is removed.
    pub(super) async fn gone(&mut self, joint: &Joint, side: Which, seen: &Seen) -> Result<Vec<Key>, Stopped> {
        if seen.keyless > 0 {
            self.watch.note(Note::NothingRemoved { entity: &joint.entity.name, keyless: seen.keyless });
            return Ok(Vec::new());
        }
        let (mut joined, mut missing) = (0u64, Vec::new());
        if super::plan::is_elsewhere(self.store, self.job, joint)? {
            return Ok(Vec::new());
        }
        self.store.agreements_scan(&self.job.integration, &joint.entity.name, |agreement| {
            let memory = Memory::decode(&agreement.content, &joint.entity);
            let had = |memory: &Memory| memory.agreed.joined || memory.agreed.is_creating(side.other());
            if memory.is_some_and(|memory| had(&memory) && !memory.asleep) {
                joined += 1;
                // A plan has looked at some of them already.
                if !seen.keys.contains(&named(&agreement.key)) && !self.planned.contains(&agreement.key) {
                    missing.push(agreement.key);
                }
            }
            ControlFlow::Continue(())
        })?;
        let mut gone = Vec::new();
        for keys in missing.chunks(joint.rows_per_chunk()) {
            for case in self.cases(joint, keys).await? {
                let lost = matches!(case.found[side], Found::Absent | Found::LeftOut);
                let removed = match super::decide::decide(joint, &case) {
                    Verdict::Write { orders, .. } => orders[side.other()].is_some(),
                    Verdict::Dispute { known, .. } => !known,
                    // Neither side has it any more.
                    Verdict::Rest { memory: None, .. } => true,
                    _ => false,
                };
                gone.extend((lost && removed).then_some(case.canonical));
            }
        }
        let too_few = match self.job.limits.min_rows.filter(|_| !gone.is_empty()) {
            None => None,
            Some(MinRows::Rows(_)) => enough_rows(self.store, self.job, seen.rows)?.err(),
            // What is usual is counted of whole runs, and they read both sides.
            Some(MinRows::OfUsual(_)) => enough_rows(self.store, self.job, self.counts.read)?.err(),
        };
        // What this run has made says nothing of what may go.
        let before = joined - self.created.get(&*joint.entity.name).map_or(0, |created| joined.min(*created));
        let refused =
            too_few.or_else(|| self.too_many(joint, side, seen, gone.len() as u64, before.max(gone.len() as u64)));
        match (refused, &self.mode) {
            (None, _) => Ok(gone),
            (Some(fault), super::run::Mode::Live { .. }) => Err(fault.into()),
            (Some(fault), super::run::Mode::Plan) => {
                self.refused = Some(fault);
                Ok(gone)
            }
        }
    }

    fn too_many(&self, joint: &Joint, side: Which, seen: &Seen, gone: u64, joined: u64) -> Option<Fault> {
        let (entity, system) = (&joint.entity.name, joint.name(side));
        if gone > 0 && seen.rows == 0 {
            let what = format!("`{system}` gave no row of `{entity}` at all, and had {gone} of them; none was removed");
            return Some(Fault::ask_person(codes::TOO_FEW_ROWS, what).at_system(system).fix(
                "look at that system first; where it is meant to be empty, remove the rows in the other one by hand",
            ));
        }
        if Decimal::from(gone) * Decimal::ONE_HUNDRED <= self.job.limits.max_deletes * Decimal::from(joined) {
            return None;
        }
        let done = match joint.from(side).gone {
            Gone::Deactivate { .. } => "deactivated",
            Gone::Delete | Gone::Ignore => "deleted",
        };
        let percent = self.job.limits.max_deletes.normalize();
        let what = format!(
            "{gone} of {joined} rows of `{entity}` are gone from `{system}`, more than `max_deletes: {percent} %`; none was {done}"
        );
        Some(Fault::ask_person(codes::TOO_MANY_GONE, what).at_system(system).fix(format!(
            "look at them with `ironbridge plan {0}`; where they are gone indeed, allow it for one run: ironbridge run {0} --max-deletes \"50 %\"",
            self.job.integration
        )))
    }
}

fn named(key: &Key) -> u128 {
    RowHasher::default().hash([ValueRef::Bytes(key.as_bytes())])
}

fn twice_in_side(joint: &Joint, side: Which, key: &Key) -> Fault {
    let what = format!(
        "the key {key} of `{}` is there twice in `{}`, as the two systems compare keys",
        joint.entity.name,
        joint.name(side)
    );
    Fault::reject(codes::KEY_TWICE, what)
        .at_system(joint.name(side))
        .fix("give one of the two rows another key; until then neither of them goes to the other side")
}
