//! SQL Server and Azure SQL, as a source and as a destination.
//!
//! *Limits*: a session cannot be made read-only, so a read runs in a transaction that is always rolled back. Pages are
//! read one after the other under `READ COMMITTED`: a full read does not see one moment of the database. Each statement
//! that writes is a transaction of its own, since some errors of one row end the transaction around it. The driver's
//! calls cannot be given up halfway: a connection whose call did not end in time is thrown away.
//!
//! *Source*: <https://learn.microsoft.com/sql/t-sql/> (`CONVERT` styles, data type precedence, `rowversion`,
//! `MIN_ACTIVE_ROWVERSION`) and <https://learn.microsoft.com/sql/relational-databases/errors-events/>.

mod catalog;
mod dialect;
mod fault;
mod query;
mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use record::query::Function;
use record::{BoxFuture, Code, Fault, Field, FieldType, Health, Keeps, KeyRules, Kind, Options, Secret, System};

use crate::sql;
use crate::sql::engine::{Cell, Dialect, Engine, Session, Use};
use crate::sql::failure::{Failure, Words};
use crate::sql::rules::{self, Known};
use crate::sql::system;

/// `kind: sqlserver`.
pub static KIND: Kind = Kind {
    name: "sqlserver",
    doc: "A SQL Server or Azure SQL database.",
    connection: &[
        Field::new(
            "url",
            FieldType::Url,
            "The address of the database, with user and password: `sqlserver://user:password@host:1433/database`.",
            "\"${env:WAREHOUSE_URL}\"",
        )
        .required(),
        sql::CA,
        sql::TIMEOUT,
    ],
    entity: sql::ENTITY_FIELDS,
    reads: true,
    writes: true,
    has_catalog: true,
    line_tables: false,
    keeps: Keeps::EXACTLY,
};

/// One database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    system: String,
    address: Address,
    encrypted: bool,
    ca: Option<PathBuf>,
    timeout: Duration,
    rules: Known,
}

/// What the URL says.
#[derive(Debug, Clone)]
struct Address {
    host: String,
    port: u16,
    user: String,
    password: Secret,
    database: String,
}

/// Opens a SQL Server system; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    Ok(system::of(database(name, &options)?))
}

fn database(name: &str, options: &Options) -> Result<Database, Fault> {
    let (url, mode) = sql::split_mode(options.text("url").unwrap_or_default());
    // What the URL holds is a secret, and is not repeated.
    let unusable = |what: &str| {
        Fault::stop(Code("IB0601"), format!("system `{name}` has a `url:` that {what}"))
            .at_system(name)
            .fix("write it as sqlserver://user:password@host:1433/database, with ?sslmode=disable behind it or without")
    };
    let address = address(&url).ok_or_else(|| unusable("is none of a SQL Server database"))?;
    let encrypted = sql::is_encrypted(mode, &address.host)
        .ok_or_else(|| unusable("says another `sslmode` than `require` or `disable`"))?;
    Ok(Database {
        system: name.to_owned(),
        address,
        encrypted,
        ca: options.text("ca").map(PathBuf::from),
        timeout: options.duration("timeout").unwrap_or(Duration::from_secs(30)),
        rules: Known::default(),
    })
}

fn address(url: &str) -> Option<Address> {
    let url: reqwest::Url = url.parse().ok()?;
    let database = sql::decoded(url.path().trim_start_matches('/'))?;
    let named = url.scheme() == "sqlserver" && !url.username().is_empty() && !database.is_empty();
    named.then_some(())?;
    Some(Address {
        host: url.host_str()?.to_owned(),
        port: url.port().unwrap_or(1433),
        user: sql::decoded(url.username())?,
        password: Secret::new(sql::decoded(url.password().unwrap_or_default())?),
        database,
    })
}

impl Engine for Database {
    fn dialect(&self) -> &'static dyn Dialect {
        &dialect::SqlServer
    }

    fn words(&self) -> Words<'_> {
        Words {
            system: &self.system,
            user: &self.address.user,
            database: &self.address.database,
            product: "SQL Server",
            databases: "sqlcmd -Q 'SELECT name FROM sys.databases'",
            describe: "sqlcmd -Q \"EXEC sp_columns '{}'\"",
            shell: "sqlcmd -Q 'SELECT name FROM sys.tables'",
            grantee: format!("[{}]", self.address.user),
            tls: "name the certificate that signed the server's under `ca:`; on a network that you trust, write ?sslmode=disable behind `url:`",
        }
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn who(&self) -> &'static str {
        catalog::WHO
    }

    fn health(&self, who: &[Cell]) -> Health {
        catalog::health(who, &self.words())
    }

    fn connect(&self, _: Use) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>> {
        Box::pin(async move { Ok(Box::new(session::Connection::open(self).await?) as Box<dyn Session>) })
    }

    fn computes(&self, function: Function) -> bool {
        query::computes(function)
    }

    fn key_rules(&self, table: &str, key: &[String]) -> KeyRules {
        self.rules.of(table, key, rules::LOOSE)
    }
}

/// A text cell, or an empty text.
fn text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use record::OptionValue;

    use super::*;

    fn of(url: &str) -> Result<Database, Fault> {
        database("warehouse", &Options([("url".to_owned(), OptionValue::Text(url.to_owned()))].into()))
    }

    #[test]
    fn a_url_says_where_who_and_how() {
        let found = of("sqlserver://hub:p%40ss%2Fw@sql.contoso.example/Sales%20EU").unwrap();
        let address = &found.address;
        assert_eq!((address.host.as_str(), address.port, address.user.as_str()), ("sql.contoso.example", 1433, "hub"));
        assert_eq!((address.password.reveal(), address.database.as_str()), ("p@ss/w", "Sales EU"));
        assert!(found.encrypted, "another machine is spoken to with TLS");
        assert!(!of("sqlserver://hub:x@127.0.0.1:14330/db").unwrap().encrypted);
        assert!(!of("sqlserver://hub:x@sql/db?sslmode=disable").unwrap().encrypted);
        assert!(of("sqlserver://hub:x@localhost/db?sslmode=require").unwrap().encrypted);
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_its_secret() {
        for url in [
            "",
            "postgres://hub:secret@sql/db",
            "sqlserver://hub:secret@sql",
            "sqlserver://hub:secret@sql/db?sslmode=no",
        ] {
            let fault = of(url).unwrap_err();
            assert_eq!(fault.code, Code("IB0601"), "{url}");
            assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
        }
    }
}
