//! The hub's own record of a business thing.

use std::sync::Arc;

use crate::{Key, KeyError, Row, Schema, Type, Value};

/// A business entity: its fields with types, and its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    pub name: Arc<str>,
    /// Names of fields, in the order of the key.
    pub key: Vec<String>,
    /// The field that orders versions of one record; an older one never overwrites a newer one.
    pub version: Option<String>,
    pub fields: Vec<EntityField>,
    /// The same fields as a schema, for rows.
    pub schema: Arc<Schema>,
}

/// One field of an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityField {
    pub name: Arc<str>,
    pub ty: Type,
    pub required: bool,
    /// Masked wherever people look.
    pub personal: bool,
    /// The system that owns the field: a sync never writes it there.
    pub master: Option<String>,
    /// A regular expression that the whole text must match.
    pub pattern: Option<String>,
    /// Of a money field: a currency code, or a formula after `=` that gives one.
    pub currency: Option<String>,
}

impl Entity {
    /// *Shape*: field names are unique and `key` names some of them; the definition has checked that.
    pub fn new(
        name: impl Into<Arc<str>>,
        key: Vec<String>,
        version: Option<String>,
        fields: Vec<EntityField>,
    ) -> Entity {
        let schema = Schema::of(fields.iter().map(|f| (f.name.clone(), f.ty.clone())));
        Entity { name: name.into(), key, version, fields, schema }
    }

    pub fn field(&self, name: &str) -> Option<&EntityField> {
        self.fields.iter().find(|f| &*f.name == name)
    }

    /// The key of a row of this entity.
    pub fn key_of(&self, row: &Row) -> Result<Key, KeyError> {
        let blank = Value::Blank;
        Entity::key_of_parts(self.key.iter().map(|name| row.get(name).unwrap_or(&blank)))
    }

    /// The key of these values of key fields, in the order of the key. A reference within a key counts by the key that it
    /// points to.
    pub fn key_of_parts<'v>(parts: impl IntoIterator<Item = &'v Value>) -> Result<Key, KeyError> {
        let flat = parts.into_iter().flat_map(|part| {
            let (own, referred) = match part {
                Value::Reference(reference) => (None, Some(reference.key.iter().map(|(_, value)| value))),
                value => (Some(value), None),
            };
            own.into_iter().chain(referred.into_iter().flatten())
        });
        Key::of(flat)
    }
}
