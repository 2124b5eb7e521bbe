//! Where a read stands, as the text that a page carries.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp};
use record::query::compare;
use record::{Code, Fault, Value};
use serde_json::{Map, Value as Json, json};

use super::watermark::{Clock, Numbers, Until};

/// A place in a read. *Shape*: JSON with a version; a text that is not one of ours is no cursor.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Cursor {
    /// The read under way reads everything.
    pub full: bool,
    /// The watermark column that `since` and `cap` are values of.
    pub by: Option<String>,
    /// Changes from here on; the overlap is not yet taken off.
    pub since: Option<Value>,
    /// What `since` becomes when this read has ended: the last watermark there was when it started.
    pub cap: Option<Value>,
    /// The values of the order of the last row that was read; empty at the start of a read.
    pub after: Vec<Value>,
    /// Where a window of time ends, which is no place that anybody goes on from.
    pub until: Option<Until>,
    /// Numbers that were the last watermark, each with when, oldest first: see [`Cursor::lower`].
    pub reached: Vec<(Timestamp, Value)>,
    /// What the positions in `after` depend on: where it has changed, they mean nothing any more.
    pub layout: Option<i64>,
}

const VERSION: i64 = 1;
/// So many numbers that were reached are kept for the time of the overlap.
const MARKS: u32 = 10;

fn ago(clock: &Clock, long: Duration) -> Timestamp {
    let long = SignedDuration::try_from(long).unwrap_or(SignedDuration::MAX);
    clock.now.saturating_sub(long).unwrap_or(Timestamp::MIN)
}

impl Cursor {
    /// The beginning of a read of everything.
    pub fn everything(by: Option<String>) -> Cursor {
        Cursor { full: true, by, ..Cursor::default() }
    }

    pub fn parse(text: &str) -> Option<Cursor> {
        let json: Json = serde_json::from_str(text).ok()?;
        if json.get("v")?.as_i64()? != VERSION {
            return None;
        }
        let value = |name: &str| match json.get(name) {
            None => Some(None),
            Some(found) => decode(found).map(Some),
        };
        Some(Cursor {
            full: json.get("full").and_then(Json::as_bool).unwrap_or(false),
            by: json.get("by").and_then(Json::as_str).map(str::to_owned),
            since: value("since")?,
            cap: value("cap")?,
            after: match json.get("after") {
                None => Vec::new(),
                Some(list) => list.as_array()?.iter().map(decode).collect::<Option<_>>()?,
            },
            until: None,
            reached: match json.get("reached") {
                None => Vec::new(),
                Some(list) => {
                    let one = |pair: &Json| Some((pair[0].as_str()?.parse().ok()?, decode(&pair[1])?));
                    list.as_array()?.iter().map(one).collect::<Option<_>>()?
                }
            },
            layout: json.get("layout").and_then(Json::as_i64),
        })
    }

    pub fn to_text(&self) -> String {
        let mut map = Map::new();
        map.insert("v".into(), json!(VERSION));
        if self.full {
            map.insert("full".into(), json!(true));
        }
        if let Some(by) = &self.by {
            map.insert("by".into(), json!(by));
        }
        for (name, value) in [("since", &self.since), ("cap", &self.cap)] {
            if let Some(value) = value {
                map.insert(name.into(), encode(value));
            }
        }
        if !self.after.is_empty() {
            map.insert("after".into(), self.after.iter().map(encode).collect());
        }
        if !self.reached.is_empty() {
            let one = |(at, value): &(Timestamp, Value)| json!([at.to_string(), encode(value)]);
            map.insert("reached".into(), self.reached.iter().map(one).collect());
        }
        if let Some(layout) = self.layout {
            map.insert("layout".into(), json!(layout));
        }
        Json::Object(map).to_string()
    }

    /// The cursor of a read that has ended; `None` where the next read starts from the beginning.
    pub fn ended(&self) -> Option<Cursor> {
        let since = self.cap.clone().or_else(|| self.since.clone())?;
        Some(Cursor { by: self.by.clone(), since: Some(since), ..Cursor::default() })
    }

    /// Where a read of changes begins, so that what commits late is seen: of a time, the overlap before the last one. A
    /// number says nothing of when it was given, and one that was given first may be committed last: there it is the number
    /// that was reached the overlap ago.
    pub fn lower(&self, clock: &Clock, overlap: Duration) -> Option<Value> {
        let since = self.since.as_ref()?;
        let begin = ago(clock, overlap);
        let old = self.reached.iter().rfind(|(at, _)| *at <= begin).or(self.reached.first());
        Some(old.map_or_else(|| clock.back(since, overlap, Numbers::Count), |(_, value)| value.clone()))
    }

    /// As [`Cursor::ended`], of a source that gives numbers before it commits them.
    pub fn ended_at(&self, clock: &Clock, overlap: Duration) -> Option<Cursor> {
        let mut ended = self.ended()?;
        let is_number = matches!(ended.since, Some(Value::Int(_) | Value::Decimal(_)));
        let since = ended.since.clone().filter(|_| is_number && !overlap.is_zero());
        let mut reached: Vec<(Timestamp, Value)> = self.reached.clone();
        // A clock that was put back does not keep them for ever, and a table that counts anew has not reached them.
        let is_reached =
            |value: &Value| since.as_ref().is_some_and(|since| compare(value, since).is_some_and(Ordering::is_le));
        reached.retain(|(at, value)| *at <= clock.now && is_reached(value));
        let begin = ago(clock, overlap);
        let old = reached.iter().rposition(|(at, _)| *at <= begin).unwrap_or(0);
        reached.drain(..old);
        if reached.last().is_none_or(|(at, _)| *at <= ago(clock, overlap / MARKS)) {
            reached.extend(since.map(|since| (clock.now, since)));
        }
        ended.reached = reached;
        Some(ended)
    }
}

/// A value with its kind in front, since JSON would lose it.
fn encode(value: &Value) -> Json {
    Json::String(match value {
        Value::Blank => return Json::Null,
        Value::Bool(v) => format!("bool:{v}"),
        Value::Int(v) => format!("int:{v}"),
        Value::Decimal(v) => format!("decimal:{v}"),
        // `{:?}` prints the shortest text that reads back as the same float.
        Value::Float(v) => format!("float:{v:?}"),
        Value::Date(v) => format!("date:{v}"),
        Value::Instant(v) => format!("instant:{v}"),
        Value::LocalDateTime(v) => format!("local:{v}"),
        Value::Guid(v) => format!("guid:{v}"),
        Value::Bytes(v) => format!("bytes:{}", v.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        Value::Text(text) | Value::Choice(text) => format!("text:{text}"),
        Value::Time(_) | Value::Reference(_) | Value::Rows(_) => format!("text:{value}"),
    })
}

fn decode(json: &Json) -> Option<Value> {
    if json.is_null() {
        return Some(Value::Blank);
    }
    let (kind, text) = json.as_str()?.split_once(':')?;
    Some(match kind {
        "bool" => Value::Bool(text.parse().ok()?),
        "int" => Value::Int(text.parse().ok()?),
        "decimal" => Value::Decimal(text.parse().ok()?),
        "float" => Value::Float(text.parse().ok()?),
        "date" => Value::Date(text.parse::<Date>().ok()?),
        "instant" => Value::Instant(text.parse::<Timestamp>().ok()?),
        "local" => Value::LocalDateTime(text.parse::<DateTime>().ok()?),
        "guid" => Value::Guid(text.parse().ok()?),
        "bytes" => {
            let pairs = text.as_bytes().chunks(2);
            Value::Bytes(
                pairs
                    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                    .collect::<Option<Vec<u8>>>()?,
            )
        }
        "text" => Value::text(text),
        _ => return None,
    })
}

/// A source whose watermark is no time cannot be read by one.
pub(crate) fn no_window(system: &str, table: &str, watermark: Option<&str>) -> Fault {
    let what = match watermark {
        Some(column) => format!("`{column}` of `{table}` is no time, so a window of time cannot be read by it"),
        None => format!("`{table}` has no `watermark:`, so a window of time cannot be read"),
    };
    Fault::stop(Code("IB0736"), what)
        .at_system(system)
        .at_table(table)
        .fix("read everything instead: ironbridge state reset, and run; what is right is not written again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_out() {
        let cursor = Cursor {
            full: true,
            by: Some("updated_at".into()),
            since: Some(Value::text("2026-11-23 10:00:00")),
            cap: Some(Value::Instant("2026-11-23T10:00:00.25Z".parse().unwrap())),
            after: vec![
                Value::Blank,
                Value::Int(-7),
                Value::Float(0.1),
                Value::text("a:b \"Zoë\""),
                Value::Bytes(vec![0, 255]),
                Value::Decimal("1.50".parse().unwrap()),
                Value::LocalDateTime("2026-01-01T00:00:00".parse().unwrap()),
            ],
            until: None,
            reached: vec![("2026-11-23T10:00:00Z".parse().unwrap(), Value::Int(7))],
            layout: Some(4),
        };
        assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor));
    }

    #[test]
    fn a_foreign_text_is_no_cursor() {
        for text in ["", "{}", "[]", r#"{"v":2}"#, r#"{"v":1,"since":5}"#, r#"{"v":1,"after":["int:x"]}"#, "https://x"]
        {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    /// A row whose number was given before that of another one, and which is committed five minutes later.
    #[test]
    fn a_number_that_is_committed_late_is_read_again() {
        let clock = |second: i64| Clock { now: Timestamp::from_second(second).unwrap(), zone: jiff::tz::TimeZone::UTC };
        let overlap = Duration::from_secs(300);
        let mut cursor = Cursor { by: Some("id".into()), ..Cursor::default() };
        let mut lower = Vec::new();
        for second in (0..=900).step_by(10) {
            cursor.cap = Some(Value::Int(second));
            cursor = cursor.ended_at(&clock(second), overlap).unwrap();
            assert!(cursor.reached.len() <= MARKS as usize + 2, "{cursor:?}");
            cursor = Cursor::parse(&cursor.to_text()).unwrap();
            lower.push(match cursor.lower(&clock(second), overlap) {
                Some(Value::Int(number)) => second - number,
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(lower[..3], [0, 10, 20], "at first from what was reached first");
        assert!(lower[30..].iter().all(|behind| (300..=330).contains(behind)), "{lower:?}");
        // A table that counts from the beginning again.
        let anew = Cursor { cap: Some(Value::Int(3)), ..cursor.clone() }.ended_at(&clock(900), overlap).unwrap();
        assert_eq!(anew.lower(&clock(901), overlap), Some(Value::Int(3)));
        // Put back by an hour, the clock begins anew.
        cursor = cursor.ended_at(&clock(-2_700), overlap).unwrap();
        assert_eq!(cursor.reached.len(), 1);
        // Whoever wants none has none, and a time has its own.
        assert_eq!(
            cursor.ended_at(&clock(900), Duration::ZERO).unwrap().lower(&clock(901), Duration::ZERO),
            cursor.since
        );
        let time = Cursor { cap: Some(Value::text("2026-11-23 10:00:00")), ..cursor };
        let time = time.ended_at(&clock(900), overlap).unwrap();
        assert_eq!(time.lower(&clock(901), overlap), Some(Value::text("2026-11-23 09:55:00")));
    }

    #[test]
    fn the_next_read_starts_where_the_watermark_stood_when_this_one_started() {
        let running = Cursor {
            full: true,
            by: Some("w".into()),
            cap: Some(Value::Int(9)),
            after: vec![Value::Int(3)],
            ..Cursor::default()
        };
        assert_eq!(running.ended().unwrap().to_text(), r#"{"v":1,"by":"w","since":"int:9"}"#);
        assert_eq!(Cursor::default().ended(), None);
    }
}
