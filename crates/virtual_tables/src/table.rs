//! One virtual table, answering.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use definition::Project;
use record::guid::Scheme;
use record::query::{Comparison, Expr, Function, Lookup, Order, Query, compare};
use record::{Batch, Column, Fault, Key, Schema, System, Type, Value, ValueRef};
use tokio::time::Instant;
use uuid::Uuid;

use crate::ask::{Ask, Page, Place, Position};
use crate::codes;
use crate::compiled::{Compiled, Seen};
use crate::exposed::Exposed;
use crate::guard::{Guard, Turns};
use crate::invert::{Inverse, Inversion, holds};
use crate::refused::Refused;

/// Opens a system of the project.
pub type OpenSystem = Arc<dyn Fn(&str) -> Result<Arc<dyn System>, Fault> + Send + Sync>;

/// Hashed keys that were seen and are found again without a search.
const KNOWN_MAX: usize = 50_000;
/// How long the columns of a source are taken for what they were: a database that compares whatever it is given says
/// nothing when one is of another type.
const LOOKED: Duration = Duration::from_secs(60);

pub struct Table {
    pub exposed: Exposed,
    project: Arc<Project>,
    open: OpenSystem,
    held: Mutex<Option<Held>>,
    known: Mutex<HashMap<Uuid, Key>>,
    guard: Guard,
}

struct Held {
    compiled: Arc<Compiled>,
    looked: Instant,
}

/// How one question is answered.
struct Plan {
    /// What the source is asked.
    filter: Option<Expr>,
    /// The `where:` of the mapping is a part of that, or there is none.
    asks_where: bool,
    /// What is left of the filter, over properties.
    rest: Vec<Expr>,
    /// The whole order in the source's columns; nothing where the hub has to order.
    order: Option<Vec<Order>>,
}

/// Whether a virtual table can be answered from what its source has now, column for column.
///
/// *Errors*: the source does not answer; it has no such table or column; a formula does not fit the columns that there
/// are; the kind of system cannot be asked while somebody waits.
pub async fn fits(project: &Project, exposed: &Exposed, source: &dyn System) -> Result<(), Fault> {
    Compiled::new(project, exposed, source).await.map(drop)
}

/// How the source finds a row by its GUID; nothing where the GUID says the key itself, and where it is a source that
/// computes nothing.
///
/// *Errors*: as of [`fits`].
pub async fn lookup(project: &Project, exposed: &Exposed, source: &dyn System) -> Result<Option<Lookup>, Fault> {
    let compiled = Compiled::new(project, exposed, source).await?;
    if !compiled.source.hashes_keys() {
        return Ok(None);
    }
    let (fields, entities) = (&compiled.fields, &compiled.entities);
    let inversion = Inversion { exposed, entities, fields, hashes: true, known: &|_| None };
    match compiled.key(exposed) {
        None => Ok(Some(Lookup::Here)),
        Some(_) if exposed.scheme != Scheme::Hashed => Ok(None),
        Some(_) if inversion.key_guid().is_none() => Ok(Some(Lookup::Here)),
        Some(columns) => {
            let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
            compiled.source.lookup(&columns).await.map(Some)
        }
    }
}

impl Table {
    /// `turns` are those of the source.
    pub fn new(project: Arc<Project>, exposed: Exposed, open: OpenSystem, turns: Arc<Turns>) -> Table {
        let guard = Guard::new(turns, exposed.cache);
        Table { exposed, project, open, held: Mutex::default(), known: Mutex::default(), guard }
    }

    /// The answer to a question, or why there is none.
    pub async fn ask(&self, ask: &Ask) -> Result<Arc<Page>, Refused> {
        if let Some(compiled) = self.held()
            && !compiled.source.lists()
            && let Some(answer) = self.unasked(&compiled, ask, &self.plan(&compiled, ask))
        {
            return answer.map(Arc::new);
        }
        let timeout = self.exposed.timeout;
        self.guard.answer(&self.exposed.from, ask.text(), timeout, || self.work(ask)).await
    }

    async fn work(&self, ask: &Ask) -> Result<Page, Refused> {
        let compiled = self.compiled().await?;
        let plan = self.plan(&compiled, ask);
        if let Some(answer) = self.unasked(&compiled, ask, &plan) {
            return answer;
        }
        let answered = match &plan.order {
            Some(order) if plan.rest.is_empty() && plan.asks_where && compiled.source.lists() => {
                self.by_the_source(&compiled, ask, &plan, order).await
            }
            _ => self.by_the_hub(&compiled, ask, &plan).await,
        };
        if let Err(refused) = &answered
            && let Some(fault) = &refused.fault
            && is_of_the_table(fault)
        {
            // The source may be another one than it was, such as with a column of another type: look at it anew next time.
            *self.held.lock().expect("nothing panics while it looks here") = None;
        }
        answered
    }

    /// The answer of a source that has no way to the rows, which needs no source and says nothing of how it is.
    fn unasked(&self, compiled: &Compiled, ask: &Ask, plan: &Plan) -> Option<Result<Page, Refused>> {
        if compiled.source.finds(plan.filter.as_ref()) {
            return None;
        }
        if self.exposed.refuse_without_filter || ask.filter.is_some() {
            let message = format!(
                "`{}` cannot list its rows: a query has to say which it wants, by `eq` or `in` on the key or a field that can be looked up",
                self.exposed.from
            );
            return Some(Err(Refused::new(501, codes::NEEDS_FILTER, message)));
        }
        Some(Ok(Page::default().counted(ask.count.then_some(0))))
    }

    fn held(&self) -> Option<Arc<Compiled>> {
        let held = self.held.lock().expect("nothing panics while it looks here");
        held.as_ref().map(|held| held.compiled.clone())
    }

    /// What is held and still holds. Of those who ask when it was not looked at for a while, the first one looks.
    fn holds(&self) -> Option<Arc<Compiled>> {
        let mut held = self.held.lock().expect("nothing panics while it looks here");
        let held = held.as_mut().filter(|held| !held.compiled.source.is_outdated())?;
        if held.looked.elapsed() < LOOKED {
            return Some(held.compiled.clone());
        }
        held.looked = Instant::now();
        None
    }

    async fn compiled(&self) -> Result<Arc<Compiled>, Refused> {
        if let Some(compiled) = self.holds() {
            return Ok(compiled);
        }
        let looked = async {
            let system = (self.open)(&self.exposed.from)?;
            Compiled::new(&self.project, &self.exposed, &*system).await
        };
        let looked = looked.await;
        let mut held = self.held.lock().expect("nothing panics while it looks here");
        let known = held.take().map(|held| held.compiled).filter(|known| !known.source.is_outdated());
        let compiled = match (looked, known) {
            // What it has compiled and the connections that it keeps go on to serve.
            (Ok(now), Some(known)) if known.schema == now.schema => known,
            (Ok(now), _) => Arc::new(now),
            // A moment of the source, which the question itself may not meet.
            (Err(fault), Some(known)) if !is_of_the_table(&fault) => known,
            (Err(fault), _) => return Err(Refused::source(&self.exposed.from, fault)),
        };
        *held = Some(Held { compiled: compiled.clone(), looked: Instant::now() });
        Ok(compiled)
    }

    fn plan(&self, compiled: &Compiled, ask: &Ask) -> Plan {
        let known = |guid| self.known.lock().expect("nothing panics while it looks here").get(&guid).cloned();
        let inversion = Inversion {
            exposed: &self.exposed,
            entities: &compiled.entities,
            fields: &compiled.fields,
            hashes: compiled.source.hashes_keys(),
            known: &known,
        };
        let accepted = |expr: Option<Expr>| expr.filter(|expr| compiled.source.accepts(expr, &compiled.schema));
        let mut filter = match &compiled.where_ {
            Ok(Some(expr)) => accepted(Some(expr.clone())),
            _ => None,
        };
        let asks_where = filter.is_some() || compiled.where_ == Ok(None);
        let mut rest = Vec::new();
        for part in ask.filter.iter().cloned().flat_map(Expr::conjuncts) {
            match inversion.expr(&part) {
                // `a = 1 and b = 2`, of one row's key: a source may take each alone.
                Some(turned) => {
                    for one in turned.conjuncts() {
                        match accepted(Some(one)) {
                            Some(one) => filter = Some(Expr::and(filter, one)),
                            None if rest.last() != Some(&part) => rest.push(part.clone()),
                            None => {}
                        }
                    }
                }
                None => rest.push(part),
            }
        }
        let asked = |order: Order| Some(Order { by: accepted(Some(order.by))?, descending: order.descending });
        // A total order always: rows that are equal in what was asked for are ordered by their key.
        let key = self.exposed.entity.key.iter().map(|name| {
            let at = self.exposed.entity.schema.index(name)?;
            match &compiled.fields[at] {
                Inverse::Column(name, _)
                | Inverse::AsText(name, _)
                | Inverse::Text(_, name)
                | Inverse::Guid(name)
                | Inverse::Bytes(name) => Some(name.as_str()),
                _ => None,
            }
        });
        let key: Option<Vec<&str>> = key.collect();
        let as_stored = key.as_ref().is_some_and(|key| compiled.source.orders(key));
        let is_text = |name: &str| {
            let column = compiled.schema.index(name).map(|at| &compiled.schema.columns()[at]);
            column.is_some_and(|column| matches!(column.ty, Type::Text { .. }))
        };
        let by_key = |name: &&str| {
            let column = Expr::column(*name);
            // What nobody asked for may come in any order, and best in the one that the source has at hand.
            let by = if as_stored && is_text(name) { Expr::Call(Function::AsStored, vec![column]) } else { column };
            accepted(Some(by)).map(|by| Order { by, descending: false })
        };
        let keys: Vec<Option<Order>> = match &key {
            Some(key) => key.iter().map(by_key).collect(),
            None => vec![None],
        };
        let by_guid = |order: &Order| order.by == Expr::column(self.exposed.key_name());
        let ordered: Option<Vec<Vec<Order>>> = ask
            .order
            .iter()
            .map(|order| match &self.exposed.scheme {
                // Packed keys sort as their parts do, where those are numbers.
                scheme if by_guid(order) && scheme.keeps_order() => {
                    let at = self.exposed.entity.schema.index(self.exposed.entity.key.first()?)?;
                    let single = self.exposed.entity.key.len() == 1;
                    match (&compiled.fields[at], single) {
                        (Inverse::Column(name, _) | Inverse::Bytes(name), true) => {
                            let by = accepted(Some(Expr::column(name)))?;
                            Some(vec![Order { by, descending: order.descending }])
                        }
                        _ => None,
                    }
                }
                _ => inversion.order(order)?.into_iter().map(asked).collect(),
            })
            .chain(keys.into_iter().map(|key| key.map(|key| vec![key])))
            .collect();
        let order = ordered.map(|all| {
            let mut kept: Vec<Order> = Vec::with_capacity(all.len());
            for order in all.into_iter().flatten() {
                // What is the same by its characters is the same for the source too.
                let said = |by: &Expr| kept.iter().any(|known| known.by == *by);
                let is_said = match &order.by {
                    Expr::Call(Function::AsStored, of) => of.iter().all(said),
                    by => said(by),
                };
                if !is_said && !matches!(order.by, Expr::Value(_)) {
                    kept.push(order);
                }
            }
            kept
        });
        Plan { filter, asks_where, rest, order }
    }

    /// The source filters, orders, pages and counts.
    async fn by_the_source(
        &self,
        compiled: &Compiled,
        ask: &Ask,
        plan: &Plan,
        order: &[Order],
    ) -> Result<Page, Refused> {
        let failed = |fault| Refused::source(&self.exposed.from, fault);
        let selection = compiled.selection(&self.exposed, &ask.select).map_err(failed)?;
        let mut columns = selection.mapping.columns().to_vec();
        let mut used = Vec::new();
        order.iter().for_each(|order| order.by.columns(&mut used));
        for name in used {
            if !columns.iter().any(|known| known == name) {
                columns.push(name.to_owned());
            }
        }
        let wanted = ask.top.unwrap_or(u64::MAX).min(ask.page);
        // Whether the values of a row say where it stands: what a source computes may have other digits and letters here.
        // A key that is personal, and shown to nobody, is in no next link either.
        let tells = order.iter().all(|order| is_kept(&order.by)) && !self.exposed.hides_its_key();
        // One row more says whether there is another page.
        let limit = if ask.top.is_some_and(|top| top <= ask.page) { wanted } else { wanted + 1 };
        let mut filter = plan.filter.clone();
        let skip = match &ask.after {
            Some(Position::Values(values)) if tells && are_a_place(order, values, &compiled.schema) => {
                // The count is of all pages; only the first one is asked for it with its rows.
                filter = Some(Expr::and(filter, beyond(order, values)));
                0
            }
            Some(Position::Rows(rows)) if !tells => *rows,
            Some(_) => return Err(Refused::new(400, codes::MALFORMED, "this next link is of another query")),
            None => ask.skip,
        };
        let counts_apart = ask.count && ask.after.is_some();
        let query = Query {
            columns,
            filter,
            order: order.to_vec(),
            skip,
            limit,
            count: ask.count && !counts_apart,
            within: self.exposed.timeout,
        };
        let mut answer = compiled.source.query(&query).await.map_err(failed)?;
        if counts_apart {
            let all = Query { filter: plan.filter.clone(), skip: 0, limit: 0, count: true, order: Vec::new(), ..query };
            answer.count = compiled.source.query(&all).await.map_err(failed)?.count;
        }
        let more = answer.rows.len() as u64 > wanted;
        let last = usize::try_from(wanted).unwrap_or(usize::MAX);
        let place = |row: usize| -> Vec<Value> {
            let row = answer.rows.row(row);
            let cell = |name: &str| row.get(name).map(|cell| cell.to_owned()).unwrap_or_default();
            order.iter().map(|order| order.by.value(&cell)).collect()
        };
        let next = match last.checked_sub(1).filter(|_| more) {
            None => None,
            Some(_) if !tells => Some(Position::Rows(skip.saturating_add(wanted))),
            Some(at) => {
                let end = place(at);
                if end == place(last) {
                    // The next page would begin behind both.
                    return Err(one_key(&self.exposed));
                }
                Some(Position::Values(end))
            }
        };
        let count = answer.count;
        let plain =
            plan.asks_where.then(|| selection.as_they_came(&self.exposed, &answer, last, &ask.select)).flatten();
        let page = match plain {
            Some(plain) => {
                self.remember(plain.guids.iter().zip(plain.keys));
                Page::new(answer.rows, plain.places, plain.guids)
            }
            None => {
                let mut seen = selection.seen(&self.exposed, &answer, &ask.select, false)?;
                seen.retain(|row| (row.at as u64) < wanted);
                self.remember(with_keys(&seen));
                self.page(seen, &ask.select)
            }
        };
        Ok(page.counted(count).followed(next))
    }

    /// The source gives the rows that it can tell; the rest is done here, over a bounded number of them.
    async fn by_the_hub(&self, compiled: &Compiled, ask: &Ask, plan: &Plan) -> Result<Page, Refused> {
        let failed = |fault| Refused::source(&self.exposed.from, fault);
        let mut names = Vec::new();
        plan.rest.iter().for_each(|expr| expr.columns(&mut names));
        ask.order.iter().for_each(|order| order.by.columns(&mut names));
        let mut wanted = ask.select.clone();
        wanted.extend(names.iter().filter_map(|name| self.exposed.property(name)));
        let selection = compiled.selection(&self.exposed, &wanted).map_err(failed)?;
        let most = self.exposed.max_rows;
        let query = Query {
            columns: selection.mapping.columns().to_vec(),
            filter: plan.filter.clone(),
            limit: most + 1,
            within: self.exposed.timeout,
            ..Query::default()
        };
        let answer = compiled.source.query(&query).await.map_err(failed)?;
        if answer.rows.len() as u64 > most {
            let message = format!(
                "`{}` cannot decide this query itself, and it has more than {most} rows to look through; filter by more, or by other columns",
                self.exposed.from
            );
            return Err(Refused::new(501, codes::TOO_MANY_ROWS, message));
        }
        let all: Vec<usize> = (0..self.exposed.properties.len()).collect();
        let mut seen = selection.seen(&self.exposed, &answer, &all, true)?;
        self.remember(with_keys(&seen));
        let place = |name: &str| self.exposed.property(name);
        seen.retain(|row| {
            let cell = |name: &str| place(name).map(|at| text_of(&row.values[at])).unwrap_or_default();
            plan.rest.iter().all(|expr| expr.holds(&cell))
        });
        let mut keyed: Vec<(Vec<Value>, Seen)> = seen
            .into_iter()
            .map(|row| {
                let cell = |name: &str| place(name).map(|at| text_of(&row.values[at])).unwrap_or_default();
                (ask.order.iter().map(|order| order.by.value(&cell)).collect(), row)
            })
            .collect();
        keyed.sort_by(|(left, a), (right, b)| {
            let each = ask.order.iter().zip(left.iter().zip(right));
            let by_order = each.map(|(order, (left, right))| {
                let found = compare(left, right).unwrap_or(Ordering::Equal);
                if order.descending { found.reverse() } else { found }
            });
            by_order.fold(Ordering::Equal, Ordering::then).then_with(|| a.key.cmp(&b.key))
        });
        let all = keyed.len() as u64;
        let skip = match ask.after {
            Some(Position::Rows(rows)) => rows,
            Some(Position::Values(_)) => {
                return Err(Refused::new(400, codes::MALFORMED, "this next link is of another query"));
            }
            None => ask.skip,
        };
        let wanted = ask.top.unwrap_or(u64::MAX).min(ask.page);
        let end = skip.saturating_add(wanted);
        let next = (end < all && ask.top.is_none_or(|top| top > ask.page)).then_some(Position::Rows(end));
        let rows = keyed.into_iter().map(|(_, row)| row);
        let rows =
            rows.skip(usize::try_from(skip).unwrap_or(usize::MAX)).take(usize::try_from(wanted).unwrap_or(usize::MAX));
        let rows = rows.map(|mut row| {
            let values = ask.select.iter().map(|at| std::mem::take(&mut row.values[*at])).collect();
            Seen { values, ..row }
        });
        let page = self.page(rows.collect(), &ask.select);
        Ok(page.counted(ask.count.then_some(all)).followed(next))
    }

    /// Hashed keys are found again by what they were made of.
    fn remember<'a>(&self, keys: impl Iterator<Item = (&'a Uuid, Key)>) {
        if self.exposed.scheme != Scheme::Hashed {
            return;
        }
        let mut known = self.known.lock().expect("nothing panics while it looks here");
        for (guid, key) in keys {
            if known.len() >= KNOWN_MAX && !known.contains_key(guid) {
                known.clear();
            }
            known.insert(*guid, key);
        }
    }

    /// *Shape*: the rows have the values that were asked for, in their order.
    fn page(&self, seen: Vec<Seen>, select: &[usize]) -> Page {
        let column = |at: &usize| {
            let property = &self.exposed.properties[*at];
            Column { name: property.name.as_str().into(), ty: property.ty.clone() }
        };
        // A row of no column is still a row.
        let none = Column { name: "".into(), ty: Type::Unknown };
        let columns: Vec<Column> = select.iter().map(column).chain(select.is_empty().then_some(none)).collect();
        let mut rows = Batch::builder(Schema::new(columns));
        let mut keys = Vec::with_capacity(seen.len());
        for row in seen {
            for value in &row.values {
                match value {
                    Value::Reference(reference) => rows.push(ValueRef::Text(&reference_text(reference))),
                    value => rows.push(value.as_ref()),
                }
            }
            if select.is_empty() {
                rows.push(Value::Blank.as_ref());
            }
            keys.push(row.guid);
        }
        Page::new(rows.finish(), (0..select.len()).map(Place::Column).collect(), keys)
    }
}

/// Why there is no next page: two rows stand at one place of it, and only one of them would be shown.
fn one_key(exposed: &Exposed) -> Refused {
    let (name, key) = (&exposed.integration, exposed.entity.key.join("`, `"));
    let message = format!(
        "rows of `{name}` share one key (`{key}`), and a next page would leave some of them out: make the key one that no two rows have"
    );
    Refused::new(502, codes::ROW_UNFIT, message)
}

/// Whether the table may be why there is no answer, and not a moment of the source or a row.
fn is_of_the_table(fault: &Fault) -> bool {
    let reads = fault.code.0.starts_with("IB06") || fault.code.0 == "IB0502";
    fault.now == record::Now::Stop || reads && !fault.is_transient()
}

/// The keys of rows that have them.
fn with_keys(seen: &[Seen]) -> impl Iterator<Item = (&Uuid, Key)> {
    seen.iter().filter_map(|row| Some((&row.guid, row.key.clone()?)))
}

/// Whether an expression is what a column holds, and nothing that is computed of it.
fn is_kept(by: &Expr) -> bool {
    match by {
        Expr::Column(_) => true,
        Expr::Call(Function::Filled | Function::AsText | Function::AsStored | Function::KeyGuid, of) => {
            of.iter().all(is_kept)
        }
        _ => false,
    }
}

/// A reference compares by the text that it is shown as.
fn text_of(value: &Value) -> Value {
    match value {
        Value::Reference(reference) => Value::Text(reference_text(reference)),
        other => other.clone(),
    }
}

/// The key that a reference points to, as people write it.
fn reference_text(reference: &record::Reference) -> String {
    let parts: Vec<String> = reference.key.iter().map(|(_, part)| part.to_string()).collect();
    parts.join("|")
}

/// Whether values can be those of a row in this order. A next link comes back from outside, and what is in it goes to the
/// source.
fn are_a_place(order: &[Order], values: &[Value], schema: &Schema) -> bool {
    let type_of = |by: &Expr| match by {
        Expr::Call(Function::KeyGuid, _) => Some(Type::Guid),
        Expr::Call(Function::AsText, _) => Some(Type::Text { max_length: None }),
        by => {
            let mut names = Vec::new();
            by.columns(&mut names);
            names.first().and_then(|name| schema.index(name)).map(|at| schema.columns()[at].ty.clone())
        }
    };
    let fits =
        |(order, value): (&Order, &Value)| value.is_blank() || type_of(&order.by).is_some_and(|ty| holds(&ty, value));
    values.len() == order.len() && order.iter().zip(values).all(fits)
}

/// What comes after a place in an order.
fn beyond(order: &[Order], values: &[Value]) -> Expr {
    let equal = |at: usize| Expr::equal(order[at].by.clone(), values[at].clone());
    let test = |at: usize, op: Comparison, value: Value| {
        Expr::Compare(op, Box::new(order[at].by.clone()), Box::new(Expr::Value(value)))
    };
    let after = |at: usize| match (order[at].descending, values[at].is_blank()) {
        (false, true) => test(at, Comparison::NotEqual, Value::Blank),
        (false, false) => test(at, Comparison::Greater, values[at].clone()),
        (true, true) => Expr::Or(Vec::new()),
        (true, false) => {
            Expr::Or(vec![test(at, Comparison::Less, values[at].clone()), test(at, Comparison::Equal, Value::Blank)])
        }
    };
    let alternatives = (0..order.len()).map(|last| {
        let mut all: Vec<Expr> = (0..last).map(equal).collect();
        all.push(after(last));
        if all.len() == 1 { all.swap_remove(0) } else { Expr::And(all) }
    });
    let any = Expr::Or(alternatives.collect());
    match order.first() {
        // The first column alone bounds the search, so that an index serves it.
        Some(first) if !first.descending && !values[0].is_blank() => {
            Expr::And(vec![test(0, Comparison::GreaterOrEqual, values[0].clone()), any])
        }
        _ => any,
    }
}

#[cfg(test)]
mod tests {
    use record::query::Answer;
    use record::{
        BoxFuture, Catalog, Field, FieldType, Health, Keeps, Kind, Now, Queryable, ReadSpec, Sink, Source, WriteSpec,
    };

    use super::*;

    /// A source whose column has this type, and which counts who looks at it.
    struct Stock {
        ty: Arc<Mutex<Result<Type, Fault>>>,
        looked: Arc<std::sync::atomic::AtomicU32>,
    }

    impl System for Stock {
        fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
            unreachable!("nobody checks it")
        }

        fn catalog<'a>(&'a self, _: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
            unreachable!("nobody asks for its catalog")
        }

        fn source(&self, _: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
            unreachable!("nobody reads it")
        }

        fn sink(&self, _: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
            unreachable!("nobody writes it")
        }

        fn queryable(&self, _: ReadSpec) -> Result<Arc<dyn Queryable>, Fault> {
            Ok(Arc::new(Rows(self.ty.clone(), self.looked.clone())))
        }
    }

    struct Rows(Arc<Mutex<Result<Type, Fault>>>, Arc<std::sync::atomic::AtomicU32>);

    impl Queryable for Rows {
        fn schema(&self) -> BoxFuture<'_, Result<Arc<Schema>, Fault>> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let ty = self.0.lock().unwrap().clone();
            Box::pin(async { Ok(Schema::of([("sku", Type::Text { max_length: None }), ("quantity", ty?)])) })
        }

        /// As databases do: numbers in the order of numbers, texts in that of texts.
        fn accepts(&self, expr: &Expr, schema: &Schema) -> bool {
            let mut names = Vec::new();
            expr.columns(&mut names);
            names.iter().all(|name| *name == "sku" || schema.columns()[1].ty == Type::WholeNumber)
        }

        fn lists(&self) -> bool {
            true
        }

        fn hashes_keys(&self) -> bool {
            true
        }

        fn query<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, Fault>> {
            let columns = query.columns.iter().map(|name| (name.as_str(), Type::Text { max_length: None }));
            let mut rows = Batch::builder(Schema::of(columns));
            for (sku, quantity) in [("a", "10"), ("b", "9")] {
                for name in &query.columns {
                    rows.push(ValueRef::Text(if name == "sku" { sku } else { quantity }));
                }
            }
            Box::pin(async { Ok(Answer { rows: rows.finish(), count: None }) })
        }
    }

    /// A kind of system that is both the source and where it is shown.
    static KIND: Kind = Kind {
        name: "stock",
        doc: "A stock.",
        connection: &[],
        entity: &[
            Field::new("table", FieldType::Text, "The table.", "stock"),
            Field::new("virtual_table", FieldType::Text, "The virtual table.", "new_stock"),
            Field::new("primary_name", FieldType::Text, "What rows are called by.", "sku"),
        ],
        reads: true,
        writes: true,
        has_catalog: true,
        line_tables: false,
        keeps: Keeps::EXACTLY,
    };

    fn project() -> Arc<Project> {
        let files = [
            ("ironbridge.yaml", "hub: contoso\ntime_zone: UTC\nalerts: [ { to: it, severity: critical } ]\n"),
            ("people.yaml", "groups: { it: { email: it@contoso.example } }\n"),
            (
                "entities/stock.yaml",
                "entity: stock\nkey: sku\nfields: { sku: { type: text }, quantity: { type: whole_number } }\n",
            ),
            (
                "systems/warehouse.yaml",
                "system: warehouse\nkind: stock\nconnection: {}\ntime_zone: UTC\nentities: { stock: { table: stock, read: { sku: sku, quantity: quantity } } }\n",
            ),
            (
                "systems/dynamics.yaml",
                "system: dynamics\nkind: stock\nconnection: {}\nentities: { stock: { virtual_table: new_stock, primary_name: sku } }\n",
            ),
            (
                "integrations/stock.yaml",
                "integration: stock\npattern: virtual\nentity: stock\nfrom: warehouse\nto: dynamics\nowner: it\npurpose: Sales see what is there.\n",
            ),
        ];
        let loaded = definition::load_files(files, &definition::LoadOptions { kinds: &[&KIND], ..Default::default() });
        loaded.project.map(Arc::new).unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
    }

    /// Where a database compares a text with a number, nothing fails when a column becomes one of texts.
    #[tokio::test(start_paused = true)]
    async fn a_source_is_looked_at_anew_from_time_to_time() {
        let (ty, looked) = (Arc::new(Mutex::new(Ok(Type::WholeNumber))), Arc::default());
        let system: Arc<dyn System> = Arc::new(Stock { ty: ty.clone(), looked: Arc::clone(&looked) });
        let project = project();
        let exposed = crate::exposed(&project, &project.integrations[0]).unwrap();
        let open: OpenSystem = Arc::new(move |_| Ok(system.clone()));
        let table = Table::new(project.clone(), exposed, open, Arc::default());
        let by_quantity = vec![Order { by: Expr::column("quantity"), descending: false }];
        let orders =
            |table: &Table| table.plan(&table.held().unwrap(), &Ask { order: by_quantity.clone(), ..Ask::default() });
        let ask = Ask { select: vec![1], page: 10, ..Ask::default() };
        let count = || looked.load(std::sync::atomic::Ordering::Relaxed);
        for _ in 0..3 {
            table.ask(&ask).await.unwrap();
        }
        let first = table.held().unwrap();
        assert!(orders(&table).order.is_some() && count() == 1);
        // Nothing is different: what was compiled goes on to serve.
        tokio::time::advance(LOOKED).await;
        table.ask(&ask).await.unwrap();
        table.ask(&ask).await.unwrap();
        assert!(Arc::ptr_eq(&first, &table.held().unwrap()) && count() == 2);
        // The source does not tell at the moment, and answers all the same.
        *ty.lock().unwrap() = Err(Fault::retry(record::Code("IB0601"), "busy", None));
        tokio::time::advance(LOOKED).await;
        table.ask(&ask).await.unwrap();
        assert!(Arc::ptr_eq(&first, &table.held().unwrap()) && count() == 3);
        *ty.lock().unwrap() = Ok(Type::Text { max_length: None });
        tokio::time::advance(LOOKED).await;
        table.ask(&ask).await.unwrap();
        assert!(orders(&table).order.is_none() && count() == 4, "texts are not in the order of numbers");
        // The column is gone.
        *ty.lock().unwrap() =
            Err(Fault { now: Now::Stop, ..Fault::retry(record::Code("IB0603"), "no such column", None) });
        tokio::time::advance(LOOKED).await;
        assert_eq!(table.ask(&ask).await.unwrap_err().status, 503);
    }
}
