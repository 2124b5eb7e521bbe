//! What a client asked in the names of the virtual table, as a request in the names of the service.

use jiff::Timestamp;
use odata::{Argument, Binary, Direction, Expr, Literal, Options, Path};

use super::{DataSource, What};
use crate::dataverse::model::{Column, Kind, Table};
use crate::dataverse::refusal::{Answer, Refusal};

const DAY: i64 = 86_400;

/// The columns of the answer, the key among them, and the names that the client selected, if it did.
pub fn selected(table: &Table, options: &Options) -> Answer<(Vec<Column>, Option<Vec<String>>)> {
    let all = || table.columns.values().cloned().collect();
    let Some(paths) = &options.select else { return Ok((all(), None)) };
    if paths.iter().any(|path| path.single() == Some("*")) {
        return Ok((all(), None));
    }
    let mut columns: Vec<Column> = Vec::new();
    for path in paths {
        let name = path.single().ok_or_else(|| Refusal::query(format!("'{path}' cannot be selected.")))?;
        let column = table.column_of_property(name).ok_or_else(|| Refusal::no_property(name, &table.name))?;
        if columns.iter().all(|known| known.name != column.name) {
            columns.push(column.clone());
        }
    }
    if columns.iter().all(|column| column.name != table.primary_id) {
        columns.extend(table.column(&table.primary_id).cloned());
    }
    Ok((columns, Some(paths.iter().map(ToString::to_string).collect())))
}

/// Path and query below the root of the service.
pub fn path(
    table: &Table,
    set: &str,
    what: &What,
    columns: &[Column],
    options: &Options,
    source: &DataSource,
    now: i64,
) -> Answer<String> {
    let names: Vec<&str> = columns.iter().filter_map(|column| column.external_name.as_deref()).collect();
    let mut parts = Vec::new();
    match what {
        What::Row(id) => return Ok(format!("{set}({id})?$select={}", names.join(","))),
        What::List { page, rows, .. } => {
            if *page > 1 {
                parts.push(format!("$skip={}", (page - 1).saturating_mul(*rows)));
            }
            parts.push(format!("$top={rows}"));
            parts.push(format!("$select={}", names.join(",")));
        }
        What::Count => {
            if !source.counts {
                return Err(Refusal::not_emulated("/$count of a data source without Return Inline Count"));
            }
            parts.push("$top=1".to_owned());
        }
    }
    if let Some(filter) = &options.filter {
        let translated = Translation { table, options, now }.predicate(filter)?;
        parts.push(format!("$filter={}", escaped(&translated.to_string())));
    }
    if !options.orderby.is_empty() {
        let items = options.orderby.iter().map(|item| {
            let Expr::Path(path) = &item.by else { return Err(Refusal::not_emulated("$orderby with an expression")) };
            let (name, _) = external(table, path)?;
            Ok(if item.direction == Direction::Descending { format!("{name} desc") } else { name.to_owned() })
        });
        parts.push(format!("$orderby={}", escaped(&items.collect::<Answer<Vec<_>>>()?.join(","))));
    }
    if source.counts {
        parts.push("$count=true".to_owned());
    }
    Ok(format!("{set}?{}", parts.join("&")))
}

/// Percent-encodes what a URL cannot have; quotes, commas and parentheses stay as services see them.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || "-._~'(),:/$@*!".contains(c) => out.push(c),
            c => out.push_str(&odata::encode(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}

/// The external name behind a path, and its column.
fn external<'t>(table: &'t Table, path: &Path) -> Answer<(&'t str, &'t Column)> {
    let name = path.single().ok_or_else(|| {
        Refusal::query(format!("'{path}': a query of the virtual entity '{}' cannot join other entities.", table.name))
    })?;
    let column = table.column_of_property(name).ok_or_else(|| Refusal::no_property(name, &table.name))?;
    let external = column.external_name.as_deref().ok_or_else(|| {
        Refusal::query(format!("The attribute '{}' of '{}' has no external name.", column.name, table.name))
    })?;
    Ok((external, column))
}

struct Translation<'a> {
    table: &'a Table,
    options: &'a Options,
    now: i64,
}

impl Translation<'_> {
    fn predicate(&self, expr: &Expr) -> Answer<Expr> {
        let all = |parts: &[Expr]| parts.iter().map(|part| self.predicate(part)).collect::<Answer<Vec<_>>>();
        match expr {
            Expr::And(parts) => Ok(Expr::And(all(parts)?)),
            Expr::Or(parts) => Ok(Expr::Or(all(parts)?)),
            Expr::Not(inner) => Ok(Expr::Not(Box::new(self.predicate(inner)?))),
            Expr::Binary(op @ (Binary::Eq | Binary::Ne | Binary::Gt | Binary::Ge | Binary::Lt | Binary::Le), a, b) => {
                let kind = [a, b].into_iter().find_map(|side| match &**side {
                    Expr::Path(path) => Some(external(self.table, path).map(|(_, column)| &column.kind)),
                    _ => None,
                });
                let kind = kind.unwrap_or_else(|| {
                    Err(Refusal::query("A comparison in $filter must name a column on at least one side."))
                })?;
                Ok(compared(*op, self.side(a, kind)?, self.side(b, kind)?))
            }
            Expr::Path(path) => Ok(compared(Binary::Eq, self.named(path)?, Expr::Literal(Literal::Bool(true)))),
            Expr::Call(name, arguments) => match name.strip_prefix("Microsoft.Dynamics.CRM.") {
                Some(function) => self.query_function(function, arguments),
                None if matches!(name.as_str(), "contains" | "startswith" | "endswith") => {
                    let text = Kind::Memo { max_length: 0 };
                    let sides = arguments.iter().map(|argument| self.side(&argument.value, &text));
                    Ok(call(name, sides.collect::<Answer<Vec<_>>>()?))
                }
                None => Err(Refusal::not_emulated(format!("the filter function '{name}'"))),
            },
            other => Err(Refusal::not_emulated(format!("'{other}' in a filter of a virtual table"))),
        }
    }

    fn named(&self, path: &Path) -> Answer<Expr> {
        external(self.table, path).map(|(name, _)| Expr::Path(Path::of(name)))
    }

    /// One side of a comparison with a column of this kind. A date is a moment for the provider: midnight UTC.
    fn side(&self, expr: &Expr, kind: &Kind) -> Answer<Expr> {
        match expr {
            Expr::Path(path) => self.named(path),
            Expr::Literal(literal) => Ok(Expr::Literal(moment(kind, literal))),
            Expr::Alias(name) => match self.options.aliases.iter().find(|(alias, _)| alias == name) {
                None => Ok(Expr::Literal(Literal::Null)),
                Some((_, Expr::Literal(literal))) => Ok(Expr::Literal(moment(kind, literal))),
                Some(_) => Err(Refusal::query("A parameter alias must be a literal here.")),
            },
            other => Err(Refusal::not_emulated(format!("'{other}' in a filter of a virtual table"))),
        }
    }

    /// The platform's own operators: lists become chains of comparisons, days become moments.
    fn query_function(&self, function: &str, arguments: &[Argument]) -> Answer<Expr> {
        let argument =
            |name: &str| arguments.iter().find(|a| a.name.as_deref() == Some(name)).map(|argument| &argument.value);
        let wrong = || Refusal::query(format!("The arguments of 'Microsoft.Dynamics.CRM.{function}' are not valid."));
        let Some(Expr::Literal(Literal::String(property))) = argument("PropertyName") else { return Err(wrong()) };
        let path = Path::of(property);
        let (name, column) = match external(self.table, &path) {
            Ok(found) => found,
            Err(_) => external(self.table, &Path::of(&format!("_{property}_value")))?,
        };
        let path = || Expr::Path(Path::of(name));
        let literal = |expr: &Expr| listed(&column.kind, expr).ok_or_else(wrong);
        let at = |seconds: i64| {
            Timestamp::from_second(seconds).map(|at| Expr::Literal(Literal::Instant(at))).map_err(|_| wrong())
        };
        let between = |from: i64, until: i64| {
            Ok(Expr::And(vec![compared(Binary::Ge, path(), at(from)?), compared(Binary::Lt, path(), at(until)?)]))
        };
        let number = || match argument("PropertyValue") {
            Some(Expr::Literal(Literal::Int(number))) => Ok(*number),
            Some(Expr::Literal(Literal::String(text))) => text.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        let day = || match argument("PropertyValue").map(&literal) {
            Some(Ok(Expr::Literal(Literal::Instant(at)))) => Ok(at.as_second().div_euclid(DAY) * DAY),
            _ => Err(wrong()),
        };
        let today = self.now.div_euclid(DAY) * DAY;
        match function {
            "In" | "NotIn" | "Between" => {
                let Some(Expr::List(items)) = argument("PropertyValues") else { return Err(wrong()) };
                let mut values = items.iter().map(literal).collect::<Answer<Vec<_>>>()?;
                if function == "Between" {
                    let (Some(to), Some(from), true) = (values.pop(), values.pop(), values.is_empty()) else {
                        return Err(wrong());
                    };
                    return Ok(Expr::And(vec![compared(Binary::Ge, path(), from), compared(Binary::Le, path(), to)]));
                }
                let op = if function == "In" { Binary::Eq } else { Binary::Ne };
                let mut parts: Vec<Expr> = values.into_iter().map(|value| compared(op, path(), value)).collect();
                match parts.len() {
                    0 => Err(wrong()),
                    1 => Ok(parts.remove(0)),
                    _ if function == "In" => Ok(Expr::Or(parts)),
                    _ => Ok(Expr::And(parts)),
                }
            }
            "On" => between(day()?, day()? + DAY),
            "OnOrAfter" => Ok(compared(Binary::Ge, path(), at(day()?)?)),
            "OnOrBefore" => Ok(compared(Binary::Lt, path(), at(day()? + DAY)?)),
            "Today" => between(today, today + DAY),
            "Yesterday" => between(today - DAY, today),
            "Tomorrow" => between(today + DAY, today + 2 * DAY),
            "LastXHours" => between(self.now - number()? * 3600, self.now + 1),
            "NextXHours" => between(self.now, self.now + number()? * 3600),
            "LastXDays" => between(today - number()? * DAY, self.now + 1),
            "NextXDays" => between(self.now, today + (number()? + 1) * DAY),
            "Last7Days" => between(today - 7 * DAY, self.now + 1),
            _ => Err(Refusal::not_emulated(format!("the query function 'Microsoft.Dynamics.CRM.{function}'"))),
        }
    }
}

fn compared(op: Binary, left: Expr, right: Expr) -> Expr {
    Expr::Binary(op, Box::new(left), Box::new(right))
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Call(name.to_owned(), arguments.into_iter().map(|value| Argument { name: None, value }).collect())
}

fn moment(kind: &Kind, literal: &Literal) -> Literal {
    match (kind, literal) {
        (Kind::DateTime { .. }, Literal::Date(date)) => {
            let midnight = date.to_zoned(jiff::tz::TimeZone::UTC);
            midnight.map_or_else(|_| literal.clone(), |midnight| Literal::Instant(midnight.timestamp()))
        }
        _ => literal.clone(),
    }
}

/// An item of `PropertyValues`, which may be written as text whatever the column's type.
fn listed(kind: &Kind, item: &Expr) -> Option<Expr> {
    let Expr::Literal(literal) = item else { return None };
    let literal = match (kind, literal) {
        (Kind::Text { .. } | Kind::Memo { .. }, _) => literal.clone(),
        (_, Literal::String(text)) => match odata::expression(text).ok()? {
            Expr::Literal(literal) => literal,
            _ => return None,
        },
        _ => literal.clone(),
    };
    Some(Expr::Literal(moment(kind, &literal)))
}
