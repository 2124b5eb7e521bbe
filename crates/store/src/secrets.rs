//! Secrets of this folder: random keys that are made when they are first needed, and leave it never.

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::tx::{Tx, first};

/// What can be done with a secret.
#[derive(Debug, Clone)]
pub enum Op {
    /// Makes 32 random bytes under this name, unless they are there.
    Make { name: &'static str },
}

pub(crate) fn apply(tx: &mut Tx<'_>, Op::Make { name }: &Op) -> Result<OpResult, Fail> {
    tx.run("INSERT INTO secret (name, value) VALUES (?1, randomblob(32)) ON CONFLICT DO NOTHING", [name])?;
    Ok(OpResult::Done)
}

impl Store {
    /// The secret of this name; made by the first who asks.
    pub async fn secret(&self, name: &'static str) -> Result<[u8; 32], Error> {
        let get = || {
            self.read(|conn| {
                first(conn, "SELECT value FROM secret WHERE name = ?1", [name], |row| row.get::<_, [u8; 32]>(0))
            })
        };
        if let Some(secret) = get()? {
            return Ok(secret);
        }
        self.commit_one(Op::Make { name }).await?;
        Ok(get()?.expect("it was made, and nothing removes it"))
    }
}
