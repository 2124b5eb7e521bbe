//! Alerts: conditions that need a person, who was told of them, and what they said to it.
//!
//! A condition has a key, and one open alert at a time. Whoever evaluates decides what opens and what is over; this
//! keeps it, in one commit with the notices that it sends. What is over stays for a while, for whoever looks back.

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::Store;
use crate::error::{Error, Fail, Refusal};
use crate::op::OpResult;
use crate::time::{from_ms, to_ms};
use crate::tx::{Tx, all, first};
use crate::words::words;

/// An alert's number, as people type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub i64);

impl std::fmt::Display for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// How much it matters.
    pub enum Severity {
        Warning = "warning",
        Critical = "critical",
    }
}

words! {
    /// What a notice says of an alert.
    pub enum NoticeKind {
        Opened = "opened",
        Resolved = "resolved",
    }
}

/// What an alert says.
#[derive(Debug, Clone, PartialEq)]
pub struct Saying {
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What it is, and what it means.
    pub text: String,
    /// Labels with values, in the order in which they are read.
    pub facts: Vec<(String, String)>,
    /// The next command; empty where there is none.
    pub command: String,
    /// Since when the condition holds, which may be before it was noticed.
    pub since: Timestamp,
}

/// A condition that is to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    pub key: String,
    pub kind: String,
    /// Empty where it is about the hub, or a system.
    pub integration: String,
    /// Empty where it is about no system.
    pub system: String,
    pub saying: Saying,
    /// The key of the alert that it follows from: nobody is told of this one meanwhile.
    pub cause: Option<String>,
}

impl From<&Alert> for Opening {
    /// The condition that an alert is about, whatever it followed from.
    fn from(alert: &Alert) -> Opening {
        Opening {
            key: alert.key.clone(),
            kind: alert.kind.clone(),
            integration: alert.integration.clone(),
            system: alert.system.clone(),
            saying: alert.saying.clone(),
            cause: None,
        }
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub id: AlertId,
    pub key: String,
    pub kind: String,
    pub integration: String,
    pub system: String,
    pub saying: Saying,
    pub opened: Timestamp,
    /// Since when the condition was not seen any more; it is over once that has lasted.
    pub gone: Option<Timestamp>,
    pub resolved: Option<Timestamp>,
    pub cause: Option<String>,
    /// Nobody is told before this moment.
    pub quiet_until: Option<Timestamp>,
    /// When somebody said that they look at it, who, and what they noted.
    pub acked: Option<Timestamp>,
    pub acked_by: Option<String>,
    pub note: Option<String>,
}

/// A notice about an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Notified {
    pub alert: AlertId,
    /// Who, and by which way: `finance-it/email`.
    pub route: String,
    pub kind: NoticeKind,
    pub severity: Severity,
    /// The same for all notices of one matter on one route.
    pub about: String,
    pub queued: Timestamp,
    pub delivered: Option<Timestamp>,
    /// When it was given up on, and why.
    pub failed: Option<Timestamp>,
    pub error: Option<String>,
}

/// Something of which nobody is told for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    pub id: i64,
    /// An integration, a system, or the key of an alert; `*` is everything.
    pub subject: String,
    pub by: String,
    pub note: String,
    pub since: Timestamp,
    pub until: Timestamp,
}

impl Silence {
    /// Whether it is about something with these names: integration, system, key, kind.
    pub fn covers(&self, names: [&str; 4]) -> bool {
        self.subject == "*" || names.into_iter().any(|name| !name.is_empty() && name == self.subject)
    }
}

/// How a way to tell people did lately.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteState {
    pub name: String,
    /// When it last took a notice.
    pub delivered: Option<Timestamp>,
    /// Since when it takes none.
    pub failing: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u64,
    pub code: Option<String>,
    pub what: Option<String>,
}

/// What can be done with alerts. Where a key is named, the open alert with that key is meant; without one, nothing is
/// done. All but `Ack` and `EndSilence` answer how many rows were changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Opens it; nothing where it is open already.
    Open(Box<Opening>),
    Update {
        key: String,
        saying: Box<Saying>,
    },
    /// What it follows from, or that it follows from nothing (any more) and stays quiet for a while.
    Cause {
        key: String,
        cause: Option<String>,
        quiet_until: Option<Timestamp>,
    },
    /// The condition is not seen any more, or is seen again.
    Gone {
        key: String,
        gone: bool,
    },
    Resolve {
        key: String,
    },
    /// A notice about it goes on its way, in the same commit.
    Told {
        key: String,
        route: String,
        kind: NoticeKind,
        severity: Severity,
        about: String,
    },
    /// A notice got through.
    Delivered {
        about: String,
        route: String,
        kind: NoticeKind,
    },
    /// A notice was given up on.
    Undelivered {
        about: String,
        route: String,
        kind: NoticeKind,
        error: String,
    },
    RouteWorked {
        route: String,
    },
    RouteFailed {
        route: String,
        code: String,
        what: String,
    },
    /// Somebody looks at it. Refused where it is over, or not there.
    Ack {
        id: AlertId,
        by: String,
        note: Option<String>,
    },
    /// From now on; over what was said of the same subject before, but until the later end of the two.
    Silence {
        subject: String,
        by: String,
        note: String,
        until: Timestamp,
    },
    /// Ends a silence now; answers how many there were.
    EndSilence {
        id: i64,
    },
    /// Forgets alerts that were over before a time, ended silences, and old traffic; at most `max` alerts in one commit.
    Forget {
        before: Timestamp,
        max: usize,
    },
}

/// Weeks of traffic that are kept, to say what is usual.
const TRAFFIC_HOURS: i64 = 24 * 7 * 9;

pub(crate) fn apply(tx: &mut Tx<'_>, op: &Op) -> Result<OpResult, Fail> {
    let now = tx.now;
    let count = match op {
        Op::Open(opening) => open(tx, opening)?,
        Op::Update { key, saying } => {
            let sql = "UPDATE alert SET severity = ?2, title = ?3, text = ?4, facts = ?5, command = ?6, since = ?7
                       WHERE key = ?1 AND resolved IS NULL";
            let Saying { severity, title, text, facts, command, since } = &**saying;
            tx.run(sql, (key, severity, title, text, pack(facts), command, to_ms(*since)))?
        }
        Op::Cause { key, cause, quiet_until } => {
            let sql = "UPDATE alert SET cause = ?2, quiet_until = ?3 WHERE key = ?1 AND resolved IS NULL";
            tx.run(sql, (key, cause, quiet_until.map(to_ms)))?
        }
        Op::Gone { key, gone } => {
            let sql = "UPDATE alert SET gone = ?2 WHERE key = ?1 AND resolved IS NULL";
            tx.run(sql, (key, gone.then_some(now)))?
        }
        Op::Resolve { key } => {
            tx.run("UPDATE alert SET resolved = ?2 WHERE key = ?1 AND resolved IS NULL", (key, now))?
        }
        Op::Told { key, route, kind, severity, about } => {
            let sql = "INSERT INTO alert_notice (alert, route, kind, severity, about, queued)
                       SELECT id, ?2, ?3, ?4, ?5, ?6 FROM alert WHERE key = ?1 AND resolved IS NULL
                       ON CONFLICT DO NOTHING";
            tx.run(sql, (key, route, kind, severity, about, now))?
        }
        Op::Delivered { about, route, kind } => {
            let sql = "UPDATE alert_notice SET delivered = ?4, failed = NULL, error = NULL
                       WHERE about = ?1 AND route = ?2 AND kind = ?3 AND delivered IS NULL";
            tx.run(sql, (about, route, kind, now))?
        }
        Op::Undelivered { about, route, kind, error } => {
            let sql = "UPDATE alert_notice SET failed = ?4, error = ?5
                       WHERE about = ?1 AND route = ?2 AND kind = ?3 AND delivered IS NULL";
            tx.run(sql, (about, route, kind, now, error))?
        }
        Op::RouteWorked { route } => {
            let sql = "INSERT INTO alert_route (name, delivered) VALUES (?1, ?2) ON CONFLICT (name)
                       DO UPDATE SET delivered = ?2, failing = NULL, failures = 0, code = NULL, what = NULL";
            tx.run(sql, (route, now))?
        }
        Op::RouteFailed { route, code, what } => {
            let sql = "INSERT INTO alert_route (name, failing, failures, code, what) VALUES (?1, ?2, 1, ?3, ?4)
                       ON CONFLICT (name) DO UPDATE SET failing = coalesce(failing, ?2), failures = failures + 1,
                         code = ?3, what = ?4";
            tx.run(sql, (route, now, code, what))?
        }
        Op::Ack { id, by, note } => {
            let sql = "UPDATE alert SET acked = ?2, acked_by = ?3, note = coalesce(?4, note)
                       WHERE id = ?1 AND resolved IS NULL";
            if tx.run(sql, (id.0, now, by, note))? == 0 {
                let there = tx.first("SELECT 1 FROM alert WHERE id = ?1", [id.0], |_| Ok(()))?;
                return Err(match there {
                    Some(()) => Refusal::AlertOver { id: *id },
                    None => Refusal::NoAlert { id: *id },
                }
                .into());
            }
            return Ok(OpResult::Done);
        }
        Op::Silence { subject, by, note, until } => {
            let sql = "UPDATE silence SET by = ?2, note = ?3, until = max(until, ?5) WHERE subject = ?1 AND until > ?4";
            match tx.run(sql, (subject, by, note, now, to_ms(*until)))? {
                0 => {
                    let sql = "INSERT INTO silence (subject, by, note, since, until) VALUES (?1, ?2, ?3, ?4, ?5)";
                    tx.run(sql, (subject, by, note, now, to_ms(*until)))?
                }
                changed => changed,
            }
        }
        Op::EndSilence { id } => tx.run("UPDATE silence SET until = ?2 WHERE id = ?1 AND until > ?2", (id, now))?,
        Op::Forget { before, max } => {
            let before = to_ms(*before);
            tx.run("DELETE FROM silence WHERE until < ?1", [before])?;
            tx.run("DELETE FROM traffic WHERE hour < ?1", [hour(now) - TRAFFIC_HOURS])?;
            let sql = "DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE resolved < ?1 LIMIT ?2) RETURNING id";
            let gone = tx.all(sql, (before, *max as i64), |row| row.get::<_, i64>(0))?;
            for id in &gone {
                tx.run("DELETE FROM alert_notice WHERE alert = ?1", [id])?;
            }
            gone.len()
        }
    };
    Ok(OpResult::Count(count as u64))
}

fn open(tx: &Tx<'_>, opening: &Opening) -> Result<usize, Fail> {
    let sql = "INSERT INTO alert (key, kind, integration, system, severity, title, text, facts, command, since, opened,
               cause) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
               WHERE NOT EXISTS (SELECT 1 FROM alert WHERE key = ?1 AND resolved IS NULL)";
    let Opening { key, kind, integration, system, saying, cause } = opening;
    let Saying { severity, title, text, facts, command, since } = saying;
    let facts = pack(facts);
    let values = (key, kind, integration, system, severity, title, text, facts, command, to_ms(*since), tx.now, cause);
    Ok(tx.run(sql, values)?)
}

/// Labels and values with the separators of ASCII between them, which no text of ours holds.
fn pack(facts: &[(String, String)]) -> String {
    facts.iter().map(|(label, value)| format!("{label}\u{1f}{value}")).collect::<Vec<_>>().join("\u{1e}")
}

fn unpack(text: &str) -> Vec<(String, String)> {
    let pair = |fact: &str| fact.split_once('\u{1f}').map(|(label, value)| (label.to_owned(), value.to_owned()));
    text.split('\u{1e}').filter_map(pair).collect()
}

/// The hour that a moment is in, counted from 1970.
pub(crate) fn hour(ms: i64) -> i64 {
    ms.div_euclid(3_600_000)
}

pub(crate) fn add_to_traffic(tx: &Tx<'_>, name: &str, by: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO traffic (name, hour, count) VALUES (?1, ?2, ?3)
               ON CONFLICT (name, hour) DO UPDATE SET count = count + ?3";
    tx.run(sql, (name, hour(tx.now), by)).map(drop)
}

const COLUMNS: &str = "id, key, kind, integration, system, severity, title, text, facts, command, since, opened, gone,
    resolved, cause, quiet_until, acked, acked_by, note";

fn read(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let moment = |at| row.get::<_, Option<i64>>(at).map(|ms| ms.map(from_ms));
    Ok(Alert {
        id: AlertId(row.get(0)?),
        key: row.get(1)?,
        kind: row.get(2)?,
        integration: row.get(3)?,
        system: row.get(4)?,
        saying: Saying {
            severity: row.get(5)?,
            title: row.get(6)?,
            text: row.get(7)?,
            facts: unpack(row.get_ref(8)?.as_str()?),
            command: row.get(9)?,
            since: from_ms(row.get(10)?),
        },
        opened: from_ms(row.get(11)?),
        gone: moment(12)?,
        resolved: moment(13)?,
        cause: row.get(14)?,
        quiet_until: moment(15)?,
        acked: moment(16)?,
        acked_by: row.get(17)?,
        note: row.get(18)?,
    })
}

const NOTICE: &str = "n.alert, n.route, n.kind, n.severity, n.about, n.queued, n.delivered, n.failed, n.error";

fn read_notice(row: &Row<'_>) -> rusqlite::Result<Notified> {
    let moment = |at| row.get::<_, Option<i64>>(at).map(|ms| ms.map(from_ms));
    Ok(Notified {
        alert: AlertId(row.get(0)?),
        route: row.get(1)?,
        kind: row.get(2)?,
        severity: row.get(3)?,
        about: row.get(4)?,
        queued: from_ms(row.get(5)?),
        delivered: moment(6)?,
        failed: moment(7)?,
        error: row.get(8)?,
    })
}

fn open_ones(conn: &Connection) -> rusqlite::Result<Vec<Alert>> {
    let sql = format!("SELECT {COLUMNS} FROM alert WHERE resolved IS NULL ORDER BY severity, since, id");
    all(conn, &sql, [], read)
}

impl Store {
    /// The open alerts, critical ones first, then the longest ones.
    pub fn open_alerts(&self) -> Result<Vec<Alert>, Error> {
        self.read(open_ones)
    }

    /// The open alerts with all notices about them, in one snapshot.
    pub fn standing_alerts(&self) -> Result<Vec<(Alert, Vec<Notified>)>, Error> {
        self.read(|conn| {
            let sql = format!("SELECT {NOTICE} FROM alert_notice n WHERE n.alert = ?1 ORDER BY n.queued, n.route");
            let with_notices = |alert: Alert| {
                let notices = all(conn, &sql, [alert.id.0], read_notice)?;
                Ok((alert, notices))
            };
            open_ones(conn)?.into_iter().map(with_notices).collect()
        })
    }

    /// Alerts that are over, the last one first. *Shape*: at most `limit`, and never more than 1000.
    pub fn past_alerts(&self, limit: usize) -> Result<Vec<Alert>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM alert WHERE resolved IS NOT NULL ORDER BY resolved DESC LIMIT ?1");
        self.read(|conn| all(conn, &sql, [limit.min(1000) as i64], read))
    }

    /// One alert.
    pub fn alert(&self, id: AlertId) -> Result<Option<Alert>, Error> {
        self.read(|conn| first(conn, &format!("SELECT {COLUMNS} FROM alert WHERE id = ?1"), [id.0], read))
    }

    /// Who was told of an alert, in order.
    pub fn alert_notices(&self, id: AlertId) -> Result<Vec<Notified>, Error> {
        let sql = format!("SELECT {NOTICE} FROM alert_notice n WHERE n.alert = ?1 ORDER BY n.queued, n.route");
        self.read(|conn| all(conn, &sql, [id.0], read_notice))
    }

    /// The silences that hold now, by the end.
    pub fn silences(&self) -> Result<Vec<Silence>, Error> {
        let now = to_ms(self.clock().now());
        let sql = "SELECT id, subject, by, note, since, until FROM silence WHERE until > ?1 ORDER BY until, id";
        self.read(|conn| {
            all(conn, sql, [now], |row| {
                Ok(Silence {
                    id: row.get(0)?,
                    subject: row.get(1)?,
                    by: row.get(2)?,
                    note: row.get(3)?,
                    since: from_ms(row.get(4)?),
                    until: from_ms(row.get(5)?),
                })
            })
        })
    }

    /// How the ways to tell people did lately, by name. *Shape*: only those that were tried.
    pub fn alert_routes(&self) -> Result<Vec<RouteState>, Error> {
        let sql = "SELECT name, delivered, failing, failures, code, what FROM alert_route ORDER BY name";
        self.read(|conn| {
            all(conn, sql, [], |row| {
                let moment = |at| row.get::<_, Option<i64>>(at).map(|ms| ms.map(from_ms));
                Ok(RouteState {
                    name: row.get(0)?,
                    delivered: moment(1)?,
                    failing: moment(2)?,
                    failures: row.get::<_, i64>(3)? as u64,
                    code: row.get(4)?,
                    what: row.get(5)?,
                })
            })
        })
    }

    /// How much went through in each hour from one to another: rows that the runs of an integration read, messages that
    /// left a subscription. *Shape*: the hour's beginning and the count, in order; an hour without any is not there.
    pub fn traffic(&self, name: &str, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, u64)>, Error> {
        let sql = "SELECT hour, count FROM traffic WHERE name = ?1 AND hour >= ?2 AND hour < ?3 ORDER BY hour";
        let hours = (name, hour(to_ms(from)), hour(to_ms(to)));
        self.read(|conn| {
            all(conn, sql, hours, |row| Ok((from_ms(row.get::<_, i64>(0)? * 3_600_000), row.get::<_, i64>(1)? as u64)))
        })
    }
}
