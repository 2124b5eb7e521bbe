//! MariaDB and MySQL, as a source and as a destination.
//!
//! *Limits*: a read sees one moment of the tables that have transactions (InnoDB). A table with a primary key is read a
//! page a statement; a query or a view is one statement whose rows come as they are taken. TLS is verified against the
//! certificates that this machine trusts, or those of `ca`, unless the URL says `sslmode=disable` or the server is on
//! this machine.
//!
//! *Source*: <https://mariadb.com/kb/en/> (`INSERT … ON DUPLICATE KEY UPDATE`, information schema, error codes) and
//! <https://dev.mysql.com/doc/refman/8.4/en/> (the same, and `max_execution_time`).

mod catalog;
mod dialect;
mod fault;
mod query;
mod session;
mod value;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder};
use record::{BoxFuture, Code, Fault, Field, FieldType, Health, Keeps, KeyRules, Kind, Options, System};

use crate::sql;
use crate::sql::engine::{Cell, Dialect, Engine, Session, Use};
use crate::sql::failure::{Failure, Words};
use crate::sql::rules::{self, Known};
use crate::sql::system;

/// `kind: mysql`.
pub static KIND: Kind = Kind {
    name: "mysql",
    doc: "A MariaDB or MySQL database.",
    connection: &[
        Field::new(
            "url",
            FieldType::Url,
            "The address of the database, with user and password: `mysql://user:password@host:3306/database`.",
            "\"${env:SHOP_URL}\"",
        )
        .required(),
        sql::CA,
        sql::TIMEOUT,
    ],
    entity: sql::ENTITY_FIELDS,
    reads: true,
    writes: true,
    has_catalog: true,
    line_tables: true,
    keeps: Keeps::EXACTLY,
};

/// One database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    system: String,
    opts: Opts,
    encrypted: bool,
    ca: Option<PathBuf>,
    timeout: Duration,
    rules: Known,
    /// Who we are to the server, as `GRANT` names it: known once it has let us in.
    account: Arc<OnceLock<String>>,
}

/// Opens a MariaDB or MySQL system; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    let url = options.text("url").unwrap_or_default();
    let (address, mode) = sql::split_mode(url);
    // What the URL holds is a secret, and is not repeated.
    let unusable = |what: &str| {
        Fault::stop(Code("IB0601"), format!("system `{name}` has a `url:` that {what}"))
            .at_system(name)
            .fix("write it as mysql://user:password@host:3306/database, with ?sslmode=disable behind it or without")
    };
    let address = address.replacen("mariadb://", "mysql://", 1);
    let opts = Opts::from_url(&address).map_err(|_| unusable("is none of a MariaDB or MySQL database"))?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(unusable("names no database"));
    }
    let encrypted = sql::is_encrypted(mode, opts.ip_or_hostname())
        .ok_or_else(|| unusable("says another `sslmode` than `require` or `disable`"))?;
    let opts = OptsBuilder::from_opts(opts)
        // A socket would go around the address that was given.
        .prefer_socket(false)
        .tcp_keepalive(Some(Duration::from_secs(60)))
        .stmt_cache_size(64)
        .connect_attribute("program_name", "ironbridge");
    Ok(system::of(Database {
        system: name.to_owned(),
        opts: opts.into(),
        encrypted,
        ca: options.text("ca").map(PathBuf::from),
        timeout: options.duration("timeout").unwrap_or(Duration::from_secs(30)),
        rules: Known::default(),
        account: Arc::default(),
    }))
}

impl Engine for Database {
    fn dialect(&self) -> &'static dyn Dialect {
        &dialect::MySql
    }

    fn words(&self) -> Words<'_> {
        Words {
            system: &self.system,
            user: self.opts.user().unwrap_or("root"),
            database: self.opts.db_name().unwrap_or_default(),
            product: "MariaDB or MySQL server",
            databases: "mariadb -e 'SHOW DATABASES'",
            describe: "mariadb -e 'DESCRIBE {}'",
            shell: "mariadb -e 'SHOW TABLES'",
            grantee: self
                .account
                .get()
                .cloned()
                .unwrap_or_else(|| session::account(self.opts.user().unwrap_or("root"))),
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

    fn connect(&self, purpose: Use) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>> {
        Box::pin(async move { Ok(Box::new(session::Connection::open(self, purpose).await?) as Box<dyn Session>) })
    }

    fn key_rules(&self, table: &str, key: &[String]) -> KeyRules {
        self.rules.of(table, key, rules::LOOSE)
    }
}
