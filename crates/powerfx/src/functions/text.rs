//! Text. Positions and lengths count UTF-16 units from 1, as Power Fx does.

use super::{ANY, Function, P, R};
use crate::ast::Expr;
use crate::check::{Checker, Typed};
use crate::coerce::{equal, trimmed};
use crate::error::{ErrorKind, Span};
use crate::eval::{Env, eval, join_errors, rows, value_row};
use crate::node::{Node, Strict};
use crate::types::Type;
use crate::value::{Text, Value};
use rust_decimal::prelude::ToPrimitive;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::plain("Concatenate", &[P::Text], R::Text, concatenate).takes(1, ANY).lifts().doc(
        "Concatenate(text, …)",
        "Texts one after the other, as & does.",
        &[("Concatenate(\"a\", 1, true)", "\"a1true\""), ("\"a\" & Blank() & \"b\"", "\"ab\"")],
    ),
    Function::special("Concat", 2, 3, check_concat).doc(
        "Concat(table, expression, [separator])",
        "The expression's text for each row, one after the other.",
        &[("Concat([1, 2, 3], Value * 2, \", \")", "\"2, 4, 6\"")],
    ),
    Function::plain("Left", &[P::Text, P::Number], R::Text, left).lifts().doc(
        "Left(text, count)",
        "The first characters.",
        &[("Left(\"hello\", 2)", "\"he\"")],
    ),
    Function::plain("Right", &[P::Text, P::Number], R::Text, right).lifts().doc(
        "Right(text, count)",
        "The last characters.",
        &[("Right(\"hello\", 2)", "\"lo\"")],
    ),
    Function::plain("Mid", &[P::Text, P::Number, P::Number], R::Text, mid).takes(2, 3).lifts().doc(
        "Mid(text, start, [count])",
        "Characters from a position on.",
        &[("Mid(\"hello\", 2, 3)", "\"ell\""), ("Mid(\"hello\", 4)", "\"lo\"")],
    ),
    Function::plain("Len", &[P::Text], R::Number, len).lifts().doc(
        "Len(text)",
        "How many characters there are.",
        &[("Len(\"hello\")", "5"), ("Len(Blank())", "0")],
    ),
    Function::special("Lower", 1, 1, |c, a, _| check_simple(c, a, Node::Lower, lower)).doc(
        "Lower(text)",
        "In small letters.",
        &[("Lower(\"ABC\")", "\"abc\"")],
    ),
    Function::special("Upper", 1, 1, |c, a, _| check_simple(c, a, Node::Upper, upper)).doc(
        "Upper(text)",
        "In capital letters.",
        &[("Upper(\"abc\")", "\"ABC\"")],
    ),
    Function::plain("Proper", &[P::Text], R::Text, proper).lifts().doc(
        "Proper(text)",
        "A capital at the start of each word, small letters elsewhere.",
        &[("Proper(\"hELLO wORLD\")", "\"Hello World\"")],
    ),
    Function::special("Trim", 1, 1, |c, a, _| check_simple(c, a, Node::Trim, trim)).doc(
        "Trim(text)",
        "Without spaces at both ends, and with single spaces between words.",
        &[("Trim(\"  a   b \")", "\"a b\"")],
    ),
    Function::plain("TrimEnds", &[P::Text], R::Text, trim_ends).lifts().doc(
        "TrimEnds(text)",
        "Without spaces at both ends.",
        &[("TrimEnds(\"  a   b \")", "\"a   b\"")],
    ),
    Function::plain("Substitute", &[P::Text, P::Text, P::Text, P::Number], R::Text, substitute)
        .takes(3, 4)
        .lifts()
        .doc(
            "Substitute(text, old, new, [which])",
            "With each old text, or only one of its occurrences, replaced by the new one.",
            &[
                ("Substitute(\"a-b-c\", \"-\", \"+\")", "\"a+b+c\""),
                ("Substitute(\"a-b-c\", \"-\", \"+\", 2)", "\"a-b+c\""),
            ],
        ),
    Function::plain("Replace", &[P::Text, P::Number, P::Number, P::Text], R::Text, replace).lifts().doc(
        "Replace(text, start, count, new)",
        "With the characters at a position replaced.",
        &[("Replace(\"abcdef\", 3, 2, \"*\")", "\"ab*ef\"")],
    ),
    Function::plain("Find", &[P::Text, P::Text, P::Number], R::Number, find).takes(2, 3).lifts().doc(
        "Find(text, within, [start])",
        "The position at which a text starts within another, or a blank. Capital and small letters differ.",
        &[("Find(\"o\", \"Hello World\")", "5"), ("Find(\"x\", \"Hello\")", "Blank()")],
    ),
    Function::plain("StartsWith", &[P::Text, P::Text], R::Boolean, starts_with).doc(
        "StartsWith(text, start)",
        "Whether a text starts with another; capital and small letters are alike.",
        &[("StartsWith(\"Hello\", \"he\")", "true")],
    ),
    Function::plain("EndsWith", &[P::Text, P::Text], R::Boolean, ends_with).doc(
        "EndsWith(text, end)",
        "Whether a text ends with another; capital and small letters are alike.",
        &[("EndsWith(\"Hello\", \"LO\")", "true")],
    ),
    Function::plain("Split", &[P::Text, P::Text], R::Texts, split).doc(
        "Split(text, separator)",
        "The parts between separators, as a table with the column Value. An empty separator gives the characters.",
        &[("Split(\"a,b\", \",\")", "Table({Value:\"a\"},{Value:\"b\"})")],
    ),
    Function::plain("Char", &[P::Number], R::Text, char).lifts().doc(
        "Char(number)",
        "The character with a number from 1 to 255.",
        &[("Char(65)", "\"A\"")],
    ),
    Function::plain("UniChar", &[P::Number], R::Text, uni_char).lifts().doc(
        "UniChar(number)",
        "The character with a Unicode number.",
        &[("UniChar(955)", "\"λ\"")],
    ),
    Function::plain("EncodeUrl", &[P::Text], R::Text, encode_url).doc(
        "EncodeUrl(text)",
        "Made fit for a URL.",
        &[("EncodeUrl(\"a b&c\")", "\"a%20b%26c\"")],
    ),
    Function::plain("EncodeHTML", &[P::Text], R::Text, encode_html).doc(
        "EncodeHTML(text)",
        "Made fit for HTML.",
        &[("EncodeHTML(\"<a>\")", "\"&lt;a&gt;\"")],
    ),
    Function::plain("PlainText", &[P::Text], R::Text, crate::html::plain_text).doc(
        "PlainText(html)",
        "Without HTML tags, with line breaks where they had them, and with characters for entities.",
        &[("PlainText(\"<b>a</b> &amp; b\")", "\"a & b\"")],
    ),
];

/// The text of an argument; a blank is empty.
pub(crate) fn text_of<'v>(value: &'v Value<'_>) -> &'v str {
    match value {
        Value::Text(t) => t,
        _ => "",
    }
}

/// The number of an argument cut to a whole one; a blank is zero.
///
/// Shape: within plus and minus 2^62, beyond every position, so that callers may negate it and add to it.
pub(crate) fn whole(value: &Value<'_>) -> i64 {
    let far = 1 << 62;
    let n = match value {
        Value::Number(n) => n.trunc().to_i64().unwrap_or(if n.is_sign_negative() { -far } else { far }),
        Value::Float(f) => *f as i64,
        _ => 0,
    };
    n.clamp(-far, far)
}

pub(crate) fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// The byte at which so many UTF-16 units are over; inside of a pair, the end of it.
fn byte_at(text: &str, units: usize) -> usize {
    if text.is_ascii() {
        return units.min(text.len());
    }
    let mut seen = 0;
    for (at, c) in text.char_indices() {
        if seen >= units {
            return at;
        }
        seen += c.len_utf16();
    }
    text.len()
}

/// A part of a text argument, borrowed where the text is.
fn part<'a>(env: &mut Env<'a>, value: &Value<'a>, from: usize, to: usize) -> Value<'a> {
    match value {
        Value::Text(Text::Borrowed(s)) => Value::Text(Text::Borrowed(&s[from..to])),
        other => env.text(text_of(other)[from..to].to_owned()),
    }
}

fn check_simple(c: &mut Checker<'_>, args: &[Expr], node: fn(Box<Node>) -> Node, lifted: Strict) -> Typed {
    let arg = c.expr(&args[0]);
    if let Type::Table(fields) = &arg.ty {
        let Some((name, _)) = fields.single() else {
            return c.type_error(args[0].span, "expected a text or a table of one column");
        };
        let want = Type::Table(crate::types::Fields::new([(name.clone(), Type::Text)]));
        let table = c.fit(arg, &want, args[0].span);
        return Typed::new(Node::Lift(lifted, vec![(table, true)]), Type::list(Type::Text));
    }
    let text = c.fit(arg, &Type::Text, args[0].span);
    Typed::new(node(Box::new(text)), Type::Text)
}

fn concatenate<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let bytes = args.iter().map(|a| text_of(a).len()).sum();
    if let Err(error) = env.text_room(bytes) {
        return error;
    }
    Value::owned(args.iter().map(|a| text_of(a)).collect())
}

fn check_concat(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let Some(table) = c.table(&args[0]) else { return Typed::error() };
    let body = c.lambda(&table.row, &table.alias, &args[1]);
    let body = c.fit(body, &Type::Text, args[1].span);
    let mut nodes = vec![table.node, body];
    if let Some(separator) = args.get(2) {
        nodes.push(c.expr_as(separator, &Type::Text));
    }
    Typed::new(Node::Lazy(concat, nodes), Type::Text)
}

fn concat<'a>(env: &mut Env<'a>, nodes: &'a [Node]) -> Value<'a> {
    let table = match rows(env, &nodes[0]) {
        Ok(table) => table,
        Err(Value::Blank) => return Value::text(""),
        Err(other) => return other,
    };
    let separator = match nodes.get(2).map(|n| eval(n, env)) {
        Some(error @ Value::Error(_)) => return error,
        Some(value) => value,
        None => Value::Blank,
    };
    let mut out = String::new();
    for (i, row) in table.rows.iter().enumerate() {
        if let Err(error) = env.step() {
            return error;
        }
        let value = env.with_row(row.clone(), &nodes[1]);
        if value.is_error() {
            return join_errors([&value].into_iter());
        }
        if i > 0 {
            out.push_str(text_of(&separator));
        }
        out.push_str(text_of(&value));
        if out.len() > env.context.limits.text_bytes {
            break;
        }
    }
    env.text(out)
}

fn left<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let count = whole(&args[1]);
    if count < 0 {
        return Value::invalid("Left needs a count of 0 or more");
    }
    let end = byte_at(text_of(&args[0]), count as usize);
    part(env, &args[0], 0, end)
}

fn right<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let count = whole(&args[1]);
    if count < 0 {
        return Value::invalid("Right needs a count of 0 or more");
    }
    let text = text_of(&args[0]);
    let start = byte_at(text, utf16_len(text).saturating_sub(count as usize));
    let end = text.len();
    part(env, &args[0], start, end)
}

fn mid<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let start = whole(&args[1]);
    let count = args.get(2).map_or(i64::MAX, whole);
    if start < 1 || count < 0 {
        return Value::invalid("Mid needs a start of 1 or more and a count of 0 or more");
    }
    let text = text_of(&args[0]);
    let from = byte_at(text, start as usize - 1);
    let to = byte_at(text, (start as usize - 1).saturating_add(count as usize));
    part(env, &args[0], from, to.max(from))
}

fn len<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    Value::number(utf16_len(text_of(&args[0])) as u64)
}

fn lower<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    env.text(text_of(&args[0]).to_lowercase())
}

fn upper<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    env.text(text_of(&args[0]).to_uppercase())
}

fn proper<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let mut out = String::new();
    let mut inside = false;
    for c in text_of(&args[0]).chars() {
        if inside && (c.is_alphanumeric() || c == '\'') {
            out.extend(c.to_lowercase());
        } else {
            inside = c.is_alphabetic();
            if inside {
                out.extend(c.to_uppercase());
            } else {
                out.push(c);
            }
        }
    }
    env.text(out)
}

fn trim<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    use crate::coerce::Trimmed;
    match trimmed(text_of(&args[0])) {
        Trimmed::Already => part(env, &args[0], 0, text_of(&args[0]).len()),
        Trimmed::Slice(from, to) => part(env, &args[0], from, to),
        Trimmed::Rebuilt(text) => env.text(text),
    }
}

fn trim_ends<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let text = text_of(&args[0]);
    let inner = text.trim_matches(' ');
    let from = text.len() - text.trim_start_matches(' ').len();
    let to = from + inner.len();
    part(env, &args[0], from.min(to), to)
}

fn substitute<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let which = args.get(3).map(whole);
    if which.is_some_and(|n| n < 1) {
        return Value::invalid("Substitute counts occurrences from 1");
    }
    let (text, old, new) = (text_of(&args[0]), text_of(&args[1]), text_of(&args[2]));
    if old.is_empty() {
        let end = text.len();
        return part(env, &args[0], 0, end);
    }
    if let Some(which) = which {
        let found = text.match_indices(old).nth(usize::try_from(which - 1).unwrap_or(usize::MAX));
        let Some((at, _)) = found else {
            let end = text.len();
            return part(env, &args[0], 0, end);
        };
        let out = format!("{}{new}{}", &text[..at], &text[at + old.len()..]);
        return env.text(out);
    }
    let bytes = text.len() + text.matches(old).count().saturating_mul(new.len());
    if let Err(error) = env.text_room(bytes) {
        return error;
    }
    Value::owned(text.replace(old, new))
}

fn replace<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (start, count) = (whole(&args[1]), whole(&args[2]));
    if start < 1 || count < 0 {
        return Value::invalid("Replace needs a start of 1 or more and a count of 0 or more");
    }
    let text = text_of(&args[0]);
    let from = byte_at(text, start as usize - 1);
    let to = byte_at(text, (start as usize - 1).saturating_add(count as usize)).max(from);
    let out = format!("{}{}{}", &text[..from], text_of(&args[3]), &text[to..]);
    env.text(out)
}

fn find<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (wanted, within) = (text_of(&args[0]), text_of(&args[1]));
    let start = args.get(2).map_or(1, whole);
    let length = utf16_len(within) as i64;
    if start < 1 || start > length + 1 {
        return Value::invalid("Find needs a start within the text");
    }
    let from = byte_at(within, start as usize - 1);
    match within[from..].find(wanted) {
        Some(at) => Value::number(start + utf16_len(&within[from..from + at]) as i64),
        None => Value::Blank,
    }
}

fn starts_with<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (text, start) = (text_of(&args[0]).to_lowercase(), text_of(&args[1]).to_lowercase());
    Value::Boolean(text.starts_with(&start))
}

fn ends_with<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (text, end) = (text_of(&args[0]).to_lowercase(), text_of(&args[1]).to_lowercase());
    Value::Boolean(text.ends_with(&end))
}

fn split<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (text, separator) = (text_of(&args[0]), text_of(&args[1]));
    if let Err(error) = env.text_room(text.len()) {
        return error;
    }
    let parts: Vec<String> = if separator.is_empty() {
        text.chars().map(String::from).collect()
    } else {
        text.split(separator).map(String::from).collect()
    };
    if let Err(error) = env.table_room(parts.len()) {
        return error;
    }
    Value::table(parts.into_iter().map(|p| value_row(Value::owned(p))).collect())
}

fn char<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    match u8::try_from(whole(&args[0])) {
        Ok(n) if n > 0 => Value::owned(char::from(n).to_string()),
        _ => Value::invalid("Char needs a number from 1 to 255"),
    }
}

fn uni_char<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let n = whole(&args[0]);
    if !(1..=0x10FFFF).contains(&n) {
        return Value::invalid("UniChar needs a number from 1 to 1114111");
    }
    match u32::try_from(n).ok().and_then(char::from_u32) {
        Some(c) => Value::owned(c.to_string()),
        None => Value::error(ErrorKind::NOT_APPLICABLE, "this number is half of a surrogate pair"),
    }
}

fn encode_url<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let mut out = String::new();
    for byte in text_of(&args[0]).bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    env.text(out)
}

fn encode_html<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let mut out = String::new();
    for c in text_of(&args[0]).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{a0}'..='\u{ff}' | '\u{10000}'.. => out.push_str(&format!("&#{};", c as u32)),
            c => out.push(c),
        }
    }
    env.text(out)
}

/// `in` and `exactin`: text within text, or a value among the rows of a table.
pub(crate) fn membership<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let exact = matches!(args[2], Value::Boolean(true));
    let Value::Table(table) = &args[1] else {
        let (wanted, within) = (text_of(&args[0]), text_of(&args[1]));
        let found =
            if exact { within.contains(wanted) } else { within.to_lowercase().contains(&wanted.to_lowercase()) };
        return Value::Boolean(found);
    };
    let lower = match &args[0] {
        Value::Text(t) if !exact => Some(t.to_lowercase()),
        _ => None,
    };
    for row in &table.rows {
        if let Err(error) = env.step() {
            return error;
        }
        let value = match row {
            Value::Record(record) => record.values.first().cloned().unwrap_or_default(),
            other => other.clone(),
        };
        let found = match (&value, &lower) {
            (Value::Error(_), _) => false,
            (Value::Text(t), Some(lower)) => t.to_lowercase() == *lower,
            _ => equal(&args[0], &value, &env.context.zone),
        };
        if found {
            return Value::Boolean(true);
        }
    }
    Value::Boolean(false)
}
