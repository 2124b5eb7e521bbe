//! From one type to another on request, with formats and languages.

use super::Function;
use super::text::text_of;
use crate::ast::Expr;
use crate::check::{Checker, Typed};
use crate::coerce::{coerce, to_boolean};
use crate::error::{ErrorKind, Span};
use crate::eval::Env;
use crate::format::Format;
use crate::json::Json;
use crate::node::Node;
use crate::number::{self, Culture, ENGLISH, culture};
use crate::types::{Fields, Type, coerces};
use crate::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::special("Text", 1, 3, check_text).doc(
        "Text(value, [format], [language])",
        "The value as text, with a format as Excel has them for numbers, dates and times. A blank is an empty text.",
        &[
            ("Text(1234.5, \"#,##0.00\")", "\"1,234.50\""),
            ("Text(Date(2026, 1, 31), \"yyyy-mm-dd\")", "\"2026-01-31\""),
            ("Text(0.25, \"0%\")", "\"25%\""),
            ("Text(Blank(), \"yyyy-mm-dd\")", "\"\""),
        ],
    ).differs("A formula column of Dataverse makes a 0 of a blank number that has a format; here, as in Power Apps, it is an empty text. Languages change the separators of numbers only; the names of days and months are English. A binary value has no text."),
    Function::special("Value", 1, 2, |c, a, _| check_number(c, a, Type::Number)).doc(
        "Value(value, [language])",
        "The value as a decimal number. Text may have group separators, a currency sign, a percent sign, an exponent.",
        &[("Value(\"1,234.5\")", "1234.5"), ("Value(\"12 %\")", "0.12"), ("Value(\"1.234,5\", \"de-DE\")", "1234.5")],
    ),
    Function::special("Decimal", 1, 2, |c, a, _| check_number(c, a, Type::Number)).doc(
        "Decimal(value, [language])",
        "The value as an exact decimal number.",
        &[("Decimal(\"0.1\") + 0.2", "0.3")],
    ),
    Function::special("Float", 1, 2, |c, a, _| check_number(c, a, Type::Float)).doc(
        "Float(value, [language])",
        "The value as a floating-point number.",
        &[("Float(\"1e100\")", "1E+100")],
    ),
    Function::special("Boolean", 1, 1, check_boolean).doc(
        "Boolean(value)",
        "The value as true or false: the texts of these words, or a number that is not zero.",
        &[("Boolean(\"TRUE\")", "true"), ("Boolean(0)", "false")],
    ),
    Function::special("GUID", 0, 1, check_guid).doc(
        "GUID([text])",
        "The text as a GUID; without a text a pseudo-random one from the seed that the caller gives.",
        &[("GUID(\"5cc45615-f759-4a53-b225-d3a2497f60ad\")", "GUID(\"5cc45615-f759-4a53-b225-d3a2497f60ad\")")],
    ),
    Function::special("IsNumeric", 1, 1, check_is_numeric).doc(
        "IsNumeric(value)",
        "Whether the value is a number, or a text that holds one.",
        &[("IsNumeric(\"12.5\")", "true"), ("IsNumeric(\"x\")", "false")],
    ),
];

fn check_text(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let value = c.expr(&args[0]);
    let span = args[0].span;
    let fine = match &value.ty {
        Type::Record(_) | Type::Table(_) | Type::Reference(_) | Type::Void => false,
        Type::Text | Type::Boolean | Type::Guid => args.len() == 1,
        Type::Choice(set) => set.backing() != Type::Text || args.len() == 1,
        _ => true,
    };
    if !fine {
        let message = if args.len() > 1 {
            format!("a format needs a number, a date or a time, found {}", value.ty)
        } else {
            format!("{} has no text", value.ty)
        };
        return c.type_error(span, message);
    }
    if args.len() == 1 {
        return Typed::new(Node::Coerce(Box::new(value.node), Box::new(Type::Text)), Type::Text);
    }
    let format = c.expr(&args[1]);
    if let Some(Value::Text(text)) = format.node.constant()
        && Format::parse(text).is_none()
    {
        return c.type_error(args[1].span, "this is no format for a number, or for a date or time");
    }
    let mut nodes = vec![value.node, c.fit(format, &Type::Text, args[1].span)];
    if let Some(language) = args.get(2) {
        nodes.push(c.expr_as(language, &Type::Text));
    }
    Typed::new(Node::Strict(text, nodes), Type::Text)
}

fn language<'a>(value: Option<&Value<'a>>) -> Result<Culture, Value<'a>> {
    match value {
        None | Some(Value::Blank) => Ok(ENGLISH),
        Some(tag) => {
            let tag = text_of(tag);
            culture(tag).ok_or_else(|| {
                Value::error(ErrorKind::BAD_LANGUAGE_CODE, format!("\"{tag}\" is no language code such as en-GB"))
            })
        }
    }
}

fn text<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let culture = match language(args.get(2)) {
        Ok(culture) => culture,
        Err(error) => return error,
    };
    if matches!(args.get(2), Some(Value::Blank)) {
        return Value::text("");
    }
    let Some(format) = Format::parse(text_of(&args[1])) else {
        return Value::invalid("this is no format for a number, or for a date or time");
    };
    if text_of(&args[1]).is_empty() {
        return Value::text("");
    }
    let mut value = std::mem::take(&mut args[0]);
    if let Value::Untyped(json) = &value {
        let to = match &**json {
            Json::Null => return Value::text(""),
            Json::Number(_) | Json::Bool(_) => Type::Number,
            _ if format.is_date() => Type::DateTime,
            _ => Type::Number,
        };
        value = coerce(env, value, &to);
        if value.is_error() {
            return value;
        }
    }
    format.write_to(env, &value, culture)
}

fn check_number(c: &mut Checker<'_>, args: &[Expr], ty: Type) -> Typed {
    let value = c.expr(&args[0]);
    let run: crate::node::Strict = if ty == Type::Float { float } else { decimal };
    let want = match &value.ty {
        Type::Choice(set) => set.backing(),
        other => other.clone(),
    };
    if !coerces(&want, &ty) || matches!(want, Type::Record(_) | Type::Table(_)) {
        return c.type_error(args[0].span, format!("{} is no number", value.ty));
    }
    let mut nodes = vec![value.node];
    if let Some(language) = args.get(1) {
        nodes.push(c.expr_as(language, &Type::Text));
    }
    Typed::new(Node::Strict(run, nodes), ty)
}

fn parsed<'a>(env: &mut Env<'a>, args: &mut [Value<'a>], to: Type) -> Value<'a> {
    let culture = match language(args.get(1)) {
        Ok(culture) => culture,
        Err(error) => return error,
    };
    let value = std::mem::take(&mut args[0]);
    let text = match &value {
        Value::Text(t) => Some((**t).to_owned()),
        Value::Untyped(json) => match &**json {
            Json::Text(t) => Some(t.to_string()),
            _ => None,
        },
        _ => None,
    };
    let Some(text) = text else { return coerce(env, value, &to) };
    if text.is_empty() {
        return Value::Blank;
    }
    let parsed = number::parse(&text, culture);
    let read = match to {
        Type::Float => parsed.and_then(|p| p.float()).map(Value::Float),
        _ => parsed.and_then(|p| p.decimal()).map(Value::Number),
    };
    read.unwrap_or_else(|| {
        Value::invalid(format!("the text \"{}\" is no number", text.chars().take(40).collect::<String>()))
    })
}

fn decimal<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    parsed(env, args, Type::Number)
}

fn float<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    parsed(env, args, Type::Float)
}

fn check_boolean(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let arg = c.expr(&args[0]);
    let span = args[0].span;
    if let Type::Table(fields) = &arg.ty
        && let Some((name, column)) = fields.single()
    {
        let want = Type::Table(Fields::new([(name.clone(), column.clone())]));
        if !coerces(column, &Type::Boolean) {
            return c.type_error(span, format!("{column} is neither true nor false"));
        }
        let table = c.fit(arg, &want, span);
        return Typed::new(Node::Lift(boolean, vec![(table, true)]), Type::list(Type::Boolean));
    }
    let node = c.fit(arg, &Type::Boolean, span);
    Typed::new(Node::Strict(boolean, vec![node]), Type::Boolean)
}

fn boolean<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    match &args[0] {
        Value::Blank => Value::Blank,
        other => to_boolean(other),
    }
}

fn check_guid(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    match args.first() {
        Some(text) => Typed::new(c.expr_as(text, &Type::Guid), Type::Guid),
        None => {
            c.volatile = true;
            Typed::new(Node::Strict(new_guid, Vec::new()), Type::Guid)
        }
    }
}

fn new_guid<'a>(env: &mut Env<'a>, _: &mut [Value<'a>]) -> Value<'a> {
    let bytes = env.random_bits().to_le_bytes();
    let mut all = [0; 16];
    all[..8].copy_from_slice(&bytes);
    all[8..].copy_from_slice(&env.random_bits().to_le_bytes());
    Value::Guid(uuid::Builder::from_random_bytes(all).into_uuid())
}

fn check_is_numeric(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let value = c.expr(&args[0]);
    Typed::new(Node::Strict(is_numeric, vec![value.node]), Type::Boolean)
}

fn is_numeric<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let numeric = |t: &str| number::parse(t, ENGLISH).is_some();
    Value::Boolean(match &args[0] {
        Value::Number(_) | Value::Float(_) | Value::Date(_) | Value::DateTime(_) | Value::Time(_) => true,
        Value::Text(t) => numeric(t),
        Value::Untyped(json) => match &**json {
            Json::Number(_) => true,
            Json::Text(t) => numeric(t),
            _ => false,
        },
        _ => false,
    })
}
