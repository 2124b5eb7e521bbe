//! The safety net: what changed in the source and never came as an event.
//!
//! Change tracking (or the watermark) says what changed since the last sweep. A row whose content the destination does
//! not have, and for which nothing waits, is sent as an event of the hub's own. Where the source has no webhooks, this is
//! how events come in at all.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use definition::{Event, Pattern, Project};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use record::hash::ByHash;
use record::{Fault, Key, KeyHasher, KeyRules, Now, Page, ReadKind, Row, Unreadable};
use store::journal::{self, Note, What};
use store::ledger;
use store::{Op, Store, cursors, unheard};
use tokio::sync::watch;

use super::covers::{self, Found};
use super::deliver::row_hash;
use super::hold::Hold;
use super::letters::OfRow;
use super::remove::{self, remembered};
use super::route::{Changes, Named, Read, Route};
use super::{letters, subscription};
use crate::compile::Systems;
use crate::error::{Error, Stopped};
use crate::{codes, patience, retyped};

/// An event that was sent just now is not missing yet.
const GRACE: Duration = Duration::from_secs(5);
/// The stream of the cursor that says how far the last sweep came.
const STREAM: &str = "sweep";
/// The place of a sweep that found nothing to begin at: whatever comes from now on is news.
const NOTHING_YET: &str = "";
/// So far before the last sweep is asked for again where its place is lost: a sweep takes its time, and clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_mins(15);
/// So many rows, or a twentieth of all, may be gone of which nobody has said so: more are rather rows that the hub may not
/// see any more.
const GONE_AT_ONCE: usize = 10;

#[derive(Clone)]
pub(crate) struct Sweep {
    pub project: Arc<Project>,
    pub systems: Arc<dyn Systems + Send + Sync>,
    pub store: Store,
    pub integration: String,
    /// Told when whoever delivers is to look at both systems although nothing waits, so that people hear of what keeps
    /// events away: the columns of the source are not what they were, or a source that is polled cannot be.
    pub doubts: watch::Sender<u64>,
}

/// Which rows of a read may be events, where they are not as the destination has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    /// Those that were delivered: whether others have changed, nobody knows.
    Delivered,
    /// Those that were not there, or not like this, before the integration.
    Changed,
    All,
}

/// What is sent for one row and destination.
struct News {
    /// The row's key in the source.
    row: Key,
    ops: Vec<Op>,
    /// It should have come and did not; otherwise nobody knows what the destination has of it.
    missed: bool,
}

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
                Ok(missed) => self.tell(missed, last).await?,
                Err(Stopped::Fault(fault)) => {
                    if fault.code == codes::RETYPED || self.is_polled() {
                        self.doubts.send_modify(|times| *times += 1);
                    }
                    tracing::warn!(integration = name, code = %fault.code, what = fault.what, why = crate::watch::why(&fault), "do" = fault.fix, "{name}: changes could not be compared with what came: {fault}; tried again in {every:?}");
                }
                Err(Stopped::Store(error)) => return Err(error.into()),
            }
        }
    }

    /// What the sweep finds is all that there is.
    fn is_polled(&self) -> bool {
        self.project.system(&self.event().from).is_none_or(|system| system.webhooks.is_none())
    }

    async fn tell(&self, missed: u64, since: Option<Timestamp>) -> Result<(), Error> {
        let (name, from) = (&self.integration, &self.event().from);
        if self.is_polled() {
            tracing::debug!(integration = name, "{missed} changes in {from}");
            return Ok(());
        }
        let (integration, before) = (name.clone(), since.unwrap_or_else(|| self.store.clock().now()));
        let noted = unheard::Op::Missed { integration, changes: missed, since: before };
        patience::commit_one(&self.store, noted).await?;
        let zone = &self.project.hub.time_zone;
        let since = since.map_or_else(String::new, |at| told_since(at, self.store.clock().now(), zone));
        let unwatched = match self.event().trigger.columns.is_empty() {
            true => "",
            false => " Or was it a column that the trigger does not watch?",
        };
        tracing::warn!(
            integration = name,
            missed,
            "{name}: {missed} changes in {from} had no webhook{since}; they are delivered now. Is the step registered and active?{unwatched}"
        );
        Ok(())
    }

    /// Answers how many changes were sent because no event had come.
    async fn once(&self) -> Result<u64, Stopped> {
        let integration = self.project.integration(&self.integration).expect("looked up before");
        let event = self.event();
        let (mut routes, mut closed) = (Vec::new(), Vec::new());
        for to in &event.to {
            match Route::compile(&self.project, integration, event, to, &*self.systems).await {
                Ok(route) => routes.push((to, route)),
                Err(fault) => closed.push((to, fault)),
            }
        }
        let Some((_, first)) = routes.first() else {
            return closed.pop().map_or(Ok(0), |(_, fault)| Err(fault.into()));
        };
        retyped::note_events(&self.store, &self.integration, &first.pair).await?;
        if !first.can_name() {
            let (name, from) = (&self.integration, &event.from);
            tracing::warn!(
                integration = name,
                "nothing finds events of {name} that never came: rows of {from} cannot be asked for, since their key is made by a formula"
            );
            return Ok(0);
        }
        let kept = self.store.cursor(&self.integration, STREAM)?;
        let origin = format!("{:016x}", first.pair.origin);
        // Earlier versions did not note it.
        let moved = kept.as_ref().is_some_and(|kept| !kept.fingerprint.is_empty() && kept.fingerprint != origin);
        let position = kept.as_ref().map(|cursor| &*cursor.position).filter(|place| !moved && *place != NOTHING_YET);
        let mut reader = first.changed().read(position).await?;
        let full = match reader.kind() {
            _ if moved => Some("what is read is not what it was".to_owned()),
            ReadKind::Full { why } => Some(why.unwrap_or_else(|| "it is read as a whole".to_owned())),
            ReadKind::Changes => None,
        };
        let among = match (&kept, position, &full) {
            (None, ..) => None,
            (Some(_), ..) if moved => Some(Among::Delivered),
            (Some(_), Some(_), Some(_)) if first.changes != Changes::Whole => Some(Among::Delivered),
            (Some(_), ..) => Some(Among::Changed),
        };
        // What was delivered is compared with what is there now: for that everybody has to be there.
        if let Some((_, fault)) = closed.pop_if(|_| among == Some(Among::Delivered)) {
            return Err(fault.into());
        }
        let closed: Vec<&String> = closed.into_iter().map(|(to, _)| to).collect();
        let (mut found, mut reached, mut empty) = (0, None, true);
        let (mut seen, mut hasher) = (HashSet::default(), KeyHasher::default());
        let mut there = HashSet::new();
        while let Some(page) = reader.next().await? {
            reached = page.cursor.clone();
            if among != Some(Among::Changed) {
                there.extend(rows_of(&page).map(|row| row_hash(&row) as u64));
            }
            empty &= page.batch.is_empty() && page.unreadable.is_empty();
            if among == Some(Among::Delivered) && event.trigger.deleted {
                let ids = rows_of(&page).filter_map(|row| first.id_of(&row));
                seen.extend(ids.map(|id| hasher.hash(&id, KeyRules::default())));
            }
            // The first sweep only finds out where to begin: what was there before is no event.
            let Some(among) = among else { continue };
            let mut sends = self.of_page(&routes, &page, among).await?;
            for to in &closed {
                sends.extend(self.unseen(to, first, &page).await?);
            }
            found += missed(&sends);
            let mut ops: Vec<Op> = sends.into_iter().flat_map(|news| news.ops).collect();
            // A full read that is cut begins again, since what it has to be compared with is said by the old place.
            ops.extend(reached.as_deref().filter(|_| full.is_none()).map(|place| self.reached(place, &origin)));
            patience::commit(&self.store, ops).await?;
        }
        if among == Some(Among::Changed) && full.is_none() {
            return Ok(found);
        }
        let nothing = (empty || first.changes == Changes::Watermark).then_some(NOTHING_YET);
        let Some(place) = reached.as_deref().or(nothing) else {
            let from = &event.from;
            tracing::warn!(
                integration = self.integration,
                "{from} cannot say what changed, so nothing finds events that never came: give `{}` a `watermark:` there",
                event.entity
            );
            return Ok(found);
        };
        if among != Some(Among::Changed) {
            let again = reached.as_deref().filter(|_| first.changes != Changes::Whole || full.is_none());
            self.remember(first, again, &there).await?;
        }
        if let (Some(Among::Delivered), Some(kept), Some(why)) = (among, &kept, &full) {
            // Of rows that are read elsewhere now nobody knows that they are gone.
            if event.trigger.deleted && !moved {
                found += self.gone(&routes, &seen).await?;
            }
            if found > 0 {
                let (name, from) = (&self.integration, &event.from);
                tracing::info!(
                    integration = name,
                    found,
                    "{name}: {found} rows of {from} are not as they were delivered; they are delivered now"
                );
            }
            found = self.since(&routes, kept.updated, why).await?;
        }
        patience::commit(&self.store, vec![self.reached(place, &origin)]).await?;
        Ok(found)
    }

    /// Sends what says that rows are gone of which a read of everything has seen none, and that were delivered. Whether each
    /// is gone indeed, its delivery asks the source. Answers how many.
    async fn gone(&self, routes: &[(&String, Route)], seen: &HashSet<u128, ByHash>) -> Result<u64, Stopped> {
        let (name, from) = (&self.integration, &self.event().from);
        let (mut known, mut gone, mut hasher) = (0, Vec::new(), KeyHasher::default());
        self.store.ledger_scan(from, &remove::by_id(&self.event().entity), |row| {
            known += 1;
            if let Ok(id) = Key::from_bytes(row.key)
                && !seen.contains(&hasher.hash(&id, KeyRules::default()))
            {
                gone.push(Arc::from(id.to_string()));
            }
            ControlFlow::Continue(())
        })?;
        let mut found = 0;
        for (to, route) in routes {
            let sends = self.deleted(to, route, &gone).await?;
            if seen.is_empty() && !sends.is_empty() || sends.len() > GONE_AT_ONCE.max(known / 20) {
                tracing::error!(
                    integration = name,
                    gone = sends.len(),
                    "{name}: {} rows that were delivered to {to} are not in {from} any more, too many to be believed: none of \
                     them is deleted there. See whether the hub may still read them; where they are gone indeed, delete them in {to}",
                    sends.len()
                );
                continue;
            }
            found += missed(&sends);
            patience::commit(&self.store, sends.into_iter().flat_map(|news| news.ops).collect()).await?;
        }
        Ok(found)
    }

    /// The place of the last sweep is none to go on from, and a read of everything says of no row when it came: those that
    /// changed since that sweep are asked for by their time.
    async fn since(&self, routes: &[(&String, Route)], last: Timestamp, why: &str) -> Result<u64, Stopped> {
        let (name, from) = (&self.integration, &self.event().from);
        let [(_, first), ..] = routes else { return Ok(0) };
        tracing::info!(integration = name, "{name}: comparing every row of {from} with what was delivered: {why}");
        let begin = last.checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
        // Clocks differ.
        let end = self.store.clock().now().checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
        let mut reader = match first.changed().window(begin, end).await {
            Ok(reader) => reader,
            Err(fault) if fault.code == codes::NO_WINDOW => {
                let last = last.to_zoned(self.project.hub.time_zone.clone()).strftime("%Y-%m-%d %H:%M");
                tracing::warn!(
                    integration = name,
                    why = fault.what,
                    "{name}: {why}, and rows of {from} that came since {last} cannot be told from those that were there before: \
                     those of which no event came are not delivered. Bring them with a batch"
                );
                return Ok(0);
            }
            Err(fault) => return Err(fault.into()),
        };
        let mut found = 0;
        while let Some(page) = reader.next().await? {
            let sends = self.of_page(routes, &page, Among::All).await?;
            found += missed(&sends);
            patience::commit(&self.store, sends.into_iter().flat_map(|news| news.ops).collect()).await?;
        }
        Ok(found)
    }

    /// Remembers the rows that the next read from this place gives again, though nobody changes them: those whose watermark
    /// is in its overlap, those that have none, and all of a source that is read as a whole. `there`: the hashes of those that
    /// were there before; a table may be read for minutes, and what came meanwhile is news.
    async fn remember(&self, route: &Route, place: Option<&str>, there: &HashSet<u64>) -> Result<(), Stopped> {
        let mut reader = route.changed().read(place).await?;
        if place.is_some() && reader.kind() != ReadKind::Changes {
            return Ok(());
        }
        while let Some(page) = reader.next().await? {
            let mut entries = Vec::new();
            let before = |row: &Row| there.contains(&(row_hash(row) as u64));
            for row in page.batch.rows().map(|row| row.to_row()).filter(before) {
                entries.push(there_before(&self.as_read(route, row).await?.unwrap_or_else(|(row, _)| row)));
            }
            let unreadable = page.unreadable.iter().map(|unreadable| &unreadable.row);
            entries.extend(unreadable.filter(|row| before(row)).map(there_before));
            let (system, entity) = (route.pair.from.clone(), self.before(route));
            patience::commit(&self.store, vec![ledger::Op::Put { system, entity, entries }.into()]).await?;
        }
        Ok(())
    }

    /// The place in the ledger where rows are remembered that were there before the integration.
    fn before(&self, route: &Route) -> String {
        format!("{} before {}", route.pair.entity.name, self.integration)
    }

    /// Whether a row was there before the integration, and is as it was.
    fn was_there(&self, route: &Route, row: &Row) -> Result<bool, store::Error> {
        let found = self.store.ledger_entry(&route.pair.from, &self.before(route), &there_before(row).key)?;
        Ok(found.is_some())
    }

    /// `origin`: of what the place is one.
    fn reached(&self, place: &str, origin: &str) -> Op {
        let (integration, stream) = (self.integration.clone(), STREAM.to_owned());
        cursors::Op::Set { integration, stream, position: place.to_owned(), fingerprint: origin.to_owned() }.into()
    }

    /// The messages for what a page has that should have come and did not.
    async fn of_page(&self, routes: &[(&String, Route)], page: &Page, among: Among) -> Result<Vec<News>, Stopped> {
        let mut sends = self.missing(routes, page, among).await?;
        if among != Among::Delivered {
            sends.extend(self.unreadable(routes, page, among).await?);
        }
        for (to, route) in routes {
            sends.extend(self.deleted(to, route, &page.deleted).await?);
        }
        Ok(sends)
    }

    /// The messages for rows of a page that should have come and did not, by destination and session.
    async fn missing(&self, routes: &[(&String, Route)], page: &Page, among: Among) -> Result<Vec<News>, Stopped> {
        let rows: Vec<Row> = page.batch.rows().map(|row| row.to_row()).collect();
        let found = self.find(routes, &rows, among).await?;
        if found.is_empty() || self.is_polled() {
            return Ok(found);
        }
        tokio::time::sleep(GRACE).await;
        self.find(routes, &rows, among).await
    }

    /// The messages for a destination that cannot be looked at: each is compared with it when it is delivered, by the time
    /// that this one says anything again. It holds up no other. `route`: to another destination, from the same source.
    async fn unseen(&self, to: &str, route: &Route, page: &Page) -> Result<Vec<News>, Stopped> {
        let mut sends = Vec::new();
        for row in page.batch.rows().map(|row| row.to_row()) {
            let row = match self.as_read(route, row).await? {
                Ok(row) => row,
                Err((row, fault)) => {
                    if !self.was_there(route, &row)? {
                        sends.extend(self.unread(to, route, &row, &fault).await?);
                    }
                    continue;
                }
            };
            let key = route.key_of(&row);
            if matches!(route.map(&row, &[])?, Read::LeftOut { .. }) || self.was_there(route, &row)? {
                continue;
            }
            let news = self.offer(to, route, &row, key.as_ref(), None).await?;
            sends.extend(news.map(|news| News { missed: false, ..news }));
        }
        for Unreadable { row, fault } in &page.unreadable {
            sends.extend(self.unread(to, route, row, fault).await?);
        }
        sends.extend(self.deleted(to, route, &page.deleted).await?);
        Ok(sends)
    }

    async fn find(&self, routes: &[(&String, Route)], rows: &[Row], among: Among) -> Result<Vec<News>, Stopped> {
        let mut found = Vec::new();
        for (to, route) in routes {
            for row in rows {
                let key = route.key_of(row);
                let known = key.as_ref().map(|key| self.delivered(to, route, key)).transpose()?.flatten();
                if among == Among::Delivered && known.is_none() {
                    continue;
                }
                let row = match self.as_read(route, row.clone()).await? {
                    Ok(row) => row,
                    Err((row, fault)) => {
                        if among != Among::Changed || known.is_some() || !self.was_there(route, &row)? {
                            found.extend(self.unread(to, route, &row, &fault).await?);
                        }
                        continue;
                    }
                };
                if among == Among::Changed && known.is_none() && self.was_there(route, &row)? {
                    continue;
                }
                let missed = known.as_ref().is_none_or(|known| known.content_hash != ledger::UNKNOWN);
                let sent = self.send(to, route, &row, known.as_ref()).await?;
                found.extend(sent.map(|news| News { missed: missed && news.missed, ..news }));
            }
        }
        Ok(found)
    }

    /// A row with its lines. Where those cannot be read, the row without them, and why: it holds no others up, and its
    /// delivery says so too.
    async fn as_read(&self, route: &Route, row: Row) -> Result<Result<Row, (Row, Fault)>, Fault> {
        match route.with_lines(row.clone()).await {
            Ok(row) => Ok(Ok(row)),
            Err(fault) if fault.now == Now::Reject => Ok(Err((row, fault))),
            Err(fault) => Err(fault),
        }
    }

    /// What the destination has from the hub.
    fn delivered(&self, to: &str, route: &Route, key: &Key) -> Result<Option<ledger::Entry>, store::Error> {
        let known = self.store.ledger_entry(to, &route.pair.entity.name, key)?;
        Ok(known.filter(|entry| entry.state == ledger::State::Written))
    }

    /// The messages for rows that cannot be read: each is a dead letter once its delivery has said so too.
    async fn unreadable(&self, routes: &[(&String, Route)], page: &Page, among: Among) -> Result<Vec<News>, Stopped> {
        let mut sends = Vec::new();
        for Unreadable { row, fault } in &page.unreadable {
            for (to, route) in routes {
                if among == Among::Changed && self.was_there(route, row)? {
                    continue;
                }
                sends.extend(self.unread(to, route, row, fault).await?);
            }
        }
        Ok(sends)
    }

    /// The message for one that cannot be read.
    async fn unread(&self, to: &str, route: &Route, row: &Row, fault: &Fault) -> Result<Option<News>, Stopped> {
        if route.names(row).is_none() {
            tracing::warn!(
                integration = self.integration, code = %fault.code, what = fault.what, "do" = fault.fix,
                "{}: a row of {} cannot be read, and nothing says which one: {fault}",
                self.integration, route.pair.from
            );
            return Ok(None);
        }
        let key = route.key_of(row);
        if self.is_told(&subscription(&self.integration, to), key.as_ref(), &route.pair.read.hide(fault.clone()))? {
            return Ok(None);
        }
        self.offer(to, route, row, key.as_ref(), None).await
    }

    /// Whether a dead letter says the same of a row already.
    fn is_told(&self, queue: &str, key: Option<&Key>, fault: &Fault) -> Result<bool, store::Error> {
        let Some(key) = key else { return Ok(false) };
        let found = self.store.dead_letters_of(&self.integration, queue, key)?;
        Ok(found.iter().any(|letter| letter.problem.what == fault.what))
    }

    /// The messages for rows that are gone from the source, and of which a destination still has what the hub wrote, or a
    /// dead letter waits.
    async fn deleted(&self, to: &str, route: &Route, ids: &[Arc<str>]) -> Result<Vec<News>, Stopped> {
        let mut sends = Vec::new();
        if !self.event().trigger.deleted {
            return Ok(sends);
        }
        let (from, entity) = (&route.pair.from, &route.pair.entity.name);
        let queue = subscription(&self.integration, to);
        for id in ids {
            let value = id.parse().map_or_else(|_| record::Value::text(&**id), record::Value::Guid);
            let Ok(named) = Key::of([&value]) else { continue };
            let session = route.session_of_id(id);
            // A row that is just being delivered for the first time may have been read before it was deleted.
            let held = self.store.session_is_held(&queue, &session)?;
            let (key, matters) = match remembered(&self.store, from, entity, &value)? {
                Some(key) => {
                    let is_there = self.delivered(to, route, &key)?.is_some();
                    let is_told = !self.store.dead_letters_of(&self.integration, &queue, &key)?.is_empty();
                    (key, is_there || is_told)
                }
                None => (named.clone(), false),
            };
            let body = serde_json::json!({ "id": &**id, (letters::DELETED): true });
            if (matters || held) && !self.is_covered(route, &queue, &session, &body, Found::Deleted).await? {
                sends.push(self.message(to, route, Some(&key), &named, body, session));
            }
        }
        Ok(sends)
    }

    /// `known`: what the destination has of it from the hub.
    async fn send(
        &self,
        to: &str,
        route: &Route,
        row: &Row,
        known: Option<&ledger::Entry>,
    ) -> Result<Option<News>, Stopped> {
        let trigger = &self.event().trigger;
        let (key, content) = match route.map(row, &[])? {
            Read::LeftOut { .. } => return Ok(None),
            Read::Bad { key: None, mut faults, .. } => return self.unread(to, route, row, &faults.remove(0)).await,
            Read::Bad { key: Some(key), .. } => (key, None),
            Read::Mapped(mapped) => {
                let wanted = match known {
                    Some(entry) => trigger.updated && Some(entry.content_hash) != mapped.content_hash,
                    None => trigger.created || trigger.updated,
                };
                if !wanted {
                    return Ok(None);
                }
                (mapped.key, mapped.content_hash)
            }
        };
        self.offer(to, route, row, Some(&key), content).await
    }

    /// The message for a row that the destination does not have like this, unless something says it already.
    async fn offer(
        &self,
        to: &str,
        route: &Route,
        row: &Row,
        key: Option<&Key>,
        content: Option<u128>,
    ) -> Result<Option<News>, Stopped> {
        let Some(Named { key: named, body, session }) = route.names(row) else { return Ok(None) };
        let queue = subscription(&self.integration, to);
        if self.is_covered(route, &queue, &session, &body, Found::Changed(content)).await? {
            return Ok(None);
        }
        // What a dead letter says of the row is known already. Only what has changed since is sent.
        let hold = Hold::read(self.store.session_state(&queue, &session)?.as_deref());
        if hold.has_refused(row_hash(row)) {
            return Ok(None);
        }
        // Its event has come, and is just being delivered.
        let came = !route.shares_sessions() && self.store.session_is_held(&queue, &session)?;
        let news = self.message(to, route, key, &named, body, session);
        Ok(Some(News { missed: !came, ..news }))
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
    fn message(
        &self,
        to: &str,
        route: &Route,
        key: Option<&Key>,
        named: &Key,
        body: serde_json::Value,
        session: String,
    ) -> News {
        let entity = &route.pair.entity.name;
        let integration = &self.integration;
        let of_row = OfRow { integration, to: Some(to), entity, named, body, session: session.clone(), was: None };
        let note = key.map(|key| Note {
            session: Some(session),
            ..Note::new(entity, &key.to_string(), What::Swept, integration, to)
        });
        let note = note.map(|note| journal::Op::Note(vec![note]).into());
        News { row: named.clone(), ops: [of_row.send()].into_iter().chain(note).collect(), missed: true }
    }
}

/// How many changes were missed, whatever the number of destinations that they are sent to.
fn missed(sends: &[News]) -> u64 {
    let rows: HashSet<&Key> = sends.iter().filter(|news| news.missed).map(|news| &news.row).collect();
    rows.len() as u64
}

/// ` since 09:12`; with the day where that is another one.
fn told_since(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let [at, now] = [at, now].map(|at| at.to_zoned(zone.clone()));
    let form = if at.date() == now.date() { " since %H:%M" } else { " since %Y-%m-%d %H:%M" };
    at.strftime(form).to_string()
}

/// All rows of a page, also those that cannot be read.
fn rows_of(page: &Page) -> impl Iterator<Item = Row> {
    let read = page.batch.rows().map(|row| row.to_row());
    read.chain(page.unreadable.iter().map(|one| one.row.clone()))
}

/// What is remembered of a row, which may have no key: its hash, as the key.
fn there_before(row: &Row) -> ledger::Entry {
    let hash = format!("{:032x}", row_hash(row));
    ledger::Entry {
        key: Key::of([&record::Value::text(hash)]).expect("a text that is not empty is a key"),
        source_hash: 0,
        content_hash: 0,
        mapping: 0,
        state: ledger::State::Written,
        generation: 0,
        remote_id: None,
        version: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_the_last_sweep_is_told_where_it_is_not_today() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let told = |at: &str| told_since(at.parse().unwrap(), "2026-07-03T00:30:00Z".parse().unwrap(), &zone);
        assert_eq!(told("2026-07-02T23:12:00Z"), " since 00:12");
        assert_eq!(told("2026-07-02T22:12:00Z"), " since 2026-07-02 23:12");
    }
}
