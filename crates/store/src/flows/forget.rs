//! What is forgotten of instances: all of one record's, and personal values of those that ended long ago.

use crate::tx::Tx;

/// What an instance of a record leaves: nothing. One that is under way ends without a trace; what it has written outside
/// stays. Answers the instances with their flows.
pub(crate) fn forget_record(
    tx: &Tx<'_>,
    entity: &str,
    key: &str,
    only_count: bool,
) -> rusqlite::Result<Vec<(i64, String)>> {
    let sql = "SELECT id, integration FROM flow_instance WHERE entity = ?1 AND lower(key_text) = lower(?2) ORDER BY id";
    let found = tx.all(sql, (entity, key), |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    if only_count {
        return Ok(found);
    }
    for (id, flow) in &found {
        tx.run("DELETE FROM flow_step WHERE instance = ?1", [id])?;
        tx.run("DELETE FROM flow_instance WHERE id = ?1", [id])?;
        // What started it is remembered where it does not name the record, so that it starts none again.
        let sql = "DELETE FROM flow_cause WHERE integration = ?1 AND instance = ?2 AND instr(cause, ?3) > 0";
        tx.run(sql, (flow, id, key))?;
        // Its questions: an open one is withdrawn, and of none is left what it was about.
        let sql = "UPDATE approval SET question = '', details = '{}', comment = NULL,
                     state = iif(state IN ('open', 'approved'), 'superseded', state)
                   WHERE integration = ?1 AND kind = 'flow' AND subject LIKE ?2 || '/%'";
        tx.run(sql, (flow, id.to_string()))?;
    }
    Ok(found)
}

/// Takes what may be personal out of instances of these entities that ended before a time: what they have read, set and
/// shown, and the words of their steps and questions. That they were, when, and who decided, stays. Answers how many.
pub(crate) fn forget_personal(tx: &Tx<'_>, entities: &[String], before: i64, max: usize) -> rusqlite::Result<u64> {
    let mut count = 0;
    for entity in entities {
        let sql = "SELECT id, integration FROM flow_instance WHERE ended < ?1 AND entity = ?2 AND data <> ?3
                   ORDER BY ended LIMIT ?4";
        let left = max - count as usize;
        let found = tx.all(sql, (before, entity, FORGOTTEN, left as i64), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        for (id, flow) in &found {
            let sql = "UPDATE flow_instance SET data = ?2, problem = NULL WHERE id = ?1";
            tx.run(sql, (id, FORGOTTEN))?;
            // `asked ann: Raise the limit of …` keeps whom.
            let sql = "UPDATE flow_step SET what = substr(what, 1, instr(what, ': ') - 1)
                       WHERE instance = ?1 AND instr(what, ': ') > 0";
            tx.run(sql, [id])?;
            let sql = "UPDATE approval SET question = '', details = '{}'
                       WHERE integration = ?1 AND kind = 'flow' AND subject LIKE ?2 || '/%'";
            tx.run(sql, (flow, id.to_string()))?;
        }
        count += found.len() as u64;
    }
    Ok(count)
}

/// The data of an instance of which nothing is known any more.
const FORGOTTEN: &str = r#"{"at":null}"#;
