//! Values as the literals that would give them again.

use crate::error::ErrorValue;
use crate::json::Json;
use crate::number;
use crate::value::Value;
use rust_decimal::Decimal;
use std::fmt::Write;

/// Longer output is cut: a value of shared parts can be far larger printed than it is in memory.
pub(crate) const BYTES_MAX: usize = 16 << 20;

/// The value as a canonical literal: `"a""b"`, `12.5`, `true`, `Blank()`, `Date(2026,1,31)`, `Table({Value:1})`.
///
/// Shape: cut soon after 16 MB.
pub fn literal(value: &Value<'_>) -> String {
    let mut out = String::new();
    write_literal(&mut out, value);
    out
}

fn write_literal(out: &mut String, value: &Value<'_>) {
    if out.len() > BYTES_MAX {
        return;
    }
    match value {
        Value::Blank => out.push_str("Blank()"),
        Value::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => write_number(out, *n),
        Value::Float(f) => number::write_float(out, *f),
        Value::Text(t) => quote(out, t),
        Value::Date(m) => {
            let p = m.parts();
            let _ = write!(out, "Date({},{},{})", p.year, p.month, p.day);
        }
        Value::DateTime(m) => {
            let p = m.parts();
            let (h, mi, s, ms) = (p.hour, p.minute, p.second, p.micros / 1000);
            let _ = write!(out, "DateTime({},{},{},{h},{mi},{s},{ms})", p.year, p.month, p.day);
        }
        Value::Time(m) => {
            let p = m.parts();
            let _ = write!(out, "Time({},{},{},{})", p.hour, p.minute, p.second, p.micros / 1000);
        }
        Value::Guid(g) => {
            let _ = write!(out, "GUID(\"{g}\")");
        }
        Value::Reference(r) => {
            out.push_str("Row(");
            quote(out, &r.table);
            out.push(',');
            write_fields(out, r.columns.iter().map(|(n, v)| (&**n, v)));
            out.push(')');
        }
        Value::Record(r) => write_fields(out, r.iter().map(|(n, v)| (&**n, v))),
        Value::Table(t) => {
            out.push_str("Table(");
            for (i, row) in t.rows.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_literal(out, row);
            }
            out.push(')');
        }
        Value::Untyped(json) => write_json(out, json),
        Value::Error(e) => write_error(out, e),
    }
}

/// A long row of zeros is an exponent: `1E+28`.
fn write_number(out: &mut String, n: Decimal) {
    let mut text = String::new();
    number::write_decimal(&mut text, n);
    let digits = text.trim_end_matches('0');
    let zeros = text.len() - digits.len();
    if zeros < 15 || text.contains('.') {
        out.push_str(&text);
        return;
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |d| ("-", d));
    let exponent = zeros + digits.len() - 1;
    let _ = match digits.split_at_checked(1) {
        Some((first, "")) => write!(out, "{sign}{first}E+{exponent}"),
        Some((first, rest)) => write!(out, "{sign}{first}.{rest}E+{exponent}"),
        None => Ok(()),
    };
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

fn write_fields<'v, 'a: 'v>(out: &mut String, fields: impl Iterator<Item = (&'v str, &'v Value<'a>)>) {
    out.push('{');
    for (i, (name, value)) in fields.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_name(out, name);
        out.push(':');
        write_literal(out, value);
    }
    out.push('}');
}

fn write_name(out: &mut String, name: &str) {
    let plain = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !matches!(name, "true" | "false" | "in" | "exactin" | "As" | "And" | "Or" | "Not");
    if plain {
        out.push_str(name);
    } else {
        out.push('\'');
        out.push_str(&name.replace('\'', "''"));
        out.push('\'');
    }
}

/// JSON prints as the value that it holds.
fn write_json(out: &mut String, json: &Json) {
    match json {
        Json::Null => out.push_str("Blank()"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Number(n) => out.push_str(n),
        Json::Text(t) => quote(out, t),
        Json::Array(items) => {
            out.push_str("Table(");
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                if matches!(**item, Json::Object(_)) {
                    write_json(out, item);
                } else {
                    out.push_str("{Value:");
                    write_json(out, item);
                    out.push('}');
                }
            }
            out.push(')');
        }
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (i, (name, value)) in fields.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_name(out, name);
                out.push(':');
                write_json(out, value);
            }
            out.push('}');
        }
    }
}

fn write_error(out: &mut String, error: &ErrorValue) {
    let one = |out: &mut String, kind: crate::error::ErrorKind| {
        let named = crate::error::ErrorKind::ALL.iter().any(|(_, n)| *n == kind.0);
        let _ = if named { write!(out, "{{Kind:ErrorKind.{kind}}}") } else { write!(out, "{{Kind:{kind}}}") };
    };
    out.push_str("Error(");
    if let [single] = error.errors.as_slice() {
        one(out, single.kind);
    } else {
        out.push_str("Table(");
        for (i, e) in error.errors.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            one(out, e.kind);
        }
        out.push(')');
    }
    out.push(')');
}
