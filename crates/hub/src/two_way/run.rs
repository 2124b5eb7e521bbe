//! One run of a two-way integration, and one look at what a run would do.

use std::collections::{BTreeMap, HashMap, HashSet};

use record::{Current, Fault, Key};
use store::leases::Lease;
use store::runs::{Counts, RunId, State};
use store::{Store, agreements};

use super::Joint;
use super::cycles::Pending;
use super::decide::Case;
use super::exchange::Round;
use super::look::Found;
use super::memory::Memory;
use super::merge::{Both, Which};
use super::pass::Seen;
use crate::batch::hold::{end, keep};
use crate::batch::{self, Job, Report};
use crate::consent::{self, Agreed, Guard};
use crate::error::Error;
use crate::error::Stopped;
use crate::plan::{PlannedRow, Proofs};
use crate::retyped;
use crate::watch::{Note, Watch};

/// How often rows that could not be settled are looked at again within a run.
const ROUNDS_MAX: usize = 20;

/// Whether something is written.
pub(super) enum Mode<'a> {
    Live { lease: &'a Lease, run: RunId },
    Plan,
}

/// What a run, or a plan of one, works with and adds up.
pub(super) struct Run<'a, E> {
    pub store: &'a Store,
    pub job: &'a Job,
    pub watch: &'a dyn Watch,
    pub mode: Mode<'a>,
    /// Takes each row that a plan would write or reject.
    pub each: E,
    pub proofs: Proofs,
    /// Looks at each write before it is sent.
    pub guard: Guard,
    /// The rows that this run has created, updated and removed, for the guard.
    pub sent: Counts,
    /// By entity: how many rows this run has created, on either side.
    pub created: HashMap<String, u64>,
    /// Rows that were as planned when they were first tried.
    pub allowed: HashSet<Key>,
    /// Rows that wait for each other, while they are created without what they point to.
    pub circle: Pending,
    /// Rows that this run has created so, and is about to complete.
    pub made: HashSet<Key>,
    /// Dead letters that this run has met as they were, where they count again.
    pub told_again: Pending,
    /// Both sides are read whole, whatever they say has changed.
    pub compare: bool,
    /// The sides that have lost a row which is to go from the other one, as a look at that row alone has shown.
    pub lost: Both<bool>,
    pub counts: Counts,
    /// Of those: what the run's own record has.
    pub recorded: Counts,
    pub by_code: BTreeMap<String, u64>,
    pub waiting: u64,
    /// Rows with an end, good or bad, for `stop_after`.
    pub settled: u64,
    /// Fields that a system does not keep as they are given, with the number of rows.
    pub lossy: BTreeMap<(String, String), u64>,
    /// Why a plan would end early.
    pub refused: Option<Fault>,
    /// Keys that a plan has dealt with on the way from the first side.
    pub planned: HashSet<Key>,
    /// Rows that a plan would adopt, by the key that they would get, and what they would be merged with.
    pub adopting: HashMap<Key, Current>,
    pub adopted: Vec<(String, Case)>,
}

/// Goes on with a run of a two-way integration that has begun. As [`crate::batch::run`].
pub(crate) async fn run(
    store: &Store,
    job: &Job,
    (lease, id): (Lease, RunId),
    watch: &dyn Watch,
) -> Result<Report, Error> {
    let compare = batch::compares(store, job)?;
    let none: fn(PlannedRow) = |_| {};
    let proofs = Proofs::of(store).await?;
    let mut run = Run::new(store, job, watch, Mode::Live { lease: &lease, run: id }, none, proofs);
    run.compare = compare;
    let result = tokio::select! {
        result = run.agreed() => result,
        lost = keep(store, &lease) => Err(Stopped::Store(lost)),
    };
    let (state, error, ops) = match result {
        Ok(agreed) => {
            if agreed.is_none() {
                batch::compared(store, job, &lease, id, compare).await?;
            }
            consent::ending(agreed, &run.counts, &run.guard, job, id)
        }
        Err(Stopped::Fault(fault)) => (State::Failed, Some(*fault), Vec::new()),
        Err(Stopped::Store(error)) => return Err(error.into()),
    };
    for ((system, field), rows) in &run.lossy {
        watch.note(Note::NotKept { system, field, rows: *rows });
    }
    let approval = end(store, &lease, id, state, error.as_ref(), ops).await?;
    let Run { counts, by_code: rejected, waiting, .. } = run;
    Ok(Report { run: id, state, counts, rejected, waiting, approval, error })
}

impl<'a, E: FnMut(PlannedRow)> Run<'a, E> {
    pub fn new(
        store: &'a Store,
        job: &'a Job,
        watch: &'a dyn Watch,
        mode: Mode<'a>,
        each: E,
        proofs: Proofs,
    ) -> Run<'a, E> {
        Run {
            proofs,
            guard: Guard::default(),
            sent: Counts::default(),
            created: HashMap::new(),
            allowed: HashSet::new(),
            circle: Pending::new(),
            made: HashSet::new(),
            told_again: Pending::new(),
            compare: false,
            lost: Both::default(),
            store,
            job,
            watch,
            mode,
            each,
            counts: Counts::default(),
            recorded: Counts::default(),
            by_code: BTreeMap::new(),
            waiting: 0,
            settled: 0,
            lossy: BTreeMap::new(),
            refused: None,
            planned: HashSet::new(),
            adopting: HashMap::new(),
            adopted: Vec::new(),
        }
    }

    /// Merges, where the run may; otherwise why not.
    async fn agreed(&mut self) -> Result<Option<Agreed>, Stopped> {
        if let Mode::Live { lease, .. } = &self.mode {
            retyped::note(self.store, self.job, lease).await?;
        }
        match consent::agree(self.store, self.job, self.watch).await? {
            Agreed::Go(guard) => self.guard = guard,
            other => return Ok(Some(other)),
        }
        self.places().await?;
        self.all().await?;
        Ok(None)
    }

    /// Where a side is not where it was, nothing is agreed on.
    async fn places(&self) -> Result<(), Stopped> {
        let Mode::Live { lease, .. } = &self.mode else { return Ok(()) };
        for joint in &self.job.two_way {
            let (integration, entity) = (self.job.integration.clone(), joint.entity.name.to_string());
            if self.store.agreements_place(&integration, &entity)?.as_ref() != Some(&joint.place) {
                let place = agreements::Op::Place { integration, entity, place: joint.place.clone() };
                self.store.commit(vec![lease.fence(), place.into()]).await?;
            }
        }
        Ok(())
    }

    /// Everything, in order: what waits from earlier runs, what changed on either side, what waited for that, and at last
    /// what is gone.
    pub async fn all(&mut self) -> Result<(), Stopped> {
        let job = self.job;
        let mut seen = Vec::new();
        for joint in &job.two_way {
            let pending = self.pending(joint)?;
            self.lost = Both::default();
            self.again(joint, &pending, Round::First).await?;
            let left = self.pass(joint, Which::Left).await?;
            let right = self.pass(joint, Which::Right).await?;
            seen.push(Both { left, right });
        }
        self.until_settled().await?;
        // Where what is gone of one entity or side cannot be believed, nothing of another is removed either.
        let mut gone = Vec::new();
        for (joint, seen) in job.two_way.iter().zip(&seen) {
            gone.push(self.gone_of(joint, seen).await?);
        }
        // Children go before their parents.
        for ((joint, seen), gone) in job.two_way.iter().zip(&seen).zip(gone).rev() {
            self.remove(joint, seen, gone).await?;
        }
        Ok(())
    }

    /// What was counted since the last commit.
    pub fn unrecorded(&self) -> Counts {
        let (all, done) = (&self.counts, &self.recorded);
        Counts {
            read: all.read - done.read,
            created: all.created - done.created,
            updated: all.updated - done.updated,
            deleted: all.deleted - done.deleted,
            unchanged: all.unchanged - done.unchanged,
            rejected: all.rejected - done.rejected,
            skipped: all.skipped - done.skipped,
        }
    }

    pub fn pending(&self, joint: &Joint) -> Result<Vec<Key>, store::Error> {
        match super::plan::is_elsewhere(self.store, self.job, joint)? {
            true => Ok(Vec::new()),
            false => self.store.agreements_pending(&self.job.integration, &joint.entity.name),
        }
    }

    /// What the two sides agreed on, by key.
    pub fn known(&self, joint: &Joint, keys: &[Key]) -> Result<Vec<Option<agreements::Agreement>>, store::Error> {
        match super::plan::is_elsewhere(self.store, self.job, joint)? {
            true => Ok(vec![None; keys.len()]),
            false => self.store.agreements(&self.job.integration, &joint.entity.name, keys),
        }
    }

    /// Rows that could not be settled: their parents may have come since, or the row was edited while it was merged.
    async fn until_settled(&mut self) -> Result<(), Stopped> {
        let job = self.job;
        if matches!(self.mode, Mode::Plan) {
            for (entity, case) in std::mem::take(&mut self.adopted) {
                let joint = job.two_way.iter().find(|joint| *joint.entity.name == *entity);
                self.exchange(joint.expect("it was found for one of them"), vec![case], Round::Last, None).await?;
            }
            return Ok(());
        }
        for _ in 0..ROUNDS_MAX {
            let mut before = 0;
            let mut after = 0;
            for joint in &job.two_way {
                let pending = self.pending(joint)?;
                before += pending.len();
                self.again(joint, &pending, Round::First).await?;
                after += self.pending(joint)?.len();
            }
            if after == 0 || after == before && !self.break_cycles().await? {
                break;
            }
        }
        for joint in &job.two_way {
            let pending = self.pending(joint)?;
            self.again(joint, &pending, Round::Last).await?;
        }
        Ok(())
    }

    /// Looks at both sides of these rows.
    pub async fn again(&mut self, joint: &Joint, keys: &[Key], round: Round) -> Result<(), Stopped> {
        for keys in keys.chunks(joint.rows_per_chunk()) {
            let cases = self.cases(joint, keys).await?;
            self.exchange(joint, cases, round, None).await?;
        }
        Ok(())
    }

    /// Rows by their canonical keys, with both sides as they are.
    pub async fn cases(&mut self, joint: &Joint, keys: &[Key]) -> Result<Vec<Case>, Stopped> {
        let known = self.known(joint, keys)?;
        let decode = |agreement: agreements::Agreement| Memory::decode(&agreement.content, &joint.entity);
        let memories: Vec<_> = known.into_iter().map(|known| known.and_then(decode)).collect();
        let spelled = |side: Which| -> Vec<Key> {
            let own = |memory: &Memory| memory.keys[side].clone().or(memory.keys[side.other()].clone());
            memories
                .iter()
                .zip(keys)
                .map(|(memory, key)| memory.as_ref().and_then(own).unwrap_or_else(|| key.clone()))
                .collect()
        };
        let left = joint.fetch(&self.job.retry, self.watch, Which::Left, &spelled(Which::Left)).await?;
        let right = joint.fetch(&self.job.retry, self.watch, Which::Right, &spelled(Which::Right)).await?;
        let sides = left.into_iter().zip(right).map(|(left, right)| Both { left, right });
        let case = |((key, memory), found): ((&Key, Option<Memory>), Both<Found>)| Case {
            canonical: key.clone(),
            memory,
            found,
        };
        Ok(keys.iter().zip(memories).zip(sides).map(case).collect())
    }

    /// What is gone from one side and is to be removed from the other, where the integration says so.
    async fn gone_of(&mut self, joint: &Joint, seen: &Both<Seen>) -> Result<Both<Vec<Key>>, Stopped> {
        let mut gone = Both::<Vec<Key>>::default();
        for side in Which::BOTH {
            if joint.rules.removes_in[side.other()] && seen[side].whole {
                gone[side] = self.gone(joint, side, &seen[side]).await?;
            }
        }
        // What neither side has is looked at once.
        let left: HashSet<&Key> = gone.left.iter().collect();
        gone.right.retain(|key| !left.contains(key));
        Ok(gone)
    }

    /// Removes that, then moves the positions on.
    async fn remove(&mut self, joint: &Joint, seen: &Both<Seen>, gone: Both<Vec<Key>>) -> Result<(), Stopped> {
        for side in Which::BOTH {
            for keys in gone[side].chunks(joint.rows_per_chunk()) {
                let cases = self.cases(joint, keys).await?;
                self.exchange(joint, cases, Round::Removing, None).await?;
            }
            if let Some(position) = &seen[side].held {
                self.exchange(joint, Vec::new(), Round::First, Some((side, position.clone()))).await?;
            }
        }
        Ok(())
    }
}
