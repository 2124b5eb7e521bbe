//! `$filter` over rows by their keys: `(number eq 'C-1') or (number eq 'C-2')`.

use odata::{Binary, Expr, Literal, Path};
use record::Value;

/// Rows that hold one of these combinations of values in these columns. *Shape*: at least one of each.
pub(super) fn one_of(columns: &[String], rows: &[Vec<Value>]) -> String {
    let row =
        |values: &Vec<Value>| all(columns.iter().zip(values).map(|(column, value)| equals(column, value)).collect());
    let mut rows: Vec<Expr> = rows.iter().map(row).collect();
    match rows.len() {
        1 => rows.remove(0),
        _ => Expr::Or(rows),
    }
    .to_string()
}

fn all(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => Expr::And(parts),
    }
}

fn equals(column: &str, value: &Value) -> Expr {
    Expr::Binary(Binary::Eq, Box::new(Expr::Path(Path::of(column))), Box::new(Expr::Literal(literal(value))))
}

/// A value as it stands in a URL.
pub(super) fn literal(value: &Value) -> Literal {
    match value {
        Value::Blank => Literal::Null,
        Value::Bool(v) => Literal::Bool(*v),
        Value::Int(v) => Literal::Int(*v),
        Value::Decimal(v) => Literal::Decimal(*v),
        Value::Date(v) => Literal::Date(*v),
        Value::Time(v) => Literal::Time(*v),
        Value::Instant(v) => Literal::Instant(*v),
        Value::Guid(v) => Literal::Guid(*v),
        other => Literal::String(other.to_string()),
    }
}

/// The key of one row behind its set: `(number='C-1')`, `(5d115c9c-…)`.
pub(super) fn key(columns: &[String], values: &[Value]) -> String {
    let text = |value: &Value| odata::encode(&literal(value).to_string());
    match (columns, values) {
        ([_], [only]) => format!("({})", text(only)),
        _ => {
            let parts: Vec<String> =
                columns.iter().zip(values).map(|(column, value)| format!("{column}={}", text(value))).collect();
            format!("({})", parts.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        let columns = ["company".to_owned(), "number".to_owned()];
        let rows = [vec![Value::text("us'mf"), Value::Int(7)], vec![Value::text("x"), Value::Blank]];
        let filter = one_of(&columns, &rows);
        assert_eq!(filter, "company eq 'us''mf' and number eq 7 or company eq 'x' and number eq null");
        assert!(odata::expression(&filter).is_ok());
        assert_eq!(one_of(&columns[1..], &[vec![Value::text("C-1")]]), "number eq 'C-1'");
        assert_eq!(key(&columns, &rows[0]), "(company=%27us%27%27mf%27,number=7)");
        let id = "5d115c9c-44e3-ea11-bb43-000d3a2feca1";
        assert_eq!(key(&columns[1..], &[Value::Guid(id.parse().unwrap())]), format!("({id})"));
    }
}
