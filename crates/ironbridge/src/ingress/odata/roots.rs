//! Which virtual tables stand under which root.

use std::collections::BTreeMap;
use std::sync::Arc;

use definition::{Pattern, Project};
use odata::service::{Edm, EntitySet, Navigation, Property};
use record::Type;
use virtual_tables::{Exposed, OpenSystem, Table, Turns};

pub(super) struct Roots {
    tables: Vec<Arc<Shown>>,
    /// Names of roots with the places of their tables; the empty one is `/odata/` itself.
    roots: BTreeMap<String, Vec<usize>>,
}

/// A virtual table and what it looks like.
pub(super) struct Shown {
    pub table: Table,
    pub set: EntitySet,
}

impl Roots {
    pub fn new(project: &Arc<Project>, open: &OpenSystem) -> Roots {
        let mut tables: Vec<Arc<Shown>> = Vec::new();
        let mut turns: BTreeMap<String, Arc<Turns>> = BTreeMap::new();
        for integration in &project.integrations {
            if let Some(exposed) = virtual_tables::exposed(project, integration) {
                let set = entity_set(&exposed);
                let turns = turns.entry(exposed.from.clone()).or_default().clone();
                let table = Table::new(project.clone(), exposed, open.clone(), turns);
                tables.push(Arc::new(Shown { table, set }));
            }
        }
        let places = |name: &String| {
            let is_of = |at: &usize| {
                let exposed = &tables[*at].table.exposed;
                name.is_empty() || exposed.from == *name || exposed.to == *name
            };
            (0..tables.len()).filter(is_of).collect::<Vec<_>>()
        };
        let roots = Roots::names(project).into_iter().chain(Roots::single(project));
        let roots = roots.map(|name| (name.clone(), places(&name))).collect();
        Roots { tables, roots }
    }

    /// The systems that have a root: what is read, and where it is shown.
    pub fn names(project: &Project) -> Vec<String> {
        let mut names: Vec<String> = ends(project).into_iter().flat_map(|(from, to)| [from, to]).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The name of `/odata/` itself, where all tables come from one system or go to one.
    fn single(project: &Project) -> Option<String> {
        let ends = ends(project);
        let (first_from, first_to) = ends.first()?.clone();
        let is_one = ends.iter().all(|(from, _)| *from == first_from) || ends.iter().all(|(_, to)| *to == first_to);
        is_one.then(String::new)
    }

    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub fn shows_in(&self, system: &str) -> bool {
        self.tables.iter().any(|shown| shown.table.exposed.to == system)
    }

    /// The root that a path begins with, what follows it, and the tables that these systems may see there.
    pub fn find<'r, 'p>(&'r self, path: &'p str, admitted: &[&str]) -> Option<(String, &'p str, Vec<&'r Arc<Shown>>)> {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let (name, rest) = match self.roots.contains_key(first) && !first.is_empty() {
            true => (first, rest),
            false => ("", path),
        };
        let places = self.roots.get(name)?;
        let tables = places.iter().map(|at| &self.tables[*at]);
        let tables = tables.filter(|shown| admitted.contains(&shown.table.exposed.to.as_str()));
        Some((name.to_owned(), rest, tables.collect()))
    }
}

fn ends(project: &Project) -> Vec<(String, String)> {
    let of = |integration: &definition::Integration| match &integration.pattern {
        Pattern::Virtual(shown) => Some((shown.from.clone(), shown.to.clone())),
        _ => None,
    };
    project.integrations.iter().filter_map(of).collect()
}

/// A virtual table in the words of OData. Its type has the name of its set: Dataverse asks for one name.
pub fn entity_set(exposed: &Exposed) -> EntitySet {
    let property = |property: &virtual_tables::Property| {
        let (ty, max_length) = edm(&property.ty);
        Property { name: property.name.clone(), ty, nullable: property.nullable, max_length }
    };
    let navigation = |navigation: &virtual_tables::Navigation| Navigation {
        name: navigation.name.clone(),
        property: navigation.property.clone(),
        set: navigation.set.clone(),
    };
    EntitySet {
        name: exposed.set.clone(),
        of: exposed.set.clone(),
        key: exposed.key_name().to_owned(),
        properties: exposed.properties.iter().map(property).collect(),
        navigations: exposed.navigations.iter().map(navigation).collect(),
    }
}

/// The type that Dataverse can map.
pub fn edm(ty: &Type) -> (Edm, Option<u32>) {
    match ty {
        Type::Text { max_length } | Type::Multiline { max_length } => (Edm::String, *max_length),
        Type::WholeNumber => (Edm::Int64, None),
        Type::Decimal { scale } => (Edm::Decimal(*scale), None),
        Type::Money => (Edm::Decimal(Some(4)), None),
        Type::Float => (Edm::Double, None),
        Type::YesNo => (Edm::Boolean, None),
        Type::Date => (Edm::Date, None),
        Type::DateTime | Type::LocalDateTime => (Edm::DateTimeOffset, None),
        Type::Guid => (Edm::Guid, None),
        _ => (Edm::String, None),
    }
}
