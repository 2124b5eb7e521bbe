//! The names that a formula may use.

use crate::types::Type;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The columns, fields and records that a formula may name, each with its type and its slot.
///
/// Slots count up from 0 in the order in which names are added; a row hands out its values by them
/// ([`Slots`](crate::Slots)). A dotted name such as `customer.name` is a slot of its own, so a row need not
/// build a record for it.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    root: Names,
    paths: Vec<Arc<str>>,
    types: Vec<Type>,
    open: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub slot: Option<usize>,
    pub members: BTreeMap<Arc<str>, Names>,
}

impl Scope {
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts names that nobody added, as columns of [`Type::Unknown`].
    ///
    /// Such names get slots after the added ones, in the order of their first use; [`Formula::slots`](crate::Formula::slots)
    /// says which. For systems whose columns are not known yet.
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Adds a name and gives its slot. A name that was there before keeps its slot and gets the new type.
    pub fn add(&mut self, path: &str, ty: Type) -> usize {
        let mut names = &mut self.root;
        for part in path.split('.') {
            names = names.members.entry(Arc::from(part)).or_default();
        }
        match names.slot {
            Some(slot) => {
                self.types[slot] = ty;
                slot
            }
            None => {
                let slot = self.types.len();
                names.slot = Some(slot);
                self.paths.push(path.into());
                self.types.push(ty);
                slot
            }
        }
    }

    /// The slot of a name.
    pub fn slot(&self, path: &str) -> Option<usize> {
        let mut names = &self.root;
        for part in path.split('.') {
            names = names.members.get(part)?;
        }
        names.slot
    }

    /// The type of a slot.
    pub fn ty(&self, slot: usize) -> Option<&Type> {
        self.types.get(slot)
    }

    /// The dotted name of a slot.
    pub fn name(&self, slot: usize) -> Option<&str> {
        self.paths.get(slot).map(|p| &**p)
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn root(&self) -> &Names {
        &self.root
    }

    pub(crate) fn paths(&self) -> &[Arc<str>] {
        &self.paths
    }
}

impl<'n> FromIterator<(&'n str, Type)> for Scope {
    fn from_iter<I: IntoIterator<Item = (&'n str, Type)>>(names: I) -> Self {
        let mut scope = Scope::new();
        for (path, ty) in names {
            scope.add(path, ty);
        }
        scope
    }
}
