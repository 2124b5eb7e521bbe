//! Reads a project's folder and checks it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use record::{Catalog, Kind, Secrets};

use crate::build;
use crate::codes;
use crate::decode::Decoder;
use crate::decoded::Group;
use crate::diagnostic::{self, Diagnostic, Severity};
use crate::documents::{self, Documents, Named};
use crate::files::{self, Files, Span};
use crate::measured::Measured;
use crate::model::{Environment, Project, Shown};
use crate::rules;
use crate::rules::accept::Accepted;
use crate::suggest;
use crate::table::Table;
use crate::tables;
use crate::yaml::{self, Node};

/// What a definition is checked against, besides itself.
#[derive(Default)]
pub struct LoadOptions<'a> {
    /// The name of a file in `environments/`, without `.yaml`.
    pub environment: Option<&'a str>,
    /// The kinds of system that there are.
    pub kinds: &'a [&'static Kind],
    /// Asks for every secret, and warns of those that have no value.
    pub secrets: Option<&'a dyn Secrets>,
    /// What live systems say of their tables, by the name of the system.
    pub catalogs: BTreeMap<String, Catalog>,
    /// What was measured while it ran, for the rules that compare it with what was said.
    pub measured: Option<&'a Measured>,
    /// The day on which it is checked; nothing where no acceptance ends, as when a hub starts again at night.
    pub today: Option<Date>,
    /// Errors that still give a project, for a command that mends them.
    pub despite: &'a [record::Code],
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Only where there is no error.
    pub project: Option<Project>,
    /// Errors first, then by file and line.
    pub diagnostics: Vec<Diagnostic>,
    /// What breaks a rule and was accepted, with the reason.
    pub accepted: Vec<Accepted>,
    /// What was read; a secret that stands in plain text is blotted out.
    pub files: Arc<Files>,
    names: rules::Names,
    kinds: Vec<&'static Kind>,
}

impl Loaded {
    /// Something that is no project and has mistakes, such as a file of answers.
    pub(crate) fn refused(diagnostics: Vec<Diagnostic>, files: Arc<Files>, names: rules::Names) -> Loaded {
        Loaded { project: None, diagnostics, accepted: Vec::new(), files, names, kinds: Vec::new() }
    }

    /// The JSON Schema of this project's files, with its own names in it; also where the project has errors.
    pub fn schema(&self) -> serde_json::Value {
        crate::schema::schema(&self.names, &self.kinds)
    }

    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Every diagnostic as text, with an empty line between.
    pub fn render(&self, colour: bool, width: usize) -> String {
        let drawn: Vec<String> =
            self.diagnostics.iter().map(|diagnostic| diagnostic.render(&self.files, colour, width)).collect();
        drawn.join("\n\n")
    }

    /// Every diagnostic as SARIF, for code reviews; what was accepted is in it as suppressed.
    pub fn to_sarif(&self, report: &crate::Report<'_>) -> serde_json::Value {
        crate::sarif::sarif(&self.diagnostics, &self.accepted, &self.files, report)
    }

    /// Every diagnostic as one JSON array, then what was accepted.
    pub fn to_json(&self) -> serde_json::Value {
        let found = self.diagnostics.iter().map(|diagnostic| diagnostic.to_json(&self.files));
        found.chain(self.accepted.iter().map(|accepted| accepted.to_json(&self.files))).collect()
    }
}

/// Everything that was decoded, with places: what the rules look at.
pub(crate) struct Draft {
    pub hub: Group,
    pub people: Group,
    pub systems: Vec<(Group, &'static Kind)>,
    pub entities: Vec<Group>,
    pub integrations: Vec<Group>,
    pub tests: Vec<Group>,
    pub decisions: Vec<Group>,
    /// Every name that is defined, also of what could not be read.
    pub names: rules::Names,
    pub environment: Option<Environment>,
}

/// Reads and checks the project in `dir`. Reads nothing but its files.
///
/// *Errors*: as diagnostics, all of them at once.
pub fn load(dir: &Path, options: &LoadOptions<'_>) -> Loaded {
    let mut diagnostics = Vec::new();
    let (files, complete) = files::read(dir, &mut diagnostics);
    check(dir, files, complete, diagnostics, options)
}

/// The same for files that are in memory already: path and text of each.
pub fn load_files<'f>(given: impl IntoIterator<Item = (&'f str, &'f str)>, options: &LoadOptions<'_>) -> Loaded {
    let mut files = Files::default();
    let mut given: Vec<(&str, &str)> = given.into_iter().collect();
    given.sort_by_key(|(path, _)| {
        (path.contains('/'), documents::FOLDERS.iter().position(|f| path.starts_with(f)), *path)
    });
    for (path, text) in given {
        files.add(path, text.to_owned());
    }
    check(Path::new("."), files, true, Vec::new(), options)
}

fn check(
    dir: &Path,
    mut files: Files,
    complete: bool,
    mut diagnostics: Vec<Diagnostic>,
    options: &LoadOptions<'_>,
) -> Loaded {
    let mut documents = documents::sort(&files, &mut diagnostics);
    documents.incomplete |= !complete;
    let mut decoder = Decoder::new(&files, options.kinds);
    let environment = overlay(&mut documents, options.environment, &mut decoder);
    let draft = decode(documents, environment, &mut decoder);
    let secrets = std::mem::take(&mut decoder.secrets);
    let names = std::mem::take(&mut decoder.names);
    let hidden = std::mem::take(&mut decoder.hidden);
    diagnostics.append(&mut decoder.diagnostics);
    let project = project(dir, &draft, &files);
    rules::names::check(&names, &draft.names, &mut diagnostics);
    rules::check(&draft, &project, &files, options, &mut diagnostics);
    if let Some(provider) = options.secrets {
        for secret in &secrets {
            if let Err(why) = provider.resolve(&secret.provider, &secret.name) {
                diagnostics.push(
                    Diagnostic::warning(
                        codes::NO_SECRET,
                        format!("`${{{}:{}}}` has no value here", secret.provider, secret.name),
                    )
                    .at(secret.at, "asked for here")
                    .help(why),
                );
            }
        }
    }
    let elsewhere = rules::secrets::check(&files, &hidden, &mut diagnostics);
    let accepted = rules::accept::apply(&draft, &files, options.today, &mut diagnostics);
    for span in hidden.into_iter().chain(elsewhere) {
        files.hide(span);
    }
    diagnostic::sort(&mut diagnostics);
    let files = Arc::new(files);
    let failed =
        diagnostics.iter().any(|found| found.severity == Severity::Error && !options.despite.contains(&found.code));
    let project = (!failed).then(|| Project { files: files.clone(), accepted: accepted.clone(), ..project });
    Loaded { project, diagnostics, accepted, files, names: draft.names, kinds: options.kinds.to_vec() }
}

/// Checks every environment, and lays the chosen one over the definitions.
fn overlay(documents: &mut Documents, chosen: Option<&str>, decoder: &mut Decoder<'_>) -> Option<Environment> {
    let environments = std::mem::take(&mut documents.environments);
    let mut found = None;
    for Named { name, node } in &environments {
        let apply = chosen == Some(&**name);
        let group = decoder.document(node, &tables::hub::ENVIRONMENT);
        documents.apply(node, apply, &mut decoder.diagnostics);
        if apply {
            found = Some(Environment { name: name.to_string(), protected: group.yes_no("protected") });
        }
    }
    if let (Some(chosen), None) = (chosen, &found) {
        let names = || environments.iter().map(|named| &*named.name);
        let mut diagnostic = Diagnostic::error(codes::ENVIRONMENT, format!("there is no environment `{chosen}`"))
            .maybe_help(suggest::did_you_mean(chosen, names()))
            .or_help(format!("write environments/{chosen}.yaml, or leave out `--env`"));
        if !environments.is_empty() {
            diagnostic = diagnostic.note(format!("there are: {}", suggest::list(names())));
        }
        decoder.diagnostics.push(diagnostic);
    }
    found
}

fn decode(documents: Documents, environment: Option<Environment>, decoder: &mut Decoder<'_>) -> Draft {
    let empty =
        |table: &'static Table| Group { table: table.name, at: Span::DEFAULT, entries: Vec::new(), strange: false };
    let hub = documents.hub.as_ref().map_or(empty(&tables::hub::HUB), |node| decoder.document(node, &tables::hub::HUB));
    let people = documents
        .people
        .as_ref()
        .map_or(empty(&tables::hub::PEOPLE), |node| decoder.document(node, &tables::hub::PEOPLE));
    let names = rules::Names::of(&documents);
    let systems = documents.systems.iter().filter_map(|named| system(&named.node, decoder)).collect();
    let mut all = |list: &[Named], table: &'static Table| {
        list.iter().map(|named| decoder.document(&named.node, table)).collect::<Vec<_>>()
    };
    let entities = all(&documents.entities, &tables::entity::ENTITY);
    let tests = all(&documents.tests, &tables::test::TEST);
    let decisions = all(&documents.decisions, &tables::decision::DECISION);
    let integrations = documents.integrations.iter().filter_map(|named| integration(&named.node, decoder)).collect();
    Draft { hub, people, systems, entities, integrations, tests, decisions, names, environment }
}

fn system(node: &Node, decoder: &mut Decoder<'_>) -> Option<(Group, &'static Kind)> {
    let group = decoder.document(node, &tables::system::SYSTEM);
    let name = group.text("kind")?;
    match decoder.kinds.iter().find(|kind| kind.name == name) {
        Some(kind) => Some((group, kind)),
        None => {
            let kinds = || decoder.kinds.iter().map(|kind| kind.name);
            let diagnostic = Diagnostic::error(codes::UNKNOWN_KIND, format!("there is no kind of system `{name}`"))
                .at(group.at("kind"), "no connector has this name")
                .note(format!("allowed: {}", suggest::list(kinds())))
                .maybe_help(suggest::did_you_mean(name, kinds()))
                .maybe_help(kind_called(name).map(|kind| format!("write `kind: {kind}`")))
                .or_help("use one of these kinds; a database that none of them knows can often give files");
            decoder.diagnostics.push(diagnostic);
            None
        }
    }
}

/// The kind of what people call by another name.
fn kind_called(name: &str) -> Option<&'static str> {
    let bare: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    Some(match bare.as_str() {
        "mariadb" => "mysql",
        "postgresql" | "pg" | "pgsql" => "postgres",
        "mssql" | "microsoftsqlserver" | "azuresql" | "tsql" => "sqlserver",
        "dynamics" | "dynamics365" | "d365" | "crm" | "dynamicscrm" | "cds" => "dataverse",
        "csv" | "excel" | "xlsx" | "json" | "xml" | "file" | "sftp" | "ftp" | "s3" | "blob" | "azureblob" => "files",
        "http" | "https" | "api" | "webapi" | "restapi" | "jsonapi" => "rest",
        _ => return None,
    })
}

/// The pattern decides which keys an integration has.
fn integration(node: &Node, decoder: &mut Decoder<'_>) -> Option<Group> {
    let pattern = node.get("pattern").and_then(Node::scalar).map(|scalar| scalar.text.clone());
    let table = match pattern.as_deref() {
        Some("batch") => &tables::integration::BATCH,
        Some("event") => &tables::integration::EVENT,
        Some("virtual") => &tables::integration::VIRTUAL,
        Some("flow") => &tables::flow::FLOW,
        // By the keys that go with it, so that a missing or misspelt pattern is the one mistake that is reported.
        _ => {
            let known = |table: &&Table| {
                let has = |(key, _): &&(yaml::Key, Node)| table.fields().any(|field| field.name == &*key.text);
                node.map().unwrap_or_default().iter().filter(has).count()
            };
            let all = [
                &tables::integration::EVENT,
                &tables::integration::VIRTUAL,
                &tables::flow::FLOW,
                &tables::integration::BATCH,
            ];
            all.into_iter().max_by_key(known).unwrap_or(&tables::integration::BATCH)
        }
    };
    Some(decoder.document(node, table))
}

fn project(dir: &Path, draft: &Draft, files: &Files) -> Project {
    let runbook = |name: &str| {
        let path = format!("runbooks/{name}.md");
        files.iter().any(|(_, file)| *file.path == path).then_some(path)
    };
    let hub = build::hub(&draft.hub);
    let (people, groups) = build::people(&draft.people);
    let shown = |thing: &'static str, groups: &mut dyn Iterator<Item = &Group>| -> Vec<Shown> {
        groups
            .map(|group| Shown { name: group.text(thing).unwrap_or_default().to_owned(), group: group.clone() })
            .collect()
    };
    let mut all = shown("integration", &mut draft.integrations.iter());
    all.extend(shown("system", &mut draft.systems.iter().map(|(group, _)| group)));
    all.extend(shown("entity", &mut draft.entities.iter()));
    all.extend(shown("hub", &mut std::iter::once(&draft.hub)));
    all.extend(shown("decision", &mut draft.decisions.iter()));
    let mut integrations: Vec<_> = draft
        .integrations
        .iter()
        .map(|group| build::integration(group, files, runbook(group.text("integration").unwrap_or_default())))
        .collect();
    let entities: Vec<_> = draft.entities.iter().map(build::entity).collect();
    for integration in &mut integrations {
        if let crate::model::Pattern::Batch(batch) = &mut integration.pattern {
            rules::references::order(&mut batch.entities, &entities);
        }
    }
    let mut systems: Vec<_> = draft.systems.iter().map(|(group, kind)| build::system(group, kind)).collect();
    for system in &mut systems {
        for held in &mut system.entities {
            if let Some(entity) = entities.iter().find(|entity| *entity.name == held.entity) {
                held.complete_key(entity, system.kind.has_catalog);
            }
        }
    }
    Project {
        dir: dir.to_owned(),
        hub,
        people,
        groups,
        systems,
        entities,
        integrations,
        tests: draft.tests.iter().filter_map(|group| build::test_case(group, files)).collect(),
        decisions: draft.decisions.iter().map(crate::advise::Decision::of).collect(),
        environment: draft.environment.clone(),
        accepted: Vec::new(),
        shown: all,
        files: Arc::default(),
    }
}
