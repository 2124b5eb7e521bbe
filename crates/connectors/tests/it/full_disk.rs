//! A disk that is really full: a small file system of its own, where this user may mount one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use record::{Change, Fault, Key, Now, Op, OptionValue, Options, Row, Schema, System, Type, Value, WriteSpec};

use crate::conformance::{postgres_client, postgres_database};

/// A file system of so many kilobytes, until the end of the test.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
        std::fs::remove_dir(&self.0).ok();
    }
}

#[expect(clippy::print_stderr, reason = "who runs the tests should see what was left out")]
fn small(name: &str, kilobytes: u32) -> Option<Small> {
    let folder = std::env::temp_dir().join(format!("ironbridge-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let size = format!("size={kilobytes}k");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
    if mounted.is_ok_and(|done| done.status.success()) {
        return Some(Small(folder));
    }
    eprintln!("skipped: this user may not mount a small file system");
    std::fs::remove_dir(&folder).ok();
    None
}

fn open(kind: &str, option: &str, value: &str) -> Arc<dyn System> {
    let options = Options([(option.to_owned(), OptionValue::Text(value.to_owned()))].into());
    (connectors::registry::find(kind).unwrap().open)("tested", options).unwrap()
}

fn write(table: &str, file: &str) -> WriteSpec {
    WriteSpec {
        table: table.to_owned(),
        key: vec!["number".into()],
        columns: vec!["number".into(), "note".into()],
        time_zone: None,
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options([("file".to_owned(), OptionValue::Text(file.to_owned()))].into()),
    }
}

/// So many rows of 8 KB that do not compress.
fn rows(from: u64, count: u64) -> Vec<Change> {
    let row = |at: u64| {
        let mut state = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut note = String::with_capacity(8_192);
        while note.len() < 8_192 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            note.push_str(&format!("{state:016x}"));
        }
        let schema = Schema::of([("note", Type::Unknown)]);
        Change {
            op: Op::Upsert,
            key: Key::of(&[Value::text(format!("R-{at:05}"))]).unwrap(),
            columns: Row::new(schema, vec![Value::Text(note)]),
            remote_id: None,
            if_version: None,
        }
    };
    (from..from + count).map(row).collect()
}

fn no_room(fault: &Fault) {
    let again = matches!(fault.now, Now::RetryAfter(_));
    assert!(fault.code.0 == "IB0514" && again && fault.fix.contains("free space"), "{fault:?}");
}

/// Writes until there is no room; what was written before stays, and with room it goes on.
async fn fills(system: &dyn System, spec: WriteSpec, room: impl AsyncFnOnce()) {
    let sink = system.sink(spec.clone()).unwrap();
    let mut written = 0;
    let fault = loop {
        match sink.apply(&rows(written, 8)).await {
            Ok(outcomes) => assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}"),
            Err(fault) => break fault,
        }
        written += 8;
        assert!(written < 2_000, "the disk is never full");
    };
    no_room(&fault);
    assert!(written > 0, "nothing could be written at all");
    room().await;
    let sink = system.sink(spec).unwrap();
    let outcomes = sink.apply(&rows(written, 8)).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let keys: Vec<Key> = rows(0, written + 8).into_iter().map(|change| change.key).collect();
    let found = sink.current(&keys, &["note".to_owned()]).await.unwrap();
    assert_eq!(found.iter().flatten().count() as u64, written + 8, "each row is there, once");
}

/// A file that takes the last room away, and gives it back.
fn ballast(folder: &Path, kilobytes: usize) -> PathBuf {
    let path = folder.join("ballast");
    std::fs::write(&path, vec![0; kilobytes << 10]).unwrap();
    path
}

#[tokio::test]
async fn sqlite() {
    let Some(disk) = small("sqlite", 1_024) else { return };
    let file = disk.0.join("tested.db");
    let make = "CREATE TABLE things (number TEXT PRIMARY KEY, note TEXT)";
    rusqlite::Connection::open(&file).unwrap().execute_batch(make).unwrap();
    let ballast = ballast(&disk.0, 512);
    let system = open("sqlite", "file", file.to_str().unwrap());
    fills(&*system, write("things", ""), async || std::fs::remove_file(ballast).unwrap()).await;
}

#[tokio::test]
async fn a_folder_of_files() {
    let Some(disk) = small("files", 2_048) else { return };
    let ballast = ballast(&disk.0, 1_024);
    let system = open("files", "folder", disk.0.to_str().unwrap());
    fills(&*system, write("", "things.csv"), async || {
        assert!(!disk.0.join(".things.csv.part").exists(), "a full disk is not made fuller");
        std::fs::remove_file(ballast).unwrap();
    })
    .await;
}

#[tokio::test]
async fn postgres() {
    let Some(url) = postgres_database("full_disk").await else { return };
    let Some(disk) = small("postgres", 4_096) else { return };
    let own = Command::new("chown").arg("postgres").arg(&disk.0).status().unwrap();
    assert!(own.success());
    let client = postgres_client(&url).await;
    let folder = disk.0.to_str().unwrap();
    client.batch_execute(&format!("CREATE TABLESPACE small_disk LOCATION '{folder}'")).await.unwrap();
    let make = "CREATE TABLE things (number VARCHAR(20) PRIMARY KEY USING INDEX TABLESPACE pg_default, note TEXT) TABLESPACE small_disk;
        ALTER TABLE things ALTER note SET STORAGE EXTERNAL";
    client.batch_execute(make).await.unwrap();
    let ballast = ballast(&disk.0, 1_024);
    let system = open("postgres", "url", &url);
    fills(&*system, write("things", ""), async || std::fs::remove_file(ballast).unwrap()).await;
    client.batch_execute("DROP TABLE things").await.unwrap();
    client.batch_execute("DROP TABLESPACE small_disk").await.unwrap();
}
