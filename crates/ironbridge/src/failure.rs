//! How a command says that it failed: code, what, where, why, do, more. The same fields as JSON.

use anstyle::{AnsiColor, Style};
use record::{Code, Fault};
use serde_json::{Value as Json, json};

use crate::cli::Format;
use crate::{say, talk};

/// Exit codes: 0 done or nothing to do, 1 failed, 2 usage or definition error, 3 (of `plan`) there are changes.
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const CHANGES: u8 = 3;

/// A command that could not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    pub exit: u8,
    code: Option<Code>,
    what: String,
    place: Vec<(&'static str, String)>,
    why: Option<String>,
    fix: String,
}

pub const NO_DEMO: Code = Code("IB0001");
pub const NO_SUCH_NAME: Code = Code("IB0002");
/// What cannot be undone was asked for without `--yes`.
pub const NOT_CONFIRMED: Code = Code("IB0021");
pub const PROTECTED: Code = Code("IB0003");
pub const CANNOT_LISTEN: Code = Code("IB0004");
pub const FOLDER_NOT_EMPTY: Code = Code("IB0005");
pub const BAD_FAULT: Code = Code("IB0008");
pub const BAD_SAMPLE: Code = Code("IB0009");
pub const BUSY: Code = Code("IB0018");
/// The position of an integration cannot be changed like this.
pub const WRONG_STATE: Code = Code("IB0019");
/// A retry job cannot do what it was asked.
pub const JOB_REFUSES: Code = Code("IB1030");
/// A dead letter cannot be changed.
pub const NOT_EDITABLE: Code = Code("IB1031");
/// A record is not forgotten, or not all of it.
pub const NOT_FORGOTTEN: Code = Code("IB1033");
/// A support bundle cannot be written.
pub const CANNOT_BUNDLE: Code = Code("IB1035");
/// The audit log is not what was recorded, or cannot be written out.
pub const AUDIT_BROKEN: Code = Code("IB1032");
/// Somebody else has dealt with a dead letter.
pub const DEALT_WITH: Code = Code("IB1034");
/// A file is no saved plan, or a plan cannot be saved.
pub const BAD_PLAN: Code = Code("IB0734");
/// Somebody who was not asked cannot decide, or the question is no longer open.
pub const NOT_ASKED: Code = Code("IB0735");
/// A window of time makes no sense.
pub const BAD_WINDOW: Code = Code("IB0738");
/// An instance of a flow is not in a state in which this can be done.
pub const NOT_NOW: Code = Code("IB1205");
/// No event integration would do what a flow does, or its file is there already.
pub const NOT_PROMOTED: Code = Code("IB1206");
/// A step of a flow cannot be left out.
pub const NOT_SKIPPED: Code = Code("IB1213");
/// What people were shown is not what is kept.
pub const SHOWN_CHANGED: Code = Code("IB1217");
/// The certificate or the key of `--tls-…` cannot be used.
pub const BAD_TLS: Code = Code("IB1051");
/// An alert that is over, or that there is none.
pub const NO_ALERT: Code = Code("IB1005");
/// No way to tell anybody is there to be tried.
pub const NO_WAYS: Code = Code("IB1006");
/// No events are registered for this integration, or not by an API.
pub const NOT_REGISTERED_THERE: Code = Code("IB0805");
/// No system, or several, whose alternate keys could be made.
pub const NO_KEYS_THERE: Code = Code("IB0830");
/// An integration has no virtual table that could be published.
pub const NOT_PUBLISHED_THERE: Code = Code("IB0917");
/// Nothing was answered that could be advised on.
pub const NO_ANSWERS: Code = Code("IB1100");
/// What cannot be chosen, or named.
pub const BAD_CHOICE: Code = Code("IB1101");
/// Neither a folder nor a revision of git.
pub const NO_VERSION: Code = Code("IB1102");

impl Failure {
    pub fn new(exit: u8, code: Code, what: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure { exit, code: Some(code), what: what.into(), place: Vec::new(), why: None, fix: fix.into() }
    }

    /// The diagnostics were printed already; only the exit code is left.
    pub fn said(exit: u8) -> Failure {
        Failure { exit, code: None, what: String::new(), place: Vec::new(), why: None, fix: String::new() }
    }

    /// What went wrong, in one sentence.
    pub fn what(&self) -> &str {
        &self.what
    }

    pub fn because(mut self, why: impl std::fmt::Display) -> Failure {
        self.why = Some(why.to_string());
        self
    }

    /// On stderr for people; on stdout where JSON was asked for, since that is the answer then.
    pub fn print(&self, format: Format) {
        if self.what.is_empty() {
            return;
        }
        if format == Format::Json {
            say!("{}", self.to_json());
            return;
        }
        let (red, bold) = (AnsiColor::Red.on_default().bold(), Style::new().bold());
        let code = self.code.map(|code| format!("[{code}]")).unwrap_or_default();
        talk!("{red}error{code}{red:#}: {bold}{}{bold:#}", self.what);
        for (name, value) in &self.place {
            talk!("  {name}: {value}");
        }
        if let Some(why) = &self.why {
            talk!("  why: {why}");
        }
        if !self.fix.is_empty() {
            talk!("  do: {}", self.fix);
        }
        if let Some(code) = self.code {
            talk!("  more: ironbridge explain {code}");
        }
    }

    fn to_json(&self) -> Json {
        let place: serde_json::Map<String, Json> =
            self.place.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let code = self.code.map(|code| code.0);
        let more = self.code.map(|code| format!("ironbridge explain {code}"));
        json!({ "error": { "code": code, "what": self.what, "where": place, "why": self.why, "do": self.fix, "more": more } })
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        let place = &fault.place;
        let parts = [
            ("system", &place.system),
            ("table", &place.table),
            ("key", &place.key),
            ("column", &place.column),
            ("value", &place.value),
            ("mapping", &place.formula),
        ];
        Failure {
            exit: FAILED,
            code: Some(fault.code),
            place: parts.into_iter().filter_map(|(name, part)| Some((name, part.clone()?))).collect(),
            why: fault.why.as_ref().map(|why| why.to_string()),
            what: fault.what,
            fix: fault.fix,
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Failure {
        let text = error.to_string();
        // The store's messages end with what to do, after a semicolon.
        let (what, fix) = text.split_once("; ").unwrap_or((&text, ""));
        Failure {
            exit: FAILED,
            code: error.code(),
            what: what.to_owned(),
            place: Vec::new(),
            why: None,
            fix: fix.to_owned(),
        }
    }
}

impl From<hub::Error> for Failure {
    fn from(error: hub::Error) -> Failure {
        if let Some((holder, until)) = error.busy() {
            let what = format!("this integration is being run by {holder} right now");
            let left = until.duration_since(jiff::Timestamp::now()).as_secs().max(0) + 1;
            let fix = format!(
                "wait for that run to end, and run again; if that process is gone, its hold ends within {left} seconds"
            );
            return Failure::new(FAILED, BUSY, what, fix);
        }
        let hub::Error::Store(error) = error;
        error.into()
    }
}

impl From<web_console::Problem> for Failure {
    fn from(problem: web_console::Problem) -> Failure {
        let web_console::Problem { code, what, fix, .. } = problem;
        Failure { exit: FAILED, code, what, place: Vec::new(), why: None, fix }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure {
            exit: FAILED,
            code: None,
            what: format!("{error:#}"),
            place: Vec::new(),
            why: None,
            fix: String::new(),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        anyhow::Error::from(error).into()
    }
}
