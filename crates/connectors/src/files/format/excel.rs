//! Excel workbooks (`.xlsx`), cell by cell.
//!
//! *Limits*: what a workbook unpacks to is known before it is unpacked, and bounded. A number is the one that the sheet
//! holds, with the 15 digits that Excel keeps, not the rounded one that a cell format shows. *Source*: ECMA-376; Excel
//! specifications and limits ("number precision: 15 digits").

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::ops::ControlFlow;
use std::path::Path;

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};
use jiff::civil::DateTime;
use record::ReadSpec;
use zip::ZipArchive;

use super::{Broken, Cells, Taker, bind, declared};
use crate::files::settings::Settings;
use crate::files::value::Cell;

/// The texts of a workbook are held in memory, the sheets are not.
const TEXTS_BYTES_MAX: u64 = 256 << 20;
const ALL_BYTES_MAX: u64 = 2 << 30;

/// The days that a workbook counts; the last is 9999-12-31.
const DAYS: std::ops::Range<f64> = 0.0..2_958_466.0;

const UNCOMPUTED: &str =
    "the cell holds a formula whose result was never saved: open the workbook in Excel, save it, and send it again";

const FIX: &str = "save it as an Excel workbook (.xlsx), or say what it is: `format: { type: csv }`";

pub(super) fn read(file: File, spec: &ReadSpec, settings: &Settings, taker: &mut dyn Taker) -> Result<(), Broken> {
    let mut names = (!settings.format.header).then(|| declared(spec));
    let mut wanted = match &names {
        Some(names) => bind(spec, names)?,
        None => Vec::new(),
    };
    let skip = settings.format.skip_lines;
    let mut empty = true;
    sheet(file, settings.sheet.as_deref(), false, |number, cells| {
        if number <= skip {
            return Ok(ControlFlow::Continue(()));
        }
        empty = false;
        if names.is_none() {
            let there: Vec<String> = cells.iter().map(title).collect();
            wanted = bind(spec, &there)?;
            names = Some(there);
            return Ok(ControlFlow::Continue(()));
        }
        Ok(taker.row(number, &Row { cells, wanted: &wanted }))
    })?;
    if empty && settings.whole {
        let why = "its sheet is empty: not even the names of its columns are there";
        return Err(Broken::Format(why.to_owned(), "name the sheet with the rows: `sheet: Prices`"));
    }
    Ok(())
}

/// The first rows of the first sheet as texts, for a draft. *Errors*: a sentence.
pub fn sample(path: &Path, rows_max: usize) -> Result<Vec<Vec<Option<String>>>, String> {
    let file = File::open(path).map_err(|why| why.to_string())?;
    let mut rows = Vec::new();
    let read = sheet(file, None, false, |_, cells| {
        let text = |cell: &Cell<'static>| match cell {
            Cell::Blank => None,
            Cell::Time(at) if at.time() == jiff::civil::Time::midnight() => Some(at.date().to_string()),
            Cell::Time(at) => Some(at.to_string()),
            other => Some(title(other)),
        };
        rows.push(cells.iter().map(text).collect());
        Ok(if rows.len() > rows_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    match read {
        Ok(()) => Ok(rows),
        Err(Broken::Format(why, _) | Broken::TooLarge(why)) => Err(why),
        Err(Broken::Io(why)) => Err(why.to_string()),
        Err(Broken::NoColumn { .. }) => unreachable!("no column is asked for"),
    }
}

/// The rows of a workbook that has one sheet and no more. *Errors*: also that it has others.
pub fn alone(
    file: File,
    row: impl FnMut(u64, &[Cell<'static>]) -> Result<ControlFlow<()>, Broken>,
) -> Result<(), Broken> {
    sheet(file, None, true, row)
}

/// Calls for each row that is not empty, with its number as Excel shows it.
fn sheet(
    mut file: File,
    name: Option<&str>,
    alone: bool,
    mut row: impl FnMut(u64, &[Cell<'static>]) -> Result<ControlFlow<()>, Broken>,
) -> Result<(), Broken> {
    budget(&mut file)?;
    let broken = |why: calamine::XlsxError| Broken::Format(format!("it is no Excel workbook: {why}"), FIX);
    let mut book: Xlsx<BufReader<File>> = Xlsx::new(BufReader::new(file)).map_err(broken)?;
    let sheets = book.sheet_names();
    if let (true, [_, other, ..]) = (alone, sheets.as_slice()) {
        return Err(Broken::Format(format!("it has another sheet, `{other}`"), FIX));
    }
    let sheet = match name {
        Some(name) => sheets.iter().find(|sheet| *sheet == name).cloned().ok_or_else(|| {
            let why = format!("there is no sheet `{name}`; it has {}", sheets.join(", "));
            Broken::Format(why, "correct `sheet:` in the system's file")
        })?,
        None => sheets.first().cloned().ok_or_else(|| Broken::Format("it has no sheet".to_owned(), FIX))?,
    };
    let mut reader = book.worksheet_cells_reader(&sheet).map_err(broken)?;
    let mut cells: Vec<Cell<'static>> = Vec::new();
    let mut number = 0;
    while let Some(found) = reader.next_cell_with_formula_metadata().map_err(broken)? {
        let (at_row, at_column) = found.pos;
        if u64::from(at_row) + 1 != number && !cells.is_empty() {
            if row(number, &cells)?.is_break() {
                return Ok(());
            }
            cells.clear();
        }
        number = u64::from(at_row) + 1;
        let cell = match (&found.value, &found.formula) {
            // One that gave an empty text says so. Nothing at all is there where a program wrote what Excel was to compute.
            (DataRef::Empty, Some(_)) => Cell::Wrong(UNCOMPUTED.to_owned()),
            (value, _) => cell(value),
        };
        if cell == Cell::Blank {
            continue;
        }
        let column = at_column as usize;
        if cells.len() <= column {
            cells.resize(column + 1, Cell::Blank);
        }
        cells[column] = cell;
    }
    if cells.is_empty() {
        return Ok(());
    }
    row(number, &cells).map(drop)
}

/// Measures the archive before anything of it is held in memory. Its sheets are read as they unpack; all else is held, so
/// that is unpacked once to see how large it is, whatever its directory says.
fn budget(file: &mut File) -> Result<(), Broken> {
    let broken = |why: &dyn std::fmt::Display| Broken::Format(format!("it is no Excel workbook: {why}"), FIX);
    let too_large = |what: &str, bytes: u64, most: u64| {
        Broken::TooLarge(format!("{what} unpacks to more than {} MB (it says {} MB)", most >> 20, bytes >> 20))
    };
    let mut archive = ZipArchive::new(BufReader::new(&mut *file)).map_err(|why| broken(&why))?;
    let mut all = 0_u64;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(|why| broken(&why))?;
        all = all.saturating_add(entry.size());
        let (size, name) = (entry.size(), entry.name().map_err(|why| broken(&why))?.into_owned());
        if all > ALL_BYTES_MAX {
            return Err(too_large("the workbook", all, ALL_BYTES_MAX));
        }
        if name.contains("worksheets/") || name.contains("media/") {
            continue;
        }
        let real = std::io::copy(&mut entry.by_ref().take(TEXTS_BYTES_MAX + 1), &mut std::io::sink())
            .map_err(|why| broken(&why))?;
        if real.max(size) > TEXTS_BYTES_MAX {
            return Err(too_large(&format!("`{name}` in it"), size, TEXTS_BYTES_MAX));
        }
    }
    drop(archive);
    file.rewind()?;
    Ok(())
}

struct Row<'a> {
    cells: &'a [Cell<'static>],
    wanted: &'a [usize],
}

impl Cells for Row<'_> {
    fn cell(&self, wanted: usize) -> Cell<'_> {
        self.cells.get(self.wanted[wanted]).cloned().unwrap_or(Cell::Blank)
    }
}

fn cell(data: &DataRef<'_>) -> Cell<'static> {
    match data {
        DataRef::Empty => Cell::Blank,
        DataRef::String(text) if text.is_empty() => Cell::Blank,
        DataRef::SharedString("") => Cell::Blank,
        DataRef::String(text) => Cell::Text(text.clone().into()),
        DataRef::SharedString(text) => Cell::Text((*text).to_owned().into()),
        DataRef::Int(number) => Cell::Number(number.to_string().into()),
        DataRef::Float(number) => Cell::Number(digits(*number).into()),
        DataRef::Bool(value) => Cell::Bool(*value),
        DataRef::DateTime(at) => moment(at),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.parse().map_or_else(|_| Cell::Text(text.clone().into()), Cell::Time)
        }
        DataRef::Error(error) => Cell::Wrong(format!("the cell holds the error {error}")),
    }
}

fn moment(at: &ExcelDateTime) -> Cell<'static> {
    if !at.is_datetime() {
        return Cell::Number(digits(at.as_f64()).into());
    }
    let (year, month, day, hour, minute, second, milli) = at.to_ymd_hms_milli();
    let civil = || {
        // Beyond either end the nearest day would come.
        DAYS.contains(&at.as_f64()).then_some(())?;
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        let (hour, minute, second) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?);
        DateTime::new(i16::try_from(year).ok()?, month, day, hour, minute, second, i32::from(milli) * 1_000_000).ok()
    };
    civil().map_or_else(|| Cell::Wrong("the cell holds a date that is none".to_owned()), Cell::Time)
}

/// The number with the 15 digits that Excel keeps: 0.1 + 0.2 is 0.3.
fn digits(number: f64) -> String {
    let text = format!("{number:.14e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits: String = digits.chars().filter(|c| *c != '.').collect();
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    if !(-20..=27).contains(&exponent) {
        return format!("{sign}{}.{}e{exponent}", &digits[..1], if digits.len() > 1 { &digits[1..] } else { "0" });
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

fn title(cell: &Cell<'static>) -> String {
    match cell {
        Cell::Text(text) => text.trim().to_owned(),
        Cell::Plain(text) => text.trim().to_owned(),
        Cell::Number(text) => text.clone().into_owned(),
        Cell::Bool(value) => value.to_string(),
        Cell::Time(at) => at.to_string(),
        Cell::Blank | Cell::Bytes(_) | Cell::Rows(_) | Cell::Wrong(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_garbage() {
        for (number, expected) in [
            (0.1 + 0.2, "0.3"),
            (1.1 * 3.0, "3.3"),
            (42.0, "42"),
            (-1234.5, "-1234.5"),
            (0.0, "0"),
            (-0.0, "0"),
            (1e15, "1000000000000000"),
            (123456789012.34, "123456789012.34"),
            (0.00001, "0.00001"),
            (9.99, "9.99"),
            (1e300, "1.0e300"),
            (4.35, "4.35"),
        ] {
            assert_eq!(digits(number), expected);
        }
    }
}
