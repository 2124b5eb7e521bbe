//! An Excel workbook as a destination: one sheet, made anew as a whole.
//!
//! *Limits*: a number has 15 digits, a text 32,767 characters, and there is no day before 1 March 1900 (Excel counts a
//! 29 February in that year); what does not fit is the fault of its row. A time is to the millisecond and has no zone: it
//! is written as the clocks of the system show it. A text is a text, also one that begins with `=` or with a zero.
//! *Source*: "Excel specifications and limits"; ECMA-376, part 1, 18.17.4 (dates).

use std::fs::File;
use std::ops::ControlFlow;

use jiff::Unit;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use record::{Decimal, Value};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format as Style, Workbook, XlsxError};

use super::rows::{Cell, Rows};
use crate::files::format::{Broken, excel_alone};
use crate::files::settings::{Format, Writes};
use crate::files::value::{self, Cell as Found};

/// Cells of one workbook: so many fit into memory a few times over.
const CELLS_MAX: usize = 2_000_000;
const ROWS_MAX: usize = 1_048_576;
const DIGITS_MAX: u32 = 15;
const TEXT_MAX: usize = 32_767;
const SHEET: &str = "Sheet1";

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Held {
    Blank,
    Text(String),
    Number(Decimal),
    Bool(bool),
    Day(Date),
    Moment(DateTime),
}

impl Held {
    /// *Errors*: one sentence that does not hold the value.
    pub fn of(value: &Value, format: &Format) -> Result<Held, String> {
        match value {
            Value::Blank => Ok(Held::Blank),
            Value::Bool(yes) => Ok(Held::Bool(*yes)),
            Value::Int(whole) => number(Decimal::from(*whole)),
            Value::Decimal(exact) => number(*exact),
            Value::Float(float) => match Decimal::try_from(*float) {
                Ok(exact) => number(exact),
                Err(_) => Err("this number has no place in a workbook".to_owned()),
            },
            Value::Date(date) => day(*date).map(Held::Day),
            Value::LocalDateTime(at) => moment(*at),
            Value::Instant(at) => moment(at.to_zoned(format.zone.clone().unwrap_or(TimeZone::UTC)).datetime()),
            Value::Reference(reference) => match reference.key.as_slice() {
                [(_, value)] => Held::of(value, format),
                _ => Err("a reference by a key of several columns has no single column to go to".to_owned()),
            },
            other => text(value::write(other, format)?.unwrap_or_default()),
        }
    }

    pub fn value(&self) -> Value {
        match self {
            Held::Blank => Value::Blank,
            Held::Text(text) => Value::text(text),
            Held::Number(number) => Value::Decimal(*number),
            Held::Bool(yes) => Value::Bool(*yes),
            Held::Day(day) => Value::Date(*day),
            Held::Moment(at) => Value::LocalDateTime(*at),
        }
    }

    /// The same for what is the same when it is read again: a number without zeros behind, a day for its midnight.
    pub fn text(&self) -> String {
        match self {
            Held::Blank => String::new(),
            Held::Text(text) => text.clone(),
            Held::Number(number) => number.normalize().to_string(),
            Held::Bool(yes) => yes.to_string(),
            Held::Day(day) => day.to_string(),
            Held::Moment(at) if at.time() == Time::midnight() => at.date().to_string(),
            Held::Moment(at) => at.to_string(),
        }
    }
}

fn number(number: Decimal) -> Result<Held, String> {
    let number = number.normalize();
    let mut significant = number.mantissa().unsigned_abs();
    while significant != 0 && significant.is_multiple_of(10) {
        significant /= 10;
    }
    let digits = significant.checked_ilog10().map_or(1, |log| log + 1);
    match digits > DIGITS_MAX {
        true => Err(format!("it is a number of {digits} digits, and Excel keeps {DIGITS_MAX}; map it to a text")),
        false => Ok(Held::Number(number)),
    }
}

fn day(date: Date) -> Result<Date, String> {
    match date < Date::constant(1900, 3, 1) {
        true => Err("Excel has no days before 1 March 1900; map it to a text".to_owned()),
        false => Ok(date),
    }
}

fn moment(at: DateTime) -> Result<Held, String> {
    day(at.date())?;
    // Down, so that no moment is later than it was.
    let round = jiff::civil::DateTimeRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Trunc);
    at.round(round).map(Held::Moment).map_err(|why| why.to_string())
}

fn text(text: String) -> Result<Held, String> {
    let text = text.replace("\r\n", "\n");
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err("the text holds a control character, and a workbook has no place for one".to_owned());
    }
    // Excel counts in UTF-16.
    if text.encode_utf16().count() > TEXT_MAX {
        return Err(format!("the text is longer than the {TEXT_MAX} characters that a cell takes"));
    }
    Ok(if text.is_empty() { Held::Blank } else { Held::Text(text) })
}

/// Takes the rows of a workbook that this destination has written.
///
/// *Errors*: why it is none.
pub(super) fn read(rows: &mut Rows, writes: &Writes, file: File) -> Result<(), String> {
    let mut header = writes.format.header;
    let mut wrong = None;
    let read = excel_alone(file, |line, cells| {
        let mut held: Vec<Held> = cells.iter().map(found).collect();
        if cells.iter().any(|cell| matches!(cell, Found::Wrong(_))) {
            wrong = Some(format!("row {line} has a cell with an error"));
            return Ok(ControlFlow::Break(()));
        }
        if std::mem::take(&mut header) {
            let names: Vec<String> = held.iter().map(Held::text).collect();
            if names != writes.columns {
                wrong = Some("its first row is not the one that is written".to_owned());
                return Ok(ControlFlow::Break(()));
            }
            return Ok(ControlFlow::Continue(()));
        }
        if held.len() > writes.columns.len() {
            wrong = Some(format!("row {line} has cells behind the last column"));
            return Ok(ControlFlow::Break(()));
        }
        held.resize(writes.columns.len(), Held::Blank);
        if let Err(why) = rows.take(writes, held.into_iter().map(Cell::Excel).collect(), line) {
            wrong = Some(why);
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    });
    match (wrong, read) {
        (Some(why), _) => Err(why),
        (None, Err(Broken::Format(why, _) | Broken::TooLarge(why))) => Err(why),
        (None, Err(broken)) => Err(format!("{broken:?}")),
        (None, Ok(())) => Ok(()),
    }
}

fn found(cell: &Found<'static>) -> Held {
    match cell {
        Found::Blank | Found::Bytes(_) | Found::Rows(_) | Found::Wrong(_) => Held::Blank,
        Found::Text(text) => Held::Text(text.clone().into_owned()),
        Found::Plain(text) => Held::Text((*text).to_owned()),
        Found::Number(text) => {
            let exact = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text));
            exact.map_or_else(|_| Held::Text(text.clone().into_owned()), |number| Held::Number(number.normalize()))
        }
        Found::Bool(yes) => Held::Bool(*yes),
        Found::Time(at) if at.time() == Time::midnight() => Held::Day(at.date()),
        Found::Time(at) => Held::Moment(*at),
    }
}

/// The workbook.
///
/// *Errors*: one sentence: it would have more rows or cells than a workbook that is written as a whole may have.
pub(super) fn bytes<'a>(writes: &Writes, rows: impl Iterator<Item = &'a [Cell]> + Clone) -> Result<Vec<u8>, String> {
    fits(rows.clone().count(), writes.columns.len())?;
    fill(writes, rows).map_err(|why| why.to_string())
}

/// *Errors*: how much there is, where that is more than one workbook takes below its row of names.
fn fits(rows: usize, columns: usize) -> Result<(), String> {
    match rows < ROWS_MAX && rows.saturating_mul(columns) <= CELLS_MAX {
        true => Ok(()),
        false => Err(format!("{rows} rows of {columns} columns")),
    }
}

fn fill<'a>(writes: &Writes, rows: impl Iterator<Item = &'a [Cell]> + Clone) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    book.set_properties(&DocProperties::new().set_author("Ironbridge"));
    let sheet = book.add_worksheet();
    sheet.set_name(writes.reads.sheet.as_deref().unwrap_or(SHEET))?;
    let (bold, days, moments) = (
        Style::new().set_bold(),
        Style::new().set_num_format("yyyy-mm-dd"),
        Style::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
    );
    // A column that has times shows a midnight as one.
    let mut timed = vec![false; writes.columns.len()];
    for row in rows.clone() {
        for (timed, cell) in timed.iter_mut().zip(row) {
            *timed |= matches!(cell, Cell::Excel(Held::Moment(_)));
        }
    }
    let mut at = 0;
    if writes.format.header {
        for (column, name) in (0_u16..).zip(&writes.columns) {
            sheet.write_string_with_format(0, column, name, &bold)?;
        }
        sheet.set_freeze_panes(1, 0)?;
        at = 1;
    }
    for row in rows {
        for ((column, cell), timed) in (0_u16..).zip(row).zip(&timed) {
            let Cell::Excel(held) = cell else { continue };
            let style = if *timed { &moments } else { &days };
            match held {
                Held::Blank => continue,
                Held::Text(text) => sheet.write_string(at, column, text)?,
                // Of at most 15 digits: the nearest float has them all.
                Held::Number(number) => {
                    sheet.write_number(at, column, number.to_string().parse::<f64>().unwrap_or_default())?
                }
                Held::Bool(yes) => sheet.write_boolean(at, column, *yes)?,
                Held::Day(day) => sheet.write_datetime_with_format(at, column, excel(day.at(0, 0, 0, 0))?, style)?,
                Held::Moment(moment) => sheet.write_datetime_with_format(at, column, excel(*moment)?, style)?,
            };
        }
        at += 1;
    }
    if writes.format.header && at > 1 {
        let last = u16::try_from(writes.columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
        sheet.autofilter(0, 0, at - 1, last)?;
    }
    sheet.autofit();
    book.save_to_buffer()
}

fn excel(at: DateTime) -> Result<ExcelDateTime, XlsxError> {
    let whole = |number: i8| u8::try_from(number).unwrap_or_default();
    let (date, time) = (at.date(), at.time());
    let day = ExcelDateTime::from_ymd(
        u16::try_from(date.year()).unwrap_or_default(),
        whole(date.month()),
        whole(date.day()),
    )?;
    let milli = u16::try_from(time.subsec_nanosecond() / 1_000_000).unwrap_or_default();
    day.and_hms_milli(u16::from(whole(time.hour())), whole(time.minute()), whole(time.second()), milli)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last row of a sheet is the 1,048,576th, and the first one holds the names.
    #[test]
    fn a_workbook_takes_so_many_rows_and_cells() {
        assert_eq!(fits(1_048_575, 1), Ok(()));
        assert_eq!(fits(1_048_576, 1), Err("1048576 rows of 1 columns".into()));
        assert_eq!(fits(500_000, 4), Ok(()));
        assert_eq!(fits(500_001, 4), Err("500001 rows of 4 columns".into()));
        assert!(fits(0, 0).is_ok() && fits(usize::MAX, 2).is_err());
        // The writer agrees on which row is the last.
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        let last = u32::try_from(ROWS_MAX - 1).expect("a row of a sheet");
        assert!(sheet.write_string(last, 0, "last").is_ok() && sheet.write_string(last + 1, 0, "one more").is_err());
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let exact = |text: &str| number(text.parse().expect("the literal is a number"));
        assert_eq!(exact("12.50").map(|held| held.text()), Ok("12.5".into()));
        assert_eq!(exact("-999999999999.990").map(|held| held.text()), Ok("-999999999999.99".into()));
        assert!(exact("1234567890123456").is_err_and(|why| why.contains("16 digits")));
        assert!(exact("0.1234567890123456").is_err());
        assert_eq!(exact("1000000000000000000").map(|held| held.text()), Ok("1000000000000000000".into()));
        assert!(text("x".repeat(32_768)).is_err() && text("\u{1}".into()).is_err());
        assert_eq!(text("a\r\nb".into()), Ok(Held::Text("a\nb".into())));
        assert!(day(Date::constant(1900, 2, 28)).is_err() && day(Date::constant(1900, 3, 1)).is_ok());
    }
}
