//! What people were shown when they were asked, and whether what is kept of it is that.

use hub::flows::Kept;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use store::Store;
use store::approvals::Approval;
use store::flows::Instance;

use crate::cli::{Cli, Format};
use crate::failure::{FAILED, Failure, SHOWN_CHANGED};
use crate::output::{moment, table};
use crate::{say, talk};

fn word(kept: &Kept) -> &'static str {
    match kept {
        Kept::AsShown => "as shown",
        Kept::Forgotten => "forgotten",
        Kept::Changed => "CHANGED",
        Kept::Otherwise { .. } => "ANSWERED ABOUT SOMETHING ELSE",
    }
}

fn all(store: &Store, instance: &Instance) -> Result<Vec<(Approval, Kept)>, Failure> {
    let mut found = Vec::new();
    for approval in store.approvals_about(&instance.integration, &format!("{}/", instance.id))? {
        let kept = hub::flows::kept(store, &approval)?;
        found.push((approval, kept));
    }
    Ok(found)
}

/// The questions of an instance, each with the hash of what was shown.
pub fn show(store: &Store, instance: &Instance, zone: &TimeZone) -> Result<(), Failure> {
    let all = all(store, instance)?;
    if all.is_empty() {
        return Ok(());
    }
    let now = store.clock().now();
    let rows = all.iter().map(|(approval, kept)| {
        vec![
            approval.id.to_string(),
            approval.word(now).to_owned(),
            approval.decided_by.clone().unwrap_or_default(),
            approval.decided.map_or_else(String::new, |at| moment(at, zone)),
            approval.digest.chars().take(16).collect(),
            word(kept).to_owned(),
        ]
    });
    say!("\nwhat people were shown:");
    say!("{}", table(&["approval", "state", "decided by", "when", "hash", "what is kept"], rows.collect()));
    talk!("The record as it was shown: ironbridge approvals show {}", all[0].0.id);
    for (approval, kept) in &all {
        if let Some(failure) = wrong(approval, kept) {
            talk!("{}", failure.what());
        }
    }
    Ok(())
}

pub fn json(store: &Store, instance: &Instance) -> Result<Json, Failure> {
    let one = |(approval, kept): &(Approval, Kept)| {
        json!({
            "approval": approval.id.0, "state": approval.state.to_string(), "decided_by": approval.decided_by,
            "digest": approval.digest, "kept": word(kept).to_lowercase(),
        })
    };
    Ok(all(store, instance)?.iter().map(one).collect())
}

/// `flow show --verify`: whether everything that people were shown is what is kept.
///
/// *Errors*: something is not.
pub fn verify(cli: &Cli, store: &Store, instance: &Instance) -> Result<u8, Failure> {
    let all = all(store, instance)?;
    if let Some(failure) = all.iter().find_map(|(approval, kept)| wrong(approval, kept)) {
        return Err(failure);
    }
    if cli.format == Format::Json {
        say!("{:#}", json(store, instance)?);
        return Ok(0);
    }
    let forgotten = all.iter().filter(|(_, kept)| *kept == Kept::Forgotten).count();
    let questions = web_console::words::counted((all.len() - forgotten) as u64, "question", "questions");
    talk!("{questions} of instance {}: what is kept is what was shown.", instance.id);
    if forgotten > 0 {
        talk!("Of {forgotten} nothing is kept any more: their time was over, or the record was forgotten.");
    }
    Ok(0)
}

fn wrong(approval: &Approval, kept: &Kept) -> Option<Failure> {
    let what = match kept {
        Kept::AsShown | Kept::Forgotten => return None,
        Kept::Changed => format!(
            "what is kept of approval {} is not what was shown: its hash is not {}",
            approval.id, approval.digest
        ),
        Kept::Otherwise { by, digest } => format!(
            "{by} answered approval {} about what has the hash {digest}, and it holds {}",
            approval.id, approval.digest
        ),
    };
    let fix =
        "the state file was changed by something else: compare it with a backup, and see: ironbridge audit verify";
    Some(Failure::new(FAILED, SHOWN_CHANGED, what, fix))
}
