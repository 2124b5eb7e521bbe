//! One connection, and its settings.

use std::time::Duration;

use futures_util::TryStreamExt;
use record::{BoxFuture, Right};
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel, Query, QueryItem, QueryStream, Row};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::{Database, catalog, fault, query as asked, text};
use crate::sql;
use crate::sql::engine::{Cell, Described, Engine, Rows, Session, SqlColumn, Stream};
use crate::sql::failure::Failure;
use crate::sql::paged::Plan;

/// Settings that make values and errors the same on every server.
const SETTINGS: &str = "SET LANGUAGE us_english; SET DATEFORMAT ymd; SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON;
    SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET NUMERIC_ROUNDABORT OFF; SET XACT_ABORT OFF;
    SET IMPLICIT_TRANSACTIONS OFF; SET NOCOUNT OFF; SET TRANSACTION ISOLATION LEVEL READ COMMITTED";

pub(super) struct Connection {
    database: Database,
    client: Client<Compat<TcpStream>>,
}

impl Connection {
    pub async fn open(database: &Database) -> Result<Connection, Failure> {
        in_time(database.timeout, async {
            let mut config = config(database);
            let mut client = match connect(&config).await {
                // Azure sends a client on to the machine that holds the database.
                Err(Error::Routing { host, port }) => {
                    config.host(host);
                    config.port(port);
                    connect(&config).await?
                }
                other => other?,
            };
            let locks = format!("{SETTINGS}; SET LOCK_TIMEOUT {}", database.timeout.as_millis());
            client.simple_query(locks).await?.into_results().await?;
            Ok(Connection { database: database.clone(), client })
        })
        .await
        .map_err(Failure::while_opening)
    }
}

fn config(database: &Database) -> Config {
    let address = &database.address;
    let mut config = Config::new();
    config.host(&address.host);
    config.port(address.port);
    config.database(&address.database);
    config.application_name("ironbridge");
    config.authentication(AuthMethod::sql_server(&address.user, address.password.reveal()));
    config.encryption(if database.encrypted { EncryptionLevel::Required } else { EncryptionLevel::NotSupported });
    if let Some(ca) = &database.ca {
        config.trust_cert_ca(ca.display());
    }
    config
}

async fn connect(config: &Config) -> Result<Client<Compat<TcpStream>>, Error> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let tcp = TcpStream::connect(config.get_addr()).await?;
    tcp.set_nodelay(true)?;
    Client::connect(config.clone(), tcp.compat_write()).await
}

/// The server does not end a statement by itself; what is given up here ends with its connection.
async fn in_time<T>(timeout: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(timeout, work).await.unwrap_or(Err(Failure::Silent(timeout)))
}

fn query<'a>(sql: &'a str, bound: &'a [Cell]) -> Query<'a> {
    let mut query = Query::new(sql);
    for cell in bound {
        match cell {
            Cell::Null => query.bind(Option::<&str>::None),
            Cell::Int(number) => query.bind(*number),
            Cell::Float(number) => query.bind(*number),
            Cell::Text(text) => query.bind(text.as_str()),
            Cell::Bytes(bytes) => query.bind(bytes.as_slice()),
        }
    }
    query
}

fn cells(row: Row) -> Result<Vec<Cell>, Failure> {
    row.cells().map(|(column, data)| cell(data).ok_or_else(|| unread(column.name()))).collect()
}

/// *Shape*: what statements ask for by `exact` comes as a text, a number or bytes.
fn cell(data: &ColumnData<'_>) -> Option<Cell> {
    let int = |number: Option<i64>| number.map_or(Cell::Null, Cell::Int);
    Some(match data {
        ColumnData::U8(number) => int(number.map(i64::from)),
        ColumnData::I16(number) => int(number.map(i64::from)),
        ColumnData::I32(number) => int(number.map(i64::from)),
        ColumnData::I64(number) => int(*number),
        ColumnData::Bit(yes) => int(yes.map(i64::from)),
        // The shortest digits that are this float and no other.
        ColumnData::F32(number) => number.map_or(Cell::Null, |number| Cell::Text(number.to_string())),
        ColumnData::F64(number) => number.map_or(Cell::Null, Cell::Float),
        ColumnData::String(text) => text.as_ref().map_or(Cell::Null, |text| Cell::Text(text.to_string())),
        ColumnData::Guid(id) => id.map_or(Cell::Null, |id| Cell::Text(id.to_string())),
        ColumnData::Binary(bytes) => bytes.as_ref().map_or(Cell::Null, |bytes| Cell::Bytes(bytes.to_vec())),
        _ => return None,
    })
}

fn unread(column: &str) -> Failure {
    fault::server(0, &format!("the column '{column}' came in a form that was not asked for"))
}

impl Session for Connection {
    fn rows<'a>(&'a mut self, sql: &'a str, bound: &'a [Cell]) -> BoxFuture<'a, Result<Rows, Failure>> {
        Box::pin(async move {
            in_time(self.database.timeout, async {
                let rows = query(sql, bound).query(&mut self.client).await?.into_first_result().await?;
                rows.into_iter().map(cells).collect()
            })
            .await
        })
    }

    fn run<'a>(&'a mut self, sql: &'a str, bound: &'a [Cell]) -> BoxFuture<'a, Result<u64, Failure>> {
        Box::pin(async move {
            in_time(self.database.timeout, async {
                // A statement with parameters runs in a scope of its own, where no transaction can begin.
                if bound.is_empty() {
                    self.client.simple_query(sql).await?.into_results().await?;
                    return Ok(0);
                }
                Ok(query(sql, bound).execute(&mut self.client).await?.total())
            })
            .await
        })
    }

    fn stream<'a>(
        &'a mut self,
        sql: &'a str,
        bound: &'a [Cell],
    ) -> BoxFuture<'a, Result<Box<dyn Stream + 'a>, Failure>> {
        Box::pin(async move {
            let timeout = self.database.timeout;
            let rows = in_time(timeout, async { Ok(query(sql, bound).query(&mut self.client).await?) }).await?;
            Ok(Box::new(Answer { rows, timeout }) as Box<dyn Stream>)
        })
    }

    fn limit(&mut self, timeout: Duration) -> BoxFuture<'_, Result<(), Failure>> {
        self.database.timeout = timeout;
        Box::pin(std::future::ready(Ok(())))
    }

    fn asks<'a>(&self, plan: &'a Plan) -> Box<dyn sql::query::Dialect + 'a> {
        Box::new(asked::Asked { plan })
    }

    fn describe<'a>(&'a mut self, table: &'a str) -> BoxFuture<'a, Result<Option<Described>, Failure>> {
        Box::pin(async move {
            let known = self.database.rules.clone();
            catalog::table(self, table, &known).await
        })
    }

    fn may<'a>(&'a mut self, table: &'a Described, right: Right) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(async move {
            let name = self.database.dialect().table(&table.table.name);
            let bound = [Cell::Text(name), Cell::Text(right.word().to_owned())];
            let rows = self.rows("SELECT HAS_PERMS_BY_NAME(@P1, 'OBJECT', @P2)", &bound).await?;
            // Blank where the server does not know the name.
            Ok(rows.first().and_then(|row| row.first()) != Some(&Cell::Int(0)))
        })
    }

    fn columns_of<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<Vec<SqlColumn>, Failure>> {
        Box::pin(async move {
            let bound = [Cell::Text(sql.to_owned())];
            let mut columns = Vec::new();
            for row in self.rows(catalog::ANSWER, &bound).await? {
                if let Cell::Int(code) = row[3] {
                    return Err(fault::server(u32::try_from(code).unwrap_or(0), &text(&row[4])));
                }
                columns.push(catalog::column(&text(&row[0]), &text(&row[1]), row[2] == Cell::Int(0)));
            }
            Ok(columns)
        })
    }
}

/// The rows of a statement as they come.
struct Answer<'a> {
    rows: QueryStream<'a>,
    timeout: Duration,
}

impl Stream for Answer<'_> {
    fn next(&mut self, rows: usize) -> BoxFuture<'_, Result<Rows, Failure>> {
        Box::pin(async move {
            in_time(self.timeout, async {
                let mut some = Rows::new();
                while some.len() < rows {
                    match self.rows.try_next().await? {
                        Some(QueryItem::Row(row)) => some.push(cells(row)?),
                        Some(QueryItem::Metadata(_)) => {}
                        None => break,
                    }
                }
                Ok(some)
            })
            .await
        })
    }
}
