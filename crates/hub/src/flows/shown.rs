//! What people were shown when they were asked, and what they filled in: kept with a hash, and compared with it.

use definition::{FormField, Pattern, Project};
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use store::Store;
use store::approvals::Approval;
use store::flows::Instance;

use super::form;
use super::people::subject_of;
use super::program::personal;
use super::state::{Asking, State};

/// Whether what is kept of a question is what people were shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    AsShown,
    /// Its time is over, or its record was forgotten: nothing is kept but the hash.
    Forgotten,
    /// It has another hash than what was shown.
    Changed,
    /// Somebody answered about what had this hash, by the audit log.
    Otherwise {
        by: String,
        digest: String,
    },
}

/// The hash of what people are shown: SHA-256 of the question, a line break, and the details.
pub(super) fn digest_of(question: &str, details: &str) -> String {
    let hash: [u8; 32] =
        Sha256::new().chain_update(question).chain_update("\n").chain_update(details).finalize().into();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares what is kept of a question with its hash, and that with the hash in the audit log, where the answer is kept in
/// a chain that nobody changes unseen.
///
/// *Errors*: of our own state.
pub fn kept(store: &Store, approval: &Approval) -> Result<Kept, store::Error> {
    if approval.details == "{}" {
        return Ok(Kept::Forgotten);
    }
    // A question from before has the beginning of the hash of its details alone.
    let now = digest_of(&approval.question, &approval.details);
    let before = crate::plan::saved::fingerprint(&approval.details);
    if now != approval.digest && before != approval.digest {
        return Ok(Kept::Changed);
    }
    let about = |recorded: &store::audit::Recorded| {
        let detail: serde_json::Value = serde_json::from_str(&recorded.entry.detail).unwrap_or_default();
        let digest = detail["digest"].as_str()?.to_owned();
        let mine = detail["approval"] == approval.id.0 && digest != approval.digest;
        mine.then(|| (recorded.entry.actor.name.clone(), digest))
    };
    let Some(decided) = approval.decided else { return Ok(Kept::AsShown) };
    let second = jiff::SignedDuration::from_secs(1);
    let (from, to) = (decided.checked_sub(second).ok(), decided.checked_add(second).ok());
    let entries = store.audit(&store::audit::Filter { from, to, ..store::audit::Filter::default() }, 1_000)?;
    Ok(match entries.iter().find_map(about) {
        Some((by, digest)) => Kept::Otherwise { by, digest },
        None => Kept::AsShown,
    })
}

/// What an instance keeps, as people may see it: personal values are `***`.
pub fn data(project: &Project, instance: &Instance) -> Json {
    let mut data: Json = serde_json::from_str(&instance.data).unwrap_or_default();
    let flow = project.integration(&instance.integration).and_then(|integration| match &integration.pattern {
        Pattern::Flow(flow) => Some(flow),
        _ => None,
    });
    let Some((flow, entity)) = flow.zip(project.entity(&instance.entity)) else { return data };
    let personal = personal(project, entity, flow);
    mask(data.get_mut("set"), &personal, "");
    mask(data.get_mut("form"), &personal, "form.");
    for (name, decision) in data.get_mut("decisions").and_then(Json::as_object_mut).into_iter().flatten() {
        mask(decision.get_mut("fields"), &personal, &format!("{name}."));
    }
    mask_question(data.get_mut("doing"), &personal);
    for (_, branch) in data.get_mut("branches").and_then(Json::as_object_mut).into_iter().flatten() {
        mask_question(branch.get_mut("doing"), &personal);
    }
    data
}

fn mask_question(doing: Option<&mut Json>, personal: &[String]) {
    let Some(asking) = doing.and_then(|doing| doing.get_mut("asking")) else { return };
    let of = format!("{}.", asking["name"].as_str().unwrap_or_default());
    mask(asking.get_mut("shown"), personal, "");
    for vote in asking.get_mut("votes").and_then(Json::as_array_mut).into_iter().flatten() {
        mask(vote.get_mut("fields"), personal, &of);
    }
}

/// Hides the members that `personal` names, each with what stands before its name there.
fn mask(of: Option<&mut Json>, personal: &[String], before: &str) {
    for (name, value) in of.and_then(Json::as_object_mut).into_iter().flatten() {
        if !value.is_null() && personal.iter().any(|field| field.strip_prefix(before) == Some(name.as_str())) {
            *value = "***".into();
        }
    }
}

/// What is filled in with the answer to a question, and what stands in each field at first.
pub fn form_of(approval: &Approval) -> Vec<(FormField, String)> {
    let details: serde_json::Value = serde_json::from_str(&approval.details).unwrap_or_default();
    form::asked(&details["form"])
}

/// What was filled in with the answer that decided a question: label and value. Personal values are `***`.
///
/// *Errors*: of our own state.
pub fn filled_in(store: &Store, approval: &Approval, zone: &TimeZone) -> Result<Vec<(String, String)>, store::Error> {
    let form = form_of(approval);
    let Some((id, name)) = subject_of(approval).filter(|_| !form.is_empty() && approval.decided.is_some()) else {
        return Ok(Vec::new());
    };
    let Some(instance) = store.flow_instance(id)? else { return Ok(Vec::new()) };
    let state: Option<State> = serde_json::from_str(&instance.data).ok();
    let Some(state) = state else { return Ok(Vec::new()) };
    // A question from before questions had names has none.
    let mine = |asking: &(&str, &Asking)| asking.1.name.is_empty() || asking.1.name == name;
    let standing = state.asking().find(mine).and_then(|(_, asking)| asking.votes.last());
    let Some(fields) = state.decisions.get(name).map(|made| &made.fields).or(standing.map(|vote| &vote.fields)) else {
        return Ok(Vec::new());
    };
    let told = form.into_iter().filter_map(|(field, _)| {
        let value = fields.get(&field.name)?;
        Some((field.label.clone(), form::value_of(&field, value, zone)))
    });
    Ok(told.collect())
}
