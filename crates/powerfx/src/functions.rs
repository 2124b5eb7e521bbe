//! The table of functions: what each takes, gives and does, and how it is documented.

use crate::ast::Expr;
use crate::check::{Checker, Typed};
use crate::error::Span;
use crate::node::Strict;
use crate::types::Type;

pub(crate) mod convert;
pub(crate) mod dates;
pub(crate) mod json;
pub(crate) mod logic;
pub(crate) mod math;
pub(crate) mod regex;
pub(crate) mod tables;
pub(crate) mod text;

/// A function of the language.
pub(crate) struct Function {
    pub name: &'static str,
    pub signature: &'static str,
    /// One sentence for the reference page.
    pub does: &'static str,
    /// Expressions with their results as literals; a test runs them.
    pub examples: &'static [(&'static str, &'static str)],
    /// How it differs from Microsoft's, if it does.
    pub differs: &'static str,
    pub min: usize,
    pub max: usize,
    pub volatile: bool,
    pub check: Check,
}

impl Function {
    /// A function whose arguments have fixed types; it takes exactly as many as it has parameters.
    pub const fn plain(name: &'static str, params: &'static [P], returns: R, eval: Strict) -> Function {
        let check = Check::Plain { params, returns, eval, lifts: false };
        Function { check, ..Self::special(name, params.len(), params.len(), |_, _, _| Typed::error()) }
    }

    /// A function that checks its own arguments.
    pub const fn special(
        name: &'static str,
        min: usize,
        max: usize,
        check: fn(&mut Checker<'_>, &[Expr], Span) -> Typed,
    ) -> Function {
        let check = Check::Special(check);
        Function { name, signature: "", does: "", examples: &[], differs: "", min, max, volatile: false, check }
    }

    pub const fn takes(mut self, min: usize, max: usize) -> Function {
        self.min = min;
        self.max = max;
        self
    }

    /// Works over one-column tables as over single values.
    pub const fn lifts(mut self) -> Function {
        if let Check::Plain { params, returns, eval, .. } = self.check {
            self.check = Check::Plain { params, returns, eval, lifts: true };
        }
        self
    }

    pub const fn volatile(mut self) -> Function {
        self.volatile = true;
        self
    }

    pub const fn doc(
        mut self,
        signature: &'static str,
        does: &'static str,
        examples: &'static [(&'static str, &'static str)],
    ) -> Function {
        self.signature = signature;
        self.does = does;
        self.examples = examples;
        self
    }

    pub const fn differs(mut self, how: &'static str) -> Function {
        self.differs = how;
        self
    }
}

/// No limit on the number of arguments.
pub(crate) const ANY: usize = usize::MAX;

#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// Arguments of fixed types, evaluated first; the last parameter repeats.
    Plain {
        params: &'static [P],
        returns: R,
        eval: Strict,
        lifts: bool,
    },
    Special(fn(&mut Checker<'_>, &[Expr], Span) -> Typed),
}

/// What a plain function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum P {
    Text,
    Number,
    /// A decimal, or a float if any of the arguments is one.
    Num,
    Float,
    /// A date, a time, or both, as it comes.
    Moment,
    Enum(&'static str),
    Any,
}

/// What a plain function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum R {
    Text,
    Number,
    /// A float if any of the arguments is one.
    Num,
    Float,
    Boolean,
    Date,
    Time,
    DateTime,
    Untyped,
    /// A one-column table of texts or of numbers.
    Texts,
    Numbers,
}

impl P {
    pub fn ty(self, float: bool) -> Type {
        match self {
            P::Text => Type::Text,
            P::Num if float => Type::Float,
            P::Number | P::Num => Type::Number,
            P::Float => Type::Float,
            P::Moment => Type::DateTime,
            P::Enum(name) => crate::enums::ty(name),
            P::Any => Type::Unknown,
        }
    }
}

impl R {
    pub fn ty(self, float: bool) -> Type {
        match self {
            R::Text => Type::Text,
            R::Num if float => Type::Float,
            R::Number | R::Num => Type::Number,
            R::Float => Type::Float,
            R::Boolean => Type::Boolean,
            R::Date => Type::Date,
            R::Time => Type::Time,
            R::DateTime => Type::DateTime,
            R::Untyped => Type::Untyped,
            R::Texts => Type::list(Type::Text),
            R::Numbers => Type::list(Type::Number),
        }
    }
}

/// The families, in the order of the reference page.
pub(crate) const FAMILIES: &[(&str, &[Function])] = &[
    ("Logic", logic::FUNCTIONS),
    ("Text", text::FUNCTIONS),
    ("Conversion", convert::FUNCTIONS),
    ("Numbers", math::FUNCTIONS),
    ("Dates and times", dates::FUNCTIONS),
    ("Tables and records", tables::FUNCTIONS),
    ("Patterns", regex::FUNCTIONS),
    ("JSON", json::FUNCTIONS),
];

pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.iter().flat_map(|(_, functions)| functions.iter())
}

/// Whether formulas have a function of this name.
pub fn is_function(name: &str) -> bool {
    find(name).is_some()
}

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|f| f.name == name)
}

/// Why a function of Power Apps is not here, for those that people will try.
pub(crate) fn not_there(name: &str) -> Option<String> {
    NOT_THERE
        .iter()
        .find(|(names, _)| names.split(' ').any(|n| n == name))
        .map(|(_, why)| format!("Power Apps has it, formulas here do not: {why}"))
}

/// How something is written here that Power Automate and Logic Apps write otherwise.
pub(crate) fn of_power_automate(name: &str) -> Option<String> {
    let (_, here) = POWER_AUTOMATE.iter().find(|(names, _)| names.split(' ').any(|n| n == name))?;
    Some(format!("`{name}` is of Power Automate; here it is {here}"))
}

/// Functions of the expressions of Power Automate and Logic Apps, with what a formula has for them.
pub(crate) const POWER_AUTOMATE: &[(&str, &str)] = &[
    ("concat", "`Concatenate(…)`, or `&` between two texts"),
    ("add", "`+`"),
    ("sub", "`-`"),
    ("mul", "`*`"),
    ("div", "`/`"),
    ("equals", "`=`"),
    ("greater", "`>`"),
    ("less", "`<`"),
    ("toLower", "`Lower(…)`"),
    ("toUpper", "`Upper(…)`"),
    ("length", "`Len(…)`"),
    ("indexOf", "`Find(…)`, which counts from 1"),
    ("substring", "`Mid(…)`, which counts from 1"),
    ("empty", "`IsBlank(…)`"),
    ("int float decimal", "`Value(…)`"),
    ("string formatDateTime formatNumber", "`Text(…)`"),
    ("utcNow", "`Now()`"),
    ("addDays addHours addMinutes addSeconds addToTime", "`DateAdd(…)`"),
    ("triggerBody triggerOutputs body outputs item items variables", "the name of a column: a formula sees its row"),
];

/// Functions of Power Apps that are left out, with the reason.
pub(crate) const NOT_THERE: &[(&str, &str)] = &[
    (
        "Patch Collect ClearCollect Clear Remove RemoveIf Update UpdateIf UpdateContext Set Reset Relate Unrelate",
        "a formula changes nothing; mappings and flows write",
    ),
    ("Navigate Back Launch Notify Exit Confirm Select SetFocus Param Print Download", "there is no screen"),
    ("User Environment Connection Location Acceleration Compass", "there is no app around a formula"),
    ("Refresh Revert SaveData LoadData ClearData", "a formula reads the row that it is given"),
    ("Search GroupBy Ungroup Shuffle Summarize Join", "use Filter, Distinct and ForAll"),
    ("Color ColorValue ColorFade RGBA", "rows have no colours"),
    ("Language Translate OptionSetInfo AsType IsType Column ColumnNames", "the rows of the hub have no such thing"),
];
