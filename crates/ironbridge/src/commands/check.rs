//! `ironbridge check`: every mistake at once.

use definition::{Pattern, Project};
use hub::Systems;
use record::RetryPolicy;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{Cli, Format};
use crate::failure::{FAILED, Failure, USAGE};
use crate::say;
use crate::wiring::{self, OpenSystems};

pub async fn check(cli: &Cli, online: bool) -> Result<u8, Failure> {
    let loaded = wiring::load(&cli.project, cli.env.as_deref());
    wiring::print_diagnostics(&loaded, cli.format);
    let errors = loaded.diagnostics.iter().filter(|d| d.severity == definition::Severity::Error).count();
    let warnings = loaded.diagnostics.len() - errors;
    if cli.format == Format::Human {
        let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        match &loaded.project {
            Some(project) if errors == 0 => say!(
                "{} in order: {}, {}, {}{}",
                wiring::shown(&cli.project),
                count(project.systems.len(), "system"),
                count(project.entities.len(), "entities")
                    .replace("1 entities", "1 entity")
                    .replace("entitiess", "entities"),
                count(project.integrations.len(), "integration"),
                if warnings > 0 { format!(" ({})", count(warnings, "warning")) } else { String::new() }
            ),
            _ => say!("{}, {}", count(errors, "error"), count(warnings, "warning")),
        }
    }
    match loaded.project {
        Some(project) if errors == 0 && online => online_too(cli, Arc::new(project)).await,
        _ if errors > 0 => Ok(USAGE),
        _ => Ok(0),
    }
}

/// Asks the live systems: reachable, permitted, and do the mappings fit what is there?
async fn online_too(cli: &Cli, project: Arc<Project>) -> Result<u8, Failure> {
    let systems = OpenSystems::new(project.clone());
    let mut failed = false;
    for defined in &project.systems {
        let health = match systems.open(&defined.name) {
            Ok(system) => system.check().await,
            Err(fault) => Err(fault),
        };
        match health {
            Ok(health) => {
                let user = health.user.map(|user| format!(" as {user}")).unwrap_or_default();
                say!("{}: answers ({}{user})", defined.name, health.version);
                for missing in health.missing {
                    failed = true;
                    say!("{}: {missing}", defined.name);
                }
            }
            Err(fault) => {
                failed = true;
                Failure::from(fault).print(cli.format);
            }
        }
    }
    let soon = RetryPolicy { give_up_after: Duration::from_secs(5), ..RetryPolicy::default() };
    if failed {
        return Ok(FAILED);
    }
    for integration in project.integrations.iter().filter(|i| matches!(i.pattern, Pattern::Batch(_))) {
        match hub::compile(&project, integration, &systems, soon.clone()).await {
            Ok(_) => say!("{}: fits its systems", integration.name),
            Err(fault) => {
                failed = true;
                Failure::from(fault).print(cli.format);
            }
        }
    }
    Ok(if failed { FAILED } else { 0 })
}
