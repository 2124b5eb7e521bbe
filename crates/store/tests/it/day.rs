//! A day of traffic on a clock that the test moves: locks, times to live, schedules and duplicate windows, each asked one
//! millisecond before it ends and in the millisecond in which it does.

use std::collections::BTreeMap;
use std::time::Duration;

use store::dead_letters::{DeadLetterId, State};
use store::queue::{Counts, LockToken, Message, NewMessage, Op, Peeked, Place, Sent, Settings};
use store::{OpResult, Refusal};

use crate::support::Bench;

const DAY: i64 = 24 * 3600 * 1000;
const LOCK: i64 = 45_000;
const WINDOW: i64 = 10 * 60_000;

/// What is looked at, at a moment.
#[derive(Debug, Clone)]
enum Look {
    Traffic,
    Restart,
    /// A holder settles in time.
    Completes(LockToken),
    /// A holder renews in time, and settles just before the renewed lock ends, or just then.
    Renews(LockToken, bool),
    /// A holder is late: the lock was lost in this millisecond.
    IsLate(LockToken),
    StillDelayed(i64),
    IsBack(i64),
    StillAlive(i64),
    Expired(i64),
    StillScheduled(i64, String),
    Arrived(i64, String),
    Cancels(i64, String),
    NeverArrived(String),
    Known(String),
    Forgotten(String),
}

struct Day {
    bench: Bench,
    now: i64,
    agenda: BTreeMap<(i64, usize), Look>,
    planned: usize,
    looks: usize,
    random: u64,
    /// What the queues should hold at the end.
    dead: u64,
}

impl Day {
    fn below(&mut self, bound: i64) -> i64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) % bound as u64) as i64
    }

    fn at(&mut self, at: i64, look: Look) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), look);
    }

    fn send(&self, queue: &str, new: NewMessage) -> Sent {
        match self.bench.one(Op::Send { queue: queue.into(), messages: vec![new] }) {
            OpResult::Sent(sent) => sent[0],
            other => panic!("{other:?}"),
        }
    }

    fn accepted(&self, queue: &str, new: NewMessage) -> i64 {
        let Sent::Accepted(seq) = self.send(queue, new) else { panic!("a duplicate in `{queue}`") };
        seq
    }

    fn seen(&self, queue: &str, seq: i64) -> Option<Peeked> {
        // Time passes with a commit, also with an empty one.
        self.bench.store.commit_blocking(Vec::new()).unwrap();
        self.bench.store.peek(queue, seq, 1).unwrap().unwrap().into_iter().find(|peeked| peeked.seq == seq)
    }

    fn complete(&self, token: LockToken) -> Result<(), Refusal> {
        let op = Op::Complete { queue: "locks".into(), tokens: vec![token] };
        match self.bench.try_one(op) {
            Ok(_) => Ok(()),
            Err(store::Error::Refused { refusal, .. }) => Err(refusal),
            Err(other) => panic!("{other}"),
        }
    }

    /// Whatever is ready is taken and settled, so that the next one to be received is the next one to be sent.
    fn take_ready(&self, queue: &str) -> Vec<i64> {
        let queue = queue.to_owned();
        let OpResult::Messages(ready) = self.bench.one(Op::Receive { queue: queue.clone(), max: 100 }) else {
            panic!()
        };
        let tokens = ready.iter().map(|delivery| delivery.token).collect();
        self.bench.one(Op::Complete { queue, tokens });
        ready.into_iter().map(|delivery| delivery.seq).collect()
    }

    fn arrived_as(&self, id: &str) -> Option<Peeked> {
        self.bench.store.commit_blocking(Vec::new()).unwrap();
        let all = self.bench.store.peek("later", 0, 1000).unwrap().unwrap();
        all.into_iter().find(|peeked| peeked.message.id == id && peeked.place == Place::Ready)
    }

    fn traffic(&mut self) {
        let (now, n) = (self.now, self.planned);
        let new = |id: &str| Message { id: id.into(), body: vec![b'x'; 64], ..Message::default() };
        // A lock.
        let sent = self.accepted("locks", new("l").into());
        let OpResult::Messages(got) = self.bench.one(Op::Receive { queue: "locks".into(), max: 1 }) else { panic!() };
        let token = got[0].token;
        assert_eq!((got[0].seq, got[0].deliveries), (sent, 0));
        match self.below(5) {
            0 => self.at(now + LOCK - 1, Look::Completes(token)),
            1 => self.at(now + LOCK, Look::IsLate(token)),
            2 => self.at(now + LOCK - 1, Look::Renews(token, true)),
            3 => self.at(now + LOCK - 1, Look::Renews(token, false)),
            _ => {
                let delay = 1 + self.below(120_000);
                let delay_of = Some(Duration::from_millis(delay as u64));
                self.bench.one(Op::Abandon { queue: "locks".into(), token, delay: delay_of });
                if delay > 1 {
                    self.at(now + delay - 1, Look::StillDelayed(sent));
                }
                self.at(now + delay, Look::IsBack(sent));
            }
        }
        // A time to live.
        let ttl = 2 + self.below(2 * 3600 * 1000);
        let short = NewMessage { ttl: Some(Duration::from_millis(ttl as u64)), ..new("t").into() };
        let seq = self.accepted("short", short);
        self.at(now + ttl - 1, Look::StillAlive(seq));
        self.at(now + ttl, Look::Expired(seq));
        // A schedule.
        let (id, later) = (format!("s{n}"), 2 + self.below(3 * 3600 * 1000));
        let at = jiff::Timestamp::from_millisecond(now + later).unwrap();
        let seq = self.accepted("later", NewMessage { at: Some(at), ..new(&id).into() });
        if self.below(4) == 0 {
            self.at(now + later - 1, Look::Cancels(seq, id.clone()));
            self.at(now + later, Look::NeverArrived(id));
        } else {
            self.at(now + later - 1, Look::StillScheduled(seq, id.clone()));
            self.at(now + later, Look::Arrived(now + later, id));
        }
        // A duplicate window, which a duplicate does not lengthen.
        let id = format!("d{n}");
        self.accepted("once", new(&id).into());
        self.at(now + WINDOW - 1, Look::Known(id.clone()));
        self.at(now + WINDOW, Look::Forgotten(id));
        let pause = 1 + self.below(600_000);
        self.at(now + pause, Look::Traffic);
    }

    fn look(&mut self, look: Look) {
        let what = format!("{look:?}");
        let now = self.now;
        let lost = |token: LockToken| Err(Refusal::LockLost { path: "locks".into(), seq: token.seq });
        let new = |id: &str| Message { id: id.into(), ..Message::default() };
        match look {
            Look::Traffic => return self.traffic(),
            Look::Restart => {
                self.bench.reopen("");
                return self.at(now + 3_600_000 + 7, Look::Restart);
            }
            Look::Completes(token) => assert_eq!(self.complete(token), Ok(()), "{what}"),
            Look::Renews(token, in_time) => {
                self.bench.one(Op::Renew { queue: "locks".into(), token });
                match in_time {
                    true => self.at(now + LOCK - 1, Look::Completes(token)),
                    false => self.at(now + LOCK, Look::IsLate(token)),
                }
            }
            Look::IsLate(token) => {
                assert_eq!(self.complete(token), lost(token), "{what}");
                let back = self.seen("locks", token.seq).unwrap();
                assert_eq!((back.place, back.deliveries), (Place::Ready, 1), "{what}");
                assert_eq!(self.take_ready("locks"), [token.seq], "{what}");
            }
            Look::StillDelayed(seq) => assert_eq!(self.seen("locks", seq).unwrap().place, Place::Delayed, "{what}"),
            Look::IsBack(seq) => {
                let back = self.seen("locks", seq).unwrap();
                assert_eq!((back.place, back.deliveries), (Place::Ready, 1), "{what}");
                assert_eq!(self.take_ready("locks"), [seq], "{what}");
            }
            Look::StillAlive(seq) => assert_eq!(self.seen("short", seq).unwrap().place, Place::Ready, "{what}"),
            Look::Expired(seq) => {
                assert_eq!(self.seen("short", seq), None, "{what}");
                let letter = self.bench.store.dead_letters_like(DeadLetterId::of_seq(seq).as_str()).unwrap();
                let why: Vec<_> = letter.iter().map(|l| (l.problem.code.as_str(), l.state, l.first_seen)).collect();
                assert_eq!(why, [("TTLExpiredException", State::Open, self.bench.now())], "{what}");
                self.dead += 1;
            }
            Look::StillScheduled(seq, id) => {
                assert_eq!(self.seen("later", seq).unwrap().place, Place::Scheduled, "{what}");
                assert_eq!(self.arrived_as(&id), None, "{what}");
            }
            Look::Arrived(at, id) => {
                let arrived = self.arrived_as(&id).unwrap_or_else(|| panic!("{what}: it did not come"));
                assert_eq!(arrived.enqueued.as_millisecond(), at, "{what}");
                assert_eq!(self.take_ready("later"), [arrived.seq], "{what}");
            }
            Look::Cancels(seq, id) => {
                assert_eq!(self.seen("later", seq).unwrap().message.id, id, "{what}");
                self.bench.one(Op::Cancel { queue: "later".into(), seq });
            }
            Look::NeverArrived(id) => assert_eq!(self.arrived_as(&id), None, "{what}"),
            Look::Known(id) => assert_eq!(self.send("once", new(&id).into()), Sent::Duplicate, "{what}"),
            Look::Forgotten(id) => assert!(self.send("once", new(&id).into()) != Sent::Duplicate, "{what}"),
        }
        self.looks += 1;
    }
}

#[test]
fn every_time_limit_holds_to_the_millisecond() {
    let bench = Bench::new();
    let put = |queue: &str, settings| bench.one(Op::Put { queue: queue.into(), settings });
    put("locks", Settings { lock: Duration::from_millis(LOCK as u64), ..Settings::default() });
    put("short", Settings { dead_letter_expired: true, ..Settings::default() });
    put("later", Settings::default());
    let window = Some(Duration::from_millis(WINDOW as u64));
    put("once", Settings { duplicate_window: window, ..Settings::default() });
    let begin = bench.now().as_millisecond();
    let mut day = Day { bench, now: begin, agenda: BTreeMap::new(), planned: 0, looks: 0, random: 24, dead: 0 };
    day.at(begin, Look::Traffic);
    day.at(begin + 1_800_003, Look::Restart);
    while let Some(((at, _), look)) = day.agenda.pop_first() {
        let is_over = at >= begin + DAY;
        if is_over && matches!(look, Look::Traffic | Look::Restart) {
            continue;
        }
        day.bench.pass(at - day.now);
        day.now = at;
        day.look(look);
    }
    assert!(day.now >= begin + DAY && day.looks > 1500, "{} looks until {}", day.looks, day.bench.now());
    let counts = |queue: &str| day.bench.store.queue_counts(queue).unwrap().unwrap();
    assert_eq!(counts("locks"), Counts::default());
    assert_eq!(counts("short"), Counts { dead: day.dead, ..Counts::default() });
    assert_eq!(counts("later"), Counts::default());
}
