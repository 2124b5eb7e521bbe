//! Forgetting one record: what the hub keeps of it is removed, in one commit.
//!
//! It is removed from the journal, from dead letters with their bodies and edited copies, from waiting messages, from the
//! ledger, from agreements, from alerts, and from flows with their questions. What people did stays: the audit log holds no keys and no values. Runs and retries of many
//! hold counts and ids of dead letters only.

use std::collections::BTreeSet;

use jiff::Timestamp;
use record::Key;

use crate::Store;
use crate::dead_letters;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::queue::Message;
use crate::time::to_ms;
use crate::tx::Tx;
use crate::{agreements, flows, journal, ledger, queue};

/// Which record.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub entity: String,
    /// As people see it, such as `C-1042` or `A|7`.
    pub key_text: String,
    /// `None` where what was typed is no key of the entity: then it is looked for by its text alone.
    pub key: Option<Key>,
    /// Sessions whose messages are about the record alone, as far as they are known.
    pub sessions: BTreeSet<String>,
    /// Integrations that put several records into one session.
    pub shared: BTreeSet<String>,
}

/// What can be done.
#[derive(Debug, Clone)]
pub enum Op {
    /// Removes it; or only counts what would be removed.
    Forget { wanted: Box<Wanted>, only_count: bool },
    /// Takes what may be personal out of instances of flows that ended before a time: of flows about these entities,
    /// which have personal fields. Answers how many, `max` at most.
    Personal { entities: Vec<String>, before: Timestamp, max: usize },
}

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Notes of the journal.
    pub notes: u64,
    pub dead_letters: u64,
    pub messages: u64,
    /// Messages that somebody works on right now, and that stay.
    pub locked: u64,
    /// Rows of the ledger, in all systems.
    pub ledger: u64,
    pub agreements: u64,
    /// Answered approvals whose list of changes named the record; the list goes, the answer stays.
    pub approvals: u64,
    /// Instances of flows, with what they have read, set and shown.
    pub flows: u64,
}

impl Forgotten {
    /// How many things there were.
    pub fn all(&self) -> u64 {
        self.notes
            + self.dead_letters
            + self.messages
            + self.locked
            + self.ledger
            + self.agreements
            + self.approvals
            + self.flows
    }
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    let (wanted, only_count) = match op {
        Op::Forget { wanted, only_count } => (wanted, *only_count),
        Op::Personal { entities, before, max } => {
            return Ok(OpResult::Count(flows::forget::forget_personal(tx, entities, to_ms(*before), *max)?));
        }
    };
    let mut sessions = wanted.sessions.clone();
    let mut done = Forgotten {
        notes: journal::forget_record(tx, &wanted.entity, &wanted.key_text, only_count)?,
        ..Forgotten::default()
    };
    for (letter, message) in dead_letters::of_record(tx, &wanted.entity, wanted.key.as_ref(), &wanted.key_text)? {
        // The key of an event is known once it was read; until then its session says which row it is about.
        let own = |message: &Message| message.integration.as_ref().is_none_or(|name| !wanted.shared.contains(name));
        let session = message.filter(own).and_then(|message| message.session);
        sessions.extend(session.filter(|session| session != &wanted.entity));
        done.dead_letters += 1;
        if !only_count {
            dead_letters::forget_one(tx, letter)?;
        }
    }
    done.approvals = approvals(tx, &wanted.key_text, only_count)?;
    let flows = flows::forget::forget_record(tx, &wanted.entity, &wanted.key_text, only_count)?;
    done.flows = flows.len() as u64;
    // What its instances have to say to people, and nobody has heard yet.
    let said: Vec<String> = flows.iter().map(|(id, flow)| format!("flow/{flow}/{id}.")).collect();
    let is_wanted = |message: &Message| {
        if said.iter().any(|said| message.id.starts_with(said)) {
            return true;
        }
        let by_key =
            message.entity.as_deref() == Some(&wanted.entity) && message.key.is_some() && message.key == wanted.key;
        by_key || message.session.as_ref().is_some_and(|session| sessions.contains(session))
    };
    (done.messages, done.locked) = queue::forget(tx, is_wanted, only_count)?;
    if let Some(key) = &wanted.key {
        done.ledger = ledger::forget_key(tx, &wanted.entity, key, only_count)?;
        done.agreements = agreements::forget_key(tx, &wanted.entity, key, only_count)?;
    }
    if !only_count {
        dead_letters::forget_empty_groups(tx)?;
        // Why a run failed may name the record.
        let sql = "UPDATE run SET error_text = replace(error_text, ?1, '***'), error_detail = replace(error_detail, ?1, '***')
                   WHERE length(?1) > 1 AND (instr(error_text, ?1) > 0 OR instr(error_detail, ?1) > 0)";
        tx.run(sql, [&wanted.key_text])?;
        // So may an alert, in the other side's words; of one that is over, only what it was about is of use.
        let sql = "UPDATE alert SET title = replace(title, ?1, '***'), text = replace(text, ?1, '***'),
                     facts = CASE WHEN resolved IS NULL THEN replace(facts, ?1, '***') ELSE '[]' END
                   WHERE length(?1) > 1 AND (instr(title, ?1) > 0 OR instr(text, ?1) > 0 OR instr(facts, ?1) > 0)";
        tx.run(sql, [&wanted.key_text])?;
        for session in &sessions {
            // What held the record's events back is gone with its dead letter.
            tx.run("UPDATE session SET state = NULL WHERE name = ?1", [session])?;
            let sql = "DELETE FROM session WHERE name = ?1 AND until IS NULL
                       AND NOT EXISTS (SELECT 1 FROM message WHERE session = session.id)";
            tx.run(sql, [session])?;
        }
    }
    Ok(OpResult::Forgotten(done))
}

/// The lists of changes of approvals that are decided, where they name the record.
fn approvals(tx: &Tx<'_>, key: &str, only_count: bool) -> rusqlite::Result<u64> {
    let named = "state <> 'open' AND length(?1) > 1 AND instr(details, ?1) > 0";
    if only_count {
        let sql = format!("SELECT count(*) FROM approval WHERE {named}");
        return Ok(tx.first(&sql, [key], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64);
    }
    let sql = format!("UPDATE approval SET details = '{{}}' WHERE {named}");
    Ok(tx.run(&sql, [key])? as u64)
}

impl Store {
    /// Gives the space of what was removed back, so that nothing of it is left in the file: the free pages, and the log
    /// of writes. Other processes may go on meanwhile; what one of them still reads is given back by a later call.
    pub fn scrub(&self) -> Result<(), Error> {
        self.with_own_connection(|conn| {
            let mut pages = conn.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = pages.query([])?;
            while rows.next()?.is_some() {}
            drop(rows);
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })
    }
}
