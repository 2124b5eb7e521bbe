//! A user's question as SQL: every value bound, every name quoted, nulls as the question means them.
//!
//! What databases say in different words is in [`Dialect`]. The rest is here once: a comparison is never null, `not` of
//! it includes the rows without a value, and a long chain of `or` becomes a balanced tree, since databases bound the
//! depth of an expression.

use record::query::{Comparison, Expr, Function, Order, Query};
use record::{Schema, Type, Value};

mod first;

use first::First;
pub(crate) use first::Onwards;

/// What an expression gives, as far as SQL has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Text,
    Number,
    Bool,
    Date,
    Time,
    Instant,
    Guid,
    Bytes,
}

/// How one kind of database says things.
pub(crate) trait Dialect {
    /// A column in an expression, so that it compares as its type means it.
    fn column(&self, name: &str, ty: &Type) -> String;

    /// A column in the list of what is returned.
    fn returned(&self, name: &str, ty: &Type) -> String;

    /// The placeholder of this value, which has this number, from 1.
    fn param(&self, number: usize, value: &Value) -> String;

    /// A function over parts that are SQL already; `sorts` are those of the parts.
    fn call(&self, function: Function, parts: &[String], sorts: &[Sort]) -> String;

    /// Equal, or both without a value.
    fn same(&self, left: &str, right: &str) -> String;

    /// A text that is compared with another one that is no value: two columns may compare by different rules.
    fn alike(&self, text: String) -> String {
        text
    }

    /// `true` and `false` as values.
    fn truth(&self, yes: bool) -> &'static str;

    /// A condition that holds for a column that is a yes or no.
    fn holds(&self, column: &str) -> String {
        format!("({column} = 1)")
    }

    /// What rows are ordered by; `column` where it is one.
    fn order(&self, by: &str, descending: bool, column: Option<&str>) -> String {
        let _ = column;
        format!("{by}{}", if descending { " DESC" } else { "" })
    }

    /// A column as its index has it, of [`Function::AsStored`].
    fn stored(&self, name: &str, ty: &Type) -> String {
        self.column(name, ty)
    }

    /// A side of a comparison, or what rows are ordered by, so that equal and less are those of its sort; `column`
    /// where it is one.
    fn compared(&self, side: String, sort: Sort, column: Option<&str>) -> String {
        let _ = (sort, column);
        side
    }

    /// What follows the order. Both numbers are our own, never text of a user.
    fn page(&self, limit: u64, skip: u64, ordered: bool) -> String {
        let _ = ordered;
        let skip = if skip > 0 { format!(" OFFSET {skip}") } else { String::new() };
        format!(" LIMIT {limit}{skip}")
    }

    /// Whether a condition is a value: can be compared, returned and ordered by.
    fn conditions_are_values(&self) -> bool {
        true
    }

    /// Digits of a second that its columns keep at most: what has more of them is between two values.
    fn second_digits(&self) -> u32 {
        6
    }

    /// Whether placeholders are numbered. Those that are not are written by [`Dialect::param`] as [`marked`], and
    /// become a `?` each in the end.
    fn is_numbered(&self) -> bool {
        true
    }

    /// Another way to write `column = value` that an index serves, where the plain one would not be right.
    fn equal(&self, name: &str, ty: &Type, value: &Value) -> Option<(String, Vec<Value>)> {
        let _ = (name, ty, value);
        None
    }

    /// How a column that is less or greater than a value is found, where the database has a way of its own that an index
    /// serves. *Shape*: each `{}` stands for the value.
    fn beyond(&self, name: &str, op: Comparison, value: &Value) -> Option<String> {
        let _ = (name, op, value);
        None
    }

    /// Whether these columns together have an index that orders rows as [`Dialect::column`] compares them, no two rows have
    /// the same in them, and none of them is ever blank: then the index alone finds where a page begins.
    fn seeks(&self, order: &[(&str, &Type)]) -> bool {
        let _ = order;
        false
    }

    /// What bounds a beginning of this column from both sides, for the index, and whether that is the test itself
    /// already. *Shape*: `column` is the SQL of it.
    fn begins(&self, name: &str, column: &str, from: &str, before: &str) -> Option<(String, bool)> {
        let _ = (name, column, from, before);
        None
    }
}

/// The statements of a question, with what is bound to them in their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statements {
    pub rows: String,
    pub bound: Vec<(Value, Sort)>,
    /// The rows from a known one on, where that is a way to find them; nothing else is bound then.
    pub onwards: Option<Onwards>,
    /// `SELECT count(*)`, where it was asked for, and what is bound there.
    pub count: Option<String>,
    pub count_bound: Vec<(Value, Sort)>,
}

/// The placeholder of a value with this number, for a database that counts them by their places.
pub(crate) fn marked(number: usize) -> String {
    format!("\u{1}{number}\u{1}")
}

/// The statement with a `?` for each mark, and what is bound to them: an operand that was written twice is bound twice.
fn by_place(sql: &str, bound: &[(Value, Sort)]) -> (String, Vec<(Value, Sort)>) {
    let (mut out, mut all) = (String::with_capacity(sql.len()), Vec::with_capacity(bound.len()));
    for (at, part) in sql.split('\u{1}').enumerate() {
        let number = part.parse::<usize>().ok().filter(|_| at % 2 == 1);
        match number.and_then(|number| bound.get(number.checked_sub(1)?)) {
            Some(value) => {
                out.push('?');
                all.push(value.clone());
            }
            None => out.push_str(part),
        }
    }
    (out, all)
}

/// Writes a question about `from` (with its name `t` behind it), whose columns have these types. *Shape*: only what [`accepts`] takes.
pub(crate) fn write(dialect: &dyn Dialect, from: &str, schema: &Schema, query: &Query) -> Statements {
    let mut writer = Writer { dialect, schema, bound: Vec::new() };
    let filter = query.filter.as_ref().map(|filter| writer.test(filter, true));
    let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
    let count_bound = if query.count { writer.bound.clone() } else { Vec::new() };
    let columns: Vec<String> = query.columns.iter().map(|name| dialect.returned(name, writer.type_of(name))).collect();
    let columns = if columns.is_empty() { dialect.returned("", &Type::Unknown) } else { columns.join(", ") };
    let order: Vec<String> = query.order.iter().map(|order| writer.order(order)).collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let (limit, skip) = (query.limit.min(i64::MAX as u64), query.skip.min(i64::MAX as u64));
    let page = |limit, skip| dialect.page(limit, skip, !order.is_empty());
    let first = First::of(dialect, schema, query);
    let onwards = first.as_ref().and_then(|first| first.onwards(dialect, from, &columns, &order, query));
    let rows = match first {
        Some(first) => first.page(dialect, from, &columns, &order, limit, skip),
        None => format!("SELECT {columns} FROM {from}{filter}{order}{}", page(limit, skip)),
    };
    let count = query.count.then(|| format!("SELECT count(*) FROM {from}{filter}"));
    let bound = writer.bound;
    if dialect.is_numbered() {
        return Statements { rows, bound, onwards, count, count_bound };
    }
    let (rows, bound_by_place) = by_place(&rows, &bound);
    let (count, count_bound) = match count.map(|count| by_place(&count, &count_bound)) {
        Some((count, bound)) => (Some(count), bound),
        None => (None, Vec::new()),
    };
    Statements { rows, bound: bound_by_place, onwards, count, count_bound }
}

/// A text in a column whose collation takes others for it too: its own finds the rows in its index, the exact one says which
/// of them are meant. *Shape*: of each the two sides, the value as `{}`; for [`Dialect::equal`].
pub(crate) fn in_both(own: [&str; 2], exact: [&str; 2], text: &str) -> (String, Vec<Value>) {
    let sql = format!("({} = {} AND {} = {})", own[0], own[1], exact[0], exact[1]);
    (sql, vec![Value::text(text), Value::text(text)])
}

/// Whether an expression can be written: each column has a type that SQL and we mean alike.
pub(crate) fn accepts(expr: &Expr, schema: &Schema) -> bool {
    match expr {
        Expr::Column(name) => schema.index(name).is_some_and(|at| sort_of(&schema.columns()[at].ty).is_some()),
        Expr::Value(value) => value.is_blank() || sort_of_value(value).is_some() && floor(value, 6).is_none(),
        Expr::And(all) | Expr::Or(all) | Expr::Call(_, all) => all.iter().all(|expr| accepts(expr, schema)),
        Expr::Not(inner) => accepts(inner, schema),
        Expr::In(inner, list) => accepts(inner, schema) && list.iter().all(|value| sort_of_value(value).is_some()),
        asks if asks.asks_for_blank() => true,
        Expr::Compare(_, left, right) => match (&**left, &**right) {
            (side, Expr::Value(value)) | (Expr::Value(value), side) if !matches!(side, Expr::Value(_)) => {
                accepts(side, schema) && (value.is_blank() || sort_of_value(value).is_some())
            }
            (left, right) => accepts(left, schema) && accepts(right, schema),
        },
    }
}

/// The last moment or time before this one with no more digits of a second; nothing where it has no more itself.
fn floor(value: &Value, digits: u32) -> Option<Value> {
    let step = 10_i32.pow(9 - digits.min(9));
    match value {
        Value::Instant(at) => {
            let over = at.subsec_nanosecond().rem_euclid(step);
            (over > 0).then(|| Value::Instant(*at - jiff::SignedDuration::from_nanos(over.into())))
        }
        Value::Time(at) => {
            let over = at.subsec_nanosecond() % step;
            (over > 0).then(|| Value::Time(*at - jiff::SignedDuration::from_nanos(over.into())))
        }
        _ => None,
    }
}

pub(crate) fn sort_of(ty: &Type) -> Option<Sort> {
    Some(match ty {
        Type::Text { .. } | Type::Multiline { .. } => Sort::Text,
        Type::WholeNumber | Type::Decimal { .. } | Type::Money | Type::Float => Sort::Number,
        Type::YesNo => Sort::Bool,
        Type::Date => Sort::Date,
        Type::Time => Sort::Time,
        Type::DateTime => Sort::Instant,
        Type::Guid => Sort::Guid,
        Type::Bytes => Sort::Bytes,
        _ => return None,
    })
}

fn sort_of_value(value: &Value) -> Option<Sort> {
    Some(match value {
        Value::Text(_) | Value::Choice(_) => Sort::Text,
        Value::Int(_) | Value::Decimal(_) | Value::Float(_) => Sort::Number,
        Value::Bool(_) => Sort::Bool,
        Value::Date(_) => Sort::Date,
        Value::Time(_) => Sort::Time,
        Value::Instant(_) => Sort::Instant,
        Value::Guid(_) => Sort::Guid,
        Value::Bytes(_) => Sort::Bytes,
        _ => return None,
    })
}

struct Writer<'a> {
    dialect: &'a dyn Dialect,
    schema: &'a Schema,
    bound: Vec<(Value, Sort)>,
}

impl Writer<'_> {
    fn type_of(&self, name: &str) -> &Type {
        type_of(self.schema, name)
    }

    fn order(&mut self, order: &Order) -> String {
        let by = self.side(&order.by);
        let column = match &order.by {
            Expr::Column(name) => Some(name.as_str()),
            by => as_stored(by),
        };
        self.dialect.order(&by, order.descending, column)
    }

    fn param(&mut self, value: Value, sort: Sort) -> String {
        let param = self.dialect.param(self.bound.len() + 1, &value);
        self.bound.push((value, sort));
        param
    }

    /// An operand that is compared.
    fn side(&mut self, expr: &Expr) -> String {
        if let Some(name) = as_stored(expr) {
            return self.dialect.stored(name, self.type_of(name));
        }
        let (sql, sort) = (self.operand(expr), self.sort(expr));
        let column = match expr {
            Expr::Column(name) => Some(name.as_str()),
            _ => None,
        };
        self.dialect.compared(sql, sort, column)
    }

    /// A value that is compared.
    fn compared_param(&mut self, value: Value) -> String {
        let sort = sort_of_value(&value).unwrap_or(Sort::Text);
        let param = self.param(value, sort);
        self.dialect.compared(param, sort, None)
    }

    fn truth(&self, yes: bool) -> String {
        if yes { "1 = 1".to_owned() } else { "1 = 0".to_owned() }
    }

    /// A condition that holds where the expression is true, or (not `wanted`) where it is false.
    fn test(&mut self, expr: &Expr, wanted: bool) -> String {
        match expr {
            Expr::Not(inner) => self.test(inner, !wanted),
            Expr::And(all) if all.is_empty() => self.truth(wanted),
            Expr::Or(all) if all.is_empty() => self.truth(!wanted),
            Expr::And(all) => self.joined(all, wanted, if wanted { " AND " } else { " OR " }),
            Expr::Or(all) => self.joined(all, wanted, if wanted { " OR " } else { " AND " }),
            Expr::Value(Value::Bool(yes)) => self.truth(*yes == wanted),
            Expr::Value(_) => self.truth(false),
            Expr::Compare(op, left, right) => self.compared(*op, left, right, wanted),
            Expr::In(inner, list) => self.one_of(inner, list, wanted),
            Expr::Column(_) => {
                let holds = {
                    let column = self.operand(expr);
                    self.dialect.holds(&column)
                };
                if wanted { holds } else { format!("NOT ({holds})") }
            }
            Expr::Call(function, arguments) => {
                let call = self.call(*function, arguments);
                if wanted { call } else { format!("NOT ({call})") }
            }
        }
    }

    fn joined(&mut self, all: &[Expr], wanted: bool, word: &str) -> String {
        let parts: Vec<String> = all.iter().map(|expr| self.test(expr, wanted)).collect();
        balanced(&parts, word)
    }

    fn compared(&mut self, op: Comparison, left: &Expr, right: &Expr, wanted: bool) -> String {
        if let Expr::Value(_) = left
            && !matches!(right, Expr::Value(_))
        {
            return self.compared(op.mirrored(), right, left, wanted);
        }
        if let Expr::Value(value) = right
            && let Some(before) = floor(value, self.dialect.second_digits())
        {
            let op = match op {
                Comparison::Equal => return self.truth(!wanted),
                Comparison::NotEqual => return self.truth(wanted),
                Comparison::Less | Comparison::LessOrEqual => Comparison::LessOrEqual,
                Comparison::Greater | Comparison::GreaterOrEqual => Comparison::Greater,
            };
            return self.compared(op, left, &Expr::Value(before), wanted);
        }
        match right {
            Expr::Value(Value::Blank) => {
                let equal = match op {
                    Comparison::Equal => wanted,
                    Comparison::NotEqual => !wanted,
                    // Nothing is less or greater than nothing.
                    _ => return self.truth(!wanted),
                };
                let left = self.operand(left);
                format!("{left} IS {}", if equal { "NULL" } else { "NOT NULL" })
            }
            // A column that tells rows apart is never without a value.
            Expr::Value(value) if as_stored(left).is_some() => {
                let (left, op) = (self.side(left), if wanted { op } else { op.opposite() });
                format!("{left} {op} {}", self.param(value.clone(), Sort::Text))
            }
            Expr::Value(value) => {
                let op = match (op, wanted) {
                    (Comparison::Equal | Comparison::NotEqual, false) => op.opposite(),
                    (op, _) => op,
                };
                if op == Comparison::Equal
                    && let Expr::Column(name) = left
                    && let Some((mut sql, values)) = self.dialect.equal(name, self.type_of(name), value)
                {
                    for value in values {
                        let param = self.param(value, Sort::Text);
                        sql = sql.replacen("{}", &param, 1);
                    }
                    return sql;
                }
                if wanted
                    && let Expr::Column(name) = left
                    && let Some(sql) = self.dialect.beyond(name, op, value)
                {
                    return sql.replace("{}", &self.compared_param(value.clone()));
                }
                let (left, right) = (self.side(left), self.compared_param(value.clone()));
                match op {
                    Comparison::NotEqual => format!("({left} <> {right} OR {left} IS NULL)"),
                    Comparison::Equal => format!("{left} = {right}"),
                    op if wanted => format!("{left} {op} {right}"),
                    op => format!("({left} {} {right} OR {left} IS NULL)", op.opposite()),
                }
            }
            _ => {
                let are_texts = [left, right].iter().all(|side| self.sort(side) == Sort::Text);
                let (mut left, mut right) = (self.side(left), self.side(right));
                if are_texts {
                    (left, right) = (self.dialect.alike(left), self.dialect.alike(right));
                }
                match op {
                    Comparison::Equal | Comparison::NotEqual => {
                        let same = self.dialect.same(&left, &right);
                        if (op == Comparison::Equal) == wanted { same } else { format!("NOT ({same})") }
                    }
                    op if wanted => format!("{left} {op} {right}"),
                    op => format!("({left} {} {right} OR {left} IS NULL OR {right} IS NULL)", op.opposite()),
                }
            }
        }
    }

    fn one_of(&mut self, inner: &Expr, list: &[Value], wanted: bool) -> String {
        let digits = self.dialect.second_digits();
        let list: Vec<&Value> = list.iter().filter(|value| floor(value, digits).is_none()).collect();
        if list.is_empty() {
            return self.truth(!wanted);
        }
        let column = match inner {
            Expr::Column(name) => Some(name),
            _ => None,
        };
        // Where equality has a way of its own, each value takes it.
        if let Some(name) = column
            && self.dialect.equal(name, self.type_of(name), list[0]).is_some()
        {
            let each = list.iter().map(|value| Expr::equal(inner.clone(), (*value).clone())).collect();
            return self.test(&Expr::Or(each), wanted);
        }
        let inner = self.side(inner);
        let params: Vec<String> = list.iter().map(|value| self.compared_param((*value).clone())).collect();
        let params = params.join(", ");
        if wanted {
            format!("{inner} IN ({params})")
        } else {
            format!("({inner} NOT IN ({params}) OR {inner} IS NULL)")
        }
    }

    /// An expression as a value.
    fn operand(&mut self, expr: &Expr) -> String {
        match expr {
            Expr::Column(name) => self.dialect.column(name, self.type_of(name)),
            Expr::Value(Value::Blank) => "NULL".to_owned(),
            Expr::Value(Value::Bool(yes)) => self.dialect.truth(*yes).to_owned(),
            Expr::Value(value) => {
                let sort = sort_of_value(value).unwrap_or(Sort::Text);
                self.param(value.clone(), sort)
            }
            Expr::Call(function, arguments) => {
                let call = self.call(*function, arguments);
                if self.sort(expr) != Sort::Bool || self.dialect.conditions_are_values() {
                    return call;
                }
                let (yes, no) = (self.dialect.truth(true), self.dialect.truth(false));
                format!("CASE WHEN {call} THEN {yes} WHEN NOT {call} THEN {no} END")
            }
            test => {
                let (yes, no) = (self.dialect.truth(true), self.dialect.truth(false));
                let holds = self.test(test, true);
                if test.is_decided() {
                    return format!("CASE WHEN {holds} THEN {yes} ELSE {no} END");
                }
                let fails = self.test(test, false);
                format!("CASE WHEN {holds} THEN {yes} WHEN {fails} THEN {no} END")
            }
        }
    }

    fn call(&mut self, function: Function, arguments: &[Expr]) -> String {
        let sorts: Vec<Sort> = arguments.iter().map(|argument| self.sort(argument)).collect();
        let parts: Vec<String> = arguments.iter().map(|argument| self.operand(argument)).collect();
        let call = self.dialect.call(function, &parts, &sorts);
        let (Function::StartsWith, Some(Expr::Column(name)), Some(Expr::Value(Value::Text(start)))) =
            (function, arguments.first(), arguments.get(1))
        else {
            return call;
        };
        if start.is_empty() || self.dialect.begins(name, "", "", "").is_none() {
            return call;
        }
        // What the call has bound already is the first of the bounds.
        let from = parts[1].clone();
        let before = self.param(Value::Text(format!("{start}\u{10FFFF}")), Sort::Text);
        match self.dialect.begins(name, &parts[0], &from, &before) {
            Some((bounds, true)) => format!("({bounds})"),
            Some((bounds, false)) => format!("({bounds} AND {call})"),
            None => call,
        }
    }

    fn sort(&self, expr: &Expr) -> Sort {
        match expr {
            Expr::Column(name) => sort_of(self.type_of(name)).unwrap_or(Sort::Text),
            Expr::Value(value) => sort_of_value(value).unwrap_or(Sort::Text),
            Expr::Call(function, arguments) => match function {
                Function::Contains | Function::StartsWith | Function::EndsWith => Sort::Bool,
                Function::Substring
                | Function::ToLower
                | Function::ToUpper
                | Function::Trim
                | Function::TrimWords
                | Function::Concat
                | Function::Filled
                | Function::AsText
                | Function::AsStored => Sort::Text,
                Function::Date => Sort::Date,
                Function::Time => Sort::Time,
                Function::KeyGuid => Sort::Guid,
                Function::Round | Function::Floor | Function::Ceiling | Function::Negate => {
                    arguments.first().map_or(Sort::Number, |argument| self.sort(argument))
                }
                _ => Sort::Number,
            },
            _ => Sort::Bool,
        }
    }
}

/// The type of a column.
pub(crate) fn type_of<'s>(schema: &'s Schema, name: &str) -> &'s Type {
    schema.index(name).map_or(&Type::Unknown, |at| &schema.columns()[at].ty)
}

/// The column that is compared as the source does it.
fn as_stored(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Call(Function::AsStored, of) => match of.as_slice() {
            [Expr::Column(name)] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The parts joined as a tree of little depth.
fn balanced(parts: &[String], word: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        several if several.len() <= 8 => format!("({})", several.join(word)),
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            format!("({}{word}{})", balanced(left, word), balanced(right, word))
        }
    }
}

#[cfg(test)]
mod tests;
