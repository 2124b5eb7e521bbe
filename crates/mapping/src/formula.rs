//! Power Fx inside a mapping: rows in, values out.

use std::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;
use powerfx::{ChoiceSet, Context, Diagnostic, DiagnosticKind, ErrorKind, Expect, Moment, Scope, Slots};
use record::{Reference, Type, Value, ValueRef};

use crate::columns::Columns;
use crate::problem::{self, At, Problem};
use crate::read::slot;

/// The inputs of a mapping by their slot.
pub(crate) type Inputs<'a> = dyn Fn(usize) -> ValueRef<'a> + 'a;

/// A formula whose slots are places among the inputs of its mapping.
#[derive(Debug)]
pub(crate) struct Compiled {
    formula: powerfx::Formula,
    /// By the formula's own slot number: the place among the mapping's inputs.
    places: Vec<usize>,
}

/// Compiles a formula over these columns, and adds those that it reads to `inputs`.
pub(crate) fn compile(
    text: &str,
    columns: &Columns,
    wanted: Option<&Type>,
    inputs: &mut Vec<String>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut scope = Scope::new();
    for (name, ty) in columns.iter() {
        scope.add(name, formula_type(name, ty));
    }
    if columns.is_open() {
        scope = scope.open();
    }
    let expect = match wanted {
        None | Some(Type::Unknown | Type::Lines(_) | Type::Bytes | Type::Reference { .. }) => Expect::Any,
        Some(ty) => Expect::Type(formula_type("", ty)),
    };
    let formula = powerfx::compile(text, &scope, &expect)?;
    let of_bytes = formula.slots().iter().filter(|used| columns.type_of(&used.name) == Some(Type::Bytes));
    let found: Vec<Diagnostic> = of_bytes
        .map(|used| Diagnostic {
            start: 0,
            end: text.len(),
            kind: DiagnosticKind::Type,
            message: format!("`{}` is bytes, which have no place in a formula", used.name),
            help: Some("have the source make a text of them, in a `query:` or a view".to_owned()),
        })
        .collect();
    if !found.is_empty() {
        return Err(found);
    }
    let mut places = Vec::new();
    for used in formula.slots() {
        if places.len() <= used.slot {
            places.resize(used.slot + 1, usize::MAX);
        }
        places[used.slot] = slot(inputs, &used.name);
    }
    Ok(Compiled { formula, places })
}

/// The diagnostics of a formula as problems of its mapping.
pub(crate) fn problems(found: Vec<Diagnostic>, at: impl Fn(Range<usize>) -> At) -> Vec<Problem> {
    found
        .into_iter()
        .map(|d| Problem { at: at(d.start..d.end), code: problem::FORMULA, message: d.message, help: d.help })
        .collect()
}

impl Compiled {
    pub fn is_volatile(&self) -> bool {
        self.formula.is_volatile()
    }

    /// The columns of other tables by which it points to rows.
    pub fn names_rows_by(&self) -> impl Iterator<Item = &str> {
        self.formula.references().iter().flat_map(|(_, columns)| columns.iter().map(|column| &**column))
    }

    /// The places among the mapping's inputs that it reads.
    pub fn inputs(&self) -> impl Iterator<Item = usize> {
        self.places.iter().copied().filter(|place| *place != usize::MAX)
    }

    /// *Errors*: one sentence of why there is no value.
    pub fn eval<'a>(&self, inputs: &Inputs<'a>, zone: Option<&TimeZone>) -> Result<Value, String> {
        // Mappings refuse volatile formulas, so none sees this time.
        self.eval_in(inputs, &Context::new(jiff::Timestamp::UNIX_EPOCH, zone.unwrap_or(&TimeZone::UTC).clone()))
    }

    /// *Errors*: one sentence of why there is no value.
    pub fn eval_in<'a>(&self, inputs: &Inputs<'a>, context: &Context) -> Result<Value, String> {
        let row = RowSlots { inputs, places: &self.places, zone: &context.zone };
        value(self.formula.eval(&row, context), &context.zone)
    }
}

struct RowSlots<'a, 'b> {
    inputs: &'b Inputs<'a>,
    places: &'b [usize],
    zone: &'b TimeZone,
}

impl Slots for RowSlots<'_, '_> {
    fn get(&self, slot: usize) -> powerfx::Value<'_> {
        match self.places.get(slot).filter(|place| **place != usize::MAX) {
            Some(place) => input((self.inputs)(*place), self.zone),
            None => powerfx::Value::Blank,
        }
    }
}

/// A value as formulas have it.
fn input<'v>(value: ValueRef<'v>, zone: &TimeZone) -> powerfx::Value<'v> {
    use powerfx::Value as Fx;
    match value {
        ValueRef::Blank => Fx::Blank,
        ValueRef::Bool(v) => Fx::Boolean(v),
        ValueRef::Int(v) => Fx::Number(v.into()),
        ValueRef::Decimal(v) => Fx::Number(v),
        ValueRef::Float(v) => Fx::Float(v),
        ValueRef::Text(v) | ValueRef::Choice(v) => Fx::text(v),
        ValueRef::Date(v) => Fx::Date(Moment::from_datetime(v.at(0, 0, 0, 0))),
        ValueRef::Time(v) => {
            let midnight = jiff::civil::Time::midnight();
            Fx::Time(Moment(v.duration_since(midnight).as_micros() as i64))
        }
        ValueRef::Instant(v) => Fx::DateTime(Moment::from_timestamp(v, zone)),
        ValueRef::LocalDateTime(v) => Fx::DateTime(Moment::from_datetime(v)),
        ValueRef::Guid(v) => Fx::Guid(v),
        // A reference counts by its key; of several columns, by the text that people write it as.
        ValueRef::Reference(v) => match v.key.as_slice() {
            [(_, key)] => input(key.as_ref(), zone),
            parts => {
                let parts: Vec<String> = parts.iter().map(|(_, part)| part.to_string()).collect();
                Fx::owned(parts.join("|"))
            }
        },
        ValueRef::Bytes(_) => Fx::error(ErrorKind::INVALID_ARGUMENT, "bytes have no place in a formula"),
        ValueRef::Rows(_) => Fx::Blank,
    }
}

fn value(value: powerfx::Value<'_>, zone: &TimeZone) -> Result<Value, String> {
    use powerfx::Value as Fx;
    let out_of_range = || "the date is outside of the calendar".to_owned();
    Ok(match value {
        Fx::Blank => Value::Blank,
        Fx::Boolean(v) => Value::Bool(v),
        Fx::Number(v) => Value::Decimal(v),
        Fx::Float(v) => Value::Float(v),
        Fx::Text(v) => Value::Text(v.into_string()),
        Fx::Date(v) => Value::Date(v.to_civil().ok_or_else(out_of_range)?.date()),
        Fx::Time(v) => Value::Time(v.to_civil().ok_or_else(out_of_range)?.time()),
        Fx::DateTime(v) => Value::Instant(v.to_timestamp(zone).ok_or_else(out_of_range)?),
        Fx::Guid(v) => Value::Guid(v),
        Fx::Reference(v) => {
            let key = v.columns.iter().map(|(name, part)| Ok((name.clone(), self::value(part.clone(), zone)?)));
            Value::Reference(Box::new(Reference { of: Arc::from(&*v.table), key: key.collect::<Result<_, String>>()? }))
        }
        Fx::Error(error) => return Err(error.to_string()),
        Fx::Record(_) | Fx::Table(_) | Fx::Untyped(_) => return Err("it gives a record or a table".to_owned()),
    })
}

/// What a column or field of this type is in a formula; `name` names its choice.
pub fn formula_type(name: &str, ty: &Type) -> powerfx::Type {
    use powerfx::Type as Fx;
    match ty {
        Type::Text { .. } | Type::Multiline { .. } | Type::Person => Fx::Text,
        Type::WholeNumber | Type::Decimal { .. } | Type::Money => Fx::Number,
        Type::Float => Fx::Float,
        Type::YesNo => Fx::Boolean,
        Type::Date => Fx::Date,
        Type::Time => Fx::Time,
        Type::DateTime | Type::LocalDateTime => Fx::DateTime,
        Type::Guid => Fx::Guid,
        // A system's options are numbers, and nobody names them in a formula.
        Type::Choice { values } if values.iter().any(|v| v.parse::<i64>().is_ok()) => Fx::Unknown,
        Type::Choice { values } => Fx::Choice(ChoiceSet::of_names(name, values.iter().map(String::as_str))),
        // A reference is used by its key.
        Type::Reference { .. } | Type::Choices { .. } | Type::Bytes | Type::Lines(_) | Type::Unknown => Fx::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use record::Schema;

    use super::*;

    /// A row is not as if nothing stood there: what formulas do not have is refused, and a key of any type is there.
    #[test]
    fn nothing_that_is_there_is_blank() {
        let reference = |key: &[Value]| {
            let key = key.iter().enumerate().map(|(at, part)| (format!("part{at}").as_str().into(), part.clone()));
            Value::Reference(Box::new(Reference { of: "item".into(), key: key.collect() }))
        };
        let guid = Value::Guid("01020304-0506-0708-090a-0b0c0d0e0f10".parse().unwrap());
        let day = Value::Date(jiff::civil::date(2026, 1, 31));
        let eval = |text: &str, value: &Value| {
            let mut inputs = Vec::new();
            let compiled = compile(text, &Columns::open(), None, &mut inputs).unwrap();
            compiled.eval(&|_| value.as_ref(), None)
        };
        for key in
            [vec![Value::text("A")], vec![7.into()], vec![guid.clone()], vec![day.clone()], vec!["A".into(), 7.into()]]
        {
            assert_eq!(eval("IsBlank(item)", &reference(&key)), Ok(Value::Bool(false)), "{key:?}");
        }
        assert_eq!(eval("item", &reference(std::slice::from_ref(&guid))), Ok(guid));
        assert_eq!(eval("item", &reference(std::slice::from_ref(&day))), Ok(day));
        assert_eq!(eval("item", &reference(&["A".into(), 7.into()])), Ok("A|7".into()));
        assert!(eval("IsBlank(photo)", &Value::Bytes(vec![1])).unwrap_err().contains("bytes"));
        let columns = Columns::closed(&Schema::of([("photo", Type::Bytes), ("name", Type::Text { max_length: None })]));
        let refused = compile("Lower(name & photo)", &columns, None, &mut Vec::new()).unwrap_err();
        assert!(refused[0].message.contains("`photo` is bytes"), "{refused:?}");
        assert!(compile("Lower(name)", &columns, None, &mut Vec::new()).is_ok());
    }
}
