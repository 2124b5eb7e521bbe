//! `ironbridge pause` and `resume`: an integration starts nothing by itself for a while.

use definition::Pattern;
use store::pauses::Op;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::moment;
use crate::{talk, wiring};

pub async fn pause(cli: &Cli, name: &str, note: &str, length: Option<std::time::Duration>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let integration = wiring::integration(&project, name)?;
    let store = wiring::open_store(&project)?;
    let until = length.and_then(|length| store.clock().now().checked_add(length).ok());
    let pause = Op::Set { integration: name.to_owned(), by: wiring::person(), note: note.to_owned(), until };
    let detail = serde_json::json!({ "until": until.map(|until| until.to_string()) });
    let did = wiring::actor().did("pause", name).because(Some(note)).with(detail).op();
    store.commit(vec![pause.into(), did]).await?;
    match until {
        Some(until) => talk!("{name} starts nothing by itself until {}.", moment(until, &project.hub.time_zone)),
        None => talk!("{name} starts nothing by itself until: ironbridge resume {name}"),
    }
    match integration.pattern {
        Pattern::Event(_) => talk!("What comes in meanwhile is taken, and waits in the queue: ironbridge queue list"),
        Pattern::Batch(_) => {
            talk!("A run that is under way ends. By hand it still runs: ironbridge run {name}");
        }
        _ => talk!("What is under way ends; what comes in meanwhile waits."),
    }
    Ok(0)
}

pub async fn resume(cli: &Cli, name: &str) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    wiring::integration(&project, name)?;
    let store = wiring::open_store(&project)?;
    let did = wiring::actor().did("resume", name).op();
    match store.commit(vec![Op::End { integration: name.to_owned() }.into(), did]).await?.as_slice() {
        [store::OpResult::Count(0), ..] => talk!("{name} was not paused."),
        _ => talk!("{name} works again."),
    }
    Ok(0)
}
