//! What the ledger knew when a whole read began: one scan, instead of a look-up for each row.
//!
//! A row whose source hash is among those of the rows that were written by the same mapping is unchanged: the hash is of
//! every column that the mapping reads, so its key is the same too, and is not even computed. Everything else is looked
//! up by key. The table may lack rows (there are too many, or they were written since); then they are looked up as well.

use store::Store;

use crate::pair::Pair;
use crate::slots;

/// Beyond this many rows the ledger is asked row by row, so that the table stays below 96 MB.
const ROWS_MAX: u64 = 4_000_000;

/// Hashes that are put in together.
const SOME: usize = 1024;

/// The source hashes of written rows, each with whether the read has met it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Open addressing by the hash's own bits, two thirds full; a free slot is 0.
    slots: Vec<u128>,
    /// A bit for each slot.
    met: Vec<u64>,
    any_met: bool,
}

impl Known {
    /// Asks the ledger, on a thread where that may take a moment.
    pub async fn load(store: &Store, pair: &Pair) -> Result<Known, store::Error> {
        let rows = store.ledger_totals(&pair.to, &pair.entity.name)?.written;
        if rows == 0 || rows > ROWS_MAX {
            return Ok(Known::default());
        }
        let (store, to, entity, mapping) =
            (store.clone(), pair.to.clone(), pair.entity.name.clone(), pair.fingerprint());
        let load = move || {
            let mut known = Known::of(rows as usize);
            let mut room = rows;
            let mut some = Vec::with_capacity(SOME);
            store.ledger_written(&to, &entity, mapping, |hash| {
                // More may have been written since they were counted.
                if room > 0 {
                    room -= 1;
                    some.push(hash);
                }
                if some.len() == SOME {
                    known.insert_all(&some);
                    some.clear();
                }
            })?;
            known.insert_all(&some);
            Ok(known)
        };
        tokio::task::spawn_blocking(load).await.expect("reading the ledger does not panic, and is not aborted")
    }

    fn of(rows: usize) -> Known {
        let slots = rows + rows / 2 + 1;
        Known { slots: vec![0; slots], met: vec![0; slots.div_ceil(64)], any_met: false }
    }

    /// Brings the slots of these hashes near, all of them at once: each is in another place of the memory, and looked for
    /// one after the other, each would be waited for.
    pub fn fetch(&self, hashes: &[u128]) {
        if !self.slots.is_empty() {
            std::hint::black_box(
                hashes.iter().fold(0, |all, hash| all ^ self.slots[slots::first(*hash, self.slots.len())] as u64),
            );
        }
    }

    fn insert_all(&mut self, hashes: &[u128]) {
        self.fetch(hashes);
        hashes.iter().for_each(|hash| self.insert(*hash));
    }

    fn insert(&mut self, hash: u128) {
        if let Err(free) = self.find(hash)
            && hash != 0
        {
            self.slots[free] = hash;
        }
    }

    /// The slot of a hash, or the free slot where it belongs. There is always a free one.
    fn find(&self, hash: u128) -> Result<usize, usize> {
        let mut at = slots::first(hash, self.slots.len());
        loop {
            match self.slots[at] {
                0 => return Err(at),
                found if found == hash => return Ok(at),
                _ => at = slots::after(at, self.slots.len()),
            }
        }
    }

    /// Whether a row with this hash was written, and is met for the first time.
    pub fn meet(&mut self, hash: u128) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let Ok(at) = self.find(hash) else { return false };
        let (word, bit) = (&mut self.met[at / 64], 1 << (at % 64));
        let first = *word & bit == 0;
        *word |= bit;
        self.any_met = true;
        first
    }

    /// Whether the read has met a row with this hash.
    pub fn has_met(&self, hash: u128) -> bool {
        !self.slots.is_empty() && self.find(hash).is_ok_and(|at| self.met[at / 64] & (1 << (at % 64)) != 0)
    }

    /// Whether the read has met any row.
    pub fn has_met_any(&self) -> bool {
        self.any_met
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::ValueRef;
    use record::hash::RowHasher;

    #[test]
    fn what_was_put_in_is_met_once_and_nothing_else_is() {
        let hash = |n: i64| RowHasher::default().hash([ValueRef::Int(n)]);
        for rows in [1usize, 2, 63, 64, 1000] {
            let mut known = Known::of(rows);
            (0..rows as i64).for_each(|n| known.insert(hash(n)));
            assert!(!known.has_met_any());
            for n in 0..rows as i64 {
                assert!(!known.has_met(hash(n)));
                assert!(known.meet(hash(n)), "{n} of {rows}");
                assert!(!known.meet(hash(n)), "{n} of {rows} again");
                assert!(known.has_met(hash(n)));
                assert!(!known.meet(hash(-1 - n)));
            }
        }
        assert!(!Known::default().meet(hash(1)) && !Known::default().has_met(hash(1)));
    }

    #[test]
    fn no_hash_is_taken_for_a_free_slot() {
        let mut known = Known::of(3);
        known.insert(0);
        // All of them belong into the last slot, and wrap around.
        for hash in [u128::MAX, u128::MAX - 1, u128::MAX - 2] {
            known.insert(hash);
        }
        assert!(!known.meet(0));
        assert!([u128::MAX, u128::MAX - 1, u128::MAX - 2].map(|hash| known.meet(hash)) == [true; 3]);
        assert!(!known.meet(u128::MAX - 3));
    }
}
