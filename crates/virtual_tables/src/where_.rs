//! The `where:` of a mapping as a question, for the forms that most of them have.

use record::query::{Comparison, Expr};
use record::{Decimal, Schema, Type, Value};

/// `!IsBlank(x)`, `IsBlank(x)`, `x = "text"`, `x <> 5`, a bare yes/no column; nothing for any other formula.
pub(crate) fn question(text: &str, schema: &Schema) -> Option<Expr> {
    let text = text.trim();
    let column = |name: &str| {
        let name = name.trim().trim_matches('\'');
        schema.index(name).map(|at| (Expr::column(name), schema.columns()[at].ty.clone()))
    };
    let blank = |inner: &str, op: Comparison| {
        let (column, ty) = column(inner)?;
        let test = |value| Expr::Compare(op, Box::new(column.clone()), Box::new(Expr::Value(value)));
        if !matches!(ty, Type::Text { .. } | Type::Multiline { .. }) {
            return Some(test(Value::Blank));
        }
        let both = vec![test(Value::Blank), test(Value::text(""))];
        Some(if op == Comparison::Equal { Expr::Or(both) } else { Expr::And(both) })
    };
    if let Some(inner) = between(text, "!IsBlank(", ")").or_else(|| between(text, "Not(IsBlank(", "))")) {
        return blank(inner, Comparison::NotEqual);
    }
    if let Some(inner) = between(text, "IsBlank(", ")") {
        return blank(inner, Comparison::Equal);
    }
    if let Some((bare, Type::YesNo)) = column(text) {
        return Some(bare);
    }
    let (name, op, value) = match text.split_once("<>") {
        Some((name, value)) => (name, Comparison::NotEqual, value),
        None => text.split_once('=').map(|(name, value)| (name, Comparison::Equal, value))?,
    };
    let (column, ty) = column(name)?;
    let value = value.trim();
    let value = match ty {
        Type::Text { .. } => {
            let inner = between(value, "\"", "\"")?;
            if inner.is_empty() || inner.contains('"') {
                return None;
            }
            Value::text(inner)
        }
        Type::WholeNumber | Type::Decimal { .. } | Type::Money => Value::Decimal(value.parse::<Decimal>().ok()?),
        Type::YesNo => Value::Bool(value.parse().ok()?),
        _ => return None,
    };
    // A number that is blank counts as zero in a formula, and as nothing in a database.
    if matches!(&value, Value::Decimal(number) if number.is_zero()) || value == Value::Bool(false) {
        return None;
    }
    Some(Expr::Compare(op, Box::new(column), Box::new(Expr::Value(value))))
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let inner = text.strip_prefix(start)?.strip_suffix(end)?;
    (!inner.contains(['(', ')'])).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_conditions_are_understood_and_others_are_left_alone() {
        let schema = Schema::of([
            ("contact_name", Type::Text { max_length: None }),
            ("active", Type::YesNo),
            ("quantity", Type::WholeNumber),
        ]);
        for (text, understood) in [
            ("!IsBlank(contact_name)", true),
            ("Not(IsBlank(contact_name))", true),
            ("IsBlank(quantity)", true),
            ("contact_name = \"x\"", true),
            ("quantity <> 5", true),
            ("active", true),
            ("active = true", true),
            ("quantity = 0", false),
            ("active = false", false),
            ("other = 1", false),
            ("contact_name = \"a\" || active", false),
            ("!IsBlank(Trim(contact_name))", false),
            ("quantity > 5", false),
        ] {
            assert_eq!(question(text, &schema).is_some(), understood, "{text}");
        }
    }
}
