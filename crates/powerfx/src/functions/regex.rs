//! Regular expressions, in time that grows with the text only.

use super::Function;
use super::text::{text_of, utf16_len};
use crate::ast::Expr;
use crate::check::{Checker, Typed};
use crate::enums;
use crate::eval::{Env, eval, value_row};
use crate::node::Node;
use crate::pattern;
use crate::types::{Fields, Type};
use crate::value::{Record, Value};
use regex::{Captures, Regex};
use std::sync::Arc;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::special("IsMatch", 2, 3, |c, a, _| check(c, a, Kind::Is))
        .doc(
            "IsMatch(text, pattern, [options])",
            "Whether the pattern is in the text; with MatchOptions.Complete, whether it is the text.",
            &[
                ("IsMatch(\"AB-12\", \"[A-Z]+-\\d+\")", "true"),
                ("IsMatch(\"Hi\", \"h\", MatchOptions.IgnoreCase)", "true"),
            ],
        )
        .differs(IS_DIFFERS),
    Function::special("Match", 2, 3, |c, a, _| check(c, a, Kind::First))
        .doc(
            "Match(text, pattern, [options])",
            "The first match as a record of FullMatch, StartMatch and the named groups, or a blank.",
            &[("Match(\"PT2H\", \"(?<hours>\\d+)H\").hours", "\"2\"")],
        )
        .differs(DIFFERS),
    Function::special("MatchAll", 2, 3, |c, a, _| check(c, a, Kind::All))
        .doc(
            "MatchAll(text, pattern, [options])",
            "All matches as a table.",
            &[("CountRows(MatchAll(\"a1b2\", \"\\d\"))", "2")],
        )
        .differs(DIFFERS),
];

macro_rules! no_look {
    () => {
        "No look-ahead, look-behind or back reference: they would make the time grow without a bound. `$` is the very end of the text, or of a line with Multiline."
    };
}
const IS_DIFFERS: &str = concat!(
    "A part of the text is enough, as everywhere outside of Power Apps, where MatchOptions.Complete is what IsMatch does without options. ",
    no_look!()
);
const DIFFERS: &str = no_look!();

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Is,
    First,
    All,
}

/// A pattern that was read when the formula was checked.
#[derive(Debug)]
pub(crate) struct Matcher {
    kind: Kind,
    regex: Regex,
    /// Where the value of each field comes from, in the order of their names.
    fields: Vec<Source>,
    names: Arc<[Arc<str>]>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    FullMatch,
    StartMatch,
    Numbered,
    Group(usize),
}

fn check(c: &mut Checker<'_>, args: &[Expr], kind: Kind) -> Typed {
    let text = c.expr_as(&args[0], &Type::Text);
    let found = c.expr(&args[1]);
    let is_text = found.ty.backing() == Type::Text;
    let Some(source) = found.node.constant().and_then(Value::as_str).filter(|_| is_text).map(str::to_owned) else {
        return c.type_error(args[1].span, "a pattern is a text that is written in the formula");
    };
    let mut options = String::new();
    if let Some(arg) = args.get(2) {
        let node = c.expr_as(arg, &enums::ty("MatchOptions"));
        match node.constant().and_then(Value::as_str) {
            Some(text) => options = text.to_owned(),
            None => return c.type_error(arg.span, "the options are written in the formula, as MatchOptions"),
        }
    }
    let numbered = options.contains('N');
    let regex = match pattern::compile(&source, &options) {
        Ok(regex) => regex,
        Err(message) => return c.type_error(args[1].span, message),
    };
    let mut fields: Vec<(Arc<str>, Type, Source)> = vec![
        (Arc::from("FullMatch"), Type::Text, Source::FullMatch),
        (Arc::from("StartMatch"), Type::Number, Source::StartMatch),
    ];
    if numbered {
        fields.push((Arc::from("SubMatches"), Type::list(Type::Text), Source::Numbered));
    }
    for (i, name) in regex.capture_names().enumerate() {
        if let Some(name) = name {
            fields.push((Arc::from(name), Type::Text, Source::Group(i)));
        }
    }
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    let types = Fields::new(fields.iter().map(|(n, t, _)| (n.clone(), t.clone())));
    let names = fields.iter().map(|(n, _, _)| n.clone()).collect();
    let matcher = Matcher { kind, regex, fields: fields.into_iter().map(|(_, _, s)| s).collect(), names };
    let ty = match kind {
        Kind::Is => Type::Boolean,
        Kind::First => Type::Record(types),
        Kind::All => Type::Table(types),
    };
    Typed::new(Node::Match(Box::new(matcher), Box::new(text)), ty)
}

pub(crate) fn run<'a>(matcher: &'a Matcher, text: &'a Node, env: &mut Env<'a>) -> Value<'a> {
    let value = eval(text, env);
    if value.is_error() {
        return value;
    }
    let text = text_of(&value);
    match matcher.kind {
        Kind::Is => Value::Boolean(matcher.regex.is_match(text)),
        Kind::First => match matcher.regex.captures(text) {
            Some(found) => record(matcher, text, &found, env),
            None => Value::Blank,
        },
        Kind::All => {
            let mut out = Vec::new();
            for found in matcher.regex.captures_iter(text) {
                if let Err(error) = env.step().and_then(|()| env.table_room(1)) {
                    return error;
                }
                out.push(record(matcher, text, &found, env));
            }
            env.table(out)
        }
    }
}

fn record<'a>(matcher: &'a Matcher, text: &str, found: &Captures<'_>, env: &mut Env<'a>) -> Value<'a> {
    let group = |i: usize| found.get(i).map_or(Value::Blank, |m| Value::owned(m.as_str().to_owned()).shared());
    if let Err(error) = env.take(found[0].len() * 2 + 64 * found.len()) {
        return error;
    }
    let values = matcher
        .fields
        .iter()
        .map(|source| match source {
            Source::FullMatch => group(0),
            Source::StartMatch => {
                let start = found.get(0).map_or(0, |m| m.start());
                Value::number(utf16_len(&text[..start]) as u64 + 1)
            }
            Source::Numbered => Value::table((1..found.len()).map(|i| value_row(group(i))).collect()),
            Source::Group(i) => group(*i),
        })
        .collect();
    Value::Record(Arc::new(Record { names: matcher.names.clone(), values }))
}
