//! Rows that a mapping takes over as they are: nothing of them has to be made.

use record::{EntityField, RowRef, Type, ValueRef};

use crate::read::ReadMapping;

/// A mapping whose fields are columns and nothing else.
#[derive(Debug, Clone)]
pub struct Plain {
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Field {
    /// The place of the field in the entity.
    at: usize,
    /// The place of its column in [`ReadMapping::columns`].
    column: usize,
    needed: bool,
    is_key: bool,
    ty: Type,
    pattern: Option<regex::Regex>,
}

impl ReadMapping {
    /// The mapping as columns; nothing where a field of it is computed, chosen by name, a reference or lines. With
    /// `key_is_packed`, whoever packs the key sees whether it is of its patterns.
    pub fn plain(&self, key_is_packed: bool) -> Option<Plain> {
        let field = |(at, column, pattern): (usize, usize, Option<&regex::Regex>)| {
            let spec: &EntityField = &self.entity().fields[at];
            let is_key = self.entity().key.iter().any(|key| **key == *spec.name);
            let (ty, pattern) = (spec.ty.clone(), pattern.filter(|_| !(is_key && key_is_packed)).cloned());
            Some(Field { at, column, needed: spec.required || is_key, is_key, ty, pattern })
        };
        let fields: Option<Vec<Field>> = self.as_columns()?.into_iter().map(field).collect();
        Some(Plain { fields: fields? })
    }
}

impl Plain {
    /// The place of a field's column in the columns of the mapping.
    pub fn column(&self, field: usize) -> Option<usize> {
        self.fields.iter().rfind(|known| known.at == field).map(|known| known.column)
    }

    /// Whether [`ReadMapping::apply`] gives this row with every value as it is, but for `""`, which is a blank, and a
    /// decimal that is written with fewer zeros. `binding` is that of [`ReadMapping::bind`]. The `where:` of the mapping
    /// is not looked at.
    pub fn takes(&self, row: RowRef<'_>, binding: &[usize]) -> bool {
        self.fields.iter().all(|field| {
            let value = row.at(binding[field.column]);
            match value {
                ValueRef::Blank | ValueRef::Text("") => !field.needed,
                ValueRef::Text(text) => {
                    fits(value, &field.ty)
                        && !(field.is_key && text.chars().all(char::is_whitespace))
                        && field.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
                }
                value => fits(value, &field.ty),
            }
        })
    }
}

/// Whether a value that is there is one of this type already.
fn fits(value: ValueRef<'_>, ty: &Type) -> bool {
    let digits = |number: record::Decimal, most: u32| number.scale() <= most || number.normalize().scale() <= most;
    match (ty, value) {
        (Type::Text { max_length } | Type::Multiline { max_length }, ValueRef::Text(text)) => {
            max_length.is_none_or(|max| text.len() <= max as usize || text.chars().count() <= max as usize)
        }
        (Type::Person, ValueRef::Text(_))
        | (Type::WholeNumber | Type::Decimal { .. } | Type::Money, ValueRef::Int(_))
        | (Type::Decimal { scale: None }, ValueRef::Decimal(_))
        | (Type::YesNo, ValueRef::Bool(_))
        | (Type::Date, ValueRef::Date(_))
        | (Type::Time, ValueRef::Time(_))
        | (Type::DateTime, ValueRef::Instant(_))
        | (Type::LocalDateTime, ValueRef::LocalDateTime(_))
        | (Type::Guid, ValueRef::Guid(_)) => true,
        (Type::Decimal { scale: Some(scale) }, ValueRef::Decimal(number)) => digits(number, *scale),
        (Type::Money, ValueRef::Decimal(number)) => digits(number, 4),
        (Type::Float, ValueRef::Float(number)) => number.is_finite(),
        _ => false,
    }
}
