//! The answer to "what now?" that every failed outside call carries.

use std::fmt;
use std::time::Duration;

use crate::Code;

/// One failure, told so that the engine knows what to do and a person knows what happened.
///
/// *Shape*: `what` is one sentence in the user's nouns, without secrets; `place` says where; `why` is the other side's
/// own words; `fix` is the one thing to do next.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub code: Code,
    pub what: String,
    pub place: Box<Place>,
    pub why: Option<Box<Why>>,
    pub fix: String,
    pub now: Now,
    pub scope: Scope,
    pub effect: Effect,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// Try again; after this long where the other side said so.
    RetryAfter(Option<Duration>),
    /// Give up on this row, for good.
    Reject,
    /// Give up on this run.
    Stop,
    /// A person must change something first.
    AskPerson,
}

/// How much it concerns. A fault of the destination pauses everything that goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Row,
    Chunk,
    Destination,
}

/// Whether the call may have done something before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    None,
    /// The answer was lost: ask (`exists`), or repeat only what is safe to repeat.
    Unknown,
}

/// Where it happened; empty parts are not known or do not apply.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Place {
    pub system: Option<String>,
    pub table: Option<String>,
    pub key: Option<String>,
    pub column: Option<String>,
    /// The value, already masked where the field is personal.
    pub value: Option<String>,
    /// The formula or file line that produced the value.
    pub formula: Option<String>,
}

/// The other system's own words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Why {
    /// Its status (`429`) and its code (`0x80072322`), as it wrote them.
    pub status: Option<u16>,
    pub code: Option<String>,
    pub text: String,
    pub request_id: Option<String>,
}

impl Fault {
    fn new(code: Code, what: impl Into<String>, now: Now, scope: Scope) -> Fault {
        Fault {
            code,
            what: what.into(),
            place: Box::default(),
            why: None,
            fix: String::new(),
            now,
            scope,
            effect: Effect::None,
        }
    }

    /// This row cannot be written, today or tomorrow.
    pub fn reject(code: Code, what: impl Into<String>) -> Fault {
        Fault::new(code, what, Now::Reject, Scope::Row)
    }

    /// The other side cannot take anything at the moment.
    pub fn retry(code: Code, what: impl Into<String>, after: Option<Duration>) -> Fault {
        Fault::new(code, what, Now::RetryAfter(after), Scope::Destination)
    }

    /// This run cannot go on.
    pub fn stop(code: Code, what: impl Into<String>) -> Fault {
        Fault::new(code, what, Now::Stop, Scope::Destination)
    }

    /// Nothing works until a person has changed something (a password, a grant, a column).
    pub fn ask_person(code: Code, what: impl Into<String>) -> Fault {
        Fault::new(code, what, Now::AskPerson, Scope::Destination)
    }

    pub fn fix(mut self, fix: impl Into<String>) -> Fault {
        self.fix = fix.into();
        self
    }

    pub fn why(mut self, why: Why) -> Fault {
        self.why = Some(Box::new(why));
        self
    }

    pub fn scope(mut self, scope: Scope) -> Fault {
        self.scope = scope;
        self
    }

    pub fn effect_unknown(mut self) -> Fault {
        self.effect = Effect::Unknown;
        self
    }

    pub fn at_system(mut self, system: impl Into<String>) -> Fault {
        self.place.system = Some(system.into());
        self
    }

    pub fn at_table(mut self, table: impl Into<String>) -> Fault {
        self.place.table = Some(table.into());
        self
    }

    pub fn at_key(mut self, key: impl Into<String>) -> Fault {
        self.place.key = Some(key.into());
        self
    }

    pub fn at_column(mut self, column: impl Into<String>) -> Fault {
        self.place.column = Some(column.into());
        self
    }

    pub fn at_value(mut self, value: impl Into<String>) -> Fault {
        self.place.value = Some(value.into());
        self
    }

    /// The formula or the line of a file that produced the value.
    pub fn at_formula(mut self, formula: impl Into<String>) -> Fault {
        self.place.formula = Some(formula.into());
        self
    }

    pub fn is_transient(&self) -> bool {
        matches!(self.now, Now::RetryAfter(_))
    }
}

/// One line for a log: code, what, and the other side's words.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.what)?;
        match &self.why {
            Some(why) => write!(f, " ({why})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// `423 sqlite_busy: database is locked`, with what is known.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Why { status, code, text, .. } = self;
        match (status, code) {
            (Some(status), _) if code.is_none() && text.is_empty() => return write!(f, "{status}"),
            (Some(status), _) => write!(f, "{status} ")?,
            (None, _) => {}
        }
        if let Some(code) = code {
            write!(f, "{code}: ")?;
        }
        f.write_str(text)
    }
}
