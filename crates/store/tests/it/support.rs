//! A store in a folder of its own, with a clock that the test moves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use record::Key;
use store::{Clock, Error, Failpoints, Op, OpResult, Options, Refusal, Store};

pub struct Bench {
    pub store: Store,
    pub dir: tempfile::TempDir,
    now: Arc<AtomicI64>,
}

/// The moment at which every test begins: 2026-01-01.
const START_MS: i64 = 1_767_225_600_000;

/// A state file as it is made: that takes longer than most of what is tested with it, so it is made once.
static FRESH: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), Options { timers: false, ..Options::default() }).unwrap());
    std::fs::read(dir.path().join("state.db")).unwrap()
});

impl Bench {
    pub fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("state.db"), &*FRESH).unwrap();
        let now = Arc::new(AtomicI64::new(START_MS));
        Bench { store: open(dir.path(), &now, Failpoints::off()), dir, now }
    }

    /// Closes the store and opens it again, as after a restart.
    pub fn reopen(&mut self, failpoints: &str) {
        self.store = open(self.dir.path(), &self.now, failpoints.parse().unwrap());
    }

    pub fn another(&self) -> Store {
        open(self.dir.path(), &self.now, Failpoints::off())
    }

    pub fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now.load(Ordering::Relaxed)).unwrap()
    }

    pub fn one(&self, op: impl Into<Op>) -> OpResult {
        self.try_one(op).unwrap()
    }

    pub fn try_one(&self, op: impl Into<Op>) -> Result<OpResult, Error> {
        self.store.commit_blocking(vec![op.into()]).map(|mut results| results.pop().unwrap())
    }

    /// Why an operation was refused.
    pub fn refusal(&self, op: impl Into<Op>) -> Refusal {
        match self.try_one(op) {
            Err(Error::Refused { refusal, .. }) => refusal,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

fn open(dir: &std::path::Path, now: &Arc<AtomicI64>, failpoints: Failpoints) -> Store {
    let now = Arc::clone(now);
    let clock = Clock::of(move || Timestamp::from_millisecond(now.load(Ordering::Relaxed)).unwrap());
    Store::open(dir, Options { failpoints, clock, timers: false, ..Options::default() }).unwrap()
}

pub fn key(text: &str) -> Key {
    Key::of(&[text.into()]).unwrap()
}

/// `PROPTEST_CASES`, or few.
pub fn cases(few: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
}
