//! From decoded groups to the plain data of a [`Project`](crate::Project).
//!
//! Nothing is reported here: what is missing or broken has been reported by decoding, and then no project leaves the
//! crate. So a gap is filled with whatever is empty.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use record::{Decimal, Entity, EntityField, Kind, OptionValue, Options, Schema, Type, Watermark};

use crate::decoded::{Data, Group, Value};
use crate::files::Files;
use crate::model::*;
use crate::units::{Hours, Wait};

mod flow;
mod testcase;

pub(crate) use flow::{flow, form};
pub(crate) use testcase::test_case;

const MIDNIGHT: Hours = Hours { from: Time::constant(0, 0, 0, 0), until: Time::constant(0, 0, 0, 0) };

pub(crate) fn zone(group: &Group) -> Option<TimeZone> {
    let name = group.text("time_zone")?;
    if name == "UTC" { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

pub(crate) fn hub(group: &Group) -> Hub {
    let calendar = group.group("calendar");
    let retention = group.group("retention");
    let kept = |name: &str| retention.and_then(|group| group.duration(name)).unwrap_or_default();
    Hub {
        name: string(group, "hub"),
        time_zone: zone(group).unwrap_or(TimeZone::UTC),
        calendar: Calendar {
            working_hours: calendar.and_then(|calendar| hours(calendar, "working_hours")).unwrap_or(MIDNIGHT),
            working_days: calendar
                .map(|calendar| calendar.strings("working_days").iter().filter_map(|day| weekday(day)).collect())
                .unwrap_or_default(),
            holidays: calendar.map_or(Holidays::Dates(Vec::new()), holidays),
        },
        alerts: group
            .list("alerts")
            .iter()
            .filter_map(Value::group)
            .map(|route| AlertRoute {
                to: route.strings("to"),
                severity: route.strings("severity"),
                between: hours(route, "between"),
            })
            .collect(),
        mail: group.group("mail").map(|mail| Mail { server: string(mail, "server"), from: string(mail, "from") }),
        heartbeat: group.group("heartbeat").map(|beat| Heartbeat {
            url: string(beat, "url"),
            every: beat.duration("every").unwrap_or(Duration::from_secs(60)),
        }),
        address: group.text("address").map(|address| address.trim_end_matches('/').to_owned()),
        retention: Retention { journal: kept("journal"), messages: kept("messages"), personal: kept("personal") },
    }
}

fn hours(group: &Group, name: &str) -> Option<Hours> {
    match group.get(name) {
        Some(Data::Hours(hours)) => Some(*hours),
        _ => None,
    }
}

fn holidays(calendar: &Group) -> Holidays {
    match calendar.get("holidays") {
        Some(Data::Text(name)) => Holidays::Named(name.clone()),
        Some(Data::List(dates)) => Holidays::Dates(
            dates.iter().filter_map(|date| if let Data::Date(date) = date.data { Some(date) } else { None }).collect(),
        ),
        _ => Holidays::Dates(Vec::new()),
    }
}

/// What a person or group has of its own.
fn own_calendar(of: &Group) -> OwnCalendar {
    let own = of.group("calendar");
    let days = |own: &Group| own.strings("working_days").iter().filter_map(|day| weekday(day)).collect();
    OwnCalendar {
        working_hours: own.and_then(|own| hours(own, "working_hours")),
        working_days: own.filter(|own| own.says("working_days")).map(days),
        holidays: own.filter(|own| own.says("holidays")).map(holidays),
        time_zone: zone(of),
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    let all = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    crate::tables::hub::WEEKDAYS.iter().position(|day| *day == word).map(|at| all[at])
}

pub(crate) fn people(group: &Group) -> (Vec<Person>, Vec<crate::model::Group>) {
    let always = |group: &Group| group.text("warnings") == Some("always");
    let text = |group: &Group, name: &str| group.text(name).map(str::to_owned);
    let people = entries(group, "people").map(|(id, person)| Person {
        id,
        name: string(person, "name"),
        email: string(person, "email"),
        manager: text(person, "manager"),
        calendar: own_calendar(person),
        warned_always: always(person),
    });
    let groups = entries(group, "groups").map(|(id, group)| crate::model::Group {
        id,
        members: group.strings("members"),
        channels: group.strings("channels"),
        email: text(group, "email"),
        teams: text(group, "teams"),
        slack: text(group, "slack"),
        webhook: text(group, "webhook"),
        pagerduty: text(group, "pagerduty"),
        calendar: own_calendar(group),
        warned_always: always(group),
    });
    (people.collect(), groups.collect())
}

pub(crate) fn entity(group: &Group) -> Arc<Entity> {
    let fields = entries(group, "fields").map(|(name, field)| entity_field(&name, field)).collect();
    Arc::new(Entity::new(
        string(group, "entity"),
        group.strings("key"),
        group.text("version").map(str::to_owned),
        fields,
    ))
}

fn entity_field(name: &str, field: &Group) -> EntityField {
    EntityField {
        name: name.into(),
        ty: field_type(field),
        required: field.yes_no("required"),
        personal: field.yes_no("personal"),
        master: field.text("master").map(str::to_owned),
        pattern: field.text("pattern").map(str::to_owned),
        currency: match field.get("currency") {
            Some(Data::Text(code)) => Some(code.clone()),
            Some(Data::Formula(formula)) => Some(format!("={}", formula.text)),
            _ => None,
        },
    }
}

fn field_type(field: &Group) -> Type {
    let max_length = field.whole("max_length");
    match field.text("type").unwrap_or_default() {
        "text" => Type::Text { max_length },
        "multiline" => Type::Multiline { max_length },
        "decimal" => Type::Decimal { scale: field.whole("scale") },
        "choice" => Type::Choice { values: field.strings("values").into() },
        "choices" => Type::Choices { values: field.strings("values").into() },
        "reference" => Type::Reference { to: field.text("entity").into_iter().map(str::to_owned).collect() },
        "lines" => {
            // What tells lines apart comes first.
            let key = field.strings("key");
            let mut fields: Vec<_> = entries(field, "fields").map(|(name, field)| (name, field_type(field))).collect();
            fields.sort_by_key(|(name, _)| key.iter().position(|key| **key == **name).unwrap_or(usize::MAX));
            Type::Lines(Schema::of(fields))
        }
        word => plain_type(word),
    }
}

/// The type of a declared column.
pub(crate) fn plain_type(word: &str) -> Type {
    match word {
        "text" => Type::Text { max_length: None },
        "multiline" => Type::Multiline { max_length: None },
        "whole_number" => Type::WholeNumber,
        "decimal" => Type::Decimal { scale: None },
        "money" => Type::Money,
        "float" => Type::Float,
        "yes_no" => Type::YesNo,
        "date" => Type::Date,
        "time" => Type::Time,
        "datetime" => Type::DateTime,
        "person" => Type::Person,
        "guid" => Type::Guid,
        _ => Type::Unknown,
    }
}

pub(crate) fn system(group: &Group, kind: &'static Kind) -> System {
    let vendor = group.group("vendor").map(|vendor| Vendor {
        name: string(vendor, "name"),
        supported_until: match vendor.get("supported_until") {
            Some(Data::Date(date)) => Some(*date),
            _ => None,
        },
    });
    System {
        name: string(group, "system"),
        kind,
        connection: group.group("connection").map(|connection| connection.options(kind.connection)).unwrap_or_default(),
        owner: group.text("owner").map(str::to_owned),
        vendor,
        expires: group
            .named("expires")
            .iter()
            .filter_map(|entry| match entry.value.data {
                Data::Date(date) => Some((entry.name.to_string(), date)),
                _ => None,
            })
            .collect(),
        health: group.duration("health").filter(|every| !every.is_zero()),
        time_zone: zone(group),
        webhooks: group.group("webhooks").map(|webhooks| {
            let signed = webhooks.text("signed").and_then(Signed::of);
            let header = webhooks.text("header").unwrap_or(signed.map_or(WEBHOOK_HEADER, Signed::header)).to_owned();
            Webhooks { header, keys: webhooks.strings("keys"), signed }
        }),
        odata: group
            .group("odata")
            .map(|odata| OdataKeys { header: string(odata, "header"), keys: odata.strings("keys") }),
        entities: entries(group, "entities").map(|(name, held)| system_entity(&name, held, kind)).collect(),
    }
}

/// The header that carries the key of an event, where nobody says another.
const WEBHOOK_HEADER: &str = "x-ironbridge-key";

fn system_entity(name: &str, group: &Group, kind: &'static Kind) -> SystemEntity {
    let options = group.options(kind.entity);
    let text = |name: &str| options.text(name).map(str::to_owned);
    let texts = |name: &str| options.texts(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let rules = group.all_rules();
    let plain = |rules: Vec<crate::decoded::RuleAt>| rules.into_iter().map(|at| at.rule).collect::<Vec<_>>();
    let (read, write) = (plain(rules.read), plain(rules.write));
    let columns = group.named("columns").iter().filter_map(|entry| match &entry.value.data {
        Data::Text(word) => Some((entry.name.to_string(), plain_type(word))),
        _ => None,
    });
    SystemEntity {
        entity: name.to_owned(),
        table: text("table"),
        query: text("query"),
        virtual_table: text("virtual_table"),
        alternate_key: texts("alternate_key"),
        match_existing: texts("match_existing"),
        watermark: watermark(&options),
        where_: group.formula("where").map(|formula| formula.text.clone()),
        columns: columns.collect(),
        read,
        write,
        options,
    }
}

fn watermark(options: &Options) -> Option<Watermark> {
    let group = options.group("watermark")?;
    let overlap = match group.get("overlap") {
        Some(OptionValue::Duration(overlap)) => *overlap,
        _ => Duration::ZERO,
    };
    Some(Watermark { column: group.text("column")?.to_owned(), overlap })
}

pub(crate) fn integration(group: &Group, files: &Files, runbook: Option<String>) -> Integration {
    let pattern = match group.text("pattern").unwrap_or_default() {
        "event" => Pattern::Event(event(group)),
        "virtual" => Pattern::Virtual(virtual_(group)),
        "flow" => Pattern::Flow(flow(group, files)),
        _ => Pattern::Batch(batch(group)),
    };
    Integration {
        name: string(group, "integration"),
        owner: string(group, "owner"),
        purpose: string(group, "purpose"),
        pattern,
        dead_letters: dead_letters(group.group("dead_letters")),
        runbook,
        origin: files.line_of(group.at("integration")),
    }
}

fn dead_letters(group: Option<&Group>) -> DeadLetterRules {
    // A flow does not say it; what holds for the others holds for it.
    let days = |name: &str, days: u64| {
        group.and_then(|group| group.duration(name)).unwrap_or(Duration::from_secs(days * 24 * 3600))
    };
    DeadLetterRules {
        reviewed_within: days("reviewed_within", 2),
        edit_and_retry: group.is_some_and(|group| group.yes_no("edit_and_retry")),
        discarded_for: days("discarded_for", 30),
    }
}

fn batch(group: &Group) -> Batch {
    let mut entities = group.strings("entities");
    entities.extend(group.text("entity").map(str::to_owned));
    let direction = match group.says("between") {
        true => {
            let between = group.strings("between");
            let creates_in = if group.says("creates_in") { group.strings("creates_in") } else { between.clone() };
            let conflict = if group.text("conflict") == Some("newest") { Conflict::Newest } else { Conflict::Ask };
            let mut sides = between.into_iter();
            Direction::TwoWay {
                between: [sides.next().unwrap_or_default(), sides.next().unwrap_or_default()],
                creates_in,
                conflict,
            }
        }
        false => Direction::OneWay { from: string(group, "from"), to: string(group, "to") },
    };
    let stop = group.group("stop_after");
    let count = |name: &str| stop.and_then(|stop| stop.whole(name)).unwrap_or(0);
    Batch {
        entities,
        direction,
        schedule: match group.get("schedule") {
            Some(Data::Schedule(schedule)) => schedule.clone(),
            _ => crate::units::Schedule::Every(Duration::ZERO),
        },
        missed: match group.text("missed") {
            Some("run_all") => Missed::RunAll,
            Some("skip") => Missed::Skip,
            _ => Missed::RunOnce,
        },
        overlap: if group.text("overlap") == Some("queue_one") { Overlap::QueueOne } else { Overlap::Skip },
        retry_run: group.duration("retry_run"),
        needed_by: needed_by(group),
        deletes: match group.text("deletes") {
            Some("deactivate") => Deletes::Deactivate,
            Some("delete") => Deletes::Delete,
            _ => Deletes::Ignore,
        },
        max_deletes: group.percentage("max_deletes").unwrap_or_default(),
        returns_active: group.yes_no("returns_active"),
        min_rows: match group.get("min_rows") {
            Some(Data::MinRows(rows)) => Some(*rows),
            _ => None,
        },
        stop_after: StopAfter {
            rejected: count("rejected"),
            or: stop.and_then(|stop| stop.percentage("or")).unwrap_or(Decimal::ONE_HUNDRED),
            first_rows_alike: count("first_rows_alike"),
        },
        first_load: group.group("first_load").map(|first| string(first, "approve")),
        approve: group
            .group("approve")
            .map(|approve| ApproveRun { when: formula(approve, "when"), by: string(approve, "by") }),
        compare_live: group.duration("compare_live"),
        drift: if group.text("drift") == Some("overwrite") { Drift::Overwrite } else { Drift::Report },
    }
}

fn needed_by(group: &Group) -> Option<crate::units::NeededBy> {
    match group.get("needed_by") {
        Some(Data::NeededBy(needed_by)) => Some(*needed_by),
        _ => None,
    }
}

fn event(group: &Group) -> Event {
    Event {
        entity: string(group, "entity"),
        from: string(group, "from"),
        to: group.strings("to"),
        trigger: group.group("trigger").map(trigger).unwrap_or_else(|| trigger(&nothing())),
        because: string(group, "because"),
        payload: if group.text("payload") == Some("as_sent") { Payload::AsSent } else { Payload::Fetch },
        order_by: group.text("order_by").map(str::to_owned),
        write_back: group.strings("write_back"),
        hold_key: group.text("after_dead_letter") != Some("continue"),
        retry_for: group.group("retry").and_then(|retry| retry.duration("for")).unwrap_or_default(),
        sweep: group.duration("sweep"),
        needed_by: needed_by(group),
    }
}

pub(crate) fn trigger(group: &Group) -> Trigger {
    let rows = group.strings("rows");
    let has = |word: &str| rows.iter().any(|row| row == word);
    Trigger {
        created: has("created"),
        updated: has("updated"),
        deleted: has("deleted"),
        columns: group.strings("columns"),
        if_: group.formula("if").map(|formula| formula.text.clone()),
    }
}

fn virtual_(group: &Group) -> Virtual {
    Virtual {
        entity: string(group, "entity"),
        from: string(group, "from"),
        to: string(group, "to"),
        refuse_without_filter: group.text("without_filter") == Some("refuse"),
        timeout: group.duration("timeout").unwrap_or_default(),
        cache: group.duration("cache").unwrap_or_default(),
        max_rows: group.whole("max_rows").unwrap_or(0),
        expose: group.strings("expose"),
    }
}

fn nothing() -> Group {
    Group { table: "", at: crate::files::Span::DEFAULT, entries: Vec::new(), strange: false }
}

fn string(group: &Group, name: &str) -> String {
    group.text(name).unwrap_or_default().to_owned()
}

fn formula(group: &Group, name: &str) -> String {
    group.formula(name).map(|formula| formula.text.clone()).unwrap_or_default()
}

/// The groups under names of the user's own.
fn entries<'g>(group: &'g Group, name: &str) -> impl Iterator<Item = (String, &'g Group)> {
    group.named(name).iter().filter_map(|entry| Some((entry.name.to_string(), entry.value.group()?)))
}

/// A wait; nothing for `off`.
fn every(group: &Group, name: &str) -> Option<Wait> {
    match group.get(name) {
        Some(Data::Every(every)) => *every,
        Some(Data::Wait(wait)) => Some(*wait),
        _ => None,
    }
}
