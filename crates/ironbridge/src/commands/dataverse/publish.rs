//! `ironbridge dataverse publish`: a virtual integration becomes a virtual table that people can open.

use std::time::Duration;

use definition::{Integration, Pattern, Project};
use hub::Systems;
use record::options::OptionValue;
use record::{How, Published, Type, VirtualColumn, VirtualTable};
use serde_json::json;
use virtual_tables::{Exposed, Of};

use super::{Deed, confirmed, differences_json, sign};
use crate::cli::{Cli, Format};
use crate::commands::virtual_tables::lookup_note;
use crate::failure::{CHANGES, Failure, NOT_PUBLISHED_THERE, USAGE};
use crate::keys::Keys;
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

/// How much longer than the hub Dynamics waits, so that the hub's own words arrive.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn publish(cli: &Cli, name: &str, url: Option<&str>, yes: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let integration = wiring::integration(&project, name)?;
    let (system, wanted) = wanted(&project, integration, url.unwrap_or_default())?;
    let systems = OpenSystems::new(project.clone());
    let opened = systems.open(&system)?;
    let Some(compared) = opened.publish(&wanted, false) else { return Err(shows_none(name, &system)) };
    let mut published = compared.await?;
    let differs = published.differences.iter().any(|difference| difference.how != How::Same);
    if cli.format == Format::Human {
        print(&published);
    }
    let write = differs && (yes || (cli.format == Format::Human && confirmed(&system)));
    if write {
        let detail = json!({ "system": system, "table": wanted.table });
        let deed = Deed::begin(&project, "dataverse publish", name, detail).await?;
        let written = opened.publish(&wanted, true).expect("it was answered before");
        published = Published { notes: published.notes, ..deed.end(written.await).await? };
    }
    if cli.format == Format::Json {
        say!("{:#}", as_json(&system, &published, write));
    } else {
        match (write, differs) {
            (true, _) => talk!("\n{system} shows `{}` now; who may read it, its security roles say.", wanted.table),
            (false, true) => talk!("\nNothing is written. If that is what you want, say --yes."),
            (false, false) => talk!("\nEverything is as it should be."),
        }
        if is_another_table(&published) {
            talk!(
                "Dynamics goes on with the metadata of the hub that it has read for up to 8 hours: publish all \
                 customizations there, or wait, before the change is seen."
            );
        }
        if wanted.columns.iter().any(|column| column.ty == Type::WholeNumber) {
            talk!("Whole numbers are shown up to 2,147,483,647; a row with a larger one cannot be opened there.");
        }
        if let Some(note) = lookup_note(&project, integration, &systems).await {
            talk!("{note}");
        }
    }
    Ok(if differs && !write { CHANGES } else { 0 })
}

/// Whether a table that was there before has other columns, or is another set: Dynamics may have read the metadata of the
/// hub by then.
fn is_another_table(published: &Published) -> bool {
    let mut of_table = published.differences.iter().filter(|d| !d.what.starts_with("data source"));
    let was_there = of_table.clone().all(|d| d.how != How::Add || !d.what.starts_with("virtual table"));
    was_there && of_table.any(|d| d.how != How::Same)
}

fn print(published: &Published) {
    for difference in &published.differences {
        say!("{} {}", sign(difference.how), difference.what);
    }
    for note in &published.notes {
        say!("! {note}");
    }
}

fn as_json(system: &str, published: &Published, written: bool) -> serde_json::Value {
    json!({
        "system": system,
        "written": written,
        "differences": differences_json(&published.differences),
        "notes": published.notes,
    })
}

/// The virtual table that an integration needs, and the system that has to show it. An empty `url` means: as it is there.
///
/// *Errors*: the integration is no virtual one; its table has no `primary_name:`; a key has no value.
pub fn wanted(project: &Project, integration: &Integration, url: &str) -> Result<(String, VirtualTable), Failure> {
    let name = &integration.name;
    let Pattern::Virtual(shown) = &integration.pattern else {
        let what = format!("`{name}` is a {} integration: it has no virtual table", integration.pattern.word());
        return Err(Failure::new(USAGE, NOT_PUBLISHED_THERE, what, "name a virtual integration"));
    };
    let exposed = virtual_tables::exposed(project, integration).expect("a checked virtual integration shows something");
    let system = project.system(&shown.to).expect("a checked project names systems that exist");
    let held = system.entity(&shown.entity).expect("a checked project has the virtual table");
    let Some(table) = held.virtual_table.clone() else { return Err(shows_none(name, &system.name)) };
    let called = match held.options.get("primary_name") {
        Some(OptionValue::Text(called)) => called.clone(),
        _ => String::new(),
    };
    let prefix = table.split_once('_').map_or_else(String::new, |(prefix, _)| format!("{prefix}_"));
    let url = url.trim_end_matches('/');
    let url = if url.is_empty() { String::new() } else { format!("{url}/odata/{}/", shown.from) };
    let keys = Keys::of_virtual_tables(project, system)?.now();
    let header = system.odata.as_ref().map(|odata| odata.header.clone()).unwrap_or_default();
    let columns =
        exposed.properties.iter().enumerate().filter(|(at, _)| *at != exposed.key || is_called(&exposed, *at, &called));
    let wanted = VirtualTable {
        label: words(&exposed.set),
        set: exposed.set.clone(),
        url,
        source: format!("ironbridge {}", shown.from),
        timeout_seconds: (longest(project, shown) + PATIENCE).as_secs().clamp(30, 120),
        key: keys.last().cloned().map(|key| (header, key)),
        id: exposed.key_name().to_owned(),
        columns: columns.map(|(at, _)| column(project, &exposed, at, &prefix, &called)).collect(),
        table,
        prefix,
    };
    Ok((system.name.clone(), wanted))
}

/// The longest time-out of the virtual tables that share a data source.
fn longest(project: &Project, of: &definition::Virtual) -> Duration {
    let timeouts = project.integrations.iter().filter_map(|integration| match &integration.pattern {
        Pattern::Virtual(shown) if shown.from == of.from && shown.to == of.to => Some(shown.timeout),
        _ => None,
    });
    timeouts.max().unwrap_or(of.timeout)
}

/// The key is the table's own column, and no other one; unless rows are called by it.
fn is_called(exposed: &Exposed, at: usize, called: &str) -> bool {
    exposed.properties[at].name == called
}

fn column(project: &Project, exposed: &Exposed, at: usize, prefix: &str, called: &str) -> VirtualColumn {
    let property = &exposed.properties[at];
    let reference = exposed.navigations.iter().find(|navigation| navigation.property == property.name);
    let refers_to = match (&property.of, reference) {
        (Of::Other { entity, .. }, Some(_)) => {
            let held = project.system(&exposed.to).and_then(|system| system.entity(&entity.name));
            held.and_then(|held| held.virtual_table.clone())
        }
        _ => None,
    };
    // A lookup is named after what it points to, not after its key.
    let name = reference.map_or(&property.name, |reference| &reference.name);
    VirtualColumn {
        property: property.name.clone(),
        column: format!("{prefix}{name}"),
        label: words(name),
        ty: property.ty.clone(),
        required: !property.nullable,
        is_name: property.name == called,
        refers_to,
    }
}

/// `credit_limit` as people read it: `Credit limit`.
fn words(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn shows_none(name: &str, system: &str) -> Failure {
    let what = format!("`{system}`, where `{name}` is to be shown, has no virtual tables");
    Failure::new(USAGE, NOT_PUBLISHED_THERE, what, "name a virtual integration whose `to:` is a Dataverse")
}
