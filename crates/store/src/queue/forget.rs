//! Messages of one record, wherever they stand.

use super::message::{Message, Place};
use super::place::{self, COLUMNS, Head};
use super::{receive, send};
use crate::tx::Tx;

/// Looks at every message that is not in a dead-letter queue, and drops those that are wanted unless somebody works on them
/// right now. Answers how many it dropped, and how many are being worked on.
pub(crate) fn forget(
    tx: &mut Tx<'_>,
    wanted: impl Fn(&Message) -> bool,
    only_count: bool,
) -> rusqlite::Result<(u64, u64)> {
    let (mut dropped, mut locked, mut after) = (0, 0, (-1, -1));
    loop {
        let sql = format!(
            "SELECT {COLUMNS} FROM message WHERE (queue, seq) > (?1, ?2)
             AND queue NOT IN (SELECT id FROM queue WHERE kind = 3) ORDER BY queue, seq LIMIT 500"
        );
        let heads = tx.all(&sql, after, Head::read)?;
        let Some(last) = heads.last() else { return Ok((dropped, locked)) };
        after = (last.queue, last.seq);
        for head in &heads {
            let (message, _) = receive::body(tx.conn, head.seq)?;
            match wanted(&message) {
                true if head.place == Place::Locked => locked += 1,
                true => {
                    dropped += 1;
                    if !only_count {
                        place::leave(tx, head)?;
                        send::drop_body(tx, head.seq)?;
                    }
                }
                false => {}
            }
        }
    }
}
