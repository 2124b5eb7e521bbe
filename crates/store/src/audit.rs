//! The audit log: what people did, when, and why. It is only ever added to.
//!
//! Each entry holds a hash of itself and of the entry before, so that nobody can change, remove or put in one without
//! every later hash being wrong. Whoever keeps the newest hash elsewhere can prove the whole log by it. The entry belongs
//! to the commit of what it tells, so that neither is there without the other.

use std::ops::ControlFlow;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use sha2::{Digest, Sha256};

use crate::Store;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::time::{Ms, from_ms, to_ms};
use crate::tx::{Tx, all, first};

/// Who does something, and by which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user of the machine, or of the console.
    pub name: String,
    /// `command line`, `console`.
    pub via: String,
}

impl Actor {
    pub fn new(name: impl Into<String>, via: impl Into<String>) -> Actor {
        Actor { name: name.into(), via: via.into() }
    }

    /// What is to be recorded of something that this person does.
    pub fn did(&self, action: &str, subject: impl Into<String>) -> Entry {
        let (actor, action) = (self.clone(), action.to_owned());
        Entry { actor, action, subject: subject.into(), why: None, detail: "{}".to_owned() }
    }
}

/// One thing that somebody did. *Shape*: no personal values and no secrets in any part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub actor: Actor,
    /// A verb as in the commands: `dead-letters retry`, `pause`.
    pub action: String,
    /// What it was done to: an integration, a dead letter, an alert.
    pub subject: String,
    /// In the person's own words.
    pub why: Option<String>,
    /// A JSON object of what else matters.
    pub detail: String,
}

impl Entry {
    pub fn because(mut self, why: Option<&str>) -> Entry {
        self.why = why.filter(|why| !why.is_empty()).map(str::to_owned);
        self
    }

    /// *Shape*: of `detail`, the text of a JSON object.
    pub fn with(mut self, detail: impl ToString) -> Entry {
        self.detail = detail.to_string();
        self
    }

    /// The operation that belongs into the commit of what was done.
    pub fn op(self) -> crate::Op {
        Op::Record(self).into()
    }
}

/// An entry as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Counts up from one without a gap.
    pub id: i64,
    pub at: Timestamp,
    pub entry: Entry,
    pub hash: [u8; 32],
}

/// What can be done with the log.
#[derive(Debug, Clone)]
pub enum Op {
    Record(Entry),
}

/// Which entries a list shows. The default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub by: Option<String>,
    /// The action begins like this.
    pub action: Option<String>,
    /// Part of the subject.
    pub subject: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Only entries before this number: the next page.
    pub before: Option<i64>,
}

/// What a look at the whole log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub entries: u64,
    /// The hash of the newest entry, to be kept elsewhere. Zeros where there is none.
    pub head: [u8; 32],
    /// The first entry that is not what was recorded, or where one is missing.
    pub broken: Option<i64>,
    /// Whether a hash that was asked for is in the log.
    pub holds: bool,
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    let Op::Record(entry) = op;
    let newest = tx.first("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?))
    })?;
    let (last, before) = newest.unwrap_or((0, [0; 32]));
    let id = last + 1;
    let hash = hash(&before, id, tx.now, entry);
    let sql = "INSERT INTO audit (id, at, by, via, action, subject, why, detail, before, hash)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let Entry { actor, action, subject, why, detail } = entry;
    tx.run(sql, rusqlite::params![id, tx.now, actor.name, actor.via, action, subject, why, detail, before, hash])?;
    Ok(OpResult::Count(1))
}

/// Every part with its length before it, so that no two entries are the same bytes.
fn hash(before: &[u8; 32], id: i64, at: Ms, entry: &Entry) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(before);
    digest.update(id.to_be_bytes());
    digest.update(at.to_be_bytes());
    let Entry { actor, action, subject, why, detail } = entry;
    let why = why.as_ref().map_or_else(|| "-".to_owned(), |why| format!("+{why}"));
    for part in [&actor.name, &actor.via, action, subject, &why, detail] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}

pub(crate) const COLUMNS: &str = "id, at, by, via, action, subject, why, detail, hash";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    Ok(Recorded {
        id: row.get(0)?,
        at: from_ms(row.get(1)?),
        entry: Entry {
            actor: Actor { name: row.get(2)?, via: row.get(3)? },
            action: row.get(4)?,
            subject: row.get(5)?,
            why: row.get(6)?,
            detail: row.get(7)?,
        },
        hash: row.get(8)?,
    })
}

fn page(conn: &Connection, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<Recorded>> {
    let mut sql = format!("SELECT {COLUMNS} FROM audit WHERE true");
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql += " AND ";
            sql += condition;
            values.push(value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::from);
    and("by = ?", text(&filter.by));
    and("instr(action, ?) = 1", text(&filter.action));
    and("instr(subject, ?) > 0", text(&filter.subject));
    and("at >= ?", filter.from.map(|at| to_ms(at).into()));
    and("at < ?", filter.to.map(|at| to_ms(at).into()));
    and("id < ?", filter.before.map(Value::from));
    sql += " ORDER BY id DESC LIMIT ?";
    values.push((limit as i64).into());
    all(conn, &sql, params_from_iter(values), read)
}

impl Store {
    /// What people did, the newest first. *Shape*: at most `limit`.
    pub fn audit(&self, filter: &Filter, limit: usize) -> Result<Vec<Recorded>, Error> {
        self.read(|conn| page(conn, filter, limit))
    }

    /// Every entry from the first on, until `each` says that it is enough. One at a time, whatever the log's length.
    pub fn audit_each(&self, mut each: impl FnMut(Recorded) -> ControlFlow<()>) -> Result<(), Error> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM audit ORDER BY id"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if each(read(row)?).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Works every hash out again. `known` is a hash that somebody has kept: the log must hold it.
    pub fn audit_verify(&self, known: Option<[u8; 32]>) -> Result<Verified, Error> {
        let mut found = Verified { entries: 0, head: [0; 32], broken: None, holds: known.is_none() };
        self.audit_each(|recorded| {
            let next = i64::try_from(found.entries).unwrap_or(i64::MAX) + 1;
            let right = hash(&found.head, recorded.id, to_ms(recorded.at), &recorded.entry);
            if recorded.id != next || right != recorded.hash {
                found.broken = Some(next);
                return ControlFlow::Break(());
            }
            found.entries += 1;
            found.head = recorded.hash;
            found.holds |= known == Some(recorded.hash);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The newest hash of the log. Zeros where nothing is in it.
    pub fn audit_head(&self) -> Result<[u8; 32], Error> {
        let sql = "SELECT hash FROM audit ORDER BY id DESC LIMIT 1";
        Ok(self.read(|conn| first(conn, sql, [], |row| row.get(0)))?.unwrap_or_default())
    }
}
