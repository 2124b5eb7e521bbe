//! Children on their way to their parents.

use std::collections::HashMap;

use record::{Row, Value};

/// The rows that were found for each parent, in the order in which the parents were asked.
pub(crate) struct Children {
    pub rows: Vec<Vec<Row>>,
    places: HashMap<String, Vec<usize>>,
}

impl Children {
    pub fn of(parents: &[Value]) -> Children {
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, parent) in parents.iter().enumerate().filter(|(_, parent)| !parent.is_blank()) {
            places.entry(name(parent)).or_default().push(at);
        }
        Children { rows: vec![Vec::new(); parents.len()], places }
    }

    pub fn push(&mut self, parent: &Value, row: Row) {
        for at in self.places.get(&name(parent)).into_iter().flatten() {
            self.rows[*at].push(row.clone());
        }
    }
}

/// A number is the same whatever column it stands in; a text counts without the spaces behind it.
pub(crate) fn name(parent: &Value) -> String {
    match parent {
        Value::Decimal(number) => number.normalize().to_string(),
        Value::Float(number) if number.fract() == 0.0 => format!("{number:.0}"),
        other => other.to_string().trim_end_matches(' ').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Schema, Type};

    #[test]
    fn each_child_comes_to_its_parent() {
        let row = |text: &str| Row::new(Schema::of([("x", Type::Unknown)]), vec![Value::text(text)]);
        let mut children = Children::of(&[Value::Int(7), Value::text("A "), Value::Blank, Value::Int(7)]);
        children.push(&Value::Decimal("7.0".parse().unwrap()), row("seven"));
        children.push(&Value::text("A"), row("a"));
        children.push(&Value::text("nobody"), row("b"));
        assert_eq!(children.rows, [vec![row("seven")], vec![row("a")], vec![], vec![row("seven")]]);
    }
}
