//! `ironbridge dataverse`: what Dynamics is told by its own API.

mod keys;
pub mod publish;

use std::io::{BufRead, IsTerminal};

use definition::{Integration, Pattern, Payload, Project, Trigger};
use hub::Systems;
use record::{Difference, Fault, How, Registration};
use serde_json::{Value as Json, json};
use store::Store;

use crate::cli::{Cli, Dataverse, Format};
use crate::failure::{CHANGES, Failure, NOT_REGISTERED_THERE, USAGE};
use crate::keys::Keys;
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

pub async fn dataverse(cli: &Cli, command: &Dataverse) -> Result<u8, Failure> {
    match command {
        Dataverse::Register { integration, url, yes } => register(cli, integration, url.as_deref(), *yes).await,
        Dataverse::Keys { system, yes } => keys::keys(cli, system.as_deref(), *yes).await,
        Dataverse::Publish { integration, url, yes } => publish::publish(cli, integration, url.as_deref(), *yes).await,
    }
}

async fn register(cli: &Cli, name: &str, url: Option<&str>, yes: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let integration = wiring::integration(&project, name)?;
    let (system, wanted) = wanted(&project, integration, url.unwrap_or_default())?;
    let opened = OpenSystems::new(project.clone()).open(system)?;
    let Some(compared) = opened.register(&wanted, false) else { return Err(not_by_api(name, system)) };
    let differences = compared.await?;
    let differs = differences.iter().any(|difference| difference.how != How::Same);
    if yes {
        let deed = Deed::begin(&project, "dataverse register", name, json!({ "system": system })).await?;
        let written = opened.register(&wanted, true).expect("it was answered before");
        deed.end(written.await).await?;
    }
    if cli.format == Format::Json {
        say!("{:#}", json!({ "system": system, "written": yes, "differences": differences_json(&differences) }));
    } else {
        for difference in &differences {
            say!("{} {}", sign(difference.how), difference.what);
        }
        match (yes, differs) {
            (true, true) => talk!("\n{system} is told; the key was written anew."),
            (true, false) => talk!("\nEverything was as it should be; the key was written anew."),
            (false, true) => talk!("\nNothing is written yet. If that is what you want, say --yes."),
            (false, false) => {
                talk!("\nEverything is as it should be. Whether its key is ours cannot be read; --yes writes it anew.")
            }
        }
    }
    Ok(if differs && !yes { CHANGES } else { 0 })
}

/// Something that is done in another system, in the audit log twice: before it is done, since it may be done although
/// its answer never comes, and how it ended.
struct Deed {
    store: Store,
    action: &'static str,
    name: String,
    detail: Json,
}

impl Deed {
    async fn begin(project: &Project, action: &'static str, name: &str, detail: Json) -> Result<Deed, Failure> {
        let deed = Deed { store: wiring::open_store(project)?, action, name: name.to_owned(), detail };
        deed.record("begun", None).await?;
        Ok(deed)
    }

    /// The answer of the other system, once it is in the log.
    async fn end<T>(self, answer: Result<T, Fault>) -> Result<T, Failure> {
        match &answer {
            Ok(_) => self.record("done", None).await?,
            Err(fault) => self.record("failed", Some(fault.code.0)).await?,
        }
        Ok(answer?)
    }

    async fn record(&self, state: &str, code: Option<&str>) -> Result<(), Failure> {
        let mut detail = self.detail.clone();
        detail["state"] = json!(state);
        if let Some(code) = code {
            detail["code"] = json!(code);
        }
        self.store.commit(vec![wiring::actor().did(self.action, &*self.name).with(detail).op()]).await?;
        Ok(())
    }
}

/// What a system has to send for an integration, and which system that is. An empty `url` means: where it is sent now.
pub fn wanted<'p>(
    project: &'p Project,
    integration: &'p Integration,
    url: &str,
) -> Result<(&'p str, Registration), Failure> {
    let name = &integration.name;
    let (from, entity, trigger, as_sent) = match &integration.pattern {
        Pattern::Event(event) => (&event.from, &event.entity, &event.trigger, event.payload == Payload::AsSent),
        Pattern::Flow(flow) => (&flow.in_, &flow.entity, &flow.trigger, false),
        other => {
            let what = format!("`{name}` is a {} integration: no event starts it", other.word());
            return Err(Failure::new(USAGE, NOT_REGISTERED_THERE, what, "name an event integration or a flow"));
        }
    };
    let system = project.system(from).expect("a checked project names systems that exist");
    let held = system.entity(entity).expect("a checked project reads entities that the source has");
    let keys = Keys::of_webhooks(project, system)?.now();
    let (Some(webhooks), Some(key)) = (&system.webhooks, keys.last().cloned()) else {
        let what = format!("`{}` has no `webhooks:`, so that nothing would take its events", system.name);
        let fix = format!("write it in systems/{}.yaml: webhooks: {{ keys: [\"${{env:HOOK_KEY}}\"] }}", system.name);
        return Err(Failure::new(USAGE, NOT_REGISTERED_THERE, what, fix));
    };
    let entity = project.entity(entity).expect("a checked project names entities that exist");
    let url = url.trim_end_matches('/');
    let url = if url.is_empty() { String::new() } else { format!("{url}/webhooks/{name}") };
    let registration = Registration {
        name: name.clone(),
        url,
        header: webhooks.header.clone(),
        key,
        table: held.table.clone().unwrap_or_default(),
        created: trigger.created,
        updated: trigger.updated,
        deleted: trigger.deleted,
        columns: trigger.columns.clone(),
        key_columns: held.key_columns(entity).unwrap_or_else(|| held.alternate_key.clone()),
        sent: if as_sent { own_columns(trigger, held) } else { Vec::new() },
    };
    Ok((&system.name, registration))
}

/// The columns of the row itself that its fields are read from.
fn own_columns(trigger: &Trigger, held: &definition::SystemEntity) -> Vec<String> {
    let columns = held.read.iter().filter_map(|rule| match &rule.expr {
        mapping::Expr::Source(column) => Some(column.clone()),
        mapping::Expr::Choice { source, .. } => Some(source.clone()),
        _ => None,
    });
    columns.chain(trigger.columns.clone()).filter(|column| !column.contains('.')).collect()
}

fn not_by_api(name: &str, system: &str) -> Failure {
    let what = format!("`{system}`, from which `{name}` gets its events, is not told by an API what to send");
    let fix = format!("enter the hub's address there by hand: <hub>/webhooks/{name}, with a key of `webhooks:`");
    Failure::new(USAGE, NOT_REGISTERED_THERE, what, fix)
}

/// Asks whoever sits there; where nobody does, the answer is no.
fn confirmed(system: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    talk!("\nWrite this to {system}? [y/N]");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn differences_json(differences: &[Difference]) -> Vec<serde_json::Value> {
    differences.iter().map(|d| json!({ "how": word(d.how), "what": d.what })).collect()
}

fn sign(how: How) -> char {
    match how {
        How::Same => '=',
        How::Add => '+',
        How::Change => '~',
        How::Remove => '-',
    }
}

fn word(how: How) -> &'static str {
    match how {
        How::Same => "same",
        How::Add => "add",
        How::Change => "change",
        How::Remove => "remove",
    }
}
