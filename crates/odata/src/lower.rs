//! An expression of the language into a question about one entity set: typed, flat, or refused with its reason.
//!
//! Nothing is guessed and nothing is left out: what the standard does not know is malformed, what it knows and we do not
//! is unsupported. Columns of the result are names of properties.

mod function;
mod typed;

pub(crate) use function::FUNCTIONS;

use jiff::Timestamp;
use record::Value;
use record::query::{Comparison, Expr as Out, Function, Order};

use crate::service::EntitySet;
use crate::{Binary, Direction, Expr, Literal, OrderItem, Path};

pub use typed::Ty;

/// Why an expression cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It means nothing: 400.
    #[error("{0}")]
    Malformed(String),
    /// It means something that this service does not do: 501. *Shape*: says so in words.
    #[error("{0}")]
    Unsupported(String),
}

/// The most values of one `in (…)`.
pub const LIST_MAX: usize = 2_000;

/// What an expression is read against.
pub struct Lowering<'a> {
    pub set: &'a EntitySet,
    pub aliases: &'a [(String, Expr)],
    /// What `now()` is.
    pub now: Timestamp,
}

type Lowered = Result<(Out, Ty), Refusal>;

pub(crate) fn malformed(text: impl Into<String>) -> Refusal {
    Refusal::Malformed(text.into())
}

pub(crate) fn unsupported(text: impl Into<String>) -> Refusal {
    Refusal::Unsupported(text.into())
}

impl Lowering<'_> {
    /// A `$filter`.
    pub fn filter(&self, expr: &Expr) -> Result<Out, Refusal> {
        let (out, ty) = self.expr(expr, 0)?;
        match ty {
            Ty::Bool | Ty::Null => Ok(out),
            other => Err(malformed(format!("`{expr}` is {}, and a filter has to be true or false", other.words()))),
        }
    }

    /// An `$orderby`.
    pub fn order(&self, items: &[OrderItem]) -> Result<Vec<Order>, Refusal> {
        let item = |item: &OrderItem| {
            let (by, _) = self.expr(&item.by, 0)?;
            Ok(Order { by, descending: item.direction == Direction::Descending })
        };
        items.iter().map(item).collect()
    }

    fn expr(&self, expr: &Expr, aliases: usize) -> Lowered {
        match expr {
            Expr::Literal(literal) => typed::literal(literal),
            Expr::Path(path) => self.path(path),
            Expr::Alias(name) => self.alias(name, aliases),
            Expr::And(all) => Ok((Out::And(self.tests(all, aliases)?), Ty::Bool)),
            Expr::Or(all) => Ok((Out::Or(self.tests(all, aliases)?), Ty::Bool)),
            Expr::Not(inner) => Ok((Out::Not(Box::new(self.test(inner, aliases)?)), Ty::Bool)),
            Expr::Negate(inner) => {
                let (inner, ty) = self.number(inner, aliases)?;
                Ok((Out::Call(Function::Negate, vec![inner]), ty))
            }
            Expr::Binary(op, left, right) => self.binary(*op, left, right, aliases),
            Expr::In(left, right) => self.one_of(left, right, aliases),
            Expr::List(_) => Err(malformed(format!("`{expr}` is a list, which stands only behind `in`"))),
            Expr::Call(name, arguments) => self.call(name, arguments, aliases),
            Expr::Lambda { path, .. } => {
                self.path(path)?;
                Err(unsupported(format!("`{expr}`: no property here is a collection")))
            }
        }
    }

    fn tests(&self, all: &[Expr], aliases: usize) -> Result<Vec<Out>, Refusal> {
        all.iter().map(|expr| self.test(expr, aliases)).collect()
    }

    fn test(&self, expr: &Expr, aliases: usize) -> Result<Out, Refusal> {
        match self.expr(expr, aliases)? {
            (out, Ty::Bool | Ty::Null) => Ok(out),
            (_, other) => Err(malformed(format!("`{expr}` is {}, and not true or false", other.words()))),
        }
    }

    fn number(&self, expr: &Expr, aliases: usize) -> Lowered {
        match self.expr(expr, aliases)? {
            (out, ty @ (Ty::Int | Ty::Decimal | Ty::Double | Ty::Null)) => Ok((out, ty)),
            (_, other) => Err(malformed(format!("`{expr}` is {}, and not a number", other.words()))),
        }
    }

    fn alias(&self, name: &str, depth: usize) -> Lowered {
        // An alias may name another one, and two could name each other.
        if depth > 5 {
            return Err(malformed(format!("`{name}` refers to itself")));
        }
        match self.aliases.iter().find(|(known, _)| known == name) {
            Some((_, expr)) => self.expr(expr, depth + 1),
            // A parameter that is not there is null.
            None => Ok((Out::Value(Value::Blank), Ty::Null)),
        }
    }

    fn path(&self, path: &Path) -> Lowered {
        let steps: Vec<&str> = path.0.iter().map(String::as_str).filter(|step| *step != "$it").collect();
        match steps.as_slice() {
            [name] => match self.set.property(name) {
                Some(property) => Ok((Out::column(*name), property.ty.into())),
                None if self.set.navigation(name).is_some() => {
                    Err(unsupported(format!("`{name}` is another row, which is compared with nothing but `null`")))
                }
                None => Err(self.no_property(name)),
            },
            [name, rest @ ..] => match self.set.navigation(name) {
                Some(_) if rest == ["$count"] => Err(malformed(format!("`{name}` is one row, which is not counted"))),
                Some(navigation) => Err(unsupported(format!(
                    "`{path}`: a filter does not reach into another row; `{}` is its key",
                    navigation.property
                ))),
                None if self.set.property(name).is_some() => {
                    Err(malformed(format!("`{path}`: there is nothing below `{name}`")))
                }
                None => Err(self.no_property(name)),
            },
            [] => Err(malformed("`$it` alone is no value")),
        }
    }

    fn no_property(&self, name: &str) -> Refusal {
        let twin = self.set.properties.iter().find(|property| property.name.eq_ignore_ascii_case(name));
        match twin {
            Some(twin) => malformed(format!(
                "`{}` has no property `{name}`; names are case-sensitive, and it is written `{}`",
                self.set.name, twin.name
            )),
            None => malformed(format!("`{}` has no property `{name}`", self.set.name)),
        }
    }

    fn binary(&self, op: Binary, left: &Expr, right: &Expr, aliases: usize) -> Lowered {
        let comparison = match op {
            Binary::Eq => Comparison::Equal,
            Binary::Ne => Comparison::NotEqual,
            Binary::Gt => Comparison::Greater,
            Binary::Ge => Comparison::GreaterOrEqual,
            Binary::Lt => Comparison::Less,
            Binary::Le => Comparison::LessOrEqual,
            Binary::Has => return Err(unsupported("`has`: no property here is a set of flags")),
            _ => return self.arithmetic(op, left, right, aliases),
        };
        let ((l, lty), (r, rty)) = (self.side(left, right, aliases)?, self.side(right, left, aliases)?);
        typed::compared(comparison, (l, lty), (r, rty)).map(|out| (out, Ty::Bool)).ok_or_else(|| {
            malformed(format!("`{left}` is {} and `{right}` is {}: they cannot be compared", lty.words(), rty.words()))
        })
    }

    /// One side of a comparison. Another row is nothing where its key is.
    fn side(&self, expr: &Expr, other: &Expr, aliases: usize) -> Lowered {
        if let (Expr::Path(path), Expr::Literal(Literal::Null)) = (expr, other)
            && let Some(navigation) = path.single().and_then(|name| self.set.navigation(name))
        {
            return Ok((Out::column(navigation.property.as_str()), Ty::Guid));
        }
        self.expr(expr, aliases)
    }

    fn arithmetic(&self, op: Binary, left: &Expr, right: &Expr, aliases: usize) -> Lowered {
        let is_time = |ty: Ty| matches!(ty, Ty::Instant | Ty::Date | Ty::Time | Ty::Duration);
        for side in [left, right] {
            if is_time(self.expr(side, aliases)?.1) {
                return Err(unsupported("calculating with dates and durations is not supported"));
            }
        }
        let ((l, lty), (r, rty)) = (self.number(left, aliases)?, self.number(right, aliases)?);
        let zero = matches!(&r, Out::Value(Value::Int(0)))
            || matches!(&r, Out::Value(Value::Decimal(number)) if number.is_zero());
        let function = match op {
            Binary::Add => Function::Add,
            Binary::Sub => Function::Subtract,
            Binary::Mul => Function::Multiply,
            Binary::Div | Binary::DivBy | Binary::Mod if zero => return Err(malformed("a division by zero")),
            Binary::Div if (lty, rty) == (Ty::Int, Ty::Int) => Function::Divide,
            Binary::Div => Function::DivideExactly,
            Binary::DivBy => Function::DivideExactly,
            _ => Function::Modulo,
        };
        let ty = match (lty, rty) {
            _ if function == Function::DivideExactly => Ty::Decimal,
            (Ty::Double, _) | (_, Ty::Double) => Ty::Double,
            (Ty::Decimal, _) | (_, Ty::Decimal) => Ty::Decimal,
            _ => Ty::Int,
        };
        Ok((Out::Call(function, vec![l, r]), ty))
    }

    fn one_of(&self, left: &Expr, right: &Expr, aliases: usize) -> Lowered {
        let items = match right {
            Expr::List(items) => items,
            Expr::Alias(name) => match self.aliases.iter().find(|(known, _)| known == name) {
                Some((_, Expr::List(items))) => items,
                _ => return Err(malformed(format!("`{name}` is no list of values"))),
            },
            other => return Err(malformed(format!("`{other}` is no list of values"))),
        };
        if items.len() > LIST_MAX {
            return Err(malformed(format!("`in` with {} values; at most {LIST_MAX} are taken", items.len())));
        }
        let (l, lty) = self.expr(left, aliases)?;
        let mut parts = Vec::new();
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let (value, ty) = self.expr(item, aliases)?;
            let Out::Value(value) = value else {
                return Err(unsupported(format!("`{item}` in a list: only values may stand there")));
            };
            let Some(test) = typed::compared(Comparison::Equal, (l.clone(), lty), (Out::Value(value), ty)) else {
                return Err(malformed(format!("`{item}` is {}, and `{left}` is {}", ty.words(), lty.words())));
            };
            match test {
                Out::Compare(Comparison::Equal, _, right) if matches!(&*right, Out::Value(v) if !v.is_blank()) => {
                    if let Out::Value(value) = *right {
                        values.push(value);
                    }
                }
                other => parts.push(other),
            }
        }
        if parts.is_empty() || !values.is_empty() {
            parts.insert(0, Out::In(Box::new(l), values));
        }
        let out = if parts.len() == 1 { parts.swap_remove(0) } else { Out::Or(parts) };
        Ok((out, Ty::Bool))
    }
}

/// A literal as a value of a key: `6f9619ff-…`, or the text of one.
pub fn guid(expr: &Expr) -> Option<uuid::Uuid> {
    match expr {
        Expr::Literal(Literal::Guid(guid)) => Some(*guid),
        _ => None,
    }
}
