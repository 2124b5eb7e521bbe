//! JSON in and out.

use super::text::text_of;
use super::{Function, P, R};
use crate::ast::Expr;
use crate::check::{Checker, Typed};
use crate::enums;
use crate::error::{ErrorKind, Span};
use crate::eval::{Env, join_errors};
use crate::json::{parse, quote, write};
use crate::node::Node;
use crate::types::Type;
use crate::value::{Moment, Value};
use crate::{format, number};
use std::sync::Arc;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::plain("ParseJSON", &[P::Text], R::Untyped, parse_json)
        .doc(
            "ParseJSON(text)",
            "The text as an untyped object: its fields are read with a dot, its values with Value, Text, Boolean and their like.",
            &[("Value(ParseJSON(\"{\"\"a\"\": 5}\").a)", "5"), ("Text(Index(ParseJSON(\"[\"\"x\"\"]\"), 1))", "\"x\"")],
        )
        .differs("There is no second argument with a type."),
    Function::special("JSON", 1, 2, check_json).doc(
        "JSON(value, [format])",
        "The value as JSON. The format is JSONFormat.Compact, IndentFour, FlattenValueTables or IgnoreUnsupportedTypes, joined with &.",
        &[("JSON({a: 1, b: [true]})", "\"{\"\"a\"\":1,\"\"b\"\":[{\"\"Value\"\":true}]}\"")],
    ),
];

fn parse_json<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    if args[0].is_blank() {
        return Value::Blank;
    }
    let text = text_of(&args[0]);
    if let Err(error) = env.take(text.len().saturating_mul(4)) {
        return error;
    }
    match parse(text) {
        Ok(json) => Value::Untyped(Arc::new(json)),
        Err(at) => Value::error(ErrorKind::INVALID_JSON, format!("the text is no JSON from byte {at} on")),
    }
}

fn check_json(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let value = c.expr(&args[0]);
    if matches!(value.ty, Type::Void) {
        return c.type_error(args[0].span, "this has no value");
    }
    let mut nodes = vec![value.node];
    if let Some(format) = args.get(1) {
        nodes.push(c.expr_as(format, &enums::ty("JSONFormat")));
    }
    Typed::new(Node::Strict(json, nodes), Type::Text)
}

struct Writer<'a> {
    indent: bool,
    flatten: bool,
    skip_unsupported: bool,
    /// Errors inside the value; all of them are reported.
    failed: Vec<Value<'a>>,
}

fn json<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let options = args.get(1).map_or("", |v| text_of(v));
    let mut writer = Writer {
        indent: options.contains('4'),
        flatten: options.contains('_'),
        skip_unsupported: options.contains('I'),
        failed: Vec::new(),
    };
    let mut out = String::new();
    match writer.write(env, &mut out, &args[0], 0) {
        Ok(()) if writer.failed.is_empty() => env.text(out),
        Ok(()) => join_errors(writer.failed.iter()),
        Err(error) => error,
    }
}

impl<'a> Writer<'a> {
    fn line(&self, out: &mut String, depth: usize) {
        if self.indent {
            out.push('\n');
            out.push_str(&"    ".repeat(depth));
        }
    }

    fn write(&mut self, env: &mut Env<'a>, out: &mut String, value: &Value<'a>, depth: usize) -> Result<(), Value<'a>> {
        if out.len() > env.context.limits.text_bytes {
            env.text_room(out.len())?;
        }
        match value {
            Value::Blank => out.push_str("null"),
            Value::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => number::write_decimal(out, *n),
            Value::Float(f) => number::write_float(out, *f),
            Value::Text(t) => quote(out, t),
            Value::Guid(g) => quote(out, &g.to_string()),
            Value::Date(m) => moment(out, *m, "yyyy-mm-dd"),
            Value::Time(m) => moment(out, *m, "hh:mm:ss.000"),
            Value::DateTime(m) => {
                let utc = jiff::tz::TimeZone::UTC;
                let at = m.to_timestamp(&env.context.zone).map_or(*m, |at| Moment::from_timestamp(at, &utc));
                moment(out, at, "yyyy-mm-dd\\Thh:mm:ss.000\\Z");
            }
            Value::Untyped(json) => write(out, json),
            Value::Error(_) => self.failed.push(value.clone()),
            Value::Reference(_) if self.skip_unsupported => out.push_str("null"),
            Value::Reference(_) => return Err(Value::invalid("a reference has no JSON")),
            Value::Record(record) => {
                out.push('{');
                for (i, (name, value)) in record.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    self.line(out, depth + 1);
                    quote(out, name);
                    out.push_str(if self.indent { ": " } else { ":" });
                    self.write(env, out, value, depth + 1)?;
                }
                if record.iter().len() > 0 {
                    self.line(out, depth);
                }
                out.push('}');
            }
            Value::Table(table) => {
                out.push('[');
                for (i, row) in table.rows.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    self.line(out, depth + 1);
                    match row {
                        Value::Record(r) if self.flatten && r.iter().len() == 1 && r.get("Value").is_some() => {
                            let value = r.get("Value").cloned().unwrap_or_default();
                            self.write(env, out, &value, depth + 1)?;
                        }
                        row => self.write(env, out, row, depth + 1)?,
                    }
                }
                if !table.rows.is_empty() {
                    self.line(out, depth);
                }
                out.push(']');
            }
        }
        Ok(())
    }
}

fn moment(out: &mut String, moment: Moment, as_format: &str) {
    out.push('"');
    format::write_date(out, moment, as_format);
    out.push('"');
}
