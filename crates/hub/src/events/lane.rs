//! The messages of one integration for one destination: who is next, and what becomes of each.

mod settle;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use definition::{Event, Integration, Pattern, Project};
use record::{Fault, Key, Now};
use store::dead_letters::{DeadLetter, DeadLetterId, State};
use store::journal::What;
use store::queue::{Delivery, Op as QueueOp, Session, SessionToken};
use store::{Op, OpResult, Refusal, Store, outages};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::deliver::{self, Done, Verdict, deliver, row_hash};
use super::guard::{Guard, Suspects};
use super::hold::Hold;
use super::notes::About;
use super::remove::remembered;
use super::route::{Route, Told};
use super::waits::Waits;
use super::{LOCK, deliveries_max, letters, policy, shown, subscription};
use crate::compile::Systems;
use crate::error::{Error, Stopped};
use crate::{patience, place, retyped};

/// How often the queue is looked at for what other processes sent, and the pauses for what people want.
const TICK: Duration = Duration::from_millis(500);
/// After a look nothing new is looked for so soon.
const GAP: Duration = Duration::from_millis(2);
/// A lock is renewed three times as often as it would run out.
const RENEW: Duration = Duration::from_secs(LOCK.as_secs() / 3);
/// Messages of one row that are taken at once, after the first.
const AT_ONCE: usize = 16;
/// The longest time between two looks at what a message waits for is this part of its patience.
const LOOKS: u32 = 40;

#[derive(Clone)]
pub(crate) struct Lane {
    project: Arc<Project>,
    systems: Arc<dyn Systems + Send + Sync>,
    store: Store,
    integration: String,
    to: String,
    queue: String,
    suspects: Arc<Mutex<Suspects>>,
    waits: Arc<Mutex<Waits>>,
}

/// How the work in one session ended.
enum Ended {
    /// The other side has answered; nothing is left, or the rest waits.
    Well,
    /// Nothing is learnt of the other side: nobody asked it, or a message fails by itself.
    Aside,
    /// The other side takes nothing, as the message with this number found.
    Down(Box<Fault>, i64),
}

impl Ended {
    fn after(asked: bool) -> Ended {
        if asked { Ended::Well } else { Ended::Aside }
    }
}

impl Lane {
    pub fn new(
        project: Arc<Project>,
        systems: Arc<dyn Systems + Send + Sync>,
        store: Store,
        integration: String,
        to: String,
    ) -> Lane {
        let queue = subscription(&integration, &to);
        Lane { project, systems, store, integration, to, queue, suspects: Arc::default(), waits: Arc::default() }
    }

    fn defined(&self) -> (&Integration, &Event) {
        let integration = self.project.integration(&self.integration).expect("lanes are made of the project's own");
        match &integration.pattern {
            Pattern::Event(event) => (integration, event),
            _ => unreachable!("lanes are made of event integrations"),
        }
    }

    /// `doubts` counts up when both systems are to be looked at although nothing waits.
    ///
    /// *Errors*: our own state cannot be used.
    pub async fn run(self, mut doubts: watch::Receiver<u64>, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut guard = Guard::new();
        let mut quiet_until = Instant::now();
        let mut route: Option<Arc<Route>> = None;
        // Both systems are looked at although nothing waits: people are told before something does.
        let mut doubted = false;
        let mut busy: JoinSet<Result<Ended, Error>> = JoinSet::new();
        let mut written = self.store.watch();
        let mut looked;
        let mut told = self.store.outages()?.iter().any(|o| o.integration == self.integration && o.system == self.to);
        loop {
            if *stop.borrow() {
                break;
            }
            self.wake().await?;
            let room = guard.width().saturating_sub(busy.len());
            looked = tokio::time::Instant::now();
            let works = room > 0 && Instant::now() >= quiet_until && (doubted || self.has_work()?);
            let paused = works && self.is_paused()?;
            if works && !paused {
                let ready = match &route {
                    Some(ready) => Ok(ready.clone()),
                    None => self.route().await?,
                };
                match ready {
                    Ok(ready) => {
                        route = Some(ready.clone());
                        if std::mem::replace(&mut doubted, false) {
                            self.is_up(&mut guard, &mut told).await?;
                        }
                        for _ in 0..room {
                            let Some(session) = self.next(guard.failures()).await? else { break };
                            let (lane, ready) = (self.clone(), ready.clone());
                            busy.spawn(async move { lane.session(&ready, session).await });
                        }
                    }
                    Err(fault) => quiet_until = self.is_down(&mut guard, &mut told, &fault).await?,
                }
            }
            if (told || guard.failures() > 0) && !doubted && busy.is_empty() && self.holds_nothing_back()? {
                self.is_up(&mut guard, &mut told).await?;
            }
            tokio::select! {
                Ok(()) = doubts.changed() => (route, doubted) = (None, true),
                () = tokio::time::sleep(TICK) => {}
                // What is paused, or has its hands full, learns nothing from what comes in; in a burst one look serves many.
                () = news(&mut written, looked + GAP), if guard.failures() == 0 && room > 0 && !paused => {}
                Some(ended) = busy.join_next() => match ended {
                    Ok(ended) => match ended? {
                        Ended::Well => {
                            self.suspects().worked();
                            self.is_up(&mut guard, &mut told).await?;
                        }
                        Ended::Aside => {}
                        Ended::Down(fault, seq) => {
                            self.suspects().failed(seq);
                            if !fault.is_transient() {
                                // Somebody has to change something there; then it is looked at anew.
                                route = None;
                            }
                            // What was on its way when the first of them failed says the same once more.
                            if Instant::now() >= quiet_until {
                                quiet_until = self.is_down(&mut guard, &mut told, &fault).await?;
                            }
                        }
                    },
                    Err(panicked) => {
                        tracing::error!("a delivery of {} ended with a panic: {panicked}", self.integration);
                        quiet_until = Instant::now() + RENEW;
                    }
                },
                _ = stop.changed() => {}
            }
        }
        busy.shutdown().await;
        Ok(())
    }

    /// The path of the events, where what they are read from holds what it held before.
    async fn route(&self) -> Result<Result<Arc<Route>, Fault>, Error> {
        let (integration, event) = self.defined();
        let route = match Route::compile(&self.project, integration, event, &self.to, &*self.systems).await {
            Ok(route) => route,
            Err(fault) => return Ok(Err(fault)),
        };
        place::note(&self.store, &route.pair, None).await?;
        match retyped::note_events(&self.store, &self.integration, &route.pair).await {
            Ok(()) => Ok(Ok(Arc::new(route))),
            Err(Stopped::Fault(fault)) => Ok(Err(*fault)),
            Err(Stopped::Store(error)) => Err(error.into()),
        }
    }

    fn has_work(&self) -> Result<bool, store::Error> {
        Ok(self.store.queue_counts(&self.queue)?.is_some_and(|counts| counts.ready > 0))
    }

    /// Nothing is left of what found the other side closed.
    fn holds_nothing_back(&self) -> Result<bool, store::Error> {
        let counts = self.store.queue_counts(&self.queue)?.unwrap_or_default();
        Ok(counts.ready + counts.locked + counts.delayed == 0)
    }

    fn is_paused(&self) -> Result<bool, store::Error> {
        Ok(self.store.pauses()?.iter().any(|pause| pause.integration == self.integration))
    }

    /// Notes that the destination takes nothing; answers until when to leave it alone.
    async fn is_down(&self, guard: &mut Guard, told: &mut bool, fault: &Fault) -> Result<Instant, Error> {
        let asked = match fault.now {
            Now::RetryAfter(asked) => asked,
            _ => None,
        };
        let wait = guard.failed(asked);
        let (integration, to) = (&self.integration, &self.to);
        if guard.is_outage() {
            if !std::mem::replace(told, true) {
                tracing::error!(
                    integration, code = %fault.code, what = fault.what, why = crate::watch::why(fault), "do" = fault.fix,
                    "{integration}: nothing gets through to {to}: {fault}; events wait and nothing is lost; see ironbridge status"
                );
            }
            let note = outages::Op::Note {
                integration: integration.clone(),
                system: to.clone(),
                at: fault.place.system.clone().unwrap_or_else(|| to.clone()),
                code: fault.code.to_string(),
                what: fault.to_string(),
                fix: fault.fix.clone(),
                failures: guard.failures().into(),
            };
            patience::commit_one(&self.store, note).await?;
        } else {
            tracing::warn!(integration, code = %fault.code, what = fault.what, why = crate::watch::why(fault), "do" = fault.fix, "{integration} to {to}: {fault}; trying again in {wait:?}");
        }
        Ok(Instant::now() + wait)
    }

    async fn is_up(&self, guard: &mut Guard, told: &mut bool) -> Result<(), Error> {
        guard.worked();
        if std::mem::replace(told, false) {
            let (integration, system) = (self.integration.clone(), self.to.clone());
            tracing::info!("{integration}: {system} takes events again");
            patience::commit_one(&self.store, outages::Op::End { integration, system }).await?;
        }
        Ok(())
    }

    /// Messages whose parents have come since go on at once.
    async fn wake(&self) -> Result<(), Error> {
        let seqs = {
            let mut waits = self.waits();
            if waits.is_empty() { Vec::new() } else { waits.come(&self.store, &self.to)? }
        };
        if !seqs.is_empty() {
            patience::commit_one(&self.store, QueueOp::Wake { queue: self.queue.clone(), seqs }).await?;
        }
        Ok(())
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn suspects(&self) -> std::sync::MutexGuard<'_, Suspects> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session to work in next: the one that waits longest, unless it has probed often enough.
    async fn next(&self, failures: u32) -> Result<Option<Session>, Error> {
        let passed_over = Suspects::passed_over(failures);
        let mut held = Vec::new();
        while held.len() <= passed_over
            && let Some(session) = self.accept().await?
        {
            held.push(session);
        }
        if held.is_empty() {
            return Ok(None);
        }
        let chosen = held.swap_remove(passed_over % held.len());
        for session in held {
            self.release(session.token, Vec::new()).await?;
        }
        Ok(Some(chosen))
    }

    async fn accept(&self) -> Result<Option<Session>, Error> {
        let accept = QueueOp::AcceptSession { queue: self.queue.clone(), session: None };
        match patience::commit_one(&self.store, accept).await? {
            OpResult::Session(session) => Ok(session),
            other => unreachable!("AcceptSession answers with a session, not {other:?}"),
        }
    }

    /// Delivers what waits in one session, in order.
    async fn session(&self, route: &Route, session: Session) -> Result<Ended, Error> {
        let token = session.token;
        let work = async {
            let mut hold = Hold::read(session.state.as_deref());
            if let Some(seq) = hold.by
                && !self.letter(&DeadLetterId::of_seq(seq))?.is_some_and(|letter| letter.state.is_waiting())
            {
                // Dealt with; and what was to let the row go on was purged, or is on its way.
                hold = hold.free();
                patience::commit(&self.store, self.put_back(token, &hold).into()).await?;
            }
            let (mut asked, mut looked, mut max) = (false, Instant::now(), 1);
            loop {
                // Not again where its answer is lost: the next ones would come before those that nobody got.
                let receive = QueueOp::ReceiveInSession { queue: self.queue.clone(), session: token, max };
                let OpResult::Messages(messages) = self.store.commit_one(receive).await? else {
                    unreachable!("ReceiveInSession answers with messages")
                };
                let Some(last) = messages.last() else {
                    return self.release(token, Vec::new()).await.map(|()| Ended::after(asked));
                };
                // One that ends the hub each time does not have those behind it counted as well.
                max = if last.deliveries == 0 { AT_ONCE } else { 1 };
                for message in &messages {
                    // A session may have more to do than anybody who pauses wants to wait for.
                    if looked.elapsed() > TICK {
                        looked = Instant::now();
                        if self.is_paused()? {
                            return self.release(token, Vec::new()).await.map(|()| Ended::after(asked));
                        }
                    }
                    match self.message(route, token, message, &mut hold).await? {
                        Next::More { asked: now } => asked |= now,
                        Next::Released { asked: now } => return Ok(Ended::after(asked || now)),
                        Next::Down(fault, note) => {
                            self.release(token, note).await?;
                            return Ok(Ended::Down(fault, message.seq));
                        }
                    }
                }
            }
        };
        let ended = tokio::select! {
            ended = work => ended,
            lost = self.keep(token) => Err(lost.into()),
        };
        match ended {
            // Somebody else has the session now, and goes on with it; or a commit was done whose answer was lost; or what
            // was to come back was purged just now.
            Err(Error::Store(error)) if lost(&error) => self.give_back(token).await.map(|()| Ended::Aside),
            Err(Error::Store(error)) if error.may_pass() => {
                patience::tell(&error);
                self.give_back(token).await.map(|()| Ended::Aside)
            }
            ended => ended,
        }
    }

    /// Renews a session until that fails.
    async fn keep(&self, token: SessionToken) -> store::Error {
        loop {
            tokio::time::sleep(RENEW).await;
            let renew = QueueOp::RenewSession { queue: self.queue.clone(), session: token };
            match self.store.commit_one(renew).await {
                Ok(_) => {}
                Err(error) if error.may_pass() => patience::tell(&error),
                Err(error) => return error,
            }
        }
    }

    async fn release(&self, token: SessionToken, mut ops: Vec<Op>) -> Result<(), Error> {
        ops.push(QueueOp::ReleaseSession { queue: self.queue.clone(), session: token }.into());
        patience::commit(&self.store, ops).await?;
        Ok(())
    }

    /// Gives a session back that may be lost already: what is still locked in it does not wait for the lock to run out.
    async fn give_back(&self, token: SessionToken) -> Result<(), Error> {
        match self.release(token, Vec::new()).await {
            Err(Error::Store(error)) if lost(&error) => Ok(()),
            released => released,
        }
    }

    /// By what a destination knows a message: its id, and where nobody gave it one, what no other message has. A dead
    /// letter that is sent again is the message that it was, since of what was tried before nobody knows what became; but
    /// where the destination has answered that it refuses it, another one: it may answer the same one from its memory.
    fn name(&self, delivery: &Delivery, letter: Option<&DeadLetter>) -> Result<String, store::Error> {
        let name = |id: &str, seq: i64, enqueued: jiff::Timestamp| match id {
            "" => format!("{seq}@{enqueued}"),
            id => id.to_owned(),
        };
        if let Some(letter) = letter {
            match letters::last_try(&letter.problem) {
                Some((_, true)) => return Ok(name(&delivery.message.id, delivery.seq, delivery.enqueued)),
                Some((tried, false)) => return Ok(tried),
                None => {}
            }
            let first = self.store.peek(&format!("{}/$deadletterqueue", self.queue), letter.seq, 1)?;
            if let Some(first) = first.iter().flatten().find(|first| first.seq == letter.seq) {
                return Ok(name(&first.message.id, first.seq, first.enqueued));
            }
        }
        Ok(name(&delivery.message.id, delivery.seq, delivery.enqueued))
    }

    async fn message(
        &self,
        route: &Route,
        session: SessionToken,
        delivery: &Delivery,
        hold: &mut Hold,
    ) -> Result<Next, Error> {
        let (message, token) = (&delivery.message, delivery.token);
        let retry_of = message.causation.as_deref().map(DeadLetterId::from);
        let frees = retry_of.is_some() && hold.by.map(DeadLetterId::of_seq) == retry_of;
        if hold.by.is_some() && !frees && retry_of.is_none() {
            // A dead letter holds this row: what came later waits for it, out of the way.
            patience::commit_one(&self.store, QueueOp::Defer { queue: self.queue.clone(), token }).await?;
            return Ok(Next::More { asked: false });
        }
        let letter = retry_of.as_ref().map(|id| self.letter(id)).transpose()?.flatten();
        let resumes = message.op.as_deref() == Some(letters::RESUME);
        if let Some(id) = &retry_of
            && !resumes
            && letter.as_ref().is_none_or(|letter| letter.state != State::Retrying)
        {
            tracing::info!("the retry of dead letter {id} is not wanted any more");
            patience::commit(&self.store, vec![self.complete(token)]).await?;
            return Ok(Next::More { asked: false });
        }
        let by_hub = message.op.as_deref() == Some(letters::SWEEP);
        let (from, entity) = (&route.pair.from, &route.pair.entity.name);
        // What cannot be read now is not known; the delivery itself finds out why.
        let keys = |id: &record::Value| remembered(&self.store, from, entity, id).ok().flatten();
        let (name, body) = (self.name(delivery, letter.as_ref())?, &*message.body);
        // What a dead letter said is out of date where the row can be asked for.
        let (now, again) = (retry_of.is_some(), delivery.deliveries > 0);
        let row = letters::row_of(message);
        let (row, was) = (row.as_ref(), message.key.as_ref().filter(|_| by_hub));
        let told = Told { message: &name, body, by_hub, row, was, now, again, keys: &keys };
        let verdict = match resumes {
            true => Verdict::Done(Done::nothing(None, "goes on")),
            // Once more, and the queue itself would end it, which holds back nothing behind it.
            false if delivery.deliveries + 1 >= deliveries_max(self.defined().1) => {
                deliver::never_settled(route, &self.store, &told, delivery.deliveries).await?
            }
            false => deliver(route, &self.store, &told).await?,
        };
        let about = About { integration: &self.integration, to: &self.to, entity: &route.pair.entity.name, delivery };
        let (mut missing, mut note_looks) = (Vec::new(), false);
        let mut asked = true;
        let verdict = match verdict {
            // It alone finds the other side closed, while others get through: what it fails by is its own.
            Verdict::Down(fault, key) if self.suspects().blames(delivery.seq) => {
                asked = false;
                match fault.is_transient() {
                    true => Verdict::Again(fault, key),
                    false => {
                        let problem = deliver::ended(route, fault, "others get through, and this one did not, often");
                        Verdict::Dead { key, problem, row: None, asked, refused: false }
                    }
                }
            }
            Verdict::Again(fault, key) if is_the_other_side(&fault) => {
                asked = false;
                let row = key.as_ref().map_or_else(|| delivery.seq.to_string(), Key::to_string);
                let mut suspects = self.suspects();
                match !suspects.blames(delivery.seq) && suspects.failed_at(row) {
                    true => Verdict::Down(fault, key),
                    false => Verdict::Again(fault, key),
                }
            }
            other => other,
        };
        let (fault, key, what, give_up) = match verdict {
            Verdict::Done(done) => return self.done(route, session, delivery, done, retry_of, frees, hold).await,
            Verdict::Down(fault, key) => {
                let note = about.failed(key.as_ref(), What::Failed, &fault, "waits until the other side takes events");
                return Ok(Next::Down(Box::new(fault), note.into_iter().collect()));
            }
            Verdict::Dead { key, mut problem, row, asked, refused } => {
                letters::note_try(&mut problem, &name, refused);
                hold.refuse(key.as_ref(), row.as_ref().map(row_hash), route.shares_sessions());
                let remembered = match (&row, &key) {
                    (Some(row), Some(key)) => route.remembers(&self.store, row, key)?,
                    _ => Vec::new(),
                };
                let entity = &route.pair.entity.name;
                self.dead(entity, session, delivery, key, problem, remembered, retry_of, hold).await?;
                return Ok(Next::More { asked });
            }
            Verdict::Again(fault, key) => {
                let policy = policy(self.defined().1);
                let (attempts, time) = policy.worst_case();
                let asked = match fault.now {
                    Now::RetryAfter(asked) => asked,
                    _ => None,
                };
                // What it waited for before is not held against it.
                let attempt = (delivery.deliveries + 1).saturating_sub(hold.looks(delivery.seq));
                let spread = spread(delivery.seq, attempt);
                let delay = policy.delay(attempt, Duration::ZERO, asked, spread).filter(|_| attempt < attempts);
                let how = format!("it was tried {attempt} times, over at most {}", shown(time));
                (fault, key, What::Failed, delay.ok_or(how))
            }
            Verdict::Wait(fault, key, parents) => {
                missing = parents;
                let patience = route.pair.patience;
                let how = match patience.is_zero() {
                    true => "no integration brings it there, so that it was not waited for".to_owned(),
                    false => format!("it was waited for {}, and did not come", shown(patience)),
                };
                let looks = hold.looks(delivery.seq);
                let delay = until_it_comes(patience, looks);
                hold.looked = delay.map(|_| (delivery.seq, looks + 1));
                note_looks = true;
                (fault, key, What::Waits, delay.ok_or(how))
            }
        };
        // Whoever asks the source alone does not know the key yet.
        let has_key = key.is_some();
        match give_up {
            Ok(delay) => {
                tracing::debug!(integration = self.integration, "{fault}; trying again in {delay:?}");
                let abandon = QueueOp::Abandon { queue: self.queue.clone(), token, delay: Some(delay) };
                let note = about.failed(key.as_ref(), what, &fault, &format!("again in {delay:.0?}"));
                let looks = note_looks.then(|| self.note(session, hold));
                self.release(session, [abandon.into()].into_iter().chain(note).chain(looks).collect()).await?;
                // After the message waits: a parent that came meanwhile is seen by the next look.
                self.waits().note(delivery.seq, missing);
                Ok(Next::Released { asked: asked && has_key })
            }
            Err(how) => {
                hold.settle(key.as_ref(), route.shares_sessions());
                let mut problem = deliver::ended(route, fault, &how);
                letters::note_try(&mut problem, &name, false);
                self.dead(&route.pair.entity.name, session, delivery, key, problem, Vec::new(), retry_of, hold).await?;
                Ok(Next::More { asked: asked && has_key })
            }
        }
    }
}

/// It failed by itself, at this row or at any.
fn is_the_other_side(fault: &Fault) -> bool {
    fault.why.as_ref().and_then(|why| why.status).is_some_and(|status| status >= 500)
}

/// Something was written, and it is that time.
pub(crate) async fn news(written: &mut watch::Receiver<u64>, not_before: tokio::time::Instant) {
    if written.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until(not_before).await;
}

/// How long to wait before what a message points to is looked for again, after so many looks: soon at first, and then as
/// often as its patience makes sense. Nothing when that is over.
fn until_it_comes(patience: Duration, looks: u32) -> Option<Duration> {
    let longest = (patience / LOOKS).max(Duration::from_secs(1));
    let delay = |look: u32| Duration::from_secs(1 << look.min(30)).min(longest);
    let waited: Duration = (0..looks).map(delay).sum();
    (waited < patience).then(|| delay(looks))
}

/// Where in its span a delay lies, 0 to 1: other messages that failed with this one come back at other times.
fn spread(seq: i64, attempt: u32) -> f64 {
    let mixed = (seq as u64 ^ u64::from(attempt) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    f64::from((mixed >> 40) as u32) / f64::from(1u32 << 24)
}

fn lost(error: &store::Error) -> bool {
    matches!(error.refusal(), Some(Refusal::SessionLost { .. } | Refusal::LockLost { .. } | Refusal::NoMessage { .. }))
}

/// `asked`: the other side has answered.
enum Next {
    More {
        asked: bool,
    },
    /// The session was given back.
    Released {
        asked: bool,
    },
    /// With what the journal is to say of it.
    Down(Box<Fault>, Vec<Op>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_looked_for_soon_and_not_for_ever() {
        let half_an_hour = Duration::from_secs(1800);
        let delays: Vec<u64> = (0..7).filter_map(|n| until_it_comes(half_an_hour, n)).map(|d| d.as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 45]);
        let looks = (0..).take_while(|n| until_it_comes(half_an_hour, *n).is_some()).count();
        assert_eq!(looks, 45, "fewer than what ends a message by itself");
        assert_eq!(until_it_comes(Duration::ZERO, 0), None);
    }
}
