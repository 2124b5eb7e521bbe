//! Columns of a source that hold something else than when an integration last ran.
//!
//! What a mapping made of a column's type is remembered with the positions of the integration. Where the new type suits
//! the mapping less than the old one did, the run stops before its first row: a thousand dead letters would say the same. Events wait then.
//! A mapping that was changed since, and a position that was reset, begin anew.

use std::collections::BTreeMap;

use mapping::{Suits, Use};
use record::Fault;
use serde::{Deserialize, Serialize};
use store::leases::Lease;
use store::{Op, Store, cursors};

use crate::batch::Job;
use crate::codes;
use crate::error::Stopped;
use crate::pair::Pair;
use crate::two_way::Which;

/// The stream of the cursor that remembers the types of the columns of what has a position: an entity, or one side of it.
pub fn stream(of: &str) -> String {
    format!("columns of {of}")
}

/// What was known of one use of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    #[serde(rename = "type")]
    ty: String,
    /// 0 where no value fits, 1 where some may, 2 where each does.
    suits: u8,
}

/// Compares the columns of a job with what they were, and answers with what is to be remembered of them now.
///
/// *Errors*: `IB0635` for columns whose new type suits the mapping less.
pub(crate) fn check(store: &Store, job: &Job) -> Result<Result<Vec<Op>, Fault>, store::Error> {
    let both_ways = job.two_way.iter().flat_map(|joint| Which::BOTH.map(|side| (joint.from(side), joint.stream(side))));
    let one_way = job.pairs.iter().map(|pair| (pair, pair.entity.name.to_string()));
    let mut ops = Vec::new();
    for (pair, of) in one_way.chain(both_ways) {
        match compare(store, &job.integration, pair, &of, "reads everything once and writes only what differs")? {
            Ok(op) => ops.extend(op),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    Ok(Ok(ops))
}

/// The same of what events are read from, and remembers what is new. Whatever their destinations are, the columns of an
/// entity are remembered once.
///
/// *Errors*: `IB0635`; of our own state.
pub(crate) async fn note_events(store: &Store, integration: &str, pair: &Pair) -> Result<(), Stopped> {
    if let Some(op) = compare(store, integration, pair, &pair.entity.name, "delivers what waits")?? {
        store.commit(vec![op]).await?;
    }
    Ok(())
}

/// What is to be remembered of the columns of one entity, where that is new. `of`: as the position of its read is called;
/// `then`: what comes of forgetting them.
fn compare(
    store: &Store,
    integration: &str,
    pair: &Pair,
    of: &str,
    then: &str,
) -> Result<Result<Option<Op>, Fault>, store::Error> {
    let fingerprint = format!("{:016x}", pair.read.fingerprint());
    let uses = pair.read.uses();
    let now: BTreeMap<String, Known> = uses.iter().map(|one| (name(one), known(one))).collect();
    let position = serde_json::to_string(&now).expect("texts and numbers under texts are JSON");
    let stream = stream(of);
    let before = store.cursor(integration, &stream)?;
    if let Some(before) = before.as_ref().filter(|before| before.fingerprint == fingerprint) {
        if before.position == position {
            return Ok(Ok(None));
        }
        let was: BTreeMap<String, Known> = serde_json::from_str(&before.position).unwrap_or_default();
        let worse = |one: &&Use<'_>| was.get(&name(one)).is_some_and(|was| is_worse(one, was));
        let changed: Vec<&Use<'_>> = uses.iter().filter(worse).collect();
        if !changed.is_empty() {
            let reset = format!("ironbridge state reset {integration} {of}, which {then}");
            return Ok(Err(fault(pair, &changed, &was, before.updated, &reset)));
        }
    }
    Ok(Ok(Some(cursors::Op::Set { integration: integration.to_owned(), stream, position, fingerprint }.into())))
}

/// As [`check`], and remembers what is new.
pub(crate) async fn note(store: &Store, job: &Job, lease: &Lease) -> Result<(), Stopped> {
    let ops = check(store, job)??;
    if !ops.is_empty() {
        store.commit([vec![lease.fence()], ops].concat()).await?;
    }
    Ok(())
}

fn name(one: &Use<'_>) -> String {
    match one.field {
        Some(field) => format!("{} for {}", one.column, field.name),
        None => format!("{} for where", one.column),
    }
}

fn known(one: &Use<'_>) -> Known {
    Known { ty: one.ty.word().to_owned(), suits: one.suits as u8 }
}

fn is_worse(one: &Use<'_>, was: &Known) -> bool {
    (one.suits as u8) < was.suits || one.formula.is_some() && group(one.ty.word()) != group(&was.ty)
}

/// What a formula takes for one thing.
fn group(word: &str) -> Option<&str> {
    match word {
        "text" | "multiline" | "person" | "choice" => Some("text"),
        "whole_number" | "decimal" | "money" | "float" => Some("number"),
        other => Some(other),
    }
}

fn fault(
    pair: &Pair,
    changed: &[&Use<'_>],
    was: &BTreeMap<String, Known>,
    noted: jiff::Timestamp,
    reset: &str,
) -> Fault {
    let table = pair.from_table.as_str();
    let one = |one: &&Use<'_>| {
        let (now, was) = (one.ty.word(), &was[&name(one)].ty);
        let so = match (one.field, one.formula, one.suits) {
            (None, ..) => "`where:` asks for it".to_owned(),
            (Some(field), Some(formula), _) => format!("`{}: {formula}` was written for what it was", field.name),
            (Some(field), None, Suits::Never) => {
                format!("no {now} is {}, as the field `{}` is", field.ty.word(), field.name)
            }
            (Some(field), None, _) => {
                format!("not every {now} is {}, as the field `{}` is", field.ty.word(), field.name)
            }
        };
        format!("`{}` of `{table}` holds {now} now, and held {was}: {so}", one.column)
    };
    let first = changed[0];
    let date = noted.strftime("%Y-%m-%d");
    let what = changed.iter().map(one).collect::<Vec<_>>().join("; ");
    Fault::ask_person(codes::RETYPED, format!("{what} (the types were noted on {date}; nothing was read or written)"))
        .at_system(&pair.from)
        .at_table(table)
        .at_column(first.column)
        .fix(format!(
            "ask whoever changed `{table}` (ALTER TABLE): give the column its type back, or say in the mapping what the \
             new one means. If it is right as it is: {reset}"
        ))
}
