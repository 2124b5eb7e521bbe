//! Whether a system answers, who we are there, and what is missing.

use std::time::Duration;

use definition::{Project, System};
use record::{Code, Fault, Health, TableUse};

use crate::compile::Systems;

/// Longer than this nobody looks at a line that does not move.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const SILENT: Code = Code("IB0020");

/// Asks a system of the project, its catalogue for the tables that the project names, and for the rights to do with them
/// what the integrations do.
///
/// *Errors*: it does not answer, lets us not in, or is silent for ten seconds.
pub async fn health(project: &Project, systems: &dyn Systems, name: &str) -> Result<Health, Fault> {
    let defined = project.system(name).expect("the name comes from the project");
    let answer = tokio::time::timeout(PATIENCE, ask(project, defined, systems)).await;
    answer.unwrap_or_else(|_| Err(silent(name)))
}

/// What the integrations do with the tables of a system.
fn uses(project: &Project, defined: &System) -> Vec<TableUse> {
    let of = |held: &definition::SystemEntity| {
        let table = held.table.clone()?;
        let all = || project.integrations.iter().filter(|one| one.entities().contains(&&*held.entity));
        let reads = all().any(|one| one.reads(&defined.name));
        let writes = !held.write.is_empty() && all().any(|one| one.writes(&defined.name));
        Some(TableUse { table, reads, writes })
    };
    defined.entities.iter().filter_map(of).collect()
}

/// It said nothing in time.
pub(crate) fn silent(name: &str) -> Fault {
    let what = format!("`{name}` did not answer within {} seconds", PATIENCE.as_secs());
    Fault::retry(SILENT, what, None).at_system(name).fix("check its address, and whether a firewall is between")
}

async fn ask(project: &Project, defined: &System, systems: &dyn Systems) -> Result<Health, Fault> {
    let system = systems.open(&defined.name)?;
    let mut health = system.check().await?;
    if defined.kind.has_catalog {
        let tables: Vec<&str> = defined.entities.iter().filter_map(|held| held.table.as_deref()).collect();
        let catalog = system.catalog(&tables).await?;
        let user = health.user.clone().map_or_else(String::new, |user| format!(" by `{user}`"));
        for table in tables.iter().filter(|table| catalog.table(table).is_none()) {
            health.missing.push(format!(
                "there is no table `{table}`, or it may not be seen{user}; correct `table:` in systems/{}.yaml, or grant the right to read it",
                defined.name
            ));
        }
        health.missing.extend(system.lacks(&uses(project, defined)).await?);
    }
    Ok(health)
}
