//! A checked project: plain data with every default filled in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use mapping::Rule;
use record::{Entity, Kind, OptionValue, Options, Type, Watermark};

use crate::advise::Decision;
use crate::decoded::Group as Decoded;
use crate::files::Files;
use crate::rules::accept::Accepted;
use crate::units::Hours;

mod flow;
mod form;
mod integration;
mod reach;
mod testcase;

pub use flow::{
    Approval, Assignment, CommentNeeded, Deciders, Escalation, Flow, Given, Step, StepKind, read_by_a_step,
};
pub use form::{FormField, With};
pub(crate) use integration::set_of;
pub use integration::{
    ApproveRun, Batch, Conflict, DeadLetterRules, Deletes, Direction, Drift, Event, Integration, Missed, Overlap,
    Pattern, Payload, StopAfter, Trigger, Virtual,
};
pub use reach::Way;
pub use testcase::{Happening, TestCase};

/// Everything that a project's folder defines.
#[derive(Debug, Clone)]
pub struct Project {
    pub dir: PathBuf,
    pub hub: Hub,
    pub people: Vec<Person>,
    pub groups: Vec<Group>,
    pub systems: Vec<System>,
    pub entities: Vec<Arc<Entity>>,
    pub integrations: Vec<Integration>,
    pub tests: Vec<TestCase>,
    pub decisions: Vec<Decision>,
    pub environment: Option<Environment>,
    /// Which rules are broken knowingly.
    pub accepted: Vec<Accepted>,
    pub(crate) shown: Vec<Shown>,
    pub(crate) files: Arc<Files>,
}

/// What `show` walks.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub name: String,
    pub group: Decoded,
}

#[derive(Debug, Clone)]
pub struct Hub {
    pub name: String,
    pub time_zone: TimeZone,
    pub calendar: Calendar,
    pub alerts: Vec<AlertRoute>,
    /// Nothing where no mail leaves the hub.
    pub mail: Option<Mail>,
    pub heartbeat: Option<Heartbeat>,
    /// Where people reach the console, without a slash at its end.
    pub address: Option<String>,
    pub retention: Retention,
}

/// *Shape*: `server` may hold `${…}`, to be resolved at the call that needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    pub server: String,
    pub from: String,
}

/// *Shape*: `url` may hold `${…}`, to be resolved at the call that needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    pub url: String,
    pub every: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    pub working_hours: Hours,
    pub working_days: Vec<Weekday>,
    pub holidays: Holidays,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Holidays {
    /// `none`, or a calendar that the hub can work out: `england-and-wales`.
    Named(String),
    Dates(Vec<Date>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlertRoute {
    pub to: Vec<String>,
    pub severity: Vec<String>,
    pub between: Option<Hours>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    pub journal: Duration,
    pub messages: Duration,
    pub personal: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    pub id: String,
    pub name: String,
    pub email: String,
    pub manager: Option<String>,
    pub calendar: OwnCalendar,
    /// Warnings do not wait for their working hours.
    pub warned_always: bool,
}

/// What is different for one person or group from the calendar and the clocks of the hub.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OwnCalendar {
    pub working_hours: Option<Hours>,
    pub working_days: Option<Vec<Weekday>>,
    pub holidays: Option<Holidays>,
    pub time_zone: Option<TimeZone>,
}

impl OwnCalendar {
    /// When they work, and by which clocks; nothing where that is as the hub has it.
    pub fn hours(&self, hub: &Hub) -> Option<(Calendar, TimeZone)> {
        if *self == OwnCalendar::default() {
            return None;
        }
        let calendar = Calendar {
            working_hours: self.working_hours.unwrap_or(hub.calendar.working_hours),
            working_days: self.working_days.clone().unwrap_or_else(|| hub.calendar.working_days.clone()),
            holidays: self.holidays.clone().unwrap_or_else(|| hub.calendar.holidays.clone()),
        };
        Some((calendar, self.time_zone.clone().unwrap_or_else(|| hub.time_zone.clone())))
    }
}

/// *Shape*: `pagerduty`, `teams`, `slack` and `webhook` may hold `${…}`, to be resolved at the call that needs them.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub id: String,
    pub members: Vec<String>,
    /// Empty: every way that the group has.
    pub channels: Vec<String>,
    pub email: Option<String>,
    pub teams: Option<String>,
    pub slack: Option<String>,
    pub webhook: Option<String>,
    pub pagerduty: Option<String>,
    pub calendar: OwnCalendar,
    /// Warnings do not wait for their working hours.
    pub warned_always: bool,
}

#[derive(Debug, Clone)]
pub struct System {
    pub name: String,
    pub kind: &'static Kind,
    /// By the kind's field table; `${…}` is still in it (see [`Options::resolve`]).
    pub connection: Options,
    pub owner: Option<String>,
    pub vendor: Option<Vendor>,
    /// When its secrets and certificates end, by names for people.
    pub expires: Vec<(String, Date)>,
    /// How often it is asked whether it answers; nothing where nobody asks.
    pub health: Option<Duration>,
    pub time_zone: Option<TimeZone>,
    pub webhooks: Option<Webhooks>,
    pub odata: Option<OdataKeys>,
    pub entities: Vec<SystemEntity>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Vendor {
    pub name: String,
    pub supported_until: Option<Date>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Webhooks {
    pub header: String,
    /// References to secrets.
    pub keys: Vec<String>,
    /// The keys are not sent: they sign the body.
    pub signed: Option<Signed>,
}

/// By whose rules an event is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    GitHub,
    Stripe,
    /// Standard Webhooks.
    Standard,
}

impl Signed {
    /// The word in a definition.
    pub fn of(word: &str) -> Option<Signed> {
        match word {
            "github" => Some(Signed::GitHub),
            "stripe" => Some(Signed::Stripe),
            "standard" => Some(Signed::Standard),
            _ => None,
        }
    }

    /// The header that carries the signature, where nobody says another.
    pub fn header(self) -> &'static str {
        match self {
            Signed::GitHub => "x-hub-signature-256",
            Signed::Stripe => "stripe-signature",
            Signed::Standard => "webhook-signature",
        }
    }
}

/// How a system proves that it may ask for the rows of virtual tables.
#[derive(Debug, Clone, PartialEq)]
pub struct OdataKeys {
    /// The header, or the parameter of the query, that carries a key.
    pub header: String,
    /// References to secrets.
    pub keys: Vec<String>,
}

/// How one system holds one entity.
#[derive(Debug, Clone)]
pub struct SystemEntity {
    pub entity: String,
    /// Empty where the kind has no tables.
    pub table: Option<String>,
    pub query: Option<String>,
    pub virtual_table: Option<String>,
    pub alternate_key: Vec<String>,
    pub match_existing: Vec<String>,
    pub watermark: Option<Watermark>,
    /// Power Fx, without the `=`.
    pub where_: Option<String>,
    /// Declared columns; empty where the system has a catalogue, or nobody declared them.
    pub columns: Vec<(String, Type)>,
    pub read: Vec<Rule>,
    pub write: Vec<Rule>,
    /// Everything that the connector's field table has, also what stands above.
    pub options: Options,
}

/// The options of an entity that say which rows a source gives, and what is understood by their values. Where one of them
/// is another, a position in the source means nothing any more.
pub const WHAT_IS_READ: [&str; 10] =
    ["table", "query", "list", "only", "file", "contains", "sheet", "rows", "format", "dst"];

/// What `--env` chose.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    pub name: String,
    /// Writes only from `up`, or after a typed confirmation.
    pub protected: bool,
}

impl Project {
    pub fn system(&self, name: &str) -> Option<&System> {
        self.systems.iter().find(|system| system.name == name)
    }

    pub fn entity(&self, name: &str) -> Option<&Arc<Entity>> {
        self.entities.iter().find(|entity| &*entity.name == name)
    }

    pub fn integration(&self, name: &str) -> Option<&Integration> {
        self.integrations.iter().find(|integration| integration.name == name)
    }

    /// Every file of it, by its path in the folder.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(_, file)| (&*file.path, &*file.text))
    }

    pub fn protected(&self) -> bool {
        self.environment.as_ref().is_some_and(|environment| environment.protected)
    }

    /// The entities by name, as mappings want them.
    pub fn entities_by_name(&self) -> mapping::Entities {
        self.entities.iter().map(|entity| (entity.name.to_string(), entity.clone())).collect()
    }

    /// Who is told when an owner or route names this: e-mail addresses, in order, without repeats.
    pub fn addresses(&self, who: &str) -> Vec<String> {
        let name = who.strip_prefix("group:").unwrap_or(who);
        let person = |id: &str| self.people.iter().find(|person| person.id == id).map(|person| person.email.clone());
        let mut found: Vec<String> = Vec::new();
        if !who.starts_with("group:") {
            found.extend(person(name));
        }
        if let Some(group) = self.groups.iter().find(|group| group.id == name) {
            found.extend(group.email.clone());
            found.extend(group.members.iter().filter_map(|id| person(id)));
        }
        let mut seen = BTreeMap::new();
        found.retain(|address| seen.insert(address.clone(), ()).is_none());
        found
    }
}

impl SystemEntity {
    /// The columns that the fields of the entity's key are read from; `None` where one of them is computed.
    pub fn key_columns(&self, entity: &Entity) -> Option<Vec<String>> {
        let column_of = |field: &String| self.read.iter().find(|rule| rule.target == *field).and_then(column);
        entity.key.iter().map(|field| column_of(field).map(str::to_owned)).collect()
    }

    /// The column that a field is read from as it is.
    pub fn column_of(&self, field: &str) -> Option<&str> {
        self.read.iter().find(|rule| rule.target == field).and_then(column)
    }

    /// Those of some fields that the system's answers give: its own number of a row.
    pub fn returned(&self, of: &[String]) -> Vec<String> {
        let Some(OptionValue::Map(returns)) = self.options.get("returns") else { return Vec::new() };
        of.iter().filter(|field| returns.contains_key(*field)).cloned().collect()
    }

    /// Rows that are written have a key: where the file does not say it, it is the columns that the entity's key is
    /// read from (or, where nothing lists the system's keys, written to); and each of its columns is written.
    pub(crate) fn complete_key(&mut self, entity: &Entity, has_catalog: bool) {
        if self.write.is_empty() {
            return;
        }
        if self.alternate_key.is_empty() {
            let written = |field: &String| {
                self.write.iter().find(|rule| column(rule) == Some(field)).map(|rule| rule.target.clone())
            };
            let written = || entity.key.iter().map(written).collect();
            let own = self.key_columns(entity);
            self.alternate_key = if has_catalog { own } else { own.or_else(written) }.unwrap_or_default();
        }
        for name in self.alternate_key.clone() {
            let read =
                self.read.iter().find(|rule| column(rule) == Some(&name) && entity.field(&rule.target).is_some());
            if let Some(read) = read.filter(|_| !self.write.iter().any(|rule| rule.target == name)) {
                let expr = mapping::Expr::Source(read.target.clone());
                let origin = read.origin.clone();
                self.write.push(Rule { target: name, expr, only_on_create: false, origin });
            }
        }
    }
}

/// The column that a field is read from as it is.
fn column(rule: &Rule) -> Option<&str> {
    match &rule.expr {
        mapping::Expr::Source(column) => Some(column),
        _ => None,
    }
}

impl System {
    /// The write rules that a sync uses: without those that carry only a field which this system masters, since nothing
    /// but a person's decision (a flow) writes such a field here.
    pub fn sync_rules(&self, held: &SystemEntity, entity: &Entity) -> Vec<Rule> {
        let mastered = |rule: &&Rule| match &rule.expr {
            mapping::Expr::Source(field) | mapping::Expr::Choice { source: field, .. } => {
                entity.field(field).is_some_and(|field| field.master.as_deref() == Some(&self.name))
            }
            _ => false,
        };
        held.write.iter().filter(|rule| !mastered(rule)).cloned().collect()
    }

    pub fn entity(&self, name: &str) -> Option<&SystemEntity> {
        self.entities.iter().find(|entity| entity.entity == name)
    }

    /// Where the rows of each entity are found in this system, for references; needs the entities' keys.
    pub fn lookup_keys(&self, entities: &mapping::Entities) -> mapping::LookupKeys {
        let key_of = |held: &SystemEntity| {
            let entity = entities.get(&held.entity)?;
            let table = held.table.clone()?;
            let column_of = |field: &String| {
                let written = held
                    .write
                    .iter()
                    .find(|rule| matches!(&rule.expr, mapping::Expr::Source(source) if source == field));
                let read = || {
                    held.read.iter().find(|rule| rule.target == *field).and_then(|rule| match &rule.expr {
                        mapping::Expr::Source(column) => Some(column.clone()),
                        _ => None,
                    })
                };
                Some((Arc::from(field.as_str()), Arc::from(written.map(|rule| rule.target.clone()).or_else(read)?)))
            };
            let columns: Option<Vec<(Arc<str>, Arc<str>)>> = entity.key.iter().map(column_of).collect();
            Some((held.entity.clone(), mapping::LookupKey { table: table.into(), columns: columns? }))
        };
        self.entities.iter().filter_map(key_of).collect()
    }
}
