//! Rows that were looked at on both sides: merged, written on the one, written on the other, and committed.

use jiff::SignedDuration;
use record::{Change, Current, Effected, Fault, Key, Now, Op, Scope};
use store::agreements;
use store::ledger::{Entry, State as Settled};
use store::runs::{self, Counts};

use super::Joint;
use super::adopt::{self, Existing};
use super::commit::Chunk;
use super::decide::{Case, Kind, Order, Verdict, decide};
use super::letters::{self, Letter};
use super::look::Found;
use super::memory::{Memory, Stage};
use super::merge::{Both, Which};
use super::prepare::Prepared;
use super::run::{Mode, Run};
use crate::batch::wait::waits;
use crate::codes;
use crate::error::Stopped;
use crate::foreseen;
use crate::gone::Gone;
use crate::outage::with_retries;
use crate::plan::PlannedRow;
use crate::reject::Rejected;

/// When a row is looked at, and what may become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// What cannot be settled is looked at again later in the run.
    First,
    /// What waits for rows that wait as well is created without the pointers.
    Bare,
    /// What cannot be settled now waits for the next run, or is a dead letter.
    Last,
    /// What is gone from one side goes from the other.
    Removing,
}

/// For so long the other side may fail at a row, run after run, before people are told.
const STUBBORN: SignedDuration = SignedDuration::from_hours(1);

/// What became of one order.
#[derive(Debug)]
pub(super) enum Effect {
    Done {
        counts: Counts,
        remote_id: Option<String>,
    },
    /// A row that was there before the hub has the key now; the two are joined when it is looked at again.
    Adopted,
    /// It cannot be told now: the row waits. With the fault where the other side said one.
    Waits(Option<Box<Fault>>),
    Refused(Box<Fault>),
}

impl<E: FnMut(PlannedRow)> Run<'_, E> {
    /// Merges rows, writes what is to be written, and commits it with the position of the side that was read.
    pub(super) async fn exchange(
        &mut self,
        joint: &Joint,
        cases: Vec<Case>,
        round: Round,
        position: Option<(Which, String)>,
    ) -> Result<(), Stopped> {
        let mut chunk = Chunk::default();
        let mut writing: Vec<(Case, Both<Option<Order>>, Memory)> = Vec::new();
        for case in cases {
            let verdict = decide(joint, &case);
            if round == Round::Bare {
                if let Verdict::Write { orders, memory, .. } = &verdict
                    && let Some((orders, memory)) = self.bare(joint, &case, orders, memory)
                {
                    writing.push((case, orders, memory));
                }
                continue;
            }
            match verdict {
                Verdict::Rest { memory, unchanged, skipped } => {
                    chunk.counts += Counts { read: unchanged + skipped, unchanged, skipped, ..Counts::default() };
                    match memory {
                        Some(memory) => self.settle(joint, &case, memory, &mut chunk),
                        None => {
                            chunk.right.push(case.key());
                            chunk.removed.push(case.key());
                            chunk.forgotten.push(case.canonical);
                        }
                    }
                }
                Verdict::Reject { from, rejected, memory, known } => {
                    let row = (joint.entity.name.to_string(), case.canonical.clone());
                    let known = known && !(self.job.stopped_before && self.told_again.insert(row));
                    let other = u64::from(!matches!(case.found[from], Found::Bad(_)));
                    chunk.counts += Counts { read: 1 + other, skipped: other + u64::from(known), ..Counts::default() };
                    if !known {
                        chunk.letters.push(self.letter(joint, from, *rejected, &case));
                    }
                    chunk.agreements.push(memory.into_agreement(case.canonical, &joint.entity));
                }
                Verdict::Dispute { dispute, memory, known } => {
                    chunk.counts += Counts { read: 2, skipped: 1 + u64::from(known), ..Counts::default() };
                    if !known {
                        chunk.letters.push(letters::dispute(
                            joint,
                            &self.job.integration,
                            &case,
                            &dispute,
                            self.run_id(),
                        ));
                    }
                    chunk.agreements.push(memory.into_agreement(case.canonical, &joint.entity));
                }
                Verdict::Write { orders, memory, lossy } => {
                    let removes = Which::BOTH
                        .into_iter()
                        .find(|side| orders[*side].as_ref().is_some_and(|order| order.kind == Kind::Remove));
                    let decided = case.memory.as_ref().is_some_and(|memory| memory.decided.is_some());
                    if let Some(side) = removes.filter(|_| round != Round::Removing && !decided) {
                        // Whether it may go is known once everything was read.
                        self.lost[side.other()] = true;
                        chunk.counts += Counts { read: 2, skipped: 2, ..Counts::default() };
                        continue;
                    }
                    for (side, field) in lossy {
                        let name = joint.entity.fields[field].name.to_string();
                        *self.lossy.entry((joint.name(side).to_owned(), name)).or_default() += 1;
                    }
                    writing.push((case, *orders, memory));
                }
            }
        }
        self.write(joint, writing, round, &mut chunk).await?;
        self.commit(joint, chunk, position).await
    }

    /// Writes the orders: what is created goes first, since the other side of such a row may depend on it.
    async fn write(
        &mut self,
        joint: &Joint,
        mut writing: Vec<(Case, Both<Option<Order>>, Memory)>,
        round: Round,
        chunk: &mut Chunk,
    ) -> Result<(), Stopped> {
        self.remember(joint, &mut writing).await?;
        let first = |orders: &Both<Option<Order>>| {
            let creates = |side: &Which| orders[*side].as_ref().is_some_and(|order| order.kind == Kind::Create);
            Which::BOTH.into_iter().find(creates).unwrap_or(Which::Right)
        };
        let firsts: Vec<Which> = writing.iter().map(|(_, orders, _)| first(orders)).collect();
        let mut effects: Vec<Both<Option<Effect>>> = writing.iter().map(|_| Both::default()).collect();
        for is_first in [true, false] {
            for side in [Which::Right, Which::Left] {
                let mut orders = Vec::new();
                for (at, (_, wanted, _)) in writing.iter().enumerate() {
                    let went = match &effects[at][side.other()] {
                        None => wanted[side.other()].is_none() || is_first,
                        Some(effect) => matches!(effect, Effect::Done { .. }),
                    };
                    if let Some(order) = wanted[side].as_ref().filter(|_| (firsts[at] == side) == is_first && went) {
                        orders.push((at, order));
                    }
                }
                let answers = self.carry_out(joint, side, &writing, &orders).await?;
                for ((at, _), effect) in orders.into_iter().zip(answers) {
                    effects[at][side] = Some(effect);
                }
            }
        }
        for ((case, orders, memory), effects) in writing.into_iter().zip(effects) {
            self.record(joint, case, orders, memory, effects, round, chunk);
        }
        Ok(())
    }

    /// Remembers which fields and rows are about to be written, created or removed: should the run end before it remembers
    /// that they were, they are not taken for somebody's change.
    async fn remember(
        &mut self,
        joint: &Joint,
        writing: &mut [(Case, Both<Option<Order>>, Memory)],
    ) -> Result<(), Stopped> {
        let Mode::Live { lease, .. } = &self.mode else { return Ok(()) };
        let mut agreements = Vec::new();
        for (case, orders, after) in writing {
            let Some(memory) = underway(joint, case, orders, after) else { continue };
            agreements.push(memory.clone().into_agreement(case.canonical.clone(), &joint.entity));
            case.memory = Some(memory);
        }
        if !agreements.is_empty() {
            let (integration, entity) = (self.job.integration.clone(), joint.entity.name.to_string());
            let put = agreements::Op::Put { integration, entity, agreements };
            self.store.commit(vec![lease.fence(), put.into()]).await?;
        }
        Ok(())
    }

    /// Sends the orders of one side; a plan only looks at what it holds.
    async fn carry_out(
        &mut self,
        joint: &Joint,
        side: Which,
        writing: &[(Case, Both<Option<Order>>, Memory)],
        orders: &[(usize, &Order)],
    ) -> Result<Vec<Effect>, Stopped> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let (retry, watch, asked) = (&self.job.retry, self.watch, joint.asked(side));
        let keys: Vec<Key> = orders.iter().map(|(_, order)| order.wanted.key.clone()).collect();
        let mut currents: Vec<Option<Current>> =
            with_retries(retry, watch, || joint.sink(side).current(&keys, &asked)).await?;
        for (current, key) in currents.iter_mut().zip(&keys).filter(|(current, _)| current.is_none()) {
            // A plan gives no row its key.
            *current = self.adopting.get(key).cloned();
        }
        let mut effects: Vec<Option<Effect>> = orders.iter().map(|_| None).collect();
        let (mut changes, mut of): (Vec<Change>, Vec<usize>) = (Vec::new(), Vec::new());
        let found = adopt::existing(retry, watch, joint, side, writing, orders, &currents).await?;
        for (at, (((_, order), current), found)) in orders.iter().zip(&currents).zip(&found).enumerate() {
            match found {
                Existing::None => {}
                Existing::One(row) => {
                    changes.push(adopt::adoption(order, row));
                    of.push(at);
                    continue;
                }
                Existing::Several(rows) => {
                    effects[at] = Some(Effect::Refused(Box::new(joint.ambiguous(side, order, *rows))));
                    continue;
                }
            }
            match joint.prepare(side, order, current.as_ref()) {
                Prepared::Nothing { remote_id } => {
                    let counts = Counts { unchanged: 1, ..Counts::default() };
                    effects[at] = Some(Effect::Done { counts, remote_id });
                }
                Prepared::Moved => effects[at] = Some(Effect::Waits(None)),
                Prepared::Send(change) => {
                    changes.push(*change);
                    of.push(at);
                }
            }
        }
        if matches!(self.mode, Mode::Plan) {
            let new: Vec<bool> = of.iter().map(|at| currents[*at].is_none()).collect();
            let unfit = foreseen::unfit(retry, watch, joint.into(side), &changes, &new).await?;
            for ((change, at), unfit) in changes.iter().zip(of).zip(unfit) {
                if let Some(fault) = unfit {
                    effects[at] = Some(Effect::Refused(Box::new(fault)));
                    continue;
                }
                let (case, ..) = &writing[orders[at].0];
                if let Existing::One(row) = &found[at] {
                    (self.each)(super::plan::adopted(joint, side, case, change, row, &mut self.proofs));
                    self.plan_adopted(joint, side, case, orders[at].1, row);
                    effects[at] = Some(Effect::Adopted);
                    continue;
                }
                let (row, counts) = super::plan::planned(
                    joint,
                    side,
                    case,
                    orders[at].1,
                    change,
                    currents[at].as_ref(),
                    &mut self.proofs,
                );
                (self.each)(row);
                effects[at] = Some(Effect::Done { counts, remote_id: None });
            }
        } else if !changes.is_empty() {
            let unplanned = self.may(joint, side, writing, orders, (&changes, &of), (&currents, &found))?;
            let (asked, new): (Vec<Change>, Vec<bool>) =
                unplanned.iter().map(|(place, _)| (changes[*place].clone(), currents[of[*place]].is_none())).unzip();
            let unfit = foreseen::unfit(retry, watch, joint.into(side), &asked, &new).await?;
            // What is not planned is refused, as the plan found.
            for ((place, fault), unfit) in unplanned.into_iter().zip(unfit).rev() {
                changes.remove(place);
                effects[of.remove(place)] = Some(Effect::Refused(Box::new(unfit.ok_or(fault)?)));
            }
            self.store.failpoints().hit("sink.before").map_err(store::Error::from)?;
            let outcomes = with_retries(retry, watch, || joint.sink(side).apply(&changes)).await?;
            self.store.failpoints().hit("sink.after").map_err(store::Error::from)?;
            for ((at, change), outcome) in of.into_iter().zip(&changes).zip(outcomes) {
                let current = currents[at].as_ref();
                effects[at] = Some(match outcome {
                    Ok(_) if change.op == Op::Adopt => Effect::Adopted,
                    Ok(written) => {
                        let known = written.remote_id.as_deref().map(str::to_owned);
                        let counts = counted(change.op, orders[at].1.kind, written.effect, current.is_some());
                        self.sent += counts;
                        *self.created.entry(joint.entity.name.to_string()).or_default() += counts.created;
                        Effect::Done { counts, remote_id: known }
                    }
                    Err(fault) if fault.code == codes::REFERENCE_MISSING || fault.is_transient() => {
                        Effect::Waits(Some(Box::new(fault)))
                    }
                    Err(fault) if fault.now == Now::Reject || fault.scope == Scope::Row => {
                        Effect::Refused(Box::new(fault))
                    }
                    Err(fault) => return Err(fault.into()),
                });
            }
        }
        Ok(effects.into_iter().map(|effect| effect.expect("each order is sent, or is settled before")).collect())
    }

    /// Those of these changes that are not as they were planned, with the fault of each, where the run goes by a plan.
    /// *Shape*: by their places, ascending.
    ///
    /// *Errors*: the others are too many for a condition; nothing of them was sent.
    fn may(
        &mut self,
        joint: &Joint,
        side: Which,
        writing: &[(Case, Both<Option<Order>>, Memory)],
        orders: &[(usize, &Order)],
        (changes, of): (&[Change], &[usize]),
        (currents, found): (&[Option<Current>], &[Existing]),
    ) -> Result<Vec<(usize, Fault)>, Fault> {
        let (mut more, mut unplanned) = ([0; 3], Vec::new());
        for (place, (change, &at)) in changes.iter().zip(of).enumerate() {
            let ((case, ..), order) = (&writing[orders[at].0], orders[at].1);
            let (key, proofs) = (case.key(), &mut self.proofs);
            let proof = || match &found[at] {
                Existing::One(row) => proofs.of_write(joint.into(side), &case.key(), change, Some(row)),
                _ => super::plan::proof(joint, side, case, order, change, currents[at].as_ref(), proofs),
            };
            // What was allowed as a whole may be written in two steps.
            if self.guard.is_bound() && !self.allowed.contains(&case.canonical) {
                if let Err(fault) = self.guard.allows(self.job, &joint.entity.name, &key.to_string(), proof) {
                    unplanned.push((place, fault));
                    continue;
                }
                self.allowed.insert(case.canonical.clone());
            }
            more[order.kind as usize] += 1;
        }
        self.guard.within(self.job, &self.sent, more)?;
        Ok(unplanned)
    }

    /// Adds what became of one row to the chunk.
    #[expect(clippy::too_many_arguments, reason = "one row with everything that is known of it")]
    fn record(
        &mut self,
        joint: &Joint,
        case: Case,
        orders: Both<Option<Order>>,
        memory: Memory,
        effects: Both<Option<Effect>>,
        round: Round,
        chunk: &mut Chunk,
    ) {
        let mut done = Counts { read: 2, ..Counts::default() };
        let mut memory = memory;
        let mut failed = None;
        for side in Which::BOTH {
            match &effects[side] {
                Some(Effect::Done { counts, remote_id }) => {
                    // Made by this run in two steps: once in the counts.
                    let completed = counts.updated > 0 && self.made.contains(&case.canonical);
                    done += if completed { Counts { unchanged: 1, ..Counts::default() } } else { *counts };
                    if counts.written() > 0 {
                        memory.rows[side] = None;
                    }
                    self.known_there(joint, side, &case, remote_id.clone(), chunk);
                }
                Some(Effect::Adopted) => {
                    chunk.counts += Counts { read: 1, updated: 1, ..Counts::default() };
                    let now = self.store.clock().now().as_millisecond();
                    let before = case.memory.clone().unwrap_or_else(|| Memory::new(joint.fingerprint));
                    let agreed = before.agreed.clone().closed();
                    let memory =
                        Memory { stage: Stage::Waiting, since: Some(now), keys: memory.keys, agreed, ..before };
                    chunk.agreements.push(memory.into_agreement(case.canonical, &joint.entity));
                    return;
                }
                Some(effect) => failed = Some((side, effect)),
                None if orders[side].is_some() => {}
                None => match case.found[side] {
                    Found::Row(_) => done.unchanged += 1,
                    _ => done.skipped += 1,
                },
            }
        }
        let Some((side, effect)) = failed else {
            if memory.stage == Stage::Waiting {
                // It is looked at again, and counted then with its other side.
                self.made.insert(case.canonical.clone());
                chunk.counts += Counts { read: 1, created: 1, ..Counts::default() };
                chunk.agreements.push(memory.into_agreement(case.canonical, &joint.entity));
                return;
            }
            chunk.counts += done;
            let removed =
                Which::BOTH.into_iter().find(|side| orders[*side].as_ref().is_some_and(|o| o.kind == Kind::Remove));
            match removed.map(|side| joint.into(side).gone) {
                // It is still there, and nobody is to take it for a new one.
                Some(Gone::Deactivate { .. }) => {
                    self.settle(joint, &case, Memory { asleep: true, leaving: false, ..memory }, chunk);
                }
                Some(_) => {
                    chunk.right.push(case.key());
                    chunk.removed.push(case.key());
                    chunk.forgotten.push(case.canonical);
                }
                None => self.settle(joint, &case, memory, chunk),
            }
            return;
        };
        // One side is written, perhaps, and the other is not: nothing new is agreed on.
        let before = case.memory.clone().unwrap_or_else(|| Memory::new(joint.fingerprint));
        let Memory { agreed, told, leaving, .. } = before;
        let undone = Memory { agreed, told, leaving, mapping: joint.fingerprint, ..memory };
        let open = 2 - (done.written() + done.unchanged + done.skipped).min(2);
        match effect {
            Effect::Refused(fault) => {
                let rejected = self.refused(joint, side, &case, &orders, (**fault).clone());
                let letter = self.letter(joint, side.other(), rejected, &case);
                // A removal is tried by each run.
                let before = case.memory.as_ref().filter(|_| !self.job.stopped_before);
                let again = before.is_some_and(|before| {
                    (before.stage, before.mapping) == (Stage::Rejected, joint.fingerprint) && before.rows == undone.rows
                });
                let letters = if again { &mut chunk.refused } else { &mut chunk.letters };
                letters.push(letter);
                chunk.counts += Counts { skipped: done.skipped + open - u64::from(!again), ..done };
                let agreed = undone.agreed.closed();
                let memory = Memory {
                    stage: Stage::Rejected,
                    decided: None,
                    since: None,
                    told: true,
                    leaving: false,
                    agreed,
                    ..undone
                };
                chunk.agreements.push(memory.into_agreement(case.canonical, &joint.entity));
            }
            Effect::Waits(why) => {
                let now = self.store.clock().now();
                let decided = case.memory.as_ref().and_then(|memory| memory.decided);
                let since = case.memory.as_ref().and_then(|memory| memory.since).unwrap_or(now.as_millisecond());
                let waited = SignedDuration::from_millis(now.as_millisecond() - since);
                let lacks = why.as_ref().is_some_and(|fault| fault.code == codes::REFERENCE_MISSING);
                let patience = match lacks {
                    true => SignedDuration::try_from(joint.into(side).patience).unwrap_or(SignedDuration::MAX),
                    false => STUBBORN,
                };
                let tell = round == Round::Last && why.is_some() && !undone.told && waited >= patience;
                let memory =
                    Memory { stage: Stage::Waiting, decided, since: Some(since), told: undone.told || tell, ..undone };
                chunk.agreements.push(memory.into_agreement(case.canonical.clone(), &joint.entity));
                if matches!(round, Round::First | Round::Bare) {
                    // It is counted when it is looked at again.
                    chunk.counts += Counts { read: done.written(), unchanged: 0, skipped: 0, ..done };
                } else {
                    chunk.counts += Counts { skipped: done.skipped + open - u64::from(tell), ..done };
                    chunk.waiting += u64::from(!tell);
                }
                let last = why.as_ref().filter(|_| round == Round::Last);
                if let (true, Some(fault)) = (tell, last) {
                    let rejected = self.refused(joint, side, &case, &orders, (**fault).clone());
                    chunk.letters.push(self.letter(joint, side.other(), rejected, &case));
                } else if let (true, Some(fault)) = (told, last) {
                    let fault = (**fault).clone();
                    let fault = if lacks { waits(fault) } else { fault };
                    let rejected = self.refused(joint, side, &case, &orders, fault);
                    chunk.waits.push(self.letter(joint, side.other(), rejected, &case));
                }
            }
            Effect::Done { .. } | Effect::Adopted => unreachable!("what is done has not failed"),
        }
    }

    /// Both sides are as they should be.
    fn settle(&mut self, joint: &Joint, case: &Case, memory: Memory, chunk: &mut Chunk) {
        if case.memory.as_ref() == Some(&memory) {
            return;
        }
        chunk.right.push(case.key());
        for side in Which::BOTH {
            let spelled = memory.keys[side].clone();
            chunk.right.extend(spelled.filter(|key| *key != case.key()));
            if case.found[side].row().is_some() {
                self.known_there(joint, side, case, None, chunk);
            }
        }
        chunk.agreements.push(memory.into_agreement(case.canonical.clone(), &joint.entity));
    }

    /// The ledger knows that a side has the row, for what points to it.
    fn known_there(&self, joint: &Joint, side: Which, case: &Case, remote_id: Option<String>, chunk: &mut Chunk) {
        let key = case.key();
        if chunk.entries[side].iter().any(|entry| entry.key == key) {
            return;
        }
        chunk.entries[side].push(Entry {
            key,
            source_hash: case.found[side.other()].hash().unwrap_or_default(),
            content_hash: 0,
            mapping: joint.fingerprint,
            state: Settled::Written,
            generation: self.run_id().map_or(0, |run| run.0 as u64),
            remote_id,
            version: None,
        });
    }

    fn refused(&self, joint: &Joint, side: Which, case: &Case, orders: &Both<Option<Order>>, fault: Fault) -> Rejected {
        let row =
            case.found[side.other()].row().or(case.found[side].row()).expect("a row that is written is somewhere");
        let key = case.key();
        let columns = orders[side].iter().flat_map(|order| order.wanted.columns.schema().columns());
        let columns: Vec<&str> = columns.map(|column| &*column.name).collect();
        let mut fields = joint.write(side).explain(&row.record);
        fields.retain(|field| columns.is_empty() || columns.contains(&&*field.target));
        Rejected {
            source_hash: row.hash,
            faults: vec![fault.at_key(key.to_string())],
            source: row.raw.clone(),
            fields,
            remote_id: None,
            parents: Vec::new(),
            standing: None,
            key,
        }
    }

    fn letter(&self, joint: &Joint, from: Which, rejected: Rejected, case: &Case) -> Letter {
        let faults = rejected.faults.clone();
        let run = self.run_id().unwrap_or(runs::RunId(0));
        let rejection = rejected.into_dead_letter(&self.job.integration, joint.from(from), run);
        Letter { rejection: letters::named(rejection, &case.canonical), faults }
    }

    pub(super) fn run_id(&self) -> Option<runs::RunId> {
        match &self.mode {
            Mode::Live { run, .. } => Some(*run),
            Mode::Plan => None,
        }
    }

    pub(super) fn count(&mut self, counts: Counts) {
        self.counts += counts;
        self.settled += counts.unchanged + counts.written() + counts.rejected + counts.skipped;
    }
}

/// What is remembered of a row while these orders are carried out; nothing where what is known already says as much.
fn underway(joint: &Joint, case: &Case, orders: &Both<Option<Order>>, after: &Memory) -> Option<Memory> {
    let kinds = Both::of(|side| orders[side].as_ref().map(|order| order.kind));
    let before = case.memory.as_ref();
    let decided = before.is_some_and(|memory| memory.decided.is_some());
    if let Some(side) = Which::BOTH.into_iter().find(|side| kinds[*side] == Some(Kind::Create)) {
        if decided || before.is_some_and(|memory| memory.agreed.joined) {
            return None;
        }
        let before = before.cloned().unwrap_or_else(|| Memory::new(joint.fingerprint));
        let agreed = after.agreed.while_creating(&joint.rules, side, case.found[side.other()].row()?.record.values());
        let (rows, keys, mapping) = (Both::default(), after.keys.clone(), joint.fingerprint);
        return Some(Memory { stage: Stage::Waiting, agreed, rows, keys, mapping, ..before });
    }
    let before =
        before.filter(|memory| memory.stage == Stage::Agreed && memory.agreed.joined && memory.mapping != 0)?;
    if decided {
        return None;
    }
    let (agreed, leaving) = match Which::BOTH.into_iter().find(|side| kinds[*side] == Some(Kind::Remove)) {
        Some(side) => {
            let sleeps = matches!(joint.into(side).gone, Gone::Deactivate { .. });
            (before.agreed.while_removing(side.other()), sleeps)
        }
        None => (before.agreed.while_sending(&after.agreed), before.leaving),
    };
    let says_more = agreed != before.agreed || leaving != before.leaving;
    says_more.then(|| Memory { agreed, leaving, rows: Both::default(), ..before.clone() })
}

fn counted(op: Op, kind: Kind, effect: Effected, was_there: bool) -> Counts {
    let mut counts = Counts::default();
    let count = match (kind, effect) {
        (Kind::Remove, Effected::Unchanged) | (_, Effected::Unchanged) => &mut counts.unchanged,
        (Kind::Remove, _) => &mut counts.deleted,
        (_, Effected::Created) => &mut counts.created,
        (_, Effected::Upserted) if !was_there && op == Op::Upsert => &mut counts.created,
        _ => &mut counts.updated,
    };
    *count += 1;
    counts
}
