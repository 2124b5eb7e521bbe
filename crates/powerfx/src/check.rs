//! The checker: a tree and a scope to a [`Node`] that can run, or to every problem that it has.

use crate::ast::{BinaryOp, Expr, ExprKind, Name, PrefixOp};
use crate::enums;
use crate::error::{Diagnostic, DiagnosticKind, Span};
use crate::functions::{self, Check, Function, P, R};
use crate::node::{Arithmetic, DateKind, Node, Order};
use crate::number;
use crate::scope::Scope;
use crate::types::{Fields, Type, coerces, union};
use crate::value::Value;
use std::sync::Arc;

pub(crate) struct Checker<'s> {
    pub scope: &'s Scope,
    frames: Vec<Frame>,
    pub diagnostics: Vec<Diagnostic>,
    /// Names that an open scope took in, in the order of their first use.
    pub extra: Vec<Arc<str>>,
    pub slots: Vec<usize>,
    pub volatile: bool,
}

/// A node and what it gives.
pub(crate) struct Typed {
    pub node: Node,
    pub ty: Type,
}

/// The row that a lambda runs over, or the errors that a fallback sees.
struct Frame {
    row: Type,
    alias: Option<String>,
    this_record: bool,
}

/// A table argument that a lambda can run over.
pub(crate) struct TableArg {
    pub node: Node,
    /// Of one row: a record, untyped or unknown.
    pub row: Type,
    pub alias: Option<String>,
}

impl Typed {
    pub fn new(node: Node, ty: Type) -> Self {
        Self { node, ty }
    }

    pub fn error() -> Self {
        Self { node: Node::blank(), ty: Type::Error }
    }
}

impl<'s> Checker<'s> {
    pub fn new(scope: &'s Scope) -> Self {
        Self {
            scope,
            frames: Vec::new(),
            diagnostics: Vec::new(),
            extra: Vec::new(),
            slots: Vec::new(),
            volatile: false,
        }
    }

    pub fn report(&mut self, kind: DiagnosticKind, span: Span, message: impl Into<String>) -> Typed {
        self.diagnostics.push(Diagnostic::new(kind, span, message));
        Typed::error()
    }

    fn report_with(&mut self, diagnostic: Diagnostic) -> Typed {
        self.diagnostics.push(diagnostic);
        Typed::error()
    }

    pub fn type_error(&mut self, span: Span, message: impl Into<String>) -> Typed {
        self.report(DiagnosticKind::Type, span, message)
    }

    pub fn expr(&mut self, e: &Expr) -> Typed {
        match &e.kind {
            ExprKind::Empty => Typed::new(Node::blank(), Type::Blank),
            ExprKind::Number(text) => match number::literal(text) {
                Some(n) => Typed::new(Node::Const(Value::Number(n)), Type::Number),
                None => self.type_error(e.span, format!("the number {text} has more digits than a decimal holds")),
            },
            ExprKind::Text(text) => Typed::new(Node::text(text), Type::Text),
            ExprKind::Boolean(b) => Typed::new(Node::Const(Value::Boolean(*b)), Type::Boolean),
            ExprKind::Name(name) => self.name(name, e.span),
            ExprKind::Dot(of, name) => self.dot(e, of, name),
            ExprKind::Call(name, args) => self.call(name, args, e.span),
            ExprKind::Prefix(op, inner) => self.prefix(*op, inner),
            ExprKind::Percent(inner) => self.percent(inner),
            ExprKind::Binary(op, op_span, left, right) => self.binary(*op, *op_span, left, right),
            ExprKind::And(items) => Typed::new(Node::And(self.all_as(items, &Type::Boolean)), Type::Boolean),
            ExprKind::Or(items) => Typed::new(Node::Or(self.all_as(items, &Type::Boolean)), Type::Boolean),
            ExprKind::Concat(items) => self.concat(items),
            ExprKind::Interpolated(items) => self.interpolated(items),
            ExprKind::Record(fields) => self.record(fields),
            ExprKind::List(items) => self.list(items),
            ExprKind::As(inner, name) => {
                self.expr(inner);
                let message = "`As` names the rows of a table or the record of With; it has no meaning here";
                self.report(DiagnosticKind::Syntax, name.span, message)
            }
            ExprKind::Chain(items) => self.chain(items),
        }
    }

    fn chain(&mut self, items: &[Expr]) -> Typed {
        let mut last = Typed::new(Node::blank(), Type::Blank);
        let mut nodes = Vec::new();
        for item in items {
            last = self.expr(item);
            nodes.push(std::mem::replace(&mut last.node, Node::blank()));
        }
        Typed::new(Node::Lazy(functions::logic::chain, nodes), last.ty)
    }

    // Names

    fn name(&mut self, name: &str, span: Span) -> Typed {
        if let Some(found) = self.frame_name(name) {
            return found;
        }
        if let Some(names) = self.scope.root().members.get(name) {
            return self.scope_names(names.clone());
        }
        if self.frames.iter().any(|f| f.row == Type::Unknown && f.alias.is_none()) {
            let at = self.frames.iter().rposition(|f| f.row == Type::Unknown && f.alias.is_none()).unwrap_or(0);
            return Typed::new(Node::FrameField(at, name.into()), Type::Unknown);
        }
        if self.scope.is_open() {
            return self.extra_slot(name);
        }
        self.unknown_name(name, span)
    }

    fn unknown_name(&mut self, name: &str, span: Span) -> Typed {
        let mut known: Vec<String> = self.scope.root().members.keys().map(|k| k.to_string()).collect();
        for frame in &self.frames {
            if let Type::Record(fields) = &frame.row {
                known.extend(fields.iter().map(|(n, _)| n.to_string()));
            }
        }
        known.sort();
        known.dedup();
        let help = if enums::find(name).is_some() {
            Some(format!("`{name}` is a set of values; write `{name}.` and the value"))
        } else if functions::find(name).is_some() {
            Some(format!("`{name}` is a function; write `{name}(…)`"))
        } else {
            nearest(name, known.iter().map(String::as_str)).or_else(|| listed(&known))
        };
        let message = format!("there is no column or field `{name}` here");
        self.report_with(Diagnostic::new(DiagnosticKind::Name, span, message).help(help))
    }

    fn frame_name(&self, name: &str) -> Option<Typed> {
        for (at, frame) in self.frames.iter().enumerate().rev() {
            let whole = match &frame.alias {
                Some(alias) => alias == name,
                None => name == "ThisRecord" && frame.this_record,
            };
            if whole {
                return Some(Typed::new(Node::Frame(at), frame.row.clone()));
            }
            if let (None, Type::Record(fields)) = (&frame.alias, &frame.row)
                && let Some(ty) = fields.get(name)
            {
                return Some(Typed::new(Node::FrameField(at, name.into()), ty.clone()));
            }
            if let (Some(alias), Type::Record(fields)) = (&frame.alias, &frame.row)
                && alias == "ThisRecord"
                && let Some(ty) = fields.get(name)
            {
                return Some(Typed::new(Node::FrameField(at, name.into()), ty.clone()));
            }
        }
        None
    }

    fn slot(&mut self, slot: usize) -> Typed {
        if !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
        let ty = self.scope.ty(slot).cloned().unwrap_or(Type::Unknown);
        Typed::new(Node::Slot(slot), ty)
    }

    fn extra_slot(&mut self, path: &str) -> Typed {
        let at = self.extra.iter().position(|p| **p == *path).unwrap_or_else(|| {
            self.extra.push(path.into());
            self.extra.len() - 1
        });
        self.slot(self.scope.len() + at)
    }

    /// A name of the scope: its slot, or a record of the slots below it.
    fn scope_names(&mut self, names: crate::scope::Names) -> Typed {
        if let Some(slot) = names.slot {
            return self.slot(slot);
        }
        let (mut fields, mut nodes, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (name, below) in names.members {
            let member = self.scope_names(below);
            keys.push(name.clone());
            fields.push((name, member.ty));
            nodes.push(member.node);
        }
        Typed::new(Node::Record(keys.into(), nodes), Type::Record(Fields::new(fields)))
    }

    fn dot(&mut self, whole: &Expr, of: &Expr, name: &Name) -> Typed {
        if let Some(found) = self.dotted_slot(whole) {
            return found;
        }
        if let ExprKind::Name(left) = &of.kind
            && self.frame_name(left).is_none()
            && !self.scope.root().members.contains_key(left.as_str())
            && let Some(set) = enums::find(left)
        {
            return self.enum_member(&set, name);
        }
        let left = self.expr(of);
        match &left.ty {
            Type::Record(fields) => match fields.get(&name.text) {
                Some(ty) => {
                    let ty = ty.clone();
                    Typed::new(Node::Field(Box::new(left.node), name.text.as_str().into()), ty)
                }
                None => {
                    let known: Vec<String> = fields.iter().map(|(n, _)| n.to_string()).collect();
                    let help = nearest(&name.text, known.iter().map(String::as_str)).or_else(|| listed(&known));
                    let message = format!("this record has no field `{}`", name.text);
                    self.report_with(Diagnostic::new(DiagnosticKind::Name, name.span, message).help(help))
                }
            },
            Type::Untyped => Typed::new(Node::Field(Box::new(left.node), name.text.as_str().into()), Type::Untyped),
            Type::Unknown | Type::Blank | Type::Error => {
                let ty = if left.ty == Type::Error { Type::Error } else { Type::Unknown };
                Typed::new(Node::Field(Box::new(left.node), name.text.as_str().into()), ty)
            }
            Type::Table(_) => {
                let message =
                    "a table has no fields; take a row with First, LookUp or Index, or columns with ShowColumns";
                self.type_error(name.span, message)
            }
            other => {
                let message = format!("`.{}` needs a record on its left, this is {other}", name.text);
                self.type_error(name.span, message)
            }
        }
    }

    /// A dotted path that the scope has a slot for, or that an open scope takes in.
    fn dotted_slot(&mut self, whole: &Expr) -> Option<Typed> {
        let mut parts = Vec::new();
        let mut at = whole;
        loop {
            match &at.kind {
                ExprKind::Dot(of, name) => {
                    parts.push(name.text.as_str());
                    at = of;
                }
                ExprKind::Name(name) => {
                    parts.push(name.as_str());
                    break;
                }
                _ => return None,
            }
        }
        parts.reverse();
        if self.frame_name(parts[0]).is_some() {
            return None;
        }
        let mut names = self.scope.root();
        for (depth, part) in parts.iter().enumerate() {
            match names.members.get(*part) {
                Some(below) => names = below,
                None if depth == 0 && self.scope.is_open() && enums::find(parts[0]).is_none() => {
                    return Some(self.extra_slot(&parts.join(".")));
                }
                None => return None,
            }
        }
        Some(self.scope_names(names.clone()))
    }

    fn enum_member(&mut self, set: &Arc<crate::types::ChoiceSet>, name: &Name) -> Typed {
        match enums::member(set, &name.text) {
            Some(value) => Typed::new(Node::Const(value), Type::Choice(set.clone())),
            None => {
                let names: Vec<String> = set.members.iter().map(|(n, _)| n.to_string()).collect();
                let help = nearest(&name.text, names.iter().map(String::as_str)).or_else(|| listed(&names));
                let message = format!("`{}` has no value `{}`", set.name, name.text);
                self.report_with(Diagnostic::new(DiagnosticKind::Name, name.span, message).help(help))
            }
        }
    }

    // Lambdas

    /// Checks an expression that runs once for each row.
    pub fn lambda(&mut self, row: &Type, alias: &Option<String>, e: &Expr) -> Typed {
        self.frames.push(Frame { row: row.clone(), alias: alias.clone(), this_record: true });
        let body = self.expr(e);
        self.frames.pop();
        body
    }

    /// Checks a fallback, which sees `FirstError` and `AllErrors`.
    pub fn fallback(&mut self, e: &Expr) -> Typed {
        self.frames.push(Frame { row: enums::error_frame(), alias: None, this_record: false });
        let body = self.expr(e);
        self.frames.pop();
        body
    }

    /// A table argument, with `As` where it is written.
    pub fn table(&mut self, e: &Expr) -> Option<TableArg> {
        let (inner, alias) = aliased(e);
        let arg = self.expr(inner);
        let row = match arg.ty {
            Type::Table(fields) => Type::Record(fields),
            Type::Untyped => Type::Untyped,
            Type::Unknown => Type::Unknown,
            Type::Blank => Type::Record(Fields::default()),
            Type::Error => Type::Unknown,
            other => {
                self.type_error(inner.span, format!("expected a table, found {other}"));
                return None;
            }
        };
        Some(TableArg { node: arg.node, row, alias })
    }

    // Types

    /// Checks an expression and makes it the wanted type.
    pub fn expr_as(&mut self, e: &Expr, want: &Type) -> Node {
        let typed = self.expr(e);
        self.fit(typed, want, e.span)
    }

    pub fn all_as(&mut self, items: &[Expr], want: &Type) -> Vec<Node> {
        items.iter().map(|e| self.expr_as(e, want)).collect()
    }

    /// The node with a coercion around it where one is needed; reports what cannot be coerced.
    pub fn fit(&mut self, typed: Typed, want: &Type, span: Span) -> Node {
        if !coerces(&typed.ty, want) {
            let help = match (&typed.ty, want) {
                (Type::Untyped, _) => Some("turn it into a value first, for example with Text() or Value()".to_owned()),
                _ => None,
            };
            let message = format!("expected {want}, found {}", typed.ty);
            self.report_with(Diagnostic::new(DiagnosticKind::Type, span, message).help(help));
            return Node::blank();
        }
        convert(typed, want)
    }

    /// Makes expressions agree, the first of them deciding; reports those that cannot.
    pub fn agree(&mut self, branches: Vec<(Typed, Span)>) -> (Vec<Node>, Type) {
        let mut ty = Type::Blank;
        for (branch, span) in &branches {
            match union(&ty, &branch.ty) {
                Some(joined) => ty = joined,
                None => {
                    let message = format!("expected {ty} as in the other results, found {}", branch.ty);
                    self.type_error(*span, message);
                    ty = Type::Error;
                }
            }
        }
        let nodes = branches.into_iter().map(|(b, _)| convert(b, &ty)).collect();
        (nodes, ty)
    }

    // Operators

    fn prefix(&mut self, op: PrefixOp, inner: &Expr) -> Typed {
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

    fn percent(&mut self, inner: &Expr) -> Typed {
        let value = self.expr(inner);
        let ty = if value.ty == Type::Float { Type::Float } else { Type::Number };
        let node = self.fit(value, &ty, inner.span);
        let hundred = Node::Const(Value::number(100));
        Typed::new(Node::Arithmetic(Arithmetic::Divide, Box::new(node), Box::new(hundred)), ty)
    }

    fn concat(&mut self, items: &[Expr]) -> Typed {
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

    fn interpolated(&mut self, items: &[Expr]) -> Typed {
        let nodes = self.all_as(items, &Type::Text);
        joined(nodes, Type::Text)
    }

    fn binary(&mut self, op: BinaryOp, op_span: Span, left: &Expr, right: &Expr) -> Typed {
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

    fn multiply(&mut self, op: Arithmetic, (l, ls): (Typed, Span), (r, rs): (Typed, Span)) -> Typed {
        let ty = if l.ty == Type::Float || r.ty == Type::Float { Type::Float } else { Type::Number };
        let (l, r) = (self.fit(l, &ty, ls), self.fit(r, &ty, rs));
        arithmetic(op, l, r, ty)
    }

    fn add(&mut self, op_span: Span, (l, ls): (Typed, Span), (r, rs): (Typed, Span)) -> Typed {
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

    fn subtract(&mut self, op_span: Span, (l, ls): (Typed, Span), (r, rs): (Typed, Span)) -> Typed {
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

    fn move_date(&mut self, op: Arithmetic, date: Typed, (by, span): (Typed, Span)) -> Typed {
        let want = if by.ty == Type::Float { Type::Float } else { Type::Number };
        let by = self.fit(by, &want, span);
        arithmetic(op, date.node, by, date.ty)
    }

    fn equality(&mut self, negate: bool, op_span: Span, l: Typed, r: Typed) -> Typed {
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

    fn order(&mut self, op: Order, op_span: Span, (l, ls): (Typed, Span), (r, rs): (Typed, Span)) -> Typed {
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

    fn membership(&mut self, exact: bool, l: Typed, (r, rs): (Typed, Span), ls: Span) -> Typed {
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

    // Records and tables

    fn record(&mut self, fields: &[(Name, Expr)]) -> Typed {
        let mut sorted: std::collections::BTreeMap<Arc<str>, (Node, Type)> = Default::default();
        for (name, value) in fields {
            let value_typed = self.expr(value);
            if value_typed.ty == Type::Void {
                self.type_error(value.span, "this has no value");
            }
            if sorted.insert(name.text.as_str().into(), (value_typed.node, value_typed.ty)).is_some() {
                self.report(DiagnosticKind::Name, name.span, format!("the field `{}` is there twice", name.text));
            }
        }
        let mut names = Vec::new();
        let mut nodes = Vec::new();
        let mut types = Vec::new();
        for (name, (node, ty)) in sorted {
            types.push((name.clone(), ty));
            names.push(name);
            nodes.push(node);
        }
        Typed::new(Node::Record(names.into(), nodes), Type::Record(Fields::new(types)))
    }

    fn list(&mut self, items: &[Expr]) -> Typed {
        let items: Vec<(Typed, Span)> = items.iter().map(|e| (self.expr(e), e.span)).collect();
        let (nodes, ty) = self.agree(items);
        match ty {
            Type::Record(fields) => Typed::new(Node::Rows(nodes), Type::Table(fields)),
            Type::Unknown => Typed::new(Node::Rows(nodes), Type::Unknown),
            Type::Error => Typed::error(),
            Type::Blank if nodes.is_empty() => Typed::new(Node::Rows(nodes), Type::Table(Fields::default())),
            ty => Typed::new(Node::Values(nodes), Type::list(ty)),
        }
    }

    // Calls

    fn call(&mut self, name: &Name, args: &[Expr], span: Span) -> Typed {
        let Some(function) = functions::find(&name.text) else {
            for arg in args {
                self.expr(aliased(arg).0);
            }
            let help =
                functions::not_there(&name.text).or_else(|| nearest(&name.text, functions::all().map(|f| f.name)));
            let message = format!("there is no function `{}`", name.text);
            return self.report_with(Diagnostic::new(DiagnosticKind::Name, name.span, message).help(help));
        };
        if args.len() < function.min || args.len() > function.max {
            let wanted = match (function.min, function.max) {
                (min, max) if min == max => format!("{min}"),
                (min, usize::MAX) => format!("at least {min}"),
                (min, max) => format!("{min} to {max}"),
            };
            let message = format!("`{}` takes {wanted} arguments, found {}", function.name, args.len());
            let help = Some(format!("it is written {}", function.signature));
            return self.report_with(Diagnostic::new(DiagnosticKind::Type, span, message).help(help));
        }
        self.volatile |= function.volatile;
        match function.check {
            Check::Plain { params, returns, eval, lifts } => self.plain(function, args, params, returns, eval, lifts),
            Check::Special(check) => check(self, args, span),
        }
    }

    fn plain(
        &mut self,
        function: &Function,
        args: &[Expr],
        params: &[P],
        returns: R,
        eval: crate::node::Strict,
        lifts: bool,
    ) -> Typed {
        let typed: Vec<(Typed, Span)> = args.iter().map(|e| (self.expr(e), e.span)).collect();
        let column = |ty: &Type| match ty {
            Type::Table(fields) => fields.single().map(|(_, ty)| ty.clone()).unwrap_or(Type::Blank),
            other => other.clone(),
        };
        let float = typed
            .iter()
            .enumerate()
            .any(|(i, (t, _))| matches!(param(params, i), P::Num) && column(&t.ty) == Type::Float);
        let mut nodes = Vec::new();
        let mut any_table = false;
        for (i, (arg, span)) in typed.into_iter().enumerate() {
            let want = param(params, i).ty(float);
            let table = match &arg.ty {
                Type::Table(fields) if lifts => match fields.single() {
                    Some((name, _)) => Some(Type::Table(Fields::new([(name.clone(), want.clone())]))),
                    None => {
                        self.type_error(span, format!("`{}` takes a table of one column here", function.name));
                        nodes.push((Node::blank(), false));
                        continue;
                    }
                },
                _ => None,
            };
            any_table |= table.is_some();
            let is_table = table.is_some();
            let keep = matches!(param(params, i), P::Moment) && column(&arg.ty).is_dateish();
            let node = if keep { arg.node } else { self.fit(arg, table.as_ref().unwrap_or(&want), span) };
            nodes.push((node, is_table));
        }
        let ty = returns.ty(float);
        if any_table {
            return Typed::new(Node::Lift(eval, nodes), Type::list(ty));
        }
        let nodes: Vec<Node> = nodes.into_iter().map(|(n, _)| n).collect();
        // A pattern must be constant, and these are what it may be made with.
        if matches!(function.name, "Char" | "UniChar" | "Concatenate" | "Hex2Dec")
            && let Some(value) = fold(eval, &nodes)
        {
            return Typed::new(Node::Const(value), ty);
        }
        Typed::new(Node::Strict(eval, nodes), ty)
    }
}

/// The value of a call whose arguments are all constant, unless it is an error.
fn fold(function: crate::node::Strict, nodes: &[Node]) -> Option<Value<'static>> {
    let mut args: Vec<Value<'_>> = nodes.iter().map(|n| n.constant().map(Value::borrow)).collect::<Option<_>>()?;
    let context = crate::formula::Context::new(jiff::Timestamp::UNIX_EPOCH, jiff::tz::TimeZone::UTC);
    let slots: [Value<'_>; 0] = [];
    let value = function(&mut crate::eval::Env::new(&slots, &context), &mut args);
    if value.is_error() { None } else { Some(value.into_static()) }
}

/// Texts after each other; constant where all of them are.
fn joined(nodes: Vec<Node>, ty: Type) -> Typed {
    match nodes.iter().map(|n| n.constant().and_then(Value::as_str)).collect::<Option<String>>() {
        Some(text) => Typed::new(Node::text(&text), ty),
        None => Typed::new(Node::Concat(nodes), ty),
    }
}

fn param(params: &[P], i: usize) -> P {
    params.get(i).or(params.last()).copied().unwrap_or(P::Any)
}

/// The inside of `table As name`, and the name.
pub(crate) fn aliased(e: &Expr) -> (&Expr, Option<String>) {
    match &e.kind {
        ExprKind::As(inner, name) => (inner, Some(name.text.clone())),
        _ => (e, None),
    }
}

/// The node with a coercion around it where the types differ.
pub(crate) fn convert(typed: Typed, want: &Type) -> Node {
    let same = typed.ty == *want
        || matches!(typed.ty, Type::Error)
        || matches!(want, Type::Unknown | Type::Error | Type::Blank | Type::Void)
        || (matches!(typed.ty, Type::Blank) && matches!(typed.node, Node::Const(_)))
        || typed.ty.backing() == *want
        || want.backing() == typed.ty;
    if same { typed.node } else { Node::Coerce(Box::new(typed.node), Box::new(want.clone())) }
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

/// "did you mean", for a name that is close to one of those that exist.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let lower = name.to_lowercase();
    let far = (name.chars().count() / 3).max(1);
    known
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, k)| format!("did you mean `{k}`?"))
}

fn listed(known: &[String]) -> Option<String> {
    if known.is_empty() || known.len() > 40 {
        return None;
    }
    Some(format!("there are: {}", known.join(", ")))
}
