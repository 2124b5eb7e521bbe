//! The traits through which the hub sees the outside world.
//!
//! Futures are boxed once for each batch or chunk, never for each row. Dropping a future cancels the call; a call that
//! was cut may have taken effect, which is why writes are idempotent.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::{
    Attempt, Batch, Catalog, Change, Code, Current, Fault, Key, KeyRules, Notice, Options, Outcome, Queryable,
    Reference, Row, Schema, Type, Value,
};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One system, as its connector opened it. Opening does no IO.
pub trait System: Send + Sync {
    /// Reachable? Permitted? What version? *Cancel*: safe. Answers within seconds.
    fn check(&self) -> BoxFuture<'_, Result<Health, Fault>>;

    /// The live catalogue of these tables; a table that does not exist is not in the answer.
    fn catalog<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Catalog, Fault>>;

    /// The rights that are missing for what is done with these tables: a sentence for each table, with what to do.
    /// Changes nothing. *Shape*: empty where nothing is missing, or this kind of system does not tell its rights; a
    /// table that does not exist is not in the answer. What may be read is also told by [`Source::probe`].
    fn lacks<'a>(&'a self, uses: &'a [TableUse]) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        let _ = uses;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// What this kind of system tells only to who does it: a sentence for each table that is written, with what a
    /// write there needs. *Shape*: empty where [`System::lacks`] tells it.
    fn untold(&self, uses: &[TableUse]) -> Vec<String> {
        let _ = uses;
        Vec::new()
    }

    /// *Errors*: a `Stop` where this kind of system cannot be read in that way.
    fn source(&self, spec: ReadSpec) -> Result<Arc<dyn Source>, Fault>;

    /// Holds on to this moment, for reads that are to see the same rows; `None` where this kind of system cannot.
    fn moment(&self) -> BoxFuture<'_, Result<Option<Arc<Moment>>, Fault>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// *Errors*: a `Stop` where this kind of system cannot be written in that way.
    fn sink(&self, spec: WriteSpec) -> Result<Arc<dyn Sink>, Fault>;

    /// What the system itself starts when rows of these tables are written. A system that starts nothing, or does not
    /// tell, has none.
    fn starts<'a>(&'a self, tables: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Automation>, Fault>> {
        let _ = tables;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// A table that answers a user's query at once: for virtual tables.
    ///
    /// *Errors*: a `Stop` where this kind of system cannot be asked while somebody waits.
    fn queryable(&self, spec: ReadSpec) -> Result<Arc<dyn Queryable>, Fault> {
        let what = format!("`{}` is in a kind of system that cannot show its rows as a virtual table", spec.table);
        Err(Fault::stop(Code("IB0007"), what).fix("bring the rows to Dynamics by a batch integration instead"))
    }

    /// Compares the keys by which rows are written with those of the system's tables, and with `apply` makes them.
    ///
    /// Safe to repeat. `None` where this kind of system has no keys that an API makes.
    fn keys<'a>(
        &'a self,
        wanted: &'a [crate::WantedKey],
        apply: bool,
    ) -> Option<BoxFuture<'a, Result<Vec<crate::Difference>, Fault>>> {
        let _ = (wanted, apply);
        None
    }

    /// Compares what this system sends with what it should send, and with `apply` makes it so.
    ///
    /// Safe to repeat. `None` where this kind of system is not told by an API.
    fn register<'a>(
        &'a self,
        wanted: &'a crate::Registration,
        apply: bool,
    ) -> Option<BoxFuture<'a, Result<Vec<crate::Difference>, Fault>>> {
        let _ = (wanted, apply);
        None
    }

    /// Compares the virtual table that this system has with the one that it should have, and with `apply` makes it so.
    ///
    /// Safe to repeat. `None` where this kind of system has no virtual tables.
    fn publish<'a>(
        &'a self,
        wanted: &'a crate::VirtualTable,
        apply: bool,
    ) -> Option<BoxFuture<'a, Result<crate::Published, Fault>>> {
        let _ = (wanted, apply);
        None
    }

    /// By what events of this system name it, so that those of a copy of it can be told. `None` where they do not.
    fn environment(&self) -> BoxFuture<'_, Result<Option<String>, Fault>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// What an event of this system says. `None` where events of this kind of system carry the row itself, as JSON.
    ///
    /// *Errors*: a `Reject` for what is no event of this kind of system.
    fn decode(&self, body: &[u8]) -> Option<Result<Signal, Fault>> {
        let _ = body;
        None
    }
}

/// One moment of a system. Dropping it lets go of it.
pub struct Moment {
    held: Box<dyn Any + Send + Sync>,
}

impl Moment {
    /// `held` is what the connector needs to read at this moment, and what keeps it.
    pub fn new(held: impl Any + Send + Sync) -> Moment {
        Moment { held: Box::new(held) }
    }

    /// What the connector holds, where the moment is one of its own.
    pub fn held<T: Any>(&self) -> Option<&T> {
        self.held.downcast_ref()
    }
}

/// A way to tell people.
pub trait Notify: Send + Sync {
    /// Sends one notice; done when the other side has taken it.
    ///
    /// *Errors*: `IB1001`, transient where the other side may take it later.
    fn notify<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Fault>>;
}

/// An event as a signal: which row it is about. What the row holds is asked for when the event is processed.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub happened: Happened,
    pub table: String,
    /// The source's own id of the row: the value of its table's primary key.
    pub id: Value,
    /// The columns that were written; `None` where the event does not say.
    pub columns: Option<Vec<String>>,
    /// What the event itself says that the row holds, or held before it was deleted. *Shape*: only some of its columns;
    /// times as instants, also of columns without a zone, whose clock is read as UTC.
    pub values: Vec<(String, Value)>,
    /// Which environment it comes from, where it says that: see [`System::environment`].
    pub environment: Option<String>,
}

/// Something that a system does by itself when a row is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Automation {
    pub table: String,
    /// What it is there: `plug-in step`, `webhook`, `workflow`, `flow`.
    pub kind: &'static str,
    pub name: String,
    /// What starts it.
    pub on: Vec<Happened>,
    /// Only when one of these columns is written; empty for any.
    pub columns: Vec<String>,
    /// The write waits for it, and fails when it does.
    pub in_the_write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Happened {
    Created,
    Updated,
    Deleted,
}

/// What is done with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableUse {
    /// The name of the entity where this kind of system has no tables.
    pub table: String,
    pub reads: bool,
    pub writes: bool,
    /// Rows that are gone from the source are deleted here.
    pub deletes: bool,
}

/// What a user of a database may do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Select,
    Insert,
    Update,
    Delete,
}

impl TableUse {
    /// Rows are written by comparing them with what is there, so who writes also reads.
    pub fn rights(&self) -> impl Iterator<Item = Right> + use<> {
        let TableUse { reads, writes, deletes, .. } = *self;
        let wanted = [
            (Right::Select, reads || writes || deletes),
            (Right::Insert, writes),
            (Right::Update, writes),
            (Right::Delete, deletes),
        ];
        wanted.into_iter().filter_map(|(right, wanted)| wanted.then_some(right))
    }
}

impl Right {
    /// As `GRANT` names it.
    pub fn word(self) -> &'static str {
        match self {
            Right::Select => "SELECT",
            Right::Insert => "INSERT",
            Right::Update => "UPDATE",
            Right::Delete => "DELETE",
        }
    }
}

/// What a system said of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Product and version, in its own words.
    pub version: String,
    /// Who we are there.
    pub user: Option<String>,
    /// Sentences about what is missing, each with what to do.
    pub missing: Vec<String>,
    /// Sentences about what could not be asked without doing it.
    pub untold: Vec<String>,
}

/// What to read from one table (or query) of a system.
#[derive(Debug, Clone)]
pub struct ReadSpec {
    pub table: String,
    /// The columns that mappings and filters use, without repeats. A JSON path is a column too (`a.b`).
    pub columns: Vec<String>,
    /// The types that the definition declares (`columns:`), where a system has no catalogue that says them.
    pub declared: Vec<(String, Type)>,
    pub watermark: Option<Watermark>,
    /// The columns of the row's own key, where known: they make the order of a read total.
    pub key: Vec<String>,
    /// Rows of one page at most.
    pub rows_per_batch: usize,
    /// The zone of times that come without one.
    pub time_zone: Option<jiff::tz::TimeZone>,
    /// Fields of the entity with the columns that they are read from as they are: for requests that name a field.
    pub fields: Vec<(String, String)>,
    /// The other options of this entity in this system (`query`, `file`, `format`, …), by the connector's field table.
    pub options: Options,
}

/// A column that grows when a row changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Watermark {
    pub column: String,
    /// How far to read back, for transactions that commit late.
    pub overlap: Duration,
}

pub trait Source: Send + Sync {
    /// Reads everything, or what changed since `cursor`, which an earlier page of this source carried.
    ///
    /// *Errors*: `IB06xx`. A cursor that has expired is no error: the reader says `Full` and why.
    fn read<'a>(&'a self, cursor: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>>;

    /// As [`Source::read`], of the rows as they were at this moment of the same system.
    fn read_at<'a>(
        &'a self,
        cursor: Option<&'a str>,
        moment: &'a Arc<Moment>,
    ) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        let _ = moment;
        self.read(cursor)
    }

    /// Reads the rows whose watermark is in this window: from its beginning, up to and without its end.
    ///
    /// *Errors*: a `Stop` where the source has no watermark that is a time.
    fn window<'a>(&'a self, from: Timestamp, to: Timestamp) -> BoxFuture<'a, Result<Box<dyn Reader>, Fault>> {
        let _ = (from, to);
        let what = "services and files cannot be asked for a window of time";
        Box::pin(std::future::ready(Err(Fault::stop(Code("IB0736"), what)
            .fix("read everything instead: ironbridge state reset, and run; what is right is not written again"))))
    }

    /// Asks for as little as shows whether the rows may be read: for systems that do not tell their rights. Changes
    /// nothing. *Errors*: what a read would say.
    fn probe(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The rows with these values of [`ReadSpec::key`], in the order asked; `None` where there is none.
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Row>>, Fault>>;

    /// The rows whose column `parent` points to these rows, in the order asked.
    ///
    /// *Errors*: a `Stop` where this kind of system is not asked for children.
    fn children<'a>(&'a self, parent: &'a str, ids: &'a [Value]) -> BoxFuture<'a, Result<Vec<Vec<Row>>, Fault>> {
        let _ = ids;
        let what = format!("lines cannot be found by `{parent}` in this kind of system yet");
        Box::pin(std::future::ready(Err(Fault::stop(Code("IB0007"), what).fix("leave the lines out"))))
    }

    /// The hub will not ask for anything before this position again: a page of this source carried it, and everything
    /// up to it is committed. Called at the end of each run, also with a position that was told before.
    ///
    /// *Errors*: what was read cannot be put away; its rows are settled all the same.
    fn committed<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        let _ = cursor;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A read in progress. Dropping it ends it and leaves no lock behind.
pub trait Reader: Send {
    fn kind(&self) -> ReadKind;

    /// The columns of each page.
    fn schema(&self) -> &Arc<Schema>;

    /// What is there and is left for a later read, and why, for people: a file that is still being written.
    fn left(&self) -> Option<&str> {
        None
    }

    /// The next page, or `None` at the end. *Shape*: pages have at most `rows_per_batch` rows.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>, Fault>>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadKind {
    /// Every row that there is. `why` where changes were asked for and could not be had.
    Full { why: Option<String> },
    /// What changed since the cursor.
    Changes,
}

/// Some rows, and the place to go on from once they are done.
#[derive(Debug, Clone)]
pub struct Page {
    pub batch: Batch,
    /// Rows that were read and cannot be used. *Shape*: none of them is in `batch` too.
    pub unreadable: Vec<Unreadable>,
    /// Rows that the source says are gone, by the source's own row id.
    pub deleted: Vec<Arc<str>>,
    /// Hand this to [`Source::read`] to go on after this page, after a crash or in the next run; `None` where the next
    /// read has to start from the beginning.
    pub cursor: Option<String>,
}

/// A row with a value that cannot be read: a date that is none, a local time that exists twice, a broken line.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// What could be read, in the page's columns; the rest is blank. The key can be taken from it where its columns are
    /// whole.
    pub row: Row,
    pub fault: Fault,
}

/// How the lines of a document are written: as rows of a table of their own that point to it.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteLines {
    /// Their table; a change carries them as the column of this name.
    pub table: String,
    /// Its column that points to the document.
    pub parent: String,
    /// Its column that tells the lines of one document apart.
    pub key: String,
    /// What to read of lines that are there, to tell whether writing would change anything.
    pub columns: Vec<String>,
}

/// What to write to one table of a system.
#[derive(Debug, Clone)]
pub struct WriteSpec {
    pub table: String,
    /// The columns of the alternate key.
    pub key: Vec<String>,
    /// Every column that a change may carry.
    pub columns: Vec<String>,
    /// The zone that times get on their way into a column that keeps none.
    pub time_zone: Option<jiff::tz::TimeZone>,
    /// Fields of the entity with the columns that they are written to as they are: for requests that name a field.
    pub fields: Vec<(String, String)>,
    /// Lines that become rows of other tables.
    pub lines: Vec<WriteLines>,
    /// The other options of this entity in this system, by the connector's field table.
    pub options: Options,
}

pub trait Sink: Send + Sync {
    /// Writes one chunk. *Shape*: one outcome for each change, in order.
    ///
    /// *Errors*: a fault of the whole chunk (the destination is down, or the answer was lost). Repeating the chunk is
    /// safe: each change is an upsert or a delete by key.
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>>;

    /// Writes a chunk as [`Sink::apply`] does, and with it the note that this message did so: both or neither. What a
    /// message has done is not done again, whatever became of the rows since; where a row is refused nothing is noted.
    ///
    /// A destination that keeps no such notes writes the chunk: by its keys that is safe to repeat.
    ///
    /// *Shape*: `message` is 32 characters of hexadecimal, another one for other content.
    fn apply_once<'a>(&'a self, message: &'a str, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        let _ = message;
        self.apply(changes)
    }

    /// The rows that the destination has for these keys, with these columns, in the order asked.
    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>>;

    /// The rows that hold these values in `by`, with these columns; for each of `values`, as many as there are.
    ///
    /// *Errors*: a `Stop` where this kind of system is not searched.
    fn find<'a>(
        &'a self,
        by: &'a [String],
        values: &'a [Vec<Value>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<Current>>, Fault>> {
        let _ = (values, columns);
        let what = format!("rows cannot be found by {} in this kind of system", by.join(", "));
        Box::pin(std::future::ready(Err(Fault::stop(Code("IB0007"), what).fix("leave `match_existing:` out"))))
    }

    /// The rows with these ids of the destination's own, whatever key they have by now; in the order asked.
    ///
    /// *Shape*: nothing is known where the destination gives no ids.
    fn by_id<'a>(
        &'a self,
        ids: &'a [Arc<str>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        let _ = columns;
        Box::pin(std::future::ready(Ok(vec![None; ids.len()])))
    }

    /// Which of the rows that these references point to are not there, in the order asked: a change that points to one
    /// is refused until it is. A destination that does not look at references misses none.
    fn missing<'a>(&'a self, references: &'a [&'a Reference]) -> BoxFuture<'a, Result<Vec<bool>, Fault>> {
        Box::pin(std::future::ready(Ok(vec![false; references.len()])))
    }

    /// What the destination would not keep as it is given, told without writing: for each change the fault that `apply`
    /// would refuse it with, as far as only the destination can know. `new` says of each whether it creates its row. For
    /// plans.
    fn unfit<'a>(&'a self, changes: &'a [Change], new: &'a [bool]) -> BoxFuture<'a, Result<Vec<Option<Fault>>, Fault>> {
        let _ = new;
        Box::pin(std::future::ready(Ok(vec![None; changes.len()])))
    }

    /// Rows that one call of `apply` should carry.
    fn rows_per_chunk(&self) -> usize;

    /// Rows that one call of `create` should carry; 0 where rows are written only after a look at what is there.
    fn rows_per_create(&self) -> usize {
        0
    }

    /// Creates rows that nobody knows yet, without a look at what is there: a row that is there is refused, and so may
    /// others be that were sent with it. *Shape*: one answer for each change, in order.
    ///
    /// *Errors*: a fault of the whole call, where nothing of it was written. Repeating it is safe.
    fn create<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Attempt>, Fault>> {
        Box::pin(std::future::ready(Ok(vec![Attempt::Not; changes.len()])))
    }

    /// Whether [`Sink::current`] can tell what is there. Where it cannot, it answers that nothing is.
    fn tells(&self) -> bool {
        true
    }

    /// Whether an update has to carry every column, because the destination replaces the row by what it gets.
    fn replaces(&self) -> bool {
        false
    }

    /// How the destination compares keys.
    fn key_rules(&self) -> KeyRules;
}
