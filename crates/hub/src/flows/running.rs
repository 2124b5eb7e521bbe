//! One version of a flow, ready to run: its program, and how its records are read and written.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use definition::{Flow, Integration, LoadOptions, Pattern, Project};
use mapping::Rule;
use record::{Fault, Key, Kind, RetryPolicy, Row, Value};
use store::Store;

use super::decide::{Away, Effect, People};
use super::form::Filled;
use super::program::{Program, What};
use super::record::{Found, Reader, Writer, carries};
use crate::codes;
use crate::compile::{Side, Systems};

/// Calls of flows that fail are tried again by the instance, and not in a loop.
pub(super) const ONCE: RetryPolicy = RetryPolicy {
    immediate: 0,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(1),
    give_up_after: Duration::ZERO,
};

/// Everything that the flows of a project run with.
pub struct Flows {
    pub project: Arc<Project>,
    pub systems: Arc<dyn Systems + Send + Sync>,
    pub store: Store,
    kinds: Vec<&'static Kind>,
    ready: Mutex<HashMap<(String, u32), Arc<Running>>>,
}

/// One version of a flow.
pub struct Running {
    pub program: Program,
    pub flow: Flow,
    pub version: u32,
    /// See [`Flows::as_then`].
    project: Project,
    pub(super) reader: Reader,
    /// Readers of what a field refers to, where the system has it.
    references: Vec<(String, Reader)>,
    /// The fields that are read from the columns of the trigger; none where it names no columns, or one that is no field.
    pub(super) watched: Vec<String>,
}

impl Flows {
    /// `kinds` are those that a definition may name, for reading earlier versions of it.
    pub fn new(
        project: Arc<Project>,
        systems: Arc<dyn Systems + Send + Sync>,
        store: Store,
        kinds: Vec<&'static Kind>,
    ) -> Flows {
        Flows { project, systems, store, kinds, ready: Mutex::default() }
    }

    /// Who is who, and who is away now.
    ///
    /// *Errors*: our own state cannot be read.
    pub fn people_now(&self) -> Result<People, store::Error> {
        people_now(&self.project, &self.store)
    }

    /// The flow of this name, as it is defined now.
    pub fn defined(&self, name: &str) -> Option<(&Integration, &Flow)> {
        flow_of(&self.project, name)
    }

    /// A version that is ready to run; compiled once.
    ///
    /// *Errors*: a system that does not answer, a mapping that does not fit, a version that cannot be read any more.
    pub async fn running(&self, name: &str, version: u32) -> Result<Arc<Running>, Fault> {
        let at = (name.to_owned(), version);
        if let Some(found) = self.ready.lock().expect("nothing panics while it holds this").get(&at) {
            return Ok(found.clone());
        }
        let built = Arc::new(self.build(name, version).await?);
        self.ready.lock().expect("nothing panics while it holds this").insert(at, built.clone());
        Ok(built)
    }

    /// Whatever is compiled is looked at anew: a system has something that it had not.
    pub(super) fn forget(&self, name: &str) {
        self.ready.lock().expect("nothing panics while it holds this").retain(|(of, _), _| of != name);
    }

    async fn build(&self, name: &str, version: u32) -> Result<Running, Fault> {
        let gone = |why: String| {
            Fault::ask_person(codes::FLOW_VERSION, format!("version {version} of the flow `{name}` {why}"))
                .fix("move its instances to a version that is there: ironbridge flow migrate, or cancel them")
        };
        let stored = self.store.flow_version(name, version).map_err(unusable)?;
        let stored = stored.ok_or_else(|| {
            gone("is not kept".to_owned()).fix(format!("see those that are: ironbridge flow versions {name}"))
        })?;
        let then = self.read(&stored.definition).map_err(&gone)?;
        let (integration, flow) = flow_of(&then, name).ok_or_else(|| gone("is not in what is kept".to_owned()))?;
        let program = Program::compile(&then, integration, flow)?;
        if flow.trigger.deleted {
            return Err(crate::compile::not_yet(name, "`rows: [deleted]` of a flow"));
        }
        let project = self.as_then(&then);
        let used = program.steps.iter().filter_map(|step| match &step.what {
            What::Read { entity, from: system, .. } | What::Write { entity, to: system, .. } => Some((system, entity)),
            _ => None,
        });
        for (system, entity) in used.chain([(&flow.in_, &flow.entity)]) {
            if project.system(system).and_then(|system| system.entity(entity)).is_none() {
                return Err(gone(format!("needs `{entity}` in `{system}`, which the project has no longer")));
            }
        }
        let home = Side::open(&project, &*self.systems, &flow.in_)?;
        let reader = Reader::compile(&project, &home, &program.entity, &ONCE).await?;
        let mut references = Vec::new();
        for (field, entity) in &program.references {
            let held = home.defined.entity(entity).is_some_and(|held| !held.read.is_empty());
            if let Some(entity) = project.entity(entity).filter(|_| held) {
                references.push((field.clone(), Reader::compile(&project, &home, entity, &ONCE).await?));
            }
        }
        let columns: Vec<&str> = flow.trigger.columns.iter().map(String::as_str).collect();
        let read = &home.held(&flow.entity).read;
        let is_read = |column: &&str| read.iter().any(|rule| carries(rule, &[*column]));
        let watched = match columns.iter().all(is_read) {
            true => read.iter().filter(|rule| carries(rule, &columns)).map(|rule| rule.target.clone()).collect(),
            false => Vec::new(),
        };
        Ok(Running { program, flow: flow.clone(), version, project, reader, references, watched })
    }

    /// A project as a version keeps it.
    fn read(&self, definition: &str) -> Result<Project, String> {
        let files: BTreeMap<String, String> =
            serde_json::from_str(definition).map_err(|why| format!("cannot be read: {why}"))?;
        let environment = self.project.environment.as_ref().map(|environment| environment.name.as_str());
        let options = LoadOptions { environment, kinds: &self.kinds, ..LoadOptions::default() };
        let given = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let loaded = definition::load_files(given, &options);
        let first = loaded.diagnostics.first().map(|diagnostic| diagnostic.title.clone());
        loaded.project.ok_or_else(|| {
            format!("does not pass the checks any more: {}", first.unwrap_or_else(|| "it has mistakes".to_owned()))
        })
    }

    /// The entities of an earlier version in the systems as they are today, since those may have moved meanwhile. A field
    /// that entities have lost since is read and written as it was then, and one that is new is none yet.
    fn as_then(&self, then: &Project) -> Project {
        let mut project = (*self.project).clone();
        project.entities.clone_from(&then.entities);
        for system in &mut project.systems {
            system.entities.retain(|held| then.entity(&held.entity).is_some());
            for held in &mut system.entities {
                let (Some(was), Some(is)) = (then.entity(&held.entity), self.project.entity(&held.entity)) else {
                    continue;
                };
                held.read.retain(|rule| was.field(&rule.target).is_some());
                let Some(before) = then.system(&system.name).and_then(|system| system.entity(&held.entity)) else {
                    continue;
                };
                let names = was.fields.iter().map(|field| &*field.name);
                let lost: Vec<&str> = names.filter(|name| is.field(name).is_none()).collect();
                held.read.extend(before.read.iter().filter(|rule| lost.contains(&&*rule.target)).cloned());
                let kept: Vec<Rule> = before.write.iter().filter(|rule| carries(rule, &lost)).cloned().collect();
                held.write.retain(|rule| kept.iter().all(|kept| kept.target != rule.target));
                held.write.extend(kept);
            }
        }
        project
    }

    /// Keeps the definition as it is now, unless it is kept; answers its number.
    ///
    /// *Errors*: our own state cannot be written.
    pub async fn keep(&self, name: &str) -> Result<u32, store::Error> {
        let entity = self.defined(name).map_or("", |(_, flow)| &flow.entity);
        let texts: BTreeMap<&str, &str> = self.project.texts().collect();
        let op = store::flows::Op::Version {
            integration: name.to_owned(),
            fingerprint: crate::compile::behaviour(&self.project, &[name, entity]),
            definition: serde_json::to_string(&texts).expect("texts are JSON"),
        };
        match self.store.commit_one(op).await? {
            store::OpResult::Count(version) => Ok(version as u32),
            other => unreachable!("Version answers with a number, not {other:?}"),
        }
    }

    /// Does what a step wants done outside. Safe to repeat: what is there already is not written again.
    pub(super) async fn perform(
        &self,
        running: &Running,
        key: &Key,
        record: &Row,
        effect: &Effect,
    ) -> Result<Option<Filled>, Fault> {
        let project = &running.project;
        match effect {
            Effect::Read { entity, from, key } => {
                let side = Side::open(project, &*self.systems, from)?;
                let entity = project.entity(entity).expect("a checked project names entities that exist");
                // A key with a blank part names nothing.
                let Some(key) = Key::of(key).ok().filter(|_| !key.iter().any(Value::is_blank)) else { return Ok(None) };
                let found = Reader::compile(project, &side, entity, &ONCE).await?.get(&key).await?;
                let plain = |name: &str| entity.field(name).is_some_and(|field| definition::read_by_a_step(&field.ty));
                let kept = |row: Row| {
                    let fields = row.iter().filter(|(name, value)| plain(name) && !value.is_blank());
                    fields.map(|(name, value)| (name.to_owned(), crate::json::of(value))).collect()
                };
                return Ok(found.map(|found| kept(found.row)));
            }
            Effect::Set(set) => {
                let home = Side::open(project, &*self.systems, &running.flow.in_)?;
                let fields: Vec<&str> = set.iter().map(|(field, _)| field.as_str()).collect();
                let entity = &running.program.entity;
                let writer = Writer::compile(project, &home, entity, &fields, &ONCE).await?;
                writer.set(&key.parts(), set, Some(record)).await?;
            }
            Effect::Write { entity, to, key, set } => {
                let side = Side::open(project, &*self.systems, to)?;
                let entity = project.entity(entity).expect("a checked project names entities that exist");
                let fields: Vec<&str> = set.iter().map(|(field, _)| field.as_str()).collect();
                let writer = Writer::compile(project, &side, entity, &fields, &ONCE).await?;
                let readable = !side.held(&entity.name).read.is_empty();
                let base = match Key::of(key) {
                    Ok(of) if readable => Reader::compile(project, &side, entity, &ONCE).await?.get(&of).await?,
                    _ => None,
                };
                writer.set(key, set, base.as_ref().map(|base| &base.row)).await?;
            }
            Effect::Ask { .. }
            | Effect::Pass { .. }
            | Effect::Close { .. }
            | Effect::Tell { .. }
            | Effect::Begin { .. }
            | Effect::Stop { .. } => {}
        }
        Ok(None)
    }
}

/// Who is who, and who is away now.
pub fn people_now(project: &Project, store: &Store) -> Result<People, store::Error> {
    let away = store.away()?.into_iter().map(|away| Away {
        person: away.person,
        from: away.since,
        until: away.until,
        stand_in: away.stand_in,
    });
    Ok(People { away: away.collect(), ..People::of(project) })
}

impl Running {
    /// Whether an instance may wait for a change of its record.
    pub(super) fn listens(&self) -> bool {
        self.program.steps.iter().any(|step| match &step.what {
            What::WaitFor { .. } => true,
            What::Approve(question) => !question.defined.if_changed.is_empty(),
            _ => false,
        })
    }

    /// The record of an instance with everything that formulas see; nothing where it is gone, also where another one has
    /// been made under its key. `own` is [`State::own`].
    pub(super) async fn sight(&self, key: &Key, own: Option<&str>) -> Result<Option<Row>, Fault> {
        let is_it = |found: &Found| own.is_none_or(|own| found.own.as_deref().is_none_or(|now| now == own));
        let Some(Found { row: record, .. }) = self.reader.get(key).await?.filter(is_it) else { return Ok(None) };
        let schema = &self.program.sight;
        let mut values = vec![Value::Blank; schema.columns().len()];
        let mut put = |name: &str, value: &Value| {
            if let Some(at) = schema.index(name) {
                values[at] = value.clone();
            }
        };
        for (name, value) in record.iter() {
            put(name, value);
        }
        for (field, reader) in &self.references {
            let Some(Value::Reference(to)) = record.get(field) else { continue };
            let Ok(key) = Key::of(to.key.iter().map(|(_, part)| part)) else { continue };
            let Some(other) = reader.get(&key).await? else { continue };
            for (name, value) in other.row.iter() {
                put(&format!("{field}.{name}"), value);
            }
        }
        Ok(Some(Row::new(schema.clone(), values)))
    }
}

/// Whether a flow fits its live systems: what it reads, and every field that one of its steps writes.
///
/// *Errors*: as a run of it would meet them.
pub async fn fits(project: &Project, integration: &Integration, systems: &dyn Systems) -> Result<(), Fault> {
    let Pattern::Flow(flow) = &integration.pattern else { return Ok(()) };
    let program = Program::compile(project, integration, flow)?;
    let home = Side::open(project, systems, &flow.in_)?;
    Reader::compile(project, &home, &program.entity, &ONCE).await?;
    for step in &program.steps {
        let (entity, to, set) = match &step.what {
            What::Read { entity, from, .. } => {
                let entity = project.entity(entity).expect("a checked project names entities that exist");
                Reader::compile(project, &Side::open(project, systems, from)?, entity, &ONCE).await?;
                continue;
            }
            What::Set(set) => (&program.entity, flow.in_.as_str(), set),
            What::Write { entity, to, set, .. } => {
                (project.entity(entity).expect("a checked project names entities that exist"), to.as_str(), set)
            }
            _ => continue,
        };
        let fields: Vec<&str> = set.iter().map(|assign| assign.field.as_str()).collect();
        Writer::compile(project, &Side::open(project, systems, to)?, entity, &fields, &ONCE).await?;
    }
    Ok(())
}

fn flow_of<'p>(project: &'p Project, name: &str) -> Option<(&'p Integration, &'p Flow)> {
    let integration = project.integration(name)?;
    match &integration.pattern {
        Pattern::Flow(flow) => Some((integration, flow)),
        _ => None,
    }
}

fn unusable(error: store::Error) -> Fault {
    Fault::retry(codes::FLOW_VERSION, format!("the hub's own state cannot be read: {error}"), None)
}
