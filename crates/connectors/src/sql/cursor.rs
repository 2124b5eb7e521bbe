//! Where a read stands, as the text that a page carries.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use record::{Code, Fault, Value};
use serde_json::{Map, Value as Json, json};

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
    /// Rows whose watermark is below this; of a window of time, which is no place that anybody goes on from.
    pub until: Option<Value>,
    /// What the positions in `after` depend on: where it has changed, they mean nothing any more.
    pub layout: Option<i64>,
}

const VERSION: i64 = 1;

impl Cursor {
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
