//! One behaviour for all connectors: the suite that each of them has to pass.
//!
//! A [`Stand`] is a real system with a table to write to and read from. [`run`] puts a connector through every
//! [`Check`]; a check that cannot apply is waived with a reason, and a waiver that is no longer needed fails.

mod documents;
mod names;
mod proxy;
mod trouble;

use std::sync::Arc;

use record::{
    BoxFuture, Change, Effected, Fault, Key, Now, Op, Options, Page, ReadKind, ReadSpec, Row, Schema, Source, System,
    Type, Value, WriteSpec,
};

pub use names::option_names;
pub use proxy::Proxy;
pub use trouble::{Ground, Trouble};

/// What each connector has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// A full read gives each row once, in pages no larger than asked.
    ReadsEverythingOnce,
    /// A read goes on from the cursor of any page, and loses no row.
    GoesOnAfterACut,
    /// Writing the same rows twice leaves the rows as they are.
    WritesTwiceAsOnce,
    /// A change of a row that is gone by now makes none.
    MakesNoneOfAChange,
    /// Blanks, Unicode, numbers, dates, times and long texts come back as they went.
    RoundTrips,
    /// A row that is refused does not stop the others.
    RefusesOneRow,
    /// A read that is dropped in the middle lets others write at once.
    LeavesNoLock,
    WrongPassword,
    WrongTable,
    WrongColumn,
    /// The catalogue knows the table, its columns and the key.
    Describes,
    /// `check` says what it reached.
    SaysWhoItIs,
    /// A row is fetched by its key.
    GetsByKey,
    /// Lines are found by the column that names their parent.
    FindsChildren,
    /// A user whose right was revoked asks a person, reading and writing.
    RevokedRight,
    /// No room is something to try again.
    NoRoom,
    /// A read goes on after a network that was cut at any byte, and loses no row.
    CutWhileReading,
    /// A write that was cut at any byte and repeated is there once.
    CutWhileWriting,
    /// Sessions that the server ended are opened again.
    Restart,
    StatementTimeout,
    LockTimeout,
    /// A write that is dropped in the middle holds nothing.
    CancelledWrite,
    /// A document is written with its lines, changed line by line, and refused as a whole.
    WritesLines,
    /// What a message has done is not done again, and what was refused is not noted.
    NotesMessages,
    /// A server that takes connections and never answers is not waited for.
    Silence,
}

impl Check {
    pub const ALL: [Check; 25] = [
        Check::ReadsEverythingOnce,
        Check::GoesOnAfterACut,
        Check::WritesTwiceAsOnce,
        Check::MakesNoneOfAChange,
        Check::RoundTrips,
        Check::RefusesOneRow,
        Check::LeavesNoLock,
        Check::WrongPassword,
        Check::WrongTable,
        Check::WrongColumn,
        Check::Describes,
        Check::SaysWhoItIs,
        Check::GetsByKey,
        Check::FindsChildren,
        Check::RevokedRight,
        Check::NoRoom,
        Check::CutWhileReading,
        Check::CutWhileWriting,
        Check::Restart,
        Check::StatementTimeout,
        Check::LockTimeout,
        Check::CancelledWrite,
        Check::WritesLines,
        Check::NotesMessages,
        Check::Silence,
    ];

    /// What is checked, in a few words.
    pub fn says(self) -> &'static str {
        match self {
            Check::ReadsEverythingOnce => "a full read gives each row once, in pages no larger than asked",
            Check::GoesOnAfterACut => "a read goes on from the cursor of any page, and loses no row",
            Check::WritesTwiceAsOnce => "writing the same rows twice leaves them as they are",
            Check::MakesNoneOfAChange => {
                "a row that is deleted between a look and a change is not made of what differs"
            }
            Check::RoundTrips => "blanks, Unicode, exact numbers, days, times and long texts come back as they went",
            Check::RefusesOneRow => "a row that is refused does not stop the others",
            Check::LeavesNoLock => "a read that is dropped in the middle lets others write at once",
            Check::WrongPassword => "a wrong password asks a person",
            Check::WrongTable => "a table that is not there asks a person, reading and writing",
            Check::WrongColumn => "a column that is not there asks a person, reading and writing",
            Check::Describes => "the catalogue knows tables, columns, types and keys",
            Check::SaysWhoItIs => "`systems check` says what it reached",
            Check::GetsByKey => "rows are fetched by their keys",
            Check::FindsChildren => "lines are found by the column that names their parent",
            Check::RevokedRight => "a right that was taken away asks a person, reading and writing",
            Check::NoRoom => "no room is something to try again",
            Check::CutWhileReading => "a read goes on after a network that was cut at any byte",
            Check::CutWhileWriting => "a write that was cut at any byte and repeated is there once",
            Check::Restart => "sessions that the server ended are opened again",
            Check::StatementTimeout => "a statement that takes too long is given up",
            Check::LockTimeout => "a lock of somebody else is not waited for beyond the time-out",
            Check::CancelledWrite => "a write that is given up holds nothing",
            Check::WritesLines => "a document is written with its lines, and refused as a whole",
            Check::NotesMessages => "what a message has done is not done again",
            Check::Silence => "a server that never answers is not waited for",
        }
    }
}

/// A real system of one kind, with an empty table.
pub struct Stand {
    pub kind: &'static str,
    /// The rows to read are there already: a kind that is only read.
    pub filled: bool,
    pub system: Arc<dyn System>,
    /// The same system with a password or token that is wrong.
    pub wrong_password: Option<Arc<dyn System>>,
    pub table: &'static str,
    pub key: &'static str,
    /// A text column that takes at most 160 characters.
    pub text: &'static str,
    /// A column for long texts.
    pub long_text: &'static str,
    /// A column for exact numbers with two places.
    pub number: &'static str,
    pub date: Option<&'static str>,
    /// A column for points in time, to the second.
    pub time: &'static str,
    /// The options of the entity.
    pub options: Options,
    /// How to make trouble.
    pub trouble: Trouble,
    /// Checks that do not apply, each with its reason.
    pub waivers: &'static [(Check, &'static str)],
}

const ROWS: usize = 10;
const ROWS_PER_PAGE: usize = 3;

/// Puts a connector through every check. *Shape*: a sentence for each check that failed, and for each stale waiver.
pub async fn run(stand: &Stand) -> Vec<String> {
    let mut failures = Vec::new();
    // Rows to read are there before the first check.
    if let Err(why) = fill(stand).await {
        return vec![format!("{}: the rows to read could not be written: {why}", stand.kind)];
    }
    for check in Check::ALL {
        let waiver = stand.waivers.iter().find(|(waived, _)| *waived == check);
        match (one(stand, check).await, waiver) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Err(why), None) => failures.push(format!("{}: {check:?}: {why}", stand.kind)),
            (Ok(()), Some((_, reason))) => {
                failures.push(format!("{}: {check:?} is waived ({reason}), and passes: remove the waiver", stand.kind));
            }
        }
    }
    failures
}

fn one(stand: &Stand, check: Check) -> BoxFuture<'_, Result<(), String>> {
    let trouble = &stand.trouble;
    match check {
        Check::ReadsEverythingOnce => Box::pin(reads_everything_once(stand)),
        Check::GoesOnAfterACut => Box::pin(goes_on_after_a_cut(stand)),
        Check::WritesTwiceAsOnce => Box::pin(writes_twice_as_once(stand)),
        Check::MakesNoneOfAChange => Box::pin(makes_none_of_a_change(stand)),
        Check::RoundTrips => Box::pin(round_trips(stand)),
        Check::RefusesOneRow => Box::pin(refuses_one_row(stand)),
        Check::LeavesNoLock => Box::pin(leaves_no_lock(stand)),
        Check::WrongPassword => Box::pin(wrong_password(stand)),
        Check::WrongTable => Box::pin(wrong_table(stand)),
        Check::WrongColumn => Box::pin(wrong_column(stand)),
        Check::Describes => Box::pin(describes(stand)),
        Check::SaysWhoItIs => Box::pin(says_who_it_is(stand)),
        Check::GetsByKey => Box::pin(trouble::gets_by_key(stand)),
        Check::FindsChildren => Box::pin(trouble::children(stand)),
        Check::RevokedRight => Box::pin(trouble::revoked_right(stand, trouble)),
        Check::NoRoom => Box::pin(trouble::no_room(stand, trouble)),
        Check::CutWhileReading => Box::pin(trouble::cut_while_reading(stand, trouble)),
        Check::CutWhileWriting => Box::pin(trouble::cut_while_writing(stand, trouble)),
        Check::Restart => Box::pin(trouble::restart(stand, trouble)),
        Check::StatementTimeout => Box::pin(trouble::statement_timeout(stand, trouble)),
        Check::LockTimeout => Box::pin(trouble::lock_timeout(stand, trouble)),
        Check::CancelledWrite => Box::pin(trouble::cancelled_write(stand, trouble)),
        Check::WritesLines => Box::pin(documents::writes_lines(stand, trouble.lines)),
        Check::NotesMessages => Box::pin(documents::notes_messages(stand)),
        Check::Silence => Box::pin(trouble::silence(stand, trouble)),
    }
}

async fn fill(stand: &Stand) -> Result<(), String> {
    if stand.filled {
        return Ok(());
    }
    let changes: Vec<Change> =
        (0..ROWS).map(|i| upsert(&format!("R-{i:02}"), &[(stand.text, Value::text(format!("Row {i}")))])).collect();
    apply(stand, &changes).await.map(|_| ())
}

async fn reads_everything_once(stand: &Stand) -> Result<(), String> {
    let pages = read(stand, None).await?;
    if pages.iter().any(|page| page.batch.len() > ROWS_PER_PAGE) {
        return Err("a page has more rows than were asked for".to_owned());
    }
    let mut keys = own_keys(&pages);
    keys.sort();
    let expected: Vec<String> = (0..ROWS).map(|i| format!("R-{i:02}")).collect();
    equal("the keys", keys, expected)
}

async fn goes_on_after_a_cut(stand: &Stand) -> Result<(), String> {
    let whole = read(stand, None).await?;
    let everything: std::collections::BTreeSet<String> = own_keys(&whole).into_iter().collect();
    for cut in 0..whole.len().saturating_sub(1) {
        let Some(cursor) = &whole[cut].cursor else { return Err(format!("page {cut} has no cursor")) };
        let mut seen: std::collections::BTreeSet<String> = own_keys(&whole[..=cut]).into_iter().collect();
        let rest = read(stand, Some(cursor)).await?;
        if rest.len() >= whole.len() {
            return Err(format!("after a cut at page {cut}, everything was read again"));
        }
        seen.extend(own_keys(&rest));
        equal(&format!("the keys after a cut at page {cut}"), seen, everything.clone())?;
    }
    Ok(())
}

async fn writes_twice_as_once(stand: &Stand) -> Result<(), String> {
    let changes = [upsert("W-1", &[(stand.text, Value::text("twice")), (stand.number, number("12.50"))])];
    let first = apply(stand, &changes).await?;
    if !matches!(first[..], [Effected::Created | Effected::Upserted]) {
        return Err(format!("a new row is answered with {first:?}"));
    }
    let columns = vec![stand.text.to_owned(), stand.number.to_owned()];
    let before = current(stand, "W-1", &columns).await?;
    let second = apply(stand, &changes).await?;
    if matches!(second[..], [Effected::Created]) {
        return Err("the second write created another row".to_owned());
    }
    equal("the row", current(stand, "W-1", &columns).await?, before)
}

async fn makes_none_of_a_change(stand: &Stand) -> Result<(), String> {
    apply(stand, &[upsert("M-1", &[(stand.text, Value::text("is there"))])]).await?;
    let columns = vec![stand.text.to_owned()];
    let key = Key::of(&[Value::text("M-1")]).map_err(|why| why.to_string())?;
    let sink = sink(stand)?;
    let seen = sink.current(&[key], &columns).await.map_err(|fault| fault.to_string())?.into_iter().next().flatten();
    let remote_id = seen.ok_or("the row is not there")?.remote_id;
    let changed = upsert("M-1", &[(stand.text, Value::text("changed"))]);
    let update = Change { op: Op::Update, remote_id: remote_id.clone(), ..changed.clone() };
    if !matches!(apply(stand, std::slice::from_ref(&update)).await?[..], [Effected::Updated | Effected::Upserted]) {
        return Err("the change of a row that is there was no change".to_owned());
    }
    apply(stand, &[Change { op: Op::Delete, remote_id, ..changed }]).await?;
    let others = [
        upsert("M-0", &[(stand.text, Value::text("before"))]),
        update,
        upsert("M-2", &[(stand.text, Value::text("after"))]),
    ];
    match sink.apply(&others).await.map_err(|fault| fault.to_string())?.as_slice() {
        [Ok(_), Err(fault), Ok(_)] if fault.code.0 == "IB0511" => place(fault, Some("M-1"), stand.table)?,
        other => return Err(format!("the outcomes are {other:?}")),
    }
    match current(stand, "M-1", &columns).await {
        Err(_) => Ok(()),
        Ok(row) => Err(format!("it was made anew: {row:?}")),
    }
}

async fn round_trips(stand: &Stand) -> Result<(), String> {
    let long: String =
        "Größe 大小 🙂 \"quoted\" 'n' \\ line\nnext\t".chars().cycle().take(1900).collect::<String>() + ".";
    let mut cases: Vec<(&str, Value)> = vec![
        (stand.text, Value::text("Zoë O'Brien & Söhne <x> 100% \u{1F600}")),
        (stand.text, Value::Blank),
        (stand.long_text, Value::text(long)),
        (stand.number, number("0.01")),
        (stand.number, number("99999999999.99")),
        (stand.number, number("0")),
        (stand.number, Value::Blank),
        (stand.time, Value::Instant("2026-07-01T11:00:00Z".parse().expect("the literal is a time"))),
        (stand.time, Value::Blank),
    ];
    if let Some(date) = stand.date {
        cases.push((date, Value::Date("2024-02-29".parse().expect("the literal is a date"))));
        cases.push((date, Value::Blank));
    }
    for (column, value) in cases {
        apply(stand, &[upsert("T-1", &[(stand.text, Value::text("Round trip"))])]).await?;
        apply(stand, &[upsert("T-1", &[(column, value.clone())])]).await?;
        let found = current(stand, "T-1", &[column.to_owned()]).await?;
        let [found] = found.as_slice() else { return Err("the row has not the one column".to_owned()) };
        equal(&format!("`{column}`"), normal(found), normal(&value))?;
    }
    Ok(())
}

async fn refuses_one_row(stand: &Stand) -> Result<(), String> {
    let changes = [
        upsert("F-1", &[(stand.text, Value::text("good"))]),
        upsert("F-2", &[(stand.number, Value::text("not a number"))]),
        upsert("F-3", &[(stand.text, Value::text("good too"))]),
    ];
    let outcomes = sink(stand)?.apply(&changes).await.map_err(|fault| fault.to_string())?;
    match outcomes.as_slice() {
        [Ok(_), Err(fault), Ok(_)] if fault.now == Now::Reject => place(fault, Some("F-2"), stand.table),
        other => Err(format!("the outcomes are {other:?}")),
    }
}

async fn leaves_no_lock(stand: &Stand) -> Result<(), String> {
    let source = source(stand, stand.table, stand.text)?;
    let mut reader = source.read(None).await.map_err(|fault| fault.to_string())?;
    reader.next().await.map_err(|fault| fault.to_string())?;
    drop(reader);
    let change = [upsert("L-1", &[(stand.text, Value::text("after a reader went away"))])];
    apply(stand, &change).await.map(|_| ())
}

async fn wrong_password(stand: &Stand) -> Result<(), String> {
    let Some(system) = &stand.wrong_password else { return Err("there is no password to be wrong".to_owned()) };
    let fault = system.check().await.err().ok_or("a wrong password was let in")?;
    asks_a_person(&fault, &["IB0502", "IB0604"])
}

async fn wrong_table(stand: &Stand) -> Result<(), String> {
    let fault = failed_read(&*source(stand, "no_such_table", stand.text)?).await?;
    asks_a_person(&fault, &["IB0602"])?;
    let spec = WriteSpec { table: "no_such_table".into(), ..write(stand) };
    let sink = stand.system.sink(spec).map_err(|fault| fault.to_string())?;
    let change = [upsert("X", &[(stand.text, Value::text("x"))])];
    let fault = sink.apply(&change).await.err().ok_or("a table that is not there was written")?;
    asks_a_person(&fault, &["IB0504"])
}

async fn wrong_column(stand: &Stand) -> Result<(), String> {
    let fault = failed_read(&*source(stand, stand.table, "no_such_column")?).await?;
    asks_a_person(&fault, &["IB0603"])?;
    let change = [upsert("X", &[("no_such_column", Value::text("x"))])];
    let fault = match sink(stand)?.apply(&change).await {
        Err(fault) => fault,
        Ok(outcomes) => match outcomes.into_iter().next() {
            Some(Err(fault)) => fault,
            other => return Err(format!("a column that is not there was written: {other:?}")),
        },
    };
    asks_a_person(&fault, &["IB0505"])
}

async fn describes(stand: &Stand) -> Result<(), String> {
    let tables = [stand.table, "no_such_table"];
    let catalog = stand.system.catalog(&tables).await.map_err(|fault| fault.to_string())?;
    let [table] = catalog.tables.as_slice() else { return Err(format!("it lists {} tables", catalog.tables.len())) };
    for column in [stand.key, stand.text, stand.long_text, stand.number, stand.time].iter().chain(&stand.date) {
        match table.column(column) {
            Some(found) if found.writable && found.column.ty != Type::Unknown => {}
            found => return Err(format!("`{column}` is {found:?}")),
        }
    }
    let usable = table.keys.iter().any(|key| key.active && key.columns == [stand.key]);
    if usable { Ok(()) } else { Err(format!("the keys are {:?}", table.keys)) }
}

async fn says_who_it_is(stand: &Stand) -> Result<(), String> {
    let health = stand.system.check().await.map_err(|fault| fault.to_string())?;
    if health.version.is_empty() { Err("it has no version".to_owned()) } else { Ok(()) }
}

// How the checks speak to a system.

fn source(stand: &Stand, table: &str, column: &str) -> Result<Arc<dyn Source>, String> {
    stand.system.source(spec(stand, table, column)).map_err(|fault| fault.to_string())
}

fn spec(stand: &Stand, table: &str, column: &str) -> ReadSpec {
    ReadSpec {
        table: table.to_owned(),
        columns: vec![stand.key.to_owned(), column.to_owned()],
        declared: Vec::new(),
        watermark: None,
        key: vec![stand.key.to_owned()],
        rows_per_batch: ROWS_PER_PAGE,
        time_zone: None,
        fields: Vec::new(),
        options: stand.options.clone(),
    }
}

/// The table, or the query of the options, in pages of so many rows.
fn source_with(stand: &Stand, system: &dyn System, options: Options, rows: usize) -> Result<Arc<dyn Source>, String> {
    let spec = ReadSpec { rows_per_batch: rows, options, ..spec(stand, stand.table, stand.text) };
    system.source(spec).map_err(|fault| fault.to_string())
}

async fn read(stand: &Stand, cursor: Option<&str>) -> Result<Vec<Page>, String> {
    let source = source(stand, stand.table, stand.text)?;
    let mut reader = source.read(cursor).await.map_err(|fault| fault.to_string())?;
    if !matches!(reader.kind(), ReadKind::Full { .. }) {
        return Err("a full read calls itself a read of changes".to_owned());
    }
    let mut pages = Vec::new();
    while let Some(page) = reader.next().await.map_err(|fault| fault.to_string())? {
        pages.push(page);
    }
    Ok(pages)
}

async fn failed_read(source: &dyn Source) -> Result<Fault, String> {
    match source.read(None).await {
        Err(fault) => Ok(fault),
        Ok(mut reader) => reader.next().await.err().ok_or_else(|| "what is not there was read".to_owned()),
    }
}

/// The keys of the rows that [`fill`] wrote.
fn own_keys(pages: &[Page]) -> Vec<String> {
    let keys = pages.iter().flat_map(|page| page.batch.rows().map(|row| row.at(0).to_string()).collect::<Vec<_>>());
    keys.filter(|key| key.starts_with("R-")).collect()
}

/// Every column that a check writes, once.
fn columns(stand: &Stand) -> Vec<String> {
    let all = [stand.key, stand.text, stand.long_text, stand.number, stand.time];
    let all: std::collections::BTreeSet<&str> = all.into_iter().chain(stand.date).collect();
    all.into_iter().map(str::to_owned).collect()
}

fn write(stand: &Stand) -> WriteSpec {
    WriteSpec {
        table: stand.table.to_owned(),
        key: vec![stand.key.to_owned()],
        columns: columns(stand),
        time_zone: None,
        fields: Vec::new(),
        lines: Vec::new(),
        options: stand.options.clone(),
    }
}

fn sink(stand: &Stand) -> Result<Arc<dyn record::Sink>, String> {
    stand.system.sink(write(stand)).map_err(|fault| fault.to_string())
}

async fn apply(stand: &Stand, changes: &[Change]) -> Result<Vec<Effected>, String> {
    let outcomes = sink(stand)?.apply(changes).await.map_err(|fault| fault.to_string())?;
    outcomes
        .into_iter()
        .map(|outcome| outcome.map(|written| written.effect).map_err(|fault| fault.to_string()))
        .collect()
}

async fn current(stand: &Stand, key: &str, columns: &[String]) -> Result<Vec<Value>, String> {
    let key = Key::of(&[Value::text(key)]).map_err(|why| why.to_string())?;
    let rows = sink(stand)?.current(&[key], columns).await.map_err(|fault| fault.to_string())?;
    let row = rows.into_iter().next().flatten().ok_or("the row is not there")?;
    Ok(row.columns.into_values())
}

fn upsert(key: &str, columns: &[(&str, Value)]) -> Change {
    let schema = Schema::of(columns.iter().map(|(name, _)| (*name, Type::Unknown)));
    Change {
        op: Op::Upsert,
        key: Key::of(&[Value::text(key)]).expect("a text that is not blank is a key"),
        columns: Row::new(schema, columns.iter().map(|(_, value)| value.clone()).collect()),
        remote_id: None,
        if_version: None,
    }
}

fn number(text: &str) -> Value {
    Value::Decimal(text.parse().expect("the literal is a number"))
}

/// 0 and 0.00, and the same number as a whole one, are equal.
fn normal(value: &Value) -> Value {
    match value {
        Value::Decimal(number) => Value::Decimal(number.normalize()),
        Value::Int(number) => Value::Decimal((*number).into()),
        other => other.clone(),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}")) }
}

fn asks_a_person(fault: &Fault, codes: &[&str]) -> Result<(), String> {
    if !codes.contains(&fault.code.0) || fault.now != Now::AskPerson {
        return Err(format!("the fault is {fault:?}, expected one of {codes:?} for a person"));
    }
    place(fault, None, "")
}

/// A fault says where and what to do.
fn place(fault: &Fault, key: Option<&str>, table: &str) -> Result<(), String> {
    let right = fault.place.system.is_some()
        && !fault.fix.is_empty()
        && fault.place.key.as_deref() == key.or(fault.place.key.as_deref())
        && (table.is_empty() || fault.place.table.as_deref() == Some(table));
    if right { Ok(()) } else { Err(format!("the fault does not say where, or what to do: {fault:?}")) }
}
