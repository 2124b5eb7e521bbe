//! The safety net: what changed in the source and never came as an event.
//!
//! Change tracking (or the watermark) says what changed since the last sweep. A row whose content the destination does
//! not have, and for which nothing waits, is sent as an event of the hub's own. Where the source has no webhooks, this is
//! how events come in at all.

use std::sync::Arc;
use std::time::Duration;

use definition::{Event, Pattern, Project};
use jiff::{SignedDuration, Timestamp};
use record::{Key, Page, ReadKind, Row, Unreadable};
use store::journal::{self, Note, What};
use store::ledger;
use store::queue::{Message, Op as QueueOp, Property};
use store::{Op, Store, cursors};
use tokio::sync::watch;

use super::covers::{self, Found};
use super::deliver::row_hash;
use super::hold::Hold;
use super::remove::remembered;
use super::route::{Read, Route};
use super::{DESTINATION, letters, subscription, topic};
use crate::compile::Systems;
use crate::error::{Error, Stopped};
use crate::{codes, patience, retyped};

/// An event that was sent just now is not missing yet.
const GRACE: Duration = Duration::from_secs(5);
/// The stream of the cursor that says how far the last sweep came.
const STREAM: &str = "sweep";

#[derive(Clone)]
pub(crate) struct Sweep {
    pub project: Arc<Project>,
    pub systems: Arc<dyn Systems + Send + Sync>,
    pub store: Store,
    pub integration: String,
    /// Told when the columns of the source are not what they were: whoever delivers looks at them anew.
    pub retyped: watch::Sender<u64>,
}

/// What is sent for rows that should have come, one for each row and destination.
type Sends = Vec<Vec<Op>>;

impl Sweep {
    fn event(&self) -> &Event {
        match self.project.integration(&self.integration).map(|integration| &integration.pattern) {
            Some(Pattern::Event(event)) => event,
            _ => unreachable!("sweeps are made of event integrations"),
        }
    }

    /// Sweeps as often as the definition says. *Errors*: our own state cannot be used.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let Some(every) = self.event().sweep else { return Ok(()) };
        let name = &self.integration;
        let mut attempted: Option<Timestamp> = None;
        loop {
            let last = self.store.cursor(name, STREAM)?.map(|cursor| cursor.updated).max(attempted);
            let now = self.store.clock().now();
            let rest = last.map_or(Duration::ZERO, |last| {
                let due = last.checked_add(SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX));
                let rest: Option<Duration> = due.ok().and_then(|due| due.duration_since(now).try_into().ok());
                // Not longer than that where the clock was set back.
                rest.unwrap_or_default().min(every)
            });
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
            attempted = Some(self.store.clock().now());
            let swept = tokio::select! {
                swept = self.once() => swept,
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            };
            match swept {
                Ok(0) => {}
                Ok(missed) => self.tell(missed, last),
                Err(Stopped::Fault(fault)) => {
                    if fault.code == codes::RETYPED {
                        self.retyped.send_modify(|times| *times += 1);
                    }
                    tracing::warn!(integration = name, code = %fault.code, what = fault.what, why = crate::watch::why(&fault), "do" = fault.fix, "{name}: changes could not be compared with what came: {fault}; tried again in {every:?}");
                }
                Err(Stopped::Store(error)) => return Err(error.into()),
            }
        }
    }

    fn tell(&self, missed: u64, since: Option<Timestamp>) {
        let (name, from) = (&self.integration, &self.event().from);
        let has_webhooks = self.project.system(from).is_some_and(|system| system.webhooks.is_some());
        if !has_webhooks {
            return tracing::debug!(integration = name, "{missed} changes in {from}");
        }
        let zone = &self.project.hub.time_zone;
        let since = since.map_or_else(String::new, |at| at.to_zoned(zone.clone()).strftime(" since %H:%M").to_string());
        tracing::warn!(
            integration = name,
            missed,
            "{name}: {missed} changes in {from} had no webhook{since}; they are delivered now. Is the step registered and active?"
        );
    }

    /// Answers how many changes were sent because no event had come.
    async fn once(&self) -> Result<u64, Stopped> {
        let integration = self.project.integration(&self.integration).expect("looked up before");
        let event = self.event();
        let mut routes = Vec::new();
        for to in &event.to {
            routes.push((to, Route::compile(&self.project, integration, event, to, &*self.systems).await?));
        }
        let Some((_, first)) = routes.first() else { return Ok(0) };
        retyped::note_events(&self.store, &self.integration, &first.pair).await?;
        let position = self.store.cursor(&self.integration, STREAM)?.map(|cursor| cursor.position);
        let mut reader = first.changes().read(position.as_deref()).await?;
        if let (ReadKind::Full { why: Some(why) }, true) = (reader.kind(), position.is_some()) {
            tracing::info!(integration = self.integration, "comparing every row with what came: {why}");
        }
        let (mut missed, mut reached, mut read) = (0, None, false);
        while let Some(page) = reader.next().await? {
            read = true;
            if position.is_none() {
                // The first sweep only finds out where to begin: what was there before is no event.
                reached = page.cursor;
                continue;
            }
            let Some(cursor) = &page.cursor else { continue };
            let mut sends = self.missing(&routes, &page).await?;
            sends.extend(self.unreadable(&routes, &page).await?);
            sends.extend(self.deleted(&routes, &page).await?);
            missed += sends.len() as u64;
            let mut ops: Vec<Op> = sends.into_iter().flatten().collect();
            ops.push(self.reached(cursor));
            patience::commit(&self.store, ops).await?;
        }
        if let Some(cursor) = &reached {
            patience::commit(&self.store, vec![self.reached(cursor)]).await?;
        } else if position.is_none() && read {
            let from = &event.from;
            tracing::warn!(
                integration = self.integration,
                "{from} cannot say what changed, so nothing finds events that never came: give `{}` a `watermark:` there",
                event.entity
            );
        }
        Ok(missed)
    }

    fn reached(&self, cursor: &str) -> Op {
        let (integration, stream) = (self.integration.clone(), STREAM.to_owned());
        cursors::Op::Set { integration, stream, position: cursor.to_owned(), fingerprint: String::new() }.into()
    }

    /// The messages for rows of a page that should have come and did not, by destination and session.
    async fn missing(&self, routes: &[(&String, Route)], page: &Page) -> Result<Sends, Stopped> {
        let rows: Vec<Row> = page.batch.rows().map(|row| row.to_row()).collect();
        let found = self.find(routes, &rows).await?;
        if found.is_empty() {
            return Ok(found);
        }
        tokio::time::sleep(GRACE).await;
        self.find(routes, &rows).await
    }

    async fn find(&self, routes: &[(&String, Route)], rows: &[Row]) -> Result<Sends, Stopped> {
        let mut found = Sends::new();
        for (to, route) in routes {
            for row in rows {
                found.extend(self.send(to, route, &route.with_lines(row.clone()).await?).await?);
            }
        }
        Ok(found)
    }

    /// The messages for rows that cannot be read: each is a dead letter once its delivery has said so too.
    async fn unreadable(&self, routes: &[(&String, Route)], page: &Page) -> Result<Sends, Stopped> {
        let mut sends = Sends::new();
        for Unreadable { row, fault } in &page.unreadable {
            for (to, route) in routes {
                let Some((body, session)) = route.names(row) else {
                    tracing::warn!(
                        integration = self.integration, code = %fault.code, what = fault.what, "do" = fault.fix,
                        "{}: a row of {} cannot be read, and nothing says which one: {fault}",
                        self.integration, route.pair.from
                    );
                    break;
                };
                let queue = subscription(&self.integration, to);
                if !self.is_covered(route, &queue, &session, &body, Found::Changed(None)).await? {
                    sends.push(self.message(to, route, route.key_of(row).as_ref(), body, session));
                }
            }
        }
        Ok(sends)
    }

    /// The messages for rows that are gone from the source, and of which a destination still has what the hub wrote, or a
    /// dead letter waits.
    async fn deleted(&self, routes: &[(&String, Route)], page: &Page) -> Result<Sends, Stopped> {
        let mut sends = Sends::new();
        if !self.event().trigger.deleted {
            return Ok(sends);
        }
        for id in &page.deleted {
            let value = id.parse().map_or_else(|_| record::Value::text(&**id), record::Value::Guid);
            for (to, route) in routes {
                let (from, entity) = (&route.pair.from, &route.pair.entity.name);
                let session = route.session_of_id(id);
                let queue = subscription(&self.integration, to);
                // A row that is just being delivered for the first time may have been read before it was deleted.
                let held = self.store.session_is_held(&queue, &session)?;
                let (key, matters) = match remembered(&self.store, from, entity, &value)? {
                    Some(key) => {
                        let known = self.store.ledger_get(to, entity, std::slice::from_ref(&key))?;
                        let is_there = known.into_iter().flatten().any(|entry| entry.state == ledger::State::Written);
                        let letters = self.store.dead_letters_of(&self.integration, &key)?;
                        (key, is_there || letters.iter().any(|letter| letter.queue == queue))
                    }
                    None => match Key::of([&value]) {
                        Ok(key) => (key, false),
                        Err(_) => continue,
                    },
                };
                let body = serde_json::json!({ "id": &**id, (letters::DELETED): true });
                if (matters || held) && !self.is_covered(route, &queue, &session, &body, Found::Deleted).await? {
                    sends.push(self.message(to, route, Some(&key), body, session));
                }
            }
        }
        Ok(sends)
    }

    async fn send(&self, to: &str, route: &Route, row: &Row) -> Result<Option<Vec<Op>>, Stopped> {
        let trigger = &self.event().trigger;
        let (key, content) = match route.map(row, &[])? {
            Read::LeftOut { .. } => return Ok(None),
            Read::Bad { key: None, .. } => return Ok(None),
            Read::Bad { key: Some(key), .. } => (key, None),
            Read::Mapped(mapped) => {
                let known = self.store.ledger_get(to, &route.pair.entity.name, std::slice::from_ref(&mapped.key))?;
                let known = known.into_iter().flatten().find(|entry| entry.state == ledger::State::Written);
                let wanted = match &known {
                    Some(entry) => trigger.updated && Some(entry.content_hash) != mapped.content_hash,
                    None => trigger.created || trigger.updated,
                };
                if !wanted {
                    return Ok(None);
                }
                (mapped.key, mapped.content_hash)
            }
        };
        let Some((body, session)) = route.names(row) else { return Ok(None) };
        let queue = subscription(&self.integration, to);
        if self.is_covered(route, &queue, &session, &body, Found::Changed(content)).await? {
            return Ok(None);
        }
        // What a dead letter holds its row for is known already. Only what has changed since waits behind it.
        let hold = Hold::read(self.store.session_state(&queue, &session)?.as_deref());
        if hold.by.is_some() && hold.row == Some(row_hash(row)) {
            return Ok(None);
        }
        Ok(Some(self.message(to, route, Some(&key), body, session)))
    }

    /// Whether something waits that brings what was found. What is being delivered may have read the row before it changed.
    async fn is_covered(
        &self,
        route: &Route,
        queue: &str,
        session: &str,
        body: &serde_json::Value,
        found: Found,
    ) -> Result<bool, Stopped> {
        let waiting = self.store.session_waiting(queue, session, covers::LOOKED_AT)?;
        Ok(covers::covers(route, &waiting, body, found).await)
    }

    /// An event of the hub's own for one destination, and the note of it where its key can be told.
    fn message(&self, to: &str, route: &Route, key: Option<&Key>, body: serde_json::Value, session: String) -> Vec<Op> {
        let message = Message {
            integration: Some(self.integration.clone()),
            entity: Some(route.pair.entity.name.to_string()),
            op: Some(letters::SWEEP.to_owned()),
            session: Some(session.clone()),
            content_type: Some("application/json".into()),
            properties: vec![(DESTINATION.to_owned(), Property::Text(to.to_owned()))],
            body: body.to_string().into_bytes(),
            ..Message::default()
        };
        let send = QueueOp::Send { queue: topic(&self.integration), messages: vec![message.into()] };
        let note = key.map(|key| Note {
            session: Some(session),
            ..Note::new(&route.pair.entity.name, &key.to_string(), What::Swept, &self.integration, to)
        });
        [send.into()].into_iter().chain(note.map(|note| journal::Op::Note(vec![note]).into())).collect()
    }
}
