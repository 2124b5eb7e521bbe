//! CSV, read so that one bad line costs one line.
//!
//! A quote that is not closed, or that closes in the middle of a value, makes its first line unreadable, and reading goes
//! on with the next line: no row is ever swallowed by the value of another. *Source*: RFC 4180, and what programs make
//! of it: line ends of all kinds, spaces in the header, empty lines, a delimiter too many at the end.

use std::borrow::Cow;
use std::io::Read;

use memchr::{memchr, memchr_iter, memchr3};
use record::ReadSpec;
use xxhash_rust::xxh3::xxh3_64;

use super::window::{ROW_BYTES_MAX, Window};
use super::{Broken, Cells, Taker, bind, declared};
use crate::files::passing::Passing;
use crate::files::settings::{Format, Settings};
use crate::files::value::{self, Cell};

pub(super) fn read(
    file: &mut Passing,
    spec: &ReadSpec,
    settings: &Settings,
    taker: &mut dyn Taker,
) -> Result<(), Broken> {
    rows(Window::open(file, settings.format.encoding)?, spec, settings, taker)
}

fn rows<R: Read>(window: Window<R>, spec: &ReadSpec, settings: &Settings, taker: &mut dyn Taker) -> Result<(), Broken> {
    let format = &settings.format;
    let mut lines = Lines { window, line: 1, fields: Vec::new(), record: 0 };
    for _ in 0..format.skip_lines {
        lines.skip_line()?;
    }
    let names = if format.header { header(&mut lines, format, settings.whole)? } else { Some(declared(spec)) };
    // An empty file of changes says that nothing has changed.
    let Some(names) = names else { return Ok(()) };
    let wanted = bind(spec, &names)?;
    loop {
        let line = lines.line;
        match lines.next(format)? {
            Next::End => return Ok(()),
            Next::Row => {
                let record = lines.window.taken(lines.record);
                if is_blank(record, &lines.fields) {
                    continue;
                }
                let row = Row::new(record, &lines.fields, &wanted, format.quote);
                let extra = lines.fields.get(names.len()..).unwrap_or_default();
                let flow = if lines.fields.len() < names.len() || extra.iter().any(|field| !field.is_empty()) {
                    if lines.line > line + 1 {
                        // A value that goes over lines, in a row that does not fit: more likely a stray quote.
                        lines.back_to_the_second_line(line);
                    }
                    let why = ragged(lines.fields.len(), names.len());
                    let content = xxh3_64(first_line(lines.window.taken(lines.record)));
                    taker.unreadable(line, &why, content)
                } else {
                    taker.row(line, &row)
                };
                if flow.is_break() {
                    return Ok(());
                }
            }
            Next::Wrong(why) => {
                let content = xxh3_64(lines.window.taken(lines.record));
                if taker.unreadable(line, why, content).is_break() {
                    return Ok(());
                }
            }
        }
    }
}

/// Whether a line holds nothing: an empty one, the delimiters of a row that was cleared in a spreadsheet, or the sign with
/// which files of DOS end.
fn is_blank(record: &[u8], fields: &[Field]) -> bool {
    const END_OF_DOS: u8 = 0x1A;
    let is_nothing = |byte: &u8| byte.is_ascii_whitespace() || *byte == END_OF_DOS;
    fields.iter().all(|field| record[field.from..field.to].iter().all(is_nothing))
}

fn ragged(found: usize, expected: usize) -> String {
    let values = if found == 1 { "1 value".to_owned() } else { format!("{found} values") };
    format!("this line has {values}, and there are {expected} columns")
}

/// The names in the first line; `None` where an empty file means that there is nothing.
fn header<R: Read>(lines: &mut Lines<R>, format: &Format, whole: bool) -> Result<Option<Vec<String>>, Broken> {
    const FIX: &str =
        "compare the file with `format:` in the system's file: delimiter, quote, encoding, header, skip_lines";
    loop {
        match lines.next(format)? {
            Next::End if whole => {
                let why = "it is empty: not even the names of its columns are there";
                return Err(Broken::Format(why.to_owned(), "have the file sent again"));
            }
            Next::End => return Ok(None),
            Next::Wrong(why) => return Err(Broken::Format(format!("its first line holds no names: {why}"), FIX)),
            Next::Row if is_blank(lines.window.taken(lines.record), &lines.fields) => {}
            Next::Row => break,
        }
    }
    let record = lines.window.taken(lines.record);
    let all: Vec<usize> = (0..lines.fields.len()).collect();
    let row = Row::new(record, &lines.fields, &all, format.quote);
    let name = |at: usize| match row.cell(at) {
        Cell::Text(text) => text.trim().to_owned(),
        Cell::Plain(text) => text.trim().to_owned(),
        Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).trim().to_owned(),
        _ => String::new(),
    };
    Ok(Some(all.iter().map(|at| name(*at)).collect()))
}

/// A value in its record, without its quotes.
#[derive(Debug, Clone, Copy)]
struct Field {
    from: usize,
    to: usize,
    /// It holds quotes that are written twice.
    doubled: bool,
}

impl Field {
    fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

struct Row<'a> {
    record: &'a [u8],
    /// The record as a text, looked at once and not for each value.
    text: Option<&'a str>,
    /// The same for what no text may hold.
    plain: bool,
    fields: &'a [Field],
    wanted: &'a [usize],
    quote: Option<u8>,
}

impl<'a> Row<'a> {
    fn new(record: &'a [u8], fields: &'a [Field], wanted: &'a [usize], quote: Option<u8>) -> Row<'a> {
        Row { record, text: std::str::from_utf8(record).ok(), plain: !value::suspicious(record), fields, wanted, quote }
    }
}

impl Cells for Row<'_> {
    fn cell(&self, wanted: usize) -> Cell<'_> {
        let field = self.fields[self.wanted[wanted]];
        let bytes = &self.record[field.from..field.to];
        match self.quote {
            _ if bytes.is_empty() => Cell::Blank,
            Some(quote) if field.doubled => {
                let mut plain = Vec::with_capacity(bytes.len());
                let mut rest = bytes;
                while let Some(at) = memchr(quote, rest) {
                    plain.extend_from_slice(&rest[..=at]);
                    rest = rest.get(at + 2..).unwrap_or_default();
                }
                plain.extend_from_slice(rest);
                match String::from_utf8(plain) {
                    Ok(text) => Cell::Text(text.into()),
                    Err(_) => Cell::Bytes(bytes),
                }
            }
            _ => match self.text {
                // Delimiters and quotes are ASCII: a value begins and ends with a whole character.
                Some(text) if self.plain => Cell::Plain(&text[field.from..field.to]),
                Some(text) => Cell::Text(Cow::Borrowed(&text[field.from..field.to])),
                None => Cell::Bytes(bytes),
            },
        }
    }
}

enum Next {
    Row,
    Wrong(&'static str),
    End,
}

/// The records of a text.
struct Lines<R> {
    window: Window<R>,
    /// The line at which the next record begins.
    line: u64,
    fields: Vec<Field>,
    /// The length of the last record.
    record: usize,
}

/// What was found at the start of some bytes.
enum Found {
    Record {
        bytes: usize,
        lines: u64,
    },
    Wrong(&'static str),
    /// The record may go on after these bytes.
    More,
}

const NOT_CLOSED: &str = "a quote is opened and not closed";
const AFTER_QUOTE: &str = "a value goes on after its closing quote; a quote inside a value is written twice";
const TOO_LONG: &str = "this line is longer than 4 MB";

impl<R: Read> Lines<R> {
    fn next(&mut self, format: &Format) -> Result<Next, Broken> {
        loop {
            let last = self.window.is_last();
            let rest = self.window.rest();
            if rest.is_empty() {
                if last {
                    return Ok(Next::End);
                }
                self.window.fill()?;
                continue;
            }
            let found = find(rest, last, format, &mut self.fields);
            match found {
                Found::Record { bytes, lines } => {
                    self.record = bytes;
                    self.line += lines;
                    self.window.take(bytes);
                    return Ok(Next::Row);
                }
                Found::Wrong(why) => {
                    self.record = self.skip_line()?;
                    return Ok(Next::Wrong(why));
                }
                Found::More => self.window.fill()?,
            }
        }
    }

    /// Takes the rest of this line; answers how much of it is still in the window.
    fn skip_line(&mut self) -> Result<usize, Broken> {
        loop {
            let rest = self.window.rest();
            if let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
                let pair = rest[at] == b'\r' && rest.get(at + 1) == Some(&b'\n');
                // A line end that is cut in two by the window.
                if rest[at] == b'\r' && at + 1 == rest.len() && !self.window.is_last() {
                    self.window.fill()?;
                    continue;
                }
                let bytes = at + 1 + usize::from(pair);
                self.window.take(bytes);
                self.line += 1;
                return Ok(bytes);
            }
            let bytes = rest.len();
            if self.window.is_last() {
                self.window.take(bytes);
                return Ok(bytes);
            }
            if bytes > ROW_BYTES_MAX {
                self.window.take(bytes);
            }
            self.window.fill()?;
        }
    }

    /// Gives all but the first line of the last record back.
    fn back_to_the_second_line(&mut self, first: u64) {
        let record = self.window.taken(self.record);
        let keep = first_line(record).len();
        let after = &record[keep..];
        let end = if after.starts_with(b"\r\n") { 2 } else { usize::from(!after.is_empty()) };
        self.window.give_back(self.record - keep - end);
        self.record = keep + end;
        self.line = first + 1;
    }
}

fn first_line(record: &[u8]) -> &[u8] {
    &record[..memchr::memchr2(b'\n', b'\r', record).unwrap_or(record.len())]
}

/// Finds the record at the start of `bytes`; `last` where the file ends with them.
fn find(bytes: &[u8], last: bool, format: &Format, fields: &mut Vec<Field>) -> Found {
    fields.clear();
    let more = |why| if last || bytes.len() > ROW_BYTES_MAX { Found::Wrong(why) } else { Found::More };
    let (mut at, mut lines) = (0, 1);
    loop {
        let Some(first) = bytes.get(at) else {
            if !last {
                return Found::More;
            }
            fields.push(Field { from: at, to: at, doubled: false });
            return Found::Record { bytes: at, lines };
        };
        let end = match format.quote {
            Some(quote) if *first == quote => {
                let from = at + 1;
                let (mut look, mut doubled) = (from, false);
                let to = loop {
                    let Some(found) = memchr(quote, &bytes[look..]) else { return more(NOT_CLOSED) };
                    let found = look + found;
                    match bytes.get(found + 1) {
                        None if !last => return Found::More,
                        Some(next) if *next == quote => {
                            doubled = true;
                            look = found + 2;
                        }
                        _ => break found,
                    }
                };
                lines += memchr_iter(b'\n', &bytes[from..to]).count() as u64;
                fields.push(Field { from, to, doubled });
                to + 1
            }
            _ => {
                let to = match memchr3(format.delimiter, b'\n', b'\r', &bytes[at..]) {
                    Some(found) => at + found,
                    None if last => bytes.len(),
                    None if bytes.len() > ROW_BYTES_MAX => return Found::Wrong(TOO_LONG),
                    None => return Found::More,
                };
                fields.push(Field { from: at, to, doubled: false });
                to
            }
        };
        match bytes.get(end) {
            None if last => return Found::Record { bytes: end, lines },
            None => return Found::More,
            Some(b'\n') => return Found::Record { bytes: end + 1, lines },
            Some(b'\r') => match bytes.get(end + 1) {
                None if !last => return Found::More,
                Some(b'\n') => return Found::Record { bytes: end + 2, lines },
                _ => return Found::Record { bytes: end + 1, lines },
            },
            Some(byte) if *byte == format.delimiter => at = end + 1,
            Some(_) => return Found::Wrong(AFTER_QUOTE),
        }
    }
}

#[cfg(test)]
mod tests;
