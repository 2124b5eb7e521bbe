//! What answering a user's question needs, whatever the database: sessions that are kept, and how a page is gathered.

use std::sync::{Arc, Mutex};

use record::query::{Answer, Query};
use record::{Batch, BatchBuilder, Code, Fault, ReadSpec, Schema, Value, ValueRef};

/// Sessions that are kept open for the next question.
const KEPT: usize = 16;

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
    rows: BatchBuilder,
    at: usize,
}

impl<'a> Gathered<'a> {
    /// `columns` are those that the table was opened with.
    pub fn new(system: &'a str, spec: &'a ReadSpec, columns: &Schema, query: &Query) -> Gathered<'a> {
        let wanted = query.columns.iter().map(|name| {
            let at = columns.index(name).expect("only columns that it was opened with are asked for");
            columns.columns()[at].clone()
        });
        let schema = Schema::new(wanted.collect());
        let mut rows = Batch::builder(schema.clone());
        rows.reserve(usize::try_from(query.limit).unwrap_or(ROOM).min(ROOM));
        Gathered { system, spec, rows, schema, at: 0 }
    }

    /// The columns of the answer.
    pub fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    /// The next value, as the source has it: nothing of it is copied on the way.
    pub fn push_as_it_is(&mut self, value: ValueRef<'_>) {
        self.rows.push(value);
        self.at += 1;
    }

    /// The next value, row by row. *Errors*: a value that cannot be read: there is no answer without it.
    pub fn push(&mut self, value: Result<Value, String>) -> Result<(), Fault> {
        match value {
            Ok(value) => {
                self.rows.push(value.as_ref());
                self.at += 1;
                Ok(())
            }
            Err(why) => {
                let table = &self.spec.table;
                let column = &self.schema.columns()[self.at % self.schema.len()].name;
                Err(Fault::reject(Code("IB0606"), format!("a row of `{table}` cannot be read: {why}"))
                    .at_system(self.system)
                    .at_table(table)
                    .at_column(&**column)
                    .fix("correct the value in the source"))
            }
        }
    }

    pub fn answer(self, count: Option<u64>) -> Answer {
        Answer { rows: self.rows.finish(), count }
    }
}
