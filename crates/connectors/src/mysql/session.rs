//! One connection, its settings, and how what it does is ended.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, Conn, Opts, OptsBuilder, Params, QueryResult, Row, SslOpts};
use record::query::Lookup;
use record::{BoxFuture, Right, Why};

use super::{Database, catalog, query, value};
use crate::sql;
use crate::sql::engine::{Cell, Described, Engine, Rows, Session, SqlColumn, Stream, Use};
use crate::sql::failure::{About, Failure};
use crate::sql::paged::Plan;
use crate::sql::tls;

/// How long a server may wait for us between two pages, while a destination is slow.
const PATIENCE_SECONDS: u64 = 86_400;

pub(super) struct Connection {
    database: Database,
    /// With what [`encrypted`] added.
    opts: Opts,
    conn: Option<Conn>,
    mariadb: bool,
    /// A statement is under way, or was given up.
    busy: bool,
}

impl Connection {
    /// A new session with the settings that everything here relies on.
    pub async fn open(database: &Database, purpose: Use) -> Result<Connection, Failure> {
        let opts = if database.encrypted { encrypted(database).await? } else { database.opts.clone() };
        in_time(database.timeout, async {
            let mut conn = Conn::new(opts.clone()).await?;
            let known: Option<(String, String)> = conn.query_first("SELECT VERSION(), CURRENT_USER()").await?;
            let (version, user) = known.unwrap_or_default();
            let mariadb = version.contains("MariaDB");
            database.account.get_or_init(|| account(&user));
            for setting in settings(database.timeout, purpose, mariadb) {
                conn.query_drop(setting).await?;
            }
            Ok(Connection { database: database.clone(), opts, conn: Some(conn), mariadb, busy: false })
        })
        .await
        .map_err(Failure::while_opening)
    }

    /// The parts of a connection, with a statement under way.
    fn begin(&mut self) -> (&mut Conn, &mut bool, Duration) {
        self.busy = true;
        let conn = self.conn.as_mut().expect("a connection is given up only when it is dropped");
        (conn, &mut self.busy, self.database.timeout)
    }
}

/// `'ironbridge'@'10.0.0.%'`, as `GRANT` wants it, for what `CURRENT_USER()` says; from any host where it says none.
pub(super) fn account(user: &str) -> String {
    let (name, host) = user.rsplit_once('@').unwrap_or((user, "%"));
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    format!("{}@{}", quoted(name), quoted(host))
}

/// What a statement came to. One that did not end in time is still under way.
fn ended<T>(busy: &mut bool, done: Result<T, Failure>) -> Result<T, Failure> {
    *busy = done.as_ref().is_err_and(Failure::ends_session);
    done
}

/// The statements that a session begins with.
fn settings(timeout: Duration, purpose: Use, mariadb: bool) -> Vec<String> {
    let seconds = timeout.as_secs_f64().ceil().max(1.0) as u64;
    let mut settings = vec![
        "SET NAMES utf8mb4".to_owned(),
        format!(
            "SET SESSION time_zone = '+00:00', lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds},
             net_write_timeout = {PATIENCE_SECONDS}, wait_timeout = {PATIENCE_SECONDS}"
        ),
        statement_time(timeout, mariadb),
    ];
    match purpose {
        Use::Read => settings.extend([
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned(),
            "SET SESSION TRANSACTION READ ONLY".to_owned(),
        ]),
        // What does not fit is an error, and is not cut or made zero.
        Use::Write => settings.extend([
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
            "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE')".to_owned(),
        ]),
    }
    settings
}

/// How long a statement may take on the server: MariaDB counts all statements, in seconds, MySQL those that read, in
/// milliseconds.
fn statement_time(timeout: Duration, mariadb: bool) -> String {
    if mariadb {
        format!("SET SESSION max_statement_time = {:.3}", timeout.as_secs_f64())
    } else {
        format!("SET SESSION max_execution_time = {}", timeout.as_millis())
    }
}

/// With TLS, and the certificates that are trusted.
async fn encrypted(database: &Database) -> Result<Opts, Failure> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let trusted = tls::trusted(database.ca.as_deref()).await.map_err(|text| Failure::Server {
        about: About::Tls,
        why: Why { status: None, code: None, text, request_id: None },
        column: None,
        ends: true,
    })?;
    let tls = SslOpts::default()
        .with_disable_built_in_roots(true)
        .with_root_certs(trusted.into_iter().map(|certificate| certificate.to_vec().into()).collect());
    Ok(OptsBuilder::from_opts(database.opts.clone()).ssl_opts(tls).into())
}

/// The server ends its own statements; this is for a server that does not answer at all.
async fn in_time<T>(timeout: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let longest = timeout + Duration::from_secs(2);
    tokio::time::timeout(longest, work).await.unwrap_or(Err(Failure::Silent(longest)))
}

fn params(bound: &[Cell]) -> Params {
    if bound.is_empty() { Params::Empty } else { Params::Positional(bound.iter().map(value::bound).collect()) }
}

impl Session for Connection {
    fn rows<'a>(&'a mut self, sql: &'a str, bound: &'a [Cell]) -> BoxFuture<'a, Result<Rows, Failure>> {
        Box::pin(async move {
            let (conn, busy, timeout) = self.begin();
            let rows = in_time(timeout, async { Ok(conn.exec::<Row, _, _>(sql, params(bound)).await?) }).await;
            Ok(ended(busy, rows)?.into_iter().map(value::cells).collect())
        })
    }

    fn run<'a>(&'a mut self, sql: &'a str, bound: &'a [Cell]) -> BoxFuture<'a, Result<u64, Failure>> {
        Box::pin(async move {
            let (conn, busy, timeout) = self.begin();
            let changed = in_time(timeout, async {
                // Not every statement can be prepared.
                if bound.is_empty() {
                    conn.query_drop(sql).await?;
                } else {
                    conn.exec_drop(sql, params(bound)).await?;
                }
                Ok(conn.affected_rows())
            });
            let changed = changed.await;
            ended(busy, changed)
        })
    }

    fn stream<'a>(
        &'a mut self,
        sql: &'a str,
        bound: &'a [Cell],
    ) -> BoxFuture<'a, Result<Box<dyn Stream + 'a>, Failure>> {
        Box::pin(async move {
            let (conn, busy, timeout) = self.begin();
            let result = in_time(timeout, async { Ok(conn.exec_iter(sql, params(bound)).await?) }).await?;
            Ok(Box::new(Answer { result, busy, timeout }) as Box<dyn Stream>)
        })
    }

    fn unlimited(&mut self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let setting = statement_time(Duration::from_secs(PATIENCE_SECONDS), self.mariadb);
            self.run(&setting, &[]).await.map(|_| ())
        })
    }

    fn limit(&mut self, timeout: Duration) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.run(&statement_time(timeout, self.mariadb), &[]).await?;
            self.database.timeout = timeout;
            Ok(())
        })
    }

    fn asks<'a>(&self, plan: &'a Plan) -> Box<dyn sql::query::Dialect + 'a> {
        Box::new(query::Asked::new(plan, self.mariadb))
    }

    fn lookup(&self, plan: &Plan, table: &str, key: &[String]) -> Lookup {
        query::lookup(plan, table, key, self.mariadb)
    }

    fn describe<'a>(&'a mut self, table: &'a str) -> BoxFuture<'a, Result<Option<Described>, Failure>> {
        Box::pin(async move {
            let known = self.database.rules.clone();
            catalog::table(self, table, &known).await
        })
    }

    /// A statement that is prepared and not run: the server looks at the rights before anything else.
    fn may<'a>(&'a mut self, table: &'a Described, right: Right) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(async move {
            let dialect = self.database.dialect();
            let name = dialect.table(&table.table.name);
            let column = table.columns.iter().find(|column| column.writable).or(table.columns.first());
            let Some(column) = column.map(|column| dialect.quote(&column.name)) else { return Ok(true) };
            let statement = match right {
                Right::Select => format!("SELECT {column} FROM {name}"),
                Right::Insert => format!("INSERT INTO {name} ({column}) VALUES (NULL)"),
                Right::Update => format!("UPDATE {name} SET {column} = NULL"),
                Right::Delete => format!("DELETE FROM {name} WHERE {column} IS NULL"),
            };
            match self.columns_of(&statement).await {
                Err(failure) if failure.about() == About::NoRight => Ok(false),
                Err(failure) if failure.ends_session() => Err(failure),
                // What else is wrong with it is nothing of rights.
                _ => Ok(true),
            }
        })
    }

    fn columns_of<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Vec<SqlColumn>, Failure>> {
        Box::pin(async move {
            let (conn, busy, timeout) = self.begin();
            let columns = in_time(timeout, async {
                let statement = conn.prep(sql).await?;
                let columns = statement.columns().iter().map(value::of_answer).collect();
                conn.close(statement).await?;
                Ok(columns)
            });
            let columns = columns.await;
            ended(busy, columns)
        })
    }
}

/// The rows of a statement as they come.
struct Answer<'a> {
    result: QueryResult<'a, 'static, BinaryProtocol>,
    busy: &'a mut bool,
    timeout: Duration,
}

impl Stream for Answer<'_> {
    fn next(&mut self, rows: usize) -> BoxFuture<'_, Result<Rows, Failure>> {
        Box::pin(async move {
            in_time(self.timeout, async {
                let mut some = Rows::new();
                while some.len() < rows {
                    match self.result.next().await? {
                        Some(row) => some.push(value::cells(row)),
                        None => {
                            *self.busy = false;
                            break;
                        }
                    }
                }
                Ok(some)
            })
            .await
        })
    }
}

/// A statement that nobody waits for any more would go on at the server, and a connection whose rows nobody reads would
/// be read to its end by the driver.
impl Drop for Connection {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (busy, id, opts, timeout) = (self.busy, conn.id(), self.opts.clone(), self.database.timeout);
        runtime.spawn(async move {
            let end = async {
                conn.disconnect().await.ok();
                if busy && let Ok(mut other) = Conn::new(opts).await {
                    // The statement itself may not have begun yet: the connection is what has to go.
                    other.query_drop(format!("KILL CONNECTION {id}")).await.ok();
                    other.disconnect().await.ok();
                }
            };
            tokio::time::timeout(timeout, end).await.ok();
        });
    }
}
