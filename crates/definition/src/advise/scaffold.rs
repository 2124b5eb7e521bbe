//! The first draft of what was recommended: files that `check` takes, for people to go on with.

use record::{EntityField, Type};

use super::answers::{Answers, Late, Place};
use super::outcome::Outcome;
use super::recommend::Advice;
use crate::decoded::quote;
use crate::model::Project;

/// Files to be written, and what is left to do by hand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drafts {
    /// Path within the project and text. *Shape*: none of them exists in the project yet.
    pub files: Vec<(String, String)>,
    /// What to add to a file that is there already, under `entities:`: its path, and the line.
    pub add: Vec<(String, String)>,
}

/// The text of a system's file with one mapping more, under `entities:`; everything else of it stays as it is.
///
/// *Shape*: nothing where its `entities:` does not stand on a line of its own with entities below it.
pub fn added(text: &str, mapping: &str) -> Option<String> {
    let mut at = 0;
    let mut lines = text.split_inclusive('\n');
    for line in lines.by_ref() {
        at += line.len();
        let rest = line.strip_prefix("entities:").map(str::trim);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#')) {
            let own = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
            let first = lines.clone().find(own)?;
            let indent = &first[..first.len() - first.trim_start().len()];
            let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
            return (!indent.is_empty()).then(|| format!("{}{indent}{mapping}{end}{}", &text[..at], &text[at..]));
        }
    }
    None
}

/// Drafts the integration, and the entity and systems that the project lacks.
///
/// *Shape*: nothing for what is none of the hub's patterns, and where the answers name no entity or systems.
pub fn scaffold(project: &Project, advice: &Advice, answers: &Answers, name: &str, owner: &str) -> Drafts {
    let mut drafts = Drafts::default();
    let (Some(entity), Some(from), Some(to)) = (&answers.entity, &answers.from, &answers.to) else { return drafts };
    let Some(integration) = integration(advice, answers, name, owner, [entity, from, to]) else { return drafts };
    if project.integration(name).is_none() {
        drafts.files.push((format!("integrations/{name}.yaml"), integration));
    }
    let known = project.entity(entity);
    let key: Vec<&str> = known.map_or(vec!["number"], |entity| entity.key.iter().map(String::as_str).collect());
    // What every record has; of an entity that is there, nothing else is known to be wanted.
    let fields: Vec<&str> = match known {
        None => vec!["number", "name"],
        Some(entity) => {
            let is_wanted = |field: &&EntityField| {
                let plain = *field.name == *"name" && !field.personal;
                let is_lines = matches!(field.ty, Type::Lines(_));
                !is_lines && (plain || field.required || key.contains(&&*field.name))
            };
            entity.fields.iter().filter(is_wanted).map(|field| &*field.name).collect()
        }
    };
    if known.is_none() {
        let version = if advice.outcome == Outcome::Event { "version: changed_at\n" } else { "" };
        let changed = if version.is_empty() { "" } else { "  changed_at: { type: datetime }\n" };
        // A virtual table finds a row by its GUID again where the key's pattern fits into one.
        let pattern = if advice.outcome == Outcome::Virtual { ", pattern: \"[A-Z0-9-]{1,20}\"" } else { "" };
        let outcome = if advice.outcome == Outcome::Flow { "  outcome: { type: text, max_length: 20 }\n" } else { "" };
        drafts.files.push((
            format!("entities/{entity}.yaml"),
            format!(
                "entity: {entity}\nkey: number\n{version}fields:\n  number: {{ type: text, max_length: 20{pattern} }}\n  name: {{ type: text, max_length: 100 }}\n{changed}{outcome}"
            ),
        ));
    }
    let reads = |way: bool| if way { "read" } else { "write" };
    for (system, place, is_source) in [(from, answers.from_is, true), (to, answers.to_is, false)] {
        let mapping = match (advice.outcome, is_source) {
            (Outcome::Virtual, false) => {
                format!("{entity}: {{ virtual_table: new_{entity}, primary_name: {} }}", key[0])
            }
            (Outcome::Flow, _) => mapping(place, entity, &key, &fields, "both", advice.outcome),
            _ => mapping(place, entity, &key, &fields, reads(is_source), advice.outcome),
        };
        match project.system(system) {
            Some(found) if found.entity(entity).is_some() => {}
            Some(_) => drafts.add.push((format!("systems/{system}.yaml"), mapping)),
            None if drafts.files.iter().any(|(path, _)| *path == format!("systems/{system}.yaml")) => {}
            None => drafts
                .files
                .push((format!("systems/{system}.yaml"), format!("{}entities:\n  {mapping}\n", head(place, system)))),
        }
    }
    drafts
}

fn integration(
    advice: &Advice,
    answers: &Answers,
    name: &str,
    owner: &str,
    [entity, from, to]: [&String; 3],
) -> Option<String> {
    let purpose = quote(&answers.wish);
    let head = format!("integration: {name}\npattern: {}\n", advice.outcome.word());
    let tail = format!("owner: {}\npurpose: {purpose}\n", quote(owner));
    let because = quote(&advice.why[0]);
    let body = match advice.outcome {
        Outcome::Batch => {
            let way = match answers.both_ways {
                true => format!("between: [{from}, {to}]\n"),
                false => format!("from: {from}\nto: {to}\n"),
            };
            let needed = match answers.late {
                Late::Nothing => "1 day",
                Late::Annoying => "1 hour",
                Late::Costly | Late::Stops => "15 minutes",
            };
            format!(
                "entity: {entity}\n{way}schedule: {}\nneeded_by: {needed}\n",
                advice.schedule.unwrap_or("every 15 minutes")
            )
        }
        Outcome::Event => format!(
            "entity: {entity}\nfrom: {from}\nto: [{to}]\ntrigger: {{ rows: [created, updated] }}\nbecause: {because}\nneeded_by: 10 minutes\n"
        ),
        Outcome::Virtual => format!("entity: {entity}\nfrom: {from}\nto: {to}\n"),
        Outcome::Flow => format!(
            "trigger: {{ entity: {entity}, in: {from}, rows: [created] }}\nvolume: {{ expected: {} a day, ceiling: {} a day }}\nsteps:\n  - approve: decision\n    ask: =\"Approve \" & name & \"?\"\n    of: {{ one_of: [{}] }}\n    deadline: {{ after: 5 working days, outcome: rejected }}\n  - {{ set: {{ outcome: =decision.outcome }} }}\n",
            answers.a_day.max(1),
            (answers.most() * 2).clamp(20, 500),
            quote(owner)
        ),
        _ => return None,
    };
    Some(format!("{head}{body}{tail}"))
}

/// How a place is reached: everything that only you know stands in the environment.
fn head(place: Place, system: &str) -> String {
    let variable = system.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let (kind, connection) = match place {
        Place::Dynamics => (
            "dataverse",
            format!(
                "{{ url: \"${{env:{variable}_URL}}\", tenant: \"${{env:TENANT}}\", client_id: \"${{env:CLIENT_ID}}\", client_secret: \"${{env:CLIENT_SECRET}}\" }}"
            ),
        ),
        Place::Files | Place::SharepointOrExcel | Place::Nowhere => ("files", "{ folder: data/in }".to_owned()),
        Place::Api | Place::Microsoft365 | Place::FinanceAndOperations => {
            ("rest", format!("{{ url: \"${{env:{variable}_URL}}\", bearer: \"${{env:{variable}_TOKEN}}\" }}"))
        }
        Place::Sql | Place::SqlInTheCloud => ("postgres", format!("{{ url: \"${{env:{variable}_URL}}\" }}")),
    };
    format!("system: {system}\nkind: {kind}\nconnection: {connection}\n")
}

/// The mapping of one entity, with the names of the entity for the columns until somebody writes the right ones.
fn mapping(place: Place, entity: &str, key: &[&str], fields: &[&str], way: &str, outcome: Outcome) -> String {
    let mut names = fields.to_vec();
    names.extend((outcome == Outcome::Flow).then_some("outcome"));
    let lines: Vec<String> = names.iter().map(|name| format!("{name}: {name}")).collect();
    let lines = lines.join(", ");
    let columns: Vec<String> = names.iter().map(|name| format!("{name}: text")).collect();
    let columns = columns.join(", ");
    match place {
        Place::Dynamics | Place::Sql | Place::SqlInTheCloud => {
            let columns = if let [one] = key { (*one).to_owned() } else { format!("[{}]", key.join(", ")) };
            let key = if way == "read" { String::new() } else { format!(", alternate_key: {columns}") };
            format!("{entity}: {{ table: {entity}{key}, {way}: {{ {lines} }} }}")
        }
        Place::Files | Place::SharepointOrExcel | Place::Nowhere => {
            format!("{entity}: {{ file: \"{entity}_*.csv\", columns: {{ {columns} }}, {way}: {{ {lines} }} }}")
        }
        _ if way == "write" => format!(
            "{entity}: {{ create: POST /{entity}s, exists: \"GET /{entity}s?number={{{}}}\", {way}: {{ {lines} }} }}",
            key[0]
        ),
        _ => format!(
            "{entity}: {{ get: \"GET /{entity}s/{{{}}}\", list: {{ request: GET /{entity}s }}, columns: {{ {columns} }}, {way}: {{ {lines} }} }}",
            key[0]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_added_where_there_are_others_and_nowhere_else() {
        let check = |before: &str, after: Option<&str>| assert_eq!(added(before, "b: { c: d }").as_deref(), after);
        check("system: x\nentities:\n  a: { c: d }\n", Some("system: x\nentities:\n  b: { c: d }\n  a: { c: d }\n"));
        check(
            "entities:   # what it holds\r\n\r\n    # first\r\n    a: { c: d }\r\n",
            Some("entities:   # what it holds\r\n    b: { c: d }\r\n\r\n    # first\r\n    a: { c: d }\r\n"),
        );
        check("system: x\nentities: {}\n", None);
        check("system: x\nentities:\n", None);
        check("entities:\nkind: rest\n", None);
        check("# entities:\nsystem: x\n", None);
    }
}
