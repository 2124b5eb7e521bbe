//! A compiled formula and what it needs to run.

use crate::check::Checker;
use crate::error::Diagnostic;
use crate::eval::{Env, eval};
use crate::node::Node;
use crate::parser;
use crate::scope::Scope;
use crate::types::Type;
use crate::value::Value;
use std::sync::Arc;

/// What the caller wants a formula to give.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// Whatever it gives; [`Formula::ty`] says what that is.
    Any,
    /// A value of this type: coerced where the language coerces, refused where it does not.
    Type(Type),
}

/// Checks a formula against the names that it may use, and prepares it to run any number of times.
///
/// Errors: every problem that the formula has, in the order of the text; a syntax error stands alone.
pub fn compile(text: &str, scope: &Scope, expect: &Expect) -> Result<Formula, Vec<Diagnostic>> {
    let tree = parser::parse(text).map_err(|d| vec![d])?;
    let mut checker = Checker::new(scope);
    let typed = checker.expr(&tree);
    let shape = Shape::of(&typed.node);
    let found = typed.ty.clone();
    let (node, ty) = match expect {
        Expect::Any => (typed.node, found),
        Expect::Type(want) => (checker.fit(typed, want, tree.span), want.clone()),
    };
    if !checker.diagnostics.is_empty() {
        checker.diagnostics.sort_by_key(|d| (d.start, d.end));
        checker.diagnostics.dedup();
        return Err(checker.diagnostics);
    }
    let name = |slot: usize| match slot.checked_sub(scope.len()) {
        Some(extra) => checker.extra.get(extra).cloned().unwrap_or_default(),
        None => scope.paths().get(slot).cloned().unwrap_or_default(),
    };
    let slots = checker.slots.iter().map(|&slot| SlotUse { slot, name: name(slot) }).collect();
    Ok(Formula { node, ty, slots, volatile: checker.volatile, references: checker.references, shape })
}

/// A formula that was checked and can run. Cheap to share between threads.
#[derive(Debug)]
pub struct Formula {
    node: Node,
    ty: Type,
    slots: Vec<SlotUse>,
    volatile: bool,
    references: Vec<(Arc<str>, Vec<Arc<str>>)>,
    shape: Shape,
}

/// A slot that a formula reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotUse {
    pub slot: usize,
    /// The dotted name.
    pub name: Arc<str>,
}

/// What a formula does, where it is simple enough to be turned around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The value of one slot, unchanged.
    Slot(usize),
    /// `Trim`, `Lower` or `Upper` of the text of one slot.
    Trim(usize),
    Lower(usize),
    Upper(usize),
    /// A value that is written in the formula.
    Constant,
    Other,
}

impl Shape {
    fn of(node: &Node) -> Shape {
        let slot = |node: &Node| match node {
            Node::Slot(slot) => Some(*slot),
            Node::Coerce(inner, to) if **to == Type::Text => match &**inner {
                Node::Slot(slot) => Some(*slot),
                _ => None,
            },
            _ => None,
        };
        match node {
            Node::Slot(slot) => Shape::Slot(*slot),
            Node::Trim(inner) => slot(inner).map_or(Shape::Other, Shape::Trim),
            Node::Lower(inner) => slot(inner).map_or(Shape::Other, Shape::Lower),
            Node::Upper(inner) => slot(inner).map_or(Shape::Other, Shape::Upper),
            Node::Const(_) => Shape::Constant,
            _ => Shape::Other,
        }
    }
}

/// One row, as a formula reads it.
pub trait Slots {
    /// The value of a slot of the [`Scope`]; borrowed where it is text. Blank for a slot that the row lacks.
    fn get(&self, slot: usize) -> Value<'_>;
}

impl<const N: usize> Slots for [Value<'_>; N] {
    fn get(&self, slot: usize) -> Value<'_> {
        self.as_slice().get(slot).map_or(Value::Blank, Value::borrow)
    }
}

impl Slots for Vec<Value<'_>> {
    fn get(&self, slot: usize) -> Value<'_> {
        self.as_slice().get(slot).map_or(Value::Blank, Value::borrow)
    }
}

/// The world around a formula: it has no clock of its own.
#[derive(Debug, Clone)]
pub struct Context {
    /// What `Now()` is.
    pub now: jiff::Timestamp,
    /// The zone whose wall clock dates and times are on.
    pub zone: jiff::tz::TimeZone,
    /// The seed of `GUID()`, `Rand()` and `RandBetween()`: the same seed gives the same values.
    pub seed: u64,
    /// A number of the row that stands by itself in a text keeps its digits, zeros at the end too: `8500.50`, where Power Fx
    /// writes `8500.5`. What is computed is written as ever.
    pub keeps_digits: bool,
    pub limits: Limits,
}

impl Context {
    pub fn new(now: jiff::Timestamp, zone: jiff::tz::TimeZone) -> Self {
        Self { now, zone, seed: 0, keeps_digits: false, limits: Limits::default() }
    }
}

/// What one evaluation may use at most; beyond it the result is an error of kind `QuotaExceeded`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of one text.
    pub text_bytes: usize,
    /// Of one table.
    pub table_rows: usize,
    /// Turns of all loops together.
    pub steps: u64,
    /// Of everything that the evaluation makes.
    pub total_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text_bytes: 1 << 20, table_rows: 50_000, steps: 1_000_000, total_bytes: 64 << 20 }
    }
}

impl Formula {
    /// What it gives.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// The slots that it reads, in the order of their first use.
    pub fn slots(&self) -> &[SlotUse] {
        &self.slots
    }

    /// Whether two runs over the same row may differ: it uses `Now`, `Today`, `Rand` or their like.
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// What `Row` may give: tables with the columns that name a row of them.
    pub fn references(&self) -> &[(Arc<str>, Vec<Arc<str>>)] {
        &self.references
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The value for one row. Errors are values too: [`Value::Error`].
    pub fn eval<'a>(&'a self, slots: &'a dyn Slots, context: &'a Context) -> Value<'a> {
        eval(&self.node, &mut Env::new(slots, context))
    }
}
