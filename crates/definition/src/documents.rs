//! Which file holds what, and the environment laid over it.

use std::sync::Arc;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::{FileId, Files, Span};
use crate::suggest;
use crate::table::Thing;
use crate::yaml::{self, Data, Key, Node};

/// The folders whose files are definitions.
pub(crate) const FOLDERS: &[&str] = &["environments", "systems", "entities", "integrations", "tests", "decisions"];
/// The folder of pages that people write: nothing in it is a definition, and no secret may stand in it either.
pub(crate) const PAGES: &str = "runbooks";

/// Everything that was found, before decoding.
#[derive(Default)]
pub(crate) struct Documents {
    pub hub: Option<Node>,
    pub people: Option<Node>,
    pub systems: Vec<Named>,
    pub entities: Vec<Named>,
    pub integrations: Vec<Named>,
    pub tests: Vec<Named>,
    pub decisions: Vec<Named>,
    pub environments: Vec<Named>,
    /// A file could not be read to its end, so a name that is missing may be in it.
    pub incomplete: bool,
}

/// A definition with the name that it gives itself. *Shape*: the name is empty where it could not be read.
pub(crate) struct Named {
    pub name: Arc<str>,
    pub node: Node,
}

pub(crate) fn sort(files: &Files, diagnostics: &mut Vec<Diagnostic>) -> Documents {
    let mut documents = Documents::default();
    for (id, file) in files.iter().filter(|(_, file)| !file.path.starts_with(PAGES)) {
        let (nodes, complete) = yaml::parse(id, &file.text, diagnostics);
        documents.incomplete |= !complete;
        let folder = file.path.split_once('/').map_or(&*file.path, |(folder, _)| folder);
        match folder {
            "ironbridge.yaml" => documents.hub = only_one(nodes, id, files, complete, diagnostics),
            "people.yaml" => documents.people = only_one(nodes, id, files, complete, diagnostics),
            "environments" => {
                let name = file.path.trim_start_matches("environments/").trim_end_matches(".yaml");
                let node = only_one(nodes, id, files, true, diagnostics);
                let node =
                    node.unwrap_or(Node { data: Data::Map(Vec::new()), span: Span { file: id, start: 0, end: 0 } });
                documents.environments.push(Named { name: name.into(), node });
            }
            _ => {
                if nodes.is_empty() && complete {
                    diagnostics.push(
                        Diagnostic::warning(codes::STRAY_FILE, format!("`{}` is empty", file.path))
                            .help("write a definition into it, or remove it"),
                    );
                }
                for node in nodes {
                    documents.put(folder, node, files, diagnostics);
                }
            }
        }
    }
    for (list, thing) in [
        (&mut documents.systems, "systems"),
        (&mut documents.entities, "entities"),
        (&mut documents.integrations, "integrations"),
        (&mut documents.tests, "tests"),
        (&mut documents.decisions, "decisions"),
    ] {
        report_twins(list, thing, diagnostics);
    }
    documents
}

const HOMES: &[(&str, &str)] = &[
    ("system", "systems"),
    ("entity", "entities"),
    ("integration", "integrations"),
    ("test", "tests"),
    ("decision", "decisions"),
];

impl Documents {
    fn put(&mut self, folder: &str, node: Node, files: &Files, diagnostics: &mut Vec<Diagnostic>) {
        let own = HOMES.iter().find(|(_, home)| *home == folder).map_or("", |(key, _)| *key);
        // What it says of itself decides, unless it says nothing. An integration names its entity too.
        let other = HOMES
            .iter()
            .find(|(key, _)| *key != own && node.entry(key).is_some_and(|(k, _)| Some(&*k.text) == first_key(&node)));
        if let (Some((key, home)), None) = (other, node.entry(own)) {
            let (key_at, _) = node.entry(key).expect("it was found above");
            diagnostics.push(
                Diagnostic::error(
                    codes::STRAY_FILE,
                    format!("{} {key} stands in {folder}/", crate::decode::article(key)),
                )
                .at(key_at.span, format!("{}/ is read for this", home))
                .help(format!("move the file to {home}/")),
            );
        }
        let (key, home) = match (other, node.entry(own)) {
            (Some((key, home)), None) => (*key, *home),
            _ => (own, folder),
        };
        let name = node.get(key).and_then(Node::scalar).map_or("".into(), |scalar| scalar.text.clone());
        let _ = files;
        let named = Named { name, node };
        match home {
            "systems" => self.systems.push(named),
            "entities" => self.entities.push(named),
            "integrations" => self.integrations.push(named),
            "decisions" => self.decisions.push(named),
            _ => self.tests.push(named),
        }
    }

    /// Lays one environment over the definitions. *Errors*: as diagnostics, of every environment; only one is applied.
    pub fn apply(&mut self, environment: &Node, apply: bool, diagnostics: &mut Vec<Diagnostic>) {
        for (key, list, thing) in [
            ("systems", &mut self.systems, Thing::System),
            ("integrations", &mut self.integrations, Thing::Integration),
        ] {
            let Some(entries) = environment.get(key).and_then(Node::map) else { continue };
            for (name, node) in entries {
                match list.iter_mut().find(|named| named.name == name.text) {
                    Some(named) if apply => merge(&mut named.node, node),
                    Some(_) => {}
                    None if self.incomplete => {}
                    None => diagnostics.push(
                        Diagnostic::error(
                            codes::ENVIRONMENT,
                            format!(
                                "this environment changes the {} `{}`, which does not exist",
                                thing.word(),
                                name.text
                            ),
                        )
                        .at(name.span, format!("no {} has this name", thing.word()))
                        .maybe_help(suggest::did_you_mean(&name.text, list.iter().map(|named| &*named.name)))
                        .or_help(format!("an environment changes what is defined: define it in {}", thing.home())),
                    ),
                }
            }
        }
        if let (Some(hub), Some(node), true) = (&mut self.hub, environment.get("hub"), apply) {
            merge(hub, node);
        }
    }
}

fn first_key(node: &Node) -> Option<&str> {
    node.map()?.first().map(|(key, _)| &*key.text)
}

/// Groups are laid over each other key by key; anything else is replaced.
fn merge(base: &mut Node, over: &Node) {
    let (Data::Map(entries), Data::Map(more)) = (&mut base.data, &over.data) else {
        *base = over.clone();
        return;
    };
    for (key, node) in more {
        match entries.iter_mut().find(|(have, _)| have.text == key.text) {
            Some((have, old)) => {
                *have = Key { text: have.text.clone(), span: key.span };
                merge(old, node);
            }
            None => entries.push((key.clone(), node.clone())),
        }
    }
}

fn only_one(
    mut nodes: Vec<Node>,
    file: FileId,
    files: &Files,
    complete: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Node> {
    if let Some(second) = nodes.get(1) {
        diagnostics.push(
            Diagnostic::error(codes::YAML_FEATURE, "this file holds one document, and `---` starts a second one")
                .at(crate::decode::head(second, files), "the second one starts here")
                .help("put everything under the keys of the first, and remove the `---`"),
        );
    }
    if nodes.is_empty() {
        let path = files.get(file).map_or("", |file| &*file.path);
        if complete && path == "ironbridge.yaml" {
            diagnostics.push(
                Diagnostic::error(codes::MISSING_KEY, "ironbridge.yaml is empty")
                    .help("write at least the name of the hub into it, for example `hub: contoso`"),
            );
        }
        return None;
    }
    Some(nodes.swap_remove(0))
}

/// Of two definitions with one name the first one counts.
fn report_twins(list: &mut Vec<Named>, folder: &str, diagnostics: &mut Vec<Diagnostic>) {
    let singular = HOMES.iter().find(|(_, home)| *home == folder).map_or("", |(key, _)| *key);
    let mut seen: std::collections::BTreeMap<Arc<str>, Span> = std::collections::BTreeMap::new();
    list.retain(|named| {
        if named.name.is_empty() {
            return true;
        }
        let place = named.node.get(singular).map_or(named.node.span, |node| node.span);
        let Some(first) = seen.get(&named.name) else {
            seen.insert(named.name.clone(), place);
            return true;
        };
        diagnostics.push(
            Diagnostic::error(codes::DEFINED_TWICE, format!("the {singular} `{}` is defined twice", named.name))
                .at(place, "here again")
                .also(*first, "the first time")
                .help("give one of them another name, or remove it"),
        );
        false
    });
}
