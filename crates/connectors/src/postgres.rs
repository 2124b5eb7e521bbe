//! PostgreSQL, as a source and as a destination.
//!
//! The usual types are read in their binary form. All others, and everything that is written, go as PostgreSQL's own
//! texts, under session settings that make them exact and the same on every server (ISO dates, UTC, all digits of a
//! float): whatever a type is, it is read as the database writes it.
//!
//! *Limits*: a read holds one read-only transaction, so that it sees one moment; it keeps no writer waiting. TLS is
//! verified against the certificates that this machine trusts, or those of `ca`, unless the URL says `sslmode=disable` or the server is on
//! this machine.
//!
//! *Source*: <https://www.postgresql.org/docs/15/> (catalogs, `INSERT … ON CONFLICT`, `errcodes-appendix`).

mod catalog;
mod fault;
mod query;
mod sink;
mod source;
mod value;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use record::{
    BoxFuture, Catalog, Code, Fault, Field, FieldType, Health, Keeps, Kind, Moment, Options, Queryable, ReadSpec, Sink,
    Source, System, TableUse, WriteSpec,
};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::sql;
use crate::sql::rules::Known;
use fault::Failure;

/// `kind: postgres`.
pub static KIND: Kind = Kind {
    name: "postgres",
    doc: "A PostgreSQL database.",
    connection: &[
        Field::new(
            "url",
            FieldType::Url,
            "The address of the database, with user and password: `postgres://user:password@host:5432/database`.",
            "\"${env:FINANCE_URL}\"",
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
    config: tokio_postgres::Config,
    ca: Option<PathBuf>,
    timeout: Duration,
    rules: Known,
}

/// Opens a PostgreSQL system; see [`crate::registry::Entry::open`].
pub fn open(name: &str, options: Options) -> Result<Arc<dyn System>, Fault> {
    let url = options.text("url").unwrap_or_default();
    let mut config = config(url).map_err(|(what, fix)| {
        Fault::stop(Code("IB0601"), format!("system `{name}` has a `url:` that {what}")).at_system(name).fix(fix)
    })?;
    let timeout = options.duration("timeout").unwrap_or(Duration::from_secs(30));
    config.application_name("ironbridge").connect_timeout(timeout);
    if !url.contains("sslmode=") {
        let here = config.get_hosts().iter().all(is_this_machine);
        config.ssl_mode(if here { SslMode::Disable } else { SslMode::Require });
    }
    let (system, ca) = (name.to_owned(), options.text("ca").map(PathBuf::from));
    Ok(Arc::new(Database { system, config, ca, timeout, rules: Known::default() }))
}

/// What an address says. *Errors*: what is wrong with it and what to write instead; what the address holds is a secret, and
/// is not repeated.
fn config(url: &str) -> Result<tokio_postgres::Config, (String, &'static str)> {
    // Whoever is spoken to under TLS shows a certificate that is trusted and has the name of the host.
    let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    url.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let option = cause.contains("option `").then(|| cause.split('`').nth(1)).flatten();
        match option {
            Some(option) => (
                format!("has an option `{option}` that cannot be used like this"),
                "leave it out: ?sslmode=require asks for TLS, and `ca:` beside `url:` names who signed the certificate",
            ),
            None => (
                "is none of a PostgreSQL database".to_owned(),
                "write it as postgres://user:password@host:5432/database",
            ),
        }
    })
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => sql::is_this_machine(name),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

impl Database {
    /// A new session with the settings that everything here relies on.
    async fn connect(&self, purpose: Use) -> Result<Client, Failure> {
        self.in_time(async {
            let client = if self.config.get_ssl_mode() == SslMode::Disable {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                client
            } else {
                rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
                let config = match &self.ca {
                    Some(ca) => sql::tls::config(ca).await.map_err(Failure::Tls)?,
                    None => rustls::ClientConfig::with_platform_verifier()
                        .map_err(|why| Failure::Tls(why.to_string()))?,
                };
                let (client, connection) = self.config.connect(MakeRustlsConnect::new(config)).await?;
                tokio::spawn(connection);
                client
            };
            let read_only = if purpose == Use::Read { "on" } else { "off" };
            let timeout_ms = self.timeout.as_millis();
            client
                .batch_execute(&format!(
                    "SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 1;
                     SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET lock_timeout = {timeout_ms};
                     SET statement_timeout = {timeout_ms}; SET idle_in_transaction_session_timeout = 0;
                     SET default_transaction_read_only = {read_only}"
                ))
                .await?;
            Ok(client)
        })
        .await
        .map_err(|failure| match failure {
            Failure::Silent(after) => Failure::Unanswered(after),
            other => other,
        })
    }

    /// The server ends its own statements; this is for a server that does not answer at all.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let longest = self.timeout + Duration::from_secs(2);
        tokio::time::timeout(longest, work).await.unwrap_or(Err(Failure::Silent(longest)))
    }
}

impl System for Database {
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>> {
        Box::pin(async {
            let failed = |failure: Failure| fault::source(self, "", &failure);
            let client = self.connect(Use::Read).await.map_err(failed)?;
            let row = self.in_time(async { Ok(client.query_one(catalog::WHO, &[]).await?) }).await.map_err(failed)?;
            let (version, user, database, tables): (&str, &str, &str, i64) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            let mut missing = Vec::new();
            if tables == 0 {
                missing.push(format!(
                    "`{user}` may read no table of `{database}`; as its owner: GRANT SELECT ON <table> TO {}",
                    sql::quote(user)
                ));
            }
            Ok(Health {
                version: format!("PostgreSQL {version}"),
                user: Some(user.to_owned()),
                missing,
                ..Health::default()
            })
        })
    }

    fn catalog<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>> {
        Box::pin(async move {
            let failed = |failure: Failure| fault::source(self, "", &failure);
            let client = self.connect(Use::Read).await.map_err(failed)?;
            let mut catalog = Catalog::default();
            for name in tables {
                let described = self.in_time(catalog::table(&client, name)).await.map_err(failed)?;
                let Some(described) = described else { continue };
                described.rules.iter().for_each(|(column, rules)| self.rules.put(name, column, *rules));
                catalog.tables.push(described.table);
            }
            Ok(catalog)
        })
    }

    fn lacks<'a>(&'a self, uses: &'a [TableUse]) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            let failed = |failure: Failure| fault::source(self, "", &failure);
            let client = self.connect(Use::Read).await.map_err(failed)?;
            let user = self.config.get_user().unwrap_or("this user");
            let mut missing = Vec::new();
            for of in uses {
                let lacks = self.in_time(catalog::lacks(&client, of)).await.map_err(failed)?;
                missing.extend(sql::lacking(user, &of.table, &lacks, "its owner", &sql::quote(user)));
            }
            Ok(missing)
        })
    }

    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault> {
        Ok(Arc::new(source::Table::new(self.clone(), spec)))
    }

    fn moment(&self) -> BoxFuture<'_, Result<Option<Arc<Moment>>, Fault>> {
        Box::pin(async {
            let client = self.connect(Use::Read).await.map_err(|failure| fault::source(self, "", &failure))?;
            let export = async {
                client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                Ok(client.query_one("SELECT pg_export_snapshot()", &[]).await?.try_get::<_, String>(0)?)
            };
            // A server that does not export its moments is read one after the other.
            let snapshot = self.in_time(export).await.ok();
            Ok(snapshot.map(|name| Arc::new(Moment::new(source::Held { name, _session: client }))))
        })
    }

    fn queryable(&self, spec: ReadSpec) -> Result<Arc<dyn Queryable>, Fault> {
        Ok(Arc::new(query::Table::new(self.clone(), spec)))
    }

    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault> {
        Ok(Arc::new(sink::Table::new(self.clone(), spec)))
    }
}

/// `"finance"."customers"` for `finance.customers`.
fn quote_table(name: &str) -> String {
    name.split('.').map(sql::quote).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_and_what_is_wrong_with_it() {
        for mode in ["verify-full", "verify-ca", "require"] {
            let config = config(&format!("postgres://hub:pass@db.example:5433/finance?sslmode={mode}")).unwrap();
            assert_eq!(config.get_ssl_mode(), SslMode::Require, "{mode}");
        }
        let wrong = |url: &str| config(url).unwrap_err().0;
        for option in ["sslmode=perhaps", "sslrootcert=pass.pem"] {
            let told = wrong(&format!("postgres://hub:pass@db.example/finance?{option}"));
            assert!(told.contains(option.split('=').next().unwrap()) && !told.contains("pass"), "{told}");
        }
        assert_eq!(wrong("mysql://hub:pass@db.example/finance"), "is none of a PostgreSQL database");
    }
}
