//! The journal: what happened to each record, noted in the commit that did it.
//!
//! A note says which record (entity and key), what became of it, between which systems, and by which message, run, dead
//! letter or request. It is never read by the hub itself: nothing depends on it, so it may be bounded. The oldest notes go
//! when there are too many, and when they are older than people want.
//!
//! The notes of one transaction are one row of the table, found by a hash of entity and key: a note costs its bytes and
//! nothing else, and the look-up, which a person waits for, reads eight bytes of each note.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Connection;

use crate::Store;
use crate::dead_letters::DeadLetterId;
use crate::error::{Error, Fail};
use crate::op::OpResult;
use crate::runs::RunId;
use crate::time::{Ms, from_ms, to_ms};
use crate::tx::{JOURNAL_BYTES, Tx, all};
use crate::words::words;

/// The most that all notes may take, in bytes. Some two million of them.
const BYTES_MAX: i64 = 256 << 20;
/// A detail is cut here.
const DETAIL_BYTES_MAX: usize = 600;
/// So many of the oldest transactions go with one new one, while there are too many.
const FORGOTTEN_AT_ONCE: i64 = 4;

words! {
    /// What became of a record.
    pub enum What {
        Created = "created",
        Updated = "updated",
        /// The destination had it so already.
        Unchanged = "unchanged",
        Deleted = "deleted",
        Deactivated = "deactivated",
        /// Nobody wanted it there: a condition or a trigger.
        LeftOut = "left out",
        /// What the destination returned was written home.
        WrittenBack = "written back",
        /// It failed, and is tried again.
        Failed = "failed",
        /// It waits for a record that it points to.
        Waits = "waits",
        /// It was given up on.
        DeadLetter = "dead letter",
        /// A person had it sent again.
        Retried = "retried",
        /// A person closed its dead letter.
        Discarded = "discarded",
        /// No event of it came; the safety net sent one.
        Swept = "found by the sweep",
        /// A flow did a step about it.
        Flow = "flow",
    }
}

/// One thing that happened to one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub entity: String,
    /// The key as people see it.
    pub key: String,
    pub what: What,
    pub integration: String,
    /// The system where it happened.
    pub system: String,
    /// The number of the message in its queue.
    pub message: Option<i64>,
    /// When that message came in.
    pub came: Option<Timestamp>,
    /// Which try it was, counted from one.
    pub attempt: u32,
    /// The session of the message: events of one row share it, before its key is known.
    pub session: Option<String>,
    /// What belongs together in the system that sent the event.
    pub correlation: Option<String>,
    pub run: Option<RunId>,
    pub dead_letter: Option<DeadLetterId>,
    /// The request in the other system's log.
    pub request: Option<String>,
    /// For people: the fault, or who did it and why. *Shape*: cut after a few hundred bytes.
    pub detail: String,
}

impl Note {
    /// A note with only what every note has.
    pub fn new(entity: &str, key: &str, what: What, integration: &str, system: &str) -> Note {
        Note {
            entity: entity.to_owned(),
            key: key.to_owned(),
            what,
            integration: integration.to_owned(),
            system: system.to_owned(),
            message: None,
            came: None,
            attempt: 0,
            session: None,
            correlation: None,
            run: None,
            dead_letter: None,
            request: None,
            detail: String::new(),
        }
    }
}

/// A note with the time of its commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    pub at: Timestamp,
    pub note: Note,
}

/// What can be done with the journal.
#[derive(Debug, Clone)]
pub enum Op {
    /// Notes what the commit does.
    Note(Vec<Note>),
    /// The same, packed by [`Op::packed`] before the one thread that writes has it.
    Packed(Packed),
    /// Forgets what is older, at most `max` transactions' notes. Answers how many transactions that were.
    Forget { before: Timestamp, max: usize },
}

/// Notes as the file has them.
#[derive(Debug, Clone)]
pub struct Packed {
    gathered: Gathered,
    count: u64,
}

/// Notes that differ in nothing but the record and what became of it: what many rows of one run are.
#[derive(Debug, Clone)]
pub struct Alike {
    packed: Packed,
    /// The names of all of them, which stand in the first.
    names: Vec<u8>,
    /// What each has besides its key and what happened, as the file has it.
    rest: Vec<u8>,
    entity: String,
}

impl Alike {
    /// `note` is what they have in common.
    pub fn new(note: &Note) -> Alike {
        let (mut names, mut rest) = (Vec::new(), Vec::new());
        put(&mut names, ENTITY, note.entity.as_bytes());
        put(&mut names, INTEGRATION, note.integration.as_bytes());
        put(&mut names, SYSTEM, note.system.as_bytes());
        pack_rest(&mut rest, note);
        let packed = Packed { gathered: Gathered::default(), count: 0 };
        Alike { packed, names, rest, entity: note.entity.clone() }
    }

    pub fn add(&mut self, key: &str, what: What) {
        let Packed { gathered, count } = &mut self.packed;
        gathered.keys.extend_from_slice(&hash(&self.entity, key).to_be_bytes());
        let at = gathered.notes.len();
        gathered.notes.extend_from_slice(&[0; 4]);
        if *count == 0 {
            gathered.notes.extend_from_slice(&self.names);
        }
        put(&mut gathered.notes, KEY, key.as_bytes());
        put(&mut gathered.notes, WHAT, what.as_str().as_bytes());
        gathered.notes.extend_from_slice(&self.rest);
        let length = (gathered.notes.len() - at - 4) as u32;
        gathered.notes[at..at + 4].copy_from_slice(&length.to_be_bytes());
        *count += 1;
    }

    /// `None` where nothing was added.
    pub fn into_op(self) -> Option<Op> {
        (self.packed.count > 0).then_some(Op::Packed(self.packed))
    }
}

impl Op {
    /// Notes are packed by whoever hands them in, so that others do not wait for it.
    pub(crate) fn packed(self) -> Op {
        match self {
            Op::Note(notes) => {
                let mut gathered = Gathered::default();
                gathered.keys.reserve(8 * notes.len());
                gathered.notes.reserve(96 * notes.len());
                gathered.add_all(notes.iter());
                Op::Packed(Packed { gathered, count: notes.len() as u64 })
            }
            other => other,
        }
    }
}

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    match op {
        Op::Note(notes) => {
            tx.journal.add_all(notes.iter());
            Ok(OpResult::Count(notes.len() as u64))
        }
        Op::Packed(Packed { gathered, count }) => {
            tx.journal.append(gathered);
            Ok(OpResult::Count(*count))
        }
        Op::Forget { before, max } => {
            let sql = "SELECT id FROM journal WHERE at < ?1 ORDER BY id LIMIT ?2";
            let ids: Vec<i64> = tx.all(sql, (to_ms(*before), *max as i64), |row| row.get(0))?;
            forget(tx, &ids)?;
            Ok(OpResult::Count(ids.len() as u64))
        }
    }
}

/// The notes of a transaction on their way into its one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gathered {
    keys: Vec<u8>,
    notes: Vec<u8>,
}

/// How much was gathered when a commit began.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize, usize);

impl Gathered {
    fn add_all<'n>(&mut self, notes: impl Iterator<Item = &'n Note>) {
        let mut before = None;
        for note in notes {
            self.add(note, before);
            before = Some(note);
        }
    }

    /// `before` is the note that was added just before, in the same list.
    fn add(&mut self, note: &Note, before: Option<&Note>) {
        self.keys.extend_from_slice(&hash(&note.entity, &note.key).to_be_bytes());
        let length_at = self.notes.len();
        self.notes.extend_from_slice(&[0; 4]);
        pack(&mut self.notes, note, before);
        let length = (self.notes.len() - length_at - 4) as u32;
        self.notes[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn append(&mut self, more: &Gathered) {
        self.keys.extend_from_slice(&more.keys);
        self.notes.extend_from_slice(&more.notes);
    }

    pub fn mark(&self) -> Mark {
        Mark(self.keys.len(), self.notes.len())
    }

    pub fn take_back(&mut self, Mark(keys, notes): Mark) {
        self.keys.truncate(keys);
        self.notes.truncate(notes);
    }
}

/// Writes what a transaction gathered, and forgets the oldest where there is too much.
pub(crate) fn flush(tx: &Tx<'_>) -> rusqlite::Result<()> {
    let Gathered { keys, notes } = &tx.journal;
    if keys.is_empty() {
        return Ok(());
    }
    tx.run("INSERT INTO journal (at, keys, notes) VALUES (?1, ?2, ?3)", (tx.now, keys, notes))?;
    let total = grow(tx, (keys.len() + notes.len()) as i64)?;
    if total > BYTES_MAX {
        let sql = "SELECT id FROM journal ORDER BY id LIMIT ?1";
        let ids: Vec<i64> = tx.all(sql, [FORGOTTEN_AT_ONCE], |row| row.get(0))?;
        forget(tx, &ids)?;
    }
    Ok(())
}

/// Takes the notes of one record out of their transactions' rows; or only counts them.
pub(crate) fn forget_record(tx: &Tx<'_>, entity: &str, key: &str, only_count: bool) -> rusqlite::Result<u64> {
    let wanted = hash(entity, key).to_be_bytes();
    let sql = "SELECT id, at, notes FROM journal WHERE instr(keys, ?1) > 0";
    let rows: Vec<(i64, Ms, Vec<u8>)> =
        tx.all(sql, [wanted.as_slice()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut found = 0;
    for (id, at, bytes) in rows {
        let is_wanted = |note: &Note| note.entity == entity && note.key.to_lowercase() == key.to_lowercase();
        let (gone, kept): (Vec<Noted>, Vec<Noted>) =
            unpack(at, &bytes).into_iter().partition(|noted| is_wanted(&noted.note));
        found += gone.len() as u64;
        if only_count || gone.is_empty() {
            continue;
        }
        forget(tx, &[id])?;
        if !kept.is_empty() {
            let mut left = Gathered::default();
            left.add_all(kept.iter().map(|noted| &noted.note));
            let sql = "INSERT INTO journal (id, at, keys, notes) VALUES (?1, ?2, ?3, ?4)";
            tx.run(sql, (id, at, &left.keys, &left.notes))?;
            grow(tx, (left.keys.len() + left.notes.len()) as i64)?;
        }
    }
    Ok(found)
}

fn forget(tx: &Tx<'_>, ids: &[i64]) -> rusqlite::Result<()> {
    for id in ids {
        let sql = "DELETE FROM journal WHERE id = ?1 RETURNING length(keys) + length(notes)";
        let freed: Option<i64> = tx.first(sql, [id], |row| row.get(0))?;
        grow(tx, -freed.unwrap_or(0))?;
    }
    Ok(())
}

/// Keeps how many bytes there are; answers them.
fn grow(tx: &Tx<'_>, by: i64) -> rusqlite::Result<i64> {
    tx.tally(JOURNAL_BYTES, by)?;
    Ok(tx.first("SELECT n FROM tally WHERE id = ?1", [JOURNAL_BYTES], |row| row.get(0))?.unwrap_or(0))
}

/// FNV-1a of the entity and of the key, whatever its capitals: what is found by it is compared.
fn hash(entity: &str, key: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let entity = entity.bytes().chain([0]).fold(0xcbf2_9ce4_8422_2325, step);
    if key.is_ascii() {
        return key.bytes().map(|byte| byte.to_ascii_lowercase()).fold(entity, step);
    }
    let key = key.chars().flat_map(char::to_lowercase);
    key.fold(entity, |hash, c| c.encode_utf8(&mut [0; 4]).bytes().fold(hash, step))
}

const ENTITY: u8 = 1;
const KEY: u8 = 2;
const WHAT: u8 = 3;
const INTEGRATION: u8 = 4;
const SYSTEM: u8 = 5;
const MESSAGE: u8 = 6;
const CAME: u8 = 7;
const ATTEMPT: u8 = 8;
const SESSION: u8 = 9;
const CORRELATION: u8 = 10;
const RUN: u8 = 11;
const DEAD_LETTER: u8 = 12;
const REQUEST: u8 = 13;
const DETAIL: u8 = 14;

fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(u16::MAX.into())];
    out.push(tag);
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A tag, a length, the bytes, and again. What one note after another has in common stands in the first of them only;
/// numbers go without the zeros in front.
fn pack(out: &mut Vec<u8>, note: &Note, before: Option<&Note>) {
    let common = [
        (ENTITY, &*note.entity, before.map(|before| &*before.entity)),
        (WHAT, note.what.as_str(), before.map(|before| before.what.as_str())),
        (INTEGRATION, &*note.integration, before.map(|before| &*before.integration)),
        (SYSTEM, &*note.system, before.map(|before| &*before.system)),
    ];
    for (tag, text, before) in common {
        if before != Some(text) {
            put(out, tag, text.as_bytes());
        }
    }
    if !note.key.is_empty() {
        put(out, KEY, note.key.as_bytes());
    }
    pack_rest(out, note);
}

/// All but the key, what became of it, and the names that one note after another has in common.
fn pack_rest(out: &mut Vec<u8>, note: &Note) {
    let numbers = [
        (MESSAGE, note.message),
        (CAME, note.came.map(to_ms)),
        (ATTEMPT, (note.attempt > 0).then_some(note.attempt.into())),
        (RUN, note.run.map(|run| run.0)),
    ];
    for (tag, number) in numbers {
        if let Some(number) = number {
            put(out, tag, &number.to_be_bytes()[(number.leading_zeros() / 8) as usize..]);
        }
    }
    let texts = [
        (SESSION, note.session.as_deref().unwrap_or_default()),
        (CORRELATION, note.correlation.as_deref().unwrap_or_default()),
        (DEAD_LETTER, note.dead_letter.as_ref().map_or("", DeadLetterId::as_str)),
        (REQUEST, note.request.as_deref().unwrap_or_default()),
        (DETAIL, cut(&note.detail)),
    ];
    for (tag, text) in texts {
        if !text.is_empty() {
            put(out, tag, text.as_bytes());
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(DETAIL_BYTES_MAX)]
}

/// The notes of one row. What a newer version added is passed over; what is no note ends the list.
fn unpack(at: Ms, mut bytes: &[u8]) -> Vec<Noted> {
    let mut notes: Vec<Noted> = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let Some((packed, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        bytes = rest;
        let before = notes.last().map(|noted| &noted.note);
        let Some(note) = unpack_one(packed, before) else { break };
        notes.push(Noted { at: from_ms(at), note });
    }
    notes
}

fn unpack_one(mut bytes: &[u8], before: Option<&Note>) -> Option<Note> {
    let mut note = match before {
        Some(before) => Note::new(&before.entity, "", before.what, &before.integration, &before.system),
        None => Note::new("", "", What::Unchanged, "", ""),
    };
    while let Some((&tag, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (part, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        bytes = rest;
        let text = || String::from_utf8_lossy(part).into_owned();
        let number = || {
            let mut eight = [0; 8];
            eight.get_mut(8_usize.checked_sub(part.len())?..)?.copy_from_slice(part);
            Some(i64::from_be_bytes(eight))
        };
        match tag {
            ENTITY => note.entity = text(),
            KEY => note.key = text(),
            WHAT => note.what = What::of(&text())?,
            INTEGRATION => note.integration = text(),
            SYSTEM => note.system = text(),
            MESSAGE => note.message = number(),
            CAME => note.came = number().map(from_ms),
            ATTEMPT => note.attempt = number()?.try_into().ok()?,
            SESSION => note.session = Some(text()),
            CORRELATION => note.correlation = Some(text()),
            RUN => note.run = number().map(RunId),
            DEAD_LETTER => note.dead_letter = Some(DeadLetterId::from(&*text())),
            REQUEST => note.request = Some(text()),
            DETAIL => note.detail = text(),
            _ => {}
        }
    }
    Some(note)
}

fn of(conn: &Connection, entity: &str, key: &str, limit: usize) -> rusqlite::Result<Vec<Noted>> {
    let sql = "SELECT at, notes FROM journal WHERE instr(keys, ?1) > 0 ORDER BY id DESC LIMIT ?2";
    let wanted = hash(entity, key).to_be_bytes();
    let rows =
        all(conn, sql, (wanted.as_slice(), limit as i64), |row| Ok((row.get::<_, Ms>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let notes = rows.into_iter().rev().flat_map(|(at, bytes)| unpack(at, &bytes));
    let same = |noted: &Noted| noted.note.entity == entity && noted.note.key.to_lowercase() == key.to_lowercase();
    let mut notes: Vec<Noted> = notes.filter(same).collect();
    notes.drain(..notes.len().saturating_sub(limit));
    Ok(notes)
}

impl Store {
    /// What happened to one record, oldest first: the last `limit` notes.
    pub fn journal_of(&self, entity: &str, key: &str, limit: usize) -> Result<Vec<Noted>, Error> {
        self.read(|conn| of(conn, entity, key, limit))
    }

    /// Everything that was noted after a place in the journal, oldest first, and the place to go on from. The beginning is
    /// place 0. *Shape*: the notes of at most `transactions` transactions.
    pub fn journal_after(&self, place: i64, transactions: usize) -> Result<(Vec<Noted>, i64), Error> {
        let sql = "SELECT id, at, notes FROM journal WHERE id > ?1 ORDER BY id LIMIT ?2";
        let rows: Vec<(i64, Ms, Vec<u8>)> = self.read(|conn| {
            all(conn, sql, (place, transactions as i64), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        })?;
        let reached = rows.last().map_or(place, |(id, ..)| *id);
        Ok((rows.into_iter().flat_map(|(_, at, bytes)| unpack(at, &bytes)).collect(), reached))
    }

    /// How many messages of each integration had an effect since a moment, and when the first of them had: records that
    /// were written or were right already, in one destination each. *Shape*: by the name of the integration; what is no
    /// longer in the journal is not counted.
    pub fn journal_effects(&self, since: Timestamp) -> Result<BTreeMap<String, (u64, Timestamp)>, Error> {
        use What::{Created, Deactivated, Deleted, Unchanged, Updated};
        let rows: Vec<(Ms, Vec<u8>)> = self.read(|conn| {
            all(conn, "SELECT at, notes FROM journal WHERE at >= ?1 ORDER BY at", [to_ms(since)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })?;
        let mut counts = BTreeMap::new();
        for (at, bytes) in rows {
            for noted in unpack(at, &bytes) {
                let is_effect = matches!(noted.note.what, Created | Updated | Unchanged | Deleted | Deactivated);
                if is_effect && noted.note.message.is_some() {
                    counts.entry(noted.note.integration).or_insert((0, from_ms(at))).0 += 1;
                }
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Note {
        Note {
            message: Some(17),
            came: Some(from_ms(1_700_000_000_123)),
            attempt: 3,
            session: Some("salesorder|7".into()),
            correlation: Some("c".into()),
            run: Some(RunId(9)),
            dead_letter: Some(DeadLetterId::of_seq(17)),
            request: Some("r-1".into()),
            detail: "Zoë said no".into(),
            ..Note::new("order", "SO-1", What::Failed, "orders", "erp")
        }
    }

    #[test]
    fn notes_come_back_as_they_were_made() {
        let mut gathered = Gathered::default();
        let mut notes = vec![full(), Note::new("order", "SO-2", What::Created, "orders", "erp")];
        // What one shares with the one before is left out; what it lacks is not taken over.
        notes.push(Note {
            came: Some(from_ms(-5)),
            run: Some(RunId(0)),
            ..Note::new("order", "SO-3", What::Created, "orders", "")
        });
        notes.push(full());
        gathered.add_all(notes.iter());
        let back: Vec<Note> = unpack(5, &gathered.notes).into_iter().map(|noted| noted.note).collect();
        assert_eq!(back, notes);
        for end in 0..gathered.notes.len() {
            // A cut list is a shorter one, and nothing panics.
            assert!(unpack(5, &gathered.notes[..end]).len() < 4);
        }
        let mark = gathered.mark();
        gathered.add(&full(), None);
        gathered.take_back(mark);
        assert_eq!((gathered.keys.len(), unpack(5, &gathered.notes).len()), (32, 4));
        // Another commit's notes come behind, and begin anew.
        let mut more = Gathered::default();
        more.add(&Note::new("", "", What::Failed, "", ""), None);
        gathered.append(&more);
        assert_eq!(unpack(5, &gathered.notes)[4].note, Note::new("", "", What::Failed, "", ""));
        let mut like = Gathered::default();
        like.add_all([&notes[1]; 10].into_iter());
        assert!(like.notes.len() < 10 * 16 + 32, "{}", like.notes.len());
    }

    #[test]
    fn notes_that_are_alike_come_back_one_by_one() {
        let mut alike =
            Alike::new(&Note { run: Some(RunId(9)), ..Note::new("order", "", What::Created, "orders", "erp") });
        alike.add("SO-1", What::Created);
        alike.add("SO-2", What::Updated);
        let Some(Op::Packed(Packed { gathered, count: 2 })) = alike.into_op() else { panic!("two were added") };
        let back: Vec<Note> = unpack(5, &gathered.notes).into_iter().map(|noted| noted.note).collect();
        let note = |key, what| Note { run: Some(RunId(9)), ..Note::new("order", key, what, "orders", "erp") };
        assert_eq!(back, [note("SO-1", What::Created), note("SO-2", What::Updated)]);
        assert_eq!(gathered.keys[..8], hash("order", "so-1").to_be_bytes());
    }

    #[test]
    fn a_long_detail_is_cut_between_two_letters() {
        let long = Note { detail: "é".repeat(1000), ..full() };
        let mut gathered = Gathered::default();
        gathered.add(&long, None);
        assert_eq!(unpack(5, &gathered.notes)[0].note.detail, "é".repeat(300));
    }

    #[test]
    fn capitals_do_not_hide_a_record() {
        assert_eq!(hash("order", "so-1"), hash("order", "SO-1"));
        assert_ne!(hash("order", "SO-1"), hash("orders", "O-1"));
    }
}
