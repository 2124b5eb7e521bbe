//! Power Fx over one record: a value (`set:`, `ask:`), or a yes or no (`if:` of a trigger, `when:` of an approval).

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use powerfx::Context;
use record::{Entity, Row, Schema, Type, Value};

use crate::columns::Columns;
use crate::formula;
use crate::problem::{At, Problem};

/// A compiled formula over the rows of one schema.
#[derive(Debug)]
pub struct Expression {
    compiled: formula::Compiled,
    /// The places of its inputs in the schema, and their names.
    inputs: Vec<usize>,
    names: Vec<String>,
}

impl Expression {
    /// *Errors*: every problem of the text, at its place.
    pub fn over(text: &str, schema: &Schema, wanted: Option<&Type>) -> Result<Expression, Vec<Problem>> {
        let mut names = Vec::new();
        let compiled = formula::compile(text, &Columns::closed(schema), wanted, &mut names)
            .map_err(|found| formula::problems(found, At::Where))?;
        let inputs = names.iter().map(|name| schema.index(name).expect("names were checked")).collect();
        Ok(Expression { compiled, inputs, names })
    }

    /// The columns that it reads.
    pub fn reads(&self) -> &[String] {
        &self.names
    }

    /// Its value for a record. *Errors*: one sentence of why there is none.
    pub fn eval(&self, record: &Row, now: Timestamp, zone: &TimeZone) -> Result<Value, String> {
        self.eval_in(record, &Context::new(now, zone.clone()))
    }

    /// The same for a text that people read: a number of the record that stands in it keeps its digits (`8500.50`).
    pub fn eval_for_people(&self, record: &Row, now: Timestamp, zone: &TimeZone) -> Result<Value, String> {
        self.eval_in(record, &Context { keeps_digits: true, ..Context::new(now, zone.clone()) })
    }

    fn eval_in(&self, record: &Row, context: &Context) -> Result<Value, String> {
        let inputs = |slot: usize| record.values()[self.inputs[slot]].as_ref();
        self.compiled.eval_in(&inputs, context)
    }
}

/// A compiled condition.
#[derive(Debug)]
pub struct Condition(Expression);

impl Condition {
    /// *Errors*: every problem of the text, at its place.
    pub fn compile(text: &str, entity: &Arc<Entity>) -> Result<Condition, Vec<Problem>> {
        Condition::over(text, &entity.schema)
    }

    /// A condition over rows of these columns.
    ///
    /// *Errors*: every problem of the text, at its place.
    pub fn over(text: &str, schema: &Schema) -> Result<Condition, Vec<Problem>> {
        Expression::over(text, schema, Some(&Type::YesNo)).map(Condition)
    }

    /// Whether it reads one of these fields.
    pub fn reads_any(&self, fields: &[&str]) -> bool {
        self.0.reads().iter().any(|name| fields.contains(&name.as_str()))
    }

    /// Whether it holds for a record; blank is no. *Errors*: one sentence of why it cannot be told.
    pub fn holds(&self, record: &Row) -> Result<bool, String> {
        self.holds_at(record, Timestamp::UNIX_EPOCH, &TimeZone::UTC)
    }

    /// The same for a formula that may ask what time it is.
    pub fn holds_at(&self, record: &Row, now: Timestamp, zone: &TimeZone) -> Result<bool, String> {
        Ok(self.0.eval(record, now, zone)? == Value::Bool(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_in_a_text_for_people_keeps_its_digits_and_what_is_computed_does_not() {
        let schema = Schema::of([("amount", Type::Money), ("name", Type::Text { max_length: None })]);
        let row = Row::new(schema.clone(), vec![Value::Decimal("8500.50".parse().unwrap()), "Acme".into()]);
        for (text, plain, for_people) in [
            ("$\"{name}: {amount}\"", "Acme: 8500.5", "Acme: 8500.50"),
            ("name & \" \" & amount", "Acme 8500.5", "Acme 8500.50"),
            ("$\"{amount * 2}\"", "17001", "17001"),
            ("amount", "8500.50", "8500.50"),
        ] {
            let formula = Expression::over(text, &schema, None).unwrap();
            let now = Timestamp::UNIX_EPOCH;
            let said = [formula.eval(&row, now, &TimeZone::UTC), formula.eval_for_people(&row, now, &TimeZone::UTC)];
            assert_eq!(said.map(|said| said.unwrap().to_string()), [plain, for_people], "{text}");
        }
    }
}
