//! A page far into a whole table: where it begins.

use record::query::{Expr, Order, Query};
use record::{Schema, Type, Value};

use super::{Dialect, type_of};

/// What a page is ordered by. *Shape*: at least one column, all in one direction.
pub(super) struct First {
    names: Vec<String>,
    columns: Vec<String>,
    descending: bool,
}

/// The same page, from a row on that is known to be in front of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Onwards {
    /// Bound to it are the key of that row and how many rows the page is further.
    pub rows: String,
    /// What rows are ordered by: places mean something only within one.
    pub order: String,
    /// The places of the key in the columns of the page.
    pub key: Vec<usize>,
    /// How many rows are before the page, and how many it has at most.
    pub skip: u64,
    pub limit: u64,
}

impl First {
    /// Nothing where the index does not find the first row of a page.
    pub fn of(dialect: &dyn Dialect, schema: &Schema, query: &Query) -> Option<First> {
        if query.skip == 0 || query.filter.is_some() {
            return None;
        }
        let column = |order: &Order| match &order.by {
            Expr::Column(name) => Some(name.clone()),
            _ => None,
        };
        let names: Vec<String> = query.order.iter().map(column).collect::<Option<_>>()?;
        let descending = query.order.first()?.descending;
        let is_one_way = query.order.iter().all(|order| order.descending == descending);
        let typed: Vec<(&str, &Type)> = names.iter().map(|name| (name.as_str(), type_of(schema, name))).collect();
        if !(is_one_way && dialect.seeks(&typed)) {
            return None;
        }
        let columns = typed.iter().map(|(name, ty)| dialect.column(name, ty)).collect();
        Some(First { names, columns, descending })
    }

    /// The page that begins so many rows after the first one of the table.
    ///
    /// The rows before it are counted in the index, and not looked at. The first column of the order leads to where it
    /// begins, but for the rows that have the same there: those are counted too, so that no row of the page is compared
    /// with where it began.
    pub fn page(&self, dialect: &dyn Dialect, from: &str, columns: &str, order: &str, limit: u64, skip: u64) -> String {
        let found: Vec<String> = (0..self.columns.len()).map(|at| format!("c{at}")).collect();
        let named: Vec<String> = self.columns.iter().zip(&found).map(|(by, name)| format!("{by} AS {name}")).collect();
        let first = format!("SELECT {} FROM {from}{order}{}", named.join(", "), dialect.page(1, skip, true));
        let others = format!("(SELECT {} FROM ib_first)", found[1..].join(", "));
        let (reached, before) = self.reach(from, "(SELECT c0 FROM ib_first)", &others);
        let page = format!("SELECT {columns} FROM {from} WHERE {reached}{order}{}", dialect.page(limit, 0, true));
        let before = before.map_or_else(String::new, |before| format!(" OFFSET {before}"));
        format!("WITH ib_first AS MATERIALIZED ({first}) {page}{before}")
    }

    /// What leads to the rows from one on, by what that row has in the first column of the order and in the others; and how
    /// many rows with the same in the first column are before it, where there can be any.
    fn reach(&self, from: &str, leading: &str, others: &str) -> (String, Option<String>) {
        let (reaches, before) = if self.descending { ("<=", ">") } else { (">=", "<") };
        let (first, rest) = (&self.columns[0], self.columns[1..].join(", "));
        let before =
            || format!("(SELECT count(*) FROM {from} WHERE {first} = {leading} AND ({rest}) {before} {others})");
        let reached = format!("{first} {reaches} {leading}");
        (reached, (!rest.is_empty()).then(before))
    }

    /// The same page from a known row; nothing where a page does not tell the key of its rows.
    pub fn onwards(
        &self,
        dialect: &dyn Dialect,
        from: &str,
        columns: &str,
        order: &str,
        query: &Query,
    ) -> Option<Onwards> {
        let place = |name: &String| query.columns.iter().position(|column| column == name);
        let key: Vec<usize> = self.names.iter().map(place).collect::<Option<_>>()?;
        let params: Vec<String> = (1..=key.len() + 1).map(|number| dialect.param(number, &Value::Blank)).collect();
        let [first, rest @ .., further] = params.as_slice() else { return None };
        let (reached, before) = self.reach(from, first, &format!("({})", rest.join(", ")));
        let before = before.map_or_else(String::new, |before| format!("{before} + "));
        let (limit, skip) = (query.limit, query.skip);
        let page = dialect.page(limit, 0, true);
        Some(Onwards {
            rows: format!("SELECT {columns} FROM {from} WHERE {reached}{order}{page} OFFSET {before}{further}"),
            order: order.to_owned(),
            key,
            skip,
            limit,
        })
    }
}
