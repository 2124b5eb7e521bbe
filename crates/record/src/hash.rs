//! 128-bit hashes of rows, for the ledger.
//!
//! Not for security and not for keys: two different contents of one row must not look equal by accident, and a million
//! rows must be hashed in a fraction of a second.

use xxhash_rust::xxh3::xxh3_128;

use crate::ValueRef;

/// Hashes rows, reusing one buffer. *Shape*: equal values hash equal in every process and on every machine; a blank and
/// an empty text differ (the mapping makes them equal where a destination does).
#[derive(Debug, Default)]
pub struct RowHasher {
    scratch: Vec<u8>,
}

impl RowHasher {
    /// The hash of values in their order.
    pub fn hash<'a>(&mut self, values: impl IntoIterator<Item = ValueRef<'a>>) -> u128 {
        self.scratch.clear();
        for value in values {
            put(&mut self.scratch, value);
        }
        xxh3_128(&self.scratch)
    }

    /// The hash of named values: the order of the names does not matter to the caller, who sorts them.
    pub fn hash_named<'a>(&mut self, values: impl IntoIterator<Item = (&'a str, ValueRef<'a>)>) -> u128 {
        self.scratch.clear();
        for (name, value) in values {
            put_bytes(&mut self.scratch, 0xFF, name.as_bytes());
            put(&mut self.scratch, value);
        }
        xxh3_128(&self.scratch)
    }
}

/// For maps and sets whose keys are hashes of this module already: they are not hashed again.
pub type ByHash = std::hash::BuildHasherDefault<Hashed>;

/// See [`ByHash`].
#[derive(Debug, Default)]
pub struct Hashed(u64);

impl std::hash::Hasher for Hashed {
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64(bytes);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn put(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Blank => out.push(0),
        ValueRef::Bool(v) => out.extend_from_slice(&[1, v as u8]),
        ValueRef::Int(v) => put_fixed(out, 2, &v.to_le_bytes()),
        // Equal numbers are equal whatever their scale: 5 and 5.00.
        ValueRef::Decimal(v) => put_fixed(out, 3, &v.normalize().serialize()),
        ValueRef::Float(v) => put_fixed(out, 4, &v.to_bits().to_le_bytes()),
        ValueRef::Text(v) => put_bytes(out, 5, v.as_bytes()),
        ValueRef::Date(v) => {
            put_fixed(out, 6, &v.year().to_le_bytes());
            out.extend_from_slice(&[v.month() as u8, v.day() as u8]);
        }
        ValueRef::Time(v) => {
            put_fixed(out, 7, &[v.hour() as u8, v.minute() as u8, v.second() as u8]);
            out.extend_from_slice(&v.subsec_nanosecond().to_le_bytes());
        }
        ValueRef::Instant(v) => put_fixed(out, 8, &v.as_nanosecond().to_le_bytes()),
        ValueRef::LocalDateTime(v) => {
            out.push(9);
            put(out, ValueRef::Date(v.date()));
            put(out, ValueRef::Time(v.time()));
        }
        ValueRef::Guid(v) => put_fixed(out, 10, v.as_bytes()),
        ValueRef::Bytes(v) => put_bytes(out, 11, v),
        ValueRef::Choice(v) => put_bytes(out, 12, v.as_bytes()),
        ValueRef::Reference(v) => {
            put_bytes(out, 13, v.of.as_bytes());
            for (name, value) in &v.key {
                put_bytes(out, 0xFF, name.as_bytes());
                put(out, value.as_ref());
            }
            out.push(0xFE);
        }
        ValueRef::Rows(rows) => {
            put_fixed(out, 14, &(rows.len() as u64).to_le_bytes());
            for row in rows {
                for (name, value) in row.iter() {
                    put_bytes(out, 0xFF, name.as_bytes());
                    put(out, value.as_ref());
                }
                out.push(0xFE);
            }
        }
    }
}

fn put_fixed(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    put_fixed(out, tag, &(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_do_not_run_into_each_other() {
        let mut hasher = RowHasher::default();
        let ab_c = hasher.hash([ValueRef::Text("ab"), ValueRef::Text("c")]);
        let a_bc = hasher.hash([ValueRef::Text("a"), ValueRef::Text("bc")]);
        assert_ne!(ab_c, a_bc);
        assert_ne!(hasher.hash([ValueRef::Blank]), hasher.hash([ValueRef::Text("")]));
        assert_ne!(hasher.hash([ValueRef::Text("1")]), hasher.hash([ValueRef::Int(1)]));
    }

    #[test]
    fn numbers_are_equal_whatever_their_scale() {
        let mut hasher = RowHasher::default();
        let decimal = |text: &str| ValueRef::Decimal(text.parse().unwrap());
        assert_eq!(hasher.hash([decimal("5")]), hasher.hash([decimal("5.00")]));
        assert_ne!(hasher.hash([decimal("5")]), hasher.hash([decimal("5.01")]));
    }
}
