//! Rows as JSON: which properties, and which other rows within them.

use std::collections::HashMap;
use std::sync::Arc;

use odata::Options;
use odata::payload::{Members, Out, Style};
use record::query::Expr as Test;
use record::{Value, ValueRef};
use virtual_tables::{Ask, Page, Refused, codes};

use super::answer::{Root, ask_for};
use super::pieces::Pieces;
use super::request::shown;
use super::roots::Shown;

/// What of a row is wanted.
pub(super) struct Wanted {
    /// The places of properties that are written.
    pub written: Vec<usize>,
    /// Those and the ones that lead to other rows.
    pub fetched: Vec<usize>,
    expanded: Vec<Expanded>,
    /// `(sku,quantity)` behind the set in a context; nothing for everything.
    pub projection: String,
}

struct Expanded {
    name: String,
    /// The place of the other row's key among what is fetched.
    key: usize,
    set: String,
    /// The places of the other row's properties.
    written: Vec<usize>,
    projection: Option<String>,
}

/// *Errors*: a name that is no property; what is not done within `$expand`.
pub(super) fn wanted(root: &Root<'_>, table: &Shown, options: &Options) -> Result<Wanted, Refused> {
    let (written, selected) = selected(table, options)?;
    let mut fetched = written.clone();
    let mut expanded: Vec<Expanded> = Vec::new();
    for item in &options.expand {
        let name = item.path.single().unwrap_or_default();
        let Some(navigation) = table.set.navigation(name) else {
            let path = item.path.to_string();
            return Err(
                match item.path.0.first().is_some_and(|first| table.set.navigation(first).is_some() || first == "*") {
                    true => unsupported(format!("`$expand={}` is not supported", shown(&path))),
                    false => malformed(format!("`{}` leads to no other row of `{}`", shown(&path), table.set.name)),
                },
            );
        };
        if expanded.iter().any(|known| known.name == name) {
            return Err(malformed(format!("`$expand` names `{name}` twice")));
        }
        let inner = &item.options;
        if !inner.expand.is_empty() || inner.levels.is_some() {
            return Err(unsupported("`$expand` within `$expand` is not supported"));
        }
        let of_lists = inner.filter.is_some()
            || !inner.orderby.is_empty()
            || inner.top.is_some()
            || inner.skip.is_some()
            || inner.count.is_some()
            || inner.search.is_some()
            || inner.apply.is_some();
        if of_lists {
            return Err(malformed(format!("`{name}` is one row: of it only `$select` may be said")));
        }
        let other = root.table(&navigation.set)?;
        let (written, projection) = self::selected(other, inner)?;
        let at = table.table.exposed.property(&navigation.property).unwrap_or_default();
        let key = fetched.iter().position(|known| *known == at).unwrap_or_else(|| {
            fetched.push(at);
            fetched.len() - 1
        });
        expanded.push(Expanded { name: name.to_owned(), key, set: navigation.set.clone(), written, projection });
    }
    let within = expanded.iter().map(|one| format!("{}({})", one.name, one.projection.as_deref().unwrap_or_default()));
    let selected = selected.filter(|names| !names.is_empty());
    let projection: Vec<String> = selected.into_iter().chain(within).collect();
    let projection = if projection.is_empty() { String::new() } else { format!("({})", projection.join(",")) };
    Ok(Wanted { written, fetched, expanded, projection })
}

/// The places of what is selected, and their names where not everything is.
fn selected(table: &Shown, options: &Options) -> Result<(Vec<usize>, Option<String>), Refused> {
    let everything = || (0..table.set.properties.len()).collect::<Vec<_>>();
    let Some(paths) = &options.select else { return Ok((everything(), None)) };
    let mut places = Vec::new();
    for path in paths {
        let name = path.single().unwrap_or_default();
        if name == "*" {
            return Ok((everything(), None));
        }
        match table.table.exposed.property(name) {
            Some(at) if !places.contains(&at) => places.push(at),
            Some(_) => {}
            // The link to another row is not written anyway.
            None if table.set.navigation(name).is_some() => {}
            None => {
                return Err(malformed(format!("`{}` has no property `{}`", table.set.name, shown(&path.to_string()))));
            }
        }
    }
    let names: Vec<&str> = places.iter().map(|at| table.set.properties[*at].name.as_str()).collect();
    Ok((places, Some(names.join(","))))
}

/// Writes the rows of a page, with the rows that they lead to.
pub(super) async fn rows(
    root: &Root<'_>,
    table: &Arc<Shown>,
    wanted: &Wanted,
    page: &Page,
    style: Style,
    pieces: &mut Pieces,
) -> Result<(), Refused> {
    let mut others = Vec::with_capacity(wanted.expanded.len());
    for expanded in &wanted.expanded {
        others.push(others_of(root, expanded, page, style).await?);
    }
    let members = Members::new(&table.set, wanted.written.iter().map(|at| &table.set.properties[*at]), style);
    for row in 0..page.len() {
        let out = pieces.text();
        if row > 0 {
            out.push(b',');
        }
        out.push(b'{');
        let before = out.len();
        members.write(out, (0..wanted.written.len()).map(|at| page.value(row, at)), page.key(row));
        for (expanded, found) in wanted.expanded.iter().zip(&others) {
            if out.len() > before {
                out.push(b',');
            }
            out.put(&format!("\"{}\":", expanded.name));
            let other = match page.value(row, expanded.key) {
                ValueRef::Guid(guid) => found.get(&guid),
                _ => None,
            };
            out.extend_from_slice(other.map_or(b"null", Vec::as_slice));
        }
        out.push(b'}');
    }
    Ok(())
}

/// The rows that a page leads to by one reference, by their keys: one query for all.
async fn others_of(
    root: &Root<'_>,
    expanded: &Expanded,
    page: &Page,
    style: Style,
) -> Result<HashMap<uuid::Uuid, Vec<u8>>, Refused> {
    let target = root.table(&expanded.set)?;
    let guid = |row: usize| match page.value(row, expanded.key) {
        ValueRef::Guid(guid) => Some(guid),
        _ => None,
    };
    let mut keys: Vec<uuid::Uuid> = (0..page.len()).filter_map(guid).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut found = HashMap::with_capacity(keys.len());
    if keys.is_empty() {
        return Ok(found);
    }
    let list = keys.iter().map(|guid| Value::Guid(*guid)).collect();
    let filter = Test::In(Box::new(Test::column(&target.set.key)), list);
    let rows = keys.len() as u64;
    let ask =
        Ask { select: expanded.written.clone(), filter: Some(filter), page: rows, top: Some(rows), ..Ask::default() };
    let others = ask_for(target, &ask).await?;
    let members = Members::new(&target.set, expanded.written.iter().map(|at| &target.set.properties[*at]), style);
    for row in 0..others.len() {
        let mut text = Vec::from(b"{");
        members.write(&mut text, (0..expanded.written.len()).map(|at| others.value(row, at)), others.key(row));
        text.push(b'}');
        found.insert(others.key(row), text);
    }
    Ok(found)
}

fn malformed(message: impl Into<String>) -> Refused {
    Refused::new(400, codes::MALFORMED, message)
}

fn unsupported(message: impl Into<String>) -> Refused {
    Refused::new(501, codes::UNSUPPORTED, message)
}
