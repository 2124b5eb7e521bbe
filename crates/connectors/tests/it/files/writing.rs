//! Files as a destination: one with every row, and a new one for each chunk of changes.

use record::{Change, Effected, Key, Op, Outcome, Row, Schema, Sink, Value, WriteSpec};

use super::*;

/// The options of `format:`.
type Format<'a> = &'a [(&'a str, &'a str)];

pub fn sink(system: &dyn System, file: &str, more: &[(&str, &str)]) -> Arc<dyn Sink> {
    system.sink(write(file, more)).unwrap()
}

fn write(file: &str, format: &[(&str, &str)]) -> WriteSpec {
    let text = |text: &str| OptionValue::Text(text.to_owned());
    let format = format.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    WriteSpec {
        table: String::new(),
        key: vec!["sku".into()],
        columns: ["sku", "amount", "name", "day", "at"].map(str::to_owned).to_vec(),
        time_zone: Some(jiff::tz::TimeZone::get("Europe/London").unwrap()),
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options([("file".to_owned(), text(file)), ("format".to_owned(), OptionValue::Map(format))].into()),
    }
}

pub fn change(key: &str, columns: &[(&str, Value)]) -> Change {
    let schema = Schema::of(columns.iter().map(|(name, _)| (*name, Type::Unknown)));
    Change {
        op: Op::Upsert,
        key: Key::of(&[Value::text(key)]).unwrap(),
        columns: Row::new(schema, columns.iter().map(|(_, value)| value.clone()).collect()),
        remote_id: None,
        if_version: None,
    }
}

pub fn row(key: &str, amount: &str) -> Change {
    change(key, &[("amount", Value::Decimal(amount.parse().unwrap()))])
}

fn delete(key: &str) -> Change {
    Change { op: Op::Delete, ..change(key, &[]) }
}

pub async fn apply(sink: &dyn Sink, changes: &[Change]) -> Vec<Effected> {
    sink.apply(changes).await.unwrap().into_iter().map(|outcome: Outcome| outcome.unwrap().effect).collect()
}

/// Three changes of a file with every row, in any place; `text` is what stands there.
pub async fn replaces(system: &dyn System, text: impl Fn() -> Option<String>) {
    let sink = sink(system, "stock.csv", &[]);
    assert_eq!(apply(&*sink, &[row("A", "1.50"), row("B", "2")]).await, [Effected::Created; 2]);
    assert_eq!(text().unwrap(), "sku,amount,name,day,at\nA,1.50,,,\nB,2,,,\n");
    // The answer was lost, and it is written again.
    assert_eq!(apply(&*sink, &[row("A", "1.50"), row("B", "2")]).await, [Effected::Unchanged; 2]);
    let changes = [row("B", "3"), change("C", &[("name", "a \"c\", quoted".into())]), delete("nobody")];
    assert_eq!(apply(&*sink, &changes).await, [Effected::Updated, Effected::Created, Effected::Unchanged]);
    // Another process goes on with what is there.
    let other = self::sink(system, "stock.csv", &[]);
    assert_eq!(apply(&*other, &[delete("A"), delete("C")]).await, [Effected::Deleted; 2]);
    assert_eq!(text().unwrap(), "sku,amount,name,day,at\nB,3,,,\n");
}

fn here(dir: &Path) -> Arc<dyn System> {
    open(&[("folder", dir.to_str().unwrap())])
}

#[tokio::test]
async fn a_file_with_every_row_is_merged_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stock.csv");
    replaces(&*here(dir.path()), || std::fs::read_to_string(&file).ok()).await;
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn what_is_written_is_read_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let german = [("delimiter", ";"), ("decimal", ","), ("date", "dd.mm.yyyy"), ("encoding", "windows-1252")];
    let plain: &[(&str, &str)] = &[];
    let files = [
        ("german.csv", &german[..]),
        ("plain.csv", plain),
        ("lines.jsonl", plain),
        ("rows.json", plain),
        ("book.xlsx", plain),
    ];
    for (file, format) in files {
        let sink = sink(&*here(dir.path()), file, format);
        // 01:30 on that day is there twice in London: the offset says which one. A workbook has no place for one.
        let twice = if file == "book.xlsx" { "2026-07-01T11:30:15.250Z" } else { "2026-10-25T01:30:00Z" };
        let twice: jiff::Timestamp = twice.parse().unwrap();
        let values = [
            ("amount", Value::Decimal("-1234.50".parse().unwrap())),
            ("name", Value::text("Größe; \"4\", line\nnext ")),
            ("day", Value::Date("2024-02-29".parse().unwrap())),
            ("at", Value::Instant(twice)),
        ];
        apply(&*sink, &[change("007", &values), row("008", "0.1")]).await;
        touch(&dir.path().join(file), 10);
        let mut spec = spec(&[("file", file), ("contains", "everything")]);
        let text = |text: &str| OptionValue::Text(text.to_owned());
        let format = format.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        spec.options.0.insert("format".to_owned(), OptionValue::Map(format));
        spec.time_zone = Some(jiff::tz::TimeZone::get("Europe/London").unwrap());
        spec.key = vec!["sku".into()];
        spec.columns = ["sku", "amount", "name", "day", "at"].map(str::to_owned).to_vec();
        let word = || Type::Text { max_length: None };
        let types = [word(), Type::Decimal { scale: None }, word(), Type::Date, Type::DateTime];
        spec.declared = spec.columns.iter().cloned().zip(types).collect();
        let source = here(dir.path()).source(spec).unwrap();
        let seen = read(&*source, None).await.unwrap();
        assert!(seen.unreadable.is_empty(), "{file}: {:?}", seen.unreadable);
        let row = seen.pages[0].batch.row(0);
        assert_eq!(row.at(0).to_owned(), Value::text("007"), "{file}");
        for (at, (name, value)) in values.iter().enumerate() {
            assert_eq!(row.at(at + 1).to_owned(), *value, "{file}: {name}");
        }
    }
    let lines = std::fs::read_to_string(dir.path().join("lines.jsonl")).unwrap();
    assert!(lines.contains("\"amount\":-1234.50") && lines.contains("\"sku\":\"007\""), "{lines}");
}

#[tokio::test]
async fn each_chunk_of_changes_is_a_new_file_and_a_repeated_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(&*here(dir.path()), "stock_*.csv", &[]);
    let names = || {
        let mut names: Vec<String> =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let (a, b) = ([row("A", "1")], [row("A", "2"), row("B", "2")]);
    assert_eq!(apply(&*sink, &a).await, [Effected::Upserted]);
    assert_eq!(names().len(), 1);
    // The answer was lost; another process writes the chunk again.
    assert_eq!(apply(&*self::sink(&*here(dir.path()), "stock_*.csv", &[]), &a).await, [Effected::Upserted]);
    assert_eq!(names().len(), 1, "the same chunk is the same file");
    apply(&*sink, &b).await;
    apply(&*sink, &a).await;
    let all = names();
    assert_eq!(all.len(), 3, "what is as it was before is news after something else: {all:?}");
    let texts: Vec<String> = all.iter().map(|name| std::fs::read_to_string(dir.path().join(name)).unwrap()).collect();
    assert!(texts[0] == texts[2] && texts[1].contains("B,2"), "their names are in their order: {texts:?}");
    let outcomes = sink.apply(&[delete("A")]).await.unwrap();
    let fault = outcomes[0].as_ref().unwrap_err();
    assert!(fault.code.0 == "IB0512" && fault.what.contains("cannot say that a row is gone"), "{fault}");
    assert_eq!(names().len(), 3);
}

#[tokio::test]
async fn a_bad_value_is_the_fault_of_its_row() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(Format<'_>, Value, &str); 3] = [
        (&[("encoding", "windows-1252")], "大".into(), "characters that windows-1252 does not have"),
        (&[("quote", "none")], "a,b".into(), "`quote: none`"),
        (&[], Value::Bytes(vec![1]), "bytes"),
    ];
    for (at, (format, value, why)) in cases.into_iter().enumerate() {
        let file = format!("bad{at}.csv");
        let sink = sink(&*here(dir.path()), &file, format);
        let outcomes = sink.apply(&[row("A", "1"), change("B", &[("name", value)]), row("C", "1")]).await.unwrap();
        let fault = outcomes[1].as_ref().unwrap_err();
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok() && fault.now == record::Now::Reject);
        assert!(fault.what.contains(why) && fault.place.key.as_deref() == Some("B"), "{fault}");
        assert_eq!(std::fs::read_to_string(dir.path().join(file)).unwrap().lines().count(), 3);
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_before_anything_is() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&str, Format<'_>, &str); 6] = [
        ("stock.xlsm", &[], "`.xlsx`"),
        ("*.x?sx", &[], "one `*`"),
        ("*_stock_*.csv", &[], "one `*`"),
        ("stock?.csv", &[], "one `*`"),
        ("stock.csv", &[("encoding", "utf-16")], "utf-8"),
        ("out/stock.csv", &[], "without a folder"),
    ];
    for (file, format, fix) in cases {
        let Err(fault) = here(dir.path()).sink(write(file, format)) else { panic!("{file} is written") };
        assert!(fault.code.0 == "IB0621" && fault.fix.contains(fix), "{fault}");
    }
    // A file that somebody else has put there is not overwritten.
    for text in ["number;amount\n1;2\n", "sku,amount,name,day,at\nA,1,,,\nA,2,,,\n", "sku,amount,name,day,at\nA,1\n"] {
        put(dir.path(), "stock.csv", text, 10);
        let fault = sink(&*here(dir.path()), "stock.csv", &[]).apply(&[row("B", "1")]).await.unwrap_err();
        assert!(fault.code.0 == "IB0633" && fault.now == record::Now::AskPerson, "{fault}");
        assert_eq!(std::fs::read_to_string(dir.path().join("stock.csv")).unwrap(), text);
    }
    put(dir.path(), "stock.csv", vec![b'x'; 65 << 20], 10);
    let fault = sink(&*here(dir.path()), "stock.csv", &[]).apply(&[row("B", "1")]).await.unwrap_err();
    assert!(fault.code.0 == "IB0634" && fault.fix.contains("stock_*.csv"), "{fault}");
    let fault = sink(&*here(&dir.path().join("nowhere")), "stock.csv", &[]).apply(&[row("B", "1")]).await.unwrap_err();
    assert!(fault.code.0 == "IB0504", "{fault}");
}

fn workbook(dir: &Path, file: &str) -> Vec<Vec<Option<String>>> {
    connectors::files::excel_sample(&dir.join(file), 100).unwrap()
}

#[tokio::test]
async fn a_workbook_with_every_row_is_merged_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let open = || sink(&*here(dir.path()), "stock.xlsx", &[]);
    let day = |key, day: &str| change(key, &[("day", Value::Date(day.parse().unwrap())), ("name", "=1+1".into())]);
    let changes = [row("007", "1.50"), day("B", "2026-03-01"), row("C", "-0.1")];
    assert_eq!(apply(&*open(), &changes).await, [Effected::Created; 3]);
    // The answer was lost, and another process writes it again.
    assert_eq!(apply(&*open(), &changes).await, [Effected::Unchanged; 3]);
    let book = workbook(dir.path(), "stock.xlsx");
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(book[0].iter().flatten().collect::<Vec<_>>(), ["sku", "amount", "name", "day", "at"]);
    assert_eq!(book[1][..2], [text("007"), text("1.5")]);
    assert_eq!(book[2], [text("B"), None, text("=1+1"), text("2026-03-01")]);
    let found = open().current(&[Key::of(&[Value::text("007")]).unwrap()], &["amount".to_owned()]).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().columns.values()[0], Value::Decimal("1.5".parse().unwrap()));
    assert_eq!(apply(&*open(), &[delete("B"), delete("007"), row("C", "2")]).await[2], Effected::Updated);
    assert_eq!(workbook(dir.path(), "stock.xlsx").len(), 2);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

    let outcomes = open().apply(&[row("D", "1234567890123456.7"), row("E", "1")]).await.unwrap();
    let fault = outcomes[0].as_ref().unwrap_err();
    assert!(outcomes[1].is_ok() && fault.what.contains("17 digits, and Excel keeps 15"), "{fault}");
}

#[tokio::test]
async fn a_workbook_of_somebody_else_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut theirs = rust_xlsxwriter::Workbook::new();
    for (name, cell) in [("Stock", "sku"), ("Notes", "ask the desk")] {
        theirs.add_worksheet().set_name(name).unwrap().write_string(0, 0, cell).unwrap();
    }
    put(dir.path(), "stock.xlsx", theirs.save_to_buffer().unwrap(), 10);
    let fault = sink(&*here(dir.path()), "stock.xlsx", &[]).apply(&[row("B", "1")]).await.unwrap_err();
    assert!(fault.code.0 == "IB0633" && fault.to_string().contains("another sheet, `Notes`"), "{fault}");
    put(dir.path(), "stock.xlsx", "sku,amount\n", 10);
    let fault = sink(&*here(dir.path()), "stock.xlsx", &[]).apply(&[row("B", "1")]).await.unwrap_err();
    assert_eq!(fault.code.0, "IB0633", "{fault}");
}

#[tokio::test]
async fn workbooks_and_documents_of_changes() {
    let dir = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    for (at, pattern) in ["stock_*.xlsx", "stock_*.json"].into_iter().enumerate() {
        let open = || sink(&*here(dir.path()), pattern, &[]);
        apply(&*open(), &[row("A", "1"), row("B", "2")]).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        // A workbook has the time at which it was made in it, and the same rows are the same file all the same.
        apply(&*open(), &[row("A", "1"), row("B", "2")]).await;
        assert_eq!(files(), at * 2 + 1, "{pattern}");
        apply(&*open(), &[row("A", "3")]).await;
        assert_eq!(files(), at * 2 + 2, "{pattern}");
    }
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let json = names.iter().find(|path| path.extension().is_some_and(|ending| ending == "json")).unwrap();
    let text = std::fs::read_to_string(json).unwrap();
    assert_eq!(
        text,
        "[\n{\"sku\":\"A\",\"amount\":1,\"name\":null,\"day\":null,\"at\":null},\n{\"sku\":\"B\",\"amount\":2,\"name\":null,\"day\":null,\"at\":null}\n]\n"
    );
}

/// A process was killed while it wrote: what it left is no file of anybody's, and the next write goes on.
#[tokio::test]
async fn a_write_that_was_killed_leaves_the_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stock.csv");
    let first = sink(&*here(dir.path()), "stock.csv", &[]);
    apply(&*first, &[row("A", "1")]).await;
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(dir.path().join(".stock.csv.part"), "sku,amount,na").unwrap();
    let sink = sink(&*here(dir.path()), "stock.csv", &[]);
    let key = Key::of(&[Value::text("A")]).unwrap();
    assert!(sink.current(&[key], &["amount".to_owned()]).await.unwrap()[0].is_some());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    apply(&*sink, &[row("B", "2")]).await;
    assert!(std::fs::read_to_string(&file).unwrap().ends_with("B,2,,,\n"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// Events of several rows come at once, and a batch beside them from another process, which has the folder opened anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_that_write_at_once_lose_no_row() {
    for file in ["stock.csv", "stock_*.csv"] {
        let dir = tempfile::tempdir().unwrap();
        let one = here(dir.path());
        let sinks = [sink(&*one, file, &[]), sink(&*one, file, &[]), sink(&*here(dir.path()), file, &[])];
        let writing = (0..60).map(|number| {
            let sink = sinks[number % sinks.len()].clone();
            tokio::spawn(async move {
                let row = row(&format!("P-{number}"), "1");
                sink.current(std::slice::from_ref(&row.key), &["amount".to_owned()]).await.unwrap();
                apply(&*sink, &[row]).await
            })
        });
        for written in writing.collect::<Vec<_>>() {
            written.await.unwrap();
        }
        let text = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let all: String = std::fs::read_dir(dir.path()).unwrap().map(text).collect();
        let rows: std::collections::BTreeSet<&str> = all.lines().filter(|line| line.starts_with("P-")).collect();
        assert_eq!(rows.len(), 60, "{file}");
    }
}
