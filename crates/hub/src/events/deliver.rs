//! One message, from what it says to what the destination made of it.

use std::cmp::Ordering;

use record::hash::RowHasher;
use record::{Effect, Effected, Fault, Key, Now, RetryPolicy, Row, Scope, Value};
use store::Store;
use store::ledger::{self, Entry, State, UNKNOWN};
use store::queue::Problem;

use super::remove;
use super::route::{Brought, Mapped, Read, Route, Told};
use super::version;
use crate::adopt::{self, Existing};
use crate::codes;
use crate::gone::Gone;
use crate::outage::unanswered;
use crate::pair::Pair;
use crate::parents::{Parent, parents, still_missing};
use crate::patience;
use crate::reject::Rejected;
use crate::renumber;
use crate::sort::{self, Candidate, Decision};
use crate::watch::Log;

/// What to do with a message now.
pub(crate) enum Verdict {
    Done(Done),
    /// It failed by itself, and may succeed later.
    Again(Fault, Option<Key>),
    /// What it points to is not there yet: the rows that the hub has not written there.
    Wait(Fault, Option<Key>, Vec<Parent>),
    /// Nothing gets through to the other side.
    Down(Fault, Option<Key>),
    Dead {
        key: Option<Key>,
        problem: Problem,
        /// The row as it was read, where it was.
        row: Option<Row>,
        /// It was the destination that refused it.
        asked: bool,
        /// It has answered a write so: nothing came of that, and of another one it can be asked.
        refused: bool,
    },
}

pub(crate) struct Done {
    pub key: Option<Key>,
    /// What the ledger learns.
    pub entry: Option<Entry>,
    /// `created`, `updated`, `deleted`, `unchanged`, or why nothing was to be done.
    pub what: &'static str,
    pub home: Option<AtHome>,
    /// What else the commit is to hold.
    pub more: Vec<store::Op>,
    /// The destination has answered.
    pub asked: bool,
    /// All of the row was looked at, and nothing newer was: what its dead letters say is out of date.
    pub whole: bool,
    /// The key under which the row was delivered before it got this one.
    pub was: Option<Key>,
}

impl Done {
    /// Nothing is left to be done for the row.
    pub fn nothing(key: Option<Key>, what: &'static str) -> Done {
        Done { key, entry: None, what, home: None, more: Vec::new(), asked: false, whole: true, was: None }
    }
}

/// What was written into the system that the event came from.
pub(crate) struct AtHome {
    pub system: String,
    /// Fields and values.
    pub told: String,
}

/// Asked once: what fails for a while waits in the queue, and not in a loop.
const ONCE: RetryPolicy = RetryPolicy {
    immediate: 0,
    first: std::time::Duration::from_secs(1),
    longest: std::time::Duration::from_secs(1),
    give_up_after: std::time::Duration::ZERO,
};

/// *Errors*: our own state cannot be read.
pub(crate) async fn deliver(route: &Route, store: &Store, told: &Told<'_>) -> Result<Verdict, store::Error> {
    let pair = &route.pair;
    let (mut row, mut mapped, mut came_back) = match read(route, store, told).await? {
        Ok(read) => read,
        Err(verdict) => return Ok(verdict),
    };
    if late(route, store, &mapped)?.is_some_and(Ordering::is_le) && route.can_ask(told) {
        // Not newer than what was delivered: what it says may be out of date, and what it says besides may be news.
        (row, mapped, came_back) = match read(route, store, &Told { now: true, ..*told }).await? {
            Ok(read) => read,
            Err(verdict) => return Ok(verdict),
        };
    }
    if late(route, store, &mapped)?.is_some_and(Ordering::is_lt) {
        let older = Done::nothing(Some(mapped.key), version::OLDER);
        return Ok(Verdict::Done(Done { whole: false, ..older }));
    }
    let Mapped { key, record, wanted, content_hash } = mapped;
    let version = route.version(&record);
    let remembered = version.and_then(|(at, _)| version::remember(&pair.to, &pair.entity.name, &key, at));
    let _alone = route.alone(&key).await;
    let known = store.ledger_entry(&pair.to, &pair.entity.name, &key)?;
    let is_known =
        known.as_ref().is_some_and(|entry| entry.state == State::Written && Some(entry.content_hash) == content_hash);
    // What goes home may not have been there when this content was written: a batch, or a `write_back:` of later.
    let went_home = route.home.is_none() || known.as_ref().is_some_and(|entry| entry.mapping == route.fingerprint());
    // A delivery that ended without a word may have written something else since.
    if is_known && went_home && !told.again {
        // The same content was written before: a duplicate, an echo, or a later event of a row that was read late.
        let more = route.remembers(store, &row, &key)?.into_iter().chain(remembered).collect();
        return Ok(Verdict::Done(Done { more, ..Done::nothing(Some(key), "unchanged") }));
    }
    let whole = content_hash.is_some();
    // Of a part nothing can be said later but that something was written.
    let content_hash = content_hash.unwrap_or(UNKNOWN);
    let candidate = Candidate {
        key: key.clone(),
        source_hash: 0,
        content_hash,
        wanted,
        source: row.clone(),
        record,
        remote_id: known.as_ref().and_then(|entry| entry.remote_id.clone()),
        standing: known.as_ref().map_or(UNKNOWN, Entry::standing),
        waits_since: None,
        made: false,
        allowed: true,
        settled: false,
        new: false,
        refused: false,
    };
    debug_assert!(pair.gone == Gone::Ignore, "events remove nothing");
    Ok(match write(route, store, told.message, &candidate, known.as_ref()).await? {
        Ok(Taken { what, remote_id, version, returned, was }) => {
            if let Some(fault) = overtaken(route, came_back, &row).await {
                // What was written is out of date; what comes next is not to stop at "unchanged".
                doubt(store, pair, known.as_ref()).await?;
                return Ok(judge(route, fault, Some((&candidate, &row))));
            }
            let home = match &route.home {
                Some(home) => home.write(&candidate.record, returned.as_ref()).await,
                None => Ok(None),
            };
            let entry = Entry {
                key: key.clone(),
                source_hash: 0,
                content_hash,
                mapping: route.fingerprint(),
                state: State::Written,
                generation: 0,
                remote_id: remote_id.or(candidate.remote_id.clone()),
                version,
            };
            let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
            let left = was.clone().map(|old| ledger::Op::Remove { system, entity, keys: vec![old] }.into());
            let home = match home {
                Ok(home) => home,
                Err(fault) => {
                    // Written there and not here: what comes next is not to stop at "unchanged", nor to make the row anew.
                    let unknown = put(pair, Entry { content_hash: UNKNOWN, ..entry });
                    patience::commit(store, [unknown].into_iter().chain(left).collect()).await?;
                    return Ok(judge(route, fault, Some((&candidate, &row))));
                }
            };
            let more = route.remembers(store, &row, &key)?.into_iter().chain(remembered).chain(left).collect();
            Verdict::Done(Done { key: Some(key), entry: Some(entry), what, home, more, asked: true, whole, was })
        }
        Err(Unwritten { fault, tried }) => {
            let answered = tried && fault.effect == Effect::None && pair.sink.tells();
            match judge(route, fault, Some((&candidate, &row))) {
                Verdict::Wait(fault, key, _) => {
                    let missing = still_missing(store, &pair.to, parents(&candidate.record))?;
                    Verdict::Wait(fault, key, missing)
                }
                Verdict::Dead { key, problem, row, asked, .. } => {
                    Verdict::Dead { key, problem, row, asked, refused: answered }
                }
                verdict => verdict,
            }
        }
    })
}

/// What becomes of a message whose deliveries have all ended without a word, such as by the end of the hub.
///
/// *Errors*: our own state cannot be read or written.
pub(crate) async fn never_settled(
    route: &Route,
    store: &Store,
    told: &Told<'_>,
    deliveries: u32,
) -> Result<Verdict, store::Error> {
    let key = route.key_told(told);
    if let Some(key) = &key {
        let (to, entity) = (&route.pair.to, &route.pair.entity.name);
        let known = store.ledger_entry(to, entity, key)?;
        doubt(store, &route.pair, known.as_ref()).await?;
    }
    let what = format!(
        "the event was on its way to `{}` {deliveries} times, and each time the hub ended before it was done",
        route.pair.to
    );
    let fault = Fault::reject(codes::NEVER_SETTLED, what).at_system(&route.pair.to).fix(
        "look at the last lines that the hub logged each time; correct what it names, then send the dead letter again",
    );
    Ok(Verdict::Dead { key, problem: problem(route, fault, None), row: None, asked: false, refused: false })
}

/// Why a row that came back under the key of one that was deleted has to be delivered once more: its own events, which are
/// in nobody's way, may have brought something newer before it was written.
async fn overtaken(route: &Route, came_back: Option<Key>, written: &Row) -> Option<Fault> {
    let now = match remove::there_again(&route.pair, &came_back?).await {
        Ok(Some(row)) => route.with_lines(row).await,
        Ok(None) => return None,
        Err(fault) => Err(fault),
    };
    match now {
        Ok(row) if row_hash(&row) == row_hash(written) => None,
        Ok(_) => Some(remove::moved_on(&route.pair)),
        Err(fault) => Some(fault),
    }
}

/// A row through the mappings, and its key where it has come back under that of one that was deleted.
type Through = (Row, Mapped, Option<Key>);

/// The row that an event is about, through the mappings; or what there is to be done instead.
async fn read(route: &Route, store: &Store, told: &Told<'_>) -> Result<Result<Through, Verdict>, store::Error> {
    let nothing = |key, what| Ok(Err(Verdict::Done(Done::nothing(key, what))));
    let (row, absent, deleted) = match route.row(told).await {
        Ok(Brought::Row(row, absent)) => (row, absent, None),
        Ok(Brought::Again(row, key)) => {
            // Whether the one before it was removed by a try that nobody remembers, the destination is asked.
            let (to, entity) = (&route.pair.to, &route.pair.entity.name);
            let known = store.ledger_entry(to, entity, &key)?;
            doubt(store, &route.pair, known.as_ref()).await?;
            (row, Vec::new(), Some(key))
        }
        Ok(Brought::Deleted(key)) => return remove::remove(route, store, key).await.map(Err),
        Ok(Brought::LeftOut) => return nothing(None, "not what the trigger wants"),
        Ok(Brought::Gone) => {
            let gone = Done::nothing(route.key_told(told), "the row is gone");
            return Ok(Err(Verdict::Done(Done { whole: false, ..gone })));
        }
        Err(fault) => {
            return Ok(Err(match judge(route, fault, None) {
                Verdict::Dead { problem, row, asked, refused, .. } => {
                    Verdict::Dead { key: route.key_told(told), problem, row, asked, refused }
                }
                verdict => verdict,
            }));
        }
    };
    match route.map(&row, &absent) {
        Ok(Read::Mapped(mapped)) => Ok(Ok((row, *mapped, deleted))),
        // What is there now is not wanted, and what was wanted is gone.
        Ok(Read::LeftOut { .. }) if deleted.is_some() => remove::remove(route, store, deleted).await.map(Err),
        Ok(Read::LeftOut { key, why }) => nothing(key, why),
        Ok(Read::Bad { key, faults, fields }) => {
            let rejected = Rejected {
                key: key.clone().unwrap_or_else(|| crate::reject::keyless(0)),
                source_hash: 0,
                faults,
                source: row.clone(),
                fields,
                remote_id: None,
                parents: Vec::new(),
                standing: None,
            };
            let problem = rejected.problem(&route.pair);
            Ok(Err(Verdict::Dead { key, problem, row: Some(row), asked: false, refused: false }))
        }
        Err(fault) => Ok(Err(Verdict::Down(fault, None))),
    }
}

/// How a row stands to what was delivered last. Nothing where no version tells.
fn late(route: &Route, store: &Store, mapped: &Mapped) -> Result<Option<Ordering>, store::Error> {
    let Some(version) = route.version(&mapped.record) else { return Ok(None) };
    version::beside_delivered(store, &route.pair.to, &route.pair.entity.name, &mapped.key, version)
}

/// What the destination made of a row.
struct Taken {
    what: &'static str,
    remote_id: Option<String>,
    version: Option<String>,
    returned: Option<Row>,
    /// The row has another key now than it was written under.
    was: Option<Key>,
}

/// Why the destination is not as it should be.
struct Unwritten {
    fault: Fault,
    /// It was asked to write.
    tried: bool,
}

impl From<Fault> for Unwritten {
    fn from(fault: Fault) -> Unwritten {
        Unwritten { fault, tried: false }
    }
}

/// Brings the destination to what is wanted; writes nothing where it is so already.
async fn write(
    route: &Route,
    store: &Store,
    message: &str,
    candidate: &Candidate,
    known: Option<&Entry>,
) -> Result<Result<Taken, Unwritten>, store::Error> {
    let pair = &route.pair;
    let columns = pair.asked();
    let current = pair.sink.current(std::slice::from_ref(&candidate.wanted.key), &columns).await;
    let mut currents = match current {
        Ok(currents) => currents,
        Err(fault) => return Ok(Err(fault.into())),
    };
    let rows = std::slice::from_ref(candidate);
    let mut existing = match adopt::existing(store, &ONCE, &Log(None), pair, rows, &mut currents).await? {
        Ok(existing) => existing,
        Err(fault) => return Ok(Err(fault.into())),
    };
    if let Err(fault) = renumber::renumbered(store, &ONCE, &Log(None), pair, rows, &mut currents, &mut existing).await?
    {
        return Ok(Err(fault.into()));
    }
    let decision = sort::decide(pair, candidate, currents[0].as_ref());
    let change = match adopt::settle(pair, candidate, &existing[0], decision) {
        Decision::Same { remote_id, version } => {
            let returned = currents.swap_remove(0).and_then(|current| current.returned);
            return Ok(Ok(Taken { what: "unchanged", remote_id, version, returned, was: None }));
        }
        Decision::Write(change) => *change,
        Decision::Reject(fault) | Decision::Drifted(fault) => return Ok(Err(fault.into())),
    };
    let claims = known.is_none() && currents[0].is_none() && route.delivers_deletions();
    if claims {
        // Whatever happens from here on, a deletion in the source finds that the row here is ours.
        claim(store, route, candidate).await?;
    }
    store.failpoints().hit("sink.before")?;
    let once = once(pair, message, candidate);
    let outcome = pair.sink.apply_once(&once, std::slice::from_ref(&change)).await;
    if let Err(injected) = store.failpoints().hit("sink.after") {
        doubt(store, pair, known).await?;
        return Err(injected.into());
    }
    let outcome = outcome.and_then(|outcomes| outcomes.into_iter().next().unwrap_or_else(|| Err(unanswered(&pair.to))));
    match &outcome {
        Ok(_) => {}
        // It was not made: whoever makes it now, it is not ours.
        Err(fault) if claims && !fault.is_transient() => {
            let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
            let not_ours = ledger::Op::Remove { system, entity, keys: vec![candidate.key.clone()] };
            patience::commit_one(store, not_ours).await?;
        }
        Err(_) => doubt(store, pair, known).await?,
    }
    let outcome = outcome.map_err(|fault| Unwritten { fault, tried: true });
    let before = currents.swap_remove(0);
    Ok(outcome.map(|written| {
        let what = match written.effect {
            Effected::Created => "created",
            Effected::Upserted if before.is_none() => "created",
            Effected::Unchanged => "unchanged",
            Effected::Updated | Effected::Upserted | Effected::Deleted => "updated",
        };
        Taken {
            what,
            remote_id: written.remote_id.as_deref().map(str::to_owned),
            version: written.version.as_deref().map(str::to_owned),
            // What it gave the row once, it need not say again at each change.
            returned: written.returned.or(before.and_then(|before| before.returned)),
            was: match &existing[0] {
                Existing::Renumbered(old) => Some(old.clone()),
                _ => None,
            },
        }
    }))
}

/// Something else is about to be written to this row: see [`Entry::doubted`].
pub(super) async fn doubt(store: &Store, pair: &Pair, known: Option<&Entry>) -> Result<(), store::Error> {
    match known.and_then(Entry::doubted) {
        Some(doubted) => patience::commit_one(store, put(pair, doubted)).await.map(drop),
        None => Ok(()),
    }
}

/// Notes that a row is ours before it is made.
async fn claim(store: &Store, route: &Route, candidate: &Candidate) -> Result<(), store::Error> {
    let pair = &route.pair;
    let entry = Entry {
        key: candidate.key.clone(),
        source_hash: 0,
        content_hash: UNKNOWN,
        mapping: pair.fingerprint(),
        state: State::Written,
        generation: 0,
        remote_id: None,
        version: None,
    };
    let remembers = route.remembers(store, &candidate.source, &candidate.key)?;
    patience::commit(store, [vec![put(pair, entry)], remembers].concat()).await.map(drop)
}

fn put(pair: &Pair, entry: Entry) -> store::Op {
    let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
    ledger::Op::Put { system, entity, entries: vec![entry] }.into()
}

/// By which a row is recognised that has not changed since a delivery read it.
pub(super) fn row_hash(row: &Row) -> u128 {
    let mut named: Vec<_> = row.iter().map(|(name, value)| (name, value.as_ref())).collect();
    named.sort_by_key(|(name, _)| *name);
    RowHasher::default().hash_named(named)
}

/// What a destination notes of a message: its id, and what it was to write. A message that is told again by a row that
/// has changed since says something else, and is written.
fn once(pair: &Pair, message: &str, candidate: &Candidate) -> String {
    let id = [message, &pair.entity.name, &pair.to].map(Value::text);
    let content = candidate.wanted.columns.values().iter().chain(candidate.wanted.on_create.values());
    let parts = candidate.wanted.key.parts();
    let values = id.iter().chain(&parts).chain(content);
    format!("{:032x}", RowHasher::default().hash(values.map(Value::as_ref)))
}

/// Whether a fault is the message's own, or keeps every message from getting through.
fn judge(route: &Route, fault: Fault, row: Option<(&Candidate, &Row)>) -> Verdict {
    let key = row.map(|(candidate, _)| candidate.key.clone());
    judge_of(route, fault, key, row)
}

pub(super) fn judge_of(route: &Route, fault: Fault, key: Option<Key>, row: Option<(&Candidate, &Row)>) -> Verdict {
    match (fault.now, fault.scope) {
        _ if fault.code == codes::REFERENCE_MISSING => Verdict::Wait(fault, key, Vec::new()),
        (Now::RetryAfter(_) | Now::Stop | Now::AskPerson, Scope::Destination) => Verdict::Down(fault, key),
        (Now::RetryAfter(_), _) => Verdict::Again(fault, key),
        _ => {
            // Whoever asks the source alone does not know the key yet.
            let asked = key.is_some();
            Verdict::Dead {
                problem: problem(route, fault, row),
                key,
                row: row.map(|(_, row)| row.clone()),
                asked,
                refused: false,
            }
        }
    }
}

/// What a person is told of a message that was given up on.
fn problem(route: &Route, fault: Fault, row: Option<(&Candidate, &Row)>) -> Problem {
    let rejected = Rejected {
        key: row.map_or_else(|| crate::reject::keyless(0), |(candidate, _)| candidate.key.clone()),
        source_hash: 0,
        faults: vec![fault],
        source: row.map_or_else(|| Row::new(record::Schema::new(Vec::new()), Vec::new()), |(_, row)| row.clone()),
        fields: row.map(|(candidate, _)| route.pair.write.explain(&candidate.record)).unwrap_or_default(),
        remote_id: None,
        parents: Vec::new(),
        standing: None,
    };
    rejected.problem(&route.pair)
}

/// The problem of a message whose retries have ended.
pub(crate) fn ended(route: &Route, mut fault: Fault, how: &str) -> Problem {
    fault.what = format!("{}; {how}", fault.what);
    problem(route, fault, None)
}
