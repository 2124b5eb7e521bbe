//! What an operator does with the types on both sides of it.

use super::names::{listed, nearest};
use super::{Checker, Typed, convert, joined};
use crate::ast::{BinaryOp, Expr, PrefixOp};
use crate::enums;
use crate::error::{Diagnostic, DiagnosticKind, Span};
use crate::functions;
use crate::node::{Arithmetic, DateKind, Node, Order};
use crate::types::Type;
use crate::value::Value;

impl Checker<'_> {
    pub(super) fn prefix(&mut self, op: PrefixOp, inner: &Expr) -> Typed {
        let value = self.expr(inner);
        match op {
            PrefixOp::Not => {
                Typed::new(Node::Not(Box::new(self.fit(value, &Type::Boolean, inner.span))), Type::Boolean)
            }
            PrefixOp::Plus => value,
            PrefixOp::Minus => {
                if let Some(Value::Number(n)) = value.node.constant() {
                    return Typed::new(Node::Const(Value::Number(-*n)), Type::Number);
                }
                let ty = match &value.ty {
                    Type::Float => Type::Float,
                    Type::Date | Type::DateTime | Type::Time | Type::Unknown => value.ty.clone(),
                    _ => Type::Number,
                };
                let node = if ty == Type::Unknown { value.node } else { self.fit(value, &ty, inner.span) };
                Typed::new(Node::Strict(functions::math::negate, vec![node]), ty)
            }
        }
    }

    pub(super) fn percent(&mut self, inner: &Expr) -> Typed {
        let value = self.expr(inner);
        let ty = if value.ty == Type::Float { Type::Float } else { Type::Number };
        let node = self.fit(value, &ty, inner.span);
        let hundred = Node::Const(Value::number(100));
        Typed::new(Node::Arithmetic(Arithmetic::Divide, Box::new(node), Box::new(hundred)), ty)
    }

    pub(super) fn concat(&mut self, items: &[Expr]) -> Typed {
        let parts: Vec<(Typed, Span)> = items.iter().map(|e| (self.expr(e), e.span)).collect();
        let mut ty = Type::Text;
        if let Some((Typed { ty: Type::Choice(set), .. }, _)) = parts.first()
            && set.concatenates
            && parts.iter().all(|(p, _)| matches!(&p.ty, Type::Choice(other) if other == set))
        {
            ty = Type::Choice(set.clone());
        }
        let nodes: Vec<Node> = parts.into_iter().map(|(p, span)| self.fit(backed(p), &Type::Text, span)).collect();
        joined(nodes, ty)
    }

    pub(super) fn interpolated(&mut self, items: &[Expr]) -> Typed {
        let nodes = self.all_as(items, &Type::Text);
        joined(nodes, Type::Text)
    }

    pub(super) fn binary(&mut self, op: BinaryOp, op_span: Span, left: &Expr, right: &Expr) -> Typed {
        let (l, r) = (self.expr(left), self.expr(right));
        match op {
            BinaryOp::Equal | BinaryOp::NotEqual => self.equality(op == BinaryOp::NotEqual, op_span, l, r),
            BinaryOp::Less => self.order(Order::Less, op_span, (l, left.span), (r, right.span)),
            BinaryOp::LessEqual => self.order(Order::LessEqual, op_span, (l, left.span), (r, right.span)),
            BinaryOp::Greater => self.order(Order::Greater, op_span, (l, left.span), (r, right.span)),
            BinaryOp::GreaterEqual => self.order(Order::GreaterEqual, op_span, (l, left.span), (r, right.span)),
            BinaryOp::In => self.membership(false, l, (r, right.span), left.span),
            BinaryOp::ExactIn => self.membership(true, l, (r, right.span), left.span),
            BinaryOp::Add => self.add(op_span, (l, left.span), (r, right.span)),
            BinaryOp::Subtract => self.subtract(op_span, (l, left.span), (r, right.span)),
            BinaryOp::Multiply => self.multiply(Arithmetic::Multiply, (l, left.span), (r, right.span)),
            BinaryOp::Divide => self.multiply(Arithmetic::Divide, (l, left.span), (r, right.span)),
            BinaryOp::Power => {
                let nodes = (self.fit(l, &Type::Float, left.span), self.fit(r, &Type::Float, right.span));
                arithmetic(Arithmetic::Power, nodes.0, nodes.1, Type::Float)
            }
        }
    }

    pub(super) fn multiply(&mut self, op: Arithmetic, (l, ls): (Typed, Span), (r, rs): (Typed, Span)) -> Typed {
        let ty = if l.ty == Type::Float || r.ty == Type::Float { Type::Float } else { Type::Number };
        let (l, r) = (self.fit(l, &ty, ls), self.fit(r, &ty, rs));
        arithmetic(op, l, r, ty)
    }

    pub(super) fn add(&mut self, op_span: Span, (l, ls): (Typed, Span), (r, rs): (Typed, Span)) -> Typed {
        match (date_kind(&l.ty), date_kind(&r.ty)) {
            (None, None) if l.ty == Type::Unknown || r.ty == Type::Unknown => {
                arithmetic(Arithmetic::DynamicAdd, l.node, r.node, Type::Unknown)
            }
            (None, None) => self.multiply(Arithmetic::Add, (l, ls), (r, rs)),
            (Some(kind), None) => self.move_date(Arithmetic::DateAdd(kind), l, (r, rs)),
            (None, Some(kind)) => self.move_date(Arithmetic::DateAdd(kind), r, (l, ls)),
            (Some(DateKind::Time), Some(DateKind::Time)) => {
                arithmetic(Arithmetic::DateAdd(DateKind::Time), l.node, r.node, Type::Time)
            }
            (Some(_), Some(DateKind::Time)) => {
                arithmetic(Arithmetic::DateAdd(DateKind::DateTime), l.node, r.node, Type::DateTime)
            }
            (Some(DateKind::Time), Some(_)) => {
                arithmetic(Arithmetic::DateAdd(DateKind::DateTime), r.node, l.node, Type::DateTime)
            }
            _ => self.type_error(op_span, format!("{} and {} cannot be added", l.ty, r.ty)),
        }
    }

    pub(super) fn subtract(&mut self, op_span: Span, (l, ls): (Typed, Span), (r, rs): (Typed, Span)) -> Typed {
        match (date_kind(&l.ty), date_kind(&r.ty)) {
            (None, None) if l.ty == Type::Unknown || r.ty == Type::Unknown => {
                arithmetic(Arithmetic::DynamicSubtract, l.node, r.node, Type::Unknown)
            }
            (None, None) => {
                // The right side of a minus is negated before it meets the left, so JSON on the right is a decimal.
                let r = if r.ty == Type::Untyped { Typed::new(convert(r, &Type::Number), Type::Number) } else { r };
                self.multiply(Arithmetic::Subtract, (l, ls), (r, rs))
            }
            (Some(kind), None) => self.move_date(Arithmetic::DateSubtract(kind), l, (r, rs)),
            (None, Some(_)) if l.ty == Type::Unknown => {
                arithmetic(Arithmetic::DynamicSubtract, l.node, r.node, Type::Unknown)
            }
            (None, Some(_)) => {
                Typed::new(Node::Lazy(functions::math::date_from_number, vec![l.node, r.node]), Type::Number)
            }
            (Some(DateKind::Time), Some(DateKind::Time)) => {
                arithmetic(Arithmetic::DateDifference, l.node, r.node, Type::Number)
            }
            (Some(DateKind::Time), Some(_)) => {
                self.type_error(op_span, format!("{} cannot be taken from {}", r.ty, l.ty))
            }
            (Some(_), Some(DateKind::Time)) => {
                arithmetic(Arithmetic::DateSubtract(DateKind::DateTime), l.node, r.node, Type::DateTime)
            }
            _ => arithmetic(Arithmetic::DateDifference, l.node, r.node, Type::Number),
        }
    }

    pub(super) fn move_date(&mut self, op: Arithmetic, date: Typed, (by, span): (Typed, Span)) -> Typed {
        let want = if by.ty == Type::Float { Type::Float } else { Type::Number };
        let by = self.fit(by, &want, span);
        arithmetic(op, date.node, by, date.ty)
    }

    pub(super) fn equality(&mut self, negate: bool, op_span: Span, l: Typed, r: Typed) -> Typed {
        if !self.comparable(&l, &r, op_span) {
            return Typed::error();
        }
        let (l, r) = pair(backed(l), backed(r));
        Typed::new(Node::Equal(negate, Box::new(l), Box::new(r)), Type::Boolean)
    }

    /// Whether `=` has a meaning between the two; reports it where it has none.
    pub fn comparable(&mut self, l: &Typed, r: &Typed, span: Span) -> bool {
        if let Some(wrong) = unknown_choice(l, r).or_else(|| unknown_choice(r, l)) {
            self.report_with(Diagnostic::new(DiagnosticKind::Type, span, wrong.0).help(wrong.1));
            return false;
        }
        if types_comparable(&l.ty, &r.ty) {
            return true;
        }
        self.type_error(span, format!("{} and {} cannot be compared", l.ty, r.ty));
        false
    }

    pub(super) fn order(&mut self, op: Order, op_span: Span, (l, ls): (Typed, Span), (r, rs): (Typed, Span)) -> Typed {
        let (l, r) = (backed(l), backed(r));
        let mut fine = true;
        for (side, span) in [(&l.ty, ls), (&r.ty, rs)] {
            let orders =
                side.is_any() || side.is_dateish() || matches!(side, Type::Number | Type::Float | Type::Untyped);
            if !orders {
                self.type_error(span, format!("expected a number, a date or a time, found {side}"));
                fine = false;
            }
        }
        if fine && l.ty == Type::Untyped && r.ty == Type::Untyped {
            self.type_error(op_span, "two untyped objects cannot be compared; turn one into a value first");
            fine = false;
        }
        if !fine {
            return Typed::error();
        }
        let (l, r) = pair(l, r);
        Typed::new(Node::Order(op, Box::new(l), Box::new(r)), Type::Boolean)
    }

    pub(super) fn membership(&mut self, exact: bool, l: Typed, (r, rs): (Typed, Span), ls: Span) -> Typed {
        let flag = Node::Const(Value::Boolean(exact));
        let node = match &r.ty {
            Type::Table(fields) => {
                let Some((_, column)) = fields.single() else {
                    return self.type_error(rs, "expected a table with one column");
                };
                if !types_comparable(&l.ty, column) && !matches!((&l.ty, column), (Type::Text, _) | (_, Type::Text)) {
                    return self.type_error(ls, format!("{} cannot be looked for among {column}", l.ty));
                }
                let column = column.clone();
                let l = if types_comparable(&l.ty, &column) { l.node } else { self.fit(l, &column, ls) };
                vec![l, r.node, flag]
            }
            Type::Unknown => vec![l.node, r.node, flag],
            _ => {
                let (l, r) = (self.fit(backed(l), &Type::Text, ls), self.fit(backed(r), &Type::Text, rs));
                vec![l, r, flag]
            }
        };
        Typed::new(Node::Strict(functions::text::membership, node), Type::Boolean)
    }
}

fn arithmetic(op: Arithmetic, l: Node, r: Node, ty: Type) -> Typed {
    Typed::new(Node::Arithmetic(op, Box::new(l), Box::new(r)), ty)
}

fn date_kind(ty: &Type) -> Option<DateKind> {
    match ty {
        Type::Date => Some(DateKind::Date),
        Type::DateTime => Some(DateKind::DateTime),
        Type::Time => Some(DateKind::Time),
        _ => None,
    }
}

/// A choice as the text or number behind it, where it may stand for it.
fn backed(typed: Typed) -> Typed {
    match &typed.ty {
        Type::Choice(set) if set.to_backing || set.concatenates => {
            let ty = set.backing();
            Typed::new(typed.node, ty)
        }
        _ => typed,
    }
}

/// Both sides of a comparison: JSON becomes what stands on the other side.
fn pair(l: Typed, r: Typed) -> (Node, Node) {
    let toward = |from: &Type, to: &Type| *from == Type::Untyped && !to.is_any() && *to != Type::Untyped;
    let blank = |from: &Type, to: &Type| *from == Type::Untyped && *to == Type::Blank;
    if toward(&l.ty, &r.ty) {
        let want = r.ty.clone();
        return (convert(l, &want), r.node);
    }
    if toward(&r.ty, &l.ty) {
        let want = l.ty.clone();
        return (l.node, convert(r, &want));
    }
    if blank(&l.ty, &r.ty) {
        return (Node::Coerce(Box::new(l.node), Box::new(Type::Number)), r.node);
    }
    if blank(&r.ty, &l.ty) {
        return (l.node, Node::Coerce(Box::new(r.node), Box::new(Type::Number)));
    }
    (l.node, r.node)
}

pub(crate) fn types_comparable(a: &Type, b: &Type) -> bool {
    let class = |t: &Type| match t {
        Type::Number | Type::Float => 1,
        Type::Date | Type::Time | Type::DateTime => 2,
        Type::Text => 3,
        Type::Boolean => 4,
        Type::Guid => 5,
        Type::Untyped => 6,
        _ => 0,
    };
    match (a, b) {
        (Type::Void, _) | (_, Type::Void) => false,
        (x, y) if x.is_any() || y.is_any() => true,
        (Type::Choice(x), Type::Choice(y)) => x == y,
        (Type::Choice(set), other) | (other, Type::Choice(set)) => {
            (set.to_backing || set.from_backing) && class(&set.backing()) == class(other)
        }
        (Type::Reference(x), Type::Reference(y)) => x == y,
        // A reference to an entity is compared by its key, which is text or a number in the row.
        (Type::Reference(_), Type::Text | Type::Number | Type::Guid)
        | (Type::Text | Type::Number | Type::Guid, Type::Reference(_)) => true,
        (Type::Untyped, Type::Untyped) => false,
        (Type::Untyped, other) | (other, Type::Untyped) => class(other) > 0,
        (x, y) => {
            let (x, y) = (class(x), class(y));
            x > 0 && (x == y || (x <= 2 && y <= 2 && y > 0))
        }
    }
}

/// A constant text compared with a choice that has no such value.
fn unknown_choice(choice: &Typed, other: &Typed) -> Option<(String, Option<String>)> {
    let Type::Choice(set) = &choice.ty else { return None };
    let text = other.node.constant()?.as_str()?;
    if other.ty != Type::Text || enums::find(&set.name).is_some() || enums::has_value(set, text) {
        return None;
    }
    let names: Vec<String> = set.members.iter().map(|(n, _)| n.to_string()).collect();
    let help = nearest(text, names.iter().map(String::as_str)).or_else(|| listed(&names));
    Some((format!("the choice {} has no value \"{text}\"", set.name), help))
}
