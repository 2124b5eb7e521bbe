//! Notices on their way: messages of the durable queue, one session for each route.
//!
//! A route gets its notices in order, and one that takes none holds up its own only. What fails for a while is tried
//! again for six hours and is a dead letter then; what is refused for good is one at once. A crash between the sending
//! and the commit sends a notice twice, under the same id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use record::{Fault, Notice, NoticeKind, Notify, Now, Severity};
use serde_json::{Value as Json, json};
use store::alerts::{self, NoticeKind as Told};
use store::approvals::{Approval, Kind, State as Decided};
use store::audit::Actor;
use store::dead_letters::{DeadLetter, State};
use store::queue::{Delivery, LockToken, Message, NewMessage, Op, Problem, SessionToken, Settings};
use store::{OpResult, Refusal, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::routes::Route;
use crate::error::Error;
use crate::patience;

/// The queue of notices.
pub const NOTICES: &str = "hub/notices";

/// Opens the ways to tell people.
pub trait Ways: Send + Sync {
    /// *Errors*: a secret without a value, an address that is none.
    fn open(&self, route: &Route) -> Result<Arc<dyn Notify>, Fault>;
}

/// A notice that cannot wait for a store that cannot be written.
pub type Urgent = (Vec<Route>, Notice);

const TICK: Duration = Duration::from_millis(500);
/// How long a try may take; the lock of a session lasts longer.
const TRY: Duration = Duration::from_secs(40);
const LOCK: Duration = Duration::from_secs(90);
/// For how long a notice is tried again.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(6);
/// The delays between tries, in seconds; the last one repeats.
const DELAYS: [u64; 8] = [5, 15, 30, 60, 120, 300, 600, 900];
/// For how long a notice that was queued twice is taken once.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The operation that makes the queue, or nothing new where it is there.
pub(crate) fn prepare() -> store::Op {
    let settings = Settings {
        lock: LOCK,
        sessions: true,
        max_deliveries: 0,
        duplicate_window: Some(REMEMBERED),
        ..Settings::default()
    };
    Op::Put { queue: NOTICES.to_owned(), settings }.into()
}

/// The operation that sends a notice to a route, not before a moment where one is given.
pub(crate) fn queue(route: &Route, notice: &Notice, at: Option<Timestamp>) -> store::Op {
    let id = format!("{}/{}/{}/{}", notice.about, told(notice), notice.severity.word(), route.name());
    message(id, route, notice, at, None)
}

/// The question that a notice puts to somebody: once it is answered, nobody is told of it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asks {
    pub integration: String,
    /// Of its approval.
    pub subject: String,
}

/// The same with an id of the caller's: two with the same one within a day are one.
pub(crate) fn queue_as(id: String, route: &Route, notice: &Notice, asks: Option<&Asks>) -> store::Op {
    message(id, route, notice, None, asks)
}

fn message(id: String, route: &Route, notice: &Notice, at: Option<Timestamp>, asks: Option<&Asks>) -> store::Op {
    let mut body = to_json(notice);
    if let Some(Asks { integration, subject }) = asks {
        body["asks"] = json!({ "integration": integration, "subject": subject });
    }
    let message = Message {
        id,
        op: Some("Notify".to_owned()),
        session: Some(route.name()),
        content_type: Some("application/json".to_owned()),
        body: body.to_string().into_bytes(),
        ..Message::default()
    };
    Op::Send { queue: NOTICES.to_owned(), messages: vec![NewMessage { at, ..NewMessage::from(message) }] }.into()
}

/// The word of a kind, as it is kept.
fn word(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Opened => "opened",
        NoticeKind::Resolved => "resolved",
        NoticeKind::Test => "test",
        NoticeKind::Message => "message",
        NoticeKind::Question => "question",
    }
}

fn to_json(notice: &Notice) -> Json {
    json!({
        "about": notice.about,
        "kind": word(notice.kind),
        "severity": notice.severity.word(),
        "title": notice.title, "text": notice.text, "facts": notice.facts,
        "command": notice.command, "link": notice.link, "at": notice.at.to_string(),
    })
}

fn from_json(body: &[u8]) -> Option<Notice> {
    let json: Json = serde_json::from_slice(body).ok()?;
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let fact = |fact: &Json| Some((fact[0].as_str()?.to_owned(), fact[1].as_str()?.to_owned()));
    Some(Notice {
        about: text("about")?,
        kind: match json["kind"].as_str()? {
            "opened" => NoticeKind::Opened,
            "resolved" => NoticeKind::Resolved,
            "message" => NoticeKind::Message,
            "question" => NoticeKind::Question,
            _ => NoticeKind::Test,
        },
        severity: if json["severity"] == "critical" { Severity::Critical } else { Severity::Warning },
        title: text("title")?,
        text: text("text")?,
        facts: json["facts"].as_array()?.iter().filter_map(fact).collect(),
        command: text("command"),
        link: text("link"),
        at: text("at")?.parse().ok()?,
    })
}

/// Whether a notice puts a question that nobody answers any more: it was decided, or does not stand, since it was queued.
fn is_moot(store: &Store, body: &[u8]) -> Result<bool, store::Error> {
    let json: Json = serde_json::from_slice(body).unwrap_or_default();
    let (Some(integration), Some(subject)) = (json["asks"]["integration"].as_str(), json["asks"]["subject"].as_str())
    else {
        return Ok(false);
    };
    let now = store.clock().now();
    let open = |approval: &Approval| approval.state == Decided::Open && !approval.has_expired(now);
    Ok(!store.approval_of(integration, Kind::Flow, subject)?.is_some_and(|approval| open(&approval)))
}

/// Delivers notices until it is told to stop.
///
/// *Errors*: only when our own state cannot be used, and not for a while.
pub async fn send(
    store: Store,
    ways: Arc<dyn Ways>,
    mut urgent: mpsc::Receiver<Urgent>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    tokio::select! {
        prepared = patience::commit(&store, vec![prepare()]) => drop(prepared?),
        _ = stop.changed() => return Ok(()),
    }
    let mut sending: JoinSet<(String, Option<Duration>)> = JoinSet::new();
    let mut busy: Vec<String> = Vec::new();
    let mut resting: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        resting.retain(|_, until| *until > Instant::now());
        for route in waiting(&store) {
            if busy.contains(&route) || resting.contains_key(&route) {
                continue;
            }
            busy.push(route.clone());
            let (store, ways) = (store.clone(), ways.clone());
            sending.spawn(async move {
                let rest = deliver(&store, &*ways, &route).await.unwrap_or_else(|error| {
                    tracing::warn!("notices to {route} cannot be settled, and are tried again: {error}");
                    Some(Duration::from_secs(5))
                });
                (route, rest)
            });
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            Some(ended) = sending.join_next() => match ended {
                Ok((route, rest)) => {
                    busy.retain(|other| *other != route);
                    resting.extend(rest.map(|rest| (route, Instant::now() + rest)));
                }
                Err(panicked) => {
                    tracing::error!("the sending of notices ended with a panic: {panicked}");
                    busy.clear();
                }
            },
            Some((routes, notice)) = urgent.recv() => {
                for route in routes {
                    if let Err(fault) = one(&*ways, &route, &notice).await {
                        tracing::error!(code = %fault.code, "{}: {fault}", route.name());
                    }
                }
            }
            _ = stop.changed() => break,
        }
    }
    sending.shutdown().await;
    Ok(())
}

/// Delivers what waits once, and no more: for those who have no day.
///
/// *Errors*: of our own state.
pub async fn deliver_all(store: &Store, ways: &dyn Ways) -> Result<(), Error> {
    store.commit(vec![prepare()]).await?;
    for route in waiting(store) {
        deliver(store, ways, &route).await?;
    }
    Ok(())
}

/// The routes that have notices to take.
fn waiting(store: &Store) -> Vec<String> {
    match store.queue_counts(NOTICES) {
        Ok(Some(counts)) if counts.ready > 0 => store.sessions(NOTICES, "", 1_000).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Delivers what one route has to take, in order. Answers how long to leave it alone.
async fn deliver(store: &Store, ways: &dyn Ways, route: &str) -> Result<Option<Duration>, Error> {
    let queue = || NOTICES.to_owned();
    let accept = Op::AcceptSession { queue: queue(), session: Some(route.to_owned()) };
    let session = match store.commit_one(accept).await {
        Ok(OpResult::Session(Some(session))) => session.token,
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.refusal(), Some(Refusal::SessionHeld { .. })) => return Ok(Some(TICK)),
        Err(error) => return Err(error.into()),
    };
    let ended = drain(store, ways, route, session).await;
    let release = Op::ReleaseSession { queue: queue(), session };
    match store.commit_one(release).await {
        Err(error) if !matches!(error.refusal(), Some(Refusal::SessionLost { .. })) => return Err(error.into()),
        _ => {}
    }
    ended
}

async fn drain(store: &Store, ways: &dyn Ways, route: &str, session: SessionToken) -> Result<Option<Duration>, Error> {
    loop {
        let queue = NOTICES.to_owned();
        let receive = Op::ReceiveInSession { queue: queue.clone(), session, max: 1 };
        let OpResult::Messages(mut messages) = store.commit_one(receive).await? else { return Ok(None) };
        // The one before waits for its next try.
        let Some(delivery) = messages.pop() else { return Ok(Some(Duration::from_secs(2))) };
        let Some((notice, way)) = from_json(&delivery.message.body).zip(Route::of(route)) else {
            let what = "A notice that cannot be read.".to_owned();
            let problem = Problem { code: "IB1004".to_owned(), what, ..Problem::default() };
            bury(store, delivery.token, problem).await?;
            continue;
        };
        if is_moot(store, &delivery.message.body)? {
            tracing::info!(route, "{}: it was answered meanwhile, so that {route} is not asked", notice.title);
            store.commit_one(Op::Complete { queue, tokens: vec![delivery.token] }).await?;
            continue;
        }
        match one(ways, &way, &notice).await {
            Ok(()) => {
                let route = route.to_owned();
                let delivered =
                    alerts::Op::Delivered { about: notice.about.clone(), route: route.clone(), kind: told(&notice) };
                let worked = alerts::Op::RouteWorked { route };
                let complete = Op::Complete { queue, tokens: vec![delivery.token] };
                store.commit(vec![complete.into(), delivered.into(), worked.into()]).await?;
            }
            Err(fault) => {
                let delay = next_try(&fault, &delivery, store.clock().now());
                failed(store, route, &notice, &delivery, fault, delay).await?;
                if delay.is_some() {
                    return Ok(delay.map(|delay| delay.min(Duration::from_secs(5))));
                }
            }
        }
        let renew = Op::RenewSession { queue: NOTICES.to_owned(), session };
        store.commit_one(renew).await?;
    }
}

fn told(notice: &Notice) -> Told {
    if notice.kind == NoticeKind::Opened { Told::Opened } else { Told::Resolved }
}

/// Sends one notice, and waits for so long at most.
async fn one(ways: &dyn Ways, route: &Route, notice: &Notice) -> Result<(), Fault> {
    let way = ways.open(route)?;
    match tokio::time::timeout(TRY, way.notify(notice)).await {
        Ok(sent) => sent,
        Err(_) => Err(Fault::retry(record::Code("IB1001"), format!("{} did not answer in time", route.name()), None)
            .fix("nothing: it is tried again by itself")),
    }
}

/// When to try again; `None` where that makes no sense any more.
fn next_try(fault: &Fault, delivery: &Delivery, now: Timestamp) -> Option<Duration> {
    let Now::RetryAfter(asked) = fault.now else { return None };
    let own = Duration::from_secs(DELAYS[(delivery.deliveries as usize).min(DELAYS.len() - 1)]);
    let delay = asked.map_or(own, |asked| asked.max(own)).min(Duration::from_secs(3600));
    let next = now.checked_add(delay).ok()?;
    (next.duration_since(delivery.enqueued) <= GIVE_UP).then_some(delay)
}

async fn failed(
    store: &Store,
    route: &str,
    notice: &Notice,
    delivery: &Delivery,
    fault: Fault,
    delay: Option<Duration>,
) -> Result<(), Error> {
    tracing::warn!(code = %fault.code, route, "a notice to {route} did not get through: {fault}");
    let failing = alerts::Op::RouteFailed { route: route.to_owned(), code: fault.code.to_string(), what: line(&fault) };
    if delay.is_some() {
        let abandon = Op::Abandon { queue: NOTICES.to_owned(), token: delivery.token, delay };
        store.commit(vec![abandon.into(), failing.into()]).await?;
        return Ok(());
    }
    let undelivered = alerts::Op::Undelivered {
        about: notice.about.clone(),
        route: route.to_owned(),
        kind: told(notice),
        error: line(&fault),
    };
    let problem = Problem {
        code: fault.code.to_string(),
        what: format!("{}: {}", notice.title, fault.what),
        place: route.to_owned(),
        why: fault.why.as_ref().map(|why| why.to_string()).unwrap_or_default(),
        fix: fault.fix.clone(),
        detail: crate::json::fault(&fault).to_string(),
    };
    let bury = Op::DeadLetter { queue: NOTICES.to_owned(), token: delivery.token, key: None, problem };
    store.commit(vec![bury.into(), undelivered.into(), failing.into()]).await?;
    Ok(())
}

async fn bury(store: &Store, token: LockToken, problem: Problem) -> Result<(), Error> {
    store.commit_one(Op::DeadLetter { queue: NOTICES.to_owned(), token, key: None, problem }).await?;
    Ok(())
}

fn line(fault: &Fault) -> String {
    match &fault.why {
        Some(why) => format!("{} ({why})", fault.what),
        None => fault.what.clone(),
    }
}

/// What sends a notice again that was given up on; its dead letter is closed.
///
/// *Shape*: nothing where the message itself is gone.
pub(crate) fn again(
    store: &Store,
    letter: &DeadLetter,
    by: &Actor,
    note: Option<&str>,
) -> Result<Vec<store::Op>, Error> {
    let Some(message) = store.dead_letter_message(&letter.id)? else { return Ok(Vec::new()) };
    let id = format!("{}/{}/again", letter.id, letter.count);
    let message = Message { id, causation: Some(letter.id.to_string()), ..message };
    let change = crate::letters::change(letter, State::Superseded, by, Some(note.unwrap_or("sent again")));
    let send = Op::Send { queue: NOTICES.to_owned(), messages: vec![NewMessage::from(message)] };
    Ok(vec![prepare(), change, send.into()])
}
