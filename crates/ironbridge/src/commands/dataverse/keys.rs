//! `ironbridge dataverse keys`: the alternate keys by which rows are written are there, or are made.

use definition::{Project, System};
use hub::Systems;
use record::{How, WantedKey};
use serde_json::json;

use super::{confirmed, differences_json, sign};
use crate::cli::{Cli, Format};
use crate::failure::{CHANGES, Failure, NO_KEYS_THERE, USAGE};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

pub async fn keys(cli: &Cli, name: Option<&str>, yes: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let system = system(&project, name)?;
    let wanted = wanted(system);
    let opened = OpenSystems::new(project.clone()).open(&system.name)?;
    let Some(compared) = opened.keys(&wanted, false) else { return Err(makes_none(&system.name)) };
    let mut differences = compared.await?;
    if cli.format == Format::Human {
        differences.iter().for_each(|difference| say!("{} {}", sign(difference.how), difference.what));
    }
    let differs = differences.iter().any(|difference| difference.how != How::Same);
    let write = differs && (yes || (cli.format == Format::Human && confirmed(&system.name)));
    if write {
        // Before it is done: what is asked of another system may be done although its answer never comes.
        let did = wiring::actor().did("dataverse keys", &system.name).with(json!({ "keys": wanted.len() })).op();
        wiring::open_store(&project)?.commit(vec![did]).await?;
        opened.keys(&wanted, true).expect("it was answered before").await?;
        // Its own words on what became of them.
        differences = opened.keys(&wanted, false).expect("it was answered before").await?;
    }
    let usable = differences.iter().all(|difference| difference.how == How::Same);
    if cli.format == Format::Json {
        let differences = differences_json(&differences);
        say!("{:#}", json!({ "system": system.name, "written": write, "differences": differences }));
    } else if wanted.is_empty() {
        talk!("Nothing is written to {} by an alternate key.", system.name);
    } else if write {
        talk!("\n{} has them now:", system.name);
        differences.iter().for_each(|difference| talk!("{} {}", sign(difference.how), difference.what));
        talk!("What is still being built is usable as soon as `ironbridge check --online` says nothing of it.");
    } else if differs {
        talk!("\nNothing is written yet. If that is what you want, say --yes.");
    } else {
        talk!("\nEverything is as it should be.");
    }
    Ok(if usable { 0 } else { CHANGES })
}

/// The one that was named, or the only Dynamics of the project.
fn system<'p>(project: &'p Project, name: Option<&str>) -> Result<&'p System, Failure> {
    if let Some(name) = name {
        return wiring::system(project, name);
    }
    let mut all = project.systems.iter().filter(|system| system.kind.name == "dataverse");
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(makes_none(&project.hub.name)),
        (Some(first), Some(_)) => {
            let what = "there are several systems of the kind dataverse";
            let fix = format!("say which one: ironbridge dataverse keys {}", first.name);
            Err(Failure::new(USAGE, NO_KEYS_THERE, what, fix))
        }
    }
}

/// What rows are written by, each once.
fn wanted(system: &System) -> Vec<WantedKey> {
    let written = system.entities.iter().filter(|held| !held.write.is_empty() && !held.alternate_key.is_empty());
    let mut keys: Vec<WantedKey> = written
        .filter_map(|held| Some(WantedKey { table: held.table.clone()?, columns: held.alternate_key.clone() }))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn makes_none(name: &str) -> Failure {
    let what = format!("`{name}` has no alternate keys that could be made from here");
    let fix = "name a system of the kind dataverse; a database gets a unique index from its owner";
    Failure::new(USAGE, NO_KEYS_THERE, what, fix)
}
