//! Documents with their lines, and messages that are noted with their effect.

use record::{Change, Effected, Fault, Key, Now, Op, Row, Schema, Sink, Type, Value, WriteLines, WriteSpec};

use super::{Stand, equal, number, source, upsert, write};

/// A line with this number, text and amount.
fn line(no: i64, text: &str, amount: Value) -> Row {
    let schema = Schema::of([
        ("line_no", Type::WholeNumber),
        ("name", Type::Unknown),
        ("amount", Type::Decimal { scale: None }),
    ]);
    Row::new(schema, vec![Value::Int(no), Value::text(text), amount])
}

async fn effects(sink: &dyn Sink, changes: &[Change]) -> Result<Vec<Result<Effected, Fault>>, String> {
    let outcomes = sink.apply(changes).await.map_err(|fault| fault.to_string())?;
    Ok(outcomes.into_iter().map(|outcome| outcome.map(|written| written.effect)).collect())
}

/// The text of a document, and its lines as `1 text amount`; `None` where it is not there.
async fn there(sink: &dyn Sink, stand: &Stand, table: &str, key: &str) -> Result<Option<Document>, String> {
    let key = Key::of(&[Value::text(key)]).map_err(|why| why.to_string())?;
    let wanted = [stand.text.to_owned(), table.to_owned()];
    let found = sink.current(&[key], &wanted).await.map_err(|fault| fault.to_string())?;
    let Some(row) = found.into_iter().next().flatten() else { return Ok(None) };
    let Some(Value::Rows(rows)) = row.columns.get(table) else { return Err(format!("no lines in {row:?}")) };
    let text = |row: &Row, name: &str| match row.get(name) {
        Some(Value::Decimal(number)) => number.normalize().to_string(),
        Some(value) => value.to_string(),
        None => "?".to_owned(),
    };
    let line = |row: &Row| format!("{} {} {}", text(row, "line_no"), text(row, "name"), text(row, "amount"));
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    Ok(Some((row.columns.get(stand.text).map(Value::to_string), lines)))
}

type Document = (Option<String>, Vec<String>);

pub(super) async fn writes_lines(stand: &Stand, table: Option<&'static str>) -> Result<(), String> {
    let Some(table) = table else { return Err("there is no table of lines".to_owned()) };
    let columns = ["line_no", "name", "amount"].map(str::to_owned).to_vec();
    let lines =
        WriteLines { table: table.to_owned(), parent: stand.key.to_owned(), key: "line_no".to_owned(), columns };
    let spec = WriteSpec { lines: vec![lines], ..write(stand) };
    let sink = stand.system.sink(spec).map_err(|fault| fault.to_string())?;
    let document = |key: &str, text: &str, rows: Vec<Row>| {
        upsert(key, &[(stand.text, Value::text(text)), (table, Value::Rows(rows))])
    };
    let is = |text: &str, lines: &[&str]| {
        Some((Some(text.to_owned()), lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()))
    };

    let first = [
        document("D-1", "first", vec![line(1, "Zoë", number("1.5")), line(2, "two", number("2"))]),
        document("D-2", "second", vec![line(1, "one", Value::Blank)]),
    ];
    let done = effects(&*sink, &first).await?;
    if !done.iter().all(|effect| matches!(effect, Ok(Effected::Created | Effected::Upserted))) {
        return Err(format!("new documents are answered with {done:?}"));
    }
    equal("the lines", there(&*sink, stand, table, "D-1").await?, is("first", &["1 Zoë 1.5", "2 two 2"]))?;
    equal("the other lines", there(&*sink, stand, table, "D-2").await?, is("second", &["1 one (blank)"]))?;

    let second = [document("D-1", "first", vec![line(3, "three", number("3")), line(1, "Zoë", number("1.75"))])];
    equal("a changed line", effects(&*sink, &second).await?, vec![Ok(Effected::Updated)])?;
    equal(
        "one changed, one gone, one new",
        there(&*sink, stand, table, "D-1").await?,
        is("first", &["1 Zoë 1.75", "3 three 3"]),
    )?;
    let again = effects(&*sink, &second).await?;
    if again.iter().any(|effect| matches!(effect, Ok(Effected::Created) | Err(_))) {
        return Err(format!("the same lines again are answered with {again:?}"));
    }
    equal("the same lines", there(&*sink, stand, table, "D-1").await?, is("first", &["1 Zoë 1.75", "3 three 3"]))?;

    let bad = Value::text("not a number");
    let twice = vec![line(7, "a", number("1")), line(7, "b", number("1"))];
    let third = [
        document("D-1", "changed", vec![line(1, "changed", number("9")), line(4, "bad", bad)]),
        document("D-3", "good", vec![line(1, "one", number("1"))]),
        document("D-4", "twice", twice),
    ];
    match effects(&*sink, &third).await?.as_slice() {
        [Err(bad), Ok(_), Err(twice)] if bad.now == Now::Reject && twice.now == Now::Reject => {
            equal("the key of the refused document", bad.place.key.clone(), Some("D-1".to_owned()))?;
        }
        other => return Err(format!("a bad line is answered with {other:?}")),
    }
    equal("a refused document", there(&*sink, stand, table, "D-1").await?, is("first", &["1 Zoë 1.75", "3 three 3"]))?;
    equal("a good one beside it", there(&*sink, stand, table, "D-3").await?, is("good", &["1 one 1"]))?;
    equal("a new one that is refused", there(&*sink, stand, table, "D-4").await?, None)?;

    let gone = record::Change { op: Op::Delete, ..upsert("D-1", &[]) };
    equal("a deleted document", effects(&*sink, &[gone]).await?, vec![Ok(Effected::Deleted)])?;
    let lines = source(stand, table, "name")?;
    let left = lines.children(stand.key, &[Value::text("D-1")]).await.map_err(|fault| fault.to_string())?;
    equal("the lines of a deleted document", left, vec![Vec::new()])?;
    // Rows of other checks stand beside them.
    let rest = ["D-2", "D-3"].map(|key| record::Change { op: Op::Delete, ..upsert(key, &[]) });
    effects(&*sink, &rest).await.map(|_| ())
}

async fn once(sink: &dyn Sink, message: &str, changes: &[Change]) -> Result<Result<Effected, Now>, String> {
    let outcomes = sink.apply_once(&format!("{message:0>32}"), changes).await.map_err(|fault| fault.to_string())?;
    let outcome = outcomes.into_iter().next().ok_or("there is no outcome")?;
    Ok(outcome.map(|written| written.effect).map_err(|fault| fault.now))
}

pub(super) async fn notes_messages(stand: &Stand) -> Result<(), String> {
    let sink = stand.system.sink(write(stand)).map_err(|fault| fault.to_string())?;
    let good = [upsert("M-1", &[(stand.text, Value::text("told once"))])];
    let bad = [upsert("M-1", &[(stand.number, Value::text("not a number"))])];
    let delete = [record::Change { op: Op::Delete, ..upsert("M-1", &[]) }];
    equal("a message", once(&*sink, "1", &good).await?, Ok(Effected::Created))?;
    // Another program has taken the row; the answer to the message was lost, and it comes again.
    sink.apply(&delete).await.map_err(|fault| fault.to_string())?;
    equal("the message again", once(&*sink, "1", &good).await?, Ok(Effected::Unchanged))?;
    let key = Key::of(&[Value::text("M-1")]).map_err(|why| why.to_string())?;
    let there = sink.current(&[key], &[]).await.map_err(|fault| fault.to_string())?;
    if there[0].is_some() {
        return Err("a message that was done is done again".to_owned());
    }
    equal("a refused message", once(&*sink, "2", &bad).await?, Err(Now::Reject))?;
    equal("the refused message, corrected", once(&*sink, "2", &good).await?, Ok(Effected::Created))?;
    sink.apply(&delete).await.map(|_| ()).map_err(|fault| fault.to_string())
}
