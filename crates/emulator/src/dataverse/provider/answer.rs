//! The answer of a service as the platform shows it: each value by the type of its column.

use rusqlite::types::Value;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Asked, Trouble, What};
use crate::dataverse::json::Writer;
use crate::dataverse::model::{Behaviour, Column, Kind};
use crate::dataverse::wire::Response;
use crate::dataverse::{read, value};

const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";
/// The cap of every count.
const COUNT_MAX: u64 = 5_000;

impl Asked {
    /// *Errors*: an answer that is no OData payload; a value that its column cannot hold.
    pub(super) fn shown(&self, body: &[u8]) -> Result<Response, Trouble> {
        let payload: Json = serde_json::from_slice(body)
            .map_err(|error| Trouble::data(format!("The response is not a valid OData payload: {error}")))?;
        match self.what {
            What::Count => {
                let count = count_of(&payload).ok_or_else(|| Trouble::data("The response has no @odata.count."))?;
                Ok(Response::text(count.min(COUNT_MAX).to_string()))
            }
            What::Row(_) => {
                let mut text = String::new();
                let context = format!("{}$metadata#{}{}/$entity", self.root, self.table.set, self.context());
                self.write(&payload, Some(&context), &mut text)?;
                Ok(read::applied(Response::json(200, text), &self.prefer))
            }
            What::List { page, rows, is_paged } => self.list(&payload, page, rows, is_paged),
        }
    }

    fn list(&self, payload: &Json, page: u64, rows_max: u64, is_paged: bool) -> Result<Response, Trouble> {
        let rows = payload["value"].as_array().ok_or_else(|| Trouble::data("The response has no array 'value'."))?;
        let count = count_of(payload);
        let mut body = String::with_capacity(16 * 1024);
        let mut object = Writer::new(&mut body);
        object.text("@odata.context", &format!("{}$metadata#{}{}", self.root, self.table.set, self.context()));
        let shown_count = count.filter(|_| self.wants_count).map(|count| count.min(COUNT_MAX));
        if let Some(count) = shown_count {
            object.raw("@odata.count", &count.to_string());
        }
        read::totals(&mut object, &self.prefer, shown_count.and_then(|count| usize::try_from(count).ok()));
        let values = object.member("value");
        values.push('[');
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                values.push(',');
            }
            self.write(row, None, values)?;
        }
        values.push(']');
        // The provider knows of more rows by their count alone.
        let seen = (page - 1).saturating_mul(rows_max).saturating_add(rows.len() as u64);
        if is_paged && !rows.is_empty() && count.is_some_and(|count| seen < count) {
            let id = |row: Option<&Json>| row.and_then(|row| self.id_of(row)).unwrap_or_default();
            let page = usize::try_from(page + 1).unwrap_or(usize::MAX);
            let (first, last) = (id(rows.first()), id(rows.last()));
            let link = read::next_link((&self.root, &self.own_path, &self.own_query), &self.table, page, first, last);
            object.text("@odata.nextLink", &link);
        }
        object.end();
        Ok(read::applied(Response::json(200, body), &self.prefer))
    }

    fn context(&self) -> String {
        self.selected.as_ref().map_or_else(String::new, |names| format!("({})", names.join(",")))
    }

    fn id_of(&self, row: &Json) -> Option<Uuid> {
        let name = self.table.column(&self.table.primary_id)?.external_name.as_deref()?;
        row[name].as_str().and_then(|id| Uuid::try_parse(id).ok())
    }

    fn write(&self, row: &Json, context: Option<&str>, out: &mut String) -> Result<(), Trouble> {
        if self.id_of(row).is_none() {
            return Err(Trouble::data(format!("A row of the response has no id for '{}'.", self.table.primary_id)));
        }
        let mut object = Writer::new(out);
        if let Some(context) = context {
            object.text("@odata.context", context);
        }
        for column in &self.columns {
            let name = column.property();
            let sent = column.external_name.as_deref().map_or(&Json::Null, |external| &row[external]);
            let stored = stored(column, sent).ok_or_else(|| {
                Trouble::data(format!("The value {sent} cannot be converted to the type of '{}'.", column.name))
            })?;
            if self.prefer.wants(FORMATTED)
                && let Some(text) = value::formatted(&column.kind, (&stored).into())
            {
                object.text(&format!("{name}@{FORMATTED}"), &text);
            }
            value::write_json(object.member(&name), &column.kind, (&stored).into());
        }
        object.end();
        Ok(())
    }
}

fn count_of(payload: &Json) -> Option<u64> {
    match &payload["@odata.count"] {
        Json::String(text) => text.parse().ok(),
        number => number.as_u64(),
    }
}

/// A value as the environment would store it. What a column forbids (its length, its range) is not looked at: the
/// platform shows what the source sends, as long as it is of the type.
fn stored(column: &Column, sent: &Json) -> Option<Value> {
    Some(match (&column.kind, sent) {
        (_, Json::Null) => Value::Null,
        (Kind::Uniqueidentifier | Kind::Lookup { .. }, Json::String(id)) => {
            Value::Blob(Uuid::try_parse(id).ok()?.as_bytes().to_vec())
        }
        (Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. }, Json::String(text)) => Value::Text(text.clone()),
        (Kind::Boolean { .. }, Json::Bool(yes)) => Value::Integer((*yes).into()),
        (Kind::Integer { .. } | Kind::Choice { .. } | Kind::State { .. } | Kind::Status { .. }, number) => {
            Value::Integer(plain(number)?.parse::<i32>().ok()?.into())
        }
        (Kind::BigInt, number) => Value::Integer(plain(number)?.parse().ok()?),
        (Kind::Double { .. }, number) => Value::Real(plain(number)?.parse().ok()?),
        (kind @ (Kind::Decimal { .. } | Kind::Money { .. }), number) => {
            let places = kind.scale().unwrap_or(0);
            Value::Integer(value::scaled(value::decimal(&plain(number)?)?.round_dp(places), places)?)
        }
        (Kind::DateTime { behaviour: Behaviour::DateOnly, .. }, Json::String(text)) => {
            Value::Text(text.get(..10)?.parse::<jiff::civil::Date>().ok()?.to_string())
        }
        (Kind::DateTime { .. }, Json::String(text)) => Value::Integer(value::instant(text)?),
        _ => return None,
    })
}

/// The digits of a number, also of one that is written as text.
fn plain(number: &Json) -> Option<String> {
    match number {
        Json::Number(number) => Some(number.to_string()),
        Json::String(text) => Some(text.clone()),
        _ => None,
    }
}
