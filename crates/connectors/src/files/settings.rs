//! What a definition says of the files of one entity, checked once when the source is opened.

use std::time::Duration;

use jiff::tz::TimeZone;
use record::{Fault, Options, ReadSpec, Type, WriteSpec};

use super::fault;
use crate::sql::moment::Dst;

/// Everything that is known of the files before one is looked at.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub pattern: Pattern,
    pub ready: Ready,
    pub whole: bool,
    pub newest: bool,
    pub afterwards: Afterwards,
    pub format: Format,
    /// `sheet:` of an Excel file; the first one where it is not said.
    pub sheet: Option<String>,
    /// The JSON path of the rows; empty where the file is the list.
    pub rows: String,
}

/// When a file is whole.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ready {
    Unchanged(Duration),
    /// A file of this name lies beside it; a `*` stands for what the `*` of the file stands for.
    Exists(String),
}

/// What happens to a file once its last row is settled.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Afterwards {
    Keep,
    Delete,
    /// The folder, without a slash at its end, from the folder of the connection.
    Move(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Csv,
    Excel,
    Json,
    JsonLines,
}

/// How a file is written.
#[derive(Debug, Clone)]
pub(super) struct Format {
    /// `None`: the ending of its name says it.
    pub kind: Option<Kind>,
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub encoding: &'static encoding_rs::Encoding,
    pub decimal: u8,
    pub thousands: Option<char>,
    pub date: Dates,
    pub header: bool,
    pub skip_lines: u64,
    pub zone: Option<TimeZone>,
    pub dst: Dst,
}

/// How a day is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// `yyyy-mm-dd`
    Iso,
    /// Day, month, year, with this between them.
    DayFirst(char),
    MonthFirst(char),
    /// `yyyymmdd`
    Digits,
}

impl Settings {
    /// *Errors*: a `Stop` where the definition asks for what cannot be.
    pub fn of(system: &str, spec: &ReadSpec) -> Result<Settings, Fault> {
        let options = &spec.options;
        let wrong = |what: &str, fix: &str| Err(fault::settings(system, what, fix));
        let pattern = options.text("file").unwrap_or_default();
        if pattern.is_empty() || pattern.contains(['/', '\\']) {
            return wrong(
                "`file:` is the name of files in one folder, such as `prices_*.csv`",
                "write the name without a folder; the folder belongs into `connection:`",
            );
        }
        let pattern = Pattern(pattern.to_owned());
        let whole = options.text("contains") == Some("everything");
        let newest = options.text("several") == Some("newest");
        let afterwards = match afterwards(options.text("afterwards").unwrap_or("keep")) {
            Some(afterwards) => afterwards,
            None => {
                return wrong(
                    "`afterwards:` is `keep`, `delete` or `move to` a folder beside the files",
                    "write for example `afterwards: move to done/`",
                );
            }
        };
        if newest && !whole {
            return wrong(
                "`several: newest` leaves older files out, and files with changes are needed every one",
                "write `contains: everything` if each file has every row, else `several: each in order`",
            );
        }
        if !whole && afterwards == Afterwards::Delete {
            return wrong(
                "`afterwards: delete` with files of changes: a row that has to wait for another one could not be read again",
                "write `afterwards: move to done/`",
            );
        }
        let Some(ready) = ready(options.text("ready_when").unwrap_or("unchanged for 2 minutes")) else {
            return wrong(
                "`ready_when:` is `unchanged for` a time or `exists` and the name of a file",
                "write for example `ready_when: unchanged for 2 minutes` or `ready_when: exists prices_*.done`",
            );
        };
        let format = Format::of(system, options, spec)?;
        if !format.header && spec.declared.is_empty() && format.kind != Some(Kind::Json) {
            return wrong(
                "`header: false`, and `columns:` does not say which columns the files have",
                "list every column in the order of the file: `columns: { number: text, amount: decimal }`",
            );
        }
        Ok(Settings {
            pattern,
            ready,
            whole,
            newest,
            afterwards,
            format,
            sheet: options.text("sheet").map(str::to_owned),
            rows: options.text("rows").unwrap_or_default().to_owned(),
        })
    }
}

/// What a definition says of the files that are written.
#[derive(Debug, Clone)]
pub(super) struct Writes {
    pub pattern: Pattern,
    /// One file has every row; else each chunk makes a new one.
    pub whole: bool,
    pub kind: Kind,
    pub format: Format,
    /// Those of the key, then the others.
    pub columns: Vec<String>,
    /// How many of them are the key's.
    pub keys: usize,
    /// How it is read again.
    pub reads: Settings,
}

impl Writes {
    /// *Errors*: a `Stop` where the definition asks for what cannot be written.
    pub fn of(system: &str, spec: &WriteSpec) -> Result<Writes, Fault> {
        let wrong = |what: &str, fix: &str| Err(fault::unwritable(system, what, fix));
        let reads = ReadSpec {
            table: String::new(),
            columns: Vec::new(),
            declared: spec.columns.iter().map(|name| (name.clone(), Type::Unknown)).collect(),
            watermark: None,
            key: Vec::new(),
            rows_per_batch: 1,
            time_zone: spec.time_zone.clone(),
            fields: Vec::new(),
            options: spec.options.clone(),
        };
        let reads = Settings::of(system, &reads)?;
        let (pattern, format) = (reads.pattern.clone(), reads.format.clone());
        if spec.key.is_empty() {
            return wrong("nothing names a row", "write `alternate_key:` with the column, or columns, that do");
        }
        let stars = pattern.0.matches('*').count();
        if stars > 1 || pattern.0.contains('?') {
            return wrong(
                "the hub cannot tell which name to give a file",
                "write a name without signs for one file that has every row, or one `*` for a new file each time: `orders_*.csv`",
            );
        }
        let kind = format.kind_of(&pattern.0);
        if kind == Kind::Json && !reads.rows.is_empty() {
            return wrong(
                "a JSON document is written as an array of objects, and `rows:` names a place in a larger one",
                "leave `rows:` out, or write one object on each line: `format: { type: json lines }`",
            );
        }
        if kind == Kind::Excel && pattern.0.to_ascii_lowercase().ends_with(".xlsm") {
            return wrong("a workbook with macros is read and not written", "name it `.xlsx`");
        }
        if kind == Kind::Csv && format.encoding == encoding_rs::UTF_16LE {
            return wrong("UTF-16 is read and not written", "write `encoding: utf-8`");
        }
        if format.skip_lines > 0 {
            return wrong("`skip_lines:` is for files of others", "leave it out");
        }
        let others = spec.columns.iter().filter(|name| !spec.key.contains(name));
        let columns: Vec<String> = spec.key.iter().chain(others).cloned().collect();
        Ok(Writes { whole: stars == 0, pattern, kind, format, columns, keys: spec.key.len(), reads })
    }
}

impl Format {
    fn of(system: &str, options: &Options, spec: &ReadSpec) -> Result<Format, Fault> {
        let format = options.group("format").unwrap_or_default();
        let one = |name: &str, default: u8| match format.text(name) {
            None => Ok(Some(default)),
            Some("tab" | "\\t" | "\t") => Ok(Some(b'\t')),
            Some("none" | "") => Ok(None),
            Some(text) if text.len() == 1 && !text.bytes().any(|b| b.is_ascii_alphanumeric() || b == b'\n') => {
                Ok(Some(text.as_bytes()[0]))
            }
            Some(_) => Err(fault::settings(
                system,
                &format!("`{name}:` of `format:` is one character"),
                "write for example `delimiter: \";\"`, or `delimiter: tab`",
            )),
        };
        Ok(Format {
            kind: match format.text("type") {
                Some("csv") => Some(Kind::Csv),
                Some("excel") => Some(Kind::Excel),
                Some("json") => Some(Kind::Json),
                Some("json lines") => Some(Kind::JsonLines),
                _ => None,
            },
            delimiter: one("delimiter", b',')?.unwrap_or(b','),
            quote: one("quote", b'"')?,
            encoding: match format.text("encoding") {
                Some("windows-1252" | "iso-8859-1") => encoding_rs::WINDOWS_1252,
                Some("utf-16") => encoding_rs::UTF_16LE,
                _ => encoding_rs::UTF_8,
            },
            decimal: if format.text("decimal") == Some(",") { b',' } else { b'.' },
            thousands: match format.text("thousands") {
                Some("space") => Some(' '),
                Some(text) if text != "none" => text.chars().next(),
                _ => None,
            },
            date: match format.text("date") {
                Some("dd/mm/yyyy") => Dates::DayFirst('/'),
                Some("dd.mm.yyyy") => Dates::DayFirst('.'),
                Some("dd-mm-yyyy") => Dates::DayFirst('-'),
                Some("mm/dd/yyyy") => Dates::MonthFirst('/'),
                Some("yyyymmdd") => Dates::Digits,
                _ => Dates::Iso,
            },
            header: format.yes_no("header").unwrap_or(true),
            skip_lines: format.number("skip_lines").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            zone: spec.time_zone.clone(),
            dst: Dst::of(options.text("dst")),
        })
    }

    /// The kind of a file of this name.
    pub fn kind_of(&self, name: &str) -> Kind {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        self.kind.unwrap_or(match ending.as_str() {
            "xlsx" | "xlsm" => Kind::Excel,
            "json" => Kind::Json,
            "jsonl" | "ndjson" => Kind::JsonLines,
            _ => Kind::Csv,
        })
    }

    /// The type of a column as a page carries it: a time gets a zone where the system has one.
    pub fn column(&self, declared: Option<&Type>) -> Type {
        match declared {
            None => Type::Unknown,
            Some(Type::DateTime | Type::LocalDateTime) if self.zone.is_none() => Type::LocalDateTime,
            Some(Type::LocalDateTime) => Type::DateTime,
            Some(ty) => ty.clone(),
        }
    }
}

fn afterwards(text: &str) -> Option<Afterwards> {
    match text.trim() {
        "keep" => Some(Afterwards::Keep),
        "delete" => Some(Afterwards::Delete),
        other => {
            let folder = other.strip_prefix("move to ")?.trim().trim_end_matches('/');
            let parts = || folder.split('/');
            let inside = !folder.is_empty() && parts().all(|part| !matches!(part, "" | "." | ".."));
            (inside && !folder.contains('\\')).then(|| Afterwards::Move(folder.to_owned()))
        }
    }
}

fn ready(text: &str) -> Option<Ready> {
    if let Some(name) = text.trim().strip_prefix("exists ") {
        let name = name.trim();
        return (!name.is_empty() && !name.contains(['/', '\\'])).then(|| Ready::Exists(name.to_owned()));
    }
    let time = text.trim().strip_prefix("unchanged for ")?;
    let (number, unit) = time.trim().split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim().trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Ready::Unchanged(Duration::from_secs(number.checked_mul(seconds)?)))
}

/// Names of files: `*` is anything, `?` one character, the rest is itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern(pub String);

impl Pattern {
    /// What the first `*` stands for; `None` where the name does not match. *Shape*: empty where there is no `*`.
    pub fn matches<'n>(&self, name: &'n str) -> Option<&'n str> {
        let pattern: Vec<char> = self.0.chars().collect();
        let starts: Vec<usize> = name.char_indices().map(|(at, _)| at).chain([name.len()]).collect();
        let text: Vec<char> = name.chars().collect();
        // Where the last `*` was, how far it reaches now, and the reach of the first one.
        let (mut p, mut t, mut star) = (0, 0, None::<(usize, usize)>);
        let mut first: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    if first.is_none_or(|(start, _)| start == t) {
                        first = Some((t, t));
                    }
                    p += 1;
                }
                Some(c) if *c == '?' || *c == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let (at, reach) = star?;
                    star = Some((at, reach + 1));
                    if self.0.chars().take(at).all(|c| c != '*') {
                        first = first.map(|(start, _)| (start, reach + 1));
                    }
                    p = at + 1;
                    t = reach + 1;
                }
            }
        }
        if pattern[p..].iter().any(|c| *c != '*') {
            return None;
        }
        // A `*` at the end takes what is left.
        let last_is_first = self.0.matches('*').count() == 1 && self.0.ends_with('*');
        match first {
            Some((start, _)) if last_is_first => Some(&name[starts[start]..]),
            Some((start, end)) => Some(&name[starts[start]..starts[end]]),
            None => Some(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_the_star_stands_for() {
        for (pattern, name, expected) in [
            ("prices_*.csv", "prices_2026.csv", Some("2026")),
            ("prices_*.csv", "prices_.csv", Some("")),
            ("prices_*.csv", "prices_a.csv.csv", Some("a.csv")),
            ("prices_*.csv", "Prices_1.csv", None),
            ("prices_*.csv", "prices_1.csv.part", None),
            ("*", "anything", Some("anything")),
            ("orders*", "orders.zip", Some(".zip")),
            ("a?c.txt", "abc.txt", Some("")),
            ("a?c.txt", "ac.txt", None),
            ("*_*.csv", "x_y.csv", Some("x")),
            ("prix_*.csv", "prix_é1.csv", Some("é1")),
            ("prices.csv", "prices.csv", Some("")),
        ] {
            assert_eq!(Pattern(pattern.into()).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn words_of_the_definition() {
        assert_eq!(ready("unchanged for 2 minutes"), Some(Ready::Unchanged(Duration::from_secs(120))));
        assert_eq!(ready("exists prices_*.done"), Some(Ready::Exists("prices_*.done".into())));
        for wrong in ["", "soon", "unchanged for ever", "unchanged for 2 moons", "exists ", "exists ../x"] {
            assert_eq!(ready(wrong), None, "{wrong}");
        }
        assert_eq!(afterwards("move to done/"), Some(Afterwards::Move("done".into())));
        assert_eq!(afterwards("move to old/2026"), Some(Afterwards::Move("old/2026".into())));
        for wrong in ["move to ", "move to ../up", "move to /", "burn", "move to /etc"] {
            assert_eq!(afterwards(wrong), None, "{wrong}");
        }
    }
}
