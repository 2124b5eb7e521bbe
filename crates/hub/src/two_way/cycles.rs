//! Rows that point to each other in a circle: neither can be created before the other. They are created without the
//! pointers, as if both sides had agreed that these are blank; then the pointers are a change like any other.

use std::collections::HashSet;

use record::{Key, Value};

use super::Joint;
use super::decide::{Case, Kind, Order};
use super::exchange::Round;
use super::memory::{Memory, Stage};
use super::merge::{Both, Mark, Which, given, hash};
use super::run::Run;
use crate::error::Stopped;
use crate::plan::PlannedRow;

/// Rows by their entity and canonical key.
pub(super) type Pending = HashSet<(String, Key)>;

impl<E: FnMut(PlannedRow)> Run<'_, E> {
    /// Creates rows that wait for each other without the pointers between them. Whether there were any.
    pub(super) async fn break_cycles(&mut self) -> Result<bool, Stopped> {
        let job = self.job;
        self.circle.clear();
        for joint in &job.two_way {
            for key in self.pending(joint)? {
                self.circle.insert((joint.entity.name.to_string(), key));
            }
        }
        let before = self.counts.created;
        for joint in &job.two_way {
            let pending = self.pending(joint)?;
            self.again(joint, &pending, Round::Bare).await?;
        }
        self.circle.clear();
        Ok(self.counts.created > before)
    }

    /// The row without its pointers to rows that wait as well; `None` where it has none, or needs them.
    pub(super) fn bare(
        &self,
        joint: &Joint,
        case: &Case,
        orders: &Both<Option<Order>>,
        memory: &Memory,
    ) -> Option<(Both<Option<Order>>, Memory)> {
        let creates = |side: &Which| orders[*side].as_ref().is_some_and(|order| order.kind == Kind::Create);
        let side = Which::BOTH.into_iter().find(creates)?;
        let from = case.found[side.other()].row()?;
        let mut record = from.record.clone();
        let among = |value: &Value| match value {
            Value::Reference(to) => {
                let of = self.job.two_way.iter().find(|joint| *joint.entity.name == *to.of);
                of.zip(Key::of(to.key.iter().map(|(_, part)| part)).ok())
                    .is_some_and(|(of, key)| self.circle.contains(&(to.of.to_string(), key.folded(of.key_rules))))
            }
            _ => false,
        };
        let pointers: Vec<usize> = (0..record.values().len()).filter(|at| among(&record.values()[*at])).collect();
        if pointers.is_empty() {
            return None;
        }
        pointers.iter().for_each(|at| *record.at_mut(*at) = Value::Blank);
        let wanted = joint.write(side).apply(&record).ok()?;
        let mut bare: Both<Option<Order>> = Both::default();
        bare[side] = orders[side].clone().map(|order| Order { wanted, ..order });
        let mut memory = Memory { stage: Stage::Waiting, since: case.memory.as_ref()?.since, ..memory.clone() };
        let blank = Mark { read: hash(&Value::Blank), ..Mark::default() };
        let mut blanks = Both { left: blank, right: blank };
        blanks[side] = given(&Value::Blank, &Value::Blank);
        for at in pointers {
            if let Some(marks) = memory.agreed.fields.get_mut(at) {
                *marks = Some(blanks);
            }
        }
        Some((bare, memory))
    }
}
