//! Whether a system answers, who we are there, and what is missing.

use std::time::Duration;

use definition::{Project, System};
use record::{Code, Fault, Health};

use crate::compile::Systems;

/// Longer than this nobody looks at a line that does not move.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const SILENT: Code = Code("IB0020");

/// Asks a system of the project, and its catalogue for the tables that the project names.
///
/// *Errors*: it does not answer, lets us not in, or is silent for ten seconds.
pub async fn health(project: &Project, systems: &dyn Systems, name: &str) -> Result<Health, Fault> {
    let defined = project.system(name).expect("the name comes from the project");
    let answer = tokio::time::timeout(PATIENCE, ask(defined, systems)).await;
    answer.unwrap_or_else(|_| Err(silent(name)))
}

/// It said nothing in time.
pub(crate) fn silent(name: &str) -> Fault {
    let what = format!("`{name}` did not answer within {} seconds", PATIENCE.as_secs());
    Fault::retry(SILENT, what, None).at_system(name).fix("check its address, and whether a firewall is between")
}

async fn ask(defined: &System, systems: &dyn Systems) -> Result<Health, Fault> {
    let system = systems.open(&defined.name)?;
    let mut health = system.check().await?;
    if defined.kind.has_catalog {
        let tables: Vec<&str> = defined.entities.iter().filter_map(|held| held.table.as_deref()).collect();
        let catalog = system.catalog(&tables).await?;
        for table in tables.iter().filter(|table| catalog.table(table).is_none()) {
            health.missing.push(format!("there is no table `{table}`, or it may not be seen"));
        }
    }
    Ok(health)
}
