//! Rows that are gone from the source: which they are, whether that can be right, and what becomes of them.
//!
//! Only what the ledger knows as written can be gone, so only rows that this hub made or adopted are ever touched. A
//! source that was read in part, or that gives nothing, tells of no row that it is gone.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use definition::MinRows;
use record::hash::ByHash;
use record::{
    Change, Column, Current, Decimal, Fault, Key, KeyHasher, KeyRules, Op, RetryPolicy, Row, Schema, Sink, Type, Value,
};
use store::Store;
use store::ledger::{Entry, LEFT, State, UNKNOWN};
use store::runs;

use crate::batch::Job;
use crate::codes;
use crate::known::Known;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::reject::Rejected;
use crate::sort::Keyed;
use crate::watch::Watch;

/// What becomes of a row of the destination when it is gone from the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    Ignore,
    /// It becomes inactive; `returns_active` when it comes back.
    Deactivate {
        returns_active: bool,
    },
    Delete,
}

/// The column of Dataverse that says whether a row is active, and what it holds then.
pub(crate) const STATE: &str = "statecode";
/// Why a row is in its state.
pub(crate) const REASON: &str = "statuscode";
const ACTIVE: &str = "0";
const INACTIVE: &str = "1";

/// When a run that finds rows gone is to be believed.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// In percent of the rows that the hub has written.
    pub max_deletes: Decimal,
    pub min_rows: Option<MinRows>,
}

/// What one run has seen of one entity in the source. Nothing but `as_written` where nobody asks what is gone.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    rules: KeyRules,
    /// The rows that were written before, each with whether it was seen as it was.
    pub as_written: Known,
    /// Hashes of the other rows' keys as the destination compares them: 16 bytes a row, however long the keys are.
    keys: HashSet<u128, ByHash>,
    hasher: KeyHasher,
    /// Read from the beginning: what was not seen is gone.
    pub whole: bool,
    /// Rows of which not even the key can be read: any row might be one of them.
    pub keyless: u64,
    /// Rows that were written once, and that `where:` leaves out now.
    left_out: Vec<Key>,
    /// The source named rows as deleted, by ids that are its own.
    pub deletions: bool,
    /// The rows that the hub had written before it began to read.
    pub known: u64,
    /// The place to go on from, once what is gone is dealt with.
    pub position: Option<String>,
    /// Where rows that are gone stay in the destination: the keys of dead letters that the read has not met so far.
    pub unmet: HashMap<u128, Key, ByHash>,
}

/// The rows of the ledger that are gone.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Rows that the destination has.
    pub written: Vec<Entry>,
    /// Dead letters, and rows that wait, of which nothing was ever written.
    pub never_written: Vec<Entry>,
}

impl Seen {
    pub fn new(pair: &Pair, known: u64) -> Seen {
        Seen { rules: pair.sink.key_rules(), known, ..Seen::default() }
    }

    /// Before a read of everything that follows a read of changes: what that one has seen may be gone by now.
    pub fn begin_anew(&mut self, pair: &Pair) {
        *self = Seen::new(pair, self.known);
    }

    pub fn add(&mut self, keyed: &Keyed, left_out: Vec<Key>, keyless: u64) {
        for key in keyed.asked() {
            self.keys.insert(self.hasher.hash(key, self.rules));
        }
        for key in &left_out {
            self.keys.remove(&self.hasher.hash(key, self.rules));
        }
        self.left_out.extend(left_out);
        self.keyless += keyless;
    }

    /// Looks out for the rows of dead letters.
    pub fn look_out(&mut self, keys: Vec<Key>) {
        self.unmet = keys.into_iter().map(|key| (self.hasher.hash(&key, self.rules), key)).collect();
    }

    /// `left_out`: rows that `where:` leaves out, which are gone like any other.
    pub fn meet(&mut self, keyed: &Keyed, left_out: &[Key]) {
        if self.unmet.is_empty() {
            return;
        }
        let left_out: HashSet<&Key> = left_out.iter().collect();
        for key in keyed.asked().filter(|key| !left_out.contains(key)) {
            self.unmet.remove(&self.hasher.hash(key, self.rules));
        }
    }

    /// Whether the position must wait until what is gone is dealt with.
    pub fn holds_position(&self) -> bool {
        self.whole || self.deletions || !self.left_out.is_empty()
    }

    /// *Errors*: of our own state.
    pub fn missing(&self, store: &Store, pair: &Pair) -> Result<Missing, store::Error> {
        let (mut missing, mut hasher) = (Missing::default(), KeyHasher::default());
        let mut keys = Vec::new();
        if !self.whole {
            keys.clone_from(&self.left_out);
        } else if self.keyless == 0 {
            store.ledger_scan(&pair.to, &pair.entity.name, |seen| {
                if seen.state != State::Deactivated
                    && !(seen.state == State::Written && self.as_written.has_met(seen.source_hash))
                    && let Ok(key) = Key::from_bytes(seen.key)
                    && !self.keys.contains(&hasher.hash(&key, self.rules))
                {
                    keys.push(key);
                }
                ControlFlow::Continue(())
            })?;
        }
        for entry in store.ledger_get(&pair.to, &pair.entity.name, &keys)?.into_iter().flatten() {
            match entry.state {
                State::Deactivated => {}
                // No version of it was written that anybody knows of.
                _ if entry.standing() == UNKNOWN => missing.never_written.push(entry),
                _ => missing.written.push(entry),
            }
        }
        Ok(missing)
    }

    /// Whether so many rows can really be gone.
    ///
    /// *Errors*: the fault that asks a person.
    pub fn believe(&self, pair: &Pair, missing: &Missing, job: &Job) -> Result<(), Fault> {
        if missing.written.is_empty() {
            return Ok(());
        }
        let (gone, entity) = (missing.written.len() as u64, &pair.entity.name);
        if self.whole && self.keys.is_empty() && !self.as_written.has_met_any() {
            let what = format!(
                "`{}` gave no row of `{entity}`, and {gone} were written before: an empty source deletes nothing",
                pair.from
            );
            return Err(Fault::ask_person(codes::TOO_FEW_ROWS, what).at_system(&pair.from).fix(
                "look at the source first; where it is meant to be empty, remove the rows in the destination by hand",
            ));
        }
        let written = self.known.max(gone);
        if Decimal::from(gone) * Decimal::ONE_HUNDRED > job.limits.max_deletes * Decimal::from(written) {
            let what = format!(
                "{gone} of {written} rows of `{entity}` are gone from `{}`, more than `max_deletes: {} %`; none was {}",
                pair.from,
                job.limits.max_deletes.normalize(),
                pair.gone.done()
            );
            return Err(Fault::ask_person(codes::TOO_MANY_GONE, what).at_system(&pair.from).fix(format!(
                "look at them with `ironbridge plan {0}`; where they are gone indeed, allow it for one run: ironbridge run {0} --max-deletes \"50 %\"",
                job.integration
            )));
        }
        Ok(())
    }
}

/// Whether a source gave as many rows as it should.
///
/// *Errors*: the inner result is the fault that ends the run.
pub(crate) fn enough_rows(store: &Store, job: &Job, read: u64) -> Result<Result<(), Fault>, store::Error> {
    let (least, why) = match job.limits.min_rows {
        None => return Ok(Ok(())),
        Some(MinRows::Rows(rows)) => (rows, format!("`min_rows: {rows}`")),
        Some(MinRows::OfUsual(percent)) => {
            let Some(usual) = usual(store, &job.integration)? else { return Ok(Ok(())) };
            let least = (Decimal::from(usual) * percent / Decimal::ONE_HUNDRED).ceil();
            let why = format!("`min_rows: {} % of usual`, and {usual} are usual", percent.normalize());
            (least.try_into().unwrap_or(u64::MAX), why)
        }
    };
    if read >= least {
        return Ok(Ok(()));
    }
    let what = format!("the source gave {read} rows, fewer than {why}; nothing was deleted");
    Ok(Err(Fault::stop(codes::TOO_FEW_ROWS, what)
        .fix("look at the source; once it gives everything again, the next run goes on by itself")))
}

/// The middle of the last good runs, without backfills; `None` until there are three.
fn usual(store: &Store, integration: &str) -> Result<Option<u64>, store::Error> {
    let runs = store.runs(Some(integration), None, 30)?;
    let good = |run: &&runs::Run| run.state.is_good() && run.trigger != runs::Trigger::Backfill;
    let mut read: Vec<u64> =
        runs.iter().filter(good).map(|run| run.counts.read).filter(|read| *read > 0).take(15).collect();
    read.sort_unstable();
    Ok((read.len() >= 3).then(|| read[read.len() / 2]))
}

/// What the destination has of rows that are gone, with its keys of them. A key that fits no column there has no row:
/// that of a row without a key.
pub(crate) async fn current(
    retry: &RetryPolicy,
    watch: &dyn Watch,
    pair: &Pair,
    entries: &[Entry],
) -> Result<(Vec<Key>, Vec<Option<Current>>), Fault> {
    let keys: Vec<Option<Key>> = entries.iter().map(|entry| pair.write.key_of(&entry.key)).collect();
    let known: Vec<Key> = keys.iter().flatten().cloned().collect();
    let asked = [pair.key_columns.clone(), pair.gone.asks()].concat();
    let mut found = with_retries(retry, watch, || pair.sink.current(&known, &asked)).await?.into_iter();
    let with_current = entries.iter().zip(keys).map(|(entry, key)| match key {
        Some(key) => (key, found.next().flatten()),
        None => (entry.key.clone(), None),
    });
    Ok(with_current.unzip())
}

/// What is written for a row that is gone; `None` where the destination has nothing to change. `id`: what names the row
/// there, where the hub knows it.
pub(crate) fn change(pair: &Pair, key: &Key, id: Option<&str>, current: Option<&Current>) -> Option<Change> {
    match pair.gone {
        Gone::Ignore => None,
        Gone::Delete => removal(&*pair.sink, key, id, current),
        Gone::Deactivate { .. } => {
            let remote_id = current.filter(|current| !is_inactive(current))?.remote_id.clone();
            Some(Change { op: Op::Update, key: key.clone(), columns: state(INACTIVE), remote_id, if_version: None })
        }
    }
}

/// What deletes a row. Nothing where the destination says that it is not there; one that cannot be asked is told.
pub(crate) fn removal(sink: &dyn Sink, key: &Key, id: Option<&str>, current: Option<&Current>) -> Option<Change> {
    let there = current.is_some() || !sink.tells();
    let remote_id = current.and_then(|current| current.remote_id.clone()).or_else(|| id.map(Into::into));
    let columns = Row::new(Schema::new(Vec::new()), Vec::new());
    there.then(|| Change { op: Op::Delete, key: key.clone(), columns, remote_id, if_version: None })
}

/// The entry of a row that this run is about to delete or deactivate. Like any row that is on its way it waits.
pub(crate) fn leaving(entry: &Entry, run: runs::RunId) -> Entry {
    Entry { content_hash: LEFT, ..entry.waiting(run.0 as u64) }
}

/// The entry of a row that is gone, and that the destination has all the same: a dead letter of no row of the source.
pub(crate) fn kept(entry: &Entry) -> Entry {
    Entry { state: State::Rejected, source_hash: UNKNOWN, content_hash: entry.standing(), ..entry.clone() }
}

/// Whether that is known of it already, and told.
pub(crate) fn is_kept(entry: &Entry) -> bool {
    (entry.state, entry.source_hash) == (State::Rejected, UNKNOWN)
}

/// A row that the destination would not part with.
pub(crate) fn rejected(entry: &Entry, fault: Fault) -> Rejected {
    Rejected {
        key: entry.key.clone(),
        source_hash: entry.source_hash,
        faults: vec![fault.at_key(entry.key.to_string())],
        source: Row::new(Schema::new(Vec::new()), Vec::new()),
        fields: Vec::new(),
        remote_id: entry.remote_id.clone(),
        parents: Vec::new(),
        standing: None,
    }
}

/// Whether the destination has another row under the key than the one that the hub wrote: somebody has replaced it.
///
/// An address that a service writes in several ways, with its quotes encoded or not, does not tell.
pub(crate) fn is_another(entry: &Entry, current: Option<&Current>) -> bool {
    let there = current.and_then(|current| current.remote_id.as_deref());
    let tells = |id: &str| !id.contains(['\'', '%', '=']);
    let other = |(known, there): (&str, &str)| tells(known) && tells(there) && !known.eq_ignore_ascii_case(there);
    entry.remote_id.as_deref().zip(there).is_some_and(other)
}

/// A row is gone from the source, and the destination has one of its key that the hub never wrote: somebody else's, or
/// ours from a run that was cut between writing and remembering; that is for a person to say.
pub(crate) fn not_known_as_ours(pair: &Pair) -> Fault {
    let entity = &pair.entity.name;
    let what = format!(
        "a row of `{entity}` is gone from `{}`, and `{}` has a row of its key that the hub does not know as its own",
        pair.from, pair.to
    );
    Fault::reject(codes::NOT_KNOWN_AS_OURS, what)
        .at_system(&pair.to)
        .fix("look at the row there, and remove it by hand if nobody needs it")
}

/// Which rows the destination has no longer under their keys, and has all the same, under others that the hub did not
/// give them. *Shape*: one answer for each entry.
///
/// *Errors*: the inner result is the fault of the destination.
pub(crate) async fn moved(
    store: &Store,
    retry: &RetryPolicy,
    watch: &dyn Watch,
    pair: &Pair,
    entries: &[Entry],
    currents: &[Option<Current>],
) -> Result<Result<Vec<bool>, Fault>, store::Error> {
    let absent = entries.iter().zip(currents).filter(|(_, current)| current.is_none());
    let ids: Vec<Arc<str>> = absent.filter_map(|(entry, _)| entry.remote_id.as_deref().map(Arc::from)).collect();
    let mut moved = vec![false; entries.len()];
    if ids.is_empty() {
        return Ok(Ok(moved));
    }
    let found = match with_retries(retry, watch, || pair.sink.by_id(&ids, &pair.key_columns)).await {
        Ok(found) => found,
        Err(fault) => return Ok(Err(fault)),
    };
    let there: Vec<&str> = ids.iter().zip(&found).filter(|(_, row)| row.is_some()).map(|(id, _)| &**id).collect();
    let known = store.ledger_of_remote(&pair.to, &pair.entity.name, &there)?;
    for (at, entry) in entries.iter().enumerate().filter(|(at, _)| currents[*at].is_none()) {
        let id = entry.remote_id.as_deref().filter(|id| there.contains(id));
        // The row of another key of the source goes its own way.
        let renumbered = |id: &str| known.iter().any(|(known, key)| known == id && *key != entry.key);
        moved[at] = id.is_some_and(|id| !renumbered(id));
    }
    Ok(Ok(moved))
}

/// A row that is gone from the source, and that somebody has given another key in the destination.
pub(crate) fn gone_and_moved(pair: &Pair, entry: &Entry) -> Fault {
    let what = format!(
        "the row is gone from `{}`, and somebody has changed its key in `{}`; it was not {}",
        pair.from,
        pair.to,
        pair.gone.done()
    );
    let id = entry.remote_id.as_deref().unwrap_or_default();
    Fault::reject(codes::GONE_AND_MOVED, what)
        .at_system(&pair.to)
        .at_table(&pair.table)
        .fix(format!("look at the row {id} there: give it its key back, or remove it by hand if nobody needs it"))
}

/// The destination's key is made of more than the entity's key, and a row that is gone has no more than that.
pub(crate) fn cannot_remove(pair: &Pair) -> Fault {
    let what = format!(
        "`{}` finds rows of `{}` by columns that are not made of its key alone, so a row that is gone cannot be found",
        pair.to, pair.entity.name
    );
    Fault::ask_person(codes::CANNOT_REMOVE, what)
        .at_system(&pair.to)
        .fix("make the alternate key of the entity's key fields, or write `deletes: ignore`")
}

/// The column that a returning row gets besides its own.
pub(crate) fn active_again() -> (Column, Value) {
    (state_column(), Value::Choice(ACTIVE.into()))
}

pub(crate) fn is_inactive(current: &Current) -> bool {
    current.columns.get(STATE).is_some_and(|now| !now.is_blank() && now.to_string() != ACTIVE)
}

fn state(value: &str) -> Row {
    Row::new(Schema::new(vec![state_column()]), vec![Value::Choice(value.into())])
}

fn state_column() -> Column {
    Column { name: STATE.into(), ty: Type::Choice { values: [ACTIVE.to_owned(), INACTIVE.to_owned()].into() } }
}

impl Gone {
    /// The columns that must be known of a row before it is touched.
    pub(crate) fn asks(self) -> Vec<String> {
        match self {
            Gone::Deactivate { .. } => vec![STATE.to_owned()],
            Gone::Ignore | Gone::Delete => Vec::new(),
        }
    }

    fn done(self) -> &'static str {
        match self {
            Gone::Delete => "deleted",
            _ => "deactivated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_another_where_its_id_says_so() {
        let entry = |id: Option<&str>| Entry {
            key: Key::of(&[Value::text("C-1")]).unwrap(),
            source_hash: 0,
            content_hash: 0,
            mapping: 0,
            state: State::Written,
            generation: 0,
            remote_id: id.map(str::to_owned),
            version: None,
        };
        let there = |id: Option<&str>| Current {
            remote_id: id.map(Into::into),
            version: None,
            columns: Row::new(Schema::new(Vec::new()), Vec::new()),
            returned: None,
        };
        for (known, now, expected) in [
            (Some("6f96"), Some("6F96"), false),
            (Some("6f96"), Some("71ab"), true),
            (Some("(6f96)"), Some("(71ab)"), true),
            (Some("('C-1')"), Some("(%27C-1%27)"), false),
            (Some("6f96"), None, false),
            (None, Some("6f96"), false),
        ] {
            assert_eq!(is_another(&entry(known), Some(&there(now))), expected, "{known:?} {now:?}");
        }
        assert!(!is_another(&entry(Some("6f96")), None), "nothing is no other row");
    }
}
