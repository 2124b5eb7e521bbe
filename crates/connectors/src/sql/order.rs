//! Paging by the values of an order: never by counting rows.

use record::Value;

use super::engine::{Binder, Cell};
use super::paged::Place;

/// The condition "comes after these values" in an order that puts blanks first, with `param` for each placeholder.
///
/// *Shape*: the values to bind are returned in the order of their placeholders.
pub(crate) fn after<'v>(
    columns: &[String],
    values: &'v [Value],
    mut param: impl FnMut(usize) -> String,
) -> (String, Vec<&'v Value>) {
    // Databases use an index for a comparison of whole rows. It drops rows with a blank in them, which come earlier
    // anyhow, unless the place itself holds a blank.
    if values.iter().all(|value| !value.is_blank()) {
        let list: Vec<String> = (0..values.len()).map(&mut param).collect();
        return (format!("({}) > ({})", columns.join(", "), list.join(", ")), values.iter().collect());
    }
    let mut bound = Vec::new();
    let mut alternatives = Vec::new();
    for (last, column) in columns.iter().enumerate() {
        let mut all = Vec::new();
        for (equal, value) in columns[..last].iter().zip(values) {
            if value.is_blank() {
                all.push(format!("{equal} IS NULL"));
            } else {
                all.push(format!("{equal} = {}", param(bound.len())));
                bound.push(value);
            }
        }
        if values[last].is_blank() {
            all.push(format!("{column} IS NOT NULL"));
        } else {
            all.push(format!("{column} > {}", param(bound.len())));
            bound.push(&values[last]);
        }
        alternatives.push(format!("({})", all.join(" AND ")));
    }
    (format!("({})", alternatives.join(" OR ")), bound)
}

/// The condition "comes after these values" for a database that compares no whole rows, or finds no index for it.
///
/// *Shape*: with `again`, the rows at the place itself too: where several rows may share one place, it may have been cut
/// apart.
pub(crate) fn beyond(order: &[Place], values: &[Cell], again: bool, binder: &mut Binder) -> String {
    let mut alternatives = Vec::new();
    for (last, place) in order.iter().enumerate() {
        let at_end = last + 1 == order.len();
        let mut all = Vec::new();
        for (equal, value) in order[..last].iter().zip(values) {
            all.push(match value {
                Cell::Null => format!("{} IS NULL", equal.expression),
                value => format!("{} = {}", equal.expression, binder.compared(value.clone(), &equal.column)),
            });
        }
        let (expression, value) = (&place.expression, &values[last]);
        match value {
            Cell::Null if at_end && again => {}
            Cell::Null => all.push(format!("{expression} IS NOT NULL")),
            value => {
                let operator = if at_end && again { ">=" } else { ">" };
                all.push(format!("{expression} {operator} {}", binder.compared(value.clone(), &place.column)));
            }
        }
        alternatives.push(if all.is_empty() { "1 = 1".to_owned() } else { format!("({})", all.join(" AND ")) });
    }
    let all = format!("({})", alternatives.join(" OR "));
    match &values[0] {
        // The first column alone leads a range of its index.
        value if *value != Cell::Null && order.len() > 1 => {
            let first = binder.compared(value.clone(), &order[0].column);
            format!("{all} AND {} >= {first}", order[0].expression)
        }
        _ => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_come_first_and_are_never_skipped() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let sql = |values: &[Value]| {
            let (sql, bound) = after(&columns, values, |i| format!("?{}", i + 1));
            (sql, bound.len())
        };
        assert_eq!(sql(&[Value::Int(1), Value::Int(2)]), ("(a, b) > (?1, ?2)".to_owned(), 2));
        assert_eq!(sql(&[Value::Blank, Value::Int(2)]), ("((a IS NOT NULL) OR (a IS NULL AND b > ?1))".to_owned(), 1));
        assert_eq!(sql(&[Value::Int(1), Value::Blank]), ("((a > ?1) OR (a = ?2 AND b IS NOT NULL))".to_owned(), 2));
    }
}
