//! The names that formulas of one side may use, with their types.

use std::sync::Arc;

use record::catalog::Table;
use record::{Entity, Schema, Type};

/// Known columns of a table, or fields of an entity.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    known: Vec<(Arc<str>, Type)>,
    /// Other names may exist too: nobody has asked the live system.
    open: bool,
}

impl Columns {
    /// Exactly these.
    pub fn closed(schema: &Schema) -> Columns {
        Columns { known: schema.columns().iter().map(|c| (c.name.clone(), c.ty.clone())).collect(), open: false }
    }

    /// Nothing is known: every name is taken for a column.
    pub fn open() -> Columns {
        Columns { known: Vec::new(), open: true }
    }

    /// What the live system says of a table.
    pub fn of_table(table: &Table) -> Columns {
        let known = table.columns.iter().map(|c| (c.column.name.clone(), c.column.ty.clone())).collect();
        Columns { known, open: false }
    }

    pub fn of_entity(entity: &Entity) -> Columns {
        Columns::closed(&entity.schema)
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn iter(&self) -> impl Iterator<Item = &(Arc<str>, Type)> {
        self.known.iter()
    }

    /// The type of a column; `Unknown` for any name where nothing is known. A path (`a.b`) is known by its first part,
    /// and what lies behind it is not.
    pub fn type_of(&self, name: &str) -> Option<Type> {
        if let Some((_, ty)) = self.known.iter().find(|(known, _)| &**known == name) {
            return Some(ty.clone());
        }
        let head = name.split('.').next().unwrap_or(name);
        let behind_a_path = head != name && self.known.iter().any(|(known, _)| &**known == head);
        (self.open || behind_a_path).then_some(Type::Unknown)
    }

    /// The known name that is nearest to this one, for "did you mean".
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.known.iter().map(|(known, _)| &**known))
    }
}

/// That of some names which is nearest to this one.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, known)| *distance <= known.len().max(name.len()).div_ceil(3))
        .min()
        .map(|(_, known)| known)
}
