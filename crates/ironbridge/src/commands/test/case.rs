//! One case, in a world of its own: what is given, what happens, and what is found then.

use std::collections::HashMap;
use std::sync::Arc;

use definition::{Expectation, Happening, Pattern, Project, Rows, SystemEntity, TestCase, differences};
use hub::{Note, Report, Start, Watch};
use jiff::tz::TimeZone;
use record::{Fault, RetryPolicy, System, Type};
use serde_json::{Map, Value as Json};
use store::dead_letters::{Filter, State};
use store::runs::Trigger;
use store::{Clock, Store};

use super::cell;
use super::dynamics::{Dynamics, told};
use crate::memory::{self, Memory};
use crate::wiring;

/// How a case ended.
pub enum Outcome {
    Passed,
    Failed(Vec<Shortfall>),
    /// It failed, and its file expects now what happened.
    Updated(Vec<Shortfall>),
    /// What happens in it is checked, and nothing runs it yet. *Shape*: a sentence.
    NotYet(String),
}

/// One expectation that did not come true.
pub struct Shortfall {
    /// `dynamics.account`, `dead_letters`; `the run` where it did not get as far as that.
    pub of: String,
    pub differences: Vec<String>,
    /// What is there instead, and which line under `then:` would say so.
    pub instead: Option<(usize, Json)>,
}

impl Shortfall {
    pub fn early(of: &str, why: impl Into<String>) -> Shortfall {
        Shortfall { of: of.to_owned(), differences: vec![why.into()], instead: None }
    }
}

/// The project with every system but Dataverse replaced by tables in memory.
pub fn stand_ins(project: &Project) -> Project {
    let mut project = project.clone();
    for system in project.systems.iter_mut().filter(|system| !is_dataverse(system)) {
        system.kind = &memory::KIND;
        for held in &mut system.entities {
            held.table = Some(held.table.take().unwrap_or_else(|| held.entity.clone()));
            held.query = None;
        }
    }
    project
}

fn is_dataverse(system: &definition::System) -> bool {
    system.kind.name == "dataverse"
}

/// Tests one case of a project of stand-ins.
///
/// *Errors*: only where a world cannot be made on this machine; whatever the case meets is its [`Outcome`].
pub async fn test(project: &Project, case: &TestCase) -> anyhow::Result<Outcome> {
    let name = match &case.when {
        Happening::Run(name) => name,
        Happening::Event(name) => return Ok(not_yet("event", name)),
        Happening::Start(name) => return Ok(not_yet("start", name)),
        Happening::Query(name) => return Ok(not_yet("query", name)),
    };
    let integration = project.integration(name).expect("a checked project names integrations that exist");
    if !matches!(integration.pattern, Pattern::Batch(_)) {
        return Ok(not_yet("run", name));
    }
    let clock = match &case.at {
        None => Clock::system(),
        Some(text) => match cell::moment(text, &project.hub.time_zone) {
            Some(at) => Clock::of(move || at),
            None => {
                let why = format!("`at: {text}` is no time; write it like \"2026-03-02T09:00\"");
                return Ok(Outcome::Failed(vec![Shortfall::early("when", why)]));
            }
        },
    };
    let world = World::new(project, clock).await?;
    if let Err(why) = world.put(&case.given).await {
        return Ok(Outcome::Failed(vec![Shortfall::early("given", why)]));
    }
    let mut happened = world.run(integration).await?;
    if !case.changes.is_empty() && happened.error.is_none() {
        if let Err(why) = world.put(&case.changes).await {
            return Ok(Outcome::Failed(vec![Shortfall::early("change", why)]));
        }
        happened = world.run(integration).await?;
    }
    if let Some(fault) = happened.error.as_ref().filter(|fault| fault.code == hub::codes::NOT_YET_RUNNABLE) {
        return Ok(Outcome::NotYet(fault.what.clone()));
    }
    let mut short = Vec::new();
    let expects_failure = case
        .then
        .iter()
        .any(|then| matches!(then, Expectation::Other { what, .. } if matches!(&**what, "error" | "state")));
    if let Some(fault) = happened.error.as_ref().filter(|_| !expects_failure) {
        short.push(Shortfall::early("the run", told(fault)));
    }
    for (at, expectation) in case.then.iter().enumerate() {
        short.extend(world.compare(at, expectation, &happened).await?);
    }
    Ok(if short.is_empty() { Outcome::Passed } else { Outcome::Failed(short) })
}

fn not_yet(word: &str, name: &str) -> Outcome {
    Outcome::NotYet(format!("`{word}: {name}` is checked, and nothing runs it yet"))
}

/// What a run did, also one that could not begin.
struct Happened {
    report: Option<Report>,
    error: Option<Fault>,
}

/// Rows as the file has them, by system and table.
type Given = [(String, String, Vec<Json>)];

/// The systems and the state of one case. Gone when it is dropped.
struct World<'p> {
    project: &'p Project,
    store: Store,
    memories: HashMap<String, Memory>,
    dynamics: HashMap<String, Dynamics>,
    _dir: tempfile::TempDir,
}

impl hub::Systems for World<'_> {
    fn open(&self, name: &str) -> Result<Arc<dyn System>, Fault> {
        Ok(match self.dynamics.get(name) {
            Some(dynamics) => dynamics.system.clone(),
            None => Arc::new(self.memories[name].clone()),
        })
    }
}

struct Silent;

impl Watch for Silent {
    fn note(&self, _: Note<'_>) {}
}

impl<'p> World<'p> {
    async fn new(project: &'p Project, clock: Clock) -> anyhow::Result<World<'p>> {
        let dir = tempfile::tempdir()?;
        let store = Store::open(dir.path(), store::Options { clock, ..store::Options::default() })?;
        let (mut memories, mut dynamics) = (HashMap::new(), HashMap::new());
        for system in &project.systems {
            if is_dataverse(system) {
                dynamics.insert(system.name.clone(), Dynamics::start(system, zone(project, system)).await?);
            } else {
                let table = |held: &SystemEntity| Some((held.table.clone()?, held.columns.clone()));
                memories.insert(system.name.clone(), Memory::new(system.entities.iter().filter_map(table)));
            }
        }
        Ok(World { project, store, memories, dynamics, _dir: dir })
    }

    fn system(&self, name: &str) -> &'p definition::System {
        self.project.system(name).expect("a checked project names systems that exist")
    }

    /// *Errors*: one sentence.
    async fn put(&self, given: &Given) -> Result<(), String> {
        for (name, dynamics) in &self.dynamics {
            let system = self.system(name);
            let of_this = given.iter().filter(|(of, ..)| of == name);
            let rows: Vec<_> = of_this
                .flat_map(|(_, table, rows)| rows.iter().map(move |row| (table.as_str(), held(system, table), row)))
                .collect();
            dynamics.put(&rows).await?;
        }
        for (name, table, rows) in given {
            let Some(memory) = self.memories.get(name) else { continue };
            let system = self.system(name);
            known(memory, name, table)?;
            let held = held(system, table);
            let key = held.map(|held| self.key_columns(held)).unwrap_or_default();
            for row in rows {
                let mut cells = memory::Cells::new();
                for (column, json) in cell::cells(row) {
                    let declared = held.is_none_or(|held| {
                        let first = column.split('.').next().unwrap_or_default();
                        held.columns.is_empty() || held.columns.iter().any(|(name, _)| *name == column || name == first)
                    });
                    if !declared {
                        return Err(format!("`{name}` declares no column `{column}` for `{table}`"));
                    }
                    let ty = memory.type_of(table, &column);
                    cells.insert(column, cell::value(&json, &ty, zone(self.project, system)));
                }
                memory.put(table, &key, cells);
            }
        }
        Ok(())
    }

    /// The columns that tell the rows of a table in memory apart: where none do, each row is a new one.
    fn key_columns(&self, held: &SystemEntity) -> Vec<String> {
        if !held.alternate_key.is_empty() {
            return held.alternate_key.clone();
        }
        let Some(entity) = self.project.entity(&held.entity) else { return Vec::new() };
        let column = |field: &String| held.read.iter().find(|rule| rule.target == *field).map(|rule| rule.expr.text());
        // A formula makes up its value: no column is equal to it.
        entity
            .key
            .iter()
            .map(column)
            .collect::<Option<Vec<_>>>()
            .filter(|all| !all.iter().any(|c| c.starts_with('=')))
            .unwrap_or_default()
    }

    async fn run(&self, integration: &definition::Integration) -> anyhow::Result<Happened> {
        // Nothing here is far away: what fails twice fails for good.
        let retry = RetryPolicy { give_up_after: std::time::Duration::from_secs(2), ..RetryPolicy::default() };
        let job = match hub::compile(self.project, integration, self, retry).await {
            Ok(job) => job,
            Err(fault) => return Ok(Happened { report: None, error: Some(fault) }),
        };
        let start = Start { trigger: Trigger::Command, slot: None, retry_of: None, holder: wiring::holder() };
        let report = hub::run(&self.store, &job, start, &Silent).await?;
        Ok(Happened { error: report.error.clone(), report: Some(report) })
    }

    async fn compare(
        &self,
        at: usize,
        expectation: &Expectation,
        happened: &Happened,
    ) -> anyhow::Result<Option<Shortfall>> {
        let (of, differences, instead) = match expectation {
            Expectation::Rows { system, table, rows } => {
                let of = format!("{system}.{table}");
                match self.find(system, table, rows).await {
                    Ok((wanted, found)) => (of, differences(&wanted, &found), rows_instead(&wanted, found)),
                    Err(why) => return Ok(Some(Shortfall::early(&of, why))),
                }
            }
            Expectation::DeadLetters(rows) => {
                let found = self.dead_letters()?;
                let wanted = map_rows(rows, |row| {
                    // Keys and codes are texts, whatever a file makes of them.
                    let text = |(name, json): (&String, &Json)| (name.clone(), Json::from(bare(json)));
                    row.as_object().map_or_else(|| row.clone(), |cells| cells.iter().map(text).collect())
                });
                let differences = differences(&wanted, &found);
                // What was wrong in words may be said better tomorrow: its key and code are what a case is about.
                let short = |row: Json| serde_json::json!({ "key": row["key"], "code": row["code"] });
                let named = matches!(rows, Rows::These(_));
                let found = found.into_iter().map(|row| if named { row } else { short(row) }).collect();
                ("dead_letters".to_owned(), differences, rows_instead(&wanted, found))
            }
            Expectation::Other { what, is } => match other(what, is, happened) {
                Ok((differences, instead)) => (what.clone(), differences, instead),
                Err(why) => return Ok(Some(Shortfall::early(what, why))),
            },
        };
        Ok((!differences.is_empty()).then(|| Shortfall { of, differences, instead: Some((at, instead)) }))
    }

    /// What is wanted of a table and what is there, in the same words.
    async fn find(&self, system: &str, table: &str, rows: &Rows) -> Result<(Rows, Vec<Json>), String> {
        let defined = self.system(system);
        let zone = zone(self.project, defined);
        if let Some(memory) = self.memories.get(system) {
            known(memory, system, table)?;
            let found =
                memory.rows(table).iter().map(|row| cell::object(row.iter().map(|(n, v)| (n.as_str(), v)))).collect();
            let cell = |(name, json): (String, Json)| {
                let value = cell::value(&json, &memory.type_of(table, &name), zone);
                (name, cell::json(&value))
            };
            return Ok((map_rows(rows, |row| Json::Object(cell::cells(row).into_iter().map(cell).collect())), found));
        }
        let mut columns: Vec<String> = held(defined, table).map(|held| held.alternate_key.clone()).unwrap_or_default();
        if let Rows::These(rows) = rows {
            for name in rows.iter().filter_map(Json::as_object).flat_map(Map::keys) {
                if !columns.contains(name) {
                    columns.push(name.clone());
                }
            }
        }
        let (found, schema) = self.dynamics[system].rows(table, &columns).await?;
        let cell = |(name, json): (&String, &Json)| {
            let ty = schema.index(name).map_or(&Type::Unknown, |at| &schema.columns()[at].ty);
            let json = match (ty, json) {
                (Type::Reference { .. }, Json::Object(one)) if one.len() == 1 => one.values().next().unwrap_or(json),
                _ => json,
            };
            (name.clone(), cell::json(&cell::value(json, ty, zone)))
        };
        let wanted = map_rows(rows, |row| Json::Object(row.as_object().into_iter().flatten().map(cell).collect()));
        let found = found.iter().map(|row| cell::object(row.iter().filter(|(_, v)| !v.is_blank()))).collect();
        Ok((wanted, found))
    }

    fn dead_letters(&self) -> anyhow::Result<Vec<Json>> {
        let filter = Filter { states: vec![State::Open, State::Retrying], ..Filter::default() };
        let letters = self.store.dead_letters(&filter, 1_000)?;
        let row = |letter: &store::dead_letters::DeadLetter| {
            serde_json::json!({
                "key": letter.key_text, "code": letter.problem.code, "entity": letter.entity,
                "what": letter.problem.what,
            })
        };
        Ok(letters.iter().map(row).collect())
    }
}

/// What a run says by name, and what is there instead.
///
/// *Errors*: a name that it does not say.
fn other(what: &str, is: &Json, happened: &Happened) -> Result<(Vec<String>, Json), String> {
    let found = match what {
        "counts" => {
            let counts = happened.report.as_ref().map(|report| report.counts).unwrap_or_default();
            serde_json::json!({
                "read": counts.read, "written": counts.written(), "created": counts.created, "updated": counts.updated,
                "deleted": counts.deleted, "unchanged": counts.unchanged, "rejected": counts.rejected,
                "skipped": counts.skipped,
            })
        }
        "state" => happened.report.as_ref().map_or("failed".to_owned(), |report| report.state.to_string()).into(),
        "error" => happened.error.as_ref().map_or("none", |fault| fault.code.0).into(),
        _ => {
            let fix = "expect a SYSTEM.TABLE, dead_letters, counts, state or error";
            return Err(format!("nothing of a run is called `{what}`; {fix}"));
        }
    };
    let Some(wanted) = is.as_object() else {
        let same = *is == found;
        let difference = (!same).then(|| format!("should be {is} and is {found}"));
        return Ok((difference.into_iter().collect(), found));
    };
    let mut short = Vec::new();
    for (name, json) in wanted {
        match found.get(name) {
            Some(have) if have == json => {}
            Some(have) => short.push(format!("`{name}` should be {json} and is {have}")),
            None => return Err(format!("a run has no `{name}` under `{what}`; it has {found}")),
        }
    }
    let instead = wanted.keys().map(|name| (name.clone(), found[name].clone())).collect();
    Ok((short, Json::Object(instead)))
}

/// The rows that are there, as an expectation of this form would name them.
fn rows_instead(form: &Rows, found: Vec<Json>) -> Json {
    let Rows::These(wanted) = form else {
        return if found.is_empty() {
            "none".into()
        } else if matches!(form, Rows::Count(_)) {
            found.len().into()
        } else {
            Json::Array(found)
        };
    };
    if found.is_empty() {
        return "none".into();
    }
    let mut named: Vec<&String> = Vec::new();
    for name in wanted.iter().filter_map(Json::as_object).flat_map(Map::keys) {
        if !named.contains(&name) {
            named.push(name);
        }
    }
    let only =
        |row: Json| named.iter().map(|name| ((*name).clone(), row.get(name).cloned().unwrap_or_default())).collect();
    let mut found: Vec<Json> = found.into_iter().map(only).collect();
    found.sort_by_key(Json::to_string);
    Json::Array(found)
}

fn map_rows(rows: &Rows, map: impl Fn(&Json) -> Json) -> Rows {
    match rows {
        Rows::These(rows) => Rows::These(rows.iter().map(map).collect()),
        other => other.clone(),
    }
}

fn bare(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

fn zone<'p>(project: &'p Project, system: &'p definition::System) -> &'p TimeZone {
    system.time_zone.as_ref().unwrap_or(&project.hub.time_zone)
}

/// How a system holds the entity of this table.
fn held<'p>(system: &'p definition::System, table: &str) -> Option<&'p SystemEntity> {
    system.entities.iter().find(|held| held.table.as_deref() == Some(table))
}

/// *Errors*: one sentence, for a table that nothing reads and nothing writes.
fn known(memory: &Memory, system: &str, table: &str) -> Result<(), String> {
    if memory.has(table) {
        return Ok(());
    }
    Err(format!("`{system}` has no table `{table}`; it has: {}", memory.names().join(", ")))
}
