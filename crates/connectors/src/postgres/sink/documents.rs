//! Documents and their lines through one session.

use record::{Change, Code, Current, Fault, Outcome, Value};

use super::super::fault::{self, About, Failure};
use super::{Described, Session, Table, id};
use crate::sql::documents::{Tables, no_inbox};
use crate::sql::quote;

const CREATE: &str =
    "CREATE TABLE ironbridge_inbox (message text PRIMARY KEY, taken_at timestamptz NOT NULL DEFAULT now())";
const NOTE: &str = "INSERT INTO ironbridge_inbox (message) VALUES ($1) ON CONFLICT DO NOTHING";
/// No queue comes back to a message after so long.
const FORGET: &str = "DELETE FROM ironbridge_inbox WHERE taken_at < now() - interval '30 days'";

pub(super) struct Opened<'a> {
    pub table: &'a Table,
    pub session: &'a mut Session,
}

impl Opened<'_> {
    fn at(&self, at: usize) -> (&Table, &Described) {
        match at.checked_sub(1) {
            None => (self.table, &self.session.described),
            Some(lines) => (&self.table.lines[lines], &self.session.lines[lines]),
        }
    }

    async fn run(&self, sql: &str) -> Result<(), Failure> {
        self.table.run(&self.session.client, sql).await
    }
}

impl Tables for Opened<'_> {
    type Failure = Failure;

    async fn begin(&mut self) -> Result<(), Failure> {
        self.run("BEGIN").await
    }

    async fn end(&mut self, commits: bool) -> Result<(), Failure> {
        self.run(if commits { "COMMIT" } else { "ROLLBACK" }).await
    }

    async fn described(&mut self, at: usize) -> Result<record::catalog::Table, Failure> {
        Ok(self.at(at).1.table.clone())
    }

    async fn write(&mut self, at: usize, changes: &[Change]) -> Result<Vec<Outcome>, Failure> {
        let (table, described) = self.at(at);
        let written = table.write(&self.session.client, described, changes).await;
        // What goes wrong with lines is told of their table.
        written.map_err(|failure| if at == 0 { failure } else { table.failed(failure).into() })
    }

    async fn find(
        &mut self,
        at: usize,
        by: &[String],
        values: &[Vec<Value>],
        columns: &[String],
        ids: bool,
    ) -> Result<Vec<Vec<Current>>, Failure> {
        let (table, described) = self.at(at);
        let id = match ids {
            true => Some(id(described).ok_or_else(|| table.nothing_to_adopt_by())?),
            false => None,
        };
        table.look_up(&self.session.client, described, by, values, columns, id).await
    }

    async fn inbox(&mut self) -> Result<(), Failure> {
        if self.session.has_inbox {
            return Ok(());
        }
        match self.run(FORGET).await {
            Ok(()) => {}
            Err(failure) if failure.about() == About::NoTable => match self.run(CREATE).await {
                Ok(()) => {}
                Err(failure) if failure.about() == About::NoRight => {
                    let database = &self.table.database;
                    let user = database.config.get_user().unwrap_or_default();
                    return Err(no_inbox(&database.system, user, CREATE, &quote(user)).into());
                }
                // Another session was faster.
                Err(failure) => self.run(FORGET).await.map_err(|_| failure)?,
            },
            Err(failure) => return Err(failure),
        }
        self.session.has_inbox = true;
        Ok(())
    }

    async fn note(&mut self, message: &str) -> Result<bool, Failure> {
        let client = &self.session.client;
        let noted = self.table.database.in_time(async { Ok(client.execute(NOTE, &[&message]).await?) });
        Ok(noted.await? > 0)
    }
}

impl Table {
    fn nothing_to_adopt_by(&self) -> Fault {
        let what = format!("`{}` has no primary key of one column, so no row of it can be adopted", self.spec.table);
        let fault = Fault::stop(Code("IB0506"), what).fix("leave `match_existing:` out");
        fault::place(fault, &self.database, &self.spec.table)
    }
}
