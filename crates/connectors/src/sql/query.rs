//! A user's question as SQL: every value bound, every name quoted, nulls as the question means them.
//!
//! What databases say in different words is in [`Dialect`]. The rest is here once: a comparison is never null, `not` of
//! it includes the rows without a value, and a long chain of `or` becomes a balanced tree, since databases bound the
//! depth of an expression.

use record::query::{Comparison, Expr, Function, Order, Query};
use record::{Schema, Type, Value};

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

    /// `true` and `false` as values.
    fn truth(&self, yes: bool) -> &'static str;

    /// A condition that holds for a column that is a yes or no.
    fn holds(&self, column: &str) -> String;

    fn order(&self, by: &str, descending: bool) -> String;

    /// Another way to write `column = value` that an index serves, where the plain one would not be right.
    fn equal(&self, name: &str, ty: &Type, value: &Value) -> Option<(String, Vec<Value>)> {
        let _ = (name, ty, value);
        None
    }

    /// What bounds a beginning from both sides, for the index; beside the test itself.
    fn begins(&self, column: &str, from: &str, before: &str) -> Option<String> {
        let _ = (column, from, before);
        None
    }
}

/// The statements of a question, with what is bound to them in their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statements {
    pub rows: String,
    pub bound: Vec<(Value, Sort)>,
    /// `SELECT count(*)`, where it was asked for, and what is bound there.
    pub count: Option<String>,
    pub count_bound: Vec<(Value, Sort)>,
}

/// Writes a question about `from`, whose columns have these types. *Shape*: only what [`accepts`] takes.
pub(crate) fn write(dialect: &dyn Dialect, from: &str, schema: &Schema, query: &Query) -> Statements {
    let mut writer = Writer { dialect, schema, bound: Vec::new() };
    let filter = query.filter.as_ref().map(|filter| writer.test(filter, true));
    let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
    let count_bound = if query.count { writer.bound.clone() } else { Vec::new() };
    let columns: Vec<String> = query.columns.iter().map(|name| dialect.returned(name, writer.type_of(name))).collect();
    let columns = if columns.is_empty() { dialect.returned("", &Type::Unknown) } else { columns.join(", ") };
    let order: Vec<String> = query.order.iter().map(|order| writer.order(order)).collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    // Both numbers are our own, never text of a user.
    let skip = if query.skip > 0 { format!(" OFFSET {}", query.skip.min(i64::MAX as u64)) } else { String::new() };
    let limit = query.limit.min(i64::MAX as u64);
    Statements {
        rows: format!("SELECT {columns} FROM {from} AS t{filter}{order} LIMIT {limit}{skip}"),
        bound: writer.bound,
        count: query.count.then(|| format!("SELECT count(*) FROM {from} AS t{filter}")),
        count_bound,
    }
}

/// Whether an expression can be written: each column has a type that SQL and we mean alike.
pub(crate) fn accepts(expr: &Expr, schema: &Schema) -> bool {
    match expr {
        Expr::Column(name) => schema.index(name).is_some_and(|at| sort_of(&schema.columns()[at].ty).is_some()),
        Expr::Value(value) => value.is_blank() || sort_of_value(value).is_some(),
        Expr::And(all) | Expr::Or(all) | Expr::Call(_, all) => all.iter().all(|expr| accepts(expr, schema)),
        Expr::Not(inner) => accepts(inner, schema),
        Expr::In(inner, list) => accepts(inner, schema) && list.iter().all(|value| sort_of_value(value).is_some()),
        Expr::Compare(_, left, right) => accepts(left, schema) && accepts(right, schema),
    }
}

fn sort_of(ty: &Type) -> Option<Sort> {
    Some(match ty {
        Type::Text { .. } | Type::Multiline { .. } => Sort::Text,
        Type::WholeNumber | Type::Decimal { .. } | Type::Money | Type::Float => Sort::Number,
        Type::YesNo => Sort::Bool,
        Type::Date => Sort::Date,
        Type::Time => Sort::Time,
        Type::DateTime => Sort::Instant,
        Type::Guid => Sort::Guid,
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
        self.schema.index(name).map_or(&Type::Unknown, |at| &self.schema.columns()[at].ty)
    }

    fn order(&mut self, order: &Order) -> String {
        let by = self.operand(&order.by);
        self.dialect.order(&by, order.descending)
    }

    fn param(&mut self, value: Value, sort: Sort) -> String {
        let param = self.dialect.param(self.bound.len() + 1, &value);
        self.bound.push((value, sort));
        param
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
            Expr::Call(..) => {
                let call = self.operand(expr);
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
                let sort = sort_of_value(value).unwrap_or(Sort::Text);
                let (left, right) = (self.operand(left), self.param(value.clone(), sort));
                match op {
                    Comparison::NotEqual => format!("({left} <> {right} OR {left} IS NULL)"),
                    Comparison::Equal => format!("{left} = {right}"),
                    op if wanted => format!("{left} {op} {right}"),
                    op => format!("({left} {} {right} OR {left} IS NULL)", op.opposite()),
                }
            }
            _ => {
                let (left, right) = (self.operand(left), self.operand(right));
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
        if list.is_empty() {
            return self.truth(!wanted);
        }
        let column = match inner {
            Expr::Column(name) => Some(name),
            _ => None,
        };
        // Where equality has a way of its own, each value takes it.
        if let Some(name) = column
            && self.dialect.equal(name, self.type_of(name), &list[0]).is_some()
        {
            let each = list.iter().map(|value| Expr::equal(inner.clone(), value.clone())).collect();
            return self.test(&Expr::Or(each), wanted);
        }
        let inner = self.operand(inner);
        let params: Vec<String> =
            list.iter().map(|value| self.param(value.clone(), sort_of_value(value).unwrap_or(Sort::Text))).collect();
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
            Expr::Call(function, arguments) => self.call(*function, arguments),
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
        let (Function::StartsWith, Some(Expr::Column(_)), Some(Expr::Value(Value::Text(start)))) =
            (function, arguments.first(), arguments.get(1))
        else {
            return call;
        };
        if start.is_empty() || self.dialect.begins("", "", "").is_none() {
            return call;
        }
        let (from, before) = (
            self.param(Value::text(start), Sort::Text),
            self.param(Value::Text(format!("{start}\u{10FFFF}")), Sort::Text),
        );
        match self.dialect.begins(&parts[0], &from, &before) {
            Some(bounds) => format!("({bounds} AND {call})"),
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
                | Function::Filled => Sort::Text,
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
mod tests {
    use super::*;

    struct Plain;

    impl Dialect for Plain {
        fn column(&self, name: &str, _: &Type) -> String {
            format!("t.{}", crate::sql::quote(name))
        }
        fn returned(&self, name: &str, ty: &Type) -> String {
            self.column(name, ty)
        }
        fn param(&self, number: usize, _: &Value) -> String {
            format!("?{number}")
        }
        fn call(&self, function: Function, parts: &[String], _: &[Sort]) -> String {
            format!("{}({})", function.name(), parts.join(", "))
        }
        fn same(&self, left: &str, right: &str) -> String {
            format!("{left} IS {right}")
        }
        fn truth(&self, yes: bool) -> &'static str {
            if yes { "TRUE" } else { "FALSE" }
        }
        fn holds(&self, column: &str) -> String {
            column.to_owned()
        }
        fn order(&self, by: &str, descending: bool) -> String {
            format!("{by}{}", if descending { " DESC" } else { "" })
        }
    }

    fn check(expr: Expr, expected: &str) {
        let schema =
            Schema::of([("a\"b", Type::WholeNumber), ("n", Type::Text { max_length: None }), ("y", Type::YesNo)]);
        assert!(accepts(&expr, &schema));
        let query = Query { filter: Some(expr), limit: 5, ..Query::default() };
        let statements = write(&Plain, "x", &schema, &query);
        let sql = statements.rows.split(" WHERE ").nth(1).unwrap().trim_end_matches(" LIMIT 5");
        assert_eq!(sql, expected);
    }

    #[test]
    fn nulls_are_where_the_question_has_them() {
        let a = || Box::new(Expr::column("a\"b"));
        let compare = |op, value: Value| Expr::Compare(op, a(), Box::new(Expr::Value(value)));
        let not = |expr| Expr::Not(Box::new(expr));
        check(compare(Comparison::Equal, Value::Int(1)), "t.\"a\"\"b\" = ?1");
        check(compare(Comparison::NotEqual, Value::Int(1)), "(t.\"a\"\"b\" <> ?1 OR t.\"a\"\"b\" IS NULL)");
        check(not(compare(Comparison::Equal, Value::Int(1))), "(t.\"a\"\"b\" <> ?1 OR t.\"a\"\"b\" IS NULL)");
        check(not(compare(Comparison::Greater, Value::Int(1))), "(t.\"a\"\"b\" <= ?1 OR t.\"a\"\"b\" IS NULL)");
        check(compare(Comparison::Equal, Value::Blank), "t.\"a\"\"b\" IS NULL");
        check(not(compare(Comparison::Less, Value::Blank)), "1 = 1");
        check(not(Expr::In(a(), vec![Value::Int(1)])), "(t.\"a\"\"b\" NOT IN (?1) OR t.\"a\"\"b\" IS NULL)");
        check(Expr::In(a(), vec![]), "1 = 0");
        check(not(Expr::column("y")), "NOT (t.\"y\")");
        let contains = Expr::Call(Function::Contains, vec![Expr::column("n"), Expr::Value("'; --".into())]);
        check(not(contains.clone()), "NOT (contains(t.\"n\", ?1))");
        check(Expr::equal(contains, Value::Bool(true)), "contains(t.\"n\", ?1) = ?2");
        check(
            not(Expr::And(vec![compare(Comparison::Equal, Value::Int(1)), Expr::column("y")])),
            "((t.\"a\"\"b\" <> ?1 OR t.\"a\"\"b\" IS NULL) OR NOT (t.\"y\"))",
        );
        check(
            Expr::equal(compare(Comparison::Less, Value::Int(1)), Value::Bool(false)),
            "CASE WHEN t.\"a\"\"b\" < ?1 THEN TRUE ELSE FALSE END = ?2",
        );
    }

    #[test]
    fn a_long_chain_stays_shallow() {
        let each = (0..4_000).map(|n| Expr::equal(Expr::column("a\"b"), Value::Int(n))).collect();
        let schema = Schema::of([("a\"b", Type::WholeNumber)]);
        let query = Query { filter: Some(Expr::Or(each)), limit: 1, ..Query::default() };
        let sql = write(&Plain, "x", &schema, &query).rows;
        let depth = sql.chars().fold((0i32, 0i32), |(now, most), c| match c {
            '(' => (now + 1, most.max(now + 1)),
            ')' => (now - 1, most),
            _ => (now, most),
        });
        assert!(depth.1 < 20, "{} deep", depth.1);
    }
}
