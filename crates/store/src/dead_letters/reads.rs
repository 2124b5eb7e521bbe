//! Questions about dead letters.

use record::Key;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::{DeadLetter, DeadLetterId, Filter};
use crate::Store;
use crate::error::Error;
use crate::queue::{self, Message, Problem};
use crate::runs::RunId;
use crate::time::{Ms, from_ms, to_ms};
use crate::tx::{all, first};

pub(crate) const COLUMNS: &str = "id, kind, integration, entity, key, key_text, code, what, place, why, fix, detail, state, count,
    first_seen, last_seen, run, changed, changed_by, note, seq,
    (SELECT of.path FROM queue dead JOIN queue of ON of.id = dead.parent WHERE dead.id = dead_letter.queue), cause, goes";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        id: DeadLetterId(row.get(0)?),
        kind: row.get(1)?,
        integration: row.get(2)?,
        entity: row.get(3)?,
        key: row.get_ref(4)?.as_blob_or_null()?.and_then(|bytes| Key::from_bytes(bytes).ok()),
        key_text: row.get(5)?,
        problem: read_problem(row, 6)?,
        state: row.get(12)?,
        count: row.get::<_, i64>(13)? as u64,
        first_seen: from_ms(row.get(14)?),
        last_seen: from_ms(row.get(15)?),
        run: row.get::<_, Option<i64>>(16)?.map(RunId),
        changed: row.get::<_, Option<Ms>>(17)?.map(from_ms),
        changed_by: row.get(18)?,
        note: row.get(19)?,
        seq: row.get(20)?,
        queue: row.get::<_, Option<String>>(21)?.unwrap_or_default(),
        cause: row.get(22)?,
        goes: row.get::<_, Option<Ms>>(23)?.map(from_ms),
    })
}

pub(super) fn by_id(conn: &Connection, id: &DeadLetterId) -> rusqlite::Result<Option<DeadLetter>> {
    first(conn, &format!("SELECT {COLUMNS} FROM dead_letter WHERE id = ?1"), [&id.0], read)
}

fn page(conn: &Connection, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut sql = format!("SELECT {COLUMNS} FROM dead_letter WHERE true");
    let mut values: Vec<Value> = Vec::new();
    let texts = [
        ("integration", &filter.integration),
        ("entity", &filter.entity),
        ("code", &filter.code),
        ("cause", &filter.cause),
    ];
    for (column, value) in texts {
        if let Some(value) = value {
            sql += &format!(" AND {column} = ?");
            values.push(value.clone().into());
        }
    }
    if !filter.states.is_empty() {
        sql += &format!(" AND state IN ({})", vec!["?"; filter.states.len()].join(", "));
        values.extend(filter.states.iter().map(|state| Value::from(state.as_str().to_owned())));
    }
    if let Some(until) = filter.seen_until {
        sql += " AND last_seen <= ?";
        values.push(to_ms(until).into());
    }
    if let Some(after) = filter.after {
        sql += " AND (last_seen, seq) < (?, ?)";
        values.extend([to_ms(after.last_seen).into(), after.seq.into()]);
    }
    sql += " ORDER BY last_seen DESC, seq DESC LIMIT ?";
    values.push((limit.min(1000) as i64).into());
    all(conn, &sql, params_from_iter(values), read)
}

/// Why a message is a dead letter.
pub(crate) fn problem(conn: &Connection, seq: i64) -> rusqlite::Result<Option<Problem>> {
    let sql = "SELECT code, what, place, why, fix, detail FROM dead_letter WHERE seq = ?1";
    first(conn, sql, [seq], |row| read_problem(row, 0))
}

pub(super) fn read_problem(row: &Row<'_>, at: usize) -> rusqlite::Result<Problem> {
    Ok(Problem {
        code: row.get(at)?,
        what: row.get(at + 1)?,
        place: row.get(at + 2)?,
        why: row.get(at + 3)?,
        fix: row.get(at + 4)?,
        detail: row.get(at + 5)?,
    })
}

impl Store {
    /// Dead letters, the last seen first; the next page starts after [`DeadLetter::place`] of the last one of this one.
    /// *Shape*: at most `limit`, and never more than 1000.
    pub fn dead_letters(&self, filter: &Filter, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        self.read(|conn| page(conn, filter, limit))
    }

    /// The dead letters whose id begins like this: none, the one that was meant, or a few to choose from (at most 10).
    pub fn dead_letters_like(&self, prefix: &str) -> Result<Vec<DeadLetter>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM dead_letter WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id LIMIT 10");
        self.read(|conn| all(conn, &sql, [prefix.to_ascii_lowercase()], read))
    }

    /// The dead letters of messages of a queue about this key that wait, oldest first.
    pub fn dead_letters_of(&self, integration: &str, queue: &str, key: &Key) -> Result<Vec<DeadLetter>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM dead_letter
             WHERE integration = ?1 AND key = ?2 AND kind = 'message' AND state IN ('open', 'retrying') ORDER BY seq"
        );
        let mut found = self.read(|conn| all(conn, &sql, (integration, key.as_bytes()), read))?;
        found.retain(|letter| letter.queue == queue);
        Ok(found)
    }

    /// The keys of the rows of an entity whose dead letters wait.
    pub fn dead_letter_keys(&self, integration: &str, entity: &str) -> Result<Vec<Key>, Error> {
        let sql = "SELECT key FROM dead_letter
                   WHERE kind = 'row' AND integration = ?1 AND entity = ?2 AND state IN ('open', 'retrying')";
        let keys: Vec<Vec<u8>> = self.read(|conn| all(conn, sql, (integration, entity), |row| row.get(0)))?;
        Ok(keys.iter().filter_map(|key| Key::from_bytes(key).ok()).collect())
    }

    /// What the dead letter is about: the message with its body, or the rejected row as JSON in the body.
    pub fn dead_letter_message(&self, id: &DeadLetterId) -> Result<Option<Message>, Error> {
        self.read(|conn| match by_id(conn, id)? {
            Some(found) => queue::body(conn, found.seq).map(|(message, _)| Some(message)),
            None => Ok(None),
        })
    }

    /// How many dead letters wait for a person, by integration. Kept, never counted. *Shape*: in the order of names,
    /// without those that have none.
    pub fn dead_letters_waiting(&self) -> Result<Vec<(String, u64)>, Error> {
        let sql = "SELECT integration, sum(count) AS waiting FROM dead_letter_count
                   WHERE state IN ('open', 'retrying') GROUP BY integration HAVING waiting > 0 ORDER BY integration";
        self.read(|conn| all(conn, sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))))
    }
}
