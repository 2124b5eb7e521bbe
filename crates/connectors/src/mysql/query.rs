//! A user's question as MariaDB and MySQL write it.
//!
//! Their collations take `a` for `A`, and most of them `a` for `a `; a question does not. A text is compared by a
//! collation that knows characters alone, beside the column's own where an index serves that. A column that has such a
//! collation by itself is compared as it is.

use record::hash::RowHasher;
use record::query::{Function, Lookup};
use record::{Type, Value, ValueRef};

use crate::sql::engine::{Dialect as _, Letters};
use crate::sql::paged::{Place, Plan};
use crate::sql::query::{Dialect, Sort, in_both, marked, sort_of};

/// The collations that compare characters and nothing else: MariaDB's, and MySQL's.
pub(super) const COLLATIONS: [&str; 2] = ["utf8mb4_nopad_bin", "utf8mb4_0900_bin"];

/// Questions about the columns of a plan.
pub(super) struct Asked<'a> {
    plan: &'a Plan,
    collation: &'static str,
}

impl<'a> Asked<'a> {
    pub fn new(plan: &'a Plan, mariadb: bool) -> Asked<'a> {
        Asked { plan, collation: COLLATIONS[usize::from(!mariadb)] }
    }

    /// A number with the digits that are shown, of a float too.
    fn exactly(&self, number: &str) -> String {
        let is_float = |place: &Place| place.expression == number && place.column.ty == Type::Decimal { scale: None };
        let is_float = self.plan.wanted.iter().any(is_float);
        if is_float { format!("CAST({number} AS DECIMAL(65,30))") } else { number.to_owned() }
    }

    fn by_characters(&self, text: &str) -> String {
        format!("CONVERT({text} USING utf8mb4) COLLATE {}", self.collation)
    }
}

/// White space as `Trim` means it.
const WHITE_SPACE: &str = "[[:space:]\u{85}\u{A0}]+";

impl Dialect for Asked<'_> {
    fn column(&self, name: &str, ty: &Type) -> String {
        let place = self.plan.place(name);
        match (ty, place.column.declared.as_str()) {
            // Of a number of two digits the server makes a year of this century or the last.
            (Type::WholeNumber, "year") => format!("({} + 0)", place.expression),
            (Type::Guid, _) => format!("CAST({} AS CHAR(36))", place.expression),
            // A number of its list, or a document, unless it is asked for its text.
            (Type::Text { .. }, "enum" | "set" | "json" | "inet4" | "inet6") => {
                format!("CAST({} AS CHAR)", place.expression)
            }
            _ => place.expression.clone(),
        }
    }

    fn returned(&self, name: &str, _: &Type) -> String {
        if name.is_empty() { "1".to_owned() } else { self.plan.place(name).expression.clone() }
    }

    fn param(&self, number: usize, value: &Value) -> String {
        let mark = marked(number);
        match value {
            Value::Decimal(number) => format!("CAST({mark} AS DECIMAL(65,{}))", number.scale()),
            Value::Date(_) => format!("CAST({mark} AS DATE)"),
            Value::Time(_) => format!("CAST({mark} AS TIME(6))"),
            Value::Instant(_) => format!("CAST({mark} AS DATETIME(6))"),
            _ => mark,
        }
    }

    fn call(&self, function: Function, parts: &[String], sorts: &[Sort]) -> String {
        let part = |at: usize| parts.get(at).map_or("NULL", String::as_str);
        let (a, b) = (part(0), part(1));
        let (exact_a, exact_b) = (self.by_characters(a), self.by_characters(b));
        let (digits_a, digits_b) = (self.exactly(a), self.exactly(b));
        // More digits than 64 bits have.
        let (number_a, number_b) = (format!("({digits_a} + 0.0)"), format!("NULLIF({digits_b} + 0.0, 0)"));
        match function {
            Function::Contains => format!("(LOCATE({exact_b}, {exact_a}) > 0)"),
            Function::StartsWith => format!("(LEFT({exact_a}, CHAR_LENGTH({b})) = {exact_b})"),
            Function::EndsWith => format!("(RIGHT({exact_a}, CHAR_LENGTH({b})) = {exact_b})"),
            Function::Length => format!("CHAR_LENGTH({a})"),
            Function::IndexOf => format!("(LOCATE({exact_b}, {exact_a}) - 1)"),
            Function::Substring => match parts.get(2) {
                Some(length) => format!(
                    "SUBSTRING({a}, LEAST(GREATEST({b}, 0), 2000000000) + 1, LEAST(GREATEST({length}, 0), 2000000000))"
                ),
                None => format!("SUBSTRING({a}, LEAST(GREATEST({b}, 0), 2000000000) + 1)"),
            },
            Function::ToLower => format!("LOWER({a})"),
            Function::ToUpper => format!("UPPER({a})"),
            // Of a column in another character set the pattern would be no text.
            Function::Trim => format!("REGEXP_REPLACE({exact_a}, '^{WHITE_SPACE}|{WHITE_SPACE}$', '')"),
            Function::TrimWords => format!("TRIM(REGEXP_REPLACE({exact_a}, ' +', ' '))"),
            Function::Concat => format!("CONCAT({exact_a}, {exact_b})"),
            Function::Filled => format!("CASE WHEN CHAR_LENGTH({a}) > 0 THEN {a} END"),
            Function::AsText => shown(a, sorts.first()),
            Function::Year => format!("YEAR({a})"),
            Function::Month => format!("MONTH({a})"),
            Function::Day => format!("DAY({a})"),
            Function::Hour => format!("HOUR({a})"),
            Function::Minute => format!("MINUTE({a})"),
            Function::Second => format!("SECOND({a})"),
            Function::FractionalSeconds => format!("(CAST(MICROSECOND({a}) AS DECIMAL(20,6)) / 1000000)"),
            Function::Date => format!("CAST({a} AS DATE)"),
            Function::Time => format!("CAST({a} AS TIME(6))"),
            Function::Round => format!("ROUND({digits_a})"),
            Function::Floor => format!("FLOOR({digits_a})"),
            Function::Ceiling => format!("CEILING({digits_a})"),
            Function::Add => format!("({number_a} + {digits_b})"),
            Function::Subtract => format!("({number_a} - {digits_b})"),
            Function::Multiply => format!("({number_a} * {digits_b})"),
            Function::Divide => format!("({number_a} DIV {number_b})"),
            // A division has four digits more than what it divides.
            Function::DivideExactly => format!("(CAST({a} AS DECIMAL(60,20)) / {number_b})"),
            // What is left of a number below zero may be a zero with its sign, which equals no other.
            Function::Modulo => format!("({number_a} % {number_b} + 0)"),
            Function::Negate => format!("(- {number_a})"),
            Function::KeyGuid => match key_column(parts) {
                name if self.plan.has(&name) => format!("t.`{name}`"),
                _ => key_guid(parts, sorts),
            },
            Function::AsStored => a.to_owned(),
        }
    }

    fn same(&self, left: &str, right: &str) -> String {
        format!("({left} <=> {right})")
    }

    fn truth(&self, yes: bool) -> &'static str {
        if yes { "TRUE" } else { "FALSE" }
    }

    fn equal(&self, name: &str, ty: &Type, value: &Value) -> Option<(String, Vec<Value>)> {
        let place = self.plan.place(name);
        let column = &place.expression;
        match (ty, value) {
            (Type::Guid, Value::Guid(guid)) => Some((format!("{column} = {{}}"), vec![Value::Text(guid.to_string())])),
            (Type::Text { .. } | Type::Multiline { .. }, Value::Text(text) | Value::Choice(text))
                // A document equals no text; only its own text does.
                if !place.column.by_characters && place.column.declared != "json" =>
            {
                let exact = [&*self.column(name, ty), "{}"].map(|side| self.by_characters(side));
                let own = match &place.column.letters {
                    Letters::All => "{}".to_owned(),
                    // The server refuses to compare it with letters that it does not have.
                    Letters::Of(collation) => {
                        let set = collation.split('_').next().unwrap_or_default();
                        format!("CONVERT({{}} USING {set}) COLLATE {collation}")
                    }
                    Letters::Unknown => return None,
                };
                Some(in_both([column, &own], [&exact[0], &exact[1]], text))
            }
            _ => None,
        }
    }

    fn stored(&self, name: &str, _: &Type) -> String {
        self.plan.place(name).expression.clone()
    }

    fn compared(&self, side: String, sort: Sort, column: Option<&str>) -> String {
        if side.starts_with(KEY_COLUMN) {
            return side;
        }
        match sort {
            Sort::Text if column.is_some_and(|name| self.plan.place(name).column.by_characters) => side,
            Sort::Text | Sort::Guid => self.by_characters(&side),
            _ => side,
        }
    }

    fn is_numbered(&self) -> bool {
        false
    }
}

/// How a column is written that keeps hashes of keys.
const KEY_COLUMN: &str = "t.`ironbridge_key_";

/// The column that keeps the hashes of keys of these parts. *Shape*: of other parts it is another one.
fn key_column(parts: &[String]) -> String {
    let of = RowHasher::default().hash(parts.iter().map(|part| ValueRef::Text(part))) as u32;
    format!("ironbridge_key_{of:08x}")
}

/// How rows are found by the hash of their key: by the index of a generated column. *Shape*: nothing to be created where
/// no index says that the key is one, as in a view.
pub(super) fn lookup(plan: &Plan, table: &str, key: &[String], mariadb: bool) -> Lookup {
    let asked = Asked::new(plan, mariadb);
    let of = |name: &String| plan.schema.index(name).map_or(&Type::Unknown, |at| &plan.schema.columns()[at].ty);
    let parts: Vec<String> = key.iter().map(|name| asked.column(name, of(name))).collect();
    let sorts: Vec<Sort> = key.iter().filter_map(|name| sort_of(of(name))).collect();
    let name = key_column(&parts);
    if plan.has(&name) {
        return Lookup::Indexed;
    }
    if !plan.unique {
        return Lookup::Scan;
    }
    let bare: Vec<String> = parts.iter().map(|part| part.replacen("t.`", "`", 1)).collect();
    let (table, collation, hash) = (super::dialect::MySql.table(table), asked.collation, key_guid(&bare, &sorts));
    Lookup::Needs(format!(
        "ALTER TABLE {table} ADD COLUMN `{name}` CHAR(36) CHARACTER SET utf8mb4 COLLATE {collation} \
         GENERATED ALWAYS AS ({hash}) VIRTUAL INVISIBLE, ADD INDEX `{name}` (`{name}`);"
    ))
}

/// The text of a value. A number is not written as it was declared to be: with zeros before it, or as bytes.
fn shown(value: &str, sort: Option<&Sort>) -> String {
    let number = if sort == Some(&Sort::Number) { " + 0" } else { "" };
    format!("CAST({value}{number} AS CHAR)")
}

/// The hash of [`record::guid::hashed`], in SQL.
fn key_guid(parts: &[String], sorts: &[Sort]) -> String {
    // A backslash in a text is an escape, or not, as the server is set.
    const BACKSLASH: &str = "CHAR(92 USING utf8mb4)";
    let text = |(at, part): (usize, &String)| {
        let text = shown(part, sorts.get(at));
        let doubled = format!("REPLACE({text}, {BACKSLASH}, CONCAT({BACKSLASH}, {BACKSLASH}))");
        format!("REPLACE({doubled}, '|', CONCAT({BACKSLASH}, '|'))")
    };
    let whole: Vec<String> = parts.iter().enumerate().map(text).collect();
    let hash = format!("SHA2(CONCAT({}), 256)", whole.join(", '|', "));
    // The hash stands here twice and not six times: it is computed anew wherever it stands.
    let variant = format!("SUBSTRING('89ab89ab89ab89ab', CONV(SUBSTRING({hash}, 17, 1), 16, 10) + 1, 1)");
    let marked = format!("INSERT(INSERT(SUBSTRING({hash}, 1, 32), 17, 1, {variant}), 13, 1, '8')");
    [21, 17, 13, 9].iter().fold(marked, |guid, at| format!("INSERT({guid}, {at}, 0, '-')"))
}

#[cfg(test)]
mod tests {
    use record::query::{Comparison, Expr, Query};

    use super::*;
    use crate::sql::query::write;

    /// What is bound twice is there twice, in the order of the statement.
    #[test]
    fn an_operand_that_is_written_twice_is_bound_twice() {
        let column = |name: &str, ty| crate::sql::engine::SqlColumn {
            name: name.into(),
            ty,
            declared: String::new(),
            filled: false,
            fraction: 0,
            required: false,
            writable: true,
            counted: false,
            by_characters: name == "code",
            letters: if name == "old" { Letters::Of("latin1_german1_ci".into()) } else { Letters::All },
            is_short_float: false,
            labels: Vec::new(),
        };
        let text = || Type::Text { max_length: None };
        let columns = vec![
            column("qty", Type::WholeNumber),
            column("name", text()),
            column("code", text()),
            column("old", text()),
        ];
        let plan = Plan::for_tests(&super::super::dialect::MySql, columns);
        let check = |filter: Expr, expected: &str, bound: &[Value]| {
            let query = Query { filter: Some(filter), limit: 5, skip: 2, count: true, ..Query::default() };
            let statements = write(&Asked::new(&plan, true), "`stock` AS t", &plan.schema, &query);
            let rows = format!("SELECT 1 FROM `stock` AS t WHERE {expected} LIMIT 5 OFFSET 2");
            assert_eq!(statements.rows, rows);
            assert_eq!(statements.count, Some(format!("SELECT count(*) FROM `stock` AS t WHERE {expected}")));
            assert_eq!(statements.bound.iter().map(|(value, _)| value.clone()).collect::<Vec<_>>(), bound);
            assert_eq!(statements.bound, statements.count_bound);
        };
        let add = Expr::Call(Function::Add, vec![Expr::column("qty"), Expr::Value(Value::Int(1))]);
        let not_equal = Expr::Compare(Comparison::NotEqual, Box::new(add), Box::new(Expr::Value(Value::Int(8))));
        let expected = "(((t.`qty` + 0.0) + ?) <> ? OR ((t.`qty` + 0.0) + ?) IS NULL)";
        check(not_equal, expected, &[Value::Int(1), Value::Int(8), Value::Int(1)]);
        check(
            Expr::equal(Expr::column("name"), "a ".into()),
            "(t.`name` = ? AND CONVERT(t.`name` USING utf8mb4) COLLATE utf8mb4_nopad_bin = CONVERT(? USING utf8mb4) COLLATE utf8mb4_nopad_bin)",
            &["a ".into(), "a ".into()],
        );
        check(
            Expr::equal(Expr::column("old"), "東".into()),
            "(t.`old` = CONVERT(? USING latin1) COLLATE latin1_german1_ci AND CONVERT(t.`old` USING utf8mb4) COLLATE utf8mb4_nopad_bin = CONVERT(? USING utf8mb4) COLLATE utf8mb4_nopad_bin)",
            &["東".into(), "東".into()],
        );
        check(
            Expr::equal(Expr::column("code"), "a".into()),
            "t.`code` = CONVERT(? USING utf8mb4) COLLATE utf8mb4_nopad_bin",
            &["a".into()],
        );
    }
}
