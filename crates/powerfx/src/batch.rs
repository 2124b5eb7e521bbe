//! One line of `formula --batch`: an expression and its context in, a literal or an error out.

use crate::error::{Diagnostic, ErrorValue};
use crate::formula::{Context, Expect, compile};
use crate::json::{self, Json};
use crate::scope::Scope;
use crate::types::{Fields, Type};
use crate::value::{Record, Text, Value};
use crate::{number, print};
use std::sync::Arc;

/// Answers one line `{"expr": "…", "context": {…}}` with one line `{"value": "<literal>"}` or
/// `{"error": {"kind": "…", "message": "…", "span": [start, end]}}`.
///
/// The fields of `context` are names that the expression may use, with the types that JSON gives them.
/// Errors: a problem before the run has the kind `Compile` and the bytes that it is about; an error value has its
/// own kind. A line that cannot be read has the kind `Input`.
pub fn answer_line(line: &str, context: &Context) -> String {
    let input = match json::parse(line) {
        Ok(json @ Json::Object(_)) => json,
        Ok(_) => return error("Input", "the line is no JSON object", (0, line.len())),
        Err(at) => return error("Input", "the line is no JSON", (at, at)),
    };
    let Some(Json::Text(expr)) = input.get("expr").map(|e| &**e) else {
        return error("Input", "the line has no text `expr`", (0, line.len()));
    };
    let mut scope = Scope::new();
    let mut row: Vec<Value<'static>> = Vec::new();
    match input.get("context").map(|c| &**c) {
        None | Some(Json::Null) => {}
        Some(Json::Object(fields)) => {
            for (name, json) in fields {
                let (value, ty) = typed(json);
                let slot = scope.add(name, ty);
                row.resize(row.len().max(slot + 1), Value::Blank);
                row[slot] = value;
            }
        }
        Some(_) => return error("Input", "`context` is no JSON object", (0, line.len())),
    }
    match compile(expr, &scope, &Expect::Any) {
        Ok(formula) => match formula.eval(&row, context) {
            Value::Error(e) => error_value(&e),
            value => {
                let literal = print::literal(&value);
                if literal.len() > print::BYTES_MAX {
                    return error("QuotaExceeded", "the value is longer than 16 MB when printed", (0, expr.len()));
                }
                let mut out = String::from("{\"value\":");
                json::quote(&mut out, &literal);
                out.push('}');
                out
            }
        },
        Err(diagnostics) => compile_error(&diagnostics),
    }
}

/// A value of JSON with the type that the checker sees.
fn typed(json: &Json) -> (Value<'static>, Type) {
    match json {
        Json::Null => (Value::Blank, Type::Unknown),
        Json::Bool(b) => (Value::Boolean(*b), Type::Boolean),
        Json::Number(n) => match number::literal(n.trim_start_matches('-')) {
            Some(number) => {
                let number = if n.starts_with('-') { -number } else { number };
                (Value::Number(number), Type::Number)
            }
            None => (Value::Float(n.parse().unwrap_or(f64::MAX)), Type::Float),
        },
        Json::Text(t) => (Value::Text(Text::Shared(t.clone())), Type::Text),
        Json::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(n, j)| (n.clone(), typed(j))).collect();
            let types = Fields::new(fields.iter().map(|(n, (_, ty))| (n.clone(), ty.clone())));
            let record = Record::new(fields.into_iter().map(|(n, (v, _))| (n, v)));
            (Value::Record(Arc::new(record)), Type::Record(types))
        }
        Json::Array(items) => {
            let mut row_type = Type::Blank;
            let mut rows = Vec::new();
            for item in items {
                let (value, ty) = typed(item);
                let (value, ty) = match ty {
                    Type::Record(_) => (value, ty),
                    ty => (crate::eval::value_row(value), Type::Record(Fields::value(ty))),
                };
                row_type = crate::types::union(&row_type, &ty).unwrap_or(Type::Unknown);
                rows.push(value);
            }
            let ty = match row_type {
                Type::Record(fields) => Type::Table(fields),
                Type::Blank => Type::Table(Fields::default()),
                _ => Type::Unknown,
            };
            (Value::table(rows), ty)
        }
    }
}

fn error(kind: &str, message: &str, span: (usize, usize)) -> String {
    let mut out = String::from("{\"error\":{\"kind\":");
    json::quote(&mut out, kind);
    out.push_str(",\"message\":");
    json::quote(&mut out, message);
    out.push_str(&format!(",\"span\":[{},{}]}}}}", span.0, span.1));
    out
}

/// An error that is the result: its kind by name, and every entry in the message where there are several.
fn error_value(e: &ErrorValue) -> String {
    if let [one] = e.errors.as_slice() {
        let mut out = String::from("{\"error\":{\"kind\":");
        json::quote(&mut out, &one.kind.to_string());
        out.push_str(",\"message\":");
        json::quote(&mut out, &one.message);
        out.push_str("}}");
        return out;
    }
    let mut out = String::from("{\"value\":");
    json::quote(&mut out, &print::literal(&Value::Error(Arc::new(e.clone()))));
    out.push('}');
    out
}

fn compile_error(diagnostics: &[Diagnostic]) -> String {
    let Some(first) = diagnostics.first() else {
        return error("Compile", "the formula was refused", (0, 0));
    };
    let mut message = String::new();
    for (i, d) in diagnostics.iter().enumerate() {
        if i > 0 {
            message.push_str("; ");
        }
        message.push_str(&d.message);
        if let Some(help) = &d.help {
            message.push_str(" (");
            message.push_str(help);
            message.push(')');
        }
    }
    error("Compile", &message, (first.start, first.end))
}
