//! `ironbridge flow`: instances of flows, and what people do with them.

pub mod filled;
mod shown;

use std::sync::Arc;

use definition::{Pattern, Project, Standing};
use hub::flows::decide::NotTaken;
use hub::flows::form::clock;
use hub::flows::state::{Doing, State};
use hub::flows::{Flows, Refused};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use store::Store;
use store::audit::Actor;
use store::flows::{Filter, Instance, InstanceId, State as Stands, Step};

use crate::cli::{Cli, Flow as Command, Format};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME, NOT_ASKED, NOT_NOW, NOT_SKIPPED, USAGE};
use crate::output::{ago, moment, number, table};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

/// Instances that are listed at most.
const LISTED: usize = 200;

pub async fn flow(cli: &Cli, command: &Command) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let project = &project;
    match command {
        Command::Start { flow, key, by, filled } => {
            start(project, store, flow, key, by.as_deref(), &filled::fields(filled)?).await
        }
        Command::List { flow, all } => list(cli, project, &store, flow.as_deref(), *all),
        Command::Show { id, svg: true, .. } => picture(project, &store, &find(&store, *id)?).await,
        Command::Show { id, verify: true, .. } => shown::verify(cli, &store, &find(&store, *id)?),
        Command::Show { id, .. } => show(cli, project, &store, &find(&store, *id)?),
        Command::Cancel { id, why, by } => {
            let id = find(&store, *id)?.id;
            hub::flows::cancel(&store, id, &actor(by.as_deref()), why)
                .await
                .map_err(|why| refused(&project.hub.time_zone, id, why))?;
            talk!("Instance {id} is cancelled; what it has written stays.");
            Ok(0)
        }
        Command::Retry { id, by } => {
            let id = find(&store, *id)?.id;
            hub::flows::retry(&store, id, &actor(by.as_deref()))
                .await
                .map_err(|why| refused(&project.hub.time_zone, id, why))?;
            talk!("Instance {id} tries its step again as soon as `ironbridge up` runs: ironbridge flow show {id}");
            Ok(0)
        }
        Command::Skip { id, why, by } => {
            let id = find(&store, *id)?.id;
            let systems = Arc::new(OpenSystems::new(project.clone()));
            let flows = Flows::new(project.clone(), systems, store.clone(), wiring::kinds());
            hub::flows::skip(&flows, id, &actor(by.as_deref()), why)
                .await
                .map_err(|why| refused(&project.hub.time_zone, id, why))?;
            talk!(
                "Instance {id} goes on with the next step as soon as `ironbridge up` runs: ironbridge flow show {id}"
            );
            Ok(0)
        }
        Command::Versions { flow } => versions(cli, project, &store, flow),
        Command::Migrate { id, to, by } => migrate(project, store, *id, *to, by.as_deref()).await,
    }
}

/// Who does it, as the history and the audit log have it.
fn actor(by: Option<&str>) -> Actor {
    let here = wiring::actor();
    by.map_or(here.clone(), |by| Actor::new(by, here.via))
}

fn find(store: &Store, id: i64) -> Result<Instance, Failure> {
    store.flow_instance(InstanceId(id))?.ok_or_else(|| {
        let what = format!("there is no instance {id}");
        Failure::new(USAGE, NO_SUCH_NAME, what, "see what there is: ironbridge flow list --all")
    })
}

/// A flow of the project, or what there is instead.
fn known(project: &Project, name: &str) -> Result<(), Failure> {
    let flows = || project.integrations.iter().filter(|i| matches!(i.pattern, Pattern::Flow(_)));
    if flows().any(|integration| integration.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = flows().map(|integration| integration.name.as_str()).collect();
    let fix = match names.is_empty() {
        true => "this project has no flows; write one in integrations/ with `pattern: flow`".to_owned(),
        false => format!("there are: {}", names.join(", ")),
    };
    Err(Failure::new(USAGE, NO_SUCH_NAME, format!("there is no flow `{name}`"), fix))
}

async fn start(
    project: &Arc<Project>,
    store: Store,
    name: &str,
    key: &[String],
    by: Option<&str>,
    given: &[(String, String)],
) -> Result<u8, Failure> {
    known(project, name)?;
    let systems = Arc::new(OpenSystems::new(project.clone()));
    let flows = Flows::new(project.clone(), systems, store.clone(), wiring::kinds());
    let entity = flows.defined(name).map(|(_, flow)| flow.entity.clone()).unwrap_or_default();
    let Some(key) = hub::typed(project, &entity, key) else {
        let what = format!("`{}` is no key of {entity}", key.join(" "));
        return Err(Failure::new(
            USAGE,
            NO_SUCH_NAME,
            what,
            "give one value for each part of its `key:`, in that order",
        ));
    };
    let by = actor(by);
    let begun = hub::flows::start(&flows, name, &key, &by.name, &by, given).await;
    let id = begun.map_err(|why| refused(&project.hub.time_zone, InstanceId(0), why))?;
    let held = store.flow_instance(id)?.is_some_and(|instance| instance.state == Stands::Held);
    say!("instance {id} of {name} has begun, for {entity} {key}");
    if held {
        talk!("The flow is at its ceiling of today: the instance is held, and goes on when there is room.");
    }
    talk!("How it goes: ironbridge flow show {id}");
    Ok(0)
}

fn list(cli: &Cli, project: &Project, store: &Store, flow: Option<&str>, all: bool) -> Result<u8, Failure> {
    if let Some(flow) = flow {
        known(project, flow)?;
    }
    let states = if all { Vec::new() } else { vec![Stands::Held, Stands::Running, Stands::Failed] };
    let filter = Filter { integration: flow.map(str::to_owned), states, key: None };
    let found = store.flow_instances(&filter, LISTED)?;
    if cli.format == Format::Json {
        say!("{:#}", Json::from(found.iter().map(summary).collect::<Vec<_>>()));
        return Ok(0);
    }
    if found.is_empty() {
        talk!("No instance is under way. Those that have ended: ironbridge flow list --all");
        return Ok(0);
    }
    let now = store.clock().now();
    let rows = found.iter().map(|instance| {
        vec![
            instance.id.to_string(),
            instance.integration.clone(),
            format!("{} {}", instance.entity, instance.key),
            instance.state.to_string(),
            waits_for(instance, project),
            ago(instance.started, now),
        ]
    });
    say!("{}", table(&["id", "flow", "about", "state", "now", "begun"], rows.collect()));
    Ok(0)
}

/// What an instance does now, in a few words.
fn waits_for(instance: &Instance, project: &Project) -> String {
    let zone = &project.hub.time_zone;
    if let Some(problem) = problem(instance) {
        return format!(
            "{}: {}",
            problem["code"].as_str().unwrap_or_default(),
            problem["what"].as_str().unwrap_or_default()
        );
    }
    if instance.state.is_over() || instance.state == Stands::Held {
        return String::new();
    }
    let Some(state) = state(instance) else { return instance.at.clone().unwrap_or_default() };
    let ways = state.ways().filter(|(_, at, doing)| at.is_some() && **doing != Doing::Joining);
    let each = ways.map(|(_, at, doing)| match doing {
        Doing::Asking(asking) => {
            let open: Vec<&str> = asking.of.iter().chain(&asking.escalated).map(String::as_str).collect();
            format!("asks {} until {}", open.join(", "), moment(asking.deadline, zone))
        }
        Doing::Waiting { until } => format!("waits until {}", moment(*until, zone)),
        Doing::Child { flow, .. } => format!("waits for {flow}"),
        Doing::Ready | Doing::Joining => at.unwrap_or_default().to_owned(),
    });
    each.collect::<Vec<_>>().join("; ")
}

fn state(instance: &Instance) -> Option<State> {
    serde_json::from_str(&instance.data).ok()
}

fn problem(instance: &Instance) -> Option<Json> {
    serde_json::from_str(instance.problem.as_ref()?).ok()
}

fn summary(instance: &Instance) -> Json {
    let at = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": instance.id.0, "flow": instance.integration, "version": instance.version, "entity": instance.entity,
        "key": instance.key.to_string(), "state": instance.state.to_string(), "step": instance.at,
        "wake": at(instance.wake), "attempts": instance.attempts, "problem": problem(instance),
        "started": instance.started.to_string(), "updated": instance.updated.to_string(), "ended": at(instance.ended),
    })
}

fn show(cli: &Cli, project: &Project, store: &Store, instance: &Instance) -> Result<u8, Failure> {
    let steps = store.flow_steps(instance.id)?;
    if cli.format == Format::Json {
        let mut whole = summary(instance);
        whole["data"] = hub::flows::data(project, instance);
        whole["steps"] = steps.iter().map(step_json).collect();
        whole["shown"] = shown::json(store, instance)?;
        say!("{whole:#}");
        return Ok(0);
    }
    let zone = &project.hub.time_zone;
    let (id, version) = (instance.id, instance.version);
    say!("instance {id} of {}, version {version}, about {} {}", instance.integration, instance.entity, instance.key);
    say!(
        "it is {}{}",
        instance.state,
        match waits_for(instance, project) {
            now if now.is_empty() => String::new(),
            now => format!(": {now}"),
        }
    );
    let rows = steps.iter().map(|step| {
        vec![moment(step.at, zone), step.path.clone(), step.what.clone(), step.person.clone().unwrap_or_default()]
    });
    say!("{}", table(&["when", "step", "what", "who"], rows.collect()));
    shown::show(store, instance, zone)?;
    if let Some(problem) = problem(instance) {
        let fix = problem["do"].as_str().unwrap_or_default();
        match instance.state == Stands::Failed {
            false => talk!("\ndo: {fix}"),
            true => {
                let first = fix.strip_suffix(", then: ironbridge flow retry").unwrap_or(fix);
                talk!("\ndo: {first}, then: ironbridge flow retry {id}");
                talk!("or leave the step out: ironbridge flow skip {id} --why REASON");
                talk!("or end it: ironbridge flow cancel {id} --why REASON");
            }
        }
    }
    if state(instance).is_some_and(|state| !instance.state.is_over() && state.asking().next().is_some()) {
        let mine =
            |approval: &store::approvals::Approval| hub::flows::subject_of(approval).is_some_and(|(of, _)| of == id);
        for approval in store.approvals(false, LISTED)?.into_iter().filter(mine) {
            talk!("\nThe question: ironbridge approvals show {}", approval.id);
        }
    }
    Ok(0)
}

/// The steps of the version that an instance follows, with where it stands.
async fn picture(project: &Arc<Project>, store: &Store, instance: &Instance) -> Result<u8, Failure> {
    let integration = wiring::integration(project, &instance.integration)?;
    let systems = Arc::new(OpenSystems::new(project.clone()));
    let flows = Flows::new(project.clone(), systems, store.clone(), wiring::kinds());
    let running = flows.running(&instance.integration, instance.version).await?;
    let failed = u64::from(instance.state == Stands::Failed);
    let here = Standing { waiting: 1 - failed, failed };
    let state = state(instance);
    let at = state.iter().flat_map(|state| state.ways().filter_map(|(_, at, _)| at));
    let standing = at.map(|at| (at.to_owned(), here)).collect();
    say!("{}", definition::flow_svg(integration, &running.flow, &standing).trim_end());
    Ok(0)
}

fn step_json(step: &Step) -> Json {
    json!({ "at": step.at.to_string(), "step": step.path, "what": step.what, "who": step.person })
}

fn versions(cli: &Cli, project: &Project, store: &Store, flow: &str) -> Result<u8, Failure> {
    known(project, flow)?;
    let versions = store.flow_versions(flow)?;
    if cli.format == Format::Json {
        let all = versions.iter().map(|version| {
            json!({ "version": version.version, "since": version.since.to_string(), "running": version.running })
        });
        say!("{:#}", Json::from(all.collect::<Vec<_>>()));
        return Ok(0);
    }
    if versions.is_empty() {
        talk!("No version is kept yet: the first is, when `ironbridge up` runs.");
        return Ok(0);
    }
    let zone = &project.hub.time_zone;
    let rows = versions
        .iter()
        .map(|version| vec![version.version.to_string(), moment(version.since, zone), number(version.running)]);
    say!("{}", table(&["version", "since", "under way"], rows.collect()));
    talk!(
        "New instances take the newest; one that is under way keeps its own, unless it is moved: ironbridge flow migrate"
    );
    Ok(0)
}

async fn migrate(project: &Arc<Project>, store: Store, id: i64, to: u32, by: Option<&str>) -> Result<u8, Failure> {
    let instance = find(&store, id)?;
    let systems = Arc::new(OpenSystems::new(project.clone()));
    let flows = Flows::new(project.clone(), systems, store, wiring::kinds());
    hub::flows::migrate(&flows, instance.id, to, &actor(by))
        .await
        .map_err(|why| refused(&project.hub.time_zone, instance.id, why))?;
    talk!("Instance {id} goes on with version {to}.");
    Ok(0)
}

/// Why something was not done, for whoever typed it.
pub fn refused(zone: &TimeZone, id: InstanceId, why: Refused) -> Failure {
    let look = format!("see how it stands: ironbridge flow show {id}");
    match why {
        Refused::Fault(fault) => (*fault).into(),
        Refused::Store(error) => error.into(),
        Refused::NoInstance => Failure::new(USAGE, NO_SUCH_NAME, format!("there is no instance {id}"), look),
        Refused::State(state) => Failure::new(FAILED, NOT_NOW, format!("instance {id} is {state}"), look),
        Refused::NoStep(step) => {
            let what = format!("that version has no step {step}, where instance {id} stands");
            Failure::new(FAILED, NOT_NOW, what, "let it end as it began, or cancel it and start it anew")
        }
        Refused::NotSkipped(step, why) => {
            let what = format!("{step} of instance {id} is not left out: {why}");
            Failure::new(FAILED, NOT_SKIPPED, what, format!("mend it and try again: ironbridge flow retry {id}"))
        }
        Refused::NotTaken(why) => not_taken(&why, zone),
        Refused::Form(wrong) => hub::flows::form::refused(&wrong).into(),
    }
}

fn not_taken(why: &NotTaken, zone: &TimeZone) -> Failure {
    let (what, fix) = match why {
        NotTaken::NothingAsked => (
            "nothing is asked any more".to_owned(),
            "see what waits for an answer: ironbridge approvals list".to_owned(),
        ),
        NotTaken::Decided { by, at } => {
            let what = format!("it was already decided by {} on {}", hub::flows::decider(by), clock(*at, zone));
            (what, "see what waits for an answer: ironbridge approvals list".to_owned())
        }
        NotTaken::NotAsked { of } => {
            let fix = match of.is_empty() {
                true => "whoever people.yaml names now is asked once the hub has looked: ironbridge up".to_owned(),
                false => format!("say who decides: --by {}", of.join(", or --by ")),
            };
            ("this person was not asked, or is not any more".to_owned(), fix)
        }
        NotTaken::NotYet { first } => {
            (format!("they answer in order, and it is the turn of {first}"), format!("let {first} answer first"))
        }
        NotTaken::NoComment => ("this answer has to say why".to_owned(), "add --comment WHY".to_owned()),
        NotTaken::Excluded => {
            ("nobody decides about their own request".to_owned(), "let somebody else of the group answer".to_owned())
        }
        NotTaken::AlreadyAnswered => (
            "this person has answered already".to_owned(),
            "the others are still asked; nothing has to be done".to_owned(),
        ),
    };
    Failure::new(FAILED, NOT_ASKED, what, fix)
}
