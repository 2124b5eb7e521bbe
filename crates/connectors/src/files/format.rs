//! What all formats have in common: rows, one after the other, in constant memory.
//!
//! A file is read on a thread of its own, which pushes each row to a [`Taker`]; the taker says when to stop.

mod csv;
mod excel;
mod json;
mod window;

use std::ops::ControlFlow;

use record::ReadSpec;

pub(super) use self::excel::alone as excel_alone;
pub use self::excel::sample as excel_sample;
use super::passing::Passing;
use super::settings::{Kind, Settings};
use super::value::Cell;

/// The cells of one row, by the place of their column in [`ReadSpec::columns`].
pub(super) trait Cells {
    fn cell(&self, wanted: usize) -> Cell<'_>;
}

/// Who gets the rows.
pub(super) trait Taker {
    /// A row; `line` is where it begins, counted from 1.
    fn row(&mut self, line: u64, cells: &dyn Cells) -> ControlFlow<()>;

    /// A line that is no row: why, and a number made of its content.
    fn unreadable(&mut self, line: u64, why: &str, content: u64) -> ControlFlow<()>;
}

/// Why a file cannot be read at all, or no further.
#[derive(Debug)]
pub(super) enum Broken {
    /// Its bytes cannot be had.
    Io(std::io::Error),
    /// A column is not there; and those that are.
    NoColumn {
        missing: String,
        there: Vec<String>,
        /// Others that are read are there: then these are the names of columns, and not somebody's row.
        is_header: bool,
    },
    /// It is not what it is said to be: why, and what to do.
    Format(String, &'static str),
    TooLarge(String),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Broken {
        Broken::Io(error)
    }
}

/// What a line is called in a file of this kind.
pub(super) fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Csv | Kind::JsonLines => "line",
        Kind::Excel => "row",
        Kind::Json => "item",
    }
}

/// Reads a file from its beginning.
///
/// *Errors*: what concerns the whole file. What concerns one row goes to the taker.
pub(super) fn read(
    file: &mut Passing,
    name: &str,
    spec: &ReadSpec,
    settings: &Settings,
    taker: &mut dyn Taker,
) -> Result<(), Broken> {
    match settings.format.kind_of(name) {
        Kind::Csv => csv::read(file, spec, settings, taker),
        Kind::Excel => excel::read(file.file()?, spec, settings, taker),
        Kind::Json => json::read_array(file, spec, settings, taker),
        Kind::JsonLines => json::read_lines(file, spec, settings, taker),
    }
}

/// Where each wanted column is in a row.
///
/// *Errors*: the first column that is not there.
pub(super) fn bind(spec: &ReadSpec, there: &[String]) -> Result<Vec<usize>, Broken> {
    let place = |wanted: &String| {
        let is_header = || spec.columns.iter().any(|column| there.contains(column));
        let missing = || Broken::NoColumn { missing: wanted.clone(), there: there.to_vec(), is_header: is_header() };
        there.iter().position(|name| name == wanted).ok_or_else(missing)
    };
    spec.columns.iter().map(place).collect()
}

/// The columns of a file without a header: those that the definition declares, in their order.
pub(super) fn declared(spec: &ReadSpec) -> Vec<String> {
    spec.declared.iter().map(|(name, _)| name.clone()).collect()
}
