//! Names of things that are defined elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::codes;
use crate::decode::NameAt;
use crate::diagnostic::Diagnostic;
use crate::documents::{Documents, Named};
use crate::suggest;
use crate::table::Thing;
use crate::yaml::Node;

/// Every name that is defined, also of what could not be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub entities: BTreeSet<String>,
    pub systems: BTreeSet<String>,
    pub integrations: BTreeSet<String>,
    pub people: BTreeSet<String>,
    pub groups: BTreeSet<String>,
    /// The word after `kind:` of each system, and after `pattern:` of each integration.
    pub words: BTreeMap<String, String>,
    /// Something could not be read, so a name that is missing may be there.
    incomplete: bool,
}

fn words<'d>(list: &'d [Named], key: &'d str) -> impl Iterator<Item = (String, String)> + 'd {
    list.iter().filter_map(move |named| Some((named.name.to_string(), named.node.get(key)?.scalar()?.text.to_string())))
}

impl Names {
    pub fn of(documents: &Documents) -> Names {
        let of = |list: &[Named]| list.iter().map(|named| named.name.to_string()).collect::<BTreeSet<_>>();
        let keys = |name: &str| match documents.people.as_ref().and_then(|node| node.get(name)).and_then(Node::map) {
            Some(entries) => entries.iter().map(|(key, _)| key.text.to_string()).collect(),
            None => BTreeSet::new(),
        };
        let mut names = Names {
            entities: of(&documents.entities),
            systems: of(&documents.systems),
            integrations: of(&documents.integrations),
            people: keys("people"),
            groups: keys("groups"),
            words: words(&documents.systems, "kind").chain(words(&documents.integrations, "pattern")).collect(),
            incomplete: documents.incomplete,
        };
        // A definition that does not say its name is a mistake of its own, and may be the one that is looked for.
        for set in [&mut names.entities, &mut names.systems, &mut names.integrations] {
            names.incomplete |= set.remove("");
        }
        names
    }

    /// Something could not be read: what looks missing may be there.
    pub fn incomplete(&self) -> bool {
        self.incomplete
    }

    pub fn has(&self, thing: Thing, name: &str) -> bool {
        match thing {
            Thing::Entity => self.entities.contains(name),
            Thing::System => self.systems.contains(name),
            Thing::Integration => self.integrations.contains(name),
            Thing::Person => self.people.contains(name),
            Thing::Who | Thing::Owner => match name.strip_prefix("group:") {
                Some(group) => self.groups.contains(group),
                None => self.people.contains(name) || self.groups.contains(name),
            },
        }
    }

    pub fn all(&self, thing: Thing, name: &str) -> Vec<String> {
        let of = |sets: &[&BTreeSet<String>]| sets.iter().flat_map(|set| set.iter().cloned()).collect::<Vec<_>>();
        match thing {
            Thing::Entity => of(&[&self.entities]),
            Thing::System => of(&[&self.systems]),
            Thing::Integration => of(&[&self.integrations]),
            Thing::Person => of(&[&self.people]),
            Thing::Who | Thing::Owner if name.starts_with("group:") => {
                self.groups.iter().map(|group| format!("group:{group}")).collect()
            }
            Thing::Who | Thing::Owner => of(&[&self.people, &self.groups]),
        }
    }
}

pub(crate) fn check(used: &[NameAt], names: &Names, diagnostics: &mut Vec<Diagnostic>) {
    for NameAt { at, thing, name } in used {
        if names.incomplete || names.has(*thing, name) {
            continue;
        }
        let word = match (thing, name.strip_prefix("group:")) {
            (Thing::Who | Thing::Owner, Some(_)) => "group",
            (thing, _) => thing.word(),
        };
        let all = names.all(*thing, name);
        // An owner may be just a word; a word that is nearly a name is a misspelt name.
        if *thing == Thing::Owner
            && suggest::nearest(name, all.iter().map(String::as_str)).is_none()
            && !name.starts_with("group:")
        {
            continue;
        }
        let mut diagnostic = Diagnostic::error(codes::UNKNOWN_NAME, format!("there is no {word} `{name}`"))
            .at(*at, format!("no {word} has this name"))
            .maybe_help(suggest::did_you_mean(name, all.iter().map(String::as_str)))
            .or_help(match thing {
                Thing::Person | Thing::Who | Thing::Owner => "define it in people.yaml".to_owned(),
                thing => format!("define it in {}{name}.yaml, or correct the name", thing.home()),
            });
        if !all.is_empty() {
            diagnostic = diagnostic.note(format!("there are: {}", suggest::list(all.iter().map(String::as_str))));
        }
        diagnostics.push(diagnostic);
    }
}
