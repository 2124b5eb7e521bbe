//! Sorts the rows of a page: unchanged, left out, rejected, or to be written. No IO.

use std::collections::HashMap;

use definition::Drift;
use mapping::{Read, Wanted, content};
use record::hash::{ByHash, RowHasher};
use record::{Change, Current, Fault, Key, KeyHasher, KeyRules, Op, Page, Row, RowRef, Schema, Value};
use store::ledger::{Entry, LEFT, State, UNKNOWN};

use crate::codes;
use crate::gone::{self, Gone};
use crate::known::Known;
use crate::pair::Pair;
use crate::reject::{Rejected, keyless};
use crate::twins::Twins;

/// The rows of one page with their keys, ready to be compared with the ledger.
#[derive(Default)]
pub(crate) struct Keyed {
    binding: Vec<usize>,
    /// For each row of the batch: the hash of what the mapping reads, and the key.
    hashes: Vec<u128>,
    /// A row without a key has one made of its content, so that the ledger knows it again. *Shape*: empty where every
    /// row of the page is as it was written.
    pub keys: Vec<Key>,
    /// The rows that are as they were written. *Shape*: one for each row.
    as_written: Vec<bool>,
    /// The keys that more than one row of the page has, each with the key of another such row.
    twice: HashMap<Key, Key>,
    /// The rows that cannot be read: a hash of what can, and the key.
    unreadable: Vec<(u128, Key)>,
    /// How many of these have no key.
    keyless: u64,
}

/// A row that differs from what was last written, or that the ledger does not know.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub key: Key,
    pub source_hash: u128,
    pub content_hash: u128,
    pub wanted: Wanted,
    pub source: Row,
    /// The record between the two mappings, for its references.
    pub record: Row,
    /// The destination's id of the row, where the ledger knows it.
    pub remote_id: Option<String>,
    /// What the ledger has of it in the destination: see [`Entry::standing`].
    pub standing: u128,
    /// The run in which it began to wait for a row that it points to.
    pub waits_since: Option<u64>,
    /// This run has created it without what it points to, and is about to complete it.
    pub made: bool,
    /// The ledger says that the destination has it so already: it is only looked at to see whether that still holds.
    pub settled: bool,
    /// The ledger has never heard of it.
    pub new: bool,
    /// It was refused before, just as it is.
    pub refused: bool,
    /// The run may write it: its plan was looked at, and this row was as planned when it was first tried.
    pub allowed: bool,
}

/// What became of the rows of a page.
#[derive(Default)]
pub(crate) struct Sorted {
    pub unchanged: u64,
    /// Rows that `where:` leaves out, and dead letters that have not changed.
    pub skipped: u64,
    /// Their content is what was written; only how it was read has changed.
    pub refreshed: Vec<Entry>,
    pub rejected: Vec<Rejected>,
    pub candidates: Vec<Candidate>,
    /// Of `skipped`: rows that `where:` leaves out, and that were written once.
    pub left_out: Vec<Key>,
    /// Rows of which not even the key can be read.
    pub keyless: u64,
}

/// The keys of a page's rows; `known` says which of the rows need none.
pub(crate) fn keys(pair: &Pair, page: &Page, known: &mut Known) -> Result<Keyed, Fault> {
    let binding = pair.read.bind(page.batch.schema()).map_err(|missing| {
        let table = missing.join("`, `");
        Fault::stop(codes::COLUMN_MISSING, format!("`{}` has no column `{table}`, which the mapping reads", pair.from))
            .at_system(&pair.from)
            .fix("correct the mapping, or give the source its column back; nothing was written")
    })?;
    let mut hasher = RowHasher::default();
    let mut keyed = Keyed { binding, ..Keyed::default() };
    for unreadable in &page.unreadable {
        let row = record::Batch::from_rows(unreadable.row.schema().clone(), [&unreadable.row]);
        let key = pair.read.bind(row.schema()).ok().and_then(|binding| pair.read.key(row.row(0), &binding));
        let hash = hasher.hash(row.row(0).values());
        keyed.keyless += u64::from(key.is_none());
        keyed.unreadable.push((hash, key.unwrap_or_else(|| keyless(hash))));
    }
    // A row whose lines have changed is a row that has changed.
    let lines = pair.read.children().iter().filter_map(|lines| page.batch.schema().index(&lines.of));
    let lines: Vec<usize> = lines.collect();
    let hash = |row: RowRef<'_>| hasher.hash(keyed.binding.iter().chain(&lines).map(|column| row.at(*column)));
    keyed.hashes = page.batch.rows().map(hash).collect();
    known.fetch(&keyed.hashes);
    keyed.as_written = keyed.hashes.iter().map(|hash| known.meet(*hash)).collect();
    if keyed.as_written.iter().all(|as_written| *as_written) {
        return Ok(keyed);
    }
    let mut has_key = Vec::with_capacity(keyed.hashes.len());
    for (row, hash) in page.batch.rows().zip(&keyed.hashes) {
        let key = pair.read.key(row, &keyed.binding);
        has_key.push(key.is_some());
        keyed.keys.push(key.unwrap_or_else(|| keyless(*hash)));
    }
    keyed.twice = twice_in_page(&keyed.keys, &has_key, pair.sink.key_rules());
    for (as_written, key) in keyed.as_written.iter_mut().zip(&keyed.keys) {
        *as_written &= keyed.twice.is_empty() || !keyed.twice.contains_key(key);
    }
    if !keyed.twice.is_empty() {
        keyed.refuse_together(pair.sink.key_rules());
    }
    Ok(keyed)
}

impl Keyed {
    /// Rows that share a key have one hash, that of all of them: they are refused for each other.
    fn refuse_together(&mut self, rules: KeyRules) {
        let (mut hasher, mut all) = (KeyHasher::default(), HashMap::<u128, u128, ByHash>::default());
        let keys: Vec<Option<u128>> =
            self.keys.iter().map(|key| self.twice.contains_key(key).then(|| hasher.hash(key, rules))).collect();
        for (key, hash) in keys.iter().zip(&self.hashes) {
            let of_all = key.map(|key| all.entry(key).or_default());
            of_all.into_iter().for_each(|sum| *sum = sum.wrapping_add(*hash));
        }
        for (key, hash) in keys.iter().zip(&mut self.hashes) {
            *hash = key.map_or(*hash, |key| all[&key]);
        }
    }

    /// The keys that the ledger is to be asked for.
    pub fn asked(&self) -> impl Iterator<Item = &Key> {
        let rows = self.keys.iter().zip(&self.as_written).filter(|(_, as_written)| !**as_written).map(|(key, _)| key);
        rows.chain(self.unreadable.iter().map(|(_, key)| key))
    }
}

/// Sorts a page. `ledger` answers for each key that is [asked](Keyed::asked) for, in their order; with `compare` it is
/// not taken at its word. `met` are the rows that the read has met as they were written.
pub(crate) fn sort(
    pair: &Pair,
    page: &Page,
    keyed: &Keyed,
    ledger: &mut dyn Iterator<Item = Option<Entry>>,
    twins: &mut Twins,
    met: &Known,
    compare: bool,
) -> Sorted {
    let mut sorted = Sorted::default();
    let mut hasher = RowHasher::default();
    let fingerprint = pair.fingerprint();
    let rules = pair.sink.key_rules();
    let makes_keys = !pair.write.tells_rows_apart();
    for (at, row) in page.batch.rows().enumerate() {
        if keyed.as_written[at] {
            sorted.unchanged += 1;
            continue;
        }
        let (source_hash, key) = (keyed.hashes[at], &keyed.keys[at]);
        let entry = ledger.next().flatten();
        let seen = entry.as_ref().filter(|e| e.source_hash == source_hash && e.mapping == fingerprint);
        if !compare && seen.is_some_and(|e| e.state == State::Written) && !keyed.twice.contains_key(key) {
            sorted.unchanged += 1;
            continue;
        }
        // The same row by the same mapping has the same faults: it is a dead letter already, and stays one.
        let known = seen.is_some_and(|e| e.state == State::Rejected);
        let mut reject = |faults: Vec<Fault>, standing: Option<u128>| {
            if known {
                sorted.skipped += 1;
                return;
            }
            let faults = faults.into_iter().map(|fault| fault.at_key(key.to_string())).collect();
            let fields = pair.read.explain(row, &keyed.binding);
            sorted.rejected.push(Rejected {
                key: key.clone(),
                source_hash,
                faults,
                source: row.to_row(),
                fields,
                remote_id: entry.as_ref().and_then(|e| e.remote_id.clone()),
                parents: Vec::new(),
                standing,
            });
        };
        let stands = Some(standing(entry.as_ref()));
        if let Some(other) = keyed.twice.get(key) {
            reject(vec![key_twice(pair, key, other)], stands);
            continue;
        }
        let record = match pair.read.apply(row, &keyed.binding) {
            Ok(Read::Row(record)) => record,
            Ok(Read::LeftOut) => {
                sorted.skipped += 1;
                sorted.left_out.extend(entry.is_some().then(|| key.clone()));
                continue;
            }
            Err(rejected) => {
                reject(rejected.faults, stands);
                continue;
            }
        };
        let wanted = match pair.write.apply(&record) {
            Ok(wanted) => wanted,
            Err(faults) => {
                reject(faults, stands);
                continue;
            }
        };
        let content_hash = content::hash(&wanted.columns, pair.write.keeps(), &mut hasher);
        let settled = entry.as_ref().filter(|e| e.state == State::Written && e.content_hash == content_hash);
        if let Some(entry) = settled.filter(|_| !compare) {
            sorted.unchanged += 1;
            sorted.refreshed.push(Entry { source_hash, mapping: fingerprint, ..entry.clone() });
            continue;
        }
        // Another row of this key was met before, and stays as it is: it is written, or on its way.
        if entry.as_ref().is_some_and(|e| e.state == State::Written && met.has_met(e.source_hash)) {
            reject(vec![key_twice(pair, key, key)], None);
            continue;
        }
        match twins.meet(key, source_hash, rules) {
            Some(other) if other == *key => {
                reject(vec![key_twice(pair, key, key)], None);
                continue;
            }
            Some(other) if entry.is_none() => {
                reject(vec![key_twice(pair, key, &other)], stands);
                continue;
            }
            _ => {}
        }
        if makes_keys && twins.meet_there(&wanted.key, key, rules) {
            reject(vec![made_twice(pair, &wanted.key)], stands);
            continue;
        }
        sorted.candidates.push(Candidate {
            key: key.clone(),
            source_hash,
            content_hash,
            wanted,
            source: row.to_row(),
            record,
            settled: settled.is_some(),
            new: entry.is_none(),
            refused: known,
            allowed: false,
            waits_since: entry.as_ref().filter(|e| e.state == State::Waiting).map(|e| e.generation),
            made: false,
            standing: standing(entry.as_ref()),
            remote_id: entry.and_then(|e| e.remote_id),
        });
    }
    for (unreadable, (source_hash, key)) in page.unreadable.iter().zip(&keyed.unreadable) {
        let entry = ledger.next().flatten();
        let is_known = |e: &Entry| (e.source_hash, e.mapping, e.state) == (*source_hash, fingerprint, State::Rejected);
        if entry.as_ref().is_some_and(is_known) {
            sorted.skipped += 1;
            continue;
        }
        sorted.rejected.push(Rejected {
            key: key.clone(),
            source_hash: *source_hash,
            faults: vec![pair.read.hide(unreadable.fault.clone())],
            source: unreadable.row.clone(),
            fields: Vec::new(),
            standing: Some(standing(entry.as_ref())),
            remote_id: entry.and_then(|entry| entry.remote_id),
            parents: Vec::new(),
        });
    }
    sorted.keyless = keyed.keyless;
    parents_first(pair, &mut sorted.candidates);
    sorted
}

fn standing(entry: Option<&Entry>) -> u128 {
    entry.map_or(UNKNOWN, Entry::standing)
}

/// What to do with a candidate, now that the destination has said what it holds.
pub(crate) enum Decision {
    /// It holds exactly this already.
    Same {
        remote_id: Option<String>,
        version: Option<String>,
    },
    Write(Box<Change>),
    Reject(Fault),
    /// It holds something else than the hub wrote there, and that is for a person to see.
    Drifted(Fault),
}

/// As [`decide`], for an integration that reports what was edited behind its back instead of writing over it.
pub(crate) fn decide_with(pair: &Pair, candidate: &Candidate, current: Option<&Current>, drift: Drift) -> Decision {
    match decide(pair, candidate, current) {
        Decision::Write(change) if candidate.settled && drift == Drift::Report => {
            Decision::Drifted(drifted(pair, candidate, &change, current.is_some()))
        }
        decision => decision,
    }
}

/// Whether a row is created. One that the hub has written is not where nobody can look at it.
pub(crate) fn is_new(pair: &Pair, candidate: &Candidate, current: Option<&Current>) -> bool {
    current.is_none() && (candidate.remote_id.is_none() || pair.sink.tells())
}

fn drifted(pair: &Pair, candidate: &Candidate, change: &Change, is_there: bool) -> Fault {
    let columns: Vec<&str> = change.columns.iter().map(|(name, _)| name).collect();
    let what = match is_there {
        true => format!("`{}` holds something else than was written there in: {}", pair.to, columns.join(", ")),
        false => format!("`{}` has no longer the row that was written there", pair.to),
    };
    Fault::reject(codes::DRIFTED, what)
        .at_system(&pair.to)
        .at_key(candidate.key.to_string())
        .fix("bring source and destination together by hand, or write `drift: overwrite` where the source is right")
}

pub(crate) fn decide(pair: &Pair, candidate: &Candidate, current: Option<&Current>) -> Decision {
    let wanted = &candidate.wanted;
    let Some(current) = current else {
        // Of a new row a blank column need not be sent.
        let (is_new, replaces) = (is_new(pair, candidate, None), pair.sink.replaces());
        let whole = !is_new || candidate.remote_id.is_some() && replaces;
        let filled = wanted.columns.iter().filter(|(_, value)| whole || !value.is_blank());
        let on_create = wanted.on_create.iter().filter(|(_, value)| (is_new || replaces) && !value.is_blank());
        return Decision::Write(Box::new(change(candidate, replaces, filled.chain(on_create), None)));
    };
    if let Some(other) = twin_in_destination(pair, candidate, current) {
        return Decision::Reject(key_twice(pair, &candidate.key, &other).at_key(candidate.key.to_string()));
    }
    let changed = |(name, value): &(&str, &Value)| !pair.write.holds(&current.columns, name, value);
    let mut changed: Vec<(&str, &Value)> = wanted.columns.iter().filter(changed).collect();
    // A state takes its reason along, also one that stands there already: alone, the system would choose another.
    let has = |changed: &[(&str, &Value)], column: &str| changed.iter().any(|(name, _)| *name == column);
    if has(&changed, gone::STATE) && !has(&changed, gone::REASON) {
        changed.extend(wanted.columns.iter().filter(|(name, value)| *name == gone::REASON && !value.is_blank()));
    }
    // Where the mapping itself says whether a row is active, that holds.
    let returns = matches!(pair.gone, Gone::Deactivate { returns_active: true })
        && candidate.standing == LEFT
        && wanted.columns.get(gone::STATE).is_none();
    if returns {
        let mut change = change(candidate, false, changed.into_iter(), Some(current));
        let (column, value) = gone::active_again();
        change.columns = change.columns.with(column, value);
        return Decision::Write(Box::new(change));
    }
    if changed.is_empty() {
        let remote_id = current.remote_id.as_deref().map(str::to_owned);
        return Decision::Same { remote_id, version: current.version.as_deref().map(str::to_owned) };
    }
    if pair.sink.replaces() {
        let now = |(name, value)| (name, current.columns.get(name).unwrap_or(value));
        let kept = wanted.on_create.iter().map(now).filter(|(_, value): &(&str, &Value)| !value.is_blank());
        return Decision::Write(Box::new(change(candidate, true, wanted.columns.iter().chain(kept), Some(current))));
    }
    Decision::Write(Box::new(change(candidate, false, changed.into_iter(), Some(current))))
}

/// `replaces`: the destination is given the whole row.
fn change<'a>(
    candidate: &Candidate,
    replaces: bool,
    columns: impl Iterator<Item = (&'a str, &'a Value)>,
    current: Option<&Current>,
) -> Change {
    let (mut named, mut values) = (Vec::new(), Vec::new());
    let schemas = [candidate.wanted.columns.schema(), candidate.wanted.on_create.schema()];
    for (name, value) in columns {
        let column = schemas.iter().find_map(|schema| schema.index(name).map(|at| schema.columns()[at].clone()));
        named.push(column.expect("the columns come from one of the two schemas"));
        values.push(value.clone());
    }
    Change {
        op: if current.is_some() && !replaces { Op::Update } else { Op::Upsert },
        key: candidate.wanted.key.clone(),
        columns: Row::new(Schema::new(named), values),
        remote_id: current.and_then(|c| c.remote_id.clone()).or_else(|| candidate.remote_id.as_deref().map(Into::into)),
        if_version: None,
    }
}

/// The destination's own spelling of the key, where it is not ours: it belongs to another row of the source.
pub(crate) fn twin_in_destination(pair: &Pair, candidate: &Candidate, current: &Current) -> Option<Key> {
    let ours = candidate.wanted.key.parts();
    // A lookup points to one row however its key is spelled.
    let there: Option<Vec<&Value>> = pair
        .key_columns
        .iter()
        .zip(&ours)
        .map(|(column, ours)| match ours {
            Value::Reference(_) => Some(ours),
            _ => current.columns.get(column),
        })
        .collect();
    let there = Key::of(there?).ok()?;
    let rules = KeyRules { ignore_trailing_spaces: true, ..KeyRules::default() };
    let ours = &candidate.wanted.key;
    (there.folded(rules).to_string() != ours.folded(rules).to_string()).then_some(there)
}

fn key_twice(pair: &Pair, key: &Key, other: &Key) -> Fault {
    let what = if key == other {
        format!("the key {key} of `{}` is there twice in `{}`", pair.entity.name, pair.from)
    } else {
        format!(
            "the keys {key} and {other} of `{}` differ only in capitals, accents or spaces, and `{}` takes them for one",
            pair.entity.name, pair.to
        )
    };
    Fault::reject(codes::KEY_TWICE, what)
        .at_system(&pair.from)
        .fix("give one of the two rows another key in the source; until then neither is written")
}

/// A row whose key in the destination is that of another row of the source.
pub(crate) fn made_twice(pair: &Pair, there: &Key) -> Fault {
    let what = format!(
        "another row of `{}` in `{}` has the key {there} in `{}` too, and would be written over",
        pair.entity.name, pair.from, pair.to
    );
    Fault::reject(codes::KEY_TWICE, what)
        .at_system(&pair.from)
        .fix("have `write:` make a key of its own for each row, or give one of the two another value in the source")
}

/// The keys that more than one row of the page has, each with the key of another such row.
fn twice_in_page(keys: &[Key], has_key: &[bool], rules: KeyRules) -> HashMap<Key, Key> {
    let mut hasher = KeyHasher::default();
    let mut first: HashMap<u128, &Key, ByHash> = HashMap::with_capacity_and_hasher(keys.len(), ByHash::default());
    let mut twice = HashMap::new();
    for (key, _) in keys.iter().zip(has_key).filter(|(_, has_key)| **has_key) {
        if let Some(other) = first.insert(hasher.hash(key, rules), key) {
            twice.insert(key.clone(), other.clone());
            twice.insert(other.clone(), key.clone());
        }
    }
    twice
}

/// Puts a row after the row of the same page that it points to. A cycle keeps its order.
fn parents_first(pair: &Pair, candidates: &mut Vec<Candidate>) {
    let by_key: HashMap<Key, usize> = candidates.iter().enumerate().map(|(at, c)| (c.key.clone(), at)).collect();
    let parents: Vec<Vec<usize>> = candidates
        .iter()
        .map(|candidate| {
            let references = candidate.record.values().iter().filter_map(|value| match value {
                Value::Reference(reference) if *reference.of == *pair.entity.name => {
                    Key::of(reference.key.iter().map(|(_, value)| value)).ok()
                }
                _ => None,
            });
            references.filter_map(|key| by_key.get(&key).copied()).collect()
        })
        .collect();
    let mut depths = vec![None; candidates.len()];
    for at in 0..candidates.len() {
        depth(at, &parents, &mut depths);
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|at| depths[*at]);
    let mut taken: Vec<Option<Candidate>> = candidates.drain(..).map(Some).collect();
    candidates.extend(order.into_iter().filter_map(|at| taken[at].take()));
}

/// How many rows of the page stand above this one; walks up without recursion, since chains may be long.
fn depth(start: usize, parents: &[Vec<usize>], depths: &mut [Option<usize>]) {
    let mut path = vec![start];
    while let Some(&at) = path.last() {
        if depths[at].is_some() {
            path.pop();
            continue;
        }
        match parents[at].iter().find(|parent| depths[**parent].is_none() && !path.contains(parent)) {
            Some(parent) => path.push(*parent),
            None => {
                let above = parents[at].iter().filter_map(|parent| depths[*parent]).max();
                depths[at] = Some(above.map_or(0, |depth| depth + 1));
                path.pop();
            }
        }
    }
}
