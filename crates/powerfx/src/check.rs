//! The checker: a tree and a scope to a [`Node`] that can run, or to every problem that it has.

use crate::ast::{Expr, ExprKind, Name};
use crate::error::{Diagnostic, DiagnosticKind, Span};
use crate::functions::{self, Check, Function, P, R};
use crate::node::Node;
use crate::number;
use crate::scope::Scope;
use crate::types::{Fields, Type, coerces, union};
use crate::value::Value;
use std::sync::Arc;

mod names;
mod operators;

pub(crate) use names::nearest;

/// Of one record or table, those of its records and tables included.
const COLUMNS_MAX: usize = 10_000;

pub(crate) struct Checker<'s> {
    pub scope: &'s Scope,
    frames: Vec<Frame>,
    pub diagnostics: Vec<Diagnostic>,
    /// Names that an open scope took in, in the order of their first use.
    pub extra: Vec<Arc<str>>,
    pub slots: Vec<usize>,
    pub volatile: bool,
    /// The rows that `Row` points to: a table, and the columns that name the row.
    pub references: Vec<(Arc<str>, Vec<Arc<str>>)>,
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
            references: Vec::new(),
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
        let typed = self.untested(e);
        // Records that hold each other twice grow by doubling, and every later step walks over them.
        if typed.ty.is_larger_than(COLUMNS_MAX) {
            let message = format!("this has more than {COLUMNS_MAX} columns, with those of its columns");
            return self.report(DiagnosticKind::Limit, e.span, message);
        }
        typed
    }

    fn untested(&mut self, e: &Expr) -> Typed {
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
            let help = functions::not_there(&name.text)
                .or_else(|| functions::of_power_automate(&name.text))
                .or_else(|| nearest(&name.text, functions::all().map(|f| f.name)));
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
