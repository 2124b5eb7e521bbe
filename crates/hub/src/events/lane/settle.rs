//! The end of a message, in one commit with what it leaves behind.

use definition::Payload;
use record::Key;
use store::dead_letters::{self, DeadLetter, DeadLetterId, State};
use store::queue::{Delivery, LockToken, Op as QueueOp, Problem, SessionToken};
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
        let asked = done.asked;
        let about = About { integration: &self.integration, to: &self.to, entity: &entity, delivery };
        let mut ops = vec![self.complete(delivery.token)];
        ops.extend(about.done(&done));
        if let Some(entry) = done.entry {
            ops.push(ledger::Op::Put { system: to.clone(), entity: entity.clone(), entries: vec![entry] }.into());
        }
        ops.extend(done.more);
        let key = done.key.as_ref().map(Key::to_string).unwrap_or_default();
        tracing::debug!(integration = self.integration, "{entity} {key} to {to}: {}", done.what);
        let resumes = delivery.message.op.as_deref() == Some(letters::RESUME);
        let settled = hold.by.is_none()
            && done.whole
            && done.key.is_some()
            && hold.settle(done.key.as_ref(), route.shares_sessions());
        if hold.looked.take().is_some() || settled {
            ops.push(self.note(session, hold));
        }
        // What nobody needs is not sent again as long as it is as it was.
        let mut left = hold.free();
        if !resumes {
            left.settle(done.key.as_ref(), route.shares_sessions());
        }
        loop {
            let (mut all, mut frees) = (ops.clone(), frees);
            let retried = retry_of.as_ref().filter(|_| !resumes).map(|id| self.letter(id)).transpose()?.flatten();
            // What was sent says nothing of what was sent after it.
            let said = retried.as_ref().map_or(delivery.seq, |letter| letter.seq);
            let reads_now = route.reads_now(&delivery.message, retried.is_some());
            if let Some(letter) = retried
                && letter.state.is_waiting()
            {
                all.push(match done.what {
                    version::OLDER => change(&letter, State::Superseded, Some("something newer was delivered")),
                    _ => change(&letter, State::Resolved, None),
                });
            }
            for letter in self.waiting(done.key.as_ref().filter(|_| done.whole))? {
                if Some(&letter.id) == retry_of.as_ref() || !reads_now && letter.seq > said {
                    continue;
                }
                all.push(change(&letter, State::Superseded, Some("a later event of the row was delivered")));
                match hold.by == Some(letter.seq) {
                    true => frees = true,
                    false => all.extend(self.let_go(&letter)?),
                }
            }
            if frees {
                all.extend(self.put_back(session, &left));
                all.push(QueueOp::ReleaseSession { queue: self.queue.clone(), session }.into());
            }
            match patience::commit(&self.store, all).await {
                Err(error) if letters::is_dealt_with(&error) => {}
                Ok(_) if frees => {
                    *hold = left;
                    return Ok(Next::Released { asked });
                }
                Ok(_) => return Ok(Next::More { asked }),
                Err(error) => return Err(error.into()),
            }
        }
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
        remembered: Vec<Op>,
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
        hold.looked = None;
        loop {
            let id = match &retry_of {
                Some(id) => self.letter(id)?.map(|letter| letter.id),
                None => self.told_already(delivery, key.as_ref())?,
            };
            let note = about.dead(key.as_ref(), id.as_ref(), &problem);
            let problem = problem.clone();
            let mut ops = match id {
                Some(id) => {
                    // It may have read the row otherwise than the first time.
                    vec![self.complete(delivery.token), dead_letters::Op::Again { id, problem }.into()]
                }
                None => {
                    let (queue, token, key) = (self.queue.clone(), delivery.token, key.clone());
                    hold.by = self.defined().1.hold_key.then_some(delivery.seq);
                    vec![QueueOp::DeadLetter { queue, token, key, problem }.into()]
                }
            };
            ops.push(self.note(session, hold));
            ops.extend(note);
            ops.extend(remembered.clone());
            match patience::commit(&self.store, ops).await {
                Err(error) if letters::is_dealt_with(&error) => {}
                done => return Ok(done.map(drop)?),
            }
        }
    }

    /// One dead letter for a row: what fails once more is told in the one that waits. What was sent is only in its own
    /// message, and another row that has come to the same key is in none but its own.
    fn told_already(&self, delivery: &Delivery, key: Option<&Key>) -> Result<Option<DeadLetterId>, store::Error> {
        if self.defined().1.payload != Payload::Fetch {
            return Ok(None);
        }
        for letter in self.waiting(key)?.into_iter().filter(|letter| letter.state == State::Open) {
            let message = self.store.dead_letter_message(&letter.id)?;
            if message.is_some_and(|message| message.session == delivery.message.session) {
                return Ok(Some(letter.id));
            }
        }
        Ok(None)
    }

    /// The dead letters here that wait, of the row with this key.
    fn waiting(&self, key: Option<&Key>) -> Result<Vec<DeadLetter>, store::Error> {
        let Some(key) = key else { return Ok(Vec::new()) };
        self.store.dead_letters_of(&self.integration, &self.queue, key)
    }

    pub(super) fn letter(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, store::Error> {
        Ok(self.store.dead_letters_like(id.as_str())?.into_iter().find(|letter| letter.id == *id))
    }

    /// What lets the session of a dead letter go on, where that is another one and is held by it.
    fn let_go(&self, letter: &DeadLetter) -> Result<Option<Op>, store::Error> {
        let Some(message) = self.store.dead_letter_message(&letter.id)? else { return Ok(None) };
        let Some(session) = &message.session else { return Ok(None) };
        let hold = Hold::read(self.store.session_state(&self.queue, session)?.as_deref());
        Ok((hold.by == Some(letter.seq)).then(|| letters::go_on(letter, message)))
    }

    /// What is held goes back to its place, and this is remembered from now on.
    pub(super) fn put_back(&self, session: SessionToken, left: &Hold) -> [Op; 2] {
        [QueueOp::PutBack { queue: self.queue.clone(), session }.into(), self.note(session, left)]
    }

    pub(super) fn complete(&self, token: LockToken) -> Op {
        QueueOp::Complete { queue: self.queue.clone(), tokens: vec![token] }.into()
    }

    pub(super) fn note(&self, session: SessionToken, hold: &Hold) -> Op {
        QueueOp::SetSessionState { queue: self.queue.clone(), session, state: hold.write() }.into()
    }
}

fn change(letter: &DeadLetter, to: State, note: Option<&str>) -> Op {
    let (id, seen) = (letter.id.clone(), letter.state);
    dead_letters::Op::Change { id, seen, to, by: None, note: note.map(str::to_owned) }.into()
}
