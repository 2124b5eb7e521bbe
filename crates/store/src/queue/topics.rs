//! Topics: what is sent to one reaches each of its subscriptions that wants it, as a copy of its own.

use std::sync::Arc;

use rusqlite::Connection;

use super::entity::{self, Kind, Queue, SUBSCRIPTIONS, Settings};
use super::filter::Filter;
use super::message::Message;
use super::send::{self, Parcel};
use crate::error::{Fail, Refusal};
use crate::op::OpResult;
use crate::tx::Tx;

/// One reason for a subscription to take a message. It takes what any of its rules matches, and takes it once.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub name: String,
    pub filter: Filter,
}

/// A subscription as a topic sees it.
#[derive(Debug)]
pub(crate) struct Subscription {
    queue: Arc<Queue>,
    filters: Vec<Filter>,
}

impl Subscription {
    fn wants(&self, message: &Message) -> bool {
        self.filters.iter().any(|filter| filter.matches(message))
    }
}

pub(crate) fn put_topic(tx: &mut Tx<'_>, path: &str, settings: &Settings) -> Result<OpResult, Fail> {
    entity::put(tx, path, settings, Kind::Topic, None)
}

pub(crate) fn put_subscription(
    tx: &mut Tx<'_>,
    topic: &str,
    name: &str,
    settings: &Settings,
    rules: &[Rule],
) -> Result<OpResult, Fail> {
    let parent = entity::find(tx, topic)?;
    if parent.kind != Kind::Topic {
        return Err(Refusal::QueueUse { path: topic.to_owned(), reason: "not a topic" }.into());
    }
    if name.is_empty() || name.contains('/') {
        let path = format!("{topic}{SUBSCRIPTIONS}{name}");
        return Err(Refusal::QueueUse { path, reason: "not the name of a subscription" }.into());
    }
    let path = format!("{}{SUBSCRIPTIONS}{name}", parent.path);
    entity::put(tx, &path, settings, Kind::Subscription, Some(parent.id))?;
    let id = entity::find(tx, &path)?.id;
    tx.run("DELETE FROM rule WHERE queue = ?1", [id])?;
    for rule in rules {
        let sql = "INSERT INTO rule (queue, name, filter) VALUES (?1, ?2, ?3)
                   ON CONFLICT (queue, name) DO UPDATE SET filter = ?3";
        tx.run(sql, (id, &rule.name, rule.filter.pack()))?;
    }
    tx.queues.clear();
    Ok(OpResult::Done)
}

pub(crate) fn fan_out(tx: &mut Tx<'_>, topic: &Queue, parcel: Parcel<'_>) -> rusqlite::Result<()> {
    for subscription in subscriptions(tx, topic)?.iter().filter(|subscription| subscription.wants(parcel.message)) {
        let seq = tx.next_seq();
        send::arrive(tx, &subscription.queue, Parcel { seq, ..parcel })?;
    }
    Ok(())
}

fn subscriptions(tx: &mut Tx<'_>, topic: &Queue) -> rusqlite::Result<Arc<[Subscription]>> {
    if let Some(known) = tx.queues.subscriptions.get(&topic.id) {
        return Ok(Arc::clone(known));
    }
    let sql = "SELECT id FROM queue WHERE parent = ?1 AND kind = 2 ORDER BY id";
    let mut all = Vec::new();
    for id in tx.all(sql, [topic.id], |row| row.get::<_, i64>(0))? {
        let filters = rules(tx.conn, id)?.into_iter().map(|rule| rule.filter).collect();
        all.push(Subscription { queue: entity::by_id(tx, id)?, filters });
    }
    let all: Arc<[Subscription]> = all.into();
    tx.queues.subscriptions.insert(topic.id, Arc::clone(&all));
    Ok(all)
}

/// The rules of a subscription, by name.
pub(crate) fn rules(conn: &Connection, id: i64) -> rusqlite::Result<Vec<Rule>> {
    crate::tx::all(conn, "SELECT name, filter FROM rule WHERE queue = ?1 ORDER BY name", [id], |row| {
        let filter = Filter::unpack(row.get_ref(1)?.as_blob()?).ok_or(rusqlite::types::FromSqlError::InvalidType)?;
        Ok(Rule { name: row.get(0)?, filter })
    })
}
