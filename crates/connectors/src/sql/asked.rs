//! What answering a user's question needs, whatever the database: sessions that are kept, and how a page is gathered.

use std::sync::{Arc, Mutex};

use record::query::{Answer, Query};
use record::{Code, Fault, ReadSpec, Schema, UnreadBuilder, Value};

/// Sessions that are kept open for the next question.
const KEPT: usize = 16;

/// Why a text cannot be read.
pub(crate) const NOT_UTF_8: &str = "this text is not UTF-8";

/// Rows that there is room for before they come: more of them make it as they do.
const ROOM: usize = 512;

/// Sessions that nobody uses at the moment.
pub(crate) struct Kept<S>(Mutex<Vec<S>>);

impl<S> Default for Kept<S> {
    fn default() -> Self {
        Kept(Mutex::default())
    }
}

impl<S> Kept<S> {
    /// The one that was used last.
    pub fn take(&self) -> Option<S> {
        self.0.lock().expect("nothing panics while it takes a session").pop()
    }

    /// Keeps a session that can be used again; one too many is closed.
    pub fn keep(&self, session: S) {
        let mut kept = self.0.lock().expect("nothing panics while it returns a session");
        if kept.len() < KEPT {
            kept.push(session);
        }
    }
}

/// The page of an answer, a value at a time.
pub(crate) struct Gathered<'a> {
    system: &'a str,
    spec: &'a ReadSpec,
    schema: Arc<Schema>,
    /// What needs nothing made of it is put there at once.
    pub rows: UnreadBuilder,
}

impl<'a> Gathered<'a> {
    /// `columns` are those that the table was opened with.
    pub fn new(system: &'a str, spec: &'a ReadSpec, columns: &Schema, query: &Query) -> Gathered<'a> {
        let wanted = query.columns.iter().map(|name| {
            let at = columns.index(name).expect("only columns that it was opened with are asked for");
            columns.columns()[at].clone()
        });
        let schema = Schema::new(wanted.collect());
        let mut rows = UnreadBuilder::new(schema.clone());
        rows.reserve(usize::try_from(query.limit).unwrap_or(ROOM).min(ROOM));
        Gathered { system, spec, rows, schema }
    }

    /// The columns of the answer.
    pub fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    /// The next value, row by row. *Errors*: a value that cannot be read: there is no answer without it.
    pub fn push(&mut self, value: Result<Value, String>) -> Result<(), Fault> {
        match value {
            Ok(value) => {
                self.rows.push(value.as_ref());
                Ok(())
            }
            Err(why) => Err(match self.rows.unreadable() {
                Some(before) => unreadable(self.system, self.spec, &self.schema, before, NOT_UTF_8),
                None => unreadable(self.system, self.spec, &self.schema, self.rows.cells(), &why),
            }),
        }
    }

    /// *Errors*: a text that is none: there is no answer without it.
    pub fn answer(self, count: Option<u64>) -> Result<Answer, Fault> {
        let Gathered { system, spec, schema, rows } = self;
        let rows = rows.finish().map_err(|cell| unreadable(system, spec, &schema, cell, NOT_UTF_8))?;
        Ok(Answer { rows, count })
    }
}

/// Why there is no page: `cell` is counted over all its rows.
fn unreadable(system: &str, spec: &ReadSpec, schema: &Schema, cell: usize, why: &str) -> Fault {
    let (table, columns) = (&spec.table, schema.columns());
    Fault::reject(Code("IB0606"), format!("a row of `{table}` cannot be read: {why}"))
        .at_system(system)
        .at_table(table)
        .at_column(&*columns[cell % columns.len()].name)
        .fix("correct the value in the source")
}
