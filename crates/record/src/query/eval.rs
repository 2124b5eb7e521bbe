use std::cmp::Ordering;

use super::function::{decimal, float, text};
use super::{Comparison, Expr};
use crate::Value;

impl Expr {
    /// The value for one row; `cell` gives the value of a column.
    pub fn value(&self, cell: &dyn Fn(&str) -> Value) -> Value {
        match self {
            Expr::Column(name) => cell(name),
            Expr::Value(value) => value.clone(),
            Expr::And(all) => joined(all, cell, false),
            Expr::Or(all) => joined(all, cell, true),
            Expr::Not(inner) => match inner.value(cell) {
                Value::Bool(yes) => Value::Bool(!yes),
                _ => Value::Blank,
            },
            Expr::Compare(op, left, right) => Value::Bool(compares(*op, &left.value(cell), &right.value(cell))),
            Expr::In(inner, list) => {
                let value = inner.value(cell);
                Value::Bool(list.iter().any(|item| compares(Comparison::Equal, &value, item)))
            }
            Expr::Call(function, arguments) => {
                let arguments: Vec<Value> = arguments.iter().map(|argument| argument.value(cell)).collect();
                function.apply(&arguments)
            }
        }
    }

    /// Whether a row passes: null does not.
    pub fn holds(&self, cell: &dyn Fn(&str) -> Value) -> bool {
        self.value(cell) == Value::Bool(true)
    }
}

/// `and` is false where one part is, `or` true where one part is; else null where one part is.
fn joined(all: &[Expr], cell: &dyn Fn(&str) -> Value, decides: bool) -> Value {
    let mut unknown = false;
    for expr in all {
        match expr.value(cell) {
            Value::Bool(yes) if yes == decides => return Value::Bool(decides),
            Value::Bool(_) => {}
            _ => unknown = true,
        }
    }
    if unknown { Value::Blank } else { Value::Bool(!decides) }
}

fn compares(op: Comparison, left: &Value, right: &Value) -> bool {
    match (left.is_blank(), right.is_blank()) {
        (true, true) => return op == Comparison::Equal,
        (true, false) | (false, true) => return op == Comparison::NotEqual,
        (false, false) => {}
    }
    let order = compare(left, right);
    match op {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// The order of two values: a blank comes first, text by its characters, numbers of any kind by what they are.
/// Nothing where they cannot be compared.
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    if left.is_blank() || right.is_blank() {
        return Some(right.is_blank().cmp(&left.is_blank()));
    }
    if let (Some(left), Some(right)) = (text(left), text(right)) {
        return Some(left.cmp(right));
    }
    if let (Some(left), Some(right)) = (decimal(left), decimal(right)) {
        return Some(left.cmp(&right));
    }
    if let (Some(left), Some(right)) = (float(left), float(right)) {
        return left.partial_cmp(&right);
    }
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Instant(left), Value::Instant(right)) => Some(left.cmp(right)),
        (Value::LocalDateTime(left), Value::LocalDateTime(right)) => Some(left.cmp(right)),
        (Value::Guid(left), Value::Guid(right)) => Some(left.cmp(right)),
        (Value::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Function;

    fn column(name: &str) -> Expr {
        Expr::column(name)
    }

    fn row(name: &str) -> Value {
        match name {
            "five" => Value::Int(5),
            "price" => Value::Decimal("2.50".parse().unwrap()),
            "name" => Value::text("Zoë 100%"),
            "day" => Value::Date("2026-11-23".parse().unwrap()),
            _ => Value::Blank,
        }
    }

    fn check(expr: Expr, expected: Value) {
        assert_eq!(expr.value(&row), expected, "{expr:?}");
    }

    #[test]
    fn comparisons_are_never_null_and_functions_are() {
        let compare = |op, right| Expr::Compare(op, Box::new(column("none")), Box::new(Expr::Value(right)));
        check(compare(Comparison::Equal, Value::Blank), Value::Bool(true));
        check(compare(Comparison::NotEqual, Value::Int(1)), Value::Bool(true));
        check(compare(Comparison::Greater, Value::Int(1)), Value::Bool(false));
        check(Expr::Not(Box::new(compare(Comparison::Greater, Value::Int(1)))), Value::Bool(true));
        let contains = Expr::Call(Function::Contains, vec![column("none"), Expr::Value(Value::text("x"))]);
        check(contains.clone(), Value::Blank);
        check(Expr::Not(Box::new(contains.clone())), Value::Blank);
        check(Expr::Or(vec![contains.clone(), Expr::Value(Value::Bool(true))]), Value::Bool(true));
        check(Expr::And(vec![contains.clone(), Expr::Value(Value::Bool(false))]), Value::Bool(false));
        check(Expr::And(vec![contains, Expr::Value(Value::Bool(true))]), Value::Blank);
    }

    #[test]
    fn each_function_has_one_meaning() {
        let call = |function, arguments: &[Expr]| Expr::Call(function, arguments.to_vec());
        let (name, five, price, day) = (column("name"), column("five"), column("price"), column("day"));
        let int = |number| Expr::Value(Value::Int(number));
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        check(call(Function::Contains, &[name.clone(), Expr::Value("%".into())]), Value::Bool(true));
        check(call(Function::Length, std::slice::from_ref(&name)), Value::Int(8));
        check(call(Function::IndexOf, &[name.clone(), Expr::Value("1".into())]), Value::Int(4));
        check(call(Function::Substring, &[name.clone(), int(2), int(2)]), Value::text("ë "));
        check(call(Function::ToUpper, &[name]), Value::text("ZOË 100%"));
        check(call(Function::Divide, &[five.clone(), int(2)]), Value::Int(2));
        check(call(Function::DivideExactly, &[five.clone(), int(2)]), decimal("2.5"));
        check(call(Function::Divide, &[five.clone(), int(0)]), Value::Blank);
        check(call(Function::Multiply, &[price.clone(), int(3)]), decimal("7.5"));
        check(call(Function::Modulo, &[five, price.clone()]), decimal("0"));
        check(call(Function::Round, &[price]), decimal("3"));
        check(call(Function::Month, &[day]), Value::Int(11));
    }

    #[test]
    fn values_of_other_kinds_are_not_equal_and_not_ordered() {
        assert_eq!(compare(&Value::Int(5), &Value::Decimal("5.00".parse().unwrap())), Some(Ordering::Equal));
        assert_eq!(compare(&Value::Int(5), &Value::Float(5.5)), Some(Ordering::Less));
        assert_eq!(compare(&Value::Blank, &Value::Int(i64::MIN)), Some(Ordering::Less));
        assert_eq!(compare(&Value::text("5"), &Value::Int(5)), None);
    }
}
