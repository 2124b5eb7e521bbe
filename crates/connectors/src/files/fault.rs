//! What goes wrong with files, in the nouns of people who send and fetch them.

use std::time::Duration;

use record::{Code, Fault, ReadSpec, Row, Unreadable, Value, Why};

/// As much of a value as a fault shows.
const VALUE_SHOWN_MAX: usize = 80;

pub(super) const NO_FILE: Code = Code("IB0620");
const SETTINGS: Code = Code("IB0621");
const NOT_READY: Code = Code("IB0622");
const CHANGED: Code = Code("IB0623");
const GONE: Code = Code("IB0624");
const HOST_KEY: Code = Code("IB0625");
const NOT_PUT_AWAY: Code = Code("IB0626");
const NOT_ITS_FORMAT: Code = Code("IB0627");
const LINE: Code = Code("IB0628");
const NOT_OURS: Code = Code("IB0633");
const TOO_LARGE_TO_REPLACE: Code = Code("IB0634");
const TOO_LARGE: Code = Code("IB0629");

pub(super) fn settings(system: &str, what: &str, fix: &str) -> Fault {
    Fault::stop(SETTINGS, format!("the files of `{system}` cannot be read like this: {what}"))
        .at_system(system)
        .fix(fix)
}

pub(super) fn unwritable(system: &str, what: &str, fix: &str) -> Fault {
    Fault::stop(SETTINGS, format!("the files of `{system}` cannot be written like this: {what}"))
        .at_system(system)
        .fix(fix)
}

/// A file of the name that is to be written is there, and is not what the hub writes.
pub(super) fn not_ours(system: &str, name: &str, why: &str) -> Fault {
    Fault::ask_person(NOT_OURS, format!("`{name}` is there already, and the hub would not write it like that: {why}"))
        .at_system(system)
        .at_table(name)
        .fix("if nobody needs it, move it away once; else write to another name under `file:`")
}

pub(super) fn too_large_to_replace(system: &str, name: &str, much: &str) -> Fault {
    let what =
        format!("`{name}` would have {much}; up to 64 MB, and of a workbook 2,000,000 cells, are written as one file");
    Fault::ask_person(TOO_LARGE_TO_REPLACE, what)
        .at_system(system)
        .at_table(name)
        .fix("write only what changes, each time into a new file: a name with `*` under `file:`, such as `stock_*.csv`")
}

pub(super) fn no_file(system: &str, pattern: &str, place: &str) -> Fault {
    Fault::stop(NO_FILE, format!("there is no file `{pattern}` in {place}"))
        .at_system(system)
        .at_table(pattern)
        .fix("ask the sender where the file is; if it has another name, correct `file:` in the system's file")
}

pub(super) fn not_ready(system: &str, name: &str, why: &str, wait: Option<Duration>) -> Fault {
    let what = format!("`{name}` is not whole yet: {why}");
    // Where it is known how long, it is worth waiting for.
    let fault = if wait.is_some() { Fault::retry(NOT_READY, what, wait) } else { Fault::stop(NOT_READY, what) };
    fault.at_system(system).at_table(name).fix("nothing: it is read once it is whole (`ready_when:`)")
}

pub(super) fn changed(system: &str, name: &str) -> Fault {
    Fault::retry(CHANGED, format!("`{name}` was changed while it was read"), None)
        .at_system(system)
        .at_table(name)
        .fix("nothing, if it happens once; else raise the time of `ready_when: unchanged for`, or have the sender rename the file when it is whole")
}

pub(super) fn gone(system: &str, name: &str, rows: u64) -> Fault {
    Fault::stop(GONE, format!("`{name}` was read up to row {rows}, and is not there any more"))
        .at_system(system)
        .at_table(name)
        .fix("put the file back; where it is gone for good, let the next run read all files that there are: ironbridge state reset INTEGRATION")
}

pub(super) fn host_key(system: &str, what: String, fix: String) -> Fault {
    Fault::ask_person(HOST_KEY, what).at_system(system).fix(fix)
}

pub(super) fn not_put_away(system: &str, name: &str, what: &str, cause: &Fault) -> Fault {
    let mut fault = Fault::ask_person(
        NOT_PUT_AWAY,
        format!("`{name}` was read to its end, and could not be {what}: {}", cause.what),
    )
    .at_system(system)
    .at_table(name)
    .fix("give the user of `connection:` the right to do that; its rows are written, and it is not read again");
    fault.why.clone_from(&cause.why);
    fault
}

/// A file that is not what it is said to be.
pub(super) fn not_its_format(system: &str, name: &str, why: &str, fix: &str) -> Fault {
    Fault::ask_person(NOT_ITS_FORMAT, format!("`{name}` cannot be read: {why}"))
        .at_system(system)
        .at_table(name)
        .fix(fix)
}

pub(super) fn too_large(system: &str, name: &str, why: &str) -> Fault {
    Fault::ask_person(TOO_LARGE, format!("`{name}` is larger than the hub reads: {why}"))
        .at_system(system)
        .at_table(name)
        .fix("have the file sent in parts, or as CSV, which is read in pieces whatever its size")
}

/// `is_header`: what is there are names of columns, which may be shown.
pub(super) fn no_column(system: &str, name: &str, missing: &str, there: &[String], is_header: bool) -> Fault {
    let shown: Vec<String> = there.iter().take(40).map(|column| format!("`{column}`")).collect();
    let what = match (there, is_header) {
        ([], _) => format!("`{name}` has no column `{missing}`; it has none at all"),
        (_, true) => format!("`{name}` has no column `{missing}`; it has {}", shown.join(", ")),
        ([_], false) => {
            format!("`{name}` has no column `{missing}`: its first line is one column, and none that is read")
        }
        (several, false) => format!(
            "`{name}` has no column `{missing}`: its first line has {} columns, and none that is read",
            several.len()
        ),
    };
    Fault::ask_person(Code("IB0603"), what).at_system(system).at_table(name).at_column(missing).fix(
        match there.iter().any(|column| column.contains('\u{fffd}')) {
            true => "say how the file is encoded, for example `encoding: windows-1252` under `format:`",
            false if is_header => "correct the name under `columns:` and `read:`",
            false => "look at that line: correct `delimiter:` or `header:` under `format:`, or the names under `columns:` and `read:`",
        },
    )
}

/// A place that does not answer, or not in time.
pub(super) fn unreachable(system: &str, place: &str, why: impl std::fmt::Display) -> Fault {
    Fault::retry(Code("IB0601"), format!("{place} cannot be reached"), None)
        .at_system(system)
        .why(words(why))
        .fix("compare the address under `connection:`, and try it from the machine that runs the hub")
}

/// The folder is not there.
pub(super) fn no_folder(system: &str, place: &str) -> Fault {
    Fault::ask_person(Code("IB0602"), format!("there is no folder {place}"))
        .at_system(system)
        .fix("correct the folder under `connection:`, or make it")
}

pub(super) fn not_permitted(system: &str, what: &str, why: impl std::fmt::Display) -> Fault {
    Fault::ask_person(Code("IB0604"), format!("{what} is not permitted"))
        .at_system(system)
        .why(words(why))
        .fix("give the user of `connection:` the right to list and read the folder, or correct its password or key")
}

pub(super) fn words(why: impl std::fmt::Display) -> Why {
    Why { text: why.to_string(), ..Why::default() }
}

/// Where in a file: `prices.csv line 7`, or `row 7` of an Excel sheet.
#[derive(Debug, Clone)]
pub(super) struct Spot<'a> {
    pub system: &'a str,
    pub file: &'a str,
    pub line: u64,
    /// What a line is called there.
    pub noun: &'static str,
}

impl Spot<'_> {
    fn text(&self) -> String {
        format!("{} {} {}", self.file, self.noun, self.line)
    }

    /// A line of which not even the columns are known.
    pub fn line(&self, row: Row, why: &str) -> Unreadable {
        let fault = Fault::reject(LINE, format!("{}: {why}", self.text()))
            .at_system(self.system)
            .at_table(self.file)
            .at_formula(self.text())
            .fix("correct the line at the sender, and have the file sent again");
        Unreadable { row, fault }
    }

    /// A row with one value that its column does not allow.
    pub fn value(&self, spec: &ReadSpec, row: Row, column: usize, why: &str, shown: &str) -> Unreadable {
        let code = if why.starts_with("this local time") { "IB0608" } else { "IB0606" };
        let name = row.schema().columns()[column].name.clone();
        let shown: String = shown.chars().take(VALUE_SHOWN_MAX).collect();
        let key: Vec<String> = spec.key.iter().filter_map(|name| row.get(name)).map(Value::to_string).collect();
        let mut fault = Fault::reject(Code(code), format!("{}, column `{name}`: {why}", self.text()))
            .at_system(self.system)
            .at_table(self.file)
            .at_column(&*name)
            .at_value(shown)
            .at_formula(self.text())
            .fix(match why.contains("number") {
                true => "where all its numbers are written so, say `decimal:` and `thousands:` under `format:`; else correct the value at the sender, and have the file sent again",
                false => "correct the value at the sender, and have the file sent again",
            });
        if !key.is_empty() {
            fault = fault.at_key(key.join("|"));
        }
        Unreadable { row, fault }
    }
}
