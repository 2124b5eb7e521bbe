//! Files in a folder of this machine: what a read takes, gives and leaves behind.

mod afterwards;
mod formats;
mod objects;
mod sftp;
mod writing;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use connectors::conformance::{Stand, Trouble};
use record::{Fault, OptionValue, Options, Page, ReadKind, ReadSpec, Source, System, Type};

/// The file that the conformance suite reads.
pub fn conformance_file(dir: &Path) {
    let rows: String = (0..10).map(|row| format!("R-{row:02},Row {row}\n")).collect();
    put(dir, "things.csv", format!("number,name\n{rows}"), 10);
}

pub use crate::conformance::options as entity;

pub fn stand(system: Arc<dyn System>, wrong_password: Option<Arc<dyn System>>, trouble: Trouble) -> Stand {
    let waivers = match wrong_password.is_some() {
        true => crate::conformance::waivers::of("files over SFTP"),
        false => crate::conformance::waivers::of("files"),
    };
    Stand {
        kind: "files",
        filled: true,
        system,
        waivers,
        wrong_password,
        table: "",
        key: "number",
        text: "name",
        long_text: "name",
        number: "name",
        date: None,
        time: "name",
        options: entity(&[
            ("file", "things.csv"),
            ("contains", "everything"),
            ("ready_when", "unchanged for 0 seconds"),
        ]),
        trouble,
    }
}

/// Writes a file that was last changed so many minutes ago.
pub fn put(dir: &Path, name: &str, text: impl AsRef<[u8]>, minutes_ago: u64) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    touch(&path, minutes_ago);
}

pub fn touch(path: &Path, minutes_ago: u64) {
    let at = SystemTime::now() - Duration::from_secs(minutes_ago * 60);
    std::fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
}

pub fn open(pairs: &[(&str, &str)]) -> Arc<dyn System> {
    (connectors::registry::find("files").unwrap().open)("supplier", entity(pairs)).unwrap()
}

/// A read of the columns `number` (text, the key) and `amount` (a decimal), two rows a page.
pub fn spec(options: &[(&str, &str)]) -> ReadSpec {
    ReadSpec {
        table: String::new(),
        columns: vec!["number".into(), "amount".into()],
        declared: vec![
            ("number".into(), Type::Text { max_length: None }),
            ("amount".into(), Type::Decimal { scale: None }),
        ],
        watermark: None,
        key: vec!["number".into()],
        rows_per_batch: 2,
        time_zone: None,
        fields: Vec::new(),
        options: entity(options),
    }
}

pub fn source(dir: &Path, options: &[(&str, &str)]) -> Arc<dyn Source> {
    open(&[("folder", dir.to_str().unwrap())]).source(spec(options)).unwrap()
}

/// What a read gave: its kind, its rows as `number=amount`, what could not be read, and its last cursor.
#[derive(Debug)]
pub struct Seen {
    pub kind: ReadKind,
    pub rows: Vec<String>,
    pub unreadable: Vec<Fault>,
    pub cursor: Option<String>,
    pub pages: Vec<Page>,
}

pub async fn read(source: &dyn Source, cursor: Option<&str>) -> Result<Seen, Fault> {
    let mut reader = source.read(cursor).await?;
    let mut seen = Seen {
        kind: reader.kind(),
        rows: Vec::new(),
        unreadable: Vec::new(),
        cursor: cursor.map(str::to_owned),
        pages: Vec::new(),
    };
    while let Some(page) = reader.next().await? {
        seen.rows.extend(page.batch.rows().map(|row| format!("{}={}", row.at(0), row.at(1))));
        seen.unreadable.extend(page.unreadable.iter().map(|row| row.fault.clone()));
        seen.cursor.clone_from(&page.cursor);
        seen.pages.push(page);
    }
    Ok(seen)
}

const EVERYTHING: &[(&str, &str)] = &[("file", "p_*.csv"), ("contains", "everything"), ("several", "newest")];
const CHANGES: &[(&str, &str)] = &[("file", "p_*.csv"), ("afterwards", "move to done/")];

#[tokio::test]
async fn the_newest_file_has_every_row_and_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path(), EVERYTHING);
    let fault = read(&*source, None).await.unwrap_err();
    assert_eq!(fault.code.0, "IB0620", "an absent file is no empty source");
    assert!(fault.now == record::Now::Stop && fault.what.contains("p_*.csv"), "{fault}");

    put(dir.path(), "p_1.csv", "number,amount\nold,1\n", 20);
    put(dir.path(), "p_2.csv", "number,amount\nA,1.50\nB,\nC,3\n", 10);
    put(dir.path(), "p_3.csv", "number,amount\nhalf", 0);
    let first = read(&*source, None).await.unwrap();
    assert_eq!(first.kind, ReadKind::Full { why: None });
    assert_eq!(first.rows, ["A=1.50", "B=(blank)", "C=3"]);

    let again = read(&*source, first.cursor.as_deref()).await.unwrap();
    assert_eq!((again.kind, again.rows.len(), again.pages.len()), (ReadKind::Changes, 0, 0));

    // The same content, sent again under its name and under another.
    for name in ["p_2.csv", "p_4.csv"] {
        put(dir.path(), name, "number,amount\nA,1.50\nB,\nC,3\n", 5);
        let repeated = read(&*source, first.cursor.as_deref()).await.unwrap();
        assert_eq!((repeated.kind, repeated.rows.len()), (ReadKind::Changes, 0), "{name}");
        let after = read(&*source, repeated.cursor.as_deref()).await.unwrap();
        assert!(after.pages.is_empty());
    }

    put(dir.path(), "p_5.csv", "number,amount\nA,2\n", 3);
    let next = read(&*source, first.cursor.as_deref()).await.unwrap();
    assert_eq!(next.kind, ReadKind::Full { why: Some("`p_5.csv` has every row".into()) });
    assert_eq!(next.rows, ["A=2"]);
}

#[tokio::test]
async fn changes_are_read_file_by_file_and_go_on_after_a_cut_at_any_page() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path(), CHANGES);
    assert!(read(&*source, None).await.unwrap().pages.is_empty(), "nothing has changed");
    put(dir.path(), "p_b.csv", "number,amount\n1,1\n2,1\n3,1\n", 30);
    put(dir.path(), "p_a.csv", "number,amount\n1,2\n4,2\n5,2\n6,2\n", 20);
    put(dir.path(), "p_c.csv", "number,amount\n1,3\n", 0);
    let whole = read(&*source, None).await.unwrap();
    assert_eq!(whole.kind, ReadKind::Changes);
    // Read from the beginning, each row is given once, as the last file has it.
    assert_eq!(whole.rows, ["2=1", "3=1", "1=2", "4=2", "5=2", "6=2"]);
    for cut in 0..whole.pages.len() {
        let before: usize = whole.pages[..=cut].iter().map(|page| page.batch.len()).sum();
        let rest = read(&*source, whole.pages[cut].cursor.as_deref()).await.unwrap();
        assert!(rest.rows.ends_with(&whole.rows[before..]), "after a cut at page {cut}: {:?}", rest.rows);
        assert_eq!(rest.cursor, whole.cursor);
    }
    // A file that came late, with an old time; and the first one once more under another name.
    put(dir.path(), "p_0.csv", "number,amount\n7,0\n", 60);
    put(dir.path(), "p_d.csv", "number,amount\n1,1\n2,1\n3,1\n", 10);
    let late = read(&*source, whole.cursor.as_deref()).await.unwrap();
    assert_eq!(late.rows, ["7=0"], "old values are not put over new ones");
    assert!(read(&*source, late.cursor.as_deref()).await.unwrap().pages.is_empty());
    let mut anew = read(&*source, None).await.unwrap().rows;
    anew.sort();
    assert_eq!(anew, ["1=2", "2=1", "3=1", "4=2", "5=2", "6=2", "7=0"]);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |n: usize| (0..n).map(|row| format!("{row},1\n")).collect::<String>();
    put(dir.path(), "p_1.csv", format!("number,amount\n{}", rows(20)), 10);
    let source = source(dir.path(), CHANGES);
    let mut reader = source.read(None).await.unwrap();
    let page = reader.next().await.unwrap().unwrap();
    put(dir.path(), "p_1.csv", format!("number,amount\n{}", rows(30)), 5);
    let fault = loop {
        match reader.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was not seen that the file has changed"),
            Err(fault) => break fault,
        }
    };
    assert_eq!((fault.code.0, fault.is_transient()), ("IB0623", true), "{fault}");
    let again = read(&*source, page.cursor.as_deref()).await.unwrap();
    assert_eq!(again.rows.len(), 30, "it is another file by now");
}

/// A file is hashed as it is read: where reading stands names the bytes that were read by then, and their hash.
#[tokio::test]
async fn a_large_file_goes_on_by_the_hash_of_what_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |first: u32| format!("number,amount\n{first},1\n{}", "7,12345.67\n".repeat(100_000));
    put(dir.path(), "p_1.csv", rows(1), 10);
    let mut spec = spec(CHANGES);
    spec.rows_per_batch = 40_000;
    let source = open(&[("folder", dir.path().to_str().unwrap())]).source(spec).unwrap();
    let whole = read(&*source, None).await.unwrap();
    assert_eq!((whole.rows.len(), whole.pages.len()), (100_001, 3));
    let cut = whole.pages[0].cursor.as_deref().unwrap();
    let at: serde_json::Value = serde_json::from_str(cut).unwrap();
    let (rows_done, bytes, size) = (&at["at"][4], at["at"][5].as_u64().unwrap(), at["at"][1].as_u64().unwrap());
    assert!(*rows_done == 40_000 && bytes > 400_000 && bytes < size, "{cut}");
    let rest = read(&*source, Some(cut)).await.unwrap();
    assert_eq!((rest.rows.len(), &rest.cursor), (60_001, &whole.cursor), "the same hash at the end, read in two parts");
    // Another content of the same size and time.
    let time = std::fs::metadata(dir.path().join("p_1.csv")).unwrap().modified().unwrap();
    std::fs::write(dir.path().join("p_1.csv"), rows(2)).unwrap();
    std::fs::File::options().append(true).open(dir.path().join("p_1.csv")).unwrap().set_modified(time).unwrap();
    let anew = read(&*source, Some(cut)).await.unwrap();
    assert_eq!((anew.rows.len(), &*anew.rows[0]), (100_001, "2=1"));
}

#[tokio::test]
async fn a_file_that_is_gone_in_the_middle_is_told() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "p_1.csv", "number,amount\n1,1\n2,1\n3,1\n", 10);
    let source = source(dir.path(), CHANGES);
    let whole = read(&*source, None).await.unwrap();
    std::fs::remove_file(dir.path().join("p_1.csv")).unwrap();
    let fault = read(&*source, whole.pages[0].cursor.as_deref()).await.unwrap_err();
    assert_eq!(fault.code.0, "IB0624");
    assert!(fault.what.contains("`p_1.csv` was read up to row 2"), "{fault}");
}

#[tokio::test]
async fn single_rows_are_looked_up_and_the_last_word_counts() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "p_1.csv", "number,amount\n1,1\n2,1\n", 20);
    put(dir.path(), "p_2.csv", "number,amount\n2,2\n", 10);
    let source = source(dir.path(), CHANGES);
    let key = |text: &str| record::Key::of(&[record::Value::text(text)]).unwrap();
    let found = source.get(&[key("2"), key("9"), key("1")]).await.unwrap();
    let shown: Vec<_> = found.iter().map(|row| row.as_ref().map(|row| row.values()[1].to_string())).collect();
    assert_eq!(shown, [Some("2".to_owned()), None, Some("1".to_owned())]);
}

#[tokio::test]
async fn check_says_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "p_1.csv", "number,amount\n", 20);
    let health = open(&[("folder", dir.path().to_str().unwrap())]).check().await.unwrap();
    assert_eq!((&*health.version, health.missing.len()), ("a folder, 1 file in it", 0));
    let nowhere = dir.path().join("nowhere");
    let fault = open(&[("folder", nowhere.to_str().unwrap())]).check().await.unwrap_err();
    assert_eq!(fault.code.0, "IB0602");
    assert!(fault.what.contains("nowhere") && !fault.fix.is_empty(), "{fault}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anything_is_read() {
    let system = open(&[("folder", "/nowhere")]);
    let refused = |options: &[(&str, &str)], what: &str| {
        let fault = system.source(spec(options)).err().expect(what);
        assert_eq!(fault.code.0, "IB0621");
        assert!(fault.what.contains(what) && !fault.fix.is_empty(), "{fault}");
    };
    refused(&[("file", "in/p_*.csv")], "files in one folder");
    refused(&[("file", "p"), ("several", "newest")], "`several: newest` leaves older files out");
    refused(&[("file", "p"), ("afterwards", "delete")], "could not be read again");
    refused(&[("file", "p"), ("afterwards", "move to ../up")], "`afterwards:`");
    refused(&[("file", "p"), ("ready_when", "soon")], "`ready_when:`");
    let opened = |pairs: &[(&str, &str)], what: &str| {
        let fault = (connectors::registry::find("files").unwrap().open)("supplier", entity(pairs)).err().expect(what);
        assert!(fault.code.0 == "IB0621" && fault.what.contains(what), "{fault}");
    };
    opened(&[], "does not say where");
    opened(&[("url", "ftp://x/y")], "`ftp://` is no place");
    opened(&[("url", "data/in")], "no `://`");
    opened(&[("url", "sftp://x/y")], "asked by a user");
    opened(&[("url", "sftp://x/y"), ("user", "hub")], "nothing proves who we are");
    opened(&[("url", "sftp://x/y"), ("user", "hub"), ("key", "nonsense")], "no private key");
    opened(&[("url", "s3://bucket/in")], "read with a key");
    opened(&[("url", "azure://account")], "an account and a container");
    opened(&[("url", "azure://account/container")], "SAS");
}
