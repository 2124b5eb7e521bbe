//! From what is to be written to what is sent: the destination is asked first, and only what differs goes there.

use mapping::content;
use record::{Change, Current, Op, Row, Schema};

use super::Joint;
use super::decide::{Kind, Order};
use super::merge::Which;
use crate::gone;

/// What one order comes to.
#[derive(Debug, Clone)]
pub(crate) enum Prepared {
    /// The side holds it so already.
    Nothing {
        remote_id: Option<String>,
    },
    Send(Box<Change>),
    /// The row is no longer as it was when it was merged: it is merged again.
    Moved,
}

impl Joint {
    /// The columns that have to be known of a row of a side before it is written.
    pub fn asked(&self, side: Which) -> Vec<String> {
        let pair = self.into(side);
        let mut asked = pair.key_columns.clone();
        for column in pair.write.compared().into_iter().chain(pair.gone.asks()) {
            if !asked.contains(&column) {
                asked.push(column);
            }
        }
        asked
    }

    /// What is sent for an order, now that the side has said what it holds.
    pub fn prepare(&self, side: Which, order: &Order, current: Option<&Current>) -> Prepared {
        let pair = self.into(side);
        let keeps = pair.write.keeps();
        let columns = |columns: Row, op, current: Option<&Current>| Change {
            op,
            key: order.wanted.key.clone(),
            columns,
            remote_id: current.and_then(|current| current.remote_id.clone()),
            if_version: current.and_then(|current| current.version.clone()),
        };
        match (order.kind, current) {
            (Kind::Create, None) => {
                let filled = order.wanted.columns.iter().chain(order.wanted.on_create.iter());
                let filled: Vec<&str> = filled.filter(|(_, value)| !value.is_blank()).map(|(name, _)| name).collect();
                let row = joined(&order.wanted.columns, &order.wanted.on_create, |name| filled.contains(&name));
                Prepared::Send(Box::new(columns(row, Op::Upsert, None)))
            }
            // It came into being meanwhile, or it went.
            (Kind::Create, Some(_)) | (Kind::Update, None) => Prepared::Moved,
            (Kind::Remove, current) => {
                let remote_id = current.and_then(|current| current.remote_id.as_deref()).map(str::to_owned);
                match gone::change(pair, &order.wanted.key, None, current) {
                    Some(change) => Prepared::Send(Box::new(change)),
                    None => Prepared::Nothing { remote_id },
                }
            }
            (Kind::Update, Some(current)) => {
                let now = |name: &str| current.columns.get(name);
                let moved = order.wanted.columns.iter().any(|(name, _)| {
                    let (seen, now) = (order.seen.get(name), now(name));
                    seen.zip(now).is_some_and(|(seen, now)| !content::same(seen, now, keeps))
                });
                if moved {
                    return Prepared::Moved;
                }
                let differs = |name: &str| {
                    let wanted = order.wanted.columns.get(name);
                    wanted.is_some_and(|wanted| now(name).is_none_or(|now| !content::same(wanted, now, keeps)))
                };
                let row = joined(&order.wanted.columns, &order.wanted.on_create, differs);
                if row.values().is_empty() {
                    return Prepared::Nothing { remote_id: current.remote_id.as_deref().map(str::to_owned) };
                }
                Prepared::Send(Box::new(columns(row, Op::Update, Some(current))))
            }
        }
    }
}

/// The columns of two rows that are wanted, in one.
fn joined(one: &Row, other: &Row, wanted: impl Fn(&str) -> bool) -> Row {
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for row in [one, other] {
        for (column, value) in row.schema().columns().iter().zip(row.values()).filter(|(c, _)| wanted(&c.name)) {
            columns.push(column.clone());
            values.push(value.clone());
        }
    }
    Row::new(Schema::new(columns), values)
}
