//! What a virtual integration shows, known from the definition alone.

use std::sync::Arc;
use std::time::Duration;

use definition::{Integration, Pattern, Project};
use record::guid::Scheme;
use record::{Entity, Type};

/// One virtual table as its users see it.
#[derive(Debug, Clone)]
pub struct Exposed {
    pub integration: String,
    /// The name of the entity set: that of the integration, as an identifier.
    pub set: String,
    pub from: String,
    pub to: String,
    pub entity: Arc<Entity>,
    pub scheme: Scheme,
    /// The place of the key among the properties.
    pub key: usize,
    pub properties: Vec<Property>,
    pub navigations: Vec<Navigation>,
    pub timeout: Duration,
    pub cache: Duration,
    pub max_rows: u64,
    pub refuse_without_filter: bool,
}

#[derive(Debug, Clone)]
pub struct Property {
    pub name: String,
    pub of: Of,
    pub ty: Type,
    pub nullable: bool,
}

/// Where the value of a property comes from.
#[derive(Debug, Clone)]
pub enum Of {
    /// The entity's key as a GUID.
    Key,
    /// The field at this place of the entity.
    Field(usize),
    /// The key of the row that this field refers to, as a GUID.
    Other { field: usize, entity: Arc<Entity>, scheme: Scheme },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Navigation {
    pub name: String,
    pub property: String,
    pub set: String,
}

/// What an integration shows; nothing for another pattern.
pub fn exposed(project: &Project, integration: &Integration) -> Option<Exposed> {
    let Pattern::Virtual(shown) = &integration.pattern else { return None };
    let entity = project.entity(&shown.entity)?.clone();
    let held = project.system(&shown.from)?.entity(&shown.entity)?;
    let scheme = Scheme::of(&entity);
    let is_shown = |field: &record::EntityField| {
        let is_key = entity.key.iter().any(|name| **name == *field.name);
        let is_read = held.read.iter().any(|rule| rule.target == *field.name);
        let is_wanted = match shown.expose.as_slice() {
            [] => !field.personal,
            named => named.iter().any(|name| **name == *field.name),
        };
        let can_be_shown = !matches!(field.ty, Type::Lines(_) | Type::Bytes);
        is_read && can_be_shown && (is_wanted || is_key && scheme == Scheme::Own)
    };
    let mut properties: Vec<Property> = Vec::new();
    let mut navigations = Vec::new();
    if scheme != Scheme::Own {
        let usual = format!("{}id", entity.name);
        let name = if entity.field(&usual).is_some() { format!("{}_guid", entity.name) } else { usual };
        properties.push(Property { name, of: Of::Key, ty: Type::Guid, nullable: false });
    }
    for (at, field) in entity.fields.iter().enumerate() {
        if !is_shown(field) {
            continue;
        }
        let is_key = entity.key.iter().any(|name| **name == *field.name);
        let nullable = !(is_key || field.required);
        let other = match &field.ty {
            Type::Reference { to } => to.first().and_then(|name| other(project, shown, name)),
            _ => None,
        };
        let property = match other {
            Some((set, target)) => {
                // `item_id`, unless another field is called so.
                let is_taken = |name: &str| {
                    entity.field(name).is_some_and(is_shown) || properties.iter().any(|known| known.name == name)
                };
                let mut name = format!("{}_id", field.name);
                if is_taken(&name) {
                    name = format!("{}_guid", field.name);
                }
                while is_taken(&name) {
                    name.push('_');
                }
                navigations.push(Navigation { name: field.name.to_string(), property: name.clone(), set });
                let scheme = Scheme::of(&target);
                Property { name, of: Of::Other { field: at, entity: target, scheme }, ty: Type::Guid, nullable }
            }
            None => Property { name: field.name.to_string(), of: Of::Field(at), ty: field.ty.clone(), nullable },
        };
        properties.push(property);
    }
    let is_key = |property: &Property| match &property.of {
        Of::Key => true,
        Of::Field(at) => scheme == Scheme::Own && entity.key.first().is_some_and(|k| **k == *entity.fields[*at].name),
        Of::Other { .. } => false,
    };
    let key = properties.iter().position(is_key)?;
    Some(Exposed {
        integration: integration.name.clone(),
        set: integration.set(),
        from: shown.from.clone(),
        to: shown.to.clone(),
        entity: entity.clone(),
        scheme: scheme.clone(),
        key,
        properties,
        navigations,
        timeout: shown.timeout,
        cache: shown.cache,
        max_rows: shown.max_rows.max(1),
        refuse_without_filter: shown.refuse_without_filter,
    })
}

/// The set that shows another entity of the same two systems.
fn other(project: &Project, of: &definition::Virtual, name: &str) -> Option<(String, Arc<Entity>)> {
    let shows = |integration: &&Integration| match &integration.pattern {
        Pattern::Virtual(shown) => shown.entity == name && shown.from == of.from && shown.to == of.to,
        _ => false,
    };
    let integration = project.integrations.iter().find(shows)?;
    Some((integration.set(), project.entity(name)?.clone()))
}

impl Exposed {
    pub fn property(&self, name: &str) -> Option<usize> {
        self.properties.iter().position(|property| property.name == name)
    }

    /// Whether a field of the key is personal, and none of the properties.
    pub(crate) fn hides_its_key(&self) -> bool {
        let is_shown =
            |at: usize| self.properties.iter().any(|property| matches!(property.of, Of::Field(of) if of == at));
        let mut places = self.entity.key.iter().filter_map(|name| self.entity.schema.index(name));
        places.any(|at| self.entity.fields[at].personal && !is_shown(at))
    }

    pub fn key_name(&self) -> &str {
        &self.properties[self.key].name
    }
}
