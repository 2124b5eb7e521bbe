//! SQL as SQL Server writes it.

use jiff::tz::TimeZone;
use record::{Type, Value};

use crate::sql::cell::{self, Moment, civil};
use crate::sql::engine::{Cell, Dialect, Select, SqlColumn};
use crate::sql::text::Times;

#[derive(Debug)]
pub(super) struct SqlServer;

/// A declared type without its length.
pub(super) fn base(declared: &str) -> &str {
    declared.split('(').next().unwrap_or(declared)
}

impl Dialect for SqlServer {
    fn quote(&self, name: &str) -> String {
        format!("[{}]", name.replace(']', "]]"))
    }

    fn placeholder(&self, number: usize) -> String {
        format!("@P{number}")
    }

    fn compared(&self, placeholder: String, cell: &Cell, column: &SqlColumn) -> String {
        match (base(&column.declared), cell) {
            // A text with other letters than ASCII may lose some of them on the way to `varchar`, and be another key.
            ("varchar" | "char" | "text", Cell::Text(text)) if text.is_ascii() => {
                format!("CAST({placeholder} AS varchar(8000))")
            }
            ("varchar" | "char" | "text" | "nvarchar" | "nchar" | "ntext" | "xml", _) => placeholder,
            // Numbers of all sizes are compared as they are.
            ("tinyint" | "smallint" | "int" | "bigint" | "bit", Cell::Int(_)) => placeholder,
            ("timestamp" | "rowversion", _) => format!("CAST({placeholder} AS binary(8))"),
            ("binary" | "varbinary" | "image", _) => placeholder,
            _ => format!("CAST({placeholder} AS {})", column.declared),
        }
    }

    fn assigned(&self, placeholder: String, column: &SqlColumn) -> String {
        match base(&column.declared) {
            // A cast would cut what is too long.
            "varchar" | "char" | "text" | "nvarchar" | "nchar" | "ntext" | "xml" | "sysname" => placeholder,
            "binary" | "varbinary" | "image" => format!("CAST({placeholder} AS varbinary(max))"),
            _ => format!("CAST({placeholder} AS {})", column.declared),
        }
    }

    fn exact(&self, expression: String, column: &SqlColumn) -> String {
        match base(&column.declared) {
            "date" => format!("CONVERT(char(10), {expression}, 23)"),
            "time" => format!("CONVERT(varchar(16), {expression}, 121)"),
            "datetime" | "datetime2" | "smalldatetime" => format!("CONVERT(varchar(33), {expression}, 126)"),
            "datetimeoffset" => format!("CONVERT(varchar(40), {expression}, 126)"),
            "money" | "smallmoney" => format!("CONVERT(varchar(40), {expression}, 2)"),
            "decimal" | "numeric" => format!("CONVERT(varchar(41), {expression})"),
            "uniqueidentifier" => format!("CONVERT(char(36), {expression})"),
            "timestamp" | "rowversion" => format!("CONVERT(bigint, {expression})"),
            "tinyint" | "smallint" | "int" | "bigint" | "bit" | "float" | "real" => expression,
            "binary" | "varbinary" | "image" | "nvarchar" | "nchar" => expression,
            _ => format!("CONVERT(nvarchar(max), {expression})"),
        }
    }

    fn select(&self, select: &Select) -> String {
        let columns = if select.columns.is_empty() { "1".to_owned() } else { select.columns.join(", ") };
        let top = select.rows.map(|rows| format!("TOP ({rows}) ")).unwrap_or_default();
        let locks = if select.locks { " WITH (UPDLOCK, ROWLOCK)" } else { "" };
        let mut sql = format!("SELECT {top}{columns} FROM {}{locks}", select.from);
        if !select.all.is_empty() {
            sql.push_str(&format!(" WHERE {}", select.all.join(" AND ")));
        }
        if !select.order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", select.order.join(", ")));
        }
        sql
    }

    fn read(&self, cell: &Cell, ty: &Type, times: &Times) -> Result<Value, String> {
        match (cell, ty) {
            // A `bit` that comes as a number in a query.
            (Cell::Text(text), Type::Guid) => cell::read(&Cell::Text(text.to_lowercase()), ty, times),
            _ => cell::read(cell, ty, times),
        }
    }

    fn write(&self, value: &Value, column: &SqlColumn, zone: Option<&TimeZone>) -> Result<Cell, String> {
        cell::write(value, column, zone, time)
    }

    fn now(&self) -> &'static str {
        "SELECT CONVERT(varchar(33), SYSUTCDATETIME(), 126)"
    }

    fn reading(&self) -> (&'static str, &'static str) {
        ("BEGIN TRANSACTION", "ROLLBACK TRANSACTION")
    }

    fn writing(&self) -> &'static str {
        ""
    }

    fn last_watermark(&self, column: &SqlColumn) -> Option<&'static str> {
        // Rows of transactions that are still open carry smaller numbers than the largest that can be seen.
        let counts = matches!(base(&column.declared), "timestamp" | "rowversion");
        counts.then_some("SELECT CONVERT(bigint, MIN_ACTIVE_ROWVERSION()) - 1")
    }

    fn on_duplicate(&self, _: &[String]) -> Option<String> {
        None
    }

    fn bound_max(&self) -> usize {
        // The server takes 2100, of which the driver needs some.
        2_000
    }
}

/// Times in the form that means the same in every language of the server.
fn time(at: Moment, column: &SqlColumn) -> String {
    let (at, suffix) = match at {
        Moment::Civil(at) => (at, ""),
        Moment::Instant(at) => (TimeZone::UTC.to_datetime(at), "+00:00"),
    };
    match base(&column.declared) {
        "date" => at.date().to_string(),
        _ => format!("{}{suffix}", civil(at, column.fraction).replacen(' ', "T", 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::engine::Binder;
    use crate::sql::order;
    use crate::sql::paged::Place;
    use crate::sqlserver::catalog::column;

    fn place(name: &str, declared: &str) -> Place {
        Place { expression: format!("t.{}", SqlServer.quote(name)), column: column(name, declared, true) }
    }

    #[test]
    fn a_page_goes_on_after_the_last_row_by_its_types() {
        let order = [place("changed", "datetime"), place("no", "varchar(20)")];
        let mut binder = Binder::new(&SqlServer);
        let after = [Cell::Text("2026-07-01T11:00:00.003".into()), Cell::Text("C-7".into())];
        let all = vec![order::beyond(&order, &after, false, &mut binder)];
        let sql = SqlServer.select(&Select {
            columns: order.iter().map(|p| SqlServer.exact(p.expression.clone(), &p.column)).collect(),
            from: format!("{} AS t", SqlServer.table("finance.cust]omers")),
            all,
            order: order.iter().map(|p| p.expression.clone()).collect(),
            rows: Some(500),
            locks: false,
        });
        assert_eq!(
            sql,
            "SELECT TOP (500) CONVERT(varchar(33), t.[changed], 126), CONVERT(nvarchar(max), t.[no]) \
             FROM [finance].[cust]]omers] AS t \
             WHERE ((t.[changed] > CAST(@P1 AS datetime)) OR (t.[changed] = CAST(@P2 AS datetime) AND t.[no] > CAST(@P3 AS varchar(8000)))) \
             AND t.[changed] >= CAST(@P4 AS datetime) ORDER BY t.[changed], t.[no]"
        );
        assert_eq!(binder.cells.len(), 4);
    }

    #[test]
    fn a_value_is_compared_assigned_and_read_by_the_type_of_its_column() {
        let check = |declared: &str, cell: Cell, compared: &str, assigned: &str, exact: &str| {
            let column = column("c", declared, true);
            assert_eq!(SqlServer.compared("@P1".into(), &cell, &column), compared, "{declared}");
            assert_eq!(SqlServer.assigned("@P1".into(), &column), assigned, "{declared}");
            assert_eq!(SqlServer.exact("t.c".into(), &column), exact, "{declared}");
        };
        let text = |text: &str| Cell::Text(text.to_owned());
        let decimal = "CAST(@P1 AS decimal(18,2))";
        check("decimal(18,2)", text("1.50"), decimal, decimal, "CONVERT(varchar(41), t.c)");
        check("money", text("1.5"), "CAST(@P1 AS money)", "CAST(@P1 AS money)", "CONVERT(varchar(40), t.c, 2)");
        check("varchar(20)", text("a"), "CAST(@P1 AS varchar(8000))", "@P1", "CONVERT(nvarchar(max), t.c)");
        check("varchar(20)", text("Ω"), "@P1", "@P1", "CONVERT(nvarchar(max), t.c)");
        check("nvarchar(20)", text("Ω"), "@P1", "@P1", "t.c");
        check("int", Cell::Int(7), "@P1", "CAST(@P1 AS int)", "t.c");
        check("timestamp", Cell::Int(7), "CAST(@P1 AS binary(8))", "CAST(@P1 AS timestamp)", "CONVERT(bigint, t.c)");
        check("varbinary(16)", Cell::Bytes(vec![1]), "@P1", "CAST(@P1 AS varbinary(max))", "t.c");
        let offset = "CAST(@P1 AS datetimeoffset(3))";
        check("datetimeoffset(3)", text("x"), offset, offset, "CONVERT(varchar(40), t.c, 126)");
        check("date", text("x"), "CAST(@P1 AS date)", "CAST(@P1 AS date)", "CONVERT(char(10), t.c, 23)");
        let guid = "CAST(@P1 AS uniqueidentifier)";
        check("uniqueidentifier", text("x"), guid, guid, "CONVERT(char(36), t.c)");
        check(
            "geography",
            text("x"),
            "CAST(@P1 AS geography)",
            "CAST(@P1 AS geography)",
            "CONVERT(nvarchar(max), t.c)",
        );
    }

    #[test]
    fn a_time_is_written_in_the_one_form_that_no_language_changes() {
        let london = TimeZone::get("Europe/London").unwrap();
        let check = |declared: &str, expected: &str| {
            let at = Value::Instant("2026-07-01T11:00:00.1234567Z".parse().unwrap());
            let cell = SqlServer.write(&at, &column("c", declared, true), Some(&london)).unwrap();
            assert_eq!(cell, Cell::Text(expected.to_owned()), "{declared}");
        };
        check("datetime2(7)", "2026-07-01T12:00:00.1234567");
        check("datetime2(3)", "2026-07-01T12:00:00.123");
        check("datetime", "2026-07-01T12:00:00.123");
        check("smalldatetime", "2026-07-01T12:00:00");
        check("datetimeoffset(0)", "2026-07-01T11:00:00+00:00");
        check("date", "2026-07-01");
    }

    #[test]
    fn a_counted_watermark_never_passes_a_transaction_that_is_open() {
        let last = SqlServer.last_watermark(&column("v", "timestamp", true)).unwrap();
        assert!(last.contains("MIN_ACTIVE_ROWVERSION"));
        assert_eq!(SqlServer.last_watermark(&column("v", "datetime2(7)", true)), None);
    }
}
