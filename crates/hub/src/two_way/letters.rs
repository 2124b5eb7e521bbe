//! Dead letters of rows that go both ways: both versions of what is in dispute, and what a person decides about it.

use definition::{Direction, Integration, Pattern, Project};
use record::{Fault, Key, Value};
use serde_json::{Map, Value as Json, json};
use store::audit::Actor;
use store::dead_letters::{DeadLetter, Rejection, State};
use store::queue::Problem;
use store::runs::RunId;
use store::{Store, agreements};

use super::Joint;
use super::decide::Case;
use super::memory::{Memory, Stage};
use super::merge::{Both, Dispute, Which};
use crate::codes;
use crate::error::Error;
use crate::json;
use crate::reject::{bytes, hex};

/// Where the detail of a dead letter names the agreement of its row.
const AGREEMENT: &str = "agreement";
/// Where it shows both versions.
const VERSIONS: &str = "versions";

/// A dead letter on its way, with its faults as a plan shows them.
#[derive(Debug)]
pub(super) struct Letter {
    pub rejection: Rejection,
    pub faults: Vec<Fault>,
}

/// The letter, so that what a person does about it finds its row.
pub(super) fn named(mut letter: Rejection, canonical: &Key) -> Rejection {
    let mut detail: Json = serde_json::from_str(&letter.problem.detail).unwrap_or_else(|_| json!({}));
    detail[AGREEMENT] = hex(canonical).into();
    letter.problem.detail = detail.to_string();
    letter
}

/// The dead letter of a row that a person has to decide about.
pub(super) fn dispute(joint: &Joint, integration: &str, case: &Case, dispute: &Dispute, run: Option<RunId>) -> Letter {
    let (key, entity) = (case.key(), &joint.entity.name);
    let (left, right) = (joint.name(Which::Left), joint.name(Which::Right));
    let disputed: &[usize] = match dispute {
        Dispute::Fields(fields) => fields,
        Dispute::Gone(_) => &[],
    };
    let fault = match dispute {
        Dispute::Fields(fields) => {
            let names: Vec<&str> = fields.iter().map(|at| &*joint.entity.fields[*at].name).collect();
            let what = format!(
                "`{left}` and `{right}` have each changed {} of `{entity}` {key}, and neither is its master",
                names.join(", ")
            );
            Fault::reject(codes::BOTH_CHANGED, what)
        }
        Dispute::Gone(side) => {
            let (gone, there) = (joint.name(*side), joint.name(side.other()));
            let what = format!("`{entity}` {key} is gone from `{gone}`, and was changed in `{there}` since");
            Fault::reject(codes::GONE_AND_CHANGED, what)
        }
    };
    let fix =
        format!("look at both versions, then say which one holds: ironbridge dead-letters decide ID --take {left}");
    let fault = fault.at_key(key.to_string()).fix(format!("{fix} (or {right})"));
    let shown = |side: Which, at: usize| {
        let value = case.found[side].row().map(|row| &row.record.values()[at]);
        match value {
            None => Json::Null,
            Some(value) if joint.entity.fields[at].personal && !value.is_blank() => json!("***"),
            Some(Value::Blank) => json!(""),
            Some(value) => json!(value.to_string()),
        }
    };
    let fields: Vec<Json> = joint
        .entity
        .fields
        .iter()
        .enumerate()
        .filter(|(at, _)| joint.rules.fields[*at].reads.left || joint.rules.fields[*at].reads.right)
        .map(|(at, field)| {
            json!({
                "field": *field.name, "disputed": disputed.contains(&at), "master": field.master,
                left: shown(Which::Left, at), right: shown(Which::Right, at),
            })
        })
        .collect();
    let changed = |side: Which| match case.found[side].row() {
        None => json!("gone"),
        Some(row) => row.changed.map_or(Json::Null, |changed| json!(changed.to_string())),
    };
    let detail = json!({
        "faults": [json::fault(&fault)], "fields": [],
        VERSIONS: { "sides": [left, right], "changed": [changed(Which::Left), changed(Which::Right)], "fields": fields },
    });
    let mut record = Map::new();
    for side in Which::BOTH {
        let hidden = joint.read(side).personal_columns();
        let row = case.found[side].row().map(|row| json::row(&row.raw, &hidden));
        let row = row.and_then(|row| serde_json::from_str(&row).ok()).unwrap_or(Json::Null);
        record.insert(joint.name(side).to_owned(), row);
    }
    let rejection = Rejection {
        integration: integration.to_owned(),
        entity: entity.to_string(),
        key,
        record: Json::Object(record).to_string().into_bytes(),
        problem: Problem {
            code: fault.code.to_string(),
            what: fault.what.clone(),
            place: format!("{left} · {right}"),
            why: String::new(),
            fix: fault.fix.clone(),
            detail: detail.to_string(),
        },
        run,
    };
    Letter { rejection: named(rejection, &case.canonical), faults: vec![fault] }
}

/// Whether a person can decide about this dead letter.
pub fn is_dispute(letter: &DeadLetter) -> bool {
    [codes::BOTH_CHANGED, codes::GONE_AND_CHANGED].iter().any(|code| *code.0 == *letter.problem.code)
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// The next run carries it out.
    Yes,
    /// The dead letter is about something else than two versions.
    NoDispute,
    /// The integration goes between these systems, and the one that was named is neither.
    NoSuchSide([String; 2]),
}

/// Takes the version of one side for a row in dispute; the next run writes it to the other one, unless either side has
/// changed until then.
///
/// *Errors*: somebody else has dealt with it meanwhile.
pub async fn decide(
    store: &Store,
    project: &Project,
    integration: &Integration,
    letter: &DeadLetter,
    take: &str,
    by: &Actor,
    note: Option<&str>,
) -> Result<Decided, Error> {
    let Some(between) = sides(integration).filter(|_| is_dispute(letter)) else { return Ok(Decided::NoDispute) };
    let side = match between.iter().position(|side| side == take) {
        Some(0) => Which::Left,
        Some(_) => Which::Right,
        None => return Ok(Decided::NoSuchSide(between.clone())),
    };
    let Some(agreement) = changed(store, project, letter, |memory| memory.decided = Some(side))? else {
        return Ok(Decided::NoDispute);
    };
    let said = format!("take {take}{}", note.map(|note| format!(": {note}")).unwrap_or_default());
    let change = crate::letters::change(letter, State::Retrying, by, Some(&said));
    let did = crate::letters::did(by, "dead-letters decide", letter, Some(&said));
    store.commit(vec![change, agreement, did]).await?;
    Ok(Decided::Yes)
}

/// Has the next run look at both sides of a dead letter's row again.
///
/// *Errors*: of our own state.
pub(crate) fn retry(
    store: &Store,
    project: &Project,
    integration: &Integration,
    letter: &DeadLetter,
) -> Result<Option<store::Op>, store::Error> {
    match sides(integration) {
        None => Ok(None),
        Some(_) => changed(store, project, letter, |memory| {
            memory.stage = Stage::Waiting;
            memory.told = false;
            memory.rows = Both::default();
        }),
    }
}

fn sides(integration: &Integration) -> Option<&[String; 2]> {
    match &integration.pattern {
        Pattern::Batch(batch) => match &batch.direction {
            Direction::TwoWay { between, .. } => Some(between),
            Direction::OneWay { .. } => None,
        },
        _ => None,
    }
}

/// The agreement of a dead letter's row with a change; `None` where the hub knows nothing of the row any more.
fn changed(
    store: &Store,
    project: &Project,
    letter: &DeadLetter,
    change: impl FnOnce(&mut Memory),
) -> Result<Option<store::Op>, store::Error> {
    let detail: Json = serde_json::from_str(&letter.problem.detail).unwrap_or_default();
    let canonical = detail[AGREEMENT].as_str().and_then(bytes).and_then(|bytes| Key::from_bytes(&bytes).ok());
    let (Some(canonical), Some(entity)) = (canonical, project.entity(&letter.entity)) else { return Ok(None) };
    let (integration, of) = (&letter.integration, &letter.entity);
    let known = store.agreements(integration, of, std::slice::from_ref(&canonical))?.pop().flatten();
    let Some(mut memory) = known.and_then(|known| Memory::decode(&known.content, entity)) else { return Ok(None) };
    change(&mut memory);
    let agreements = vec![memory.into_agreement(canonical, entity)];
    let put = agreements::Op::Put { integration: integration.clone(), entity: of.clone(), agreements };
    Ok(Some(put.into()))
}
