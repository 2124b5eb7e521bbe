//! Lists as people look at them: filtered, sorted by what they like, a page at a time, with how many there are.
//!
//! For what the hub works with, each domain has its own questions.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::audit::{self, Recorded};
use crate::dead_letters::{self, DeadLetter};
use crate::error::Error;
use crate::runs::{self, Run, RunId};
use crate::time::{Ms, from_ms, to_ms};
use crate::tx::{all, first};
use crate::{Store, words::words};

/// Nobody counts further than this: a list says that there are more.
pub const TOTAL_MAX: u64 = 10_000;

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// How many the filter lets through. *Shape*: at most [`TOTAL_MAX`] + 1, which means that there are more.
    pub total: u64,
}

/// Where a page begins and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub skip: usize,
    /// At most 1000.
    pub limit: usize,
}

words! {
    /// What runs are sorted by.
    pub enum RunOrder {
        Started = "started",
        Integration = "integration",
        State = "state",
        Took = "took",
        Read = "read",
        Written = "written",
        Rejected = "rejected",
    }
}

words! {
    /// What dead letters are sorted by.
    pub enum LetterOrder {
        LastSeen = "last_seen",
        FirstSeen = "first_seen",
        Integration = "integration",
        Key = "key",
        Code = "code",
        Count = "count",
    }
}

words! {
    /// What entries of the audit log are sorted by.
    pub enum AuditOrder {
        Number = "number",
        By = "by",
        Action = "action",
        Subject = "subject",
    }
}

/// Which entries of the audit log. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditFilter {
    pub by: Option<String>,
    pub action: Option<String>,
    /// In what was done, to what, why, or by whom.
    pub text: Option<String>,
}

/// Which runs. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFilter {
    pub integration: Option<String>,
    /// Any of these; empty means all.
    pub states: Vec<runs::State>,
    pub trigger: Option<runs::Trigger>,
    pub code: Option<String>,
    /// In the number, the integration or the error.
    pub text: Option<String>,
}

/// Which dead letters. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LetterFilter {
    pub integration: Option<String>,
    pub entity: Option<String>,
    pub code: Option<String>,
    /// The id of a group.
    pub cause: Option<String>,
    /// Any of these; empty means all.
    pub states: Vec<dead_letters::State>,
    pub run: Option<RunId>,
    /// In the id, the key or the problem.
    pub text: Option<String>,
}

/// What the runs that began within an hour did together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// Its beginning, in UTC.
    pub at: Timestamp,
    pub good: u64,
    /// Those of the good ones that left dead letters or wrote less than was asked for.
    pub with_dead_letters: u64,
    /// Failed or interrupted.
    pub failed: u64,
    pub read: u64,
    pub written: u64,
    pub rejected: u64,
}

/// Conditions of a query with their values.
#[derive(Default)]
struct Where {
    sql: String,
    values: Vec<Value>,
}

impl Where {
    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql += if self.sql.is_empty() { " WHERE " } else { " AND " };
        self.sql += condition;
        self.values.extend(values);
    }

    fn equals(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.and(&format!("{column} = ?"), [value.clone().into()]);
        }
    }

    fn one_of(&mut self, column: &str, words: Vec<&'static str>) {
        if !words.is_empty() {
            let marks = vec!["?"; words.len()].join(", ");
            self.and(&format!("{column} IN ({marks})"), words.into_iter().map(|word| word.to_owned().into()));
        }
    }

    /// Somewhere in one of the columns, whatever the capitals.
    fn contains(&mut self, columns: &[&str], text: Option<&String>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let any: Vec<String> =
                columns.iter().map(|column| format!("instr(lower({column}), lower(?)) > 0")).collect();
            self.and(&format!("({})", any.join(" OR ")), columns.iter().map(|_| text.clone().into()));
        }
    }

    fn page<T>(
        &self,
        conn: &Connection,
        (columns, table): (&str, &str),
        order: &str,
        slice: Slice,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Page<T>> {
        let count = format!("SELECT count(*) FROM (SELECT 1 FROM {table}{} LIMIT {})", self.sql, TOTAL_MAX + 1);
        let total = first(conn, &count, params_from_iter(&self.values), |row| row.get::<_, i64>(0))?.unwrap_or(0);
        let (limit, skip) = (slice.limit.min(1000), slice.skip);
        let sql = format!("SELECT {columns} FROM {table}{} ORDER BY {order} LIMIT {limit} OFFSET {skip}", self.sql);
        Ok(Page { rows: all(conn, &sql, params_from_iter(&self.values), read)?, total: total as u64 })
    }
}

impl RunFilter {
    fn conditions(&self) -> Where {
        let mut conditions = Where::default();
        conditions.equals("integration", self.integration.as_ref());
        conditions.one_of("state", self.states.iter().map(|state| state.as_str()).collect());
        conditions.one_of("trigger", self.trigger.iter().map(|trigger| trigger.as_str()).collect());
        conditions.equals("error_code", self.code.as_ref());
        let columns = ["id", "integration", "coalesce(error_code, '')", "coalesce(error_text, '')"];
        conditions.contains(&columns, self.text.as_ref());
        conditions
    }
}

impl LetterFilter {
    fn conditions(&self) -> Where {
        let mut conditions = Where::default();
        conditions.equals("integration", self.integration.as_ref());
        conditions.equals("entity", self.entity.as_ref());
        conditions.equals("code", self.code.as_ref());
        conditions.equals("cause", self.cause.as_ref());
        conditions.one_of("state", self.states.iter().map(|state| state.as_str()).collect());
        if let Some(run) = self.run {
            conditions.and("run = ?", [run.0.into()]);
        }
        conditions.contains(&["id", "key_text", "code", "what", "why"], self.text.as_ref());
        conditions
    }
}

fn direction(descending: bool) -> &'static str {
    if descending { "DESC" } else { "ASC" }
}

fn hours(
    conn: &Connection,
    integration: Option<&str>,
    from: RunId,
    before: Option<RunId>,
) -> rusqlite::Result<Vec<Hour>> {
    let of = if integration.is_some() { "integration = ?3" } else { "?3 IS NULL" };
    let sql = format!(
        "SELECT started / 3600000 AS hour,
           sum(state IN ('ok', 'ok_with_dead_letters', 'degraded')), sum(state IN ('ok_with_dead_letters', 'degraded')),
           sum(state IN ('failed', 'interrupted')), sum(read), sum(created + updated + deleted), sum(rejected)
         FROM run WHERE id >= ?1 AND id < ?2 AND {of} GROUP BY hour ORDER BY hour"
    );
    all(conn, &sql, (from.0, before.map_or(i64::MAX, |before| before.0), integration), |row| {
        let count = |at| row.get::<_, i64>(at).map(|n| n as u64);
        Ok(Hour {
            at: from_ms(row.get::<_, Ms>(0)? * 3_600_000),
            good: count(1)?,
            with_dead_letters: count(2)?,
            failed: count(3)?,
            read: count(4)?,
            written: count(5)?,
            rejected: count(6)?,
        })
    })
}

impl Store {
    /// A page of the runs that a filter lets through.
    pub fn run_page(
        &self,
        filter: &RunFilter,
        order: RunOrder,
        descending: bool,
        slice: Slice,
    ) -> Result<Page<Run>, Error> {
        let by = match order {
            // Numbers are given in the order of their beginning.
            RunOrder::Started => "id",
            RunOrder::Integration => "integration",
            RunOrder::State => "state",
            RunOrder::Took => "finished - started",
            RunOrder::Read => "read",
            RunOrder::Written => "created + updated + deleted",
            RunOrder::Rejected => "rejected",
        };
        let order = format!("{by} {}, id DESC", direction(descending));
        self.read(|conn| filter.conditions().page(conn, (runs::COLUMNS, "run"), &order, slice, runs::read))
    }

    /// A page of the dead letters that a filter lets through.
    pub fn dead_letter_page(
        &self,
        filter: &LetterFilter,
        order: LetterOrder,
        descending: bool,
        slice: Slice,
    ) -> Result<Page<DeadLetter>, Error> {
        let by = match order {
            LetterOrder::LastSeen => "last_seen",
            LetterOrder::FirstSeen => "first_seen",
            LetterOrder::Integration => "integration",
            LetterOrder::Key => "key_text",
            LetterOrder::Code => "code",
            LetterOrder::Count => "count",
        };
        let direction = direction(descending);
        let order = format!("{by} {direction}, seq {direction}");
        let from = (dead_letters::reads::COLUMNS, "dead_letter");
        self.read(|conn| filter.conditions().page(conn, from, &order, slice, dead_letters::reads::read))
    }

    /// A page of the entries of the audit log that a filter lets through.
    pub fn audit_page(
        &self,
        filter: &AuditFilter,
        order: AuditOrder,
        descending: bool,
        slice: Slice,
    ) -> Result<Page<Recorded>, Error> {
        let mut conditions = Where::default();
        conditions.equals("by", filter.by.as_ref());
        conditions.equals("action", filter.action.as_ref());
        conditions.contains(&["by", "action", "subject", "coalesce(why, '')", "detail"], filter.text.as_ref());
        let by = match order {
            AuditOrder::Number => "id",
            AuditOrder::By => "by",
            AuditOrder::Action => "action",
            AuditOrder::Subject => "subject",
        };
        let direction = direction(descending);
        let order = format!("{by} {direction}, id {direction}");
        self.read(|conn| conditions.page(conn, (audit::COLUMNS, "audit"), &order, slice, audit::read))
    }

    /// Who has done something, and what has been done, each once and in order. *Shape*: at most 200 of each.
    pub fn audit_words(&self) -> Result<(Vec<String>, Vec<String>), Error> {
        let of = |conn: &Connection, column: &str| {
            let sql = format!("SELECT DISTINCT {column} FROM audit ORDER BY {column} LIMIT 200");
            all(conn, &sql, [], |row| row.get::<_, String>(0))
        };
        self.read(|conn| Ok((of(conn, "by")?, of(conn, "action")?)))
    }

    /// The first run that began at a time or later; one after the last where none did.
    pub fn first_run_since(&self, at: Timestamp) -> Result<RunId, Error> {
        // Runs are numbered in the order of their beginning, so the place is found by halves.
        self.read(|conn| {
            let ends = "SELECT coalesce(min(id), 1), coalesce(max(id), 0) + 1 FROM run";
            let (mut low, mut high) = first(conn, ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or((1, 1));
            while low < high {
                let middle = low + (high - low) / 2;
                let sql = "SELECT id, started FROM run WHERE id >= ?1 ORDER BY id LIMIT 1";
                match first(conn, sql, [middle], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Ms>(1)?)))? {
                    Some((id, started)) if started < to_ms(at) => low = id + 1,
                    _ => high = middle,
                }
            }
            Ok(RunId(low))
        })
    }

    /// The oldest run that goes on. What is older does not change any more.
    pub fn first_running(&self) -> Result<Option<RunId>, Error> {
        let sql = "SELECT min(id) FROM run WHERE state = 'running'";
        self.read(|conn| Ok(first(conn, sql, [], |row| row.get::<_, Option<i64>>(0))?.flatten().map(RunId)))
    }

    /// What the runs from one number to before another did, by the hour of their beginning; hours without runs are left
    /// out.
    pub fn run_hours(&self, integration: Option<&str>, from: RunId, before: Option<RunId>) -> Result<Vec<Hour>, Error> {
        self.read(|conn| hours(conn, integration, from, before))
    }
}
