//! Running a checked formula over one row.

use crate::coerce::{self, coerce};
use crate::error::{ErrorKind, ErrorValue};
use crate::formula::{Context, Slots};
use crate::json::Json;
use crate::node::{Node, Order, Strict, Switch};
use crate::value::{Record, Table, Text, Value};
use crate::{functions, number};
use std::sync::Arc;

/// What an evaluation holds: the row, the clock, the rows of the lambdas around, and what it may still spend.
pub(crate) struct Env<'a> {
    pub slots: &'a dyn Slots,
    pub context: &'a Context,
    pub frames: Vec<Value<'a>>,
    steps_left: u64,
    bytes_left: usize,
    random: u64,
}

impl<'a> Env<'a> {
    pub fn new(slots: &'a dyn Slots, context: &'a Context) -> Self {
        let limits = &context.limits;
        Self {
            slots,
            context,
            frames: Vec::new(),
            steps_left: limits.steps,
            bytes_left: limits.total_bytes,
            random: context.seed,
        }
    }

    /// Counts one turn of a loop.
    pub fn step(&mut self) -> Result<(), Value<'a>> {
        match self.steps_left.checked_sub(1) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(self.exceeded("steps", self.context.limits.steps)),
        }
    }

    /// Counts memory that the evaluation takes; asked before it is taken where the size is known.
    pub fn take(&mut self, bytes: usize) -> Result<(), Value<'a>> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => Err(self.exceeded("bytes", self.context.limits.total_bytes as u64)),
        }
    }

    fn exceeded(&self, what: &str, limit: u64) -> Value<'a> {
        Value::error(ErrorKind::QUOTA_EXCEEDED, format!("the formula used more than its {limit} {what}"))
    }

    /// A new text, within the limits.
    pub fn text(&mut self, text: String) -> Value<'a> {
        if let Err(error) = self.text_room(text.len()) {
            return error;
        }
        Value::Text(Text::Owned(text))
    }

    /// Whether a text of so many bytes may be made.
    pub fn text_room(&mut self, bytes: usize) -> Result<(), Value<'a>> {
        let limit = self.context.limits.text_bytes;
        if bytes > limit {
            let message = format!("a text of {bytes} bytes is longer than the {limit} that are allowed");
            return Err(Value::error(ErrorKind::QUOTA_EXCEEDED, message));
        }
        self.take(bytes)
    }

    /// A new table, within the limits.
    pub fn table(&mut self, rows: Vec<Value<'a>>) -> Value<'a> {
        match self.table_room(rows.len()) {
            Ok(()) => Value::table(rows),
            Err(error) => error,
        }
    }

    /// Whether a table of so many rows may be made.
    pub fn table_room(&mut self, rows: usize) -> Result<(), Value<'a>> {
        let limit = self.context.limits.table_rows;
        if rows > limit {
            let message = format!("a table of {rows} rows is longer than the {limit} that are allowed");
            return Err(Value::error(ErrorKind::QUOTA_EXCEEDED, message));
        }
        self.take(rows.saturating_mul(64))
    }

    /// The next bits of a sequence that the seed decides (splitmix64).
    pub fn random_bits(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    pub fn random(&mut self) -> f64 {
        (self.random_bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evaluates with one more row around.
    pub fn with_row(&mut self, row: Value<'a>, node: &'a Node) -> Value<'a> {
        self.frames.push(row);
        let value = eval(node, self);
        self.frames.pop();
        value
    }
}

/// The rows of a table, or the value that the whole call gives because there are none: a blank or an error.
pub(crate) fn rows<'a>(env: &mut Env<'a>, node: &'a Node) -> Result<Arc<Table<'a>>, Value<'a>> {
    let value = eval(node, env);
    rows_of(env, value)
}

pub(crate) fn rows_of<'a>(env: &mut Env<'a>, value: Value<'a>) -> Result<Arc<Table<'a>>, Value<'a>> {
    match value {
        Value::Table(table) => Ok(table),
        Value::Blank | Value::Error(_) => Err(value),
        Value::Record(_) => Ok(Arc::new(Table { rows: vec![value] })),
        Value::Untyped(json) => match &*json {
            Json::Null => Err(Value::Blank),
            Json::Array(items) => {
                env.table_room(items.len())?;
                Ok(Arc::new(Table { rows: items.iter().map(|i| Value::Untyped(i.clone())).collect() }))
            }
            _ => Err(Value::invalid("expected a JSON array")),
        },
        _ => Err(Value::invalid("expected a table")),
    }
}

pub(crate) fn eval<'a>(node: &'a Node, env: &mut Env<'a>) -> Value<'a> {
    match node {
        Node::Const(value) => value.borrow(),
        Node::Slot(slot) => env.slots.get(*slot),
        Node::Frame(at) => env.frames.as_slice().get(*at).cloned().unwrap_or_default(),
        Node::FrameField(at, name) => env.frames.as_slice().get(*at).map_or(Value::Blank, |row| field(row, name)),
        Node::Field(of, name) => field(&eval(of, env), name),
        Node::Record(names, nodes) => record(names, nodes, env),
        Node::Rows(nodes) => row_list(nodes, env),
        Node::Values(nodes) => value_list(nodes, env),
        Node::Coerce(inner, to) => {
            let value = eval(inner, env);
            coerce(env, value, to)
        }
        Node::Arithmetic(op, left, right) => {
            let (l, r) = (eval(left, env), eval(right, env));
            both(l, r, |l, r| functions::math::arithmetic(*op, l, r))
        }
        Node::Equal(negate, left, right) => {
            let (l, r) = (eval(left, env), eval(right, env));
            let zone = &env.context.zone;
            both(l, r, |l, r| Value::Boolean(coerce::equal(&l, &r, zone) != *negate))
        }
        Node::Order(op, left, right) => {
            let (l, r) = (eval(left, env), eval(right, env));
            both(l, r, |l, r| order(*op, &l, &r, &env.context.zone))
        }
        Node::And(nodes) => short_circuit(nodes, env, false),
        Node::Or(nodes) => short_circuit(nodes, env, true),
        Node::Not(inner) => match eval(inner, env) {
            Value::Boolean(b) => Value::Boolean(!b),
            Value::Blank => Value::Boolean(true),
            other => other,
        },
        Node::Concat(nodes) => concat(nodes, env),
        Node::Trim(inner) => trim(inner, env),
        Node::Lower(inner) => cased(inner, env, false),
        Node::Upper(inner) => cased(inner, env, true),
        Node::If(branches, otherwise) => branch(branches, otherwise, env),
        Node::Switch(switch) => run_switch(switch, env),
        Node::Match(matcher, text) => functions::regex::run(matcher, text, env),
        Node::Lazy(function, nodes) => function(env, nodes),
        Node::Strict(function, nodes) => strict(*function, nodes, env),
        Node::Lift(function, nodes) => lift(*function, nodes, env),
    }
}

/// Hands two values on, or the errors among them.
fn both<'a>(l: Value<'a>, r: Value<'a>, f: impl FnOnce(Value<'a>, Value<'a>) -> Value<'a>) -> Value<'a> {
    match (&l, &r) {
        (Value::Error(_), Value::Error(_)) => join_errors([&l, &r].into_iter()),
        (Value::Error(_), _) => l,
        (_, Value::Error(_)) => r,
        _ => f(l, r),
    }
}

/// All the errors among the values as one; there must be one at least.
pub(crate) fn join_errors<'v, 'a: 'v>(values: impl Iterator<Item = &'v Value<'a>>) -> Value<'a> {
    let mut errors = Vec::new();
    for value in values {
        if let Value::Error(e) = value {
            errors.extend(e.errors.iter().cloned());
        }
    }
    errors.truncate(1000);
    Value::Error(Arc::new(ErrorValue { errors }))
}

fn strict<'a>(function: Strict, nodes: &'a [Node], env: &mut Env<'a>) -> Value<'a> {
    match nodes {
        [] => function(env, &mut []),
        [one] => {
            let value = eval(one, env);
            if value.is_error() { value } else { function(env, &mut [value]) }
        }
        [one, two] => {
            let mut values = [eval(one, env), eval(two, env)];
            call(function, &mut values, env)
        }
        [one, two, three] => {
            let mut values = [eval(one, env), eval(two, env), eval(three, env)];
            call(function, &mut values, env)
        }
        nodes => {
            let mut values: Vec<Value<'a>> = nodes.iter().map(|n| eval(n, env)).collect();
            call(function, &mut values, env)
        }
    }
}

fn call<'a>(function: Strict, values: &mut [Value<'a>], env: &mut Env<'a>) -> Value<'a> {
    if values.iter().any(Value::is_error) { join_errors(values.iter()) } else { function(env, values) }
}

/// Maps a function over the rows of its table arguments; a scalar argument is the same in each row.
///
/// Where tables differ in length, the rows that one of them lacks are errors.
fn lift<'a>(function: Strict, nodes: &'a [(Node, bool)], env: &mut Env<'a>) -> Value<'a> {
    enum Arg<'a> {
        Same(Value<'a>),
        Rows(Arc<Table<'a>>),
    }
    let mut args = Vec::new();
    let (mut shortest, mut longest) = (usize::MAX, 0);
    let mut failed = Vec::new();
    for (node, is_table) in nodes {
        let value = eval(node, env);
        if !is_table {
            args.push(Arg::Same(value));
            continue;
        }
        match value {
            Value::Table(table) => {
                shortest = shortest.min(table.rows.len());
                longest = longest.max(table.rows.len());
                args.push(Arg::Rows(table));
            }
            other => failed.push(other),
        }
    }
    if failed.iter().any(Value::is_error) {
        return join_errors(failed.iter());
    }
    if !failed.is_empty() {
        return Value::Blank;
    }
    let mut out = Vec::new();
    if let Err(error) = env.table_room(longest) {
        return error;
    }
    for at in 0..longest {
        if let Err(error) = env.step() {
            return error;
        }
        if at >= shortest {
            let missing = Value::error(ErrorKind::NOT_APPLICABLE, "the tables have different numbers of rows");
            out.push(value_row(missing));
            continue;
        }
        let mut whole = None;
        let mut values: Vec<Value<'a>> = Vec::with_capacity(args.len());
        for arg in &args {
            values.push(match arg {
                Arg::Same(value) => value.clone(),
                Arg::Rows(table) => match &table.rows[at] {
                    Value::Record(r) => r.values.first().cloned().unwrap_or_default(),
                    Value::Error(_) => {
                        whole = Some(table.rows[at].clone());
                        Value::Blank
                    }
                    other => other.clone(),
                },
            });
        }
        out.push(match whole {
            Some(error) => error,
            None => value_row(call(function, &mut values, env)),
        });
    }
    Value::table(out)
}

/// A record with the one field `Value`.
pub(crate) fn value_row(value: Value<'_>) -> Value<'_> {
    thread_local! {
        static NAMES: Arc<[Arc<str>]> = Arc::from([Arc::from("Value")]);
    }
    let names = NAMES.with(Arc::clone);
    Value::Record(Arc::new(Record { names, values: vec![value.shared()] }))
}

pub(crate) fn field<'a>(of: &Value<'a>, name: &str) -> Value<'a> {
    match of {
        Value::Record(record) => record.get(name).cloned().unwrap_or_default(),
        Value::Blank | Value::Error(_) => of.clone(),
        Value::Untyped(json) => match &**json {
            Json::Object(_) | Json::Null => {
                json.get(name).map_or_else(|| Value::Untyped(Arc::new(Json::Null)), |v| Value::Untyped(v.clone()))
            }
            _ => Value::invalid(format!("this JSON value has no fields, so no `{name}`")),
        },
        Value::Reference(reference) => reference
            .columns
            .iter()
            .find(|(column, _)| **column == *name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default(),
        _ => Value::invalid(format!("this value has no fields, so no `{name}`")),
    }
}

fn record<'a>(names: &Arc<[Arc<str>]>, nodes: &'a [Node], env: &mut Env<'a>) -> Value<'a> {
    if let Err(error) = env.take(64 * nodes.len()) {
        return error;
    }
    let values = nodes.iter().map(|n| eval(n, env).shared()).collect();
    Value::Record(Arc::new(Record { names: names.clone(), values }))
}

fn row_list<'a>(nodes: &'a [Node], env: &mut Env<'a>) -> Value<'a> {
    let rows = nodes
        .iter()
        .map(|n| match eval(n, env) {
            row @ (Value::Record(_) | Value::Blank | Value::Error(_) | Value::Untyped(_)) => row,
            other => value_row(other),
        })
        .collect();
    env.table(rows)
}

fn value_list<'a>(nodes: &'a [Node], env: &mut Env<'a>) -> Value<'a> {
    let rows = nodes.iter().map(|n| value_row(eval(n, env))).collect();
    env.table(rows)
}

/// `&&` and `||`: stops at the first value that decides, and at the first error.
fn short_circuit<'a>(nodes: &'a [Node], env: &mut Env<'a>, decides: bool) -> Value<'a> {
    for node in nodes {
        match eval(node, env) {
            Value::Boolean(b) if b == decides => return Value::Boolean(b),
            // A blank counts as false.
            Value::Blank if !decides => return Value::Boolean(false),
            Value::Boolean(_) | Value::Blank => {}
            Value::Error(e) => return Value::Error(e),
            _ => return Value::invalid("expected true or false"),
        }
    }
    Value::Boolean(!decides)
}

fn branch<'a>(branches: &'a [(Node, Node)], otherwise: &'a Node, env: &mut Env<'a>) -> Value<'a> {
    for (condition, then) in branches {
        match eval(condition, env) {
            Value::Boolean(true) => return eval(then, env),
            Value::Boolean(false) | Value::Blank => {}
            Value::Error(e) => return Value::Error(e),
            _ => return Value::invalid("expected true or false"),
        }
    }
    eval(otherwise, env)
}

fn run_switch<'a>(switch: &'a Switch, env: &mut Env<'a>) -> Value<'a> {
    let subject = eval(&switch.subject, env);
    if subject.is_error() {
        return subject;
    }
    for (case, result) in &switch.cases {
        let case = eval(case, env);
        if case.is_error() {
            return case;
        }
        if coerce::equal(&subject, &case, &env.context.zone) {
            return eval(result, env);
        }
    }
    eval(&switch.default, env)
}

fn order<'a>(op: Order, l: &Value<'a>, r: &Value<'a>, zone: &jiff::tz::TimeZone) -> Value<'a> {
    use std::cmp::Ordering::*;
    match coerce::compare(l, r, zone) {
        Ok(ordering) => Value::Boolean(match op {
            Order::Less => ordering == Less,
            Order::LessEqual => ordering != Greater,
            Order::Greater => ordering == Greater,
            Order::GreaterEqual => ordering != Less,
        }),
        Err(error) => error,
    }
}

/// Appends a value as text without making the text first, where it can.
fn append<'a>(out: &mut String, node: &'a Node, env: &mut Env<'a>) -> Result<(), Value<'a>> {
    match node {
        Node::Coerce(inner, to) if **to == crate::types::Type::Text => append(out, inner, env),
        Node::Upper(inner) => {
            let at = out.len();
            append(out, inner, env)?;
            if out[at..].is_ascii() {
                out[at..].make_ascii_uppercase();
            } else {
                let upper = out[at..].to_uppercase();
                out.truncate(at);
                out.push_str(&upper);
            }
            Ok(())
        }
        Node::Lower(inner) => {
            let at = out.len();
            append(out, inner, env)?;
            if out[at..].is_ascii() {
                out[at..].make_ascii_lowercase();
            } else {
                let lower = out[at..].to_lowercase();
                out.truncate(at);
                out.push_str(&lower);
            }
            Ok(())
        }
        Node::Concat(nodes) => {
            let mut failed = Vec::new();
            for node in nodes {
                if let Err(error) = append(out, node, env) {
                    failed.push(error);
                }
            }
            if failed.is_empty() { Ok(()) } else { Err(join_errors(failed.iter())) }
        }
        node => {
            match eval(node, env) {
                Value::Text(text) => out.push_str(&text),
                Value::Blank => {}
                Value::Number(n) if env.context.keeps_digits && matches!(node, Node::Slot(_)) => {
                    out.push_str(&n.to_string());
                }
                Value::Number(n) => number::write_decimal(out, n),
                value @ Value::Error(_) => return Err(value),
                value => match coerce(env, value, &crate::types::Type::Text) {
                    Value::Text(text) => out.push_str(&text),
                    value @ Value::Error(_) => return Err(value),
                    _ => {}
                },
            }
            if out.len() > env.context.limits.text_bytes {
                // Named once more by the caller's own check; stopping here bounds the buffer.
                env.text_room(out.len())?;
            }
            Ok(())
        }
    }
}

fn concat<'a>(nodes: &'a [Node], env: &mut Env<'a>) -> Value<'a> {
    let mut out = String::with_capacity(32);
    let mut failed: Vec<Value<'a>> = Vec::new();
    for node in nodes {
        if let Err(error) = append(&mut out, node, env) {
            failed.push(error);
        }
    }
    if failed.is_empty() { env.text(out) } else { join_errors(failed.iter()) }
}

fn trim<'a>(inner: &'a Node, env: &mut Env<'a>) -> Value<'a> {
    match eval(inner, env) {
        Value::Text(text) => match coerce::trimmed(&text) {
            coerce::Trimmed::Already => Value::Text(text),
            coerce::Trimmed::Slice(from, to) => match text {
                Text::Borrowed(s) => Value::Text(Text::Borrowed(&s[from..to])),
                Text::Owned(mut s) => {
                    s.truncate(to);
                    s.drain(..from);
                    Value::Text(Text::Owned(s))
                }
                Text::Shared(s) => env.text(s[from..to].to_owned()),
            },
            coerce::Trimmed::Rebuilt(text) => env.text(text),
        },
        Value::Blank => Value::text(""),
        other => other,
    }
}

fn cased<'a>(inner: &'a Node, env: &mut Env<'a>, upper: bool) -> Value<'a> {
    match eval(inner, env) {
        Value::Text(text) => {
            let changes = |c: char| if upper { c.is_lowercase() } else { c.is_uppercase() };
            if text.is_ascii() && !text.chars().any(changes) {
                return Value::Text(text);
            }
            env.text(if upper { text.to_uppercase() } else { text.to_lowercase() })
        }
        Value::Blank => Value::text(""),
        other => other,
    }
}
