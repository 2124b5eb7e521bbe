//! The queue, as plainly as it can be said: lists in memory, and the same rules.

use std::collections::BTreeMap;

use store::queue::{Counts, LockToken, Place, SessionToken};

pub const LOCK: i64 = 1000;
pub const WINDOW: i64 = 2500;
pub const TTL: i64 = 4000;
pub const MAX_DELIVERIES: i64 = 3;

/// A message as the model knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub id: String,
    pub session: Option<String>,
    pub place: Place,
    pub deliveries: i64,
    pub enqueued: i64,
    pub due: Option<i64>,
    pub expires: i64,
    /// What its holder needs, unless the answer was lost.
    pub token: Option<LockToken>,
    /// Its sequence number, once somebody told us.
    pub seq: Option<i64>,
}

#[derive(Debug, Default)]
pub struct Held {
    pub until: i64,
    pub token: Option<SessionToken>,
}

/// The queue, as plainly as it can be said.
#[derive(Debug, Default)]
pub struct Model {
    pub sessions: bool,
    /// In the order of arrival.
    pub messages: Vec<Known>,
    pub seen: BTreeMap<String, i64>,
    pub held: BTreeMap<String, Held>,
    pub states: BTreeMap<String, Vec<u8>>,
    pub dead: Vec<(String, String)>,
}

impl Model {
    pub fn pass(&mut self, now: i64) {
        let mut ended: Vec<(i64, String)> = self.held.iter().map(|(name, held)| (held.until, name.clone())).collect();
        ended.sort();
        for (_, name) in ended.into_iter().filter(|(until, _)| *until <= now) {
            self.end(&name, true);
        }
        let mut due: Vec<(i64, usize)> = self
            .messages
            .iter()
            .enumerate()
            .filter_map(|(at, known)| Some((known.due.filter(|due| *due <= now)?, at)))
            .collect();
        due.sort();
        let mut arriving = Vec::new();
        for (_, at) in &due {
            let known = &mut self.messages[*at];
            match known.place {
                Place::Locked => self.fail(*at, None),
                Place::Scheduled => arriving.push(Known { place: Place::Ready, due: None, seq: None, ..known.clone() }),
                _ => (known.place, known.due) = (Place::Ready, None),
            }
        }
        self.messages.retain(|known| {
            known.deliveries < MAX_DELIVERIES && !(known.place == Place::Scheduled && known.due <= Some(now))
        });
        self.messages.extend(arriving);
        let mut expired: Vec<&Known> = self.messages.iter().filter(|known| is_expired(known, now)).collect();
        expired.sort_by_key(|known| known.expires);
        self.dead.extend(expired.into_iter().map(|known| (known.id.clone(), "TTLExpiredException".to_owned())));
        self.messages.retain(|known| !is_expired(known, now));
    }

    /// A delivery came to nothing. Whoever has had enough of them is swept out by the caller.
    pub fn fail(&mut self, at: usize, due: Option<i64>) {
        let known = &mut self.messages[at];
        known.deliveries += 1;
        known.token = None;
        (known.place, known.due) = if due.is_some() { (Place::Delayed, due) } else { (Place::Ready, None) };
        if known.deliveries >= MAX_DELIVERIES {
            self.dead.push((known.id.clone(), "MaxDeliveryCountExceeded".into()));
        }
    }

    pub fn sweep(&mut self) {
        self.messages.retain(|known| known.deliveries < MAX_DELIVERIES);
    }

    pub fn end(&mut self, name: &str, counts: bool) {
        self.held.remove(name);
        for at in 0..self.messages.len() {
            let known = &mut self.messages[at];
            if known.session.as_deref() == Some(name) && known.place == Place::Locked {
                if counts {
                    self.fail(at, None);
                } else {
                    (known.place, known.token) = (Place::Ready, None);
                }
            }
        }
        self.sweep();
    }

    pub fn waits(&self, session: &str) -> bool {
        self.messages.iter().any(|known| known.session.as_deref() == Some(session) && known.place == Place::Delayed)
    }

    /// The messages that a receive would lock, by where they stand in the list.
    pub fn next(&self, session: Option<&str>, max: usize) -> Vec<usize> {
        if session.is_some_and(|name| self.waits(name)) {
            return Vec::new();
        }
        let ready =
            |known: &Known| known.place == Place::Ready && (session.is_none() || known.session.as_deref() == session);
        (0..self.messages.len()).filter(|at| ready(&self.messages[*at])).take(max).collect()
    }

    pub fn free_session(&self) -> Option<String> {
        let free = |known: &&Known| {
            let name = known.session.as_deref().unwrap();
            known.place == Place::Ready && !self.held.contains_key(name) && !self.waits(name)
        };
        self.messages.iter().find(free).and_then(|known| known.session.clone())
    }

    pub fn counts(&self) -> Counts {
        let of = |place| self.messages.iter().filter(|known| known.place == place).count() as u64;
        Counts {
            ready: of(Place::Ready),
            locked: of(Place::Locked),
            delayed: of(Place::Delayed),
            deferred: of(Place::Deferred),
            scheduled: of(Place::Scheduled),
            dead: self.dead.len() as u64,
        }
    }
}

pub fn is_expired(known: &Known, now: i64) -> bool {
    known.expires <= now && !matches!(known.place, Place::Locked | Place::Scheduled)
}
