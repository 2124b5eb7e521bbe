//! Whether a system answers, who we are there, and what is missing.

use std::time::Duration;

use definition::{Deletes, Integration, Pattern, Project, System, SystemEntity};
use record::{Catalog, Code, Fault, Health, ReadSpec, TableUse};

use crate::compile::{self, Systems};

/// Longer than this nobody looks at a line that does not move.
pub const PATIENCE: Duration = Duration::from_secs(10);
const SILENT: Code = Code("IB0020");

/// How long it may take to show that rows can be read. Who is slower than that reads all the same.
const PROBE: Duration = Duration::from_secs(4);

/// Asks a system of the project, its catalogue for the tables that the project names, and for the rights to do with them
/// what the integrations do; changes nothing there.
///
/// *Errors*: it does not answer, lets us not in, or is silent for ten seconds.
pub async fn health(project: &Project, systems: &dyn Systems, name: &str) -> Result<Health, Fault> {
    let defined = project.system(name).expect("the name comes from the project");
    let answer = tokio::time::timeout(PATIENCE, ask(project, defined, systems)).await;
    answer.unwrap_or_else(|_| {
        // A file has no address, and no firewall before it.
        let fix = "see which program has the file open, and locked: nobody reads it meanwhile";
        Err(if defined.kind.name == "sqlite" { silent(name).fix(fix) } else { silent(name) })
    })
}

/// What the integrations do with an entity of a system.
fn uses(project: &Project, defined: &System, held: &SystemEntity) -> TableUse {
    let all = || project.integrations.iter().filter(|one| one.entities().contains(&&*held.entity));
    let writes = |one: &Integration| one.writes(&defined.name);
    TableUse {
        table: held.table.clone().unwrap_or_else(|| held.entity.clone()),
        reads: all().any(|one| one.reads(&defined.name)),
        writes: !held.write.is_empty() && all().any(writes),
        deletes: all().any(|one| writes(one) && deletes(one)),
    }
}

/// Whether rows that are gone from its source are deleted.
fn deletes(integration: &Integration) -> bool {
    match &integration.pattern {
        Pattern::Batch(batch) => batch.deletes == Deletes::Delete,
        Pattern::Event(event) => event.trigger.deleted,
        Pattern::Virtual(_) | Pattern::Flow(_) => false,
    }
}

/// The fault of a read of this entity that may not be done, or cannot; a transient one says nothing of that.
async fn unreadable(system: &dyn record::System, defined: &System, held: &SystemEntity) -> Option<Fault> {
    let spec = ReadSpec {
        table: held.table.clone().unwrap_or_default(),
        columns: Vec::new(),
        declared: held.columns.clone(),
        watermark: held.watermark.clone(),
        key: Vec::new(),
        rows_per_batch: 1,
        time_zone: defined.time_zone.clone(),
        fields: compile::plain(&held.read, |field, column| (field.to_owned(), column.to_owned())),
        options: held.options.clone(),
    };
    let probe = async { system.source(spec)?.probe().await };
    match tokio::time::timeout(PROBE, probe).await {
        Ok(Err(fault)) => Some(fault),
        Ok(Ok(())) | Err(_) => None,
    }
}

/// It said nothing in time.
pub fn silent(name: &str) -> Fault {
    let what = format!("`{name}` did not answer within {} seconds", PATIENCE.as_secs());
    Fault::retry(SILENT, what, None).at_system(name).fix("check its address, and whether a firewall is between")
}

/// What the integrations do with the entities of a system, but for tables that are not there.
fn known_uses(project: &Project, defined: &System, catalog: Option<&Catalog>) -> Vec<TableUse> {
    let all = defined.entities.iter().map(|held| uses(project, defined, held));
    all.filter(|of| catalog.is_none_or(|catalog| catalog.table(&of.table).is_some())).collect()
}

/// What a system says of itself, and the rights that the integrations lack there: a sentence for each table, with what to
/// do. With it the catalogue of the tables that the project names, where this kind of system has one.
pub async fn standing(
    project: &Project,
    defined: &System,
    system: &dyn record::System,
) -> Result<(Health, Option<Catalog>), Fault> {
    let mut health = system.check().await?;
    let tables: Vec<&str> = tables(defined).collect();
    let catalog = if defined.kind.has_catalog { Some(system.catalog(&tables).await?) } else { None };
    let lacks = system.lacks(&known_uses(project, defined, catalog.as_ref())).await?;
    if catalog.is_some() && !lacks.is_empty() {
        // What it may not do with these tables says more than that it may do nothing at all.
        health.missing.clear();
    }
    health.missing.extend(lacks);
    Ok((health, catalog))
}

/// The tables of a system that the project names.
fn tables(defined: &System) -> impl Iterator<Item = &str> {
    defined.entities.iter().filter_map(|held| held.table.as_deref())
}

async fn ask(project: &Project, defined: &System, systems: &dyn Systems) -> Result<Health, Fault> {
    let system = systems.open(&defined.name)?;
    let (mut health, catalog) = standing(project, defined, &*system).await?;
    if let Some(catalog) = &catalog {
        let user = health.user.clone().map_or_else(String::new, |user| format!(" by `{user}`"));
        let missing = tables(defined).filter(|table| catalog.table(table).is_none()).map(|table| {
            format!(
                "there is no table `{table}`, or it may not be seen{user}; correct `table:` in systems/{}.yaml, or grant the right to read it",
                defined.name
            )
        });
        health.missing.extend(missing);
    }
    let uses = known_uses(project, defined, catalog.as_ref());
    health.untold = system.untold(&uses);
    for held in &defined.entities {
        let of = self::uses(project, defined, held);
        if !of.reads || !uses.contains(&of) {
            continue;
        }
        let entity = &held.entity;
        match unreadable(&*system, defined, held).await {
            // It has answered; that it is busy is no right that is missing.
            Some(fault) if fault.is_transient() => {
                health.untold.push(format!("whether `{entity}` may be read: {fault}"))
            }
            Some(fault) => health.missing.push(format!("`{entity}` cannot be read: {fault}; {}", fault.fix)),
            None => {}
        }
    }
    Ok(health)
}
