//! Which columns and related rows an answer has, and writing them.

use std::sync::Arc;

use odata::{Expand, Options, Path};
use rusqlite::types::{Type, ValueRef};
use rusqlite::{OptionalExtension, Row, params_from_iter};
use uuid::Uuid;

use super::engine::Engine;
use super::filter::{Translator, refuse_virtual};
use super::json::{self, Writer};
use super::model::{Column, Kind, Nav, Table};
use super::refusal::{Answer, Refusal};
use super::storage::{blob, primary_name, sql_column};
use super::value;
use super::wire::Prefer;

const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";
const NAV_NAME: &str = "Microsoft.Dynamics.CRM.associatednavigationproperty";
const LOOKUP_NAME: &str = "Microsoft.Dynamics.CRM.lookuplogicalname";

/// How many `$expand` items one query may have.
const EXPANDS_MAX: usize = 15;

/// What is asked of each row.
pub struct Shape {
    pub table: Arc<Table>,
    columns: Vec<usize>,
    expands: Vec<Branch>,
    selected: Option<Vec<String>>,
}

struct Branch {
    nav: String,
    way: Nav,
    /// `nav/$ref`: only where the related row is.
    reference: bool,
    /// One for each table that the navigation can lead to.
    shapes: Vec<Shape>,
    options: Options,
}

/// What writing rows needs besides the rows.
pub struct Voice<'a> {
    pub engine: &'a Engine,
    pub root: &'a str,
    pub prefer: &'a Prefer,
    pub user: Uuid,
}

impl Shape {
    /// Reads `$select` and `$expand`.
    pub fn of(engine: &Engine, table: &Arc<Table>, options: &Options) -> Answer<Shape> {
        let mut left = EXPANDS_MAX;
        Shape::within(engine, table, options, &mut left)
    }

    fn within(engine: &Engine, table: &Arc<Table>, options: &Options, left: &mut usize) -> Answer<Shape> {
        let selected: Option<Vec<&Path>> = options.select.as_ref().map(|paths| paths.iter().collect());
        let all = selected.as_ref().is_none_or(|paths| paths.iter().any(|path| path.single() == Some("*")));
        let mut columns = Vec::new();
        if all {
            columns.extend((0..table.columns.len()).filter(|index| !hidden(&table.columns[*index])));
        } else {
            for path in selected.iter().flatten() {
                let Some(name) = path.single() else {
                    return Err(Refusal::query(format!("'{path}' cannot be selected.")));
                };
                let column = table.column_of_property(name).ok_or_else(|| Refusal::no_property(name, &table.name))?;
                push(&mut columns, table, &column.name);
                if matches!(column.kind, Kind::Money { .. }) {
                    push(&mut columns, table, "transactioncurrencyid");
                }
                if column.name.starts_with("address1_") {
                    push(&mut columns, table, "address1_composite");
                }
            }
            push(&mut columns, table, &table.primary_id);
        }
        let expands =
            options.expand.iter().map(|item| branch(engine, table, item, left)).collect::<Answer<Vec<_>>>()?;
        let selected = selected.filter(|_| !all).map(|paths| paths.iter().map(ToString::to_string).collect());
        Ok(Shape { table: table.clone(), columns, expands, selected })
    }

    /// The SQL list that [`Shape::write`] reads, in its order.
    pub fn sql(&self, alias: &str) -> String {
        let mut list = format!("{alias}.id, {alias}.v");
        for index in &self.columns {
            let column = &self.table.columns[*index];
            list.push_str(", ");
            list.push_str(&sql_column(&self.table, column, alias));
            if let Some(target) = column.sql_target() {
                list.push_str(&format!(", {alias}.{target}"));
            }
        }
        list
    }

    pub fn expands(&self) -> bool {
        !self.expands.is_empty()
    }

    /// `(name,primarycontactid(fullname))` for the context URL; empty without `$select` and `$expand`.
    pub fn context(&self) -> String {
        let mut parts = self.selected.clone().unwrap_or_default();
        for branch in &self.expands {
            let inner = branch.shapes.first().map(Shape::context).unwrap_or_default();
            let inner = if inner.is_empty() { "()".to_owned() } else { inner };
            parts.push(format!("{}{inner}", branch.nav));
        }
        if parts.is_empty() { String::new() } else { format!("({})", parts.join(",")) }
    }

    /// Writes one row that was read with [`Shape::sql`]; `context` comes first where an answer is a single row.
    pub fn write(&self, voice: &Voice, row: &Row, context: Option<&str>, out: &mut String) -> Answer<()> {
        let id = Uuid::from_bytes(row.get::<_, [u8; 16]>(0)?);
        let version: i64 = row.get(1)?;
        let mut object = Writer::new(out);
        if let Some(context) = context {
            object.text("@odata.context", context);
        }
        object.text("@odata.etag", &format!("W/\"{version}\""));
        let mut position = 2;
        for index in &self.columns {
            let column = &self.table.columns[*index];
            let stored = row.get_ref(position)?;
            position += 1;
            let mut target = None;
            if let Some(kinds) = column.sql_target().map(|_| row.get_ref(position)) {
                target = kinds?.as_str_or_null().ok().flatten().map(str::to_owned);
                position += 1;
            }
            self.write_column(voice, column, stored, target, &mut object)?;
        }
        for branch in &self.expands {
            self.write_branch(voice, branch, id, &mut object)?;
        }
        object.end();
        Ok(())
    }

    fn write_column(
        &self,
        voice: &Voice,
        column: &Column,
        stored: ValueRef,
        target: Option<String>,
        object: &mut Writer,
    ) -> Answer<()> {
        let lookup = column.kind.is_lookup();
        let name = if lookup { column.property() } else { column.name.clone() };
        if voice.prefer.wants_any() && stored.data_type() != Type::Null {
            if let (Kind::Lookup { targets, .. }, ValueRef::Blob(id)) = (&column.kind, stored) {
                let target = target.or_else(|| targets.first().cloned()).unwrap_or_default();
                let catalog = &voice.engine.catalog;
                if voice.prefer.wants(FORMATTED)
                    && let Some(table) = catalog.table(&target)
                    && let Some(text) = primary_name(&voice.engine.conn, table, id)?
                {
                    object.text(&format!("{name}@{FORMATTED}"), &text);
                }
                if voice.prefer.wants(NAV_NAME)
                    && let Some(nav) = catalog.nav_of_column(&self.table.name, &column.name, &target)
                {
                    object.text(&format!("{name}@{NAV_NAME}"), nav);
                }
                if voice.prefer.wants(LOOKUP_NAME) {
                    object.text(&format!("{name}@{LOOKUP_NAME}"), &target);
                }
            } else if voice.prefer.wants(FORMATTED)
                && let Some(text) = value::formatted(&column.kind, stored)
            {
                object.text(&format!("{name}@{FORMATTED}"), &text);
            }
        }
        value::write_json(object.member(&name), &column.kind, stored);
        Ok(())
    }

    fn write_branch(&self, voice: &Voice, branch: &Branch, id: Uuid, object: &mut Writer) -> Answer<()> {
        match &branch.way {
            Nav::One { column, .. } => {
                let column =
                    self.table.column(column).ok_or_else(|| Refusal::no_property(&branch.nav, &self.table.name))?;
                for shape in &branch.shapes {
                    // A polymorphic lookup names its table; the wrong one must not be looked at.
                    let guard = match column.sql_target() {
                        Some(target) => format!(" AND o.{target} = '{}'", shape.table.name),
                        None => String::new(),
                    };
                    let sql = format!(
                        "SELECT {} FROM {} o JOIN {} t ON t.id = o.{} WHERE o.id = ?1{guard}",
                        shape.sql("t"),
                        self.table.sql(),
                        shape.table.sql(),
                        column.sql()
                    );
                    let mut statement = voice.engine.conn.prepare_cached(&sql)?;
                    let mut rows = statement.query([blob(id)])?;
                    if let Some(related) = rows.next()? {
                        if branch.reference {
                            let other = Uuid::from_bytes(related.get::<_, [u8; 16]>(0)?);
                            let link = format!("{}{}({other})", voice.root, shape.table.set);
                            let mut reference = Writer::new(object.member(&branch.nav));
                            reference.text("@odata.id", &link);
                            reference.end();
                            return Ok(());
                        }
                        return shape.write(voice, related, None, object.member(&branch.nav));
                    }
                }
                object.raw(&branch.nav, "null");
                Ok(())
            }
            Nav::Many { .. } | Nav::Linked { .. } => {
                let Some(shape) = branch.shapes.first() else { return Ok(()) };
                let rows = collection(voice, &self.table, &branch.nav, &branch.way, id, shape, &branch.options)?;
                object.raw(&branch.nav, &format!("[{}]", rows.join(",")));
                let select = match &shape.selected {
                    Some(names) => format!("?$select={}", names.join(",")),
                    None => String::new(),
                };
                let next = format!("{}{}({id})/{}{select}", voice.root, self.table.set, branch.nav);
                object.text(&format!("{}@odata.nextLink", branch.nav), &next);
                Ok(())
            }
        }
    }
}

/// The related rows at the many end of a navigation, each as JSON.
pub fn collection(
    voice: &Voice,
    table: &Table,
    nav: &str,
    way: &Nav,
    id: Uuid,
    shape: &Shape,
    options: &Options,
) -> Answer<Vec<String>> {
    let engine = voice.engine;
    let (from, anchor) = related(way, &shape.table).ok_or_else(|| Refusal::no_property(nav, &table.name))?;
    let mut translator =
        Translator::new(&engine.catalog, &shape.table, "t", &options.aliases, engine.clock.now(), voice.user);
    let mut wanted = vec![format!("{anchor} = ?")];
    if let Some(filter) = &options.filter {
        wanted.push(translator.predicate(filter)?);
    }
    let mut order = translator.order(&options.orderby)?;
    order.push("t.id".into());
    let limit = options.top.unwrap_or(5000).min(5000);
    let sql = format!(
        "SELECT {} FROM {from} WHERE {} ORDER BY {} LIMIT {limit}",
        shape.sql("t"),
        wanted.join(" AND "),
        order.join(", ")
    );
    let mut params = vec![rusqlite::types::Value::Blob(blob(id))];
    params.append(&mut translator.params);
    let mut statement = engine.conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(params))?;
    let mut texts = Vec::new();
    while let Some(row) = rows.next()? {
        let mut text = String::new();
        shape.write(voice, row, None, &mut text)?;
        texts.push(text);
    }
    Ok(texts)
}

/// The SQL source of the rows at the many end, and the expression that holds the id of the row at this end.
pub fn related(way: &Nav, target: &Table) -> Option<(String, String)> {
    match way {
        Nav::Many { column, .. } => Some((format!("{} t", target.sql()), format!("t.c_{column}"))),
        Nav::Linked { link, here } => {
            let (mine, theirs) = if *here == 0 { ("a", "b") } else { ("b", "a") };
            Some((format!("{} t JOIN {} l ON l.{theirs} = t.id", target.sql(), link.sql()), format!("l.{mine}")))
        }
        Nav::One { .. } => None,
    }
}

fn branch(engine: &Engine, table: &Arc<Table>, item: &Expand, left: &mut usize) -> Answer<Branch> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| Refusal::query(format!("The number of $expand items exceeds the maximum of {EXPANDS_MAX}.")))?;
    let (nav, reference) = match item.path.0.as_slice() {
        [nav] => (nav, false),
        [nav, last] if last == "$ref" => (nav, true),
        _ => return Err(Refusal::not_emulated(format!("$expand={}", item.path))),
    };
    let way = engine.catalog.nav(&table.name, nav).ok_or_else(|| Refusal::no_property(nav, &table.name))?.clone();
    let options = &item.options;
    let refused = |name: &str| Refusal::query(format!("The query option '{name}' is not supported inside $expand."));
    if options.skip.is_some() {
        return Err(refused("$skip"));
    }
    if options.count.is_some() {
        return Err(refused("$count"));
    }
    if options.search.is_some() {
        return Err(refused("$search"));
    }
    if options.levels.is_some() {
        return Err(refused("$levels"));
    }
    let targets: Vec<&str> = match &way {
        Nav::One { targets, .. } => {
            if options.filter.is_some() || !options.orderby.is_empty() || options.top.is_some() {
                return Err(Refusal::query(
                    "$filter, $orderby and $top are only supported on collection-valued navigation properties.",
                ));
            }
            targets.iter().map(String::as_str).collect()
        }
        Nav::Many { table: many, .. } => vec![many],
        Nav::Linked { link, here } => vec![&link.tables[1 - here]],
    };
    if reference && !matches!(way, Nav::One { .. }) {
        return Err(Refusal::query("Expand with $ref is only supported on lookup type navigation property."));
    }
    if !options.expand.is_empty() && (!options.orderby.is_empty() || options.top.is_some()) {
        return Err(Refusal::query("$orderby and $top are not supported together with a nested $expand."));
    }
    let shapes = targets
        .iter()
        .filter_map(|target| engine.catalog.table(target))
        .map(|target| refuse_virtual(target).and_then(|()| Shape::within(engine, target, options, left)))
        .collect::<Vec<_>>();
    // A polymorphic navigation selects what its tables share; one that has the columns is enough.
    let several = shapes.len() > 1;
    let mut kept = Vec::new();
    let mut first_refusal = None;
    for shape in shapes {
        match shape {
            Ok(shape) => kept.push(shape),
            Err(refusal) if several => first_refusal = Some(refusal),
            Err(refusal) => return Err(refusal),
        }
    }
    if let (true, Some(refusal)) = (kept.is_empty(), first_refusal) {
        return Err(refusal);
    }
    Ok(Branch { nav: nav.clone(), way, reference, shapes: kept, options: options.clone() })
}

fn push(columns: &mut Vec<usize>, table: &Table, name: &str) {
    if let Some(index) = table.columns.get_index_of(name)
        && !columns.contains(&index)
    {
        columns.push(index);
    }
}

/// Secrets can be written but are never given back.
fn hidden(column: &Column) -> bool {
    column.name == "authvalue"
}

/// Reads one row by id; nothing if there is none. Returns its text and version.
pub fn one(voice: &Voice, shape: &Shape, id: Uuid, context: &str) -> Answer<Option<(String, i64)>> {
    let sql = format!("SELECT {} FROM {} t WHERE t.id = ?1", shape.sql("t"), shape.table.sql());
    let mut statement = voice.engine.conn.prepare_cached(&sql)?;
    let mut refused = None;
    let found = statement
        .query_row([blob(id)], |row| {
            let mut text = String::new();
            if let Err(refusal) = shape.write(voice, row, Some(context), &mut text) {
                refused = Some(refusal);
            }
            Ok((text, row.get::<_, i64>(1)?))
        })
        .optional()?;
    match refused {
        Some(refusal) => Err(refusal),
        None => Ok(found),
    }
}

/// One value as a JSON text, for `set(id)/property`.
pub fn value_text(kind: &Kind, stored: &rusqlite::types::Value) -> String {
    let mut text = String::new();
    value::write_json(&mut text, kind, stored.into());
    text
}

/// The text of a value without quotes, for `/$value`.
pub fn plain_text(kind: &Kind, stored: &rusqlite::types::Value) -> String {
    let text = value_text(kind, stored);
    json::text(&text).unwrap_or(text)
}
