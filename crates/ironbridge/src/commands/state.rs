//! `ironbridge state`: how far each entity of an integration has been read, as one JSON shape in and out.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use definition::{Batch, Direction, Pattern};
use serde::{Deserialize, Serialize};
use store::{OpResult, Refusal, Store, cursors, leases};

use crate::cli::{Cli, State as Command};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME, USAGE, WRONG_STATE};
use crate::{say, talk, wiring};

/// What `show` prints, and `set` and `merge` take.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    integration: String,
    /// By entity.
    positions: BTreeMap<String, Position>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// As the source gave it.
    position: String,
    /// Of the mapping that it was reached with; another one announces a full read.
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
}

pub async fn state(cli: &Cli, command: &Command) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let (Command::Show { integration: name }
    | Command::Set { integration: name, .. }
    | Command::Merge { integration: name, .. }
    | Command::Reset { integration: name, .. }) = command;
    let integration = wiring::integration(&project, name)?;
    // Both sides of a two-way integration are read, each with a position of its own.
    let entities: Vec<String> = match &integration.pattern {
        Pattern::Batch(Batch { direction: Direction::TwoWay { between, .. }, entities, .. }) => {
            entities.iter().flat_map(|entity| between.iter().map(move |side| format!("{entity}/{side}"))).collect()
        }
        _ => integration.entities().into_iter().map(str::to_owned).collect(),
    };
    let store = wiring::open_store(&project)?;
    let entity_exists = |entity: &str| {
        if entities.iter().any(|known| known == entity) {
            return Ok(());
        }
        let what = format!("`{name}` moves no entity `{entity}`");
        Err(Failure::new(USAGE, NO_SUCH_NAME, what, format!("it moves: {}", entities.join(", "))))
    };
    match command {
        Command::Show { .. } => {
            let cursors = store.cursors(name)?;
            let positions = cursors.into_iter().filter(|cursor| entities.contains(&cursor.stream)).map(|cursor| {
                let updated = Some(cursor.updated.to_string());
                (cursor.stream, Position { position: cursor.position, fingerprint: cursor.fingerprint, updated })
            });
            let state = State { integration: name.clone(), positions: positions.collect() };
            say!("{}", serde_json::to_string_pretty(&state).map_err(|why| anyhow::anyhow!(why))?);
        }
        Command::Set { file, .. } | Command::Merge { file, .. } => {
            let given = read(name, file)?;
            if !given.positions.is_empty() {
                has_positions(name, &integration.pattern)?;
            }
            for entity in given.positions.keys() {
                entity_exists(entity)?;
            }
            let count = given.positions.len();
            // What is no position stays: what the columns held, and when the two sides were last compared.
            let all = if matches!(command, Command::Set { .. }) { &entities[..] } else { &[] };
            let reset =
                |entity: &String| cursors::Op::Reset { integration: name.clone(), stream: Some(entity.clone()) };
            let clears = all.iter().map(|entity| reset(entity).into());
            let sets = given.positions.into_iter().map(|(stream, Position { position, fingerprint, .. })| {
                cursors::Op::Set { integration: name.clone(), stream, position, fingerprint }.into()
            });
            let action = if matches!(command, Command::Set { .. }) { "state set" } else { "state merge" };
            let did = wiring::actor().did(action, name).with(serde_json::json!({ "positions": count })).op();
            while_it_rests(&store, name, clears.chain(sets).chain([did]).collect()).await?;
            talk!("{count} positions of {name} are set; the next run goes on from there.");
        }
        Command::Reset { entity, .. } => {
            if let Pattern::Virtual(_) = integration.pattern {
                has_positions(name, &integration.pattern)?;
            }
            if let Some(entity) = entity {
                entity_exists(entity)?;
            }
            let reset = |stream| cursors::Op::Reset { integration: name.clone(), stream }.into();
            // What the columns held is forgotten along with the position: the next run takes them as they are.
            let all = match entity {
                Some(entity) => vec![reset(Some(entity.clone())), reset(Some(hub::retyped::stream(entity)))],
                None => vec![reset(None)],
            };
            let did = wiring::actor().did("state reset", name).with(serde_json::json!({ "entity": entity })).op();
            while_it_rests(&store, name, [all, vec![did]].concat()).await?;
            match (&integration.pattern, entity) {
                (Pattern::Event(_), Some(entity)) => {
                    talk!(
                        "The columns of {entity} are taken as they are now; what waits is delivered within a minute."
                    );
                }
                (Pattern::Event(_), None) => {
                    talk!("The next sweep of {name} begins anew: it finds what changes from then on.");
                }
                (Pattern::Flow(_), _) => talk!(
                    "{name} begins to look anew: it starts with what changes from then on, and its schedule counts from then on."
                ),
                _ => talk!("The next run of {name} reads everything; what is right already is not written again."),
            }
        }
    }
    Ok(0)
}

/// *Errors*: what is no batch is not read from a position that somebody could give.
fn has_positions(name: &str, pattern: &Pattern) -> Result<(), Failure> {
    let fix = match pattern {
        Pattern::Batch(_) => return Ok(()),
        Pattern::Virtual(_) => "nothing: each question is answered by its source".to_owned(),
        Pattern::Event(_) | Pattern::Flow(_) => {
            format!("where it is to look anew for what changes: ironbridge state reset {name}")
        }
    };
    let what = format!("`{name}` is no batch, and has no position that could be moved (pattern: {})", pattern.word());
    Err(Failure::new(USAGE, WRONG_STATE, what, fix))
}

fn read(name: &str, file: &Path) -> Result<State, Failure> {
    let wrong = |why: String| {
        let what = format!("{} is not the state of an integration: {why}", file.display());
        Failure::new(USAGE, WRONG_STATE, what, format!("start from what this prints: ironbridge state show {name}"))
    };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    read.map_err(|why| wrong(why.to_string()))?;
    let state: State = serde_json::from_str(&text).map_err(|why| wrong(why.to_string()))?;
    match state.integration == name {
        true => Ok(state),
        false => Err(wrong(format!("it is that of `{}`", state.integration))),
    }
}

/// Commits under the integration's lease: never while it runs.
async fn while_it_rests(store: &Store, name: &str, mut ops: Vec<store::Op>) -> Result<(), Failure> {
    let length = Duration::from_secs(15);
    let holder = wiring::holder();
    let mut taking: Vec<store::Op> = hub::left_behind(store, name, &holder)?.into_iter().collect();
    taking.push(leases::Op::Take { name: name.to_owned(), holder, length }.into());
    let lease = match store.commit(taking).await {
        Ok(results) => results.into_iter().find_map(|result| match result {
            OpResult::Lease(lease) => Some(lease),
            _ => None,
        }),
        Err(error) if matches!(error.refusal(), Some(Refusal::LeaseHeld { .. })) => {
            let what = format!("{name} runs right now, and its position moves with it");
            let fix = format!(
                "wait for its end (ironbridge status); so that no other begins meanwhile: ironbridge pause {name}"
            );
            return Err(Failure::new(FAILED, WRONG_STATE, what, fix));
        }
        Err(error) => return Err(error.into()),
    };
    let lease = lease.expect("Take answers with the lease");
    ops.insert(0, lease.fence());
    ops.push(leases::Op::Release { name: lease.name.clone(), epoch: lease.epoch }.into());
    store.commit(ops).await?;
    Ok(())
}
