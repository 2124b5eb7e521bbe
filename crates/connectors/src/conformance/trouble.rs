//! The bad days of a system: what its connector says, and what it leaves behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use record::{BoxFuture, Fault, Key, Now, OptionValue, Options, System, Value};

use super::proxy::Proxy;
use super::{Stand, apply, asks_a_person, equal, fill, own_keys, source, source_with, upsert, write};

/// What the suite needs to make trouble; what is not there has to be waived.
#[derive(Default)]
pub struct Trouble {
    /// A table of lines: the columns `number` (of the document), `line_no`, `name` and `amount`, unique by the first two.
    pub lines: Option<&'static str>,
    /// The same system with a time-out of half a second.
    pub short: Option<Arc<dyn System>>,
    /// A query with the key's column that takes many seconds.
    pub slow_query: Option<&'static str>,
    /// The same system as a user that may see the database, and nothing in the table.
    pub unprivileged: Option<Arc<dyn System>>,
    /// A table like the other in which there is no room for a row.
    pub full: Option<&'static str>,
    /// The same system through a proxy.
    pub through: Option<(Arc<dyn System>, Proxy)>,
    /// A system with a short time-out, at an address that takes connections and never says anything.
    pub silent: Option<Arc<dyn System>>,
    pub ground: Option<Box<dyn Ground>>,
}

impl Trouble {
    fn ground(&self) -> Result<&dyn Ground, String> {
        self.ground.as_deref().ok_or_else(|| "nothing can be done to the server itself".to_owned())
    }
}

/// What is done to the server itself.
pub trait Ground: Send + Sync {
    /// Ends every session of the connector, as a restart does.
    fn restart(&self) -> BoxFuture<'_, ()>;

    /// Keeps others from writing the row with this key, until the answer is dropped.
    fn hold<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Box<dyn Send>>;
}

/// Longer than any time-out here, and shorter than patience.
const SOON: Duration = Duration::from_secs(10);

pub(super) async fn revoked_right(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let Some(system) = &trouble.unprivileged else { return Err("there is no user without rights".to_owned()) };
    let source = source_with(stand, &**system, stand.options.clone(), 3)?;
    let fault = failed(&*source).await?;
    // A service says the same of both directions.
    asks_a_person(&fault, &["IB0604", "IB0503"])?;
    let sink = system.sink(write(stand)).map_err(|fault| fault.to_string())?;
    let change = [upsert("X-1", &[(stand.text, Value::text("x"))])];
    let fault = sink.apply(&change).await.err().ok_or("a user without rights wrote a row")?;
    asks_a_person(&fault, &["IB0503"])
}

pub(super) async fn no_room(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let Some(table) = trouble.full else { return Err("there is no table without room".to_owned()) };
    let spec = record::WriteSpec { table: table.to_owned(), ..write(stand) };
    let sink = stand.system.sink(spec).map_err(|fault| fault.to_string())?;
    let long = "no room for this ".repeat(9);
    let changes: Vec<_> = (0..1000).map(|i| upsert(&format!("X-{i}"), &[(stand.text, Value::text(&*long))])).collect();
    let fault = sink.apply(&changes).await.err().ok_or("rows were written where there is no room")?;
    transient(&fault, &["IB0514"])
}

/// Reads through a network that is cut earlier and later, until it holds; goes on after each cut where it stood.
pub(super) async fn cut_while_reading(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let Some((system, proxy)) = &trouble.through else { return Err("there is no proxy".to_owned()) };
    fill(stand).await?;
    let mut cuts = 0;
    for after in cuts_at() {
        let mut seen = BTreeSet::new();
        let mut cursor: Option<String> = None;
        proxy.cut_after(after);
        let source = source_with(stand, &**system, stand.options.clone(), 1)?;
        loop {
            let mut reader = match tokio::time::timeout(SOON, source.read(cursor.as_deref())).await {
                Ok(Ok(reader)) => reader,
                Ok(Err(fault)) => {
                    cut(&fault)?;
                    cuts += 1;
                    proxy.mend();
                    continue;
                }
                Err(_) => return Err(format!("a network that was cut after {after} bytes is waited for")),
            };
            match tokio::time::timeout(SOON, reader.next()).await {
                Ok(Ok(first)) => {
                    let mut page = first;
                    let fault = loop {
                        let Some(some) = page else { break None };
                        seen.extend(own_keys(std::slice::from_ref(&some)));
                        cursor = some.cursor.or(cursor);
                        match tokio::time::timeout(SOON, reader.next()).await {
                            Ok(Ok(next)) => page = next,
                            Ok(Err(fault)) => break Some(fault),
                            Err(_) => return Err("a network that was cut is waited for".to_owned()),
                        }
                    };
                    match fault {
                        None => break,
                        Some(fault) => cut(&fault)?,
                    }
                }
                Ok(Err(fault)) => cut(&fault)?,
                Err(_) => return Err("a network that was cut is waited for".to_owned()),
            }
            cuts += 1;
            proxy.mend();
        }
        let expected: BTreeSet<String> = (0..super::ROWS).map(|i| format!("R-{i:02}")).collect();
        equal(&format!("the keys around a cut after {after} bytes"), seen, expected)?;
    }
    if cuts > 2 { Ok(()) } else { Err(format!("only {cuts} reads were cut")) }
}

/// Writes through a network that is cut earlier and later; what is repeated afterwards is there once.
pub(super) async fn cut_while_writing(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let Some((system, proxy)) = &trouble.through else { return Err("there is no proxy".to_owned()) };
    let mut cuts = 0;
    for (i, after) in cuts_at().enumerate() {
        let name = |row: usize| format!("N-{i}-{row}");
        let changes: Vec<_> = (0..3).map(|row| upsert(&name(row), &[(stand.text, Value::text(name(row)))])).collect();
        proxy.cut_after(after);
        let sink = system.sink(write(stand)).map_err(|fault| fault.to_string())?;
        match tokio::time::timeout(SOON, sink.apply(&changes)).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => {
                cuts += 1;
                cut(&fault)?;
            }
            Err(_) => return Err(format!("a network that was cut after {after} bytes is waited for")),
        }
        proxy.mend();
        let sink = system.sink(write(stand)).map_err(|fault| fault.to_string())?;
        let outcomes = sink.apply(&changes).await.map_err(|fault| format!("repeated: {fault}"))?;
        if let Some(fault) = outcomes.iter().find_map(|outcome| outcome.as_ref().err()) {
            return Err(format!("a row that is repeated is refused: {fault}"));
        }
        let keys: Vec<Key> = (0..3).map(|row| Key::of(&[Value::text(name(row))]).expect("a text is a key")).collect();
        let found = sink.current(&keys, &[stand.text.to_owned()]).await.map_err(|fault| fault.to_string())?;
        equal("the rows that are there", found.iter().flatten().count(), 3)?;
    }
    if cuts > 2 { Ok(()) } else { Err(format!("only {cuts} writes were cut")) }
}

/// Bytes of a server's answers: from within its greeting to behind its last word.
fn cuts_at() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(1u64), |after| Some(after * 3 / 2 + 10)).take_while(|after| *after < 60_000)
}

pub(super) async fn restart(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let ground = trouble.ground()?;
    fill(stand).await?;
    let sink = stand.system.sink(write(stand)).map_err(|fault| fault.to_string())?;
    let change = [upsert("S-1", &[(stand.text, Value::text("before and after"))])];
    sink.apply(&change).await.map_err(|fault| fault.to_string())?;
    ground.restart().await;
    // The session that was kept is gone: that is told once at most, as something to try again.
    if let Err(fault) = sink.apply(&change).await {
        cut(&fault)?;
        sink.apply(&change).await.map_err(|fault| format!("after a restart: {fault}"))?;
    }
    let source = source_with(stand, &*stand.system, stand.options.clone(), 1)?;
    let mut reader = source.read(None).await.map_err(|fault| fault.to_string())?;
    let first = reader.next().await.map_err(|fault| fault.to_string())?.ok_or("there are no rows")?;
    ground.restart().await;
    let mut seen: BTreeSet<String> = own_keys(std::slice::from_ref(&first)).into_iter().collect();
    let mut cursor = first.cursor;
    loop {
        match tokio::time::timeout(SOON, reader.next()).await {
            Err(_) => return Err("a session that was ended is waited for".to_owned()),
            Ok(Ok(None)) => break,
            Ok(Ok(Some(page))) => {
                seen.extend(own_keys(std::slice::from_ref(&page)));
                cursor = page.cursor;
            }
            Ok(Err(fault)) => {
                cut(&fault)?;
                reader = source.read(cursor.as_deref()).await.map_err(|fault| fault.to_string())?;
            }
        }
    }
    let expected: BTreeSet<String> = (0..super::ROWS).map(|i| format!("R-{i:02}")).collect();
    equal("the keys around a restart", seen, expected)
}

pub(super) async fn statement_timeout(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let (Some(short), Some(query)) = (&trouble.short, trouble.slow_query) else {
        return Err("there is no slow query".to_owned());
    };
    let options = Options([("query".to_owned(), OptionValue::Text(query.to_owned()))].into());
    let source = source_with(stand, &**short, options, 3)?;
    match tokio::time::timeout(SOON, failed(&*source)).await {
        Ok(fault) => transient(&fault?, &["IB0605"]),
        Err(_) => Err("a statement that takes longer than the time-out is waited for".to_owned()),
    }
}

pub(super) async fn lock_timeout(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let (Some(short), ground) = (&trouble.short, trouble.ground()?) else {
        return Err("there is no short time-out".to_owned());
    };
    let change = [upsert("K-1", &[(stand.text, Value::text("held"))])];
    apply(stand, &change).await?;
    let change = [upsert("K-1", &[(stand.text, Value::text("changed"))])];
    let held = ground.hold("K-1").await;
    let sink = short.sink(write(stand)).map_err(|fault| fault.to_string())?;
    let fault = match tokio::time::timeout(SOON, sink.apply(&change)).await {
        Ok(outcome) => outcome.err().ok_or("a row that another session holds was written")?,
        Err(_) => return Err("a lock is waited for beyond the time-out".to_owned()),
    };
    transient(&fault, &["IB0513"])?;
    drop(held);
    let again = tokio::time::timeout(SOON, apply(stand, &change)).await;
    again.map_err(|_| "the lock stays".to_owned())?.map(|_| ())
}

/// A write that is given up while it waits leaves no lock on what it had written before.
pub(super) async fn cancelled_write(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let ground = trouble.ground()?;
    let rows = |text: &str| ["C-1", "C-2"].map(|key| upsert(key, &[(stand.text, Value::text(text))]));
    apply(stand, &rows("first")).await?;
    let held = ground.hold("C-2").await;
    let sink = stand.system.sink(write(stand)).map_err(|fault| fault.to_string())?;
    let second = rows("second");
    if tokio::time::timeout(Duration::from_millis(400), sink.apply(&second)).await.is_ok() {
        return Err("a row that another session holds was written".to_owned());
    }
    drop(sink);
    drop(held);
    match tokio::time::timeout(SOON, apply(stand, &rows("third"))).await {
        Ok(written) => written.map(|_| ()),
        Err(_) => Err("a write that was given up holds its rows".to_owned()),
    }
}

/// Asked who it is, read and written.
pub(super) async fn silence(stand: &Stand, trouble: &Trouble) -> Result<(), String> {
    let Some(system) = &trouble.silent else { return Err("there is no address that never answers".to_owned()) };
    let soon = |what: &'static str| move |_| format!("{what} waits for a server that never answers");
    let asked = tokio::time::timeout(SOON, system.check()).await.map_err(soon("`check`"))?;
    quiet(&asked.err().ok_or("a server that never answers is ready")?)?;
    let source = source_with(stand, &**system, stand.options.clone(), 3)?;
    quiet(&tokio::time::timeout(SOON, failed(&*source)).await.map_err(soon("a read"))??)?;
    let sink = system.sink(write(stand)).map_err(|fault| fault.to_string())?;
    let change = [upsert("Q-1", &[(stand.text, Value::text("nobody hears this"))])];
    let written = tokio::time::timeout(SOON, sink.apply(&change)).await.map_err(soon("a write"))?;
    // Of one row, the fault may be that of the row or that of the chunk.
    let fault = match written {
        Err(fault) => fault,
        Ok(outcomes) => outcomes.into_iter().find_map(Result::err).ok_or("a row was written to nobody")?,
    };
    quiet(&fault)
}

fn quiet(fault: &Fault) -> Result<(), String> {
    transient(fault, &["IB0501", "IB0509", "IB0601", "IB0607"])
}

pub(super) async fn gets_by_key(stand: &Stand) -> Result<(), String> {
    fill(stand).await?;
    let source = source(stand, stand.table, stand.text)?;
    let keys = ["R-03", "nobody", "R-01"].map(|key| Key::of(&[Value::text(key)]).expect("a text is a key"));
    let found = source.get(&keys).await.map_err(|fault| fault.to_string())?;
    let found: Vec<Option<String>> =
        found.iter().map(|row| row.as_ref().map(|row| row.values()[0].to_string())).collect();
    equal("the rows by key", found, vec![Some("R-03".to_owned()), None, Some("R-01".to_owned())])
}

/// Lines are found by the column that names their parent.
pub(super) async fn children(stand: &Stand) -> Result<(), String> {
    let line = |key: &str, parent: &str| upsert(key, &[(stand.text, Value::text(parent))]);
    apply(stand, &[line("P-1", "parent A"), line("P-2", "parent B"), line("P-3", "parent A")]).await?;
    let source = source(stand, stand.table, stand.text)?;
    let parents = ["parent A", "nobody", "parent B"].map(Value::text);
    let found = source.children(stand.text, &parents).await.map_err(|fault| fault.to_string())?;
    let keys = |rows: &Vec<record::Row>| {
        let mut keys: Vec<String> = rows.iter().map(|row| row.values()[0].to_string()).collect();
        keys.sort();
        keys.join(" ")
    };
    equal("the lines", found.iter().map(keys).collect::<Vec<_>>(), vec!["P-1 P-3".into(), String::new(), "P-2".into()])
}

async fn failed(source: &dyn record::Source) -> Result<Fault, String> {
    let mut reader = match source.read(None).await {
        Err(fault) => return Ok(fault),
        Ok(reader) => reader,
    };
    loop {
        match reader.next().await {
            Err(fault) => return Ok(fault),
            Ok(Some(_)) => {}
            Ok(None) => return Err("what cannot be read was read".to_owned()),
        }
    }
}

/// A network that was cut is something to try again.
fn cut(fault: &Fault) -> Result<(), String> {
    transient(fault, &["IB0501", "IB0509", "IB0601", "IB0605", "IB0607", "IB0513"])
}

fn transient(fault: &Fault, codes: &[&str]) -> Result<(), String> {
    let right =
        codes.contains(&fault.code.0) && matches!(fault.now, Now::RetryAfter(_)) && fault.place.system.is_some();
    if right { Ok(()) } else { Err(format!("the fault is {fault:?}, expected one of {codes:?} to try again")) }
}
