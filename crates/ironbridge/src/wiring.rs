//! Puts the parts together: a project, its systems, its state.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use definition::{LoadOptions, Loaded, Project};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use record::{Catalog, Code, Fault, FieldType, Kind, OptionValue, Options, Secret, Secrets, System};
use store::audit::Actor;
use store::{Failpoints, Store};

use crate::cli::{Cli, Format, Window};
use crate::failure::{BAD_WINDOW, Failure, NO_SUCH_NAME, USAGE};
use crate::{in_use, say, talk};

/// Where a project keeps its state, inside its folder.
pub const STATE_DIR: &str = ".ironbridge";
/// The switch for drills: see `store::Failpoints`.
const FAILPOINTS: &str = "IRONBRIDGE_FAILPOINTS";
/// How far the clock of the hub goes wrong, in seconds, for drills.
const CLOCK: &str = "IRONBRIDGE_CLOCK_OFFSET";

pub const SECRET_MISSING: Code = Code("IB0006");
const KIND_NOT_BUILT: Code = Code("IB0007");

/// Secrets of this machine: the environment, and files beside the project.
pub struct MachineSecrets {
    dir: PathBuf,
}

impl MachineSecrets {
    /// Files of secrets are looked for beside the project in this folder.
    pub fn new(dir: &Path) -> MachineSecrets {
        MachineSecrets { dir: dir.to_owned() }
    }
}

impl Secrets for MachineSecrets {
    fn resolve(&self, provider: &str, name: &str) -> Result<Secret, String> {
        match provider {
            "env" => std::env::var(name).map(Secret::new).map_err(|_| {
                format!("the environment variable {name} is not set; set it, for example: export {name}=…")
            }),
            "file" => {
                let path = self.dir.join(name);
                let text = std::fs::read_to_string(&path);
                text.map(|text| Secret::new(text.trim_end_matches(['\r', '\n'])))
                    .map_err(|why| format!("the secret file {} cannot be read: {why}", path.display()))
            }
            "keyvault" => Err(format!("${{keyvault:{name}}} cannot be read yet; give it as ${{env:…}} or ${{file:…}}")),
            other => Err(format!("`{other}` is no place for secrets; there are env, file and keyvault")),
        }
    }
}

/// Every kind of system that this binary has.
pub fn kinds() -> Vec<&'static Kind> {
    connectors::registry::kinds().collect()
}

pub fn load(dir: &Path, env: Option<&str>) -> Loaded {
    load_with(dir, env, BTreeMap::new())
}

/// Reads and checks a project; `catalogs` is what live systems say of their tables, by system.
pub fn load_with(dir: &Path, env: Option<&str>, catalogs: BTreeMap<String, Catalog>) -> Loaded {
    load_from(dir, dir, env, catalogs)
}

/// Reads and checks the files of a project that are kept elsewhere than in its folder.
pub fn load_kept(kept: &Path, dir: &Path, env: Option<&str>) -> Loaded {
    load_from(kept, dir, env, BTreeMap::new())
}

fn load_from(files: &Path, dir: &Path, env: Option<&str>, catalogs: BTreeMap<String, Catalog>) -> Loaded {
    let (kinds, secrets) = (kinds(), MachineSecrets::new(dir));
    let options = LoadOptions {
        environment: env,
        kinds: &kinds,
        secrets: Some(&secrets as &dyn Secrets),
        catalogs,
        ..LoadOptions::default()
    };
    definition::load(files, &options)
}

/// The same for `check`: with what was measured here, and with the day on which acceptances end.
///
/// A hub that starts again at night asks neither: it is not stopped by a date, or by a source that became slow.
pub fn load_measured(dir: &Path, env: Option<&str>, catalogs: BTreeMap<String, Catalog>) -> Loaded {
    let (kinds, secrets) = (kinds(), MachineSecrets::new(dir));
    let measured = crate::measured::measured(&state_dir(dir, env));
    let options = LoadOptions {
        environment: env,
        kinds: &kinds,
        secrets: Some(&secrets),
        catalogs,
        measured: Some(&measured),
        today: Some(jiff::Zoned::now().date()),
        ..LoadOptions::default()
    };
    definition::load(dir, &options)
}

/// The project also where it is refused for these, for a command that mends that. What is printed is what else is wrong.
pub fn project_despite(cli: &Cli, despite: &[definition::Code]) -> Result<Arc<Project>, Failure> {
    let kinds = kinds();
    let options = LoadOptions { environment: cli.env.as_deref(), kinds: &kinds, despite, ..LoadOptions::default() };
    let loaded = definition::load(&cli.project, &options);
    loaded.project.clone().map(Arc::new).ok_or_else(|| {
        print_diagnostics(&loaded, cli.format);
        Failure::said(USAGE)
    })
}

/// The project of the command line; every mistake is printed before it fails.
///
/// Whoever looks at a hub, or stops something there, is not kept from it by what somebody has left in the files.
pub fn project(cli: &Cli) -> Result<Arc<Project>, Failure> {
    let loaded = load(&cli.project, cli.env.as_deref());
    if loaded.has_errors()
        && cli.command.is_about_a_hub()
        && let Some(project) = in_use::project(cli)
    {
        talk!(
            "There are mistakes in the files (ironbridge check). This is the project as `ironbridge up` began with it.\n"
        );
        return Ok(Arc::new(project));
    }
    right(cli, loaded)
}

/// The project in another folder than that of the command line.
pub fn project_in(cli: &Cli, dir: &Path) -> Result<Arc<Project>, Failure> {
    right(cli, load(dir, cli.env.as_deref()))
}

fn right(cli: &Cli, loaded: Loaded) -> Result<Arc<Project>, Failure> {
    let Some(project) = loaded.project.clone().filter(|_| !loaded.has_errors()) else {
        print_diagnostics(&loaded, cli.format);
        return Err(Failure::said(USAGE));
    };
    Ok(Arc::new(project))
}

pub fn print_diagnostics(loaded: &Loaded, format: Format) {
    match format {
        Format::Json => say!("{:#}", loaded.to_json()),
        // SARIF is what `check` writes, and nobody else.
        Format::Human | Format::Csv | Format::Sarif => {
            if !loaded.diagnostics.is_empty() {
                talk!("{}\n", loaded.render(true, terminal_width()));
            }
            for accepted in &loaded.accepted {
                talk!("{accepted}");
            }
        }
    }
}

pub fn terminal_width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(110)
}

/// A folder as people know it.
pub fn shown(dir: &Path) -> String {
    if dir == Path::new(".") { "this folder".to_owned() } else { dir.display().to_string() }
}

/// The state, for a command that looks or does one thing. What only reads writes nothing, also where something is due.
pub fn open_store(project: &Project) -> Result<Store, Failure> {
    open_store_with(project, false)
}

/// The state, for whoever sees to it that what is due happens.
pub fn open_store_of_up(project: &Project) -> Result<Store, Failure> {
    open_store_with(project, true)
}

fn open_store_with(project: &Project, timers: bool) -> Result<Store, Failure> {
    let failpoints = match std::env::var(FAILPOINTS) {
        Ok(spec) => spec.parse::<Failpoints>().map_err(anyhow::Error::from)?,
        Err(_) => Failpoints::off(),
    };
    let clock = match std::env::var(CLOCK).ok().and_then(|text| text.parse::<i64>().ok()) {
        Some(seconds) => store::Clock::of(move || {
            let now = jiff::Timestamp::now();
            now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now)
        }),
        None => store::Clock::system(),
    };
    let options = store::Options { failpoints, clock, timers, ..store::Options::default() };
    let dir = state_of(project);
    let others = environments_with_state(&project.dir);
    if project.environment.is_none() && !others.is_empty() && !dir.join("state.db").exists() {
        talk!("Nothing has run here yet without `--env`; there is state of: {}\n", others.join(", "));
    }
    Ok(Store::open(dir, options)?)
}

fn environments_with_state(dir: &Path) -> Vec<String> {
    let states = std::fs::read_dir(dir.join(STATE_DIR).join("environments"));
    let name = |state: std::fs::DirEntry| state.file_name().into_string().ok();
    let mut names: Vec<String> = states.into_iter().flatten().flatten().filter_map(name).collect();
    names.sort();
    names
}

/// Where the state of a project is. An environment has its own: what was done in one was not done in another.
pub fn state_dir(dir: &Path, environment: Option<&str>) -> PathBuf {
    let state = dir.join(STATE_DIR);
    match environment {
        Some(name) => state.join("environments").join(name),
        None => state,
    }
}

pub fn state_of(project: &Project) -> PathBuf {
    state_dir(&project.dir, environment(project))
}

/// The environment that `--env` chose.
pub fn environment(project: &Project) -> Option<&str> {
    project.environment.as_ref().map(|environment| environment.name.as_str())
}

/// The integration with this name, or what there is instead.
pub fn integration<'p>(project: &'p Project, name: &str) -> Result<&'p definition::Integration, Failure> {
    project.integration(name).ok_or_else(|| {
        let names: Vec<&str> = project.integrations.iter().map(|i| i.name.as_str()).collect();
        Failure::new(
            USAGE,
            NO_SUCH_NAME,
            format!("there is no integration `{name}`"),
            format!("this project has: {}", names.join(", ")),
        )
    })
}

pub fn system<'p>(project: &'p Project, name: &str) -> Result<&'p definition::System, Failure> {
    project.system(name).ok_or_else(|| {
        let names: Vec<&str> = project.systems.iter().map(|system| system.name.as_str()).collect();
        let what = format!("there is no system `{name}`");
        Failure::new(USAGE, NO_SUCH_NAME, what, format!("this project has: {}", names.join(", ")))
    })
}

/// The window of time of the command line; nothing where none was given.
///
/// *Errors*: what is no time, and a window that ends before it begins.
pub fn window(project: &Project, window: &Window) -> Result<Option<hub::Window>, Failure> {
    let Some(from) = &window.from else { return Ok(None) };
    let zone = &project.hub.time_zone;
    let from = time(from, zone)?;
    let to = window.to.as_ref().map_or_else(|| Ok(Timestamp::now()), |to| time(to, zone))?;
    if from >= to {
        let what = format!("the window ends at {to}, before it begins at {from}");
        return Err(Failure::new(USAGE, BAD_WINDOW, what, "give an earlier --from, or a later --to"));
    }
    Ok(Some(hub::Window { from, to }))
}

/// A moment as people write it: with its zone, or as the clocks of the project show it.
pub fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, Failure> {
    let local = |text: &str| {
        let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0))).ok()?;
        zone.to_ambiguous_timestamp(civil).compatible().ok()
    };
    text.parse().ok().or_else(|| local(text)).ok_or_else(|| {
        let fix = "write it like 2026-11-01, \"2026-11-01 06:00\" or 2026-11-01T06:00:00Z";
        Failure::new(USAGE, BAD_WINDOW, format!("`{text}` is no time"), fix)
    })
}

/// Who this process is, for other processes to see.
pub fn holder() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "this-machine".to_owned());
    format!("{}/{}", machine.trim(), std::process::id())
}

/// Who sits at the terminal, as the machine knows them: also where they type as the user of the hub, by `sudo`.
pub fn person() -> String {
    let of_environment = |name: &str| std::env::var(name).ok().filter(|name| !name.is_empty());
    of_environment("SUDO_USER")
        .or_else(account)
        .or_else(|| of_environment("USER"))
        .or_else(|| of_environment("LOGNAME"))
        .unwrap_or_else(|| "somebody".to_owned())
}

/// The account that this process belongs to, whatever its environment says; its number where it has no name.
#[cfg(target_os = "linux")]
fn account() -> Option<String> {
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").ok()?).to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let name = named.into_iter().find(|parts| parts.get(2) == Some(&uid.as_str())).map(|parts| parts[0].to_owned());
    Some(name.unwrap_or_else(|| format!("user {uid}")))
}

#[cfg(not(target_os = "linux"))]
fn account() -> Option<String> {
    None
}

/// The same, as somebody whose deeds are recorded.
pub fn actor() -> Actor {
    Actor::new(person(), "command line")
}

/// The systems of a project, each opened once, and anew where a file of a secret says something else.
pub struct OpenSystems {
    project: Arc<Project>,
    open: Mutex<HashMap<String, Opened>>,
}

/// A system, and what it was opened with.
type Opened = (Options, Arc<dyn System>);

impl OpenSystems {
    pub fn new(project: Arc<Project>) -> OpenSystems {
        OpenSystems { project, open: Mutex::default() }
    }
}

/// Opens systems for virtual tables.
pub fn opener(systems: Arc<OpenSystems>) -> virtual_tables::OpenSystem {
    Arc::new(move |name| hub::Systems::open(&*systems, name))
}

impl hub::Systems for OpenSystems {
    fn open(&self, name: &str) -> Result<Arc<dyn System>, Fault> {
        let mut open = self.open.lock().expect("nothing panics while it opens a system");
        let defined = self.project.system(name).expect("a checked project names systems that exist");
        let Some(entry) = connectors::registry::find(defined.kind.name) else {
            let what = format!("systems of kind `{}` are checked, and cannot be used yet", defined.kind.name);
            return Err(Fault::ask_person(KIND_NOT_BUILT, what)
                .at_system(name)
                .fix("use a kind that is there for now; nothing was read or written"));
        };
        let secrets = MachineSecrets::new(&self.project.dir);
        let known = open.get(name);
        let mut options = match (defined.connection.resolve(&secrets), known) {
            (Ok(options), _) => options,
            // Somebody is about to replace it; the one that is known holds until then.
            (Err(_), Some((_, system))) => return Ok(system.clone()),
            (Err(missing), None) => {
                let what = format!("the system `{name}` lacks a secret: {}", missing.join("; "));
                let fix = "give it its value, and run again";
                return Err(Fault::ask_person(SECRET_MISSING, what).at_system(name).fix(fix));
            }
        };
        for field in defined.kind.connection.iter().filter(|field| matches!(field.ty, FieldType::Path)) {
            if let Some(OptionValue::Text(path)) = options.0.get_mut(field.name) {
                *path = self.project.dir.join(&*path).display().to_string();
            }
        }
        if let Some((_, system)) = known.filter(|(before, _)| *before == options) {
            return Ok(system.clone());
        }
        let system = (entry.open)(name, options.clone())?;
        open.insert(name.to_owned(), (options, system.clone()));
        Ok(system)
    }
}
