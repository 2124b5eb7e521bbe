//! `ironbridge check`: every mistake at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use definition::codes::STRANGE_SECTION;
use definition::{Diagnostic, Files, Loaded, Pattern, Project, Severity, Span};
use hub::Systems;
use record::{Catalog, Fault, RetryPolicy};

use crate::cli::{Cli, Format};
use crate::commands::emulate::stopped;
use crate::commands::explain;
use crate::commands::virtual_tables::lookup_note;
use crate::failure::{FAILED, Failure, USAGE};
use crate::wiring::{self, OpenSystems};
use crate::{edited, say, talk};

pub async fn check(cli: &Cli, online: bool) -> Result<u8, Failure> {
    let loaded = load(cli, BTreeMap::new());
    let Some(project) = loaded.project.clone().filter(|_| !loaded.has_errors()) else {
        return Ok(report(cli, &loaded));
    };
    let project = Arc::new(project);
    if !online {
        let errors = report(cli, &loaded);
        return Ok(if opens(&project) { errors } else { USAGE });
    }
    let (live, failed) = ask(cli, &project).await;
    let loaded = load(cli, live);
    match report(cli, &loaded) {
        0 if failed => Ok(FAILED),
        0 => fits(cli, &project).await,
        errors => Ok(errors),
    }
}

/// Checks again whenever a file of the project changes.
pub async fn watch(cli: &Cli, online: bool) -> Result<u8, Failure> {
    let mut before = None;
    loop {
        let now = edited::files(&cli.project, &edited::ALL);
        if before.as_ref() != Some(&now) {
            talk!("\n{}", crate::output::moment(jiff::Timestamp::now(), &jiff::tz::TimeZone::system()));
            check(cli, online).await?;
            before = Some(now);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
            () = stopped() => return Ok(0),
        }
    }
}

/// Prints what was found; answers the exit code.
fn report(cli: &Cli, loaded: &Loaded) -> u8 {
    if cli.format == Format::Sarif {
        let page = |code: record::Code| explain::page_of(code.0);
        say!("{:#}", loaded.to_sarif(&definition::Report { prefix: &within_repository(&cli.project), page: &page }));
    } else {
        wiring::print_diagnostics(loaded, cli.format);
    }
    let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = loaded.diagnostics.len() - errors;
    if cli.format == Format::Human {
        let count = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        let mut warned = count(warnings, "warning", "warnings");
        if !loaded.accepted.is_empty() {
            warned.push_str(&format!(", {} accepted", loaded.accepted.len()));
        }
        match &loaded.project {
            Some(project) if errors == 0 => say!(
                "{} in order: {}, {}, {}{}",
                wiring::shown(&cli.project),
                count(project.systems.len(), "system", "systems"),
                count(project.entities.len(), "entity", "entities"),
                count(project.integrations.len(), "integration", "integrations"),
                if warnings + loaded.accepted.len() > 0 { format!(" ({warned})") } else { String::new() }
            ),
            _ => say!("{}, {warned}", count(errors, "error", "errors")),
        }
        if let Some(first) = loaded.diagnostics.first() {
            talk!("more: ironbridge explain {}", first.code);
        }
    }
    if let (Some(project), Format::Human, 0) = (&loaded.project, cli.format, errors) {
        for integration in &project.integrations {
            match &integration.pattern {
                Pattern::Event(event) => {
                    talk!("{}: a message that fails by itself: {}", integration.name, hub::events::worst_case(event));
                    if let Some(asked) = asked(project, event) {
                        talk!("{}: {asked}", integration.name);
                    }
                }
                Pattern::Virtual(shown) => talk!("{}: {}", integration.name, limits(project, integration, shown)),
                Pattern::Batch(_) | Pattern::Flow(_) => {}
            }
        }
    }
    if let (0, Format::Human, Some(project)) = (errors, cli.format, &loaded.project)
        && let Some(told) = edited::since_start(project)
    {
        talk!("{told}");
    }
    if errors > 0 { USAGE } else { 0 }
}

/// How a change is heard of in a system that sends nothing by itself.
fn asked(project: &Project, event: &definition::Event) -> Option<String> {
    let (from, every) = (project.system(&event.from)?, event.sweep?);
    let every = jiff::SignedDuration::try_from(every).ok()?;
    from.webhooks.is_none().then(|| {
        format!(
            "{} sends no events; it is asked every {every:#} what has changed, so that is how long one may take",
            from.name
        )
    })
}

/// The project with what is measured here, what its live systems say, and what only the hub knows of its runbooks.
fn load(cli: &Cli, live: BTreeMap<String, Catalog>) -> Loaded {
    let mut loaded = wiring::load_measured(&cli.project, cli.env.as_deref(), live);
    if let Some(project) = loaded.project.as_ref().filter(|_| !loaded.has_errors()) {
        let strange = strange_sections(project, &loaded.files);
        loaded.diagnostics.splice(0..0, strange);
    }
    loaded
}

/// Notes in `runbooks/` for an alert that there is none: nobody would find them.
fn strange_sections(project: &Project, files: &Files) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for integration in &project.integrations {
        let Some(file) = &integration.runbook else { continue };
        let Some((id, notes)) = files.iter().find(|(_, read)| *read.path == **file) else { continue };
        for (at, heading) in hub::operations::runbook::strange_sections(project, integration, &notes.text) {
            let span = Span { file: id, start: at.start as u32, end: at.end as u32 };
            let what = format!("a section is about an alert that {} does not have", integration.name);
            found.push(
                Diagnostic::error(STRANGE_SECTION, what)
                    .at(span, format!("there is no alert `{}`", heading["alert:".len()..].trim()))
                    .help(format!("name it like a section of: ironbridge runbook {}", integration.name)),
            );
        }
    }
    found
}

/// Where a project is within its repository: `hub/`, or nothing where it is the whole of it, or in none.
fn within_repository(dir: &Path) -> String {
    let Ok(dir) = dir.canonicalize() else { return String::new() };
    let root = dir.ancestors().find(|above| above.join(".git").exists());
    let Some(within) = root.and_then(|root| dir.strip_prefix(root).ok()) else { return String::new() };
    within.components().map(|part| format!("{}/", part.as_os_str().to_string_lossy())).collect()
}

/// What a virtual table is not, for whoever thinks of it as a table.
fn limits(project: &Project, integration: &definition::Integration, shown: &definition::Virtual) -> String {
    let exposed = virtual_tables::exposed(project, integration);
    let columns = exposed.map(|exposed| exposed.properties.len()).unwrap_or_default();
    let keys = match project.system(&shown.to).and_then(|system| system.odata.as_ref()) {
        Some(_) => String::new(),
        None => format!(
            "; without `odata: {{ keys: … }}` in systems/{}.yaml every program on this machine is answered, also a proxy that lets others in",
            shown.to
        ),
    };
    format!(
        "a virtual table of {columns} columns, read only and live: everybody who may read the table sees every row; \
         Dynamics has no audit, search, change tracking, workflows, charts or alternate keys for it, and takes at most \
         1,000 rows of one query{keys}"
    )
}

/// Whether every system can be spoken to as it is defined, without speaking to it. A secret that this machine does not
/// have is the business of the machine that runs the hub.
fn opens(project: &Arc<Project>) -> bool {
    let systems = OpenSystems::new(project.clone());
    let wrong = |name: &str| systems.open(name).err().filter(|fault| fault.code != wiring::SECRET_MISSING);
    let faults: Vec<Fault> = project.systems.iter().filter_map(|system| wrong(&system.name)).collect();
    for fault in &faults {
        Failure::from(fault.clone()).print(Format::Human);
    }
    faults.is_empty()
}

/// Asks every system: reachable, permitted, and what tables it has. Answers the catalogues, and whether one failed.
async fn ask(cli: &Cli, project: &Arc<Project>) -> (BTreeMap<String, Catalog>, bool) {
    let systems = OpenSystems::new(project.clone());
    let (mut live, mut failed) = (BTreeMap::new(), false);
    for defined in &project.systems {
        let asked = async {
            let system = systems.open(&defined.name)?;
            hub::standing(project, defined, &*system).await
        };
        match asked.await {
            Ok((health, catalog)) => {
                let user = health.user.map(|user| format!(" as {user}")).unwrap_or_default();
                if cli.format == Format::Human {
                    say!("{}: answers ({}{user})", defined.name, health.version);
                }
                for missing in health.missing {
                    failed = true;
                    talk!("{}: {missing}", defined.name);
                }
                live.extend(catalog.map(|catalog| (defined.name.clone(), catalog)));
            }
            Err(fault) => {
                failed = true;
                Failure::from(fault).print(Format::Human);
            }
        }
    }
    (live, failed)
}

/// Compiles each integration as a run would: alternate keys, columns, types.
async fn fits(cli: &Cli, project: &Arc<Project>) -> Result<u8, Failure> {
    let systems = OpenSystems::new(project.clone());
    let soon = RetryPolicy { give_up_after: Duration::from_secs(5), ..RetryPolicy::default() };
    let mut failed = false;
    for integration in &project.integrations {
        let fits = match &integration.pattern {
            Pattern::Batch(_) => hub::compile(project, integration, &systems, soon.clone()).await.map(drop),
            Pattern::Event(_) => hub::events::fits(project, integration, &systems).await,
            Pattern::Virtual(shown) => match virtual_tables::exposed(project, integration) {
                Some(exposed) => match systems.open(&shown.from) {
                    Ok(source) => virtual_tables::fits(project, &exposed, &*source).await,
                    Err(fault) => Err(fault),
                },
                None => continue,
            },
            Pattern::Flow(_) => hub::flows::fits(project, integration, &systems).await,
        };
        match fits {
            Ok(()) if cli.format == Format::Human => {
                say!("{}: fits its systems", integration.name);
                if let Some(note) = lookup_note(project, integration, &systems).await {
                    talk!("{note}");
                }
            }
            Ok(()) => {}
            Err(fault) => {
                failed = true;
                Failure::from(fault).print(Format::Human);
            }
        }
    }
    Ok(if failed { FAILED } else { 0 })
}
