//! Change tracking: a first read that ends in a delta link, then what has changed since.

use std::sync::Arc;

use jiff::Timestamp;
use odata::{Options, encode};
use rusqlite::params;
use uuid::Uuid;

use super::engine::Engine;
use super::json::Writer;
use super::model::Table;
use super::read::{applied, kept_query};
use super::refusal::{self, Answer, Refusal};
use super::shape::{Shape, Voice};
use super::storage::blob;
use super::wire::{Prefer, Request, Response};

/// A point in the history of a table: `919042!08/22/2017 08:10:44`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    version: i64,
    at: i64,
}

impl Token {
    fn parse(text: &str) -> Option<Token> {
        // A client may have put a slash behind it on the way.
        let (version, at) = text.trim_end_matches('/').split_once('!')?;
        let at = jiff::civil::DateTime::strptime("%m/%d/%Y %H:%M:%S", at.trim()).ok()?;
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        Some(Token { version: version.trim().parse().ok()?, at })
    }

    fn text(self) -> String {
        let at = Timestamp::from_second(self.at).unwrap_or_default();
        format!("{}!{}", self.version, at.strftime("%m/%d/%Y %H:%M:%S"))
    }
}

/// Where a page of a tracked read goes on.
enum Place {
    /// The first read, in key order.
    Everything { after: Option<Uuid> },
    /// Rows changed, in the order of their versions.
    Changed { after: i64 },
    /// Rows deleted, in the order of their versions.
    Deleted { after: i64 },
}

/// `GET {set}` with `Prefer: odata.track-changes` or with `$deltatoken`.
pub fn list(
    engine: &Engine,
    request: &Request,
    table: &Arc<Table>,
    options: &Options,
    prefer: &Prefer,
) -> Answer<Response> {
    refuse_options(table, options)?;
    let shape = Shape::of(engine, table, options)?;
    let (mut place, until, since) = begin(engine, options)?;
    let rows_max = prefer.page_rows.unwrap_or(5000);
    let voice = Voice { engine, root: &request.root, prefer, user: request.user };

    let delta = if since.is_some() { "/$delta" } else { "" };
    let mut body = String::with_capacity(16 * 1024);
    let mut object = Writer::new(&mut body);
    object.text("@odata.context", &format!("{}$metadata#{}{}{delta}", request.root, table.set, shape.context()));
    let values = object.member("value");
    values.push('[');
    let mut left = rows_max;
    let mut separator = "";
    let next = loop {
        let (condition, order) = match &place {
            Place::Everything { after: None } => ("t.v <= ?2 AND ?1 IS NOT NULL", "id"),
            Place::Everything { after: Some(_) } => ("t.v <= ?2 AND t.id > ?1", "id"),
            Place::Changed { .. } => ("t.v > ?1 AND t.v <= ?2", "v"),
            Place::Deleted { after } => {
                let (count, last) =
                    deletions(engine, request, table, (*after, until.version), left, &mut separator, values)?;
                // Full to the brim may mean that there is more; an empty last page says that there was not.
                break (count == left).then_some(Place::Deleted { after: last });
            }
        };
        let sql = format!(
            "SELECT {} FROM {} t WHERE {} ORDER BY t.{order} LIMIT {left}",
            shape.sql("t"),
            table.sql(),
            condition
        );
        let mut statement = engine.conn.prepare_cached(&sql)?;
        let mut rows = match &place {
            Place::Everything { after } => statement.query(params![blob(after.unwrap_or_default()), until.version])?,
            Place::Changed { after } | Place::Deleted { after } => statement.query(params![after, until.version])?,
        };
        while let Some(row) = rows.next()? {
            values.push_str(separator);
            separator = ",";
            shape.write(&voice, row, None, values)?;
            left -= 1;
            place = match place {
                Place::Everything { .. } => Place::Everything { after: Some(Uuid::from_bytes(row.get(0)?)) },
                _ => Place::Changed { after: row.get(1)? },
            };
        }
        if left == 0 {
            break Some(place);
        }
        match (place, since) {
            (Place::Changed { .. }, Some(since)) => place = Place::Deleted { after: since.version },
            _ => break None,
        }
    };
    values.push(']');
    let kept = kept_query(&request.query);
    let here = format!("{}{}{kept}", request.root, request.path);
    match next {
        Some(place) => {
            let since = since.map_or(0, |token| token.version);
            object.text("@odata.nextLink", &format!("{here}$skiptoken={}", cookie(&place, until, since)));
        }
        None => object.text("@odata.deltaLink", &format!("{here}$deltatoken={}", encode(&until.text()))),
    }
    object.end();
    Ok(applied(Response::json(200, body), prefer))
}

/// `GET {set}/$count?$deltatoken=…`: how many rows have changed or gone.
pub fn count(engine: &Engine, table: &Arc<Table>, options: &Options) -> Answer<Response> {
    refuse_options(table, options)?;
    let (_, until, since) = begin(engine, options)?;
    let since = since.map_or(0, |token| token.version);
    let sql = format!(
        "SELECT (SELECT count(*) FROM {0} WHERE v > ?1 AND v <= ?2) + (SELECT count(*) FROM tombstone d \
         WHERE d.table_name = ?3 AND d.v > ?1 AND d.v <= ?2 AND NOT EXISTS (SELECT 1 FROM {0} t WHERE t.id = d.id))",
        table.sql()
    );
    let count: i64 = engine.conn.query_row(&sql, params![since, until.version, table.name], |row| row.get(0))?;
    Ok(Response::text(count.to_string()))
}

fn deletions(
    engine: &Engine,
    request: &Request,
    table: &Table,
    (after, until): (i64, i64),
    most: usize,
    separator: &mut &str,
    values: &mut String,
) -> Answer<(usize, i64)> {
    // An id that was used again is a changed row, not a deleted one.
    let sql = format!(
        "SELECT d.id, d.v FROM tombstone d WHERE d.table_name = ?1 AND d.v > ?2 AND d.v <= ?3 \
         AND NOT EXISTS (SELECT 1 FROM {} t WHERE t.id = d.id) ORDER BY d.v LIMIT {most}",
        table.sql()
    );
    let mut statement = engine.conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![table.name, after, until])?;
    let (mut count, mut last) = (0, after);
    while let Some(row) = rows.next()? {
        let id = Uuid::from_bytes(row.get::<_, [u8; 16]>(0)?);
        last = row.get(1)?;
        count += 1;
        values.push_str(separator);
        *separator = ",";
        values.push_str("{\"@odata.context\":");
        odata::payload::quoted(values, &format!("{}$metadata#{}/$deletedEntity", request.root, table.set));
        values.push_str(&format!(",\"id\":\"{id}\",\"reason\":\"deleted\"}}"));
    }
    Ok((count, last))
}

fn refuse_options(table: &Table, options: &Options) -> Answer<()> {
    for (name, given) in [
        ("$filter", options.filter.is_some()),
        ("$orderby", !options.orderby.is_empty()),
        ("$expand", !options.expand.is_empty()),
        ("$top", options.top.is_some()),
    ] {
        if given {
            return Err(Refusal::query(format!(
                "The \"{name}\" query parameter isn't supported when Change Tracking is enabled."
            )));
        }
    }
    if !table.change_tracking {
        let message = format!("Entity {} isn't enabled for change tracking.", table.name);
        return Err(Refusal::new(400, refusal::NOT_CHANGE_TRACKED, message));
    }
    Ok(())
}

/// Where to begin, up to which point to read, and since when; the last is nothing in a first read.
fn begin(engine: &Engine, options: &Options) -> Answer<(Place, Token, Option<Token>)> {
    let now = Token { version: engine.version(), at: engine.clock.now() };
    if let Some(text) = &options.skiptoken {
        return resume(text).ok_or_else(|| Refusal::query("The $skiptoken is malformed."));
    }
    let Some(text) = &options.deltatoken else {
        return Ok((Place::Everything { after: None }, now, None));
    };
    let token = Token::parse(text).ok_or_else(|| Refusal::query("The $deltatoken is malformed."))?;
    let days: i64 = engine
        .conn
        .query_row("SELECT c_expirechangetrackingindays FROM t_organization LIMIT 1", [], |row| row.get(0))
        .unwrap_or(7);
    if token.at < now.at - days * 86_400 || token.version < engine.delta_expired_before {
        let message = "Version stamp associated with the client has expired. Please perform a full sync.";
        return Err(Refusal::new(400, refusal::EXPIRED_VERSION_STAMP, message));
    }
    Ok((Place::Changed { after: token.version }, now, Some(token)))
}

fn cookie(place: &Place, until: Token, since: i64) -> String {
    let (kind, after) = match place {
        Place::Everything { after } => ("rows", after.unwrap_or_default().to_string()),
        Place::Changed { after } => ("changed", after.to_string()),
        Place::Deleted { after } => ("deleted", after.to_string()),
    };
    let inner = format!("{kind}|{after}|{since}|{}", until.text());
    format!(
        "%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22{}%22%20istracking=%22True%22%20/%3E",
        encode(&encode(&inner))
    )
}

fn resume(token: &str) -> Option<(Place, Token, Option<Token>)> {
    let start = token.find("pagingcookie=\"")? + "pagingcookie=\"".len();
    let mut inner = token[start..].split('"').next()?.to_owned();
    for _ in 0..3 {
        if inner.contains('%') {
            inner = odata::decode(&inner, false).ok()?;
        }
    }
    let mut parts = inner.split('|');
    let (kind, after, since) = (parts.next()?, parts.next()?, parts.next()?.parse::<i64>().ok()?);
    let until = Token::parse(parts.next()?)?;
    let since = Token { version: since, at: until.at };
    Some(match kind {
        "rows" => (Place::Everything { after: Some(after.parse().ok()?) }, until, None),
        "changed" => (Place::Changed { after: after.parse().ok()? }, until, Some(since)),
        "deleted" => (Place::Deleted { after: after.parse().ok()? }, until, Some(since)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_a_version_and_a_time() {
        let token = Token::parse("919042!08/22/2017 08:10:44").unwrap();
        assert_eq!(token.version, 919_042);
        assert_eq!(token.text(), "919042!08/22/2017 08:10:44");
        assert_eq!(Token::parse("919042!08/22/2017 08:10:44/"), Some(token));
        assert_eq!(Token::parse("x!y"), None);
    }
}
