//! Messages come into the index of sessions many at a time.
//!
//! Events come in about one row after another, so that each of them would change another page of that index, and a page
//! is written to the log as a whole: for a message of 1 KB that is 16 KB. So a message that comes in only says which session
//! it belongs to, by the session's number with a minus before it. It is filed, which takes the minus away and brings it
//! into the index, with all others of its queue, when somebody wants something of a session there, or when there are many.
//! `queue.filed` says up to which number there are none to file.

use crate::tx::Tx;

/// At most so many messages of a queue are not filed: whoever only reads looks through them one by one, and one
/// commit pays for all of them.
pub(crate) const UNFILED_MAX: usize = 1000;

/// A message came in that is not filed.
pub(crate) fn came(tx: &mut Tx<'_>, queue: i64) -> rusqlite::Result<()> {
    match tx.queues.unfiled.get_mut(&queue) {
        Some(count) if *count < UNFILED_MAX => {
            *count += 1;
            Ok(())
        }
        _ => file(tx, queue),
    }
}

/// Files all messages of a queue. Cheap where there are none.
pub(crate) fn file(tx: &mut Tx<'_>, queue: i64) -> rusqlite::Result<()> {
    if tx.queues.unfiled.get(&queue) == Some(&0) {
        return Ok(());
    }
    let sql = "UPDATE message SET session = -session
               WHERE queue = ?1 AND seq > (SELECT filed FROM queue WHERE id = ?1) AND session < 0";
    if tx.run(sql, [queue])? > 0 {
        tx.run("UPDATE queue SET filed = ?2 WHERE id = ?1", (queue, tx.last_seq()))?;
    }
    tx.queues.unfiled.insert(queue, 0);
    Ok(())
}
