//! Answering a user's question by an [`Engine`]: one statement on a session that is kept.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use record::query::{Answer, Expr, Function, Lookup, Query};
use record::{BoxFuture, Code, Fault, Queryable, ReadSpec, Schema, Value};

use super::asked::{Gathered, Kept};
use super::cell;
use super::engine::{Cell, Engine, Session, Use};
use super::failure::{self, About, Failure};
use super::paged::Plan;
use super::query::{self, Sort, write};

pub(crate) struct Table {
    engine: Arc<dyn Engine>,
    spec: ReadSpec,
    kept: Kept<Asking>,
    plan: OnceLock<Arc<Plan>>,
}

struct Asking {
    session: Box<dyn Session>,
    /// How long its statements may take.
    within: Duration,
}

impl Table {
    pub fn new(engine: Arc<dyn Engine>, spec: ReadSpec) -> Table {
        Table { engine, spec, kept: Kept::default(), plan: OnceLock::new() }
    }

    fn failed(&self, within: Duration, failure: &Failure) -> Fault {
        failure::source(&self.engine.words(), within, &self.spec.table, failure)
    }

    async fn session(&self) -> Result<Asking, Failure> {
        Ok(Asking { session: self.engine.connect(Use::Read).await?, within: self.engine.timeout() })
    }

    async fn plan(&self, session: &mut dyn Session) -> Result<Arc<Plan>, Failure> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan.clone());
        }
        let plan = Arc::new(Plan::of(&*self.engine, session, &self.spec, false, &[]).await?);
        Ok(self.plan.get_or_init(|| plan).clone())
    }

    async fn answer(&self, query: &Query, within: Duration) -> Result<Answer, Failure> {
        if let Some(kept) = self.kept.take() {
            match self.ask(kept, query, within).await {
                // The server has closed it meanwhile. A question changes nothing, and is asked again.
                Err(failure) if failure.about() == About::Unreachable => {}
                answered => return answered,
            }
        }
        let session = self.session().await?;
        self.ask(session, query, within).await
    }

    /// One that fails, or that nobody waits for any more, takes its session with it.
    async fn ask(&self, mut asking: Asking, query: &Query, within: Duration) -> Result<Answer, Failure> {
        let session = &mut *asking.session;
        if asking.within != within {
            session.limit(within).await?;
            asking.within = within;
        }
        let plan = self.plan(session).await?;
        let statements = write(&*session.asks(&plan), &plan.from, &plan.schema, query);
        let dialect = self.engine.dialect();
        let (bound, count_bound) = (cells(&statements.bound), cells(&statements.count_bound));
        if bound.len() > dialect.bound_max() {
            return Err(self.too_many(bound.len()).into());
        }
        // Rows and their count are of one moment, where the product can do that.
        let (begin, end) = dialect.reading();
        if statements.count.is_some() {
            session.run(begin, &[]).await?;
        }
        let rows = if query.limit == 0 { Vec::new() } else { session.rows(&statements.rows, &bound).await? };
        let count = match &statements.count {
            None => None,
            Some(sql) => {
                let counted = session.rows(sql, &count_bound).await?;
                session.run(end, &[]).await?;
                match counted.first().and_then(|row| row.first()) {
                    Some(Cell::Int(count)) => Some(count.unsigned_abs()),
                    _ => Some(0),
                }
            }
        };
        let mut gathered = Gathered::new(self.engine.words().system, &self.spec, &plan.schema, query);
        let places: Vec<_> = query.columns.iter().map(|name| plan.place(name)).collect();
        for row in &rows {
            for (cell, place) in row.iter().zip(&places) {
                gathered.push(dialect.read(cell, &place.column.ty, &plan.times))?;
            }
        }
        self.kept.keep(asking);
        Ok(gathered.answer(count)?)
    }

    fn too_many(&self, values: usize) -> Fault {
        let (table, most) = (&self.spec.table, self.engine.dialect().bound_max());
        let what = format!("the question about `{table}` holds {values} values, and the server takes {most} at once");
        let fault = Fault::reject(Code("IB0630"), what).fix("ask for fewer rows at once, in several questions");
        failure::place(fault, &self.engine.words(), table)
    }

    /// Whether the server means this exactly as the hub does.
    fn decides(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Column(name) => self.plan.get().is_none_or(|plan| plan.is_decided(name)),
            Expr::Value(_) => true,
            Expr::And(all) | Expr::Or(all) => all.iter().all(|expr| self.decides(expr)),
            Expr::Call(function, all) => {
                let blank = |expr: &Expr| matches!(expr, Expr::Value(Value::Blank));
                self.engine.computes(*function) && all.iter().all(|expr| !blank(expr) && self.decides(expr))
            }
            Expr::Not(inner) => self.decides(inner),
            Expr::In(inner, _) => self.decides(inner),
            // Whether there is a value at all is the same for everybody.
            asks if asks.asks_for_blank() => true,
            Expr::Compare(_, left, right) => self.decides(left) && self.decides(right),
        }
    }
}

impl Queryable for Table {
    fn schema(&self) -> BoxFuture<'_, Result<Arc<Schema>, Fault>> {
        Box::pin(async move {
            let schema = async {
                let mut asking = self.session().await?;
                let plan = self.plan(&mut *asking.session).await?;
                self.kept.keep(asking);
                Ok(plan.schema.clone())
            };
            schema.await.map_err(|failure: Failure| self.failed(self.engine.timeout(), &failure))
        })
    }

    fn accepts(&self, expr: &Expr, schema: &Schema) -> bool {
        // A text that is compared in two collations is bound twice. A longer list is compared by the hub.
        query::accepts(expr, schema) && self.decides(expr) && values(expr) <= self.engine.dialect().bound_max() / 2
    }

    fn lists(&self) -> bool {
        true
    }

    fn hashes_keys(&self) -> bool {
        true
    }

    fn orders(&self, columns: &[&str]) -> bool {
        self.engine.computes(Function::AsStored) && self.plan.get().is_some_and(|plan| plan.orders(columns))
    }

    fn lookup<'a>(&'a self, columns: &'a [String]) -> BoxFuture<'a, Result<Lookup, Fault>> {
        Box::pin(async move {
            let lookup = async {
                let mut asking = self.session().await?;
                let plan = self.plan(&mut *asking.session).await?;
                let lookup = asking.session.lookup(&plan, &self.spec.table, columns);
                self.kept.keep(asking);
                Ok(lookup)
            };
            lookup.await.map_err(|failure: Failure| self.failed(self.engine.timeout(), &failure))
        })
    }

    fn query<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Answer, Fault>> {
        let within = if query.within.is_zero() { self.engine.timeout() } else { query.within };
        Box::pin(async move {
            let failed = |failure| failure::question(&self.engine.words(), within, &self.spec.table, &failure);
            self.answer(query, within).await.map_err(failed)
        })
    }
}

fn values(expr: &Expr) -> usize {
    match expr {
        Expr::Column(_) => 0,
        Expr::Value(_) => 1,
        Expr::And(all) | Expr::Or(all) | Expr::Call(_, all) => all.iter().map(values).sum(),
        Expr::Not(inner) => values(inner),
        Expr::In(inner, list) => values(inner) + list.len(),
        Expr::Compare(_, left, right) => values(left) + values(right),
    }
}

fn cells(bound: &[(Value, Sort)]) -> Vec<Cell> {
    let cell = |(value, _): &(Value, Sort)| match value {
        Value::Blank => Cell::Null,
        Value::Bool(yes) => Cell::Int(i64::from(*yes)),
        Value::Int(number) => Cell::Int(*number),
        Value::Float(number) => Cell::Float(*number),
        Value::Instant(at) => {
            // A place in an order has the digits of its column; beyond six only SQL Server keeps any, and takes seven.
            let digits = if at.subsec_nanosecond() % 1_000 == 0 { 6 } else { 7 };
            Cell::Text(cell::civil(jiff::tz::TimeZone::UTC.to_datetime(*at), digits))
        }
        Value::Text(text) | Value::Choice(text) => Cell::Text(text.clone()),
        Value::Bytes(bytes) => Cell::Bytes(bytes.clone()),
        other => Cell::Text(other.to_string()),
    };
    bound.iter().map(cell).collect()
}
