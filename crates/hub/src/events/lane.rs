//! The messages of one integration for one destination: who is next, and what becomes of each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use definition::{Event, Integration, Pattern, Payload, Project};
use record::{Fault, Key, Now};
use store::dead_letters::{self, DeadLetterId, Filter, State};
use store::journal::What;
use store::queue::{Delivery, LockToken, Op as QueueOp, Problem, Session, SessionToken};
use store::{Op, OpResult, Refusal, Store, ledger, outages};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::deliver::{self, Done, Verdict, deliver};
use super::guard::{Guard, Suspects};
use super::hold::Hold;
use super::notes::About;
use super::remove::remembered;
use super::route::{Route, Told};
use super::{LOCK, letters, policy, subscription};
use crate::compile::Systems;
use crate::error::Error;

/// How often the queue is looked at for what other processes sent, and the pauses for what people want.
const TICK: Duration = Duration::from_millis(500);
/// A lock is renewed three times as often as it would run out.
const RENEW: Duration = Duration::from_secs(LOCK.as_secs() / 3);
/// Messages of one row that are taken at once.
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
}

/// How the work in one session ended.
enum Ended {
    /// Nothing is left, or the rest waits.
    Well,
    /// A message that fails by itself waits, and nothing is learnt of the other side.
    Aside,
    /// The other side takes nothing, as the message with this number found.
    Down(Box<Fault>, i64),
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
        Lane { project, systems, store, integration, to, queue, suspects: Arc::default() }
    }

    fn defined(&self) -> (&Integration, &Event) {
        let integration = self.project.integration(&self.integration).expect("lanes are made of the project's own");
        match &integration.pattern {
            Pattern::Event(event) => (integration, event),
            _ => unreachable!("lanes are made of event integrations"),
        }
    }

    /// *Errors*: our own state cannot be used.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut guard = Guard::new();
        let mut quiet_until = Instant::now();
        let mut route: Option<Arc<Route>> = None;
        let mut busy: JoinSet<Result<Ended, Error>> = JoinSet::new();
        let mut written = self.store.watch();
        let mut told = self.store.outages()?.iter().any(|o| o.integration == self.integration && o.system == self.to);
        loop {
            if *stop.borrow() {
                break;
            }
            let room = guard.width().saturating_sub(busy.len());
            if room > 0 && Instant::now() >= quiet_until && self.has_work()? && !self.is_paused()? {
                let ready = match &route {
                    Some(ready) => Ok(ready.clone()),
                    None => {
                        let (integration, event) = self.defined();
                        Route::compile(&self.project, integration, event, &self.to, &*self.systems).await.map(Arc::new)
                    }
                };
                match ready {
                    Ok(ready) => {
                        route = Some(ready.clone());
                        for _ in 0..room {
                            let Some(session) = self.next(guard.failures()).await? else { break };
                            let (lane, ready) = (self.clone(), ready.clone());
                            busy.spawn(async move { lane.session(&ready, session).await });
                        }
                    }
                    Err(fault) => quiet_until = self.is_down(&mut guard, &mut told, &fault).await?,
                }
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = written.changed(), if guard.failures() == 0 => {}
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
                            quiet_until = self.is_down(&mut guard, &mut told, &fault).await?;
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

    fn has_work(&self) -> Result<bool, store::Error> {
        Ok(self.store.queue_counts(&self.queue)?.is_some_and(|counts| counts.ready > 0))
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
                    integration, code = %fault.code,
                    "{integration}: nothing gets through to {to}: {fault}; events wait and nothing is lost; {}", fault.fix
                );
            }
            let note = outages::Op::Note {
                integration: integration.clone(),
                system: to.clone(),
                code: fault.code.to_string(),
                what: fault.to_string(),
                fix: fault.fix.clone(),
                failures: guard.failures().into(),
            };
            self.store.commit_one(note).await?;
        } else {
            tracing::warn!(integration, code = %fault.code, "{integration} to {to}: {fault}; trying again in {wait:?}");
        }
        Ok(Instant::now() + wait)
    }

    async fn is_up(&self, guard: &mut Guard, told: &mut bool) -> Result<(), Error> {
        guard.worked();
        if std::mem::replace(told, false) {
            let (integration, system) = (self.integration.clone(), self.to.clone());
            tracing::info!("{integration}: {system} takes events again");
            self.store.commit_one(outages::Op::End { integration, system }).await?;
        }
        Ok(())
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
        match self.store.commit_one(QueueOp::AcceptSession { queue: self.queue.clone(), session: None }).await? {
            OpResult::Session(session) => Ok(session),
            other => unreachable!("AcceptSession answers with a session, not {other:?}"),
        }
    }

    /// Delivers what waits in one session, in order.
    async fn session(&self, route: &Route, session: Session) -> Result<Ended, Error> {
        let token = session.token;
        let work = async {
            let mut hold = Hold::read(session.state.as_deref());
            loop {
                let receive = QueueOp::ReceiveInSession { queue: self.queue.clone(), session: token, max: AT_ONCE };
                let OpResult::Messages(messages) = self.store.commit_one(receive).await? else {
                    unreachable!("ReceiveInSession answers with messages")
                };
                if messages.is_empty() {
                    return self.release(token, Vec::new()).await.map(|()| Ended::Well);
                }
                for message in &messages {
                    match self.message(route, token, message, &mut hold).await? {
                        Next::More => {}
                        Next::Released => return Ok(Ended::Well),
                        Next::Aside => return Ok(Ended::Aside),
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
            // Somebody else has the session now, and goes on with it.
            Err(Error::Store(error)) if lost(&error) => Ok(Ended::Well),
            ended => ended,
        }
    }

    /// Renews a session until that fails.
    async fn keep(&self, token: SessionToken) -> store::Error {
        loop {
            tokio::time::sleep(RENEW).await;
            let renew = QueueOp::RenewSession { queue: self.queue.clone(), session: token };
            match self.store.commit_one(renew).await {
                Ok(_) | Err(store::Error::Busy { .. }) => {}
                Err(error) => return error,
            }
        }
    }

    async fn release(&self, token: SessionToken, mut ops: Vec<Op>) -> Result<(), Error> {
        ops.push(QueueOp::ReleaseSession { queue: self.queue.clone(), session: token }.into());
        self.store.commit(ops).await?;
        Ok(())
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
            hold.waiting.push(token.seq);
            let defer = QueueOp::Defer { queue: self.queue.clone(), token };
            self.store.commit(vec![defer.into(), self.note(session, hold)]).await?;
            return Ok(Next::More);
        }
        let resumes = message.op.as_deref() == Some(letters::RESUME);
        if let Some(id) = &retry_of
            && !resumes
            && !self.store.dead_letters_like(id.as_str())?.iter().any(|letter| letter.state == State::Retrying)
        {
            tracing::info!("the retry of dead letter {id} is not wanted any more");
            self.store.commit(vec![self.complete(token)]).await?;
            return Ok(Next::More);
        }
        let verdict = match resumes {
            true => Verdict::Done(Done::nothing(None, "goes on")),
            false => {
                let by_hub = message.op.as_deref() == Some(letters::SWEEP);
                let (from, entity) = (&route.pair.from, &route.pair.entity.name);
                // What cannot be read now is not known; the delivery itself finds out why.
                let keys = |id: &record::Value| remembered(&self.store, from, entity, id).ok().flatten();
                deliver(route, &self.store, &Told { body: &message.body, by_hub, keys: &keys }).await?
            }
        };
        let about = About { integration: &self.integration, to: &self.to, entity: &route.pair.entity.name, delivery };
        let mut given_back = Next::Released;
        let verdict = match verdict {
            // It alone finds the other side closed, while others get through: what it fails by is its own.
            Verdict::Down(fault, key) if fault.is_transient() && self.suspects().blames(delivery.seq) => {
                given_back = Next::Aside;
                Verdict::Again(fault, key)
            }
            other => other,
        };
        let (fault, key, what, give_up) = match verdict {
            Verdict::Done(done) => return self.done(route, session, delivery, done, retry_of, frees, hold).await,
            Verdict::Down(fault, key) => {
                let note = about.failed(key.as_ref(), What::Failed, &fault, "waits until the other side takes events");
                return Ok(Next::Down(Box::new(fault), note.into_iter().collect()));
            }
            Verdict::Dead { key, problem } => {
                self.dead(&route.pair.entity.name, session, delivery, key, problem, retry_of, hold).await?;
                return Ok(Next::More);
            }
            Verdict::Again(fault, key) => {
                let policy = policy(self.defined().1);
                let (attempts, time) = policy.worst_case();
                let asked = match fault.now {
                    Now::RetryAfter(asked) => asked,
                    _ => None,
                };
                let attempt = delivery.deliveries + 1;
                let spread = spread(delivery.seq, attempt);
                let delay = policy.delay(attempt, Duration::ZERO, asked, spread).filter(|_| attempt < attempts);
                let how = format!("it was tried {attempt} times, over at most {time:?}");
                (fault, key, What::Failed, delay.ok_or(how))
            }
            Verdict::Wait(fault, key) => {
                let patience = route.pair.patience;
                let how = format!("it was waited for {patience:?}, and did not come");
                (fault, key, What::Waits, until_it_comes(patience, delivery.deliveries).ok_or(how))
            }
        };
        match give_up {
            Ok(delay) => {
                tracing::debug!(integration = self.integration, "{fault}; trying again in {delay:?}");
                let abandon = QueueOp::Abandon { queue: self.queue.clone(), token, delay: Some(delay) };
                let note = about.failed(key.as_ref(), what, &fault, &format!("again in {delay:.0?}"));
                self.release(session, [abandon.into()].into_iter().chain(note).collect()).await?;
                Ok(given_back)
            }
            Err(how) => {
                self.dead(
                    &route.pair.entity.name,
                    session,
                    delivery,
                    key,
                    deliver::ended(route, fault, &how),
                    retry_of,
                    hold,
                )
                .await?;
                Ok(Next::More)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one commit, and one caller")]
    async fn done(
        &self,
        route: &Route,
        session: SessionToken,
        delivery: &Delivery,
        done: Done,
        retry_of: Option<DeadLetterId>,
        frees: bool,
        hold: &mut Hold,
    ) -> Result<Next, Error> {
        let (to, entity) = (self.to.clone(), route.pair.entity.name.to_string());
        let mut ops = vec![self.complete(delivery.token)];
        let about = About { integration: &self.integration, to: &self.to, entity: &entity, delivery };
        ops.extend(about.done(&done));
        if let Some(entry) = done.entry {
            ops.push(ledger::Op::Put { system: to.clone(), entity: entity.clone(), entries: vec![entry] }.into());
        }
        ops.extend(done.more);
        let resumes = delivery.message.op.as_deref() == Some(letters::RESUME);
        if let Some(id) = retry_of.clone().filter(|_| !resumes) {
            ops.push(change(id, State::Retrying, State::Resolved, None));
        }
        if let Some(key) = &done.key {
            for id in self.overtaken(key, retry_of.as_ref())? {
                ops.push(change(id, State::Open, State::Superseded, Some("a later event of the row was delivered")));
            }
        }
        let key = done.key.as_ref().map(Key::to_string).unwrap_or_default();
        tracing::debug!(integration = self.integration, "{entity} {key} to {to}: {}", done.what);
        if !frees {
            self.store.commit(ops).await?;
            return Ok(Next::More);
        }
        // What it held goes back to its place, all in the same commit.
        let waiting = std::mem::take(&mut hold.waiting);
        hold.by = None;
        let receive = |seqs| QueueOp::ReceiveDeferred { queue: self.queue.clone(), session: Some(session), seqs };
        for chunk in waiting.chunks(1000) {
            ops.push(receive(chunk.to_vec()).into());
        }
        ops.push(self.note(session, hold));
        ops.push(QueueOp::ReleaseSession { queue: self.queue.clone(), session }.into());
        self.store.commit(ops).await?;
        Ok(Next::Released)
    }

    /// Gives up on a message, and holds what comes after it where the definition says so.
    #[expect(clippy::too_many_arguments, reason = "the parts of one commit")]
    async fn dead(
        &self,
        entity: &str,
        session: SessionToken,
        delivery: &Delivery,
        key: Option<Key>,
        problem: Problem,
        retry_of: Option<DeadLetterId>,
        hold: &mut Hold,
    ) -> Result<(), Error> {
        let name = &self.integration;
        tracing::warn!(
            integration = name,
            code = problem.code,
            "an event of {name} for {} is a dead letter: {}: {}; look at it: ironbridge dead-letters list {name}",
            self.to,
            problem.code,
            problem.what
        );
        let about = About { integration: name, to: &self.to, entity, delivery };
        // One dead letter for a row: what fails once more is told there. What was sent is only in its own message.
        let fetched = self.defined().1.payload == Payload::Fetch;
        let known = match &key {
            Some(key) if fetched && retry_of.is_none() => self.overtaken(key, None)?.pop(),
            _ => None,
        };
        let id = retry_of.or(known);
        let note = about.dead(key.as_ref(), id.as_ref(), &problem);
        let mut ops = match id {
            Some(id) => vec![self.complete(delivery.token), dead_letters::Op::Again { id, problem }.into()],
            None => {
                let dead = QueueOp::DeadLetter { queue: self.queue.clone(), token: delivery.token, key, problem };
                let mut ops: Vec<Op> = vec![dead.into()];
                if self.defined().1.hold_key {
                    hold.by = Some(delivery.seq);
                    ops.push(self.note(session, hold));
                }
                ops
            }
        };
        ops.extend(note);
        self.store.commit(ops).await?;
        Ok(())
    }

    /// The dead letters of this row here that a delivery has made out of date.
    fn overtaken(&self, key: &Key, but: Option<&DeadLetterId>) -> Result<Vec<DeadLetterId>, store::Error> {
        let waiting = self.store.dead_letters_waiting()?.iter().any(|(name, _)| *name == self.integration);
        if !waiting {
            return Ok(Vec::new());
        }
        let filter =
            Filter { integration: Some(self.integration.clone()), states: vec![State::Open], ..Filter::default() };
        let found = self.store.dead_letters(&filter, 1000)?.into_iter();
        let mine = found.filter(|l| l.key.as_ref() == Some(key) && l.queue == self.queue && Some(&l.id) != but);
        Ok(mine.map(|letter| letter.id).collect())
    }

    fn complete(&self, token: LockToken) -> Op {
        QueueOp::Complete { queue: self.queue.clone(), tokens: vec![token] }.into()
    }

    fn note(&self, session: SessionToken, hold: &Hold) -> Op {
        QueueOp::SetSessionState { queue: self.queue.clone(), session, state: hold.write() }.into()
    }
}

fn change(id: DeadLetterId, seen: State, to: State, note: Option<&str>) -> Op {
    dead_letters::Op::Change { id, seen, to, by: None, note: note.map(str::to_owned) }.into()
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
    matches!(error.refusal(), Some(Refusal::SessionLost { .. } | Refusal::LockLost { .. }))
}

enum Next {
    More,
    /// The session was given back.
    Released,
    /// As well, with a message that found the other side closed while others get through.
    Aside,
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
