//! Dates and times on the wall clock of the context's time zone.

use super::text::{text_of, whole};
use super::{Function, P, R};
use crate::ast::Expr;
use crate::check::{Checker, Typed};
use crate::coerce::coerce;
use crate::dateparse::{self, Order};
use crate::datetime::{DAY, HOUR, MINUTE, SECOND, days_from_civil};
use crate::enums;
use crate::error::{ErrorKind, Span};
use crate::eval::Env;
use crate::functions::math::moment;
use crate::json::Json;
use crate::node::{Node, Strict};
use crate::number::{culture, to_float};
use crate::types::{Type, coerces};
use crate::value::{Moment, Value};
use jiff::tz::TimeZone;

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::plain("Date", &[P::Number, P::Number, P::Number], R::Date, date).doc(
        "Date(year, month, day)",
        "A date; months and days beyond the calendar run over.",
        &[("Date(2026, 1, 31)", "Date(2026,1,31)"), ("Date(2026, 2, 30)", "Date(2026,3,2)")],
    ),
    Function::plain("Time", &[P::Number, P::Number, P::Number, P::Number], R::Time, time).takes(3, 4).doc(
        "Time(hour, minute, second, [millisecond])",
        "A time of the day.",
        &[("Time(9, 30, 0)", "Time(9,30,0,0)")],
    ),
    Function::plain("DateTime", &[P::Number], R::DateTime, date_time).takes(6, 7).doc(
        "DateTime(year, month, day, hour, minute, second, [millisecond])",
        "A date with a time.",
        &[("DateTime(2026, 1, 31, 9, 30, 0)", "DateTime(2026,1,31,9,30,0,0)")],
    ),
    Function::special("DateValue", 1, 2, |c, a, _| check_parse(c, a, Type::Date, date_value)).doc(
        "DateValue(text, [language])",
        "The date that a text holds: ISO 8601, or as people write it, month before day unless the language has it the other way.",
        &[("DateValue(\"2026-01-31\")", "Date(2026,1,31)"), ("DateValue(\"31/01/2026\", \"en-GB\")", "Date(2026,1,31)")],
    ).differs("The names of months are read in English only."),
    Function::special("TimeValue", 1, 2, |c, a, _| check_parse(c, a, Type::Time, time_value)).doc(
        "TimeValue(text, [language])",
        "The time that a text holds.",
        &[("TimeValue(\"2:30 PM\")", "Time(14,30,0,0)")],
    ),
    Function::special("DateTimeValue", 1, 2, |c, a, _| check_parse(c, a, Type::DateTime, date_time_value)).doc(
        "DateTimeValue(text, [language])",
        "The date and time that a text holds.",
        &[("DateTimeValue(\"January 31, 2026 2:30 PM\")", "DateTime(2026,1,31,14,30,0,0)")],
    ),
    Function::special("DateAdd", 2, 3, check_date_add).doc(
        "DateAdd(date, count, [unit])",
        "Moved by so many days, or another TimeUnit. Days and longer keep the wall clock; hours and shorter count real time.",
        &[("DateAdd(Date(2026, 1, 31), 1, TimeUnit.Months)", "Date(2026,2,28)"), ("DateAdd(Date(2026, 1, 31), 1)", "Date(2026,2,1)")],
    ),
    Function::plain("DateDiff", &[P::Moment, P::Moment, P::Enum("TimeUnit")], R::Number, date_diff).takes(2, 3).doc(
        "DateDiff(from, to, [unit])",
        "How many boundaries of days, or of another TimeUnit, lie between.",
        &[("DateDiff(Date(2026, 1, 1), Date(2026, 1, 31))", "30"), ("DateDiff(Date(2025, 12, 31), Date(2026, 1, 1), TimeUnit.Years)", "1")],
    ),
    Function::plain("Year", &[P::Moment], R::Number, |_, a| part(a, 1900, |m| m.parts().year)).doc("Year(date)", "Its year.", &[("Year(Date(2026, 1, 31))", "2026")]),
    Function::plain("Month", &[P::Moment], R::Number, |_, a| part(a, 1, |m| m.parts().month)).doc("Month(date)", "Its month.", &[("Month(Date(2026, 1, 31))", "1")]),
    Function::plain("Day", &[P::Moment], R::Number, |_, a| part(a, 0, |m| m.parts().day)).doc("Day(date)", "Its day of the month.", &[("Day(Date(2026, 1, 31))", "31")]),
    Function::plain("Hour", &[P::Moment], R::Number, |_, a| part(a, 0, |m| m.parts().hour)).doc("Hour(time)", "Its hour, 0 to 23.", &[("Hour(Time(14, 30, 0))", "14")]),
    Function::plain("Minute", &[P::Moment], R::Number, |_, a| part(a, 0, |m| m.parts().minute)).doc("Minute(time)", "Its minute.", &[("Minute(Time(14, 30, 0))", "30")]),
    Function::plain("Second", &[P::Moment], R::Number, |_, a| part(a, 0, |m| m.parts().second)).doc("Second(time)", "Its second.", &[("Second(Time(14, 30, 5))", "5")]),
    Function::plain("Weekday", &[P::Moment, P::Enum("StartOfWeek")], R::Number, weekday).takes(1, 2).doc(
        "Weekday(date, [start])",
        "The day of the week, 1 for Sunday, or counted from another StartOfWeek.",
        &[("Weekday(Date(2026, 1, 31))", "7"), ("Weekday(Date(2026, 1, 31), StartOfWeek.Monday)", "6")],
    ),
    Function::plain("WeekNum", &[P::Moment, P::Enum("StartOfWeek")], R::Number, week_num).takes(1, 2).doc(
        "WeekNum(date, [start])",
        "The week of the year; the first is that of January 1.",
        &[("WeekNum(Date(2026, 1, 31))", "5")],
    ),
    Function::plain("ISOWeekNum", &[P::Moment], R::Number, iso_week_num).doc(
        "ISOWeekNum(date)",
        "The week of the year as ISO 8601 counts it.",
        &[("ISOWeekNum(Date(2027, 1, 1))", "53")],
    ),
    Function::plain("EDate", &[P::Moment, P::Number], R::Date, |_, a| months_away(a, false)).doc(
        "EDate(date, months)",
        "The same day of another month, or its last day.",
        &[("EDate(Date(2026, 1, 31), 1)", "Date(2026,2,28)")],
    ),
    Function::plain("EOMonth", &[P::Moment, P::Number], R::Date, |_, a| months_away(a, true)).doc(
        "EOMonth(date, months)",
        "The last day of another month.",
        &[("EOMonth(Date(2026, 1, 15), 1)", "Date(2026,2,28)")],
    ),
    Function::plain("Now", &[], R::DateTime, |e, _| Value::DateTime(now(e))).volatile().doc("Now()", "The date and time now.", &[("Now() = Now()", "true")]),
    Function::plain("Today", &[], R::Date, |e, _| Value::Date(midnight(now(e)))).volatile().doc("Today()", "The date today.", &[("IsToday(Today())", "true")]),
    Function::plain("UTCNow", &[], R::DateTime, |e, _| Value::DateTime(Moment::from_timestamp(e.context.now, &TimeZone::UTC)))
        .volatile()
        .doc("UTCNow()", "The date and time now in UTC.", &[("DateDiff(UTCNow(), UTCNow())", "0")]),
    Function::plain("UTCToday", &[], R::Date, |e, _| Value::Date(midnight(Moment::from_timestamp(e.context.now, &TimeZone::UTC))))
        .volatile()
        .doc("UTCToday()", "The date today in UTC.", &[("IsUTCToday(UTCToday())", "true")]),
    Function::plain("IsToday", &[P::Moment], R::Boolean, |e, a| Value::Boolean(!a[0].is_blank() && moment(&a[0]).days() == now(e).days()))
        .volatile()
        .doc("IsToday(date)", "Whether the date is today.", &[("IsToday(Now())", "true")]),
    Function::plain("IsUTCToday", &[P::Moment], R::Boolean, |e, a| {
        let today = Moment::from_timestamp(e.context.now, &TimeZone::UTC).days();
        Value::Boolean(!a[0].is_blank() && moment(&a[0]).days() == today)
    })
    .volatile()
    .doc("IsUTCToday(date)", "Whether the date is today in UTC.", &[("IsUTCToday(UTCNow())", "true")]),
    Function::plain("TimeZoneOffset", &[P::Moment], R::Number, time_zone_offset).takes(0, 1).doc(
        "TimeZoneOffset([date])",
        "How many minutes the zone is behind UTC, now or at a date.",
        &[("TimeZoneOffset(Date(2026, 7, 1))", "-60")],
    ),
];

fn now(env: &Env<'_>) -> Moment {
    Moment::from_timestamp(env.context.now, &env.context.zone)
}

fn midnight(m: Moment) -> Moment {
    Moment(m.days() * DAY)
}

fn out_of_range<'a>() -> Value<'a> {
    Value::invalid("the date is not between the years 1 and 9999")
}

/// Whole numbers that a calendar can count with.
fn counts<const N: usize>(args: &[Value<'_>]) -> Option<[i64; N]> {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(args) {
        *to = whole(from);
        if to.abs() > i64::from(i32::MAX) {
            return None;
        }
    }
    Some(out)
}

fn date<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    counts::<3>(args).and_then(|[y, m, d]| Moment::from_civil(y, m, d)).map_or_else(out_of_range, Value::Date)
}

fn time<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    match counts::<4>(args) {
        Some([h, m, s, ms]) => Value::Time(Moment(h * HOUR + m * MINUTE + s * SECOND + ms * 1000)),
        None => Value::invalid("the time is longer than a time can be"),
    }
}

fn date_time<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    counts::<7>(args)
        .and_then(|[y, mo, d, h, mi, s, ms]| {
            let time = h * HOUR + mi * MINUTE + s * SECOND + ms * 1000;
            Moment::from_civil(y, mo, d)?.checked_add(time)?.in_range()
        })
        .map_or_else(out_of_range, Value::DateTime)
}

fn check_parse(c: &mut Checker<'_>, args: &[Expr], ty: Type, run: Strict) -> Typed {
    let value = c.expr(&args[0]);
    let fine = coerces(&value.ty, &ty) && !matches!(value.ty, Type::Number | Type::Float | Type::Choice(_));
    if !fine {
        return c.type_error(args[0].span, format!("expected a text, found {}", value.ty));
    }
    let mut nodes = vec![value.node];
    if let Some(language) = args.get(1) {
        nodes.push(c.expr_as(language, &Type::Text));
    }
    Typed::new(Node::Strict(run, nodes), ty)
}

fn parsed<'a>(env: &mut Env<'a>, args: &mut [Value<'a>], to: &Type) -> Value<'a> {
    let order = match args.get(1) {
        None | Some(Value::Blank) => Order::MonthDayYear,
        Some(tag) => match culture(text_of(tag)) {
            Some(_) => Order::of(text_of(tag)),
            None => {
                let message = format!("\"{}\" is no language code such as en-GB", text_of(tag));
                return Value::error(ErrorKind::BAD_LANGUAGE_CODE, message);
            }
        },
    };
    let value = std::mem::take(&mut args[0]);
    let Value::Text(text) = &value else {
        return match &value {
            Value::DateTime(m) | Value::Date(m) if *to == Type::Date => Value::Date(midnight(*m)),
            Value::DateTime(m) | Value::Date(m) | Value::Time(m) if *to == Type::Time => {
                Value::Time(Moment(m.time_of_day()))
            }
            Value::Untyped(json) if matches!(**json, Json::Number(_)) => Value::invalid("this JSON value is no date"),
            _ => coerce(env, value, to),
        };
    };
    if text.is_empty() {
        return Value::Blank;
    }
    let zone = &env.context.zone;
    let read = || dateparse::date_time_in(text, order).and_then(|read| read.on(zone));
    let read = match to {
        Type::Time => dateparse::time(text, zone).map(Value::Time),
        Type::Date => read().map(|m| Value::Date(midnight(m))),
        _ => read().map(Value::DateTime),
    };
    read.unwrap_or_else(|| {
        Value::invalid(format!("the text \"{}\" is no {to}", text.chars().take(40).collect::<String>()))
    })
}

fn date_value<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    parsed(env, args, &Type::Date)
}

fn time_value<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    parsed(env, args, &Type::Time)
}

fn date_time_value<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    parsed(env, args, &Type::DateTime)
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// Of so many microseconds, counted in real time.
    Span(i64),
    Days,
    Months(i64),
}

fn unit(value: Option<&Value<'_>>) -> Option<Unit> {
    let Some(Value::Text(name)) = value else { return Some(Unit::Days) };
    Some(match name.to_ascii_lowercase().as_str() {
        "milliseconds" => Unit::Span(1000),
        "seconds" => Unit::Span(SECOND),
        "minutes" => Unit::Span(MINUTE),
        "hours" => Unit::Span(HOUR),
        "days" => Unit::Days,
        "months" => Unit::Months(1),
        "quarters" => Unit::Months(3),
        "years" => Unit::Months(12),
        _ => return None,
    })
}

fn check_date_add(c: &mut Checker<'_>, args: &[Expr], _: Span) -> Typed {
    let date = c.expr(&args[0]);
    let ty = match &date.ty {
        Type::Date | Type::Time | Type::DateTime => date.ty.clone(),
        _ => Type::DateTime,
    };
    let kind = match ty {
        Type::Date => "d",
        Type::Time => "t",
        _ => "",
    };
    let date = c.fit(date, &ty, args[0].span);
    let count = c.expr(&args[1]);
    let count = if count.ty == Type::Time { count.node } else { c.fit(count, &Type::Number, args[1].span) };
    let unit = match args.get(2) {
        Some(unit) => c.expr_as(unit, &enums::ty("TimeUnit")),
        None => Node::blank(),
    };
    Typed::new(Node::Strict(date_add, vec![date, count, unit, Node::text(kind)]), ty)
}

fn date_add<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let start = moment(&args[0]);
    let Some(unit) = unit(args.get(2)) else { return Value::invalid("the unit is a TimeUnit") };
    let count = match &args[1] {
        Value::Number(n) => to_float(*n),
        Value::Time(m) => m.serial(),
        _ => 0.0,
    };
    let moved = match unit {
        Unit::Months(months) => whole(&args[1]).checked_mul(months).and_then(|m| add_months(start, m)),
        Unit::Days => Moment::from_serial(count).and_then(|by| start.checked_add(by.0)),
        Unit::Span(micros) => {
            let span = count * micros as f64;
            if span.abs() > 9e17 { None } else { add_real_time(env, start, span.round() as i64, &args[0]) }
        }
    };
    match (moved, text_of(&args[3])) {
        (Some(m), "t") => Value::Time(m),
        (Some(m), kind) => match m.in_range() {
            Some(m) if kind == "d" => Value::Date(m),
            Some(m) => Value::DateTime(m),
            None => out_of_range(),
        },
        (None, _) => out_of_range(),
    }
}

/// Across a change of the clocks an hour is an hour: through the instant and back.
fn add_real_time(env: &Env<'_>, start: Moment, micros: i64, value: &Value<'_>) -> Option<Moment> {
    if matches!(value, Value::Time(_)) {
        return start.checked_add(micros);
    }
    let zone = &env.context.zone;
    let through =
        start.to_timestamp(zone).and_then(|at| at.checked_add(jiff::SignedDuration::from_micros(micros)).ok());
    match through {
        Some(at) => Some(Moment::from_timestamp(at, zone)),
        None => start.checked_add(micros),
    }
}

fn add_months(start: Moment, months: i64) -> Option<Moment> {
    if months.abs() > 200_000 {
        return None;
    }
    let p = start.parts();
    let total = p.year * 12 + p.month - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let day = p.day.min(days_in_month(year, month));
    Moment(days_from_civil(year, month, day) * DAY).checked_add(start.time_of_day())
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next, 1) - days_from_civil(year, month, 1)
}

fn date_diff<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let (from, to) = (moment(&args[0]), moment(&args[1]));
    let Some(unit) = unit(args.get(2)) else { return Value::invalid("the unit is a TimeUnit") };
    let difference = match unit {
        Unit::Days => to.days() - from.days(),
        Unit::Months(months) => {
            let count = |m: Moment| {
                let p = m.parts();
                (p.year * 12 + p.month - 1).div_euclid(months)
            };
            count(to) - count(from)
        }
        Unit::Span(micros) => {
            let zone = &env.context.zone;
            let real = |m: Moment, v: &Value<'_>| match v {
                Value::Time(_) => m.0,
                _ => m.to_timestamp(zone).map_or(m.0, |at| Moment::from_timestamp(at, &TimeZone::UTC).0),
            };
            let same = matches!(args[0], Value::Time(_)) == matches!(args[1], Value::Time(_));
            let (a, b) = if same { (real(from, &args[0]), real(to, &args[1])) } else { (from.0, to.0) };
            b.div_euclid(micros) - a.div_euclid(micros)
        }
    };
    Value::number(difference)
}

fn part<'a>(args: &mut [Value<'a>], blank: i64, of: fn(Moment) -> i64) -> Value<'a> {
    if args[0].is_blank() { Value::number(blank) } else { Value::number(of(moment(&args[0]))) }
}

/// The first day of the week, 0 for Sunday, and the number that it has.
fn week_start(value: Option<&Value<'_>>) -> Option<(i64, i64)> {
    match value {
        None | Some(Value::Blank) => Some((0, 1)),
        Some(value) => match whole(value) {
            1 | 17 => Some((0, 1)),
            2 | 11 => Some((1, 1)),
            3 => Some((1, 0)),
            n @ 12..=16 => Some((n - 10, 1)),
            _ => None,
        },
    }
}

fn weekday<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    match week_start(args.get(1)) {
        Some((start, first)) => Value::number((moment(&args[0]).weekday() - start).rem_euclid(7) + first),
        None => Value::invalid("the start of the week is a StartOfWeek"),
    }
}

fn week_num<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let Some((start, 1)) = week_start(args.get(1)) else {
        return Value::invalid("the start of the week is a StartOfWeek that counts from 1");
    };
    let m = moment(&args[0]);
    let new_year = days_from_civil(m.parts().year, 1, 1);
    let offset = (Moment(new_year * DAY).weekday() - start).rem_euclid(7);
    Value::number((m.days() - new_year + offset) / 7 + 1)
}

fn iso_week_num<'a>(_: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let m = moment(&args[0]);
    // The week belongs to the year of its Thursday.
    let thursday = m.days() - (m.weekday() + 6) % 7 + 3;
    let year = Moment(thursday * DAY).parts().year;
    Value::number((thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

fn months_away<'a>(args: &mut [Value<'a>], end: bool) -> Value<'a> {
    let moved = add_months(midnight(moment(&args[0])), whole(&args[1]));
    let Some(m) = moved.and_then(Moment::in_range) else { return out_of_range() };
    if !end {
        return Value::Date(m);
    }
    let p = m.parts();
    Value::Date(Moment(days_from_civil(p.year, p.month, days_in_month(p.year, p.month)) * DAY))
}

fn time_zone_offset<'a>(env: &mut Env<'a>, args: &mut [Value<'a>]) -> Value<'a> {
    let zone = &env.context.zone;
    let at = match args.first() {
        None => env.context.now,
        Some(value) => match moment(value).to_timestamp(zone) {
            Some(at) => at,
            None => return out_of_range(),
        },
    };
    Value::number(-i64::from(zone.to_offset(at).seconds()) / 60)
}
