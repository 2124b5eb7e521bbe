//! A disk that is really full: what is there can still be settled, and that makes room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use store::journal::{self, Note, What};
use store::queue::{Delivery, Message, Op, Settings};
use store::{Error, OpResult, Options, Store};

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

fn send(store: &Store, n: usize) -> Result<(), Error> {
    let message = Message { id: n.to_string(), body: vec![7; 4096], ..Message::default() };
    store.commit_blocking(vec![Op::Send { queue: "q".into(), messages: vec![message.into()] }.into()]).map(drop)
}

fn receive(store: &Store) -> Result<Vec<Delivery>, Error> {
    match store.commit_blocking(vec![Op::Receive { queue: "q".into(), max: 20 }.into()])?.pop() {
        Some(OpResult::Messages(messages)) => Ok(messages),
        other => panic!("{other:?}"),
    }
}

/// Completes what was received, and notes it, as the hub does.
fn settle(store: &Store, received: &[Delivery]) -> Result<(), Error> {
    let tokens = received.iter().map(|delivery| delivery.token).collect();
    let note = |delivery: &Delivery| Note::new("order", &delivery.message.id, What::Created, "orders", "erp");
    let notes = journal::Op::Note(received.iter().map(note).collect());
    store.commit_blocking(vec![Op::Complete { queue: "q".into(), tokens }.into(), notes.into()]).map(drop)
}

fn fill(folder: &Path) {
    let mut file = std::fs::File::create(folder.join("fill")).unwrap();
    for block in [1 << 16, 1 << 12] {
        while std::io::Write::write_all(&mut file, &vec![7; block]).is_ok() {}
    }
}

/// Again until it works: the log is copied beside, after a commit that found no room.
fn soon<T>(what: &str, mut work: impl FnMut() -> Result<T, Error>) -> T {
    let begun = Instant::now();
    loop {
        match work() {
            Ok(done) => return done,
            Err(Error::DiskFull { .. }) if begun.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn what_waits_on_a_full_disk_is_settled_and_makes_room() {
    // 6 MB: the log alone would take more, as it does on every disk where it grows until it is copied.
    for (kilobytes, by_others) in [(6 * 1024, false), (6 * 1024, true), (24 * 1024, false), (24 * 1024, true)] {
        let Some(disk) = small("store", kilobytes) else { return };
        let store = Store::open(&disk.0, Options::default()).unwrap();
        store.commit_blocking(vec![Op::Put { queue: "q".into(), settings: Settings::default() }.into()]).unwrap();
        let (mut sent, mut refused) = (0, 0);
        // More than once: a commit that found no room for the log finds it when the log was copied.
        while refused < 50 {
            if by_others && sent == 40 {
                fill(&disk.0);
            }
            match send(&store, sent) {
                Ok(()) => (sent, refused) = (sent + 1, 0),
                Err(Error::DiskFull { .. }) => {
                    refused += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("{error}"),
            }
            assert!(sent < 20_000, "the disk is never full");
        }
        assert!(sent > 40, "{sent}");
        let another = Store::open(&disk.0, Options { timers: false, ..Options::default() }).unwrap();
        assert_eq!(another.queue_counts("q").unwrap().unwrap().ready, sent as u64);
        let mut settled = Vec::new();
        loop {
            let received = soon("receive", || receive(&store));
            if received.is_empty() {
                break;
            }
            soon("settle", || settle(&store, &received));
            settled.extend(received.into_iter().map(|delivery| delivery.message.id));
        }
        assert_eq!(settled, (0..sent).map(|n| n.to_string()).collect::<Vec<_>>());
        // What is gone has made room for more, with the disk as full as before.
        for n in 0..sent / 4 {
            soon(&format!("send {n} of {sent} in {kilobytes} KB, filled by others: {by_others}"), || send(&store, n));
        }
        assert_eq!(store.journal_of("order", "7", 10).unwrap().len(), 1);
    }
}
