//! SQL as MariaDB and MySQL write it.

use jiff::tz::TimeZone;
use record::{Type, Value};

use crate::sql::cell::{self, Moment, civil};
use crate::sql::engine::{Cell, Dialect, Inbox, Select, SqlColumn};
use crate::sql::text::Times;

#[derive(Debug)]
pub(super) struct MySql;

impl Dialect for MySql {
    fn quote(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn placeholder(&self, _: usize) -> String {
        "?".to_owned()
    }

    fn compared(&self, placeholder: String, _: &Cell, column: &SqlColumn) -> String {
        // A decimal and a text would be compared as floats.
        match (&column.ty, column.declared.as_str()) {
            (Type::Decimal { .. }, "decimal") => format!("CAST({placeholder} AS DECIMAL(65,30))"),
            _ => placeholder,
        }
    }

    fn assigned(&self, placeholder: String, _: &SqlColumn) -> String {
        placeholder
    }

    fn exact(&self, expression: String, _: &SqlColumn) -> String {
        expression
    }

    fn select(&self, select: &Select) -> String {
        let columns = if select.columns.is_empty() { "1".to_owned() } else { select.columns.join(", ") };
        let mut sql = format!("SELECT {columns} FROM {}", select.from);
        if !select.all.is_empty() {
            sql.push_str(&format!(" WHERE {}", select.all.join(" AND ")));
        }
        if !select.order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", select.order.join(", ")));
        }
        if let Some(rows) = select.rows {
            sql.push_str(&format!(" LIMIT {rows}"));
        }
        if select.locks {
            sql.push_str(" FOR UPDATE");
        }
        sql
    }

    fn read(&self, cell: &Cell, ty: &Type, times: &Times) -> Result<Value, String> {
        match cell {
            Cell::Text(text) if is_zero_date(text, ty) => Err("this date has a month or a day of zero".to_owned()),
            // Sessions speak UTC.
            Cell::Text(text) if *ty == Type::DateTime => cell::read(&Cell::Text(format!("{text}Z")), ty, times),
            cell => cell::read(cell, ty, times),
        }
    }

    fn write(&self, value: &Value, column: &SqlColumn, zone: Option<&TimeZone>) -> Result<Cell, String> {
        // The server takes a number in a text for the place of a label, or for a sum of places, and says nothing.
        if let Value::Text(text) | Value::Choice(text) = value
            && matches!(column.declared.as_str(), "enum" | "set")
            && text.trim().parse::<f64>().is_ok()
            && !column.labels.iter().any(|label| label == text)
        {
            return Err(format!("`{}` is no label of this column ({})", text.trim(), column.labels.join(", ")));
        }
        cell::write(value, column, zone, time)
    }

    fn now(&self) -> &'static str {
        "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)"
    }

    fn reading(&self) -> (&'static str, &'static str) {
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT", "ROLLBACK")
    }

    fn writing(&self) -> &'static str {
        "START TRANSACTION"
    }

    fn on_duplicate(&self, names: &[String]) -> Option<String> {
        let set = names.iter().map(|name| format!("{0} = VALUES({0})", self.quote(name)));
        Some(format!(" ON DUPLICATE KEY UPDATE {}", set.collect::<Vec<_>>().join(", ")))
    }

    fn inbox(&self) -> Option<Inbox> {
        Some(Inbox {
            create: "CREATE TABLE IF NOT EXISTS ironbridge_inbox (message CHAR(32) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
                 taken_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE = InnoDB",
            note: "INSERT IGNORE INTO ironbridge_inbox (message) VALUES (?)",
            forget: "DELETE FROM ironbridge_inbox WHERE taken_at < CURRENT_TIMESTAMP - INTERVAL 30 DAY",
        })
    }

    fn bound_max(&self) -> usize {
        60_000
    }
}

/// `0000-00-00` and `2026-00-15`: dates that only these servers have.
fn is_zero_date(text: &str, ty: &Type) -> bool {
    matches!(ty, Type::Date | Type::DateTime | Type::LocalDateTime)
        && (text.get(5..7) == Some("00") || text.get(8..10) == Some("00"))
}

/// Sessions speak UTC, so a `TIMESTAMP` takes a point in time as a UTC text.
fn time(at: Moment, column: &SqlColumn) -> String {
    let at = match at {
        Moment::Civil(at) => at,
        Moment::Instant(at) => TimeZone::UTC.to_datetime(at),
    };
    match column.ty {
        Type::Date => at.date().to_string(),
        _ => civil(at, column.fraction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::moment::Dst;

    #[test]
    fn names_are_quoted_and_values_are_never_in_the_statement() {
        let sql = MySql.select(&Select {
            columns: vec![MySql.quote("a`b")],
            from: format!("{} AS t", MySql.table("shop.or`ders")),
            all: vec!["`x` = ?".into(), "`y` > ?".into()],
            order: vec!["`x`".into()],
            rows: Some(5),
            locks: true,
        });
        let expected =
            "SELECT `a``b` FROM `shop`.`or``ders` AS t WHERE `x` = ? AND `y` > ? ORDER BY `x` LIMIT 5 FOR UPDATE";
        assert_eq!(sql, expected);
        assert_eq!(
            MySql.on_duplicate(&["a".into(), "b".into()]).unwrap(),
            " ON DUPLICATE KEY UPDATE `a` = VALUES(`a`), `b` = VALUES(`b`)"
        );
    }

    #[test]
    fn a_date_of_zeros_is_no_date() {
        let times = Times { zone: None, dst: Dst::Reject };
        for text in ["0000-00-00", "0000-00-00 00:00:00", "2026-00-15", "2026-05-00"] {
            let read = MySql.read(&Cell::Text(text.into()), &Type::Date, &times);
            assert!(read.clone().is_err_and(|why| why.contains("zero")), "{text}: {read:?}");
        }
        assert_eq!(MySql.read(&Cell::Text("0000-00-00".into()), &Type::Unknown, &times), Ok(Value::text("0000-00-00")));
    }
}
