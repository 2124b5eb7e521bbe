//! A file on its way to whoever reads it: its bytes are hashed as they pass, so that it is read once.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::rc::Rc;

use xxhash_rust::xxh3::Xxh3Default;

/// Bytes that are asked for at a time, where nobody else says how many.
const STEP: usize = 256 << 10;

/// The bytes of a file, from its beginning on.
pub(super) struct Passing {
    file: File,
    passed: Rc<Passed>,
}

/// What of a file has passed.
pub(super) struct Passed {
    /// The size and the hash of the whole file, where they are known before.
    whole: Option<(u64, u64)>,
    hasher: RefCell<Xxh3Default>,
    bytes: Cell<u64>,
}

impl Passing {
    /// A file at its beginning, of which nobody knows the hash, or whose size and hash are known.
    pub fn new(file: File, whole: Option<(u64, u64)>) -> Passing {
        let passed = Passed { whole, hasher: RefCell::default(), bytes: Cell::new(0) };
        Passing { file, passed: Rc::new(passed) }
    }

    /// Where nobody asks for the hash.
    pub fn plain(file: File) -> Passing {
        Passing::new(file, Some((0, 0)))
    }

    pub fn passed(&self) -> Rc<Passed> {
        self.passed.clone()
    }

    /// For a format that looks here and there in the file.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Lets what is left of the file pass.
    pub fn drain(&mut self) -> io::Result<()> {
        if self.passed.whole.is_some() {
            return Ok(());
        }
        let mut buffer = vec![0; STEP];
        while read_some(self, &mut buffer)? > 0 {}
        Ok(())
    }
}

impl Passed {
    /// How many bytes passed, and their hash.
    pub fn so_far(&self) -> (u64, u64) {
        self.whole.unwrap_or_else(|| (self.bytes.get(), self.hasher.borrow().digest()))
    }
}

impl Read for Passing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        if self.passed.whole.is_none() {
            self.passed.hasher.borrow_mut().update(&into[..read]);
            self.passed.bytes.set(self.passed.bytes.get() + read as u64);
        }
        Ok(read)
    }
}

/// The hash of the first bytes of a file, or of all that it has where that is less.
pub(super) fn hash(file: &mut File, bytes: u64) -> io::Result<u64> {
    let mut hasher = Xxh3Default::new();
    let mut from = file.take(bytes);
    let mut buffer = vec![0; STEP];
    loop {
        match read_some(&mut from, &mut buffer)? {
            0 => return Ok(hasher.digest()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

pub(super) fn read_some(reader: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
