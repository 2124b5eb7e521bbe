//! Users of the web console, and their sessions there.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Row;

use crate::Store;
use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::time::{duration_ms, from_ms, to_ms};
use crate::tx::{Tx, all, first};
use crate::words::words;

words! {
    /// What a user may do in the console. Nobody may do more than the role says.
    pub enum Role {
        /// Look at everything, change nothing.
        Viewer = "viewer",
        /// Also run, pause, resume, retry and discard.
        Operator = "operator",
        /// Also answer what the hub asks people; not operate.
        Approver = "approver",
        /// Everything, and the users themselves.
        Admin = "admin",
    }
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Capitals do not tell two users apart.
    pub name: String,
    pub role: Role,
    /// Who they are in people.yaml; what they decide is decided by that person.
    pub person: Option<String>,
    /// A hash in the PHC string format, never the password.
    pub password: String,
    pub created: Timestamp,
    pub changed: Timestamp,
}

/// The hash of a session's token. The token itself is known to one browser and to nobody else.
pub type TokenHash = [u8; 32];

/// One browser in which a user is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub user: User,
    pub created: Timestamp,
    /// The last request, to the minute.
    pub seen: Timestamp,
    /// When it ends, whatever happens.
    pub until: Timestamp,
}

/// What can be done with users and sessions.
#[derive(Debug, Clone)]
pub enum Op {
    /// Refused where the name is taken.
    Add { name: String, role: Role, person: Option<String>, password: String },
    /// Another password; every session of the user ends. Refused where there is no such user.
    Password { name: String, password: String },
    /// Another role, which holds from the next request on. Refused where there is no such user.
    Role { name: String, role: Role },
    /// Their sessions end too. Refused where there is no such user.
    Remove { name: String },
    /// Somebody has signed in, for so long at most. The session that the browser had before ends: nobody goes on with a
    /// token that was known before the password was typed.
    SignIn { user: String, token: TokenHash, instead_of: Option<TokenHash>, length: Duration },
    /// A request of this session came now.
    Seen { token: TokenHash },
    /// Answers how many sessions that ended.
    SignOut { token: TokenHash },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    let count = match op {
        Op::Add { name, role, person, password } => {
            let sql = "INSERT INTO user (name, role, person, password, created, changed)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO NOTHING";
            match tx.run(sql, (name, role, person, password, tx.now))? {
                0 => return Err(Refusal::UserTaken { name: name.clone() }.into()),
                added => added,
            }
        }
        Op::Password { name, password } => {
            tx.run("DELETE FROM sign_in WHERE user = ?1", [name])?;
            let sql = "UPDATE user SET password = ?2, changed = ?3 WHERE name = ?1";
            one(name, tx.run(sql, (name, password, tx.now))?)?
        }
        Op::Role { name, role } => {
            let sql = "UPDATE user SET role = ?2, changed = ?3 WHERE name = ?1";
            one(name, tx.run(sql, (name, role, tx.now))?)?
        }
        Op::Remove { name } => {
            tx.run("DELETE FROM sign_in WHERE user = ?1", [name])?;
            one(name, tx.run("DELETE FROM user WHERE name = ?1", [name])?)?
        }
        Op::SignIn { user, token, instead_of, length } => {
            // Whoever signs in sweeps up what is over.
            tx.run("DELETE FROM sign_in WHERE until <= ?1 OR token = ?2", (tx.now, instead_of))?;
            let sql = "INSERT INTO sign_in (token, user, created, seen, until) VALUES (?1, ?2, ?3, ?3, ?4)";
            tx.run(sql, (token, user, tx.now, tx.now + duration_ms(*length)))?
        }
        Op::Seen { token } => tx.run("UPDATE sign_in SET seen = ?2 WHERE token = ?1", (token, tx.now))?,
        Op::SignOut { token } => tx.run("DELETE FROM sign_in WHERE token = ?1", [token])?,
    };
    Ok(OpResult::Count(count as u64))
}

/// Something that is about a user who is there.
fn one(name: &str, users: usize) -> Result<usize, Fail> {
    if users == 0 { Err(Refusal::NoUser { name: name.to_owned() }.into()) } else { Ok(users) }
}

const COLUMNS: &str = "name, role, person, password, user.created, changed";

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        name: row.get(0)?,
        role: row.get(1)?,
        person: row.get(2)?,
        password: row.get(3)?,
        created: from_ms(row.get(4)?),
        changed: from_ms(row.get(5)?),
    })
}

impl Store {
    /// Every user, by name. *Shape*: at most 1000.
    pub fn users(&self) -> Result<Vec<User>, Error> {
        self.read(|conn| all(conn, &format!("SELECT {COLUMNS} FROM user ORDER BY name LIMIT 1000"), [], read))
    }

    pub fn user(&self, name: &str) -> Result<Option<User>, Error> {
        self.read(|conn| first(conn, &format!("SELECT {COLUMNS} FROM user WHERE name = ?1"), [name], read))
    }

    /// Whether anybody has to sign in at all.
    pub fn has_users(&self) -> Result<bool, Error> {
        self.read(|conn| Ok(first(conn, "SELECT 1 FROM user LIMIT 1", [], |_| Ok(()))?.is_some()))
    }

    /// The session of a token, while it holds and was used within the last `idle`.
    pub fn session(&self, token: &TokenHash, idle: Duration) -> Result<Option<Session>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, sign_in.created, seen, until FROM sign_in JOIN user ON name = user
             WHERE token = ?1 AND until > ?2 AND seen > ?3"
        );
        let now = to_ms(self.clock().now());
        self.read(|conn| {
            first(conn, &sql, (token, now, now - duration_ms(idle)), |row| {
                Ok(Session {
                    user: read(row)?,
                    created: from_ms(row.get(6)?),
                    seen: from_ms(row.get(7)?),
                    until: from_ms(row.get(8)?),
                })
            })
        })
    }
}
