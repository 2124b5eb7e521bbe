//! Whether a run may write: freely, what a saved plan says, or what somebody has approved.

use std::collections::{BTreeMap, HashSet};

use jiff::SignedDuration;
use mapping::Condition;
use record::{Automation, Decimal, Fault, Happened, Row, Schema, Type, Value};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::Store;
use store::approvals::{self, Approval, ApprovalId, Kind, Question, State};
use store::runs::{self, Counts, RunId};

use crate::batch::{Job, does_not_add_up};
use crate::codes;
use crate::error::Stopped;
use crate::outage::with_retries;
use crate::plan::{self, Plan, PlannedEffect, PlannedRow, Proof, Saved, SavedRow};
use crate::two_way;
use crate::watch::Watch;

/// What a run needs before it writes; both where both are there.
#[derive(Debug, Default)]
pub struct Consent {
    /// Exactly this plan, or not at all.
    pub plan: Option<Box<Saved>>,
    /// Somebody's yes, where the plan is of that kind.
    pub asks: Option<Asks>,
}

/// When somebody is asked, and who.
#[derive(Debug, Default)]
pub struct Asks {
    /// Before the hub writes the first row.
    pub first_load: Option<String>,
    /// When this holds for the changes of a plan.
    pub when: Option<(When, String)>,
}

/// A condition over `changes`.
#[derive(Debug)]
pub struct When {
    text: String,
    condition: Condition,
}

/// The subject of a run's questions: an integration has one plan at a time.
pub const SUBJECT: &str = "run";

/// The subject of what a run over a window of time asks. That stands beside the question of a run: neither does what the
/// other would.
const OF_WINDOW: &str = "window";

/// The command that does what a yes to this question allows, where a window asked it: no run does that by itself.
pub fn by_hand(approval: &Approval) -> Option<String> {
    let details: serde_json::Value = serde_json::from_str(&approval.details).ok()?;
    let (from, to) = (details["window"]["from"].as_str()?, details["window"]["to"].as_str()?);
    let asked = approval.kind == Kind::Run && approval.subject == OF_WINDOW;
    asked.then(|| format!("ironbridge run {} --from {from} --to {to}", approval.integration))
}

fn subject(job: &Job) -> &'static str {
    if job.window.is_some() { OF_WINDOW } else { SUBJECT }
}

/// How long a question stands, and a yes to it holds: what a plan said long ago is no longer what somebody saw.
const HOLDS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Rows of each kind that are kept with a question, to be looked at.
const SHOWN: usize = 100;

impl When {
    /// *Errors*: one sentence; a checked definition has none.
    pub fn compile(text: &str) -> Result<When, Fault> {
        let compiled = Condition::over(text, &changes_schema());
        let condition = compiled.map_err(|problems| {
            let why: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            Fault::ask_person(
                codes::APPROVE_WHEN,
                format!("`approve: {{ when: ={text} }}` is no condition: {}", why.join("; ")),
            )
            .fix("correct the formula, then: ironbridge check")
        })?;
        Ok(When { text: text.to_owned(), condition })
    }

    /// *Errors*: a formula that gives an error instead of a yes or no.
    fn holds(&self, created: u64, updated: u64, deleted: u64, known: u64) -> Result<bool, Fault> {
        let count = created + updated + deleted;
        let percent = match known {
            0 if count == 0 => Decimal::ZERO,
            0 => Decimal::ONE_HUNDRED,
            known => Decimal::from(count) * Decimal::ONE_HUNDRED / Decimal::from(known),
        };
        let numbers = [count, created, updated, deleted].map(|n| Value::Decimal(n.into()));
        let values = numbers.into_iter().chain([Value::Decimal(percent)]).collect();
        self.condition.holds(&Row::new(changes_schema(), values)).map_err(|why| {
            Fault::ask_person(
                codes::APPROVE_WHEN,
                format!("`approve: {{ when: ={} }}` cannot be told: {why}", self.text),
            )
            .fix("correct the formula; until then nothing is written")
        })
    }
}

fn changes_schema() -> std::sync::Arc<Schema> {
    let number = || Type::Decimal { scale: None };
    Schema::of(["count", "created", "updated", "deleted", "percent"].map(|name| (format!("changes.{name}"), number())))
}

/// What a run may do, once it has been found out.
pub(crate) enum Agreed {
    Go(Guard),
    /// Somebody has to look first.
    Waits(Box<Question>),
    /// Somebody said no.
    No(Fault),
}

/// Looks at each write of a run before it is sent.
#[derive(Default)]
pub(crate) struct Guard {
    /// Only rows as they were planned; `None` for any.
    allowed: Option<HashSet<Proof>>,
    /// The rows that the hub had written before; for a condition that may not come true.
    known: u64,
    limited: bool,
    /// Used up when the run is through.
    pub approval: Option<ApprovalId>,
    /// Nobody needs to answer what was asked before.
    pub withdraws: bool,
}

/// How a run ends that was asked, or that went through (`None`): its state, its fault, and what goes with it.
pub(crate) fn ending(
    agreed: Option<Agreed>,
    counts: &Counts,
    guard: &Guard,
    job: &Job,
    id: RunId,
) -> (runs::State, Option<Fault>, Vec<store::Op>) {
    match agreed {
        Some(Agreed::Waits(question)) => {
            (runs::State::WaitingForApproval, None, vec![approvals::Op::Ask(question).into()])
        }
        Some(Agreed::No(fault)) => (runs::State::NotApproved, Some(fault), Vec::new()),
        Some(Agreed::Go(_)) | None => {
            let error = does_not_add_up(counts);
            let state = match (&error, counts.rejected) {
                (Some(_), _) => runs::State::Failed,
                (None, 0) => runs::State::Ok,
                (None, _) => runs::State::OkWithDeadLetters,
            };
            let ops = guard.ends(job, id).filter(|_| error.is_none());
            (state, error, ops.into_iter().map(store::Op::from).collect())
        }
    }
}

/// Finds out whether a run may write. Reads as the run would, and writes nothing.
pub(crate) async fn agree(store: &Store, job: &Job, watch: &dyn Watch) -> Result<Agreed, Stopped> {
    let Consent { plan: saved, asks } = &job.consent;
    if saved.is_none() && asks.is_none() {
        return Ok(Agreed::Go(Guard::default()));
    }
    if let Some(moved) = saved.as_ref().map(|saved| saved.made_elsewhere(store, job)).transpose()?.flatten() {
        return Err(Fault::from(moved).into());
    }
    let (mut rows, mut looked) = (Vec::new(), Looked::default());
    let mut each = |row: PlannedRow| {
        if saved.is_some() {
            rows.push(SavedRow::from(&row));
        }
        looked.add(row);
    };
    let plan = plan_rows(store, job, watch, &mut each).await?;
    if let Some(moved) = saved.as_ref().and_then(|saved| saved.moved(&rows)) {
        return Err(Fault::from(moved).into());
    }
    let mut agreed = match asks {
        Some(asks) => ask(store, job, asks, &plan, &looked, watch).await?,
        None => Agreed::Go(Guard::default()),
    };
    if let (Agreed::Go(guard), Some(saved)) = (&mut agreed, saved) {
        guard.allowed = Some(saved.proofs().collect());
    }
    Ok(agreed)
}

async fn plan_rows(
    store: &Store,
    job: &Job,
    watch: &dyn Watch,
    each: &mut (dyn FnMut(PlannedRow) + Send),
) -> Result<Plan, Stopped> {
    match plan::plan(store, job, watch, each).await {
        Ok(plan) => Ok(plan?),
        Err(crate::Error::Store(error)) => Err(error.into()),
    }
}

/// Whether somebody has to look at a plan, and whether somebody has.
async fn ask(
    store: &Store,
    job: &Job,
    asks: &Asks,
    plan: &Plan,
    looked: &Looked,
    watch: &dyn Watch,
) -> Result<Agreed, Stopped> {
    let when = asks.when.as_ref();
    let holds = |(when, by): &(When, String)| -> Result<Option<(String, String)>, Fault> {
        let holds = when.holds(plan.created, plan.updated, plan.deleted, plan.known)?;
        Ok(holds.then(|| (by.clone(), format!("`approve: {{ when: ={} }}` holds", when.text))))
    };
    let wanted = match &asks.first_load {
        Some(by) if plan.known == 0 && plan.has_changes() && first_load(store, job)? => {
            Some((by.clone(), "it is the first load".to_owned()))
        }
        _ => when.map(holds).transpose()?.flatten(),
    };
    let now = store.clock().now();
    let last = store.approval_of(&job.integration, Kind::Run, subject(job))?;
    let approved = last.as_ref().filter(|last| last.state == State::Approved && !last.has_expired(now));
    // What was approved and is done already needs no second look: a run may have been cut off in the middle.
    let within = match approved {
        Some(approval) => {
            let allowed = proofs_of(&store.approval_proofs(approval.id)?);
            looked.changes.iter().all(|proof| allowed.contains(proof)).then_some((approval.id, allowed))
        }
        None => None,
    };
    if let Some((id, allowed)) = within {
        return Ok(Agreed::Go(Guard { allowed: Some(allowed), approval: Some(id), ..Guard::default() }));
    }
    let Some((by, why)) = wanted else {
        return Ok(Agreed::Go(Guard {
            known: plan.known,
            limited: when.is_some(),
            withdraws: true,
            ..Guard::default()
        }));
    };
    let digest = looked.digest();
    if let Some(Approval { state: State::Rejected, .. }) = &last
        && let Some(last) = last.as_ref().filter(|last| last.digest == digest)
    {
        return Ok(Agreed::No(not_approved(job, last)));
    }
    let tables = tables(job);
    let starts = with_retries(&job.retry, watch, || job.destination.starts(&tables)).await;
    let question = question(job, plan, &by, &why);
    Ok(Agreed::Waits(Box::new(Question {
        integration: job.integration.clone(),
        kind: Kind::Run,
        subject: subject(job).to_owned(),
        question,
        details: looked.details(job, plan, &why, starts.map(|starts| looked.started(&starts))).to_string(),
        digest,
        proofs: looked.proofs(),
        asked_of: by,
        expires: now.checked_add(HOLDS).ok(),
    })))
}

/// The tables that would be written, of the system that tells what it starts.
fn tables(job: &Job) -> Vec<&str> {
    let both_ways = job.two_way.iter().map(|joint| joint.into(two_way::Which::Right).table.as_str());
    job.pairs.iter().map(|pair| pair.table.as_str()).chain(both_ways).collect()
}

/// Whether the hub has written nothing of these entities there, ever.
fn first_load(store: &Store, job: &Job) -> Result<bool, store::Error> {
    for joint in &job.two_way {
        if two_way::joined(store, job, joint)? > 0 {
            return Ok(false);
        }
    }
    for pair in &job.pairs {
        let totals = store.ledger_totals(&pair.to, &pair.entity.name)?;
        if totals.written + totals.deactivated > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn question(job: &Job, plan: &Plan, by: &str, why: &str) -> String {
    let counts = [(plan.created, "create"), (plan.updated, "update"), (plan.deleted, "delete or deactivate")];
    let counts: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{what} {n}")).collect();
    let both_ways =
        |joint: &two_way::Joint| two_way::Which::BOTH.map(|side| joint.name(side).to_owned()).join("` and `");
    let one_way = job.pairs.first().map(|pair| pair.to.clone());
    let to = one_way.or_else(|| job.two_way.first().map(both_ways)).unwrap_or_default();
    let rows = if plan.changes() == 1 { "row" } else { "rows" };
    let of = job.window.map_or_else(String::new, |window| format!(" of {} to {}", window.from, window.to));
    format!("{}: may it {} {rows}{of} in `{to}`? {by} is asked, since {why}", job.integration, counts.join(", "))
}

fn not_approved(job: &Job, last: &Approval) -> Fault {
    let by = last.decided_by.as_deref().unwrap_or("somebody");
    let at = last.decided.map_or_else(String::new, |at| format!(" at {at:.0}"));
    let comment = last.comment.as_deref().map_or_else(String::new, |comment| format!(": {comment}"));
    let what = format!("{by} said no to what `{}` would write{at}{comment}", job.integration);
    Fault::ask_person(codes::NOT_APPROVED, what).fix(format!(
        "look at it: ironbridge approvals show {}; it is asked again once the changes are others",
        last.id
    ))
}

/// What a plan said, as far as a question needs it.
#[derive(Default)]
struct Looked {
    /// The rows that would be written.
    changes: Vec<Proof>,
    /// Those that would be tried, and have to wait.
    waiting: Vec<Proof>,
    shown: Vec<SavedRow>,
    by_effect: BTreeMap<PlannedEffect, u64>,
    /// By table: what would happen to how many rows, and the columns that would be updated, each to how many.
    happens: BTreeMap<(String, Write), u64>,
    columns: BTreeMap<(String, String), u64>,
}

/// What would happen to a row, as its system sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Write {
    Created,
    Updated,
    Deleted,
}

impl Looked {
    fn add(&mut self, row: PlannedRow) {
        let happens = match row.effect {
            PlannedEffect::Create => Some(Write::Created),
            PlannedEffect::Update | PlannedEffect::Deactivate => Some(Write::Updated),
            PlannedEffect::Delete => Some(Write::Deleted),
            PlannedEffect::Reject | PlannedEffect::Wait => None,
        };
        match row.effect {
            PlannedEffect::Wait => self.waiting.push(row.proof),
            PlannedEffect::Reject => {}
            _ => self.changes.push(row.proof),
        }
        if let Some(happens) = happens {
            *self.happens.entry((row.table.clone(), happens)).or_default() += 1;
        }
        if row.effect == PlannedEffect::Update {
            for column in &row.columns {
                *self.columns.entry((row.table.clone(), column.name.clone())).or_default() += 1;
            }
        }
        let count = self.by_effect.entry(row.effect).or_default();
        *count += 1;
        if *count <= SHOWN as u64 {
            self.shown.push(SavedRow::from(&row));
        }
    }

    /// The same for the same changes, in whatever order they were read.
    fn digest(&self) -> String {
        let mut changes = self.changes.clone();
        changes.sort_unstable();
        let mut hash = Sha256::new();
        changes.iter().for_each(|proof| hash.update(proof.0));
        let hash: [u8; 32] = hash.finalize().into();
        hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn proofs(&self) -> Vec<u8> {
        self.changes.iter().chain(&self.waiting).flat_map(|proof| proof.0).collect()
    }

    /// Of what a system starts by itself: what these changes would start, each with the rows that do.
    fn started(&self, automations: &[Automation]) -> Vec<serde_json::Value> {
        let rows = |automation: &Automation| -> u64 {
            let of = |happens| self.happens.get(&(automation.table.clone(), happens)).copied().unwrap_or_default();
            let updates = || match automation.columns.as_slice() {
                [] => of(Write::Updated),
                some => {
                    let column = |name: &String| self.columns.get(&(automation.table.clone(), name.clone()));
                    some.iter().filter_map(column).copied().max().unwrap_or_default()
                }
            };
            let on = automation.on.iter().map(|on| match on {
                Happened::Created => of(Write::Created),
                Happened::Updated => updates(),
                Happened::Deleted => of(Write::Deleted),
            });
            on.sum()
        };
        let shown = automations.iter().map(|one| (one, rows(one))).filter(|(_, rows)| *rows > 0).map(|(one, rows)| {
            json!({ "kind": one.kind, "name": one.name, "table": one.table, "rows": rows, "in_the_write": one.in_the_write })
        });
        shown.collect()
    }

    fn details(
        &self,
        job: &Job,
        plan: &Plan,
        why: &str,
        starts: Result<Vec<serde_json::Value>, Fault>,
    ) -> serde_json::Value {
        let (starts, unknown) = match starts {
            Ok(starts) => (starts, None),
            Err(fault) => (Vec::new(), Some(fault.to_string())),
        };
        let more: u64 = self.by_effect.values().map(|n| n.saturating_sub(SHOWN as u64)).sum();
        json!({
            "why": why,
            "window": job.window.map(|window| json!({ "from": window.from.to_string(), "to": window.to.to_string() })),
            "counts": {
                "create": plan.created, "update": plan.updated, "delete": plan.deleted, "reject": plan.rejected,
                "wait": plan.waiting, "unchanged": plan.unchanged,
            },
            "starts": starts, "starts_unknown": unknown,
            "refused": plan.refused.as_deref().map(crate::json::fault),
            "rows": self.shown, "more_rows": more,
        })
    }
}

fn proofs_of(bytes: &[u8]) -> HashSet<Proof> {
    bytes.chunks_exact(16).map(|chunk| Proof(chunk.try_into().expect("16 bytes"))).collect()
}

impl Guard {
    /// What the end of a good run says of approvals.
    pub fn ends(&self, job: &Job, run: RunId) -> Option<approvals::Op> {
        match self.approval {
            Some(id) => Some(approvals::Op::Use { id, run }),
            None => self.withdraws.then(|| approvals::Op::Withdraw {
                integration: job.integration.clone(),
                kind: Kind::Run,
                subject: subject(job).to_owned(),
            }),
        }
    }

    /// Whether only rows as they were planned may be written.
    pub fn is_bound(&self) -> bool {
        self.allowed.is_some()
    }

    /// Whether a row may be written.
    ///
    /// *Errors*: it is not as it was planned; nothing of its chunk has been sent.
    pub fn allows(&self, job: &Job, entity: &str, key: &str, proof: impl FnOnce() -> Proof) -> Result<(), Fault> {
        let Some(allowed) = &self.allowed else { return Ok(()) };
        if allowed.contains(&proof()) {
            return Ok(());
        }
        let what = format!(
            "{entity} {key} is not as it was planned any more: it changed while the plan was being applied. What was written before it is as planned; it and the rest were left alone"
        );
        Err(Fault::stop(codes::NOT_AS_PLANNED, what)
            .fix(format!("see what is left, and apply that: ironbridge plan {}", job.integration)))
    }

    /// Whether so many changes may be made without asking anybody.
    ///
    /// *Errors*: the source has changed so much since the plan of this run that somebody has to look.
    pub fn within(&self, job: &Job, so_far: &Counts, more: [u64; 3]) -> Result<(), Fault> {
        let Some(Asks { when: Some((when, by)), .. }) = &job.consent.asks else { return Ok(()) };
        let [created, updated, deleted] = more;
        let counts = (so_far.created + created, so_far.updated + updated, so_far.deleted + deleted);
        if !self.limited || !when.holds(counts.0, counts.1, counts.2, self.known)? {
            return Ok(());
        }
        let what = format!(
            "more would be written than this run had planned, and now `approve: {{ when: ={} }}` holds: the source changed in between. What was written so far stays",
            when.text
        );
        Err(Fault::stop(codes::MORE_THAN_PLANNED, what)
            .fix(format!("run it again: it asks {by} first: ironbridge run {}", job.integration)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_over_changes() {
        for (text, counts, known, expected) in [
            ("changes.count > 200", (150, 50, 0), 0, false),
            ("changes.count > 200", (150, 50, 1), 0, true),
            ("changes.deleted > 0 || changes.percent > 10", (0, 10, 0), 100, false),
            ("changes.deleted > 0 || changes.percent > 10", (0, 11, 0), 100, true),
            ("changes.percent >= 100", (1, 0, 0), 0, true),
            ("changes.percent > 0", (0, 0, 0), 0, false),
        ] {
            let when = When::compile(text).unwrap();
            assert_eq!(when.holds(counts.0, counts.1, counts.2, known).unwrap(), expected, "{text} {counts:?}");
        }
        assert_eq!(When::compile("changes.nothing > 1").unwrap_err().code, codes::APPROVE_WHEN);
    }
}
