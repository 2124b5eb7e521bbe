//! The end of a message, in one commit with what it leaves behind.

use definition::Payload;
use record::Key;
use store::dead_letters::{self, DeadLetterId, Filter, State};
use store::queue::{Delivery, LockToken, Op as QueueOp, Place, Problem, SessionToken};
use store::{Op, ledger};

use super::{Lane, Next};
use crate::error::Error;
use crate::events::deliver::Done;
use crate::events::hold::Hold;
use crate::events::letters;
use crate::events::notes::About;
use crate::events::route::Route;
use crate::events::version;
use crate::patience;

impl Lane {
    #[expect(clippy::too_many_arguments, reason = "the parts of one commit, and one caller")]
    pub(super) async fn done(
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
            ops.push(match done.what {
                version::OLDER => change(id, State::Retrying, State::Superseded, Some("something newer was delivered")),
                _ => change(id, State::Retrying, State::Resolved, None),
            });
        }
        if let Some(key) = &done.key {
            for id in self.overtaken(key, retry_of.as_ref())? {
                ops.push(change(id, State::Open, State::Superseded, Some("a later event of the row was delivered")));
            }
        }
        let key = done.key.as_ref().map(Key::to_string).unwrap_or_default();
        tracing::debug!(integration = self.integration, "{entity} {key} to {to}: {}", done.what);
        if !frees {
            patience::commit(&self.store, ops).await?;
            return Ok(Next::More);
        }
        // What it held goes back to its place, all in the same commit. Somebody may have purged some of it.
        let held = std::mem::take(&mut hold.waiting);
        let mut waiting = Vec::with_capacity(held.len());
        for seq in held {
            let found = self.store.peek(&self.queue, seq, 1)?.unwrap_or_default();
            waiting
                .extend(found.first().filter(|one| one.seq == seq && one.place == Place::Deferred).map(|one| one.seq));
        }
        *hold = Hold::default();
        let receive = |seqs| QueueOp::ReceiveDeferred { queue: self.queue.clone(), session: Some(session), seqs };
        for chunk in waiting.chunks(1000) {
            ops.push(receive(chunk.to_vec()).into());
        }
        ops.push(self.note(session, hold));
        ops.push(QueueOp::ReleaseSession { queue: self.queue.clone(), session }.into());
        patience::commit(&self.store, ops).await?;
        Ok(Next::Released)
    }

    /// Gives up on a message, and holds what comes after it where the definition says so.
    #[expect(clippy::too_many_arguments, reason = "the parts of one commit")]
    pub(super) async fn dead(
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
            what = problem.what,
            why = problem.why,
            "do" = problem.fix,
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
            Some(id) => {
                let again = dead_letters::Op::Again { id, problem };
                let mut ops = vec![self.complete(delivery.token), again.into()];
                // It may have read the row otherwise than the first time.
                ops.extend(hold.by.is_some().then(|| self.note(session, hold)));
                ops
            }
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
        patience::commit(&self.store, ops).await?;
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

    pub(super) fn complete(&self, token: LockToken) -> Op {
        QueueOp::Complete { queue: self.queue.clone(), tokens: vec![token] }.into()
    }

    pub(super) fn note(&self, session: SessionToken, hold: &Hold) -> Op {
        QueueOp::SetSessionState { queue: self.queue.clone(), session, state: hold.write() }.into()
    }
}

fn change(id: DeadLetterId, seen: State, to: State, note: Option<&str>) -> Op {
    dead_letters::Op::Change { id, seen, to, by: None, note: note.map(str::to_owned) }.into()
}
