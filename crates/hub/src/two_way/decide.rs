//! What becomes of one row, now that both sides were looked at. No IO.

use mapping::Wanted;
use record::{Key, Row, Schema, Value};

use super::Joint;
use super::look::{Found, Loaded};
use super::memory::{Memory, Stage};
use super::merge::{Both, Dispute, Version, Which, Write, merge};
use crate::gone::{self, Gone};
use crate::reject::{Rejected, keyless};

/// One row on its way: what is remembered of it, and what its two sides are now.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The key as the looser side compares it: what the agreement is found by.
    pub canonical: Key,
    pub memory: Option<Memory>,
    pub found: Both<Found>,
}

/// What is to be written on one side.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub kind: Kind,
    pub wanted: Wanted,
    /// The row as the side had it when it was looked at; without columns where it had none.
    pub seen: Row,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Update,
    Remove,
}

/// What becomes of the row.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing is written, and there is nothing to say. `skipped` counts sides that were left as they are on purpose.
    Rest { memory: Option<Memory>, unchanged: u64, skipped: u64 },
    /// Orders for one side or both; the memory holds once they are carried out.
    Write { orders: Box<Both<Option<Order>>>, memory: Memory, lossy: Vec<(Which, usize)> },
    /// The row of `side` cannot be read, or what would be written there does not fit.
    Reject { from: Which, rejected: Box<Rejected>, memory: Memory, known: bool },
    /// A person is asked.
    Dispute { dispute: Dispute, memory: Memory, known: bool },
}

impl Case {
    /// The key by which people know the row: as the first side spells it, where that has it.
    pub fn key(&self) -> Key {
        let spelled = |side: Which| match &self.found[side] {
            Found::Row(loaded) => Some(loaded.key.clone()),
            Found::Bad(bad) => bad.key.clone(),
            Found::Absent | Found::LeftOut => None,
        };
        let remembered = |side: Which| self.memory.as_ref().and_then(|memory| memory.keys[side].clone());
        let of = |side| spelled(side).or_else(|| remembered(side));
        of(Which::Left).or_else(|| of(Which::Right)).unwrap_or_else(|| self.canonical.clone())
    }
}

/// Decides about one row.
pub(crate) fn decide(joint: &Joint, case: &Case) -> Verdict {
    let rows = Both::of(|side| case.found[side].hash());
    let before = case.memory.as_ref();
    let same_mapping = before.is_some_and(|memory| memory.mapping == joint.fingerprint);
    let as_then = same_mapping && before.is_some_and(|memory| memory.rows == rows);
    let known = |stage: Stage| as_then && before.is_some_and(|memory| memory.stage == stage);
    let mut memory = Memory { mapping: joint.fingerprint, rows, ..before.cloned().unwrap_or_else(|| Memory::new(0)) };
    for side in Which::BOTH {
        if let Found::Row(loaded) = &case.found[side] {
            memory.keys[side] = Some(loaded.key.clone());
        }
    }
    for side in Which::BOTH {
        if let Found::Bad(bad) = &case.found[side] {
            let rejected = Rejected {
                key: bad.key.clone().unwrap_or_else(|| keyless(bad.hash)),
                source_hash: bad.hash,
                faults: bad.faults.iter().map(|fault| fault.clone().at_key(case.key().to_string())).collect(),
                source: bad.raw.clone(),
                fields: bad.fields.clone(),
                remote_id: None,
                parents: Vec::new(),
                standing: None,
            };
            let known = before.is_some_and(|memory| {
                same_mapping && memory.stage == Stage::Rejected && memory.rows[side] == Some(bad.hash)
            });
            // The other side was not looked at.
            memory.rows[side.other()] = before.and_then(|memory| memory.rows[side.other()]);
            return reject(side, rejected, memory, known);
        }
    }
    let loaded = Both::of(|side| case.found[side].row());
    if loaded.left.is_none() && loaded.right.is_none() {
        return Verdict::Rest { memory: None, unchanged: 0, skipped: 2 };
    }
    let echo = Both::of(|side| match loaded[side.other()] {
        Some(other) => joint.echo(side, &other.record, loaded[side].map(|own| &own.raw)),
        None => Vec::new(),
    });
    let versions = Both::of(|side| Version {
        values: loaded[side].map(|row| row.record.values()),
        echo: &echo[side],
        changed: loaded[side].and_then(|row| row.changed),
    });
    let agreed = before.filter(|memory| memory.mapping != 0).map(|memory| &memory.agreed);
    // What a person decided was about what they saw.
    let decided = before.and_then(|memory| memory.decided).filter(|_| as_then);
    let merged = merge(&joint.rules, agreed, &versions, decided);
    if let Some(dispute) = merged.dispute {
        let known = known(Stage::Disputed) || (as_then && before.is_some_and(|m| m.stage == Stage::Waiting && m.told));
        let memory = Memory { stage: Stage::Disputed, decided: None, since: None, told: true, ..memory };
        return Verdict::Dispute { dispute, memory, known };
    }
    // A row that `where:` leaves out is there all the same, and is not written over. Nothing is agreed on by that.
    let is_in_the_way = |side| matches!(case.found[side], Found::LeftOut) && merged.write[side] == Write::Create;
    if Which::BOTH.into_iter().any(is_in_the_way) {
        let agreed = agreed.cloned().unwrap_or_default();
        let memory = Memory { stage: Stage::Agreed, agreed, decided: None, since: None, told: false, ..memory };
        return Verdict::Rest { memory: Some(memory), unchanged: 0, skipped: 2 };
    }
    memory.agreed = merged.agreed;
    let mut orders: Both<Option<Order>> = Both::default();
    for side in Which::BOTH {
        orders[side] = match order(joint, side, &merged.write[side], &loaded, &echo) {
            Ok(order) => order,
            Err(faults) => {
                let from = side.other();
                let row = loaded[from].or(loaded[side]).expect("one side has the row");
                let rejected = Rejected {
                    key: case.key(),
                    source_hash: row.hash,
                    faults: faults.into_iter().map(|fault| fault.at_key(case.key().to_string())).collect(),
                    source: row.raw.clone(),
                    fields: joint.write(side).explain(&row.record),
                    remote_id: None,
                    parents: Vec::new(),
                    standing: None,
                };
                // Nothing was agreed on: the row is merged anew once a side has changed.
                memory.agreed = agreed.cloned().unwrap_or_default();
                return reject(from, rejected, memory, known(Stage::Rejected));
            }
        };
    }
    if (memory.asleep || memory.leaving) && loaded.left.is_some() && loaded.right.is_some() {
        (memory.asleep, memory.leaving) = (false, false);
        // Where the mapping itself says whether a row is active, that holds.
        let wakes = |side: &Which| {
            joint.into(*side).gone == RETURNS && !joint.write(*side).columns().iter().any(|name| *name == gone::STATE)
        };
        for side in Which::BOTH.into_iter().filter(wakes) {
            wake(joint, side, &mut orders[side], loaded[side].expect("both sides have the row"));
        }
    }
    let memory = Memory { stage: Stage::Agreed, decided: None, since: None, told: false, ..memory };
    if orders.left.is_none() && orders.right.is_none() {
        let there = Which::BOTH.into_iter().filter(|side| loaded[*side].is_some()).count() as u64;
        return match there {
            2 => Verdict::Rest { memory: Some(memory), unchanged: 2, skipped: 0 },
            _ => Verdict::Rest { memory: Some(memory), unchanged: 0, skipped: 2 },
        };
    }
    Verdict::Write { orders: Box::new(orders), memory, lossy: merged.lossy }
}

const RETURNS: Gone = Gone::Deactivate { returns_active: true };

/// The row that the hub made inactive, perhaps, is active again, since the other side has it again.
fn wake(joint: &Joint, side: Which, order: &mut Option<Order>, own: &Loaded) {
    if order.is_none()
        && let Ok(wanted) = joint.write(side).apply_fields(&own.record, &[])
    {
        *order = Some(Order { kind: Kind::Update, wanted, seen: own.raw.clone() });
    }
    if let Some(order) = order {
        let (column, value) = gone::active_again();
        order.wanted.columns = order.wanted.columns.clone().with(column, value);
    }
}

fn reject(from: Which, rejected: Rejected, memory: Memory, known: bool) -> Verdict {
    let memory = Memory { stage: Stage::Rejected, decided: None, since: None, told: true, ..memory };
    Verdict::Reject { from, rejected: Box::new(rejected), memory, known }
}

fn order(
    joint: &Joint,
    side: Which,
    write: &Write,
    loaded: &Both<Option<&Loaded>>,
    echo: &Both<Vec<Value>>,
) -> Result<Option<Order>, Vec<record::Fault>> {
    let nothing = || Row::new(Schema::new(Vec::new()), Vec::new());
    let own = loaded[side];
    let seen = own.map_or_else(nothing, |own| own.raw.clone());
    let mapping = joint.write(side);
    let (kind, wanted) = match write {
        Write::Nothing => return Ok(None),
        Write::Create => {
            let other = loaded[side.other()].expect("what is created comes from the other side");
            (Kind::Create, mapping.apply(&other.record)?)
        }
        Write::Update(fields) => {
            let own = own.expect("only a row that is there is updated");
            let mut record = own.record.clone();
            for &field in fields {
                // Where the other side is about to get the row, it is what it will say.
                let value = match loaded[side.other()] {
                    Some(other) => other.record.values()[field].clone(),
                    None => echo[side.other()][field].clone(),
                };
                *record.at_mut(field) = value;
            }
            (Kind::Update, mapping.apply_fields(&record, fields)?)
        }
        Write::Remove => {
            let own = own.expect("only a row that is there is removed");
            (Kind::Remove, mapping.apply_fields(&own.record, &[])?)
        }
    };
    Ok(Some(Order { kind, wanted, seen }))
}
