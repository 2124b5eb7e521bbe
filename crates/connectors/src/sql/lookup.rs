//! Rows by the values of some of their columns, many at a time.
//!
//! The database says what is equal, by its collations and types; which row belongs to which of the values that were
//! asked for is known at once where they are the same, and asked for one by one where a row came back that is equal
//! only to the database (`abc` for `ABC`).

use std::collections::HashMap;

use jiff::tz::TimeZone;
use record::Value;

use super::engine::{Binder, Cell, Dialect, Rows, Select, Session, SqlColumn};
use super::failure::Failure;
use super::moment::Dst;
use super::text::Times;

/// Values of one statement: more make plans slow, and MariaDB turns a long list into a table of its own.
const AT_ONCE: usize = 200;

/// What is asked.
pub(crate) struct Wanted<'a> {
    /// With its name `t` behind it.
    pub from: &'a str,
    pub by: &'a [SqlColumn],
    pub columns: &'a [SqlColumn],
    pub zone: Option<&'a TimeZone>,
    /// The rows stay locked until the transaction ends.
    pub locks: bool,
}

/// The rows for each of the values. *Shape*: in the order asked, each row with the cells of [`Wanted::columns`].
///
/// Values that no column of this type can hold have no rows, and a blank is equal to nothing.
pub(crate) async fn rows(
    dialect: &'static dyn Dialect,
    session: &mut dyn Session,
    wanted: &Wanted<'_>,
    values: &[Vec<Value>],
) -> Result<Vec<Rows>, Failure> {
    let mut found: Vec<Rows> = values.iter().map(|_| Rows::new()).collect();
    let mut asked: Vec<(usize, Vec<Cell>)> = Vec::new();
    for (at, values) in values.iter().enumerate() {
        let cells = values.iter().zip(wanted.by).map(|(value, column)| dialect.write(value, column, wanted.zone));
        if let Ok(cells) = cells.collect::<Result<Vec<_>, _>>()
            && !cells.contains(&Cell::Null)
        {
            asked.push((at, cells));
        }
    }
    let at_once = AT_ONCE.min(dialect.bound_max() / wanted.by.len().max(1)).max(1);
    for some in asked.chunks(at_once) {
        let (sql, bound) = statement(dialect, wanted, some);
        let rows = session.rows(&sql, &bound).await?;
        if let [(at, _)] = some {
            found[*at] = rows.into_iter().map(|row| row[wanted.by.len()..].to_vec()).collect();
            continue;
        }
        let places: HashMap<String, Vec<usize>> = some.iter().fold(HashMap::new(), |mut places, (at, cells)| {
            places.entry(name(dialect, cells, wanted)).or_default().push(*at);
            places
        });
        let mut belongs = Vec::with_capacity(rows.len());
        for row in &rows {
            belongs.push(places.get(&name(dialect, &row[..wanted.by.len()], wanted)));
        }
        if belongs.iter().all(Option::is_some) {
            for (row, places) in rows.iter().zip(belongs) {
                for at in places.into_iter().flatten() {
                    found[*at].push(row[wanted.by.len()..].to_vec());
                }
            }
            continue;
        }
        for one in some {
            let (sql, bound) = statement(dialect, wanted, std::slice::from_ref(one));
            let rows = session.rows(&sql, &bound).await?;
            found[one.0] = rows.into_iter().map(|row| row[wanted.by.len()..].to_vec()).collect();
        }
    }
    Ok(found)
}

/// One text for cells that mean the same in their columns.
fn name(dialect: &dyn Dialect, cells: &[Cell], wanted: &Wanted<'_>) -> String {
    let times = Times { zone: wanted.zone.cloned(), dst: Dst::Earlier };
    let mut out = String::new();
    for (cell, column) in cells.iter().zip(wanted.by) {
        match dialect.read(cell, &column.ty, &times) {
            Ok(Value::Decimal(number)) => out.push_str(&number.normalize().to_string()),
            Ok(value) => out.push_str(&format!("{value:?}")),
            Err(_) => out.push_str(&format!("{cell:?}")),
        }
        out.push('\0');
    }
    out
}

fn statement(dialect: &'static dyn Dialect, wanted: &Wanted<'_>, some: &[(usize, Vec<Cell>)]) -> (String, Vec<Cell>) {
    let mut binder = Binder::new(dialect);
    let expression = |column: &SqlColumn| format!("t.{}", dialect.quote(&column.name));
    let condition = match wanted.by {
        [column] => {
            let all: Vec<String> = some.iter().map(|(_, cells)| binder.compared(cells[0].clone(), column)).collect();
            match all.as_slice() {
                [one] => format!("{} = {one}", expression(column)),
                _ => format!("{} IN ({})", expression(column), all.join(", ")),
            }
        }
        by => {
            let mut one = |cells: &[Cell]| {
                let equal = by.iter().zip(cells);
                let equal = equal.map(|(c, cell)| format!("{} = {}", expression(c), binder.compared(cell.clone(), c)));
                format!("({})", equal.collect::<Vec<_>>().join(" AND "))
            };
            some.iter().map(|(_, cells)| one(cells)).collect::<Vec<_>>().join(" OR ")
        }
    };
    let all = wanted.by.iter().chain(wanted.columns);
    let select = Select {
        columns: all.map(|column| dialect.exact(expression(column), column)).collect(),
        from: wanted.from.to_owned(),
        all: vec![format!("({condition})")],
        order: Vec::new(),
        rows: None,
        locks: wanted.locks,
    };
    (dialect.select(&select), binder.cells)
}
