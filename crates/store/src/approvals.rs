//! Approvals: questions that were put to people, and what they decided.
//!
//! A question is about one subject of an integration: of a run, its plan; of a flow, a step of an instance. A subject has
//! one question that counts at a time. Asking the same again changes nothing; asking something else closes the earlier
//! question as superseded, so that nobody decides about a world that has moved on.

use std::fmt;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::Store;
use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::runs::RunId;
use crate::time::{from_ms, to_ms};
use crate::tx::{Tx, all, first};
use crate::words::words;

/// An approval's number, as people type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApprovalId(pub i64);

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// What asks.
    pub enum Kind {
        /// A run that wants to write what its plan says.
        Run = "run",
        /// A step of a flow.
        Flow = "flow",
    }
}

words! {
    /// How a question stands.
    pub enum State {
        Open = "open",
        /// Somebody said yes, and nobody has acted on it yet.
        Approved = "approved",
        Rejected = "rejected",
        /// What was approved was done.
        Used = "used",
        /// Another question took its place.
        Superseded = "superseded",
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    pub integration: String,
    pub kind: Kind,
    /// Of a run: `changes` or `first_load`; of a flow: the instance and the step.
    pub subject: String,
    /// One sentence.
    pub question: String,
    /// A JSON object of what to look at before deciding; personal values are masked in it.
    pub details: String,
    /// Equal where the same is asked.
    pub digest: String,
    /// The person or group of the definition.
    pub asked_of: String,
    pub asked: Timestamp,
    /// After that nobody can decide any more, and what was approved must have been done; `None` for never.
    pub expires: Option<Timestamp>,
    pub state: State,
    pub decided: Option<Timestamp>,
    pub decided_by: Option<String>,
    pub comment: Option<String>,
    /// The run that did what was approved.
    pub used_by: Option<RunId>,
}

impl Approval {
    /// Whether it is too late to decide it, or to do what was approved.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Open | State::Approved) && self.expires.is_some_and(|expires| expires <= now)
    }

    /// How it stands, in one word: its state, or `expired`.
    pub fn word(&self, now: Timestamp) -> &'static str {
        if self.has_expired(now) { "expired" } else { self.state.as_str() }
    }
}

/// A question that is to be put.
#[derive(Debug, Clone)]
pub struct Question {
    pub integration: String,
    pub kind: Kind,
    pub subject: String,
    pub question: String,
    pub details: String,
    pub digest: String,
    /// What exactly is approved, in the asker's own form; empty where the digest says it all.
    pub proofs: Vec<u8>,
    pub asked_of: String,
    pub expires: Option<Timestamp>,
}

/// What can be done with an approval.
#[derive(Debug, Clone)]
pub enum Op {
    /// Puts a question; answers its number, which is that of the standing one where that asks the same.
    Ask(Box<Question>),
    /// Decides an open question, or turns a no into a yes where nothing else was asked since. Refused otherwise, and
    /// where it has expired.
    Decide { id: ApprovalId, approve: bool, by: String, comment: Option<String> },
    /// Others are asked what stands open. Answers how many questions that are.
    Pass { integration: String, kind: Kind, subject: String, asked_of: String },
    /// Nobody needs an answer any more. Answers how many questions that closed.
    Withdraw { integration: String, kind: Kind, subject: String },
    /// What was approved is done. Refused unless it is approved and nobody has used it.
    Use { id: ApprovalId, run: RunId },
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Ask(question) => ask(tx, question),
        Op::Decide { id, approve, by, comment } => {
            let state = if *approve { State::Approved } else { State::Rejected };
            let sql = "UPDATE approval SET state = ?2, decided = ?3, decided_by = ?4, comment = ?5
                       WHERE id = ?1 AND (expires IS NULL OR expires > ?3) AND (state = 'open' OR ?6 AND state = 'rejected'
                         AND NOT EXISTS (SELECT 1 FROM approval AS newer WHERE newer.id > approval.id AND
                           newer.integration = approval.integration AND newer.kind = approval.kind AND
                           newer.subject = approval.subject))";
            changed(tx.run(sql, (id.0, state, tx.now, by, comment, approve))?, tx, *id)
        }
        Op::Pass { integration, kind, subject, asked_of } => {
            let sql = "UPDATE approval SET asked_of = ?4
                       WHERE integration = ?1 AND kind = ?2 AND subject = ?3 AND state = 'open'";
            Ok(OpResult::Count(tx.run(sql, (integration, kind, subject, asked_of))? as u64))
        }
        Op::Withdraw { integration, kind, subject } => {
            let sql = "UPDATE approval SET state = 'superseded'
                       WHERE integration = ?1 AND kind = ?2 AND subject = ?3 AND state IN ('open', 'approved')";
            Ok(OpResult::Count(tx.run(sql, (integration, kind, subject))? as u64))
        }
        Op::Use { id, run } => {
            let sql = "UPDATE approval SET state = 'used', used_by = ?2 WHERE id = ?1 AND state = 'approved'";
            changed(tx.run(sql, (id.0, run.0))?, tx, *id)
        }
    }
}

fn ask(tx: &Tx<'_>, question: &Question) -> Result<OpResult, Fail> {
    let Question { integration, kind, subject, digest, .. } = question;
    let sql = "SELECT id, digest, expires FROM approval
               WHERE kind = ?1 AND integration = ?2 AND subject = ?3 AND state IN ('open', 'approved')";
    let standing = tx.first(sql, (kind, integration, subject), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
    })?;
    if let Some((id, standing, expires)) = standing {
        if standing == *digest && expires.is_none_or(|expires| expires > tx.now) {
            return Ok(OpResult::Approval(ApprovalId(id)));
        }
        tx.run("UPDATE approval SET state = 'superseded' WHERE id = ?1", [id])?;
    }
    let sql = "INSERT INTO approval (integration, kind, subject, question, details, digest, proofs, asked_of, asked,
               expires, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'open')";
    tx.run(
        sql,
        (
            integration,
            kind,
            subject,
            &question.question,
            &question.details,
            digest,
            &question.proofs,
            &question.asked_of,
            tx.now,
            question.expires.map(to_ms),
        ),
    )?;
    Ok(OpResult::Approval(ApprovalId(tx.conn.last_insert_rowid())))
}

fn changed(rows: usize, tx: &Tx<'_>, id: ApprovalId) -> Result<OpResult, Fail> {
    if rows > 0 {
        return Ok(OpResult::Done);
    }
    let state = tx.first("SELECT state FROM approval WHERE id = ?1", [id.0], |row| row.get(0))?;
    Err(match state {
        None => Refusal::NoApproval { id },
        Some(state) => Refusal::ApprovalState { id, state },
    }
    .into())
}

const COLUMNS: &str = "id, integration, kind, subject, question, details, digest, asked_of, asked, expires, state,
    decided, decided_by, comment, used_by";

fn read(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let moment = |at| row.get::<_, Option<i64>>(at).map(|ms| ms.map(from_ms));
    Ok(Approval {
        id: ApprovalId(row.get(0)?),
        integration: row.get(1)?,
        kind: row.get(2)?,
        subject: row.get(3)?,
        question: row.get(4)?,
        details: row.get(5)?,
        digest: row.get(6)?,
        asked_of: row.get(7)?,
        asked: from_ms(row.get(8)?),
        expires: moment(9)?,
        state: row.get(10)?,
        decided: moment(11)?,
        decided_by: row.get(12)?,
        comment: row.get(13)?,
        used_by: row.get::<_, Option<i64>>(14)?.map(RunId),
    })
}

fn newest(conn: &Connection, integration: &str, kind: Kind, subject: &str) -> rusqlite::Result<Option<Approval>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approval WHERE integration = ?1 AND kind = ?2 AND subject = ?3 ORDER BY id DESC LIMIT 1"
    );
    first(conn, &sql, (integration, kind, subject), read)
}

impl Store {
    /// One question.
    pub fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, Error> {
        self.read(|conn| first(conn, &format!("SELECT {COLUMNS} FROM approval WHERE id = ?1"), [id.0], read))
    }

    /// The newest question about a subject, however it stands.
    pub fn approval_of(&self, integration: &str, kind: Kind, subject: &str) -> Result<Option<Approval>, Error> {
        self.read(|conn| newest(conn, integration, kind, subject))
    }

    /// Every question of an integration whose subject begins with this, oldest first. *Shape*: at most 1000.
    pub fn approvals_about(&self, integration: &str, subject: &str) -> Result<Vec<Approval>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM approval WHERE integration = ?1 AND subject >= ?2 AND subject < ?2 || char(1114111)
             ORDER BY id LIMIT 1000"
        );
        self.read(|conn| all(conn, &sql, (integration, subject), read))
    }

    /// What exactly a question is about, in the asker's own form.
    pub fn approval_proofs(&self, id: ApprovalId) -> Result<Vec<u8>, Error> {
        let sql = "SELECT proofs FROM approval WHERE id = ?1";
        self.read(|conn| Ok(first(conn, sql, [id.0], |row| row.get(0))?.unwrap_or_default()))
    }

    /// Questions, newest first: those that are open, or of a run that has not used its approval, or `all` of them.
    /// *Shape*: at most `limit`, and never more than 1000.
    pub fn approvals(&self, all_of_them: bool, limit: usize) -> Result<Vec<Approval>, Error> {
        let limit = limit.min(1000);
        let which = if all_of_them { "" } else { "WHERE state = 'open'" };
        let sql = format!("SELECT {COLUMNS} FROM approval {which} ORDER BY id DESC LIMIT ?1");
        let mut found = self.read(|conn| all(conn, &sql, [limit as i64], read))?;
        if !all_of_them {
            found.extend(self.approvals_to_use()?);
            found.sort_by_key(|approval| std::cmp::Reverse(approval.id.0));
            found.truncate(limit);
        }
        Ok(found)
    }

    /// How many questions are open, and the newest of them: another answer wherever one was put or closed.
    pub fn approvals_open_mark(&self) -> Result<(u64, i64), Error> {
        let sql = "SELECT count(*), coalesce(max(id), 0) FROM approval WHERE state = 'open'";
        let mark = self.read(|conn| first(conn, sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))))?;
        Ok(mark.map_or((0, 0), |(count, newest)| (count as u64, newest)))
    }

    /// What was approved for runs, and is not used yet. *Shape*: at most one for each thing that a run asks about.
    pub fn approvals_to_use(&self) -> Result<Vec<Approval>, Error> {
        // In the words of the index, which holds what stands and no more.
        let sql = format!(
            "SELECT {COLUMNS} FROM approval WHERE kind = 'run' AND state IN ('open', 'approved') AND state = 'approved'"
        );
        self.read(|conn| all(conn, &sql, [], read))
    }
}
