//! One request below a root: which thing it names, and its answer.

use std::sync::Arc;

use jiff::Timestamp;
use odata::payload::{self, Metadata, Out};
use odata::{Expr, Literal, Options, Segment};
use record::query::Expr as Test;
use record::{Value, ValueRef};
use virtual_tables::{Ask, Page, Position, Refused, codes};

use super::entity::{Wanted, rows, wanted};
use super::pieces::Pieces;
use super::reply::{Reply, TEXT};
use super::request::{Head, content_type, options, shown};
use super::roots::Shown;
use super::{Service, token};

/// The most rows of one page.
const PAGE: u64 = 1_000;

/// What a request is read against.
pub(super) struct Root<'a> {
    /// `https://host/odata/warehouse/`.
    pub base: String,
    pub tables: Vec<&'a Arc<Shown>>,
    pub head: &'a Head,
    pub options: Options,
    pub now: Timestamp,
}

pub(super) async fn answer(service: &Service, admitted: &[&str], head: &Head) -> Result<Reply, Refused> {
    let (name, rest, tables) = service
        .roots
        .find(&head.path, admitted)
        .ok_or_else(|| Refused::new(404, codes::NOT_FOUND, format!("there is no `/odata/{}`", shown(&head.path))))?;
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        let message =
            format!("`{}`: virtual tables are only read; write where the data is at home", shown(&head.method));
        return Err(Refused::new(405, codes::READ_ONLY, message));
    }
    head.versions()?;
    let base = if name.is_empty() { head.base.clone() } else { format!("{}{name}/", head.base) };
    let options = options(&head.query)?;
    // To the microsecond: databases keep no more, and are asked for no more.
    let now = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap_or_else(|_| Timestamp::now());
    let root = Root { base, tables, head, options, now };
    // A reference to a type within the metadata is still the metadata.
    if rest.starts_with("$metadata%23") {
        return root.metadata();
    }
    let path = odata::resource_path(rest).map_err(|error| {
        Refused::new(400, codes::MALFORMED, format!("the path: {} at position {}", error.problem, error.at))
    })?;
    match path.as_slice() {
        [] => root.document(),
        [set] if set.name == "$metadata" && set.arguments.is_none() => root.metadata(),
        [set] if set.name == "$batch" && set.arguments.is_none() => {
            Err(Refused::new(405, codes::READ_ONLY, "a batch is sent with POST"))
        }
        [set, ..] if ["$all", "$entity", "$crossjoin"].contains(&set.name.as_str()) => {
            Err(Refused::new(501, codes::UNSUPPORTED, format!("`{}` is not supported", set.name)))
        }
        [set, below @ ..] => root.set(set, below).await,
    }
}

fn malformed(message: impl Into<String>) -> Refused {
    Refused::new(400, codes::MALFORMED, message)
}

fn unsupported(message: impl Into<String>) -> Refused {
    Refused::new(501, codes::UNSUPPORTED, message)
}

pub(super) fn refusal(refusal: odata::Refusal) -> Refused {
    match refusal {
        odata::Refusal::Malformed(what) => malformed(shown(&what)),
        odata::Refusal::Unsupported(what) => unsupported(shown(&what)),
    }
}

impl<'a> Root<'a> {
    fn document(&self) -> Result<Reply, Refused> {
        self.only(&["$format"])?;
        let style = self.head.style(&self.options)?;
        let mut out = String::from("{");
        if style.metadata != Metadata::None {
            out.push_str("\"@odata.context\":");
            payload::quoted(&mut out, &format!("{}$metadata", self.base));
            out.push(',');
        }
        out.push_str("\"value\":[");
        for (at, shown) in self.tables.iter().enumerate() {
            let name = &shown.set.name;
            let comma = if at > 0 { "," } else { "" };
            out.push_str(&format!("{comma}{{\"name\":\"{name}\",\"kind\":\"EntitySet\",\"url\":\"{name}\"}}"));
        }
        out.push_str("]}");
        Ok(Reply::new(content_type(style), out))
    }

    fn metadata(&self) -> Result<Reply, Refused> {
        self.only(&["$format"])?;
        self.head.takes_xml(&self.options)?;
        let sets: Vec<_> = self.tables.iter().map(|shown| shown.set.clone()).collect();
        Ok(Reply::new("application/xml;charset=utf-8", odata::edmx(&sets)))
    }

    pub(super) fn table(&self, name: &str) -> Result<&'a Arc<Shown>, Refused> {
        let found = self.tables.iter().find(|shown| shown.set.name == name);
        found.copied().ok_or_else(|| {
            Refused::new(404, codes::NOT_FOUND, format!("there is no `{}` here; names are case-sensitive", shown(name)))
        })
    }

    async fn set(&self, set: &Segment, below: &[Segment]) -> Result<Reply, Refused> {
        let table = self.table(&set.name)?;
        if below.iter().any(|segment| segment.arguments.is_some()) {
            return Err(unsupported("functions and keys below the first name are not supported"));
        }
        let names: Vec<&str> = below.iter().map(|segment| segment.name.as_str()).collect();
        let Some(arguments) = &set.arguments else {
            return match names.as_slice() {
                [] => self.collection(table).await,
                ["$count"] => self.count(table).await,
                [other, ..] if other.starts_with('$') => Err(unsupported(format!("`{}` of a set", shown(other)))),
                [other, ..] => {
                    Err(Refused::new(404, codes::NOT_FOUND, format!("there is no `{}` of a set", shown(other))))
                }
            };
        };
        let guid = self.key(table, arguments)?;
        match names.as_slice() {
            [] => self.single(table, guid).await,
            [property] if table.set.property(property).is_some() => self.property(table, guid, property, false).await,
            [property, "$value"] if table.set.property(property).is_some() => {
                self.property(table, guid, property, true).await
            }
            [name] if table.set.navigation(name).is_some() => self.navigation(table, guid, name).await,
            [name, ..] if table.set.navigation(name).is_some() => {
                Err(unsupported("going further through another row; ask for that row itself"))
            }
            [other, ..] => {
                Err(Refused::new(404, codes::NOT_FOUND, format!("`{}` has no `{}`", set.name, shown(other))))
            }
        }
    }

    /// The GUID between the brackets. A row's own key has no other form.
    fn key(&self, table: &Shown, arguments: &[odata::Argument]) -> Result<uuid::Uuid, Refused> {
        let wrong = || {
            let name = &table.set.key;
            malformed(format!(
                "the key of `{0}` is a GUID: `{0}(00000000-0000-8000-8000-000000000000)`, or with its name `{name}=`",
                table.set.name
            ))
        };
        let [argument] = arguments else { return Err(wrong()) };
        if argument.name.as_ref().is_some_and(|name| *name != table.set.key) {
            return Err(wrong());
        }
        let value = match &argument.value {
            Expr::Alias(name) => self
                .options
                .aliases
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value)
                .ok_or_else(wrong)?,
            value => value,
        };
        match value {
            Expr::Literal(Literal::Guid(guid)) => Ok(*guid),
            Expr::Literal(Literal::String(text)) => text.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    fn lowering<'l>(&'l self, table: &'l Shown) -> odata::Lowering<'l> {
        odata::Lowering { set: &table.set, aliases: &self.options.aliases, now: self.now }
    }

    fn filter(&self, table: &Shown) -> Result<Option<Test>, Refused> {
        self.options.filter.as_ref().map(|filter| self.lowering(table).filter(filter)).transpose().map_err(refusal)
    }

    /// *Errors*: an option that has no meaning for what is asked for, or none here.
    fn only(&self, allowed: &[&str]) -> Result<(), Refused> {
        let given = &self.options;
        let there = [
            ("$select", given.select.is_some()),
            ("$filter", given.filter.is_some()),
            ("$orderby", !given.orderby.is_empty()),
            ("$top", given.top.is_some()),
            ("$skip", given.skip.is_some()),
            ("$count", given.count.is_some()),
            ("$expand", !given.expand.is_empty()),
            ("$skiptoken", given.skiptoken.is_some()),
            ("$format", given.format.is_some()),
        ];
        let never = [
            ("$apply", given.apply.is_some()),
            ("$search", given.search.is_some()),
            ("$deltatoken", given.deltatoken.is_some()),
        ];
        if let Some((name, _)) = never.iter().find(|(_, is)| *is) {
            return Err(unsupported(format!("the query option `{name}` is not supported")));
        }
        if given.levels.is_some() {
            return Err(malformed("`$levels` stands only within `$expand`"));
        }
        match there.iter().find(|(name, is)| *is && !allowed.contains(name)) {
            Some((name, _)) => {
                Err(malformed(format!("the query option `{name}` has no meaning for what is asked for")))
            }
            None => Ok(()),
        }
    }

    async fn collection(&self, table: &Arc<Shown>) -> Result<Reply, Refused> {
        self.only(&["$select", "$filter", "$orderby", "$top", "$skip", "$count", "$expand", "$skiptoken", "$format"])?;
        let style = self.head.style(&self.options)?;
        let wanted = wanted(self, table, &self.options)?;
        let preferred = self.head.page_size();
        let ask = Ask {
            select: wanted.fetched.clone(),
            filter: self.filter(table)?,
            order: self.lowering(table).order(&self.options.orderby).map_err(refusal)?,
            skip: self.options.skip.unwrap_or(0),
            top: self.options.top,
            page: preferred.unwrap_or(PAGE).min(PAGE),
            count: self.options.count == Some(true),
            after: self.position(table)?,
        };
        let page = ask_for(table, &ask).await?;
        let mut pieces = Pieces::for_bytes(256 + page.len() * (50 + wanted.fetched.len() * 30));
        let out = pieces.text();
        out.put("{");
        if style.metadata != Metadata::None {
            out.put("\"@odata.context\":");
            payload::quoted(out, &self.context(table, &wanted, ""));
            out.put(",");
        }
        if let Some(count) = page.count {
            let number = if style.numbers_as_text { format!("\"{count}\"") } else { count.to_string() };
            out.put(&format!("\"@odata.count\":{number},"));
        }
        out.put("\"value\":[");
        rows(self, table, &wanted, &page, style, &mut pieces).await?;
        let out = pieces.text();
        out.put("]");
        if let Some(next) = &page.next {
            out.put(",\"@odata.nextLink\":");
            payload::quoted(out, &self.next(table, next, ask.page));
        }
        out.put("}");
        let reply = Reply::new(content_type(style), pieces);
        Ok(match preferred {
            Some(_) => reply.with("preference-applied", format!("odata.maxpagesize={}", ask.page)),
            None => reply,
        })
    }

    fn position(&self, table: &Shown) -> Result<Option<Position>, Refused> {
        let Some(text) = &self.options.skiptoken else { return Ok(None) };
        let position = token::read(text, &self.question(table));
        position.map(Some).ok_or_else(|| malformed("`$skiptoken` is none that this service gave for this query"))
    }

    /// Which rows in which order: a place in them is none in others.
    fn question(&self, table: &Shown) -> String {
        let Options { filter, orderby, aliases, .. } = &self.options;
        format!("{} {filter:?} {orderby:?} {aliases:?}", table.set.name)
    }

    /// The same question, from the next row on. *Shape*: as it came, with only the place and the rest of `$top` new; what no
    /// address may have, and a batch may, is encoded.
    fn next(&self, table: &Shown, position: &Position, page: u64) -> String {
        let keeps = |part: &&str| {
            let name = part.split('=').next().unwrap_or_default();
            let name = odata::decode(name, true).unwrap_or_default();
            !part.is_empty() && !["$top", "$skip", "$skiptoken"].contains(&name.as_str())
        };
        let mut parts: Vec<String> = self.head.query.split('&').filter(keeps).map(in_address).collect();
        parts.extend(self.options.top.map(|top| format!("$top={}", top.saturating_sub(page))));
        parts.push(format!("$skiptoken={}", token::write(position, &self.question(table))));
        format!("{}{}?{}", self.base, table.set.name, parts.join("&"))
    }

    async fn count(&self, table: &Arc<Shown>) -> Result<Reply, Refused> {
        // The others do not change how many rows there are.
        self.only(&["$filter", "$orderby", "$top", "$skip", "$select", "$expand", "$format", "$count"])?;
        let ask = Ask { filter: self.filter(table)?, page: 1, top: Some(0), count: true, ..Ask::default() };
        let page = ask_for(table, &ask).await?;
        Ok(Reply::new(TEXT, page.count.unwrap_or_default().to_string()))
    }

    /// The one row with this key.
    async fn row(&self, table: &Arc<Shown>, guid: uuid::Uuid, select: Vec<usize>) -> Result<Arc<Page>, Refused> {
        let filter = Test::equal(Test::column(&table.set.key), Value::Guid(guid));
        let ask = Ask { select, filter: Some(filter), page: 1, top: Some(1), ..Ask::default() };
        let page = ask_for(table, &ask).await?;
        if page.is_empty() {
            return Err(Refused::new(404, codes::NOT_FOUND, format!("`{}` has no row {guid}", table.set.name)));
        }
        Ok(page)
    }

    async fn single(&self, table: &Arc<Shown>, guid: uuid::Uuid) -> Result<Reply, Refused> {
        self.only(&["$select", "$expand", "$format"])?;
        let style = self.head.style(&self.options)?;
        let wanted = wanted(self, table, &self.options)?;
        let page = self.row(table, guid, wanted.fetched.clone()).await?;
        let mut pieces = Pieces::default();
        rows(self, table, &wanted, &page, style, &mut pieces).await?;
        let mut out = pieces.whole();
        if style.metadata != Metadata::None {
            let mut context = String::from("{\"@odata.context\":");
            payload::quoted(&mut context, &self.context(table, &wanted, "/$entity"));
            context.push_str(if out.len() > 2 { "," } else { "" });
            out.splice(..1, context.into_bytes());
        }
        Ok(Reply::new(content_type(style), out))
    }

    async fn property(&self, table: &Arc<Shown>, guid: uuid::Uuid, name: &str, raw: bool) -> Result<Reply, Refused> {
        self.only(&["$format"])?;
        let at = table.table.exposed.property(name).ok_or_else(|| malformed("no such property"))?;
        let page = self.row(table, guid, vec![at]).await?;
        let value = page.value(0, 0);
        if value.is_blank() {
            return Ok(Reply::no_content());
        }
        let style = self
            .head
            .style(&self.options)
            .or_else(|refused| if raw { Ok(Default::default()) } else { Err(refused) })?;
        let mut text = Vec::new();
        let ty = table.set.properties[at].ty;
        if raw {
            if let ValueRef::Text(plain) = value {
                return Ok(Reply::new(TEXT, plain.to_owned()));
            }
            payload::value(&mut text, value, ty, Default::default());
            let plain = String::from_utf8_lossy(&text).trim_matches('"').to_owned();
            return Ok(Reply::new(TEXT, plain));
        }
        text.put("{");
        if style.metadata != Metadata::None {
            text.put("\"@odata.context\":");
            payload::quoted(&mut text, &format!("{}$metadata#{}({guid})/{name}", self.base, table.set.name));
            text.put(",");
        }
        text.put("\"value\":");
        payload::value(&mut text, value, ty, style);
        text.put("}");
        Ok(Reply::new(content_type(style), text))
    }

    /// The row that another one refers to.
    async fn navigation(&self, table: &Arc<Shown>, guid: uuid::Uuid, name: &str) -> Result<Reply, Refused> {
        let navigation = table.set.navigation(name).ok_or_else(|| malformed("no such property"))?;
        let at = table.table.exposed.property(&navigation.property).ok_or_else(|| malformed("no such property"))?;
        let target = self.table(&navigation.set)?;
        let page = self.row(table, guid, vec![at]).await?;
        match page.value(0, 0) {
            ValueRef::Guid(other) => self.single(target, other).await,
            _ => Ok(Reply::no_content()),
        }
    }

    fn context(&self, table: &Shown, wanted: &Wanted, end: &str) -> String {
        format!("{}$metadata#{}{}{end}", self.base, table.set.name, wanted.projection)
    }
}

/// A part of a query as it stands in an address.
fn in_address(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for c in part.chars() {
        match c {
            c if c.is_ascii_graphic() && !"\"#<>\\^`{|}".contains(c) => out.push(c),
            c => out.push_str(&odata::encode(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}

pub(super) async fn ask_for(table: &Shown, ask: &Ask) -> Result<Arc<Page>, Refused> {
    table.table.ask(ask).await
}
