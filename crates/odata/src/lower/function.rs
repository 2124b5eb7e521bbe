//! The functions of the language.

use record::Value;
use record::query::{Expr as Out, Function};

use super::typed::Ty;
use super::{Lowered, Lowering, malformed, unsupported};
use crate::Argument;

/// What may be given for one argument.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Takes {
    Text,
    Whole,
    Number,
    Dated,
    Timed,
}

use Takes::{Dated, Number, Text, Timed, Whole};

/// Name, function, arguments, result; a result of `Null` has the type of the argument.
pub(crate) const FUNCTIONS: &[(&str, Function, &[Takes], Ty)] = &[
    ("contains", Function::Contains, &[Text, Text], Ty::Bool),
    ("startswith", Function::StartsWith, &[Text, Text], Ty::Bool),
    ("endswith", Function::EndsWith, &[Text, Text], Ty::Bool),
    ("length", Function::Length, &[Text], Ty::Int),
    ("indexof", Function::IndexOf, &[Text, Text], Ty::Int),
    ("substring", Function::Substring, &[Text, Whole, Whole], Ty::Text),
    ("tolower", Function::ToLower, &[Text], Ty::Text),
    ("toupper", Function::ToUpper, &[Text], Ty::Text),
    ("trim", Function::Trim, &[Text], Ty::Text),
    ("concat", Function::Concat, &[Text, Text], Ty::Text),
    ("year", Function::Year, &[Dated], Ty::Int),
    ("month", Function::Month, &[Dated], Ty::Int),
    ("day", Function::Day, &[Dated], Ty::Int),
    ("hour", Function::Hour, &[Timed], Ty::Int),
    ("minute", Function::Minute, &[Timed], Ty::Int),
    ("second", Function::Second, &[Timed], Ty::Int),
    ("fractionalseconds", Function::FractionalSeconds, &[Timed], Ty::Decimal),
    ("date", Function::Date, &[Dated], Ty::Date),
    ("time", Function::Time, &[Timed], Ty::Time),
    ("round", Function::Round, &[Number], Ty::Null),
    ("floor", Function::Floor, &[Number], Ty::Null),
    ("ceiling", Function::Ceiling, &[Number], Ty::Null),
];

/// Functions of the standard that this service does not have.
const NOT_THERE: &[&str] = &[
    "cast",
    "isof",
    "totaloffsetminutes",
    "totalseconds",
    "geo.distance",
    "geo.length",
    "geo.intersects",
    "matchesPattern",
    "hassubset",
    "hassubsequence",
    "case",
];

impl Lowering<'_> {
    pub(super) fn call(&self, name: &str, arguments: &[Argument], aliases: usize) -> Lowered {
        if arguments.iter().any(|argument| argument.name.is_some()) {
            return Err(malformed(format!("`{name}` takes its arguments without names")));
        }
        let moment = match name {
            "now" => Some(self.now),
            // Before the year 1 databases count differently, or not at all.
            "mindatetime" => "0001-01-01T00:00:00Z".parse().ok(),
            // The last whole second that is a time in every zone; no database is asked for parts of a microsecond.
            "maxdatetime" => "9999-12-30T22:00:00Z".parse().ok(),
            _ => None,
        };
        if let Some(moment) = moment {
            if !arguments.is_empty() {
                return Err(malformed(format!("`{name}` takes no argument")));
            }
            return Ok((Out::Value(Value::Instant(moment)), Ty::Instant));
        }
        let Some((_, function, takes, gives)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            if NOT_THERE.contains(&name) {
                return Err(unsupported(format!("the function `{name}` is not supported")));
            }
            return Err(malformed(format!("there is no function `{name}`")));
        };
        let (least, most) = function.arguments();
        if arguments.len() < least || arguments.len() > most {
            let wanted = if least == most { least.to_string() } else { format!("{least} or {most}") };
            return Err(malformed(format!("`{name}` takes {wanted} arguments, and {} were given", arguments.len())));
        }
        let mut given = Vec::with_capacity(arguments.len());
        let mut result = *gives;
        for (argument, takes) in arguments.iter().zip(*takes) {
            let (out, ty) = self.expr(&argument.value, aliases)?;
            if !takes.fits(ty) {
                let what = format!("`{name}` takes {}, and `{}` is {}", takes.words(), argument.value, ty.words());
                return Err(malformed(what));
            }
            if *function == Function::Substring && matches!(&out, Out::Value(Value::Int(number)) if *number < 0) {
                return Err(malformed("`substring` counts from 0, and a negative number was given"));
            }
            if *gives == Ty::Null {
                result = ty;
            }
            given.push(out);
        }
        // Of nothing there is nothing to compute.
        if given.contains(&Out::Value(Value::Blank)) {
            return Ok((Out::Value(Value::Blank), result));
        }
        Ok((Out::Call(*function, given), result))
    }
}

impl Takes {
    fn fits(self, ty: Ty) -> bool {
        match self {
            _ if ty == Ty::Null => true,
            Text => ty == Ty::Text,
            Whole => ty == Ty::Int,
            Number => matches!(ty, Ty::Int | Ty::Decimal | Ty::Double),
            Dated => matches!(ty, Ty::Date | Ty::Instant),
            Timed => matches!(ty, Ty::Date | Ty::Instant | Ty::Time),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Text => "a text",
            Whole => "a whole number",
            Number => "a number",
            Dated => "a date",
            Timed => "a date and time",
        }
    }
}
