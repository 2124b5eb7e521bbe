//! What the driver's values and column types mean.

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Row, Value};
use record::Type;

use crate::sql::engine::{Cell, Letters, SqlColumn};

/// The character set number of bytes.
const BINARY: u16 = 63;

/// A row as cells.
pub(super) fn cells(row: Row) -> Vec<Cell> {
    let columns = row.columns();
    row.unwrap().into_iter().zip(columns.iter()).map(|(value, column)| cell(value, column)).collect()
}

fn cell(value: Value, column: &Column) -> Cell {
    match value {
        Value::NULL => Cell::Null,
        Value::Int(number) => Cell::Int(number),
        Value::UInt(number) => match i64::try_from(number) {
            Ok(number) => Cell::Int(number),
            Err(_) => Cell::Text(number.to_string()),
        },
        // The shortest digits that are this float and no other.
        Value::Float(number) => Cell::Text(number.to_string()),
        Value::Double(number) => Cell::Float(number),
        Value::Date(year, month, day, hour, minute, second, micro) => {
            let mut text = format!("{year:04}-{month:02}-{day:02}");
            if column.column_type() != ColumnType::MYSQL_TYPE_DATE {
                text.push_str(&format!(" {hour:02}:{minute:02}:{second:02}"));
                if micro > 0 {
                    text.push_str(&format!(".{micro:06}"));
                }
            }
            Cell::Text(text)
        }
        Value::Time(negative, days, hours, minutes, seconds, micro) => {
            let sign = if negative { "-" } else { "" };
            let hours = days * 24 + u32::from(hours);
            let fraction = if micro > 0 { format!(".{micro:06}") } else { String::new() };
            Cell::Text(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"))
        }
        Value::Bytes(bytes) if column.column_type() == ColumnType::MYSQL_TYPE_BIT => {
            let number = bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            i64::try_from(number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Int)
        }
        Value::Bytes(bytes) if is_bytes(column) => Cell::Bytes(bytes),
        Value::Bytes(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Cell::Text(text),
            Err(error) => Cell::Bytes(error.into_bytes()),
        },
    }
}

fn is_bytes(column: &Column) -> bool {
    use ColumnType::*;
    let of_texts = matches!(
        column.column_type(),
        MYSQL_TYPE_STRING
            | MYSQL_TYPE_VAR_STRING
            | MYSQL_TYPE_VARCHAR
            | MYSQL_TYPE_BLOB
            | MYSQL_TYPE_TINY_BLOB
            | MYSQL_TYPE_MEDIUM_BLOB
            | MYSQL_TYPE_LONG_BLOB
            | MYSQL_TYPE_GEOMETRY
    );
    of_texts && column.character_set() == BINARY
}

/// A column of a statement's answer.
pub(super) fn of_answer(column: &Column) -> SqlColumn {
    use ColumnType::*;
    let decimals = u32::from(column.decimals());
    let (ty, declared) = match column.column_type() {
        MYSQL_TYPE_TINY if column.column_length() == 1 => (Type::YesNo, "tinyint"),
        MYSQL_TYPE_BIT if column.column_length() == 1 => (Type::YesNo, "bit"),
        MYSQL_TYPE_YEAR => (Type::WholeNumber, "year"),
        MYSQL_TYPE_TINY | MYSQL_TYPE_SHORT | MYSQL_TYPE_INT24 | MYSQL_TYPE_LONG | MYSQL_TYPE_LONGLONG
        | MYSQL_TYPE_BIT => (Type::WholeNumber, "bigint"),
        MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL => (Type::Decimal { scale: Some(decimals) }, "decimal"),
        MYSQL_TYPE_FLOAT | MYSQL_TYPE_DOUBLE => (Type::Decimal { scale: None }, "double"),
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE => (Type::Date, "date"),
        MYSQL_TYPE_TIME | MYSQL_TYPE_TIME2 => (Type::Time, "time"),
        MYSQL_TYPE_DATETIME | MYSQL_TYPE_DATETIME2 => (Type::LocalDateTime, "datetime"),
        MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIMESTAMP2 => (Type::DateTime, "timestamp"),
        MYSQL_TYPE_GEOMETRY => (Type::Unknown, "geometry"),
        _ if is_bytes(column) => (Type::Bytes, "blob"),
        _ => (Type::Text { max_length: None }, "text"),
    };
    SqlColumn {
        name: column.name_str().into_owned(),
        ty,
        declared: declared.to_owned(),
        filled: column.flags().contains(ColumnFlags::NOT_NULL_FLAG),
        fraction: decimals.min(6),
        required: false,
        writable: false,
        counted: false,
        by_characters: false,
        letters: Letters::Unknown,
        is_short_float: column.column_type() == MYSQL_TYPE_FLOAT,
        labels: Vec::new(),
    }
}

/// What is bound for a cell.
pub(super) fn bound(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::NULL,
        Cell::Int(number) => Value::Int(*number),
        Cell::Float(number) => Value::Double(*number),
        Cell::Text(text) => Value::Bytes(text.clone().into_bytes()),
        Cell::Bytes(bytes) => Value::Bytes(bytes.clone()),
    }
}
