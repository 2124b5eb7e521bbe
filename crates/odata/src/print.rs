//! Tree back to text. What is printed parses to the same tree.

use std::fmt::{Display, Formatter, Result, Write};

use crate::{Aggregate, Argument, Binary, Direction, Expand, Expr, Literal, Method, Options, OrderItem, Path};
use crate::{Quantifier, Transformation, encode};

impl Display for Path {
    fn fmt(&self, f: &mut Formatter) -> Result {
        f.write_str(&self.0.join("/"))
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter) -> Result {
        match self {
            Literal::Null => f.write_str("null"),
            Literal::Bool(value) => write!(f, "{value}"),
            Literal::Int(value) => write!(f, "{value}"),
            // A decimal without a point would come back as a whole number.
            Literal::Decimal(value) if value.scale() == 0 => write!(f, "{value}.0"),
            Literal::Decimal(value) => write!(f, "{value}"),
            Literal::Double(text) => f.write_str(text),
            Literal::String(text) => quoted(f, text),
            Literal::Guid(value) => write!(f, "{value}"),
            Literal::Date(value) => write!(f, "{value}"),
            Literal::Time(value) => write!(f, "{value}"),
            Literal::Instant(value) => write!(f, "{value}"),
            Literal::Late(value) => write!(f, "{value}Z"),
            Literal::Duration(value) => write!(f, "duration'{value}'"),
            Literal::Binary(text) => write!(f, "binary'{text}'"),
            Literal::Enum { kind, value } => {
                f.write_str(kind)?;
                quoted(f, value)
            }
        }
    }
}

fn quoted(f: &mut Formatter, text: &str) -> Result {
    write!(f, "'{}'", text.replace('\'', "''"))
}

/// How tightly an expression binds; a part that binds no tighter than its surroundings gets parentheses.
fn tightness(expr: &Expr) -> u8 {
    match expr {
        Expr::Or(_) => 0,
        Expr::And(_) => 1,
        Expr::Binary(op, ..) => match op {
            Binary::Eq | Binary::Ne => 2,
            Binary::Gt | Binary::Ge | Binary::Lt | Binary::Le | Binary::Has => 3,
            Binary::Add | Binary::Sub => 4,
            Binary::Mul | Binary::Div | Binary::DivBy | Binary::Mod => 5,
        },
        Expr::In(..) => 3,
        Expr::Not(_) | Expr::Negate(_) => 6,
        _ => 7,
    }
}

fn part(f: &mut Formatter, expr: &Expr, at_least: u8) -> Result {
    if tightness(expr) >= at_least { write!(f, "{expr}") } else { write!(f, "({expr})") }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter) -> Result {
        match self {
            Expr::Literal(literal) => write!(f, "{literal}"),
            Expr::Path(path) => write!(f, "{path}"),
            Expr::Alias(name) => f.write_str(name),
            Expr::And(parts) | Expr::Or(parts) => {
                let (word, above) = if matches!(self, Expr::And(_)) { (" and ", 2) } else { (" or ", 1) };
                separated(f, parts, word, |f, expr| part(f, expr, above))
            }
            Expr::Not(inner) => {
                f.write_str("not ")?;
                part(f, inner, 6)
            }
            Expr::Negate(inner) => {
                f.write_char('-')?;
                // `-5` is a literal, so a negated number keeps its parentheses.
                if matches!(**inner, Expr::Literal(_)) { write!(f, "({inner})") } else { part(f, inner, 7) }
            }
            Expr::Binary(op, left, right) => {
                let level = tightness(self);
                part(f, left, level)?;
                write!(f, " {} ", word(*op))?;
                part(f, right, level + 1)
            }
            Expr::In(left, right) => {
                part(f, left, 3)?;
                f.write_str(" in ")?;
                match &**right {
                    Expr::List(items) => round(f, items),
                    other => part(f, other, 7),
                }
            }
            Expr::List(items) => {
                f.write_char('[')?;
                separated(f, items, ",", |f, item| write!(f, "{item}"))?;
                f.write_char(']')
            }
            Expr::Call(name, arguments) => {
                f.write_str(name)?;
                round(f, arguments)
            }
            Expr::Lambda { path, quantifier, body } => {
                write!(f, "{path}/{}(", if *quantifier == Quantifier::Any { "any" } else { "all" })?;
                if let Some((variable, predicate)) = body {
                    write!(f, "{variable}:{predicate}")?;
                }
                f.write_char(')')
            }
        }
    }
}

impl Display for Argument {
    fn fmt(&self, f: &mut Formatter) -> Result {
        if let Some(name) = &self.name {
            write!(f, "{name}=")?;
        }
        write!(f, "{}", self.value)
    }
}

fn word(op: Binary) -> &'static str {
    match op {
        Binary::Eq => "eq",
        Binary::Ne => "ne",
        Binary::Gt => "gt",
        Binary::Ge => "ge",
        Binary::Lt => "lt",
        Binary::Le => "le",
        Binary::Has => "has",
        Binary::Add => "add",
        Binary::Sub => "sub",
        Binary::Mul => "mul",
        Binary::Div => "div",
        Binary::DivBy => "divby",
        Binary::Mod => "mod",
    }
}

fn separated<T>(f: &mut Formatter, items: &[T], between: &str, print: impl Fn(&mut Formatter, &T) -> Result) -> Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        print(f, item)?;
    }
    Ok(())
}

fn round<T: Display>(f: &mut Formatter, items: &[T]) -> Result {
    f.write_char('(')?;
    separated(f, items, ",", |f, item| write!(f, "{item}"))?;
    f.write_char(')')
}

impl Display for OrderItem {
    fn fmt(&self, f: &mut Formatter) -> Result {
        write!(f, "{}", self.by)?;
        if self.direction == Direction::Descending { f.write_str(" desc") } else { Ok(()) }
    }
}

impl Display for Expand {
    fn fmt(&self, f: &mut Formatter) -> Result {
        write!(f, "{}", self.path)?;
        let options = self.options.texts();
        if options.is_empty() {
            return Ok(());
        }
        f.write_char('(')?;
        separated(f, &options, ";", |f, (name, value)| write!(f, "{name}={value}"))?;
        f.write_char(')')
    }
}

impl Display for Transformation {
    fn fmt(&self, f: &mut Formatter) -> Result {
        match self {
            Transformation::Identity => f.write_str("identity"),
            Transformation::Filter(expr) => write!(f, "filter({expr})"),
            Transformation::Aggregate(items) => {
                f.write_str("aggregate")?;
                round(f, items)
            }
            Transformation::GroupBy { by, then } => {
                f.write_str("groupby(")?;
                round(f, by)?;
                if !then.is_empty() {
                    f.write_char(',')?;
                    separated(f, then, "/", |f, step| write!(f, "{step}"))?;
                }
                f.write_char(')')
            }
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter) -> Result {
        match &self.of {
            None => f.write_str("$count")?,
            Some((expr, method)) => {
                let method = match method {
                    Method::Sum => "sum",
                    Method::Average => "average",
                    Method::Min => "min",
                    Method::Max => "max",
                    Method::CountDistinct => "countdistinct",
                    Method::Custom(name) => name,
                };
                write!(f, "{expr} with {method}")?;
            }
        }
        write!(f, " as {}", self.alias)
    }
}

/// As a query string, percent-encoded, without its `?`.
impl Display for Options {
    fn fmt(&self, f: &mut Formatter) -> Result {
        let mut pairs: Vec<(String, String)> =
            self.texts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        pairs.extend(self.aliases.iter().map(|(name, value)| (name.clone(), value.to_string())));
        let dollar = pairs.len();
        pairs.extend(self.custom.iter().cloned());
        for (index, (name, value)) in pairs.iter().enumerate() {
            if index > 0 {
                f.write_char('&')?;
            }
            // `$` and `@` are legal as they are, and people read these URLs.
            if index < dollar {
                f.write_str(name)?
            } else {
                f.write_str(&encode(name))?
            }
            write!(f, "={}", encode(value))?;
        }
        Ok(())
    }
}

impl Options {
    /// The `$options` that are set, decoded.
    fn texts(&self) -> Vec<(&'static str, String)> {
        fn joined<T: Display>(items: &[T], between: &str) -> Option<String> {
            let texts: Vec<String> = items.iter().map(T::to_string).collect();
            (!texts.is_empty()).then(|| texts.join(between))
        }
        let all = [
            ("$select", self.select.as_deref().and_then(|items| joined(items, ","))),
            ("$expand", joined(&self.expand, ",")),
            ("$filter", self.filter.as_ref().map(Expr::to_string)),
            ("$apply", self.apply.as_deref().and_then(|steps| joined(steps, "/"))),
            ("$orderby", joined(&self.orderby, ",")),
            ("$count", self.count.map(|yes| yes.to_string())),
            ("$top", self.top.map(|n| n.to_string())),
            ("$skip", self.skip.map(|n| n.to_string())),
            ("$levels", self.levels.clone()),
            ("$search", self.search.clone()),
            ("$skiptoken", self.skiptoken.clone()),
            ("$deltatoken", self.deltatoken.clone()),
            ("$format", self.format.clone()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
