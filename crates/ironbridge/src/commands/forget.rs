//! `ironbridge forget ENTITY KEY`: what the hub keeps of one record is removed, and what is kept is said.

use std::collections::BTreeSet;

use definition::{Pattern, Project};
use serde_json::json;
use store::forget::{Forgotten, Op, Wanted};
use store::{OpResult, Store};

use super::trace;
use crate::cli::{Cli, Format};
use crate::failure::{FAILED, Failure, NOT_FORGOTTEN};
use crate::output::number;
use crate::{say, talk, wiring};

pub async fn forget(cli: &Cli, entity: &str, key: &[String], yes: bool, why: Option<&str>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    trace::entity_exists(&project, entity)?;
    let store = wiring::open_store(&project)?;
    let name = key.join("|");
    let shared = shared(&project);
    let sessions = sessions(&shared, &store, entity, key)?;
    let key = hub::typed(&project, entity, key);
    let wanted = Wanted { entity: entity.to_owned(), key_text: name, key, sessions, shared };
    let mut ops = vec![Op::Forget { wanted: Box::new(wanted.clone()), only_count: !yes }.into()];
    if yes {
        // The log says that it was done and by whom, and nothing by which the record could be found out.
        ops.push(wiring::actor().did("forget", entity).because(why).op());
    }
    let found = match store.commit(ops).await?.into_iter().next() {
        Some(OpResult::Forgotten(found)) => found,
        other => unreachable!("Forget answers with what it found, not {other:?}"),
    };
    if yes {
        store.scrub()?;
    }
    tell(cli, &project, &store, &wanted, &found, yes)?;
    match yes {
        true if found.locked > 0 => {
            let what = format!("{} messages of it are being worked on right now, and stay", number(found.locked));
            Err(Failure::new(FAILED, NOT_FORGOTTEN, what, "run the same command again in a minute"))
        }
        true => Ok(0),
        false if found.all() == 0 => Ok(0),
        false => {
            let what = "this was a look: nothing is removed yet, and it cannot be taken back once it is";
            Err(Failure::new(FAILED, NOT_FORGOTTEN, what, "add --yes if you mean it"))
        }
    }
}

fn tell(
    cli: &Cli,
    project: &Project,
    store: &Store,
    wanted: &Wanted,
    found: &Forgotten,
    done: bool,
) -> Result<(), Failure> {
    let parts = [
        ("journal", found.notes, ["note", "notes"], "of what happened to it"),
        ("dead_letters", found.dead_letters, ["dead letter,", "dead letters,"], "with what was sent or read"),
        (
            "messages",
            found.messages,
            ["message that waits:", "messages that wait:"],
            "what would have been written is not written",
        ),
        ("ledger", found.ledger, ["row", "rows"], "of the ledger: the hub does not know any more that it wrote it"),
        ("agreements", found.agreements, ["agreement", "agreements"], "between two systems"),
        (
            "flows",
            found.flows,
            ["instance", "instances"],
            "of flows, with what was read, set and asked; one under way ends",
        ),
        ("approvals", found.approvals, ["list", "lists"], "of changes of approvals that are decided"),
    ];
    let open = store.approvals(false, 1_000)?;
    let open = open.iter().filter(|approval| approval.details.contains(&wanted.key_text)).count();
    let systems: Vec<&str> =
        project.systems.iter().filter(|s| s.entity(&wanted.entity).is_some()).map(|s| &*s.name).collect();
    let mut kept = vec![
        format!(
            "what the systems hold ({}): the hub deletes nothing there; if a source still has it, the next read brings it back",
            systems.join(", ")
        ),
        "the audit log: it holds who did what and why, and no record's key or values".to_owned(),
        "the counts of runs and of retries: they name no record".to_owned(),
        "files that people have made: saved plans, exports, support bundles, backups of the state folder".to_owned(),
    ];
    if open > 0 {
        let waits = match open {
            1 => "an approval that waits for an answer and names it: decide it".to_owned(),
            several => format!("{several} approvals that wait for an answer and name it: decide them"),
        };
        kept.push(format!("{waits}, then run this again"));
    }
    if found.locked > 0 {
        kept.push(format!("{} messages that are being worked on right now", number(found.locked)));
    }
    if cli.format == Format::Json {
        let removed: serde_json::Map<String, serde_json::Value> =
            parts.iter().map(|(name, count, ..)| ((*name).to_owned(), json!(count))).collect();
        say!("{:#}", json!({ "done": done, "removed": removed, "kept": kept, "being_worked_on": found.locked }));
        return Ok(());
    }
    if found.all() == 0 {
        talk!("The hub keeps nothing of {} {}.", wanted.entity, wanted.key_text);
        return Ok(());
    }
    say!("{}", if done { "removed:" } else { "would be removed:" });
    for (_, count, [one, several], what) in parts.iter().filter(|(_, count, ..)| *count > 0) {
        say!("  {} {} {what}", number(*count), if *count == 1 { one } else { several });
    }
    say!("kept:");
    for line in kept {
        say!("  {line}");
    }
    Ok(())
}

/// The integrations that put several records into one session by `order_by`. There a message is known by its key only.
fn shared(project: &Project) -> BTreeSet<String> {
    let events = project
        .integrations
        .iter()
        .filter(|integration| matches!(&integration.pattern, Pattern::Event(event) if event.order_by.is_some()));
    events.map(|integration| integration.name.clone()).collect()
}

/// Sessions whose messages are about this record alone, besides those of its dead letters.
fn sessions(
    shared: &BTreeSet<String>,
    store: &Store,
    entity: &str,
    key: &[String],
) -> Result<BTreeSet<String>, Failure> {
    let name = key.join("|");
    let notes = store.journal_of(entity, &name, usize::from(u16::MAX))?;
    let own = notes.into_iter().filter(|noted| !shared.contains(&noted.note.integration));
    let mut sessions: BTreeSet<String> = own.filter_map(|noted| noted.note.session).collect();
    let quoted: Vec<String> = key.iter().map(|part| json!(part).to_string()).collect();
    sessions.extend([format!("{entity}|{}", quoted.join("|")), format!("{entity}|{name}")]);
    // What names no row keeps the order of all.
    sessions.remove(entity);
    Ok(sessions)
}
