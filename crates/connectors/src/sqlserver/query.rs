//! A user's question as SQL Server writes it.
//!
//! Texts are compared in a binary collation, beside the column's own where an index serves that. Spaces at the end
//! count for nothing in any of its collations, so a character of code 0 goes behind each side. A condition is no value,
//! GUIDs sort by their last bytes first, and `ORDER BY` is needed for a page.

use record::query::Function;
use record::{Type, Value};

use super::dialect::{SqlServer, base};
use crate::sql::engine::{Cell, Dialect as _};
use crate::sql::paged::Plan;
use crate::sql::query::{Dialect, Sort, in_both};

const BY_CHARACTERS: &str = "COLLATE Latin1_General_100_BIN2";
/// Knows that a character may take two places.
const IN_CHARACTERS: &str = "COLLATE Latin1_General_100_CS_AS_SC";
const AS_UTF8: &str = "COLLATE Latin1_General_100_CI_AS_SC_UTF8";

/// Questions about the columns of a plan.
pub(super) struct Asked<'a> {
    pub plan: &'a Plan,
}

/// What the server computes as it is meant. It has no expressions that could reduce spaces between words.
pub(super) fn computes(function: Function) -> bool {
    !matches!(function, Function::TrimWords | Function::AsStored)
}

/// White space as `Trim` means it.
const WHITE_SPACE: &str = " \t\n\r\u{B}\u{C}\u{85}\u{A0}";

impl Dialect for Asked<'_> {
    fn column(&self, name: &str, ty: &Type) -> String {
        let expression = &self.plan.place(name).expression;
        match ty {
            Type::Text { .. } | Type::Multiline { .. } => {
                format!("(CONVERT(nvarchar(max), {expression}) {BY_CHARACTERS})")
            }
            // Its ticks are thirds of a hundredth of a second, and compared as such; shown are the milliseconds.
            Type::DateTime | Type::LocalDateTime if base(&self.plan.place(name).column.declared) == "datetime" => {
                format!("CAST({expression} AS datetime2(3))")
            }
            _ => expression.clone(),
        }
    }

    fn returned(&self, name: &str, _: &Type) -> String {
        if name.is_empty() {
            return "1".to_owned();
        }
        let place = self.plan.place(name);
        SqlServer.exact(place.expression.clone(), &place.column)
    }

    fn param(&self, number: usize, value: &Value) -> String {
        let ty = match value {
            Value::Decimal(number) => format!("decimal(38,{})", number.scale()),
            Value::Bool(_) => "bit".to_owned(),
            Value::Date(_) => "date".to_owned(),
            Value::Time(_) => "time(7)".to_owned(),
            Value::Instant(_) => "datetimeoffset(7)".to_owned(),
            _ => return format!("@P{number}"),
        };
        format!("CAST(@P{number} AS {ty})")
    }

    fn call(&self, function: Function, parts: &[String], sorts: &[Sort]) -> String {
        let part = |at: usize| parts.get(at).map_or("NULL", String::as_str);
        // One side that is compared by characters is enough for both.
        let exact = match sorts.first() {
            Some(Sort::Text) if !part(0).ends_with(&format!("{BY_CHARACTERS})")) => {
                format!("({} {BY_CHARACTERS})", part(0))
            }
            _ => part(0).to_owned(),
        };
        let (a, b) = (exact.as_str(), part(1));
        let places = |text: &str| format!("(DATALENGTH({text}) / 2)");
        let characters = |text: &str| format!("(LEN(({text} + N'.') {IN_CHARACTERS}) - 1)");
        let at_least_0 = |number: &str| {
            format!(
                "CASE WHEN {number} < 0 THEN 0 WHEN {number} > 1000000000 THEN 1000000000 ELSE CAST({number} AS int) END"
            )
        };
        // More digits than 64 bits have.
        let (number_a, number_b) = (format!("({a} * 1.0)"), format!("NULLIF({b} * 1.0, 0)"));
        let date_part = |what: &str| match sorts.first() {
            Some(Sort::Instant) => format!("DATEPART({what}, SWITCHOFFSET(CAST({a} AS datetimeoffset(7)), '+00:00'))"),
            Some(Sort::Date) => format!("DATEPART({what}, CAST({a} AS datetime2(7)))"),
            _ => format!("DATEPART({what}, {a})"),
        };
        match function {
            // Nothing is found nowhere; but every text contains it.
            Function::Contains => format!("(CHARINDEX({b}, {a}) > 0 OR (DATALENGTH({b}) = 0 AND {a} = {a}))"),
            Function::StartsWith => format!("(LEFT({a}, {}) + N'.' = {b} + N'.')", places(b)),
            Function::EndsWith => format!("(RIGHT({a}, {}) + N'.' = {b} + N'.')", places(b)),
            Function::Length => characters(a),
            Function::IndexOf => format!(
                "CASE WHEN DATALENGTH({b}) = 0 THEN LEN({a}) * 0 WHEN CHARINDEX({b}, {a}) = 0 THEN -1 ELSE {} END",
                characters(&format!("LEFT({a}, CHARINDEX({b}, {a}) - 1)"))
            ),
            Function::Substring => {
                let length = match parts.get(2) {
                    Some(length) => at_least_0(length),
                    None => "1000000000".to_owned(),
                };
                format!("(SUBSTRING({a} {IN_CHARACTERS}, {} + 1, {length}) {BY_CHARACTERS})", at_least_0(b))
            }
            Function::ToLower => format!("LOWER({a})"),
            Function::ToUpper => format!("UPPER({a})"),
            Function::Trim => format!("TRIM(N'{WHITE_SPACE}' FROM {a})"),
            Function::TrimWords => a.to_owned(),
            Function::Concat => format!("({a} + {b})"),
            Function::Filled => format!("CASE WHEN DATALENGTH({a}) > 0 THEN {a} END"),
            Function::AsText => format!("({} {BY_CHARACTERS})", shown(a, sorts.first())),
            Function::Year => date_part("year"),
            Function::Month => date_part("month"),
            Function::Day => date_part("day"),
            Function::Hour => date_part("hour"),
            Function::Minute => date_part("minute"),
            Function::Second => date_part("second"),
            Function::FractionalSeconds => {
                format!("(CAST({} AS decimal(20,9)) / 1000000000)", date_part("nanosecond"))
            }
            Function::Date | Function::Time => {
                let ty = if function == Function::Date { "date" } else { "time(7)" };
                match sorts.first() {
                    Some(Sort::Instant) => {
                        format!("CAST(SWITCHOFFSET(CAST({a} AS datetimeoffset(7)), '+00:00') AS {ty})")
                    }
                    Some(Sort::Date) => format!("CAST(CAST({a} AS datetime2(7)) AS {ty})"),
                    _ => format!("CAST({a} AS {ty})"),
                }
            }
            Function::Round => format!("ROUND({a}, 0)"),
            Function::Floor => format!("FLOOR({a})"),
            Function::Ceiling => format!("CEILING({a})"),
            Function::Add => format!("({number_a} + {b})"),
            Function::Subtract => format!("({number_a} - {b})"),
            Function::Multiply => format!("({number_a} * {b})"),
            Function::Divide => format!("ROUND({number_a} / {number_b}, 0, 1)"),
            Function::DivideExactly => format!("({number_a} / {number_b})"),
            Function::Modulo => format!("({number_a} % {number_b})"),
            Function::Negate => format!("(- {number_a})"),
            Function::KeyGuid => key_guid(parts, sorts),
            // Its collations order one text in two ways, as it is `varchar` or `nvarchar`.
            Function::AsStored => a.to_owned(),
        }
    }

    fn same(&self, left: &str, right: &str) -> String {
        format!("EXISTS (SELECT {left} INTERSECT SELECT {right})")
    }

    fn truth(&self, yes: bool) -> &'static str {
        if yes { "CAST(1 AS bit)" } else { "CAST(0 AS bit)" }
    }

    fn equal(&self, name: &str, ty: &Type, value: &Value) -> Option<(String, Vec<Value>)> {
        let place = self.plan.place(name);
        let (column, declared) = (&place.expression, base(&place.column.declared));
        match (ty, value) {
            (Type::Guid, Value::Guid(guid)) => {
                Some((format!("{column} = CAST({{}} AS uniqueidentifier)"), vec![Value::Text(guid.to_string())]))
            }
            (Type::Text { .. } | Type::Multiline { .. }, Value::Text(text) | Value::Choice(text))
                if matches!(declared, "varchar" | "char" | "nvarchar" | "nchar") =>
            {
                let own = SqlServer.compared("{}".to_owned(), &Cell::Text(text.clone()), &place.column);
                let own = if own == "{}" { "CONVERT(nvarchar(4000), {})".to_owned() } else { own };
                let exact = self.compared(self.column(name, ty), Sort::Text, Some(name));
                let value = self.compared("{}".into(), Sort::Text, None);
                (text.chars().count() <= 2_000).then(|| in_both([column, &own], [&exact, &value], text))
            }
            _ => None,
        }
    }

    fn compared(&self, side: String, sort: Sort, _: Option<&str>) -> String {
        match sort {
            Sort::Text => format!("(({side} + NCHAR(0)) {BY_CHARACTERS})"),
            Sort::Guid => format!("(LOWER(CONVERT(nvarchar(36), {side})) {BY_CHARACTERS})"),
            _ => side,
        }
    }

    fn page(&self, limit: u64, skip: u64, ordered: bool) -> String {
        let order = if ordered { "" } else { " ORDER BY (SELECT NULL)" };
        format!("{order} OFFSET {skip} ROWS FETCH NEXT {limit} ROWS ONLY")
    }

    fn conditions_are_values(&self) -> bool {
        false
    }

    fn second_digits(&self) -> u32 {
        7
    }
}

/// The text of a value; its GUIDs are capital.
fn shown(value: &str, sort: Option<&Sort>) -> String {
    let text = format!("CONVERT(nvarchar(max), {value})");
    if sort == Some(&Sort::Guid) { format!("LOWER({text})") } else { text }
}

/// The hash of [`record::guid::hashed`], in SQL. The bytes of a text in UTF-8 are known from SQL Server 2019 on.
fn key_guid(parts: &[String], sorts: &[Sort]) -> String {
    let text = |(part, sort): (&String, &Sort)| {
        let text = shown(part, Some(sort));
        format!("REPLACE(REPLACE({text} {BY_CHARACTERS}, N'\\', N'\\\\'), N'|', N'\\|')")
    };
    let whole: Vec<String> = parts.iter().zip(sorts).map(text).collect();
    let whole = whole.join(" + N'|' + ");
    let hash = format!("LOWER(CONVERT(char(64), HASHBYTES('SHA2_256', CAST(({whole}) {AS_UTF8} AS varchar(max))), 2))");
    // The hash stands here twice: it is computed anew wherever it stands.
    let variant = format!("TRANSLATE(SUBSTRING({hash}, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab')");
    let marked = format!("STUFF(STUFF(SUBSTRING({hash}, 1, 32), 17, 1, {variant}), 13, 1, '8')");
    [21, 17, 13, 9].iter().fold(marked, |guid, at| format!("STUFF({guid}, {at}, 0, '-')"))
}

#[cfg(test)]
mod tests {
    use record::query::{Comparison, Expr, Query};

    use super::*;
    use crate::sql::query::{accepts, write};
    use crate::sqlserver::catalog::column;

    fn plan() -> Plan {
        let columns = [("sku", "varchar(10)"), ("name", "nvarchar(160)"), ("quantity", "int"), ("active", "bit")];
        let more = [("counted", "datetime2(3)"), ("seen", "datetime"), ("id", "uniqueidentifier")];
        Plan::for_tests(&SqlServer, columns.into_iter().chain(more).map(|(name, ty)| column(name, ty, false)).collect())
    }

    fn check(filter: Expr, expected: &str) {
        let plan = plan();
        assert!(accepts(&filter, &plan.schema), "{filter:?}");
        let query = Query { columns: vec!["quantity".into()], filter: Some(filter), limit: 5, ..Query::default() };
        let sql = write(&Asked { plan: &plan }, "[stock] AS t", &plan.schema, &query).rows;
        let all = format!(
            "SELECT t.[quantity] FROM [stock] AS t WHERE {expected} ORDER BY (SELECT NULL) OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY"
        );
        assert_eq!(sql, all);
    }

    #[test]
    fn a_question_means_here_what_it_means_everywhere() {
        let compare = |op, name: &str, value: Value| {
            Expr::Compare(op, Box::new(Expr::column(name)), Box::new(Expr::Value(value)))
        };
        check(
            compare(Comparison::Equal, "sku", Value::text("A'1")),
            "(t.[sku] = CAST(@P1 AS varchar(8000)) AND (((CONVERT(nvarchar(max), t.[sku]) COLLATE Latin1_General_100_BIN2) + NCHAR(0)) COLLATE Latin1_General_100_BIN2) = ((@P2 + NCHAR(0)) COLLATE Latin1_General_100_BIN2))",
        );
        check(
            compare(Comparison::Less, "name", Value::text("b")),
            "(((CONVERT(nvarchar(max), t.[name]) COLLATE Latin1_General_100_BIN2) + NCHAR(0)) COLLATE Latin1_General_100_BIN2) < ((@P1 + NCHAR(0)) COLLATE Latin1_General_100_BIN2)",
        );
        check(
            compare(Comparison::NotEqual, "quantity", Value::Int(7)),
            "(t.[quantity] <> @P1 OR t.[quantity] IS NULL)",
        );
        check(
            compare(Comparison::GreaterOrEqual, "counted", Value::Instant("2026-07-01T11:00:00Z".parse().unwrap())),
            "t.[counted] >= CAST(@P1 AS datetimeoffset(7))",
        );
        check(
            compare(Comparison::Equal, "id", Value::Guid("6f9619ff-8b86-d011-b42d-00cf4fc964ff".parse().unwrap())),
            "t.[id] = CAST(@P1 AS uniqueidentifier)",
        );
        check(
            compare(Comparison::Equal, "seen", Value::Instant("2026-07-01T11:00:00.123Z".parse().unwrap())),
            "CAST(t.[seen] AS datetime2(3)) = CAST(@P1 AS datetimeoffset(7))",
        );
        check(Expr::column("active"), "(t.[active] = 1)");
        check(Expr::Not(Box::new(Expr::column("active"))), "NOT ((t.[active] = 1))");
        let over = compare(Comparison::Greater, "quantity", Value::Int(400));
        check(
            Expr::Compare(Comparison::Equal, Box::new(over), Box::new(Expr::column("active"))),
            "EXISTS (SELECT CASE WHEN t.[quantity] > @P1 THEN CAST(1 AS bit) ELSE CAST(0 AS bit) END INTERSECT SELECT t.[active])",
        );
        let contains = Expr::Call(Function::Contains, vec![Expr::column("name"), Expr::Value("50%".into())]);
        let (a, b) = ("(CONVERT(nvarchar(max), t.[name]) COLLATE Latin1_General_100_BIN2)", "@P1");
        let condition = format!("(CHARINDEX({b}, {a}) > 0 OR (DATALENGTH({b}) = 0 AND {a} = {a}))");
        check(contains.clone(), &condition);
        check(
            Expr::equal(contains, Value::Bool(true)),
            &format!(
                "CASE WHEN {condition} THEN CAST(1 AS bit) WHEN NOT {condition} THEN CAST(0 AS bit) END = CAST(@P2 AS bit)"
            ),
        );
    }

    #[test]
    fn a_page_has_an_order_and_a_place() {
        let plan = plan();
        let order = vec![record::query::Order { by: Expr::column("quantity"), descending: true }];
        let query = Query { columns: vec!["id".into()], order, skip: 100, limit: 50, count: true, ..Query::default() };
        let statements = write(&Asked { plan: &plan }, "[stock] AS t", &plan.schema, &query);
        assert_eq!(
            statements.rows,
            "SELECT CONVERT(char(36), t.[id]) FROM [stock] AS t ORDER BY t.[quantity] DESC OFFSET 100 ROWS FETCH NEXT 50 ROWS ONLY"
        );
        assert_eq!(statements.count.as_deref(), Some("SELECT count(*) FROM [stock] AS t"));
    }

    #[test]
    fn a_hash_is_that_of_the_bytes_in_utf_8() {
        let sql = key_guid(&["t.[no]".into(), "t.[id]".into()], &[Sort::Number, Sort::Guid]);
        assert!(sql.contains("HASHBYTES('SHA2_256', CAST((REPLACE(REPLACE(CONVERT(nvarchar(max), t.[no])"), "{sql}");
        assert!(sql.contains("LOWER(CONVERT(nvarchar(max), t.[id]))"), "a GUID is written in small letters: {sql}");
        assert!(sql.contains("_UTF8 AS varchar(max))"), "{sql}");
        assert!(!computes(Function::TrimWords) && computes(Function::KeyGuid));
    }
}
