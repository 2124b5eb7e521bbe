//! One case: what is given, what happens, and what must be true then.

use definition::{Expectation, Happening, Pattern, Project, Rows, TestCase, differences};
use serde_json::{Map, Value as Json};
use store::Clock;

use super::cell;
use super::dynamics::told;
use super::world::{Happened, World, map_rows};

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
    let fails =
        |then: &Expectation| matches!(then, Expectation::Other { what, is } if what == "error" || is == "failed");
    let expects_failure = case.then.iter().any(fails);
    if let Some(fault) = happened.error.as_ref().filter(|_| !expects_failure) {
        short.push(Shortfall::early("the run", told(fault)));
    }
    for (at, expectation) in case.then.iter().enumerate() {
        short.extend(compare(&world, at, expectation, &happened).await?);
    }
    Ok(if short.is_empty() { Outcome::Passed } else { Outcome::Failed(short) })
}

fn not_yet(word: &str, name: &str) -> Outcome {
    Outcome::NotYet(format!("`{word}: {name}` is checked, and nothing runs it yet"))
}

async fn compare(
    world: &World<'_>,
    at: usize,
    expectation: &Expectation,
    happened: &Happened,
) -> anyhow::Result<Option<Shortfall>> {
    let (of, differences, instead) = match expectation {
        Expectation::Rows { system, table, rows } => {
            let of = format!("{system}.{table}");
            match world.find(system, table, rows).await {
                Ok((wanted, found)) => (of, differences(&wanted, &found), rows_instead(&wanted, found)),
                Err(why) => return Ok(Some(Shortfall::early(&of, why))),
            }
        }
        Expectation::DeadLetters(rows) => {
            let found = world.dead_letters()?;
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

fn bare(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}
