//! Documents with their lines in SQL tables: all of it in one transaction, with a note of the message where there is one.
//!
//! A line is a row of another table, whose key is the column that points to its document and the one that tells the
//! lines of a document apart. So lines are written by what writes rows: those that are wanted are upserted, those that
//! are gone are deleted, and a row without that key is nobody's line, and stays. A document with a line that is refused
//! is refused whole: the transaction is undone, and the other documents of the chunk are written again without it.

use std::collections::HashSet;

use record::catalog::Table;
use record::{
    Change, Code, Column, Current, Effected, Fault, Key, Op, Options, Outcome, Row, Type, Value, WriteLines, WriteSpec,
};

use super::children;
use super::engine::INBOX;

/// An open session on the tables of a spec: its own at 0, those of its lines behind it.
pub(crate) trait Tables {
    type Failure: From<Fault>;

    /// Begins a transaction.
    async fn begin(&mut self) -> Result<(), Self::Failure>;

    /// Ends it.
    async fn end(&mut self, commits: bool) -> Result<(), Self::Failure>;

    async fn described(&mut self, at: usize) -> Result<Table, Self::Failure>;

    /// Upserts and deletes rows by their key, in the open transaction. *Shape*: an outcome for each, in order.
    async fn write(&mut self, at: usize, changes: &[Change]) -> Result<Vec<Outcome>, Self::Failure>;

    /// The rows with these values in `by`; with `ids`, what names them for good.
    async fn find(
        &mut self,
        at: usize,
        by: &[String],
        values: &[Vec<Value>],
        columns: &[String],
        ids: bool,
    ) -> Result<Vec<Vec<Current>>, Self::Failure>;

    /// Makes the table of notes, where it is not there. Outside a transaction.
    async fn inbox(&mut self) -> Result<(), Self::Failure>;

    /// Notes that this message is done. False where that was noted before.
    async fn note(&mut self, message: &str) -> Result<bool, Self::Failure>;
}

/// How the lines of a spec are written, as a table of its own.
pub(crate) fn spec_of(spec: &WriteSpec, lines: &WriteLines) -> WriteSpec {
    WriteSpec {
        table: lines.table.clone(),
        key: vec![lines.parent.clone(), lines.key.clone()],
        columns: lines.columns.clone(),
        time_zone: spec.time_zone.clone(),
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options::default(),
    }
}

/// Writes a chunk in one transaction.
///
/// With a `message`, the note of it is in the same transaction: where it is there already nothing is written, and where
/// a row is refused nothing is noted.
pub(crate) async fn apply<T: Tables>(
    tables: &mut T,
    spec: &WriteSpec,
    message: Option<&str>,
    changes: &[Change],
) -> Result<Vec<Outcome>, T::Failure> {
    if message.is_some() {
        tables.inbox().await?;
    }
    let mut outcomes: Vec<Option<Outcome>> = changes.iter().map(|_| None).collect();
    loop {
        let places: Vec<usize> = (0..changes.len()).filter(|at| outcomes[*at].is_none()).collect();
        tables.begin().await?;
        if let Some(message) = message
            && !tables.note(message).await?
        {
            tables.end(false).await?;
            let unchanged = |at: &usize| (*at, Ok(written(Effected::Unchanged)));
            places.iter().map(unchanged).for_each(|(at, outcome)| outcomes[at] = Some(outcome));
            break;
        }
        let some: Vec<&Change> = places.iter().map(|at| &changes[*at]).collect();
        let (done, refused) = attempt(tables, spec, &some).await?;
        let notes_nothing = message.is_some() && done.iter().any(Result::is_err);
        tables.end(refused.is_empty() && !notes_nothing).await?;
        let again = !refused.is_empty();
        for (i, outcome) in done.into_iter().enumerate() {
            if !again || refused.contains(&i) {
                outcomes[places[i]] = Some(outcome);
            }
        }
        if !again || outcomes.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.expect("each change was written, or was refused")).collect())
}

/// The table of notes cannot be made.
pub(crate) fn no_inbox(system: &str, user: &str, create: &str, grantee: &str) -> Fault {
    let create = create.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = format!("`{user}` may not make the table `{INBOX}`, in which messages are noted with their effect");
    Fault::ask_person(Code("IB0631"), what).at_system(system).at_table(INBOX).fix(format!(
        "as an administrator, in this database: {create}; GRANT SELECT, INSERT, DELETE ON {INBOX} TO {grantee}"
    ))
}

fn written(effect: Effected) -> record::Written {
    record::Written { effect, remote_id: None, version: None, returned: None }
}

/// Documents with their lines; and which of them were refused for a line, after something of them had been written.
async fn attempt<T: Tables>(
    tables: &mut T,
    spec: &WriteSpec,
    changes: &[&Change],
) -> Result<(Vec<Outcome>, HashSet<usize>), T::Failure> {
    let mut refused = HashSet::new();
    for (i, lines) in spec.lines.iter().enumerate() {
        let gone: Vec<usize> = (0..changes.len()).filter(|at| changes[*at].op == Op::Delete).collect();
        let keys_of = gone.iter().map(|at| changes[*at].key.parts()).collect();
        let links = links(tables, spec, lines, keys_of).await?;
        let there = keys(tables, i + 1, lines, &links).await?;
        let all: Vec<Change> = links.iter().zip(&there).flat_map(|(link, keys)| removals(link, keys)).collect();
        if !all.is_empty() {
            // A line that cannot go keeps its document: the database says so of the document, too.
            tables.write(i + 1, &all).await?;
        }
    }
    let own: Vec<Change> = changes.iter().map(|change| without_lines(change, spec)).collect();
    let mut outcomes = tables.write(0, &own).await?;
    for (i, lines) in spec.lines.iter().enumerate() {
        let carries = |at: &usize| outcomes[*at].is_ok() && rows_of(changes[*at], lines).is_some();
        let carrying: Vec<usize> = (0..changes.len()).filter(carries).collect();
        let keys_of = carrying.iter().map(|at| changes[*at].key.parts()).collect();
        let links = links(tables, spec, lines, keys_of).await?;
        let there = keys(tables, i + 1, lines, &links).await?;
        let (mut all, mut of) = (Vec::new(), Vec::new());
        for ((at, link), there) in carrying.iter().zip(&links).zip(&there) {
            let rows = rows_of(changes[*at], lines).unwrap_or_default();
            match differences(lines, link, rows, there) {
                Ok(own) => {
                    of.extend(own.iter().map(|_| *at));
                    all.extend(own);
                }
                Err(fault) => {
                    refused.insert(*at);
                    outcomes[*at] = Err(of_document(fault, changes[*at], lines));
                }
            }
        }
        if all.is_empty() {
            continue;
        }
        for ((at, line), outcome) in of.into_iter().zip(&all).zip(tables.write(i + 1, &all).await?) {
            match (outcome, &mut outcomes[at]) {
                (Err(fault), Ok(_)) => {
                    refused.insert(at);
                    outcomes[at] = Err(of_document(of_line(fault, line), changes[at], lines));
                }
                (Ok(line), Ok(document))
                    if line.effect != Effected::Unchanged && document.effect == Effected::Unchanged =>
                {
                    document.effect = Effected::Updated;
                }
                _ => {}
            }
        }
    }
    Ok((outcomes, refused))
}

/// The fault of each change that is refused whatever the tables hold. `fits` says it of a row of one of them: 0 is the
/// documents' own, those of their lines are behind it; and whether it would be created.
pub(crate) fn unfit(
    spec: &WriteSpec,
    changes: &[Change],
    new: &[bool],
    fits: impl Fn(usize, &Change, bool) -> Result<(), Fault>,
) -> Vec<Option<Fault>> {
    let one = |(change, is_new): (&Change, &bool)| {
        fits(0, &without_lines(change, spec), *is_new)?;
        for (i, lines) in spec.lines.iter().enumerate() {
            let rows = rows_of(change, lines).unwrap_or_default();
            // What the document is called there, nobody knows before it is written.
            let of_document = |fault| of_document(fault, change, lines);
            for line in differences(lines, &Value::Int(0), rows, &[]).map_err(of_document)? {
                fits(i + 1, &line, *is_new).map_err(|fault| of_document(of_line(fault, &line)))?;
            }
        }
        Ok(())
    };
    changes.iter().zip(new).map(|row| one(row).err()).collect()
}

fn of_line(fault: Fault, line: &Change) -> Fault {
    Fault { what: format!("line {}: {}", shown(&line.key), fault.what), ..fault }
}

fn of_document(fault: Fault, document: &Change, lines: &WriteLines) -> Fault {
    fault.at_table(&lines.table).at_key(document.key.to_string())
}

/// The key of a line within its document.
fn shown(key: &Key) -> String {
    key.parts().last().map(Value::to_string).unwrap_or_default()
}

fn rows_of<'c>(change: &'c Change, lines: &WriteLines) -> Option<&'c [Row]> {
    match change.columns.get(&lines.table) {
        Some(Value::Rows(rows)) => Some(rows),
        _ => None,
    }
}

fn without_lines(change: &Change, spec: &WriteSpec) -> Change {
    let is_lines = |name: &str| spec.lines.iter().any(|lines| lines.table == name);
    if !change.columns.iter().any(|(name, _)| is_lines(name)) {
        return change.clone();
    }
    let columns = change.columns.schema().columns().iter().zip(change.columns.values());
    let (columns, values): (Vec<Column>, Vec<Value>) =
        columns.filter(|(column, _)| !is_lines(&column.name)).map(|(c, v)| (c.clone(), v.clone())).unzip();
    Change { columns: Row::new(record::Schema::new(columns), values), ..change.clone() }
}

/// The column of the document that its lines point to.
async fn link<T: Tables>(tables: &mut T, spec: &WriteSpec, lines: &WriteLines) -> Result<String, T::Failure> {
    let table = tables.described(0).await?;
    let link = table.pointed_to_by(&lines.parent, &spec.key);
    Ok(link.ok_or_else(|| {
        let what = format!(
            "`{}` of `{}` points to rows of `{}`, and nothing says by which column",
            lines.parent, lines.table, spec.table
        );
        Fault::ask_person(Code("IB0632"), what)
            .at_table(&lines.table)
            .at_column(&lines.parent)
            .fix(format!("give `{}` a primary key of one column, or a column of the same name", spec.table))
    })?)
}

/// What the lines of these documents have in their column `parent`; blank for a document that is not there.
async fn links<T: Tables>(
    tables: &mut T,
    spec: &WriteSpec,
    lines: &WriteLines,
    keys: Vec<Vec<Value>>,
) -> Result<Vec<Value>, T::Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let link = link(tables, spec, lines).await?;
    if let Some(at) = spec.key.iter().position(|name| *name == link) {
        return Ok(keys.into_iter().map(|mut parts| parts.swap_remove(at)).collect());
    }
    let found = tables.find(0, &spec.key, &keys, std::slice::from_ref(&link), false).await?;
    let value = |rows: Vec<Current>| rows.into_iter().next().and_then(|row| row.columns.get(&link).cloned());
    Ok(found.into_iter().map(|rows| value(rows).unwrap_or_default()).collect())
}

/// The keys of the lines that are there, for each document.
async fn keys<T: Tables>(
    tables: &mut T,
    at: usize,
    lines: &WriteLines,
    links: &[Value],
) -> Result<Vec<Vec<Value>>, T::Failure> {
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let parents: Vec<Vec<Value>> = links.iter().map(|link| vec![link.clone()]).collect();
    let key = std::slice::from_ref(&lines.key);
    let found = tables.find(at, std::slice::from_ref(&lines.parent), &parents, key, false).await?;
    let key = |row: Current| row.columns.get(&lines.key).filter(|key| !key.is_blank()).cloned();
    Ok(found.into_iter().map(|rows| rows.into_iter().filter_map(key).collect()).collect())
}

fn removals(link: &Value, keys: &[Value]) -> Vec<Change> {
    let change = |key: &Value| {
        let empty = Row::new(record::Schema::new(Vec::new()), Vec::new());
        let key = Key::of([link, key]).ok()?;
        Some(Change { op: Op::Delete, key, columns: empty, remote_id: None, if_version: None })
    };
    keys.iter().filter_map(change).collect()
}

/// What brings the lines of a document to what they are to be: removals first.
///
/// *Errors*: a line without its key, or with the key of another.
fn differences(lines: &WriteLines, link: &Value, rows: &[Row], there: &[Value]) -> Result<Vec<Change>, Fault> {
    let mut seen = HashSet::new();
    let mut upserts = Vec::with_capacity(rows.len());
    for row in rows {
        let key = row.get(&lines.key).filter(|key| !key.is_blank()).ok_or_else(|| {
            Fault::reject(Code("IB0512"), format!("a line has no `{}`", lines.key))
                .at_column(&lines.key)
                .fix("give each line its key in the source")
        })?;
        if !seen.insert(children::name(key)) {
            return Err(Fault::reject(Code("IB0512"), format!("two lines have the {} {key}", lines.key))
                .at_column(&lines.key)
                .fix("give one of the two lines another key in the source"));
        }
        let of_the_key = |name: &str| name == lines.key || name == lines.parent;
        let columns = row.schema().columns().iter().zip(row.values());
        let (columns, values): (Vec<Column>, Vec<Value>) =
            columns.filter(|(column, _)| !of_the_key(&column.name)).map(|(c, v)| (c.clone(), v.clone())).unzip();
        let key = Key::of([link, key]).map_err(|why| {
            Fault::reject(Code("IB0512"), format!("a line cannot be written: {why}"))
                .at_column(&lines.key)
                .fix("correct the key of the line, or of its document, at the source")
        })?;
        let columns = Row::new(record::Schema::new(columns), values);
        upserts.push(Change { op: Op::Upsert, key, columns, remote_id: None, if_version: None });
    }
    let left: Vec<Value> = there.iter().filter(|key| !seen.contains(&children::name(key))).cloned().collect();
    Ok(removals(link, &left).into_iter().chain(upserts).collect())
}

/// The rows with these values in `by`, each with its lines where the columns name them.
pub(crate) async fn current<T: Tables>(
    tables: &mut T,
    spec: &WriteSpec,
    by: &[String],
    values: &[Vec<Value>],
    columns: &[String],
    ids: bool,
) -> Result<Vec<Vec<Current>>, T::Failure> {
    let asked = |lines: &&WriteLines| columns.contains(&lines.table);
    let wanted: Vec<(usize, &WriteLines)> =
        spec.lines.iter().enumerate().filter(|(_, lines)| asked(lines)).map(|(i, lines)| (i + 1, lines)).collect();
    if wanted.is_empty() {
        return tables.find(0, by, values, columns, ids).await;
    }
    let is_lines = |name: &String| spec.lines.iter().any(|lines| lines.table == *name);
    let mut own: Vec<String> = columns.iter().filter(|name| !is_lines(name)).cloned().collect();
    let mut links = Vec::new();
    for (_, lines) in &wanted {
        let link = link(tables, spec, lines).await?;
        if !own.contains(&link) {
            own.push(link.clone());
        }
        links.push(link);
    }
    let mut found = tables.find(0, by, values, &own, ids).await?;
    for ((at, lines), link) in wanted.into_iter().zip(links) {
        let mut rows: Vec<&mut Current> = found.iter_mut().flatten().collect();
        let parents: Vec<Vec<Value>> =
            rows.iter().map(|row| vec![row.columns.get(&link).cloned().unwrap_or_default()]).collect();
        let parent = std::slice::from_ref(&lines.parent);
        let all = tables.find(at, parent, &parents, &lines.columns, false).await?;
        for (row, lines_of) in rows.iter_mut().zip(all) {
            let named = lines_of.into_iter().map(|line| line.columns);
            let named = named.filter(|line| line.get(&lines.key).is_some_and(|key| !key.is_blank())).collect();
            let column = Column { name: lines.table.as_str().into(), ty: Type::Unknown };
            row.columns = row.columns.clone().with(column, Value::Rows(named));
        }
    }
    Ok(found)
}
