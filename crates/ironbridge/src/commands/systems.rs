//! `ironbridge systems check`: does each system answer, who are we there, and what is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use definition::Project;
use record::{Fault, Health};
use serde_json::json;

use crate::cli::{Cli, Format, Systems as Command};
use crate::failure::{FAILED, Failure};
use crate::output::table;
use crate::wiring::{self, OpenSystems};
use crate::{say, talk, ways};

/// The name under which the mail server of the hub stands beside the systems.
const MAIL: &str = "mail";

/// What was found out about one system.
struct Found {
    name: String,
    kind: &'static str,
    took: Duration,
    /// A fault where it does not answer.
    health: Result<Health, Fault>,
}

pub async fn systems(cli: &Cli, command: &Command) -> Result<u8, Failure> {
    let Command::Check { system } = command;
    let project = wiring::project(cli)?;
    let with_mail = project.hub.mail.is_some() && system.as_ref().is_none_or(|name| name == MAIL);
    if let Some(name) = system.as_ref().filter(|_| !with_mail) {
        wiring::system(&project, name)?;
    }
    let wanted = project.systems.iter().filter(|defined| system.as_ref().is_none_or(|name| defined.name == *name));
    let open = Arc::new(OpenSystems::new(project.clone()));
    let asked: Vec<_> = wanted
        .map(|defined| {
            let (project, open, name) = (project.clone(), open.clone(), defined.name.clone());
            tokio::spawn(async move { ask(&project, &open, &name).await })
        })
        .collect();
    let mut found = Vec::new();
    for answer in asked {
        found.push(answer.await.map_err(anyhow::Error::from)?);
    }
    if with_mail {
        found.push(mail(&project).await);
    }
    print(cli, &found);
    let good = |found: &Found| found.health.as_ref().is_ok_and(|health| health.missing.is_empty());
    Ok(if found.iter().all(good) { 0 } else { FAILED })
}

async fn ask(project: &Project, open: &OpenSystems, name: &str) -> Found {
    let defined = project.system(name).expect("the name comes from the project");
    let start = Instant::now();
    let health = hub::health(project, open, name).await;
    Found { name: name.to_owned(), kind: defined.kind.name, took: start.elapsed(), health }
}

/// Asks the server that mails are handed to.
async fn mail(project: &Project) -> Found {
    let start = Instant::now();
    let asked = async { connectors::notify::greet(&ways::mail_server(project)?).await };
    let health = tokio::time::timeout(hub::PATIENCE, asked).await.unwrap_or_else(|_| {
        Err(hub::silent(MAIL).fix(
            "compare host and port in `mail: server:` of ironbridge.yaml; a server that speaks TLS from the start (port 465) is smtps://",
        ))
    });
    Found { name: MAIL.to_owned(), kind: "smtp", took: start.elapsed(), health }
}

fn print(cli: &Cli, found: &[Found]) {
    if cli.format == Format::Json {
        let items = found.iter().map(|one| {
            let health = one.health.as_ref().ok();
            json!({
                "system": one.name, "kind": one.kind, "answers": health.is_some(), "took_ms": one.took.as_millis() as u64,
                "version": health.map(|health| &health.version), "user": health.and_then(|health| health.user.as_ref()),
                "missing": health.map(|health| &health.missing),
                "untold": health.map(|health| &health.untold),
                "error": one.health.as_ref().err().map(hub::json::fault),
            })
        });
        return say!("{:#}", serde_json::Value::from_iter(items));
    }
    let row = |one: &Found| {
        let (state, version, user) = match &one.health {
            Ok(health) if health.missing.is_empty() => ("ready", health.version.clone(), health.user.clone()),
            Ok(health) => ("something is missing", health.version.clone(), health.user.clone()),
            Err(fault) if fault.is_transient() => ("does not answer", String::new(), None),
            Err(_) => ("cannot be used", String::new(), None),
        };
        let took = format!("{} ms", one.took.as_millis());
        vec![one.name.clone(), one.kind.to_owned(), state.to_owned(), version, user.unwrap_or_default(), took]
    };
    say!("{}", table(&["system", "kind", "state", "version", "user", "took"], found.iter().map(row).collect()));
    for one in found {
        match &one.health {
            Ok(health) => {
                health.missing.iter().for_each(|missing| talk!("\n{}: {missing}", one.name));
                health.untold.iter().for_each(|untold| talk!("\n{}: not asked: {untold}", one.name));
            }
            Err(fault) => {
                talk!("\n{}: {fault}\n  do: {}\n  more: ironbridge explain {}", one.name, fault.fix, fault.code)
            }
        }
    }
}
