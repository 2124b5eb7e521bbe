//! One run of a batch integration.
//!
//! Safe to run again at any point: a chunk is written by key, then its ledger entries, counts, rejected rows and (with
//! the last chunk of a page) the source's position are committed together. A crash between the write and the commit
//! repeats a chunk that changes nothing. No transaction of ours is open during a call to the outside.

mod create;
pub(crate) mod hold;
mod notes;
mod read;
mod remove;
pub(crate) mod wait;
mod write;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use definition::Drift;
use record::{Fault, Key, Moment, Reader, RetryPolicy, System};
use store::approvals::ApprovalId;
use store::cursors::Cursor;
use store::leases::Lease;
use store::ledger::{Entry, State as Settled};
use store::runs::{self, Counts, RunId, State, Trigger};
use store::{Op, Store, cursors, dead_letters, ledger};

use crate::codes;
use crate::consent::{self, Agreed, Consent, Guard};
use crate::error::{Error, Stopped};
use crate::gone::{self, Gone, Limits, Seen};
use crate::known::Known;
use crate::outage::with_retries;
use crate::pair::Pair;
use crate::place;
use crate::plan::Proofs;
use crate::reject::Rejected;
use crate::retyped;
use crate::sort::{Candidate, Keyed};
use crate::two_way;
use crate::watch::Watch;
use crate::window::Window;
pub use hold::left_behind;
use hold::{begin, end, keep};
use wait::Orphan;

/// A batch integration that is ready to run.
pub struct Job {
    pub integration: String,
    /// Parents before children.
    pub pairs: Vec<Pair>,
    /// Entities that go both ways; then there are no pairs.
    pub(crate) two_way: Vec<two_way::Joint>,
    pub stop_after: StopAfter,
    /// An earlier run was stopped by that, and nobody has asked for this one: it reads everything, and what was rejected
    /// before counts again.
    pub stopped_before: bool,
    /// Rows that wait for a parent at most; beyond it they become dead letters at once, and come back once it is there.
    pub waiting_max: usize,
    /// How often the destination is compared with what was written, and what becomes of what differs.
    pub compare_live: Option<Duration>,
    pub drift: Drift,
    /// When rows that are gone from the source are believed to be gone.
    pub limits: Limits,
    pub retry: RetryPolicy,
    /// What the run needs before it writes.
    pub consent: Consent,
    /// Only what the source changed in this time: no position is read or moved, and nothing is taken for gone.
    pub window: Option<Window>,
    /// The system that is read, where several entities of it belong to one moment.
    pub origin: Option<Arc<dyn System>>,
    /// The system that is written.
    pub destination: Arc<dyn System>,
    /// Short, one-way: another one where the definition behaves differently.
    pub definition: String,
    pub environment: Option<String>,
}

impl Job {
    /// What the ledger says of a row, for this run: of one that was rejected, perhaps that it is to be looked at anew.
    pub(crate) fn as_told(&self, known: Entry) -> Entry {
        match (self.stopped_before, known.state) {
            (true, Settled::Rejected) => Entry { source_hash: ledger::UNKNOWN, ..known },
            _ => known,
        }
    }
}

/// When a run has seen enough bad rows.
#[derive(Debug, Clone, Default)]
pub struct StopAfter {
    pub rejected: Option<u64>,
    /// Percent of the rows read, once a hundred were.
    pub percent: Option<record::Decimal>,
    /// So many rows at the beginning, all rejected with one code.
    pub first_rows_alike: Option<u64>,
}

impl StopAfter {
    /// How many rows a run rejects before it stops, where its first rows are all rejected for one reason.
    pub(crate) fn first_alike(&self, settled: u64, keyed: &Keyed, rejected: &[Rejected]) -> Option<usize> {
        let first = usize::try_from(self.first_rows_alike.filter(|_| settled == 0)?).ok()?;
        let code = |rejected: &Rejected| rejected.faults.first().map(|fault| fault.code);
        let (keys, rejected) = (keyed.keys.get(..first)?, rejected.get(..first)?);
        let alike = keys.iter().zip(rejected).all(|(key, one)| one.key == *key && code(one) == code(&rejected[0]));
        alike.then_some(first)
    }

    /// Why a run that mostly rejects stops: something is wrong with the source or the mapping, not with single rows.
    ///
    /// `by_code` holds the rejected rows, `settled` is how many rows have had an end, good or bad.
    pub(crate) fn reached(&self, integration: &str, by_code: &BTreeMap<String, u64>, settled: u64) -> Option<Fault> {
        // What was edited in the destination says nothing of the source, or of the mapping.
        let by_code: Vec<(&String, &u64)> = by_code.iter().filter(|(code, _)| **code != codes::DRIFTED.0).collect();
        let rejected: u64 = by_code.iter().map(|(_, rows)| **rows).sum();
        let percent = self.percent.filter(|percent| {
            settled >= 100
                && record::Decimal::from(rejected) * record::Decimal::ONE_HUNDRED
                    > *percent * record::Decimal::from(settled)
        });
        let why = if let Some(max) = self.rejected.filter(|max| rejected > *max) {
            format!("{rejected} rows were rejected, more than the {max} of `stop_after`")
        } else if let Some(percent) = percent {
            format!("{rejected} of {settled} rows were rejected, more than the {percent} % of `stop_after`")
        } else if let Some(first) = self.first_rows_alike.filter(|first| rejected >= *first && rejected == settled)
            && by_code.len() == 1
        {
            format!("the first {rejected} rows were all rejected for one reason (`first_rows_alike: {first}`)")
        } else {
            return None;
        };
        let code = by_code.iter().max_by_key(|(_, n)| **n).map_or("", |(code, _)| code.as_str());
        let fix = format!(
            "look at the reason first: ironbridge dead-letters list {integration} --code {code}; each run of the schedule stops here until these rows or the mapping are right; where they may stay as they are: ironbridge run {integration}"
        );
        Some(Fault::stop(codes::TOO_MANY_REJECTED, why).fix(fix))
    }
}

/// Why a run starts.
#[derive(Debug, Clone)]
pub struct Start {
    pub trigger: Trigger,
    pub slot: Option<jiff::Timestamp>,
    pub retry_of: Option<RunId>,
    /// Who runs it, for other processes to see: `machine/process`.
    pub holder: String,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    pub run: RunId,
    pub state: State,
    pub counts: Counts,
    /// Rejected rows by code.
    pub rejected: BTreeMap<String, u64>,
    /// Of the rows that were skipped: those that wait for a row that they point to.
    pub waiting: u64,
    /// The question that somebody has to answer before anything is written.
    pub approval: Option<ApprovalId>,
    pub error: Option<Fault>,
}

/// Runs an integration once.
///
/// *Errors*: only what keeps the run from being recorded: another process has the integration, or our own state cannot
/// be written. A run that fails otherwise is a [`Report`] with its fault.
/// *Cancel*: dropping it leaves the run to be closed as interrupted by the next one; nothing is lost.
pub async fn run(store: &Store, job: &Job, start: Start, watch: &dyn Watch) -> Result<Report, Error> {
    let begun = begin(store, &job.integration, &start).await?;
    go_on(store, job, begun, watch).await
}

/// Runs an integration once whose systems are still to be asked what they have: one that does not answer is tried again
/// for minutes, in which the run has begun.
pub(crate) async fn run_compiled(
    store: &Store,
    integration: &str,
    start: &Start,
    watch: &dyn Watch,
    job: impl Future<Output = Result<Job, Fault>>,
) -> Result<Report, Error> {
    let begun = begin(store, integration, start).await?;
    let job = tokio::select! {
        job = job => job,
        lost = keep(store, &begun.0) => return Err(lost.into()),
    };
    match job {
        Ok(job) => go_on(store, &job, begun, watch).await,
        Err(fault) => fail(store, begun, fault).await,
    }
}

async fn go_on(store: &Store, job: &Job, begun: (Lease, RunId), watch: &dyn Watch) -> Result<Report, Error> {
    if !job.two_way.is_empty() {
        return two_way::run(store, job, begun, watch).await;
    }
    let (lease, id) = begun;
    let compare = compares(store, job)?;
    let mut run = Run {
        compare,
        store,
        job,
        watch,
        lease: &lease,
        id,
        guard: Guard::default(),
        proofs: Proofs::of(store).await?,
        moment: None,
        counts: Counts::default(),
        rejected: BTreeMap::new(),
        waiting: 0,
        settled: 0,
        held: Chunk::default(),
        flights: VecDeque::new(),
        handed_in: None,
        committed: Instant::now(),
    };
    let result = tokio::select! {
        result = run.agreed() => result,
        lost = keep(store, &lease) => Err(Stopped::Store(lost)),
    };
    let (state, error, ops): (State, Option<Fault>, Vec<Op>) = match result {
        Ok(agreed) => {
            if agreed.is_none() {
                compared(store, job, &lease, id, run.compare).await?;
            }
            consent::ending(agreed, &run.counts, &run.guard, job, id)
        }
        Err(Stopped::Fault(fault)) => (State::Failed, Some(*fault), Vec::new()),
        Err(Stopped::Store(error)) => return Err(error.into()),
    };
    let approval = end(store, &lease, id, state, error.as_ref(), ops).await?;
    let Run { counts, rejected, waiting, .. } = run;
    Ok(Report { run: id, state, counts, rejected, waiting, approval, error })
}

/// Records a run that failed before it could read anything: a system that does not answer, a mapping that does not fit.
pub async fn failed(store: &Store, integration: &str, start: Start, fault: Fault) -> Result<Report, Error> {
    fail(store, begin(store, integration, &start).await?, fault).await
}

async fn fail(store: &Store, (lease, id): (Lease, RunId), fault: Fault) -> Result<Report, Error> {
    end(store, &lease, id, State::Failed, Some(&fault), Vec::new()).await?;
    Ok(Report {
        run: id,
        state: State::Failed,
        counts: Counts::default(),
        rejected: BTreeMap::new(),
        waiting: 0,
        approval: None,
        error: Some(fault),
    })
}

/// The stream of the cursor that says when an integration last compared.
const COMPARED: &str = "compare_live";

/// Whether the next run compares everything that was written with what the destination holds.
pub(crate) fn compares(store: &Store, job: &Job) -> Result<bool, store::Error> {
    let Some(every) = job.compare_live.filter(|_| job.window.is_none()) else { return Ok(false) };
    let Some(last) = store.cursor(&job.integration, COMPARED)? else { return Ok(false) };
    let since = store.clock().now().duration_since(last.updated);
    // Where the clock was ahead the last time, nobody knows how long ago that was.
    Ok(since.is_negative() || jiff::SignedDuration::try_from(every).is_ok_and(|every| since >= every))
}

/// Remembers when the destination was last compared; the first run counts as that.
pub(crate) async fn compared(
    store: &Store,
    job: &Job,
    lease: &Lease,
    id: RunId,
    compare: bool,
) -> Result<(), store::Error> {
    let integration = job.integration.clone();
    if job.window.is_some() || job.compare_live.is_none() || !compare && store.cursor(&integration, COMPARED)?.is_some()
    {
        return Ok(());
    }
    let (stream, position, fingerprint) = (COMPARED.to_owned(), id.to_string(), String::new());
    let set = cursors::Op::Set { integration, stream, position, fingerprint };
    store.commit(vec![lease.fence(), set.into()]).await.map(drop)
}

/// What several entities are read at: a child that is read is then of no parent that is younger than its own read.
pub(crate) async fn moment(job: &Job, watch: &dyn Watch) -> Result<Option<Arc<Moment>>, Fault> {
    match &job.origin {
        Some(origin) if job.window.is_none() => with_retries(&job.retry, watch, || origin.moment()).await,
        _ => Ok(None),
    }
}

/// Why everything is read after a run that `stop_after` has ended.
pub(crate) const STOPPED: &str = "an earlier run was stopped (`stop_after`), and what it rejected counts again";

/// Opens the source of an entity, at the moment of the run where it has one.
pub(crate) async fn open(
    job: &Job,
    watch: &dyn Watch,
    pair: &Pair,
    position: Option<&str>,
    moment: Option<&Arc<Moment>>,
) -> Result<Box<dyn Reader>, Fault> {
    let open = || match moment {
        Some(moment) => pair.source.read_at(position, moment),
        None => pair.source.read(position),
    };
    with_retries(&job.retry, watch, open).await
}

/// Where the read of an entity starts, and why from the beginning where that has a reason.
pub(crate) fn start(
    job: &Job,
    pair: &Pair,
    cursor: Option<Cursor>,
    compare: bool,
    waits: u64,
) -> (Option<String>, Option<String>) {
    match cursor {
        _ if compare => (None, Some("comparing with what the destination holds (`compare_live`)".to_owned())),
        _ if job.stopped_before => (None, Some(STOPPED.to_owned())),
        _ if pair.reads_all => (None, None),
        None => (None, None),
        Some(cursor) => match pair.reached_by().left(&cursor.fingerprint) {
            Some(why) => (None, Some(why.to_owned())),
            // They wait for a row that they point to, or were on their way when an earlier run was cut off.
            None if waits > 0 => (None, Some(format!("rows of it are not settled yet: {waits}"))),
            None => (Some(cursor.position), None),
        },
    }
}

/// The next read of this stream begins at the beginning: what was kept while it was read was for going on after a cut.
pub(crate) async fn begin_anew(store: &Store, lease: &Lease, integration: &str, stream: &str) -> Result<(), Stopped> {
    if store.cursor(integration, stream)?.is_some() {
        let reset = cursors::Op::Reset { integration: integration.to_owned(), stream: Some(stream.to_owned()) };
        store.commit(vec![lease.fence(), reset.into()]).await?;
    }
    Ok(())
}

pub(crate) fn does_not_add_up(counts: &Counts) -> Option<Fault> {
    if counts.adds_up() {
        return None;
    }
    let what = format!(
        "{} rows were read, and {} are accounted for ({} written, {} unchanged, {} rejected, {} skipped)",
        counts.read,
        counts.written() + counts.unchanged + counts.rejected + counts.skipped,
        counts.written(),
        counts.unchanged,
        counts.rejected,
        counts.skipped
    );
    Some(Fault::stop(codes::DOES_NOT_ADD_UP, what).fix("run it again: what is right is not written twice"))
}

struct Run<'a> {
    store: &'a Store,
    job: &'a Job,
    watch: &'a dyn Watch,
    lease: &'a Lease,
    id: RunId,
    /// Nothing is taken for unchanged without asking the destination.
    compare: bool,
    /// Looks at each write before it is sent.
    guard: Guard,
    proofs: Proofs,
    /// What all entities are read at, where the source can hold on to a moment.
    moment: Option<Arc<Moment>>,
    /// Of the whole run.
    counts: Counts,
    rejected: BTreeMap<String, u64>,
    waiting: u64,
    /// Rows with an end, good or bad, for `stop_after`.
    settled: u64,
    /// Counts and position of pages with nothing to remember but that: they go with the next commit.
    held: Chunk,
    /// Rows that are being created while the next ones are read, in the order in which they were sent.
    flights: VecDeque<create::Flight>,
    /// The commit that is being written while the next chunk is sent. The one after it waits for it.
    handed_in: Option<store::HandedIn>,
    /// When the last commit was made.
    committed: Instant,
}

/// What one commit carries besides the fence.
#[derive(Default)]
struct Chunk {
    counts: Counts,
    entries: Vec<Entry>,
    written: Vec<record::Key>,
    /// Of those written: the ones that were not there before.
    created: Vec<record::Key>,
    /// And those that were changed, or that are no longer there.
    updated: Vec<record::Key>,
    gone: Vec<record::Key>,
    rejected: Vec<Rejected>,
    /// Rows that wait for others, with what a dead letter of theirs says from now on.
    waits: Vec<Rejected>,
    /// Rows that are refused again, as they were.
    refused: Vec<Rejected>,
    /// Keys that the ledger forgets.
    removed: Vec<record::Key>,
    position: Option<String>,
}

impl Chunk {
    /// The destination refuses a row. One that it has refused before, just as it is, is a dead letter already.
    fn refuse(&mut self, pair: &Pair, row: &Candidate, rejected: Rejected) {
        if row.refused {
            self.counts.skipped += 1;
            self.entries.extend(rejected.entry(pair));
            self.refused.push(rejected);
        } else {
            self.rejected.push(rejected);
        }
    }
}

impl Run<'_> {
    /// Reads and writes, where the run may; otherwise why not.
    async fn agreed(&mut self) -> Result<Option<Agreed>, Stopped> {
        retyped::note(self.store, self.job, self.lease).await?;
        match consent::agree(self.store, self.job, self.watch).await? {
            Agreed::Go(guard) => self.guard = guard,
            other => return Ok(Some(other)),
        }
        for pair in &self.job.pairs {
            place::note(self.store, pair, Some(self.lease.fence())).await?;
        }
        self.pairs().await?;
        Ok(None)
    }

    async fn pairs(&mut self) -> Result<(), Stopped> {
        let job = self.job;
        self.moment = moment(job, self.watch).await?;
        let (mut all, mut orphans) = (Vec::new(), Vec::new());
        for pair in &job.pairs {
            let (seen, without_parent) = self.pair(pair).await?;
            all.push(seen);
            orphans.push(without_parent);
        }
        self.parents_of_all(orphans).await?;
        if job.window.is_some() {
            return Ok(());
        }
        if all.iter().all(|seen| seen.whole) {
            gone::enough_rows(self.store, job, self.counts.read)??;
        }
        // The source need not keep it any longer.
        self.moment = None;
        // Where what is gone of one entity cannot be believed, nothing of another is removed either.
        let mut missing = Vec::new();
        for (pair, seen) in job.pairs.iter().zip(&all) {
            missing.push(self.missing(pair, seen)?);
        }
        // Children go before their parents.
        for ((pair, seen), missing) in job.pairs.iter().zip(&all).zip(&missing).rev() {
            self.remove(pair, seen, missing).await?;
        }
        self.tell_sources().await
    }

    /// Reads and writes one entity; answers with the rows whose parents are not there yet, too.
    async fn pair(&mut self, pair: &Pair) -> Result<(Seen, Vec<Orphan>), Stopped> {
        let entity = &*pair.entity.name;
        let mut seen = Seen::new(pair, self.store.ledger_totals(&pair.to, entity)?.written);
        if let Some(window) = &self.job.window {
            let reader = window.open(self.job, pair, self.watch).await?;
            let orphans = self.read_window(pair, reader, &mut seen).await?;
            return Ok((seen, orphans));
        }
        self.revive(pair).await?;
        let waits = wait::waiting(self.store, self.job, pair)?.len() as u64;
        let cursor = self.store.cursor(&self.job.integration, entity)?;
        let is_left = cursor.as_ref().is_some_and(|cursor| pair.reached_by().left(&cursor.fingerprint).is_some());
        let (position, everything) = start(self.job, pair, cursor, self.compare, waits);
        if is_left {
            // Should this run end half-way and somebody take the change back, the rest is not right as it stands.
            begin_anew(self.store, self.lease, &self.job.integration, entity).await?;
        }
        let mut orphans = self.read(pair, position, everything, &mut seen).await?;
        if seen.deletions && !seen.whole {
            // The source names what it deleted by ids of its own, and the ledger knows keys.
            let why = "rows were deleted in the source; comparing every key shows which".to_owned();
            seen.begin_anew(pair);
            orphans = self.read(pair, None, Some(why), &mut seen).await?;
        }
        // Where rows that are gone are removed, that deals with these too.
        if pair.gone == Gone::Ignore {
            seen.as_written = Known::default();
            if waits > 0 {
                self.forget_waiting(pair, &orphans).await?;
            }
            self.close_unmet(pair, std::mem::take(&mut seen.unmet).into_values().collect()).await?;
        }
        Ok((seen, orphans))
    }

    /// Everything of a chunk in one commit.
    async fn commit(&mut self, pair: &Pair, chunk: Chunk) -> Result<(), Stopped> {
        self.hold(chunk);
        let held = std::mem::take(&mut self.held);
        self.hand_in(pair, held).await?;
        self.handed_in().await?;
        self.seen_enough().await
    }

    /// Waits for the commit that was handed in last.
    async fn handed_in(&mut self) -> Result<(), store::Error> {
        match self.handed_in.take() {
            Some(commit) => commit.done().await.map(drop),
            None => Ok(()),
        }
    }

    /// As [`Run::commit`], without waiting for the disk: at the latest the next commit does.
    async fn hand_in(&mut self, pair: &Pair, mut chunk: Chunk) -> Result<(), Stopped> {
        let (system, entity) = (pair.to.clone(), pair.entity.name.to_string());
        chunk.counts.rejected += chunk.rejected.len() as u64;
        let mut ops: Vec<Op> = vec![self.lease.fence(), runs::Op::Progress { run: self.id, more: chunk.counts }.into()];
        ops.extend(notes::of(&self.job.integration, pair, self.id, &chunk));
        let mut codes: Vec<String> = Vec::new();
        if !chunk.rejected.is_empty() {
            // Of two rows of one key, one may be written and the other not.
            let rejected: HashSet<&Key> = chunk.rejected.iter().map(|rejected| &rejected.key).collect();
            chunk.written.retain(|key| !rejected.contains(key));
        }
        for rejected in chunk.rejected {
            codes.push(rejected.faults.first().map(|f| f.code.to_string()).unwrap_or_default());
            chunk.entries.extend(rejected.entry(pair));
            let letter = rejected.into_dead_letter(&self.job.integration, pair, self.id);
            ops.push(dead_letters::Op::Reject(Box::new(letter)).into());
        }
        for waits in chunk.waits {
            let letter = waits.into_dead_letter(&self.job.integration, pair, self.id);
            ops.push(dead_letters::Op::Waits(Box::new(letter)).into());
        }
        for refused in chunk.refused {
            let letter = refused.into_dead_letter(&self.job.integration, pair, self.id);
            ops.push(dead_letters::Op::Refused(Box::new(letter)).into());
        }
        // A row that waits keeps the run in which it began to.
        for entry in chunk.entries.iter_mut().filter(|entry| entry.state != Settled::Waiting) {
            entry.generation = self.id.0 as u64;
        }
        if !chunk.entries.is_empty() {
            ops.push(ledger::Op::Put { system: system.clone(), entity: entity.clone(), entries: chunk.entries }.into());
        }
        if !chunk.removed.is_empty() {
            ops.push(ledger::Op::Remove { system, entity: entity.clone(), keys: chunk.removed }.into());
        }
        let integration = self.job.integration.clone();
        if !chunk.written.is_empty() {
            let keys = chunk.written;
            ops.push(
                dead_letters::Op::Supersede { integration: integration.clone(), entity: entity.clone(), keys }.into(),
            );
        }
        if let Some(position) = chunk.position {
            let fingerprint = pair.reached_by().to_string();
            ops.push(cursors::Op::Set { integration, stream: entity, position, fingerprint }.into());
        }
        self.handed_in().await?;
        self.handed_in = Some(self.store.hand_in(ops)?);
        self.committed = Instant::now();
        self.counts += chunk.counts;
        self.settled += chunk.counts.unchanged + chunk.counts.written() + chunk.counts.rejected + chunk.counts.skipped;
        for code in codes {
            *self.rejected.entry(code).or_default() += 1;
        }
        Ok(())
    }

    async fn seen_enough(&mut self) -> Result<(), Stopped> {
        match self.job.stop_after.reached(&self.job.integration, &self.rejected, self.settled) {
            Some(fault) => {
                self.handed_in().await?;
                Err(fault.into())
            }
            None => Ok(()),
        }
    }
}
