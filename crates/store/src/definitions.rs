//! Which definition of each integration the hub worked with last, and since when.

use jiff::Timestamp;

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::time::from_ms;
use crate::tx::{Tx, first};

/// What can be noted of definitions.
#[derive(Debug, Clone)]
pub enum Op {
    /// The hub works with these now: integrations with a digest of their definition. Changes nothing where it did before.
    Seen(Vec<(String, String)>),
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    let Op::Seen(definitions) = op;
    let mut changed = 0;
    for (integration, digest) in definitions {
        let sql = "INSERT INTO definition_seen (integration, digest, since) VALUES (?1, ?2, ?3)
                   ON CONFLICT (integration) DO UPDATE SET digest = ?2, since = ?3 WHERE digest <> ?2";
        changed += tx.run(sql, (integration, digest, tx.now))?;
    }
    Ok(OpResult::Count(changed as u64))
}

impl Store {
    /// The digest of the definition that the hub worked with last, and since when it is this one.
    pub fn definition_seen(&self, integration: &str) -> Result<Option<(String, Timestamp)>, Error> {
        let sql = "SELECT digest, since FROM definition_seen WHERE integration = ?1";
        self.read(|conn| first(conn, sql, [integration], |row| Ok((row.get(0)?, from_ms(row.get(1)?)))))
    }
}
