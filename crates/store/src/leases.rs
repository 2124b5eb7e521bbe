//! Leases: who may write for a name, proved by an epoch.
//!
//! One integration never runs twice at once, in whatever process: its runner takes the lease named after it, renews it,
//! and puts [`Op::Fence`] first in every commit. When it stalls for longer than the lease lasts, somebody else takes
//! over under a higher epoch, and the commit of the one who wakes up late is refused as a whole.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::time::{duration_ms, from_ms};
use crate::tx::{Tx, first};
use crate::{Op as AnyOp, Store};

/// The how-manieth holding of a lease this is. Grows with every take, never falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub name: String,
    pub holder: String,
    pub epoch: Epoch,
    pub until: Timestamp,
}

impl Lease {
    /// The operation that refuses a commit once this lease is lost.
    pub fn fence(&self) -> AnyOp {
        Op::Fence { name: self.name.clone(), epoch: self.epoch }.into()
    }
}

/// What can be done with a lease.
#[derive(Debug, Clone)]
pub enum Op {
    /// Takes a lease that is free or has run out, under a new epoch. Refused while somebody else holds it, also when
    /// that is an earlier self under the same holder name: the name is for people, the epoch is the proof.
    Take { name: String, holder: String, length: Duration },
    /// Holds on for this long from now. Refused once somebody else took over; a lease that ran out but that nobody
    /// took is still ours.
    Renew { name: String, epoch: Epoch, length: Duration },
    /// Gives a lease back. Not refused when it is lost already.
    Release { name: String, epoch: Epoch },
    /// Refuses the whole commit unless this holding is the current one.
    Fence { name: String, epoch: Epoch },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Take { name, holder, length } => {
            let held = get(tx.conn, name)?;
            if let Some(held) = held.filter(|held| crate::time::to_ms(held.until) > tx.now) {
                return Err(Refusal::LeaseHeld { name: name.clone(), holder: held.holder, until: held.until }.into());
            }
            let until = tx.now + duration_ms(*length);
            let sql = "INSERT INTO lease (name, holder, epoch, until) VALUES (?1, ?2, 1, ?3)
                       ON CONFLICT (name) DO UPDATE SET holder = ?2, epoch = epoch + 1, until = ?3";
            tx.run(sql, (name, holder, until))?;
            lease_now(tx, name)
        }
        Op::Renew { name, epoch, length } => {
            let until = tx.now + duration_ms(*length);
            let sql = "UPDATE lease SET until = ?3 WHERE name = ?1 AND epoch = ?2 AND holder IS NOT NULL";
            if tx.run(sql, (name, epoch.0, until))? == 0 {
                return Err(lost(name, *epoch));
            }
            lease_now(tx, name)
        }
        Op::Release { name, epoch } => {
            let sql = "UPDATE lease SET holder = NULL WHERE name = ?1 AND epoch = ?2";
            Ok(OpResult::Count(tx.run(sql, (name, epoch.0))? as u64))
        }
        Op::Fence { name, epoch } => match get(tx.conn, name)? {
            Some(lease) if lease.epoch == *epoch => Ok(OpResult::Done),
            _ => Err(lost(name, *epoch)),
        },
    }
}

fn lost(name: &str, epoch: Epoch) -> Fail {
    Refusal::LeaseLost { name: name.to_owned(), epoch }.into()
}

fn lease_now(tx: &Tx<'_>, name: &str) -> Result<OpResult, Fail> {
    let lease = get(tx.conn, name)?.expect("the row was written in this transaction");
    Ok(OpResult::Lease(lease))
}

/// The holding that counts, also when it has run out; none when it was given back.
fn get(conn: &Connection, name: &str) -> rusqlite::Result<Option<Lease>> {
    let sql = "SELECT name, holder, epoch, until FROM lease WHERE name = ?1 AND holder IS NOT NULL";
    first(conn, sql, [name], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Lease> {
    Ok(Lease { name: row.get(0)?, holder: row.get(1)?, epoch: Epoch(row.get(2)?), until: from_ms(row.get(3)?) })
}

impl Store {
    /// Who holds a lease. *Shape*: also a holding that has run out and that nobody took over; look at `until`.
    pub fn lease(&self, name: &str) -> Result<Option<Lease>, Error> {
        self.read(|conn| get(conn, name))
    }

    /// Takes a lease in a commit of its own. *Errors*: refused while somebody else holds it.
    pub async fn take_lease(&self, name: &str, holder: &str, length: Duration) -> Result<Lease, Error> {
        let op = Op::Take { name: name.to_owned(), holder: holder.to_owned(), length };
        self.commit_one(op).await.map(expect_lease)
    }

    /// Renews a lease in a commit of its own. *Errors*: refused once it is lost.
    pub async fn renew_lease(&self, lease: &Lease, length: Duration) -> Result<Lease, Error> {
        let op = Op::Renew { name: lease.name.clone(), epoch: lease.epoch, length };
        self.commit_one(op).await.map(expect_lease)
    }

    /// Gives a lease back in a commit of its own.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        let op = Op::Release { name: lease.name.clone(), epoch: lease.epoch };
        self.commit_one(op).await.map(drop)
    }
}

fn expect_lease(result: OpResult) -> Lease {
    match result {
        OpResult::Lease(lease) => lease,
        other => unreachable!("take and renew answer with the lease, not {other:?}"),
    }
}
