//! What a mapping makes of the types of its columns: for whoever wants to know whether they may change.

use record::{EntityField, Type};

use super::{Compiled, ReadMapping};
use crate::fit::{self, Suits};
use crate::formula;

/// A column, and what is made of it.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    pub column: &'a str,
    /// What the system said that it holds.
    pub ty: &'a Type,
    /// The field; `None` where `where:` reads it.
    pub field: Option<&'a EntityField>,
    /// The formula that reads it; `None` where the field gets it as it is.
    pub formula: Option<&'a str>,
    pub suits: Suits,
}

impl ReadMapping {
    /// What each field, and the `where:`, makes of the types of its columns.
    pub fn uses(&self) -> Vec<Use<'_>> {
        let of = |column: usize, field, formula, suits| Use {
            column: self.columns[column].as_str(),
            ty: &self.types[column],
            field,
            formula,
            suits,
        };
        let mut uses = Vec::new();
        for field in &self.fields {
            let spec = &self.entity.fields[field.at];
            match &field.expr {
                Compiled::Column(column) => {
                    let to = match &field.refers_to {
                        Some(target) => match target.key.as_slice() {
                            [key] => target.field(key).map_or(Type::Unknown, |key| key.ty.clone()),
                            _ => Type::Unknown,
                        },
                        None => spec.ty.clone(),
                    };
                    uses.push(of(*column, Some(spec), None, fit::suits(&self.types[*column], &to)));
                }
                Compiled::Choice { column, .. } => {
                    let text = Type::Text { max_length: None };
                    uses.push(of(*column, Some(spec), None, fit::suits(&self.types[*column], &text)));
                }
                Compiled::Formula(formula) => {
                    let inputs = formula.inputs();
                    uses.extend(inputs.map(|column| of(column, Some(spec), Some(&*field.text), Suits::Surely)));
                }
                Compiled::Constant(_) | Compiled::Lines => {}
            }
        }
        let filter = self.filter.iter().flat_map(formula::Compiled::inputs);
        uses.extend(filter.map(|column| of(column, None, Some("where"), Suits::Surely)));
        uses
    }
}
