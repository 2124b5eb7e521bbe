//! Rows that a mapping takes over as they are: nothing of them has to be made.

use record::{Batch, EntityField, Kinds, Type, ValueRef};

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

    /// Whether [`ReadMapping::apply`] gives the first `count` of these rows with every value as it is, but for `""`, which
    /// is a blank, and a decimal that is written with fewer zeros. `binding` is that of [`ReadMapping::bind`]. The `where:`
    /// of the mapping is not looked at.
    pub fn takes(&self, rows: &Batch, count: usize, binding: &[usize]) -> bool {
        self.fields.iter().all(|field| {
            let column = binding[field.column];
            field.surely_takes(rows.kinds(column, count)) || field.takes(rows.column(column).take(count))
        })
    }
}

impl Field {
    /// Whether it takes values of these kinds as they are, whatever they are: most columns are seen by that alone.
    fn surely_takes(&self, kinds: Kinds) -> bool {
        let Kinds { blank, text, unusual, whole, decimal, date, other } = kinds;
        if other || (blank && self.needed) {
            return false;
        }
        let numbers = |places: u32| text.is_none() && !date && decimal.is_none_or(|most| most <= places);
        match &self.ty {
            Type::Text { max_length } | Type::Multiline { max_length } => {
                let (fits, is_text) = (text.unwrap_or(0) <= max(*max_length), !whole && decimal.is_none() && !date);
                is_text && fits && self.pattern.is_none() && !(self.is_key && unusual)
            }
            Type::WholeNumber => numbers(0) && decimal.is_none(),
            Type::Decimal { scale } => numbers(scale.unwrap_or(u32::MAX)),
            Type::Money => numbers(MONEY_PLACES),
            Type::Date => text.is_none() && !whole && decimal.is_none(),
            _ => false,
        }
    }

    /// Whether it takes each of these values as it is.
    fn takes<'v>(&self, mut values: impl Iterator<Item = ValueRef<'v>>) -> bool {
        values.all(|value| match value {
            ValueRef::Blank | ValueRef::Text("") => !self.needed,
            ValueRef::Text(text) => {
                fits(value, &self.ty)
                    && !(self.is_key && is_white(text))
                    && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
            }
            value => fits(value, &self.ty),
        })
    }
}

/// The places of an amount of money.
const MONEY_PLACES: u32 = 4;

/// *Unit*: characters, or bytes, of which there are never fewer.
fn max(length: Option<u32>) -> usize {
    length.map_or(usize::MAX, |max| max as usize)
}

fn is_white(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_graphic()) && text.chars().all(char::is_whitespace)
}

/// Whether a value that is there is one of this type already.
#[inline]
fn fits(value: ValueRef<'_>, ty: &Type) -> bool {
    let digits = |number: record::Decimal, most: u32| number.scale() <= most || number.normalize().scale() <= most;
    match (ty, value) {
        (Type::Text { max_length } | Type::Multiline { max_length }, ValueRef::Text(text)) => {
            text.len() <= max(*max_length) || text.chars().count() <= max(*max_length)
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
        (Type::Money, ValueRef::Decimal(number)) => digits(number, MONEY_PLACES),
        (Type::Float, ValueRef::Float(number)) => number.is_finite(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use record::{Column, Entity, Schema, Value};

    use super::*;
    use crate::{Columns, Entities, Expr, Read, ReadPlan, Rule};

    /// A field of each kind, two of them the key, over columns of the same names.
    fn mapping() -> ReadMapping {
        let field = |name: &str, ty: Type, required: bool, pattern: Option<&str>| EntityField {
            name: name.into(),
            ty,
            required,
            personal: false,
            master: None,
            pattern: pattern.map(str::to_owned),
            currency: None,
        };
        let fields = vec![
            field("code", Type::Text { max_length: Some(5) }, false, None),
            field("place", Type::WholeNumber, false, None),
            field("note", Type::Multiline { max_length: None }, false, None),
            field("must", Type::Text { max_length: Some(3) }, true, None),
            field("zip", Type::Text { max_length: None }, false, Some("[0-9]{2,5}")),
            field("amount", Type::Decimal { scale: Some(2) }, false, None),
            field("any", Type::Decimal { scale: None }, true, None),
            field("price", Type::Money, false, None),
            field("weight", Type::Float, false, None),
            field("open", Type::YesNo, false, None),
            field("day", Type::Date, false, None),
            field("hour", Type::Time, false, None),
            field("at", Type::DateTime, false, None),
            field("id", Type::Guid, false, None),
            field("who", Type::Person, false, None),
        ];
        let rule = |field: &EntityField| Rule {
            target: field.name.to_string(),
            expr: Expr::Source(field.name.to_string()),
            only_on_create: false,
            origin: String::new(),
        };
        let rules: Vec<Rule> = fields.iter().map(rule).collect();
        let entity = Arc::new(Entity::new("thing", vec!["code".into(), "place".into()], None, fields));
        let plan = ReadPlan {
            entity: &entity,
            rules: &rules,
            filter: None,
            columns: &Columns::open(),
            entities: &Entities::default(),
            lookups: None,
            zone: None,
        };
        ReadMapping::compile(&plan).unwrap()
    }

    /// Values of every kind, so many of them of no type of a field that every field meets ones that do not fit.
    fn values() -> Vec<Value> {
        let texts = [
            "",
            " ",
            "\u{2003}",
            "a",
            "abc",
            "äöü",
            "abcd",
            "abcdé",
            "abcdef",
            "1",
            "12",
            "12345",
            "123456",
            "12.5",
            "2026-11-23",
            "a\nb",
        ];
        let numbers =
            ["0", "5", "5.00", "-1.25", "1.230", "1.234", "0.0001", "0.00010", "0.00001", "12345678901234567890.1234"];
        let mut all: Vec<Value> = texts.iter().map(|text| Value::text(*text)).collect();
        all.extend(numbers.iter().map(|number| Value::Decimal(number.parse().unwrap())));
        all.extend([0, 1, -7, i64::MAX].map(Value::Int));
        all.extend([1.5, f64::NAN, f64::INFINITY].map(Value::Float));
        all.extend([
            Value::Blank,
            Value::Bool(true),
            Value::Date("2026-11-23".parse().unwrap()),
            Value::Time("10:05:00".parse().unwrap()),
            Value::Instant("2026-11-23T10:05:00Z".parse().unwrap()),
            Value::LocalDateTime("2026-11-23T10:05:00".parse().unwrap()),
            Value::Guid("6f9619ff-8b86-d011-b42d-00cf4fc964ff".parse().unwrap()),
            Value::Bytes(vec![0, 255]),
            Value::Choice("abc".into()),
        ]);
        all
    }

    /// A row that is taken as it came is the one that the mapping makes, and most rows that it makes so are taken.
    #[test]
    fn a_row_that_is_taken_is_what_the_mapping_makes_of_it() {
        let (mapping, values) = (mapping(), values());
        let plain = mapping.plain(false).unwrap();
        let columns = mapping.columns().iter().map(|name| Column { name: name.as_str().into(), ty: Type::Unknown });
        let schema = Schema::new(columns.collect());
        let binding = mapping.bind(&schema).unwrap();
        let good = "abc 7 note abc 12 1.25 5 1.2345 1.5 true".split(' ').map(Value::text);
        let mut good: Vec<Value> = good.collect();
        good[1] = Value::Int(7);
        for (at, number) in [(5, "1.25"), (6, "5.000"), (7, "1.2345")] {
            good[at] = Value::Decimal(number.parse().unwrap());
        }
        (good[8], good[9]) = (Value::Float(1.5), Value::Bool(true));
        let rest = values
            .iter()
            .filter(|value| matches!(value, Value::Date(_) | Value::Time(_) | Value::Instant(_) | Value::Guid(_)));
        good.extend(rest.cloned());
        good.push(Value::text("me"));
        let shown = |value: &Value| match value {
            Value::Text(text) if text.is_empty() => Value::Blank.to_string(),
            Value::Decimal(number) => number.normalize().to_string(),
            value => value.to_string(),
        };
        let (mut taken, mut made) = (0, 0);
        for at in 0..good.len() {
            for value in &values {
                let mut row = good.clone();
                row[at] = value.clone();
                let row = record::Row::new(schema.clone(), row);
                let batch = Batch::from_rows(schema.clone(), [&row]);
                let applied = mapping.apply(batch.row(0), &binding);
                made += usize::from(applied.is_ok());
                if plain.takes(&batch, 1, &binding) {
                    taken += 1;
                    let Ok(Read::Row(applied)) = &applied else { panic!("{row:?}: {applied:?}") };
                    let (found, came): (Vec<String>, Vec<String>) =
                        (applied.values().iter().map(shown).collect(), row.values().iter().map(shown).collect());
                    assert_eq!(found, came);
                }
                // A row that is not taken spoils those around it, and not those before it.
                let of = |rows: &[&record::Row], count| {
                    plain.takes(&Batch::from_rows(schema.clone(), rows.iter().copied()), count, &binding)
                };
                let whole = record::Row::new(schema.clone(), good.clone());
                let alone = of(&[&row], 1);
                assert_eq!((of(&[&whole, &row], 2), of(&[&whole, &row], 1), of(&[&row], 0)), (alone, true, true));
            }
        }
        assert!(taken > 100 && taken <= made, "{taken} of {made}");
    }
}
