//! Documents and their lines through a session of an [`Engine`](crate::sql::engine::Engine).

use record::{Change, Code, Current, Fault, Outcome, Value};

use super::{Described, Open, Table};
use crate::sql::documents::{Tables, no_inbox};
use crate::sql::engine::Cell;
use crate::sql::failure::{About, Failure};

pub(super) struct Opened<'a> {
    pub table: &'a Table,
    pub open: &'a mut Open,
}

impl<'a> Opened<'a> {
    fn table(&self, at: usize) -> &'a Table {
        at.checked_sub(1).map_or(self.table, |lines| &self.table.lines[lines])
    }

    fn of(&self, at: usize) -> std::sync::Arc<Described> {
        at.checked_sub(1).map_or(&self.open.described, |lines| &self.open.lines[lines]).clone()
    }
}

impl Tables for Opened<'_> {
    type Failure = Failure;

    async fn begin(&mut self) -> Result<(), Failure> {
        match self.table.engine.dialect().writing() {
            "" => Ok(()),
            begin => self.open.session.run(begin, &[]).await.map(|_| ()),
        }
    }

    async fn end(&mut self, commits: bool) -> Result<(), Failure> {
        if self.table.engine.dialect().writing().is_empty() {
            return Ok(());
        }
        self.open.session.run(if commits { "COMMIT" } else { "ROLLBACK" }, &[]).await.map(|_| ())
    }

    async fn described(&mut self, at: usize) -> Result<record::catalog::Table, Failure> {
        Ok(self.of(at).table.clone())
    }

    async fn write(&mut self, at: usize, changes: &[Change]) -> Result<Vec<Outcome>, Failure> {
        let (table, described) = (self.table(at), self.of(at));
        let written = table.write(&mut *self.open.session, &described, changes).await;
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
        let (table, described) = (self.table(at), self.of(at));
        let id = match ids {
            true => Some(table.id(&described).ok_or_else(|| table.nothing_to_adopt_by())?),
            false => None,
        };
        table.read(&mut *self.open.session, &described, by, values, columns, id).await
    }

    async fn inbox(&mut self) -> Result<(), Failure> {
        let Some(inbox) = self.table.engine.dialect().inbox().filter(|_| !self.open.has_inbox) else { return Ok(()) };
        let session = &mut *self.open.session;
        match session.run(inbox.forget, &[]).await {
            Ok(_) => {}
            Err(failure) if matches!(failure.about(), About::NoTable | About::NoRight) => {
                let words = self.table.engine.words();
                session.run(inbox.create, &[]).await.map_err(|failure| match failure.about() {
                    About::NoRight => no_inbox(words.system, words.user, inbox.create, &words.grantee).into(),
                    _ => failure,
                })?;
            }
            Err(failure) => return Err(failure),
        }
        self.open.has_inbox = true;
        Ok(())
    }

    async fn note(&mut self, message: &str) -> Result<bool, Failure> {
        let Some(inbox) = self.table.engine.dialect().inbox() else { return Ok(true) };
        let bound = [Cell::Text(message.to_owned())];
        Ok(self.open.session.run(inbox.note, &bound).await? > 0)
    }
}

impl Table {
    fn nothing_to_adopt_by(&self) -> Fault {
        let what = format!("`{}` has no primary key of one column, so no row of it can be adopted", self.spec.table);
        self.place(Fault::stop(Code("IB0506"), what)).fix("leave `match_existing:` out")
    }
}
