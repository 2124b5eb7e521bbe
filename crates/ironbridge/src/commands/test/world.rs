//! The world of one case: stand-ins for the systems of a project, and a state of its own.

use std::collections::HashMap;
use std::sync::Arc;

use definition::{Project, Rows, SystemEntity};
use hub::{Note, Report, Start, Watch};
use jiff::tz::TimeZone;
use record::{Fault, RetryPolicy, System, Type};
use serde_json::{Map, Value as Json};
use store::dead_letters::{Filter, State};
use store::runs::Trigger;
use store::{Clock, Store};

use super::cell;
use super::dynamics::Dynamics;
use crate::memory::{self, Memory};
use crate::wiring;

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

/// What a run did, also one that could not begin.
pub struct Happened {
    pub report: Option<Report>,
    pub error: Option<Fault>,
}

/// Rows as the file has them, by system and table.
type Given = [(String, String, Vec<Json>)];

/// The systems and the state of one case. Gone when it is dropped.
pub struct World<'p> {
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
    pub async fn new(project: &'p Project, clock: Clock) -> anyhow::Result<World<'p>> {
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

    /// Adds rows, or changes those that have the same key.
    ///
    /// *Errors*: one sentence.
    pub async fn put(&self, given: &Given) -> Result<(), String> {
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

    /// Runs a batch integration once.
    ///
    /// *Errors*: only what keeps a run from being recorded.
    pub async fn run(&self, integration: &definition::Integration) -> anyhow::Result<Happened> {
        // Nothing here is far away: what fails twice fails for good.
        let retry = RetryPolicy { give_up_after: std::time::Duration::from_secs(2), ..RetryPolicy::default() };
        let job = match hub::compile(self.project, integration, self, retry).await {
            // A case asks nobody: it is about what would be written then.
            Ok(mut job) => {
                job.consent = hub::Consent::default();
                job
            }
            Err(fault) => return Ok(Happened { report: None, error: Some(fault) }),
        };
        let start = Start { trigger: Trigger::Command, slot: None, retry_of: None, holder: wiring::holder() };
        let report = hub::run(&self.store, &job, start, &Silent).await?;
        Ok(Happened { error: report.error.clone(), report: Some(report) })
    }

    /// What is wanted of a table and what is there, in the same words.
    ///
    /// *Errors*: one sentence.
    pub async fn find(&self, system: &str, table: &str, rows: &Rows) -> Result<(Rows, Vec<Json>), String> {
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

    /// Those that wait for somebody.
    pub fn dead_letters(&self) -> anyhow::Result<Vec<Json>> {
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

pub fn map_rows(rows: &Rows, map: impl Fn(&Json) -> Json) -> Rows {
    match rows {
        Rows::These(rows) => Rows::These(rows.iter().map(map).collect()),
        other => other.clone(),
    }
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
