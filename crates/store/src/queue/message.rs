//! Messages: what a sender gives, and what a receiver gets.

use std::time::Duration;

use jiff::Timestamp;
use record::Key;

use super::Problem;

/// What a message says. The body passes through byte for byte.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The sender's name for it; duplicates are recognised by it.
    pub id: String,
    pub integration: Option<String>,
    pub entity: Option<String>,
    pub key: Option<Key>,
    /// What to do, such as `upsert`, or what it is, such as `BatchRun`.
    pub op: Option<String>,
    /// Messages of one session are delivered in order, to one receiver at a time.
    pub session: Option<String>,
    /// What belongs together: the trail of one record through the hub.
    pub correlation: Option<String>,
    /// The message that this one is a retry or a consequence of.
    pub causation: Option<String>,
    /// Version of the source row, by which late, older events are recognised.
    pub source_version: Option<String>,
    /// The version of the definition that the sender worked with.
    pub definition_version: Option<String>,
    pub content_type: Option<String>,
    /// Small typed properties, for filters and for people.
    pub properties: Vec<(String, Property)>,
    pub body: Vec<u8>,
}

/// The value of a message's property.
#[derive(Debug, Clone, PartialEq)]
pub enum Property {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Instant(Timestamp),
    Guid([u8; 16]),
    Bytes(Vec<u8>),
}

/// A message to send.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewMessage {
    pub message: Message,
    /// Not before this time.
    pub at: Option<Timestamp>,
    /// Expires this long after it was enqueued; the queue's own limit holds if it is shorter.
    pub ttl: Option<Duration>,
}

impl From<Message> for NewMessage {
    fn from(message: Message) -> NewMessage {
        NewMessage { message, at: None, ttl: None }
    }
}

/// What became of a sent message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on disk under this sequence number.
    Accepted(i64),
    /// The queue has seen its id within the duplicate detection window. Accepted, and dropped.
    Duplicate,
}

/// The proof that a message is locked by its holder: good for one delivery only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockToken {
    pub seq: i64,
    pub lock: i64,
}

impl LockToken {
    /// As 16 bytes, for a protocol that wants a UUID.
    pub fn to_bytes(self) -> [u8; 16] {
        ((self.seq as u128) << 64 | self.lock as u64 as u128).to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> LockToken {
        let number = u128::from_be_bytes(bytes);
        LockToken { seq: (number >> 64) as i64, lock: number as i64 }
    }
}

/// A message as a receiver gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Counts up in the order of arrival, never used twice.
    pub seq: i64,
    /// The number under which it was first sent: another one when it came by a topic, was forwarded, or was scheduled.
    pub first_seq: i64,
    pub token: LockToken,
    /// In a session: until when the session was locked at this moment.
    pub locked_until: Timestamp,
    pub enqueued: Timestamp,
    pub expires: Option<Timestamp>,
    /// How many earlier deliveries ended without being settled, by being abandoned or by losing the lock.
    pub deliveries: u32,
    /// From a dead-letter queue: why it is there.
    pub problem: Option<Box<Problem>>,
    pub message: Message,
}

/// A message as somebody sees it who only looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Peeked {
    pub seq: i64,
    pub first_seq: i64,
    pub place: Place,
    pub enqueued: Timestamp,
    /// When its lock or delay ends, or when it is scheduled for.
    pub due: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub deliveries: u32,
    pub problem: Option<Box<Problem>>,
    pub message: Message,
}

/// The proof that a session is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionToken {
    pub session: i64,
    pub lock: i64,
}

/// A session that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub name: String,
    pub token: SessionToken,
    pub locked_until: Timestamp,
    /// What its holders noted, with [`Op::SetSessionState`](super::Op::SetSessionState).
    pub state: Option<Vec<u8>>,
}

/// Where a message stands in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Can be received.
    Ready = 0,
    /// In the hands of a receiver.
    Locked = 1,
    /// Was abandoned with a delay.
    Delayed = 2,
    /// Put aside: received only by its sequence number.
    Deferred = 3,
    /// Was sent for a later time.
    Scheduled = 4,
}

impl Place {
    pub const ALL: [Place; 5] = [Place::Ready, Place::Locked, Place::Delayed, Place::Deferred, Place::Scheduled];

    // The numbers are those of the file.
    pub(crate) fn of(number: i64) -> Option<Place> {
        Place::ALL.into_iter().find(|place| *place as i64 == number)
    }
}

impl rusqlite::types::ToSql for Place {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Owned(rusqlite::types::Value::Integer(*self as i64)))
    }
}

impl rusqlite::types::FromSql for Place {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Place> {
        let number = value.as_i64()?;
        Place::of(number).ok_or(rusqlite::types::FromSqlError::OutOfRange(number))
    }
}
