//! Power Fx formulas: parse, check, run.
//!
//! The language of Dynamics and Power Platform makers, as far as it makes sense over one row of data: exact decimal
//! numbers, errors as values, blanks, records and tables, the functions of `docs/reference/formulas.md`. A formula is
//! checked once against the names that it may use, and runs any number of times; names are slots by then.
//!
//! It is not: an app. There are no screens, no data sources and nothing to write to; it has no clock and no random
//! numbers of its own, does no input or output, starts no threads, and never panics. What a run may use is bounded.
//!
//! ```
//! use powerfx::{Context, Expect, Scope, Type, Value, compile, literal};
//!
//! let scope: Scope = [("first", Type::Text), ("last", Type::Text), ("credit", Type::Number)].into_iter().collect();
//! let formula = compile("Trim(first & \" \" & Upper(last))", &scope, &Expect::Type(Type::Text))?;
//! assert_eq!(formula.slots().len(), 2);
//!
//! let row = [Value::text(" Ada"), Value::text("Lovelace"), Value::Blank];
//! let context = Context::new(jiff::Timestamp::UNIX_EPOCH, jiff::tz::TimeZone::UTC);
//! assert_eq!(literal(&formula.eval(&row, &context)), "\"Ada LOVELACE\"");
//!
//! let problems = compile("Upper(lats)", &scope, &Expect::Any).unwrap_err();
//! assert_eq!((problems[0].start, problems[0].end), (6, 10));
//! assert_eq!(problems[0].help.as_deref(), Some("did you mean `last`?"));
//! # Ok::<(), Vec<powerfx::Diagnostic>>(())
//! ```

mod ast;
mod batch;
mod check;
mod coerce;
mod dateparse;
mod datetime;
mod enums;
mod error;
mod eval;
mod format;
mod formula;
mod functions;
mod html;
mod json;
mod lexer;
mod node;
mod number;
mod parser;
mod pattern;
mod print;
mod reference;
mod scope;
mod types;
mod value;

pub use batch::answer_line;
pub use error::{Diagnostic, DiagnosticKind, ErrorInfo, ErrorKind, ErrorValue};
pub use formula::{Context, Expect, Formula, Limits, Shape, SlotUse, Slots, compile};
pub use functions::is_function;
pub use json::Json;
pub use print::literal;
pub use reference::{not_there, reference};
pub use scope::Scope;
pub use types::{ChoiceSet, ChoiceValue, Fields, Type};
pub use value::{Moment, Record, Reference, Table, Text, Value};
