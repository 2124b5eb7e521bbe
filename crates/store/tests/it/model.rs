//! The queue against a simple model: random operations, a clock that jumps, restarts, failed commits and lost answers.

mod plain;

use std::time::Duration;

use proptest::prelude::*;
use store::queue::{LockToken, Message, NewMessage, Op, Place, Problem, Sent, SessionToken, Settings};
use store::{Error, OpResult};

use self::plain::{Held, Known, LOCK, MAX_DELIVERIES, Model, TTL, WINDOW};
use crate::support::{Bench, cases};

/// The system under test beside its model.
struct Pair {
    bench: Bench,
    model: Model,
    sent: u32,
    /// What the next commit's fate is: nothing special, not written, or written without an answer.
    fate: Option<&'static str>,
}

impl Pair {
    fn new(sessions: bool) -> Pair {
        let bench = Bench::new();
        let settings = Settings {
            lock: Duration::from_millis(LOCK as u64),
            max_deliveries: MAX_DELIVERIES as u32,
            ttl: Some(Duration::from_millis(TTL as u64)),
            dead_letter_expired: true,
            duplicate_window: Some(Duration::from_millis(WINDOW as u64)),
            sessions,
            ..Settings::default()
        };
        bench.one(Op::Put { queue: "q".into(), settings });
        Pair { bench, model: Model { sessions, ..Model::default() }, sent: 0, fate: None }
    }

    fn now(&self) -> i64 {
        self.bench.now().as_millisecond()
    }

    /// Commits an operation. `None`: it was not written, and the model must not move. `Some(None)`: it was written, and
    /// nobody knows what it answered.
    fn commit(&mut self, op: Op) -> Option<Option<Result<OpResult, Error>>> {
        let result = self.bench.try_one(op);
        let answer = match (self.fate.take(), result) {
            (None, result) => Some(Some(result)),
            (Some("before"), Err(Error::Injected(_))) => return None,
            (Some("after"), Err(Error::Injected(_))) => Some(None),
            (fate, result) => panic!("{fate:?} {result:?}"),
        };
        let now = self.now();
        self.model.pass(now);
        answer
    }

    fn step(&mut self, what: u8, a: u8, b: u8) {
        match what {
            0..30 => self.send(a, b),
            30..50 if self.model.sessions => self.receive_in_session(a, b),
            30..50 => self.receive(b),
            50..75 => self.settle(a, b),
            75..80 => self.receive_deferred(a),
            80..83 => self.cancel(a),
            83 => self.wake(a),
            84..92 if self.model.sessions => self.accept(a),
            92..94 if self.model.sessions => self.release(a),
            94..97 if self.model.sessions => self.note(a, b),
            100..104 if self.model.sessions => self.put_back(a),
            97..99 => {
                self.fate = None;
                self.bench.reopen("");
            }
            99 => {
                self.fate = Some(if a.is_multiple_of(2) { "before" } else { "after" });
                self.bench.reopen(&format!("commit.{}@1=error", self.fate.unwrap()));
            }
            _ => self.bench.pass(i64::from(a) * 8),
        }
        self.compare();
    }

    fn send(&mut self, a: u8, b: u8) {
        self.sent += 1;
        // One in eight repeats an id that was sent not long ago.
        let number = if a.is_multiple_of(8) { self.sent.saturating_sub(u32::from(b % 4) + 1) } else { self.sent };
        let id = format!("m{number}");
        let session = self.model.sessions.then(|| format!("s{}", b % 3));
        let at = (a % 5 == 1).then(|| self.now() + i64::from(b) * 10);
        let ttl = if a % 7 == 2 { 300 } else { 100_000 };
        let new = NewMessage {
            message: Message { id: id.clone(), session: session.clone(), body: vec![a, b], ..Message::default() },
            at: at.map(|at| jiff::Timestamp::from_millisecond(at).unwrap()),
            ttl: Some(Duration::from_millis(ttl as u64)),
        };
        let Some(answer) = self.commit(Op::Send { queue: "q".into(), messages: vec![new] }) else { return };
        let now = self.now();
        let duplicate = self.model.seen.get(&id).is_some_and(|until| *until > now);
        let mut seq = None;
        match answer {
            Some(Ok(OpResult::Sent(sent))) => match sent[..] {
                [Sent::Duplicate] => assert!(duplicate),
                [Sent::Accepted(number)] => {
                    assert!(!duplicate);
                    seq = Some(number);
                }
                _ => panic!("{sent:?}"),
            },
            None => {}
            other => panic!("{other:?}"),
        }
        if !duplicate {
            self.model.seen.insert(id.clone(), now + WINDOW);
            let at = at.filter(|at| *at > now);
            let enqueued = at.unwrap_or(now);
            self.model.messages.push(Known {
                id,
                session,
                place: if at.is_some() { Place::Scheduled } else { Place::Ready },
                deliveries: 0,
                enqueued,
                due: at,
                expires: enqueued + ttl.min(TTL),
                token: None,
                seq,
            });
        }
    }

    fn receive(&mut self, b: u8) {
        let max = usize::from(b % 4) + 1;
        let Some(answer) = self.commit(Op::Receive { queue: "q".into(), max }) else { return };
        let next = self.model.next(None, max);
        self.locked(next, answer, Some(self.now() + LOCK));
    }

    fn receive_in_session(&mut self, a: u8, b: u8) {
        let max = usize::from(b % 3) + 1;
        let Some((name, token)) = self.some_session(a) else { return };
        let Some(answer) = self.commit(Op::ReceiveInSession { queue: "q".into(), session: token, max }) else { return };
        if !self.holds(&name, token) {
            assert!(matches!(answer, None | Some(Err(Error::Refused { .. }))), "{answer:?}");
            return;
        }
        let next = self.model.next(Some(&name), max);
        self.locked(next, answer, None);
    }

    /// These were locked, and the answer names them in this order.
    fn locked(&mut self, which: Vec<usize>, answer: Option<Result<OpResult, Error>>, due: Option<i64>) {
        let deliveries = answer.map(|answer| match answer {
            Ok(OpResult::Messages(deliveries)) => deliveries,
            other => panic!("{other:?}"),
        });
        if let Some(deliveries) = &deliveries {
            let expected: Vec<_> =
                which.iter().map(|at| (&self.model.messages[*at].id, self.model.messages[*at].deliveries)).collect();
            let received: Vec<_> = deliveries.iter().map(|d| (&d.message.id, i64::from(d.deliveries))).collect();
            assert_eq!(received, expected);
        }
        for (n, at) in which.into_iter().enumerate() {
            let known = &mut self.model.messages[at];
            (known.place, known.due) = (Place::Locked, due);
            known.token = deliveries.as_ref().map(|deliveries| deliveries[n].token);
            known.seq = known.token.map(|token| token.seq).or(known.seq);
        }
    }

    fn settle(&mut self, a: u8, b: u8) {
        // Also with tokens whose lock may be lost by now.
        let tokens: Vec<(String, LockToken)> =
            self.model.messages.iter().filter_map(|known| Some((known.id.clone(), known.token?))).collect();
        if tokens.is_empty() {
            return;
        }
        let (id, token) = tokens[usize::from(a) % tokens.len()].clone();
        let queue = "q".to_owned();
        let delay = (b % 6 == 2).then(|| Duration::from_millis(u64::from(a) * 5));
        let op = match b % 6 {
            0 => Op::Complete { queue, tokens: vec![token] },
            1 | 2 => Op::Abandon { queue, token, delay },
            3 => Op::Defer { queue, token },
            4 => Op::DeadLetter {
                queue,
                token,
                key: None,
                problem: Problem { code: "why".into(), ..Problem::default() },
            },
            _ => Op::Renew { queue, token },
        };
        let Some(answer) = self.commit(op) else { return };
        let now = self.now();
        let at = self.model.messages.iter().position(|known| known.id == id && known.token == Some(token));
        let at = at.filter(|at| self.model.messages[*at].place == Place::Locked);
        let renews_session = b % 6 == 5 && self.model.sessions;
        match &answer {
            Some(Err(Error::Refused { .. })) => assert!(at.is_none() || renews_session, "{answer:?}"),
            Some(Ok(_)) => assert!(at.is_some()),
            None => {}
            other => panic!("{other:?}"),
        }
        let Some(at) = at.filter(|_| !renews_session) else { return };
        match b % 6 {
            0 => drop(self.model.messages.remove(at)),
            1 | 2 => {
                let due = delay.map(|delay| now + delay.as_millis() as i64).filter(|due| *due > now);
                self.model.fail(at, due);
                self.model.sweep();
            }
            3 => {
                let known = &mut self.model.messages[at];
                (known.place, known.due, known.token) = (Place::Deferred, None, None);
            }
            4 => self.model.dead.push((self.model.messages.remove(at).id, "why".into())),
            _ => self.model.messages[at].due = Some(now + LOCK),
        }
    }

    fn receive_deferred(&mut self, a: u8) {
        let known: Vec<Known> = self.model.messages.iter().filter(|known| known.seq.is_some()).cloned().collect();
        if known.is_empty() {
            return;
        }
        let known = &known[usize::from(a) % known.len()];
        let session = match &known.session {
            Some(name) => match self.model.held.get(name).and_then(|held| held.token) {
                Some(token) => Some(token),
                None => return,
            },
            None => None,
        };
        let op = Op::ReceiveDeferred { queue: "q".into(), session, seqs: vec![known.seq.unwrap()] };
        let Some(answer) = self.commit(op) else { return };
        let holds = known.session.as_ref().is_none_or(|name| self.holds(name, session.unwrap()));
        let at = self.model.messages.iter().position(|other| other.seq == known.seq && other.place == Place::Deferred);
        match at.filter(|_| holds) {
            Some(at) => {
                let due = session.is_none().then(|| self.now() + LOCK);
                self.locked(vec![at], answer, due);
            }
            None => assert!(matches!(answer, None | Some(Err(Error::Refused { .. }))), "{answer:?}"),
        }
    }

    fn cancel(&mut self, a: u8) {
        let known: Vec<Known> = self.model.messages.iter().filter(|known| known.seq.is_some()).cloned().collect();
        if known.is_empty() {
            return;
        }
        let known = &known[usize::from(a) % known.len()];
        let Some(answer) = self.commit(Op::Cancel { queue: "q".into(), seq: known.seq.unwrap() }) else { return };
        let at = self.model.messages.iter().position(|other| other.seq == known.seq && other.place == Place::Scheduled);
        assert!(answer.is_none_or(|answer| answer.is_ok() == at.is_some()));
        if let Some(at) = at {
            self.model.messages.remove(at);
        }
    }

    fn wake(&mut self, a: u8) {
        let known: Vec<Known> = self.model.messages.iter().filter(|known| known.seq.is_some()).cloned().collect();
        if known.is_empty() {
            return;
        }
        let known = &known[usize::from(a) % known.len()];
        let Some(answer) = self.commit(Op::Wake { queue: "q".into(), seqs: vec![known.seq.unwrap()] }) else { return };
        let at = self.model.messages.iter().position(|other| other.seq == known.seq && other.place == Place::Delayed);
        assert!(answer.is_none_or(|answer| answer.unwrap() == OpResult::Count(at.is_some().into())));
        if let Some(at) = at {
            let known = &mut self.model.messages[at];
            (known.place, known.due) = (Place::Ready, None);
        }
    }

    fn some_session(&self, a: u8) -> Option<(String, SessionToken)> {
        let held: Vec<_> =
            self.model.held.iter().filter_map(|(name, held)| Some((name.clone(), held.token?))).collect();
        held.get(usize::from(a) % held.len().max(1)).cloned()
    }

    fn holds(&self, name: &str, token: SessionToken) -> bool {
        self.model.held.get(name).is_some_and(|held| held.token == Some(token))
    }

    fn accept(&mut self, a: u8) {
        let named = a.is_multiple_of(3).then(|| format!("s{}", a % 4));
        let Some(answer) = self.commit(Op::AcceptSession { queue: "q".into(), session: named.clone() }) else { return };
        let expected = match &named {
            Some(name) if self.model.held.contains_key(name) => {
                assert!(matches!(answer, None | Some(Err(Error::Refused { .. }))), "{answer:?}");
                return;
            }
            Some(name) => Some(name.clone()),
            None => self.model.free_session(),
        };
        let token = answer.map(|answer| match answer {
            Ok(OpResult::Session(session)) => {
                assert_eq!(session.as_ref().map(|session| session.name.clone()), expected);
                if let Some(session) = &session {
                    assert_eq!(session.state.as_ref(), self.model.states.get(&session.name));
                }
                session.map(|session| session.token)
            }
            other => panic!("{other:?}"),
        });
        if let Some(name) = expected {
            self.model.held.insert(name, Held { until: self.now() + LOCK, token: token.flatten() });
        }
    }

    fn release(&mut self, a: u8) {
        let Some((name, token)) = self.some_session(a) else { return };
        let Some(answer) = self.commit(Op::ReleaseSession { queue: "q".into(), session: token }) else { return };
        let held = self.holds(&name, token);
        assert!(answer.is_none_or(|answer| answer.is_ok() == held));
        if held {
            self.model.end(&name, false);
        }
    }

    fn put_back(&mut self, a: u8) {
        let Some((name, token)) = self.some_session(a) else { return };
        let Some(answer) = self.commit(Op::PutBack { queue: "q".into(), session: token }) else { return };
        let deferred = |known: &&mut Known| known.session.as_ref() == Some(&name) && known.place == Place::Deferred;
        if !self.holds(&name, token) {
            assert!(matches!(answer, None | Some(Err(Error::Refused { .. }))), "{answer:?}");
            return;
        }
        let mut count = 0;
        for known in self.model.messages.iter_mut().filter(deferred) {
            known.place = Place::Ready;
            count += 1;
        }
        assert!(answer.is_none_or(|answer| answer.unwrap() == OpResult::Count(count)));
    }

    /// Renews a session or notes something with it.
    fn note(&mut self, a: u8, b: u8) {
        let Some((name, token)) = self.some_session(a) else { return };
        let state = (b % 4 > 1).then(|| vec![b]);
        let renew = b.is_multiple_of(4);
        let (queue, session) = ("q".to_owned(), token);
        let op = match renew {
            true => Op::RenewSession { queue, session },
            false => Op::SetSessionState { queue, session, state: state.clone() },
        };
        let Some(answer) = self.commit(op) else { return };
        let held = self.holds(&name, token);
        assert!(answer.is_none_or(|answer| answer.is_ok() == held));
        let until = self.now() + LOCK;
        match (held, renew, state) {
            (false, ..) => {}
            (true, true, _) => self.model.held.get_mut(&name).unwrap().until = until,
            (true, false, Some(state)) => drop(self.model.states.insert(name, state)),
            (true, false, None) => drop(self.model.states.remove(&name)),
        }
    }

    /// The store says of every message what the model says.
    fn compare(&self) {
        assert_eq!(self.bench.store.queue_counts("q").unwrap().unwrap(), self.model.counts());
        let told: Vec<_> = self.bench.store.peek("q", 0, 1000).unwrap().unwrap();
        let told: Vec<_> = told
            .iter()
            .map(|p| {
                let due = p.due.map(|due| due.as_millisecond());
                (
                    p.message.id.as_str(),
                    p.place,
                    i64::from(p.deliveries),
                    p.enqueued.as_millisecond(),
                    due,
                    p.expires.unwrap().as_millisecond(),
                )
            })
            .collect();
        let expected: Vec<_> = (self.model.messages.iter())
            .map(|known| (known.id.as_str(), known.place, known.deliveries, known.enqueued, known.due, known.expires))
            .collect();
        assert_eq!(told, expected);
        let dead = self.bench.store.peek("q/$deadletterqueue", 0, 1000).unwrap().unwrap();
        let mut dead: Vec<_> = dead.into_iter().map(|p| (p.message.id, p.problem.unwrap().code)).collect();
        let mut expected = self.model.dead.clone();
        dead.sort();
        expected.sort();
        assert_eq!(dead, expected);
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    proptest::collection::vec((0u8..120, any::<u8>(), any::<u8>()), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(32), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_does_what_its_model_does(steps in steps()) {
        let mut pair = Pair::new(false);
        for (what, a, b) in steps {
            pair.step(what, a, b);
        }
    }

    #[test]
    fn a_queue_with_sessions_does_what_its_model_does(steps in steps()) {
        let mut pair = Pair::new(true);
        for (what, a, b) in steps {
            pair.step(what, a, b);
        }
    }
}
